//! From the driver's errors to ours, and what they mean for the breaker.

use std::time::Duration;

use fred::error::{Error as DriverError, ErrorKind as DriverKind};

use crate::{Error, Operation, Refusal};

/// The driver's own words for a command that it could not write; a server never says these.
const NOT_WRITTEN: [&str; 4] = [
    "Too many failed write attempts.",
    "Failed to route command.",
    "Failed to send command to router.",
    "Client is not initialized.",
];

/// What an outcome says about the server's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answered, even if with an error.
    Healthy,
    /// It did not answer, or said that it cannot serve.
    Unhealthy,
    /// The call says nothing about it.
    Neutral,
}

/// Our error for what the driver reports after `waited`.
///
/// Server errors nearly all come as "unknown" with the server's text, so the first word decides.
pub(crate) fn classify(operation: Operation, error: &DriverError, waited: Duration) -> (Error, Verdict) {
    let details = error.details();
    match error.kind() {
        DriverKind::Timeout => {
            (Error::Timeout { operation, reason: "no answer in time".to_owned(), waited }, Verdict::Unhealthy)
        }
        // The command may have been written before the connection broke.
        DriverKind::IO | DriverKind::Tls | DriverKind::Canceled | DriverKind::Protocol => {
            let reason = "the connection broke".to_owned();
            (Error::Timeout { operation, reason, waited }, Verdict::Unhealthy)
        }
        DriverKind::Backpressure => {
            (Error::unavailable(operation, "too many commands wait for the connection"), Verdict::Unhealthy)
        }
        DriverKind::Auth => (Error::Refused { operation, reason: Refusal::Auth }, Verdict::Healthy),
        DriverKind::Routing | DriverKind::Sentinel => {
            (Error::unavailable(operation, "no server is known for the key"), Verdict::Unhealthy)
        }
        DriverKind::Cluster | DriverKind::Unknown | DriverKind::InvalidArgument | DriverKind::InvalidCommand => {
            server_error(operation, details)
        }
        DriverKind::NotFound | DriverKind::Parse => {
            let error =
                Error::InvalidData { operation, expected: "an answer", found: "something unreadable".to_owned() };
            (error, Verdict::Healthy)
        }
        DriverKind::Config | DriverKind::Url => (Error::invalid_input(operation, details), Verdict::Neutral),
    }
}

/// The server's own words, without what a caller had sent.
pub(crate) fn server_error(operation: Operation, details: &str) -> (Error, Verdict) {
    // "ERR unknown command 'X', with args beginning with: …" repeats the arguments.
    let details = details.split(", with args beginning").next().unwrap_or_default();
    let details = raised_in_a_script(details);
    let (code, message) = details.split_once(' ').unwrap_or((details, ""));
    let unavailable = |operation, reason: &str| (Error::unavailable(operation, reason), Verdict::Unhealthy);
    let refused = |operation, reason| (Error::Refused { operation, reason }, Verdict::Healthy);
    match code {
        "NOAUTH" | "WRONGPASS" => refused(operation, Refusal::Auth),
        "NOPERM" => refused(operation, Refusal::Acl),
        "OOM" => refused(operation, Refusal::OutOfMemory),
        "MISCONF" => refused(operation, Refusal::NotPersisting),
        "READONLY" => (Error::Refused { operation, reason: Refusal::ReadOnly }, Verdict::Unhealthy),
        "LOADING" => unavailable(operation, "the server is loading its data"),
        "MASTERDOWN" => unavailable(operation, "the replica has lost its primary"),
        "CLUSTERDOWN" => unavailable(operation, "the cluster does not serve all slots"),
        "BUSY" => (Error::unavailable(operation, "the server is busy with a script"), Verdict::Healthy),
        "TRYAGAIN" => (Error::unavailable(operation, "the slot is being moved"), Verdict::Healthy),
        "NOREPLICAS" => (Error::unavailable(operation, "too few replicas are in sync"), Verdict::Healthy),
        "CROSSSLOT" => (Error::invalid_input(operation, "the keys do not share one slot"), Verdict::Healthy),
        "ERR" if message.starts_with("max number of clients") => {
            unavailable(operation, "the server has no room for one more client")
        }
        _ if NOT_WRITTEN.contains(&details) => unavailable(operation, "the connection is not there"),
        _ => {
            let (code, message) = (code.to_owned(), message.to_owned());
            (Error::Server { operation, code, message }, Verdict::Healthy)
        }
    }
}

/// Before 7 a server wraps what a command in a script says, as in
/// `ERR Error running script (call to f_0123…): @user_script:1: @user_script: 1: -OOM command not allowed …`, and what a
/// script has caught and hands on, as in `@user_script: 1: -OOM command not allowed …`.
fn raised_in_a_script(details: &str) -> &str {
    let wrapped = details.strip_prefix("ERR Error running script (call to f_").and_then(|rest| rest.split_once("): "));
    let mut inner = wrapped.map_or(details, |(_, inner)| inner);
    while let Some((_, rest)) = inner.strip_prefix("@user_script:").and_then(|rest| rest.split_once(": ")) {
        inner = rest;
    }
    inner.strip_prefix('-').unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use trackside_core::ErrorKind;

    use super::{Verdict, server_error};
    use crate::Operation;

    #[test]
    fn the_first_word_of_an_answer_decides() {
        let cases = [
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Unavailable, Verdict::Unhealthy),
            ("MASTERDOWN Link with MASTER is down", ErrorKind::Unavailable, Verdict::Unhealthy),
            ("CLUSTERDOWN The cluster is down", ErrorKind::Unavailable, Verdict::Unhealthy),
            ("ERR max number of clients reached", ErrorKind::Unavailable, Verdict::Unhealthy),
            ("READONLY You can't write against a read only replica.", ErrorKind::Refused, Verdict::Unhealthy),
            ("NOPERM User x has no permissions", ErrorKind::Refused, Verdict::Healthy),
            ("MISCONF Redis is configured to save RDB snapshots", ErrorKind::Refused, Verdict::Healthy),
            ("BUSY Redis is busy running a script.", ErrorKind::Unavailable, Verdict::Healthy),
            ("WRONGTYPE Operation against a key", ErrorKind::InvalidData, Verdict::Healthy),
            ("ERR syntax error", ErrorKind::Internal, Verdict::Healthy),
            (
                "ERR Error running script (call to f_bd6f): @user_script:1: @user_script: 1: -OOM command not allowed.",
                ErrorKind::Refused,
                Verdict::Healthy,
            ),
            ("@user_script: 34: -OOM command not allowed.", ErrorKind::Refused, Verdict::Healthy),
            (
                "ERR Error running script (call to f_bd6f): @user_script:12: WRONGTYPE Operation against a key",
                ErrorKind::InvalidData,
                Verdict::Healthy,
            ),
            ("Failed by a script's own choice", ErrorKind::Internal, Verdict::Healthy),
            ("Failed to route command.", ErrorKind::Unavailable, Verdict::Unhealthy),
        ];
        for (details, kind, verdict) in cases {
            let (error, seen) = server_error(Operation::new("test"), details);
            assert_eq!((error.kind(), seen), (kind, verdict), "{details}");
        }
    }
}
