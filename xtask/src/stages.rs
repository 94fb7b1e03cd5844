//! A task as a list of timed stages: all of them run, and the task fails when one of them failed.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::bail;

/// The stages of one task so far.
#[derive(Debug)]
pub(crate) struct Stages {
    task: &'static str,
    done: Vec<Stage>,
}

#[derive(Debug)]
struct Stage {
    name: String,
    took: Duration,
    failure: Option<String>,
}

// === impl Stages ===

impl Stages {
    /// No stage yet.
    pub(crate) fn of(task: &'static str) -> Self {
        Self { task, done: Vec::new() }
    }

    /// Runs one stage; a failure is kept for [`Stages::finish`], so that one run shows everything that is wrong.
    pub(crate) fn run(&mut self, name: impl Into<String>, stage: impl FnOnce() -> anyhow::Result<()>) {
        let name = name.into();
        println!("\n== {}: {name}", self.task);
        let started = Instant::now();
        let failure = stage().err().map(|error| format!("{error:#}"));
        if let Some(failure) = &failure {
            println!("{failure}");
        }
        self.done.push(Stage { name, took: started.elapsed(), failure });
    }

    /// Whether a stage has failed, for those after which the others make no sense.
    pub(crate) fn failed(&self) -> bool {
        self.done.iter().any(|stage| stage.failure.is_some())
    }

    /// Prints the table of times and fails when a stage failed.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        println!("\n{self}");
        let failed: Vec<_> =
            self.done.iter().filter(|stage| stage.failure.is_some()).map(|s| s.name.as_str()).collect();
        if !failed.is_empty() {
            bail!("{} failed: {}", self.task, failed.join(", "));
        }
        Ok(())
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:", self.task)?;
        for stage in &self.done {
            let verdict = if stage.failure.is_some() { "FAILED" } else { "ok" };
            writeln!(f, "  {verdict:<6} {:>7.1} s  {}", stage.took.as_secs_f64(), stage.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_stage_fails_the_task_after_the_others_ran() {
        let mut stages = Stages::of("lint");
        let mut second_ran = false;
        stages.run("first", || bail!("broken"));
        stages.run("second", || {
            second_ran = true;
            Ok(())
        });
        assert!(second_ran);
        let table = stages.to_string();
        assert!(table.contains("FAILED") && table.contains("first"), "{table}");
        assert_eq!(stages.finish().unwrap_err().to_string(), "lint failed: first");
    }

    #[test]
    fn a_task_without_failures_succeeds() {
        let mut stages = Stages::of("docs");
        stages.run("only", || Ok(()));
        stages.finish().unwrap();
    }
}
