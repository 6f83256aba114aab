use std::fs;

use super::run::{checkpoint, failure, program, train};

#[test]
fn a_run_leaves_log_events_previews_and_a_whole_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--steps", "3", "--set", "run.preview_every=2"])
        .assert()
        .success();

    let log = fs::read_to_string(out.join("log.jsonl")).unwrap();
    let steps: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(steps.len(), 3);
    for (index, step) in steps.iter().enumerate() {
        assert_eq!(step["step"], index + 1);
        assert_eq!(step["images_seen"], 2 * (index + 1));
        for term in [
            "g_gan",
            "g_contrastive",
            "g_image_diversity",
            "g_feature_diversity",
            "g_total",
            "d_real",
            "d_fake",
        ] {
            assert!(
                step["losses"][term].as_f64().unwrap().is_finite(),
                "{term} in {step}"
            );
        }
        for (term, is_shared) in [
            ("gan", true),
            ("contrastive", true),
            ("image_diversity", false),
            ("feature_diversity", true),
        ] {
            // Terms that share a pass through the frozen network are measured at every tenth step.
            let norm = step["gradient_norms"][term].as_f64();
            let is_measured = index % 10 == 0 || !is_shared;
            assert_eq!(
                norm.is_some_and(|norm| norm >= 0.0),
                is_measured,
                "{term} in {step}"
            );
        }
    }
    for preview in ["000000.png", "000002.png", "000003.png"] {
        let image = image::open(out.join("previews").join(preview)).unwrap();
        // A row of label map, photo and two samples of 32 pixels, four times enlarged.
        assert_eq!(
            (image.width(), image.height()),
            (4 * 128 + 5 * 2, 128 + 2 * 2)
        );
    }
    assert!(
        fs::read_dir(out.join("tensorboard"))
            .unwrap()
            .next()
            .is_some()
    );
    let checkpoint = dp_sims::checkpoint::open(&checkpoint(&out, 3)).unwrap();
    for file in [
        "config.toml",
        "dataset.toml",
        "discriminator.safetensors",
        "ema.safetensors",
        "generator.safetensors",
        "optimizer_discriminator.safetensors",
        "optimizer_generator.safetensors",
        "state.json",
    ] {
        assert!(!checkpoint.read(file).unwrap().is_empty(), "{file}");
    }
}

#[test]
fn a_dry_run_describes_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let output = train(&out, &["--dry-run"])
        .assert()
        .success()
        .get_output()
        .clone();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "[2, 3, 32, 32]",
        "generator",
        "M parameters",
        "memory",
        "road",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!out.exists());
}

#[test]
fn a_second_run_does_not_overwrite_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    train(&out, &["--steps", "1"]).assert().success();
    let message = failure(train(&out, &["--steps", "2"]), 2);
    assert!(message.contains("--resume auto"), "{message}");
}

#[test]
#[cfg_attr(feature = "cuda", ignore = "the backend is compiled in")]
fn a_backend_that_is_not_compiled_in_names_its_feature() {
    let message = failure(program(&["train", "--backend", "cuda"]), 2);
    assert!(message.contains("--features cuda"), "{message}");
}

#[test]
fn missing_weights_are_named_with_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let out = folder.path().join("run");
    let arguments = [
        "--weights",
        path,
        "--set",
        "backbone.network=efficientnet_lite1",
    ];
    let message = failure(train(&out, &arguments), 2);
    assert!(
        message.contains("tf_efficientnet_lite1.safetensors"),
        "{message}"
    );
    assert!(message.contains(path), "{message}");
}

#[test]
fn a_faulty_label_map_is_named_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for part in ["photos", "masks"] {
        fs::create_dir_all(data.join(part)).unwrap();
    }
    image::RgbImage::new(40, 40)
        .save(data.join("photos/a.png"))
        .unwrap();
    let mut mask = image::GrayImage::new(40, 40);
    mask.put_pixel(7, 3, image::Luma([9]));
    mask.save(data.join("masks/a.png")).unwrap();
    let description = folder.path().join("garden.toml");
    let text = "name = \"garden\"\nvoid = [0]\n\
                [[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1]\n\
                [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
    fs::write(&description, text).unwrap();
    let dataset = format!("data.dataset={}", description.display());
    let out = folder.path().join("run");
    let mut command = train(&out, &["--set", &dataset]);
    command.arg("--data").arg(&data);
    let message = failure(command, 2);
    for part in ["masks/a.png", "7", "3", "9"] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert!(!out.exists());
}

/// A photo whose header is whole passes the check; what it lacks is found when it is decoded.
#[test]
fn a_photo_that_fails_in_mid_run_ends_it_with_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for part in ["photos", "masks"] {
        fs::create_dir_all(data.join(part)).unwrap();
    }
    for index in 0..12u8 {
        let photo = data.join(format!("photos/{index:02}.png"));
        let noise = |x: u32, y: u32| (x * 37 + y * 91 + u32::from(index)) as u8;
        image::RgbImage::from_fn(40, 40, |x, y| image::Rgb([noise(x, y), noise(y, x), index]))
            .save(&photo)
            .unwrap();
        image::GrayImage::from_pixel(40, 40, image::Luma([1]))
            .save(data.join(format!("masks/{index:02}.png")))
            .unwrap();
        if index == 7 {
            let bytes = fs::read(&photo).unwrap();
            fs::write(&photo, &bytes[..bytes.len() / 2]).unwrap();
        }
    }
    let description = folder.path().join("garden.toml");
    let text = "name = \"garden\"\n[[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1]\n\
                [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
    fs::write(&description, text).unwrap();
    let dataset = format!("data.dataset={}", description.display());
    let out = folder.path().join("run");
    let mut command = train(&out, &["--steps", "100", "--set", &dataset]);
    command.arg("--data").arg(&data);
    command.args([
        "--set",
        "data.balanced=false",
        "--set",
        "ema.refresh_batches=1",
    ]);
    let message = failure(command, 1);
    assert!(message.contains("07.png"), "{message}");
    let latest = dp_sims::checkpoint::latest_whole(&out.join("checkpoints")).unwrap();
    let step = latest.checkpoint.unwrap().step();
    assert!((1..100).contains(&step), "step {step}");
}
