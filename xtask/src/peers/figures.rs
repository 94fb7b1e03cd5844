//! What was measured: every sample, and the median that the table shows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cpu;
use super::system::{SYSTEMS, System};

/// One figure of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Metric {
    /// Jobs enqueued in a second, one by one.
    EnqueueOne,
    /// Jobs enqueued in a second with 64 calls in flight.
    EnqueueFlight,
    /// Jobs enqueued in a second by the bulk call of the system.
    EnqueueBulk,
    /// Jobs claimed, run and acknowledged in a second with one place.
    DrainOne,
    /// The same with 16 places.
    DrainSixteen,
    /// The same with 64 places.
    DrainMany,
    /// Microseconds from the enqueueing call to the handler, median.
    PickupMedian,
    /// The same, 99th percentile.
    PickupWorst,
    /// Bytes of the server for each queued job.
    BytesQueued,
    /// Bytes of the server for each finished job.
    BytesLeft,
    /// Microseconds of the server's main thread for each job that is enqueued one by one.
    EnqueueServer,
    /// Microseconds of the server's main thread for each job drained with one place.
    DrainOneServer,
    /// The same with 16 places.
    DrainSixteenServer,
    /// The same with 64 places.
    DrainManyServer,
    /// Microseconds of the worker process for each job drained with one place.
    DrainOneWorker,
    /// The same with 16 places.
    DrainSixteenWorker,
    /// The same with 64 places.
    DrainManyWorker,
}

/// All samples of a run, and where it was.
#[derive(Debug)]
pub(crate) struct Figures {
    samples: BTreeMap<(&'static str, Metric), Vec<f64>>,
    versions: BTreeMap<&'static str, BTreeMap<String, String>>,
    server: String,
    loads: Vec<String>,
    pub(crate) rounds: usize,
}

/// The sample in the middle, or what is between the two that are; `None` of none.
pub(crate) fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_by(f64::total_cmp);
    let middle = samples.len() / 2;
    let upper = samples.get(middle)?;
    if samples.len() % 2 == 1 { Some(*upper) } else { Some((samples.get(middle.checked_sub(1)?)? + upper) / 2.0) }
}

// === impl Metric ===

impl Metric {
    /// Its name in the JSON.
    const fn name(self) -> &'static str {
        match self {
            Self::EnqueueOne => "enqueue_one_per_s",
            Self::EnqueueFlight => "enqueue_64_in_flight_per_s",
            Self::EnqueueBulk => "enqueue_bulk_per_s",
            Self::DrainOne => "drain_c1_per_s",
            Self::DrainSixteen => "drain_c16_per_s",
            Self::DrainMany => "drain_c64_per_s",
            Self::PickupMedian => "pickup_p50_us",
            Self::PickupWorst => "pickup_p99_us",
            Self::BytesQueued => "bytes_per_queued_job",
            Self::BytesLeft => "bytes_per_finished_job",
            Self::EnqueueServer => "enqueue_one_server_us_per_job",
            Self::DrainOneServer => "drain_c1_server_us_per_job",
            Self::DrainSixteenServer => "drain_c16_server_us_per_job",
            Self::DrainManyServer => "drain_c64_server_us_per_job",
            Self::DrainOneWorker => "drain_c1_worker_us_per_job",
            Self::DrainSixteenWorker => "drain_c16_worker_us_per_job",
            Self::DrainManyWorker => "drain_c64_worker_us_per_job",
        }
    }

    /// Whether a higher figure is the better one.
    pub(crate) const fn is_rate(self) -> bool {
        matches!(
            self,
            Self::EnqueueOne
                | Self::EnqueueFlight
                | Self::EnqueueBulk
                | Self::DrainOne
                | Self::DrainSixteen
                | Self::DrainMany
        )
    }
}

// === impl Figures ===

impl Figures {
    pub(crate) fn new(rounds: usize) -> Self {
        Self { samples: BTreeMap::new(), versions: BTreeMap::new(), server: String::new(), loads: Vec::new(), rounds }
    }

    pub(crate) fn add(&mut self, system: &'static System, metric: Metric, value: f64) {
        self.samples.entry((system.folder, metric)).or_default().push(value);
    }

    pub(crate) fn add_versions(&mut self, system: &'static System, versions: BTreeMap<String, String>) {
        self.versions.insert(system.folder, versions);
    }

    pub(crate) fn note_server(&mut self, version: &str) {
        version.clone_into(&mut self.server);
    }

    /// Notes how busy the machine is; during a run the run itself is what keeps it busy.
    pub(crate) fn note_load(&mut self, when: &str) {
        self.loads.extend(cpu::load().map(|load| format!("{load} {when}")));
    }

    /// The median of the samples; `None` when there is none.
    pub(crate) fn median(&self, system: &System, metric: Metric) -> Option<f64> {
        median(self.samples.get(&(system.folder, metric))?.clone())
    }

    /// The systems of which anything is known, in the order of the table.
    pub(crate) fn systems(&self) -> Vec<&'static System> {
        SYSTEMS.iter().filter(|system| self.versions.contains_key(system.folder)).collect()
    }

    /// What a system consists of, and its versions.
    pub(crate) fn versions(&self, system: &System) -> Option<&BTreeMap<String, String>> {
        self.versions.get(system.folder)
    }

    /// Where and when: one line.
    pub(crate) fn place(&self) -> String {
        let load = if self.loads.is_empty() { "unknown".to_owned() } else { self.loads.join(", ") };
        format!("{}; {}, append-only file fsynced every second; load {load}", cpu::machine(), self.server)
    }

    pub(crate) fn to_json(&self) -> String {
        let systems: Map<String, Value> = self
            .systems()
            .into_iter()
            .map(|system| {
                let samples = self.samples.iter().filter(|((folder, _), _)| *folder == system.folder);
                let samples: Map<_, _> =
                    samples.map(|((_, metric), values)| (metric.name().to_owned(), json!(values))).collect();
                let value = json!({
                    "versions": self.versions.get(system.folder),
                    "settings": system.settings,
                    "samples": samples,
                });
                (system.folder.to_owned(), value)
            })
            .collect();
        let machine = json!({ "processor": cpu::machine(), "server": self.server, "load": self.loads });
        format!("{:#}\n", json!({ "machine": machine, "rounds": self.rounds, "systems": systems }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_in_the_middle() {
        let system = &SYSTEMS[0];
        let mut figures = Figures::new(3);
        assert_eq!(figures.median(system, Metric::DrainOne), None);
        for value in [9.0, 1.0, 5.0] {
            figures.add(system, Metric::DrainOne, value);
        }
        assert_eq!(figures.median(system, Metric::DrainOne), Some(5.0));
        figures.add(system, Metric::DrainOne, 7.0);
        assert_eq!(figures.median(system, Metric::DrainOne), Some(6.0));
    }

    #[test]
    fn the_json_holds_every_sample_under_its_name() {
        let system = &SYSTEMS[0];
        let mut figures = Figures::new(1);
        figures.add_versions(system, BTreeMap::from([("trackside".to_owned(), "0.1.0".to_owned())]));
        figures.add(system, Metric::BytesQueued, 320.5);
        let json: Value = serde_json::from_str(&figures.to_json()).unwrap();
        assert_eq!(json["systems"]["trackside"]["samples"]["bytes_per_queued_job"], json!([320.5]));
    }
}
