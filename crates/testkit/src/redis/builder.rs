//! The options of a test server.

use std::{path::PathBuf, sync::Mutex};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{
    RedisServer,
    binary::{server_has_tls, server_major},
    running::Recipe,
    tls_front::TlsFront,
};
use crate::port::PortLease;

/// When the append-only file reaches the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Once a second.
    EverySec,
    /// Before each answer.
    Always,
}

/// The certificates of a server that speaks TLS, as files in PEM form.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Who signed the clients' certificates.
    pub ca: PathBuf,
    /// The server's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// True when a client must present a certificate as well.
    pub client_auth: bool,
}

/// Options for a [`RedisServer`], set before it starts.
#[derive(Debug, Default)]
#[must_use = "nothing runs before start()"]
pub struct RedisServerBuilder {
    options: Vec<(String, String)>,
    password: Option<String>,
    tls: Option<TlsFiles>,
    unix_socket: bool,
    mode: Mode,
}

/// What the program is started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mode {
    #[default]
    Server,
    Sentinel,
}

// === impl RedisServerBuilder ===

impl RedisServerBuilder {
    /// Any option of `redis.conf`.
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps an append-only file, so that data survives [`kill9`](RedisServer::kill9) and a restart.
    pub fn appendonly(self, fsync: Fsync) -> Self {
        let fsync = match fsync {
            Fsync::EverySec => "everysec",
            Fsync::Always => "always",
        };
        self.option("appendonly", "yes").option("appendfsync", fsync)
    }

    /// What the default user must present.
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.option("requirepass", password)
    }

    /// One more user, such as `reader on >secret ~* +@read`.
    pub fn acl(self, user: &str) -> Self {
        self.option("user", user)
    }

    /// The memory limit in bytes, under the policy `noeviction`.
    pub fn maxmemory(self, bytes: u64) -> Self {
        self.option("maxmemory", &bytes.to_string())
    }

    /// A read-only copy of another server, which must run.
    pub fn replica_of(self, server: &RedisServer) -> Self {
        let this = self.option("replicaof", &format!("127.0.0.1 {}", server.port()));
        match &server.password {
            Some(password) => this.option("masterauth", password),
            None => this,
        }
    }

    /// Speaks TLS on a port of its own; [`RedisServer::url`] names that one. A server that was built without TLS gets it
    /// put in front.
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Listens on a unix socket too; [`RedisServer::url`] names that one.
    pub fn unix_socket(mut self) -> Self {
        self.unix_socket = true;
        self
    }

    /// A sentinel that watches `primary` under the name `service`, and agrees with `quorum` others that it is down after
    /// half a second of silence.
    pub fn sentinel_of(mut self, service: &str, primary: &RedisServer, quorum: u32) -> Self {
        self.mode = Mode::Sentinel;
        self.option("sentinel", &format!("monitor {service} 127.0.0.1 {} {quorum}", primary.port()))
            .option("sentinel", &format!("down-after-milliseconds {service} 500"))
            .option("sentinel", &format!("failover-timeout {service} 3000"))
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// When no server program is found (the message holds the line to type) or when it does not come up (its log).
    pub async fn start(self) -> Result<RedisServer> {
        let server = self.prepare()?;
        server.restart().await?;
        Ok(server)
    }

    /// Chooses port and folder, and starts nothing: the server that is not there yet. `restart` brings it up.
    ///
    /// # Errors
    /// When there is no port or no place for its folder.
    pub fn prepare(self) -> Result<RedisServer> {
        let folder = TempDir::with_prefix("trackside-redis-").context("cannot make a temporary folder")?;
        let port = PortLease::take()?;
        let tls = self.tls.as_ref().map(|_| PortLease::take()).transpose()?;
        let socket = self.unix_socket.then(|| folder.path().join("server.sock"));
        let mut options = vec![
            ("port".to_owned(), port.port.to_string()),
            ("bind".to_owned(), "127.0.0.1".to_owned()),
            ("dir".to_owned(), folder.path().display().to_string()),
            ("save".to_owned(), String::new()),
            ("loglevel".to_owned(), "notice".to_owned()),
            ("repl-diskless-sync-delay".to_owned(), "0".to_owned()),
        ];
        // Before 7 the command needs no permission, and the word is unknown and fatal.
        if server_major()?.is_none_or(|major| major >= 7) {
            options.push(("enable-debug-command".to_owned(), "local".to_owned()));
        }
        let tls_front = match (&self.tls, &tls) {
            (Some(files), Some(lease)) if !server_has_tls()? => Some(TlsFront::start(lease.port, port.port, files)?),
            _ => None,
        };
        if let (Some(files), Some(lease), None) = (&self.tls, &tls, &tls_front) {
            let client_auth = if files.client_auth { "yes" } else { "no" };
            options.extend([
                ("tls-port".to_owned(), lease.port.to_string()),
                ("tls-ca-cert-file".to_owned(), files.ca.display().to_string()),
                ("tls-cert-file".to_owned(), files.cert.display().to_string()),
                ("tls-key-file".to_owned(), files.key.display().to_string()),
                ("tls-auth-clients".to_owned(), client_auth.to_owned()),
            ]);
        }
        if let Some(socket) = &socket {
            options.push(("unixsocket".to_owned(), socket.display().to_string()));
        }
        options.extend(self.options);
        // A file and not arguments: a password would show in the list of processes.
        let config = folder.path().join("server.conf");
        let text: String = options.iter().map(|(name, value)| line(name, value)).collect();
        std::fs::write(&config, text).context("cannot write the server's configuration")?;
        Ok(RedisServer {
            recipe: Recipe {
                args: match self.mode {
                    Mode::Server => vec![config.display().to_string()],
                    Mode::Sentinel => vec![config.display().to_string(), "--sentinel".to_owned()],
                },
                folder: folder.path().to_owned(),
            },
            ready: match self.mode {
                Mode::Server => "Ready to accept connections",
                Mode::Sentinel => "+monitor master",
            },
            password: self.password,
            tls,
            _tls_front: tls_front,
            socket,
            process: Mutex::new(None),
            runs: Default::default(),
            port,
            folder,
        })
    }
}

/// One line of a configuration file; options that take several words are given as they are.
fn line(name: &str, value: &str) -> String {
    if value.is_empty() { format!("{name} \"\"\n") } else { format!("{name} {value}\n") }
}
