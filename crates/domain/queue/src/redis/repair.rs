//! The repair on Redis: a walk over the records, then one over each index.
//!
//! Whether a task is in a ready list only a walk over the lists can tell. They are walked from the tail, where new
//! tasks come in: an element that stays in its list meanwhile moves towards the head only, so that none is passed
//! over. A walk costs as much as the lists are long, so a call looks at many records first. Between two commands
//! everything may change; each change of the repair's own looks again, in the script that makes it.

use std::collections::BTreeMap;

use bytes::Bytes;
use trackside_core::TaskId;
use trackside_redis::{Command, Reply};

use super::{
    Inner, Line,
    call::failed,
    scripts::{GHOSTS, RESTORE, SCAN, SCRIPT_TASKS},
    views,
};
use crate::{Error, RepairCursor, RepairPage};

/// Records or entries that one call looks at, about.
const PAGE: u64 = 4_096;

/// Elements of a ready list that are read at once.
const STRETCH: usize = 512;

/// The parts of a repair after the first, which is the records: the names that `ghosts.lua` knows.
const INDEXES: [&str; 7] = ["delayed", "parked", "lease", "own", "dead", "waiting", "tenants"];

/// Tasks that may have no place: each id with the digest of its record. In the order in which they were made.
type Candidates = BTreeMap<Bytes, Bytes>;

/// What one script of the walk answers.
struct Looked {
    next: u64,
    looked_at: u64,
    /// What the script says beyond that.
    found: Reply,
}

// === impl Inner ===

impl Inner {
    /// One call of the repair.
    pub(super) async fn repair(&self, line: &Line, cursor: RepairCursor) -> Result<RepairPage, Error> {
        let RepairCursor { part, position } = cursor;
        let (mut page, position) = match usize::from(part).checked_sub(1).map(|index| INDEXES.get(index)) {
            None => self.repair_records(line, position).await?,
            Some(Some(index)) => self.repair_index(line, index, position).await?,
            Some(None) => return Ok(RepairPage::default()),
        };
        page.next = match position {
            0 if usize::from(part) == INDEXES.len() => None,
            0 => Some(RepairCursor { part: part + 1, position: 0 }),
            position => Some(RepairCursor { part, position }),
        };
        if page.repaired > 0 {
            tracing::warn!(queue.name = %line.name, repaired = page.repaired, "a queue was repaired");
        }
        Ok(page)
    }

    /// Tasks without a place go to the tail of their level.
    async fn repair_records(&self, line: &Line, mut position: u64) -> Result<(RepairPage, u64), Error> {
        let (mut page, mut candidates) = (RepairPage::default(), Candidates::new());
        while page.looked_at < PAGE {
            let call = self.call(line).arg(position).arg(SCRIPT_TASKS);
            let looked = Looked::read(call.run(self, &SCAN).await?).map_err(|error| failed(SCAN.name(), error))?;
            page.looked_at += looked.looked_at;
            let missing = looked.found.into_pairs().map_err(|error| failed(SCAN.name(), error))?;
            for (id, digest) in missing {
                let id = id.into_bytes().map_err(|error| failed(SCAN.name(), error))?;
                let digest = digest.into_bytes().map_err(|error| failed(SCAN.name(), error))?;
                candidates.insert(id, digest);
            }
            position = looked.next;
            if position == 0 {
                break;
            }
        }
        // What somebody else wrote among the records is no task, and no worker could read it.
        candidates.retain(|id, _| std::str::from_utf8(id).is_ok_and(|id| TaskId::from_key(id).is_ok()));
        self.leave_out_queued(line, &mut candidates).await?;
        let lost: Vec<(Bytes, Bytes)> = candidates.into_iter().collect();
        for some in lost.chunks(SCRIPT_TASKS) {
            let call = some.iter().fold(self.call(line), |call, (id, digest)| call.arg(id).arg(digest));
            let restored = views::count(&call.run(self, &RESTORE).await?, &RESTORE)?;
            page.repaired += u64::try_from(restored).unwrap_or(u64::MAX);
        }
        Ok((page, position))
    }

    /// Walks the ready lists until every candidate was met, or to their ends.
    async fn leave_out_queued(&self, line: &Line, candidates: &mut Candidates) -> Result<(), Error> {
        for list in &line.keys.fixed()[..4] {
            let mut start = 0;
            while !candidates.is_empty() {
                let command = Command::new("LRANGE").key(list).arg(start).arg(start + STRETCH - 1);
                let elements = self.redis.execute("queue.repair", command).await.and_then(Reply::into_array);
                let elements = elements.map_err(|error| failed("queue.repair", error))?;
                let is_last = elements.len() < STRETCH;
                for element in elements {
                    candidates.remove(&element.into_bytes().map_err(|error| failed("queue.repair", error))?);
                }
                if is_last {
                    break;
                }
                start += STRETCH;
            }
        }
        Ok(())
    }

    /// Entries without a task are dropped.
    async fn repair_index(&self, line: &Line, index: &str, mut position: u64) -> Result<(RepairPage, u64), Error> {
        let mut page = RepairPage::default();
        while page.looked_at < PAGE {
            let call = self.call(line).arg(index).arg(position).arg(SCRIPT_TASKS);
            let looked = Looked::read(call.run(self, &GHOSTS).await?).map_err(|error| failed(GHOSTS.name(), error))?;
            page.looked_at += looked.looked_at;
            page.repaired += looked.found.as_u64().map_err(|error| failed(GHOSTS.name(), error))?;
            position = looked.next;
            if position == 0 {
                break;
            }
        }
        Ok((page, position))
    }
}

// === impl Looked ===

impl Looked {
    fn read(reply: Reply) -> Result<Self, trackside_redis::Error> {
        let [next, looked_at, found] = reply.into_array_of()?;
        Ok(Self { next: next.as_u64()?, looked_at: looked_at.as_u64()?, found })
    }
}
