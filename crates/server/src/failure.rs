//! How the program ends when it cannot go on: one line on standard error, and an exit code that scripts can tell apart.

use std::process::ExitCode;

/// An error with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// Anything that has no code of its own.
const GENERAL: u8 = 1;
/// Wrong arguments, as `clap` ends for those that it can tell.
const USAGE: u8 = 2;
/// EX_UNAVAILABLE of sysexits.h: the service or its store is away, and trying again later may help.
const UNAVAILABLE: u8 = 69;
/// EX_CONFIG of sysexits.h: the settings are wrong, and starting again will not help.
const SETTINGS: u8 = 78;

// === impl Failure ===

impl Failure {
    /// The settings are wrong.
    pub(crate) fn settings(error: anyhow::Error) -> Self {
        Self { code: SETTINGS, error }
    }

    /// What is needed is not there now.
    pub(crate) fn unavailable(error: anyhow::Error) -> Self {
        Self { code: UNAVAILABLE, error }
    }

    /// The command cannot be carried out as it was given.
    pub(crate) fn usage(error: anyhow::Error) -> Self {
        Self { code: USAGE, error }
    }

    /// Prints the whole chain of causes on one line.
    #[expect(clippy::print_stderr, reason = "the log may not be set up yet, or be what failed")]
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("trackside: {:#}", self.error);
        ExitCode::from(self.code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: GENERAL, error }
    }
}
