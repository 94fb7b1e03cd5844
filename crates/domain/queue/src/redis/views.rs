//! What the smaller scripts answer, read.

use std::time::Duration;

use trackside_core::{QueueName, TaskId, Timestamp};
use trackside_redis::{Reply, Script};

use super::{
    call::{failed, unexpected},
    record::{self, Own, Record},
    scripts::{AUDIT, LETTERS, OLDEST, PEEK, STATS, STATUS},
};
use crate::{
    BrakeChange, BrakePage, BrakeScope, DeadCursor, DeadLetter, DeadRef, Error, PeekedTask, Places, QueueAudit,
    QueueStats, TaskState, TaskStatus,
};

/// The user of a scope; everyone is nobody's name.
pub(super) fn user_of(scope: &BrakeScope) -> &str {
    match scope {
        BrakeScope::User(user) => user.as_str(),
        BrakeScope::Everyone => "",
    }
}

/// How everyone is written in the hash of brakes.
const EVERYONE: &str = "* everyone";

/// The engaged ones of a page of the hash of brakes; what is not of ours is passed over.
pub(super) fn braked(reply: Reply) -> Result<BrakePage, trackside_redis::Error> {
    let [next, entries] = reply.into_array_of()?;
    let mut page = BrakePage { next: next.as_u64()?, brakes: Vec::new() };
    for (scope, value) in entries.into_pairs()? {
        let (Ok(scope), Ok(value)) = (scope.into_string(), value.into_string()) else { continue };
        let scope =
            if scope == EVERYONE { Some(BrakeScope::Everyone) } else { scope.parse().ok().map(BrakeScope::User) };
        let revision = value.strip_prefix('p').and_then(|revision| revision.parse().ok());
        if let (Some(scope), Some(revision)) = (scope, revision) {
            page.brakes.push(BrakeChange { scope, engaged: true, revision });
        }
    }
    Ok(page)
}

pub(super) fn count(reply: &Reply, script: &Script) -> Result<usize, Error> {
    let count = reply.as_u64().map_err(|error| failed(script.name(), error))?;
    usize::try_from(count).map_err(|_| unexpected(script, "a count beyond measure"))
}

pub(super) fn state(reply: Reply, script: &Script) -> Result<Option<TaskState>, Error> {
    let Some(reply) = reply.into_option() else { return Ok(None) };
    let letter = reply.into_string().map_err(|error| failed(script.name(), error))?;
    record::read_state(&letter).map(Some).ok_or_else(|| unexpected(script, "an unknown state"))
}

pub(super) fn status(reply: Reply, queue: &QueueName, id: TaskId) -> Result<Option<TaskStatus>, Error> {
    let shape = |error| failed(STATUS.name(), error);
    let mut parts = reply.into_array().map_err(shape)?;
    if parts.is_empty() {
        return Ok(None);
    }
    if parts.len() == 1 {
        let record = parts.remove(0).into_bytes().map_err(shape)?;
        let status = record::read_final(queue, id, &record);
        return status.map(Some).ok_or_else(|| unexpected(&STATUS, "a final record that cannot be read"));
    }
    let [letter, record, own, at] = Reply::Array(parts).into_array_of().map_err(shape)?;
    let state = state(letter, &STATUS)?.ok_or_else(|| unexpected(&STATUS, "no state"))?;
    let record = record.into_bytes().map_err(shape)?;
    let own = Own::read(&own.into_string().map_err(shape)?);
    let record = Record::read(&record).unwrap_or_else(|| Record::unreadable(record));
    let mut status = record.status(queue, id, state, own);
    let at = Some(at.as_u64().map_err(shape)?).filter(|at| *at > 0).map(Timestamp::from_millis);
    if state == TaskState::Dead {
        status.finished_at = at;
    } else {
        status.due_at = at;
    }
    Ok(Some(status))
}

pub(super) fn peeked(reply: Reply) -> Result<Vec<PeekedTask>, Error> {
    let shape = |error| failed(PEEK.name(), error);
    let rows = reply.into_array().map_err(shape)?;
    let mut peeked = Vec::with_capacity(rows.len() / 3);
    let mut rows = rows.into_iter();
    while let (Some(level), Some(id), Some(record)) = (rows.next(), rows.next(), rows.next()) {
        let level = record::read_level(&level.into_string().map_err(shape)?);
        let priority = level.ok_or_else(|| unexpected(&PEEK, "an unknown level"))?;
        let record = record.into_bytes().map_err(shape)?;
        // No id: an element that a plain client pushed, and that no worker has met yet.
        let id = TaskId::from_key(&id.into_string().map_err(shape)?).ok();
        peeked.push(match id.and_then(|_| Record::read(&record)) {
            Some(task) => {
                let payload = task.payload();
                PeekedTask { id, kind: Some(task.header.kind), priority, enqueued_at: Some(task.enqueued_at), payload }
            }
            None => PeekedTask { id, kind: None, priority, enqueued_at: None, payload: record },
        });
    }
    Ok(peeked)
}

pub(super) fn stats(reply: Reply) -> Result<QueueStats, Error> {
    let shape = |error| failed(STATS.name(), error);
    let numbers = reply.into_array_of::<22>().map_err(shape)?;
    let mut counts = [0_u64; 22];
    for (count, number) in counts.iter_mut().zip(&numbers) {
        // Only the age may be negative: nothing is ready.
        *count = u64::try_from(number.as_int().map_err(shape)?).unwrap_or(u64::MAX);
    }
    let [
        critical,
        high,
        normal,
        low,
        active,
        delayed,
        parked,
        dead,
        age,
        paused,
        created,
        completed,
        cancelled,
        purged,
        failures,
        crashed,
        waiting,
        workers,
        slots,
        retried,
        expired,
        bytes,
    ] = counts;
    Ok(QueueStats {
        ready: [critical, high, normal, low],
        active,
        delayed,
        waiting,
        parked,
        dead,
        oldest_age: Some(age).filter(|age| *age != u64::MAX).map(Duration::from_millis),
        paused: paused == 1,
        created,
        completed,
        cancelled,
        purged,
        failed: failures,
        retried,
        crashed,
        expired,
        workers,
        slots,
        bytes,
    })
}

pub(super) fn letters(reply: Reply, queue: &QueueName) -> Result<Vec<DeadLetter>, Error> {
    let shape = |error| failed(LETTERS.name(), error);
    let rows = reply.into_array().map_err(shape)?;
    let mut letters = Vec::with_capacity(rows.len() / 4);
    let mut rows = rows.into_iter();
    while let (Some(id), Some(died), Some(crashes), Some(record)) = (rows.next(), rows.next(), rows.next(), rows.next())
    {
        let id = TaskId::from_key(&id.into_string().map_err(shape)?)?;
        let record = record.into_bytes().map_err(shape)?;
        let record = Record::read(&record).unwrap_or_else(|| Record::unreadable(record));
        let payload = record.payload();
        let mut status = record.status(queue, id, TaskState::Dead, None);
        status.finished_at = Some(Timestamp::from_millis(died.as_u64().map_err(shape)?));
        let crashes = u32::try_from(crashes.as_u64().map_err(shape)?).unwrap_or(u32::MAX);
        letters.push(DeadLetter { status, payload, crashes });
    }
    Ok(letters)
}

/// The time of death that is meant, as the scripts compare it.
pub(super) fn death(letter: &DeadRef) -> String {
    letter.died_at.map_or_else(String::new, |died_at| died_at.as_millis().to_string())
}

pub(super) fn deaths(reply: Reply) -> Result<Vec<DeadCursor>, Error> {
    let shape = |error| failed(OLDEST.name(), error);
    let mut letters = Vec::new();
    for (id, died_at) in reply.into_pairs().map_err(shape)? {
        let id = TaskId::from_key(&id.into_string().map_err(shape)?)?;
        letters.push(DeadCursor { died_at: Timestamp::from_millis(died_at.as_u64().map_err(shape)?), id });
    }
    Ok(letters)
}

pub(super) fn audit(reply: Reply) -> Result<QueueAudit, Error> {
    let shape = |error| failed(AUDIT.name(), error);
    let mut counts = [0; 11];
    for (count, number) in counts.iter_mut().zip(&reply.into_array_of::<11>().map_err(shape)?) {
        *count = number.as_u64().map_err(shape)?;
    }
    let [created, completed, cancelled, purged, records, listed, active, delayed, waiting, parked, dead] = counts;
    let places =
        Places { created, completed, cancelled, purged, records, listed, active, delayed, waiting, parked, dead };
    Ok(QueueAudit::of(places))
}
