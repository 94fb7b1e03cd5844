//! Reading a folder of manifests.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{ManifestProblem, Tool};
use crate::ToolManifest;

/// Manifests read from one folder; more than this is a folder that was not meant.
const MAX_MANIFESTS: usize = 1_000;
const MAX_MANIFEST_BYTES: u64 = 64 * 1024;

/// What tells that a folder changed: the name, time and size of each manifest, sorted by name.
pub(super) type Fingerprint = Vec<(PathBuf, Option<SystemTime>, u64)>;

#[derive(Debug)]
pub(super) struct Scan {
    pub(super) tools: BTreeMap<String, Arc<Tool>>,
    pub(super) problems: Vec<ManifestProblem>,
}

/// Looks at the folder without reading its files.
pub(super) fn fingerprint(folder: &Path) -> std::io::Result<Fingerprint> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // A file that is removed between the two calls is one that is not there.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() && path.extension().is_some_and(|extension| extension == "toml") {
            found.push((path, metadata.modified().ok(), metadata.len()));
        }
    }
    found.sort();
    found.truncate(MAX_MANIFESTS);
    Ok(found)
}

/// Reads every manifest; those that are wrong become problems.
pub(super) fn read(folder: &Path, fingerprint: &Fingerprint) -> Scan {
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut scan = Scan { tools: BTreeMap::new(), problems: Vec::new() };
    for (path, _, bytes) in fingerprint {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let checked = read_one(path, *bytes).and_then(|manifest| match taken.get(&manifest.name) {
            Some(other) => Err(format!("name: `{}` is taken by {other}", manifest.name)),
            None => Ok(manifest),
        });
        match checked {
            Ok(manifest) => {
                taken.insert(manifest.name.clone(), file);
                let name = manifest.name.clone();
                scan.tools.insert(name, Arc::new(Tool { manifest, folder: folder.to_owned() }));
            }
            Err(reason) => scan.problems.push(ManifestProblem { file, reason }),
        }
    }
    scan
}

fn read_one(path: &Path, bytes: u64) -> Result<ToolManifest, String> {
    if bytes > MAX_MANIFEST_BYTES {
        return Err(format!("{bytes} bytes, at most {MAX_MANIFEST_BYTES}"));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    ToolManifest::parse(&text).map_err(|error| error.to_string())
}
