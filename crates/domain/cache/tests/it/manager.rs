//! What a manager does over any store; the one in memory stands for them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use trackside_cache::{
    CacheManager, Config, Error, Freshness, LoadOptions, Policy, ProjectCache, Receipt, Tag, TypedCache, WriteOptions,
    Written,
};
use trackside_core::ErrorKind;
use trackside_testkit::eventually;

use crate::{
    kit::{Calls, Running, SOON, bounded, config, memory, text},
    slow_store::SlowStore,
};

const MINUTE: Duration = Duration::from_secs(60);

fn ttl(millis: u64) -> WriteOptions {
    WriteOptions { ttl: Some(Duration::from_millis(millis)), ..WriteOptions::default() }
}

fn tagged(tag: &str) -> WriteOptions {
    WriteOptions { tags: vec![tag.parse().unwrap()], ..WriteOptions::default() }
}

#[tokio::test]
async fn what_is_set_is_there_until_it_is_deleted_or_its_time_is_over() {
    let running = Running::over(memory(), config(Policy::default()));
    let pages = running.cache.namespace("page").unwrap();
    assert!(pages.get("a").await.unwrap().is_none(), "a miss is a miss and no error");
    assert!(matches!(pages.set("a", "1", ttl(60_000)).await.unwrap(), Receipt::Written { existed: false, .. }));
    assert_eq!(text(&pages, "a").await.as_deref(), Some("1"));
    assert!(matches!(pages.delete("a").await.unwrap(), Receipt::Written { existed: true, .. }));
    assert_eq!(text(&pages, "a").await, None);
    pages.set("b", "1", ttl(20)).await.unwrap();
    eventually(|| async { text(&pages, "b").await.is_none() }, SOON).await;
    let stats = pages.stats();
    assert!(stats.misses >= 3 && stats.writes == 3 && stats.local_hits >= 1, "{stats:?}");
}

#[tokio::test]
async fn a_change_elsewhere_is_seen_here_before_its_writer_is_answered_for_long() {
    let store = memory();
    let [one, two] = [0, 1].map(|_| Running::over(store.clone(), config(bounded(MINUTE))));
    let [here, there] = [&one, &two].map(|running| running.cache.namespace("page").unwrap());
    for round in 0..20 {
        there.set("a", format!("{round}"), WriteOptions::default()).await.unwrap();
        eventually(|| async { text(&here, "a").await == Some(round.to_string()) }, SOON).await;
    }
    there.delete("a").await.unwrap();
    eventually(|| async { text(&here, "a").await.is_none() }, SOON).await;
}

#[tokio::test]
async fn a_value_that_is_too_large_is_refused_with_its_size_and_the_limit() {
    let policy = Policy { max_value_bytes: 10, ..Policy::default() };
    let running = Running::over(memory(), config(policy));
    let pages = running.cache.namespace("page").unwrap();
    let error = pages.set("a", vec![0; 11], WriteOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "the value has 11 bytes, and page takes 10 at most");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let loaded = pages.get_or_load("a", LoadOptions::default(), || async { Ok(Some(vec![0; 11].into())) }).await;
    assert!(matches!(loaded, Err(Error::TooLarge { bytes: 11, limit: 10, .. })));
    pages.set("a", vec![0; 10], WriteOptions::default()).await.unwrap();
}

#[tokio::test]
async fn conditions_hold_for_what_a_reader_would_be_given() {
    let running = Running::over(memory(), config(Policy::default()));
    let pages = running.cache.namespace("page").unwrap();
    let Written::Done { version, .. } = pages.set_if_absent("a", "1", tagged("t")).await.unwrap() else { panic!() };
    let refused = pages.set_if_absent("a", "2", WriteOptions::default()).await.unwrap();
    assert!(matches!(refused, Written::Refused { version: there, .. } if there == version));
    let stale = pages.compare_and_set("a", version - 1, "2", WriteOptions::default()).await.unwrap();
    assert!(matches!(stale, Written::Refused { .. }));
    let next = pages.compare_and_set("a", version, "2", tagged("t")).await.unwrap();
    assert!(matches!(next, Written::Done { version: next, .. } if next > version));
    assert_eq!(text(&pages, "a").await.as_deref(), Some("2"));
    assert!(matches!(pages.compare_and_delete("a", version).await.unwrap(), Written::Refused { .. }));
    // It is there for the store, and no reader is given it any more.
    running.cache.invalidate_tag(&"t".parse().unwrap()).await.unwrap();
    assert!(matches!(pages.set_if_absent("a", "3", WriteOptions::default()).await.unwrap(), Written::Done { .. }));
    assert_eq!(text(&pages, "a").await.as_deref(), Some("3"));
}

#[tokio::test]
async fn a_tag_invalidates_what_bears_it_in_every_process_and_nothing_else() {
    let store = memory();
    let [one, two] = [0, 1].map(|_| Running::over(store.clone(), config(bounded(MINUTE))));
    let [here, there] = [&one, &two].map(|running| running.cache.namespace("page").unwrap());
    for namespace in [&here, &there] {
        here.set("a", "1", tagged("shop:1")).await.unwrap();
        here.set("b", "1", tagged("shop:2")).await.unwrap();
        eventually(|| async { text(namespace, "a").await.is_some() && text(namespace, "b").await.is_some() }, SOON)
            .await;
    }
    let tag: Tag = "shop:1".parse().unwrap();
    one.cache.invalidate_tag(&tag).await.unwrap();
    assert_eq!(text(&here, "a").await, None);
    eventually(|| async { text(&there, "a").await.is_none() }, SOON).await;
    assert_eq!((text(&here, "b").await, text(&there, "b").await), (Some("1".into()), Some("1".into())));
    there.clear().await.unwrap();
    eventually(|| async { text(&here, "b").await.is_none() }, SOON).await;
}

#[tokio::test]
async fn a_writer_who_read_before_a_project_changed_cannot_bring_old_data_back() {
    let running = Running::over(memory(), config(Policy::default()));
    let projects: ProjectCache<String> = running.cache.projects().unwrap();
    let seen = projects.seen("42").await.unwrap();
    projects.put_entry("42", "plan", &"old".into(), Some(seen.clone())).await.unwrap();
    assert_eq!(projects.entry("42", "plan").await.unwrap().unwrap().as_str(), "old");
    projects.invalidate("42").await.unwrap();
    projects.put_data("42", &"new".into()).await.unwrap();
    projects.put_data_as_of("42", &"old".into(), seen.clone()).await.unwrap();
    assert_eq!(projects.data("42").await.unwrap(), None, "old data are back");
    projects.put_entry("42", "plan", &"old".into(), Some(seen)).await.unwrap();
    assert_eq!(projects.entry("42", "plan").await.unwrap(), None, "an old entry is back");
    let loaded = projects.data_or_load("42", || async { Ok(Some("newest".to_owned())) }).await.unwrap();
    assert_eq!(loaded.unwrap().as_str(), "newest");
}

#[tokio::test]
async fn what_a_loader_found_before_an_invalidation_is_never_kept() {
    let store = memory();
    let [one, two] = [0, 1].map(|_| Running::over(store.clone(), config(bounded(MINUTE))));
    let pages = one.cache.namespace("page").unwrap();
    let there = two.cache.namespace("page").unwrap();
    let (began, go) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    for by_tag in [true, false] {
        let options = LoadOptions { tags: vec!["t".parse().unwrap()], ttl: None };
        let loader = {
            let (began, go) = (began.clone(), go.clone());
            move || async move {
                began.notify_one();
                go.notified().await;
                Ok(Some(Bytes::from_static(b"old")))
            }
        };
        let loading = tokio::spawn({
            let pages = pages.clone();
            async move { pages.get_or_load("a", options, loader).await }
        });
        began.notified().await;
        if by_tag {
            two.cache.invalidate_tag(&"t".parse().unwrap()).await.unwrap();
        } else {
            there.delete("a").await.unwrap();
        }
        go.notify_one();
        assert_eq!(loading.await.unwrap().unwrap().value().unwrap(), "old", "those who waited get it");
        eventually(|| async { text(&pages, "a").await.is_none() }, SOON).await;
        assert_eq!(text(&there, "a").await, None);
    }
}

#[tokio::test]
async fn typed_values_are_decoded_once_and_a_wrong_shape_is_an_error() {
    let running = Running::over(memory(), config(Policy::default()));
    let numbers: TypedCache<Vec<u32>> = TypedCache::new(running.cache.namespace("numbers").unwrap());
    numbers.set("a", &vec![1, 2], WriteOptions::default()).await.unwrap();
    let (first, second) = (numbers.get("a").await.unwrap().unwrap(), numbers.get("a").await.unwrap().unwrap());
    assert!(Arc::ptr_eq(&first, &second), "decoded twice");
    assert_eq!(*first, [1, 2]);
    let texts: TypedCache<String> = TypedCache::new(numbers.namespace().clone());
    assert_eq!(texts.get("a").await.unwrap_err().kind(), ErrorKind::InvalidData);
    let nothing = numbers.get_or_load("none", LoadOptions::default(), || async { Ok(None) }).await.unwrap();
    assert_eq!(nothing, None);
    let calls = Calls::default();
    let known = calls.load(numbers.namespace(), "none", "1").await.unwrap();
    assert!(known.value().is_none() && calls.count() == 0, "a known absence was loaded again");
}

#[tokio::test]
async fn a_strict_namespace_keeps_no_copy() {
    let policy = Policy { freshness: Freshness::Strict, ..Policy::default() };
    let store = memory();
    let [one, two] = [0, 1].map(|_| Running::over(store.clone(), config(policy.clone())));
    let [here, there] = [&one, &two].map(|running| running.cache.namespace("page").unwrap());
    for round in 0..50 {
        there.set("a", format!("{round}"), WriteOptions::default()).await.unwrap();
        assert_eq!(text(&here, "a").await, Some(round.to_string()));
    }
    assert_eq!(here.stats().local_entries, 0);
}

#[tokio::test]
async fn warming_tells_of_each_part_and_survives_one_that_fails() {
    let running = Running::over(memory(), config(Policy::default()));
    let pages = running.cache.namespace("page").unwrap();
    for name in ["a", "b", "c"] {
        let pages = pages.clone();
        running.cache.on_warm(name, move || {
            let pages = pages.clone();
            async move {
                if name == "b" {
                    return Err("no such page".into());
                }
                pages.get_or_load(name, LoadOptions::default(), move || async move { Ok(Some(name.into())) }).await?;
                Ok(())
            }
        });
    }
    let mut told = Vec::new();
    let outcome = running.cache.warm(2.try_into().unwrap(), |progress| told.push(progress)).await;
    assert_eq!((outcome.warmed, outcome.failed), (2, 1));
    assert_eq!(
        told.iter().map(|progress| (progress.done, progress.total)).collect::<Vec<_>>(),
        [(1, 3), (2, 3), (3, 3)]
    );
    assert_eq!(told.iter().filter_map(|progress| progress.error.as_deref()).collect::<Vec<_>>(), ["no such page"]);
    assert_eq!(text(&pages, "c").await.as_deref(), Some("c"));
}

#[tokio::test]
async fn one_process_uses_a_bounded_number_of_namespaces() {
    let config = Config { max_namespaces: 2.try_into().unwrap(), ..Config::default() };
    let cache = CacheManager::new(memory(), config);
    cache.namespace("a").unwrap();
    cache.namespace("b").unwrap();
    cache.namespace("a").unwrap();
    assert_eq!(cache.namespace("c").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(cache.namespace("a:b").is_err());
}

#[tokio::test]
async fn an_answer_that_crosses_the_message_about_its_change_is_not_kept() {
    let slow = Arc::new(SlowStore::over(memory()));
    let (one, two) = (
        Running::over(slow.clone(), config(bounded(MINUTE))),
        Running::over(slow.store.clone(), config(bounded(MINUTE))),
    );
    let [here, there] = [&one, &two].map(|running| running.cache.namespace("page").unwrap());
    // Both are listening.
    there.set("b", "1", WriteOptions::default()).await.unwrap();
    eventually(|| async { text(&here, "b").await.is_some() && here.get_local("b").is_some() }, SOON).await;
    there.set("a", "old", WriteOptions::default()).await.unwrap();
    slow.hold();
    let reading = tokio::spawn({
        let here = here.clone();
        async move { text(&here, "a").await }
    });
    slow.held().await;
    there.set("a", "new", WriteOptions::default()).await.unwrap();
    there.set("b", "2", WriteOptions::default()).await.unwrap();
    eventually(|| async { here.get_local("b").is_none() }, SOON).await;
    slow.let_go();
    assert_eq!(reading.await.unwrap().as_deref(), Some("old"), "it was asked before the change");
    assert_eq!(text(&here, "a").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn copies_stay_within_the_memory_of_their_namespace() {
    let policy = Policy { local_bytes: 100_000, ..Policy::default() };
    let running = Running::over(memory(), config(policy));
    let pages = running.cache.namespace("page").unwrap();
    for key in 0..500 {
        pages.set(&key.to_string(), vec![0; 1_000], WriteOptions::default()).await.unwrap();
    }
    let stats = pages.stats();
    assert!(stats.local_bytes <= 100_000 && stats.local_entries >= 20, "{stats:?}");
}
