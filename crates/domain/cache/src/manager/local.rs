//! The tier in the process: copies of entries, each with what is known of its age.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::Stamp;

/// What a copy costs besides its key and value.
const COPY_BYTES: u64 = 200;
/// The size of a usual copy, by which the table is made.
const USUAL_BYTES: u64 = 1_024;

/// Nanoseconds since the manager was made.
pub(crate) type Nanos = u64;

/// Where the manager reads the time. A hit reads it, so on Linux it is the coarse clock, a fifth of the price: true to the
/// tick of the kernel, a few milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(Duration);

/// A copy of an entry. The store's entry may have changed since; whether it has is for `coherence` to say.
pub(crate) struct Copy {
    pub(crate) value: Option<Bytes>,
    pub(crate) content_type: Option<Arc<str>>,
    /// 0 when the store does not know of it.
    pub(crate) version: u64,
    pub(crate) stamp: Stamp,
    /// What was heard before this epoch says nothing of this copy.
    pub(crate) epoch: u64,
    /// It is what the store had then.
    pub(crate) current_at: Nanos,
    /// From then on it is loaded anew in the background when it is read.
    pub(crate) eager_at: Nanos,
    pub(crate) fresh_until: Nanos,
    pub(crate) stale_until: Nanos,
    /// The change of tags up to which its tags were compared.
    pub(crate) tags_seen: AtomicU64,
    /// Nobody tries to load it before; also set while somebody does.
    pub(crate) retry_at: AtomicU64,
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// What a new copy is made of.
#[derive(Debug)]
pub(crate) struct NewCopy {
    pub(crate) value: Option<Bytes>,
    pub(crate) content_type: Option<Arc<str>>,
    pub(crate) version: u64,
    pub(crate) stamp: Stamp,
    pub(crate) epoch: u64,
    pub(crate) current_at: Nanos,
    pub(crate) fresh_for: Duration,
    pub(crate) kept_for: Duration,
    /// The part of the time that is left after which it is loaded anew.
    pub(crate) eager: f64,
}

#[derive(Debug, Clone)]
struct BySize;

/// The copies of one namespace.
#[derive(Debug)]
pub(crate) struct Local(Cache<Arc<str>, Arc<Copy>, BySize>);

// === impl Time ===

impl Time {
    pub(crate) fn start() -> Self {
        Self(monotonic())
    }

    pub(crate) fn now(self) -> Nanos {
        nanos(monotonic().saturating_sub(self.0))
    }
}

#[cfg(target_os = "linux")]
fn monotonic() -> Duration {
    // The clock is always there; without it, nothing would be fresh for ever.
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE).map_or(Duration::MAX, Duration::from)
}

#[cfg(not(target_os = "linux"))]
fn monotonic() -> Duration {
    use std::{sync::LazyLock, time::Instant};
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

pub(crate) const fn nanos(time: Duration) -> Nanos {
    // Without the division and the width of `as_nanos`: this is part of a hit.
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos() as u64)
}

// === impl Copy ===

impl Copy {
    pub(crate) fn new(new: NewCopy) -> Self {
        let fresh_for = nanos(new.fresh_for);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a time"
        )]
        let eager_for = if new.eager >= 1.0 { u64::MAX } else { (fresh_for as f64 * new.eager.max(0.0)) as u64 };
        Self {
            value: new.value,
            content_type: new.content_type,
            version: new.version,
            stamp: new.stamp,
            epoch: new.epoch,
            current_at: new.current_at,
            eager_at: new.current_at.saturating_add(eager_for),
            fresh_until: new.current_at.saturating_add(fresh_for),
            stale_until: new.current_at.saturating_add(nanos(new.kept_for)),
            tags_seen: AtomicU64::new(0),
            retry_at: AtomicU64::new(0),
            decoded: OnceLock::new(),
        }
    }

    /// The value as it was decoded before, or as `decode` makes it; one copy is decoded once.
    pub(crate) fn decoded<T: Send + Sync + 'static, E>(
        &self,
        decode: impl FnOnce(&Bytes) -> Result<T, E>,
    ) -> Result<Option<Arc<T>>, E> {
        let Some(value) = &self.value else { return Ok(None) };
        if let Some(known) = self.decoded.get()
            && let Ok(known) = Arc::clone(known).downcast::<T>()
        {
            return Ok(Some(known));
        }
        let decoded = Arc::new(decode(value)?);
        // Somebody else may have been first, or decode it to another type: theirs stays, ours is as good.
        let _ = self.decoded.set(Arc::clone(&decoded) as Arc<dyn Any + Send + Sync>);
        Ok(Some(decoded))
    }

    /// Takes the turn to load it; false when somebody has it or loading failed a moment ago.
    pub(crate) fn take_turn(&self, now: Nanos, until: Nanos) -> bool {
        let free = |at| (at <= now).then_some(until);
        self.retry_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).is_ok()
    }
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.value.as_ref().map(Bytes::len);
        f.debug_struct("Copy").field("version", &self.version).field("bytes", &bytes).finish_non_exhaustive()
    }
}

// === impl BySize ===

impl Weighter<Arc<str>, Arc<Copy>> for BySize {
    fn weight(&self, key: &Arc<str>, copy: &Arc<Copy>) -> u64 {
        let value = copy.value.as_ref().map_or(0, Bytes::len);
        key.len() as u64 + value as u64 + COPY_BYTES
    }
}

// === impl Local ===

impl Local {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes as u64;
        let items = usize::try_from(bytes / USUAL_BYTES).unwrap_or(usize::MAX).clamp(16, 1 << 20);
        Self(Cache::with_weighter(items, bytes, BySize))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Arc<Copy>> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: &Arc<str>, copy: Arc<Copy>) {
        self.0.insert(Arc::clone(key), copy);
    }

    /// Removes the copy unless it is of a later version.
    pub(crate) fn remove_up_to(&self, key: &str, version: u64) {
        self.0.remove_if(key, |copy| copy.version <= version);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.0.remove(key);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.weight()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
