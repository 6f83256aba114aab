use super::run::{checkpoint, failure, train, weights};

const OASIS_DISCRIMINATOR: [&str; 3] = [
    "discriminator.architecture=oasis",
    "discriminator.oasis.encoder_channels=[8, 8, 8, 8, 8]",
    "discriminator.oasis.decoder_channels=[8, 8, 8, 8, 4]",
];

fn steps<'a>(count: &'a str, settings: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--steps", count];
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    arguments
}

/// Every network of Tables 5 and 6 in a run of two steps.
#[test]
fn every_ablation_trains() {
    let folder = tempfile::tempdir().unwrap();
    let mut oasis_pair = OASIS_DISCRIMINATOR.to_vec();
    oasis_pair.extend(["generator.architecture=oasis", "generator.noise=concat"]);
    let cases: [(&str, Vec<&str>); 7] = [
        ("oasis discriminator", OASIS_DISCRIMINATOR.to_vec()),
        ("oasis generator and discriminator", oasis_pair),
        (
            "oasis generator without noise",
            vec![
                "generator.architecture=oasis",
                "generator.noise=none",
                "loss.image_diversity.lambda=0",
                "loss.feature_diversity.lambda=0",
            ],
        ),
        (
            "DP-GAN's generator",
            vec![
                "generator.encoder_activation=relu",
                "generator.pointwise=false",
                "generator.noise=concat",
                "generator.self_attention=false",
            ],
        ),
        ("no conditioning", vec!["discriminator.conditioning=none"]),
        (
            "projections",
            vec![
                "discriminator.conditioning=ccm_csm",
                "discriminator.projection_channels=4",
            ],
        ),
        (
            "batch norm and projections",
            vec![
                "discriminator.conditioning=batch_norm_ccm_csm",
                "discriminator.projection_channels=4",
            ],
        ),
    ];
    for (index, (name, settings)) in cases.into_iter().enumerate() {
        let out = folder.path().join(index.to_string());
        let output = train(&out, &steps("2", &settings)).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {error}");
        assert!(!weights(&checkpoint(&out, 2)).is_empty(), "{name}");
    }
}

/// Random projections and the coins of LabelMix survive a resume.
#[test]
fn a_resumed_ablation_is_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "discriminator.conditioning=ccm_csm",
        "discriminator.projection_channels=4",
        "loss.lambda_label_mix=10",
    ];
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    train(&whole, &steps("3", &settings)).assert().success();
    train(&parts, &steps("1", &settings)).assert().success();
    let mut resume = steps("3", &[]);
    resume.extend(["--resume", "auto"]);
    train(&parts, &resume).assert().success();
    assert_eq!(
        weights(&checkpoint(&whole, 3)),
        weights(&checkpoint(&parts, 3))
    );
    let log = std::fs::read_to_string(whole.join("log.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert!(last["losses"]["d_label_mix"].as_f64().unwrap() > 0.0);
}

#[test]
fn contradictions_between_networks_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    for (settings, expected) in [
        (vec!["generator.architecture=oasis"], "generator.noise"),
        (vec!["generator.noise=none"], "diversity.lambda"),
        (
            vec!["discriminator.architecture=oasis"],
            "multiple of 64 pixels",
        ),
    ] {
        let error = failure(train(&out, &steps("1", &settings)), 2);
        assert!(error.contains(expected), "{error}");
    }
}
