//! What Redis holds of tasks, read from any bytes.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use trackside_core::{QueueName, TaskId, Timestamp};

use super::{
    attributes, outbox, policy,
    record::{self, Claim, Record},
    views, workers,
};
use crate::{Config, Fence, MAX_BATCH, TaskState};

/// Of which queue everything is.
fn place() -> Option<(QueueName, TaskId)> {
    let queue: QueueName = "fuzzed".parse().ok()?;
    let id = TaskId::derived(&queue, Timestamp::from_millis(0), 0);
    Some((queue, id))
}

pub(crate) fn record(bytes: &[u8]) {
    let Some((queue, id)) = place() else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    let Some(read) = Record::read(&bytes) else {
        let shown = Record::unreadable(bytes.clone()).payload();
        assert!(
            shown == bytes || bytes.first() == Some(&1),
            "what cannot be read is shown, unpacked where it is packed"
        );
        return;
    };
    let _objection = read.objection(&Config::default());
    let _attempt = record::read_attempt(&bytes);
    let lease = Duration::from_secs(30);
    let claim = Claim { id, fence: Fence(1), crashes: 0, lease, now: Timestamp::from_millis(u64::MAX) };
    if let Some(task) = read.claimed(&queue, claim) {
        assert!(task.attempt >= 1 && task.id == id, "{task:?}");
    }
    let Some(again) = Record::read(&bytes) else { return };
    let status = again.status(&queue, id, TaskState::Queued, None);
    assert_eq!(status.state, TaskState::Queued);
}

pub(crate) fn final_record(bytes: &[u8]) {
    let Some((queue, id)) = place() else { return };
    if let Some(status) = record::read_final(&queue, id, &Bytes::copy_from_slice(bytes)) {
        assert!(status.finished_at.is_some(), "{status:?}");
    }
}

pub(crate) fn attributes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _expiry = attributes::read_expiry(&text);
    assert!(attributes::dependencies(&text).len() <= text.len(), "as many as are named");
}

pub(crate) fn policy(bytes: &[u8]) {
    let policy = policy::read(&String::from_utf8_lossy(bytes));
    assert_eq!(policy::read(&policy::write(&policy)), policy, "a policy is read as it was written");
}

pub(crate) fn outbox(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Some((number, rest)) = outbox::read_number(&bytes) else { return };
    if let Some(message) = outbox::read_message(number, &bytes.slice(rest..)) {
        assert!(message.edges() <= MAX_BATCH, "one step writes them: {message:?}");
    }
}

pub(crate) fn views(bytes: &[u8]) {
    let Some((queue, id)) = place() else { return };
    let Some((view, rest)) = bytes.split_first() else { return };
    let reply = trackside_redis::fuzzing::reply(rest);
    match view % 8 {
        0 => drop(views::status(reply, &queue, id)),
        1 => drop(views::peeked(reply)),
        2 => drop(views::stats(reply)),
        3 => drop(views::letters(reply, &queue)),
        4 => drop(views::deaths(reply)),
        5 => drop(views::audit(reply)),
        6 => drop(views::braked(reply)),
        _ => drop(workers::read(reply, &mut BTreeMap::new(), &mut HashMap::new())),
    }
}
