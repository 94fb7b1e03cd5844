//! The users that `trackside acl print` makes for Redis: what they need, and nothing else.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::timeout,
};
use trackside_testkit::{RedisServer, eventually};

use crate::service::{Home, PATIENCE, Service, trackside};

const ROLES: [&str; 4] = ["api", "worker", "monitor", "celery"];

/// The password of a role in these tests.
fn password(role: &str) -> String {
    format!("{role}-password")
}

fn print(words: &[&str]) -> Command {
    let mut command = trackside();
    command.args(["acl", "print"]).args(words);
    for role in ROLES {
        command.env(format!("TRACKSIDE_ACL_PASSWORD_{}", role.to_uppercase()), password(role));
    }
    command
}

/// A server that knows the users of a prefix.
pub(crate) async fn ruled(prefix: &str) -> anyhow::Result<RedisServer> {
    let redis = RedisServer::start().await?;
    let output = print(&["--format", "commands"]).env("TRACKSIDE_REDIS__PREFIX", prefix).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for line in String::from_utf8(output.stdout)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(redis.try_cli(&words)?.trim(), "OK", "{line}");
    }
    Ok(redis)
}

pub(crate) fn url(redis: &RedisServer, role: &str) -> String {
    format!("redis://trackside-{role}:{}@127.0.0.1:{}", password(role), redis.port())
}

/// What the server says to a command of a user.
async fn say(redis: &RedisServer, role: &str, words: &[&str]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).await?;
    let said = format!("AUTH trackside-{role} {}\r\n{}\r\nQUIT\r\n", password(role), words.join(" "));
    stream.write_all(said.as_bytes()).await?;
    let mut heard = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut heard)).await??;
    Ok(heard)
}

/// The example that the API description gives for a body.
fn example(document: &Value, schema: &Value) -> Option<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        return example(document, document.pointer(reference.strip_prefix('#')?)?);
    }
    let choices = ["oneOf", "anyOf"].iter().filter_map(|it| schema[*it].as_array()).flatten();
    let own = schema.get("example").cloned();
    own.or_else(|| choices.filter_map(|choice| example(document, choice)).next())
}

/// Tries every operation of the API description, on a task that is there.
async fn every_operation(service: &Service) -> anyhow::Result<usize> {
    let (_, document) = service.get("/openapi.json").await?;
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("methods")? {
            let task = serde_json::json!({"kind": "k", "payload": 1, "user_id": "u", "tenant_id": "t"});
            let (_, task) = service.post("/v1/queues/made/tasks", task).await?;
            let id = task["task_id"].as_str().with_context(|| format!("before {method} {path}: {task}"))?;
            let names = [("{id}", id), ("{queue}", "q"), ("{namespace}", "page")];
            let path = names.iter().fold(path.clone(), |path, (name, value)| path.replace(name, value));
            let path = path.replace(['{', '}'], "");
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let mut request = client.request(method.to_uppercase().parse()?, format!("{}{path}", service.url));
            if let Some(mut words) = example(&document, schema) {
                if let Some(wait) = words.get_mut("wait_ms") {
                    *wait = 10.into();
                }
                request = request.json(&words);
            }
            let status = request.send().await?.status();
            ensure!(!status.is_server_error(), "{method} {path}: {status}");
            tried += 1;
        }
    }
    // What the tour may have left on.
    service.delete("/v1/brake").await?;
    Ok(tried)
}

#[tokio::test]
async fn the_service_and_the_worker_do_all_their_work_without_one_refusal() -> anyhow::Result<()> {
    let redis = ruled("app:").await?;
    let home = Home::new()?;
    let environment = [("TRACKSIDE_REDIS__PREFIX", "app:"), ("TRACKSIDE_WORKER__ENABLED", "false")];
    let service = Service::start_with(&home, Some(&url(&redis, "api")), &environment).await?;
    assert!(every_operation(&service).await? > 80);

    let mut worker = trackside();
    worker.current_dir(home.path()).arg("worker").env("TRACKSIDE_REDIS_URL", url(&redis, "worker"));
    worker.env("TRACKSIDE_REDIS__PREFIX", "app:").env("TRACKSIDE_DATA_DIR", home.path().join("data"));
    worker.env("TRACKSIDE_TOOLS_DIR", home.path().join("tools"));
    let _worker = worker.stderr(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
    let job = service.run(serde_json::json!({"tool": "count", "params": {"steps": 3}, "user_id": "ada"})).await?;
    eventually(|| async { service.job_status(&job).await.is_ok_and(|status| status == "completed") }, PATIENCE).await;
    assert_eq!(redis.try_cli(&["ACL", "LOG"])?.trim(), "");
    Ok(())
}

#[tokio::test]
async fn each_user_is_refused_what_it_does_not_need() -> anyhow::Result<()> {
    let redis = ruled("").await?;
    for (role, words) in [
        ("api", &["GET", "somebody:else"][..]),
        ("api", &["KEYS", "*"]),
        ("api", &["CONFIG", "GET", "requirepass"]),
        ("api", &["FLUSHALL"]),
        ("api", &["CLIENT", "KILL", "TYPE", "normal"]),
        ("api", &["PUBLISH", "somebody", "x"]),
        ("worker", &["HGETALL", "session:{u}:1"]),
        ("worker", &["ACL", "LIST"]),
        ("monitor", &["SET", "paused:ada", "x"]),
        ("monitor", &["EVAL", "return 1", "0"]),
        ("monitor", &["PUBLISH", "agent:resume:ada", "x"]),
        ("celery", &["GET", "paused:ada"]),
        ("celery", &["LPUSH", "enhancement:queue", "x"]),
    ] {
        let said = say(&redis, role, words).await?;
        assert!(said.contains("NOPERM"), "{role} {words:?}: {said}");
    }
    for (role, words) in [
        ("api", &["HGETALL", "session:{u}:1"][..]),
        ("worker", &["LLEN", "enhancement:queue"]),
        ("monitor", &["LLEN", "enhancement:queue"]),
        ("monitor", &["INFO", "server"]),
        ("celery", &["LPUSH", "celery", "x"]),
    ] {
        let said = say(&redis, role, words).await?;
        assert!(!said.contains("NOPERM") && !said.contains("WRONGPASS"), "{role} {words:?}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_printed_is_an_acl_file_with_hashes_and_nobody_without_a_password_logs_in() -> anyhow::Result<()> {
    let output = print(&[]).env_remove("TRACKSIDE_ACL_PASSWORD_CELERY").output().await?;
    let (text, said) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    assert!(!text.contains("-password") && text.lines().all(|line| line.starts_with("user trackside-")), "{text}");
    assert!(said.contains("trackside-celery cannot log in"), "{said}");
    let celery = text.lines().find(|line| line.contains("celery ")).context("the line of celery")?;
    assert!(!celery.contains(" on "), "{celery}");
    let one = String::from_utf8(print(&["--role", "monitor"]).output().await?.stdout)?;
    assert_eq!(one.lines().count(), 1);
    // A server takes it as its file of users.
    let redis = RedisServer::start().await?;
    let file = redis.folder().join("users.acl");
    std::fs::write(&file, &text)?;
    let mut second = Command::new("redis-server");
    second.args(["--port", "0", "--unixsocket"]).arg(redis.folder().join("second.sock")).arg("--aclfile").arg(&file);
    let mut second = second.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let socket = redis.folder().join("second.sock");
    eventually(|| async { socket.exists() }, PATIENCE).await;
    assert!(second.try_wait()?.is_none(), "it runs");
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_and_a_forbidden_key_are_reported_in_the_log_and_in_health() -> anyhow::Result<()> {
    let redis = ruled("").await?;
    let right = url(&redis, "api");
    let wrong = right.replace("api-password", "hunter2-wrong");
    let nobody = right.replace("trackside-api", "nobody");
    for (url, words) in [(wrong, "credentials"), (nobody, "credentials")] {
        let home = Home::new()?;
        let service = Service::start_with(&home, Some(&url), &[]).await?;
        eventually(|| async { service.log().contains(words) }, PATIENCE).await;
        let (status, health) = service.get("/health").await?;
        assert!(health["components"]["redis"].to_string().contains(words), "{status} {health}");
        assert!(!service.log().contains("hunter2") && !health.to_string().contains("hunter2"));
    }
    // The user may do everything, under another prefix.
    let home = Home::new()?;
    let service = Service::start_with(&home, Some(&right), &[("TRACKSIDE_REDIS__PREFIX", "other:")]).await?;
    let (status, problem) = service.post("/v1/queues/q/tasks", serde_json::json!({"kind": "k", "payload": 1})).await?;
    assert_eq!((status, problem["code"].as_str()), (503, Some("store-refused")), "{problem}");
    eventually(|| async { service.log().contains("access rules forbid") }, PATIENCE).await;
    Ok(())
}
