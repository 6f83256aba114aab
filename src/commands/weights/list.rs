use std::path::Path;

use anyhow::Result;
use dp_sims_model::known::{FileSize, Hash, KnownWeights, Origin};
use indicatif::HumanBytes;
use serde::Serialize;

use super::print_json;
use crate::weights::{Check, FileState, KnownNetwork, WeightsFolder, known_weights};

/// The known files as `list --json` prints them.
#[derive(Serialize)]
struct Catalogue<'a> {
    folder: &'a Path,
    files: Vec<Entry>,
}

/// A file of a network; one that two networks read is listed with each.
#[derive(Serialize)]
struct Entry {
    id: &'static str,
    network: &'static str,
    /// The backbone it is published for; none for a network that only judges images.
    backbone: Option<&'static str>,
    address: Option<String>,
    /// Page that offers a file without an address.
    page: Option<&'static str>,
    licence: &'static str,
    bytes: u64,
    /// Whether `bytes` is the length of the file and not an estimate.
    exact: bool,
    hash: String,
    note: &'static str,
    #[serde(flatten)]
    state: FileState,
}

impl Entry {
    fn of(known: &KnownWeights, network: KnownNetwork, folder: &WeightsFolder) -> Self {
        let (bytes, exact) = match known.size {
            FileSize::Bytes(bytes) => (bytes, true),
            FileSize::About(bytes) => (bytes, false),
        };
        let (address, page) = match known.origin() {
            Origin::Address(address) => (Some(address), None),
            Origin::Page(page) => (None, Some(page)),
        };
        Self {
            id: known.id,
            network: network.name(),
            backbone: match known_weights(known.id) {
                Some((backbone @ KnownNetwork::Backbone(_), _)) => Some(backbone.name()),
                _ => None,
            },
            address,
            page,
            licence: known.licence,
            bytes,
            exact,
            hash: match known.hash {
                Hash::Sha256(hash) => format!("sha256 {hash}"),
                Hash::Prefix(digits) => format!("sha256 {digits}..."),
                Hash::Announced => "sha256 announced by the server".to_string(),
                Hash::Unpublished => "none published".to_string(),
            },
            note: known.note,
            state: folder.state(known, network),
        }
    }

    fn size(&self) -> String {
        let about = if self.exact { "" } else { "about " };
        format!("{about}{} MB", (self.bytes as f64 / 1e6).round())
    }

    fn state(&self) -> String {
        match &self.state {
            FileState::Absent => match self.page {
                Some(page) => format!("not there; to be fetched by hand from {page}"),
                None => "not there".to_string(),
            },
            FileState::Unfinished { bytes } => format!("unfinished, {}", HumanBytes(*bytes)),
            FileState::Present { file, check, .. } => match check {
                Some(Check::Unverified) => format!("there, without a hash to check: {file}"),
                Some(_) => format!("there, hash checked when fetched: {file}"),
                None => format!("there, hash not checked: {file}"),
            },
        }
    }
}

/// Shows the known files by network.
pub fn run(folder: &WeightsFolder, json: bool) -> Result<()> {
    let entries = KnownNetwork::all().flat_map(|network| {
        let files = network.files().into_iter();
        files.map(move |known| Entry::of(known, network, folder))
    });
    let catalogue = Catalogue {
        folder: folder.path(),
        files: entries.collect(),
    };
    if json {
        return print_json(&catalogue);
    }
    println!("weights in {}", catalogue.folder.display());
    let mut network = "";
    for entry in &catalogue.files {
        if entry.network != network {
            network = entry.network;
            println!("\n{network}");
        }
        println!("  {}", entry.id);
        println!("    {}", entry.note);
        let (size, licence, hash) = (entry.size(), entry.licence, &entry.hash);
        println!("    {size}, {licence}, {hash}");
        println!("    {}", entry.state());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry {
        let temporary = tempfile::tempdir().unwrap();
        let folder = WeightsFolder::new(temporary.path().to_path_buf());
        let (network, known) = known_weights(id).unwrap();
        Entry::of(known, network, &folder)
    }

    #[test]
    fn an_entry_says_what_is_known() {
        let vgg = entry("vgg19.tv_in1k");
        assert_eq!(
            (vgg.size(), vgg.state()),
            ("575 MB".into(), "not there".into())
        );
        let timm = entry("convnext_tiny.fb_in1k");
        assert_eq!(timm.size(), "about 114 MB");
        let json = serde_json::to_value(&timm).unwrap();
        assert_eq!(json["state"], "absent");
        assert_eq!(json["exact"], false);
        assert_eq!(json["network"], "convnext_tiny");
        assert_eq!(json["backbone"], "convnext_tiny");
    }

    #[test]
    fn a_file_without_an_address_is_listed_with_its_page() {
        let drn = entry("drn-d-105_ms_cityscapes");
        let page = "http://go.yf.io/drn-cityscapes-models";
        assert!(drn.state().contains(page), "{}", drn.state());
        let json = serde_json::to_value(&drn).unwrap();
        assert_eq!(json["page"], page);
        assert_eq!(json["network"], "drn_d_105_cityscapes");
        for key in ["address", "backbone"] {
            assert_eq!(json[key], serde_json::Value::Null, "{key}");
        }
    }
}
