//! What only a real server can show: round trips, what is left in it, values of other programs, the sweep.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use trackside_cache::{
    CacheManager, Config, LoadOptions, Namespace, Policy, ProjectCache, RedisCacheStore, TypedCache, WriteOptions,
};
use trackside_core::KeyPrefix;
use trackside_redis::{RedisService, Ttl};
use trackside_testkit::{RedisCluster, RedisServer, eventually};

use crate::kit::{Calls, Running, SOON, bounded, config, text};

const MINUTE: Duration = Duration::from_secs(60);

/// A service with its own prefix, connected.
pub(crate) async fn connect(url: &str, prefix: &str) -> RedisService {
    let config = trackside_redis::Config::new(url.parse().unwrap());
    let subscription_buffer = 16_384.try_into().unwrap();
    let prefix = KeyPrefix::new(prefix);
    let redis = RedisService::start(trackside_redis::Config { prefix, subscription_buffer, ..config }).unwrap();
    redis.wait_until_connected(SOON).await.unwrap();
    redis
}

pub(crate) async fn running(url: &str, prefix: &str, config: Config) -> Running {
    let store = RedisCacheStore::new(connect(url, prefix).await, &config);
    Running::over(Arc::new(store), config)
}

/// A manager that does nothing in the background.
async fn quiet(url: &str, prefix: &str, policy: Policy) -> CacheManager {
    let config = config(policy);
    CacheManager::new(Arc::new(RedisCacheStore::new(connect(url, prefix).await, &config)), config)
}

/// What the server did since the last reset, also what scripts asked of it; without what belongs to connections.
fn asked(server: &RedisServer) -> Vec<String> {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = |line: &str| -> Option<(String, usize)> {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    let of_connections = ["config", "info", "ping", "client", "hello", "role"];
    let mut asked: Vec<String> = stats
        .lines()
        .filter_map(calls)
        .filter(|(name, _)| name.split('|').next().is_none_or(|name| !of_connections.contains(&name)))
        .map(|(name, calls)| format!("{name} {calls}"))
        .collect();
    asked.sort();
    asked
}

fn scripts(server: &RedisServer) -> usize {
    let calls = |line: &String| line.strip_prefix("evalsha ")?.parse().ok();
    asked(server).iter().find_map(calls).unwrap_or(0)
}

async fn load(namespace: &Namespace, key: &str) -> Bytes {
    let cached = namespace.get_or_load(key, LoadOptions::default(), || async { Ok(Some("loaded".into())) }).await;
    cached.unwrap().into_value().unwrap()
}

#[tokio::test]
async fn a_miss_that_is_loaded_is_two_round_trips_a_hit_in_the_store_one_and_a_copy_none() {
    let server = RedisServer::start().await.unwrap();
    let [one, two] = [quiet(&server.url(), "", bounded(MINUTE)).await, quiet(&server.url(), "", bounded(MINUTE)).await];
    let [here, there] = [&one, &two].map(|cache| cache.namespace("page").unwrap());
    // Scripts and the namespace's tag are known from then on.
    for namespace in [&here, &there] {
        load(namespace, "first").await;
        namespace.set(namespace.name().as_str(), "", WriteOptions::default()).await.unwrap();
        namespace.delete(namespace.name().as_str()).await.unwrap();
    }
    let reset = || server.cli(&["CONFIG", "RESETSTAT"]);
    reset();
    assert_eq!(load(&here, "a").await, "loaded");
    assert_eq!(scripts(&server), 2, "{:?}", asked(&server));
    assert!(asked(&server).iter().all(|call| !call.starts_with("eval ")), "{:?}", asked(&server));
    reset();
    assert_eq!(load(&here, "a").await, "loaded");
    assert_eq!(asked(&server), [""; 0], "a copy is there");
    assert_eq!(load(&there, "a").await, "loaded");
    assert_eq!(scripts(&server), 1, "{:?}", asked(&server));
    reset();
    here.set("a", "2", WriteOptions::default()).await.unwrap();
    here.delete("a").await.unwrap();
    assert_eq!(scripts(&server), 2, "{:?}", asked(&server));
}

#[tokio::test]
async fn where_lookups_found_all_a_plain_read_is_tried_first_and_a_miss_ends_that() {
    let server = RedisServer::start().await.unwrap();
    let [one, two] = [quiet(&server.url(), "", bounded(MINUTE)).await, quiet(&server.url(), "", bounded(MINUTE)).await];
    let [here, there] = [&one, &two].map(|cache| cache.namespace("page").unwrap());
    let reset = || server.cli(&["CONFIG", "RESETSTAT"]);
    for key in 0..70 {
        here.set(&key.to_string(), "set", WriteOptions::default()).await.unwrap();
    }
    // A plain read needs to know what time it is on the server. The script is known from then on.
    there.get("nothing").await.unwrap();
    load(&there, "0").await;
    for key in 1..64 {
        reset();
        assert_eq!(load(&there, &key.to_string()).await, "set");
        assert_eq!(scripts(&server), 1, "{key}: {:?}", asked(&server));
    }
    reset();
    assert_eq!(load(&there, "64").await, "set");
    assert_eq!(asked(&server), ["mget 1"], "all of 64 were there");
    reset();
    assert_eq!(load(&there, "a").await, "loaded");
    assert_eq!(scripts(&server), 2, "{:?}", asked(&server));
    assert!(
        asked(&server).contains(&"mget 2".to_owned()),
        "a plain one, and the one that leased: {:?}",
        asked(&server)
    );
    reset();
    assert_eq!(load(&there, "65").await, "set");
    assert_eq!(scripts(&server), 1, "one was not: {:?}", asked(&server));
    assert_eq!(there.stats().store_hits, 66);
}

#[tokio::test]
async fn a_hit_in_the_store_is_one_plain_command() {
    let server = RedisServer::start().await.unwrap();
    let reset = || server.cli(&["CONFIG", "RESETSTAT"]);
    for freshness in [bounded(MINUTE), Policy::default()] {
        let here = quiet(&server.url(), "", freshness.clone()).await.namespace("page").unwrap();
        let there = quiet(&server.url(), "", freshness).await.namespace("page").unwrap();
        for key in ["first", "a", "b"] {
            here.set(key, key, WriteOptions::default()).await.unwrap();
        }
        // The first read of a process learns what time it is on the server, and the version of the namespace.
        assert_eq!(text(&there, "first").await.as_deref(), Some("first"));
        for key in ["a", "b"] {
            reset();
            assert_eq!(text(&there, key).await.as_deref(), Some(key));
            assert_eq!(asked(&server), ["mget 1"], "a hit");
        }
        reset();
        assert!(there.get("never there").await.unwrap().is_none());
        assert_eq!(asked(&server), ["mget 1"], "a miss");
        assert_eq!(there.stats().store_hits, 3);
    }
}

#[tokio::test]
async fn what_is_not_surely_fresh_is_asked_about_and_what_is_left_of_its_time_is_the_servers_word() {
    let server = RedisServer::start().await.unwrap();
    let here = quiet(&server.url(), "", Policy::default()).await.namespace("page").unwrap();
    let there = quiet(&server.url(), "", Policy::default()).await.namespace("page").unwrap();
    let short = WriteOptions { ttl: Some(Duration::from_millis(100)), ..WriteOptions::default() };
    here.set("first", "1", WriteOptions::default()).await.unwrap();
    here.set("a", "stale", short).await.unwrap();
    assert_eq!(text(&there, "first").await.as_deref(), Some("1"));
    eventually(|| async { text(&there, "a").await.is_none() }, SOON).await;
    assert_eq!(server.cli(&["EXISTS", "cache:page:a"]), "1", "it is kept for those who have nothing better");
    // Another program's value over it is as fresh as the server says, whatever our record says.
    server.cli(&["SET", "cache:page:a", "theirs"]);
    assert_eq!(text(&there, "a").await.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn a_value_is_plain_under_its_name_and_no_key_is_without_a_time_to_live() {
    let server = RedisServer::start().await.unwrap();
    let running = running(&server.url(), "app:", config(Policy::default())).await;
    let projects: ProjectCache<serde_json::Value> = running.cache.projects().unwrap();
    projects.put_data("42", &serde_json::json!({"name": "x"})).await.unwrap();
    projects.put_entry("42", "plan", &serde_json::json!([1]), None).await.unwrap();
    assert_eq!(server.cli(&["GET", "app:project:42:data"]), r#"{"name":"x"}"#);
    assert_eq!(server.cli(&["GET", "app:project:42:plan"]), "[1]");
    let left: u64 = server.cli(&["PTTL", "app:project:42:data"]).parse().unwrap();
    assert!((3_500_000..=3_600_000).contains(&left), "{left}");
    let registry: TypedCache<Vec<String>> = running.cache.tool_registry().unwrap();
    registry.set(trackside_cache::TOOL_REGISTRY, &vec!["grep".into()], WriteOptions::default()).await.unwrap();
    assert_eq!(server.cli(&["GET", "app:tool_registry"]), r#"["grep"]"#);
    let tenants: TypedCache<String> = running.cache.tenant_configs().unwrap();
    tenants.set("7", &"config".into(), WriteOptions::default()).await.unwrap();
    assert_eq!(server.cli(&["GET", "app:tenant:7:config"]), r#""config""#);
    let searches = running.cache.searches::<u8>().unwrap();
    searches.put("handbook", "query", &1).await.unwrap();
    let pages = running.cache.namespace("page").unwrap();
    pages.set("large", vec![b'x'; 100_000], WriteOptions::default()).await.unwrap();
    assert!(server.cli(&["STRLEN", "app:cache:page:large"]).parse::<usize>().unwrap() < 1_000, "not compressed");
    load(&pages, "loaded").await;
    pages.get_or_load("none", LoadOptions::default(), || async { Ok(None) }).await.unwrap();
    pages.delete("loaded").await.unwrap();
    running.cache.invalidate_tag(&"t".parse().unwrap()).await.unwrap();
    let _ = pages.get_or_load("failed", LoadOptions::default(), || async { Err("no".into()) }).await;
    let keys = server.cli(&["KEYS", "*"]);
    assert!(keys.lines().count() > 10, "{keys}");
    for key in keys.lines() {
        assert!(key.starts_with("app:") || key.starts_with("{app:"), "{key}");
        assert_ne!(server.cli(&["PTTL", key]), "-1", "{key} lives for ever");
    }
}

#[tokio::test]
async fn what_another_program_writes_is_read_and_what_it_removes_is_gone_within_the_bound() {
    let server = RedisServer::start().await.unwrap();
    let running = running(&server.url(), "", config(Policy::default())).await;
    let jobs: TypedCache<serde_json::Value> = running.cache.job_statuses().unwrap();
    server.cli(&["SETEX", "job:7:status", "600", r#"{"status": "running"}"#]);
    assert_eq!(jobs.get("7").await.unwrap().unwrap()["status"], "running");
    server.cli(&["SETEX", "job:7:status", "600", r#"{"status": "completed"}"#]);
    let status = || async { jobs.get("7").await.unwrap().is_some_and(|job| job["status"] == "completed") };
    eventually(status, SOON).await;
    server.cli(&["DEL", "job:7:status"]);
    eventually(|| async { jobs.get("7").await.unwrap().is_none() }, SOON).await;
    // Over one of ours, and after our deletion.
    jobs.set("8", &serde_json::json!(1), WriteOptions::default()).await.unwrap();
    jobs.delete("8").await.unwrap();
    server.cli(&["SET", "job:8:status", "2"]);
    eventually(|| async { jobs.get("8").await.unwrap().is_some_and(|job| *job == 2) }, SOON).await;
}

#[tokio::test]
async fn a_sweep_gives_a_time_to_live_to_what_has_none_and_counts_by_namespace() {
    let server = RedisServer::start().await.unwrap();
    let running = running(&server.url(), "app:", config(Policy::default())).await;
    let pages = running.cache.namespace("page").unwrap();
    let projects: ProjectCache<u32> = running.cache.projects().unwrap();
    for key in 0..700 {
        server.cli(&["SET", &format!("app:cache:page:{key}"), "12345"]);
    }
    server.cli(&["SET", "app:project:1:data", "1"]);
    for theirs in ["cache:page:theirs", "app:session:1", "app:{mail:queue}:lease"] {
        server.cli(&["SET", theirs, "1"]);
    }
    assert_eq!(running.cache.sweep().await.unwrap(), 701);
    assert_eq!(running.cache.sweep().await.unwrap(), 0);
    for (key, lives_for_ever) in [
        ("app:cache:page:7", false),
        ("app:project:1:data", false),
        ("cache:page:theirs", true),
        ("app:session:1", true),
    ] {
        assert_eq!(server.cli(&["PTTL", key]) == "-1", lives_for_ever, "{key}");
    }
    let stats = pages.stats();
    assert_eq!((stats.store_entries, stats.store_bytes), (Some(700), Some(3_500)));
    assert_eq!(projects.cache().namespace().stats().store_entries, Some(1));
}

#[tokio::test]
async fn on_three_nodes_everything_works_and_a_sweep_reaches_each() {
    let cluster = RedisCluster::start(3).await.unwrap();
    let config = config(bounded(MINUTE));
    let [one, two] = [running(&cluster.url(), "", config.clone()).await, running(&cluster.url(), "", config).await];
    let [here, there] = [&one, &two].map(|running| running.cache.namespace("page").unwrap());
    let projects: ProjectCache<u32> = one.cache.projects().unwrap();
    let theirs: ProjectCache<u32> = two.cache.projects().unwrap();
    let calls = Calls::default();
    for key in 0..20 {
        let key = key.to_string();
        calls.load(&here, &key, "loaded").await.unwrap();
        assert_eq!(text(&there, &key).await.as_deref(), Some("loaded"));
        there.set(&key, "new", WriteOptions::default()).await.unwrap();
        eventually(|| async { text(&here, &key).await.as_deref() == Some("new") }, SOON).await;
        projects.put_data(&key, &1).await.unwrap();
        assert_eq!(theirs.data(&key).await.unwrap().as_deref(), Some(&1));
        projects.invalidate(&key).await.unwrap();
        eventually(|| async { theirs.data(&key).await.unwrap().is_none() }, SOON).await;
    }
    assert_eq!(calls.count(), 20);
    let redis = connect(&cluster.url(), "").await;
    for key in 0..60 {
        redis.set(&format!("cache:page:plain-{key}"), &key).await.unwrap();
    }
    assert_eq!(one.cache.sweep().await.unwrap(), 60);
    for key in 0..60 {
        assert!(matches!(redis.ttl(&format!("cache:page:plain-{key}")).await.unwrap(), Ttl::Left(_)));
    }
}
