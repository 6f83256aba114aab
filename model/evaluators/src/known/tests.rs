use std::path::Path;

use dp_sims_model::known::{FileSize, Hash, Origin};
use serde_json::Value;

use super::*;
use crate::{INCEPTION_FILE, Mask2FormerKind, SegmenterKind};

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
    let trunks = LpipsTrunk::all().map(|trunk| (EvaluatorKind::Lpips(trunk), trunk.file()));
    let inception = (EvaluatorKind::FidInception, INCEPTION_FILE);
    for (kind, file) in trunks.chain([inception]) {
        let known = only(kind);
        assert_eq!(known.origin(), Origin::Address(file.address.to_string()));
        assert_eq!(known.hash, Hash::Sha256(file.sha256));
        assert_eq!(known.size, FileSize::Bytes(file.bytes));
        assert_eq!(kind.names_of(known), [file.name]);
    }
    for kind in SegmenterKind::all() {
        let evaluator = EvaluatorKind::Segmenter(kind);
        let files = known_weights_of(evaluator).map(KnownWeights::file);
        assert_eq!(files.collect::<Vec<_>>(), kind.info().files);
    }
    for kind in Mask2FormerKind::all() {
        let known = only(EvaluatorKind::Mask2Former(kind));
        let repository = kind.info().repository;
        assert_eq!(repository.rsplit_once('/').unwrap().1, known.id);
    }
}

#[test]
fn a_file_of_two_networks_has_the_names_that_each_looks_for() {
    let vgg16 = BackboneKind::Vgg16;
    let lpips = EvaluatorKind::Lpips(LpipsTrunk::Vgg);
    let vgg = only(lpips);
    assert_eq!(known::known_weights_of(vgg16).collect::<Vec<_>>(), [vgg]);
    let published = "vgg16-397923af.pth";
    assert_eq!(
        vgg.names_for_backbone(),
        [published, "vgg16.tv_in1k.safetensors"]
    );
    assert_eq!(lpips.names_of(vgg), [published]);
}

#[test]
fn files_of_repositories_are_called_after_them() {
    let name = "mask2former-swin-large-coco-panoptic";
    let kind = EvaluatorKind::Mask2Former(Mask2FormerKind::CocoPanoptic);
    let known = only(kind);
    assert_eq!(known.id, name);
    let address = format!("https://huggingface.co/facebook/{name}/resolve/main/pytorch_model.bin");
    assert_eq!(known.origin(), Origin::Address(address));
    assert_eq!(
        kind.names_of(known),
        [
            ".bin",
            ".safetensors",
            "/model.safetensors",
            "/pytorch_model.bin"
        ]
        .map(|ending| format!("{name}{ending}"))
    );
    let known = only(EvaluatorKind::Mask2Former(Mask2FormerKind::AdeSemantic));
    assert_eq!(
        known.file(),
        "mask2former-swin-large-ade-semantic.safetensors"
    );
}

#[test]
fn hashes_begin_with_the_digits_of_the_names() {
    let trunks = LpipsTrunk::all().map(LpipsTrunk::file);
    for file in trunks.chain([INCEPTION_FILE]) {
        assert_eq!(file.sha256.len(), 64);
        let digits = format!("-{}.pth", &file.sha256[..8]);
        assert!(file.name.ends_with(&digits), "{}", file.name);
        assert!(file.address.ends_with(&format!("/{}", file.name)));
    }
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
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/evaluators");
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
        let mut table = EVALUATOR_WEIGHTS.iter();
        let (_, known) = table.find(|(_, known)| known.id == id).unwrap();
        assert_eq!(known.size, FileSize::About(bytes), "{id}");
    }
}
