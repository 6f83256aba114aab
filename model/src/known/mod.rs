//! The weight files that are published for the networks of this project: where they are to be had,
//! under which licence, how large they are and how their bytes are told from others.

mod backbones;
mod evaluators;
mod network;
#[cfg(test)]
mod tests;

pub use network::KnownNetwork;

use crate::evaluators::{EvaluatorKind, PublishedFile};

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
    /// About this many bytes: what parameters and buffers of the architecture take.
    About(u64),
}

/// Where a known file is to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Address to download from.
    Address(String),
    /// A page that offers it to a browser; no address of the file itself is published.
    Page(&'static str),
}

/// Where a known file is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Publisher {
    /// The timm collection on Hugging Face, one repository per weights.
    Timm,
    /// A file of another repository on Hugging Face that is called as the id.
    HuggingFace {
        repository: &'static str,
        file: &'static str,
    },
    /// An address of its own, whose last part is the file name.
    At(&'static str),
    /// A page that offers it to a browser.
    Page {
        page: &'static str,
        file: &'static str,
    },
}

/// A published weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownWeights {
    /// Name in experiments and on the command line: that of the repository on Hugging Face, or the
    /// file name of the original project without its ending.
    pub id: &'static str,
    /// Network it is published for.
    pub network: KnownNetwork,
    /// Another network that reads the same file.
    also: Option<KnownNetwork>,
    /// Licence as its publisher states it.
    pub licence: &'static str,
    /// Length of the file.
    pub size: FileSize,
    /// What its bytes are checked against.
    pub hash: Hash,
    /// Training data, accuracy there and what the file is for.
    pub note: &'static str,
    publisher: Publisher,
}

impl KnownWeights {
    /// Where it is to be had.
    pub fn origin(&self) -> Origin {
        let hub = |repository: &str, file| {
            Origin::Address(format!(
                "https://huggingface.co/{repository}/resolve/main/{file}"
            ))
        };
        match self.publisher {
            Publisher::Timm => hub(&format!("timm/{}", self.id), "model.safetensors"),
            Publisher::HuggingFace { repository, file } => hub(repository, file),
            Publisher::At(address) => Origin::Address(address.to_string()),
            Publisher::Page { page, .. } => Origin::Page(page),
        }
    }

    /// Name of the downloaded file in the weights folder. Files of Hugging Face, most of which have
    /// the same name, are called after their repositories.
    pub fn file(&self) -> String {
        match self.publisher {
            Publisher::Timm => self.imported_file(),
            Publisher::HuggingFace { file, .. } => {
                let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
                format!("{}.{ending}", self.id)
            }
            Publisher::At(address) => {
                let name = address.rsplit_once('/').map_or(address, |(_, name)| name);
                name.to_string()
            }
            Publisher::Page { file, .. } => file.to_string(),
        }
    }

    /// Name in the weights folder of the same weights converted to safetensors.
    pub fn imported_file(&self) -> String {
        format!("{}.safetensors", self.id)
    }

    /// Names under which `network` looks for it in the weights folder, the downloaded file first. A
    /// backbone takes it converted too, and a Mask2Former either file of its repository, also in a
    /// folder called after that.
    pub fn names_for(&self, network: impl Into<KnownNetwork>) -> Vec<String> {
        let file = self.file();
        let mut others = match network.into() {
            KnownNetwork::Backbone(_) => vec![self.imported_file()],
            KnownNetwork::Evaluator(EvaluatorKind::Mask2Former(_)) => vec![
                self.imported_file(),
                format!("{}/model.safetensors", self.id),
                format!("{}/pytorch_model.bin", self.id),
            ],
            KnownNetwork::Evaluator(_) => vec![],
        };
        others.retain(|name| *name != file);
        others.insert(0, file);
        others
    }

    /// Whether `network` reads this file.
    fn is_for(&self, network: KnownNetwork) -> bool {
        self.network == network || self.also == Some(network)
    }
}

/// A file whose length and hash are known.
const fn published(
    id: &'static str,
    network: KnownNetwork,
    file: PublishedFile,
    note: &'static str,
) -> KnownWeights {
    KnownWeights {
        id,
        network,
        also: None,
        licence: file.licence,
        size: FileSize::Bytes(file.bytes),
        hash: Hash::Sha256(file.sha256),
        note,
        publisher: Publisher::At(file.address),
    }
}

/// Every known file.
pub fn all_known_weights() -> impl Iterator<Item = &'static KnownWeights> {
    backbones::KNOWN.iter().chain(evaluators::KNOWN)
}

/// The known file with this id.
pub fn known_weights(id: &str) -> Option<&'static KnownWeights> {
    all_known_weights().find(|known| known.id == id)
}

/// The known files of a network: of a backbone alternatives, the preferred one first, and none for
/// the one that is part of the program; of an evaluator parts, in the order in which it reads them.
pub fn known_weights_of(
    network: impl Into<KnownNetwork>,
) -> impl Iterator<Item = &'static KnownWeights> {
    let network = network.into();
    all_known_weights().filter(move |known| known.is_for(network))
}
