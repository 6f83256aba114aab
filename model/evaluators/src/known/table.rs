use dp_sims_model::known::{FileSize, Hash, KnownWeights, PublishedFile, Publisher};

use crate::{EvaluatorKind, INCEPTION_FILE, LpipsTrunk, Mask2FormerKind, SegmenterKind};

/// A file whose hash is part of the definition of a score.
const fn defining(
    id: &'static str,
    kind: EvaluatorKind,
    file: PublishedFile,
) -> (EvaluatorKind, KnownWeights) {
    (kind, KnownWeights::published(id, file, file.source))
}

/// A file of a segmentation network. None of the projects publishes a hash.
const fn segmenter(
    id: &'static str,
    kind: SegmenterKind,
    bytes: u64,
    publisher: Publisher,
    note: &'static str,
) -> (EvaluatorKind, KnownWeights) {
    let known = KnownWeights {
        id,
        licence: kind.info().licence,
        size: FileSize::About(bytes),
        hash: Hash::Unpublished,
        note,
        publisher,
    };
    (EvaluatorKind::Segmenter(kind), known)
}

/// A Mask2Former of transformers, of whose repository `file` is fetched.
const fn mask2former(
    id: &'static str,
    kind: Mask2FormerKind,
    file: &'static str,
    bytes: u64,
    note: &'static str,
) -> (EvaluatorKind, KnownWeights) {
    let info = kind.info();
    let known = KnownWeights {
        id,
        licence: info.licence,
        size: FileSize::About(bytes),
        hash: Hash::Announced,
        note,
        publisher: Publisher::HuggingFace {
            repository: info.repository,
            file,
        },
    };
    (EvaluatorKind::Mask2Former(kind), known)
}

/// The known files of evaluators, in the order in which a network reads them; that of LPIPS with
/// VGG-16 is in the table of backbones.
///
/// Addresses are those of the projects: the README files of deeplab-pytorch and drn, and of
/// semantic-segmentation-pytorch the README for the folder of all models and the configuration for
/// this one's. Its server is named with `http://` there. For DRN's models the README has a short
/// address that leads to a folder of Google Drive, which offers no address of a file. Sizes are
/// counted on the networks of `tests/reference`.
pub static EVALUATOR_WEIGHTS: &[(EvaluatorKind, KnownWeights)] = &[
    defining(
        "pt_inception-2015-12-05-6726825d",
        EvaluatorKind::FidInception,
        INCEPTION_FILE,
    ),
    (
        EvaluatorKind::SwavResnet50,
        KnownWeights {
            id: "swav_800ep_pretrain",
            licence: "CC-BY-NC-4.0",
            size: FileSize::About(113_647_872),
            hash: Hash::Unpublished,
            note: "ImageNet-1k without labels, 800 epochs; SwAV-FID (M7)",
            publisher: Publisher::At(
                "https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
            ),
        },
    ),
    defining(
        "alexnet-owt-7be5be79",
        EvaluatorKind::Lpips(LpipsTrunk::AlexNet),
        LpipsTrunk::AlexNet.file(),
    ),
    segmenter(
        "deeplabv2_resnet101_msc-cocostuff164k-100000",
        SegmenterKind::DeepLabV2CocoStuff,
        224_098_912,
        Publisher::At(
            "https://github.com/kazuto1011/deeplab-pytorch/releases/download/v1.0/deeplabv2_resnet101_msc-cocostuff164k-100000.pth",
        ),
        "COCO-Stuff 164k, mIoU 39.1 on photos; mIoU on COCO-Stuff (M8)",
    ),
    segmenter(
        "drn-d-105_ms_cityscapes",
        SegmenterKind::Drn105Cityscapes,
        217_641_228,
        Publisher::Page {
            page: "http://go.yf.io/drn-cityscapes-models",
            file: SegmenterKind::Drn105Cityscapes.info().files[0],
        },
        "Cityscapes, mIoU 75.6 on photos; mIoU on Cityscapes (M8)",
    ),
    segmenter(
        "encoder_epoch_50",
        SegmenterKind::UperNetAde20k,
        170_918_656,
        Publisher::At(
            "http://sceneparsing.csail.mit.edu/model/pytorch/ade20k-resnet101-upernet/encoder_epoch_50.pth",
        ),
        "encoder; ADE20K, mIoU 42.0 on photos; mIoU on ADE20K (M8)",
    ),
    segmenter(
        "decoder_epoch_50",
        SegmenterKind::UperNetAde20k,
        162_411_096,
        Publisher::At(
            "http://sceneparsing.csail.mit.edu/model/pytorch/ade20k-resnet101-upernet/decoder_epoch_50.pth",
        ),
        "decoder to encoder_epoch_50",
    ),
    mask2former(
        "mask2former-swin-large-ade-semantic",
        Mask2FormerKind::AdeSemantic,
        "model.safetensors",
        865_937_032,
        "ADE20K, mIoU 56.1 on photos; mIoU_MF on ADE20K (M15)",
    ),
    mask2former(
        "mask2former-swin-large-cityscapes-semantic",
        Mask2FormerKind::CityscapesSemantic,
        "model.safetensors",
        865_801_840,
        "Cityscapes, mIoU 83.3 on photos; mIoU_MF on Cityscapes (M15)",
    ),
    // On the main branch of this repository there is no other file: its safetensors are an open
    // pull request.
    mask2former(
        "mask2former-swin-large-coco-panoptic",
        Mask2FormerKind::CocoPanoptic,
        "pytorch_model.bin",
        866_124_288,
        "COCO panoptic, mIoU 67.4 on photos; mIoU_MF on COCO-Stuff (M15)",
    ),
];
