//! A server of one page, which nobody can hold up.
//!
//! It answers one request after the other, each within [`PATIENCE`], and takes one connection at a time:
//! however many clients there are and however slow they are, the run loses one thread and two descriptors.
//! Servers that are made to be fast start a thread for every connection and wait for it: with enough of
//! them, a run would have no descriptor left for its checkpoint.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Time that a client has to ask and to take the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest head of a request in bytes, and most lines in it.
const MOST_BYTES: usize = 8 << 10;
const MOST_HEADERS: usize = 64;
/// Pause after a connection that the system could not give, for lack of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(200);

/// What the text is to those who ask for OpenMetrics, and to all others.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers requests in a thread of its own, from now on.
///
/// # Errors
/// When there can be no further thread.
pub(super) fn start(listener: TcpListener, registry: Registry) -> std::io::Result<()> {
    let serve = move || {
        loop {
            match listener.accept() {
                // A client that goes away or is too slow misses its answer.
                Ok((stream, _)) => drop(answer(&stream, &registry)),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    };
    let thread = Builder::new().name("metrics".to_string());
    thread.spawn(serve).map(drop)
}

/// A request, as far as it counts.
struct Asked {
    status: &'static str,
    /// Whether the client takes OpenMetrics.
    is_open: bool,
    /// Whether the client wants the head alone.
    is_head: bool,
}

fn answer(mut stream: &TcpStream, registry: &Registry) -> std::io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let asked = request(stream, deadline)?;
    let (kind, body) = match asked.status {
        "200 OK" => {
            let mut text = String::new();
            encode(&mut text, registry).map_err(std::io::Error::other)?;
            (if asked.is_open { OPEN_METRICS } else { TEXT }, text)
        }
        status => (TEXT, format!("{status}: there is /metrics\n")),
    };
    let mut message = format!(
        "HTTP/1.1 {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        asked.status,
        body.len()
    );
    if !asked.is_head {
        message.push_str(&body);
    }
    let mut rest = message.as_bytes();
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        let written = stream.write(rest)?;
        rest = &rest[written..];
    }
    stream.shutdown(Shutdown::Write)
}

/// Reads the head of a request.
fn request(mut stream: &TcpStream, deadline: Instant) -> std::io::Result<Asked> {
    let mut bytes = [0; MOST_BYTES];
    let mut length = 0;
    let refused = |status| Asked {
        status,
        is_open: false,
        is_head: false,
    };
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut bytes[length..])? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            read => length += read,
        }
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        return Ok(match request.parse(&bytes[..length]) {
            Ok(httparse::Status::Partial) if length < MOST_BYTES => continue,
            Ok(httparse::Status::Complete(_)) => asked(&request),
            Err(error) if error != httparse::Error::TooManyHeaders => refused("400 Bad Request"),
            _ => refused("431 Request Header Fields Too Large"),
        });
    }
}

fn asked(request: &httparse::Request<'_, '_>) -> Asked {
    let path = request.path.unwrap_or_default();
    let status = match (request.method, path.split('?').next()) {
        (Some("GET" | "HEAD"), Some("/metrics")) => "200 OK",
        (Some("GET" | "HEAD"), _) => "404 Not Found",
        _ => "405 Method Not Allowed",
    };
    let accepts = request.headers.iter().any(|header| {
        let value = String::from_utf8_lossy(header.value);
        header.name.eq_ignore_ascii_case("accept") && value.contains("application/openmetrics-text")
    });
    Asked {
        status,
        is_open: accepts,
        is_head: request.method == Some("HEAD"),
    }
}

/// What is left of the time of a client.
fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // A timeout of zero would be none.
    match left.is_zero() {
        true => Err(ErrorKind::TimedOut.into()),
        false => Ok(left),
    }
}
