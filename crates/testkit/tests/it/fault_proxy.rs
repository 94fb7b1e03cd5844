//! Each fault does what its name says.

use std::time::Duration;

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};
use trackside_testkit::{FaultProxy, RedisServer, eventually};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

async fn ask(stream: &mut TcpStream, command: &str, answer: &str) -> Result<()> {
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut read = vec![0; answer.len()];
    stream.read_exact(&mut read).await?;
    assert_eq!(String::from_utf8_lossy(&read), answer);
    Ok(())
}

#[tokio::test]
async fn a_cut_closes_old_and_new_connections_until_it_is_healed() -> Result<()> {
    let server = RedisServer::start().await?;
    let proxy = FaultProxy::start(server.port()).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    ask(&mut stream, "PING", "+PONG\r\n").await?;
    proxy.cut();
    assert_eq!(timeout(LONG, stream.read(&mut [0; 1])).await??, 0);
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    assert!(matches!(timeout(LONG, refused.read(&mut [0; 1])).await?, Ok(0) | Err(_)));
    proxy.heal();
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    ask(&mut stream, "PING", "+PONG\r\n").await
}

#[tokio::test]
async fn a_cut_that_is_healed_at_once_still_ends_every_connection() -> Result<()> {
    let server = RedisServer::start().await?;
    let proxy = FaultProxy::start(server.port()).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    ask(&mut stream, "PING", "+PONG\r\n").await?;
    proxy.cut();
    proxy.heal();
    assert_eq!(timeout(LONG, stream.read(&mut [0; 1])).await??, 0);
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_leaves_its_effect() -> Result<()> {
    let server = RedisServer::start().await?;
    let proxy = FaultProxy::start(server.port()).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    ask(&mut stream, "PING", "+PONG\r\n").await?;
    proxy.drop_replies();
    stream.write_all(b"INCR n\r\n").await?;
    eventually(|| async { server.cli(&["GET", "n"]) == "1" }, LONG).await;
    assert!(timeout(SHORT, stream.read(&mut [0; 1])).await.is_err(), "the answer never comes");
    Ok(())
}

#[tokio::test]
async fn a_black_hole_swallows_and_a_delay_holds_back() -> Result<()> {
    let server = RedisServer::start().await?;
    let proxy = FaultProxy::start(server.port()).await?;
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await?;
    proxy.blackhole();
    stream.write_all(b"INCR n\r\n").await?;
    assert!(timeout(SHORT, stream.read(&mut [0; 1])).await.is_err());
    assert_eq!(server.cli(&["EXISTS", "n"]), "0");
    proxy.delay(SHORT);
    let started = Instant::now();
    let mut answer = [0; 4];
    timeout(LONG, stream.read_exact(&mut answer)).await??;
    assert_eq!(&answer, b":1\r\n");
    assert!(started.elapsed() >= SHORT);
    Ok(())
}
