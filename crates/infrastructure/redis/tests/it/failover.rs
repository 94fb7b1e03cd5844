//! Sentinel and Cluster: the service finds the servers and finds them again.

use std::time::Duration;

use trackside_core::ErrorKind;
use trackside_redis::{Command, Config, PubSubEvent, Reply, Script};
use trackside_testkit::{RedisCluster, RedisSentinels, RedisServer, eventually};

use crate::support::{PATIENCE, connected, recovered, touch};

/// Sentinels and cluster nodes take seconds to agree by themselves.
const AGREEMENT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn after_a_failover_writes_go_to_the_new_primary() {
    let primary = RedisServer::start().await.unwrap();
    let replica = RedisServer::builder().replica_of(&primary).start().await.unwrap();
    let sentinels = RedisSentinels::start(&primary, &replica).await.unwrap();
    let redis = connected(Config::new(sentinels.url().parse().unwrap())).await;
    touch(&redis).await.unwrap();
    let mut subscription = redis.subscribe(vec!["news".to_owned()]).unwrap();
    subscription.ready().await.unwrap();
    assert_eq!(primary.cli(&["GET", "touched"]), "1");
    eventually(|| async { replica.cli(&["GET", "touched"]) == "1" }, PATIENCE).await;
    primary.kill9();
    eventually(|| async { touch(&redis).await }, AGREEMENT).await;
    assert!(replica.cli(&["GET", "touched"]).parse::<i64>().unwrap() >= 2);
    let gap = tokio::time::timeout(AGREEMENT, subscription.next()).await.unwrap().unwrap();
    assert!(matches!(gap, PubSubEvent::Gap { .. }), "{gap:?}");
    let heard = || async { replica.cli(&["PUBLISH", "news", "x"]) == "1" };
    eventually(heard, AGREEMENT).await;
}

#[tokio::test]
async fn a_cluster_serves_keys_of_every_node_and_refuses_what_no_node_can() {
    let cluster = RedisCluster::start(3).await.unwrap();
    let redis = connected(Config::new(cluster.url().parse().unwrap())).await;
    let script = Script::new("test.count", "return redis.call('INCR', KEYS[1])");
    for index in 0..30 {
        let key = format!("key-{index}");
        let reply = redis.run(&script, vec![key.clone()], vec![]).await.unwrap();
        assert_eq!(reply.as_int().unwrap(), 1);
        assert_eq!(redis.execute("test.count", Command::new("INCR").key(&key)).await.unwrap(), Reply::Int(2));
        let both = vec![Command::new("INCR").key(format!("{{{key}}}:a")), Command::new("GET").key(&key)];
        let replies = redis.pipeline("test.pipeline", both).await.unwrap();
        assert_eq!(replies[0], Ok(Reply::Int(1)));
        assert_eq!(replies[1], Ok(Reply::Bytes("2".into())));
    }
    let held: Vec<String> = cluster.nodes().iter().map(|node| node.cli(&["DBSIZE"])).collect();
    assert!(held.iter().all(|count| count != "0"), "{held:?}");
    let across = redis.execute("test.read", Command::new("MGET").keys(["key-1", "key-2", "key-3"])).await.unwrap_err();
    assert_eq!(across.kind(), ErrorKind::InvalidInput, "{across}");
    let across = redis.run(&script, vec!["key-1".to_owned(), "key-2".to_owned()], vec![]).await.unwrap_err();
    assert_eq!(across.kind(), ErrorKind::InvalidInput, "{across}");
    let mut subscription = redis.subscribe(vec!["news".to_owned()]).unwrap();
    subscription.ready().await.unwrap();
    redis.publish("news", "x").await.unwrap();
    // Connections to further nodes may be announced by a gap first.
    loop {
        match tokio::time::timeout(PATIENCE, subscription.next()).await.unwrap().unwrap() {
            PubSubEvent::Gap { .. } => {}
            PubSubEvent::Message { payload, .. } => break assert_eq!(payload, "x"),
        }
    }
}

#[tokio::test]
async fn a_cluster_node_that_dies_is_an_outage_that_ends_with_its_return() {
    let cluster = RedisCluster::start(3).await.unwrap();
    let redis = connected(Config::new(cluster.url().parse().unwrap())).await;
    touch(&redis).await.unwrap();
    cluster.nodes()[1].kill9();
    let refused = || async { touch(&redis).await.is_err_and(|error| error.kind() == ErrorKind::Unavailable) };
    eventually(refused, AGREEMENT).await;
    cluster.nodes()[1].restart().await.unwrap();
    cluster.wait_until_ok().await.unwrap();
    recovered(&redis).await;
}
