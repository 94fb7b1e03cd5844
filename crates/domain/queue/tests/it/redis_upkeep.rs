//! What the store costs Redis: keys, memory and commands.

use bytes::Bytes;
use trackside_core::{QueueName, UserId};
use trackside_queue::{
    BrakeChange, BrakeScope, Due, MAX_BATCH, Outcome, QueueStore, RedisQueueStore, Settlement, Step,
    conformance::Harness,
};
use trackside_testkit::RedisServer;

use crate::{
    kit::{claim, complete, new_task, new_tasks, step},
    names::unique_queue,
    redis_kit::OnRedis,
};

/// Keys without a time to live, each with its reason in the key reference.
const KEPT: [&str; 17] = [
    ":queue",
    ":critical",
    ":high",
    ":low",
    ":tasks",
    ":delayed",
    ":lease",
    ":own",
    ":crash",
    ":parked",
    ":orders",
    ":dead",
    ":wake",
    ":meta",
    ":waiting",
    ":next",
    "trackside:queues",
];

#[tokio::test]
async fn every_key_expires_or_is_documented_to_stay() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let user: UserId = "u-1".parse().unwrap();
    redis.store.register(&queue).await.unwrap();
    let mut tasks = new_tasks(&queue, 7);
    tasks[0].options.user_id = Some(user.clone());
    tasks[6].options.depends_on = vec![tasks[4].id.into()];
    tasks[5].options.due = Due::After(redis.config.lease);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    let engaged = BrakeChange { scope: BrakeScope::User(user), engaged: true, revision: 1 };
    redis.store.set_brake(&queue, &engaged).await.unwrap();
    let claimed = claim(&redis.store, &queue, 4).await.claimed;
    let failed = Outcome::Failed { error: "no".into(), retryable: false, retry_after: None };
    let settle = Settlement { id: claimed[0].id, fence: claimed[0].fence, outcome: failed };
    redis.store.step(&queue, Step { settle: vec![settle], ..step(0) }).await.unwrap();
    redis.store.step(&queue, complete(&claimed[1..2])).await.unwrap();
    redis.store.cancel(&queue, claimed[2].id, "no").await.unwrap();
    redis.store.cancel(&queue, tasks[5].id, "no").await.unwrap();
    redis.store.set_brake(&queue, &BrakeChange { engaged: false, revision: 2, ..engaged }).await.unwrap();

    let pattern = format!("*{}*", redis.service.prefix());
    let keys = server.cli(&["KEYS", &pattern]);
    assert!(keys.lines().count() > 8, "{keys}");
    for key in keys.lines() {
        let expires = server.cli(&["PTTL", key]) != "-1";
        let is_kept = KEPT.iter().any(|name| key.ends_with(name));
        assert!(expires != is_kept, "{key}: expires {expires}, documented to stay {is_kept}");
    }
    let final_records = keys.lines().find(|key| key.contains(":done:")).unwrap();
    let left: u64 = server.cli(&["PTTL", final_records]).parse().unwrap();
    assert!(left > 0 && u128::from(left) <= redis.config.retention.as_millis() + 1);
}

#[tokio::test]
async fn a_task_that_completes_after_a_crash_leaves_no_count_of_it() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    redis.store.enqueue(&queue, &new_tasks(&queue, 1)).await.unwrap();
    claim(&redis.store, &queue, 1).await;
    let count = || server.cli(&["HLEN", &redis.tagged(&queue, "crash")]);
    // Never so long that the queue seems to have stood still.
    for _ in 0..3 {
        redis.advance(redis.config.lease / 2).await;
        claim(&redis.store, &queue, 0).await;
    }
    let again = claim(&redis.store, &queue, 1).await.claimed;
    assert_eq!((again[0].crashes, count().as_str()), (1, "1"));
    // Until the usual script is tried again.
    for _ in 0..64 {
        claim(&redis.store, &queue, 0).await;
    }
    redis.store.step(&queue, complete(&again)).await.unwrap();
    assert_eq!(count(), "0");
}

#[tokio::test]
async fn a_queued_task_of_200_bytes_takes_at_most_350_bytes() {
    const TASKS: usize = 20 * MAX_BATCH;
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let payload = Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(189)));
    assert_eq!(payload.len(), 200);
    for _ in 0..TASKS / MAX_BATCH {
        let mut tasks = new_tasks(&queue, MAX_BATCH);
        tasks.iter_mut().for_each(|task| task.payload = payload.clone());
        redis.store.enqueue(&queue, &tasks).await.unwrap();
    }
    let usage = |key: &str| -> usize { server.cli(&["MEMORY", "USAGE", key, "SAMPLES", "0"]).parse().unwrap() };
    let list = usage(&redis.key(&format!("{queue}:queue")));
    let records = usage(&redis.tagged(&queue, "tasks"));
    let each = (list + records) / TASKS;
    assert!(each <= 350, "{each} bytes: {} in the list, {} in the records", list / TASKS, records / TASKS);
}

/// Commands on data that Redis has run, inside and outside of scripts; connections ask for signs of life and settings
/// besides.
fn commands_run(server: &RedisServer) -> u64 {
    const UPKEEP: [&str; 8] = ["ping", "info", "config", "client", "hello", "role", "command", "cluster"];
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = stats.lines().filter_map(|line| {
        let (name, counts) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls: u64 = counts.split(',').next()?.parse().ok()?;
        (!UPKEEP.iter().any(|upkeep| name.split('|').next() == Some(upkeep))).then_some(calls)
    });
    calls.sum()
}

#[tokio::test]
async fn a_step_costs_the_same_whatever_waits() {
    // A server of its own, so that only this test's commands are counted.
    let server = RedisServer::start().await.unwrap();
    let redis = OnRedis::at(&server.url(), "", trackside_queue::Config::default()).await;
    let queue = redis.queue();
    let mut costs = Vec::new();
    for depth in [2 * MAX_BATCH, 40 * MAX_BATCH] {
        for _ in 0..depth / MAX_BATCH {
            redis.store.enqueue(&queue, &new_tasks(&queue, MAX_BATCH)).await.unwrap();
        }
        let claimed = claim(&redis.store, &queue, 64).await.claimed;
        let before = commands_run(&server);
        let reply = redis.store.step(&queue, Step { credits: 64, ..complete(&claimed) }).await.unwrap();
        costs.push(commands_run(&server) - before);
        assert_eq!((reply.settled.len(), reply.claimed.len()), (64, 64));
        redis.store.step(&queue, complete(&reply.claimed)).await.unwrap();
    }
    // Tasks made on both sides of a boundary in time have two buckets of final records, with two commands each.
    assert!(costs[0].abs_diff(costs[1]) <= 2, "{costs:?}");
    assert!(costs[0] <= 24, "{} commands to settle 64 tasks and claim 64 others", costs[0]);
}

#[tokio::test]
async fn cancelled_tasks_are_passed_over_in_bounded_steps_and_not_counted() {
    const CANCELLED: usize = 400;
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let tasks = new_tasks(&queue, CANCELLED + 1);
    for chunk in tasks.chunks(MAX_BATCH) {
        redis.store.enqueue(&queue, chunk).await.unwrap();
    }
    for task in &tasks[..CANCELLED] {
        redis.store.cancel(&queue, task.id, "not needed").await.unwrap();
    }
    let list = redis.key(&format!("{queue}:queue"));
    assert_eq!(server.cli(&["LLEN", &list]), (CANCELLED + 1).to_string(), "finding them would take too long");
    let stats = redis.store.stats(&queue).await.unwrap();
    assert_eq!((stats.ready[2], stats.cancelled), (1, CANCELLED as u64));

    let first = claim(&redis.store, &queue, 1).await;
    assert_eq!((first.claimed.len(), first.more_ready), (0, true), "256 were looked at, and there is more");
    let second = claim(&redis.store, &queue, 1).await;
    assert_eq!(second.claimed.iter().map(|it| it.id).collect::<Vec<_>>(), [tasks[CANCELLED].id]);
    assert!(!second.more_ready);
    assert_eq!(redis.store.stats(&queue).await.unwrap().ready, [0; 4]);
}

#[tokio::test]
async fn an_id_that_stands_in_the_list_twice_has_one_holder() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let task = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    let list = redis.key(&format!("{queue}:queue"));
    for credits in [5, 5] {
        server.cli(&["LPUSH", &list, &task.id.to_key(), &task.id.to_key()]);
        let claimed = claim(&redis.store, &queue, credits).await.claimed;
        assert!(claimed.len() <= 1, "{claimed:?}");
    }
    let stats = redis.store.stats(&queue).await.unwrap();
    assert_eq!((stats.active, stats.ready), (1, [0; 4]));
}

#[tokio::test]
async fn a_name_that_is_no_queue_does_not_hide_the_others() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    redis.store.register(&queue).await.unwrap();
    server.cli(&["SADD", &redis.key("trackside:queues"), "not a queue"]);
    assert_eq!(redis.store.queues().await.unwrap(), [queue]);
}

#[tokio::test]
async fn two_prefixes_on_one_server_know_nothing_of_each_other() {
    let (one, other) = (OnRedis::shared().await, OnRedis::shared().await);
    let queue = unique_queue();
    let task = new_task(&queue);
    one.store.register(&queue).await.unwrap();
    one.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    assert_eq!(other.store.queues().await.unwrap(), []);
    assert_eq!(other.store.status(&queue, task.id).await.unwrap(), None);
    assert_eq!(claim(&other.store, &queue, 5).await.claimed, []);
    assert_eq!(claim(&one.store, &queue, 5).await.claimed.len(), 1);
}

#[tokio::test]
async fn two_queues_are_worked_on_by_several_processes_at_once() {
    const TASKS: usize = 3 * MAX_BATCH;
    let redis = OnRedis::shared().await;
    let queues = [redis.queue(), redis.queue()];
    for queue in &queues {
        for _ in 0..TASKS / MAX_BATCH {
            redis.store.enqueue(queue, &new_tasks(queue, MAX_BATCH)).await.unwrap();
        }
    }
    // Each store has its own memory of the queues, as a process has.
    let work = |queue: QueueName, store: RedisQueueStore| async move {
        let (mut done, mut before) = (0, Vec::new());
        loop {
            let reply = store.step(&queue, Step { credits: 50, ..complete(&before) }).await.unwrap();
            done += reply.settled.len();
            if reply.claimed.is_empty() {
                return done;
            }
            before = reply.claimed;
        }
    };
    let workers = queues.iter().flat_map(|queue| {
        let store = || RedisQueueStore::new(redis.service.clone(), redis.config.clone());
        (0..3).map(move |_| work(queue.clone(), store()))
    });
    let done: usize = futures::future::join_all(workers).await.into_iter().sum();
    assert_eq!(done, 2 * TASKS);
    for queue in &queues {
        let stats = redis.store.stats(queue).await.unwrap();
        assert_eq!((stats.completed, stats.active, stats.ready), (TASKS as u64, 0, [0; 4]));
    }
}
