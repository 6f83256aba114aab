//! Published weight files: where they are to be had, under which licence, how large they are and how
//! their bytes are told from others. The table of [`BACKBONE_WEIGHTS`] is here; a crate with other
//! networks has a table of its own.

mod backbones;
mod published;
#[cfg(test)]
mod tests;

pub use backbones::{BACKBONE_WEIGHTS, VGG16_FILE};
pub use published::PublishedFile;

use crate::backbones::BackboneKind;

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
pub enum Publisher {
    /// The timm collection on Hugging Face, one repository per weights.
    Timm,
    /// A file of another repository on Hugging Face that is called as the id.
    HuggingFace {
        /// Owner and name.
        repository: &'static str,
        /// The file.
        file: &'static str,
    },
    /// An address of its own, whose last part is the file name.
    At(&'static str),
    /// A page that offers it to a browser.
    Page {
        /// Address of the page.
        page: &'static str,
        /// Name of the file that it offers.
        file: &'static str,
    },
}

/// A published weight file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownWeights {
    /// Name in experiments and on the command line: that of the repository on Hugging Face, or the
    /// file name of the original project without its ending.
    pub id: &'static str,
    /// Licence as its publisher states it.
    pub licence: &'static str,
    /// Length of the file.
    pub size: FileSize,
    /// What its bytes are checked against.
    pub hash: Hash,
    /// Training data, accuracy there and what the file is for.
    pub note: &'static str,
    /// Where it is published.
    pub publisher: Publisher,
}

impl KnownWeights {
    /// A file whose length and hash are known.
    pub const fn published(id: &'static str, file: PublishedFile, note: &'static str) -> Self {
        Self {
            id,
            licence: file.licence,
            size: FileSize::Bytes(file.bytes),
            hash: Hash::Sha256(file.sha256),
            note,
            publisher: Publisher::At(file.address),
        }
    }

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

    /// Names under which a backbone looks for it in the weights folder: as downloaded, then converted.
    pub fn names_for_backbone(&self) -> Vec<String> {
        let mut names = vec![self.file(), self.imported_file()];
        names.dedup();
        names
    }
}

/// The known files of a backbone, which are alternatives, the preferred one first; none of the one that
/// is part of the program.
pub fn known_weights_of(kind: BackboneKind) -> impl Iterator<Item = &'static KnownWeights> {
    let own = BACKBONE_WEIGHTS
        .iter()
        .filter(move |(network, _)| *network == kind);
    own.map(|(_, known)| known)
}
