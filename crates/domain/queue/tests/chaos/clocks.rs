//! Processes whose clock is wrong by an hour: the server's clock is the one that counts.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use trackside_core::Timestamp;
use trackside_queue::TaskState;
use trackside_testkit::eventually;

use crate::{
    journal::Event,
    process::Role,
    producer::Orders,
    row::{LEASE_MS, PATIENCE, Row, scale},
    verdict::Expected,
    worker::{QUICK, WAIT, Worker},
};

const HOUR_S: i64 = 60 * 60;
const DELAY: Duration = Duration::from_secs(1);

/// What gives a process a clock that is wrong by so many seconds.
fn shifted(library: &Path, seconds: i64) -> [(&'static str, String); 2] {
    [("LD_PRELOAD", library.display().to_string()), ("TRACKSIDE_CLOCK_SHIFT_S", seconds.to_string())]
}

fn build_library(row: &Row) -> PathBuf {
    let (source, library) =
        (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/clock_shift.c"), row.folder().join("clock.so"));
    // The linker that built this test.
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status().unwrap();
    assert!(built.success());
    library
}

#[tokio::test]
async fn clocks_that_are_wrong_by_an_hour_change_nothing() {
    let row = Row::new("client clocks ±1 h").await;
    let library = build_library(&row);
    let program = std::env::current_exe().unwrap();
    let spawn = |role: Role, seconds: i64| role.spawn_with(&program, &shifted(&library, seconds));

    // What a fast clock holds is not taken by a slow one, and the other way round.
    let held = row.produce(&Orders::of(2, WAIT)).await;
    let (fast, slow) = (Worker { places: 1, ..row.worker("fast") }, row.worker("slow"));
    let _fast = spawn(Role::Work(fast.clone()), HOUR_S);
    row.written("fast", Event::Begin).await;
    let _slow = spawn(Role::Work(slow.clone()), -HOUR_S);
    row.written("slow", Event::Begin).await;
    let server_ms = || row.server.cli(&["TIME"]).lines().next().unwrap().parse::<u64>().unwrap() * 1000;
    let begun = server_ms();
    eventually(|| async { server_ms() > begun + 2 * LEASE_MS }, PATIENCE).await;
    assert_eq!(row.count(Event::Begin), 2, "both were renewed");
    fast.let_go();
    slow.let_go();

    let count = scale(20, 500);
    let orders = Orders { delay_ms: DELAY.as_millis().try_into().unwrap(), ..Orders::of(count, QUICK) };
    let mut producers = [("ahead", HOUR_S), ("behind", -HOUR_S)]
        .map(|(name, seconds)| spawn(Role::Produce(row.producer(name, orders.clone())), seconds));
    for producer in &mut producers {
        assert!(producer.ended().await);
    }
    for id in held {
        assert_eq!(row.ended(id).await.state, TaskState::Completed);
    }
    let entries = row.entries();
    let now = Timestamp::now().as_millis();
    for (name, ahead) in [("ahead", true), ("behind", false)] {
        let accepted = || entries.iter().filter(|it| it.who == name && it.event == Event::Accepted);
        assert_eq!(accepted().count(), count);
        assert!(accepted().all(|it| it.at.as_millis().abs_diff(now) > 1_000_000 && (it.at.as_millis() > now) == ahead));
        for entry in accepted() {
            let status = row.ended(entry.task.unwrap()).await;
            assert_eq!(status.state, TaskState::Completed);
            assert!(status.started_at.unwrap() >= status.enqueued_at.plus(DELAY), "not before it was due: {status:?}");
        }
    }
    let sum = row.finish(Expected::default()).await;
    assert_eq!((sum.acknowledged, sum.duplicated), (2 * count + 2, 0));
}
