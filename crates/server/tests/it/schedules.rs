//! Schedules, made by several processes that are killed and stopped.

use nix::sys::signal::Signal;
use serde_json::json;
use trackside_core::Timestamp;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service};

/// The interval of the schedule.
const EVERY_MS: u64 = 250;
/// A schedule that nothing is to be missed of.
const SCHEDULE: &str = "/v1/schedules/pulse";

async fn start(redis: &RedisServer) -> anyhow::Result<(Home, Service)> {
    let home = Home::new()?;
    let service = Service::start_with(&home, Some(&redis.url()), &[("TRACKSIDE_WORKER__ENABLED", "false")]).await?;
    Ok((home, service))
}

/// The slots of the tasks in the queue, in milliseconds: the time that stands in their ids.
async fn slots(service: &Service) -> anyhow::Result<Vec<u64>> {
    let (status, next) = service.get("/v1/queues/exports/tasks?limit=256").await?;
    if status == 404 {
        return Ok(Vec::new());
    }
    let ids = next["tasks"].as_array().into_iter().flatten().filter_map(|task| task["task_id"].as_str());
    Ok(ids.map(|id| u64::from_str_radix(&id.replace('-', "")[..12], 16)).collect::<Result<_, _>>()?)
}

async fn until(service: &Service, count: usize) {
    eventually(|| async { slots(service).await.is_ok_and(|slots| slots.len() >= count) }, PATIENCE).await;
}

#[tokio::test]
async fn four_processes_that_are_killed_and_stopped_miss_no_slot_and_make_none_twice() -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let mut services = Vec::new();
    for _ in 0..4 {
        services.push(start(&redis).await?);
    }
    let (_last_home, last) = start(&redis).await?;
    let pulse =
        json!({"queue": "exports", "kind": "pulse", "every_ms": EVERY_MS, "catch_up": "all", "catch_up_max": 256});
    let (status, schedule) = last.put(SCHEDULE, pulse).await?;
    assert_eq!(status, 201, "{schedule}");

    until(&last, 4).await;
    // One stands still for longer than its claims last, and goes on in the belief that no time has passed.
    let Some((_stopped_home, stopped)) = services.pop() else { unreachable!("four were started") };
    stopped.signal(Signal::SIGSTOP)?;
    for (_home, service) in services {
        service.kill9().await?;
        until(&last, slots(&last).await?.len() + 8).await;
    }
    stopped.signal(Signal::SIGCONT)?;
    until(&last, slots(&last).await?.len() + 4).await;
    stopped.kill9().await?;
    let expected = slots(&last).await?.len() + 8;
    until(&last, expected).await;

    let (status, paused) = last.post(&format!("{SCHEDULE}/pause"), json!(null)).await?;
    assert_eq!((status, &paused["paused"], &paused["last_error"]), (200, &json!(true), &json!(null)), "{paused}");
    let mut slots = slots(&last).await?;
    slots.sort_unstable();
    let steps: Vec<u64> = slots.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| *step == EVERY_MS), "every slot once: {steps:?}");
    let (_, queue) = last.get("/v1/queues/exports").await?;
    assert_eq!(queue["created"], json!(slots.len()), "and nothing besides");
    let first: Timestamp = schedule["next_slot"].as_str().unwrap_or_default().parse()?;
    assert!(slots.len() >= expected && slots[0] == first.as_millis(), "from {first}: {slots:?}");
    Ok(())
}
