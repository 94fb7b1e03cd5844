//! What somebody may try against sessions over HTTP, and what a store that is away must not do to them.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;
use trackside_core::{ErrorKind, HealthCheck, SystemClock};
use trackside_session::{
    Authority, Config, Creation, Error, Found, Limit, MemorySessionStore, NewRecord, NextSecret, Payload, Saved,
    SecretHash, SessionId, SessionKey, SessionStore, Summary, Turned, UserTag,
};

use crate::{
    service::{Service, body, problem, sessions_over, setup},
    sessions::{log_in, set_cookie, with_token},
};

const CURRENT: &str = "/v1/sessions/current";

/// A store in memory that can be away, and whose saves wait at a gate.
#[derive(Debug)]
struct Doubtful {
    store: MemorySessionStore,
    is_away: AtomicBool,
    /// A save takes one.
    gate: Semaphore,
    /// A save that waits has put one.
    waiting: Semaphore,
}

impl Doubtful {
    async fn service() -> (Arc<Self>, Service) {
        let doubtful = Arc::new(Self {
            store: MemorySessionStore::new(Arc::new(SystemClock::default())),
            is_away: AtomicBool::new(false),
            gate: Semaphore::new(0),
            waiting: Semaphore::new(0),
        });
        let mut setup = setup().await;
        setup.state.sessions = sessions_over(Arc::clone(&doubtful) as _, Config::default());
        let sessions = setup.state.sessions.sessions().clone();
        setup.state.health = Arc::new([Arc::new(sessions) as Arc<dyn HealthCheck>]);
        (doubtful, Service::with(setup).await)
    }

    fn there(&self, operation: &'static str) -> Result<&MemorySessionStore, Error> {
        if self.is_away.load(SeqCst) {
            let source = "redis://:hunter2@10.0.0.7:6379: connection refused".into();
            return Err(Error::Unavailable { operation, kind: ErrorKind::Unavailable, retry_after: None, source });
        }
        Ok(&self.store)
    }
}

#[async_trait]
impl SessionStore for Doubtful {
    async fn create(&self, new: &NewRecord, limit: Option<Limit>) -> Result<Creation, Error> {
        self.there("create")?.create(new, limit).await
    }

    async fn load(&self, key: &SessionKey, secret: &SecretHash, touch_every: Duration) -> Result<Found, Error> {
        self.there("load")?.load(key, secret, touch_every).await
    }

    async fn save(
        &self,
        key: &SessionKey,
        secret: &SecretHash,
        expected: u64,
        context: &Payload,
    ) -> Result<Saved, Error> {
        self.waiting.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        self.there("save")?.save(key, secret, expected, context).await
    }

    async fn rotate(&self, key: &SessionKey, secret: &SecretHash, next: &NextSecret) -> Result<Turned, Error> {
        self.there("rotate")?.rotate(key, secret, next).await
    }

    async fn destroy(&self, key: &SessionKey, authority: Authority<'_>) -> Result<bool, Error> {
        self.there("destroy")?.destroy(key, authority).await
    }

    async fn destroy_all(&self, user: &UserTag, keep: Option<SessionId>) -> Result<(), Error> {
        self.there("destroy_all")?.destroy_all(user, keep).await
    }

    async fn list(&self, user: &UserTag) -> Result<Vec<Summary>, Error> {
        self.there("list")?.list(user).await
    }
}

#[tokio::test]
async fn a_token_that_a_client_brings_to_a_log_in_is_not_taken_over() {
    let service = Service::start().await;
    let planted = log_in(&service, "mallory").await;
    let cookie = format!("__Host-session={planted}");
    let log_in =
        service.post("/v1/sessions").header("cookie", &cookie).json(&json!({"user_id": "ada", "cookie": true}));
    let answer = log_in.send().await.unwrap();
    let (set, _) = set_cookie(&answer).unwrap();
    assert_ne!(set, cookie);
    let issued = body(answer, 201).await;
    assert_ne!(issued["token"], planted);
    // Who planted it has not become ada, and what was planted is over: the browser has left it.
    problem(with_token(&service, "GET", CURRENT, &planted).await, 401, "not-logged-in").await;
    let session = body(service.get(CURRENT).header("cookie", set).send().await.unwrap(), 200).await;
    assert_eq!(session["user_id"], "ada");
}

#[tokio::test]
async fn tampered_and_truncated_tokens_are_401_and_end_nothing() {
    let service = Service::start().await;
    let token = log_in(&service, "ada").await;
    let flipped = |at: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut forged: Vec<String> = [0, 5, 30, 50, token.len() - 2].map(flipped).into();
    forged.extend([0, 1, 5, 40, token.len() - 1].map(|length| token[..length].to_owned()));
    forged.extend(["".to_owned(), format!("{token}A"), token.to_uppercase(), "null".to_owned()]);
    for forged in forged {
        for (method, path) in [("GET", CURRENT), ("DELETE", CURRENT), ("POST", "/v1/sessions/current/rotate")] {
            for (name, value) in
                [("authorization", format!("Bearer {forged}")), ("cookie", format!("__Host-session={forged}"))]
            {
                let refused = service.request(method, path).header(name, value).send().await.unwrap();
                assert_eq!(refused.headers()["www-authenticate"], "Bearer", "{method} {forged}");
                let refused = problem(refused, 401, "not-logged-in").await;
                assert!(forged.len() < 6 || !refused.to_string().contains(&forged), "{refused}");
            }
        }
        let patch = service.request("PATCH", CURRENT).bearer_auth(&forged).json(&json!({"context": {"admin": true}}));
        problem(patch.send().await.unwrap(), 401, "not-logged-in").await;
    }
    let session = body(with_token(&service, "GET", CURRENT, &token).await, 200).await;
    assert_eq!(session["context"], json!({}));
}

#[tokio::test]
async fn without_a_token_nobody_is_let_in() {
    let service = Service::start().await;
    log_in(&service, "ada").await;
    for (method, path) in [("GET", CURRENT), ("DELETE", CURRENT), ("POST", "/v1/sessions/current/rotate")] {
        let refused = service.request(method, path).send().await.unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Bearer");
        problem(refused, 401, "not-logged-in").await;
        let other = service.request(method, path).header("authorization", "Basic YWRhOmFkYQ==").send().await.unwrap();
        problem(other, 401, "not-logged-in").await;
    }
}

#[tokio::test]
async fn with_the_secret_of_one_user_nobody_gets_into_the_session_of_another() {
    let service = Service::start().await;
    let (ada, bob) = (log_in(&service, "ada").await, log_in(&service, "bob").await);
    // 5 characters of prefix; 16 bytes of user and 16 of session are 42⅔ characters: 48 keep the whole groups apart.
    for at in [5 + 20, 5 + 24, 5 + 40, 5 + 44, 5 + 48] {
        for (from, to) in [(&ada, &bob), (&bob, &ada)] {
            let mixed = format!("{}{}", &from[..at], &to[at..]);
            problem(with_token(&service, "GET", CURRENT, &mixed).await, 401, "not-logged-in").await;
            problem(with_token(&service, "DELETE", CURRENT, &mixed).await, 401, "not-logged-in").await;
        }
    }
    for (token, user) in [(&ada, "ada"), (&bob, "bob")] {
        let session = body(with_token(&service, "GET", CURRENT, token).await, 200).await;
        assert_eq!(session["user_id"], user);
        assert_eq!(service.read(&format!("/v1/users/{user}/sessions")).await["sessions"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn another_site_changes_nothing_with_the_cookie_of_a_visitor() {
    let service = Service::start().await;
    let token = log_in(&service, "ada").await;
    let cookie = format!("__Host-session={token}");
    let requests = [
        ("POST", "/v1/sessions", json!({"user_id": "mallory", "cookie": true})),
        ("PATCH", CURRENT, json!({"context": {"admin": true}})),
        ("DELETE", CURRENT, json!(null)),
        ("POST", "/v1/sessions/current/rotate", json!({})),
        ("DELETE", "/v1/users/ada/sessions", json!(null)),
    ];
    for (method, path, request) in requests {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let forged = service.request(method, path).header("cookie", &cookie).header(name, value).json(&request);
            let refused = forged.send().await.unwrap();
            assert_eq!(set_cookie(&refused), None, "{method} {path}");
            problem(refused, 403, "cross-site-request").await;
        }
    }
    let session = body(service.get(CURRENT).header("cookie", &cookie).send().await.unwrap(), 200).await;
    assert_eq!(session["context"], json!({}));
}

#[tokio::test]
async fn fifty_rotations_at_once_leave_one_token_and_the_user_logged_in() {
    let service = Service::start().await;
    let token = log_in(&service, "ada").await;
    let rotate = async |_| {
        let answer = with_token(&service, "POST", "/v1/sessions/current/rotate", &token).await;
        body(answer, 200).await["token"].as_str().unwrap().to_owned()
    };
    let tokens: HashSet<String> = join_all((0..50).map(rotate)).await.into_iter().collect();
    assert_eq!(tokens.len(), 1, "all were told the same");
    let next = tokens.into_iter().next().unwrap();
    assert_ne!(next, token);
    body(with_token(&service, "GET", CURRENT, &next).await, 200).await;
    assert_eq!(service.read("/v1/users/ada/sessions").await["sessions"].as_array().unwrap().len(), 1);

    // After a change of privileges there is one as well; whoever was not first is out.
    let raise = async |_| {
        let request = json!({"reason": "privilege_change"});
        let answer =
            service.post("/v1/sessions/current/rotate").bearer_auth(&next).json(&request).send().await.unwrap();
        (answer.status() == StatusCode::OK)
            .then_some(answer.json::<serde_json::Value>().await.unwrap()["token"].clone())
    };
    let raised: Vec<_> = join_all((0..50).map(raise)).await.into_iter().flatten().collect();
    assert_eq!(raised.len(), 1);
    body(with_token(&service, "GET", CURRENT, raised[0].as_str().unwrap()).await, 200).await;
    problem(with_token(&service, "GET", CURRENT, &next).await, 401, "not-logged-in").await;
}

#[tokio::test]
async fn a_log_out_during_a_slow_request_is_not_undone_by_it() {
    let (doubtful, service) = Doubtful::service().await;
    let token = log_in(&service, "ada").await;
    let slow = service.request("PATCH", CURRENT).bearer_auth(&token).json(&json!({"context": {"a": 1}})).send();
    let log_out = async {
        doubtful.waiting.acquire().await.unwrap().forget();
        let answer = with_token(&service, "DELETE", CURRENT, &token).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        doubtful.gate.add_permits(1);
    };
    let (slow, ()) = tokio::join!(slow, log_out);
    problem(slow.unwrap(), 401, "not-logged-in").await;
    problem(with_token(&service, "GET", CURRENT, &token).await, 401, "not-logged-in").await;
    assert_eq!(service.read("/v1/users/ada/sessions").await["sessions"], json!([]));
}

#[tokio::test]
async fn while_the_store_is_away_everything_is_503_nobody_is_logged_out_and_the_cookie_stays() {
    let (doubtful, service) = Doubtful::service().await;
    doubtful.gate.add_permits(1_000);
    let token = log_in(&service, "ada").await;
    let cookie = format!("__Host-session={token}");
    assert_eq!(service.read("/health").await["components"]["sessions"]["status"], "ok");
    doubtful.is_away.store(true, SeqCst);
    let user = "/v1/users/ada/sessions";
    for (method, path, request) in [
        ("POST", "/v1/sessions", json!({"user_id": "ada", "cookie": true})),
        ("POST", "/v1/sessions", json!({"user_id": "ada"})),
        ("GET", CURRENT, json!(null)),
        ("PATCH", CURRENT, json!({"context": {"a": 1}})),
        ("DELETE", CURRENT, json!(null)),
        ("POST", "/v1/sessions/current/rotate", json!({})),
        ("GET", user, json!(null)),
        ("DELETE", user, json!(null)),
        ("DELETE", "/v1/users/ada/sessions?keep=current", json!(null)),
        ("DELETE", "/v1/users/ada/sessions/0198c2d4-7c1e-7448-8000-0d7f5a2f4c11", json!(null)),
    ] {
        let answer = service.request(method, path).header("cookie", &cookie).json(&request).send().await.unwrap();
        assert_eq!(set_cookie(&answer), None, "{method} {path}");
        assert!(answer.headers().contains_key("retry-after"), "{method} {path}");
        let refused = problem(answer, 503, "store-unavailable").await.to_string();
        for secret in ["hunter2", "10.0.0.7", "redis://", &token] {
            assert!(!refused.contains(secret), "{path}: {refused}");
        }
    }
    let health = service.read("/health").await;
    assert_eq!(
        (&health["status"], &health["components"]["sessions"]["status"]),
        (&json!("degraded"), &json!("degraded"))
    );
    assert!(!health.to_string().contains("hunter2"), "{health}");
    doubtful.is_away.store(false, SeqCst);
    let session = body(service.get(CURRENT).header("cookie", &cookie).send().await.unwrap(), 200).await;
    assert_eq!(session["user_id"], "ada");
    assert_eq!(service.read("/health").await["status"], "ok");
}
