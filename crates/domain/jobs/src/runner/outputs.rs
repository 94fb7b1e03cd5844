//! The files that a run leaves behind: found by pattern, bounded in size, and never outside the run's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Error, OutputPatterns};

/// Entries looked at in one run's folder.
const MAX_ENTRIES: usize = 20_000;
/// Bytes of the names of all outputs, as JSON: they travel in the result of the task and in the last event of the stream.
const MAX_NAME_BYTES: usize = 16 * 1024;
/// Refused files that are named; the others are counted.
const MAX_NAMED: usize = 10;

/// A file that a job left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOutput {
    /// Its path in the job's folder, such as `index.json` or `charts/sales.svg`.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What it is, guessed from its name.
    pub content_type: String,
}

/// What a run may leave behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files of a run.
    pub total_bytes: u64,
    /// Number of files of a run.
    pub files: usize,
}

// === impl OutputLimits ===

impl Default for OutputLimits {
    fn default() -> Self {
        Self { file_bytes: 64 * 1024 * 1024, total_bytes: 256 * 1024 * 1024, files: 200 }
    }
}

/// The outputs in `folder`, by name, and for each file that was refused a sentence that says why.
pub(super) async fn collect(
    folder: &Path,
    patterns: &OutputPatterns,
    limits: OutputLimits,
) -> Result<(Vec<JobOutput>, Vec<String>), Error> {
    let (folder, patterns) = (folder.to_owned(), patterns.clone());
    let path = folder.clone();
    let collected = tokio::task::spawn_blocking(move || {
        let folder = fs::canonicalize(&folder)?;
        let mut collector =
            Collector { folder, patterns, limits, entries: 0, total: 0, name_bytes: 0, found: vec![], refused: vec![] };
        collector.walk(&PathBuf::new())?;
        collector.found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((collector.found, collector.refused))
    });
    let collected = collected.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    collected.map_err(|source| Error::io("read", path, source))
}

/// Why a run failed whose outputs were refused, in a bounded sentence.
pub(super) fn refusal(refused: &[String]) -> String {
    let named = refused.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
    match refused.len().saturating_sub(MAX_NAMED) {
        0 => format!("outputs refused: {named}"),
        more => format!("outputs refused: {named}; and {more} more"),
    }
}

struct Collector {
    folder: PathBuf,
    patterns: OutputPatterns,
    limits: OutputLimits,
    entries: usize,
    total: u64,
    name_bytes: usize,
    found: Vec<JobOutput>,
    refused: Vec<String>,
}

// === impl Collector ===

impl Collector {
    /// Links to folders are not followed, so the walk ends.
    fn walk(&mut self, below: &Path) -> std::io::Result<()> {
        let mut entries = fs::read_dir(self.folder.join(below))?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                self.refused.push(format!("more than {MAX_ENTRIES} files and folders"));
                return Ok(());
            }
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.walk(&path)?;
            } else if self.patterns.matches(&path) {
                self.consider(&path);
            }
        }
        Ok(())
    }

    fn consider(&mut self, path: &Path) {
        let Some(name) = path.to_str() else {
            self.refused.push(format!("{}: its name is not UTF-8", path.display()));
            return;
        };
        let name_bytes = serde_json::to_string(name).map_or(0, |json| json.len());
        match self.check(path, name_bytes) {
            Ok(bytes) => {
                self.total += bytes;
                self.name_bytes += name_bytes;
                let content_type = mime_guess::from_path(path).first_or_octet_stream().to_string();
                self.found.push(JobOutput { name: name.to_owned(), bytes, content_type });
            }
            Err(reason) => self.refused.push(format!("{name}: {reason}")),
        }
    }

    fn check(&self, path: &Path, name_bytes: usize) -> Result<u64, String> {
        let real = fs::canonicalize(self.folder.join(path)).map_err(|error| error.to_string())?;
        if !real.starts_with(&self.folder) {
            return Err("a link that leaves the job's folder".to_owned());
        }
        let metadata = fs::metadata(&real).map_err(|error| error.to_string())?;
        let (bytes, limits) = (metadata.len(), self.limits);
        if !metadata.is_file() {
            Err("not a regular file".to_owned())
        } else if bytes > limits.file_bytes {
            Err(format!("{bytes} bytes, at most {}", limits.file_bytes))
        } else if self.total + bytes > limits.total_bytes {
            Err(format!("more than {} bytes in all", limits.total_bytes))
        } else if self.found.len() >= limits.files {
            Err(format!("more than {} files", limits.files))
        } else if self.name_bytes + name_bytes > MAX_NAME_BYTES {
            Err(format!("names of more than {MAX_NAME_BYTES} bytes in all"))
        } else {
            Ok(bytes)
        }
    }
}
