//! The wait for work: one loop per signal, process and queue, whatever the number of callers.
//!
//! Two signals tell of work. `BLPOP` of the wake-up list answers when one of our scripts made something ready.
//! `BLMOVE` of the list of normal priority onto its own end, which moves nothing, answers when that list is not empty:
//! that is how the push of a plain client is heard. A loop blocks only while somebody waits, and outlives a caller that
//! gives up, so that a wake-up which arrives then is kept for the next one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use trackside_redis::{BlockingConnection, Command, RedisService, Reply};
use trackside_resilience::{Backoff, BackoffConfig, Jitter};

use super::keys::QueueKeys;
use crate::Error;

/// The pauses after a failed wait: it fails when Redis is away.
const RETRY: BackoffConfig = BackoffConfig {
    initial: Duration::from_millis(50),
    factor: 2.0,
    max: Duration::from_secs(1),
    jitter: Jitter::Equal,
};

/// What callers and loops share.
#[derive(Debug)]
pub(super) struct Bell {
    /// How often it rang.
    rings: watch::Sender<u64>,
    /// The ring that somebody has come back with; a later one was heard by nobody yet.
    heard: AtomicU64,
    /// How many callers wait.
    waiting: watch::Sender<Callers>,
    paused: AtomicBool,
    started: AtomicBool,
}

/// How many callers wait for which signals.
#[derive(Debug, Clone, Copy, Default)]
struct Callers {
    /// For both.
    any: usize,
    /// For the push of a plain client only: they wait for tokens by themselves.
    pushes: usize,
}

/// A caller that waits; counts itself out when dropped.
struct Waiting<'a> {
    bell: &'a Bell,
    only: Option<Signal>,
}

/// One signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Token,
    PlainPush,
}

// === impl Bell ===

impl Bell {
    pub(super) fn new() -> Self {
        Self {
            rings: watch::Sender::new(0),
            heard: AtomicU64::new(0),
            waiting: watch::Sender::default(),
            paused: AtomicBool::new(false),
            started: AtomicBool::new(false),
        }
    }

    /// A queue that is paused, or at its limits, may be full: watching its list would ring without end.
    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Starts the loops, the first time.
    pub(super) fn start(
        self: &Arc<Self>,
        redis: &RedisService,
        keys: &Arc<QueueKeys>,
        idle_wait: Duration,
        tasks: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        if self.started.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        for signal in [Signal::Token, Signal::PlainPush] {
            let connection = redis.blocking(signal.name()).map_err(|error| {
                self.started.store(false, Ordering::SeqCst);
                super::call::failed(signal.name(), error)
            })?;
            let listening = Arc::clone(self).listen(signal, connection, Arc::clone(keys), idle_wait);
            tasks.spawn(shutdown.clone().run_until_cancelled_owned(listening));
        }
        Ok(())
    }

    /// Returns when it rings, at once when it rang and nobody heard, or after `timeout`.
    pub(super) async fn wait(&self, timeout: Duration) {
        let mut rings = self.rings.subscribe();
        let last = *rings.borrow_and_update();
        if self.heard.swap(last, Ordering::SeqCst) == last {
            let _waiting = Waiting::new(self, None);
            // Both outcomes mean the same: look again.
            let _either = tokio::time::timeout(timeout, rings.changed()).await;
            self.heard.store(*rings.borrow(), Ordering::SeqCst);
        }
    }

    /// Returns when a plain client pushed something.
    pub(super) async fn wait_for_push(&self) {
        let mut rings = self.rings.subscribe();
        rings.mark_unchanged();
        let _waiting = Waiting::new(self, Some(Signal::PlainPush));
        // The sender is in `self`: it outlives the wait.
        let _rang = rings.changed().await;
    }

    fn ring(&self) {
        self.rings.send_modify(|rings| *rings += 1);
    }

    async fn listen(
        self: Arc<Self>,
        signal: Signal,
        connection: BlockingConnection,
        keys: Arc<QueueKeys>,
        idle_wait: Duration,
    ) {
        let mut waiting = self.waiting.subscribe();
        let mut backoff = Backoff::new(RETRY);
        // The sender is in `self`: it outlives the loop.
        while waiting.wait_for(|callers| callers.of(signal) > 0).await.is_ok() {
            if signal == Signal::PlainPush && self.paused.load(Ordering::Relaxed) {
                // Resuming brings a token, and so does whatever frees a limited queue before its time.
                tokio::time::sleep(idle_wait).await;
                continue;
            }
            match connection.execute(signal.name(), signal.command(&keys, idle_wait), idle_wait).await {
                Ok(Reply::Nil) => backoff.reset(),
                Ok(_) => {
                    backoff.reset();
                    self.ring();
                    // Those who wait leave before the next look, or the list would ring again for the same work.
                    let rung = waiting.borrow_and_update().of(signal);
                    let gone = waiting.wait_for(|callers| callers.of(signal) < rung || rung == 0);
                    let _either = tokio::time::timeout(RETRY.initial, gone).await;
                }
                Err(error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the wait for work was interrupted");
                    tokio::time::sleep(backoff.next_delay()).await;
                    // Whoever waits finds out by a step whether Redis is back.
                    self.ring();
                }
            }
        }
    }
}

// === impl Callers ===

impl Callers {
    const fn of(self, signal: Signal) -> usize {
        match signal {
            Signal::Token => self.any,
            Signal::PlainPush => self.any + self.pushes,
        }
    }

    const fn count(&mut self, only: Option<Signal>) -> &mut usize {
        match only {
            None | Some(Signal::Token) => &mut self.any,
            Some(Signal::PlainPush) => &mut self.pushes,
        }
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn new(bell: &'a Bell, only: Option<Signal>) -> Self {
        bell.waiting.send_modify(|callers| *callers.count(only) += 1);
        Self { bell, only }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.bell.waiting.send_modify(|callers| *callers.count(self.only) -= 1);
    }
}

// === impl Signal ===

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Token => "queue.wait_token",
            Self::PlainPush => "queue.wait_push",
        }
    }

    fn command(self, keys: &QueueKeys, block_for: Duration) -> Command {
        let seconds = block_for.as_secs_f64();
        match self {
            Self::Token => Command::new("BLPOP").key(keys.wake()).arg(seconds),
            Self::PlainPush => {
                Command::new("BLMOVE").key(keys.normal()).key(keys.normal()).arg("RIGHT").arg("RIGHT").arg(seconds)
            }
        }
    }
}
