//! The port: what a rate limit store does, and the laws that every store obeys.

use std::{fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{Error, LimitName, PolicyName, Quota, ReservationId, Settlement, Source, Unit};

/// Where units are counted.
///
/// # Laws
/// Each law is a function in the `conformance` module and is run against every store.
///
/// - **R-L1 all or nothing** — a call takes from every counter that it names, or from none.
/// - **R-L2 limit** — no counter admits more than the bound of its [`Algorithm`](crate::Algorithm), however many ask at once.
/// - **R-L3 peek** — a peek answers what the call would be answered, and changes nothing.
/// - **R-L4 retry** — a denied call has no room before the time that it is told, and has it from then on if nobody takes it; a call
///   for more than a counter ever holds is told none.
/// - **R-L5 alone** — counters of other names, values, policies or groups are not touched.
/// - **R-L6 one settlement** — a reservation is settled once, by the difference between what was taken and what was used; a
///   repetition changes nothing, and neither does the settlement of what is unknown or belongs to other counters.
/// - **R-L7 places** — at most as many hold a place as there are; whoever does not renew in time has lost it, and a lost one cannot be
///   renewed.
/// - **R-L8 leases** — units that a call is granted beyond its own are taken from the counter like any others.
/// - **R-L9 shadow** — a counter in the shadow denies nothing, and takes nothing that it has no room for.
/// - **R-L10 overrides** — overrides are answered to whoever does not know their latest version.
/// - **R-L11 repeatable** — a call whose answer was lost may be repeated. A reservation takes once; of other calls the repetition is
///   counted as well, so that it errs towards denying.
///
/// A timeout means that the outcome is unknown.
#[async_trait]
pub trait RateLimitStore: Send + Sync + Debug + 'static {
    /// Checks all counters and takes from all, or from none (R-L1 to R-L5, R-L7 to R-L9, R-L11). One round trip, two for a denial by
    /// [`Algorithm::Fast`](crate::Algorithm::Fast).
    async fn take(&self, ask: &Ask) -> Result<Answer, Error>;

    /// Ends a reservation; answers whether this call did (R-L6). The counters are those it was made with. One round trip.
    async fn settle(&self, ask: &Ask, id: ReservationId, settlement: Settlement) -> Result<bool, Error>;

    /// Holds the places of a reservation for longer; false when one is lost, or the reservation is (R-L7). One round trip.
    async fn renew(&self, ask: &Ask, id: ReservationId) -> Result<bool, Error>;

    /// Tells that a process is there for a while yet, and learns what all know (R-L10). One round trip.
    async fn sync(&self, process: &str, present_for: Duration, known: u64) -> Result<Shared, Error>;

    /// Gives one subject a limit of its own, or takes it away; repeating it does no harm (R-L10). One round trip.
    async fn put_override(&self, target: &Target, limit: Option<u64>) -> Result<(), Error>;

    /// What its decisions are called.
    fn source(&self) -> Source;
}

/// Counters that are checked together.
///
/// ```
/// use std::time::Duration;
/// use trackside_ratelimit::{Ask, Counter, Group, Mode, Quota, Unit};
/// let counter = Counter {
///     limit: "user".parse()?,
///     value: "alice".into(),
///     quota: Quota::new(60, Duration::from_secs(60)),
///     unit: Unit::Cost,
///     units: 1,
///     wish: 0,
///     is_shadow: false,
/// };
/// let ask = Ask { group: Group { policy: "free".parse()?, within: None }, counters: vec![counter], mode: Mode::Take };
/// assert_eq!(ask.counters[0].quota.limit, 60);
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Where they are.
    pub group: Group,
    /// The counters; their limits' names differ. 16 at most.
    pub counters: Vec<Counter>,
    /// What is done with them.
    pub mode: Mode,
}

/// Counters that can be checked together live in one group: in a Cluster, in one slot.
///
/// ```
/// use trackside_ratelimit::Group;
/// let group = Group { policy: "free".parse()?, within: Some("acme".into()) };
/// assert_eq!(group.to_string(), "free:acme");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Group {
    /// The policy.
    pub policy: PolicyName,
    /// The value that the policy counts [within](crate::Policy::within).
    pub within: Option<String>,
}

/// One counter, and what is asked of it.
///
/// See [`Ask`] for an example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The limit that it belongs to.
    pub limit: LimitName,
    /// Whose it is.
    pub value: String,
    /// How much, for this one.
    pub quota: Quota,
    /// What a settlement changes.
    pub unit: Unit,
    /// How much is taken.
    pub units: u64,
    /// How much more is taken when there is room, to be handed out by the caller.
    pub wish: u64,
    /// True when it denies nothing.
    pub is_shadow: bool,
}

/// What is done with counters.
///
/// ```
/// use trackside_ratelimit::Mode;
/// assert_ne!(Mode::Take, Mode::Peek);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Taken from.
    Take,
    /// Only looked at.
    Peek,
    /// Taken from, to be settled later; a repetition takes nothing.
    Reserve {
        /// The reservation.
        id: ReservationId,
        /// How long a settlement is waited for.
        kept: Duration,
    },
}

/// What became of [`RateLimitStore::take`].
///
/// ```
/// use trackside_ratelimit::Answer;
/// assert!(Answer { allowed: true, counters: vec![] }.allowed);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether all counters had room, but for those in the shadow.
    pub allowed: bool,
    /// Each, in the order in which they were asked.
    pub counters: Vec<CounterState>,
}

/// How one counter stands afterwards.
///
/// ```
/// use std::time::Duration;
/// use trackside_ratelimit::{CounterState, Verdict};
/// let state = CounterState { verdict: Verdict::Room, remaining: 59, reset: Duration::from_secs(60), granted: 0 };
/// assert_eq!(state.verdict, Verdict::Room);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterState {
    /// Whether it had room.
    pub verdict: Verdict,
    /// How much is left.
    pub remaining: u64,
    /// When all is there again, if nobody takes more.
    pub reset: Duration,
    /// How much of the wish was taken.
    pub granted: u64,
}

/// Whether a counter has room for a call.
///
/// ```
/// use trackside_ratelimit::Verdict;
/// assert_ne!(Verdict::Room, Verdict::Never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has.
    Room,
    /// It will have, after this time, if nobody else takes it.
    After(Duration),
    /// It never holds so much.
    Never,
}

/// What all processes know.
///
/// ```
/// use trackside_ratelimit::Shared;
/// assert_eq!(Shared { processes: 1, overrides: None }.processes, 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// How many processes are there.
    pub processes: u32,
    /// The overrides and their version, when the caller does not know it.
    pub overrides: Option<(u64, Vec<(Target, u64)>)>,
}

/// Whose limit an override changes.
///
/// ```
/// use trackside_ratelimit::Target;
/// let target = Target { policy: "free".parse()?, limit: "user".parse()?, value: "alice".into() };
/// assert_eq!(target.value, "alice");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The policy.
    pub policy: PolicyName,
    /// The limit in it.
    pub limit: LimitName,
    /// The subject's value, as it is counted.
    pub value: String,
}

/// Overrides that there may be; whoever needs more needs another policy.
pub const MAX_OVERRIDES: usize = 1_024;

// === impl Group ===

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.within {
            Some(value) => write!(f, "{}:{value}", self.policy),
            None => write!(f, "{}", self.policy),
        }
    }
}
