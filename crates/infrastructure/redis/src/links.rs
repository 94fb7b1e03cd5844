//! The pool: a few connections, of which those in service take turns.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures::{StreamExt, stream::select_all};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Config, ConnectionState, Error, Operation,
    driver::settings::Purpose,
    link::{Link, LinkState, Problem},
    metrics::Metrics,
};

/// The connections for ordinary commands.
pub(crate) struct Links {
    links: Vec<Arc<Link>>,
    /// Whose turn it is.
    turn: AtomicUsize,
    state: watch::Sender<ConnectionState>,
}

// === impl Links ===

impl Links {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let links: Result<Vec<_>, Error> =
            (0..config.pool_size.get()).map(|_| Link::new(config, Purpose::Commands).map(Arc::new)).collect();
        let state = ConnectionState::Disconnected { reason: "not connected yet".into() };
        Ok(Self { links: links?, turn: AtomicUsize::new(0), state: watch::Sender::new(state) })
    }

    /// Starts dialling.
    pub(crate) fn start(self: &Arc<Self>, metrics: Arc<Metrics>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        tasks.spawn(Arc::clone(self).follow(metrics, shutdown.clone()));
        for link in &self.links {
            tasks.spawn(Arc::clone(link).run(tasks.clone(), shutdown.clone()));
        }
    }

    /// A connection that is in service, or at once why there is none.
    pub(crate) fn pick(&self, operation: impl FnOnce() -> Operation) -> Result<&Arc<Link>, Error> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.links.len();
        let link =
            (0..count).filter_map(|step| self.links.get((turn.wrapping_add(step)) % count)).find(|link| link.is_up());
        link.ok_or_else(|| match self.problem() {
            Problem { refusal: Some(reason), .. } => Error::Refused { operation: operation(), reason },
            Problem { reason, .. } => Error::unavailable(operation(), reason.as_ref()),
        })
    }

    pub(crate) fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.subscribe()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.links.iter().any(|link| link.is_up())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// How many are in service.
    pub(crate) fn up(&self) -> usize {
        self.links.iter().filter(|link| link.is_up()).count()
    }

    /// What keeps the first one out of service that is.
    fn problem(&self) -> Problem {
        let unknown = || Problem { reason: "not connected".into(), refusal: None };
        self.links.iter().find_map(|link| link.problem()).unwrap_or_else(unknown)
    }

    /// Turns the links' states into one, and tells its changes once each.
    async fn follow(self: Arc<Self>, metrics: Arc<Metrics>, shutdown: CancellationToken) {
        let watches = self.links.iter().map(|link| states(link.watch()).boxed());
        let mut changes = select_all(watches);
        let mut epochs = 0;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                change = changes.next() => if change.is_none() { break },
            }
            let now: u64 = self.links.iter().map(|link| link.watch().borrow().epoch).sum();
            metrics.connected(now.saturating_sub(epochs));
            epochs = now;
            let connected = self.is_connected();
            let reason = self.problem().reason;
            self.state.send_if_modified(|state| {
                if state.is_connected() == connected {
                    // A new reason for the same outage is worth knowing, not worth a line in the log.
                    if let ConnectionState::Disconnected { reason: known } = state
                        && *known != reason
                    {
                        *known = reason;
                        return true;
                    }
                    return false;
                }
                if connected {
                    tracing::info!("redis is connected");
                    *state = ConnectionState::Connected;
                } else {
                    tracing::warn!(reason = %reason, "redis is disconnected; calls are refused until it is back");
                    *state = ConnectionState::Disconnected { reason };
                }
                true
            });
        }
        self.state.send_replace(ConnectionState::Disconnected { reason: "shut down".into() });
    }
}

/// Each state of a link, the present one first.
fn states(watch: watch::Receiver<LinkState>) -> impl futures::Stream<Item = ()> {
    futures::stream::unfold((watch, true), |(mut watch, first)| async move {
        if !first {
            watch.changed().await.ok()?;
        }
        watch.mark_unchanged();
        Some(((), (watch, false)))
    })
}
