//! Weight files of the networks that judge images.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use super::run::failure;
use super::weights::{answer, fixture, output, serve, weights, weights_like};

/// A proxy that plays the server behind it, with the known file that `choose` names for a request.
fn proxy(host: &'static str, choose: impl Fn(&str) -> &'static str + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map(Result::unwrap);
            let mut head = || {
                let first = lines.next().unwrap_or_default();
                lines
                    .by_ref()
                    .take_while(|line| !line.is_empty())
                    .for_each(drop);
                first
            };
            assert_eq!(head(), format!("CONNECT {host}:80 HTTP/1.1"));
            stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let body = weights_like(choose(&head()));
            stream.write_all(&answer("200 OK", &body)).unwrap();
        }
    });
    address
}

#[test]
fn both_files_of_a_network_are_fetched_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let proxy = proxy("sceneparsing.csail.mit.edu", |request| {
        let part = |name: &str| {
            format!("GET /model/pytorch/ade20k-resnet101-upernet/{name}_epoch_50.pth HTTP/1.1")
        };
        match request {
            text if text == part("encoder") => "encoder_epoch_50",
            text if text == part("decoder") => "decoder_epoch_50",
            other => panic!("{other}"),
        }
    });
    let arguments = ["fetch", "upernet_resnet101_ade20k", "--weights", path];
    let mut command = weights(&arguments);
    command.env("HTTP_PROXY", &proxy);
    let text = output(command);
    assert_eq!(text.matches("is complete").count(), 2, "{text}");
    assert_eq!(text.matches("not verified").count(), 2, "{text}");
    for id in ["encoder_epoch_50", "decoder_epoch_50"] {
        let fetched = fs::read(folder.path().join(format!("{id}.pth"))).unwrap();
        assert!(fetched == weights_like(id), "{id}");
    }
    let text = output(weights(&arguments));
    assert_eq!(text.matches("is there already").count(), 2, "{text}");

    let from = [&arguments[..], &["--from", "file:///a.pth"]].concat();
    let message = failure(weights(&from), 2);
    assert!(
        message.contains("encoder_epoch_50 and decoder_epoch_50"),
        "{message}"
    );
}

#[test]
fn a_file_of_a_repository_is_called_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let repository = "mask2former-swin-large-coco-panoptic";
    let mirror = serve(move |first| {
        let path = format!("/facebook/{repository}/resolve/main/pytorch_model.bin");
        assert_eq!(first, format!("GET {path} HTTP/1.1"));
        answer(
            "200 OK",
            &weights_like("mask2former-swin-large-coco-panoptic"),
        )
    });
    let mut command = weights(&["fetch", "mask2former_coco", "--weights", path]);
    command.env("HF_ENDPOINT", mirror);
    let text = output(command);
    let name = format!("{repository}.bin");
    assert!(text.contains(&name), "{text}");
    let listed = output(weights(&["list", "--weights", path]));
    let line = format!("there, without a hash to check: {name}");
    assert!(listed.contains(&line), "{listed}");
}

#[test]
fn a_file_without_an_address_comes_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let arguments = ["fetch", "drn_d_105_cityscapes", "--weights", path];
    let message = failure(weights(&arguments), 2);
    let file = folder.path().join("drn-d-105_ms_cityscapes.pth");
    for part in [
        "http://go.yf.io/drn-cityscapes-models",
        file.to_str().unwrap(),
        "--from",
    ] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let other = tempfile::tempdir().unwrap();
    let downloaded = other.path().join("drn.pth");
    fs::write(&downloaded, weights_like("drn-d-105_ms_cityscapes")).unwrap();
    let source = format!("file://{}", downloaded.display());
    let from = [&arguments[..], &["--from", &source]].concat();
    let text = output(weights(&from));
    assert!(text.contains("is complete"), "{text}");
    assert!(file.is_file());
}

#[test]
fn files_of_judges_are_not_imported() {
    let folder = tempfile::tempdir().unwrap();
    let file = fixture("formats_zip.pth");
    let own = folder.path().join("encoder_epoch_50.pth");
    fs::copy(&file, &own).unwrap();
    let into = folder.path().join("into");
    let import = |file: &std::path::Path, more: &[&str]| {
        let mut command = weights(&["import", "--weights", into.to_str().unwrap()]);
        command.arg(file).args(more);
        failure(command, 2)
    };
    for (message, parts) in [
        (
            import(&own, &[]),
            [
                "`encoder_epoch_50.pth` is not imported: upernet_resnet101_ade20k",
                "fetch encoder_epoch_50 --from",
            ],
        ),
        (
            import(&file, &["--as", "upernet_resnet101_ade20k"]),
            [
                "as they are published",
                "fetch encoder_epoch_50|decoder_epoch_50 --from",
            ],
        ),
        (
            import(&file, &["--as", "mask2former-swin-large-ade-semantic"]),
            [
                "mask2former_ade judges images",
                "fetch mask2former-swin-large-ade-semantic --from",
            ],
        ),
    ] {
        for part in parts {
            assert!(message.contains(part), "{part} is missing in {message}");
        }
    }
    assert!(!into.exists());
}
