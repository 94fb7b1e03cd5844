//! Waiting for something to become true, without sleeping a guessed time.

use std::{fmt::Debug, panic::Location, time::Duration};

use tokio::time::{Instant, sleep};

/// The pause between two looks.
const POLL: Duration = Duration::from_millis(10);

/// What a look at the world can answer: `bool`, `Option` or `Result`.
pub trait Verdict {
    /// What [`eventually`] hands back once it holds.
    type Value;

    /// The value, or why it does not hold yet.
    fn verdict(self) -> Result<Self::Value, String>;
}

/// Calls `check` until it answers `true`, `Some` or `Ok`, and hands back what was inside.
///
/// # Panics
/// When it does not hold `within` that time; the message names the caller's line and the last answer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::{cell::Cell, time::Duration};
/// let looks = Cell::new(0);
/// trackside_testkit::eventually(|| async { looks.replace(looks.get() + 1) == 3 }, Duration::from_secs(1)).await;
/// assert_eq!(looks.get(), 4);
/// # });
/// ```
#[track_caller]
pub fn eventually<F, Fut>(mut check: F, within: Duration) -> impl Future<Output = <Fut::Output as Verdict>::Value>
where
    F: FnMut() -> Fut,
    Fut: Future,
    Fut::Output: Verdict,
{
    let caller = Location::caller();
    async move {
        let deadline = Instant::now() + within;
        loop {
            match check().await.verdict() {
                Ok(value) => return value,
                Err(last) if Instant::now() >= deadline => panic!("{caller}: not within {within:?}: {last}"),
                Err(_) => sleep(POLL).await,
            }
        }
    }
}

// === impl Verdict ===

impl Verdict for bool {
    type Value = ();

    fn verdict(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("still false".to_owned()) }
    }
}

impl<T> Verdict for Option<T> {
    type Value = T;

    fn verdict(self) -> Result<T, String> {
        self.ok_or_else(|| "still nothing".to_owned())
    }
}

impl<T, E: Debug> Verdict for Result<T, E> {
    type Value = T;

    fn verdict(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}
