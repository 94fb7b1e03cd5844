//! `trackside acl …`: what may be said on the command line.

use clap::{Args, Subcommand, ValueEnum};

use super::SettingsArgs;
use crate::acl::Role;

/// What to do with the users of Redis.
#[derive(Debug, Subcommand)]
pub(crate) enum AclCommand {
    /// Print the users that Redis should know, each with the commands, keys and channels that it needs and no others.
    Print(PrintArgs),
}

/// `acl print`
#[derive(Debug, Args)]
pub(crate) struct PrintArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Only this one; may be repeated [default: all]
    #[arg(long = "role", value_enum)]
    pub(crate) roles: Vec<Role>,
    /// `file`: lines of an ACL file. `commands`: for `redis-cli`
    #[arg(long, value_enum, default_value = "file")]
    pub(crate) format: Format,
    /// A queue of Celery; may be repeated
    #[arg(long = "celery-queue", value_name = "QUEUE", default_value = "celery")]
    pub(crate) celery_queues: Vec<String>,
}

/// How the users are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// `user trackside-api …`
    File,
    /// `ACL SETUSER trackside-api …`
    Commands,
}
