//! The TLS side of `rediss://`.

use std::sync::Arc;

use fred::types::config::TlsConnector;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::ExposeSecret;

use crate::{Error, Operation, TlsConfig};

/// A connector that trusts the given authority, or the system's roots when none is given.
pub(super) fn connector(tls: &TlsConfig) -> Result<TlsConnector, Error> {
    let refuse = |reason: String| Error::invalid_input(Operation::new("redis.start"), reason);
    // Named here, so that it does not matter which other provider is linked into the program.
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(format!("tls: {error}")))?;
    let builder = builder.with_root_certificates(roots(tls).map_err(refuse)?);
    let config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain =
                certificates(&client.cert_pem).map_err(|error| refuse(format!("client certificate: {error}")))?;
            let key = PrivateKeyDer::from_pem_slice(client.key_pem.expose_secret().as_bytes())
                .map_err(|error| refuse(format!("client key: {error}")))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| refuse(format!("client certificate: {error}")))?
        }
    };
    Ok(TlsConnector::from(config))
}

fn roots(tls: &TlsConfig) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let authorities = match &tls.ca_pem {
        Some(pem) => certificates(pem).map_err(|error| format!("ca: {error}"))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if authorities.is_empty() {
        return Err("no certificate authority to trust: neither ca_pem nor the system has one".to_owned());
    }
    for authority in authorities {
        roots.add(authority).map_err(|error| format!("ca: {error}"))?;
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}
