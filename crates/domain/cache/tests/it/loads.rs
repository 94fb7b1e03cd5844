//! Loaders: one at a time, slow ones, failing ones, and what is served meanwhile.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{sync::Notify, task::JoinSet};
use trackside_cache::{Error, Freshness, LoadOptions, Namespace, Policy, WriteOptions};
use trackside_testkit::eventually;

use crate::kit::{Calls, Running, SOON, bounded, config, memory, memory_in_paused_time, text};

const MINUTE: Duration = Duration::from_secs(60);

/// Entries that are stale almost at once, and may be served for a minute.
fn stale_allowed() -> Policy {
    Policy {
        freshness: Freshness::StaleAllowed { by: MINUTE, in_failure: MINUTE },
        soft_timeout: Duration::from_millis(10),
        eager_at: 1.0,
        ..Policy::default()
    }
}

async fn set_stale(namespace: &Namespace) {
    let ttl = Some(Duration::from_millis(1));
    namespace.set("a", "stale", WriteOptions { ttl, ..WriteOptions::default() }).await.unwrap();
    eventually(|| async { namespace.get("a").await.unwrap().is_none() }, SOON).await;
}

async fn fail(namespace: &Namespace, calls: &Calls) -> Result<trackside_cache::Cached, Error> {
    let calls = calls.clone();
    let loader = move || async move {
        calls.called();
        Err("the source is away".into())
    };
    namespace.get_or_load("a", LoadOptions::default(), loader).await
}

#[tokio::test]
async fn a_hundred_callers_of_two_processes_share_one_load() {
    let store = memory();
    let processes = [0, 1].map(|_| Running::over(store.clone(), config(bounded(MINUTE))));
    let (calls, asked) = (Calls::default(), Calls::default());
    let mut callers = JoinSet::new();
    for caller in 0..100 {
        let pages = processes[caller % 2].cache.namespace("page").unwrap();
        let (calls, asked) = (calls.clone(), asked.clone());
        callers.spawn(async move {
            asked.called();
            let loader = move || async move {
                calls.called();
                eventually(|| async { asked.count() == 100 }, SOON).await;
                Ok(Some(Bytes::from_static(b"loaded")))
            };
            pages.get_or_load("a", LoadOptions::default(), loader).await.unwrap().into_value().unwrap()
        });
    }
    assert!(callers.join_all().await.iter().all(|value| value == "loaded"));
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_load_of_the_others() {
    let running = Running::over(memory(), config(bounded(MINUTE)));
    let pages = running.cache.namespace("page").unwrap();
    let (calls, go) = (Calls::default(), Arc::new(Notify::new()));
    let load = || {
        let (calls, go, pages) = (calls.clone(), go.clone(), pages.clone());
        async move {
            let loader = move || async move {
                calls.called();
                go.notified().await;
                Ok(Some(Bytes::from_static(b"loaded")))
            };
            pages.get_or_load("a", LoadOptions::default(), loader).await
        }
    };
    let first = tokio::spawn(load());
    eventually(|| async { calls.count() == 1 }, SOON).await;
    let second = tokio::spawn(load());
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    go.notify_one();
    assert_eq!(second.await.unwrap().unwrap().value().unwrap(), "loaded");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn an_error_of_a_loader_is_told_and_not_kept() {
    let running = Running::over(memory(), config(bounded(MINUTE)));
    let pages = running.cache.namespace("page").unwrap();
    let calls = Calls::default();
    let error = fail(&pages, &calls).await.unwrap_err();
    assert!(matches!(&error, Error::Loader { source, .. } if source.to_string() == "the source is away"), "{error:?}");
    let panicked = pages.get_or_load("a", LoadOptions::default(), || async { panic!("a loader with a defect") }).await;
    assert!(matches!(panicked, Err(Error::Loader { .. })));
    assert_eq!(calls.load(&pages, "a", "loaded").await.unwrap().value().unwrap(), "loaded");
    assert_eq!((calls.count(), pages.stats().load_errors), (2, 2));
}

#[tokio::test]
async fn when_a_loader_fails_what_is_stale_is_served_and_the_loader_left_alone_for_a_while() {
    let store = memory();
    let policy = Policy { throttle: Duration::from_millis(300), ..stale_allowed() };
    let processes = [0, 1].map(|_| Running::over(store.clone(), config(policy.clone())));
    let [here, there] = [0, 1].map(|index: usize| processes[index].cache.namespace("page").unwrap());
    set_stale(&here).await;
    let calls = Calls::default();
    for namespace in [&here, &here, &there, &here, &there] {
        let cached = fail(namespace, &calls).await.unwrap();
        assert!(cached.is_stale());
        assert_eq!(cached.value().unwrap(), "stale");
    }
    assert_eq!(calls.count(), 1, "nobody was kept from the loader");
    // After the pause it is tried again, and its value is what everybody gets.
    eventually(|| async { calls.load(&there, "a", "fresh").await.is_ok_and(|cached| !cached.is_stale()) }, SOON).await;
    eventually(|| async { text(&here, "a").await.as_deref() == Some("fresh") }, SOON).await;
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_slow_loader_keeps_nobody_waiting_who_can_have_something_stale() {
    let running = Running::over(memory(), config(stale_allowed()));
    let pages = running.cache.namespace("page").unwrap();
    set_stale(&pages).await;
    let go = Arc::new(Notify::new());
    let loader = {
        let go = go.clone();
        move || async move {
            go.notified().await;
            Ok(Some(Bytes::from_static(b"fresh")))
        }
    };
    let cached = pages.get_or_load("a", LoadOptions::default(), loader).await.unwrap();
    assert!(cached.is_stale(), "it waited for the loader");
    go.notify_one();
    eventually(|| async { text(&pages, "a").await.as_deref() == Some("fresh") }, SOON).await;
}

#[tokio::test]
async fn a_loader_that_hangs_is_given_up_and_its_lease_with_it() {
    let policy = Policy { load_timeout: Duration::from_millis(50), ..bounded(MINUTE) };
    let running = Running::over(memory(), config(policy));
    let pages = running.cache.namespace("page").unwrap();
    let hang = || async { std::future::pending().await };
    let error = pages.get_or_load("a", LoadOptions::default(), hang).await.unwrap_err();
    assert!(matches!(error, Error::LoadTimeout { .. }), "{error:?}");
    let calls = Calls::default();
    assert_eq!(calls.load(&pages, "a", "loaded").await.unwrap().value().unwrap(), "loaded");
}

#[tokio::test]
async fn an_entry_near_its_end_is_loaded_again_while_it_is_served() {
    let policy = Policy { eager_at: 0.1, ttl: Duration::from_secs(2), ..bounded(MINUTE) };
    let running = Running::over(memory(), config(policy));
    let pages = running.cache.namespace("page").unwrap();
    let calls = Calls::default();
    assert_eq!(calls.load(&pages, "a", "first").await.unwrap().value().unwrap(), "first");
    let again = || async { calls.load(&pages, "a", "second").await.unwrap().into_value().unwrap() };
    eventually(|| async { again().await == "second" }, SOON).await;
    assert_eq!(calls.count(), 2);
}

/// Two processes on one store, with leases that are much shorter than loaders may take.
fn two_with_short_leases(load_timeout: Duration) -> [Running; 2] {
    let policy = Policy { lease: Duration::from_secs(1), load_timeout, ..bounded(MINUTE) };
    let store = memory_in_paused_time();
    [0, 1].map(|_| Running::over(store.clone(), config(policy.clone())))
}

#[tokio::test(start_paused = true)]
async fn a_loader_that_takes_longer_than_its_lease_is_the_only_one() {
    let processes = two_with_short_leases(MINUTE);
    let [here, there] = [0, 1].map(|index: usize| processes[index].cache.namespace("page").unwrap());
    let (calls, go) = (Calls::default(), Arc::new(Notify::new()));
    let load = |namespace: &Namespace| {
        let (calls, go, namespace) = (calls.clone(), go.clone(), namespace.clone());
        let loader = move || async move {
            calls.called();
            go.notified().await;
            Ok(Some(Bytes::from_static(b"loaded")))
        };
        tokio::spawn(async move { namespace.get_or_load("a", LoadOptions::default(), loader).await.unwrap() })
    };
    let first = load(&here);
    eventually(|| async { calls.count() == 1 }, SOON).await;
    let second = load(&there);
    advance_slowly(MINUTE / 2).await;
    assert_eq!(calls.count(), 1, "it was run again elsewhere");
    go.notify_one();
    for answer in [first, second] {
        assert_eq!(answer.await.unwrap().value().unwrap(), "loaded");
    }
    assert_eq!(calls.count(), 1);
    assert!(there.get("a").await.unwrap().is_some(), "the fill was refused");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_for_no_longer_than_a_loader_may_take() {
    let processes = two_with_short_leases(Duration::from_secs(10));
    let [here, there] = [0, 1].map(|index: usize| processes[index].cache.namespace("page").unwrap());
    let began = tokio::time::Instant::now();
    let hang = || async { std::future::pending().await };
    let hanging = tokio::spawn(async move { here.get_or_load("a", LoadOptions::default(), hang).await });
    advance_slowly(Duration::from_secs(1)).await;
    let calls = Calls::default();
    assert_eq!(calls.load(&there, "a", "loaded").await.unwrap().value().unwrap(), "loaded");
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(12), "{waited:?}");
    assert!(matches!(hanging.await.unwrap(), Err(Error::LoadTimeout { .. })));
}

/// Time passes, and whatever happens in it does.
async fn advance_slowly(time: Duration) {
    let end = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < end {
        tokio::time::advance(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_known_absence_ends_with_its_own_time() {
    let policy = Policy { null_ttl: Duration::from_millis(50), ..bounded(MINUTE) };
    let running = Running::over(memory(), config(policy));
    let pages = running.cache.namespace("page").unwrap();
    let options = LoadOptions { ttl: Some(MINUTE), tags: Vec::new() };
    let cached = pages.get_or_load("a", options, || async { Ok(None) }).await.unwrap();
    assert!(cached.value().is_none());
    let calls = Calls::default();
    let loaded = || async { calls.load(&pages, "a", "there now").await.unwrap().value().is_some() };
    eventually(loaded, SOON).await;
    assert_eq!(calls.count(), 1);
}
