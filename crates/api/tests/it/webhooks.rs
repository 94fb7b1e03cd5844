//! Webhooks: verified, kept once, refused for the right reason.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;
use trackside_api::{WebhookScheme, WebhookSource, WebhookSources};
use trackside_core::Timestamp;

use crate::service::{Service, body, problem, setup};

const BODY: &str = r#"{ "action": "opened",  "number": 12345678901234567890 }"#;

async fn service() -> Service {
    let source = |scheme, secrets: &[&str]| {
        let secrets = secrets.iter().map(|secret| (*secret).into()).collect();
        WebhookSource::new(scheme, secrets, "enhancement".parse().unwrap())
    };
    let mut setup = setup().await;
    setup.state.webhooks = Arc::new(WebhookSources::from([
        (
            "github".to_owned(),
            WebhookSource {
                keep_headers: vec!["x-github-hook-id".parse().unwrap()],
                ..source(WebhookScheme::GitHub, &["new", "old"])
            },
        ),
        ("stripe".to_owned(), source(WebhookScheme::Stripe, &["whsec_1"])),
        (
            "ours".to_owned(),
            WebhookSource {
                kind: Some("ticket".into()),
                max_body_bytes: 100,
                ..source(WebhookScheme::Generic, &["s"])
            },
        ),
    ]));
    Service::with(setup).await
}

fn sign(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

fn now_s() -> u64 {
    Timestamp::now().as_millis() / 1_000
}

fn github(service: &Service, delivery: &str, secret: &str) -> RequestBuilder {
    service
        .post("/webhooks/github")
        .header("x-github-event", "issues")
        .header("x-github-delivery", delivery)
        .header("x-hub-signature-256", format!("sha256={}", sign(secret, BODY)))
        .body(BODY)
}

fn stripe(service: &Service, event: &str, at: u64, signatures: &str) -> RequestBuilder {
    service.post("/webhooks/stripe").header("stripe-signature", format!("t={at},{signatures}")).body(event.to_owned())
}

fn generic(service: &Service, delivery: &str, at: u64, body: &str) -> RequestBuilder {
    let signature = format!("t={at},v1={}", sign("s", &format!("{at}.{delivery}.{body}")));
    let request = service.post("/webhooks/ours").header("x-trackside-delivery", delivery);
    request.header("x-trackside-signature", signature).body(body.to_owned())
}

#[tokio::test]
async fn a_delivery_of_github_becomes_a_task_with_its_body_as_it_was() {
    let service = service().await;
    let response = github(&service, "72d3162e", "new").header("x-github-hook-id", "7").send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let taken = body(response, 202).await;
    assert_eq!(
        (&taken["delivery"], &taken["status"], taken.get("replayed")),
        (&json!("72d3162e"), &json!("queued"), None)
    );
    assert_eq!(location, format!("/v1/tasks/{}", taken["task_id"].as_str().unwrap()));
    let text = service.get("/v1/queues/enhancement/tasks").send().await.unwrap().text().await.unwrap();
    assert!(text.contains(BODY), "the very text: {text}");
    let task = service.lease("enhancement").await;
    assert_eq!((&task["task_id"], &task["kind"]), (&taken["task_id"], &json!("webhook.github")));
    let payload = &task["payload"];
    assert_eq!(
        (&payload["source"], &payload["delivery"], &payload["event"]),
        (&json!("github"), &json!("72d3162e"), &json!("issues"))
    );
    assert_eq!(payload["headers"], json!({"x-github-hook-id": "7"}));
    assert_eq!(payload["body"]["action"], "opened");
}

#[tokio::test]
async fn a_delivery_that_comes_again_answers_the_same_task() {
    let service = service().await;
    let first = body(github(&service, "one", "new").send().await.unwrap(), 202).await;
    let again = github(&service, "one", "old").send().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    let again = body(again, 202).await;
    assert_eq!((&again["task_id"], &again["replayed"]), (&first["task_id"], &json!(true)));
    let changed = BODY.replace("opened", "edited");
    let changed = service
        .post("/webhooks/github")
        .header("x-github-delivery", "one")
        .header("x-github-event", "issues")
        .header("x-hub-signature-256", format!("sha256={}", sign("new", &changed)))
        .body(changed);
    let changed = body(changed.send().await.unwrap(), 202).await;
    assert_eq!(
        (&changed["task_id"], &changed["replayed"]),
        (&first["task_id"], &json!(true)),
        "the first body is kept"
    );
    assert_eq!(changed["status"], "queued");
    let other = body(github(&service, "two", "new").send().await.unwrap(), 202).await;
    assert_ne!(other["task_id"], first["task_id"]);
    assert_eq!(service.read("/v1/queues/enhancement").await["depth"], 2);
}

#[tokio::test]
async fn what_nobody_who_knows_a_secret_has_sent_is_refused() {
    let service = service().await;
    let right = format!("sha256={}", sign("new", BODY));
    for signature in [
        None,
        Some(String::new()),
        Some(format!("sha256={}", sign("guessed", BODY))),
        Some(format!("sha256={}", sign("new", "another body"))),
        Some(right[..right.len() - 2].to_owned()),
        Some(right.replace("sha256=", "sha1=")),
        Some(right.replace("sha256=", "")),
        Some("sha256=".to_owned()),
    ] {
        let mut request = service.post("/webhooks/github").header("x-github-delivery", "d").body(BODY);
        if let Some(signature) = &signature {
            request = request.header("x-hub-signature-256", signature);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["www-authenticate"], "HMAC-SHA256", "{signature:?}");
        problem(response, 401, "signature-invalid").await;
    }
    let twice = github(&service, "d", "new").header("x-hub-signature-256", &right).send().await.unwrap();
    problem(twice, 401, "signature-invalid").await;
    problem(service.get("/v1/queues/enhancement").send().await.unwrap(), 404, "not-found").await;
}

#[tokio::test]
async fn an_event_of_stripe_is_known_by_its_id_whatever_surrounds_it() {
    let service = service().await;
    let event = r#"{"id": "evt_1", "type": "invoice.paid", "pending_webhooks": 2}"#;
    let at = now_s() - 10;
    let right = sign("whsec_1", &format!("{at}.{event}"));
    let signatures = format!("v1={},v1={right},v0={right}", sign("other", event));
    let taken = body(stripe(&service, event, at, &signatures).send().await.unwrap(), 202).await;
    assert_eq!(taken["delivery"], "evt_1");

    let later = event.replace('2', "1");
    let signature = format!("v1={}", sign("whsec_1", &format!("{at}.{later}")));
    let again = body(stripe(&service, &later, at, &signature).send().await.unwrap(), 202).await;
    assert_eq!((&again["delivery"], &again["replayed"]), (&json!("evt_1"), &json!(true)));
    let task = service.lease("enhancement").await;
    assert_eq!(
        (&task["payload"]["event"], &task["payload"]["body"]["pending_webhooks"]),
        (&json!("invoice.paid"), &json!(2))
    );
    assert_eq!(service.lease("enhancement").await, Value::Null, "it is there once");
}

#[tokio::test]
async fn a_signature_that_is_too_old_or_from_the_future_is_refused() {
    let service = service().await;
    for at in [now_s() - 330, now_s() + 330, 0] {
        problem(generic(&service, "d", at, "{}").send().await.unwrap(), 401, "signature-invalid").await;
        let signature = format!("v1={}", sign("whsec_1", &format!("{at}.{{\"id\":\"e\"}}")));
        let old = stripe(&service, r#"{"id":"e"}"#, at, &signature).send().await.unwrap();
        problem(old, 401, "signature-invalid").await;
    }
    let taken = body(generic(&service, "d", now_s() - 200, "{}").send().await.unwrap(), 202).await;
    assert_eq!(taken["status"], "queued");
}

#[tokio::test]
async fn our_own_signature_covers_the_delivery_too() {
    let service = service().await;
    let request = || generic(&service, "d-1", now_s(), "[1]").header("x-trackside-event", "ticket.created");
    let taken = body(request().send().await.unwrap(), 202).await;
    let task = service.lease("enhancement").await;
    assert_eq!((&task["task_id"], &task["kind"]), (&taken["task_id"], &json!("ticket")));
    let expected = json!({"source": "ours", "delivery": "d-1", "event": "ticket.created", "body": [1]});
    assert_eq!(task["payload"], expected);

    // What was overheard is not taken under another name.
    let mut overheard = request().build().unwrap();
    overheard.headers_mut().insert("x-trackside-delivery", "d-2".parse().unwrap());
    let response = reqwest::Client::new().execute(overheard).await.unwrap();
    problem(response, 401, "signature-invalid").await;
}

#[tokio::test]
async fn what_is_genuine_and_not_understood_is_malformed() {
    let service = service().await;
    problem(generic(&service, "d", now_s(), "{").send().await.unwrap(), 400, "malformed-webhook").await;
    problem(generic(&service, "d", now_s(), "").send().await.unwrap(), 400, "malformed-webhook").await;
    problem(generic(&service, "", now_s(), "{}").send().await.unwrap(), 400, "malformed-webhook").await;
    problem(generic(&service, "two words", now_s(), "{}").send().await.unwrap(), 400, "malformed-webhook").await;
    let at = now_s();
    let signature = format!("v1={}", sign("whsec_1", &format!("{at}.[]")));
    problem(stripe(&service, "[]", at, &signature).send().await.unwrap(), 400, "malformed-webhook").await;
}

#[tokio::test]
async fn a_body_that_is_too_long_and_a_source_that_nobody_named_are_refused() {
    let service = service().await;
    let long = format!("\"{}\"", "x".repeat(99));
    problem(generic(&service, "d", now_s(), &long).send().await.unwrap(), 413, "payload-too-large").await;
    let fits = format!("\"{}\"", "x".repeat(98));
    body(generic(&service, "d", now_s(), &fits).send().await.unwrap(), 202).await;
    problem(service.post("/webhooks/gitlab").body("{}").send().await.unwrap(), 404, "not-found").await;
    problem(service.get("/webhooks/github").send().await.unwrap(), 405, "method-not-allowed").await;
}
