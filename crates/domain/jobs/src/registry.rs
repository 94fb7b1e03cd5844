//! The tools of a folder, kept in memory and read again when a manifest changes.

mod builtin;
mod scan;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Error, SearchPath, ToolManifest, error::nearest};
use scan::{Fingerprint, Scan};

/// A folder is looked at again no sooner than this after the last look.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The tools of one folder. Clones share it.
///
/// Every access looks at the folder when the last look is more than a second old, and reads it again when a manifest
/// was added, changed or removed. A manifest that is wrong is reported in [`problems`](Self::problems) and in the log;
/// the other tools stay.
///
/// ```
/// use trackside_jobs::ToolRegistry;
/// let data = tempfile::tempdir()?;
/// let registry = ToolRegistry::load_builtin(data.path())?;
/// assert!(registry.tools().iter().any(|tool| tool.name == "word-index"));
/// let error = registry.get("word-indx").unwrap_err();
/// assert_eq!(error.to_string(), "unknown tool `word-indx`, did you mean `word-index`?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ToolRegistry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    search_path: SearchPath,
    look_every: Duration,
    current: RwLock<Arc<Snapshot>>,
    /// Held by the one caller that looks at the folder; the others go on with what is known.
    last_look: Mutex<Instant>,
}

/// What one reading of the folder found.
#[derive(Debug)]
struct Snapshot {
    tools: BTreeMap<String, Arc<Tool>>,
    problems: Vec<ManifestProblem>,
    fingerprint: Fingerprint,
    revision: u64,
}

/// A tool, and where its manifest is.
#[derive(Debug)]
pub struct Tool {
    /// What the manifest says.
    pub manifest: ToolManifest,
    /// The folder of the manifest; programs and scripts are looked up here first.
    pub folder: PathBuf,
}

/// What a caller may know of a tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolInfo {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its parameters.
    pub parameters: Value,
    /// How long one run may take.
    pub timeout_ms: u64,
    /// Which files it leaves.
    pub outputs: Vec<String>,
    /// Where its jobs wait.
    pub queue: String,
    /// Why it cannot run on this machine, such as a program that is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A manifest that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManifestProblem {
    /// The file's name in the folder.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

// === impl ToolRegistry ===

impl ToolRegistry {
    /// Reads the manifests of a folder, with the standard search path.
    ///
    /// # Errors
    /// When the folder cannot be read. A wrong manifest is no error, see [`problems`](Self::problems).
    pub fn load(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::load_with(folder, SearchPath::default())
    }

    /// Reads the manifests of a folder; programs that are not beside them are looked for in `search_path`.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn load_with(folder: impl Into<PathBuf>, search_path: SearchPath) -> Result<Self, Error> {
        Self::open(folder.into(), search_path, LOOK_EVERY)
    }

    /// Unpacks the tools that are built into this program below `data_folder` and reads them.
    ///
    /// # Errors
    /// When they cannot be written or read.
    pub fn load_builtin(data_folder: &Path) -> Result<Self, Error> {
        Self::load_builtin_with(data_folder, SearchPath::default())
    }

    /// [`load_builtin`](Self::load_builtin) with a search path.
    ///
    /// # Errors
    /// When they cannot be written or read.
    pub fn load_builtin_with(data_folder: &Path, search_path: SearchPath) -> Result<Self, Error> {
        let folder = data_folder.join("builtin-tools");
        builtin::unpack(&folder)?;
        Self::load_with(folder, search_path)
    }

    fn open(folder: PathBuf, search_path: SearchPath, look_every: Duration) -> Result<Self, Error> {
        // Jobs run in folders of their own, so what is handed to them has to be absolute.
        let folder = std::path::absolute(&folder).map_err(|source| Error::io("find", &folder, source))?;
        let fingerprint = scan::fingerprint(&folder).map_err(|source| Error::io("read", &folder, source))?;
        let first = Snapshot::read(&folder, fingerprint, 1);
        let (current, last_look) = (RwLock::new(Arc::new(first)), Mutex::new(Instant::now()));
        Ok(Self { inner: Arc::new(Inner { folder, search_path, look_every, current, last_look }) })
    }

    /// All tools, by name.
    #[must_use]
    pub fn tools(&self) -> Vec<ToolInfo> {
        self.snapshot().tools.values().map(|tool| tool.info(&self.inner.search_path)).collect()
    }

    /// The manifests that were refused.
    #[must_use]
    pub fn problems(&self) -> Vec<ManifestProblem> {
        self.snapshot().problems.clone()
    }

    /// Grows each time the folder was read again; what was made from an older one is out of date.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.snapshot().revision
    }

    /// A tool by its name.
    ///
    /// # Errors
    /// [`Error::UnknownTool`] with the nearest name there is.
    pub fn get(&self, name: &str) -> Result<Arc<Tool>, Error> {
        let snapshot = self.snapshot();
        snapshot.tools.get(name).cloned().ok_or_else(|| Error::UnknownTool {
            name: name.chars().take(80).collect(),
            suggestion: nearest(name, snapshot.tools.keys().map(String::as_str)).map(str::to_owned),
        })
    }

    /// The parameters for a tool with defaults filled in.
    ///
    /// # Errors
    /// [`Error::UnknownTool`], or [`Error::InvalidParams`] with every field that is wrong.
    pub fn validate(&self, name: &str, params: Value) -> Result<Value, Error> {
        self.get(name)?.validate(params).map(Value::Object)
    }

    /// Where programs are looked for that are not beside a manifest.
    #[must_use]
    pub fn search_path(&self) -> &SearchPath {
        &self.inner.search_path
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.look_again_when_due();
        Arc::clone(&self.inner.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn look_again_when_due(&self) {
        let inner = &*self.inner;
        let Ok(mut last_look) = inner.last_look.try_lock() else { return };
        if last_look.elapsed() < inner.look_every {
            return;
        }
        *last_look = Instant::now();
        let (known, revision) = {
            let current = inner.current.read().unwrap_or_else(PoisonError::into_inner);
            (current.fingerprint.clone(), current.revision)
        };
        match scan::fingerprint(&inner.folder) {
            Ok(found) if found != known => {
                let next = Arc::new(Snapshot::read(&inner.folder, found, revision + 1));
                tracing::info!(tools.count = next.tools.len(), tools.folder = %inner.folder.display(), "tools read again");
                *inner.current.write().unwrap_or_else(PoisonError::into_inner) = next;
            }
            Ok(_) => {}
            // The tools that are known stay usable; the folder may be in the middle of being replaced.
            Err(error) => {
                tracing::warn!(tools.folder = %inner.folder.display(), %error, "cannot read the tools folder");
            }
        }
    }
}

// === impl Snapshot ===

impl Snapshot {
    fn read(folder: &Path, fingerprint: Fingerprint, revision: u64) -> Self {
        let Scan { tools, problems } = scan::read(folder, &fingerprint);
        for problem in &problems {
            tracing::warn!(tool.manifest = problem.file, reason = problem.reason, "tool manifest refused");
        }
        Self { tools, problems, fingerprint, revision }
    }
}

// === impl Tool ===

impl Tool {
    /// What a caller may know of it.
    #[must_use]
    pub fn info(&self, search_path: &SearchPath) -> ToolInfo {
        let manifest = &self.manifest;
        ToolInfo {
            name: manifest.name.clone(),
            description: manifest.description.clone(),
            parameters: manifest.parameters.as_json().clone(),
            timeout_ms: u64::try_from(manifest.timeout.as_millis()).unwrap_or(u64::MAX),
            outputs: manifest.outputs.patterns().to_vec(),
            queue: manifest.queue.to_string(),
            problem: manifest.problem(&self.folder, search_path),
        }
    }

    /// Parameters for it with defaults filled in.
    ///
    /// # Errors
    /// [`Error::InvalidParams`] with every field that is wrong.
    pub fn validate(&self, params: Value) -> Result<Map<String, Value>, Error> {
        let refused = |errors| Error::InvalidParams { tool: self.manifest.name.clone(), errors };
        self.manifest.parameters.validate(params).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry_that_always_looks(folder: &Path) -> ToolRegistry {
        ToolRegistry::open(folder.to_owned(), SearchPath::default(), Duration::ZERO).unwrap()
    }

    fn write(folder: &Path, file: &str, text: &str) {
        std::fs::write(folder.join(file), text).unwrap();
    }

    fn names(registry: &ToolRegistry) -> Vec<String> {
        registry.tools().into_iter().map(|tool| tool.name).collect()
    }

    #[test]
    fn tools_come_change_and_go_with_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry_that_always_looks(folder.path());
        assert!(names(&registry).is_empty());

        write(folder.path(), "a.toml", "name = \"first\"\ncommand = [\"true\"]");
        assert_eq!(names(&registry), ["first"]);
        let revision = registry.revision();
        assert_eq!(registry.revision(), revision, "nothing changed, so nothing was read");

        write(folder.path(), "a.toml", "name = \"renamed\"\ncommand = [\"true\"]");
        assert_eq!(names(&registry), ["renamed"]);
        std::fs::remove_file(folder.path().join("a.toml")).unwrap();
        assert!(names(&registry).is_empty());
        assert!(registry.revision() > revision);
    }

    #[test]
    fn a_broken_manifest_and_a_second_one_of_a_name_leave_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.toml", "name = \"good\"\ncommand = [\"true\"]");
        write(folder.path(), "b.toml", "name = ");
        write(folder.path(), "c.toml", "name = \"good\"\ncommand = [\"false\"]");
        write(folder.path(), "notes.txt", "not a manifest");
        let registry = registry_that_always_looks(folder.path());
        assert_eq!(names(&registry), ["good"]);
        assert_eq!(registry.get("good").unwrap().manifest.command.program(), "true");
        let problems = registry.problems();
        assert_eq!(problems.iter().map(|p| p.file.as_str()).collect::<Vec<_>>(), ["b.toml", "c.toml"]);
        assert_eq!(problems[1].reason, "name: `good` is taken by a.toml");
    }

    #[test]
    fn the_folder_is_looked_at_at_most_once_in_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let registry =
            ToolRegistry::open(folder.path().to_owned(), SearchPath::default(), Duration::from_secs(3_600)).unwrap();
        write(folder.path(), "a.toml", "name = \"late\"\ncommand = [\"true\"]");
        assert!(names(&registry).is_empty());
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error_and_one_that_vanishes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a.toml", "name = \"stays\"\ncommand = [\"true\"]");
        let registry = registry_that_always_looks(folder.path());
        let path = folder.path().to_owned();
        drop(folder);
        assert!(ToolRegistry::load(path).is_err());
        assert_eq!(names(&registry), ["stays"]);
    }
}
