use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::backbones::{BackboneKind, info};
use crate::evaluators::{INCEPTION_FILE, LpipsTrunk, Mask2FormerKind, SegmenterKind};

#[test]
fn ids_names_and_files_are_unique() {
    let count = all_known_weights().count();
    let files: BTreeSet<_> = all_known_weights().map(KnownWeights::file).collect();
    assert_eq!(files.len(), count);
    // `weights fetch` takes either.
    let ids = all_known_weights().map(|known| known.id);
    let names: BTreeSet<_> = ids
        .chain(KnownNetwork::all().map(|network| network.name()))
        .collect();
    assert_eq!(names.len(), count + KnownNetwork::all().count());
    assert_eq!(
        known_weights("vgg19.tv_in1k").unwrap().network,
        KnownNetwork::Backbone(BackboneKind::Vgg19)
    );
    assert_eq!(known_weights("vgg19"), None);
    assert_eq!(
        KnownNetwork::named("vgg19"),
        Some(KnownNetwork::Backbone(BackboneKind::Vgg19))
    );
    assert_eq!(KnownNetwork::named("vgg19.tv_in1k"), None);
}

#[test]
fn hashes_are_hexadecimal_and_agree_with_the_file_names() {
    for known in all_known_weights() {
        let (digits, length) = match known.hash {
            Hash::Sha256(digits) => (digits, 64),
            Hash::Prefix(digits) => (digits, 8),
            Hash::Announced => {
                let Origin::Address(address) = known.origin() else {
                    panic!("{} has no address", known.id)
                };
                assert!(address.starts_with("https://huggingface.co/"), "{address}");
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

/// The one file of an evaluator.
fn only(kind: EvaluatorKind) -> &'static KnownWeights {
    let known: Vec<_> = known_weights_of(kind).collect();
    let [known] = known[..] else {
        panic!("{known:?}")
    };
    known
}

#[test]
fn evaluators_have_the_files_that_define_their_scores() {
    let trunks = LpipsTrunk::ALL.map(|trunk| (EvaluatorKind::Lpips(trunk), trunk.file()));
    let inception = (EvaluatorKind::FidInception, INCEPTION_FILE);
    for (kind, file) in trunks.into_iter().chain([inception]) {
        let known = only(kind);
        assert_eq!(known.origin(), Origin::Address(file.address.to_string()));
        assert_eq!(known.hash, Hash::Sha256(file.sha256));
        assert_eq!(known.size, FileSize::Bytes(file.bytes));
        assert_eq!(known.names_for(kind), [file.name]);
    }
    for kind in SegmenterKind::ALL {
        let evaluator = EvaluatorKind::Segmenter(kind);
        let files = known_weights_of(evaluator).map(KnownWeights::file);
        assert_eq!(files.collect::<Vec<_>>(), kind.info().files);
        let needed = KnownNetwork::from(evaluator).needed();
        assert_eq!(needed, known_weights_of(evaluator).collect::<Vec<_>>());
    }
    for kind in Mask2FormerKind::ALL {
        let known = only(EvaluatorKind::Mask2Former(kind));
        let repository = kind.info().repository;
        assert_eq!(repository.rsplit_once('/').unwrap().1, known.id);
    }
}

#[test]
fn a_file_of_two_networks_has_the_names_that_each_looks_for() {
    let vgg = known_weights("vgg16.tv_in1k").unwrap();
    let files = |network| known_weights_of(network).collect::<Vec<_>>();
    assert_eq!(files(KnownNetwork::Backbone(BackboneKind::Vgg16)), [vgg]);
    let lpips = EvaluatorKind::Lpips(LpipsTrunk::Vgg);
    assert_eq!(files(KnownNetwork::Evaluator(lpips)), [vgg]);
    let published = "vgg16-397923af.pth";
    assert_eq!(
        vgg.names_for(BackboneKind::Vgg16),
        [published, "vgg16.tv_in1k.safetensors"]
    );
    assert_eq!(vgg.names_for(lpips), [published]);
}

#[test]
fn files_of_repositories_are_called_after_them() {
    let name = "mask2former-swin-large-coco-panoptic";
    let known = known_weights(name).unwrap();
    let address = format!("https://huggingface.co/facebook/{name}/resolve/main/pytorch_model.bin");
    assert_eq!(known.origin(), Origin::Address(address));
    assert_eq!(
        known.names_for(known.network),
        [
            ".bin",
            ".safetensors",
            "/model.safetensors",
            "/pytorch_model.bin"
        ]
        .map(|ending| format!("{name}{ending}"))
    );
    let known = known_weights("mask2former-swin-large-ade-semantic").unwrap();
    assert_eq!(
        known.file(),
        "mask2former-swin-large-ade-semantic.safetensors"
    );
}

/// Bytes of the tensors in a listing of names and shapes, those whose names begin with `prefix`.
fn bytes(listing: &Value, prefix: &str) -> u64 {
    let listing: Vec<(String, Vec<u64>)> = serde_json::from_value(listing.clone()).unwrap();
    let own = listing.iter().filter(|(name, _)| name.starts_with(prefix));
    own.map(|(_, shape)| 4 * shape.iter().product::<u64>())
        .sum()
}

#[test]
fn sizes_are_those_of_the_networks() {
    let listings = |name: &str| -> Value {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/evaluators");
        serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let full = &listings("segmentation_networks.json")["full"];
    let large = listings("mask2former_swin_large.json");
    // The positions within windows, 64-bit integers of every block that no listing holds.
    let shared = bytes(&large["shared"], "") + 24 * 144 * 144 * 8;
    for (id, bytes) in [
        (
            "deeplabv2_resnet101_msc-cocostuff164k-100000",
            bytes(&full["deeplab"], ""),
        ),
        ("drn-d-105_ms_cityscapes", bytes(&full["drn"], "")),
        ("encoder_epoch_50", bytes(&full["upernet"], "encoder.")),
        ("decoder_epoch_50", bytes(&full["upernet"], "decoder.")),
        (
            "mask2former-swin-large-ade-semantic",
            shared + bytes(&large["ade-semantic"], ""),
        ),
        (
            "mask2former-swin-large-cityscapes-semantic",
            shared + bytes(&large["cityscapes-semantic"], ""),
        ),
        (
            "mask2former-swin-large-coco-panoptic",
            shared + bytes(&large["coco-panoptic"], ""),
        ),
    ] {
        let known = known_weights(id).unwrap();
        assert_eq!(known.size, FileSize::About(bytes), "{id}");
    }
}
