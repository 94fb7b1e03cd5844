//! The workspace as cargo describes it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// Where things are, and which crates there are.
#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
}

// === impl Workspace ===

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> anyhow::Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata =
            MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cannot read the workspace")?;
        Ok(Self { metadata })
    }

    /// The folder of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Where cargo puts what it builds.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// Where downloaded test tools are kept: removed by `cargo clean`, never in the source tree.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target().join("tools")
    }

    /// Every crate of the workspace.
    pub(crate) fn packages(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// Whether a crate of this name has something to document and to import.
    pub(crate) fn is_library(&self, name: &str) -> bool {
        let is_named = |package: &&&Package| package.name.as_str() == name;
        self.packages()
            .iter()
            .find(is_named)
            .is_some_and(|package| package.targets.iter().any(|target| target.is_lib()))
    }

    /// The folder of a crate, relative to the root.
    pub(crate) fn folder(&self, package: &Package) -> PathBuf {
        let folder = package.manifest_path.parent().map_or_else(|| Path::new(""), |parent| parent.as_std_path());
        folder.strip_prefix(self.root()).unwrap_or(folder).to_owned()
    }
}
