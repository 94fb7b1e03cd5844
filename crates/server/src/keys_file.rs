//! The file of API keys: read by the service, written by `trackside token`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use trackside_api::{Access, ApiKeyRecord, KeyRing};

use crate::files;

const HEADING: &str = "\
# API keys of Trackside: hashes only, the keys themselves are told once. Written by `trackside token create | revoke`; a
# running service notices a change within a second.
";

/// The file.
#[derive(Debug, Clone)]
pub(crate) struct KeysFile {
    path: PathBuf,
}

/// Brings the changes of the file to a running service.
#[derive(Debug)]
pub(crate) struct Follower {
    file: KeysFile,
    keys: watch::Sender<Arc<KeyRing>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default)]
    key: Vec<ApiKeyRecord>,
}

// === impl KeysFile ===

impl KeysFile {
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The keys as a service uses them.
    ///
    /// # Errors
    /// When the file cannot be read, is malformed, or may be written by anybody on this machine.
    pub(crate) fn ring(&self) -> anyhow::Result<KeyRing> {
        let at = || self.path.display().to_string();
        ensure!(!writable_by_all(&self.path)?, "{} may be written by everybody: chmod 600 it", at());
        let hint = "cannot read the API keys; `trackside token create` makes the file";
        let text = fs::read_to_string(&self.path).with_context(|| format!("{}: {hint}", at()))?;
        KeyRing::new(parse(&text).with_context(at)?).with_context(at)
    }

    /// What stands in the file; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read or is malformed.
    pub(crate) fn records(&self) -> anyhow::Result<Vec<ApiKeyRecord>> {
        let at = || self.path.display().to_string();
        match fs::read_to_string(&self.path) {
            Ok(text) => parse(&text).with_context(at),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error).with_context(at),
        }
    }

    /// Changes what stands in the file, as one step: readers see the old file or the new one, and two changes at once
    /// happen one after the other.
    ///
    /// # Errors
    /// When the change fails, which leaves the file as it is, or when it cannot be written.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<ApiKeyRecord>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        // What replaces a link would leave the file behind it as it was.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let at = || path.display().to_string();
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let lock = File::open(folder).with_context(|| folder.display().to_string())?;
        lock.lock().with_context(|| format!("cannot lock {}", folder.display()))?;
        let mut contents = Contents { key: self.records()? };
        let changed = change(&mut contents.key)?;
        KeyRing::new(contents.key.iter().cloned()).with_context(at)?;
        let text = toml::to_string(&contents).context("the keys")?;
        // A temporary file is readable by its owner alone from the beginning.
        let mut new = tempfile::NamedTempFile::new_in(folder).with_context(at)?;
        write!(new, "{HEADING}\n{text}").and_then(|()| new.as_file().sync_all()).with_context(at)?;
        new.persist(&path).with_context(at)?;
        lock.sync_all().with_context(at)?;
        Ok(changed)
    }

    /// The keys for a service, and what keeps them up to date while it runs.
    ///
    /// # Errors
    /// As for [`ring`](Self::ring).
    pub(crate) fn serve(self) -> anyhow::Result<(Access, Follower)> {
        let (access, keys) = Access::by_keys(self.ring()?);
        Ok((access, Follower { file: self, keys }))
    }
}

// === impl Follower ===

impl Follower {
    /// Brings every change of the file to the service until `end`. A file that cannot be used leaves the keys as they are.
    pub(crate) async fn run(self, end: CancellationToken) {
        let Self { file, keys } = self;
        files::on_change(vec![file.path.clone()], end, || match file.ring() {
            Ok(ring) => {
                let count = ring.len();
                tracing::info!(keys.count = count, "the API keys were read again: {count}");
                keys.send_replace(Arc::new(ring));
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the API keys cannot be read; those that were known stay in force");
            }
        })
        .await;
    }
}

fn parse(text: &str) -> anyhow::Result<Vec<ApiKeyRecord>> {
    let contents: Contents = toml::from_str(text)?;
    Ok(contents.key)
}

fn writable_by_all(path: &Path) -> anyhow::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.permissions().mode() & 0o002 != 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// The file that commands change: the one that is named, else that of the settings.
///
/// # Errors
/// When none is named anywhere.
pub(crate) fn named(file: Option<&Path>, environment: &BTreeMap<String, String>) -> anyhow::Result<KeysFile> {
    let settings = || environment.get("TRACKSIDE_API_KEYS_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = file.map(Path::to_owned).or_else(settings);
    let path = path.context("which file? --file or TRACKSIDE_API_KEYS_FILE names it")?;
    Ok(KeysFile { path })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use trackside_api::{ApiKeySecret, Binding, Scope};

    use super::*;

    fn record(name: &str) -> ApiKeyRecord {
        ApiKeyRecord::new(name, &ApiKeySecret::generate().unwrap(), &[Scope::Read], Binding::default(), None)
    }

    fn add(file: &KeysFile, record: ApiKeyRecord) -> anyhow::Result<()> {
        file.change(|keys| {
            keys.push(record);
            Ok(())
        })
    }

    #[test]
    fn a_file_is_made_for_its_owner_alone_and_keeps_what_it_held() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeysFile::at(&folder.path().join("keys.toml"));
        for name in ["one", "two"] {
            add(&file, record(name)).unwrap();
        }
        let mode = fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let names: Vec<String> = file.records().unwrap().into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["one", "two"]);
        assert_eq!(file.ring().unwrap().len(), 2);
        // A change that fails, and one that would make a file that nobody could read.
        assert!(file.change(|_| anyhow::bail!("no") as anyhow::Result<()>).is_err());
        assert!(add(&file, file.records().unwrap().remove(0)).is_err());
        assert_eq!(file.records().unwrap().len(), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn changes_at_once_happen_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeysFile::at(&folder.path().join("keys.toml"));
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| add(&file, record("x")).unwrap());
            }
        });
        assert_eq!(file.records().unwrap().len(), 8);
    }

    #[test]
    fn a_file_that_anybody_may_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeysFile::at(&folder.path().join("keys.toml"));
        assert!(format!("{:#}", file.ring().unwrap_err()).contains("trackside token create"));
        add(&file, record("x")).unwrap();
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(format!("{:#}", file.ring().unwrap_err()).contains("chmod 600"));
    }
}
