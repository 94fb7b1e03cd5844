//! API keys: who is let in, and what for.

use std::sync::Arc;

use reqwest::{Client, RequestBuilder, redirect::Policy};
use serde_json::{Value, json};
use tokio::sync::watch;
use trackside_api::{Access, ApiKeyRecord, ApiKeySecret, ApiState, Binding, KeyRing, Scope};
use trackside_core::Timestamp;

use crate::{
    documents::operations,
    service::{Service, body, problem, setup},
};

/// A service that asks for keys.
pub(crate) struct Guarded {
    pub(crate) service: Service,
    pub(crate) keys: watch::Sender<Arc<KeyRing>>,
    records: Vec<ApiKeyRecord>,
}

// === impl Guarded ===

impl Guarded {
    pub(crate) async fn start() -> Self {
        Self::configured(|_| {}).await
    }

    /// The same with other parts.
    pub(crate) async fn configured(change: impl FnOnce(&mut ApiState)) -> Self {
        let mut setup = setup().await;
        change(&mut setup.state);
        let (access, keys) = Access::by_keys(KeyRing::default());
        setup.state.access = access;
        Self { service: Service::with(setup).await, keys, records: Vec::new() }
    }

    /// A new key, which is good from now on.
    pub(crate) fn key(&mut self, scopes: &[Scope], binding: Binding) -> String {
        let secret = ApiKeySecret::generate().unwrap();
        self.records.push(ApiKeyRecord::new("test", &secret, scopes, binding, None));
        self.renew();
        secret.expose().to_owned()
    }

    fn renew(&self) {
        self.keys.send_replace(KeyRing::new(self.records.clone()).unwrap().into());
    }

    /// A request to an operation of the document, whose names are filled in, and the answer's status and body.
    pub(crate) async fn ask(&self, operation: &str, key: Option<&str>, words: &Value) -> (u16, Value) {
        let (method, path) = operation.split_once(' ').unwrap();
        let mut request = self.service.request(method, path);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        if !words.is_null() {
            request = request.json(words);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        // A stream that is open has no end to wait for.
        let is_stream = status == 200 && response.headers()["content-type"] == "text/event-stream";
        let text = if is_stream { String::new() } else { response.text().await.unwrap() };
        (status, serde_json::from_str(&text).unwrap_or_default())
    }
}

/// The scope that an operation asks for; `None` for one that asks for no key.
pub(crate) fn scope_of(operation: &Value) -> Option<&str> {
    operation["security"].as_array().unwrap().first().and_then(|with| with["api_key"][0].as_str())
}

/// An operation with plausible names in its path.
fn filled(operation: &str) -> String {
    let task = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";
    let names = [("{id}", task), ("{slug}", "internal"), ("{source}", "nobody")];
    let filled = names.iter().fold(operation.to_owned(), |path, (name, value)| path.replace(name, value));
    ["queue", "user_id", "name", "project_id", "namespace", "key", "tag", "policy"]
        .iter()
        .fold(filled, |path, name| path.replace(&format!("{{{name}}}"), "x"))
}

/// The form of the page, as a browser sends it.
fn filled_in(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("content-type", "application/x-www-form-urlencoded").body(format!("key={key}"))
}

#[tokio::test]
async fn without_a_key_every_operation_answers_401_except_those_that_are_meant_to_be_open() {
    let service = Guarded::start().await;
    let document = service.service.read("/openapi.json").await;
    let mut open = Vec::new();
    for (name, operation) in operations(&document) {
        if scope_of(operation).is_none() {
            open.push(name);
            continue;
        }
        let (status, problem) = service.ask(&filled(&name), None, &json!(null)).await;
        assert_eq!((status, problem["code"].as_str()), (401, Some("unauthorized")), "{name}");
    }
    let sessions = open.iter().filter(|name| name.contains(" /v1/sessions/current")).count();
    let others: Vec<&str> = open.iter().map(String::as_str).filter(|name| !name.contains("/v1/sessions/")).collect();
    let meant = [
        "GET /",
        "GET /health/live",
        "GET /health/ready",
        "POST /login",
        "POST /logout",
        "GET /problems/{slug}",
        "POST /webhooks/{source}",
    ];
    assert_eq!(others, meant);
    assert!(sessions <= 4, "a session has a credential of its own");
}

#[tokio::test]
async fn a_key_with_one_scope_is_told_which_one_is_missing_everywhere_else() {
    let mut service = Guarded::start().await;
    let document = service.service.read("/openapi.json").await;
    for scope in [Scope::Read, Scope::Enqueue, Scope::Work, Scope::Control, Scope::Brake] {
        let key = service.key(&[scope], Binding::default());
        for (name, operation) in operations(&document) {
            let Some(asked) = scope_of(operation) else { continue };
            let asked = Scope::ALL.into_iter().find(|it| it.as_str() == asked).unwrap();
            if scope.includes(asked) {
                continue;
            }
            let (status, problem) = service.ask(&filled(&name), Some(&key), &json!(null)).await;
            assert_eq!((status, problem["code"].as_str()), (403, Some("missing-scope")), "{name}");
            assert!(problem["detail"].as_str().unwrap().contains(&format!("`{}`", asked.as_str())), "{problem}");
        }
    }
}

#[tokio::test]
async fn a_key_for_the_brake_pulls_and_releases_it() {
    let mut service = Guarded::start().await;
    let key = service.key(&[Scope::Brake], Binding::default());
    for operation in ["PUT /v1/brake", "DELETE /v1/brake", "POST /v1/agents/u/pause", "POST /v1/agents/u/resume"] {
        assert_eq!(service.ask(operation, Some(&key), &json!(null)).await.0, 200, "{operation}");
    }
}

#[tokio::test]
async fn a_key_is_taken_from_either_header_and_lets_in_until_it_is_revoked_or_over() {
    let mut service = Guarded::start().await;
    let key = service.key(&[Scope::Read], Binding::default());
    let get = |service: &Guarded| service.service.get("/v1/queues");
    let bearer = get(&service).header("authorization", format!("Bearer {key}")).send().await.unwrap();
    assert_eq!(bearer.status(), 200);
    assert_eq!(service.ask("GET /v1/queues", Some(&key), &json!(null)).await.0, 200);
    // The token of a session is not for this.
    let session = get(&service).header("authorization", "Bearer trs1_AAAA").send().await.unwrap();
    assert_eq!(session.headers()["www-authenticate"], "Bearer realm=\"trackside\"");
    problem(session, 401, "unauthorized").await;
    let both =
        get(&service).header("authorization", "Bearer trs1_AAAA").header("x-api-key", &key).send().await.unwrap();
    assert_eq!(both.status(), 200);
    let slipped = service.ask("GET /v1/queues", Some(&key[..key.len() - 1]), &json!(null)).await;
    assert!(slipped.1["detail"].as_str().unwrap().contains("missing or wrong"), "{slipped:?}");

    service.records[0].expires_at = Some(Timestamp::from_millis(1));
    service.renew();
    let (status, over) = service.ask("GET /v1/queues", Some(&key), &json!(null)).await;
    assert_eq!((status, over["detail"].as_str()), (401, Some("the API key has expired")));
    service.records.clear();
    service.renew();
    assert_eq!(service.ask("GET /v1/queues", Some(&key), &json!(null)).await.0, 401);
    // What needs no key does not ask whether an old one is still good.
    assert_eq!(service.ask("GET /health/live", Some(&key), &json!(null)).await.0, 200);
}

#[tokio::test]
async fn a_browser_logs_in_at_the_page_and_keeps_its_key_out_of_reach_of_scripts() {
    let mut service = Guarded::start().await;
    let key = service.key(&[Scope::Read], Binding::default());
    let browser = Client::builder().redirect(Policy::none()).build().unwrap();
    let url = &service.service.url;
    let page = browser.get(format!("{url}/")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("action=\"/login\"") && page.contains("trackside token create"), "{page}");
    let wrong = filled_in(browser.post(format!("{url}/login")), "trk_wrong").send().await.unwrap();
    problem(wrong, 401, "unauthorized").await;
    let login = || filled_in(browser.post(format!("{url}/login")), &key);
    let let_in = login().send().await.unwrap();
    assert_eq!((let_in.status().as_u16(), &let_in.headers()["location"]), (303, &"/".parse().unwrap()));
    let cookie = let_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert_eq!(cookie, format!("trackside_key={key}; Path=/; HttpOnly; SameSite=Strict"));
    let proxied = login().header("x-forwarded-proto", "https").send().await.unwrap();
    assert!(proxied.headers()["set-cookie"].to_str().unwrap().ends_with("; Secure"));
    let other_site = login().header("sec-fetch-site", "cross-site").send().await.unwrap();
    problem(other_site, 403, "cross-site-request").await;

    let with_cookie =
        |path: &str| browser.get(format!("{url}{path}")).header("cookie", cookie.split(';').next().unwrap());
    assert_eq!(with_cookie("/v1/queues").send().await.unwrap().status(), 200);
    let mut stream = with_cookie("/api/jobs/events").send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some());
    let forgotten = browser.post(format!("{url}/logout")).send().await.unwrap();
    assert!(forgotten.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn a_stream_ends_with_the_key_that_opened_it() {
    let mut service = Guarded::start().await;
    let key = service.key(&[Scope::Read], Binding::default());
    let mut stream = service.service.get("/api/jobs/events").header("x-api-key", &key).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    // Another key changes nothing, and its own end ends the stream.
    let other = service.key(&[Scope::Read], Binding::default());
    let mut still = service.service.get("/api/jobs/events").header("x-api-key", &other).send().await.unwrap();
    service.records.remove(0);
    service.renew();
    while stream.chunk().await.unwrap().is_some() {}
    assert!(still.chunk().await.unwrap().is_some());
}

#[tokio::test]
async fn the_document_says_how_to_show_a_key() {
    let service = Service::start().await;
    let document = service.read("/openapi.json").await;
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["api_key"]["scheme"], "bearer");
    assert_eq!(schemes["api_key_header"]["name"], "X-API-Key");
    let enqueue = &document["paths"]["/v1/queues/{queue}/tasks"]["post"]["security"];
    assert_eq!(enqueue, &json!([{"api_key": ["enqueue"]}, {"api_key_header": ["enqueue"]}]));
    // Without keys, everything is as open as it was, and there is nothing to log in to.
    let refused = filled_in(service.post("/login"), "x").send().await.unwrap();
    body(refused, 409).await;
}
