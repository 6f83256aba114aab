//! Encrypted downloads. `tests/fixtures/weights` holds a certificate for localhost and its key,
//! which nothing but these tests trusts:
//!
//! ```text
//! openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 \
//!     -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
//!     -addext basicConstraints=critical,CA:FALSE -keyout localhost.key -out localhost.pem
//! ```

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::spawn;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::run::failure;
use super::weights::{weights, weights_like};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/weights")
        .join(name)
}

/// The lines of a request up to the empty one; the first of them.
fn request(stream: impl std::io::Read) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    first
}

/// An encrypted server that answers everything with this; returns its port.
fn serve(answer: Vec<u8>) -> u16 {
    let provider = Arc::new(rustls_graviola::default_provider());
    let certificate = CertificateDer::from_pem_file(fixture("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(fixture("localhost.key")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            // A client that does not trust the certificate hangs up.
            if !request(&mut stream).is_empty() {
                stream.write_all(&answer).unwrap();
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        }
    });
    port
}

/// A proxy that passes everything on to where it is asked to; returns its address.
fn tunnel() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://me:secret@{}", listener.local_addr().unwrap());
    spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let first = request(&client);
            let target = first.strip_prefix("CONNECT ").unwrap().split(' ').next();
            let mut server = TcpStream::connect(target.unwrap()).unwrap();
            client
                .write_all(b"HTTP/1.1 200 Established\r\n\r\n")
                .unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            spawn(move || copy(&mut from, &mut to));
            let _ = copy(&mut server, &mut client);
        }
    });
    address
}

fn weight_file() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path.join("model/weights/convnext_pico_scenes.safetensors")).unwrap()
}

fn answer(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn an_encrypted_download_works_also_through_a_proxy() {
    let id = "convnext_tiny.fb_in1k";
    let file = weights_like(id);
    let port = serve(answer(&file));
    let from = format!("https://localhost:{port}/file");
    for proxy in [None, Some(tunnel())] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let mut command = weights(&["fetch", id, "--weights", path, "--from", &from]);
        command.env("SSL_CERT_FILE", fixture("localhost.pem"));
        if let Some(proxy) = proxy {
            command.env("HTTPS_PROXY", proxy).env("NO_PROXY", "");
        }
        let output = command.assert().success().get_output().clone();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("not verified"), "{text}");
        let fetched = std::fs::read(folder.path().join(format!("{id}.safetensors"))).unwrap();
        assert!(fetched == file);
    }
}

#[test]
fn a_certificate_of_nobody_is_refused_at_once() {
    let port = serve(answer(&weight_file()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let from = format!("https://localhost:{port}/file");
    let mut command = weights(&["fetch", "vgg19", "--weights", path, "--from", &from]);
    command.env_remove("SSL_CERT_FILE");
    let message = failure(command, 1);
    for part in ["certificate", "SSL_CERT_FILE"] {
        assert!(message.contains(part), "{part} is missing in {message}");
    }
    assert!(!message.contains("again in"), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
