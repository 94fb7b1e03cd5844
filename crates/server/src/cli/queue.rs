//! `trackside queue …`: what may be said on the command line.

use std::{num::NonZeroU32, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use trackside_core::{QueueName, TaskId};

/// `queue`
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(flatten)]
    pub(crate) reach: ReachArgs,
    #[command(subcommand)]
    pub(crate) command: QueueCommand,
}

/// Where the queues are.
#[derive(Debug, Args)]
pub(crate) struct ReachArgs {
    /// A running service, over http or https (SSL_CERT_FILE names other authorities), with the API key in TRACKSIDE_API_KEY where it asks for one; without it, the configured Redis is used directly, where there is one
    /// [env: TRACKSIDE_URL] [default: http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", global = true, conflicts_with = "redis_url")]
    pub(crate) url: Option<String>,
    /// Redis or Valkey, without a service in between [env: TRACKSIDE_REDIS_URL, REDIS_URL]
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) redis_url: Option<String>,
    /// Settings file [env: TRACKSIDE_CONFIG] [default: ./trackside.toml if it exists]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON, as the HTTP API answers it
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List all queues.
    Ls,
    /// Show one queue.
    Show {
        /// The queue
        queue: QueueName,
    },
    /// Add tasks: from arguments, a file, or standard input, one JSON text per line.
    Push(PushArgs),
    /// Show the next tasks without taking them.
    Peek {
        /// The queue
        queue: QueueName,
        /// Most tasks shown
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=256))]
        limit: u16,
    },
    /// Stop handing out tasks of a queue; what runs goes on.
    Pause {
        /// The queue
        queue: QueueName,
    },
    /// Hand out tasks of a queue again.
    Resume {
        /// The queue
        queue: QueueName,
    },
    /// Tasks that will not be tried again unless somebody asks for it.
    Dead {
        #[command(subcommand)]
        command: DeadCommand,
    },
    /// Check that every task is accounted for; exit 1 when one is not.
    Audit {
        /// The queue
        queue: QueueName,
    },
    /// Return tasks that are in no place; a sound queue stays as it is.
    Repair {
        /// The queue
        queue: QueueName,
    },
}

/// `queue push`
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The queue
    pub(crate) queue: QueueName,
    /// Payloads, each a JSON text; without any, they are read from standard input
    #[arg(value_name = "JSON", conflicts_with = "file")]
    pub(crate) payloads: Vec<String>,
    /// Read payloads from a file, one per line; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// What a worker chooses the handler by
    #[arg(short, long, required_unless_present = "tasks")]
    pub(crate) kind: Option<String>,
    /// Before what it is served
    #[arg(short, long, value_enum)]
    pub(crate) priority: Option<Level>,
    /// Not before so many milliseconds from now
    #[arg(long, value_name = "MS")]
    pub(crate) delay_ms: Option<u64>,
    /// Failed attempts after which it goes to the dead letters [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// On whose behalf it runs: the brake acts on this
    #[arg(long, value_name = "USER")]
    pub(crate) user_id: Option<String>,
    /// The lines are whole tasks as the HTTP API takes them: {"kind": …, "payload": …, …}
    #[arg(long, conflicts_with_all = ["kind", "priority", "delay_ms", "max_attempts", "user_id"])]
    pub(crate) tasks: bool,
    /// Makes it safe to push the same input again: the task of line n is known as KEY/n for a day
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// A priority.
#[derive(Debug, Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Before everything else.
    Critical,
    /// Before normal work.
    High,
    /// As most tasks.
    Normal,
    /// When nothing else is ready.
    Low,
}

/// `queue dead …`
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List dead letters, newest first.
    Ls {
        /// The queue
        queue: QueueName,
        /// Most dead letters shown
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Return dead letters to the queue; their attempts are counted anew.
    Requeue(SelectArgs),
    /// Remove dead letters for good.
    Purge(SelectArgs),
}

/// Which dead letters: by their ids, by a filter, or all.
#[derive(Debug, Args)]
pub(crate) struct SelectArgs {
    /// The queue
    pub(crate) queue: QueueName,
    /// The tasks
    #[arg(value_name = "TASK_ID")]
    pub(crate) ids: Vec<TaskId>,
    /// Every dead letter of the queue
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// Dead letters for which everything that is said holds.
#[derive(Debug, Default, PartialEq, Eq, Args, Serialize)]
pub(crate) struct FilterArgs {
    /// Of this kind
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// Of this user
    #[arg(long, value_name = "USER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    /// Of this tenant
    #[arg(long, value_name = "TENANT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant_id: Option<String>,
    /// With this tag
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    /// With this text in the reason
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// That died after this moment, such as 2026-11-20T12:00:00Z
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) died_after: Option<String>,
    /// That died before this moment
    #[arg(long, value_name = "TIME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) died_before: Option<String>,
}
