//! Sessions on a real Redis: shared by processes, sealed, kept through its death, and never in a log.

use serde_json::{Value, json};
use trackside_testkit::{Fsync, RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

const CURRENT: &str = "/v1/sessions/current";
const OLD: &str = "2026-10:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEW: &str = "2026-11:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

async fn log_in(service: &Service, user: &str) -> anyhow::Result<String> {
    let (status, issued) =
        service.post("/v1/sessions", json!({"user_id": user, "context": {"note": "private"}})).await?;
    assert_eq!(status, 201, "{issued}");
    Ok(issued["token"].as_str().unwrap_or_default().to_owned())
}

/// Status and body of a GET with the token in a cookie; the answer must leave the cookie alone.
async fn current(service: &Service, token: &str) -> anyhow::Result<(u16, Value)> {
    let answer = service.open(CURRENT, &[("cookie", &format!("__Host-session={token}"))]).await?;
    assert!(!answer.headers().contains_key("set-cookie"));
    let status = answer.status().as_u16();
    assert_eq!(status == 503, answer.headers().contains_key("retry-after"));
    assert_eq!(status == 401, answer.headers().contains_key("www-authenticate"));
    Ok((status, answer.json().await?))
}

#[tokio::test]
async fn a_redis_that_is_killed_logs_nobody_out_and_what_it_kept_is_let_in_again() -> anyhow::Result<()> {
    let redis = RedisServer::builder().appendonly(Fsync::Always).start().await?;
    let home = Home::new()?;
    let service = Service::start(&home, Some(&redis.url())).await?;
    let token = log_in(&service, "ada").await?;
    assert_eq!(current(&service, &token).await?.0, 200);
    redis.kill9();
    for _ in 0..3 {
        let (status, problem) = current(&service, &token).await?;
        assert_eq!((status, &problem["code"]), (503, &json!("store-unavailable")), "{problem}");
    }
    let (status, health) = service.get("/health").await?;
    assert_eq!((status, &health["components"]["sessions"]["status"]), (200, &json!("degraded")), "{health}");
    redis.restart().await?;
    let is_in = || async { current(&service, &token).await.is_ok_and(|(status, _)| status == 200) };
    eventually(is_in, PATIENCE).await;
    assert_eq!(current(&service, &token).await?.1["context"], json!({"note": "private"}));

    // Without its data nobody is let in: forgetting is a logout.
    redis.cli(&["FLUSHALL"]);
    assert_eq!(current(&service, &token).await?.0, 401);
    Ok(())
}

#[tokio::test]
async fn processes_share_sessions_that_are_sealed_and_the_key_is_changed_without_logging_anybody_out()
-> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let (first_home, second_home) = (Home::new()?, Home::new()?);
    let first = Service::start_with(&first_home, Some(&redis.url()), &[("TRACKSIDE_SESSION__KEYS", OLD)]).await?;
    let file = second_home.path().join("keys");
    std::fs::write(&file, format!("{NEW}\n{OLD}\n"))?;
    let path = file.display().to_string();
    let second =
        Service::start_with(&second_home, Some(&redis.url()), &[("TRACKSIDE_SESSION__KEYS_FILE", &path)]).await?;
    let token = log_in(&first, "ada").await?;
    let (status, session) = current(&second, &token).await?;
    assert_eq!((status, &session["context"]), (200, &json!({"note": "private"})), "{session}");
    let id = session["session_id"].as_str().unwrap_or_default();
    let key = redis.cli(&["KEYS", "session:*"]).lines().find(|key| key.ends_with(id)).unwrap_or_default().to_owned();
    let stored = redis.cli(&["HGETALL", &key]);
    let secret = &token[token.len() - 40..];
    assert!(stored.contains("2026-10") && !stored.contains("private") && !stored.contains(secret), "{stored}");

    let (status, _) = second.delete("/v1/users/ada/sessions").await?;
    assert_eq!(status, 204);
    assert_eq!(current(&first, &token).await?.0, 401, "logged out in every process");
    Ok(())
}

#[tokio::test]
async fn neither_the_log_nor_the_metrics_nor_the_description_have_a_token_or_a_context() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = Service::start_with(&home, None, &[("TRACKSIDE_LOG", "trace")]).await?;
    let token = log_in(&service, "ada").await?;
    assert_eq!(current(&service, &token).await?.0, 200);
    let (status, turned) = service.post("/v1/sessions/current/rotate", json!({})).await?;
    assert_eq!(status, 401, "{turned}");
    let cut = &token[..token.len() - 1];
    let (status, refused) = current(&service, cut).await?;
    assert!(status == 401 && !refused.to_string().contains(&cut[60..]), "{refused}");
    let metrics = service.open("/metrics", &[]).await?.text().await?;
    assert!(metrics.contains("trackside_session_loads_total"), "{metrics}");
    let (status, log) = service.terminate().await?;
    assert!(status.success() && log.contains(CURRENT), "{log}");
    for text in [&metrics, &log] {
        assert!(!text.contains(&token[60..token.len() - 1]) && !text.contains("private"), "{text}");
    }
    Ok(())
}
