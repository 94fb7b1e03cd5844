//! Which files of a job's folder are its outputs: glob patterns relative to that folder.

use std::path::{Component, Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::ManifestError;

/// Patterns such as `*.json` or `charts/**/*.svg`; `*` does not cross a `/`.
///
/// ```
/// # let manifest = trackside_jobs::ToolManifest::parse(
/// #     "name = \"a\"\ncommand = [\"true\"]\noutputs = [\"*.json\"]").unwrap();
/// assert!(manifest.outputs.matches("index.json"));
/// assert!(!manifest.outputs.matches("deep/index.json"));
/// ```
#[derive(Debug, Clone)]
pub struct OutputPatterns {
    patterns: Vec<String>,
    set: GlobSet,
}

// === impl OutputPatterns ===

impl OutputPatterns {
    pub(crate) fn compile(patterns: Vec<String>) -> Result<Self, ManifestError> {
        let mut set = GlobSetBuilder::new();
        for pattern in &patterns {
            let escapes = Path::new(pattern).components().any(|part| !matches!(part, Component::Normal(_)));
            if escapes || pattern.is_empty() {
                return Err(ManifestError::new(format!("outputs: `{pattern}` leaves the job's folder")));
            }
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            set.add(glob.map_err(|error| ManifestError::new(format!("outputs: `{pattern}`: {}", error.kind())))?);
        }
        let set = set.build().map_err(|error| ManifestError::new(format!("outputs: {error}")))?;
        Ok(Self { patterns, set })
    }

    /// The patterns as the manifest has them.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a path relative to the job's folder is an output.
    #[must_use]
    pub fn matches(&self, path: impl AsRef<Path>) -> bool {
        self.set.is_match(path)
    }
}
