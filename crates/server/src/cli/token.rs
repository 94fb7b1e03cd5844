//! `trackside token …`: what may be said on the command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use trackside_api::Scope;

/// `token`
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// The file of keys [env: TRACKSIDE_API_KEYS_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: TokenCommand,
}

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a key and print it: this once, only its hash is kept.
    Create(CreateArgs),
    /// List the keys; what they are called and may do, never the keys themselves.
    #[command(visible_alias = "ls")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Take keys out of the file: a running service refuses them within a second.
    Revoke {
        /// The ids of the keys, as `list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// `token create`
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What it is for
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What it may do: read, enqueue, work, control (includes brake), brake, admin (everything)
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_delimiter = ',', value_parser = scope)]
    pub(crate) scopes: Vec<Scope>,
    /// Reaches only the things of this user; may be repeated
    #[arg(long = "user", value_name = "USER")]
    pub(crate) users: Vec<String>,
    /// Reaches only the things of this project; may be repeated
    #[arg(long = "project", value_name = "PROJECT")]
    pub(crate) projects: Vec<String>,
    /// Reaches only the things of this tenant; may be repeated
    #[arg(long = "tenant", value_name = "TENANT")]
    pub(crate) tenants: Vec<String>,
    /// Until when, from now: 90d, 12h, 30m or 45s [default: without end]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) expires_in: Option<Duration>,
}

fn scope(text: &str) -> Result<Scope, String> {
    let names = || Scope::ALL.map(Scope::as_str).join(", ");
    Scope::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| format!("one of {}", names()))
}

fn span(text: &str) -> Result<Duration, String> {
    let rule = || "a number and d, h, m or s, such as 90d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(rule)?;
    let seconds: u64 = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(rule()),
    };
    let number: u64 = number.parse().map_err(|_| rule())?;
    let span = number.checked_mul(seconds).filter(|span| (1..=100 * 365 * 86_400).contains(span));
    span.map(Duration::from_secs).ok_or_else(|| "from one second to a hundred years".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end() {
        assert_eq!(span("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(span("45s"), Ok(Duration::from_secs(45)));
        for wrong in ["", "d", "90", "-1d", "0s", "1y", "99999999999999999999d", "18446744073709551615d", "€"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
