//! `trackside config check | show | init`.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use anyhow::{Context, anyhow};

use crate::{
    cli::ConfigCommand,
    config::{self, DEFAULTS, Loaded, Overrides},
    failure::Failure,
    wiring,
};

/// Runs one of the three; what it prints goes to standard output.
pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check { settings } => check(&load(&settings.overrides()).map_err(Failure::settings)?),
        ConfigCommand::Show { settings } => {
            let loaded = load(&settings.overrides()).map_err(Failure::settings)?;
            print(&config::show(&loaded))
        }
        ConfigCommand::Init { path, force } => {
            init(path, *force)?;
            print(&format!("wrote {}\n", path.display()))
        }
    }
}

fn check(loaded: &Loaded) -> Result<(), Failure> {
    let tools = wiring::tools(&loaded.config)?;
    let problems = tools.problems();
    for problem in &problems {
        print(&format!("{}: refused: {}\n", problem.file, problem.reason))?;
    }
    if !problems.is_empty() {
        return Err(anyhow!("{} tool manifest(s) refused", problems.len()).into());
    }
    print(&format!("settings are valid; {} tools\n", tools.tools().len()))
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| anyhow::Error::from(error).into())
}

/// Settings from this process' environment and these flags.
pub(crate) fn load(overrides: &Overrides) -> anyhow::Result<Loaded> {
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    config::load(overrides, &environment)
}

fn init(path: &Path, force: bool) -> anyhow::Result<()> {
    let mut options = fs::OpenOptions::new();
    let options = if force { options.create(true).truncate(true) } else { options.create_new(true) };
    let mut file = options.write(true).open(path).with_context(|| {
        let hint = if force { "" } else { " (--force replaces an existing file)" };
        format!("cannot write {}{hint}", path.display())
    })?;
    file.write_all(DEFAULTS.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}
