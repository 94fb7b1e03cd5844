//! Keys, records and numbers that are not as this program writes them: nothing is lost to them, and nothing stops.

use std::time::Duration;

use trackside_core::Timestamp;
use trackside_queue::{
    BrakeChange, BrakeScope, Due, NewTask, Outcome, QueueStats, QueueStore, Settlement, Step, TaskState,
    conformance::Harness,
};
use trackside_testkit::RedisServer;

use crate::{
    kit::{claim, new_task, new_tasks, refs, step},
    redis_kit::OnRedis,
};

/// Q-L2 as an equation.
fn assert_conserved(stats: &QueueStats) {
    let unfinished = stats.ready.iter().sum::<u64>() + stats.delayed + stats.parked + stats.active + stats.dead;
    assert_eq!(stats.created, unfinished + stats.completed + stats.cancelled + stats.purged, "{stats:?}");
}

fn delayed(task: NewTask, by: Duration) -> NewTask {
    let mut task = task;
    task.options.due = Due::After(by);
    task
}

#[tokio::test]
async fn a_plain_key_that_is_no_list_costs_no_task() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let user = BrakeScope::User("u-1".parse().unwrap());
    let mut tasks = new_tasks(&queue, 4);
    tasks[0].options.user_id = Some("u-1".parse().unwrap());
    tasks[3] = delayed(tasks[3].clone(), Duration::from_secs(1));
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    let brake = BrakeChange { scope: user.clone(), engaged: true, revision: 1 };
    redis.store.set_brake(&queue, &brake).await.unwrap();
    let claimed = claim(&redis.store, &queue, 3).await.claimed;
    redis.store.set_brake(&queue, &BrakeChange { engaged: false, revision: 2, ..brake }).await.unwrap();
    let settle = |at: usize, outcome| Settlement { id: claimed[at].id, fence: claimed[at].fence, outcome };
    let failed = Outcome::Failed { error: "no".into(), retryable: false, retry_after: None };
    redis.store.step(&queue, Step { settle: vec![settle(0, failed)], ..step(0) }).await.unwrap();
    redis.advance(Duration::from_secs(2)).await;

    // The list is empty, so that its name is free for any other program.
    let list = redis.key(&format!("{queue}:queue"));
    server.cli(&["SET", &list, "of another program"]);
    let before = redis.store.enqueue(&queue, &[new_task(&queue)]).await;
    assert!(before.is_err(), "{before:?}");
    let released = Step { settle: vec![settle(1, Outcome::Released)], ..step(5) };
    assert!(redis.store.step(&queue, released.clone()).await.is_err());
    assert!(redis.store.requeue_dead(&queue, &[claimed[0].id.into()]).await.is_err());
    assert!(redis.store.unpark(&queue, &user, 5).await.is_err());

    server.cli(&["DEL", &list]);
    let stats = redis.store.stats(&queue).await.unwrap();
    assert_eq!((stats.created, stats.active, stats.delayed, stats.parked, stats.dead), (4, 1, 1, 1, 1));
    assert_conserved(&stats);
    assert_eq!(redis.store.step(&queue, released).await.unwrap().claimed.len(), 2, "the released and the delayed one");
}

#[tokio::test]
async fn records_that_cannot_be_read_stop_nothing() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    // Headers of every wrong shape, among them numbers that JSON has no word for.
    let headers = [
        "7",
        "null",
        "[]",
        r#"{"k": 7}"#,
        r#"{"k": "a", "a": "x"}"#,
        r#"{"k": "a", "m": {}}"#,
        r#"{"k": "a", "b": []}"#,
        r#"{"k": "a", "b": "e"}"#,
        r#"{"k": "a", "zz": NaN}"#,
        r#"{"k": "a", "zz": 1e999}"#,
        r#"{"k": "a", "a": 1e300}"#,
    ];
    let tasks = new_tasks(&queue, headers.len() + 1);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    for (task, header) in tasks.iter().zip(headers) {
        server.cli(&["HSET", &redis.tagged(&queue, "tasks"), &task.id.to_key(), &format!("n1  {header}\n{{}}")]);
    }
    for _ in 0..20 {
        let claimed = claim(&redis.store, &queue, 20).await.claimed;
        let failed = || Outcome::Failed { error: "no".into(), retryable: true, retry_after: None };
        let settle = claimed.iter().map(|task| Settlement { id: task.id, fence: task.fence, outcome: failed() });
        let step = Step { settle: settle.collect(), ..step(0) };
        redis.store.step(&queue, step.clone()).await.unwrap();
        redis.store.step(&queue, step).await.unwrap();
        redis.advance(Duration::from_secs(40)).await;
    }
    assert_eq!(redis.store.stats(&queue).await.unwrap().dead, tasks.len() as u64);
    let ids: Vec<_> = tasks.iter().map(|task| task.id).collect();
    assert_eq!(redis.store.requeue_dead(&queue, &refs(&ids)).await.unwrap(), ids.len());
    let stats = redis.store.stats(&queue).await.unwrap();
    assert_eq!((stats.ready[2], stats.dead), (tasks.len() as u64, 0));
    assert_conserved(&stats);
}

#[tokio::test]
async fn absurd_times_are_bounded() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let mut tasks = new_tasks(&queue, 2);
    tasks[0].options.due = Due::At(Timestamp::from_millis(u64::MAX));
    tasks[1].options.due = Due::After(Duration::MAX);
    let added = redis.store.enqueue(&queue, &tasks).await.unwrap();
    assert!(added.iter().all(|answer| answer.state == TaskState::Delayed), "{added:?}");
    for task in &tasks {
        assert!(redis.store.status(&queue, task.id).await.unwrap().unwrap().due_at.is_some());
    }
    assert!(claim(&redis.store, &queue, 5).await.next_due > Some(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn a_user_whose_name_looks_like_a_header_is_taken_for_nothing_else() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let mut task = delayed(new_task(&queue), Duration::from_secs(60));
    task.options.user_id = Some(r#"u"a":1"#.parse().unwrap());
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    let status = redis.store.status(&queue, task.id).await.unwrap().unwrap();
    assert_eq!((status.state, status.attempts), (TaskState::Delayed, 0));
}

#[tokio::test]
async fn the_brake_is_obeyed_although_the_memory_of_redis_is_full() {
    let server = RedisServer::start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", trackside_queue::Config::default()).await;
    let queue = redis.queue();
    let task = new_task(&queue);
    redis.store.enqueue(&queue, &[task.clone(), new_task(&queue)]).await.unwrap();
    let claimed = claim(&redis.store, &queue, 1).await.claimed;
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    assert!(redis.store.enqueue(&queue, &[new_task(&queue)]).await.is_err(), "the memory is full");
    let brake = BrakeChange { scope: BrakeScope::Everyone, engaged: true, revision: 1 };
    redis.store.set_brake(&queue, &brake).await.unwrap();
    assert_eq!(claim(&redis.store, &queue, 1).await.claimed, []);
    redis.store.cancel(&queue, claimed[0].id, "enough").await.unwrap();
    redis.store.set_paused(&queue, true).await.unwrap();
    assert_eq!(redis.store.stats(&queue).await.unwrap().parked, 1);
}

#[tokio::test]
async fn releases_are_forgotten_after_a_day_also_while_another_brake_is_on() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let change = |user: &str, engaged, revision| BrakeChange {
        scope: BrakeScope::User(user.parse().unwrap()),
        engaged,
        revision,
    };
    redis.store.set_brake(&queue, &change("held", true, 1)).await.unwrap();
    redis.store.set_brake(&queue, &change("free", false, 2)).await.unwrap();
    redis.store.set_brake(&queue, &change("free", true, 1)).await.unwrap();
    redis.advance(Duration::from_secs(25 * 60 * 60)).await;
    redis.store.set_brake(&queue, &change("held", true, 3)).await.unwrap();
    assert_eq!(server.cli(&["HGETALL", &redis.tagged(&queue, "brake")]), "held\np3");
}
