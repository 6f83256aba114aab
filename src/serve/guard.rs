//! Who may ask: by the name they use for the server, by the page that they come from, and by a token.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::error::ApiError;
use crate::runtime::token::Token;

/// Who may ask.
#[derive(Clone, Debug)]
pub struct Access {
    /// Names of the server in lower case.
    hosts: Vec<String>,
    /// Whether every address is a name of the server. A page of others reaches it by a name of its own, which
    /// its owner has lead here, and never by an address.
    addresses: bool,
    /// Other pages that may ask, as their `Origin` names them.
    origins: Vec<String>,
    token: Token,
}

impl Access {
    /// Access to a server that is bound to an address, under more names, for pages of other origins, and with a
    /// token unless that is empty.
    pub fn new(bound: SocketAddr, names: &[String], origins: &[String], token: Token) -> Self {
        let own = match bound.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let known = ["localhost", "127.0.0.1", "[::1]", &own];
        let names = names.iter().map(String::as_str);
        Self {
            hosts: known
                .into_iter()
                .chain(names)
                .map(str::to_ascii_lowercase)
                .collect(),
            addresses: !bound.ip().is_loopback(),
            origins: origins.to_vec(),
            token,
        }
    }

    /// Other pages that may ask.
    pub(super) fn origins(&self) -> &[String] {
        &self.origins
    }

    fn knows(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let host = authority.host().to_ascii_lowercase();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        !authority.as_str().contains('@')
            && (self.hosts.contains(&host) || self.addresses && address.parse::<IpAddr>().is_ok())
    }

    fn check_host(&self, request: &Request) -> Result<(), ApiError> {
        let named = request.headers().get_all(header::HOST).iter();
        let named: Vec<_> = named.map(|value| value.to_str().unwrap_or("?")).collect();
        let of_uri = request.uri().authority().map(Authority::as_str);
        let all_known = named
            .iter()
            .copied()
            .chain(of_uri)
            .all(|name| self.knows(name));
        if named.len() == 1 && all_known {
            return Ok(());
        }
        let error = format!("Host: {} is no name of this server", named.join(", "));
        let remedy = "start it with --host NAME for a name that it is to answer to";
        Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            error,
            remedy,
        ))
    }

    fn check_origin(&self, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
        if [Method::GET, Method::HEAD, Method::OPTIONS].contains(method) {
            return Ok(());
        }
        let host = headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        // No browser leaves the origin out.
        for origin in headers.get_all(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or("?");
            let place = ["http://", "https://"]
                .iter()
                .find_map(|scheme| origin.strip_prefix(scheme));
            let is_own = place.is_some_and(|place| place.eq_ignore_ascii_case(host));
            if !is_own && !self.origins.iter().any(|allowed| allowed == origin) {
                let error = format!("Origin: {origin} is another page");
                let remedy = "start the server with --allow-origin ORIGIN for a page that may ask";
                return Err(ApiError::new(StatusCode::FORBIDDEN, error, remedy));
            }
        }
        Ok(())
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.token.is_empty() {
            return Ok(());
        }
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()?.split_once(' '));
        let is_right = given.is_some_and(|(scheme, word)| {
            scheme.eq_ignore_ascii_case("bearer") && self.token.is(word)
        });
        if is_right {
            return Ok(());
        }
        let error = "the token is missing or wrong";
        let remedy =
            "send `Authorization: Bearer TOKEN` with the token that the server was started with";
        Err(ApiError::new(StatusCode::UNAUTHORIZED, error, remedy))
    }
}

/// Refuses those who call the server by another name.
pub(super) async fn hosts(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    access.check_host(&request)?;
    Ok(next.run(request).await)
}

/// Refuses what pages of others send.
pub(super) async fn origins(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    access.check_origin(request.method(), request.headers())?;
    Ok(next.run(request).await)
}

/// Refuses those who do not know the token.
pub(super) async fn token(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    access.check_token(request.headers())?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(bound: &str, names: &[&str]) -> Access {
        let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
        Access::new(bound.parse().unwrap(), &names, &[], Token::new(""))
    }

    #[test]
    fn a_server_of_this_machine_has_few_names() {
        let local = access("127.0.0.1:7860", &["Paint.Example"]);
        for name in [
            "localhost",
            "LOCALHOST:7860",
            "127.0.0.1:1",
            "[::1]:7860",
            "paint.example",
        ] {
            assert!(local.knows(name), "{name}");
        }
        for name in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil@localhost",
            "localhost@evil.example",
            "10.0.0.1",
            "localhost:1:2",
            "localhost/..",
            "127.1",
        ] {
            assert!(!local.knows(name), "{name}");
        }
    }

    #[test]
    fn a_server_of_the_network_is_called_by_its_addresses_too() {
        for bound in ["0.0.0.0:80", "[::]:80", "10.0.0.1:80"] {
            let open = access(bound, &[]);
            for name in ["10.0.0.1", "[fe80::1]:80", "192.168.1.2:80", "localhost"] {
                assert!(open.knows(name), "{bound} {name}");
            }
            assert!(!open.knows("evil.example") && !open.knows("1.2.3.4.evil.example"));
        }
    }
}
