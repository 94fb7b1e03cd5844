//! Reservations: units that were taken before their true number is known, and places that are held meanwhile.

use std::{fmt, str::FromStr};

use data_encoding::BASE64URL_NOPAD;
use uuid::Uuid;

use crate::{Error, PolicyName, Subject};

/// What is settled later. As text it is a token for a client, in which nothing is secret; a token that was changed settles
/// nothing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # use std::{sync::Arc, time::Duration};
/// # use trackside_core::SystemClock;
/// # use trackside_ratelimit::*;
/// # let store = Arc::new(MemoryRateLimitStore::new(Arc::new(SystemClock::default())));
/// # let policy = Policy::of([Limit::new(Dimension::User, Quota::new(100_000, Duration::from_secs(60)))]);
/// # let config = Config { policies: [("llm".parse().unwrap(), policy)].into(), ..Config::default() };
/// # let limiter = RateLimiter::new(store, config)?;
/// let alice = Subject::of(Dimension::User, "alice")?;
/// let (decision, reservation) = limiter.reserve(&"llm".parse()?, &alice, 4_000).await?;
/// assert!(decision.allowed);
/// let token = reservation.unwrap().to_string();
/// // Later, perhaps in another process: 3000 fewer were used.
/// assert!(limiter.settle(&token.parse()?, Settlement::Used(1_000)).await?);
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    pub(crate) id: ReservationId,
    pub(crate) policy: PolicyName,
    pub(crate) subject: Subject,
}

/// The id of a reservation.
///
/// ```
/// use trackside_ratelimit::ReservationId;
/// assert_ne!(ReservationId::generate(), ReservationId::generate());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReservationId(Uuid);

/// How a reservation ends.
///
/// ```
/// use trackside_ratelimit::Settlement;
/// assert_ne!(Settlement::Used(0), Settlement::Refund);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// So much was used: the difference is given back, or taken even when it is more than is left. The call itself still counts.
    Used(u64),
    /// Nothing has happened: everything is given back.
    Refund,
}

// === impl Reservation ===

impl Reservation {
    /// Its id.
    #[must_use]
    pub const fn id(&self) -> ReservationId {
        self.id
    }
}

impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = serde_json::to_vec(&(self.policy.as_str(), self.subject.values())).map_err(|_| fmt::Error)?;
        write!(f, "{}.{}", self.id, BASE64URL_NOPAD.encode(&body))
    }
}

impl FromStr for Reservation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || Error::InvalidInput { field: "reservation", reason: "not one that was handed out".to_owned() };
        let (id, body) = text.split_once('.').ok_or_else(bad)?;
        let body = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| bad())?;
        let (policy, values): (String, [Option<String>; 6]) = serde_json::from_slice(&body).map_err(|_| bad())?;
        Ok(Self {
            id: ReservationId(Uuid::parse_str(id).map_err(|_| bad())?),
            policy: policy.parse().map_err(|_| bad())?,
            subject: Subject::of_values(values).ok_or_else(bad)?,
        })
    }
}

// === impl ReservationId ===

impl ReservationId {
    /// A new one, which sorts by time.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    pub(crate) const fn as_u128(self) -> u128 {
        self.0.as_u128()
    }

    pub(crate) const fn from_u128(id: u128) -> Self {
        Self(Uuid::from_u128(id))
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_simple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dimension;

    #[test]
    fn a_token_is_read_back_and_other_texts_are_refused() {
        let reservation = Reservation {
            id: ReservationId::generate(),
            policy: "llm".parse().unwrap(),
            subject: Subject::of(Dimension::User, "Jürgen").unwrap().with(Dimension::Key, "secret").unwrap(),
        };
        let token = reservation.to_string();
        assert_eq!(token.parse::<Reservation>().unwrap(), reservation);
        let hostile = |json: &str| format!("{}.{}", reservation.id, BASE64URL_NOPAD.encode(json.as_bytes()));
        for bad in [
            String::new(),
            ".".to_owned(),
            token[1..].to_owned(),
            token[..token.len() - 2].to_owned(),
            hostile(r#"["{x}",[null,null,null,null,null,null]]"#),
            hostile(r#"["llm",["a}b",null,null,null,null,null]]"#),
            hostile(r#"["llm",["a"]]"#),
        ] {
            assert!(bad.parse::<Reservation>().is_err(), "{bad}");
        }
    }
}
