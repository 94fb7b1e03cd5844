//! A brake as JSON in `paused:<scope>` and in the index.

use serde::Deserialize;
use trackside_core::{Timestamp, UserId};

use crate::{BrakeScope, BrakeState};

/// What the scripts write; unknown members are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    since_ms: u64,
    pub(super) reason: Option<String>,
    pub(super) by: Option<String>,
    expires_ms: Option<u64>,
    pub(super) revision: u64,
}

/// What stands before a scope in the index.
const FIELD: &str = "b:";

// === impl Record ===

impl Record {
    /// `None` for anything that the scripts did not write.
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn into_state(self, scope: &BrakeScope) -> BrakeState {
        BrakeState {
            scope: scope.clone(),
            since: Timestamp::from_millis(self.since_ms),
            reason: self.reason,
            by: self.by,
            expires_at: self.expires_ms.map(Timestamp::from_millis),
            revision: self.revision,
        }
    }

    /// The field of a scope in the index.
    pub(super) fn field(scope: &BrakeScope) -> String {
        format!("{FIELD}{scope}")
    }

    /// The scope of a field in the index.
    pub(super) fn scope(field: &str) -> Option<BrakeScope> {
        field.strip_prefix(FIELD)?.parse::<UserId>().ok().map(BrakeScope::from)
    }
}
