//! The server away and back again: what is served, what is remembered, and that nothing stale survives.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use trackside_cache::{
    CacheManager, Config, Error, Freshness, Invalidated, LoadOptions, Policy, Receipt, Tag, WriteOptions,
};
use trackside_testkit::{FaultProxy, RedisServer, eventually};

use crate::{
    kit::{Calls, Running, SOON, bounded, config, text},
    redis::running,
};

const MINUTE: Duration = Duration::from_secs(60);

/// One process behind a proxy that can be cut, and one that reaches the server in any case.
struct Bed {
    server: RedisServer,
    proxy: FaultProxy,
    away: Running,
    there: Running,
}

impl Bed {
    async fn new(policy: Policy) -> Self {
        Self::with(config(policy)).await
    }

    async fn with(config: Config) -> Self {
        let server = RedisServer::start().await.unwrap();
        let proxy = FaultProxy::start(server.port()).await.unwrap();
        let away = running(&format!("redis://127.0.0.1:{}", proxy.port()), "", config.clone()).await;
        let there = running(&server.url(), "", config).await;
        let bed = Self { server, proxy, away, there };
        bed.is_listening().await;
        bed
    }

    /// Waits until a change there is heard of here, so that what the beginning of listening brings is over.
    async fn is_listening(&self) {
        let [here, there] = [&self.away, &self.there].map(|running| running.cache.namespace("probe").unwrap());
        here.set("heard", "", WriteOptions::default()).await.unwrap();
        eventually(|| async { here.get("heard").await.is_ok() && here.get_local("heard").is_some() }, SOON).await;
        there.set("heard", "", WriteOptions::default()).await.unwrap();
        eventually(|| async { here.get_local("heard").is_none() }, SOON).await;
    }

    async fn cut(&self) {
        self.proxy.cut();
        let pages = self.away.cache.namespace("probe").unwrap();
        eventually(|| async { pages.get("probe").await.is_err() }, SOON).await;
    }

    async fn heal(&self) {
        self.proxy.heal();
        let pages = self.away.cache.namespace("probe").unwrap();
        eventually(|| async { pages.get("probe").await.is_ok() }, SOON).await;
    }
}

fn stale_allowed(by: Duration) -> Policy {
    Policy { freshness: Freshness::StaleAllowed { by, in_failure: MINUTE }, ..Policy::default() }
}

fn tagged(tag: &str) -> WriteOptions {
    WriteOptions { tags: vec![tag.parse().unwrap()], ..WriteOptions::default() }
}

async fn written(cache: &CacheManager) {
    eventually(|| async { cache.remembered() == 0 }, SOON).await;
}

#[tokio::test]
async fn with_the_server_away_copies_are_served_as_the_policy_allows_and_not_beyond() {
    let short = Duration::from_millis(300);
    for (policy, is_served_later) in [(stale_allowed(short), true), (bounded(short), false)] {
        let bed = Bed::new(policy).await;
        let pages = bed.away.cache.namespace("page").unwrap();
        pages.set("a", "1", WriteOptions::default()).await.unwrap();
        assert_eq!(text(&pages, "a").await.as_deref(), Some("1"));
        bed.cut().await;
        if is_served_later {
            let is_stale = || async { pages.get("a").await.unwrap().is_some_and(|cached| cached.is_stale()) };
            eventually(is_stale, SOON).await;
            assert_eq!(text(&pages, "a").await.as_deref(), Some("1"));
        } else {
            eventually(|| async { pages.get("a").await.is_err() }, SOON).await;
        }
        assert!(matches!(pages.get("never there").await, Err(Error::Store { .. })));
        bed.heal().await;
        assert_eq!(text(&pages, "a").await.as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn with_the_server_away_a_loader_runs_once_in_a_process() {
    let bed = Bed::new(bounded(MINUTE)).await;
    let pages = bed.away.cache.namespace("page").unwrap();
    bed.cut().await;
    let (calls, asked) = (Calls::default(), Calls::default());
    let slow = || {
        let (pages, calls, asked) = (pages.clone(), calls.clone(), asked.clone());
        async move {
            asked.called();
            let loader = move || async move {
                calls.called();
                eventually(|| async { asked.count() >= 20 }, SOON).await;
                Ok(Some(Bytes::from_static(b"loaded")))
            };
            pages.get_or_load("a", LoadOptions::default(), loader).await.unwrap().into_value().unwrap()
        }
    };
    let all = futures::future::join_all((0..20).map(|_| slow())).await;
    assert!(all.iter().all(|value| value == "loaded"));
    assert_eq!(slow().await, "loaded");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn what_is_written_meanwhile_is_seen_here_at_once_and_written_when_the_server_is_back() {
    let bed = Bed::new(bounded(MINUTE)).await;
    let here = bed.away.cache.namespace("page").unwrap();
    let there = bed.there.cache.namespace("page").unwrap();
    for key in ["a", "gone"] {
        here.set(key, "before", WriteOptions::default()).await.unwrap();
        assert_eq!(text(&there, key).await.as_deref(), Some("before"));
    }
    bed.cut().await;
    for value in ["1", "2", "last"] {
        assert_eq!(here.set("a", value, WriteOptions::default()).await.unwrap(), Receipt::Remembered);
        assert_eq!(text(&here, "a").await.as_deref(), Some(value));
    }
    assert_eq!(here.set("new", "1", tagged("t")).await.unwrap(), Receipt::Remembered);
    assert_eq!(here.delete("gone").await.unwrap(), Receipt::Remembered);
    assert!(here.get("gone").await.is_ok_and(|gone| gone.is_none()));
    assert!(here.set_if_absent("b", "1", WriteOptions::default()).await.is_err(), "nobody knows whether it is absent");
    assert_eq!(bed.away.cache.remembered(), 3);
    assert_eq!(text(&there, "a").await.as_deref(), Some("before"));
    bed.heal().await;
    written(&bed.away.cache).await;
    eventually(|| async { text(&there, "a").await.as_deref() == Some("last") }, SOON).await;
    eventually(|| async { text(&there, "gone").await.is_none() }, SOON).await;
    assert_eq!(text(&there, "new").await.as_deref(), Some("1"));
    assert_eq!(text(&here, "a").await.as_deref(), Some("last"));
}

#[tokio::test]
async fn a_remembered_change_does_not_replace_one_that_came_later_elsewhere() {
    let bed = Bed::new(bounded(MINUTE)).await;
    let here = bed.away.cache.namespace("page").unwrap();
    let there = bed.there.cache.namespace("page").unwrap();
    here.set("a", "before", WriteOptions::default()).await.unwrap();
    bed.cut().await;
    here.set("a", "here", WriteOptions::default()).await.unwrap();
    there.set("a", "there", WriteOptions::default()).await.unwrap();
    bed.heal().await;
    written(&bed.away.cache).await;
    // Nobody can tell which of the two is true: neither is served.
    assert_eq!(text(&here, "a").await, None);
    eventually(|| async { text(&there, "a").await.is_none() }, SOON).await;
}

#[tokio::test]
async fn an_invalidation_meanwhile_holds_here_at_once_and_everywhere_after_it() {
    let bed = Bed::new(stale_allowed(MINUTE)).await;
    let here = bed.away.cache.namespace("page").unwrap();
    let there = bed.there.cache.namespace("page").unwrap();
    here.set("a", "old", tagged("shop")).await.unwrap();
    assert_eq!(text(&there, "a").await.as_deref(), Some("old"));
    bed.cut().await;
    here.set("b", "old", tagged("shop")).await.unwrap();
    let shop: Tag = "shop".parse().unwrap();
    assert_eq!(bed.away.cache.invalidate_tag(&shop).await.unwrap(), Invalidated::Remembered);
    for key in ["a", "b"] {
        assert!(!here.get(key).await.is_ok_and(|cached| cached.is_some()), "{key} is served");
    }
    bed.heal().await;
    assert_eq!(text(&here, "a").await, None, "the store's old entry came back");
    written(&bed.away.cache).await;
    eventually(|| async { text(&there, "a").await.is_none() }, SOON).await;
    assert_eq!((text(&here, "b").await, text(&there, "b").await), (None, None));
}

#[tokio::test]
async fn changes_elsewhere_during_an_outage_are_not_missed_after_it() {
    let bed = Bed::new(stale_allowed(MINUTE)).await;
    let here = bed.away.cache.namespace("page").unwrap();
    let there = bed.there.cache.namespace("page").unwrap();
    here.set("a", "old", WriteOptions::default()).await.unwrap();
    here.set("b", "old", tagged("t")).await.unwrap();
    bed.cut().await;
    there.set("a", "new", WriteOptions::default()).await.unwrap();
    bed.there.cache.invalidate_tag(&"t".parse().unwrap()).await.unwrap();
    assert_eq!(text(&here, "a").await.as_deref(), Some("old"));
    bed.proxy.heal();
    eventually(|| async { text(&here, "a").await.as_deref() == Some("new") }, SOON).await;
    eventually(|| async { text(&here, "b").await.is_none() }, SOON).await;
}

#[tokio::test]
async fn more_changes_than_can_be_remembered_invalidate_the_namespace() {
    let config = Config { remembered: 2.try_into().unwrap(), ..config(bounded(MINUTE)) };
    let bed = Bed::with(config).await;
    let here = bed.away.cache.namespace("page").unwrap();
    let there = bed.there.cache.namespace("page").unwrap();
    for key in ["a", "b", "c", "untouched"] {
        there.set(key, "before", WriteOptions::default()).await.unwrap();
    }
    bed.cut().await;
    for key in ["a", "b", "c"] {
        assert_eq!(here.set(key, "after", WriteOptions::default()).await.unwrap(), Receipt::Remembered);
    }
    bed.heal().await;
    written(&bed.away.cache).await;
    for key in ["a", "b", "c", "untouched"] {
        eventually(|| async { text(&there, key).await.as_deref() != Some("before") }, SOON).await;
        assert_ne!(text(&here, key).await.as_deref(), Some("before"));
    }
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_seen_by_everybody_in_the_end() {
    let bed = Bed::new(bounded(MINUTE)).await;
    let here = bed.away.cache.namespace("page").unwrap();
    let there = bed.there.cache.namespace("page").unwrap();
    here.set("a", "before", WriteOptions::default()).await.unwrap();
    bed.proxy.drop_replies();
    assert_eq!(here.set("a", "after", WriteOptions::default()).await.unwrap(), Receipt::Remembered);
    assert_eq!(bed.server.cli(&["GET", "cache:page:a"]), "after", "it had reached the server");
    bed.proxy.cut();
    bed.heal().await;
    written(&bed.away.cache).await;
    assert_eq!((text(&here, "a").await.as_deref(), text(&there, "a").await.as_deref()), (Some("after"), Some("after")));
}

#[tokio::test]
async fn a_lost_subscription_makes_every_copy_be_read_again() {
    let server = RedisServer::start().await.unwrap();
    let [one, two] = [
        running(&server.url(), "", config(bounded(MINUTE))).await,
        running(&server.url(), "", config(bounded(MINUTE))).await,
    ];
    let [here, there] = [&one, &two].map(|running| running.cache.namespace("page").unwrap());
    for round in 0..10 {
        let value = round.to_string();
        assert!(text(&here, "a").await.is_none_or(|before| before != value));
        // The message about the change is for nobody.
        server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        there.set("a", value.clone(), WriteOptions::default()).await.unwrap();
        eventually(|| async { text(&here, "a").await.as_deref() == Some(&*value) }, SOON).await;
    }
}

#[tokio::test]
async fn a_message_that_never_comes_is_noticed() {
    let server = RedisServer::start().await.unwrap();
    let running = running(&server.url(), "", config(bounded(MINUTE))).await;
    let pages = running.cache.namespace("page").unwrap();
    pages.set("a", "old", WriteOptions::default()).await.unwrap();
    eventually(|| async { pages.get_local("a").is_some() || pages.get("a").await.is_err() }, SOON).await;
    // Another process' change whose message is lost on its way: only its number is missing.
    server.cli(&["SET", "cache:page:a", "new", "KEEPTTL"]);
    for number in [1, 2, 4] {
        server.cli(&["PUBLISH", "cache_changes", &format!("abc {number} - 0 - -")]);
    }
    eventually(|| async { text(&pages, "a").await.as_deref() == Some("new") }, SOON).await;
}

#[tokio::test]
async fn a_server_that_forgot_everything_is_no_error_and_brings_nothing_old_back() {
    let server = RedisServer::start().await.unwrap();
    let running = running(&server.url(), "", config(bounded(MINUTE))).await;
    let pages = running.cache.namespace("page").unwrap();
    let calls = Calls::default();
    calls.load(&pages, "a", "loaded").await.unwrap();
    running.cache.invalidate_tag(&"t".parse().unwrap()).await.unwrap();
    server.restart().await.unwrap();
    let read = || async { pages.get("a").await };
    eventually(|| async { read().await.is_ok_and(|cached| cached.is_none()) }, SOON).await;
    let again = Arc::new(calls.clone());
    assert_eq!(again.load(&pages, "a", "again").await.unwrap().value().unwrap(), "again");
    assert_eq!(calls.count(), 2);
}
