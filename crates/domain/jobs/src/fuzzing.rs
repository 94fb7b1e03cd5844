//! Readers of what others wrote, as functions of the bytes: what fuzzing runs. No part of the API.

use serde_json::Value;
use trackside_core::fuzzing::Target;

use crate::{JobRecord, JobUpdate, RunEvent, ToolManifest, runner::event_of_line};

/// Each reader with its name.
pub const TARGETS: &[Target] =
    &[("jobs_line", line), ("jobs_manifest", manifest), ("jobs_parameters", parameters), ("jobs_records", records)];

/// A line that a tool printed.
fn line(bytes: &[u8]) {
    if let RunEvent::Progress { percent: Some(percent), .. } = event_of_line(String::from_utf8_lossy(bytes).into()) {
        assert!((0.0..=100.0).contains(&percent), "{percent}");
    }
}

fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ToolManifest::parse(text) {
        Ok(manifest) => hold(&manifest, serde_json::json!({})),
        Err(error) => assert!(!error.to_string().contains('\n'), "one line: {error}"),
    }
}

/// A manifest up to a line of three dashes, then the parameters of a job.
fn parameters(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some((manifest, params)) = text.split_once("\n---\n") else { return };
    let (Ok(manifest), Ok(params)) = (ToolManifest::parse(manifest), serde_json::from_str(params)) else { return };
    hold(&manifest, params);
}

/// Whatever the parameters are, the program and the number of its arguments are those of the manifest.
fn hold(manifest: &ToolManifest, params: Value) {
    for pattern in manifest.outputs.patterns() {
        assert!(!pattern.starts_with('/') && !pattern.split('/').any(|part| part == ".."), "{pattern}");
    }
    match manifest.parameters.validate(params) {
        Ok(params) => {
            let arguments = manifest.command.arguments(&params);
            let empty = manifest.command.arguments(&serde_json::Map::new());
            assert_eq!((arguments.first(), arguments.len()), (empty.first(), empty.len()), "{arguments:?}");
        }
        Err(fields) => assert!((1..=20).contains(&fields.len()), "{fields:?}"),
    }
}

/// What Redis holds of a job, and a message about one.
fn records(bytes: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<JobRecord>(bytes) {
        assert!(serde_json::to_vec(&record).is_ok(), "{record:?}");
    }
    if let Ok(update) = serde_json::from_slice::<JobUpdate>(bytes) {
        let written = serde_json::to_vec(&update);
        let again = written.ok().and_then(|written| serde_json::from_slice::<JobUpdate>(&written).ok());
        assert_eq!(again.as_ref(), Some(&update));
    }
}
