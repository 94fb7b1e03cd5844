//! Requests to other services, over TLS where their address says so.

use std::sync::Arc;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioExecutor};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// What sends requests with a whole body.
pub(crate) type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The authorities that this system trusts (or `SSL_CERT_FILE`), where the address needs them.
///
/// # Errors
/// When it needs them and there are none.
pub(crate) fn authorities(uri: &Uri) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if uri.scheme_str() == Some("https") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        ensure!(!roots.is_empty(), "this system has no certificates of authorities");
    }
    Ok(roots)
}

/// A client that keeps so many connections for later, and over TLS believes only those who have a certificate of one of
/// these authorities. It follows no redirects.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn client(roots: RootCertStore, kept_connections: usize) -> anyhow::Result<Client> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().context("TLS")?;
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
    let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
    Ok(builder.pool_max_idle_per_host(kept_connections).build(connector))
}
