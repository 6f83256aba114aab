//! `dp-sims serve` as a process: its images, those who ask badly, and its end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::run::program;

/// A server on a free port, which ends with the test.
struct Server {
    child: Child,
    address: String,
}

/// An answer: head and body.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("dp-sims"));
        command.args(["serve", "--backend", "flex", "--bind", "127.0.0.1:0"]);
        command
            .args(arguments)
            .env_remove("DP_SIMS_TOKEN")
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").expect(&line).1;
        Self {
            address: address.to_string(),
            child,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        let patience = Duration::from_secs(120);
        stream.set_read_timeout(Some(patience)).unwrap();
        stream
    }

    fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        send(&mut stream, line, headers, body);
        receive(stream)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), "Host: localhost\r\n", &[])
    }

    fn generate(&self, query: &str, kind: &str, body: &[u8]) -> Answer {
        let headers = format!("Host: {}\r\nContent-Type: {kind}\r\n", self.address);
        self.ask(&format!("POST /v1/generate?{query}"), &headers, body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1);
        status
            .and_then(|status| status.parse().ok())
            .expect(&self.head)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn send(stream: &mut TcpStream, line: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
}

fn receive(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let body = bytes.split_off(end.expect("an answer") + 4);
    Answer {
        head: String::from_utf8(bytes).unwrap(),
        body,
    }
}

const LABELS: &str = "book/src/images/street_labels.png";
const IDS: &str = "application/octet-stream";

/// Images that `dp-sims generate` makes of the label map.
fn generated(folder: &Path, seed: &str, samples: usize) -> Vec<Vec<u8>> {
    let out = folder.join(seed);
    let labels = Path::new(env!("CARGO_MANIFEST_DIR")).join(LABELS);
    let mut command = program(&["generate", "--backend", "flex", "--seed", seed]);
    command.args(["--samples", &samples.to_string()]);
    command.arg("--labels").arg(labels).arg("--out").arg(&out);
    command.assert().success();
    let name = |k| match samples {
        1 => "street_labels.png".to_string(),
        _ => format!("street_labels_{k:02}.png"),
    };
    (0..samples)
        .map(|k| fs::read(out.join(name(k))).unwrap())
        .collect()
}

#[test]
fn images_are_those_of_generate_to_the_byte() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let png = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(LABELS)).unwrap();
    let seven = generated(folder.path(), "7", 1);
    let answer = server.generate("seed=7", "image/png", &png);
    assert_eq!(answer.status(), 200, "{}", answer.head);
    assert!(answer.body == seven[0], "seed 7 differs");
    assert!(answer.head.contains("x-seed: 7\r\n"), "{}", answer.head);

    let headers = "Host: localhost\r\nContent-Type: image/png\r\n";
    let labels = server.ask("POST /v1/labels", headers, &png).json();
    let ids = STANDARD.decode(labels["ids"].as_str().unwrap()).unwrap();
    let expected = generated(folder.path(), "40", 2);
    let found = server.generate("seed=40&samples=2", IDS, &ids).json();
    for (image, expected) in found["images"].as_array().unwrap().iter().zip(&expected) {
        let image = STANDARD.decode(image.as_str().unwrap()).unwrap();
        assert!(image == *expected, "seed 40 differs");
    }
    // One alone, and from the one end of a mixture to the other.
    for query in [
        "seed=40",
        "seed=7&seed_to=40&mix=1",
        "seed=40&style_seed=7&style_tokens=",
    ] {
        assert!(
            server.generate(query, IDS, &ids).body == expected[0],
            "{query}"
        );
    }
    let all = "seed=40&style_seed=7&style_tokens=0,1,2,3,4,5,6,7";
    assert!(server.generate(all, IDS, &ids).body == seven[0]);
    let model = server.get("/v1/model").json();
    assert!(model["milliseconds_per_image"].as_f64().unwrap() > 0.0);
    assert_eq!(
        (&model["backend"], &model["tokens"]),
        (&"flex".into(), &8.into())
    );
}

#[test]
fn who_asks_badly_is_refused_and_holds_up_nobody() {
    let server = Server::start(&["--token", "word"]);
    let mut slow = server.connect();
    let head = "POST /v1/generate HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer word\r\n";
    let head = format!("{head}Content-Type: {IDS}\r\nContent-Length: 16384\r\n");
    let head = format!("{head}Connection: close\r\n\r\n");
    slow.write_all(head.as_bytes()).unwrap();
    let idle: Vec<_> = (0..300).map(|_| server.connect()).collect();

    let mut cut = server.connect();
    cut.write_all(head.as_bytes()).unwrap();
    cut.write_all(&[3; 100]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    cut.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"));

    let forged = server.ask("GET /v1/health", "Host: evil.example\r\n", &[]);
    assert_eq!(forged.status(), 421, "{}", forged.head);
    let origin = "Host: localhost\r\nOrigin: https://evil.example\r\n";
    assert_eq!(server.ask("POST /v1/generate", origin, &[]).status(), 403);
    for path in [
        "/../../Cargo.toml",
        "/..%2f..%2fCargo.toml",
        "/assets/../../mod.rs",
    ] {
        assert_eq!(server.get(path).status(), 404, "{path}");
    }
    assert_eq!(server.generate("", IDS, &[3; 16384]).status(), 401);
    let token = format!("Host: localhost\r\nAuthorization: Bearer word\r\nContent-Type: {IDS}\r\n");
    let answer = server.ask("POST /v1/generate", &token, &[3; 16384]);
    assert_eq!(answer.status(), 200, "{}", answer.head);
    assert!(answer.body.starts_with(b"\x89PNG"));
    assert_eq!(server.get("/").status(), 200);
    drop(idle);

    // A byte now and then does not keep the connection.
    let mut sender = slow.try_clone().unwrap();
    thread::spawn(move || {
        while sender.write_all(&[3]).is_ok() {
            thread::sleep(Duration::from_millis(500));
        }
    });
    assert_eq!(receive(slow).status(), 408);
}

#[cfg(unix)]
#[test]
fn requests_under_way_are_answered_before_the_end() {
    use rustix::process::{Pid, Signal, kill_process};

    let mut server = Server::start(&[]);
    let asked: Vec<_> = (0..3)
        .map(|seed| {
            let mut stream = server.connect();
            let line = format!("POST /v1/generate?samples=16&seed={seed}");
            let headers = format!("Host: localhost\r\nContent-Type: {IDS}\r\n");
            send(&mut stream, &line, &headers, &[3; 16384]);
            stream
        })
        .collect();
    let waits = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.lines()
            .any(|line| line == "dp_sims_serve_queue 2" || line == "dp_sims_serve_queue 3")
    };
    while !waits(&server.get("/metrics").body) {
        thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&server.child), Signal::TERM).unwrap();
    for stream in asked {
        let answer = receive(stream);
        assert_eq!(answer.status(), 200, "{}", answer.head);
        assert_eq!(answer.json()["images"].as_array().unwrap().len(), 16);
    }
    assert!(server.child.wait().unwrap().success());
    assert!(TcpStream::connect(&server.address).is_err());
}

#[test]
fn what_cannot_be_served_is_a_mistake_of_the_user() {
    for (arguments, part) in [
        (
            &["--bind", "nowhere"][..],
            "--bind: nowhere is no HOST:PORT",
        ),
        (&["--allow-origin", "*"], "give an origin"),
        (&["--token", " "], "--token: it is empty"),
        (
            &["--token-file", "/absent"],
            "--token-file: cannot read /absent",
        ),
        (&["--checkpoint", "/absent"], "/absent"),
        (&["--data", "/absent"], "/absent"),
    ] {
        let mut command = program(&["serve", "--backend", "flex"]);
        command.args(arguments).timeout(Duration::from_secs(60));
        let message = super::run::failure(command, 2);
        assert!(message.contains(part), "{message}");
    }
}
