//! The folders of jobs: `<root>/<job id>/run-<run>`, made for a run, kept for its outputs, removed by age.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::fs;
use trackside_core::TaskId;

use super::run_folder;
use crate::Error;

/// Where the folders of jobs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolders {
    root: PathBuf,
}

// === impl JobFolders ===

impl JobFolders {
    /// Folders below `root`, which is made when it is needed.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        // Tools run in these folders, so a path that depends on the current one would mean something else to them.
        Self { root: std::path::absolute(&root).unwrap_or(root) }
    }

    /// The folder of all jobs.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a run of a job is, whether it exists or not.
    #[must_use]
    pub fn run(&self, job_id: TaskId, run: u64) -> PathBuf {
        run_folder(&self.root, job_id, run)
    }

    /// A fresh folder for a run; what earlier runs of the job left is removed.
    pub(crate) async fn prepare(&self, job_id: TaskId, run: u64) -> Result<PathBuf, Error> {
        self.remove(job_id).await?;
        let folder = self.run(job_id, run);
        fs::create_dir_all(&folder).await.map_err(|source| Error::io("create", &folder, source))?;
        Ok(folder)
    }

    /// Removes everything a job left.
    ///
    /// # Errors
    /// When a folder that exists cannot be removed.
    pub async fn remove(&self, job_id: TaskId) -> Result<(), Error> {
        let folder = self.root.join(job_id.to_string());
        match fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", folder, error)),
            _ => Ok(()),
        }
    }

    /// Removes the folders of jobs whose last run began more than `age` ago, except those in `keep`; answers how many.
    ///
    /// # Errors
    /// When the folder of all jobs exists and cannot be read.
    pub async fn remove_older_than(&self, age: Duration, keep: impl Fn(TaskId) -> bool) -> Result<usize, Error> {
        let mut entries = match fs::read_dir(&self.root).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::io("read", &self.root, error)),
        };
        let mut removed = 0;
        while let Some(entry) = entries.next_entry().await.map_err(|source| Error::io("read", &self.root, source))? {
            // What is not named like a job was not made by us.
            let Some(job_id) = entry.file_name().to_str().and_then(|name| name.parse::<TaskId>().ok()) else {
                continue;
            };
            let changed = entry.metadata().await.and_then(|metadata| metadata.modified()).ok();
            let is_old = changed.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|a| a >= age);
            if is_old && !keep(job_id) {
                self.remove(job_id).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The file of an output, when it is a regular file inside the run's folder (R-I4).
    pub(crate) async fn output(&self, job_id: TaskId, run: u64, name: &str) -> Option<PathBuf> {
        let folder = fs::canonicalize(self.run(job_id, run)).await.ok()?;
        let file = fs::canonicalize(folder.join(name)).await.ok()?;
        let is_file = fs::metadata(&file).await.is_ok_and(|metadata| metadata.is_file());
        (is_file && file.starts_with(&folder)).then_some(file)
    }
}
