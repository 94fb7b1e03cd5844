//! What goes on in the background: hearing of changes, making sure that they are heard, catching up after an outage,
//! sweeping, and watching what the namespaces do.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{CacheManager, Inner, outage::Change};
use crate::{CacheSignal, Condition, EntryKey, Error, Tag, Writer, Written, metrics};

/// How long remembered changes are tried to be written at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

// === impl CacheManager ===

impl CacheManager {
    /// Keeps this process in step with the others until `shutdown`, then waits for loaders that are under way.
    pub async fn run(&self, shutdown: CancellationToken) {
        let inner = &self.inner;
        metrics::observe(inner);
        let work = async {
            tokio::join!(
                inner.hear(),
                inner.send_marks(),
                inner.catch_up_forever(),
                inner.sweep_forever(),
                inner.watch_forever(),
            );
        };
        tokio::select! {
            () = work => {}
            () = shutdown.cancelled() => {}
        }
        // Nothing is heard any more: copies are served only within their bounds.
        inner.coherence.gap();
        if inner.outage.is_any()
            && let Ok(Err(error)) = timeout(LAST_WORDS, Box::pin(inner.catch_up())).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "remembered changes of the cache are lost");
        }
        inner.tasks.close();
        inner.tasks.wait().await;
        inner.tasks.reopen();
    }
}

// === impl Inner ===

impl Inner {
    async fn hear(&self) {
        let mut feed = self.store.listen();
        // What was said before was not heard.
        self.coherence.gap();
        loop {
            match feed.next().await {
                CacheSignal::Changed { namespace, key, version } => match self.space(&namespace) {
                    Some(space) => self.changed(&space, &key, version),
                    None => self.coherence.heard_of(&namespace, &key, version),
                },
                CacheSignal::Released { namespace, key } => self.coherence.wake(&namespace, &key),
                CacheSignal::Tag { tag, version } => self.coherence.tag_heard(&tag, version),
                CacheSignal::Mark(mark) => self.coherence.mark_heard(mark),
                CacheSignal::Gap => {
                    tracing::debug!("changes of the cache may have been missed: every copy is read again");
                    metrics::METRICS.gaps.add(1, &[]);
                    self.coherence.gap();
                    self.send_mark().await;
                }
                // What is here is served as far as it may be; the gap that follows ends that.
                CacheSignal::Lost => {}
            }
        }
    }

    async fn send_marks(&self) {
        let mut tick = interval(self.config.mark_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.send_mark().await;
        }
    }

    async fn send_mark(&self) {
        if let Err(error) = self.store.mark(self.coherence.new_mark()).await {
            tracing::trace!(error = &error as &dyn std::error::Error, "a mark was not sent");
        }
    }

    async fn catch_up_forever(&self) {
        let mut tick = interval(self.config.retry);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if self.outage.is_any() {
                match Box::pin(self.catch_up()).await {
                    Ok(()) => tracing::info!("changes of the cache that were remembered are written"),
                    Err(error) if error.is_of_the_store() => {}
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a remembered change is not written");
                    }
                }
            }
        }
    }

    /// Writes what was remembered: first what invalidates, then what is new.
    async fn catch_up(&self) -> Result<(), Error> {
        let all = self.outage.all();
        for tag in all.tags {
            let version = self.store.invalidate_tag(&tag).await?;
            self.coherence.tag_heard(&tag, version);
            self.outage.tag_written(&tag);
        }
        for namespace in all.overflown {
            let tag = Tag::of_namespace(&namespace);
            let version = self.store.invalidate_tag(&tag).await?;
            self.coherence.tag_heard(&tag, version);
            self.outage.namespace_written(&namespace);
        }
        for (key, change) in all.changes {
            match Box::pin(self.write_remembered(&key, &change)).await {
                Err(error) if error.is_of_the_store() => return Err(error),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a remembered change is given up");
                }
                Ok(()) => {}
            }
            self.outage.written(&key, change.writer);
        }
        Ok(())
    }

    async fn write_remembered(&self, key: &EntryKey, change: &Change) -> Result<(), Error> {
        let Some(space) = self.space(&key.namespace) else { return Ok(()) };
        if let Some((mut entry, tags)) = change.entry_left() {
            entry.stamp = self.stamp(&space, tags, Duration::ZERO).await?.0;
            let ticket = self.coherence.ticket(key);
            let written = self.store.put(key, &entry, Condition::AtMost(change.base), change.writer).await?;
            if matches!(written, Written::Done { .. }) {
                self.wrote(&space, key, Some(entry), &written, ticket);
                return Ok(());
            }
        }
        // It was a deletion, or nobody can tell what is newer: a miss is never wrong.
        let ticket = self.coherence.ticket(key);
        let written = self.store.delete(key, Condition::Always, Writer::random()).await?;
        self.wrote(&space, key, None, &written, ticket);
        Ok(())
    }

    async fn sweep_forever(self: &Arc<Self>) {
        let mut tick = interval(self.config.sweep_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first one comes at once, and a process that just starts has better things to do.
        tick.tick().await;
        loop {
            tick.tick().await;
            if let Err(error) = self.sweep().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a sweep of the cache ended early");
            }
        }
    }
}
