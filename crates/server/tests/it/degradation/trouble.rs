//! What can be the matter with Redis.

use std::time::Duration;

use trackside_testkit::{FaultProxy, RedisServer};

use super::table::{Row, Says};

/// What is the matter with Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is killed, and keeps what it had on its disk.
    Away,
    /// It stands still: connections stay, and nothing is answered.
    Hung,
    /// Answers come late, before a command is given up.
    Slow,
    /// Answers come after that.
    TooSlow,
    /// It is a replica.
    ReadOnly,
    /// It wants more replicas than it has.
    Lonely,
    /// It has no memory left.
    Full,
}

/// A Redis behind a proxy, which can be got into trouble.
#[derive(Debug)]
pub(crate) struct Victim {
    pub(crate) redis: RedisServer,
    pub(crate) proxy: FaultProxy,
}

// === impl Trouble ===

impl Trouble {
    /// What the row may answer in this trouble.
    pub(crate) fn says(self, row: &Row) -> Vec<Says> {
        match self {
            Self::Slow => vec![Says::Same],
            Self::Away | Self::Hung | Self::TooSlow => vec![row.lost],
            // It may be a primary that was replaced: its connections are given up, and with them what is read on them.
            Self::ReadOnly => vec![row.unwritable, row.lost],
            Self::Lonely => vec![row.unwritable],
            Self::Full => vec![row.full],
        }
    }
}

// === impl Victim ===

impl Victim {
    /// Answers the trouble, or nothing when this server takes no notice of it.
    pub(crate) fn begin(&self, trouble: Trouble) -> Option<Trouble> {
        match trouble {
            Trouble::Away => {
                self.proxy.cut();
                self.redis.kill9();
            }
            Trouble::Hung => self.redis.pause(),
            Trouble::Slow => self.proxy.delay(Duration::from_millis(50)),
            Trouble::TooSlow => self.proxy.delay(Duration::from_millis(800)),
            Trouble::ReadOnly => self.tell(&["REPLICAOF", "127.0.0.1", "1"]),
            Trouble::Lonely => self.tell(&["CONFIG", "SET", "min-replicas-to-write", "1"]),
            Trouble::Full => self.tell(&["CONFIG", "SET", "maxmemory", "1"]),
        }
        // Before 7, scripts write with however few replicas.
        let writes = || self.redis.try_cli(&["EVAL", "return redis.call('DEL', KEYS[1])", "1", "nothing"]).is_ok();
        if trouble == Trouble::Lonely && writes() { None } else { Some(trouble) }
    }

    pub(crate) async fn end(&self, trouble: Trouble) -> anyhow::Result<()> {
        match trouble {
            Trouble::Away => {
                self.redis.restart().await?;
                self.proxy.heal();
            }
            Trouble::Hung => self.redis.resume(),
            Trouble::Slow | Trouble::TooSlow => self.proxy.heal(),
            Trouble::ReadOnly => self.tell(&["REPLICAOF", "NO", "ONE"]),
            Trouble::Lonely => self.tell(&["CONFIG", "SET", "min-replicas-to-write", "0"]),
            Trouble::Full => self.tell(&["CONFIG", "SET", "maxmemory", "0"]),
        }
        Ok(())
    }

    fn tell(&self, words: &[&str]) {
        assert_eq!(self.redis.cli(words), "OK", "{words:?}");
    }
}
