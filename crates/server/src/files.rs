//! Files that are read again when they change.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;

/// How often a running service looks whether a file has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one version of a file from the next; nothing while there is none.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Calls `changed` within a second or two of each change of one of these files, until `end`. The first look calls it too:
/// a file may have changed between its first reading and now.
pub(crate) async fn on_change(paths: Vec<PathBuf>, end: CancellationToken, mut changed: impl FnMut()) {
    let mut seen = None;
    while end.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        let now: Option<Vec<Stamp>> = Some(paths.iter().map(|path| stamp(path)).collect());
        if now != seen {
            seen = now;
            changed();
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.ino(), meta.len()))
}
