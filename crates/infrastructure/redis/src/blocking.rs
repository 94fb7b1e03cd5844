//! A connection of its own for commands that the server holds back.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use fred::{error::Error as DriverError, prelude::Client};
use tokio::{sync::Mutex, time::timeout};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    Command, Config, Error, Operation, Reply, Script,
    driver::{
        call,
        classify::{Verdict, classify},
        settings::Purpose,
    },
    link::{Link, Problem},
    metrics::Metrics,
};

/// How much longer than it was told to the server may take.
const SLACK: Duration = Duration::from_secs(1);

/// A connection for commands such as `BLMOVE` or `XREAD BLOCK`, which would hold everybody else up on a shared one.
/// One command at a time; a second one waits for the first. Dropping it closes the connection.
///
/// ```no_run
/// # async fn example(redis: trackside_redis::RedisService) -> Result<(), trackside_redis::Error> {
/// use std::time::Duration;
/// use trackside_redis::Command;
///
/// let waiter = redis.blocking("mail worker")?;
/// let command = Command::new("BLMOVE").key("mail").key("mail:taken").arg("RIGHT").arg("LEFT").arg(5);
/// let reply = waiter.execute("mail.take", command, Duration::from_secs(5)).await?;
/// assert!(reply.is_nil(), "nothing came in five seconds");
/// # Ok(()) }
/// ```
pub struct BlockingConnection {
    name: String,
    link: Arc<Link>,
    /// Held while a command runs.
    turn: Mutex<()>,
    connect_timeout: Duration,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    _closes: DropGuard,
}

/// Throws the connection away when a call is dropped halfway: otherwise the server would still hand an element to a
/// caller who is gone.
struct Unfinished<'a> {
    connection: &'a BlockingConnection,
    finished: bool,
}

// === impl BlockingConnection ===

impl BlockingConnection {
    pub(crate) fn start(
        config: &Config,
        name: String,
        metrics: Arc<Metrics>,
        tasks: TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Self, Error> {
        let link = Arc::new(Link::new(config, Purpose::Blocking)?);
        let shutdown = shutdown.child_token();
        tasks.spawn(Arc::clone(&link).run(tasks.clone(), shutdown.clone()));
        let closes = shutdown.clone().drop_guard();
        let connect_timeout = config.connect_timeout;
        Ok(Self { name, link, turn: Mutex::new(()), connect_timeout, metrics, tasks, shutdown, _closes: closes })
    }

    /// Runs a command that the server may hold back for `block_for`, which the command itself must say as well. Nothing
    /// in that time is [`Reply::Nil`], not an error. Ends at once when the service shuts down.
    ///
    /// A dropped call closes the connection, which is dialled again for the next one. What the server had handed out at
    /// that very moment is lost to this caller, so take with `BLMOVE` into a list that is looked through later.
    ///
    /// # Errors
    /// Any [`Error`]; after [`Error::Timeout`] the outcome is unknown.
    pub async fn execute(
        &self,
        operation: &'static str,
        command: Command,
        block_for: Duration,
    ) -> Result<Reply, Error> {
        command.check_shareable(operation)?;
        let place = command.operation(operation);
        let _turn = self.turn.lock().await;
        let started = Instant::now();
        let outcome = tokio::select! {
            outcome = self.call(place.clone(), command, block_for) => outcome,
            () = self.shutdown.cancelled() => Err(Error::unavailable(place, "the service is shut down")),
        };
        self.metrics.called(operation, started.elapsed(), outcome.as_ref().err().map(Error::metric_label));
        outcome
    }

    /// Runs a script and, behind it on the same connection, a command about what it wrote, such as `WAIT`, which the
    /// server may hold back for `block_for`. Both reach the node of the script's first key.
    ///
    /// The first answer is the script's, the second the command's. When the connection breaks, the command is not sent
    /// on another one, where its answer would say nothing about the script.
    ///
    /// # Errors
    /// Any [`Error`]; after [`Error::Timeout`] the outcome is unknown, as it is when the outer result fails.
    pub async fn run_then(
        &self,
        script: &Script,
        (keys, args): (&[String], &[Bytes]),
        then: Command,
        block_for: Duration,
    ) -> Result<[Result<Reply, Error>; 2], Error> {
        let call = |client: Client| async move {
            call::script_then(&client, script, keys, args, then, block_for + SLACK).await
        };
        self.both(script.name(), keys, call).await
    }

    /// Waits with a command that the server may hold back for `block_for`, and runs a script behind it on the same
    /// connection: when the wait is over, the server goes on to the script by itself, without another round trip. Both
    /// reach the node of the script's first key.
    ///
    /// The first answer is the command's, the second the script's; it is `None`, and nothing ran, when the server did
    /// not know the script.
    ///
    /// # Errors
    /// Any [`Error`]; after [`Error::Timeout`] the outcome is unknown, as it is when the outer result fails.
    pub async fn wait_then_run(
        &self,
        operation: &'static str,
        wait: Command,
        script: &Script,
        (keys, args): (&[String], &[Bytes]),
        block_for: Duration,
    ) -> Result<(Result<Reply, Error>, Option<Result<Reply, Error>>), Error> {
        let call = |client: Client| async move {
            call::wait_then_script(&client, wait, script, keys, args, block_for + SLACK).await
        };
        let [waited, ran] = self.both(operation, keys, call).await?;
        let is_unknown = matches!(&ran, Err(Error::Server { code, .. }) if code == "NOSCRIPT");
        Ok((waited, (!is_unknown).then_some(ran)))
    }

    /// Two commands in one go.
    async fn both<F>(
        &self,
        operation: &'static str,
        keys: &[String],
        call: impl FnOnce(Client) -> F,
    ) -> Result<[Result<Reply, Error>; 2], Error>
    where
        F: Future<Output = Result<[Result<Reply, DriverError>; 2], DriverError>>,
    {
        let place = match keys.first() {
            Some(key) => Operation::on(operation, key),
            None => Operation::new(operation),
        };
        let _turn = self.turn.lock().await;
        let started = Instant::now();
        let outcome = tokio::select! {
            outcome = self.guarded(&place, call) => outcome,
            () = self.shutdown.cancelled() => Err(Error::unavailable(place.clone(), "the service is shut down")),
        };
        self.metrics.called(operation, started.elapsed(), outcome.as_ref().err().map(Error::metric_label));
        let replies = outcome?;
        Ok(replies.map(|reply| reply.map_err(|error| classify(place.clone(), &error, started.elapsed()).0)))
    }

    /// The name given to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    async fn call(&self, place: Operation, command: Command, block_for: Duration) -> Result<Reply, Error> {
        self.guarded(&place, |client| async move { call::blocking(&client, command, block_for + SLACK).await }).await
    }

    /// Makes a call once there is a connection, and throws the connection away when the call is dropped or the server
    /// is silent.
    async fn guarded<T, F>(&self, place: &Operation, call: impl FnOnce(Client) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, DriverError>>,
    {
        self.connected(place).await?;
        let mut unfinished = Unfinished { connection: self, finished: false };
        let started = Instant::now();
        let outcome = call(self.link.client().clone()).await;
        unfinished.finished = true;
        outcome.map_err(|error| {
            let (error, verdict) = classify(place.clone(), &error, started.elapsed());
            // A server that is silent beyond what it was told may be frozen; nothing else looks at this connection.
            if verdict == Verdict::Unhealthy && self.link.is_up() {
                self.link.reconnect(&self.tasks, "the server does not answer");
            }
            error
        })
    }

    /// Waits a moment for a connection that is being dialled.
    async fn connected(&self, place: &Operation) -> Result<(), Error> {
        let mut state = self.link.watch();
        if timeout(self.connect_timeout, state.wait_for(|state| state.problem.is_none()))
            .await
            .is_ok_and(|up| up.is_ok())
        {
            return Ok(());
        }
        match self.link.problem() {
            None => Ok(()),
            Some(Problem { refusal: Some(reason), .. }) => Err(Error::Refused { operation: place.clone(), reason }),
            Some(Problem { reason, .. }) => Err(Error::unavailable(place.clone(), reason.as_ref())),
        }
    }
}

impl fmt::Debug for BlockingConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingConnection").field("name", &self.name).field("up", &self.link.is_up()).finish()
    }
}

// === impl Unfinished ===

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.link.reconnect(&self.connection.tasks, "a blocking call was given up");
        }
    }
}
