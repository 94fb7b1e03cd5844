//! A TCP proxy that breaks connections in the ways networks do.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// A proxy in front of a server on 127.0.0.1, whose faults hold for the connections it has and the ones it gets.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use trackside_testkit::{FaultProxy, RedisServer};
/// let server = RedisServer::start().await?;
/// let proxy = FaultProxy::start(server.port()).await?;
/// proxy.drop_replies(); // a script runs, and its caller never hears of it
/// proxy.heal();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct FaultProxy {
    port: u16,
    fault: watch::Sender<Fault>,
    /// How often connections were closed: each one ends with the next, however soon it is healed.
    cuts: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

/// What the proxy does to the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Passes them on.
    None,
    /// Connections are closed, and new ones too.
    Cut,
    /// Connections stay and nothing passes, in either direction; what is sent meanwhile arrives later.
    Blackhole,
    /// Requests pass, answers are thrown away.
    DropReplies,
    /// Answers come later.
    Delay(Duration),
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Reply,
}

// === impl FaultProxy ===

impl FaultProxy {
    /// Starts a proxy in front of the server at this port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream_port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port for the proxy")?;
        let port = listener.local_addr()?.port();
        let fault = watch::Sender::new(Fault::None);
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream_port));
        let cuts = watch::Sender::new(0);
        let accepting = tokio::spawn(accept(listener, upstream, fault.subscribe(), cuts.subscribe()));
        Ok(Self { port, fault, cuts, accepting })
    }

    /// Where clients connect to, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections, and each new one.
    pub fn cut(&self) {
        self.fault.send_replace(Fault::Cut);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Lets nothing pass and closes nothing.
    pub fn blackhole(&self) {
        self.fault.send_replace(Fault::Blackhole);
    }

    /// Lets requests pass and throws the answers away.
    pub fn drop_replies(&self) {
        self.fault.send_replace(Fault::DropReplies);
    }

    /// Holds each answer back for so long.
    pub fn delay(&self, by: Duration) {
        self.fault.send_replace(Fault::Delay(by));
    }

    /// Ends the fault. A connection that lost answers stays out of step; a real one would be closed by now.
    pub fn heal(&self) {
        self.fault.send_replace(Fault::None);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // The connections' tasks see it and end.
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: SocketAddr,
    fault: watch::Receiver<Fault>,
    mut cuts: watch::Receiver<u64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        cuts.mark_unchanged();
        tokio::spawn(serve(client, upstream, fault.clone(), cuts.clone()));
    }
}

/// One connection, until either side or a fault ends it.
async fn serve(client: TcpStream, upstream: SocketAddr, fault: watch::Receiver<Fault>, mut cuts: watch::Receiver<u64>) {
    if *fault.borrow() == Fault::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    // Small answers must not wait for an acknowledgement; without it the proxy only is slower.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, Direction::Request, fault.clone()) => {}
        () = pump(from_server, to_client, Direction::Reply, fault) => {}
        _ = cuts.changed() => {}
    }
}

async fn pump(from: OwnedReadHalf, to: OwnedWriteHalf, direction: Direction, fault: watch::Receiver<Fault>) {
    let (mut from, mut to, mut fault) = (from, to, fault);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        // Read first and judged then: what arrives during a fault meets it.
        if fault.wait_for(|fault| *fault != Fault::Blackhole).await.is_err() {
            return;
        }
        let now = *fault.borrow();
        match (now, direction) {
            (Fault::DropReplies, Direction::Reply) => continue,
            (Fault::Delay(by), Direction::Reply) => sleep(by).await,
            _ => {}
        }
        if to.write_all(buffer.get(..length).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}
