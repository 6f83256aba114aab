use std::time::Duration;

use ureq::Body;
use ureq::http::header::{IF_RANGE, RANGE};
use ureq::http::{Response, Uri};

use super::FetchError;
use super::address::join;
use super::answer::{Answer, Offer, Trouble};
use super::client::{Limits, get};

/// Redirects followed for one request.
const MAX_REDIRECTS: usize = 10;
/// Longest pause that a server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// What the server says about the file on the way, also while it redirects.
#[derive(Default)]
struct Announcement {
    sha256: Option<String>,
    length: Option<u64>,
}

/// Asks a server for a file from a position on; redirects are followed one by one, because
/// Hugging Face announces the hash of a file where it redirects to it.
pub(super) fn open_web(
    address: &Uri,
    start: u64,
    etag: Option<&str>,
    limits: Limits,
) -> Result<Answer, Trouble> {
    let mut headers = Vec::new();
    if start > 0 {
        headers.push((RANGE, format!("bytes={start}-")));
        // A weak mark would not promise equal bytes.
        if let Some(etag) = etag.filter(|etag| !etag.starts_with("W/")) {
            headers.push((IF_RANGE, etag.to_string()));
        }
    }
    let mut address = address.clone();
    let mut announcement = Announcement::default();
    for _ in 0..=MAX_REDIRECTS {
        let response = get(&address, &headers, limits)?;
        announcement.note(&response);
        match (response.status().as_u16(), header(&response, "location")) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                address = join(&address, location).map_err(Trouble::Final)?;
            }
            _ => return accept(response, &address, start, announcement),
        }
    }
    let reason = format!("it leads to more than {MAX_REDIRECTS} redirects");
    Err(Trouble::Final(FetchError::address(
        &address.to_string(),
        reason,
    )))
}

impl Announcement {
    /// Hugging Face names hash and length of a large file where it redirects to the file.
    fn note(&mut self, response: &Response<Body>) {
        let hash = header(response, "x-linked-etag").map(|etag| {
            etag.trim_start_matches("W/")
                .trim_matches('"')
                .to_lowercase()
        });
        let is_sha256 =
            |hash: &String| hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
        self.sha256 = self.sha256.take().or(hash.filter(is_sha256));
        let length = header(response, "x-linked-size");
        self.length = self.length.or(length.and_then(|text| text.parse().ok()));
    }
}

/// Judges the answer behind the redirects.
fn accept(
    response: Response<Body>,
    address: &Uri,
    start: u64,
    announcement: Announcement,
) -> Result<Answer, Trouble> {
    let range = header(&response, "content-range").and_then(parse_range);
    let (begin, length) = match (response.status().as_u16(), range) {
        (200, _) => (0, response.body().content_length().or(announcement.length)),
        (206, Some((Some(begin), length))) if begin == start => (
            begin,
            length
                .or(response
                    .body()
                    .content_length()
                    .and_then(|rest| begin.checked_add(rest)))
                .or(announcement.length),
        ),
        (206, _) => return Ok(Answer::OutOfRange),
        (416, Some((_, Some(length)))) if length == start => {
            return Ok(Answer::Complete {
                announced: announcement.sha256,
            });
        }
        (416, _) => return Ok(Answer::OutOfRange),
        (status, _) => return Err(refusal(status, &response, address)),
    };
    let kind = header(&response, "content-type").unwrap_or_default();
    if kind.starts_with("text/html") {
        return Err(Trouble::Final(FetchError::Page {
            address: address.to_string(),
        }));
    }
    Ok(Answer::Offer(Offer {
        start: begin,
        length,
        etag: header(&response, "etag").map(str::to_string),
        announced: announcement.sha256,
        body: Box::new(response.into_body().into_reader()),
    }))
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// First byte and whole length of `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`.
fn parse_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    let begin = range.split('-').next().and_then(|begin| begin.parse().ok());
    Some((begin, length.parse().ok()))
}

fn refusal(status: u16, response: &Response<Body>, address: &Uri) -> Trouble {
    let hint = match status {
        408 | 425 | 429 | 500..=599 => {
            let seconds = header(response, "retry-after").and_then(|text| text.parse().ok());
            return Trouble::Passing {
                reason: format!("the server answered {status}"),
                pause: seconds.map(|seconds| Duration::from_secs(seconds).min(MAX_PAUSE)),
            };
        }
        401 | 403 | 407 => {
            "the file asks for a login or permission; fetch it with a browser and repeat this with \
             --from file:///..."
        }
        404 | 410 => {
            "the file is not there; give another address with --from, or fetch it by hand and \
             repeat this with --from file:///..."
        }
        _ => "that is no answer to a request for a file; check the address",
    };
    Trouble::Final(FetchError::Refused {
        address: address.to_string(),
        status,
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_taken_apart() {
        assert_eq!(parse_range("bytes 5-9/10"), Some((Some(5), Some(10))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((Some(5), None)));
        assert_eq!(parse_range("bytes */10"), Some((None, Some(10))));
        assert_eq!(parse_range("5-9/10"), None);
    }
}
