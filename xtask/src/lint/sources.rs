//! The files that the rules read: Rust, Lua, Markdown and cargo manifests, wherever they are in the repository.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What the bundled tools are shown on: data, whatever it looks like.
const SAMPLES: &str = "tools/input";

/// One text file.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Relative to the root of the repository.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) text: String,
}

/// Every file that a rule may want to see, in no particular order.
pub(crate) fn read(root: &Path) -> anyhow::Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if !is_foreign(&path) && path != root.join(SAMPLES) {
                    folders.push(path);
                }
            } else if is_source(&path) {
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                files.push(SourceFile { path: path.strip_prefix(root).unwrap_or(&path).to_owned(), text });
            }
        }
    }
    Ok(files)
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs" || extension == "lua" || extension == "md")
        || path.file_name().is_some_and(|name| name == "Cargo.toml")
}

/// Hidden folders, and folders marked as a cache, which is what cargo does with each target directory.
fn is_foreign(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
        || folder.join("CACHEDIR.TAG").exists()
}

// === impl SourceFile ===

impl SourceFile {
    pub(crate) fn extension(&self) -> &str {
        self.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }

    #[cfg(test)]
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_directories_hidden_folders_and_samples_are_not_read() {
        let root = tempfile::tempdir().unwrap();
        for (folder, tag) in [("crates/a", false), ("target", true), (".git", false), (SAMPLES, false)] {
            let folder = root.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("file.rs"), "").unwrap();
            std::fs::write(folder.join("notes.txt"), "").unwrap();
            if tag {
                std::fs::write(folder.join("CACHEDIR.TAG"), "").unwrap();
            }
        }
        let paths: Vec<_> = read(root.path()).unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, [PathBuf::from("crates/a/file.rs")]);
    }
}
