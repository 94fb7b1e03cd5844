//! The whole service on a Redis that can be got into trouble, with what the rows of the table are about.

use std::cell::Cell;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use reqwest::{Client, redirect::Policy};
use serde_json::{Value, json};
use trackside_testkit::{FaultProxy, Fsync, RedisServer, eventually};

use super::{
    caller::Caller,
    play::Past,
    table::TABLE,
    things::{Things, WEBHOOK_SECRET},
    trouble::Victim,
};
use crate::service::{Home, PATIENCE, Service, trackside};

const PASSWORD: &str = "hunter2-of-the-store";

/// Every request is held against a policy, and there is one for each way to go on without the store.
const SETTINGS: &str = r#"
[worker]
concurrency = 1
[limits]
requests = "on-local"
[limits.policy.on-local]
outage = "local"
[limits.policy.on-local.limit]
user = { limit = 100000, per_ms = 60000 }
key = { limit = 100000, per_ms = 60000 }
ip = { limit = 100000, per_ms = 60000 }
[limits.policy.places]
outage = "closed"
[limits.policy.places.limit]
user = { limit = 1000, per_ms = 60000 }
running = { dimension = "user", limit = 100, per_ms = 60000, algorithm = "concurrent" }
[limits.policy.on-open]
outage = "open"
[limits.policy.on-open.limit]
user = { limit = 100000, per_ms = 60000 }
[limits.policy.on-closed]
outage = "closed"
[limits.policy.on-closed.limit]
user = { limit = 100000, per_ms = 60000 }
[webhooks.github]
scheme = "github"
queue = "hooks"
"#;

/// The service, its Redis, and what the rows are about.
pub(crate) struct Stage {
    pub(super) victim: Victim,
    pub(super) service: Service,
    pub(super) caller: Caller,
    /// Of each row of the table.
    pub(super) things: Vec<Things>,
    pub(super) past: Vec<Cell<Past>>,
    description: Value,
    /// What no answer may tell.
    pub(super) secrets: Vec<String>,
    _home: Home,
}

// === impl Stage ===

impl Stage {
    /// Everything runs, and every row has its things.
    pub(crate) async fn set() -> anyhow::Result<Self> {
        let redis = RedisServer::builder().password(PASSWORD).appendonly(Fsync::Always).start().await?;
        let proxy = FaultProxy::start(redis.port()).await?;
        let home = Home::new()?;
        std::fs::write(home.path().join("trackside.toml"), format!("{SETTINGS}secret = \"{WEBHOOK_SECRET}\"\n"))?;
        let keys = home.path().join("keys.toml").display().to_string();
        let words = ["token", "create", "--name", "all", "--scope", "admin", "--file", &keys];
        let key = String::from_utf8(trackside().args(words).output().await?.stdout)?.trim().to_owned();
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", proxy.port());
        let service = Service::start_with(&home, Some(&url), &[("TRACKSIDE_API_KEYS_FILE", &keys)]).await?;
        let http = Client::builder().redirect(Policy::none()).pool_max_idle_per_host(0).build()?;
        let mut caller =
            Caller { http, url: service.url.clone(), key, done_job: String::new(), waiting_job: String::new() };
        caller.done_job = run(&caller, json!({"steps": 1})).await?;
        let done = format!("/api/jobs/{}", caller.done_job);
        let is_done =
            || async { caller.did("GET", &done, &Value::Null).await.is_ok_and(|job| job["status"] == "completed") };
        eventually(is_done, PATIENCE).await;
        run(&caller, json!({"steps": 600, "pause": "1"})).await?;
        caller.waiting_job = run(&caller, json!({"steps": 1})).await?;
        let description = caller.did("GET", "/openapi.json", &Value::Null).await?;
        let made = TABLE.iter().enumerate().map(|(number, row)| Things::make(&caller, number, row));
        let things = try_join_all(made).await?;
        let secrets = vec![
            PASSWORD.to_owned(),
            "redis://".to_owned(),
            format!("127.0.0.1:{}", redis.port()),
            format!("127.0.0.1:{}", proxy.port()),
        ];
        let past = TABLE.iter().map(|_| Cell::default()).collect();
        Ok(Self { victim: Victim { redis, proxy }, service, caller, things, past, description, secrets, _home: home })
    }

    /// Every documented operation, as a row would name it.
    pub(crate) fn operations(&self) -> Vec<String> {
        let paths = self.description["paths"].as_object().into_iter().flatten();
        let of_path = |(path, item): (&String, &Value)| {
            let methods = item.as_object().into_iter().flat_map(|item| item.keys());
            methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
        };
        paths.flat_map(of_path).collect()
    }

    pub(super) fn described(&self, operation: &str) -> anyhow::Result<Value> {
        let (method, path) = operation.split_once(' ').context("a method and a path")?;
        let described = &self.description["paths"][path][method.to_lowercase()];
        ensure!(described.is_object(), "{operation} is not described");
        Ok(described.clone())
    }
}

async fn run(caller: &Caller, params: Value) -> anyhow::Result<String> {
    let job = caller.did("POST", "/api/run", &json!({"tool": "count", "params": params})).await?;
    Ok(job["job_id"].as_str().context("a job")?.to_owned())
}
