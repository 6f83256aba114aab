use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use super::FetchError;
use super::address::is_secure;

/// The proxy that the environment names for an address: `HTTPS_PROXY` or `HTTP_PROXY`, then
/// `ALL_PROXY`, in capitals or small letters, unless `NO_PROXY` names the host.
///
/// ureq reads the same variables without telling the two schemes apart, and takes a domain in
/// `NO_PROXY` for one host.
///
/// # Errors
/// When the variable holds no address of an HTTP proxy.
pub(super) fn proxy_of(
    target: &Uri,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, FetchError> {
    let variable = |name: &str| {
        environment(name)
            .or_else(|| environment(&name.to_lowercase()))
            .filter(|value| !value.is_empty())
    };
    let host = target.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if variable("NO_PROXY").is_some_and(|list| is_listed(host, &list)) {
        return Ok(None);
    }
    let own = if is_secure(target) {
        "HTTPS_PROXY"
    } else {
        "HTTP_PROXY"
    };
    let Some(text) = variable(own).or_else(|| variable("ALL_PROXY")) else {
        return Ok(None);
    };
    match Proxy::new(&text) {
        Ok(proxy) if proxy.protocol() == ProxyProtocol::Http && !proxy.host().is_empty() => {
            Ok(Some(proxy))
        }
        _ => Err(FetchError::address(
            &text,
            "a proxy has to be given as http://[USER:PASSWORD@]HOST:PORT",
        )),
    }
}

/// Whether `NO_PROXY` names a host: itself, a domain it belongs to, or `*`.
fn is_listed(host: &str, list: &str) -> bool {
    list.split(',').map(str::trim).any(|entry| {
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        entry == "*"
            || (!domain.is_empty()
                && host
                    .strip_suffix(domain)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(target: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, FetchError> {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_string())
        };
        proxy_of(&target.parse().unwrap(), find)
    }

    fn host(target: &str, variables: &[(&str, &str)]) -> Option<String> {
        let proxy = proxy(target, variables).unwrap();
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2")];
        assert_eq!(host("https://h/x", &both).unwrap(), "s:1");
        assert_eq!(host("http://h/x", &both).unwrap(), "p:2");
        assert_eq!(host("http://h/x", &both[..1]), None);
        assert_eq!(host("http://h/x", &[("ALL_PROXY", "a:3")]).unwrap(), "a:3");
        assert_eq!(host("https://h/x", &[("HTTPS_PROXY", "")]), None);
        assert!(proxy("http://h/x", &[("HTTP_PROXY", "socks5://a:3")]).is_err());
        assert!(proxy("http://h/x", &[("HTTP_PROXY", "http://")]).is_err());
    }

    #[test]
    fn hosts_of_no_proxy_are_asked_directly() {
        let host = |no| {
            host(
                "http://a.example.org/x",
                &[("HTTP_PROXY", "p:1"), ("NO_PROXY", no)],
            )
        };
        for no in [
            "*",
            "a.example.org",
            ".example.org",
            "*.example.org",
            "x, org",
        ] {
            assert_eq!(host(no), None, "{no}");
        }
        for no in ["b.example.org", "ample.org", "", "a"] {
            assert!(host(no).is_some(), "{no}");
        }
        let local = [("HTTP_PROXY", "p:1"), ("NO_PROXY", "::1")];
        assert!(proxy("http://[::1]:90/x", &local).unwrap().is_none());
    }
}
