//! What a tool may use of the machine.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use trackside_jobs::{ResourceLimits, RunEnd};

use crate::support::{Workshop, none};

#[tokio::test]
async fn a_tool_and_its_children_run_under_the_limits_that_are_set() -> Result<()> {
    let mut workshop = Workshop::new()?;
    workshop.config.limits = ResourceLimits {
        cpu: Some(Duration::from_secs(77)),
        memory_bytes: Some(2 << 30),
        file_bytes: Some(1 << 20),
        open_files: Some(99),
        processes: Some(100_000),
    };
    let script = "sh -c 'ulimit -c; ulimit -t; ulimit -v; ulimit -f; ulimit -n' > limits.txt";
    let tool = workshop.tool(script, "outputs = [\"*.txt\"]")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.report.end, RunEnd::Completed);
    let folder = workshop.config.folders.run(finished.job_id, 1);
    let limits = std::fs::read_to_string(folder.join("limits.txt"))?;
    assert_eq!(limits.lines().collect::<Vec<_>>(), ["0", "77", "2097152", "2048", "99"]);
    Ok(())
}

#[tokio::test]
async fn a_file_that_grows_beyond_the_limit_ends_the_tool() -> Result<()> {
    let mut workshop = Workshop::new()?;
    workshop.config.limits.file_bytes = Some(64 * 1_024);
    let tool = workshop.tool("exec head -c 10000000 /dev/zero > big.bin", "")?;
    let finished = workshop.run(&tool, none()).await?;
    assert!(matches!(finished.report.end, RunEnd::Failed { .. }), "{:?}", finished.report);
    let folder = workshop.config.folders.run(finished.job_id, 1);
    assert_eq!(std::fs::metadata(folder.join("big.bin"))?.len(), 64 * 1_024);
    Ok(())
}

#[tokio::test]
async fn a_tool_that_does_nothing_but_count_is_ended_by_its_processor_time() -> Result<()> {
    let mut workshop = Workshop::new()?;
    workshop.config.limits.cpu = Some(Duration::from_secs(1));
    let tool = workshop.tool("while :; do :; done", "timeout_s = 600")?;
    let finished = workshop.run(&tool, none()).await?;
    let RunEnd::Failed { error } = finished.report.end else { panic!("{:?}", finished.report) };
    assert!(error.contains("signal"), "{error}");
    Ok(())
}

#[tokio::test]
async fn what_sets_the_limits_neither_reads_the_arguments_nor_stays() -> Result<()> {
    let workshop = Workshop::new()?;
    workshop.add("tool", "printf '%s\\n' \"$#\" \"$@\" > said.txt; tr '\\0' ' ' < /proc/$$/cmdline > me.txt", "")?;
    let manifest = "name = \"tool\"\ncommand = [\"sh\", \"tool.sh\", \"{text}\", \"-\", \"\", \"*\"]\noutputs = [\"*.txt\"]\n\
                    [parameters]\nrequired = [\"text\"]\nproperties.text = { type = \"string\" }";
    std::fs::write(workshop.tools().join("tool.toml"), manifest)?;
    let tool = trackside_jobs::ToolRegistry::load(workshop.tools())?.get("tool")?;
    let finished = workshop.run(&tool, json!({"text": "$(exit 1); \"$1\" 'x'"})).await?;
    assert_eq!(finished.report.end, RunEnd::Completed);
    let folder = workshop.config.folders.run(finished.job_id, 1);
    assert_eq!(std::fs::read_to_string(folder.join("said.txt"))?, "4\n$(exit 1); \"$1\" 'x'\n-\n\n*\n");
    let me = std::fs::read_to_string(folder.join("me.txt"))?;
    assert!(!me.contains("ulimit"), "{me}");
    Ok(())
}
