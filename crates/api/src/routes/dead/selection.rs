//! Which dead letters a request means: some by their ids, those that a filter describes, or all.

use serde::Deserialize;
use trackside_core::{TaskId, Timestamp, UserId};
use trackside_queue::{DeadCursor, DeadFilter};
use utoipa::ToSchema;

use super::read_cursor;
use crate::problem::Problem;

/// Letters that one call handles when the request does not say.
const DEFAULT_LIMIT: usize = 1_000;
/// Most letters that one call handles.
const MAX_LIMIT: usize = 10_000;

/// Which dead letters are meant: one of `task_ids`, `filter` and `all`; all when none is given.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadSelection, example = json!({"filter": {"kind": "mail.send", "reason": "quota"}, "limit": 500}))]
pub(super) struct Selection {
    #[schema(value_type = Option<Vec<String>>)]
    task_ids: Option<Vec<TaskId>>,
    filter: Option<Filter>,
    /// Every one.
    all: Option<bool>,
    /// Most letters that this call handles, with `filter` or `all`: up to 10000, 1000 when left out.
    limit: Option<usize>,
    /// `next_cursor` of the call before.
    cursor: Option<String>,
}

/// Letters for which everything that is said holds.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadFilter, example = json!({"kind": "mail.send", "reason": "quota"}))]
struct Filter {
    kind: Option<String>,
    #[schema(value_type = Option<String>)]
    user_id: Option<UserId>,
    tenant_id: Option<String>,
    tag: Option<String>,
    /// Text in the reason; small and capital letters are the same.
    reason: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    died_after: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    died_before: Option<Timestamp>,
}

/// A selection that was understood.
#[derive(Debug)]
pub(super) enum Meant {
    Ids(Vec<TaskId>),
    Filter { filter: DeadFilter, cursor: Option<DeadCursor>, limit: usize },
}

// === impl Selection ===

impl Selection {
    pub(super) fn meant(self) -> Result<Meant, Problem> {
        let said = [self.task_ids.is_some(), self.filter.is_some(), self.all.is_some()];
        if said.into_iter().filter(|is_said| *is_said).count() > 1 {
            return Err(Problem::invalid_field("all", "one of task_ids, filter and all"));
        }
        if self.all == Some(false) {
            return Err(Problem::invalid_field("all", "true, or left out"));
        }
        if let Some(ids) = self.task_ids {
            return Ok(Meant::Ids(ids));
        }
        let filter = self.filter.map(DeadFilter::from).unwrap_or_default();
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        Ok(Meant::Filter { filter, cursor: read_cursor(self.cursor.as_deref())?, limit })
    }
}

// === impl Filter ===

impl From<Filter> for DeadFilter {
    fn from(filter: Filter) -> Self {
        Self {
            kind: filter.kind,
            user_id: filter.user_id,
            tenant_id: filter.tenant_id,
            tag: filter.tag,
            reason: filter.reason,
            died_after: filter.died_after,
            died_before: filter.died_before,
        }
    }
}
