use axum::body::Body;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn the_model_and_its_classes_are_described() {
    let server = painted(|_| (), anybody());
    let snapshot = Snapshot::built_in().unwrap();
    let model: ModelFacts = serde_json::from_slice(&server.get("/v1/model").bytes).unwrap();
    assert_eq!((model.name.as_str(), model.classes), ("scenes", 15));
    assert_eq!(model.hash, snapshot.sha256().unwrap());
    assert_eq!(model.bytes, snapshot.bytes().unwrap());
    assert_eq!((model.height, model.width), (side(), side()));
    assert_eq!(model.milliseconds_per_image, None);
    assert!(model.tokens > 1 && model.parameters > 1_000_000);
    assert!(!model.has_segmenter && !model.has_data);

    let classes: Vec<ClassFacts> =
        serde_json::from_slice(&server.get("/v1/classes").bytes).unwrap();
    let table = snapshot.description.class_table();
    assert_eq!(classes.len(), table.len());
    for (id, class) in classes.iter().enumerate() {
        assert_eq!((usize::from(class.id), class.is_void), (id, id == 0));
        assert_eq!(class.name, table.classes[id].name);
        assert_eq!(class.color, dp_sims_datasets::hex(table.classes[id].colour));
    }
}

#[test]
fn samples_are_label_maps_that_generate_takes() {
    let server = painted(|_| (), anybody());
    let samples = server.get("/v1/samples").json();
    let samples = samples.as_array().unwrap();
    assert_eq!(samples.len(), 5);
    for sample in samples {
        let ids = STANDARD.decode(sample["ids"].as_str().unwrap()).unwrap();
        let (height, width) = (&sample["height"], &sample["width"]);
        let uri = format!("/v1/generate?height={height}&width={width}");
        assert_eq!(server.post(&uri, IDS, ids).status, StatusCode::OK);
    }
    let jobs = server.jobs.lock().unwrap();
    assert!(jobs.windows(2).all(|pair| pair[0].labels != pair[1].labels));
}

#[test]
fn figures_count_by_route_and_hold_no_text_of_clients() {
    let server = painted(|_| (), anybody());
    server.generate("seed=1");
    server.generate("seed=x");
    server.get("/somewhere-else");
    let figures = server.get("/metrics");
    assert_eq!(
        figures.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = String::from_utf8(figures.bytes).unwrap();
    for line in [
        "dp_sims_serve_requests_total{route=\"/v1/generate\",status=\"200\"} 1",
        "dp_sims_serve_requests_total{route=\"/v1/generate\",status=\"400\"} 1",
        "dp_sims_serve_requests_total{route=\"page\",status=\"404\"} 1",
        "dp_sims_serve_request_seconds_count{route=\"/v1/generate\"} 2",
        "dp_sims_serve_images_total 1",
        "dp_sims_serve_queue 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("somewhere"));
    let open = request("GET", "/metrics").header("accept", "application/openmetrics-text");
    let open = server.ask(open.body(Body::empty()).unwrap());
    assert!(
        open.header("content-type")
            .starts_with("application/openmetrics-text")
    );
}

#[test]
fn the_interface_describes_every_route() {
    let server = painted(|_| (), anybody());
    let interface = server.get("/v1/openapi.json").json();
    assert_eq!(interface["openapi"], "3.1.0");
    let paths = interface["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let method = method.to_uppercase();
            let answer = server.ask(request(&method, path).body(Body::empty()).unwrap());
            let described = &operation["responses"][answer.status.as_str()];
            assert!(described.is_object(), "{method} {path}: {}", answer.status);
            let other = if method == "GET" { "DELETE" } else { "GET" };
            let answer = server.ask(request(other, path).body(Body::empty()).unwrap());
            assert_eq!(
                answer.status,
                StatusCode::METHOD_NOT_ALLOWED,
                "{other} {path}"
            );
            assert!(answer.problem().contains("/v1/openapi.json"));
        }
    }
    let parameters = paths["/v1/generate"]["post"]["parameters"]
        .as_array()
        .unwrap();
    assert_eq!(parameters.len(), 8);
    assert!(
        parameters
            .iter()
            .all(|one| one["in"] == "query" && one["required"] == false)
    );
}

#[test]
fn the_page_is_served_and_nothing_but_it() {
    let server = painted(|_| (), anybody());
    let index = server.get("/");
    assert_eq!(index.status, StatusCode::OK);
    assert_eq!(index.header("content-type"), "text/html; charset=utf-8");
    assert!(index.bytes == server.get("/index.html").bytes);
    let tag = index.header("etag").to_string();
    let known = request("GET", "/")
        .header("if-none-match", tag)
        .body(Body::empty());
    let known = server.ask(known.unwrap());
    assert_eq!(
        (known.status, known.bytes.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    let head = server.ask(request("HEAD", "/").body(Body::empty()).unwrap());
    assert_eq!(head.status, StatusCode::OK);
    for path in [
        "/Cargo.toml",
        "/../Cargo.toml",
        "/../../../Cargo.toml",
        "/..%2f..%2fCargo.toml",
        "/%2e%2e/Cargo.toml",
        "/assets/../index.html",
        "//etc/passwd",
        "/etc/passwd",
        "/index.html/",
        "/index.html%00.js",
        "/v1",
        "/v1/",
        "/v1/nothing",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        answer.problem();
    }
    assert_eq!(server.post("/", IDS, vec![]).status, StatusCode::NOT_FOUND);
}
