//! Answers that are errors, other files or no files.

use super::*;
use crate::weights::Found;
use crate::weights::{Check, Progress};

#[test]
fn wrong_bytes_are_removed() {
    let wrong = vec![b'{'; content().len()];
    let server = Server::new(move |_, seen| honest(seen, &wrong));
    let hash = known_hash();
    for expected in [Hash::Sha256(hash), Hash::Prefix(&hash[..8])] {
        let case = Case::new(&server, expected, Some(content().len() as u64));
        let error = case.run().unwrap_err();
        let FetchError::Hash {
            expected, found, ..
        } = &error
        else {
            panic!("{error}")
        };
        assert!(hash.starts_with(expected) && found.len() == 64 && found != hash);
        case.is_clean();
    }
}

#[test]
fn another_length_is_refused_before_it_is_loaded() {
    for length in [10, 1 << 40] {
        let headers = format!("Content-Length: {length}\r\n");
        let server = Server::new(move |_, _| answer("200 OK", &headers, &content()));
        let size = content().len() as u64;
        let case = Case::new(&server, Hash::Sha256(known_hash()), Some(size));
        let error = case.run().unwrap_err();
        assert!(
            matches!(error, FetchError::Length { expected, found, .. }
                if expected == size && found == Found::Offered(length)),
            "{error}"
        );
    }
}

#[test]
fn an_unknown_length_is_found_at_the_end() {
    for (sent, is_right) in [(content().len(), true), (100, false), (9000, false)] {
        let server = Server::new(move |_, _| {
            let mut body = content();
            body.resize(sent, 0);
            answer("200 OK", "", &body)
        });
        let size = content().len() as u64;
        let case = Case::new(&server, Hash::Sha256(known_hash()), Some(size));
        assert_eq!(case.run().is_ok(), is_right, "{sent} bytes");
        let without = Case::new(&server, Hash::Sha256(known_hash()), None);
        assert_eq!(without.run().is_ok(), is_right, "{sent} bytes");
    }
}

/// Where neither hash nor exact length is known, the tensors' size still bounds the file.
#[test]
fn a_file_far_from_the_size_of_its_tensors_is_refused() {
    for (sent, is_right) in [(content().len(), true), (746, false), (18 << 20, false)] {
        for is_announced in [true, false] {
            let server = Server::new(move |_, _| {
                let mut body = content();
                body.resize(sent, 0);
                match is_announced {
                    true => whole(&body),
                    false => answer("200 OK", "", &body),
                }
            });
            let mut case = Case::new(&server, Hash::Unpublished, None);
            case.request.about = Some(4000);
            match case.run() {
                Ok(_) => assert!(is_right, "{sent} bytes"),
                Err(error) => {
                    assert!(!is_right, "{error}");
                    assert!(matches!(error, FetchError::Improbable { .. }), "{error}");
                    let words = match (sent > 1000, is_announced) {
                        (true, true) => "offers 18874368 bytes, ",
                        (true, false) => "bytes and had not come to an end, ",
                        (false, _) => "sent 746 bytes, ",
                    };
                    assert!(error.to_string().contains(words), "{error}");
                    let left = std::fs::metadata(case.part()).map_or(0, |part| part.len());
                    assert_eq!(left, 0, "{sent} bytes");
                }
            }
        }
    }
}

#[test]
fn passing_errors_are_repeated_and_final_ones_not() {
    let server = Server::new(|number, seen| match number {
        0 => answer("500 Internal Server Error", "Content-Length: 0\r\n", b""),
        1 => answer(
            "429 Too Many Requests",
            "Retry-After: 0\r\nContent-Length: 0\r\n",
            b"",
        ),
        _ => honest(seen, &content()),
    });
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    let mut reasons = Vec::new();
    download(&case.request, &mut |progress| {
        if let Progress::Retry { reason, .. } = progress {
            reasons.push(reason.to_string());
        }
    })
    .unwrap();
    assert_eq!(
        reasons,
        ["the server answered 500", "the server answered 429"]
    );

    for status in [404, 403, 410, 204] {
        let server =
            Server::new(move |_, _| answer(&format!("{status} No"), "Content-Length: 0\r\n", b""));
        let case = Case::new(&server, Hash::Sha256(known_hash()), None);
        let error = case.run().unwrap_err();
        assert!(
            matches!(error, FetchError::Refused { status: found, .. } if found == status),
            "{error}"
        );
        assert_eq!(server.starts().len(), 1);
    }
}

#[test]
fn bodies_end_where_the_server_says() {
    let chunked = |parts: &[&[u8]]| {
        let head: &[u8] = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n\
                    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut bytes = head.to_vec();
        for part in parts {
            bytes.extend(format!("{:x};x=1\r\n", part.len()).bytes());
            bytes.extend(part.iter().chain(b"\r\n"));
        }
        bytes
    };
    let (start, end) = (&content()[..3000], &content()[3000..]);
    let full = [&chunked(&[start, end]), &b"0\r\n\r\nmore"[..]].concat();
    let long = [&whole(&content()), &b"more"[..]].concat();
    let old = [b"HTTP/1.0 200 OK\n\n", &content()[..]].concat();
    for answer in [full, long, old] {
        let server = Server::new(move |_, _| answer.clone());
        let case = Case::new(&server, Hash::Sha256(known_hash()), None);
        case.run().unwrap();
        case.is_complete();
    }
    for answer in [chunked(&[start]), broken(chunked(&[start, end]), 100)] {
        let server = Server::new(move |_, _| answer.clone());
        let case = Case::new(&server, Hash::Sha256(known_hash()), None);
        let error = case.run().unwrap_err();
        assert!(matches!(error, FetchError::Broken { .. }), "{error}");
    }
}

#[test]
fn an_end_within_the_head_is_repeated_and_nonsense_is_not() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 18));
    for (text, attempts) in [
        ("", 3),
        ("HTTP/1.1 200 OK\r\nContent-Len", 3),
        ("SSH-2.0-OpenSSH\r\n\r\n", 1),
        ("HTTP/1.1 OK\r\n\r\n", 1),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 1),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 1),
        (&*endless, 1),
    ] {
        let answer = text.as_bytes().to_vec();
        let server = Server::new(move |_, _| answer.clone());
        let case = Case::new(&server, Hash::Unpublished, None);
        let error = case.run().unwrap_err();
        let is_final = matches!(error, FetchError::Connection { .. });
        assert_eq!(is_final, attempts == 1, "{text:.40}: {error}");
        assert_eq!(server.starts().len(), attempts, "{text:.40}");
        case.is_clean();
    }
}

#[test]
fn redirects_are_followed_with_what_they_announce() {
    let hash = known_hash();
    for announced in [hash.to_string(), "0".repeat(64)] {
        let etag = announced.clone();
        let server = Server::new(move |_, seen| match seen.target.as_str() {
            "/file" => {
                let headers = format!(
                    "Location: /cdn/blob?x=1\r\nX-Linked-Etag: \"{etag}\"\r\n\
                     X-Linked-Size: {}\r\nContent-Length: 0\r\n",
                    content().len()
                );
                answer("302 Found", &headers, b"")
            }
            "/cdn/blob?x=1" => honest(seen, &content()),
            other => panic!("{other}"),
        });
        let case = Case::new(&server, Hash::Announced, None);
        if announced == hash {
            assert_eq!(case.run().unwrap().check, Check::Announced);
            case.is_complete();
        } else {
            let error = case.run().unwrap_err();
            assert!(matches!(error, FetchError::Hash { .. }), "{error}");
            case.is_clean();
        }
    }
    let circle = Server::new(|_, _| answer("302 Found", "Location: /file\r\n", b""));
    let error = Case::new(&circle, Hash::Unpublished, None)
        .run()
        .unwrap_err();
    assert!(error.to_string().contains("10 redirects"), "{error}");
}

#[test]
fn a_web_page_is_no_weight_file() {
    let page = b"<!DOCTYPE html><html>log in</html>";
    for (kind, is_told) in [
        ("Content-Type: text/html; charset=utf-8\r\n", true),
        ("", false),
    ] {
        let server = Server::new(move |_, _| answer("200 OK", kind, page));
        let case = Case::new(&server, Hash::Unpublished, None);
        let error = case.run().unwrap_err();
        if is_told {
            assert!(matches!(error, FetchError::Page { .. }), "{error}");
        } else {
            let FetchError::Content { source, .. } = &error else {
                panic!("{error}")
            };
            assert!(source.to_string().contains("web page"), "{source}");
        }
        case.is_clean();
    }
}

#[test]
fn a_silent_server_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Server {
        address: format!("http://{}", listener.local_addr().unwrap()),
        seen: Arc::default(),
    };
    let mut case = Case::new(&server, Hash::Unpublished, None);
    case.request.patience.attempts = 2;
    case.request.patience.silence = Duration::from_millis(50);
    let error = case.run().unwrap_err();
    assert!(
        matches!(&error, FetchError::Broken { attempts: 2, reason, .. }
            if reason == "the server fell silent"),
        "{error}"
    );
    drop(listener);
}
