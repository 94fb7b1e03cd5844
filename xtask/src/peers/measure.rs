//! The measurements of one system in one round.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::cpu;
use super::figures::{Figures, Metric};
use super::program::Program;
use super::server::Server;
use crate::command;

/// How long a drain may take before it is called stuck.
const STUCK: Duration = Duration::from_secs(60);
/// How often the queue is looked at during a drain.
const LOOK: Duration = Duration::from_millis(5);
/// Places of a worker, with the figures that belong to them.
const DRAINS: [(usize, Metric, Metric, Metric); 3] = [
    (1, Metric::DrainOne, Metric::DrainOneServer, Metric::DrainOneWorker),
    (16, Metric::DrainSixteen, Metric::DrainSixteenServer, Metric::DrainSixteenWorker),
    (64, Metric::DrainMany, Metric::DrainManyServer, Metric::DrainManyWorker),
];
const ENQUEUES: [(&str, Metric); 3] =
    [("one", Metric::EnqueueOne), ("flight", Metric::EnqueueFlight), ("bulk", Metric::EnqueueBulk)];
/// The drain at which the bytes of jobs are counted.
const WEIGHED: usize = 16;

/// How much is done for a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A third of a second each, when the system is as fast as expected.
    Quick,
    /// A second each.
    Full,
}

/// One system on its server.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    server: &'a mut Server,
    program: &'a Program,
    effort: Effort,
}

/// A moment during a drain.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    remaining: u64,
    server_cpu: f64,
    worker_cpu: Option<f64>,
}

// === impl Bench ===

impl<'a> Bench<'a> {
    pub(crate) fn new(server: &'a mut Server, program: &'a Program, effort: Effort) -> Self {
        Self { server, program, effort }
    }

    pub(crate) fn run(mut self, figures: &mut Figures) -> anyhow::Result<()> {
        for ((mode, metric), pace) in ENQUEUES.into_iter().zip(self.program.system.pace.enqueue) {
            self.enqueue(mode, metric, pace, figures)?;
        }
        for (drain, pace) in DRAINS.into_iter().zip(self.program.system.pace.drain) {
            self.drain(drain, pace, figures)?;
        }
        self.pickup(figures)
    }

    fn enqueue(&mut self, mode: &str, metric: Metric, pace: usize, figures: &mut Figures) -> anyhow::Result<()> {
        let count = self.effort.jobs(pace);
        self.server.clear()?;
        let before = self.server.usage()?;
        let seconds = self.fill(mode, count)?;
        let used = self.server.usage()?.cpu - before.cpu;
        let (rate, server) = (ratio(count, seconds), used * 1e6 / as_f64(count));
        println!("enqueue {mode:<7} {count:>7} jobs {rate:>9.0}/s, server {server:.1} µs/job");
        figures.add(self.program.system, metric, rate);
        if metric == Metric::EnqueueOne {
            figures.add(self.program.system, Metric::EnqueueServer, server);
        }
        Ok(())
    }

    /// Enqueues so many jobs, and makes sure that they are there.
    fn fill(&mut self, mode: &str, count: u64) -> anyhow::Result<f64> {
        let answer = self.program.answer(Some(&self.server.url()), &["enqueue", mode, &count.to_string()])?;
        let there = self.server.count(self.program.system.remaining)?;
        if there != count {
            bail!("{count} jobs were enqueued and {there} are there");
        }
        answer["seconds"].as_f64().with_context(|| format!("no seconds in {answer}"))
    }

    fn drain(
        &mut self,
        (concurrency, rate, server, worker): (usize, Metric, Metric, Metric),
        pace: usize,
        figures: &mut Figures,
    ) -> anyhow::Result<()> {
        let (system, count) = (self.program.system, self.effort.jobs(pace));
        self.server.clear()?;
        let empty = self.server.settled_bytes()?;
        self.fill("bulk", count)?;
        let full = self.server.settled_bytes()?;
        let (first, last) = self.watch(concurrency, count)?;
        let script = self.server.usage()?.script_us / as_f64(count);
        let left = self.server.settled_bytes()?;

        let jobs = first.remaining;
        let per_job = |seconds: f64| seconds * 1e6 / as_f64(jobs);
        let speed = ratio(jobs, (last.at - first.at).as_secs_f64());
        let server_us = per_job(last.server_cpu - first.server_cpu);
        figures.add(system, rate, speed);
        figures.add(system, server, server_us);
        let worker_us = first.worker_cpu.zip(last.worker_cpu).map(|(first, last)| per_job(last - first));
        if let Some(worker_us) = worker_us {
            figures.add(system, worker, worker_us);
        }
        if concurrency == WEIGHED {
            figures.add(system, Metric::BytesQueued, (full - empty) / as_f64(count));
            figures.add(system, Metric::BytesLeft, (left - empty) / as_f64(count));
        }
        println!(
            "drain c{concurrency:<8} {count:>7} jobs {speed:>9.0}/s, server {server_us:.1} µs/job (scripts {script:.1}), \
             worker {:.1} µs/job, {:.0} bytes queued, {:.0} left",
            worker_us.unwrap_or(f64::NAN),
            (full - empty) / as_f64(count),
            (left - empty) / as_f64(count)
        );
        Ok(())
    }

    /// Lets a worker empty the queue, seen from the server: from the moment at which the first jobs are acknowledged, so
    /// that the start of the process does not count, until nothing waits and nothing is held.
    fn watch(&mut self, concurrency: usize, count: u64) -> anyhow::Result<(Moment, Moment)> {
        let begun = Instant::now();
        let mut worker = self.program.work(&self.server.url(), concurrency)?;
        let mut full = self.moment(count, worker.id())?;
        let mut first = None;
        loop {
            let remaining = self.server.count(self.program.system.remaining)?;
            if remaining == count {
                full = self.moment(remaining, worker.id())?;
            } else if remaining == 0 {
                let last = self.moment(0, worker.id())?;
                worker.stop()?;
                // So fast that nothing was seen between full and empty: all of it happened since then.
                return Ok((first.unwrap_or(full), last));
            } else if first.is_none() {
                first = Some(self.moment(remaining, worker.id())?);
            }
            if begun.elapsed() > STUCK {
                bail!("{remaining} of {count} jobs were still there after {} s", STUCK.as_secs());
            }
            worker.check()?;
            command::pause(LOOK);
        }
    }

    fn moment(&mut self, remaining: u64, worker: u32) -> anyhow::Result<Moment> {
        let at = Instant::now();
        Ok(Moment { at, remaining, server_cpu: self.server.usage()?.cpu, worker_cpu: cpu::seconds(worker) })
    }

    fn pickup(&mut self, figures: &mut Figures) -> anyhow::Result<()> {
        self.server.clear()?;
        let samples = if self.effort == Effort::Quick { 50 } else { 300 };
        let answer = self.program.answer(Some(&self.server.url()), &["pickup", &samples.to_string()])?;
        let micros = answer["pickup_us"].as_array().with_context(|| format!("no pickup_us in {answer}"))?;
        let mut micros: Vec<f64> = micros.iter().filter_map(serde_json::Value::as_f64).collect();
        micros.sort_by(f64::total_cmp);
        let at = |share: f64| percentile(&micros, share).context("no sample of a pick-up");
        let (median, worst) = (at(0.5)?, at(0.99)?);
        println!("pick-up {:>15} samples  p50 {median:.0} µs, p99 {worst:.0} µs", micros.len());
        figures.add(self.program.system, Metric::PickupMedian, median);
        figures.add(self.program.system, Metric::PickupWorst, worst);
        Ok(())
    }
}

// === impl Effort ===

impl Effort {
    /// How many jobs a measurement takes of a system that does so many a second.
    fn jobs(self, pace: usize) -> u64 {
        let jobs = if self == Self::Quick { pace / 3 } else { pace };
        u64::try_from(jobs).unwrap_or(u64::MAX).max(100)
    }
}

/// The value below which this share of the sorted `values` lies.
fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a few hundred samples"
    )]
    let index = (last as f64 * share).ceil() as usize;
    values.get(index).copied()
}

#[expect(clippy::cast_precision_loss, reason = "a number of jobs")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn ratio(count: u64, seconds: f64) -> f64 {
    as_f64(count) / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), Some(51.0));
        assert_eq!(percentile(&values, 0.99), Some(100.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn a_slow_system_is_given_less_to_do_and_never_nothing() {
        assert_eq!(Effort::Full.jobs(50_000), 50_000);
        assert_eq!(Effort::Quick.jobs(9_000), 3_000);
        assert_eq!(Effort::Quick.jobs(30), 100);
    }
}
