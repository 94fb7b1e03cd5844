//! A real Redis or Valkey server that a test can mistreat.

mod binary;
mod builder;
mod cluster;
mod container;
mod resp;
mod running;
mod sentinels;
mod tls_front;

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::sync::OnceCell;

pub use binary::find_redis_binary;
pub use builder::{Fsync, RedisServerBuilder, TlsFiles};
pub use cluster::RedisCluster;
pub use sentinels::RedisSentinels;

use self::{
    running::{Recipe, Running},
    tls_front::TlsFront,
};
use crate::port::PortLease;

/// How long a start may take, on a machine that compiles something else meanwhile.
const START: Duration = Duration::from_secs(30);

/// A running server with its own folder, on 127.0.0.1; killed when dropped.
///
/// ```no_run
/// # async fn example() -> anyhow::Result<()> {
/// use trackside_testkit::{Fsync, RedisServer};
/// let server = RedisServer::builder().appendonly(Fsync::Always).start().await?;
/// server.cli(&["SET", "greeting", "hello"]);
/// server.kill9();
/// server.restart().await?;
/// assert_eq!(server.cli(&["GET", "greeting"]), "hello");
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RedisServer {
    /// What makes the same server again: port, folder, options.
    recipe: Recipe,
    /// What its log says when it serves.
    ready: &'static str,
    /// What a client must present as the default user.
    password: Option<String>,
    /// Where the TLS port listens, when there is one.
    tls: Option<PortLease>,
    _tls_front: Option<TlsFront>,
    /// Where the unix socket is, when there is one.
    socket: Option<PathBuf>,
    /// `None` while it is killed. Declared before the folder, so that it is dropped first.
    process: Mutex<Option<Running>>,
    /// How many processes there have been; each has its own log.
    runs: AtomicU32,
    port: PortLease,
    folder: TempDir,
}

// === impl RedisServer ===

impl RedisServer {
    /// Starts a server of its own, empty, without persistence.
    ///
    /// # Errors
    /// When no server program is found; the message holds the line to type.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// A server with options.
    pub fn builder() -> RedisServerBuilder {
        RedisServerBuilder::default()
    }

    /// The server that all tests of this process share. Give each test its own [`unique_prefix`](Self::unique_prefix),
    /// and never kill, pause or flush this one.
    ///
    /// # Panics
    /// When it cannot be started; the message holds the line to type.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<RedisServer> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                Self::start().await.unwrap_or_else(|error| panic!("no Redis for the tests: {error:#}"))
            })
            .await
    }

    /// A key prefix that no other test has, such as `t7-1a2b:`.
    #[must_use]
    pub fn unique_prefix(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("t{}-{:x}:", NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
    }

    /// How a client reaches it: `redis://…`, `rediss://…` when it speaks TLS, `redis+unix://…` when it has a socket.
    #[must_use]
    pub fn url(&self) -> String {
        let user = self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        match (&self.tls, &self.socket) {
            (Some(tls), _) => format!("rediss://{user}127.0.0.1:{}", tls.port),
            (None, Some(socket)) => format!("redis+unix://{user}{}", socket.display()),
            (None, None) => format!("redis://{user}127.0.0.1:{}", self.port.port),
        }
    }

    /// The port on 127.0.0.1 that speaks without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.port
    }

    /// The TLS port, when it has one.
    #[must_use]
    pub fn tls_port(&self) -> Option<u16> {
        self.tls.as_ref().map(|lease| lease.port)
    }

    /// The folder of its data, log and socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it as a power cut would. Does nothing when it is down already.
    pub fn kill9(&self) {
        drop(self.process().take());
    }

    /// Freezes it: connections stay open and nothing is answered.
    ///
    /// # Panics
    /// When it is not running.
    pub fn pause(&self) {
        self.running("paused", Running::pause);
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Panics
    /// When it is not running.
    pub fn resume(&self) {
        self.running("resumed", Running::resume);
    }

    /// Kills it when it runs, and starts it on the same port and folder.
    ///
    /// # Errors
    /// When it does not come up; the message holds its log.
    pub async fn restart(&self) -> Result<()> {
        self.restart_until(self.ready).await
    }

    /// As [`restart`](Self::restart), and comes back as soon as the log holds `sentence`, such as one about loading.
    ///
    /// # Errors
    /// When it does not come up; the message holds its log.
    pub async fn restart_until(&self, sentence: &'static str) -> Result<()> {
        self.kill9();
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let recipe = self.recipe.clone();
        // A blocking thread keeps a paused tokio clock from running ahead while the server starts.
        let start = tokio::task::spawn_blocking(move || recipe.start(run, sentence, START));
        let process = start.await.context("the starting thread ended")??;
        *self.process() = Some(process);
        Ok(())
    }

    /// Sends one command as the default user and gives the answer as `redis-cli` prints it: an integer as digits,
    /// nothing as the empty string, a list as lines.
    ///
    /// # Panics
    /// When the server cannot be reached or answers an error; use [`try_cli`](Self::try_cli) where that is the point.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> String {
        self.try_cli(args).unwrap_or_else(|error| panic!("{args:?}: {error:#}"))
    }

    /// As [`cli`](Self::cli), with the server's error as an error.
    ///
    /// # Errors
    /// When the server cannot be reached within 5 s or answers an error.
    pub fn try_cli(&self, args: &[&str]) -> Result<String> {
        resp::Connection::open(self.port.port, self.password.as_deref())?.call(args)
    }

    #[track_caller]
    fn running(&self, what: &str, act: fn(&Running) -> Result<()>) {
        match self.process().as_ref().map(act) {
            Some(Ok(())) => {}
            Some(Err(error)) => panic!("the server cannot be {what}: {error:#}"),
            None => panic!("the server is not running, it cannot be {what}"),
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Running>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
