//! What a client is told of its limits, by draft-ietf-httpapi-ratelimit-headers-10.

use std::{fmt::Write as _, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header::RETRY_AFTER};

use crate::{Algorithm, Decision, LimitState};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEGACY: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// Which fields a response gets.
///
/// ```
/// use trackside_ratelimit::Fields;
/// assert_eq!(Fields::default(), Fields::Standard);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fields {
    /// `RateLimit-Policy` and `RateLimit`, and with a denial `Retry-After`.
    #[default]
    Standard,
    /// The same, and `X-RateLimit-Limit`, `-Remaining` and `-Reset` (in seconds from now) of the tightest limit.
    WithLegacy,
}

// === impl Fields ===

impl Fields {
    /// Writes the fields of a decision.
    pub fn write(self, decision: &Decision, headers: &mut HeaderMap) {
        let mut policy = String::new();
        for state in decision.limits() {
            let comma = if policy.is_empty() { "" } else { ", " };
            // Nothing fails that is written to a text.
            let _ = match state.algorithm {
                Algorithm::Concurrent => {
                    write!(policy, "{comma}\"{}\";q={};qu=\"concurrent-requests\"", state.name, state.limit)
                }
                _ => write!(policy, "{comma}\"{}\";q={};w={}", state.name, state.limit, seconds(state.window)),
            };
        }
        set(headers, RATE_LIMIT_POLICY, &policy);
        let Some(tightest) = decision.limits().min_by(|a, b| share(a).total_cmp(&share(b))) else { return };
        let reset = decision.retry_after.filter(|_| tightest.is_exceeded).unwrap_or(tightest.reset);
        let (remaining, reset) = (tightest.remaining, if reset.is_zero() { 0 } else { seconds(reset) });
        set(headers, RATE_LIMIT, &format!("\"{}\";r={remaining};t={reset}", tightest.name));
        if let Some(wait) = decision.retry_after {
            set(headers, RETRY_AFTER, &seconds(wait).to_string());
        }
        if self == Self::WithLegacy {
            for (name, value) in LEGACY.into_iter().zip([tightest.limit, remaining, reset]) {
                set(headers, name, &value.to_string());
            }
        }
    }
}

/// How much of a limit is left; less than nothing of one that had no room.
#[expect(clippy::cast_precision_loss, reason = "to compare them")]
fn share(state: &LimitState) -> f64 {
    if state.is_exceeded { -1.0 } else { state.remaining as f64 / state.limit.max(1) as f64 }
}

/// Whole seconds, never too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
