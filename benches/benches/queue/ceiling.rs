//! The ceiling: the same scripts with the same batches, called by `redis-benchmark`, which costs next to nothing.
//!
//! A call is taken from the server's own `MONITOR` while the store makes it, and repeated with other ids. That works for
//! enqueueing and for claiming; an acknowledgement names the fence that its claim was answered, which no generator of
//! load can know.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::Command,
    time::Duration,
};

use criterion::Criterion;
use trackside_core::WorkerId;
use trackside_queue::{Config, QueueStore as _, Step};
use trackside_testkit::RedisServer;

use super::stage::Stage;

const PROGRAM: &str = "redis-benchmark";
const BATCHES: [u64; 2] = [1, 64];
/// Tasks that each figure is taken from.
const TASKS: u64 = 200_000;
/// What `redis-benchmark` puts a random number of as many digits in place of.
const RANDOM: &str = "__rand_int__";

/// Prints tasks a second for each batch. It is no bench: nothing of ours is measured in it but the scripts.
#[expect(clippy::print_stdout, reason = "a bench reports on standard output")]
pub(crate) fn print(_: &mut Criterion) {
    if Command::new(PROGRAM).arg("--version").output().is_err() {
        println!("queue/ceiling: {PROGRAM} is not installed");
        return;
    }
    let stage = Stage::new(RedisServer::builder());
    for batch in BATCHES {
        stage.server.cli(&["FLUSHALL"]);
        let tasks = stage.tasks(batch);
        let call = seen(&stage, async { assert!(stage.store.enqueue(&stage.queue, &tasks).await.is_ok()) });
        let ids: Vec<String> = tasks.iter().map(|task| task.id.to_key()).collect();
        let call: Vec<String> = call.into_iter().map(|word| randomized(word, &ids)).collect();
        let rate = repeated(&stage, &call, TASKS / batch, "HLEN", "tasks");
        println!("queue/ceiling/enqueue/{batch}: {rate:.0} tasks a second");
    }
    for batch in BATCHES {
        stage.server.cli(&["FLUSHALL"]);
        stage.runtime.block_on(stage.fill(TASKS));
        let credits = usize::try_from(batch).expect("a batch");
        let worker = WorkerId::generate("bench");
        // That it is there is noted now, and not in the call that is repeated.
        stage.runtime.block_on(stage.introduce(&worker));
        let lease = Config::default().lease.max(Duration::from_secs(600));
        let step = Step { credits, ..Step::new(worker, lease) };
        let call = seen(&stage, async { assert!(stage.store.step(&stage.queue, step).await.is_ok()) });
        let rate = repeated(&stage, &call, TASKS / batch - 1, "ZCARD", "lease");
        println!("queue/ceiling/claim/{batch}: {rate:.0} tasks a second");
    }
}

/// The words of the first script call that `work` makes, after one that has loaded the script.
fn seen(stage: &Stage, work: impl Future<Output = ()>) -> Vec<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, stage.server.port())).expect("a connection");
    let mut monitor = BufReader::new(stream);
    monitor.get_mut().write_all(b"MONITOR\r\n").expect("a server that listens");
    let mut line = String::new();
    monitor.read_line(&mut line).expect("an answer");
    stage.runtime.block_on(work);
    loop {
        line.clear();
        assert!(monitor.read_line(&mut line).expect("a line") > 0, "the server closed the connection");
        let words = words(&line);
        if words.first().is_some_and(|word| word.eq_ignore_ascii_case("evalsha")) {
            return words;
        }
    }
}

/// Tasks a second, counted by what `count` says of a key of the queue. The script is there, because the call was seen.
fn repeated(stage: &Stage, call: &[String], calls: u64, count: &str, key: &str) -> f64 {
    let counted = || -> f64 {
        let answer = stage.server.cli(&[count, &format!("{{{}:queue}}:{key}", stage.queue)]);
        answer.parse().expect("a count")
    };
    let before = counted();
    let port = stage.server.port().to_string();
    let mut command = Command::new(PROGRAM);
    command.args(["-p", &port, "-n", &calls.to_string(), "-c", "16", "-P", "4", "-r", "1000000000", "--csv"]);
    let output = command.args(call).output().expect("a program that starts");
    let text = String::from_utf8_lossy(&output.stdout);
    // The name of the test is the whole call and stands first; the rate comes after it.
    let rate = text.lines().next_back().and_then(|line| line.rsplit("\",\"").nth(6)?.trim_matches('"').parse().ok());
    let rate: f64 = rate.expect("a table with the rate in its last line");
    rate * (counted() - before) / to_f64(calls)
}

/// The same word with another id each time, when it is one of `ids`: its last digits are chance anyway.
fn randomized(word: String, ids: &[String]) -> String {
    if !ids.contains(&word) {
        return word;
    }
    let kept = word.len() - RANDOM.len();
    format!("{}{RANDOM}", &word[..kept])
}

/// The quoted words of a line of `MONITOR`.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.chars();
    while rest.by_ref().any(|character| character == '"') {
        let mut word = String::new();
        while let Some(character) = rest.next() {
            match character {
                '"' => break,
                '\\' => match rest.next() {
                    Some('n') => word.push('\n'),
                    Some('r') => word.push('\r'),
                    Some('t') => word.push('\t'),
                    Some(other) => word.push(other),
                    None => break,
                },
                other => word.push(other),
            }
        }
        words.push(word);
    }
    words
}

#[expect(clippy::cast_precision_loss, reason = "a size of batches")]
fn to_f64(count: u64) -> f64 {
    count as f64
}
