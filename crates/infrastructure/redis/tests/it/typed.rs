//! Typed operations.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use trackside_core::ErrorKind;
use trackside_redis::{Command, Ttl};

use crate::support::shared;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Profile {
    name: String,
    level: u32,
}

fn profile(name: &str) -> Profile {
    Profile { name: name.to_owned(), level: 3 }
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let redis = shared().await;
    let key = redis.prefix().key("profile");
    assert_eq!(redis.get::<Profile>(&key).await.unwrap(), None);
    assert_eq!(redis.get_or(&key, profile("nobody")).await.unwrap(), profile("nobody"));
    redis.set(&key, &profile("Ada")).await.unwrap();
    assert_eq!(redis.get_or(&key, profile("nobody")).await.unwrap(), profile("Ada"));
    assert!(redis.exists(&key).await.unwrap());
    assert_eq!(redis.delete(&[&key, "no such key"]).await.unwrap(), 1);
    assert!(!redis.exists(&key).await.unwrap());
}

#[tokio::test]
async fn what_is_not_the_expected_json_is_bad_data_and_is_not_repeated() {
    let redis = shared().await;
    let key = redis.prefix().key("profile");
    redis.execute("test.write", Command::new("SET").key(&key).arg(r#"{"name":"s3cret"}"#)).await.unwrap();
    let error = redis.get_or(&key, profile("nobody")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn a_value_expires_when_it_was_told_to() {
    let redis = shared().await;
    let key = redis.prefix().key("short");
    assert_eq!(redis.ttl(&key).await.unwrap(), Ttl::Missing);
    redis.set(&key, "x").await.unwrap();
    assert_eq!(redis.ttl(&key).await.unwrap(), Ttl::Forever);
    assert!(redis.expire(&key, Duration::from_secs(100)).await.unwrap());
    assert!(matches!(redis.ttl(&key).await.unwrap(), Ttl::Left(left) if left > Duration::from_secs(50)));
    redis.set_ex(&key, "x", Duration::from_millis(1)).await.unwrap();
    let gone = || async { redis.get::<String>(&key).await.unwrap().is_none() };
    trackside_testkit::eventually(gone, crate::support::PATIENCE).await;
    assert!(!redis.expire(&key, Duration::from_secs(1)).await.unwrap());
    let error = redis.set_ex(&key, "x", Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn counters_count_and_hashes_keep_their_fields() {
    let redis = shared().await;
    let (counter, hash) = (redis.prefix().key("counter"), redis.prefix().key("hash"));
    assert_eq!(redis.incr(&counter, 5).await.unwrap(), 5);
    assert_eq!(redis.incr(&counter, -2).await.unwrap(), 3);
    assert!(redis.hset(&hash, "ada", &profile("Ada")).await.unwrap());
    assert!(!redis.hset(&hash, "ada", &profile("Ada L.")).await.unwrap());
    redis.hset(&hash, "bob", &profile("Bob")).await.unwrap();
    assert_eq!(redis.hget::<Profile>(&hash, "ada").await.unwrap(), Some(profile("Ada L.")));
    assert_eq!(redis.hget::<Profile>(&hash, "eve").await.unwrap(), None);
    let all = redis.hgetall::<Profile>(&hash).await.unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all["bob"], profile("Bob"));
    assert_eq!(redis.hdel(&hash, &["ada", "eve"]).await.unwrap(), 1);
    assert_eq!(redis.hgetall::<Profile>(&redis.prefix().key("none")).await.unwrap().len(), 0);
}

#[tokio::test]
async fn lists_have_two_ends() {
    let redis = shared().await;
    let key = redis.prefix().key("list");
    assert_eq!(redis.rpush(&key, &[1, 2]).await.unwrap(), 2);
    assert_eq!(redis.lpush(&key, &[0]).await.unwrap(), 3);
    assert_eq!(redis.rpush::<i32>(&key, &[]).await.unwrap(), 3);
    assert_eq!(redis.lrange::<i32>(&key, 0, -1).await.unwrap(), [0, 1, 2]);
    assert_eq!(redis.lpop::<i32>(&key).await.unwrap(), Some(0));
    assert_eq!(redis.rpop::<i32>(&key).await.unwrap(), Some(2));
    assert_eq!(redis.llen(&key).await.unwrap(), 1);
    redis.lpop::<i32>(&key).await.unwrap();
    assert_eq!(redis.lpop::<i32>(&key).await.unwrap(), None);
}
