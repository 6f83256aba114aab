use std::io::Cursor;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dp_sims_datasets::{LabelReader, Size};
use image::{GrayImage, ImageFormat, Luma, RgbImage};

use super::*;
use crate::runtime::pictures::png;

fn gray(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn of_colour(pixel: [u8; 3]) -> Vec<u8> {
    let side = side() as u32;
    png(&RgbImage::from_pixel(side, side, image::Rgb(pixel))).unwrap()
}

#[test]
fn one_image_is_a_png_and_several_are_json() {
    let server = painted(|_| (), anybody());
    let one = server.generate("seed=7");
    assert_eq!(
        (one.status, one.header("content-type")),
        (StatusCode::OK, "image/png")
    );
    assert_eq!(one.header("x-seed"), "7");
    assert!(one.header("x-milliseconds").parse::<f64>().unwrap() >= 0.0);
    assert_eq!(one.header("cache-control"), "no-store");
    assert!(one.bytes == of_colour([7, 0, 3]));

    let three = server.generate("seed=9&samples=3").json();
    assert_eq!(three["seed"], 9);
    assert!(three["milliseconds"].as_f64().unwrap() >= 0.0);
    let images = three["images"].as_array().unwrap();
    for (k, image) in (0..).zip(images) {
        let bytes = STANDARD.decode(image.as_str().unwrap()).unwrap();
        assert!(bytes == of_colour([9, k, 3]), "{k}");
    }
    assert_eq!(images.len(), 3);

    let asked = |accept: &str, query: &str| {
        let request = request("POST", &format!("/v1/generate?{query}"));
        let request = request.header("content-type", IDS).header("accept", accept);
        let body = Body::from(vec![0; side() * side()]);
        let answer = server.ask(request.body(body).unwrap());
        answer.header("content-type").to_string()
    };
    for (accept, kind) in [
        ("image/png", "image/png"),
        ("*/*", "image/png"),
        ("application/json", "application/json"),
        ("application/json, */*;q=0.1", "application/json"),
        ("application/json, image/png", "image/png"),
    ] {
        assert_eq!(asked(accept, ""), kind, "{accept}");
    }
    assert_eq!(asked("image/png", "samples=2"), "application/json");
    assert_eq!(server.metrics.images.get(), 1 + 3 + 5);
}

#[test]
fn noise_and_size_reach_the_generator() {
    let server = painted(|_| (), anybody());
    let query =
        "seed=1&seed_to=2&mix=0.25&style_seed=3&style_tokens=0,%202,0&samples=2&height=64&width=96";
    let model = server.get("/v1/model").json();
    let multiple = model["side_multiple"].as_u64().unwrap() as usize;
    assert!(64 % multiple == 0 && 96 % multiple == 0);
    let answer = server.post(&format!("/v1/generate?{query}"), IDS, vec![5; 64 * 96]);
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.problem());
    let jobs = server.jobs.lock().unwrap();
    let style = Style {
        seed: 3,
        tokens: vec![0, 2],
    };
    let expected = Job {
        labels: vec![5; 64 * 96],
        size: Size::new(64, 96),
        noise: Noise {
            seed: 1,
            samples: 2,
            towards: Some((2, 0.25)),
            style: Some(style),
        },
    };
    assert_eq!(jobs[0], expected);
}

#[test]
fn a_png_is_read_as_by_generate() {
    let server = painted(|_| (), anybody());
    let image = GrayImage::from_fn(50, 40, |x, y| Luma([((x / 9 + y / 7) % 15) as u8]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.png");
    image.save(&path).unwrap();
    let model = Snapshot::built_in().unwrap();
    let read = LabelReader::new(&model.description).read(&path).unwrap();
    let expected = dp_sims_datasets::resize::resize_labels(&read.labels, read.size, model.size);
    let expected = expected.unwrap().into_owned();

    let answer = server.post("/v1/generate?seed=2", "image/png; x=y", gray(&image));
    assert_eq!(answer.status, StatusCode::OK);
    assert!(server.jobs.lock().unwrap()[0].labels == expected);
    let labels = server.post("/v1/labels", "image/png", gray(&image)).json();
    assert_eq!(labels["height"], side());
    assert!(STANDARD.decode(labels["ids"].as_str().unwrap()).unwrap() == expected);
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let server = painted(|_| (), anybody());
    let right = || vec![0; side() * side()];
    let cases = [
        ("seed=-1", 400, "seed"),
        ("seed=1&seed=2", 400, "duplicate field `seed`"),
        ("height=x", 400, "height"),
        ("colour=red", 400, "unknown field `colour`"),
        ("samples=0", 400, "samples = 0: ask for 1 to 16"),
        ("samples=17", 400, "samples = 17: ask for 1 to 16"),
        ("height=100", 400, "positive multiples of"),
        ("height=0", 400, "positive multiples of"),
        ("height=1048576&width=32", 400, "pixels together"),
        (
            "height=18446744073709551584&width=32",
            400,
            "pixels together",
        ),
        (
            "height=256&width=256&samples=5",
            400,
            "ask for at most 4 of this size",
        ),
        ("mix=0.5", 400, "seed_to and mix go together"),
        ("seed_to=1", 400, "seed_to and mix go together"),
        ("seed_to=1&mix=1.5", 400, "mix = 1.5"),
        ("seed_to=1&mix=NaN", 400, "mix = NaN"),
        (
            "style_seed=1",
            400,
            "style_seed and style_tokens go together",
        ),
        (
            "style_tokens=1",
            400,
            "style_seed and style_tokens go together",
        ),
        (
            "style_seed=1&style_tokens=99",
            400,
            "style_tokens = 99: give numbers from 0 to",
        ),
        ("style_seed=1&style_tokens=1,,2", 400, "style_tokens = 1,,2"),
        ("height=64&width=64", 422, "send 4096 class indices"),
    ];
    for (query, status, part) in cases {
        let answer = server.post(&format!("/v1/generate?{query}"), IDS, right());
        let problem = answer.problem();
        assert_eq!(answer.status.as_u16(), status, "{query}: {problem}");
        assert!(problem.contains(part), "{query}: {problem}");
    }
    let mut unknown = right();
    unknown[side() + 2] = 77;
    let answer = server.post("/v1/generate", IDS, unknown);
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = answer.problem();
    assert!(
        problem.contains("pixel (x 2, y 1) is of class 77: send class indices from 0 to 14"),
        "{problem}"
    );
    for kind in ["application/json", "text/plain", ""] {
        let answer = server.post("/v1/generate", kind, right());
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let refused = request("POST", "/v1/generate").header("content-type", IDS);
    let refused = refused
        .header("accept", "text/html")
        .body(Body::from(right()))
        .unwrap();
    assert_eq!(server.ask(refused).status, StatusCode::NOT_ACCEPTABLE);
    let answer = server.post("/v1/labels", IDS, right());
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = server.post("/v1/segment", "image/png", vec![]);
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    assert!(answer.problem().contains("/v1/labels"));
    assert!(server.jobs.lock().unwrap().is_empty());
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let server = idle(|limits| limits.queue = 1, anybody());
    let first = server.app.clone();
    server.runtime.spawn(async move {
        let body = Body::from(vec![3; side() * side()]);
        let request = request("POST", "/v1/generate").header("content-type", IDS);
        first.oneshot(request.body(body).unwrap()).await
    });
    while server.metrics.waiting.get() == 0 {
        server.runtime.block_on(tokio::task::yield_now());
    }
    let answer = server.generate("seed=1");
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(answer.problem().contains("ask again in 1 s"));
    assert_eq!(server.metrics.refused.get(), 1);
}

#[test]
fn what_is_not_made_in_time_is_not_made_at_all() {
    let mut server = idle(
        |limits| limits.answer_time = Duration::from_millis(20),
        anybody(),
    );
    let answer = server.generate("seed=1");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "30");
    let (orders, metrics) = (server.orders.take().unwrap(), server.metrics.clone());
    drop(server);
    orders.work(|_| panic!("nobody waits for it"));
    assert_eq!(metrics.skipped.get(), 1);
}

#[test]
fn a_server_whose_generator_is_gone_says_so() {
    let mut server = idle(|_| (), anybody());
    drop(server.orders.take());
    let answer = server.generate("seed=1");
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.problem().contains("the server stops"));
}

#[test]
fn a_generator_that_fails_is_an_error_of_the_server() {
    let mut server = idle(|_| (), anybody());
    let orders = server.orders.take().unwrap();
    thread::spawn(move || orders.work(|_| anyhow::bail!("the device has no memory")));
    let answer = server.generate("seed=1");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.problem().contains("the device has no memory"));
}
