//! Nothing secret is ever shown.

use trackside_redis::{Command, Config, RedisService, RedisUrl};
use trackside_testkit::{RedisServer, eventually};

use crate::support::{Log, PATIENCE};

#[test]
fn a_url_shows_no_password_in_any_form() {
    let urls = [
        "redis://user:s3cret@host:1/2",
        "rediss://:s3cret@host",
        "redis-cluster://:s3cret@host:1?node=b:2",
        "redis-sentinel://u:s3cret@host?sentinelServiceName=m&sentinelPassword=s3cret2&sentinelUsername=w",
        "redis+unix:///run/redis.sock?password=s3cret",
    ];
    for url in urls {
        let url: RedisUrl = url.parse().unwrap();
        let shown = format!("{url} {url:?} {:?}", Config::new(url.clone()));
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    let errors = ["redis://:s3cret@", "http://:s3cret@host", "redis://:s3cret@host/x", "redis://:s3cret@host?x=s3cret"];
    for url in errors {
        let error = url.parse::<RedisUrl>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

#[test]
fn a_url_that_is_not_understood_is_refused() {
    let refused = [
        "localhost:6379",
        "http://localhost",
        "redis://localhost/x",
        "redis://localhost/256",
        "redis://localhost?databse=1",
        "redis-cluster://localhost/1",
        "redis-sentinel://localhost",
        "redis+unix://",
        "redis://localhost#fragment",
        "redis://:%zz@localhost",
    ];
    for url in refused {
        assert!(url.parse::<RedisUrl>().is_err(), "{url}");
    }
    let special: RedisUrl = "redis://:p%40ss%23@localhost".parse().unwrap();
    assert_eq!(special.to_string(), "redis://:***@localhost:6379");
}

#[tokio::test]
async fn an_outage_is_logged_once_each_way_and_without_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let server = RedisServer::builder().password("s3cret").start().await.unwrap();
    let redis = RedisService::start(Config::new(server.url().parse().unwrap())).unwrap();
    redis.wait_until_connected(PATIENCE).await.unwrap();
    redis.execute("test.write", Command::new("SET").key("session:id-s3cret").arg("payload-s3cret")).await.unwrap();
    server.kill9();
    eventually(|| async { !redis.is_connected() }, PATIENCE).await;
    for _ in 0..100 {
        let command = Command::new("SET").key("session:id-s3cret").arg("payload-s3cret");
        redis.execute("test.write", command).await.unwrap_err();
    }
    server.restart().await.unwrap();
    redis.wait_until_connected(PATIENCE).await.unwrap();
    eventually(|| async { log.text().matches("redis is connected").count() == 2 }, PATIENCE).await;
    let lines = log.text();
    assert_eq!(lines.matches("redis is disconnected").count(), 1, "{lines}");
    assert!(!lines.contains("s3cret"), "{lines}");
    let server_echo = redis.execute("test.echo", Command::new("NOSUCH").arg("payload-s3cret")).await.unwrap_err();
    assert!(!format!("{server_echo} {server_echo:?}").contains("s3cret"), "{server_echo}");
}
