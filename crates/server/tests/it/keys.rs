//! API keys from the command line to the running service.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;
use trackside_testkit::eventually;

use crate::service::{Home, PATIENCE, Service, trackside};

const FILE: &str = "TRACKSIDE_API_KEYS_FILE";

struct Keys {
    home: Home,
    file: PathBuf,
}

// === impl Keys ===

impl Keys {
    fn new() -> anyhow::Result<Self> {
        let home = Home::new()?;
        let file = home.path().join("keys.toml");
        Ok(Self { home, file })
    }

    fn path(&self) -> anyhow::Result<&str> {
        self.file.to_str().context("a path that is text")
    }

    /// Standard output of `trackside token …`, which succeeds.
    async fn token(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = trackside().arg("token").args(words).env(FILE, &self.file).output().await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn make(&self, words: &[&str]) -> anyhow::Result<String> {
        Ok(self.token(&[&["create"], words].concat()).await?.trim().to_owned())
    }
}

async fn status(service: &Service, path: &str, key: &str) -> anyhow::Result<u16> {
    Ok(service.open(path, &[("authorization", &format!("Bearer {key}"))]).await?.status().as_u16())
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked_while_the_service_runs() -> anyhow::Result<()> {
    let keys = Keys::new()?;
    let first = keys.make(&["--name", "first", "--scope", "read"]).await?;
    let service = Service::start_with(&keys.home, None, &[(FILE, keys.path()?)]).await?;
    assert_eq!(service.get("/v1/queues").await?.0, 401);
    assert_eq!(service.get("/health/ready").await?.0, 200);
    assert_eq!(status(&service, "/v1/queues", &first).await?, 200);

    let second =
        keys.make(&["--name", "second", "--scope", "read,enqueue", "--user", "ada", "--expires-in", "90d"]).await?;
    let is = async |key: &str, path: &str, wanted: u16| status(&service, path, key).await.is_ok_and(|it| it == wanted);
    eventually(|| is(&second, "/v1/agents/ada", 200), PATIENCE).await;
    assert!(is(&second, "/v1/agents/bob", 403).await && is(&second, "/v1/queues", 403).await);

    let listed: Value = serde_json::from_str(&keys.token(&["list", "--json"]).await?)?;
    assert_eq!((&listed[1]["name"], &listed[1]["users"][0]), (&"second".into(), &"ada".into()));
    let table = keys.token(&["list"]).await?;
    assert!(table.contains("user ada") && table.contains("never"), "{table}");
    let id = listed[0]["id"].as_str().context("an id")?;
    keys.token(&["revoke", id]).await?;
    eventually(|| is(&first, "/v1/queues", 401), PATIENCE).await;

    // A broken file leaves the keys in force, and the log says so.
    std::fs::write(&keys.file, "[[key]]\nid = 1\n")?;
    eventually(|| async { service.log().contains("stay in force") }, PATIENCE).await;
    assert!(is(&second, "/v1/agents/ada", 200).await);
    let log = service.log();
    for secret in [&first, &second] {
        assert!(!log.contains(secret.as_str()), "{log}");
    }
    assert!(log.contains(&format!("\"key.id\":\"{id}\"")), "{log}");
    Ok(())
}

#[tokio::test]
async fn with_keys_the_service_may_listen_beyond_loopback_and_without_their_file_it_does_not_start()
-> anyhow::Result<()> {
    let keys = Keys::new()?;
    let serve = |command: &str| {
        let mut trackside = trackside();
        trackside.current_dir(keys.home.path()).args(command.split(' ')).env(FILE, &keys.file);
        trackside.env("TRACKSIDE_LISTEN", "0.0.0.0:0");
        trackside
    };
    let output = serve("serve").output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("trackside token create"), "{said}");
    keys.make(&["--name", "x", "--scope", "admin"]).await?;
    let output = serve("config check").output().await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test]
async fn queue_commands_show_the_key_of_the_environment() -> anyhow::Result<()> {
    let keys = Keys::new()?;
    let key = keys.make(&["--name", "operator", "--scope", "read"]).await?;
    let service = Service::start_with(&keys.home, None, &[(FILE, keys.path()?)]).await?;
    let mut list = trackside();
    list.args(["queue", "ls", "--url", &service.url]);
    let refused = list.output().await?;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("API key"), "{refused:?}");
    let listed = list.env("TRACKSIDE_API_KEY", &key).output().await?;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    Ok(())
}

#[tokio::test]
async fn token_commands_say_what_is_missing() -> anyhow::Result<()> {
    let keys = Keys::new()?;
    let said = async |words: &[&str]| -> anyhow::Result<(Option<i32>, String)> {
        let output = trackside().arg("token").args(words).output().await?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    };
    let (code, text) = said(&["list"]).await?;
    assert!(code == Some(2) && text.contains("TRACKSIDE_API_KEYS_FILE"), "{text}");
    let (code, text) = said(&["--file", keys.path()?, "create", "--name", "x", "--scope", "everything"]).await?;
    assert!(code == Some(2) && text.contains("one of read, enqueue"), "{text}");
    let (code, text) = said(&["--file", keys.path()?, "revoke", "00000000"]).await?;
    assert!(code == Some(1) && text.contains("there is no key 00000000"), "{text}");
    Ok(())
}
