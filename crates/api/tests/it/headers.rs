//! What browsers are told with every answer, and which pages may read it.

use http::HeaderMap;
use serde_json::json;

use crate::{
    keys::Guarded,
    service::{Service, problem},
};

const CONSOLE: &str = "https://console.example";

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let service = Service::start().await;
    let stored = service.request("PUT", "/v1/cache/page/evil").header("content-type", "text/html");
    assert!(stored.body("<script>alert(1)</script>").send().await.unwrap().status().is_success());
    for (path, policy) in [
        ("/v1/cache/page/evil", "sandbox"),
        ("/nowhere", "sandbox"),
        ("/v1/queues", "sandbox"),
        ("/", "default-src 'none'"),
        ("/docs/", "default-src 'self'"),
    ] {
        let response = service.get(path).send().await.unwrap();
        let headers = response.headers();
        assert_eq!(text(headers, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(text(headers, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(text(headers, "x-frame-options"), "DENY", "{path}");
        assert!(text(headers, "content-security-policy").contains(policy), "{path}: {headers:?}");
        assert!(text(headers, "strict-transport-security").is_empty(), "{path}: not over TLS");
        assert!(text(headers, "access-control-allow-origin").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_was_shown_for_a_key_is_not_kept_by_others() {
    let service = Guarded::start().await;
    let refused = service.service.get("/v1/queues").send().await.unwrap();
    assert_eq!(text(refused.headers(), "cache-control"), "no-store");
}

#[tokio::test]
async fn pages_of_listed_origins_may_read_answers_and_refusals_and_others_may_not() {
    let service = Service::configured(|config| config.allowed_origins = vec![CONSOLE.to_owned()]).await;
    let ask = |origin: &'static str, path: &str| service.get(path).header("origin", origin).send();
    for path in ["/v1/queues", "/v1/tasks/0198c2d4-7c1e-7448-8000-0d7f5a2f4c11"] {
        let response = ask(CONSOLE, path).await.unwrap();
        assert_eq!(text(response.headers(), "access-control-allow-origin"), CONSOLE, "{path}");
        assert!(text(response.headers(), "access-control-expose-headers").contains("x-correlation-id"));
        let response = ask("https://evil.example", path).await.unwrap();
        assert_eq!(text(response.headers(), "access-control-allow-origin"), "", "{path}");
    }
    let preflight = |origin: &'static str| {
        let request = service.request("OPTIONS", "/v1/queues/q/tasks").header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "x-api-key,content-type").send()
    };
    let allowed = preflight(CONSOLE).await.unwrap();
    assert_eq!(allowed.status(), 200);
    assert!(text(allowed.headers(), "access-control-allow-headers").contains("x-api-key"));
    assert_eq!(text(allowed.headers(), "access-control-allow-credentials"), "true", "for the cookie of a session");
    assert_eq!(text(preflight("https://evil.example").await.unwrap().headers(), "access-control-allow-origin"), "");
    let task = json!({"kind": "k", "payload": 1});
    let post = service.post("/v1/queues/q/tasks").json(&task).header("origin", "https://evil.example");
    problem(post.send().await.unwrap(), 403, "cross-site-request").await;
}
