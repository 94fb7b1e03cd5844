//! Processes of a job that left its process group, found by the job's id in their environment.
//!
//! A tool may start a daemon that makes a session of its own and so escapes a signal to the group. Its environment
//! still names the job, unless it was cleared as well. Linux shows environments in `/proc`; elsewhere nothing is
//! found, and such a daemon survives.

use trackside_core::TaskId;

/// The variable that names the job in the environment of each of its processes.
pub(super) const MARK: &str = "TRACKSIDE_JOB_ID";

/// Kills every process that carries the job's id.
pub(super) async fn kill(job_id: TaskId) {
    #[cfg(target_os = "linux")]
    {
        let mark = format!("{MARK}={job_id}").into_bytes();
        if let Err(error) = tokio::task::spawn_blocking(move || linux::kill_marked(&mark)).await {
            tracing::warn!(job.id = %job_id, %error, "cannot look for processes that left their group");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = job_id;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    /// Looks taken until one finds nothing: a process may fork between the look and the signal.
    const LOOKS: usize = 8;

    pub(super) fn kill_marked(mark: &[u8]) {
        for _ in 0..LOOKS {
            let marked = marked(mark);
            if marked.is_empty() {
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
