//! The command line.

pub(crate) mod acl;
pub(crate) mod queue;
pub(crate) mod token;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Overrides;

/// Durable task queues, live progress and an emergency brake for AI-agent back ends.
#[derive(Debug, Parser)]
#[command(
    name = "trackside",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  trackside demo\n  trackside serve\n  trackside serve --redis-url redis://127.0.0.1:6379\n  \
                  trackside worker --redis-url redis://127.0.0.1:6379\n  trackside queue ls\n  trackside config show"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service: the HTTP API, and a worker in the same process.
    Serve(ServeArgs),
    /// Run a worker without the HTTP API (needs Redis, which it shares with the service).
    Worker(WorkerArgs),
    /// Show the main job on the embedded default: a tool with live progress, its outputs, and the brake.
    Demo(DemoArgs),
    /// Look at queues, add tasks, and look after dead letters.
    Queue(queue::QueueArgs),
    /// Make, list and revoke API keys.
    Token(token::TokenArgs),
    /// Print the users that Redis should know.
    Acl {
        #[command(subcommand)]
        command: acl::AclCommand,
    },
    /// Look at the settings.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Exit 0 when the service at --url is ready, 1 when it is not; for container health checks.
    Healthcheck(HealthcheckArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Settings with a flag. The environment variables of the same settings are read by the loader, so that every value
/// keeps the name of its source.
#[derive(Debug, Args, Default)]
pub(crate) struct SettingsArgs {
    /// Settings file [env: TRACKSIDE_CONFIG] [default: ./trackside.toml if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Redis or Valkey; without one everything is kept in memory [env: TRACKSIDE_REDIS_URL, REDIS_URL]
    #[arg(long, value_name = "URL")]
    redis_url: Option<String>,
    /// Job history and working directories [env: TRACKSIDE_DATA_DIR] [default: ./trackside-data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Tool manifests [env: TRACKSIDE_TOOLS_DIR] [default: ./tools, else the built-in ones]
    #[arg(long, value_name = "DIR")]
    tools_dir: Option<PathBuf>,
}

/// `serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Address and port; port 0 picks a free one [env: TRACKSIDE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Serve the API only; tasks are run by `trackside worker` elsewhere
    #[arg(long)]
    no_worker: bool,
    /// Tasks running at once, per queue [default: 4]
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
}

/// `worker`
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Tasks running at once, per queue [default: 4]
    #[arg(long, value_name = "N")]
    concurrency: Option<usize>,
}

/// `demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep serving after the show, so that the pages can be looked at
    #[arg(long)]
    pub(crate) keep: bool,
    /// Address and port of the service that the demo starts
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,
}

/// `config …`
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the settings and the tools; exit 0 when a start would work.
    Check {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Print every setting with its source; secrets are masked.
    Show {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Write the commented defaults to a file.
    Init {
        /// Where to
        #[arg(default_value = "trackside.toml")]
        path: PathBuf,
        /// Replace the file when it exists
        #[arg(long)]
        force: bool,
    },
}

/// `healthcheck`
#[derive(Debug, Args)]
pub(crate) struct HealthcheckArgs {
    /// The service [default: the address of TRACKSIDE_LISTEN, else 127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Which probe
    #[arg(long, value_enum, default_value = "ready")]
    pub(crate) probe: Probe,
}

/// A health route.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Probe {
    /// The process answers.
    Live,
    /// The process can do its work.
    Ready,
}

// === impl SettingsArgs, ServeArgs, WorkerArgs ===

impl SettingsArgs {
    /// These flags as a layer of settings.
    pub(crate) fn overrides(&self) -> Overrides {
        let path = |path: &PathBuf| path.display().to_string();
        let values = [
            ("redis.url", self.redis_url.clone()),
            ("data_dir", self.data_dir.as_ref().map(path)),
            ("tools_dir", self.tools_dir.as_ref().map(path)),
        ];
        Overrides {
            config: self.config.clone(),
            values: values.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect(),
        }
    }
}

impl ServeArgs {
    /// These flags as a layer of settings.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        overrides.values.extend(self.listen.map(|listen| ("server.listen", listen.to_string())));
        overrides.values.extend(self.no_worker.then(|| ("worker.enabled", "false".to_owned())));
        overrides.values.extend(self.concurrency.map(|n| ("worker.concurrency", n.to_string())));
        overrides
    }
}

impl WorkerArgs {
    /// These flags as a layer of settings.
    pub(crate) fn overrides(&self) -> Overrides {
        let mut overrides = self.settings.overrides();
        overrides.values.extend(self.concurrency.map(|n| ("worker.concurrency", n.to_string())));
        overrides
    }
}
