//! Processes of a job that left its process group, found by the job's id in their environment.
//!
//! A tool may start a daemon that makes a session of its own and so escapes a signal to the group. Its environment
//! still names the job, unless it was cleared as well. Linux shows environments in `/proc`; elsewhere nothing is
//! found, and such a daemon survives.

use std::path::{Path, PathBuf};

use trackside_core::TaskId;

/// The variable that names the job in the environment of each of its processes.
pub(super) const MARK: &str = "TRACKSIDE_JOB_ID";

/// Kills every process that carries the job's id: what an earlier run of the job left behind on this machine.
pub(super) async fn kill_earlier(job_id: TaskId) {
    kill(job_id, None).await;
}

/// Kills every process that carries the job's id, unless a later run of the job has taken over: that one has killed
/// them already, removed this run's `folder`, and started processes of its own.
pub(super) async fn kill_own(job_id: TaskId, folder: &Path) {
    kill(job_id, Some(folder.to_owned())).await;
}

async fn kill(job_id: TaskId, only_while: Option<PathBuf>) {
    #[cfg(target_os = "linux")]
    {
        let mark = format!("{MARK}={job_id}").into_bytes();
        let kill_marked = move || linux::kill_marked(&mark, only_while.as_deref());
        if let Err(error) = tokio::task::spawn_blocking(kill_marked).await {
            tracing::warn!(job.id = %job_id, %error, "cannot look for processes that left their group");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (job_id, only_while);
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fs, path::Path};

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    /// Looks taken until one finds nothing: a process may fork between the look and the signal.
    const LOOKS: usize = 8;

    pub(super) fn kill_marked(mark: &[u8], only_while: Option<&Path>) {
        for _ in 0..LOOKS {
            let marked = marked(mark);
            // Asked after the look: while the folder was there, a later run had not started anything.
            if marked.is_empty() || only_while.is_some_and(|folder| !folder.exists()) {
                return;
            }
            for process in marked {
                tracing::info!(process.id = process.as_raw(), "killing a process that left its group");
                // It may have ended meanwhile; the next look tells.
                let _ = kill(process, Signal::SIGKILL);
            }
        }
    }

    fn marked(mark: &[u8]) -> Vec<Pid> {
        let own = std::process::id();
        let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).filter(|id| *id != own);
        // Other users' environments cannot be read, and a dead process has none.
        let carries = |id: &u32| {
            fs::read(format!("/proc/{id}/environ")).is_ok_and(|all| all.split(|byte| *byte == 0).any(|v| v == mark))
        };
        ids.filter(carries).filter_map(|id| i32::try_from(id).ok()).map(Pid::from_raw).collect()
    }
}
