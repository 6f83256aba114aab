use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use hyper::body::Frame;

use super::*;

/// A PNG that says it has such a size, and has no pixels.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c]).unwrap();
    drop(writer);
    bytes
}

#[test]
fn a_png_that_would_take_all_memory_is_refused_by_its_head() {
    let server = painted(|_| (), anybody());
    for uri in ["/v1/generate", "/v1/labels"] {
        let answer = server.post(uri, "image/png", bomb(60_000, 60_000));
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        let problem = answer.problem();
        assert!(
            problem.contains("is more than 16777216 pixels"),
            "{problem}"
        );
        for (bytes, part) in [
            (bomb(4, 4), "cannot decode the label map"),
            (b"\x89PNG\r\n\x1a\n".to_vec(), "cannot decode the label map"),
            (b"{".repeat(100_000), "cannot decode the label map"),
            (Vec::new(), "cannot decode the label map"),
        ] {
            let answer = server.post(uri, "image/png", bytes);
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(answer.problem().contains(part), "{}", answer.problem());
        }
    }
}

#[test]
fn json_however_deep_is_not_read() {
    let server = painted(|_| (), anybody());
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let answer = server.post("/v1/generate", "application/json", deep.clone());
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        server.post("/v1/generate", IDS, deep).status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}

#[test]
fn a_body_that_is_too_long_is_not_read_to_its_end() {
    let server = painted(|limits| limits.body_bytes = 1000, anybody());
    let long = server.post("/v1/generate", IDS, vec![0; 1001]);
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(long.problem().contains("send at most 1000 bytes"));
    // It says that it is short, and it says nothing.
    let endless = frames(|| Some(Ok(Frame::data(Bytes::from(vec![0; 100])))));
    let request = request("POST", "/v1/generate").header("content-type", IDS);
    let answer = server.ask(request.body(endless).unwrap());
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn a_body_that_is_cut_short_is_an_error_of_the_client() {
    let server = painted(|_| (), anybody());
    let cut = frames(|| Some(Err(io::ErrorKind::UnexpectedEof.into())));
    let request = request("POST", "/v1/generate").header("content-type", IDS);
    let answer = server.ask(request.body(cut).unwrap());
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.problem().contains("cut short"));
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = painted(
        |limits| limits.body_time = Duration::from_millis(20),
        anybody(),
    );
    let request = request("POST", "/v1/generate").header("content-type", IDS);
    let answer = server.ask(request.body(frames(|| None)).unwrap());
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
}

/// A body of what a function gives, without an end; nothing comes where it gives none.
struct Frames<F>(F);

impl<F: Fn() -> Option<io::Result<Frame<Bytes>>> + Unpin> hyper::body::Body for Frames<F> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        (self.0)().map_or(Poll::Pending, |frame| Poll::Ready(Some(frame)))
    }
}

fn frames(next: impl Fn() -> Option<io::Result<Frame<Bytes>>> + Send + Unpin + 'static) -> Body {
    Body::new(Frames(next))
}
