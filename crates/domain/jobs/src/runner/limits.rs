//! What a tool may use of the machine: limits of the operating system, set before its first instruction.
//!
//! A process can set limits for itself only (another's could be set from outside, but not before it has run). A few words
//! of `sh` set them and become the tool with `exec`: same process, same arguments. The words are fixed; program and
//! arguments are positional parameters, which a shell hands on as they are.

use std::{ffi::OsStr, path::Path, time::Duration};

use tokio::process::Command;

/// Each limit in turn, `-` for none. A limit that cannot be set is one that is stricter already, or is not known to the
/// shell; `ulimit -p` and `-u` are two names of one limit. Then nothing of the shell's own is left in the environment.
const LIMIT: &str = "ulimit -c 0
for flag in t v f n; do [ \"$1\" = - ] || ulimit -$flag \"$1\" 2>/dev/null; shift; done
[ \"$1\" = - ] || ulimit -p \"$1\" 2>/dev/null || ulimit -u \"$1\" 2>/dev/null
shift
unset PWD OLDPWD SHLVL
exec \"$@\"";

/// The unit in which a shell counts the size of files.
const BLOCK: u64 = 512;
/// The unit in which it counts memory.
const KIB: u64 = 1_024;

/// What each process of a tool may use; `None` is as much as the worker itself may.
///
/// ```
/// use std::time::Duration;
/// use trackside_jobs::ResourceLimits;
/// let limits = ResourceLimits { cpu: Some(Duration::from_secs(600)), ..ResourceLimits::default() };
/// assert_eq!(limits.open_files, Some(1_024));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimits {
    /// Processor time, in whole seconds; the process is killed (`SIGXCPU`).
    pub cpu: Option<Duration>,
    /// Address space, in bytes; allocations fail. Programs that reserve far more than they use (Java, Go, Node) need much.
    pub memory_bytes: Option<u64>,
    /// The largest file that may be written, in bytes; the process is killed (`SIGXFSZ`).
    pub file_bytes: Option<u64>,
    /// Files and sockets open at once.
    pub open_files: Option<u64>,
    /// Processes of the user under which the worker runs, all programs together.
    pub processes: Option<u64>,
}

// === impl ResourceLimits ===

impl ResourceLimits {
    /// A command that becomes `program` under these limits.
    pub(super) fn command(&self, program: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let word = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.max(1).to_string());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LIMIT, "trackside-limits"]);
        command.arg(word(self.cpu.map(|cpu| cpu.as_secs())));
        command.arg(word(self.memory_bytes.map(|bytes| bytes / KIB)));
        command.arg(word(self.file_bytes.map(|bytes| bytes.div_ceil(BLOCK))));
        command.arg(word(self.open_files)).arg(word(self.processes));
        command.arg(program).args(arguments);
        command
    }
}

impl Default for ResourceLimits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self { cpu: None, memory_bytes: None, file_bytes: Some(GIB), open_files: Some(1_024), processes: None }
    }
}
