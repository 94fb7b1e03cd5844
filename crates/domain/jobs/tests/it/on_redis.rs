//! The status store and the job updates on a real Redis.

#![expect(clippy::expect_used, reason = "a helper of tests")]

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, stream::BoxStream};
use trackside_core::{KeyPrefix, Timestamp};
use trackside_jobs::{
    JobEvent, JobRecord, JobState, JobStatusStore, JobUpdate, JobUpdateEvent, JobUpdates, RedisJobStatusStore,
    RedisJobUpdates, conformance::record,
};
use trackside_redis::{Command, Config, RedisService};
use trackside_testkit::{RedisServer, eventually};

use crate::support::SOON;

async fn connect(server: &RedisServer, prefix: &str) -> Result<RedisService> {
    let config = Config { prefix: KeyPrefix::new(prefix), ..Config::new(server.url().parse()?) };
    let redis = RedisService::start(config)?;
    redis.wait_until_connected(SOON).await?;
    Ok(redis)
}

fn running(at: u64) -> JobRecord {
    JobRecord { state: JobState::Running, run: 3, ..record("word-index", at) }
}

fn update(job: &JobRecord) -> JobUpdate {
    JobUpdate::of(job, Timestamp::from_millis(5_000)).expect("a state with an event")
}

/// The next update, without gaps.
async fn next(updates: &mut BoxStream<'static, JobUpdateEvent>) -> Result<JobUpdate> {
    loop {
        match tokio::time::timeout(SOON, updates.next()).await?.context("the stream ended")? {
            JobUpdateEvent::Update(update) => return Ok((*update).clone()),
            JobUpdateEvent::Gap => {}
        }
    }
}

#[tokio::test]
async fn the_status_of_a_job_is_json_with_a_time_to_live() -> Result<()> {
    let server = RedisServer::shared().await;
    let redis = connect(server, &server.unique_prefix()).await?;
    let store = RedisJobStatusStore::new(redis.clone());
    let job = running(1_000);
    assert_eq!(store.get(job.job_id).await?, None);
    store.put(&job, Duration::from_secs(600)).await?;
    assert_eq!(store.get(job.job_id).await?, Some(job.clone()));

    let key = redis.prefix().key(&format!("job:{}:status", job.job_id));
    let json = redis.execute("test", Command::new("GET").key(&key)).await?.into_string()?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    assert_eq!((&json["job_id"], &json["status"]), (&serde_json::json!(job.job_id), &serde_json::json!("running")));
    let ttl = redis.execute("test", Command::new("TTL").key(&key)).await?.as_int()?;
    assert!((1..=600).contains(&ttl), "{ttl}");

    let queued = JobRecord { state: JobState::Queued, run: 0, ..job.clone() };
    store.put_if_absent(&queued, Duration::from_secs(600)).await?;
    assert_eq!(store.get(job.job_id).await?.map(|job| job.state), Some(JobState::Running), "it does not go backwards");
    Ok(())
}

#[tokio::test]
async fn updates_reach_every_process_once_and_plain_subscribers_too() -> Result<()> {
    let server = RedisServer::shared().await;
    let prefix = server.unique_prefix();
    let (first, second) = (connect(server, &prefix).await?, connect(server, &prefix).await?);
    let mut plain = second.subscribe(vec![second.prefix().key("job_updates")])?;
    plain.ready().await?;
    let (publisher, listener) = (RedisJobUpdates::new(first), RedisJobUpdates::new(second.clone()));
    let (mut own, mut other) = (publisher.subscribe(), listener.subscribe());
    let jobs = [running(1_000), JobRecord { state: JobState::Completed, ..running(1_001) }];
    for job in &jobs {
        publisher.publish(update(job)).await?;
    }
    for updates in [&mut own, &mut other] {
        for job in &jobs {
            assert_eq!(next(updates).await?.job_id, job.job_id);
        }
    }
    let message = loop {
        if let trackside_redis::PubSubEvent::Message { payload, .. } = plain.next().await.context("ended")? {
            break serde_json::from_slice::<serde_json::Value>(&payload)?;
        }
    };
    assert_eq!(
        (&message["event"], &message["tool"]),
        (&serde_json::json!("job_started"), &serde_json::json!("word-index"))
    );
    // Nothing twice: the next update that the publisher sees of itself is the next one it publishes.
    let last = running(1_002);
    publisher.publish(update(&last)).await?;
    assert_eq!(next(&mut own).await?.job_id, last.job_id);
    Ok(())
}

#[tokio::test]
async fn with_redis_away_this_process_still_hears_itself() -> Result<()> {
    let server = RedisServer::start().await?;
    let redis = connect(&server, "").await?;
    let updates = RedisJobUpdates::new(redis.clone());
    let mut own = updates.subscribe();
    drop(server);
    eventually(|| async { !redis.is_connected() }, SOON).await;
    let job = running(1_000);
    let error = updates.publish(update(&job)).await.unwrap_err();
    assert!(error.kind().is_store_outage(), "{error}");
    assert_eq!(next(&mut own).await?.event, JobEvent::JobStarted);
    let status = RedisJobStatusStore::new(redis).get(job.job_id).await.unwrap_err();
    assert!(status.kind().is_store_outage(), "{status}");
    Ok(())
}
