use std::io;
use std::time::Duration;

use ureq::http::header::{CONNECTION, HeaderName};
use ureq::http::{Response, Uri};
use ureq::{Agent, Body, Error};

use super::FetchError;
use super::address::is_secure;
use super::answer::Trouble;
use super::proxy::proxy_of;
use super::tls::encrypted;

/// How long a server may keep silent, and how long it may take for the head of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Until the connection is made.
    pub connect: Duration,
    /// Between two pieces of an answer.
    pub silence: Duration,
}

/// Asks for the file at `address` and reads the head of the answer; redirects are not followed.
///
/// One connection per request: files are large and few, and each address may have its own proxy.
/// ureq has a proxy open a tunnel also for what is not encrypted.
pub(super) fn get(
    address: &Uri,
    headers: &[(HeaderName, String)],
    limits: Limits,
) -> Result<Response<Body>, Trouble> {
    let proxy = proxy_of(address, |name| std::env::var(name).ok()).map_err(Trouble::Final)?;
    let config = Agent::config_builder()
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("dp-sims/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(limits.connect))
        .timeout_recv_response(Some(limits.silence))
        .timeout_per_read(Some(limits.silence))
        .timeout_per_write(Some(limits.silence));
    let config = if is_secure(address) {
        encrypted(config).map_err(|reason| hopeless(address, reason))?
    } else {
        config
    };
    let agent = config.proxy(proxy).build().new_agent();
    let mut request = agent.get(address.clone()).header(CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.call().map_err(|error| failure(error, address))
}

/// Whether a failed request is worth another attempt.
fn failure(error: Error, address: &Uri) -> Trouble {
    match error {
        // What rustls says of certificates.
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            let mut reason = error.to_string();
            if reason.contains("certificate") {
                reason.push_str(
                    "; where a proxy of your network issues certificates, name the PEM file of \
                     its authority in SSL_CERT_FILE",
                );
            }
            hopeless(address, reason)
        }
        Error::Protocol(_) | Error::LargeResponseHeader(..) => {
            hopeless(address, format!("the answer is no HTTP: {error}"))
        }
        Error::Io(_)
        | Error::Timeout(_)
        | Error::HostNotFound
        | Error::ConnectionFailed
        | Error::ConnectProxyFailed(_) => Trouble::broken(error),
        _ => hopeless(address, error.to_string()),
    }
}

fn hopeless(address: &Uri, reason: String) -> Trouble {
    Trouble::Final(FetchError::Connection {
        address: address.to_string(),
        reason,
    })
}
