//! A tool's manifest: one TOML file that says what the tool is called, what it takes, what it runs and what it leaves.
//!
//! A manifest is checked completely when it is read, so that a job never fails for a reason its author could have
//! been told: unknown keys (with a suggestion), placeholders without a parameter, output patterns that leave the
//! job's folder, and schemas that do not compile are all refused.

mod command;
mod outputs;
mod schema;
mod search_path;

use std::{path::Path, time::Duration};

use serde::Deserialize;
use trackside_core::QueueName;

pub use command::CommandTemplate;
pub use outputs::OutputPatterns;
pub use schema::ParameterSchema;
pub use search_path::SearchPath;

use crate::error::{did_you_mean, nearest};

/// The queue of tools that name none.
pub const DEFAULT_QUEUE: &str = "agent_tasks";

/// The time limit of tools that name none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

const KEYS: [&str; 7] = ["name", "description", "command", "timeout_s", "outputs", "queue", "parameters"];
const MAX_TIMEOUT_S: u64 = 24 * 60 * 60;

/// A manifest that was read and found sound.
///
/// ```
/// use trackside_jobs::ToolManifest;
/// let manifest = ToolManifest::parse(r#"
///     name = "greet"
///     description = "Greets somebody"
///     command = ["echo", "hello {who}"]
///     [parameters]
///     type = "object"
///     properties.who = { type = "string", default = "world" }
/// "#)?;
/// let params = manifest.parameters.validate(serde_json::json!({})).expect("the default fills in");
/// assert_eq!(manifest.command.arguments(&params), ["echo", "hello world"]);
///
/// let problem = ToolManifest::parse("name = \"greet\"\ncomand = [\"echo\"]").unwrap_err();
/// assert_eq!(problem.to_string(), "unknown key `comand`, did you mean `command`?");
/// # Ok::<(), trackside_jobs::ManifestError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ToolManifest {
    /// The tool's name: 1–64 of `a-z 0-9 _ -`, unique in its registry.
    pub name: String,
    /// What it does, in a sentence.
    pub description: String,
    /// What it runs.
    pub command: CommandTemplate,
    /// How long one run may take.
    pub timeout: Duration,
    /// Which files of the job's folder are its outputs.
    pub outputs: OutputPatterns,
    /// Where its jobs wait.
    pub queue: QueueName,
    /// What it takes.
    pub parameters: ParameterSchema,
}

/// Why a manifest was refused, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(String);

#[derive(Deserialize)]
struct RawManifest {
    name: String,
    #[serde(default)]
    description: String,
    command: Vec<String>,
    timeout_s: Option<u64>,
    #[serde(default)]
    outputs: Vec<String>,
    queue: Option<String>,
    parameters: Option<serde_json::Value>,
}

// === impl ManifestError ===

impl ManifestError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

// === impl ToolManifest ===

impl ToolManifest {
    /// Reads a manifest from the text of a TOML file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let table: toml::Table = toml::from_str(text).map_err(|error| ManifestError::new(one_line(&error)))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ManifestError(format!("unknown key `{key}`{}", did_you_mean(nearest(key, KEYS)))));
        }
        let raw: RawManifest = table.try_into().map_err(|error| ManifestError::new(one_line(&error)))?;
        let parameters = ParameterSchema::compile(raw.parameters)?;
        let command = CommandTemplate::compile(raw.command)?;
        command.check_against(&parameters)?;
        Ok(Self {
            name: checked_name(raw.name)?,
            description: raw.description,
            command,
            timeout: checked_timeout(raw.timeout_s)?,
            outputs: OutputPatterns::compile(raw.outputs)?,
            queue: raw
                .queue
                .as_deref()
                .unwrap_or(DEFAULT_QUEUE)
                .parse()
                .map_err(|error| ManifestError(format!("queue: {error}")))?,
            parameters,
        })
    }

    /// Why this tool cannot run on this machine, or `None` when its program is there. `folder` is the manifest's.
    #[must_use]
    pub fn problem(&self, folder: &Path, search_path: &SearchPath) -> Option<String> {
        match self.command.find_program(folder, search_path) {
            Some(_) => None,
            None => {
                Some(format!("`{}` is not installed: not beside the manifest and not in PATH", self.command.program()))
            }
        }
    }
}

fn checked_name(name: String) -> Result<String, ManifestError> {
    let valid = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    if valid { Ok(name) } else { Err(ManifestError::new("name: 1 to 64 lower-case letters, digits, '_' or '-'")) }
}

fn checked_timeout(timeout_s: Option<u64>) -> Result<Duration, ManifestError> {
    match timeout_s {
        None => Ok(DEFAULT_TIMEOUT),
        Some(seconds @ 1..=MAX_TIMEOUT_S) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err(ManifestError(format!("timeout_s: 1 to {MAX_TIMEOUT_S}"))),
    }
}

/// A TOML error points at its place over several lines; a log line and a page want one.
fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        ToolManifest::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let manifest = ToolManifest::parse("name = \"a\"\ncommand = [\"true\"]").unwrap();
        assert_eq!(manifest.queue.as_str(), "agent_tasks");
        assert_eq!(manifest.timeout, Duration::from_secs(300));
        assert!(manifest.outputs.patterns().is_empty());
    }

    #[test]
    fn what_an_author_can_get_wrong_is_said_in_one_line() {
        let command = "name = \"a\"\ncommand = [\"true\"]\n";
        for (manifest, expected) in [
            ("name = \"A b\"\ncommand = [\"true\"]", "name: 1 to 64"),
            ("name = \"a\"\ncommand = []", "command: empty"),
            ("name = \"a\"\ncommand = [\"{program}\"]", "command: the program is fixed"),
            ("name = \"a\"\ncommand = [\"echo\", \"{who}\"]", "command: `{who}` has no parameter"),
            ("name = \"a\"\ncommand = [\"echo\", \"{who\"]", "command: `{who` has a brace without its pair"),
            (&format!("{command}timeout_s = 0"), "timeout_s: 1 to 86400"),
            (&format!("{command}queue = \"a b\""), "queue: invalid queue name"),
            (&format!("{command}outputs = [\"/etc/*\"]"), "outputs: `/etc/*` leaves the job's folder"),
            (&format!("{command}outputs = [\"a/../../b\"]"), "outputs: `a/../../b` leaves the job's folder"),
            (&format!("{command}outputs = [\"[\"]"), "outputs: `[`"),
            (&format!("{command}[parameters]\ntype = 3"), "parameters:"),
            (&format!("{command}[parameters]\ntype = \"array\""), "parameters: must describe an object"),
            (&format!("{command}output = []"), "unknown key `output`, did you mean `outputs`?"),
        ] {
            let refusal = refusal(manifest);
            assert!(refusal.starts_with(expected), "{manifest}\n{refusal}");
            assert!(!refusal.contains('\n'), "{refusal}");
        }
    }

    #[test]
    fn a_placeholder_needs_a_parameter_that_is_always_there() {
        let text =
            "name = \"a\"\ncommand = [\"echo\", \"{who}\"]\n[parameters]\nproperties.who = { type = \"string\" }";
        assert_eq!(refusal(text), "command: `{who}` is optional and has no default; require it or give it one");
    }

    #[test]
    fn a_missing_program_is_named() {
        let manifest = ToolManifest::parse("name = \"a\"\ncommand = [\"no-such-program-here\"]").unwrap();
        let problem = manifest.problem(Path::new("/"), &SearchPath::default()).unwrap();
        assert!(problem.starts_with("`no-such-program-here` is not installed"), "{problem}");
    }
}
