//! What the scripts answer, read from any bytes.

use super::record::{Answer, summary};
use crate::SessionId;

pub(crate) fn answer(bytes: &[u8]) {
    let reply = trackside_redis::fuzzing::reply(bytes);
    let _summary = summary(SessionId::from_bytes([2; 16]), reply.clone());
    if let Ok(Answer::Open { record, .. } | Answer::Conflict(record)) = Answer::read(reply) {
        assert!(record.expires_at <= record.absolute_expires_at, "{record:?}");
    }
}
