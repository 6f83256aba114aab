use std::path::PathBuf;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use super::FetchError;

/// Where a file is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A server, `http://...` or `https://...`.
    Web(Uri),
    /// A file of this machine, `file:///...`.
    File(PathBuf),
}

impl Address {
    /// # Errors
    /// When the address has another scheme, user data or characters that no address has.
    pub fn parse(text: &str) -> Result<Self, FetchError> {
        match text.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(PathBuf::from(path))),
            Some(("http" | "https", _)) => parse_web(text).map(Self::Web),
            _ => Err(FetchError::address(
                text,
                "give an address that begins with https://, http:// or file:///",
            )),
        }
    }
}

/// # Errors
/// As [`Address::parse`].
pub(super) fn parse_web(text: &str) -> Result<Uri, FetchError> {
    let wrong = |reason: &str| FetchError::address(text, reason);
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(
            "it holds spaces or letters outside ASCII; write them as %20 and the like",
        ));
    }
    let address: Uri = text
        .parse()
        .map_err(|error| FetchError::address(text, format!("{error}")))?;
    if !matches!(address.scheme_str(), Some("http" | "https")) {
        return Err(wrong("it is neither https:// nor http://"));
    }
    let Some(authority) = address.authority().filter(|_| address.host() != Some("")) else {
        return Err(wrong("it has no host"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("a user name or password in it is not supported"));
    }
    if authority.as_str().len() > authority.host().len() && address.port_u16().is_none() {
        return Err(wrong("the port is no number"));
    }
    Ok(address)
}

/// Whether the connection is to be encrypted.
pub(super) fn is_secure(address: &Uri) -> bool {
    address.scheme() == Some(&Scheme::HTTPS)
}

/// The address that a redirect leads to.
///
/// # Errors
/// When it is none, or leads from an encrypted connection to an open one.
pub(super) fn join(base: &Uri, location: &str) -> Result<Uri, FetchError> {
    let scheme = base.scheme_str().unwrap_or_default();
    let authority = base.authority().map_or("", |authority| authority.as_str());
    let start = location.split(['/', '?', '#']).next();
    let absolute = if start.is_some_and(|start| start.ends_with(':')) {
        location.to_string()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let next = parse_web(&absolute)?;
    if is_secure(base) && !is_secure(&next) {
        let reason = format!("{base} redirects there, from an encrypted connection to an open one");
        return Err(FetchError::address(&absolute, reason));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(text: &str) -> Uri {
        parse_web(text).unwrap()
    }

    #[test]
    fn addresses_are_taken_apart() {
        let plain = web("http://localhost:8000/a/b.pth?x=1#part");
        assert_eq!((is_secure(&plain), plain.port_u16()), (false, Some(8000)));
        assert_eq!(plain.host(), Some("localhost"));
        assert_eq!(plain.path_and_query().unwrap(), "/a/b.pth?x=1");
        assert_eq!(web("https://host").path(), "/");
        assert!(is_secure(&web("https://host")));
        assert_eq!(web("https://host?q").to_string(), "https://host/?q");
        assert_eq!(web("http://[::1]:90/x").host(), Some("[::1]"));
        assert_eq!(web("http://[::1]:90/x").to_string(), "http://[::1]:90/x");
        assert_eq!(
            Address::parse("file:///tmp/a b").unwrap(),
            Address::File(PathBuf::from("/tmp/a b"))
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "ftp://host/x",
            "host/x",
            "file://x",
            "https://",
            "https://:80/",
            "http://host:port/",
            "https://user:secret@host/",
            "https://host/a b",
            "https://host/\r\nHost: other",
            "http://[::1/x",
        ] {
            let error = Address::parse(wrong).unwrap_err();
            assert!(matches!(error, FetchError::Address { .. }), "{wrong}");
        }
    }

    #[test]
    fn redirects_are_relative_to_the_address() {
        let base = web("https://host/a/b.pth?x=1");
        for (location, expected) in [
            ("/c?d", "https://host/c?d"),
            ("c.pth", "https://host/a/c.pth"),
            ("c?d=http://e", "https://host/a/c?d=http://e"),
            ("//other/c", "https://other/c"),
            ("https://cdn:8443/c", "https://cdn:8443/c"),
        ] {
            assert_eq!(join(&base, location).unwrap().to_string(), expected);
        }
        assert!(join(&base, "http://host/c").is_err());
        assert!(join(&base, "ftp://host/c").is_err());
        assert!(join(&web("http://host/a"), "https://host/c").is_ok());
    }
}
