//! A server can be killed, restarted, frozen and shared.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::Result;
use trackside_testkit::{Fsync, RedisCluster, RedisServer, eventually};

#[tokio::test]
async fn a_killed_server_comes_back_on_its_port_with_its_data() -> Result<()> {
    let server = RedisServer::builder().appendonly(Fsync::Always).start().await?;
    server.cli(&["SET", "k", "v"]);
    let url = server.url();
    server.kill9();
    assert!(server.try_cli(&["PING"]).is_err());
    server.restart().await?;
    assert_eq!(server.cli(&["GET", "k"]), "v");
    assert_eq!(server.url(), url);
    Ok(())
}

#[tokio::test]
async fn a_paused_server_answers_only_after_it_is_resumed() -> Result<()> {
    let server = RedisServer::start().await?;
    let mut stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    server.pause();
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    assert!(stream.read_exact(&mut answer).is_err(), "a frozen server must not answer");
    server.resume();
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"+PONG\r\n");
    Ok(())
}

#[tokio::test]
async fn a_replica_follows_a_server_with_a_password() -> Result<()> {
    let primary = RedisServer::builder().password("open-sesame").start().await?;
    let replica = RedisServer::builder().replica_of(&primary).start().await?;
    primary.cli(&["SET", "k", "v"]);
    eventually(|| async { replica.cli(&["GET", "k"]) == "v" }, Duration::from_secs(20)).await;
    let refused = replica.try_cli(&["SET", "k", "w"]).unwrap_err().to_string();
    assert!(refused.starts_with("READONLY"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn a_dropped_server_leaves_neither_process_nor_folder() -> Result<()> {
    let server = RedisServer::start().await?;
    let (port, folder) = (server.port(), server.folder().to_owned());
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn tests_that_share_a_server_get_different_prefixes() {
    let (one, two) = (RedisServer::shared().await, RedisServer::shared().await);
    assert_eq!(one.port(), two.port());
    assert_ne!(one.unique_prefix(), two.unique_prefix());
}

#[tokio::test]
async fn a_cluster_serves_every_slot_and_each_node_its_own() -> Result<()> {
    let cluster = RedisCluster::start(3).await?;
    let slots = cluster.nodes()[0].cli(&["CLUSTER", "INFO"]);
    assert!(slots.contains("cluster_slots_ok:16384"), "{slots}");
    let moved = cluster.nodes().iter().filter(|node| node.try_cli(&["GET", "k"]).is_err()).count();
    assert_eq!(moved, 2, "one of three owns the key");
    Ok(())
}
