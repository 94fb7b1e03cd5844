//! How much processor time a program and its children have used, where the system tells.

use std::fs;

/// Ticks in a second, as Linux counts them for programs on every architecture.
const TICKS: f64 = 100.0;

/// Seconds of processor time that `process` and what it started have used. `None` where `/proc` does not tell.
pub(crate) fn seconds(process: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let own = ticks(&stat)? / TICKS;
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| seconds(child.parse().ok()?));
    Some(own + children.sum::<f64>())
}

/// The load of the machine over the last minute.
pub(crate) fn load() -> Option<String> {
    Some(fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.to_owned())
}

/// The processor's name and how many there are.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    format!("{}, {cores} cores, {}", model.unwrap_or(std::env::consts::ARCH), std::env::consts::OS)
}

/// User and system time in a line of `/proc/<pid>/stat`; the name before them may hold anything.
fn ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(fields.next()?.parse::<f64>().ok()? + fields.next()?.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_after_a_name_with_anything_in_it() {
        let stat = "17 (a) b (c) S 1 17 17 0 -1 4194560 9 8 7 6 250 50 0 0 20 0 1 0 100 200 300";
        assert_eq!(ticks(stat), Some(300.0));
        assert_eq!(ticks("17"), None);
    }
}
