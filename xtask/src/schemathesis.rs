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
server, and with memory stores once more for a caller with a key that reaches everything and for one whose key is bound \
to a user.

Schemathesis is installed into the target directory, at the version in xtask/schemathesis.txt.")]
pub(crate) struct Options {
    /// Seconds for each run
    #[arg(long, default_value_t = 300)]
    seconds: u32,
    /// Use what is installed; never install anything
    #[arg(long)]
    no_install: bool,
}

/// Runs with keys: what they are called, and what they may do.
const KEYS: [(&str, &[&str]); 2] = [
    ("a key for everything", &["--scope", "admin"]),
    ("a key that is bound to a user", &["--scope", "read,enqueue,work,control", "--user", "user-42"]),
];

/// A service of its own, ended when dropped.
#[derive(Debug)]
struct Service {
    process: Child,
    address: SocketAddr,
    /// What requests show.
    key: Option<String>,
}

/// What a service is to be.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    program: &'a Path,
    folder: &'a Path,
    redis: Option<&'a str>,
    /// What the command that makes its key is told.
    key: Option<&'a [&'a str]>,
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
    let plain = Wanted { program: &program, folder: &folder, redis: None, key: None };
    let mut stages = Stages::of("schemathesis");
    stages.run("memory stores", || hold(&Service::start(plain)?, &programs, &folder, options));
    stages.run("Redis", || {
        let server = Server::start(Path::new(binary))?;
        hold(&Service::start(Wanted { redis: Some(&server.url()), ..plain })?, &programs, &folder, options)
    });
    for (name, words) in KEYS {
        stages.run(name, || hold(&Service::start(Wanted { key: Some(words), ..plain })?, &programs, &folder, options));
    }
    stages.finish()
}

fn hold(service: &Service, programs: &Path, folder: &Path, options: &Options) -> anyhow::Result<()> {
    let base = format!("http://{}", service.address);
    let mut run = Command::new(programs.join("st"));
    run.current_dir(folder).args(["run", &format!("{base}/openapi.json"), "--url", &base, "--checks", CHECKS]);
    run.args(["--exclude-path-regex", STREAMS, "--request-timeout", "40", "--continue-on-failure"]);
    run.args(["--warnings", "off", "--max-time", &options.seconds.to_string()]);
    if let Some(key) = &service.key {
        run.args(["--header", &format!("X-API-Key: {key}")]);
    }
    command::run(&mut run)
}

/// Makes a key in a new file of keys.
fn make_key(program: &Path, file: &Path, words: &[&str]) -> anyhow::Result<String> {
    if file.exists() {
        fs::remove_file(file).with_context(|| file.display().to_string())?;
    }
    let file = file.to_str().context("the path of the keys is no text")?;
    let arguments = [&["token", "--file", file, "create", "--name", "schemathesis"], words].concat();
    let key = command::answer(program, &arguments).context("the service makes no key")?;
    Ok(key.trim().to_owned())
}

// === impl Service ===

impl Service {
    /// What it logs goes to a file in its folder.
    fn start(wanted: Wanted<'_>) -> anyhow::Result<Self> {
        let Wanted { program, folder, redis, key } = wanted;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let data = data_folder(folder)?;
        let log = File::create(folder.join("service.log")).context("service.log")?;
        let mut serve = Command::new(program);
        serve.args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(data).current_dir(folder);
        // Neither a server nor a file that somebody's environment names.
        serve.env_remove("REDIS_URL").env_remove("TRACKSIDE_CONFIG").env_remove("TRACKSIDE_REDIS_URL");
        serve.env_remove("TRACKSIDE_API_KEYS_FILE");
        let keys = folder.join("keys.toml");
        let key = key.map(|words| make_key(program, &keys, words)).transpose()?;
        if key.is_some() {
            serve.env("TRACKSIDE_API_KEYS_FILE", keys);
        }
        if let Some(url) = redis {
            serve.args(["--redis-url", url]);
        }
        let process = serve.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("the service")?;
        let service = Self { process, address, key };
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
