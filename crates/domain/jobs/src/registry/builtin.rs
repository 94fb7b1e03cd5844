//! The tools that are built into the program, so that it does real work on a machine where nothing was set up.

use std::{fs, path::Path};

use crate::Error;

/// Every file of the tools folder: its path below it, and its content.
macro_rules! embedded {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../../../tools/", $path)))),*]
    };
}

const FILES: &[(&str, &[u8])] = embedded![
    "csv_summary.py",
    "csv_summary.toml",
    "input/departures.csv",
    "input/documents/01-interlocking.md",
    "input/documents/02-track-circuit.md",
    "input/documents/03-axle-counter.txt",
    "input/documents/04-block.md",
    "input/documents/05-token.md",
    "input/documents/06-brake.md",
    "input/documents/07-dead-man.txt",
    "input/documents/08-timetable.md",
    "input/documents/09-dispatcher.md",
    "input/documents/10-maintenance.txt",
    "input/documents/11-logbook.md",
    "input/documents/12-level-crossing.md",
    "input/workspace/Cargo.toml",
    "input/workspace/app/Cargo.toml",
    "input/workspace/crates/dispatch/Cargo.toml",
    "input/workspace/crates/interlocking/Cargo.toml",
    "input/workspace/crates/occupancy/Cargo.toml",
    "input/workspace/crates/simulation/Cargo.toml",
    "input/workspace/crates/timetable/Cargo.toml",
    "input/workspace/crates/topology/Cargo.toml",
    "input/workspace/crates/units/Cargo.toml",
    "word_index.sh",
    "word_index.toml",
    "word_index_json.awk",
    "word_index_report.awk",
    "word_index_terms.awk",
    "workspace_graph.py",
    "workspace_graph.toml",
];

/// Writes the tools below `folder`, leaving alone what is there already and the same.
pub(super) fn unpack(folder: &Path) -> Result<(), Error> {
    for (name, content) in FILES {
        let path = folder.join(name);
        if fs::read(&path).is_ok_and(|there| there == *content) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|source| Error::io("create", parent, source))?;
        }
        // Written beside and renamed, so that another process reading the folder never sees half a file.
        let half = path.with_extension(format!("{}.part", std::process::id()));
        fs::write(&half, content).map_err(|source| Error::io("write", &half, source))?;
        fs::rename(&half, &path).map_err(|source| Error::io("write", &path, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn files_below(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true if name == "__pycache__" => {}
                true => files_below(&entry.path(), &format!("{name}/"), found),
                false => drop(found.insert(name)),
            }
        }
    }

    #[test]
    fn every_file_of_the_tools_folder_is_built_in() {
        let kinds = [".awk", ".py", ".sh", ".toml"];
        let is_part = |name: &String| name.starts_with("input/") || kinds.iter().any(|kind| name.ends_with(kind));
        let mut there = BTreeSet::new();
        files_below(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tools")), "", &mut there);
        there.retain(is_part);
        let built_in: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(built_in, there);
    }

    #[test]
    fn unpacking_again_repairs_and_keeps_the_times_of_what_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        unpack(folder.path()).unwrap();
        let untouched = folder.path().join("word_index.toml");
        let before = fs::metadata(&untouched).unwrap().modified().unwrap();
        fs::write(folder.path().join("word_index.sh"), "broken").unwrap();
        unpack(folder.path()).unwrap();
        assert_ne!(fs::read(folder.path().join("word_index.sh")).unwrap(), b"broken");
        assert_eq!(fs::metadata(&untouched).unwrap().modified().unwrap(), before);
    }
}
