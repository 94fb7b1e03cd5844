//! What a request is recognised by: the digest of its key, and the fingerprint of what it asks for.

use std::num::NonZeroU32;

use serde::Serialize;
use sha2::{Digest, Sha256};
use trackside_core::Timestamp;

use crate::{
    DEFAULT_MAX_ATTEMPTS, Due, Error, NewTask, OnFailure, Priority, RetryPolicy, TaskOptions, UniqueUntil, limits,
};

/// 128 bits that stand for a key, whatever its length.
pub(crate) fn digest(key: &str) -> u128 {
    shorten(Sha256::new().chain_update(key))
}

/// 128 bits that differ when two requests do not ask for the same: everything but the id, the key itself, and what
/// joins a task to the request that brought it.
///
/// What is not said is left out, so that an option which a later version adds changes nothing for those without it.
pub(crate) fn fingerprint(task: &NewTask) -> Result<u128, Error> {
    let NewTask { id: _, kind, payload, options } = task;
    // Field by field, so that a new one cannot be forgotten here.
    let TaskOptions {
        priority,
        due,
        timeout,
        max_attempts,
        retry,
        lease,
        user_id,
        project_id,
        tenant_id,
        tags,
        expires_at,
        unique,
        retention,
        on_failure,
        // An array names its own tasks by their place: their ids are others each time.
        depends_on: _,
        correlation_id: _,
        traceparent: _,
        idempotency_key: _,
    } = options;
    let said = Said {
        kind,
        priority: *priority,
        delay_ms: if let Due::After(delay) = due { Some(limits::millis(*delay)) } else { None },
        run_at: if let Due::At(at) = due { Some(*at) } else { None },
        timeout_ms: timeout.map(limits::millis),
        max_attempts: Some(*max_attempts).filter(|attempts| *attempts != DEFAULT_MAX_ATTEMPTS),
        retry: Some(retry).filter(|retry| **retry != RetryPolicy::default()),
        lease_ms: lease.map(limits::millis),
        user_id: user_id.as_ref().map(AsRef::as_ref),
        project_id: project_id.as_deref(),
        tenant_id: tenant_id.as_deref(),
        tags,
        expires_at: *expires_at,
        unique: unique.as_ref().map(|unique| (&*unique.key, unique.until == UniqueUntil::Started)),
        retention_ms: retention.map(limits::millis),
        on_failure: Some(*on_failure).filter(|policy| *policy != OnFailure::default()),
    };
    let said = serde_json::to_vec(&said)
        .map_err(|error| Error::InvalidTask { field: "options", reason: error.to_string() })?;
    Ok(shorten(Sha256::new().chain_update(said).chain_update(b"\n").chain_update(payload)))
}

#[derive(Serialize)]
struct Said<'a> {
    kind: &'a str,
    priority: Priority,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'a RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<(&'a str, bool)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_failure: Option<OnFailure>,
}

fn shorten(hash: Sha256) -> u128 {
    let bytes: [u8; 32] = hash.finalize().into();
    bytes.iter().take(16).fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(payload: &'static str, options: TaskOptions) -> NewTask {
        NewTask::new(&"exports".parse().unwrap(), "a.kind", payload).with(options)
    }

    #[test]
    fn the_same_request_has_one_fingerprint_whatever_its_id_and_trace() {
        let plain = task("{}", TaskOptions::default());
        let traced = task(
            "{}",
            TaskOptions {
                correlation_id: Some(trackside_core::CorrelationId::generate()),
                idempotency_key: Some("order-7".into()),
                ..TaskOptions::default()
            },
        );
        assert_eq!(fingerprint(&plain).unwrap(), fingerprint(&traced).unwrap());
    }

    #[test]
    fn a_fingerprint_is_the_same_in_every_version() {
        // Kept in Redis for a day: what changes it breaks the repetition of requests during an upgrade.
        let options = TaskOptions { priority: Priority::High, tags: vec!["a".into()], ..TaskOptions::default() };
        let fingerprints = [fingerprint(&task("{}", TaskOptions::default())), fingerprint(&task("{}", options))];
        let expected = "49b539a1f2b8373805f85dc2646b2c0d b5b743456f5189e902a8156e43ff0af6";
        assert_eq!(fingerprints.map(|it| format!("{:032x}", it.unwrap())).join(" "), expected);
        assert_eq!(format!("{:032x}", digest("order-7")), "df8cf80227ec3237922df0ecd88385c5");
    }

    #[test]
    fn another_payload_kind_or_option_is_another_request() {
        let others = [
            task("{ }", TaskOptions::default()),
            NewTask { kind: "b.kind".into(), ..task("{}", TaskOptions::default()) },
            task("{}", TaskOptions { due: Due::At(Timestamp::from_millis(7)), ..TaskOptions::default() }),
            task("{}", TaskOptions { due: Due::After(std::time::Duration::from_millis(7)), ..TaskOptions::default() }),
            task("{}", TaskOptions { tags: vec!["a".into()], ..TaskOptions::default() }),
        ];
        let mut seen = vec![fingerprint(&task("{}", TaskOptions::default())).unwrap()];
        for other in &others {
            let fingerprint = fingerprint(other).unwrap();
            assert!(!seen.contains(&fingerprint), "{other:?}");
            seen.push(fingerprint);
        }
    }
}
