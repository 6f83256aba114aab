use std::fs;
use std::path::{Path, PathBuf};

use dp_sims_model::known::{FileSize, Hash, KnownWeights, Origin};
use serde::{Deserialize, Serialize};

use super::error::io_error;
use super::files::{beside, sha256};
use super::{Download, FetchError, Fetched, KnownNetwork, Patience, Progress, download};
use crate::runtime::files::{MOST_TEXT, read};

/// Where the models of Hugging Face are unless `HF_ENDPOINT` names a mirror.
const HUGGING_FACE: &str = "https://huggingface.co";

/// What the bytes of a file were checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The whole SHA-256, known to this program.
    Sha256,
    /// The first eight digits of the SHA-256, which the publisher made part of the file name.
    Prefix,
    /// The SHA-256 that the server announced before the download.
    Announced,
    /// Nothing: no hash is published.
    Unverified,
}

/// What is known about a fetched file, in `FILE.json` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    id: String,
    address: String,
    bytes: u64,
    sha256: String,
    check: Check,
}

/// What the weights folder holds of a known file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A download that has not ended.
    Unfinished {
        /// Bytes that are there.
        #[serde(rename = "present_bytes")]
        bytes: u64,
    },
    /// The file.
    Present {
        /// Its name.
        file: String,
        /// Its length.
        #[serde(rename = "present_bytes")]
        bytes: u64,
        /// What it was checked against when it was fetched; none for a file that came another way
        /// or has changed its length since.
        check: Option<Check>,
    },
}

/// What `fetch` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file was there already.
    Present {
        /// SHA-256 of the file.
        sha256: String,
        /// What that was compared with.
        check: Check,
    },
    /// The file was downloaded.
    Fetched(Fetched),
}

/// The folder that weight files are looked up in.
#[derive(Clone, Debug)]
pub struct WeightsFolder {
    path: PathBuf,
}

impl WeightsFolder {
    /// The folder at `path`, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is there of a known file, under the names that `network` looks for.
    pub fn state(&self, known: &KnownWeights, network: KnownNetwork) -> FileState {
        for file in network.names_of(known) {
            let path = self.path.join(&file);
            let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
            if let Some(metadata) = metadata {
                let bytes = metadata.len();
                let record = Record::read(&path).filter(|record| record.bytes == bytes);
                return FileState::Present {
                    file,
                    bytes,
                    check: record.map(|record| record.check),
                };
            }
        }
        let part = beside(&self.path.join(known.file()), ".part");
        match fs::metadata(part) {
            Ok(metadata) => FileState::Unfinished {
                bytes: metadata.len(),
            },
            Err(_) => FileState::Absent,
        }
    }

    /// Downloads a known file, or checks it where it is there already.
    ///
    /// `from` is another address than the known one. An address of Hugging Face is moved to
    /// `HF_ENDPOINT` where that is set.
    ///
    /// # Errors
    /// Those of [`download`], [`FetchError::Present`] when a file of this name is another one, and
    /// [`FetchError::ByHand`] when it has no address.
    pub fn fetch(
        &self,
        known: &KnownWeights,
        from: Option<&str>,
        patience: Patience,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Outcome, FetchError> {
        let target = self.path.join(known.file());
        if target.is_file() {
            return verify(known, &target);
        }
        let endpoint = std::env::var("HF_ENDPOINT").ok();
        let address = match (from, known.origin()) {
            (Some(address), _) => address.to_string(),
            (None, Origin::Address(address)) => at_endpoint(&address, endpoint.as_deref()),
            (None, Origin::Page(page)) => return Err(FetchError::ByHand { page, path: target }),
        };
        let (size, about) = match known.size {
            FileSize::Bytes(bytes) => (Some(bytes), None),
            FileSize::About(bytes) => (None, Some(bytes)),
        };
        let request = Download {
            address: address.clone(),
            target: target.clone(),
            size,
            about,
            hash: known.hash,
            patience,
        };
        let fetched = download(&request, report)?;
        let record = Record {
            id: known.id.to_string(),
            address,
            bytes: fetched.bytes,
            sha256: fetched.sha256.clone(),
            check: fetched.check,
        };
        record.write(&target)?;
        Ok(Outcome::Fetched(fetched))
    }
}

/// Compares a file that is there with the published hash, or with the one it had when fetched.
fn verify(known: &KnownWeights, path: &Path) -> Result<Outcome, FetchError> {
    let sha256 = sha256(path)?;
    let record = Record::read(path);
    let (expected, check) = match (known.hash, &record) {
        (Hash::Sha256(hash), _) => (hash, Check::Sha256),
        (Hash::Prefix(digits), _) => (digits, Check::Prefix),
        (_, Some(record)) => (record.sha256.as_str(), record.check),
        (_, None) => ("", Check::Unverified),
    };
    if sha256.starts_with(expected) {
        return Ok(Outcome::Present { sha256, check });
    }
    Err(FetchError::Present {
        path: path.to_path_buf(),
        expected: expected.to_string(),
        found: sha256,
    })
}

/// The address at a mirror of Hugging Face, where one is set and the address is of that place.
fn at_endpoint(address: &str, endpoint: Option<&str>) -> String {
    let endpoint = endpoint.map(|endpoint| endpoint.trim_end_matches('/'));
    match (endpoint, address.strip_prefix(HUGGING_FACE)) {
        (Some(endpoint), Some(rest)) if !endpoint.is_empty() => format!("{endpoint}{rest}"),
        _ => address.to_string(),
    }
}

impl Record {
    /// The record beside a file, where there is one.
    fn read(path: &Path) -> Option<Self> {
        let bytes = read(&beside(path, ".json"), MOST_TEXT).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn write(&self, path: &Path) -> Result<(), FetchError> {
        let path = beside(path, ".json");
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| io_error("write", &path)(error.into()))?;
        text.push('\n');
        fs::write(&path, text).map_err(io_error("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use dp_sims_evaluators::{EvaluatorKind, LpipsTrunk};

    use super::super::known_weights;
    use super::*;

    fn address(id: &str) -> String {
        match known_weights(id).unwrap().1.origin() {
            Origin::Address(address) => address,
            Origin::Page(page) => panic!("{page}"),
        }
    }

    #[test]
    fn a_mirror_takes_the_place_of_hugging_face_only() {
        let timm = address("convnext_tiny.fb_in1k");
        let moved = at_endpoint(&timm, Some("http://mirror:8000/hf/"));
        let rest = "/timm/convnext_tiny.fb_in1k/resolve/main/model.safetensors";
        assert_eq!(moved, format!("http://mirror:8000/hf{rest}"));
        for endpoint in [None, Some("")] {
            assert_eq!(at_endpoint(&timm, endpoint), timm);
        }
        let other = address("vgg19.tv_in1k");
        assert_eq!(at_endpoint(&other, Some("http://mirror")), other);
    }

    #[test]
    fn states_are_told_apart() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = WeightsFolder::new(temporary.path().to_path_buf());
        let (network, known) = known_weights("resnet50.tv_in1k").unwrap();
        let state = |known: &KnownWeights| folder.state(known, network);
        assert_eq!(state(known), FileState::Absent);
        let file = temporary.path().join(known.file());
        fs::write(beside(&file, ".part"), "abc").unwrap();
        assert_eq!(state(known), FileState::Unfinished { bytes: 3 });
        let present = |name: String, check| FileState::Present {
            file: name,
            bytes: 4,
            check,
        };
        fs::write(temporary.path().join(known.imported_file()), "abcd").unwrap();
        assert_eq!(state(known), present(known.imported_file(), None));
        fs::write(&file, "abcd").unwrap();
        assert_eq!(state(known), present(known.file(), None));
        let mut record = Record {
            id: known.id.to_string(),
            address: address(known.id),
            bytes: 4,
            sha256: String::new(),
            check: Check::Sha256,
        };
        record.write(&file).unwrap();
        assert_eq!(state(known), present(known.file(), Some(Check::Sha256)));
        record.bytes = 5;
        record.write(&file).unwrap();
        assert_eq!(state(known), present(known.file(), None));
    }

    #[test]
    fn a_converted_file_is_there_for_the_network_that_reads_it() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = WeightsFolder::new(temporary.path().to_path_buf());
        let (network, known) = known_weights("vgg16.tv_in1k").unwrap();
        fs::write(temporary.path().join(known.imported_file()), "abcd").unwrap();
        let lpips = KnownNetwork::Evaluator(EvaluatorKind::Lpips(LpipsTrunk::Vgg));
        assert_eq!(folder.state(known, lpips), FileState::Absent);
        let state = folder.state(known, network);
        assert!(matches!(state, FileState::Present { .. }), "{state:?}");
    }

    #[test]
    fn a_file_that_is_there_is_checked() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = WeightsFolder::new(temporary.path().to_path_buf());
        let fetch = |id| {
            let (_, known) = known_weights(id).unwrap();
            fs::write(temporary.path().join(known.file()), "other").unwrap();
            // An address that cannot be asked: nothing may be fetched.
            folder.fetch(known, Some("none"), Patience::default(), &mut |_| {})
        };
        for id in ["vgg19.tv_in1k", "tf_efficientnet_lite1.in1k"] {
            let error = fetch(id).unwrap_err();
            assert!(matches!(error, FetchError::Present { .. }), "{error}");
        }
        let outcome = fetch("convnext_tiny.fb_in1k").unwrap();
        // sha256sum of "other"
        let sha256 = "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa";
        assert_eq!(
            outcome,
            Outcome::Present {
                sha256: sha256.to_string(),
                check: Check::Unverified
            }
        );
    }
}
