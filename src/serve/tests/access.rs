use axum::body::Body;
use axum::http::{Method, StatusCode};

use super::*;

fn from(server: &Tested, method: &str, uri: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.ask(request.body(Body::empty()).unwrap())
}

#[test]
fn a_server_called_by_a_foreign_name_does_not_answer() {
    let server = painted(|_| (), anybody());
    for path in ["/", "/v1/health", "/v1/model", "/metrics", "/nothing"] {
        for headers in [
            &[("host", "evil.example")][..],
            &[("host", "evil.example:7860")],
            &[("host", "localhost"), ("host", "evil.example")],
            &[("host", "localhost"), ("host", "localhost")],
            &[],
        ] {
            let answer = from(&server, "GET", path, headers);
            assert_eq!(
                answer.status,
                StatusCode::MISDIRECTED_REQUEST,
                "{path} {headers:?}"
            );
            assert!(answer.problem().contains("--host NAME"));
        }
    }
    let absolute = from(
        &server,
        "GET",
        "http://evil.example/",
        &[("host", "localhost")],
    );
    assert_eq!(absolute.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(
        from(&server, "GET", "/", &[("host", "[::1]:1")]).status,
        StatusCode::OK
    );
}

#[test]
fn other_pages_may_not_send_anything() {
    let server = painted(|_| (), anybody());
    let sent = |method: &str, origin: &str| {
        let headers = [("host", "localhost:7860"), ("origin", origin)];
        from(&server, method, "/v1/generate", &headers)
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost:1",
        "localhost:7860",
        "",
    ] {
        let answer = sent("POST", origin);
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{origin}");
        assert!(answer.problem().contains("--allow-origin"));
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert_eq!(sent("DELETE", origin).status, StatusCode::FORBIDDEN);
    }
    for origin in ["http://localhost:7860", "https://localhost:7860"] {
        assert_eq!(
            sent("POST", origin).status,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    }
}

#[test]
fn an_origin_that_is_allowed_may_send_and_read() {
    let origin = "https://paint.example";
    let bound = "127.0.0.1:7860".parse().unwrap();
    let access = Access::new(bound, &[], &[origin.to_string()], Token::new("word"));
    let server = painted(|_| (), access);
    let host = ("host", "localhost:7860");
    let asks = ("access-control-request-method", "POST");
    let headers = [host, ("origin", origin), asks];
    let allowed = from(&server, Method::OPTIONS.as_str(), "/v1/generate", &headers);
    assert_eq!(allowed.status, StatusCode::OK);
    assert_eq!(allowed.header("access-control-allow-origin"), origin);
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    let token = ("authorization", "Bearer word");
    let sent = from(
        &server,
        "POST",
        "/v1/generate",
        &[host, ("origin", origin), token],
    );
    assert_eq!(sent.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(sent.header("access-control-allow-origin"), origin);
    let other = [host, ("origin", "https://evil.example"), token];
    let other = from(&server, "POST", "/v1/generate", &other);
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    assert_eq!(other.header("access-control-allow-origin"), "");
}

#[test]
fn a_token_is_asked_for_by_all_but_the_page_and_health() {
    let bound = "127.0.0.1:7860".parse().unwrap();
    let server = painted(
        |_| (),
        Access::new(bound, &[], &[], Token::new("open sesame")),
    );
    let host = ("host", "localhost");
    let posts = ["/v1/generate", "/v1/labels", "/v1/segment"];
    let gets = [
        "/v1/model",
        "/v1/classes",
        "/v1/samples",
        "/v1/openapi.json",
        "/metrics",
    ];
    let routes = posts.map(|path| ("POST", path)).into_iter();
    let routes = routes.chain(gets.map(|path| ("GET", path)));
    for (method, path) in routes {
        for value in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer open"),
            Some("Basic open sesame"),
        ] {
            let given = value.map(|value| ("authorization", value));
            let headers: Vec<_> = given.into_iter().chain([host]).collect();
            let answer = from(&server, method, path, &headers);
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {value:?}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
            answer.problem();
        }
        let right = from(
            &server,
            method,
            path,
            &[host, ("authorization", "bearer open sesame")],
        );
        assert_ne!(right.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/", "/v1/health"] {
        assert_eq!(
            from(&server, "GET", path, &[host]).status,
            StatusCode::OK,
            "{path}"
        );
    }
}

#[test]
fn every_answer_tells_browsers_what_they_may_do() {
    let server = painted(|_| (), anybody());
    let forged = from(&server, "GET", "/", &[("host", "evil.example")]);
    for answer in [
        server.get("/"),
        server.get("/v1/model"),
        server.get("/nothing"),
        forged,
    ] {
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'self'; ")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
