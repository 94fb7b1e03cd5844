//! The certificate of the service, read again when its files change.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::files;

/// A certificate in files, and the one that clients are shown now.
#[derive(Debug)]
pub(crate) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    shown: Arc<Shown>,
}

#[derive(Debug)]
struct Shown(ArcSwap<CertifiedKey>);

// === impl Certificate ===

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// When a file cannot be read, holds nothing of its kind, or the two do not belong together.
    pub(crate) fn read(chain: &Path, key: &Path) -> anyhow::Result<Self> {
        let shown = Arc::new(Shown(ArcSwap::from_pointee(certified(chain, key)?)));
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), shown })
    }

    /// What speaks TLS with it: 1.3 and 1.2, HTTP/2 before HTTP/1.1.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::clone(&self.shown) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Shows each new version of it to new connections until `end`. One that cannot be used is not shown.
    pub(crate) async fn follow(self, end: CancellationToken) {
        let paths = vec![self.chain.clone(), self.key.clone()];
        files::on_change(paths, end, || match certified(&self.chain, &self.key) {
            Ok(new) if new.cert == self.shown.0.load().cert => {}
            Ok(new) => {
                self.shown.0.store(Arc::new(new));
                tracing::info!("new connections are shown the new certificate");
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the new certificate cannot be used; the one before it is shown");
            }
        })
        .await;
    }
}

fn certified(chain: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let at = |path: &Path| path.display().to_string();
    let certificates = CertificateDer::pem_file_iter(chain).with_context(|| at(chain))?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().with_context(|| at(chain))?;
    ensure!(!certificates.is_empty(), "{}: there is no certificate in it", at(chain));
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| at(key))?;
    let provider = CryptoProvider::get_default().context("no cryptography was chosen")?;
    let together = || format!("{} and {} do not belong together", at(chain), at(key));
    CertifiedKey::from_der(certificates, private, provider).with_context(together)
}

// === impl Shown ===

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}
