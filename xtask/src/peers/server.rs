//! The server that a round runs on, and what it tells of itself.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::resp::Connection;
use crate::command;

/// How long it may take to come up.
const START: Duration = Duration::from_secs(20);

/// Readings of the memory until two in a row agree: how many, how far apart, and what agreeing is.
const FEWEST_READINGS: usize = 3;
const MOST_READINGS: usize = 20;
const BETWEEN_READINGS: Duration = Duration::from_millis(150);
const STEADY_BYTES: f64 = 4_096.0;

/// A server of its own: append-only file, written through once a second, no other persistence.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    folder: PathBuf,
    port: u16,
    connection: Connection,
}

/// What the server has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of its main thread.
    pub(crate) cpu: f64,
    /// Microseconds inside scripts.
    pub(crate) script_us: f64,
}

// === impl Server ===

impl Server {
    pub(crate) fn start(binary: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("trackside-peers-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut command = Command::new(binary);
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&folder);
        command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"]);
        // What the server does now and then would be a matter of luck for whoever is measured: it rewrites no file, and
        // its log of slow commands holds no memory.
        command.args(["--auto-aof-rewrite-percentage", "0", "--slowlog-log-slower-than", "-1"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        match connect(port) {
            Ok(connection) => Ok(Self { process, folder, port, connection }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                std::fs::remove_dir_all(&folder)?;
                Err(error)
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Forgets every key and every count.
    pub(crate) fn clear(&mut self) -> anyhow::Result<()> {
        self.connection.call(&["FLUSHALL", "SYNC"])?;
        self.connection.call(&["CONFIG", "RESETSTAT"])?;
        Ok(())
    }

    /// What a Lua expression counts.
    pub(crate) fn count(&mut self, expression: &str) -> anyhow::Result<u64> {
        let answer = self.connection.call(&["EVAL", &format!("return {expression}"), "0"])?;
        answer.parse().with_context(|| format!("{expression} answers {answer}"))
    }

    pub(crate) fn version(&mut self) -> anyhow::Result<String> {
        let info = self.connection.call(&["INFO", "server"])?;
        let valkey = text(&info, "valkey_version").map(|version| format!("Valkey {version}"));
        valkey.or_else(|| text(&info, "redis_version").map(|v| format!("Redis {v}"))).context("no version in INFO")
    }

    /// Bytes of the data, once the server has come to rest: buffers are let go of a little after their clients.
    /// Forgets every count, because the server keeps a histogram of some kilobytes for each command that was used.
    pub(crate) fn settled_bytes(&mut self) -> anyhow::Result<f64> {
        self.connection.call(&["CONFIG", "RESETSTAT"])?;
        let mut readings = vec![self.data_bytes()?];
        for _ in 0..MOST_READINGS {
            command::pause(BETWEEN_READINGS);
            readings.push(self.data_bytes()?);
            if let [.., before, last] = readings[..]
                && (before - last).abs() < STEADY_BYTES
                && readings.len() > FEWEST_READINGS
            {
                break;
            }
        }
        readings.last().copied().context("no reading of the memory")
    }

    /// Bytes of the data: without the buffers of clients and of the append-only file.
    fn data_bytes(&mut self) -> anyhow::Result<f64> {
        let info = self.connection.call(&["INFO", "memory"])?;
        let buffers = ["mem_clients_normal", "mem_aof_buffer"].iter().filter_map(|name| number(&info, name));
        Ok(number(&info, "used_memory").context("no used_memory in INFO")? - buffers.sum::<f64>())
    }

    pub(crate) fn usage(&mut self) -> anyhow::Result<Usage> {
        let cpu = self.connection.call(&["INFO", "cpu"])?;
        let parts = ["used_cpu_user_main_thread", "used_cpu_sys_main_thread"];
        let cpu = parts.iter().filter_map(|name| number(&cpu, name)).sum();
        let stats = self.connection.call(&["INFO", "commandstats"])?;
        let script_us = ["evalsha", "fcall"].iter().filter_map(|name| {
            let line = text(&stats, &format!("cmdstat_{name}"))?;
            line.split(',').find_map(|part| part.strip_prefix("usec="))?.parse::<f64>().ok()
        });
        // The sum of nothing is -0, which nobody wants to read.
        Ok(Usage { cpu, script_us: script_us.sum::<f64>().abs() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It keeps nothing that anyone wants; what cannot be removed is in the folder for temporary files.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn connect(port: u16) -> anyhow::Result<Connection> {
    let begun = Instant::now();
    loop {
        let answer = Connection::open(port).and_then(|mut connection| {
            connection.call(&["PING"])?;
            Ok(connection)
        });
        match answer {
            Ok(connection) => return Ok(connection),
            Err(error) if begun.elapsed() > START => bail!("the server did not come up: {error:#}"),
            Err(_) => command::pause(Duration::from_millis(20)),
        }
    }
}

/// The value of a field of `INFO`.
fn text<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn number(info: &str, name: &str) -> Option<f64> {
    text(info, name)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_not_mistaken_for_one_with_a_longer_name() {
        let info = "used_memory_peak:20\r\nused_memory:10\r\ncmdstat_evalsha:calls=2,usec=31,usec_per_call=15.50\r\n";
        assert_eq!(number(info, "used_memory"), Some(10.0));
        assert_eq!(text(info, "cmdstat_evalsha"), Some("calls=2,usec=31,usec_per_call=15.50"));
        assert_eq!(number(info, "used"), None);
    }
}
