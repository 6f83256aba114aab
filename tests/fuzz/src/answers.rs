//! What servers answer to the download client.

/// The answers of a server of this process, one after the other; the last one is repeated. Every request
/// goes there as if through a proxy, wherever redirects lead, so that none leaves the machine.
pub mod http {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::sync::{LazyLock, Mutex};
    use std::time::Duration;

    use burn::tensor::TensorData;
    use dp_sims::weights::{Download, Patience, download, sha256};
    use dp_sims_model::known::Hash;
    use dp_sims_model::weights::{StateDict, to_safetensors_bytes};

    use crate::{Seeds, file, scratch};

    /// Stands between the answers of an input.
    const NEXT: &[u8] = b"=NEXT=";
    /// Length that is expected of the file where the first byte is odd.
    const SIZE: u64 = 100;
    /// How long the server waits for a client that says nothing.
    const SILENCE: Duration = Duration::from_secs(2);

    static ANSWERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

    /// Starts the server and names it as the proxy of everything.
    static SERVER: LazyLock<()> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        for name in ["HTTP_PROXY", "HTTPS_PROXY"] {
            // SAFETY: the process has one thread yet.
            unsafe { std::env::set_var(name, &proxy) };
        }
        for name in ["NO_PROXY", "no_proxy"] {
            // SAFETY: the process has one thread yet.
            unsafe { std::env::remove_var(name) };
        }
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap());
            }
        });
    });

    /// The next answer; a client may hang up early.
    fn serve(mut stream: TcpStream) {
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        if request(&mut stream).starts_with(b"CONNECT") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            request(&mut stream);
        }
        let mut answers = ANSWERS.lock().unwrap();
        let answer = match answers.len() {
            0 => return,
            1 => answers[0].clone(),
            _ => answers.remove(0),
        };
        drop(answers);
        let _ = stream.write_all(&answer);
    }

    /// The head of a request, or the beginning of an encrypted connection.
    fn request(stream: &mut TcpStream) -> Vec<u8> {
        let mut head = Vec::new();
        let mut chunk = [0; 4096];
        while !head.ends_with(b"\r\n\r\n") && head.first() != Some(&0x16) {
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => head.extend(&chunk[..count]),
            }
        }
        head
    }

    fn content() -> Vec<u8> {
        let data = TensorData::new(vec![1.0f32, 2.0, 3.0], [3]);
        to_safetensors_bytes(&StateDict::from([("w".to_string(), data)])).unwrap()
    }

    pub fn seeds() -> Seeds {
        let body = content();
        let length = body.len();
        let answer = |head: &str, body: &[u8]| {
            // Even, so that no length is expected.
            let head = format!("\0HTTP/1.1 {}\r\n\r\n", head.replace('\n', "\r\n"));
            [head.as_bytes(), body].concat()
        };
        let then = |first: Vec<u8>, second: Vec<u8>| [&first, NEXT, &second[1..]].concat();
        let whole = answer(
            &format!("200 OK\nContent-Length: {length}\nETag: \"a\""),
            &body,
        );
        let rest = |start: usize| {
            let range = format!("bytes {start}-{}/{length}", length - 1);
            let head = format!("206 Partial Content\nContent-Range: {range}");
            answer(&head, &body[start..])
        };
        let part = answer(&format!("200 OK\nContent-Length: {length}"), &body[..20]);
        let moved = |head: &str| answer(&format!("302 Found\n{head}"), b"");
        let chunks = format!("{length:x}\r\n").into_bytes();
        let chunked = [&chunks[..], &body, b"\r\n0\r\n\r\n"].concat();
        let hash = format!(
            "Location: http://b.test/x?y#z\nX-Linked-Etag: \"{}\"",
            hash(&body)
        );
        Seeds {
            accepted: vec![
                whole.clone(),
                then(part, rest(20)),
                then(moved("Location: /there"), whole.clone()),
                then(moved(&hash), whole),
                answer("200 OK\nTransfer-Encoding: chunked", &chunked),
                answer("200 OK", &body),
            ],
            refused: vec![
                moved("Location: https://b.test/x"),
                answer("503 Busy\nRetry-After: 1", b""),
                answer("416 No\nContent-Range: bytes */10", b""),
                answer("200 OK\nContent-Type: text/html", b"<html>"),
            ],
        }
    }

    fn hash(bytes: &[u8]) -> String {
        sha256(&file("body", bytes)).unwrap()
    }

    fn request_for(target: PathBuf, size: Option<u64>) -> Download {
        Download {
            address: "http://files.test/a/b".to_string(),
            target,
            size,
            about: None,
            hash: Hash::Announced,
            patience: Patience {
                // More would pause for as long as the server asks.
                attempts: 1,
                pause: Duration::ZERO,
                connect: SILENCE,
                silence: SILENCE,
            },
        }
    }

    pub fn run(data: &[u8]) -> bool {
        LazyLock::force(&SERVER);
        let Some((flag, mut rest)) = data.split_first() else {
            return false;
        };
        let mut answers = Vec::new();
        while let Some(place) = rest.windows(NEXT.len()).position(|bytes| bytes == NEXT) {
            answers.push(rest[..place].to_vec());
            rest = &rest[place + NEXT.len()..];
        }
        answers.push(rest.to_vec());
        *ANSWERS.lock().unwrap() = answers;
        let target = scratch().join("weights.safetensors");
        for ending in ["", ".part", ".part.json"] {
            let _ = std::fs::remove_file(format!("{}{ending}", target.display()));
        }
        let size = (flag % 2 == 1).then_some(SIZE);
        match download(&request_for(target.clone(), size), &mut |_| ()) {
            Ok(fetched) => {
                assert_eq!(std::fs::metadata(&target).unwrap().len(), fetched.bytes);
                assert_eq!(sha256(&target).unwrap(), fetched.sha256);
                assert!(size.is_none_or(|size| size == fetched.bytes));
                true
            }
            Err(_) => {
                assert!(!target.exists());
                false
            }
        }
    }
}
