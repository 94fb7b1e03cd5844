//! The three acts: a tool at work, its outputs, and the brake.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use futures::{StreamExt, pin_mut};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use trackside_control::PauseRequest;
use trackside_core::{TaskId, UserId};
use trackside_jobs::{JobState, RunRequest};
use trackside_progress::{EventKind, ProgressEvent};

use super::screen::{Bar, Screen};
use crate::wiring::Parts;

/// How long any act may take before the demo says that something is wrong.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of an output that are shown.
const PREVIEW_LINES: usize = 8;
/// Characters of such a line.
const PREVIEW_WIDTH: usize = 100;

/// Plays all of it.
pub(crate) async fn run(parts: &Parts, url: &str, keep: bool) -> anyhow::Result<()> {
    let screen = Screen::new();
    screen.line(&format!("Trackside {} at {url}", env!("CARGO_PKG_VERSION")))?;
    screen
        .line("Embedded default: queues, progress and the brake are kept in memory; nothing survives this process.")?;

    screen.title("1. A tool runs as a durable task: word-index, over a folder of documents")?;
    let job = submit(parts, "word-index", json!({}), "demo-user").await?;
    watch(parts, &screen, job).await?;

    screen.title("2. Its outputs")?;
    outputs(parts, &screen, job).await?;

    screen.title("3. The brake: a second job, slowed down, is stopped in the middle")?;
    brake(parts, &screen).await?;

    screen.title("Where to go from here")?;
    if keep {
        screen.line(&format!("  {url}/  is up until Ctrl-C; {url}/docs  lets you try every route"))?;
    } else {
        screen.line(&format!("  this page was {url}/ ; `cargo run --release -- demo --keep` leaves it up"))?;
    }
    screen.line("  cargo run --release -- serve      the service at http://127.0.0.1:8080/, its API at /docs")?;
    screen.line("  ... --redis-url redis://127.0.0.1:6379      the same on Redis or Valkey: durable")
}

async fn submit(parts: &Parts, tool: &str, params: Value, user: &str) -> anyhow::Result<TaskId> {
    let user_id: UserId = user.parse()?;
    let request = RunRequest { user_id: Some(user_id), ..RunRequest::new(tool, params) };
    Ok(parts.jobs.submit(request).await.with_context(|| format!("{tool} was not accepted"))?.job_id)
}

/// Follows a job's stream to its end.
async fn watch(parts: &Parts, screen: &Screen, job: TaskId) -> anyhow::Result<()> {
    let events = parts.progress.events(&job.to_string().parse()?, None);
    pin_mut!(events);
    let mut bar = screen.bar()?;
    let follow = async {
        while let Some(event) = events.next().await {
            if event.kind == EventKind::End {
                break;
            }
            tell(&mut bar, &event)?;
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, follow).await.context("the job did not end")??;
    bar.end();
    let view = parts.jobs.get(job).await?.context("the job is unknown")?;
    match view.record.state {
        JobState::Completed => Ok(()),
        state => bail!("the job ended as {}: {}", state.as_str(), view.record.error.unwrap_or_default()),
    }
}

/// Moves the bar to where the event says the job is; answers that, when the event says it.
fn tell(bar: &mut Bar, event: &ProgressEvent) -> anyhow::Result<Option<f64>> {
    let data: Value = serde_json::from_str(&event.data)?;
    let (Some(percent), Some(message)) = (data["percent"].as_f64(), data["message"].as_str()) else { return Ok(None) };
    bar.at(percent, message)?;
    Ok(Some(percent))
}

async fn outputs(parts: &Parts, screen: &Screen, job: TaskId) -> anyhow::Result<()> {
    let view = parts.jobs.get(job).await?.context("the job is unknown")?;
    screen.line(&format!("  {} outputs of job {job}", view.record.outputs.len()))?;
    for output in &view.record.outputs {
        let file = parts.jobs.output(job, &output.name).await?;
        screen.line(&format!("  {}  {} bytes  {}", output.name, file.bytes, file.content_type))?;
        if file.content_type.starts_with("text/") || file.content_type.ends_with("json") {
            preview(screen, &file.path)?;
        }
    }
    Ok(())
}

fn preview(screen: &Screen, path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    for line in text.lines().take(PREVIEW_LINES) {
        screen.line(&format!("    | {}", line.chars().take(PREVIEW_WIDTH).collect::<String>()))?;
    }
    let more = text.lines().count().saturating_sub(PREVIEW_LINES);
    if more > 0 {
        screen.line(&format!("    | ... {more} more lines"))?;
    }
    Ok(())
}

async fn brake(parts: &Parts, screen: &Screen) -> anyhow::Result<()> {
    let user: UserId = "runaway-agent".parse()?;
    let slow = submit(parts, "word-index", json!({"pace_ms": 400}), user.as_str()).await?;
    reaches(parts, slow, JobState::Running).await?;
    let mut bar = screen.bar()?;
    let some_progress = async {
        let events = parts.progress.events(&slow.to_string().parse()?, None);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            if tell(&mut bar, &event)?.is_some_and(|percent| percent >= 25.0) {
                break;
            }
        }
        anyhow::Ok(())
    };
    timeout(PATIENCE, some_progress).await.context("the second job does not move")??;
    bar.end();

    let pulled = Instant::now();
    let request = PauseRequest { reason: Some("spends too much".into()), by: Some("demo".into()), expires_in: None };
    parts.control.pause(&user, request).await?;
    reaches(parts, slow, JobState::Parked).await?;
    screen.line(&format!(
        "  brake on for {user}: the running job stopped, its process is gone, after {} ms",
        pulled.elapsed().as_millis()
    ))?;
    let waiting = submit(parts, "word-index", json!({}), user.as_str()).await?;
    reaches(parts, waiting, JobState::Parked).await?;
    screen.line("  a job that is queued now is parked and not started")?;

    parts.jobs.cancel(slow, "the demo has seen enough of it").await?;
    parts.control.resume(&user).await?;
    reaches(parts, waiting, JobState::Completed).await?;
    screen.line("  brake off: the parked job ran to its end (the stopped one was called off)")
}

/// Waits until a job is in a state.
async fn reaches(parts: &Parts, job: TaskId, state: JobState) -> anyhow::Result<()> {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    let reached = async {
        loop {
            match parts.jobs.get(job).await? {
                Some(view) if view.record.state == state => return anyhow::Ok(()),
                _ => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    timeout(PATIENCE, reached).await.with_context(|| format!("the job does not become {}", state.as_str()))?
}
