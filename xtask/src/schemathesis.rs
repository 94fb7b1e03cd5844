//! `cargo xtask schemathesis`: the service held to its own OpenAPI document.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::command;
use crate::peers::Server;
use crate::provide::{self, Install};
use crate::stages::Stages;
use crate::workspace::Workspace;

/// What an answer is held to: never a 5xx, and nothing that the document does not say.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// Streams, whose answers have no end.
const STREAMS: &str = "(/events|/ws)$";
/// How long the service may take to come up.
const START: Duration = Duration::from_secs(30);

/// How long.
#[derive(Debug, Args)]
#[command(long_about = "\
Have schemathesis make up requests from the OpenAPI document, valid ones and others, and hold every answer against it: \
never a 5xx, and no status, content type or body that is not documented. Once with the memory stores, once on a Redis \
server.

Schemathesis is installed into the target directory, at the version in xtask/schemathesis.txt.")]
pub(crate) struct Options {
    /// Seconds for each of the two runs
    #[arg(long, default_value_t = 300)]
    seconds: u32,
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
}

/// A service of its own, ended when dropped.
#[derive(Debug)]
struct Service {
    process: Child,
    address: SocketAddr,
}

/// Runs it on both stores.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let install = Install::from_flag(options.no_install);
    let folder = workspace.target().join("schemathesis");
    let programs = provide::python_packages(&folder, &workspace.root().join("xtask/schemathesis.txt"), install)?;
    let redis = provide::redis(workspace, install)?;
    let Some(binary) = redis.value(provide::REDIS_VARIABLE) else {
        bail!("this needs a server program on this machine");
    };
    let mut build = command::cargo();
    command::run(build.current_dir(workspace.root()).args(["build", "--package", "trackside"]))?;
    let program = workspace.target().join("debug/trackside");
    let mut stages = Stages::of("schemathesis");
    stages.run("memory stores", || hold(&Service::start(&program, &folder, None)?, &programs, &folder, options));
    stages.run("Redis", || {
        let server = Server::start(Path::new(binary))?;
        hold(&Service::start(&program, &folder, Some(&server.url()))?, &programs, &folder, options)
    });
    stages.finish()
}

fn hold(service: &Service, programs: &Path, folder: &Path, options: &Options) -> anyhow::Result<()> {
    let base = format!("http://{}", service.address);
    let mut run = Command::new(programs.join("st"));
    run.current_dir(folder).args(["run", &format!("{base}/openapi.json"), "--url", &base, "--checks", CHECKS]);
    run.args(["--exclude-path-regex", STREAMS, "--request-timeout", "40", "--continue-on-failure"]);
    run.args(["--warnings", "off", "--max-time", &options.seconds.to_string()]);
    command::run(&mut run)
}

// === impl Service ===

impl Service {
    /// What it logs goes to a file in `folder`.
    fn start(program: &Path, folder: &Path, redis: Option<&str>) -> anyhow::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let data = data_folder(folder)?;
        let log = File::create(folder.join("service.log")).context("service.log")?;
        let mut serve = Command::new(program);
        serve.args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(data).current_dir(folder);
        // Neither a server nor a file that somebody's environment names.
        serve.env_remove("REDIS_URL").env_remove("TRACKSIDE_CONFIG").env_remove("TRACKSIDE_REDIS_URL");
        if let Some(url) = redis {
            serve.args(["--redis-url", url]);
        }
        let process = serve.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("the service")?;
        let service = Self { process, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > START {
                bail!("the service does not come up; see {}", folder.join("service.log").display());
            }
            command::pause(Duration::from_millis(50));
        }
        Ok(service)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(error) = self.process.kill().and_then(|()| self.process.wait()) {
            println!("cannot end the service: {error}");
        }
    }
}

/// Empty.
fn data_folder(folder: &Path) -> anyhow::Result<PathBuf> {
    let data = folder.join("data");
    if data.exists() {
        fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
    }
    Ok(data)
}
