//! The limits of the service itself, by API key: a good key has a limit of its own, and others are held by their address.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use trackside_api::{ApiConfig, ApiKeySecret, Binding, Scope};
use trackside_core::SystemClock;
use trackside_ratelimit::{Config, Dimension, Limit, MemoryRateLimitStore, Policy, PolicyName, Quota, RateLimiter};

use crate::keys::Guarded;

/// How many requests a key may make, and an address.
const OF_KEY: u64 = 2;
const OF_ADDRESS: u64 = 8;

async fn limited() -> Guarded {
    let limit = |dimension, limit| Limit::new(dimension, Quota::new(limit, Duration::from_secs(3_600)));
    let policy = Policy::of([limit(Dimension::Key, OF_KEY), limit(Dimension::Ip, OF_ADDRESS)]);
    let name: PolicyName = "requests".parse().unwrap();
    let store = Arc::new(MemoryRateLimitStore::new(Arc::new(SystemClock::default())));
    let config = Config { policies: [(name.clone(), policy)].into(), ..Config::default() };
    let limiter = RateLimiter::new(store, config).unwrap();
    Guarded::configured(|state| {
        state.limits = limiter;
        state.config = Arc::new(ApiConfig { request_policy: Some(name), ..ApiConfig::default() });
    })
    .await
}

async fn status(service: &Guarded, key: &str) -> u16 {
    service.ask("GET /v1/queues", Some(key), &Value::Null).await.0
}

#[tokio::test]
async fn each_good_key_has_a_limit_of_its_own_and_the_address_holds_all_of_them() {
    let mut service = limited().await;
    let [one, two] = [(); 2].map(|()| service.key(&[Scope::Read], Binding::default()));
    assert_eq!(
        [status(&service, &one).await, status(&service, &one).await, status(&service, &one).await],
        [200, 200, 429]
    );
    // It is the same key wherever it is shown.
    let bearer = service.service.get("/v1/queues").bearer_auth(&one).send().await.unwrap();
    assert_eq!(bearer.status(), 429);
    assert_eq!(
        [status(&service, &two).await, status(&service, &two).await, status(&service, &two).await],
        [200, 200, 429]
    );
    // What a key has no room for took nothing from the address.
    let rest = OF_ADDRESS - 2 * OF_KEY;
    let without = async || service.ask("GET /v1/queues", None, &Value::Null).await.0;
    for _ in 0..rest {
        assert_eq!(without().await, 401);
    }
    assert_eq!(without().await, 429);
}

#[tokio::test]
async fn whoever_tries_keys_is_held_by_the_address() {
    let mut service = limited().await;
    let good = service.key(&[Scope::Read], Binding::default());
    let mut tried = Vec::new();
    for _ in 0..OF_ADDRESS + 2 {
        let guess = ApiKeySecret::generate().unwrap();
        tried.push(status(&service, guess.expose()).await);
    }
    let (refused, held) = tried.split_at(usize::try_from(OF_ADDRESS).unwrap());
    assert!(refused.iter().all(|status| *status == 401) && held.iter().all(|status| *status == 429), "{tried:?}");
    assert_eq!(status(&service, &good).await, 429, "the same address");
}
