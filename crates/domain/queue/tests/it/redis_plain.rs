//! What a stock Redis client sees of a queue, and what becomes of the elements that it pushes.

use std::time::Instant;

use trackside_core::TaskId;
use trackside_queue::{
    BrakeChange, BrakeScope, Outcome, QueueStore, Settlement, Step, TaskState, conformance::Harness,
};
use trackside_testkit::RedisServer;

use crate::{
    kit::{claim, complete, new_task, new_tasks, step},
    redis_kit::{OnRedis, PATIENCE},
};

/// Pushes elements as `LPUSH <queue>:queue <element>…` does in a terminal.
async fn push(redis: &OnRedis, queue: &str, elements: &[&str]) {
    let list = redis.key(&format!("{queue}:queue"));
    let words: Vec<&str> = ["LPUSH", list.as_str()].into_iter().chain(elements.iter().copied()).collect();
    RedisServer::shared().await.cli(&words);
}

#[tokio::test]
async fn depth_next_task_and_leases_are_read_with_plain_commands() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 3);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    let list = redis.key(&format!("{queue}:queue"));
    assert_eq!(server.cli(&["LLEN", &list]), "3");
    assert_eq!(server.cli(&["LRANGE", &list, "-1", "-1"]), tasks[0].id.to_key());
    assert_eq!(server.cli(&["LINDEX", &list, "-1"]).parse(), Ok(tasks[0].id), "the short form is an id, too");

    claim(&redis.store, &queue, 2).await;
    assert_eq!(server.cli(&["LLEN", &list]), "1");
    assert_eq!(server.cli(&["ZCARD", &redis.tagged(&queue, "lease")]), "2");
    assert_eq!(server.cli(&["ZRANGE", &redis.tagged(&queue, "lease"), "0", "0"]), tasks[0].id.to_key());
}

#[tokio::test]
async fn a_pushed_json_object_becomes_a_task() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let element = r#"{"task": "resize", "params": {"width": 10, "none": null}, "user_id": "u-1"}"#;
    push(&redis, queue.as_str(), &[element]).await;

    let peeked = redis.store.peek(&queue, 5).await.unwrap();
    assert_eq!((peeked.len(), peeked[0].id, peeked[0].payload.as_ref()), (1, None, element.as_bytes()));
    let claimed = claim(&redis.store, &queue, 1).await.claimed;
    assert_eq!((claimed[0].kind.as_str(), claimed[0].payload.as_ref()), ("resize", element.as_bytes()));
    assert_eq!(claimed[0].user_id.as_ref().map(AsRef::as_ref), Some("u-1"));
    assert_eq!((claimed[0].attempt, redis.store.stats(&queue).await.unwrap().created), (1, 1));

    redis.store.step(&queue, complete(&claimed)).await.unwrap();
    let status = redis.store.status(&queue, claimed[0].id).await.unwrap().unwrap();
    assert_eq!((status.state, status.kind.as_str()), (TaskState::Completed, "resize"));
}

#[tokio::test]
async fn the_kind_is_found_under_the_usual_names() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let cases = [
        (r#"{"kind": "a", "task": "b"}"#, "a"),
        (r#"{"type": "c", "name": "d"}"#, "c"),
        (r#" {"name": "d"}"#, "d"),
        (r#"{"kind": 7, "name": "line\nbreak"}"#, "raw"),
        ("{}", "raw"),
    ];
    push(&redis, queue.as_str(), &cases.map(|(element, _)| element)).await;
    let claimed = claim(&redis.store, &queue, 10).await.claimed;
    assert_eq!(claimed.iter().map(|task| task.kind.as_str()).collect::<Vec<_>>(), cases.map(|(_, kind)| kind));
}

#[tokio::test]
async fn pushed_elements_keep_their_turn_among_tasks() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let (first, last) = (new_task(&queue), new_task(&queue));
    redis.store.enqueue(&queue, std::slice::from_ref(&first)).await.unwrap();
    let elements: Vec<String> = (0..40).map(|index| format!(r#"{{"kind": "k{index}"}}"#)).collect();
    push(&redis, queue.as_str(), &elements.iter().map(String::as_str).collect::<Vec<_>>()).await;
    redis.store.enqueue(&queue, std::slice::from_ref(&last)).await.unwrap();

    let mut claimed = Vec::new();
    for credits in [3, 50] {
        let reply = claim(&redis.store, &queue, credits).await;
        assert_eq!(reply.more_ready, credits == 3);
        claimed.extend(reply.claimed);
    }
    let expected: Vec<String> = (0..40).map(|index| format!("k{index}")).collect();
    assert_eq!(claimed[1..41].iter().map(|task| task.kind.clone()).collect::<Vec<_>>(), expected);
    assert_eq!((claimed[0].id, claimed[41].id, claimed.len()), (first.id, last.id, 42));
    assert!(claimed.is_sorted_by(|a, b| a.fence < b.fence));
}

#[tokio::test]
async fn what_is_no_json_object_is_a_dead_letter_with_the_reason() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    // The last two are as long as an id and made of the same letters, one of them in the places where an id has them.
    let elements = [
        "plain words",
        "[1, 2]",
        "[[{\"kind\": \"k\"}]]",
        "7",
        "\"text\"",
        "{\"open\": ",
        "abcdefghijklmnopqrstuv",
        "abcdefghRjklmnopqrstuk",
    ];
    push(&redis, queue.as_str(), &elements).await;
    let task = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();

    let reply = claim(&redis.store, &queue, 1).await;
    assert_eq!(reply.claimed.iter().map(|it| it.id).collect::<Vec<_>>(), [task.id], "they hold nothing up");
    let letters = redis.store.dead_letters(&queue, None, 20).await.unwrap();
    let mut payloads: Vec<_> = letters.iter().map(|letter| letter.payload.clone()).collect();
    payloads.sort();
    let mut expected = elements;
    expected.sort_unstable();
    assert_eq!(payloads, expected);
    assert!(letters.iter().all(|letter| letter.status.error.as_ref().is_some_and(|error| error.contains("not"))));
    let stats = redis.store.stats(&queue).await.unwrap();
    assert_eq!((stats.created, stats.dead, stats.active), (9, 8, 1));
}

#[tokio::test]
async fn what_only_looks_like_json_is_a_dead_letter_with_the_reason() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let list = redis.key(&format!("{queue}:queue"));
    // What Redis' own reader of JSON takes and no other one does, as Lua writes it; and what is too long.
    let elements = [
        r#"{"a": NaN}"#,
        r#"{"a": -Infinity}"#,
        r#"{"a": 0x10}"#,
        r#"{"a": "\1"}"#,
        r#"{"a": "\255"}"#,
        r#"{"a": "line\nbreak"}"#,
    ];
    for element in elements {
        server.cli(&["EVAL", &format!("return redis.call('LPUSH', KEYS[1], '{element}')"), "1", &list]);
    }
    let long = "return redis.call('LPUSH', KEYS[1], '{\"a\": \"' .. string.rep('x', 300 * 1024) .. '\"}')";
    server.cli(&["EVAL", long, "1", &list]);
    let task = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();

    let mut claimed = Vec::new();
    while claimed.is_empty() {
        claimed = claim(&redis.store, &queue, 3).await.claimed;
    }
    assert_eq!(claimed.iter().map(|it| it.id).collect::<Vec<_>>(), [task.id], "they hold nothing up");
    let letters = redis.store.dead_letters(&queue, None, 20).await.unwrap();
    assert_eq!(letters.len(), elements.len() + 1);
    for letter in &letters {
        let reason = letter.status.error.as_deref().unwrap();
        let expected = if letter.payload.len() > 1_000 { "bytes, at most" } else { "not JSON" };
        assert!(reason.contains(expected) && reason.contains("a client that is not ours"), "{reason}");
    }
    assert!(letters.iter().any(|letter| letter.payload.as_ref() == b"{\"a\": \"\xff\"}"), "kept byte for byte");
}

#[tokio::test]
async fn the_brake_holds_a_pushed_element_of_its_user() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let scope = BrakeScope::User("u-1".parse().unwrap());
    let change = BrakeChange { scope: scope.clone(), engaged: true, revision: 1 };
    redis.store.set_brake(&queue, &change).await.unwrap();
    push(&redis, queue.as_str(), &[r#"{"kind": "held", "user_id": "u-1"}"#, r#"{"kind": "free"}"#]).await;
    let claimed = claim(&redis.store, &queue, 5).await.claimed;
    assert_eq!(claimed.iter().map(|task| task.kind.as_str()).collect::<Vec<_>>(), ["free"]);
    assert_eq!(redis.store.stats(&queue).await.unwrap().parked, 1);

    redis.store.set_brake(&queue, &BrakeChange { engaged: false, revision: 2, ..change }).await.unwrap();
    assert_eq!(redis.store.unpark(&queue, &scope, 5).await.unwrap(), 1);
    assert_eq!(claim(&redis.store, &queue, 5).await.claimed[0].kind, "held");
}

#[tokio::test]
async fn a_plain_push_wakes_a_waiting_worker() {
    let redis = OnRedis::shared().await;
    let queue = redis.queue();
    let started = Instant::now();
    let wait = async {
        loop {
            redis.store.wait_for_work(&queue, PATIENCE).await.unwrap();
            if let Some(task) = claim(&redis.store, &queue, 1).await.claimed.pop() {
                return task.kind;
            }
        }
    };
    let push = async {
        tokio::task::yield_now().await;
        push(&redis, queue.as_str(), &[r#"{"kind": "pushed"}"#]).await;
    };
    let (kind, ()) = tokio::join!(wait, push);
    assert_eq!(kind, "pushed");
    assert!(started.elapsed() < PATIENCE, "woken, not timed out");
}

#[tokio::test]
async fn what_a_newer_version_wrote_into_a_record_is_kept() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let task = new_task(&queue);
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    let (records, id) = (redis.tagged(&queue, "tasks"), task.id.to_key());
    let record = server.cli(&["HGET", &records, &id]);
    server.cli(&["HSET", &records, &id, &record.replacen('{', r#"{"zz":{"deep":[1,"x"]},"#, 1)]);

    let claimed = claim(&redis.store, &queue, 1).await.claimed;
    let released = Settlement { id: task.id, fence: claimed[0].fence, outcome: Outcome::Released };
    redis.store.step(&queue, Step { settle: vec![released], ..step(0) }).await.unwrap();
    let record = server.cli(&["HGET", &records, &id]);
    assert!(record.contains(r#""zz":{"deep":[1,"x"]}"#), "{record}");
    assert_eq!(claim(&redis.store, &queue, 1).await.claimed[0].payload, task.payload);
}

#[tokio::test]
async fn a_broken_record_is_shown_instead_of_lost() {
    let (redis, server) = (OnRedis::shared().await, RedisServer::shared().await);
    let queue = redis.queue();
    let tasks = new_tasks(&queue, 3);
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    let records = redis.tagged(&queue, "tasks");
    server.cli(&["HSET", &records, &tasks[0].id.to_key(), "garbage"]);
    server.cli(&["HSET", &records, &tasks[1].id.to_key(), "n1  {\"k\": 7}\n{}"]);

    let claimed = claim(&redis.store, &queue, 3).await.claimed;
    assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), [tasks[2].id]);
    let letters = redis.store.dead_letters(&queue, None, 5).await.unwrap();
    let mut dead: Vec<TaskId> = letters.iter().map(|letter| letter.status.id).collect();
    dead.sort_unstable();
    assert_eq!(dead, [tasks[0].id, tasks[1].id]);
    assert!(letters.iter().any(|letter| letter.payload == "garbage"));
}
