//! Ports that stay ours while a server is down.
//!
//! A server that is killed and restarted must find its port free again. So ports are taken from below the range the
//! kernel hands to outgoing connections, and each is held by a lock on a file that other test processes respect.

use std::{
    collections::hash_map::RandomState,
    fs::File,
    hash::{BuildHasher, Hasher},
    net::{Ipv4Addr, TcpListener},
};

use anyhow::{Context, Result, bail};
use nix::unistd::geteuid;

/// Lowest port given out. A cluster's bus is at the port + 10 000, which must stay below the ephemeral range too.
const FIRST: u16 = 10_240;
/// How many ports there are to choose from.
const COUNT: u16 = 12_000;

/// A port that no other test process uses while this lives.
#[derive(Debug)]
pub(crate) struct PortLease {
    /// The port on 127.0.0.1.
    pub(crate) port: u16,
    /// Its lock ends with the process, however that ends.
    _lock: File,
}

// === impl PortLease ===

impl PortLease {
    /// A free port.
    pub(crate) fn take() -> Result<Self> {
        // One for each user, because the files belong to whoever made them. Between users the bind alone decides.
        let folder = std::env::temp_dir().join(format!("trackside-test-ports-{}", geteuid()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let start = RandomState::new().build_hasher().finish();
        for step in 0..u64::from(COUNT) {
            let offset = u16::try_from((start.wrapping_add(step)) % u64::from(COUNT))?;
            let port = FIRST + offset;
            let lock = File::options()
                .create(true)
                .append(true)
                .open(folder.join(port.to_string()))
                .with_context(|| format!("cannot write in {}", folder.display()))?;
            let free = lock.try_lock().is_ok()
                && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
                && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 10_000)).is_ok();
            if free {
                return Ok(Self { port, _lock: lock });
            }
        }
        bail!("no free port between {FIRST} and {}", FIRST + COUNT)
    }
}
