//! Downloads from a server that misbehaves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::tensor::TensorData;
use dp_sims_model::known::Hash;
use dp_sims_model::weights::{StateDict, to_safetensors_bytes};
use tempfile::TempDir;

use super::files::{beside, sha256};
use super::{Download, FetchError, Fetched, Patience, download};

mod answers;
mod transfers;

/// A request as the server sees it.
#[derive(Clone, Debug)]
struct Seen {
    target: String,
    headers: HashMap<String, String>,
}

impl Seen {
    /// First byte asked for.
    fn start(&self) -> Option<usize> {
        let range = self.headers.get("range")?.strip_prefix("bytes=")?;
        range.trim_end_matches('-').parse().ok()
    }
}

/// A server on this machine; `answer` gets the number of the request and the request, and returns
/// all bytes of the answer, after which the connection is closed.
struct Server {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    fn new(answer: impl Fn(usize, &Seen) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = request(&stream);
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                // A client may hang up early.
                let _ = stream.write_all(&answer(number, &request));
            }
        });
        Self { address, seen }
    }

    fn starts(&self) -> Vec<Option<usize>> {
        self.seen.lock().unwrap().iter().map(Seen::start).collect()
    }
}

fn request(stream: &TcpStream) -> Seen {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap_or_default();
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_lowercase(), value.to_string()))
        })
        .collect();
    Seen {
        target: first.split(' ').nth(1).unwrap_or_default().to_string(),
        headers,
    }
}

/// A weight file of a few thousand bytes.
fn content() -> Vec<u8> {
    let values = (0..1000).map(|index| index as f32).collect::<Vec<_>>();
    let data = TensorData::new(values, [1000]);
    to_safetensors_bytes(&StateDict::from([("w".to_string(), data)])).unwrap()
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
    bytes.extend(body);
    bytes
}

fn whole(bytes: &[u8]) -> Vec<u8> {
    answer(
        "200 OK",
        &format!("Content-Length: {}\r\n", bytes.len()),
        bytes,
    )
}

/// What an honest server answers, with or without a range.
fn honest(seen: &Seen, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    match seen.start() {
        None => whole(bytes),
        Some(start) if start < length => {
            let range = format!("bytes {start}-{}/{length}", length - 1);
            let rest = length - start;
            let headers = format!("Content-Range: {range}\r\nContent-Length: {rest}\r\n");
            answer("206 Partial Content", &headers, &bytes[start..])
        }
        Some(_) => {
            let headers = format!("Content-Range: bytes */{length}\r\nContent-Length: 0\r\n");
            answer("416 Range Not Satisfiable", &headers, b"")
        }
    }
}

/// An answer whose connection ends after `bytes` of the whole answer.
fn broken(mut answer: Vec<u8>, missing: usize) -> Vec<u8> {
    answer.truncate(answer.len() - missing);
    answer
}

struct Case {
    folder: TempDir,
    request: Download,
}

impl Case {
    fn new(server: &Server, hash: Hash, size: Option<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let request = Download {
            address: format!("{}/file", server.address),
            target: folder.path().join("weights").join("file.safetensors"),
            size,
            about: None,
            hash,
            patience: Patience {
                attempts: 3,
                pause: Duration::ZERO,
                connect: Duration::from_secs(10),
                silence: Duration::from_secs(10),
            },
        };
        Self { folder, request }
    }

    fn run(&self) -> Result<Fetched, FetchError> {
        download(&self.request, &mut |_| {})
    }

    fn part(&self) -> std::path::PathBuf {
        beside(&self.request.target, ".part")
    }

    /// The file is there whole and nothing else is.
    fn is_complete(&self) {
        assert_eq!(std::fs::read(&self.request.target).unwrap(), content());
        let folder = self.folder.path().join("weights");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    /// Neither the file nor an unfinished one is there.
    fn is_clean(&self) {
        assert!(!self.request.target.exists() && !self.part().exists());
    }
}

/// The hash of [`content`], which a test has to know as a constant like the known files do.
fn known_hash() -> &'static str {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content()).unwrap();
    sha256(file.path()).unwrap().leak()
}
