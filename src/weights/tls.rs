//! Encryption: rustls with the cryptography of graviola, which needs no C compiler.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// Configures encryption.
///
/// The certificates trusted are those of Mozilla, or those of the file that the environment
/// variable `SSL_CERT_FILE` names.
///
/// # Errors
/// When the processor lacks instructions or the file holds no certificate.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn encrypted(
    config: ConfigBuilder<AgentScope>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    use std::sync::Arc;

    use ureq::tls::TlsConfig;

    if !is_supported() {
        return Err(UNSUPPORTED.to_string());
    }
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
        .root_certs(roots()?)
        .build();
    Ok(config.tls_config(tls))
}

/// Other processors have no encryption here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn encrypted(
    _config: ConfigBuilder<AgentScope>,
) -> Result<ConfigBuilder<AgentScope>, String> {
    Err(UNSUPPORTED.to_string())
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn roots() -> Result<ureq::tls::RootCerts, String> {
    use ureq::tls::{PemItem, RootCerts, parse_pem};

    let Some(file) = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()) else {
        return Ok(RootCerts::WebPki);
    };
    let wrong = |reason: &str| format!("SSL_CERT_FILE names {}: {reason}", file.display());
    let pem = crate::runtime::files::read(
        std::path::Path::new(&file),
        crate::runtime::files::MOST_TEXT,
    )
    .map_err(|error| wrong(&error.to_string()))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate"));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// What graviola needs: processors since about 2014.
#[cfg(target_arch = "x86_64")]
fn is_supported() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("aes") && has!("pclmulqdq") && has!("bmi1") && has!("adx") && has!("avx") && has!("avx2")
}

/// What graviola needs.
#[cfg(target_arch = "aarch64")]
fn is_supported() -> bool {
    use std::arch::is_aarch64_feature_detected as has;
    has!("aes") && has!("neon") && has!("pmull") && has!("sha2")
}

const UNSUPPORTED: &str = "this processor lacks the instructions that HTTPS needs here; fetch the \
    file with another program and repeat this with --from file:///..., or give an http:// address \
    there";
