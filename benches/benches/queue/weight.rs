//! What a task weighs on the server while it waits, and after it has ended.

use criterion::Criterion;
use trackside_core::WorkerId;
use trackside_queue::{Config, MAX_BATCH, QueueStore as _, Step};
use trackside_testkit::RedisServer;

use super::stage::{Stage, completed};

/// Enough that what the server itself takes does not count.
const TASKS: u64 = 50_000;

/// Fills a queue, works it off, and prints what a task weighed. It is no bench: there is no time in it.
#[expect(clippy::print_stdout, reason = "a bench reports on standard output")]
pub(crate) fn print(_: &mut Criterion) {
    let stage = Stage::new(RedisServer::builder());
    let empty = bytes(&stage);
    stage.runtime.block_on(stage.fill(TASKS));
    let full = bytes(&stage);
    stage.runtime.block_on(work_off(&stage));
    let left = bytes(&stage);
    let each = |bytes: u64| bytes.saturating_sub(empty) / TASKS;
    println!("queue/bytes: {} for each queued task of 200 bytes, {} for each finished one", each(full), each(left));
}

async fn work_off(stage: &Stage) {
    let worker = WorkerId::generate("bench");
    let mut settle = Vec::new();
    loop {
        let step = Step { settle, credits: MAX_BATCH, ..Step::new(worker.clone(), Config::default().lease) };
        let claimed = stage.store.step(&stage.queue, step).await.expect("stepped").claimed;
        if claimed.is_empty() {
            return;
        }
        settle = claimed.into_iter().map(completed).collect();
    }
}

/// Bytes of the server without the buffers of its clients.
fn bytes(stage: &Stage) -> u64 {
    let info = stage.server.cli(&["INFO", "memory"]);
    let field = |name: &str| -> u64 {
        let value = info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.parse().ok()).expect("a field of INFO")
    };
    field("used_memory").saturating_sub(field("mem_clients_normal"))
}
