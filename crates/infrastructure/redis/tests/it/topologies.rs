//! Unix socket, TLS, Sentinel and Cluster.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use trackside_core::ErrorKind;
use trackside_redis::{ClientCertificate, Command, Config, RedisService, TlsConfig};
use trackside_testkit::{RedisServer, TlsFiles, eventually};

use crate::support::{PATIENCE, config, connected, on, touch};

#[tokio::test]
async fn a_unix_socket_serves_like_a_port() {
    let server = RedisServer::builder().unix_socket().start().await.unwrap();
    assert!(server.url().starts_with("redis+unix://"));
    let redis = on(&server).await;
    touch(&redis).await.unwrap();
    server.kill9();
    server.restart().await.unwrap();
    crate::support::recovered(&redis).await;
}

/// An authority and what it signed.
struct Certificates {
    folder: TempDir,
    ca_pem: String,
    client: ClientCertificate,
}

impl Certificates {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose subject is its issuer's for a self-signed one.
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let signed = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
            (cert.pem(), key.serialize_pem())
        };
        let folder = TempDir::new().unwrap();
        let (cert, key) = signed("127.0.0.1");
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), cert).unwrap();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        let (cert, key) = signed("client");
        let client = ClientCertificate { cert_pem: cert.into_bytes(), key_pem: key.into() };
        Self { folder, ca_pem: ca.pem(), client }
    }

    fn files(&self, client_auth: bool) -> TlsFiles {
        let file = |name: &str| -> PathBuf { self.folder.path().join(name) };
        TlsFiles { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem"), client_auth }
    }
}

#[tokio::test]
async fn tls_needs_the_authority_that_signed_the_server() {
    let certificates = Certificates::new();
    let server = RedisServer::builder().tls(certificates.files(false)).start().await.unwrap();
    let tls = TlsConfig { ca_pem: Some(certificates.ca_pem.clone().into_bytes()), client: None };
    let redis = connected(Config { tls, ..config(&server) }).await;
    touch(&redis).await.unwrap();
    let other = TlsConfig { ca_pem: Some(Certificates::new().ca_pem.into_bytes()), client: None };
    let stranger = RedisService::start(Config { tls: other, ..config(&server) }).unwrap();
    let refused = || async {
        let state = stranger.connection().borrow().to_string();
        if state.contains("Certificate") { Ok(()) } else { Err(state) }
    };
    eventually(refused, PATIENCE).await;
    assert_eq!(touch(&stranger).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn tls_with_a_client_certificate_lets_its_owner_in() {
    let certificates = Certificates::new();
    let server = RedisServer::builder().tls(certificates.files(true)).start().await.unwrap();
    let ca_pem = Some(certificates.ca_pem.clone().into_bytes());
    let tls = TlsConfig { ca_pem, client: Some(certificates.client.clone()) };
    let redis = connected(Config { tls, ..config(&server) }).await;
    touch(&redis).await.unwrap();
    assert_eq!(server.cli(&["GET", "touched"]), "1");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_read_is_told_at_the_start() {
    let server = RedisServer::shared().await;
    let url = server.url().replace("redis://", "rediss://");
    let tls = TlsConfig { ca_pem: Some(b"not PEM".to_vec()), client: None };
    let error = RedisService::start(Config { tls, ..Config::new(url.parse().unwrap()) }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[tokio::test]
async fn database_indices_are_kept_apart() {
    let server = RedisServer::start().await.unwrap();
    let url = format!("{}/5", server.url());
    let redis = connected(Config::new(url.parse().unwrap())).await;
    redis.execute("test.write", Command::new("SET").key("k").arg("five")).await.unwrap();
    assert_eq!(server.cli(&["GET", "k"]), "", "database 0 has none");
    server.kill9();
    server.restart().await.unwrap();
    crate::support::recovered(&redis).await;
    touch(&redis).await.unwrap();
    assert!(server.cli(&["INFO", "keyspace"]).contains("db5:"), "and the index outlives a reconnect");
}
