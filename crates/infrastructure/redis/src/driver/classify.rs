//! From the driver's errors to ours, and what they mean for the breaker.

use std::time::Duration;

use fred::error::{Error as DriverError, ErrorKind as DriverKind};

use crate::{Error, Operation, Refusal};

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
        // The driver's own words for a command that it had not written yet.
        "Too" | "Failed" | "Client" | "Connection" => unavailable(operation, "the connection is not there"),
        _ => {
            let (code, message) = (code.to_owned(), message.to_owned());
            (Error::Server { operation, code, message }, Verdict::Healthy)
        }
    }
}
