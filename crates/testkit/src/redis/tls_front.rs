//! TLS in front of a server that was built without it, as the one in the PyPI wheel is: real TLS by rustls.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context, Result};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier},
};

use super::builder::TlsFiles;

/// A listener that ends TLS and passes plain bytes on; gone when dropped.
#[derive(Debug)]
pub(super) struct TlsFront {
    accepting: JoinHandle<()>,
}

// === impl TlsFront ===

impl TlsFront {
    /// Listens on `port` of loopback, in front of `upstream` of loopback. Must be called inside a tokio runtime.
    pub(super) fn start(port: u16, upstream: u16, files: &TlsFiles) -> Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(server_config(files)?));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("the port of the TLS front")?;
        listener.set_nonblocking(true).context("the port of the TLS front")?;
        let listener = TcpListener::from_std(listener).context("the port of the TLS front")?;
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(acceptor.clone(), client, upstream));
            }
        });
        Ok(Self { accepting })
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection; it ends when either side does, as a server's would.
async fn serve(acceptor: TlsAcceptor, client: TcpStream, upstream: u16) {
    let Ok(mut client) = acceptor.accept(client).await else { return };
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else { return };
    // Whichever side broke it, the other sees the end.
    copy_bidirectional(&mut client, &mut server).await.ok();
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig> {
    let certificates = |path| CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let chain = certificates(&files.cert).context("the server's certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).context("the server's key")?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("the protocol versions of TLS")?;
    let builder = if files.client_auth {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.ca).context("the authority's certificate")? {
            roots.add(authority).context("the authority's certificate")?;
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.context("the check of clients")?)
    } else {
        builder.with_no_client_auth()
    };
    builder.with_single_cert(chain, key).context("the server's certificate and key")
}
