//! Downloads that break off, go on and begin again.

use super::*;
use crate::weights::Check;

#[test]
fn a_download_is_checked_and_appears_whole() {
    let server = Server::new(|_, seen| honest(seen, &content()));
    let hash = known_hash();
    for (expected, check) in [
        (Hash::Sha256(hash), Check::Sha256),
        (Hash::Prefix(&hash[..8]), Check::Prefix),
        (Hash::Unpublished, Check::Unverified),
        (Hash::Announced, Check::Unverified),
    ] {
        let case = Case::new(&server, expected, Some(content().len() as u64));
        let fetched = case.run().unwrap();
        assert_eq!((fetched.sha256.as_str(), fetched.check), (hash, check));
        case.is_complete();
    }
}

#[test]
fn a_broken_connection_is_continued() {
    let server = Server::new(|number, seen| match number {
        0 => broken(honest(seen, &content()), 3000),
        1 => broken(honest(seen, &content()), 1000),
        _ => honest(seen, &content()),
    });
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    case.run().unwrap();
    case.is_complete();
    let length = content().len();
    assert_eq!(
        server.starts(),
        [None, Some(length - 3000), Some(length - 1000)]
    );
}

#[test]
fn a_later_run_continues_an_earlier_one() {
    let server = Server::new(|number, seen| match number {
        0 => broken(honest(seen, &content()), 3000),
        1..=3 => answer("503 Service Unavailable", "Content-Length: 0\r\n", b""),
        _ => honest(seen, &content()),
    });
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    let error = case.run().unwrap_err();
    assert!(
        matches!(error, FetchError::Broken { attempts: 3, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("503"), "{error}");
    assert_eq!(
        case.part().metadata().unwrap().len() as usize,
        content().len() - 3000
    );
    case.run().unwrap();
    case.is_complete();
    assert_eq!(
        server.starts().last().unwrap(),
        &Some(content().len() - 3000)
    );
}

#[test]
fn another_address_starts_again() {
    let server = Server::new(|number, seen| match number {
        0 => broken(honest(seen, &content()), 3000),
        1 => answer("503 Service Unavailable", "Content-Length: 0\r\n", b""),
        _ => honest(seen, &content()),
    });
    let mut case = Case::new(&server, Hash::Sha256(known_hash()), None);
    case.request.patience.attempts = 1;
    case.run().unwrap_err();
    case.request.address = format!("{}/other", server.address);
    case.run().unwrap();
    case.is_complete();
    let middle = Some(content().len() - 3000);
    assert_eq!(server.starts(), [None, middle, None]);
}

#[test]
fn a_server_that_ignores_ranges_sends_everything_again() {
    let server = Server::new(|number, _| match number {
        0 => broken(whole(&content()), 3000),
        _ => whole(&content()),
    });
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    case.run().unwrap();
    case.is_complete();
}

#[test]
fn a_server_that_never_gets_further_is_given_up() {
    let server = Server::new(|_, _| broken(whole(&content()), 3000));
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    let error = case.run().unwrap_err();
    assert!(matches!(error, FetchError::Broken { .. }), "{error}");
    assert!(case.part().exists());
    // The first attempt got further than nothing, the three after it no further.
    assert_eq!(server.starts().len(), 4);
}

#[test]
fn another_range_than_asked_for_starts_again() {
    let server = Server::new(|number, seen| match number {
        0 => broken(honest(seen, &content()), 3000),
        1 => answer(
            "206 Partial Content",
            "Content-Range: bytes 0-9/10\r\n",
            &[0; 10],
        ),
        _ => honest(seen, &content()),
    });
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    case.run().unwrap();
    case.is_complete();
    assert_eq!(server.starts().last().unwrap(), &None);
}

#[test]
fn a_part_that_is_whole_is_checked_and_one_too_long_dropped() {
    for excess in [0, 5] {
        let server = Server::new(|_, seen| honest(seen, &content()));
        let case = Case::new(&server, Hash::Sha256(known_hash()), None);
        std::fs::create_dir(case.request.target.parent().unwrap()).unwrap();
        let mut bytes = content();
        bytes.extend(vec![0; excess]);
        std::fs::write(case.part(), bytes).unwrap();
        let note = format!(
            "{{\"address\": \"{}\", \"etag\": null}}",
            case.request.address
        );
        std::fs::write(beside(&case.request.target, ".part.json"), note).unwrap();
        case.run().unwrap();
        case.is_complete();
        assert_eq!(server.starts().len(), if excess == 0 { 1 } else { 2 });
    }
}

#[test]
fn a_changed_file_is_not_continued() {
    let old = vec![7; content().len()];
    let server = Server::new(move |number, seen| {
        let tag = |answer: Vec<u8>, tag: &str| {
            let end = answer.iter().position(|&byte| byte == b'\n').unwrap() + 1;
            let header = format!("ETag: \"{tag}\"\r\n").into_bytes();
            [&answer[..end], &header, &answer[end..]].concat()
        };
        if number == 0 {
            return tag(broken(honest(seen, &old), 3000), "old");
        }
        assert_eq!(seen.headers["if-range"], "\"old\"");
        tag(whole(&content()), "new")
    });
    let case = Case::new(&server, Hash::Sha256(known_hash()), None);
    case.run().unwrap();
    case.is_complete();
}

#[test]
fn a_file_of_this_machine_is_copied() {
    let server = Server::new(|_, _| vec![]);
    let mut case = Case::new(&server, Hash::Sha256(known_hash()), None);
    let source = case.folder.path().join("source");
    std::fs::write(&source, content()).unwrap();
    case.request.address = format!("file://{}", source.display());
    case.run().unwrap();
    case.is_complete();
    assert!(server.starts().is_empty());
}

#[test]
fn one_process_fetches_a_file_at_a_time() {
    let server = Server::new(|_, seen| honest(seen, &content()));
    let case = Case::new(&server, Hash::Unpublished, None);
    std::fs::create_dir(case.request.target.parent().unwrap()).unwrap();
    let other = std::fs::File::create(case.part()).unwrap();
    other.lock().unwrap();
    let error = case.run().unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
    drop(other);
    case.run().unwrap();
}
