//! The runner with real processes: what they are given, what they may say and leave, and that they are gone.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use trackside_jobs::{RunEnd, RunEvent, Stream};
use trackside_testkit::eventually;

use crate::support::{SOON, TRACEPARENT, Workshop, all_gone, is_alive, job_id, none, processes};

#[tokio::test]
async fn a_tool_gets_its_parameters_and_a_cleared_environment() -> Result<()> {
    let workshop = Workshop::new()?;
    let more = "outputs = [\"*\"]\n[parameters]\nproperties.who = { type = \"string\", default = \"world\" }";
    let tool = workshop.tool("cat > stdin.json; env | sort > env.txt; pwd > pwd.txt", more)?;
    let finished = workshop.run(&tool, json!({"who": "ann"})).await?;
    assert_eq!(finished.report.end, RunEnd::Completed);
    assert_eq!(finished.report.exit_code, Some(0));
    let folder = workshop.config.folders.run(finished.job_id, 1);
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    assert_eq!(read("stdin.json")?, r#"{"who":"ann"}"#);
    assert_eq!(read("pwd.txt")?.trim(), folder.canonicalize()?.to_str().unwrap());
    let environment = read("env.txt")?;
    let names: Vec<&str> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    let given: Vec<&str> = names.into_iter().filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    assert_eq!(given, ["PATH", "TRACEPARENT", "TRACKSIDE_CORRELATION_ID", "TRACKSIDE_JOB_ID"]);
    assert!(environment.contains(&format!("TRACKSIDE_JOB_ID={}", finished.job_id)));
    assert!(environment.contains("TRACKSIDE_CORRELATION_ID=request-7"));
    assert!(environment.contains(&format!("TRACEPARENT={TRACEPARENT}")));
    let outputs: Vec<_> = finished.report.outputs.iter().map(|o| (o.name.as_str(), o.content_type.as_str())).collect();
    assert_eq!(outputs, [("env.txt", "text/plain"), ("pwd.txt", "text/plain"), ("stdin.json", "application/json")]);
    Ok(())
}

#[tokio::test]
async fn parameters_never_meet_a_shell() -> Result<()> {
    let workshop = Workshop::new()?;
    workshop.add("tool", "printf '%s\\n' \"$1\" > said.txt", "")?;
    let manifest = "name = \"tool\"\ncommand = [\"sh\", \"tool.sh\", \"<{text}>\"]\noutputs = [\"*.txt\"]\n[parameters]\nrequired = [\"text\"]\nproperties.text = { type = \"string\" }";
    std::fs::write(workshop.tools().join("tool.toml"), manifest)?;
    let tool = trackside_jobs::ToolRegistry::load(workshop.tools())?.get("tool")?;
    let evil = "$(touch pwned) `touch pwned`; touch pwned && \"'\n{text}";
    let finished = workshop.run(&tool, json!({ "text": evil })).await?;
    let folder = workshop.config.folders.run(finished.job_id, 1);
    assert_eq!(std::fs::read_to_string(folder.join("said.txt"))?, format!("<{evil}>\n"));
    assert!(!folder.join("pwned").exists());
    Ok(())
}

#[tokio::test]
async fn progress_and_log_lines_arrive_in_order() -> Result<()> {
    let workshop = Workshop::new()?;
    let script = r#"echo one; echo '{"progress": 50, "message": "half"}'; printf 'bad \377 byte\n'; echo 'no newline' | tr -d '\n'"#;
    let tool = workshop.tool(script, "")?;
    let finished = workshop.run(&tool, none()).await?;
    let log = |line: &str| RunEvent::Log { stream: Stream::Stdout, line: line.to_owned() };
    let half = RunEvent::Progress { percent: Some(50.0), message: Some("half".to_owned()) };
    assert_eq!(finished.events, [log("one"), half, log("bad \u{FFFD} byte"), log("no newline")]);
    Ok(())
}

#[tokio::test]
async fn a_flood_of_output_is_read_to_its_end_and_thinned() -> Result<()> {
    let mut workshop = Workshop::new()?;
    workshop.config.lines.burst = 10;
    workshop.config.lines.total = 10;
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo '{\"progress\": 99}'; touch done.txt";
    let tool = workshop.tool(script, "outputs = [\"done.txt\"]")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.report.outputs.len(), 1, "it was never blocked");
    assert_eq!(finished.logs().len(), 11, "ten lines and a sentence about the others");
    assert_eq!(finished.logs()[10], "… 19991 lines left out");
    let last = RunEvent::Progress { percent: Some(99.0), message: None };
    assert_eq!(finished.events.last(), Some(&last), "the newest progress is told at the end");
    Ok(())
}

#[tokio::test]
async fn a_failure_carries_the_end_of_standard_error() -> Result<()> {
    let workshop = Workshop::new()?;
    let tool = workshop.tool("echo working; echo 'cannot open the file' >&2; exit 3", "")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.error(), "exit status: 3: cannot open the file");
    assert_eq!(finished.report.exit_code, Some(3));
    Ok(())
}

#[tokio::test]
async fn a_program_that_is_missing_is_named() -> Result<()> {
    let workshop = Workshop::new()?;
    std::fs::write(workshop.tools().join("a.toml"), "name = \"tool\"\ncommand = [\"python-of-2099\", \"x.py\"]")?;
    let tool = trackside_jobs::ToolRegistry::load(workshop.tools())?.get("tool")?;
    let finished = workshop.run(&tool, none()).await?;
    assert!(finished.error().starts_with("`python-of-2099` is not installed"), "{}", finished.error());
    Ok(())
}

#[tokio::test]
async fn parameters_that_nobody_reads_do_not_keep_a_run_open() -> Result<()> {
    let workshop = Workshop::new()?;
    // A daemon that left the group and the environment and holds the tool's standard input, full of parameters.
    let daemon = "echo $$ >> ../../../processes; exec sleep 600";
    let script = format!(
        "exec 3<&0; env -i PATH=\"$PATH\" setsid sh -c '{daemon}' <&3 >/dev/null 2>&1 &\n\
                  while [ ! -s ../../../processes ]; do :; done"
    );
    let tool = workshop.tool(&script, "[parameters]\nproperties.text = { type = \"string\" }")?;
    let run = workshop.run(&tool, json!({"text": "x".repeat(200_000)}));
    let finished = tokio::time::timeout(SOON, run).await;
    let left = processes(&workshop.folder.path().join("processes"), 1).await;
    for process in &left {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(*process), nix::sys::signal::Signal::SIGKILL)?;
    }
    assert_eq!(finished??.report.end, RunEnd::Completed);
    Ok(())
}

#[tokio::test]
async fn refused_outputs_make_a_short_sentence() -> Result<()> {
    let mut workshop = Workshop::new()?;
    workshop.config.outputs.files = 5;
    let tool = workshop.tool("i=0; while [ $i -lt 1000 ]; do : > $i.txt; i=$((i+1)); done", "outputs = [\"*\"]")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.report.outputs.len(), 5);
    assert!(finished.error().ends_with("; and 985 more"), "{}", finished.error());
    assert!(finished.error().len() < 1_000);
    Ok(())
}

#[tokio::test]
async fn outputs_whose_names_are_a_burden_are_refused() -> Result<()> {
    let workshop = Workshop::new()?;
    let script = "i=0; while [ $i -lt 100 ]; do : > \"$(printf '%0240d' $i)\"; i=$((i+1)); done";
    let tool = workshop.tool(script, "outputs = [\"*\"]")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.report.outputs.len(), 67, "242 bytes each, 16 KiB in all");
    assert!(finished.error().contains("names of more than 16384 bytes in all"), "{}", finished.error());
    Ok(())
}

/// Children of the tool, in its group and (with `setsid`) outside of it; all ignore SIGTERM.
const FAMILY: &str = "trap '' TERM\n\
    echo $$ >> ../../../processes\n\
    (trap '' TERM; sh -c 'echo $$ >> ../../../processes; exec sleep 600') &\n\
    setsid sh -c 'echo $$ >> ../../../processes; exec sleep 600' >/dev/null 2>&1 </dev/null &\n\
    wait; sleep 600";

#[tokio::test]
async fn a_stop_ends_the_tool_its_children_and_those_that_left_the_group() -> Result<()> {
    let workshop = Workshop::new()?;
    let tool = workshop.tool(FAMILY, "")?;
    let stop = CancellationToken::new();
    let file = workshop.folder.path().join("processes");
    let watch = async {
        let ids = processes(&file, 3).await;
        assert!(ids.iter().all(|id| is_alive(*id)));
        stop.cancel();
        ids
    };
    let (finished, ids) = tokio::join!(workshop.run_as(job_id(), &tool, none(), stop.cancelled()), watch);
    assert_eq!(finished?.report.end, RunEnd::Stopped);
    all_gone(&ids).await;
    Ok(())
}

#[tokio::test]
async fn a_tool_that_ends_leaves_no_background_process() -> Result<()> {
    let workshop = Workshop::new()?;
    let script = "sh -c 'echo $$ >> ../../../processes; exec sleep 600' &\n\
        while [ ! -s ../../../processes ]; do sleep 0.02; done; echo bye";
    let tool = workshop.tool(script, "")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.report.end, RunEnd::Completed);
    assert_eq!(finished.logs(), ["bye"], "its standard output ended although a child held it open");
    all_gone(&processes(&workshop.folder.path().join("processes"), 1).await).await;
    Ok(())
}

#[tokio::test]
async fn a_run_whose_future_is_dropped_leaves_no_process() -> Result<()> {
    let workshop = Workshop::new()?;
    let script = "echo $$ >> ../../../processes; sh -c 'echo $$ >> ../../../processes; exec sleep 600'";
    let tool = workshop.tool(script, "")?;
    let file = workshop.folder.path().join("processes");
    let ids = tokio::select! {
        _ = workshop.run(&tool, none()) => panic!("it runs for minutes"),
        ids = processes(&file, 2) => ids,
    };
    all_gone(&ids).await;
    Ok(())
}

#[tokio::test]
async fn a_run_does_not_outlive_its_process_killed_with_nine() -> Result<()> {
    const HOST: &str = "TRACKSIDE_TEST_HOST";
    const NAME: &str = "processes::a_run_does_not_outlive_its_process_killed_with_nine";
    let script = "trap '' TERM; echo $$ >> ../../../processes; sh -c 'echo $$ >> ../../../processes; exec sleep 600'";
    let workshop = Workshop::new()?;
    if let Some(folder) = std::env::var_os(HOST) {
        // In the process that is going to be killed: a run that does not end.
        let tool = workshop.tool(&script.replace("../../..", folder.to_str().unwrap()), "")?;
        workshop.run(&tool, none()).await?;
    }
    let mut host = std::process::Command::new(std::env::current_exe()?)
        .args(["--exact", NAME])
        .env(HOST, workshop.folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let ids = processes(&workshop.folder.path().join("processes"), 2).await;
    assert!(ids.iter().all(|id| is_alive(*id)));
    host.kill()?;
    host.wait()?;
    all_gone(&ids).await;
    Ok(())
}

#[tokio::test]
async fn the_time_limit_ends_a_tool() -> Result<()> {
    let workshop = Workshop::new()?;
    let tool = workshop.tool("echo $$ >> ../../../processes; echo stuck >&2; exec sleep 600", "timeout_s = 1")?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.error(), "time limit of 1 s exceeded: stuck");
    all_gone(&processes(&workshop.folder.path().join("processes"), 1).await).await;
    Ok(())
}

#[tokio::test]
async fn a_tool_may_clean_up_when_it_is_asked_to_end() -> Result<()> {
    let workshop = Workshop::new()?;
    let script = "trap 'echo cleaned > cleaned.txt; exit 0' TERM; touch ready; while :; do sleep 0.05; done";
    let tool = workshop.tool(script, "outputs = [\"cleaned.txt\"]")?;
    let (stop, id) = (CancellationToken::new(), job_id());
    let ready = workshop.config.folders.run(id, 1).join("ready");
    let watch = async {
        eventually(|| async { ready.exists() }, SOON).await;
        stop.cancel();
    };
    let (finished, ()) = tokio::join!(workshop.run_as(id, &tool, none(), stop.cancelled()), watch);
    let finished = finished?;
    assert_eq!(finished.report.end, RunEnd::Stopped);
    assert_eq!(finished.report.outputs.len(), 1);
    Ok(())
}

#[tokio::test]
async fn outputs_that_are_too_large_too_many_or_outside_fail_the_run() -> Result<()> {
    let mut workshop = Workshop::new()?;
    workshop.config.outputs.file_bytes = 1_000;
    workshop.config.outputs.total_bytes = 1_500;
    workshop.config.outputs.files = 3;
    let outputs = "outputs = [\"*.bin\", \"deep/**/*.bin\"]";
    for (script, expected) in [
        ("head -c 1001 /dev/zero > a.bin", "outputs refused: a.bin: 1001 bytes, at most 1000"),
        ("head -c 900 /dev/zero > a.bin; cp a.bin b.bin", "outputs refused: b.bin: more than 1500 bytes in all"),
        ("touch a.bin b.bin c.bin d.bin", "outputs refused: d.bin: more than 3 files"),
        ("ln -s /etc/passwd a.bin", "outputs refused: a.bin: a link that leaves the job's folder"),
        (
            "ln -s ../../../processes a.bin; touch ../../../processes",
            "outputs refused: a.bin: a link that leaves the job's folder",
        ),
        ("mkfifo a.bin", "outputs refused: a.bin: not a regular file"),
    ] {
        let tool = workshop.tool(script, outputs)?;
        assert_eq!(workshop.run(&tool, none()).await?.error(), expected);
    }
    let tool = workshop.tool(
        "mkdir -p deep/er; touch deep/er/x.bin other.txt; ln -s deep/er/x.bin l.bin; ln -s / deep/root",
        outputs,
    )?;
    let finished = workshop.run(&tool, none()).await?;
    assert_eq!(finished.report.end, RunEnd::Completed);
    let names: Vec<&str> = finished.report.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["deep/er/x.bin", "l.bin"]);
    Ok(())
}

#[tokio::test]
async fn a_repeated_run_starts_in_an_empty_folder_and_kills_what_an_earlier_one_left() -> Result<()> {
    let workshop = Workshop::new()?;
    let script = "[ -e stale ] && exit 9; touch stale; echo $$ >> ../../../processes; \
        if [ -e ../../../second ]; then sleep 0.5; exit 0; fi; exec sleep 600";
    let tool = workshop.tool(script, "")?;
    let id = job_id();
    let file = workshop.folder.path().join("processes");
    let first = workshop.run_as(id, &tool, none(), std::future::pending());
    let second = async {
        let ids = processes(&file, 1).await;
        std::fs::write(workshop.folder.path().join("second"), "")?;
        let finished = workshop.run_nth(2, id, &tool, none(), std::future::pending()).await?;
        anyhow::Ok((ids, finished))
    };
    let (first, second) = tokio::join!(first, second);
    let (ids, second) = second?;
    assert!(!matches!(first.map(|first| first.report.end), Ok(RunEnd::Completed)));
    assert_eq!(second.report.end, RunEnd::Completed, "{:?}", second.logs());
    all_gone(&ids).await;
    Ok(())
}

#[tokio::test]
async fn folders_are_removed_by_age_unless_their_job_runs() -> Result<()> {
    let workshop = Workshop::new()?;
    let tool = workshop.tool("true", "")?;
    let (kept, removed) = (workshop.run(&tool, none()).await?.job_id, workshop.run(&tool, none()).await?.job_id);
    let folders = &workshop.config.folders;
    std::fs::create_dir(folders.root().join("not-a-job"))?;
    assert_eq!(folders.remove_older_than(Duration::from_secs(3_600), |_| false).await?, 0);
    assert_eq!(folders.remove_older_than(Duration::ZERO, |id| id == kept).await?, 1);
    assert!(folders.run(kept, 1).exists() && !folders.run(removed, 1).exists());
    assert!(folders.root().join("not-a-job").exists());
    Ok(())
}
