//! A namespace that leaves its bounds: people are told once, also late, and told when it is well again.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use trackside_cache::{Bounds, CacheAlert, CacheAlertNotifier, CacheAlertRule, Config, Policy, WriteOptions};
use trackside_testkit::eventually;

use crate::{
    kit::{Running, SOON, config, memory},
    slow_store::SlowStore,
};

/// Writes down what it is told, after it failed so many times.
#[derive(Clone, Default)]
struct Diary {
    told: Arc<Mutex<Vec<CacheAlert>>>,
    failures: Arc<AtomicU32>,
}

// === impl Diary ===

impl Diary {
    fn told(&self) -> Vec<CacheAlert> {
        self.told.lock().unwrap().clone()
    }
}

#[async_trait]
impl CacheAlertNotifier for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }

    async fn notify(&self, alert: &CacheAlert) -> Result<(), String> {
        let fails = |left: u32| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails).is_ok() {
            return Err("nobody is there".to_owned());
        }
        self.told.lock().unwrap().push(alert.clone());
        Ok(())
    }
}

fn watched(bounds: Bounds) -> Config {
    Config { watch_every: Duration::from_millis(20), ..config(Policy { bounds, ..Policy::default() }) }
}

#[tokio::test]
async fn misses_alert_once_and_hits_make_it_well_again() {
    let bounds = Bounds { hit_ratio_below: Some(0.5), hit_ratio_reads: 20, ..Bounds::default() };
    let running = Running::over(memory(), watched(bounds));
    let (diary, pages) = (Diary::default(), running.cache.namespace("page").unwrap());
    running.cache.on_alert(diary.clone());
    pages.set("a", "1", WriteOptions::default()).await.unwrap();
    // The watch knows the counts before.
    eventually(|| async { pages.get("a").await.unwrap().is_some() }, SOON).await;
    let missed = || async {
        pages.get("never there").await.unwrap();
        diary.told().len() == 1
    };
    eventually(missed, SOON).await;
    let fired = diary.told().remove(0);
    assert!(fired.is_firing() && fired.value < 0.5 && fired.rule == CacheAlertRule::HitRatio, "{fired:?}");
    assert_eq!((fired.namespace.as_str(), fired.threshold), ("page", 0.5));
    assert_eq!(running.cache.alerts(), std::slice::from_ref(&fired));
    let hit = || async {
        for _ in 0..100 {
            pages.get("a").await.unwrap();
        }
        diary.told().len() == 2
    };
    eventually(hit, SOON).await;
    let resolved = diary.told().remove(1);
    assert!(!resolved.is_firing() && resolved.value >= 0.55 && resolved.since == fired.since, "{resolved:?}");
    assert_ne!(resolved.id(), fired.id());
    assert_eq!(running.cache.alerts(), [resolved], "it is remembered");
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_told_is_told_later() {
    let bounds = Bounds { hit_ratio_below: Some(0.5), hit_ratio_reads: 1, ..Bounds::default() };
    let running = Running::over(memory(), watched(bounds));
    let diary = Diary { failures: Arc::new(AtomicU32::new(2)), ..Diary::default() };
    running.cache.on_alert(diary.clone());
    let pages = running.cache.namespace("page").unwrap();
    let missed = || async {
        pages.get("never there").await.unwrap();
        !diary.told().is_empty()
    };
    eventually(missed, Duration::from_secs(120)).await;
    assert_eq!((diary.told().len(), diary.failures.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn a_store_that_takes_long_alerts() {
    let bounds = Bounds { latency_above: Some(Duration::from_millis(1)), latency_calls: 1, ..Bounds::default() };
    let slow = Arc::new(SlowStore::over(memory()));
    let running = Running::over(slow.clone(), watched(bounds));
    let pages = running.cache.namespace("page").unwrap();
    let read = || async {
        slow.hold();
        let reading = tokio::spawn({
            let pages = pages.clone();
            async move { pages.get("never there").await.unwrap() }
        });
        slow.held().await;
        let held_at = Instant::now();
        eventually(|| async { held_at.elapsed() > Duration::from_millis(5) }, SOON).await;
        slow.let_go();
        reading.await.unwrap();
        running.cache.alerts().first().is_some_and(|alert| alert.rule == CacheAlertRule::Latency && alert.is_firing())
    };
    eventually(read, SOON).await;
}

#[tokio::test]
async fn what_is_usual_also_binds_the_ready_made_caches() {
    let bounds = Bounds { hit_ratio_below: None, ..Bounds::default() };
    let running = Running::over(memory(), watched(bounds.clone()));
    assert_eq!(running.cache.job_statuses::<u8>().unwrap().namespace().policy().bounds, bounds);
}
