//! Running other programs: printed before they start, without standard input, with their exit status checked.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// The cargo that runs this task, so that a task never mixes toolchains.
///
/// It is not told what cargo told this program of its own crate: to a build script that asks for such a variable, as that
/// of ring does, it would be another one than without a task, and everything above ring would be built anew each time.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Prints `command`, runs it with this process' output, and fails when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    println!("+ {}", line(command));
    let program = program(command);
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}

/// What a quiet question answers on standard output; `None` when the program is absent or fails.
pub(crate) fn answer(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "a task is a plain program without a runtime that it could block")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// The first executable file called `name` in the directories of `PATH`, then in `elsewhere`.
pub(crate) fn find(name: &str, elsewhere: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(elsewhere.iter().cloned())
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether this process may change the system.
pub(crate) fn is_root() -> bool {
    answer("id", &["-u"]).is_some_and(|uid| uid.trim() == "0")
}

/// Whether `path` is a file that someone may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The name of a command's program, without its directory.
fn program(command: &Command) -> String {
    let path = Path::new(command.get_program());
    path.file_name().unwrap_or_else(|| command.get_program()).to_string_lossy().into_owned()
}

/// The command as someone would type it.
fn line(command: &Command) -> String {
    let words = command.get_args().map(|argument| {
        let word = argument.to_string_lossy();
        if word.is_empty() || word.contains([' ', '*', '(', '|', '&']) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    });
    std::iter::once(program(command)).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_command_can_be_typed() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["bench", "--bench", "*", "two words"]);
        assert_eq!(line(&command), "cargo bench --bench '*' 'two words'");
    }

    #[test]
    fn cargo_is_not_told_of_the_crate_of_these_tasks() {
        let (cargo, known) = (cargo(), env::var_os("CARGO_MANIFEST_DIR"));
        let removed = |name: &str| cargo.get_envs().any(|(it, value)| it == name && value.is_none());
        assert_eq!(removed("CARGO_MANIFEST_DIR"), known.is_some());
        assert!(!removed("CARGO_TARGET_DIR") && !removed("PATH"));
    }

    #[test]
    fn a_failing_program_is_an_error() {
        let error = run(&mut Command::new("false")).unwrap_err();
        assert!(error.to_string().contains("false failed"), "{error}");
    }

    #[test]
    fn a_missing_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("no-such-program-here")).unwrap_err();
        assert!(error.to_string().contains("no-such-program-here"), "{error}");
    }

    #[test]
    fn only_executable_files_are_found() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("trackside-not-a-program"), "text").unwrap();
        assert_eq!(find("trackside-not-a-program", &[directory.path().to_owned()]), None);
        assert!(find("sh", &[]).is_some());
    }
}
