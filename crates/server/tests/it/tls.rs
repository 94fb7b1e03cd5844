//! A service behind TLS, as a reverse proxy would put it there.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use rustls::{ServerConfig, crypto::ring};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Listens with a certificate of its own before a service; answers its address and the file of its authority.
pub(crate) async fn before(url: &str, folder: &Path) -> anyhow::Result<(String, PathBuf)> {
    let service = url.strip_prefix("http://").context("the address of the service")?.to_owned();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    let file = folder.join("authority.pem");
    std::fs::write(&file, key.cert.pem())?;
    let private = key.signing_key.serialize_der().try_into().map_err(anyhow::Error::msg)?;
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)?;
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(tls)), TcpListener::bind("127.0.0.1:0").await?);
    let address = format!("https://localhost:{}", listener.local_addr()?.port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            tokio::spawn(async move {
                let mut outside = acceptor.accept(stream).await?;
                let mut inside = TcpStream::connect(service).await?;
                tokio::io::copy_bidirectional(&mut outside, &mut inside).await
            });
        }
    });
    Ok((address, file))
}
