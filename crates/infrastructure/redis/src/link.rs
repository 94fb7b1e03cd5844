//! One connection and the truth about it.
//!
//! The driver keeps reporting a connection as good until its first dial fails, and for ever when the server is frozen.
//! A link listens to the driver's events, which come within milliseconds, and asks for a sign of life at an interval;
//! between them the flag is right fast and in the end.

use std::{pin::Pin, sync::Arc, time::Duration};

use fred::{
    error::{Error as DriverError, ErrorKind as DriverKind},
    prelude::{Client, ClientLike, EventInterface, Value},
    types::{ClientState, config::Options},
};
use futures::{FutureExt, future::Fuse};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, Error, Operation, Refusal,
    driver::settings::{Purpose, build_client},
};

/// How many signs of life may be missing.
const MISSES: u32 = 2;
/// How often a link that is out of service is asked whether it is back; asking costs nothing while it dials.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);
/// How long after the driver stopped by itself it is started again.
const REDIAL_PAUSE: Duration = Duration::from_millis(500);
/// How long a polite end may take.
const QUIT_TIMEOUT: Duration = Duration::from_millis(250);

/// One connection.
pub(crate) struct Link {
    client: Client,
    purpose: Purpose,
    ping_interval: Duration,
    ping_timeout: Duration,
    redial_pause: Duration,
    state: watch::Sender<LinkState>,
}

/// What is known about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkState {
    /// `None` while it is in service, else why it is not.
    pub(crate) problem: Option<Problem>,
    /// How often it came into service; subscriptions are gone each time it changes.
    pub(crate) epoch: u64,
}

/// Why a connection is out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) reason: Arc<str>,
    /// What the server has against us, when it is that.
    pub(crate) refusal: Option<Refusal>,
}

/// How a sign of life went.
enum Sign {
    Seen,
    Missing,
    /// The driver is dialling; nothing was asked.
    NotAsked,
}

// === impl Link ===

impl Link {
    pub(crate) fn new(config: &Config, purpose: Purpose) -> Result<Self, Error> {
        let problem = Problem { reason: "not connected yet".into(), refusal: None };
        Ok(Self {
            client: build_client(config, purpose)?,
            purpose,
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            redial_pause: REDIAL_PAUSE,
            state: watch::Sender::new(LinkState { problem: Some(problem), epoch: 0 }),
        })
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// True while calls may use it.
    pub(crate) fn is_up(&self) -> bool {
        self.state.borrow().problem.is_none()
    }

    pub(crate) fn problem(&self) -> Option<Problem> {
        self.state.borrow().problem.clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Throws the connection away and dials again, without waiting for it.
    pub(crate) fn reconnect(&self, tasks: &TaskTracker, reason: &str) {
        self.mark_down(Problem { reason: reason.into(), refusal: None });
        let client = self.client.clone();
        // Comes back only when the server does, or when the client is told to quit.
        tasks.spawn(async move {
            if let Err(error) = client.force_reconnection().await {
                tracing::debug!(error = %error, "redis connection could not be renewed");
            }
        });
    }

    /// Keeps the connection and its flag until `shutdown`, then closes it.
    pub(crate) async fn run(self: Arc<Self>, tasks: TaskTracker, shutdown: CancellationToken) {
        let mut errors = self.client.error_rx();
        let mut reconnects = self.client.reconnect_rx();
        let mut router = self.client.connect();
        // `None` while the driver's task runs, else when to start it again.
        let mut redial: Option<Instant> = None;
        let mut misses = 0;
        let mut ping: Pin<Box<Fuse<_>>> = Box::pin(Fuse::terminated());
        let mut asking = false;
        let mut signs = interval(self.ping_interval);
        let mut probes = interval(PROBE_INTERVAL);
        signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let up = self.is_up();
            tokio::select! {
                // A reconnect is handled before an error that came with it: if the order was the other way round, the
                // next probe puts the link back.
                biased;
                () = shutdown.cancelled() => break,
                event = reconnects.recv() => match event {
                    Ok(_) | Err(RecvError::Lagged(_)) => {
                        misses = 0;
                        self.connected();
                    }
                    Err(RecvError::Closed) => break,
                },
                event = errors.recv() => match event {
                    Ok((error, _)) => self.mark_down(problem_of(&error)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break,
                },
                ended = &mut router, if redial.is_none() => {
                    // The driver gives up only on its own settings; dial again rather than stay dead.
                    let reason = match ended {
                        Ok(Err(error)) => problem_of(&error),
                        _ => Problem { reason: "the driver stopped".into(), refusal: None },
                    };
                    self.mark_down(reason);
                    redial = Some(Instant::now() + self.redial_pause);
                }
                () = sleep_until(redial.unwrap_or_else(Instant::now)), if redial.is_some() => {
                    redial = None;
                    router = self.client.connect();
                }
                sign = &mut ping, if asking => {
                    asking = false;
                    match sign {
                        Sign::Seen => {
                            misses = 0;
                            self.mark_up();
                        }
                        Sign::NotAsked => {}
                        Sign::Missing if up => {
                            misses += 1;
                            if misses >= MISSES {
                                misses = 0;
                                self.reconnect(&tasks, "the server does not answer");
                            }
                        }
                        Sign::Missing => {}
                    }
                }
                _ = signs.tick(), if up && !asking && self.purpose != Purpose::Blocking => {
                    asking = true;
                    ping = Box::pin(ask(self.client.clone(), self.ping_timeout).fuse());
                }
                _ = probes.tick(), if !up && !asking => {
                    asking = true;
                    ping = Box::pin(ask(self.client.clone(), self.ping_timeout).fuse());
                }
            }
        }
        self.mark_down(Problem { reason: "shut down".into(), refusal: None });
        self.quit(router).await;
    }

    /// Says goodbye when there is somebody to say it to; otherwise ends the driver's task, which would dial for ever.
    async fn quit(&self, router: JoinHandle<Result<(), DriverError>>) {
        let abort = router.abort_handle();
        let polite = async {
            // A dropped client would leave its connection open, so both ways end it.
            if self.client.quit().await.is_ok() && !router.is_finished() {
                drop(router.await);
            }
        };
        if timeout(QUIT_TIMEOUT, polite).await.is_err() {
            abort.abort();
        }
    }

    /// A new connection is there; it knows nothing of what the old one had subscribed to.
    fn connected(&self) {
        self.state.send_modify(|state| {
            state.problem = None;
            state.epoch += 1;
        });
    }

    /// The connection has answered.
    fn mark_up(&self) {
        self.state.send_if_modified(|state| state.problem.take().is_some());
    }

    pub(crate) fn mark_down(&self, problem: Problem) {
        self.state.send_if_modified(|state| {
            let changed = state.problem.as_ref() != Some(&problem);
            state.problem = Some(problem);
            changed
        });
    }
}

/// Asks the server for a sign of life.
async fn ask(client: Client, within: Duration) -> Sign {
    if client.state() != ClientState::Connected {
        return Sign::NotAsked;
    }
    let options = Options { timeout: Some(within), fail_fast: true, max_attempts: Some(1), ..Options::default() };
    let ping = client.with_options(&options);
    match timeout(within * 2, ping.ping::<Value>(None)).await {
        // Any answer will do, also LOADING or NOPERM: what it means for a call is the call's matter.
        Ok(Ok(_)) => Sign::Seen,
        Ok(Err(error)) if matches!(error.kind(), DriverKind::Unknown | DriverKind::Auth) => Sign::Seen,
        Ok(Err(error)) if *error.kind() == DriverKind::Canceled => Sign::NotAsked,
        Ok(Err(_)) | Err(_) => Sign::Missing,
    }
}

/// What to tell of a connection's error. The driver's texts name hosts and errno, not credentials.
fn problem_of(error: &DriverError) -> Problem {
    let operation = Operation::new("redis.connect");
    let refusal = match crate::driver::classify::server_error(operation, error.details()).0 {
        Error::Refused { reason, .. } => Some(reason),
        _ if *error.kind() == DriverKind::Auth => Some(Refusal::Auth),
        _ => None,
    };
    let reason = match refusal {
        Some(refusal) => refusal.to_string(),
        None => plain(error.details()),
    };
    Problem { reason: reason.into(), refusal }
}

/// The driver writes I/O errors in Rust's debug form; people read `Connection refused`, or `invalid peer certificate: …`.
fn plain(details: &str) -> String {
    let between = |start: &str, end: &str| {
        let (_, rest) = details.split_once(start)?;
        rest.rsplit_once(end).map(|(text, _)| text.to_owned())
    };
    between("message: \"", "\"")
        .or_else(|| between("error: ", " }").map(|text| format!("tls or protocol: {text}")))
        .unwrap_or_else(|| details.to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use fred::prelude::{Client, Config as DriverConfig, ServerConfig};
    use tokio::{net::TcpListener, time::timeout};
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::{Link, plain};
    use crate::{Config, driver::settings::Purpose};

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_driver_that_stopped_is_started_again_and_delays_no_shutdown() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Config::new(format!("redis://127.0.0.1:{port}").parse().unwrap());
        // Without a policy the driver ends when its one dial has failed.
        let gives_up = DriverConfig { server: ServerConfig::new_centralized("127.0.0.1", port), ..Default::default() };
        let client = Client::new(gives_up, None, None, None);
        let link = Arc::new(Link { client, redial_pause: Duration::from_millis(1), ..link(&config) });
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&link).run(TaskTracker::new(), shutdown.clone()));
        for _ in 0..3 {
            drop(timeout(PATIENCE, listener.accept()).await.unwrap().unwrap());
        }
        shutdown.cancel();
        timeout(PATIENCE, running).await.unwrap().unwrap();

        let client = link.client().clone();
        let link = Arc::new(Link { client, redial_pause: PATIENCE * 2, ..self::link(&config) });
        let mut state = link.watch();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&link).run(TaskTracker::new(), shutdown.clone()));
        drop(timeout(PATIENCE, listener.accept()).await.unwrap().unwrap());
        let stopped = state.wait_for(|state| state.problem.as_ref().is_some_and(|p| &*p.reason != "not connected yet"));
        drop(timeout(PATIENCE, stopped).await.unwrap().unwrap());
        let asked = Instant::now();
        shutdown.cancel();
        timeout(PATIENCE, running).await.expect("not the pause before the next dial").unwrap();
        assert!(asked.elapsed() < PATIENCE);
    }

    fn link(config: &Config) -> Link {
        Link::new(config, Purpose::Commands).unwrap()
    }

    #[test]
    fn an_error_of_the_driver_reads_like_a_sentence() {
        let refused = r#"Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }"#;
        assert_eq!(plain(refused), "Connection refused");
        let tls = "Custom { kind: InvalidData, error: AlertReceived(UnknownCA) }";
        assert_eq!(plain(tls), "tls or protocol: AlertReceived(UnknownCA)");
        assert_eq!(plain("Connection closed."), "Connection closed.");
    }
}
