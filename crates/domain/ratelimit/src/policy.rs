//! Policies: what is limited, how, and what happens while the store is away.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use trackside_core::checked_text;

use crate::{Algorithm, Error};

/// The name of a policy: 1 to 64 letters, digits, `_`, `-` or `.`.
///
/// ```
/// use trackside_ratelimit::PolicyName;
/// assert!("free".parse::<PolicyName>().is_ok());
/// assert!("{free}".parse::<PolicyName>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(Arc<str>);

/// The name of a limit in its policy, by the same rule. Short ones are copied, so that decisions on many processors share nothing.
///
/// ```
/// use trackside_ratelimit::LimitName;
/// assert_eq!("tokens".parse::<LimitName>()?.as_str(), "tokens");
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitName(SmolStr);

/// Limits that are checked together: a call takes from all of them or from none.
///
/// ```
/// use std::time::Duration;
/// use trackside_ratelimit::{Dimension, Limit, Policy, Quota};
///
/// let minute = Duration::from_secs(60);
/// let policy = Policy::of([
///     Limit::new(Dimension::User, Quota::new(60, minute)),
///     Limit::new(Dimension::Project, Quota::new(600, minute)),
/// ]);
/// assert_eq!(policy.limits.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The limits; their names differ. A call is held against those whose dimension its subject has.
    pub limits: Vec<Limit>,
    /// Where each value of this dimension has counters of its own: with [`Dimension::Tenant`], a user that two tenants know by
    /// the same name is counted twice. It also decides where the counters live, which matters in a Cluster. None by default.
    pub within: Option<Dimension>,
    /// What happens while the store is away.
    pub outage: Outage,
    /// True lets a process take units of hot counters in advance, so that nearly all of their checks cost no round trip. Nothing is
    /// admitted beyond a limit by that; near the limit some calls may be denied for units that another process has taken and does not
    /// need, and of a window a tenth, a second at most, may be counted that much too early. False by default.
    pub leases: bool,
    /// True lets everything pass and only counts what would have been denied.
    pub is_shadow: bool,
}

/// One limit of a policy.
///
/// ```
/// use std::time::Duration;
/// use trackside_ratelimit::{Dimension, Limit, Quota, Unit};
///
/// let tokens = Limit::new(Dimension::User, Quota::new(100_000, Duration::from_secs(60))).named("tokens".parse()?);
/// assert_eq!((tokens.name.as_str(), tokens.unit), ("tokens", Unit::Cost));
/// # Ok::<(), trackside_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// Its name in the policy and in what clients are told; that of the dimension unless it is given another.
    pub name: LimitName,
    /// What has a counter of its own.
    pub dimension: Dimension,
    /// How much.
    pub quota: Quota,
    /// What is counted.
    pub unit: Unit,
}

/// So many in so long.
///
/// ```
/// use std::time::Duration;
/// use trackside_ratelimit::{Algorithm, Quota};
/// let log_in = Quota { algorithm: Algorithm::Exact, ..Quota::new(5, Duration::from_secs(300)) };
/// assert_eq!(log_in.limit, 5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many; 0 allows none.
    pub limit: u64,
    /// In how long, in whole milliseconds; of [`Algorithm::Concurrent`], how long a place is held without being renewed.
    pub window: Duration,
    /// How it is counted.
    pub algorithm: Algorithm,
    /// Of [`Algorithm::Smooth`]: how many at once after a quiet time. As many as the limit unless it says otherwise.
    pub burst: Option<u64>,
}

/// What has counters of its own.
///
/// ```
/// use trackside_ratelimit::Dimension;
/// assert_eq!("ip".parse(), Ok(Dimension::Ip));
/// assert_eq!(Dimension::Ip.as_str(), "ip");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(usize)]
pub enum Dimension {
    /// Who asks.
    User,
    /// For what.
    Project,
    /// On whose account.
    Tenant,
    /// From where; of an IPv6 address its first 64 bits.
    Ip,
    /// With which API key; only its digest is stored.
    Key,
    /// Which part of the service.
    Route,
}

/// What a limit counts.
///
/// ```
/// assert_eq!(trackside_ratelimit::Unit::default(), trackside_ratelimit::Unit::Cost);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// What the call says that it costs, such as tokens; 1 unless it says something.
    #[default]
    Cost,
    /// Calls, whatever they cost.
    Request,
}

/// What happens to checks while the store is away.
///
/// ```
/// assert_eq!(trackside_ratelimit::Outage::default(), trackside_ratelimit::Outage::Local);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outage {
    /// This process limits by itself: to its share, beginning with what remained of it.
    #[default]
    Local,
    /// Nobody passes: [`Error::Unavailable`], and never a denial that claims to know. For log-ins and whatever costs money.
    Closed,
    /// Everybody passes. For what must not stop.
    Open,
}

/// Limits of one policy.
const MAX_LIMITS: usize = 16;
/// The longest window.
const MAX_WINDOW: Duration = Duration::from_secs(31 * 86_400);
/// The most that a limit may be.
const MAX_LIMIT: u64 = 1_000_000_000;
/// The most of [`Algorithm::Exact`], which remembers each unit.
pub(crate) const MAX_EXACT: u64 = 4_096;

const RULE: &str = "1 to 64 letters, digits, '_', '-' or '.'";

checked_text!(PolicyName, "policy name", RULE, |text| is_name(text));
checked_text!(LimitName, "limit name", RULE, |text| is_name(text));

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

// === impl Policy ===

impl Policy {
    /// These limits, with the defaults for everything else.
    #[must_use]
    pub fn of(limits: impl IntoIterator<Item = Limit>) -> Self {
        Self {
            limits: limits.into_iter().collect(),
            within: None,
            outage: Outage::default(),
            leases: false,
            is_shadow: false,
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the name of the limit and what is wrong with it.
    pub fn check(&self) -> Result<(), Error> {
        let bad = |field: &'static str, reason: String| Err(Error::InvalidInput { field, reason });
        if self.limits.is_empty() || self.limits.len() > MAX_LIMITS {
            return bad("limits", format!("from 1 to {MAX_LIMITS} of them"));
        }
        for (index, limit) in self.limits.iter().enumerate() {
            let name = &limit.name;
            if self.limits[..index].iter().any(|other| other.name == *name) {
                return bad("limits", format!("two are called {name}"));
            }
            limit.quota.check(limit.quota.limit).or_else(|error| match error {
                Error::InvalidInput { field, reason } => bad(field, format!("of {name}: {reason}")),
                error => Err(error),
            })?;
        }
        let fast = self.limits.iter().filter(|limit| limit.quota.algorithm == Algorithm::Fast).count();
        if fast > 0 && fast < self.limits.len() {
            return bad("algorithm", "`fast` cannot be checked together with others".to_owned());
        }
        Ok(())
    }
}

// === impl Limit ===

impl Limit {
    /// A limit that is called as its dimension and counts what calls cost.
    #[must_use]
    pub fn new(dimension: Dimension, quota: Quota) -> Self {
        Self { name: LimitName(SmolStr::new_static(dimension.as_str())), dimension, quota, unit: Unit::default() }
    }

    /// The same limit by another name.
    #[must_use]
    pub fn named(self, name: LimitName) -> Self {
        Self { name, ..self }
    }

    /// What a call of this cost takes from it.
    pub(crate) const fn units(&self, cost: u64) -> u64 {
        match (self.quota.algorithm, self.unit) {
            (Algorithm::Concurrent, _) | (_, Unit::Request) => 1,
            (_, Unit::Cost) => cost,
        }
    }
}

// === impl Quota ===

impl Quota {
    /// So many in so long, counted by the default algorithm.
    #[must_use]
    pub const fn new(limit: u64, window: Duration) -> Self {
        Self { limit, window, algorithm: Algorithm::Window, burst: None }
    }

    /// Whether it could be obeyed with this limit.
    pub(crate) fn check(&self, limit: u64) -> Result<(), Error> {
        let bad = |field: &'static str, reason: String| Err(Error::InvalidInput { field, reason });
        if self.window < Duration::from_millis(8) || self.window > MAX_WINDOW {
            return bad("window", "from 8 milliseconds to 31 days".to_owned());
        }
        if !self.window.subsec_nanos().is_multiple_of(1_000_000) {
            return bad("window", "in whole milliseconds".to_owned());
        }
        let most = match self.algorithm {
            Algorithm::Exact | Algorithm::Concurrent => MAX_EXACT,
            _ => MAX_LIMIT,
        };
        if limit > most {
            return bad("limit", format!("{most} at most with `{}`", self.algorithm.as_str()));
        }
        if self.burst.is_some_and(|burst| burst == 0 || burst > MAX_LIMIT || self.algorithm != Algorithm::Smooth) {
            return bad("burst", "1 at least, and only with `smooth`".to_owned());
        }
        Ok(())
    }

    /// The window in milliseconds.
    pub(crate) fn window_ms(&self) -> u64 {
        u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)
    }

    /// How many at once.
    pub(crate) fn burst(&self) -> u64 {
        self.burst.unwrap_or(self.limit)
    }
}

// === impl Dimension ===

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 6] = [Self::User, Self::Project, Self::Tenant, Self::Ip, Self::Key, Self::Route];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Tenant => "tenant",
            Self::Ip => "ip",
            Self::Key => "key",
            Self::Route => "route",
        }
    }
}

impl std::str::FromStr for Dimension {
    type Err = trackside_core::InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|dimension| dimension.as_str() == text)
            .ok_or(trackside_core::InvalidName { what: "dimension", rule: "user, project, tenant, ip, key or route" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(limit: Limit) -> &'static str {
        match Policy::of([limit]).check() {
            Err(Error::InvalidInput { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused_by_its_field() {
        let minute = Duration::from_secs(60);
        let with = |quota| Limit::new(Dimension::User, quota);
        assert_eq!(refused(with(Quota::new(1, Duration::ZERO))), "window");
        assert_eq!(refused(with(Quota::new(1, Duration::from_micros(8_500)))), "window");
        assert_eq!(refused(with(Quota::new(MAX_LIMIT + 1, minute))), "limit");
        assert_eq!(refused(with(Quota { algorithm: Algorithm::Exact, ..Quota::new(5_000, minute) })), "limit");
        assert_eq!(refused(with(Quota { burst: Some(2), ..Quota::new(1, minute) })), "burst");
        assert!(Policy::of([]).check().is_err());
        let twice = Policy::of([with(Quota::new(1, minute)), with(Quota::new(2, minute))]);
        assert!(twice.check().unwrap_err().to_string().contains("two are called user"));
    }

    #[test]
    fn what_is_counted_without_a_script_is_not_mixed_with_what_needs_one() {
        let quota = Quota::new(1, Duration::from_secs(1));
        let fast = Limit::new(Dimension::Ip, Quota { algorithm: Algorithm::Fast, ..quota });
        assert!(Policy::of([fast.clone()]).check().is_ok());
        assert!(Policy::of([fast, Limit::new(Dimension::User, quota)]).check().is_err());
    }
}
