//! The data directory, and who may use it.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use anyhow::{Context, bail};

/// A data directory that this process may use; free for others when dropped, or when the process dies.
#[derive(Debug)]
pub(super) struct DataDir {
    /// The operating system keeps the lock for as long as the file is open.
    _lock: File,
}

// === impl DataDir ===

impl DataDir {
    /// Makes the directory where it is missing, and claims it.
    ///
    /// Processes that share their queues through Redis may share it. One whose queues are in its own memory may not:
    /// another would take its jobs for lost.
    pub(super) fn open(folder: &Path, alone: bool) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the data directory {}", folder.display()))?;
        let path = folder.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot write in the data directory {}", folder.display()))?;
        let claimed = if alone { lock.try_lock() } else { lock.try_lock_shared() };
        match claimed {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "the data directory {} is in use by another trackside: give this one its own with --data-dir, \
                 or let both use the same Redis",
                folder.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the data directory {}", folder.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_with_shared_queues_share_a_data_directory() {
        let folder = tempfile::tempdir().unwrap();
        let one = DataDir::open(folder.path(), false).unwrap();
        let two = DataDir::open(folder.path(), false).unwrap();
        assert!(DataDir::open(folder.path(), true).unwrap_err().to_string().contains("--data-dir"));
        drop((one, two));
        let alone = DataDir::open(folder.path(), true).unwrap();
        assert!(DataDir::open(folder.path(), false).is_err());
        drop(alone);
        assert!(DataDir::open(folder.path(), false).is_ok());
    }
}
