//! Commands, pipelines and scripts on a server that is well.

use std::sync::LazyLock;

use bytes::Bytes;
use trackside_core::{ErrorKind, HealthCheck, HealthStatus};
use trackside_redis::{Command, Error, Reply, Script};
use trackside_testkit::RedisServer;

use crate::support::{connected, on, shared};

static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new("test.add", "redis.call('INCRBY', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[1]), false, 7}")
});

#[tokio::test]
async fn a_command_brings_its_answer() {
    let redis = shared().await;
    let key = redis.prefix().key("text");
    redis.execute("test.write", Command::new("SET").key(&key).arg("hällo\r\n")).await.unwrap();
    let reply = redis.execute("test.read", Command::new("GET").key(&key)).await.unwrap();
    assert_eq!(reply.into_string().unwrap(), "hällo\r\n");
    let missing = redis.execute("test.read", Command::new("GET").key(key + "no")).await.unwrap();
    assert!(missing.is_nil());
}

#[tokio::test]
async fn a_map_comes_as_alternating_keys_and_values() {
    let redis = shared().await;
    let key = redis.prefix().key("hash");
    redis.execute("test.write", Command::new("HSET").key(&key).args(["a", "1", "b", "2"])).await.unwrap();
    let pairs = redis.execute("test.read", Command::new("HGETALL").key(&key)).await.unwrap().into_pairs().unwrap();
    let mut pairs: Vec<_> = pairs.into_iter().map(|(k, v)| (k.into_string().unwrap(), v.as_int().unwrap())).collect();
    pairs.sort();
    assert_eq!(pairs, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[tokio::test]
async fn a_pipeline_gives_each_command_its_own_outcome() {
    let redis = shared().await;
    let key = redis.prefix().key("list");
    let replies = redis
        .pipeline(
            "test.pipeline",
            vec![
                Command::new("RPUSH").key(&key).arg("x"),
                Command::new("INCR").key(&key),
                Command::new("LLEN").key(&key),
            ],
        )
        .await
        .unwrap();
    assert_eq!(replies[0], Ok(Reply::Int(1)));
    assert!(matches!(&replies[1], Err(Error::Server { code, .. }) if code == "WRONGTYPE"), "{replies:?}");
    assert_eq!(replies[2], Ok(Reply::Int(1)));
    let alone = redis.pipeline("test.pipeline", vec![Command::new("INCR").key(&key)]).await.unwrap();
    assert_eq!(alone[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_script_runs_although_the_server_has_forgotten_it() {
    let server = RedisServer::start().await.unwrap();
    let redis = on(&server).await;
    let run = async || {
        let reply = redis.run(&ADD, vec!["sum".to_owned()], vec![Bytes::from_static(b"5")]).await.unwrap();
        let [sum, nothing, seven] = reply.into_array_of::<3>().unwrap();
        assert!(nothing.is_nil());
        assert_eq!(seven.as_int().unwrap(), 7);
        sum.as_int().unwrap()
    };
    assert_eq!(run().await, 5);
    assert_eq!(run().await, 10);
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(run().await, 15);
    let counted = server.cli(&["INFO", "commandstats"]);
    // Before version 7 the flush is counted with the loads.
    let loads = ["cmdstat_script|load:calls=2,", "cmdstat_script:calls=3,"];
    assert!(loads.iter().any(|loads| counted.contains(loads)), "{counted}");
    assert!(!counted.contains("cmdstat_eval:"), "what is only evaluated is forgotten by newer servers: {counted}");
}

#[tokio::test]
async fn a_script_runs_for_a_user_who_may_not_load_any() {
    let server = RedisServer::builder().acl("runner on >pass ~* &* +@all -script").start().await.unwrap();
    let url = format!("redis://runner:pass@127.0.0.1:{}", server.port());
    let redis = connected(trackside_redis::Config::new(url.parse().unwrap())).await;
    let reply = redis.run(&ADD, vec!["sum".to_owned()], vec![Bytes::from_static(b"5")]).await.unwrap();
    assert_eq!(reply.into_array_of::<3>().unwrap()[0].clone().as_int().unwrap(), 5);
}

#[tokio::test]
async fn an_error_raised_by_a_script_keeps_its_code() {
    let redis = shared().await;
    let script = Script::new("test.raise", "return redis.error_reply('LOST the lease is gone')");
    let error = redis.run(&script, vec![redis.prefix().key("k")], vec![]).await.unwrap_err();
    assert_eq!(error.code(), Some("LOST"));
    assert_eq!(error.kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_command_that_would_change_a_shared_connection_is_refused() {
    let redis = shared().await;
    for name in ["SUBSCRIBE", "SELECT", "MULTI", "monitor"] {
        let error = redis.execute("test.abuse", Command::new(name).arg("1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
}

#[tokio::test]
async fn health_is_ok_with_a_latency_and_the_server_tells_of_itself() {
    let redis = shared().await;
    let health = redis.check().await;
    assert_eq!(health.status, HealthStatus::Ok, "{health:?}");
    assert!(health.latency_ms.is_some());
    let info = redis.server_info().await.unwrap();
    assert!(info.version_numbers() >= (6, 2, 0), "{info:?}");
    assert!(info.memory_used > 0 && info.connected_clients > 0);
}

#[tokio::test]
async fn a_command_means_the_same_however_it_is_spelled() {
    // Upper-case names go the driver's own way, lower-case ones as plain words.
    let redis = shared().await;
    let key = |name: &str, spelling: &str| redis.prefix().key(&format!("{name}:{spelling}"));
    let bytes = vec![0, 0xff, b'\r', b'\n'];
    let both = |upper: &'static str, lower: &'static str, build: &dyn Fn(Command, &str) -> Command| {
        [build(Command::new(upper), "upper"), build(Command::new(lower), "lower")]
    };
    let pairs = [
        both("SET", "set", &|command, which| command.key(key("text", which)).arg(bytes.clone())),
        both("GET", "get", &|command, which| command.key(key("text", which))),
        both("GET", "get", &|command, which| command.key(key("missing", which))),
        both("SET", "set", &|command, which| command.key(key("text", which)).arg(1).arg("PX").arg(60_000)),
        both("SET", "set", &|command, which| command.key(key("text", which)).arg(1).arg("EX").arg(60)),
        both("EXPIRE", "expire", &|command, which| command.key(key("text", which)).arg(60)),
        both("PEXPIRE", "pexpire", &|command, which| command.key(key("missing", which)).arg(60)),
        both("SET", "set", &|command, which| command.key(key("text", which)).arg(1).arg("EX").arg(0)),
        both("HSET", "hset", &|command, which| command.key(key("hash", which)).arg("field").arg(bytes.clone())),
        both("GET", "get", &|command, which| command.key(key("hash", which))),
        both("XADD", "xadd", &|command, which| {
            let command = command.key(key("stream", which)).arg("MAXLEN").arg("~").arg(100).arg("5-1");
            command.arg("f").arg("1").arg("f").arg(bytes.clone())
        }),
        both("XADD", "xadd", &|command, which| command.key(key("stream", which)).arg("5-1").arg("f").arg("1")),
        both("PUBLISH", "publish", &|command, which| command.arg(key("nobody", which)).arg(bytes.clone())),
        both("XRANGE", "xrange", &|command, which| command.key(key("stream", which)).arg("-").arg("+")),
        both("HGETALL", "hgetall", &|command, which| command.key(key("hash", which))),
    ];
    // Alone, and once more in a pipeline.
    let mut alone = Vec::new();
    for [upper, lower] in pairs.clone() {
        let told = format!("{upper:?}");
        let (upper, lower) = (redis.execute("test.same", upper).await, redis.execute("test.same", lower).await);
        assert_eq!(upper, lower, "{told}");
        alone.push(upper);
    }
    assert_eq!(alone[1].as_ref().unwrap().clone().into_bytes().unwrap(), bytes);
    assert!(alone[2].as_ref().unwrap().is_nil());
    assert!(alone[7].is_err() && alone[9].is_err() && alone[11].is_err());
    let replies = redis.pipeline("test.same", pairs.into_iter().flatten().collect()).await.unwrap();
    for pair in replies.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
}
