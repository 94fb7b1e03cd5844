//! What Redis answers about counters, read from any bytes.

use trackside_redis::fuzzing::reply;

use super::{answer, shared, together};

/// On the first line a byte for each caller, which says how many counters it asks, then the answer.
pub(crate) fn answers(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (callers, said) = bytes.split_at(end);
    let said = said.get(1..).unwrap_or_default();
    let counters: Vec<usize> = callers.iter().take(16).map(|byte| 1 + usize::from(byte % 4)).collect();
    if let Ok(answer) = answer(reply(said), counters.len()) {
        assert!(!answer.allowed || answer.counters.len() <= said.len(), "{answer:?}");
    }
    if let Ok(answers) = together::answers_to(&counters, reply(said)) {
        assert_eq!(answers.len(), counters.len());
    }
}

/// Who is there, and the overrides.
pub(crate) fn shared_by_all(bytes: &[u8]) {
    if let Ok(all) = shared(reply(bytes)) {
        assert!(all.overrides.is_none_or(|(_, overrides)| overrides.len() <= bytes.len()));
    }
}
