mod table;

use table::KNOWN;

use super::BackboneKind;

/// How the bytes of a known file can be told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// The whole SHA-256, lower-case hexadecimal.
    Sha256(&'static str),
    /// The first eight hexadecimal digits, which the publisher made part of the file name.
    Prefix(&'static str),
    /// The server announces the SHA-256 of the file it is about to send (Hugging Face).
    Announced,
    /// Nothing is published.
    Unpublished,
}

/// Length of a known file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSize {
    /// Exactly this many bytes.
    Bytes(u64),
    /// About this many bytes: what parameters and buffers of the architecture take in f32.
    About(u64),
}

/// Where a known file is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Publisher {
    /// The timm collection on Hugging Face, one repository per weights.
    Timm,
    /// An address of its own, whose last part is the file name.
    At(&'static str),
}

/// A published weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownWeights {
    /// Name in experiments and on the command line: that of timm, or the file name of the original
    /// project without its ending.
    pub id: &'static str,
    /// Network it fits.
    pub backbone: BackboneKind,
    /// Licence as its publisher states it.
    pub licence: &'static str,
    /// Length of the file.
    pub size: FileSize,
    /// What its bytes are checked against.
    pub hash: Hash,
    /// Training data, ImageNet top-1 accuracy and what the file is for.
    pub note: &'static str,
    publisher: Publisher,
}

impl KnownWeights {
    /// Address to download from.
    pub fn address(&self) -> String {
        match self.publisher {
            Publisher::Timm => {
                format!(
                    "https://huggingface.co/timm/{}/resolve/main/model.safetensors",
                    self.id
                )
            }
            Publisher::At(address) => address.to_string(),
        }
    }

    /// Name of the downloaded file in the weights folder.
    pub fn file(&self) -> String {
        match self.publisher {
            Publisher::Timm => self.imported_file(),
            Publisher::At(address) => {
                let name = address.rsplit_once('/').map_or(address, |(_, name)| name);
                name.to_string()
            }
        }
    }

    /// Name in the weights folder of the same weights converted to safetensors.
    pub fn imported_file(&self) -> String {
        format!("{}.safetensors", self.id)
    }
}

/// The known file with this id.
pub fn known_weights(id: &str) -> Option<&'static KnownWeights> {
    KNOWN.iter().find(|known| known.id == id)
}

/// The known files of a network, the preferred one first; none for the network that is part of the
/// program.
pub fn known_weights_of(kind: BackboneKind) -> impl Iterator<Item = &'static KnownWeights> {
    KNOWN.iter().filter(move |known| known.backbone == kind)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::backbones::info;

    #[test]
    fn ids_and_files_are_unique() {
        let ids: BTreeSet<_> = KNOWN.iter().map(|known| known.id).collect();
        let files: BTreeSet<_> = KNOWN.iter().map(KnownWeights::file).collect();
        assert_eq!((ids.len(), files.len()), (KNOWN.len(), KNOWN.len()));
        assert_eq!(
            known_weights("vgg19.tv_in1k").unwrap().backbone,
            BackboneKind::Vgg19
        );
        assert_eq!(known_weights("vgg19"), None);
    }

    #[test]
    fn hashes_are_hexadecimal_and_agree_with_the_file_names() {
        for known in KNOWN {
            let (digits, length) = match known.hash {
                Hash::Sha256(digits) => (digits, 64),
                Hash::Prefix(digits) => (digits, 8),
                Hash::Announced => {
                    assert!(known.address().starts_with("https://huggingface.co/"));
                    continue;
                }
                Hash::Unpublished => continue,
            };
            assert_eq!(digits.len(), length, "{}", known.id);
            assert!(
                digits
                    .bytes()
                    .all(|digit| b"0123456789abcdef".contains(&digit))
            );
            let name = known.file();
            assert!(name.contains(&format!("-{}.pth", &digits[..8])), "{name}");
        }
    }

    /// What `weights fetch NETWORK` brings is what `weights = "pretrained"` loads.
    #[test]
    fn the_preferred_file_is_one_that_its_network_looks_for() {
        for kind in BackboneKind::ALL {
            let Some(preferred) = known_weights_of(kind).next() else {
                assert_eq!(kind, BackboneKind::ConvnextPicoScenes);
                continue;
            };
            let files = info(kind).files;
            assert!(
                files.contains(&preferred.file().as_str()),
                "{} is none of {files:?}",
                preferred.file()
            );
        }
    }

    #[test]
    fn every_row_of_table_three_has_its_file() {
        let rows: Vec<_> = known_weights_of(BackboneKind::ConvnextLarge)
            .filter(|known| known.note.contains("Table"))
            .map(|known| known.id)
            .collect();
        assert_eq!(
            rows[..3],
            [
                "convnext_large.fb_in22k_ft_in1k_384",
                "convnext_large.fb_in22k_ft_in1k",
                "convnext_large.fb_in1k"
            ]
        );
    }
}
