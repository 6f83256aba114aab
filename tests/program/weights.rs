use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use dp_sims_model::known::FileSize;

use super::run::{failure, program, train};

/// Hash of [`SCENES`], as `sha256sum` prints it.
const SCENES_SHA256: &str = "232d976ee4091dfa82767b290b7e568dcefcbfe75390a933edc6543913cb4501";
const SCENES: &str = "model/weights/convnext_pico_scenes.safetensors";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

pub fn fixture(name: &str) -> PathBuf {
    file("tests/fixtures/backbones").join(name)
}

/// A file that is large enough to pass for the known one of this name, of which only the size of its
/// tensors is known.
pub fn weights_like(id: &str) -> Vec<u8> {
    let (_, known) = dp_sims::weights::known_weights(id).unwrap();
    let FileSize::About(bytes) = known.size else {
        panic!("the size of {id} is known");
    };
    let count = bytes.div_ceil(4) / 4;
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{}]}}}}"#,
        4 * count
    );
    let header = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + 4 * count as usize, 0);
    file
}

/// `weights` with arguments, away from proxies and mirrors of the machine.
pub fn weights(arguments: &[&str]) -> Command {
    let mut command = program(&[&["weights"], arguments].concat());
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_ENDPOINT"] {
        command
            .env_remove(variable)
            .env_remove(variable.to_lowercase());
    }
    command
}

pub fn output(mut command: Command) -> String {
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

/// A server that gives every request the answer for its first line; returns its address.
pub fn serve(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
            let first = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let _ = stream.write_all(&answer(&first));
        }
    });
    address
}

pub fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A mirror of Hugging Face with one file, which announces a hash on the way to it.
fn mirror(bytes: Vec<u8>) -> String {
    serve(move |first| {
        let path = "/timm/convnext_tiny.fb_in1k/resolve/main/model.safetensors";
        if first.contains(path) {
            let size = bytes.len();
            let head = format!(
                "302 Found\r\nLocation: /blob\r\nX-Linked-Etag: \"{SCENES_SHA256}\"\r\n\
                 X-Linked-Size: {size}"
            );
            answer(&head, b"")
        } else if first.contains("/blob") {
            answer("200 OK", &bytes)
        } else {
            answer("404 Not Found", b"")
        }
    })
}

#[test]
fn the_list_names_files_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    fs::write(folder.path().join("vgg19-dcbb9e9d.pth"), "x").unwrap();
    let text = output(weights(&["list", "--weights", path]));
    for part in [
        path,
        "convnext_large.fb_in1k",
        "Apache-2.0",
        "575 MB",
        "hash not checked",
        "\nfid_inception\n  pt_inception-2015-12-05-6726825d\n",
        "\nlpips_vgg\n  vgg16.tv_in1k\n",
        "CC BY-NC 4.0",
        "by hand from http://go.yf.io/drn-cityscapes-models",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let json = output(weights(&["list", "--json", "--weights", path]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let files = json["files"].as_array().unwrap();
    let vgg = files
        .iter()
        .find(|file| file["id"] == "vgg19.tv_in1k")
        .unwrap();
    assert_eq!(vgg["state"], "present");
    assert_eq!(vgg["check"], serde_json::Value::Null);
    assert_eq!(vgg["backbone"], "vgg19");
    assert_eq!(vgg["network"], "vgg19");
    let upernet = |file: &&serde_json::Value| file["network"] == "upernet_resnet101_ade20k";
    assert_eq!(files.iter().filter(upernet).count(), 2);
    let judge = files.iter().find(upernet).unwrap();
    assert_eq!(judge["backbone"], serde_json::Value::Null);
    assert_eq!(judge["state"], "absent");
}

#[test]
fn a_file_that_is_none_is_a_wrong_argument() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for (from, reason) in [
        (format!("file://{path}/absent"), "No such file"),
        (format!("file://{path}"), "it is no file"),
    ] {
        let arguments = ["fetch", "convnext_tiny", "--weights", path, "--from", &from];
        let message = failure(weights(&arguments), 2);
        assert!(
            message.contains(&from) && message.contains(reason),
            "{message}"
        );
    }
}

#[test]
fn a_mirror_is_fetched_from_checked_and_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let bytes = fs::read(file(SCENES)).unwrap();
    let arguments = ["fetch", "convnext_tiny", "--weights", path];
    let mut command = weights(&arguments);
    command.env("HF_ENDPOINT", mirror(bytes.clone()));
    let text = output(command);
    assert!(text.contains(SCENES_SHA256), "{text}");
    assert!(text.contains("one that the server announced"), "{text}");
    let name = "convnext_tiny.fb_in1k.safetensors";
    assert_eq!(fs::read(folder.path().join(name)).unwrap(), bytes);

    // The second time no server is asked.
    let text = output(weights(&arguments));
    assert!(text.contains("is there already"), "{text}");
    let listed = output(weights(&["list", "--weights", path]));
    assert!(listed.contains("hash checked when fetched"), "{listed}");

    let mut damaged = bytes;
    damaged[5000] ^= 1;
    fs::write(folder.path().join(name), damaged).unwrap();
    let message = failure(weights(&arguments), 2);
    for part in [name, SCENES_SHA256, "move it away"] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
}

#[test]
fn a_proxy_is_asked_for_a_tunnel() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let proxy = serve(|first| {
        assert_eq!(first, "CONNECT unreachable.invalid:80 HTTP/1.1");
        let tunnelled = answer("200 OK\r\nContent-Type: text/html", b"<html>no</html>");
        [b"HTTP/1.1 200 Connected\r\n\r\n", tunnelled.as_slice()].concat()
    });
    let from = ["--from", "http://unreachable.invalid/vgg.pth"];
    let mut command = weights(&["fetch", "convnext_large_1k_384", "--weights", path]);
    command.args(from).env("HTTP_PROXY", proxy);
    let message = failure(command, 1);
    assert!(message.contains("web page instead of a file"), "{message}");
}

#[test]
fn wrong_bytes_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let server = serve(|_| answer("200 OK", b"other bytes"));
    let message = failure(
        weights(&[
            "fetch",
            "efficientnet_lite1",
            "--weights",
            path,
            "--from",
            &server,
        ]),
        1,
    );
    for part in ["expected bde8b488", "SHA-256 is ", &server] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    for (arguments, part) in [
        (["fetch", "vgg99", "--weights", path], "convnext_large"),
        (["fetch", "vgg19", "--from", "ftp://host/x"], "https://"),
    ] {
        let message = failure(weights(&arguments), 2);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_file_is_imported_and_found_by_training() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let scenes = file(SCENES);
    let arguments = ["import", scenes.to_str().unwrap(), "--weights", path];
    let text = output(weights(&arguments));
    assert!(text.contains("fits convnext_pico_scenes"), "{text}");
    let imported = folder.path().join("convnext_pico_scenes.safetensors");
    let inspected = output(weights(&["inspect", imported.to_str().unwrap()]));
    for part in ["stem.0.weight", "f32", "finite", "convnext_pico_scenes"] {
        assert!(
            inspected.contains(part),
            "{part} is missing in\n{inspected}"
        );
    }
    let message = failure(weights(&arguments), 2);
    assert!(message.contains("is there already"), "{message}");

    let out = folder.path().join("run");
    train(&out, &["--dry-run", "--weights", path])
        .assert()
        .success();
    // The imported file is what training reads.
    fs::write(&imported, "").unwrap();
    let message = failure(train(&out, &["--steps", "1", "--weights", path]), 2);
    assert!(
        message.contains("convnext_pico_scenes.safetensors"),
        "{message}"
    );
}

#[test]
fn an_inspection_shows_elements_as_they_are_stored() {
    let scenes = file(SCENES);
    let json = output(weights(&["inspect", "--json", scenes.to_str().unwrap()]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "safetensors");
    assert_eq!(json["tensors"][0]["element"], "f16");
    assert_eq!(json["fits"], serde_json::json!(["convnext_pico_scenes"]));
    assert_eq!(json["nearest"], serde_json::Value::Null);
    let formats = fixture("formats_legacy.pth");
    let text = output(weights(&["inspect", formats.to_str().unwrap()]));
    for part in [
        "num_batches_tracked  i64",
        "bf16",
        "fits        none; nearest is",
        "more",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let text = output(weights(&[
        "inspect",
        fixture("not_finite.pth").to_str().unwrap(),
    ]));
    assert!(
        text.contains("`bad` holds a value that is not finite"),
        "{text}"
    );
}

#[test]
fn bad_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
    };
    let whole = fs::read(file(SCENES)).unwrap();
    write("truncated.safetensors", &whole[..whole.len() / 2]);
    write("empty.pth", b"");
    write("page.pth", b"<html>log in</html>");
    let legacy = fs::read(fixture("formats_legacy.pth")).unwrap();
    let magic = legacy.iter().position(|&byte| byte == b'.').unwrap() + 1;
    let call = b"\x80\x02cposix\nsystem\nX\x05\x00\x00\x00touch\x85R.";
    write("hostile.pth", &[&legacy[..magic], call].concat());
    fs::create_dir(folder.path().join("folder.pth")).unwrap();
    let into = folder.path().join("into");
    for (name, part) in [
        ("truncated.safetensors", "truncated or damaged"),
        ("empty.pth", "fetch it again"),
        ("page.pth", "web page"),
        ("hostile.pth", "`posix.system`"),
        ("folder.pth", "it is a folder"),
        ("absent.pth", "cannot read"),
    ] {
        let path = folder.path().join(name);
        let path = path.to_str().unwrap();
        let import = ["import", path, "--weights", into.to_str().unwrap()];
        for command in [weights(&["inspect", path]), weights(&import)] {
            let message = failure(command, 2);
            assert!(
                message.contains(path) && message.contains(part),
                "{message}"
            );
        }
    }
    let import = |name: &str, network: &str| {
        let path = fixture(name);
        let path = path.to_str().unwrap().to_string();
        let into = into.to_str().unwrap();
        failure(
            weights(&["import", &path, "--as", network, "--weights", into]),
            2,
        )
    };
    let message = import("not_finite.pth", "vgg16");
    assert!(message.contains("`bad`"), "{message}");
    let message = import("formats_zip.pth", "vgg16");
    assert!(message.contains("does not fit vgg16"), "{message}");
    for written in ["efficientnet_lite1", "efficientnet-lite1"] {
        let message = import("formats_zip.pth", written);
        assert!(
            message.contains("does not fit efficientnet_lite1"),
            "{message}"
        );
    }
    let message = import("formats_zip.pth", "vgg99");
    assert!(message.contains("`vgg99`"), "{message}");
    assert!(!into.exists());
}

#[test]
fn missing_and_unknown_weights_are_answered_with_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let out = folder.path().join("run");
    let message = |weights: &str| {
        let setting = format!("backbone.weights={weights}");
        let network = "backbone.network=convnext_large";
        let arguments = ["--weights", path, "--set", network, "--set", &setting];
        failure(train(&out, &arguments), 2)
    };
    let missing = message("convnext_large.fb_in1k");
    for part in [
        "dp-sims weights fetch convnext_large.fb_in1k",
        "convnext_large.fb_in1k.safetensors",
        path,
    ] {
        assert!(missing.contains(part), "{part} is missing in {missing}");
    }
    let missing = message("pretrained");
    assert!(
        missing.contains("`dp-sims weights fetch convnext_large`"),
        "{missing}"
    );
    let unknown = message("convnext_base.fb_in1k");
    for part in ["`backbone.weights`", "convnext_large.fb_in22k_ft_in1k, "] {
        assert!(unknown.contains(part), "{part} is missing in {unknown}");
    }
}
