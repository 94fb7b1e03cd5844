//! `cargo xtask fuzz`: hostile bytes for every reader, and hostile requests, for as long as one likes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::command;
use crate::stages::Stages;
use crate::workspace::Workspace;

/// The crate with the targets, its program, and its folder.
const PACKAGE: &str = "trackside-fuzz";
const PROGRAM: &str = "fuzz";
const FOLDER: &str = "fuzz";
/// What makes the compiler count which code an input reaches, as `cargo fuzz` does it without a sanitizer: safe code needs
/// none, and the stable toolchain is enough.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The longest input, in bytes.
const LONGEST: u32 = 4096;
/// An input that keeps a target busy for longer is a finding, in seconds.
const SLOW: u32 = 10;
/// Megabytes that a target may take.
const MEMORY: u32 = 2048;

/// How many.
#[derive(Debug, Args)]
#[command(long_about = "\
Run every target of the folder fuzz with libFuzzer, which looks for inputs that reach new code, and ask every operation of \
the API description with hostile names, parameters, headers and bodies, in one process with stores in memory: the service \
answers each, and none with a 5xx.

It needs a C++ compiler. Inputs that reach new code are kept in target/fuzz/corpus, and what breaks a target in \
target/fuzz/found: put that file into fuzz/seeds/<target>, and every later run of the tests tries it. A request that fails \
is shrunk, printed, and kept in `proptest-regressions`.")]
pub(crate) struct Options {
    /// Inputs for each target
    #[arg(long, default_value_t = 1_000_000)]
    runs: u64,
    /// Only this target, and no requests; may be repeated
    #[arg(long)]
    target: Vec<String>,
    /// Requests
    #[arg(long, default_value_t = 100_000)]
    requests: u32,
}

/// Where a run reads and writes.
#[derive(Debug)]
struct Places {
    program: PathBuf,
    seeds: PathBuf,
    corpus: PathBuf,
    found: PathBuf,
}

/// Runs all of it; one target that breaks does not keep the others from running.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    let mut stages = Stages::of("fuzz");
    let mut places = None;
    stages.run("build", || {
        places = Some(build(workspace)?);
        Ok(())
    });
    let Some(places) = places else { return stages.finish() };
    for target in chosen(&places, &options.target)? {
        stages.run(&target, || places.hold(&target, options.runs));
    }
    if options.target.is_empty() {
        stages.run("requests", || requests(workspace, options.requests));
    }
    stages.finish()
}

/// A build of its own, whose dependencies are counted too: inputs then find their way through a JSON reader.
fn build(workspace: &Workspace) -> anyhow::Result<Places> {
    let folder = workspace.target().join("fuzz");
    let host =
        command::answer("rustc", &["--print", "host-tuple"]).context("rustc does not say what it compiles for")?;
    let mut build = command::cargo();
    build.current_dir(workspace.root()).env("CARGO_TARGET_DIR", &folder);
    // With --target, build scripts and macros are built without them.
    build.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", FLAGS);
    build.args(["build", "--profile", "fuzz", "--package", PACKAGE, "--target", host.trim()]);
    command::run(&mut build)?;
    Ok(Places {
        program: folder.join(host.trim()).join("fuzz").join(PROGRAM),
        seeds: workspace.root().join(FOLDER).join("seeds"),
        corpus: folder.join("corpus"),
        found: folder.join("found"),
    })
}

/// The targets that were asked for, or all: each has its folder of seeds.
fn chosen(places: &Places, asked: &[String]) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(&places.seeds).with_context(|| places.seeds.display().to_string())? {
        all.push(entry?.file_name().to_string_lossy().into_owned());
    }
    all.sort();
    if let Some(unknown) = asked.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    Ok(if asked.is_empty() { all } else { asked.to_vec() })
}

fn requests(workspace: &Workspace, cases: u32) -> anyhow::Result<()> {
    let mut test = command::cargo();
    test.current_dir(workspace.root()).env("PROPTEST_CASES", cases.to_string());
    test.args(["test", "--release", "--package", "trackside-api", "--test", "it", "--", "hostile", "--nocapture"]);
    command::run(&mut test)
}

// === impl Places ===

impl Places {
    fn hold(&self, target: &str, runs: u64) -> anyhow::Result<()> {
        let corpus = folder(&self.corpus, target)?;
        let found = folder(&self.found, target)?;
        let mut fuzz = Command::new(&self.program);
        fuzz.env("TRACKSIDE_FUZZ_TARGET", target).current_dir(&found);
        fuzz.args([
            format!("-runs={runs}"),
            format!("-max_len={LONGEST}"),
            format!("-timeout={SLOW}"),
            format!("-rss_limit_mb={MEMORY}"),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
        ]);
        command::run(fuzz.arg(corpus).arg(self.seeds.join(target)))
            .with_context(|| format!("what broke {target} is in {}", found.display()))
    }
}

fn folder(parent: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = parent.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
