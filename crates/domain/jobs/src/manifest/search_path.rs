//! Where programs are looked for; also the `PATH` that tools are given.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

/// Folders in the form of the `PATH` variable.
///
/// The default is the standard folders of a Unix system; a service passes its own `PATH`.
///
/// ```
/// use trackside_jobs::SearchPath;
/// assert!(SearchPath::default().find("sh").is_some());
/// assert!(SearchPath::new("/nowhere").find("sh").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath(OsString);

// === impl SearchPath ===

impl SearchPath {
    /// From the text of a `PATH` variable.
    #[must_use]
    pub fn new(path: impl Into<OsString>) -> Self {
        Self(path.into())
    }

    /// The first program of this name.
    #[must_use]
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.0).map(|folder| folder.join(program)).find(|program| program.is_file())
    }

    /// The text of the `PATH` variable.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }
}

impl Default for SearchPath {
    fn default() -> Self {
        Self::new("/usr/local/bin:/usr/bin:/bin")
    }
}
