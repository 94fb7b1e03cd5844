//! A service with a certificate of its own.

use std::path::Path;

use trackside_testkit::eventually;

use crate::service::{Home, PATIENCE, Service, trackside};

/// Writes a new certificate for `localhost`, which is its own authority, and its key.
fn certify(folder: &Path) -> anyhow::Result<()> {
    let new = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
    std::fs::write(folder.join("key.pem"), new.signing_key.serialize_pem())?;
    std::fs::write(folder.join("cert.pem"), new.cert.pem())?;
    Ok(())
}

/// Whether the service is ready, for a client that trusts this authority.
async fn is_ready(url: &str, authority: &Path) -> bool {
    let mut check = trackside();
    check.args(["healthcheck", "--url", url]).env("SSL_CERT_FILE", authority);
    check.output().await.is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn the_service_speaks_tls_and_shows_a_new_certificate_without_a_restart() -> anyhow::Result<()> {
    let home = Home::new()?;
    certify(home.path())?;
    let (certificate, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let text = |path: &Path| path.display().to_string();
    let (certificate_text, key_text) = (text(&certificate), text(&key));
    let environment =
        [("TRACKSIDE_SERVER__TLS_CERT_FILE", certificate_text.as_str()), ("TRACKSIDE_SERVER__TLS_KEY_FILE", &key_text)];
    let service = Service::start_with(&home, None, &environment).await?;
    assert!(service.url.starts_with("https://"), "{}", service.url);
    let url = service.url.replace("127.0.0.1", "localhost");
    let first = home.path().join("first.pem");
    std::fs::copy(&certificate, &first)?;
    assert!(is_ready(&url, &first).await, "{}", service.log());

    // The two files change one after the other; what does not belong together is not shown.
    certify(home.path())?;
    eventually(|| is_ready(&url, &certificate), PATIENCE).await;
    assert!(!is_ready(&url, &first).await, "the old one is not shown any more");
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_the_start() -> anyhow::Result<()> {
    let home = Home::new()?;
    certify(home.path())?;
    let certificate = home.path().join("cert.pem");
    let other = Home::new()?;
    certify(other.path())?;
    let mut serve = trackside();
    serve.current_dir(home.path()).arg("serve").env("TRACKSIDE_SERVER__TLS_CERT_FILE", &certificate);
    let output = serve.output().await?;
    let said = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(78) && said.contains("go together"), "{said}");
    serve.env("TRACKSIDE_SERVER__TLS_KEY_FILE", other.path().join("key.pem"));
    let output = serve.output().await?;
    let said = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(78) && said.contains("do not belong together"), "{said}");
    Ok(())
}
