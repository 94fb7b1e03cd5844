//! A row's line in the table of `cargo xtask chaos`, and what the server's slow log says.

use std::{path::Path, time::Duration};

use trackside_redis::{Command, RedisService};

use crate::checker::Account;

/// A script that takes longer than this is unbounded, on however busy a machine.
const UNBOUNDED: Duration = Duration::from_millis(500);

/// Scripts that the server found slow: 1 ms or more by the wall clock, so a busy machine adds to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SlowScripts {
    pub(crate) count: usize,
    pub(crate) worst: Duration,
}

/// How a row ended.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) row: &'a str,
    pub(crate) account: &'a Account,
    pub(crate) slow: &'a SlowScripts,
    pub(crate) took: Duration,
    pub(crate) wrong: &'a [String],
}

// === impl SlowScripts ===

impl SlowScripts {
    /// Adds what the server's log holds.
    pub(crate) async fn note(&mut self, service: &RedisService) {
        let command = Command::new("SLOWLOG").arg("GET").arg("1024");
        let log = service.execute("chaos.slowlog", command).await.unwrap().into_array().unwrap();
        for entry in log {
            let mut fields = entry.into_array().unwrap().into_iter().skip(2);
            let took = Duration::from_micros(fields.next().unwrap().as_u64().unwrap());
            let words = fields.next().unwrap().into_array().unwrap();
            let command = words.into_iter().next().unwrap().into_string().unwrap();
            if command.to_uppercase().starts_with("EVAL") {
                self.count += 1;
                self.worst = self.worst.max(took);
            }
        }
    }

    pub(crate) fn is_unbounded(&self) -> bool {
        self.worst > UNBOUNDED
    }
}

// === impl Report ===

impl Report<'_> {
    /// Writes the line into the folder that `cargo xtask chaos` named, and to whoever runs the test alone.
    #[expect(clippy::print_stdout, reason = "what a test prints is shown when it fails or is run alone")]
    pub(crate) fn publish(&self) {
        println!("{}", self.line());
        if let Some(folder) = std::env::var_os("TRACKSIDE_CHAOS_REPORT") {
            std::fs::write(Path::new(&folder).join(self.row), self.line()).unwrap();
        }
    }

    /// Columns with tabs between them; their names stand in `xtask/src/chaos.rs`.
    fn line(&self) -> String {
        let sum = self.account;
        let numbers = [
            sum.attempted,
            sum.acknowledged,
            sum.lost,
            sum.duplicated,
            sum.recovered,
            sum.unexpected,
            sum.unexplained,
            self.slow.count,
        ];
        let mut columns = vec![self.row.to_owned()];
        columns.extend(numbers.iter().map(usize::to_string));
        columns.push(format!("{:.1}", self.slow.worst.as_secs_f64() * 1e3));
        columns.push(sum.recovery.map_or_else(|| "-".to_owned(), |took| format!("{:.1}", took.as_secs_f64())));
        columns.push(format!("{:.1}", self.took.as_secs_f64()));
        columns.push(if self.wrong.is_empty() { "ok".to_owned() } else { self.wrong.join("; ") });
        columns.join("\t")
    }
}
