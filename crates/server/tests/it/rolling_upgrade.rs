//! A rolling upgrade: services of two versions on one Redis, replaced one after the other with work in flight.

#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service, program};

const QUEUE: &str = "exports";

/// What clients of the service see of it, whichever process answers.
#[derive(Debug)]
struct Clients {
    http: reqwest::Client,
    /// Where the two services are now.
    urls: Mutex<[String; 2]>,
    /// How often each task was worked on, by its number.
    runs: Mutex<BTreeMap<u64, usize>>,
    /// Tasks that were acknowledged to the producer.
    accepted: Mutex<usize>,
    /// Enqueues that had to be sent again, because no answer came.
    repeated: Mutex<usize>,
    /// Settlements that the service has applied, and those that it has refused.
    settled: Mutex<(usize, usize)>,
}

// === impl Clients ===

impl Clients {
    fn url(&self, n: usize) -> String {
        self.urls.lock().unwrap()[n % 2].clone()
    }

    /// Asks one service after the other until one of them answers well; answers how often it asked, too.
    async fn post(&self, from: usize, path: &str, key: Option<&str>, body: &Value) -> (usize, u16, Value) {
        for n in from.. {
            let request = self.http.post(format!("{}{path}", self.url(n))).json(body);
            let request = key.into_iter().fold(request, |request, key| request.header("Idempotency-Key", key));
            if let Ok(answer) = request.send().await
                && answer.status().as_u16() < 500
            {
                let status = answer.status().as_u16();
                if let Ok(body) = answer.json().await {
                    return (n - from + 1, status, body);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("it asks for ever")
    }

    async fn produce(&self, count: usize) {
        for n in 0..count {
            let task = json!({"kind": "test", "payload": {"n": n}});
            let path = format!("/v1/queues/{QUEUE}/tasks");
            let (asked, status, answer) = self.post(n, &path, Some(&n.to_string()), &task).await;
            assert_eq!(status, 202, "{answer}");
            *self.repeated.lock().unwrap() += asked - 1;
            *self.accepted.lock().unwrap() += 1;
        }
    }

    /// Leases from one service and acknowledges to the other.
    async fn work(&self, worker: usize, shutdown: CancellationToken) {
        let lease = json!({"worker_id": format!("w{worker}"), "max_tasks": 3, "lease_ms": 20_000, "wait_ms": 200});
        for turn in worker.. {
            if shutdown.is_cancelled() {
                return;
            }
            let (_, _, leased) = self.post(turn, &format!("/v1/queues/{QUEUE}/lease"), None, &lease).await;
            for task in leased["tasks"].as_array().into_iter().flatten() {
                *self.runs.lock().unwrap().entry(task["payload"]["n"].as_u64().unwrap()).or_default() += 1;
                let path = format!("/v1/tasks/{}/ack", task["task_id"].as_str().unwrap());
                let (_, status, _) = self.post(turn + 1, &path, None, &json!({"fence": task["fence"]})).await;
                let mut settled = self.settled.lock().unwrap();
                if status == 200 { settled.0 += 1 } else { settled.1 += 1 }
            }
        }
    }
}

async fn start(program: &Path, home: &Home, redis: &RedisServer) -> anyhow::Result<Service> {
    Service::start_program(program, home, Some(&redis.url()), &[]).await
}

#[tokio::test]
async fn services_of_two_versions_share_a_redis_and_are_replaced_one_by_one_without_loss() -> anyhow::Result<()> {
    let began = Instant::now();
    let is_long = std::env::var("TRACKSIDE_CHAOS").is_ok_and(|pass| pass == "long");
    let tasks = if is_long { 3_000 } else { 150 };
    let previous = std::env::var_os("TRACKSIDE_CHAOS_PREVIOUS").map_or_else(program, PathBuf::from);
    let redis = RedisServer::start().await?;
    let homes = [Home::new()?, Home::new()?];
    let mut services =
        [start(&previous, &homes[0], &redis).await?, start(&previous, &homes[1], &redis).await?].map(Some);
    let urls =
        Mutex::new(services.each_ref().map(|service| service.as_ref().map_or_else(String::new, |it| it.url.clone())));
    let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let clients = Arc::new(Clients {
        http,
        urls,
        runs: Mutex::default(),
        accepted: Mutex::default(),
        repeated: Mutex::default(),
        settled: Mutex::default(),
    });

    let (mut work, shutdown) = (JoinSet::new(), CancellationToken::new());
    for worker in 0..2 {
        let (clients, shutdown) = (Arc::clone(&clients), shutdown.clone());
        work.spawn(async move { clients.work(worker, shutdown).await });
    }
    let producing = tokio::spawn({
        let clients = Arc::clone(&clients);
        async move { clients.produce(tasks).await }
    });
    for (index, home) in homes.iter().enumerate() {
        let so_far = tasks * (index + 1) / 4;
        eventually(|| async { *clients.accepted.lock().unwrap() >= so_far }, PATIENCE).await;
        if let Some(old) = services[index].take() {
            let (status, log) = old.terminate().await?;
            assert!(status.success(), "{log}");
        }
        let new = start(&program(), home, &redis).await?;
        clients.urls.lock().unwrap()[index].clone_from(&new.url);
        services[index] = Some(new);
    }
    producing.await?;
    eventually(|| async { clients.settled.lock().unwrap().0 >= tasks }, PATIENCE).await;
    shutdown.cancel();
    while let Some(ended) = work.join_next().await {
        ended?;
    }

    let runs = clients.runs.lock().unwrap().clone();
    let duplicated = runs.values().sum::<usize>() - runs.len();
    let lost = (0..tasks as u64).filter(|n| !runs.contains_key(n)).count();
    let (_, refused) = *clients.settled.lock().unwrap();
    let repeated = *clients.repeated.lock().unwrap();
    // A version that does not know idempotency keys yet takes a repeated request for another task.
    let allowed = if previous == program() { 0 } else { repeated };
    let is_fine = lost == 0 && refused == 0 && duplicated <= allowed;
    // The columns of `cargo xtask chaos`.
    let line = format!(
        "rolling upgrade\t{tasks}\t{tasks}\t{lost}\t{duplicated}\t0\t0\t{}\t0\t0.0\t-\t{:.1}\t{}",
        duplicated.saturating_sub(allowed),
        began.elapsed().as_secs_f64(),
        if is_fine { "ok" } else { "lost, refused or run twice" },
    );
    if let Some(folder) = std::env::var_os("TRACKSIDE_CHAOS_REPORT") {
        std::fs::write(Path::new(&folder).join("rolling upgrade"), &line)?;
    }
    assert!(
        is_fine,
        "{lost} lost, {duplicated} run twice, {repeated} enqueues repeated, {refused} settlements refused"
    );
    let service = services[0].as_ref().unwrap();
    let (_, queue) = service.get(&format!("/v1/queues/{QUEUE}")).await?;
    assert_eq!((&queue["depth"], &queue["active"], &queue["dead"]), (&json!(0), &json!(0), &json!(0)), "{queue}");
    Ok(())
}
