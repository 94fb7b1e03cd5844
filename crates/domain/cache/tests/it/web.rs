//! An axum application whose answers are kept, as its clients and its handlers see it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, Response, StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use futures::{StreamExt as _, future::join_all};
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;
use trackside_cache::{
    CacheManager, Credentials, Freshness, Policy, RequestDirectives, ResponseCacheConfig, ResponseCacheLayer,
};
use trackside_core::ManualClock;

use crate::kit::{Calls, config, memory};

/// An application that counts how often its handler runs, and answers as it is told to.
#[derive(Clone)]
struct App {
    calls: Calls,
    /// Headers of the next answers.
    headers: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
    status: Arc<Mutex<StatusCode>>,
    /// The handler waits for a permit while this is set.
    is_held: Arc<AtomicBool>,
    gate: Arc<Semaphore>,
    router: Router,
    layer: ResponseCacheLayer,
    clock: ManualClock,
}

impl App {
    fn of(cache: &CacheManager, config: ResponseCacheConfig) -> Self {
        let clock = ManualClock::default();
        let layer = ResponseCacheLayer::new(cache.namespace("pages").unwrap(), config).unwrap();
        let layer = layer.with_clock(Arc::new(clock.clone()));
        let (calls, headers, status) = (Calls::default(), Arc::default(), Arc::new(Mutex::new(StatusCode::OK)));
        let (is_held, gate) = (Arc::default(), Arc::new(Semaphore::new(0)));
        let mut app =
            Self { calls, headers, status, is_held, gate, router: Router::new(), layer: layer.clone(), clock };
        let (handler, changed) = (app.clone(), app.clone());
        let answer = move |headers: HeaderMap| async move { handler.handle(&headers).await };
        let change = move || async move { *changed.status.lock().unwrap() };
        app.router =
            Router::new().route("/page", get(answer.clone()).post(change)).route("/other", get(answer)).layer(layer);
        app
    }

    fn new(config: ResponseCacheConfig) -> Self {
        Self::of(&CacheManager::new(memory(), crate::kit::config(Policy::default())), config)
    }

    async fn handle(&self, asked: &HeaderMap) -> Response<Body> {
        let number = self.calls.called();
        assert!(!asked.contains_key(header::IF_NONE_MATCH), "the answer is to be whole");
        if self.is_held.load(SeqCst) {
            self.gate.acquire().await.unwrap().forget();
        }
        let mut answer = format!("answer {number}").into_response();
        *answer.status_mut() = *self.status.lock().unwrap();
        for (name, value) in self.headers.lock().unwrap().iter() {
            answer.headers_mut().append(*name, value.parse().unwrap());
        }
        answer
    }

    fn says(&self, headers: &[(&'static str, &'static str)]) {
        *self.headers.lock().unwrap() = headers.to_vec();
    }

    async fn send(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let request = Request::builder().method(method).uri(uri).header("host", "example.org");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// The body of an answer, and what the cache says it did.
    async fn get(&self, uri: &str, headers: &[(&str, &str)]) -> (String, String) {
        let response = self.send("GET", uri, headers).await;
        let said = response.headers()["cache-status"].to_str().unwrap().to_owned();
        (text(response).await, said)
    }

    /// Whether a second request for the same is answered without the handler.
    async fn keeps(&self, uri: &str, headers: &[(&str, &str)]) -> bool {
        self.get(uri, headers).await;
        let before = self.calls.count();
        self.get(uri, headers).await;
        self.calls.count() == before
    }
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn an_answer_is_given_again_with_its_age_until_its_time_is_over() {
    let app = App::new(ResponseCacheConfig::default());
    app.says(&[("cache-control", "max-age=60"), ("x-kind", "page"), ("x-correlation-id", "of the first")]);
    assert_eq!(app.get("/page", &[]).await, ("answer 1".to_owned(), "trackside; fwd=miss; stored".to_owned()));
    app.clock.advance(Duration::from_secs(7));
    let response = app.send("GET", "/page", &[]).await;
    let headers = response.headers();
    assert_eq!(
        (&headers["age"], &headers["x-kind"], &headers["cache-status"]),
        (&"7".parse().unwrap(), &"page".parse().unwrap(), &"trackside; hit; ttl=53".parse().unwrap())
    );
    assert!(!headers.contains_key("x-correlation-id"));
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(text(response).await, "answer 1");

    let known = app.send("GET", "/page", &[("if-none-match", &tag)]).await;
    assert_eq!((known.status(), &known.headers()["etag"]), (StatusCode::NOT_MODIFIED, &tag.parse().unwrap()));
    assert_eq!(known.headers()["cache-control"], "max-age=60");
    assert_eq!(text(known).await, "");
    let head = app.send("HEAD", "/page", &[]).await;
    assert_eq!((head.status(), &head.headers()["content-length"]), (StatusCode::OK, &"8".parse().unwrap()));
    assert_eq!(text(head).await, "");
    assert_eq!(app.calls.count(), 1);
    // Nothing is kept of what is asked for by HEAD alone.
    app.send("HEAD", "/other", &[]).await;
    assert_eq!(app.get("/other", &[]).await.1, "trackside; fwd=miss; stored");
}

#[tokio::test]
async fn an_answer_may_be_good_for_less_time_than_its_namespace_says() {
    let app = App::new(ResponseCacheConfig::default());
    app.says(&[("cache-control", "max-age=1, must-revalidate")]);
    app.get("/page", &[]).await;
    let renewed = || async { app.get("/page", &[]).await.0 != "answer 1" };
    trackside_testkit::eventually(renewed, crate::kit::SOON).await;
}

#[tokio::test]
async fn answers_vary_by_query_and_by_the_headers_that_they_are_told_to() {
    let app = App::new(ResponseCacheConfig::default());
    let answers = [
        app.get("/page?a=1&b=2", &[]).await.0,
        app.get("/page?a=2&b=2", &[]).await.0,
        app.get("/page?a=1&b=2", &[("accept", "text/plain")]).await.0,
        app.get("/other?a=1&b=2", &[]).await.0,
        app.get("/page?b=2&a=1", &[("user-agent", "another")]).await.0,
    ];
    assert_eq!(answers, ["answer 1", "answer 2", "answer 3", "answer 4", "answer 1"]);
    app.says(&[("vary", "Accept, X-Region")]);
    assert!(!app.keeps("/page?x", &[]).await, "it varies by what is not in the key");
    let by_region = ResponseCacheConfig {
        vary_by: vec!["accept".parse().unwrap(), "x-region".parse().unwrap()],
        ..Default::default()
    };
    let app = App::new(by_region);
    app.says(&[("vary", "Accept, X-Region")]);
    assert!(app.keeps("/page", &[("x-region", "eu")]).await);
    assert_eq!(app.get("/page", &[("x-region", "us")]).await.0, "answer 2");
}

#[tokio::test]
async fn what_says_so_is_personal_is_an_error_or_a_stream_is_not_kept() {
    let app = App::new(ResponseCacheConfig { max_body_bytes: 100, ..Default::default() });
    for (index, headers) in [
        ("cache-control", "no-store"),
        ("cache-control", "private, max-age=60"),
        ("cache-control", "no-cache"),
        ("cache-control", "max-age=0"),
        ("set-cookie", "session=1"),
        ("vary", "*"),
    ]
    .into_iter()
    .enumerate()
    {
        app.says(&[headers]);
        assert!(!app.keeps(&format!("/page?{index}"), &[]).await, "{headers:?}");
    }
    app.says(&[]);
    for status in [StatusCode::NOT_FOUND, StatusCode::INTERNAL_SERVER_ERROR, StatusCode::NO_CONTENT] {
        *app.status.lock().unwrap() = status;
        let uri = format!("/page?{status}").replace(' ', "");
        assert_eq!(app.send("GET", &uri, &[]).await.status(), status);
        assert!(!app.keeps(&uri, &[]).await, "{status}");
    }
    *app.status.lock().unwrap() = StatusCode::OK;
    assert!(app.keeps("/page?kept", &[]).await);
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes() {
    let (parts, runs) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, count) = (Arc::clone(&parts), Arc::clone(&runs));
    let stream = move || async move {
        count.fetch_add(1, SeqCst);
        let parts = futures::stream::unfold(0, move |number| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Some((Ok::<_, std::io::Error>(format!("{number};")), number + 1))
            }
        });
        Body::from_stream(parts)
    };
    let cache = CacheManager::new(memory(), config(Policy::default()));
    let layer = ResponseCacheLayer::new(cache.namespace("pages").unwrap(), Default::default()).unwrap();
    let app = Router::new().route("/stream", get(stream)).layer(layer);
    for run in 1..=2 {
        let request = Request::get("/stream").body(Body::empty()).unwrap();
        // It is here before any of it was made.
        let mut body = app.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
        parts.add_permits(1);
        assert_eq!(body.next().await.unwrap().unwrap(), "0;");
        assert_eq!(runs.load(SeqCst), run);
    }
}

#[tokio::test]
async fn whoever_shows_credentials_gets_an_answer_of_their_own_unless_it_was_told_otherwise() {
    let somebody = [("authorization", "Bearer ada")];
    let app = App::new(ResponseCacheConfig::default());
    for headers in [somebody, [("cookie", "session=ada")]] {
        assert!(!app.keeps("/page", &headers).await);
        assert_eq!(app.get("/page", &headers).await.1, "trackside; fwd=bypass");
    }
    let before = app.calls.count();
    app.get("/page", &[]).await;
    assert_eq!(app.calls.count(), before + 1, "nothing of theirs was kept");
    assert_eq!(app.get("/page", &somebody).await.1, "trackside; fwd=bypass", "and they get nothing of others");

    let app = App::new(ResponseCacheConfig { credentials: Credentials::Separate, ..Default::default() });
    app.says(&[("cache-control", "private, max-age=60")]);
    assert!(app.keeps("/page", &somebody).await);
    assert_eq!(app.get("/page", &[("authorization", "Bearer bob")]).await.0, "answer 2");
    assert_eq!(app.get("/page", &[]).await.0, "answer 3");

    let app = App::new(ResponseCacheConfig { credentials: Credentials::Share, ..Default::default() });
    assert!(app.keeps("/page", &somebody).await);
    assert_eq!(app.get("/page", &[]).await.0, "answer 1");
    app.says(&[("cache-control", "private")]);
    assert!(!app.keeps("/other", &somebody).await, "private is private");
}

#[tokio::test]
async fn a_request_may_ask_for_a_newer_answer_for_none_or_for_no_trace() {
    let app = App::new(ResponseCacheConfig::default());
    let control = |value: &'static str| [("cache-control", value)];
    let only_kept = app.send("GET", "/page", &control("only-if-cached")).await;
    assert_eq!((only_kept.status(), app.calls.count()), (StatusCode::GATEWAY_TIMEOUT, 0));
    assert_eq!(app.get("/page", &control("no-store")).await.1, "trackside; fwd=bypass");
    assert_eq!(app.get("/page", &[]).await.0, "answer 2");
    assert_eq!(app.get("/page", &control("only-if-cached")).await.0, "answer 2");
    assert_eq!(
        app.get("/page", &control("no-cache")).await,
        ("answer 3".into(), "trackside; fwd=request; stored".into())
    );
    assert_eq!(app.get("/page", &[]).await.0, "answer 3", "and everybody has it");
    app.clock.advance(Duration::from_secs(20));
    assert_eq!(app.get("/page", &control("max-age=20")).await.0, "answer 3");
    assert_eq!(app.get("/page", &control("max-age=19")).await.0, "answer 4");
    assert_eq!(app.get("/page", &[("pragma", "no-cache")]).await.0, "answer 5");
    let deaf = App::new(ResponseCacheConfig { requests: RequestDirectives::Ignored, ..Default::default() });
    for value in ["no-cache", "no-store", "max-age=0", "only-if-cached"] {
        assert_eq!(deaf.get("/page", &control(value)).await.0, "answer 1", "{value}");
    }
}

#[tokio::test]
async fn a_change_through_the_layer_an_order_and_a_tag_make_it_ask_again() {
    let cache = CacheManager::new(memory(), config(Policy::default()));
    let mut app = App::of(&cache, ResponseCacheConfig::default());
    let layer =
        app.layer.clone().with_tags(|uri| uri.query().and_then(|query| query.parse().ok()).into_iter().collect());
    let handler = app.clone();
    let answer = move |headers: HeaderMap| async move { handler.handle(&headers).await };
    let status = Arc::clone(&app.status);
    let change = move || async move { *status.lock().unwrap() };
    app.router = Router::new().route("/page", get(answer).post(change)).layer(layer);
    assert!(app.keeps("/page?shop:7", &[]).await);
    app.send("POST", "/page", &[]).await;
    assert_eq!(app.get("/page?shop:7", &[]).await.0, "answer 2", "the same path, whatever the query");
    app.layer.invalidate("/page").await.unwrap();
    assert_eq!(app.get("/page?shop:7", &[]).await.0, "answer 3");
    cache.invalidate_tag(&"shop:7".parse().unwrap()).await.unwrap();
    assert_eq!(app.get("/page?shop:7", &[]).await.0, "answer 4");
    *app.status.lock().unwrap() = StatusCode::CONFLICT;
    app.send("POST", "/page", &[]).await;
    *app.status.lock().unwrap() = StatusCode::OK;
    assert_eq!(app.get("/page?shop:7", &[]).await.0, "answer 4", "what was refused has changed nothing");
}

#[tokio::test]
async fn all_that_ask_for_the_same_at_once_wait_for_one_handler() {
    let app = App::new(ResponseCacheConfig::default());
    app.is_held.store(true, SeqCst);
    let release = async {
        trackside_testkit::eventually(|| async { app.calls.count() > 0 }, crate::kit::SOON).await;
        app.gate.add_permits(1);
    };
    let (answers, ()) = tokio::join!(join_all((0..50).map(|_| app.get("/page", &[]))), release);
    assert!(answers.iter().all(|(body, _)| body == "answer 1"), "{answers:?}");
    assert_eq!(app.calls.count(), 1);

    // Where the answer may not be kept, each has one of its own.
    app.is_held.store(false, SeqCst);
    app.says(&[("cache-control", "private")]);
    let answers = join_all((0..10).map(|_| app.get("/other", &[]))).await;
    let different: std::collections::HashSet<_> = answers.into_iter().map(|(body, _)| body).collect();
    assert_eq!(different.len(), 10);
}

#[tokio::test]
async fn what_was_good_a_while_ago_is_better_than_an_error_unless_the_answer_says_no() {
    let freshness = Freshness::StaleAllowed { by: Duration::from_secs(30), in_failure: Duration::from_secs(600) };
    let policy = Policy { freshness, eager_at: 2.0, throttle: Duration::from_millis(1), ..Policy::default() };
    let cache = CacheManager::new(memory(), config(policy));
    let app = App::of(&cache, ResponseCacheConfig::default());
    app.says(&[("cache-control", "max-age=1")]);
    app.get("/page", &[]).await;
    app.says(&[("cache-control", "max-age=1, must-revalidate")]);
    app.get("/other", &[]).await;
    *app.status.lock().unwrap() = StatusCode::INTERNAL_SERVER_ERROR;
    let fails = || async { app.send("GET", "/other", &[]).await.status() == StatusCode::INTERNAL_SERVER_ERROR };
    trackside_testkit::eventually(fails, crate::kit::SOON).await;
    let before = app.calls.count();
    let asked = || async {
        let response = app.send("GET", "/page", &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "answer 1");
        app.calls.count() > before
    };
    trackside_testkit::eventually(asked, crate::kit::SOON).await;

    // It is an answer again, and one that may not be kept any more.
    *app.status.lock().unwrap() = StatusCode::OK;
    app.says(&[("cache-control", "no-store")]);
    let renewed = || async { app.get("/page", &[]).await.0 != "answer 1" };
    trackside_testkit::eventually(renewed, crate::kit::SOON).await;
    assert!(!app.keeps("/page", &[]).await);
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_given_up_and_wrong_settings_are_refused() {
    let policy = Policy { load_timeout: Duration::from_millis(20), ..Policy::default() };
    let cache = CacheManager::new(memory(), config(policy));
    let app = App::of(&cache, ResponseCacheConfig::default());
    app.is_held.store(true, SeqCst);
    assert_eq!(app.send("GET", "/page", &[]).await.status(), StatusCode::GATEWAY_TIMEOUT);
    for name in ["", "1a", "a b", "a;b"] {
        let config = ResponseCacheConfig { name: name.to_owned(), ..Default::default() };
        assert!(ResponseCacheLayer::new(cache.namespace("pages").unwrap(), config).is_err(), "{name}");
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn processes_share_answers_and_without_the_server_the_handler_or_a_copy_answers() {
    use trackside_testkit::{FaultProxy, RedisServer};

    let server = RedisServer::start().await.unwrap();
    let proxy = FaultProxy::start(server.port()).await.unwrap();
    let config = config(Policy::default());
    let here = crate::redis::running(&format!("redis://127.0.0.1:{}", proxy.port()), "", config.clone()).await;
    let there = crate::redis::running(&server.url(), "", config).await;
    let [here, there] = [&here, &there].map(|running| App::of(&running.cache, ResponseCacheConfig::default()));
    let apps = [&here, &there];
    let both = |app: usize| apps[app % 2].get("/page", &[]);
    join_all((0..40).map(both)).await;
    assert_eq!(here.calls.count() + there.calls.count(), 1, "one handler for both processes");
    let (_, said) = here.get("/page", &[]).await;
    assert!(said.contains("hit"), "{said}");
    there.send("POST", "/page", &[]).await;
    let renewed = || async {
        here.get("/page", &[]).await;
        here.calls.count() + there.calls.count() > 1
    };
    trackside_testkit::eventually(renewed, crate::kit::SOON).await;

    here.get("/page?kept", &[]).await;
    proxy.cut();
    let calls = here.calls.count();
    assert!(here.get("/page?kept", &[]).await.1.contains("hit"));
    assert_eq!(here.calls.count(), calls, "the copy in the process");
    assert_eq!(here.send("GET", "/page?new", &[]).await.status(), StatusCode::OK, "the handler");
    assert_eq!(here.calls.count(), calls + 1);
}
