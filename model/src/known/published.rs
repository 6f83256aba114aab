use crate::weights::WeightsError;

/// A published weight file that is known byte by byte.
///
/// Evaluation scores of different projects can be compared because all of them read the same
/// file, so its hash is part of the definition of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedFile {
    /// Name under which it is published; eight digits in it are the beginning of the hash.
    pub name: &'static str,
    /// Address to download from.
    pub address: &'static str,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: &'static str,
    /// Origin of the weights.
    pub source: &'static str,
    /// Licence as its publisher states it.
    pub licence: &'static str,
}

impl PublishedFile {
    /// Checks the SHA-256 of a file that is to be used as this one, in hexadecimal of any case.
    /// `origin` is what messages call the file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Format`] when it is another file.
    pub fn check(&self, sha256: &str, origin: &str) -> Result<(), WeightsError> {
        if sha256.eq_ignore_ascii_case(self.sha256) {
            return Ok(());
        }
        Err(WeightsError::Format {
            origin: origin.to_string(),
            reason: format!(
                "its SHA-256 is {sha256}, that of the published {} is {}; fetch it again from {}",
                self.name, self.sha256, self.address
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::VGG16_FILE;

    #[test]
    fn another_file_is_refused_with_both_hashes() {
        let hash = VGG16_FILE.sha256;
        VGG16_FILE.check(hash, "a.pth").unwrap();
        let upper = hash.to_ascii_uppercase();
        VGG16_FILE.check(&upper, "a.pth").unwrap();
        let other = "0".repeat(64);
        let error = VGG16_FILE.check(&other, "a.pth").unwrap_err();
        let text = error.to_string();
        for part in ["a.pth", hash, &other, VGG16_FILE.name] {
            assert!(text.contains(part), "{text}");
        }
    }
}
