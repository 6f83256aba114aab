use super::*;
use crate::backbones::{BackboneKind, info};

/// What `weights fetch NETWORK` brings is what `weights = "pretrained"` loads.
#[test]
fn the_preferred_file_is_one_that_its_network_looks_for() {
    for kind in BackboneKind::all() {
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

#[test]
fn a_backbone_looks_for_a_file_as_downloaded_and_converted() {
    let names = |kind| known_weights_of(kind).next().unwrap().names_for_backbone();
    assert_eq!(
        names(BackboneKind::Vgg16),
        [VGG16_FILE.name, "vgg16.tv_in1k.safetensors"]
    );
    assert_eq!(
        names(BackboneKind::ConvnextTiny),
        ["convnext_tiny.fb_in1k.safetensors"]
    );
}
