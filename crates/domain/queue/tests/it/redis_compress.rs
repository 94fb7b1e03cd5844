//! Large payloads and results: small in Redis, and as they were wherever they are shown.

use bytes::Bytes;
use trackside_queue::{NewTask, Outcome, QueueStore, Settled, Settlement, Step, TaskState};
use trackside_redis::Command;

use crate::{
    kit::{claim, new_task, step},
    names::unique_queue,
    redis_kit::OnRedis,
};

fn story() -> Bytes {
    let lines: Vec<String> = (0..500).map(|n| format!("{{\"line\": {n}, \"text\": \"once upon a time\"}}")).collect();
    Bytes::from(format!("[{}]", lines.join(",\n")))
}

async fn length(redis: &OnRedis, key: String, field: &str) -> i64 {
    let command = Command::new("HSTRLEN").key(key).arg(field);
    redis.service.execute("test.length", command).await.unwrap().as_int().unwrap()
}

#[tokio::test]
async fn a_large_payload_is_small_in_redis_and_whole_everywhere_else() {
    let redis = OnRedis::shared().await;
    let queue = unique_queue();
    let task = NewTask { payload: story(), ..new_task(&queue) };
    redis.store.enqueue(&queue, std::slice::from_ref(&task)).await.unwrap();
    let stored = length(&redis, redis.tagged(&queue, "tasks"), &task.id.to_key()).await;
    assert!(stored * 4 < i64::try_from(task.payload.len()).unwrap(), "{stored}");
    assert_eq!(redis.store.peek(&queue, 1).await.unwrap()[0].payload, task.payload);

    // Given back, failed, dead, requeued: the scripts carry it along unread.
    for outcome in [Outcome::Released, failed(true), failed(false)] {
        let claimed = claim(&redis.store, &queue, 1).await.claimed;
        assert_eq!(claimed[0].payload, task.payload);
        let settle = vec![Settlement { id: task.id, fence: claimed[0].fence, outcome }];
        redis.store.step(&queue, Step { settle, ..step(0) }).await.unwrap();
    }
    let letters = redis.store.dead_letters(&queue, None, 1).await.unwrap();
    assert_eq!(letters[0].payload, task.payload);
    redis.store.requeue_dead(&queue, &[task.id.into()]).await.unwrap();

    let claimed = claim(&redis.store, &queue, 1).await.claimed;
    let outcome = Outcome::completed(Some(story()));
    let settle = vec![Settlement { id: task.id, fence: claimed[0].fence, outcome }];
    let settled = redis.store.step(&queue, Step { settle, ..step(0) }).await.unwrap().settled;
    assert_eq!(settled, [Settled::Applied(TaskState::Completed)]);
    let status = redis.store.status(&queue, task.id).await.unwrap().unwrap();
    assert_eq!(status.result, Some(story()));
}

#[tokio::test]
async fn a_record_from_before_compression_and_one_that_is_broken_are_both_met() {
    let redis = OnRedis::shared().await;
    let queue = unique_queue();
    let tasks = [new_task(&queue), new_task(&queue)];
    redis.store.enqueue(&queue, &tasks).await.unwrap();
    let plain = format!("n1700000000000  {{\"k\":\"old\"}}\n{}", "[1,2,3,4,5,6,7,8,9,0]".repeat(400));
    let broken = Bytes::from_static(b"n1700000000000  {\"k\":\"broken\"}\n\x01\xff\xff\xff\xffnothing");
    for (task, record) in tasks.iter().zip([Bytes::from(plain.clone()), broken]) {
        let command = Command::new("HSET").key(redis.tagged(&queue, "tasks")).arg(task.id.to_key()).arg(record);
        redis.service.execute("test.write", command).await.unwrap();
    }
    let claimed = claim(&redis.store, &queue, 2).await.claimed;
    assert_eq!(claimed.len(), 1, "what cannot be read is not handed out");
    assert!(plain.ends_with(std::str::from_utf8(&claimed[0].payload).unwrap()));
    let letters = redis.store.dead_letters(&queue, None, 2).await.unwrap();
    assert_eq!(letters[0].status.id, tasks[1].id);
    assert!(letters[0].status.error.as_deref().unwrap().contains("cannot be read"));
}

fn failed(retryable: bool) -> Outcome {
    Outcome::Failed { error: "no".into(), retryable, retry_after: Some(std::time::Duration::ZERO) }
}
