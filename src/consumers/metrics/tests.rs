use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::events::{Measure, Network, Term};

/// The answer to a request.
fn ask(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn scrape(address: SocketAddr) -> String {
    ask(address, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n")
}

fn step() -> TrainEvent {
    TrainEvent::Step(StepEvent {
        step: 7,
        total_steps: 9,
        images_seen: 28,
        losses: [
            (Loss(Network::Generator, Term::Gan), 1.5),
            (Loss(Network::Discriminator, Term::Real), f64::NAN),
        ]
        .into(),
        accuracy_real: 0.75,
        gradient_norms: [(Term::Gan, 3.0)].into(),
        measures: [(Measure::NoiseEffect, 0.125)].into(),
        learning_rates: [(Network::Generator, 0.001)].into(),
        seconds: 0.5,
        images_per_second: 8.0,
        ..StepEvent::default()
    })
}

#[test]
fn every_figure_of_a_step_is_served() {
    let mut metrics = Metrics::serve("127.0.0.1:0").unwrap();
    let address = metrics.address();
    let first = scrape(address);
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert!(first.contains("\ndp_sims_step 0.0\n"), "{first}");
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("\ndp_sims_build_info{{version=\"{version}\"}} 1.0\n");
    assert!(first.contains(&build), "{first}");
    let warning = TrainEvent::Warning {
        step: 7,
        message: String::new(),
    };
    for event in [
        TrainEvent::Started {
            run_folder: "runs/a".into(),
            experiment: "a \"b\"".to_string(),
            backend: "flex".to_string(),
            first_step: 7,
            total_steps: 9,
        },
        step(),
        TrainEvent::Evaluation {
            step: 7,
            values: [("fid".to_string(), 31.5)].into(),
            is_best: true,
        },
        TrainEvent::Checkpoint {
            step: 7,
            path: "x".into(),
        },
        warning.clone(),
        warning,
    ] {
        metrics.on_event(&event).unwrap();
    }
    let text = scrape(address);
    for line in [
        "run_info{experiment=\"a \\\"b\\\"\",backend=\"flex\"} 1.0",
        "step 7.0",
        "total_steps 9.0",
        "images_seen 28.0",
        "step_seconds 0.5",
        "images_per_second 8.0",
        "loss{network=\"generator\",term=\"gan\"} 1.5",
        "loss{network=\"discriminator\",term=\"real\"} NaN",
        "accuracy{images=\"real\"} 0.75",
        "gradient_norm{term=\"gan\"} 3.0",
        "measure{name=\"noise_effect\"} 0.125",
        "learning_rate{network=\"generator\"} 0.001",
        "evaluation{name=\"fid\"} 31.5",
        "evaluations_total 1",
        "checkpoints_total 1",
        "checkpoint_step 7.0",
        "warnings_total 2",
        "returns_total 0",
    ] {
        assert!(
            text.contains(&format!("\ndp_sims_{line}\n")),
            "{line}: {text}"
        );
    }
    metrics.on_event(&TrainEvent::WentBack { step: 4 }).unwrap();
    let text = scrape(address);
    assert!(text.contains("\ndp_sims_step 4.0\n"), "{text}");
    assert!(text.contains("\ndp_sims_returns_total 1\n"), "{text}");
}

#[test]
fn what_is_not_asked_for_as_it_should_be_is_refused() {
    let address = Metrics::serve("127.0.0.1:0").unwrap().address();
    let long = format!("GET /metrics HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(9000));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(99));
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("\0\x01 \r\n\r\n", "400"),
        (many.as_str(), "431"),
    ] {
        let answer = ask(address, request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    // The connection may end before all of it was taken.
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(long.as_bytes());
    let open = "GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n";
    let answer = ask(address, open);
    assert!(
        answer.contains("Content-Type: application/openmetrics-text"),
        "{answer}"
    );
    assert!(answer.ends_with("\n# EOF\n"), "{answer}");
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn clients_that_say_nothing_hold_nobody_up() {
    let mut metrics = Metrics::serve("127.0.0.1:0").unwrap();
    let silent = TcpStream::connect(metrics.address()).unwrap();
    let started = std::time::Instant::now();
    metrics.on_event(&step()).unwrap();
    assert!(
        started.elapsed().as_millis() < 500,
        "the run waits for nobody"
    );
    assert!(scrape(metrics.address()).contains("dp_sims_step 7.0"));
    drop(silent);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = Metrics::serve("127.0.0.1:0").unwrap().address().to_string();
    let error = format!("{:#}", Metrics::serve(&taken).unwrap_err());
    assert!(error.contains(&taken), "{error}");
    assert!(Metrics::serve("nowhere").is_err());
}
