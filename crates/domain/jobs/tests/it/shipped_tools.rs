//! The tools that are built in, run for real on the input that ships with them.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trackside_jobs::{RunEnd, ToolRegistry};

use crate::support::{Finished, Workshop};

async fn run(workshop: &Workshop, name: &str, params: Value) -> Result<Finished> {
    let registry = ToolRegistry::load_builtin(workshop.folder.path())?;
    assert!(registry.problems().is_empty(), "{:?}", registry.problems());
    let tool = registry.get(name)?;
    assert_eq!(tool.info(registry.search_path()).problem, None);
    workshop.run(&tool, params).await
}

fn output(workshop: &Workshop, finished: &Finished, name: &str) -> Result<String> {
    assert_eq!(finished.report.end, RunEnd::Completed, "{:?}", finished.logs());
    let found = finished.report.outputs.iter().find(|output| output.name == name).context("no such output")?;
    let text = std::fs::read_to_string(workshop.config.folders.run(finished.job_id, 1).join(name))?;
    assert_eq!(found.bytes, u64::try_from(text.len())?);
    Ok(text)
}

/// The progress that a tool told, which must rise to 100.
fn progress(finished: &Finished) -> Vec<f32> {
    let percents = finished.events.iter().filter_map(|event| match event {
        trackside_jobs::RunEvent::Progress { percent, .. } => *percent,
        trackside_jobs::RunEvent::Log { .. } => None,
    });
    let percents: Vec<f32> = percents.collect();
    assert!(percents.is_sorted(), "{percents:?}");
    assert_eq!(percents.last(), Some(&100.0));
    percents
}

#[tokio::test]
async fn word_index_finds_where_terms_occur() -> Result<()> {
    let workshop = Workshop::new()?;
    let finished = run(&workshop, "word-index", json!({"top": 3})).await?;
    assert!(progress(&finished).len() >= 12, "one for each document");
    let index: Value = serde_json::from_str(&output(&workshop, &finished, "index.json")?)?;
    assert_eq!(index["documents"], 12);
    // Counted with grep in the shipped documents.
    assert_eq!(index["terms"]["possession"], json!({"10-maintenance.txt": 4}));
    assert!(index["terms"].get("the").is_none(), "common words say nothing");
    let report = output(&workshop, &finished, "report.md")?;
    assert_eq!(report.lines().filter(|line| line.starts_with("| ") && !line.contains("term")).count(), 3);
    assert!(report.contains("**05-token.md**: token"), "{report}");
    Ok(())
}

#[tokio::test]
async fn csv_summary_tells_types_gaps_and_ranges() -> Result<()> {
    let workshop = Workshop::new()?;
    let finished = run(&workshop, "csv-summary", json!({})).await?;
    progress(&finished);
    let summary: Value = serde_json::from_str(&output(&workshop, &finished, "summary.json")?)?;
    assert_eq!(summary["rows"], 420);
    let column = |name: &str| {
        let columns = summary["columns"].as_array().into_iter().flatten();
        columns.into_iter().find(|column| column["column"] == name).cloned().unwrap_or_default()
    };
    assert_eq!((&column("platform")["type"], &column("platform")["max"]), (&json!("number"), &json!(6.0)));
    assert_eq!((&column("departed_at")["type"], &column("kind")["distinct"]), (&json!("time"), &json!(3)));
    assert_eq!(column("passengers")["missing"], 129, "freight trains carry nobody");
    assert_eq!(column("reason")["distinct"], 6, "quoted fields with commas and quotes are read as one");
    assert!(output(&workshop, &finished, "summary.md")?.contains("| reason | text | 236 | 184 | 6 |"));
    Ok(())
}

#[tokio::test]
async fn csv_summary_says_what_is_wrong_with_a_file() -> Result<()> {
    let workshop = Workshop::new()?;
    let file = workshop.folder.path().join("broken.csv");
    std::fs::write(&file, "a,b\n1,2\n3\n")?;
    let finished = run(&workshop, "csv-summary", json!({ "input": file })).await?;
    assert_eq!(finished.error(), "exit status: 1: broken.csv, line 3: 1 fields, the header has 2");
    Ok(())
}

#[tokio::test]
async fn workspace_graph_draws_the_shipped_workspace() -> Result<()> {
    let workshop = Workshop::new()?;
    let finished = run(&workshop, "workspace-graph", json!({})).await?;
    progress(&finished);
    let graph: Value = serde_json::from_str(&output(&workshop, &finished, "graph.json")?)?;
    assert_eq!(graph["crates"].as_array().map(Vec::len), Some(8));
    let edges = graph["dependencies"].as_array().context("no dependencies")?;
    // Renamed, inherited from the workspace, for one target only, and for tests.
    for (from, to, kind) in [
        ("dispatch", "timetable", "normal"),
        ("topology", "units", "normal"),
        ("control-room", "occupancy", "normal"),
        ("control-room", "topology", "build"),
        ("interlocking", "simulation", "dev"),
    ] {
        assert!(edges.contains(&json!({"from": from, "to": to, "kind": kind})), "{from} {to} {kind}");
    }
    let page = output(&workshop, &finished, "graph.html")?;
    assert!(page.contains("<svg") && page.contains(">interlocking</text>"));
    assert!(!page.contains("http"), "nothing is loaded from elsewhere");
    Ok(())
}

#[tokio::test]
async fn workspace_graph_draws_this_workspace() -> Result<()> {
    let workshop = Workshop::new()?;
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let finished = run(&workshop, "workspace-graph", json!({"workspace": root, "dev_dependencies": false})).await?;
    let graph: Value = serde_json::from_str(&output(&workshop, &finished, "graph.json")?)?;
    let edges = graph["dependencies"].as_array().context("no dependencies")?;
    assert!(edges.contains(&json!({"from": "trackside-jobs", "to": "trackside-queue", "kind": "normal"})));
    Ok(())
}
