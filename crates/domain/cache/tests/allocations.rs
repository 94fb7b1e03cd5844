//! A hit in the process allocates nothing. A program of its own, because the allocator that counts is the whole program's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops there")]

use std::{pin::pin, sync::Arc};

use allocation_counter::measure;
use futures::FutureExt;
use trackside_cache::{CacheManager, Config, LoadOptions, MemoryCacheStore, Namespace, TypedCache, WriteOptions};
use trackside_core::SystemClock;

const HITS: usize = 10_000;

fn namespace() -> Namespace {
    let store = MemoryCacheStore::new(&Config::default(), Arc::new(SystemClock::default()));
    CacheManager::new(Arc::new(store), Config::default()).namespace("page").unwrap()
}

#[tokio::test]
async fn a_hit_in_the_process_allocates_nothing_for_raw_bytes() {
    let pages = namespace();
    pages.set("a", vec![7; 300], WriteOptions::default()).await.unwrap();
    let counted = measure(|| {
        for _ in 0..HITS {
            // Ready at once, so nothing else runs on this thread meanwhile.
            let hit = pin!(pages.get("a")).now_or_never().unwrap().unwrap().unwrap();
            assert_eq!(hit.value().unwrap().len(), 300);
            assert_eq!(hit.into_value().unwrap()[299], 7);
        }
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    assert_eq!(pages.stats().local_hits, HITS as u64, "they were answered by something else");
}

#[tokio::test]
async fn neither_does_one_that_would_have_been_loaded_or_one_that_was_decoded_before() {
    let pages = namespace();
    let numbers: TypedCache<Vec<u32>> = TypedCache::new(pages.clone());
    numbers.set("a", &vec![1, 2, 3], WriteOptions::default()).await.unwrap();
    numbers.get("a").await.unwrap().unwrap();
    let counted = measure(|| {
        for _ in 0..HITS {
            let load = pages.get_or_load("a", LoadOptions::default(), || async { Ok(None) });
            assert!(pin!(load).now_or_never().unwrap().unwrap().value().is_some());
            assert_eq!(*pin!(numbers.get("a")).now_or_never().unwrap().unwrap().unwrap(), [1, 2, 3]);
        }
    });
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
}

#[tokio::test]
async fn what_does_allocate_is_counted() {
    let pages = namespace();
    let counted = measure(|| assert!(pin!(pages.get("never there")).now_or_never().unwrap().unwrap().is_none()));
    assert!(counted.count_total > 0, "the counter does not count");
}
