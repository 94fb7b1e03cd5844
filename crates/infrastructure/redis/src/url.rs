//! Where Redis is, as one validated URL.

use std::{fmt, path::PathBuf, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use thiserror::Error as ThisError;
use url::Url;

/// A host and a port.
pub(crate) type Node = (String, u16);

/// Where Redis is. Parsing is strict: an unknown scheme or parameter is an error and not ignored.
///
/// - `redis://[user:password@]host[:6379][/database]`, and `rediss://` with TLS
/// - `redis-cluster://[user:password@]host:port?node=host2:port&node=…`, `rediss-cluster://` with TLS
/// - `redis-sentinel://[user:password@]host:26379[/database]?node=host2:26379&sentinelServiceName=mymaster`, with
///   `sentinelUsername` and `sentinelPassword` where the sentinels want their own; `rediss-sentinel://` with TLS
/// - `redis+unix:///path/to.sock[?user=…&password=…&database=…]`, or `unix://` for short
///
/// `valkey` may be written for `redis` in each. Neither `Debug` nor `Display` shows a password.
///
/// ```
/// use trackside_redis::RedisUrl;
/// let url: RedisUrl = "rediss://worker:s3cret@cache.example:6380/2".parse()?;
/// assert_eq!(url.to_string(), "rediss://worker:***@cache.example:6380/2");
/// assert_eq!(url.database(), 2);
/// assert!("http://cache.example".parse::<RedisUrl>().is_err());
/// # Ok::<(), trackside_redis::InvalidUrl>(())
/// ```
#[derive(Clone)]
pub struct RedisUrl {
    pub(crate) topology: Topology,
    pub(crate) credentials: Credentials,
    pub(crate) database: u8,
    pub(crate) tls: bool,
}

/// How the servers are arranged.
#[derive(Clone)]
pub(crate) enum Topology {
    Standalone(Node),
    Cluster(Vec<Node>),
    Sentinel { nodes: Vec<Node>, service: String, credentials: Credentials },
    Unix(PathBuf),
}

/// Who we are.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
}

/// Why a text is no Redis URL; it never repeats the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("not a redis URL: {0}")]
pub struct InvalidUrl(String);

// === impl RedisUrl ===

impl RedisUrl {
    /// The database index; 0 by default, and always in Cluster.
    #[must_use]
    pub const fn database(&self) -> u8 {
        self.database
    }

    /// The same servers with another database index, for data that is kept apart.
    ///
    /// # Errors
    /// In Cluster, which has only database 0.
    pub fn with_database(mut self, database: u8) -> Result<Self, InvalidUrl> {
        if database != 0 && self.is_cluster() {
            return Err(invalid("a cluster has only database 0"));
        }
        self.database = database;
        Ok(self)
    }

    /// True when keys are spread over several servers.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.topology, Topology::Cluster(_))
    }

    /// The host and port that metrics name: the first one given.
    #[must_use]
    pub fn server_address(&self) -> String {
        match &self.topology {
            Topology::Standalone((host, port)) => format!("{host}:{port}"),
            Topology::Cluster(nodes) | Topology::Sentinel { nodes, .. } => {
                nodes.first().map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
            }
            Topology::Unix(path) => path.display().to_string(),
        }
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
        if url.fragment().is_some() {
            return Err(invalid("a fragment (#…) has no meaning here; write # in a password as %23"));
        }
        let scheme = url.scheme().replacen("valkey", "redis", 1);
        let tls = scheme.starts_with("rediss");
        let mut query = Query::of(&url);
        let mut parsed = match scheme.as_str() {
            "redis" | "rediss" => {
                let topology = Topology::Standalone(node_of(&url, 6379)?);
                Self { topology, credentials: credentials_of(&url)?, database: database_of(url.path())?, tls }
            }
            "redis-cluster" | "rediss-cluster" => {
                let mut nodes = vec![node_of(&url, 6379)?];
                nodes.extend(query.nodes(6379)?);
                let database = database_of(url.path())?;
                if database != 0 {
                    return Err(invalid("a cluster has only database 0"));
                }
                Self { topology: Topology::Cluster(nodes), credentials: credentials_of(&url)?, database, tls }
            }
            "redis-sentinel" | "rediss-sentinel" => {
                let mut nodes = vec![node_of(&url, 26379)?];
                nodes.extend(query.nodes(26379)?);
                let service = query
                    .take("sentinelServiceName")
                    .ok_or_else(|| invalid("sentinelServiceName says which service the sentinels watch"))?;
                let credentials = query.credentials("sentinelUsername", "sentinelPassword");
                let topology = Topology::Sentinel { nodes, service, credentials };
                Self { topology, credentials: credentials_of(&url)?, database: database_of(url.path())?, tls }
            }
            "redis+unix" | "unix" => {
                // Without the slashes all that follows would be the path, a password too.
                if url.cannot_be_a_base() || url.path().len() < 2 {
                    return Err(invalid("a socket path must follow, as in redis+unix:///run/redis.sock"));
                }
                let topology = Topology::Unix(PathBuf::from(decode(url.path())?));
                let database = query.take("database").map_or(Ok(0), |text| database_of(&text))?;
                let mut credentials = credentials_of(&url)?;
                let from_query = query.credentials("user", "password");
                credentials.user = credentials.user.or(from_query.user);
                credentials.password = credentials.password.or(from_query.password);
                Self { topology, credentials, database, tls: false }
            }
            _ => {
                return Err(invalid(
                    "the scheme is none of redis, rediss, redis-cluster, redis-sentinel, redis+unix (or valkey…)",
                ));
            }
        };
        query.finish()?;
        parsed.tls = tls;
        Ok(parsed)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.tls { "s" } else { "" };
        let user = match (&self.credentials.user, &self.credentials.password) {
            (Some(user), Some(_)) => format!("{user}:***@"),
            (Some(user), None) => format!("{user}@"),
            (None, Some(_)) => ":***@".to_owned(),
            (None, None) => String::new(),
        };
        let database = if self.database == 0 { String::new() } else { format!("/{}", self.database) };
        let list =
            |nodes: &[Node]| nodes.iter().map(|(host, port)| format!("{host}:{port}")).collect::<Vec<_>>().join(",");
        match &self.topology {
            Topology::Standalone((host, port)) => write!(f, "redis{s}://{user}{host}:{port}{database}"),
            Topology::Cluster(nodes) => write!(f, "redis{s}-cluster://{user}{}", list(nodes)),
            Topology::Sentinel { nodes, service, .. } => {
                write!(f, "redis{s}-sentinel://{user}{}{database} ({service})", list(nodes))
            }
            Topology::Unix(path) => write!(f, "redis+unix://{user}{}{database}", path.display()),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for RedisUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The parameters that are still to be understood.
struct Query(Vec<(String, String)>);

// === impl Query ===

impl Query {
    fn of(url: &Url) -> Self {
        Self(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(given, _)| given == name)?;
        Some(self.0.remove(index).1)
    }

    fn nodes(&mut self, default_port: u16) -> Result<Vec<Node>, InvalidUrl> {
        std::iter::from_fn(|| self.take("node")).map(|text| parse_node(&text, default_port)).collect()
    }

    fn credentials(&mut self, user: &str, password: &str) -> Credentials {
        Credentials { user: self.take(user), password: self.take(password).map(SecretString::from) }
    }

    fn finish(self) -> Result<(), InvalidUrl> {
        match self.0.first() {
            // What is no name may be a part of a URL, with a password in it.
            Some((name, _)) if name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Err(invalid(format!("unknown parameter {name}")))
            }
            Some(_) => Err(invalid("a parameter whose name is none")),
            None => Ok(()),
        }
    }
}

fn invalid(reason: impl Into<String>) -> InvalidUrl {
    InvalidUrl(reason.into())
}

fn node_of(url: &Url, default_port: u16) -> Result<Node, InvalidUrl> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid("the host is missing"))?;
    Ok((host.trim_matches(['[', ']']).to_owned(), url.port().unwrap_or(default_port)))
}

fn parse_node(text: &str, default_port: u16) -> Result<Node, InvalidUrl> {
    let url = Url::parse(&format!("redis://{text}")).map_err(|_| invalid("node must be host:port"))?;
    node_of(&url, default_port)
}

fn credentials_of(url: &Url) -> Result<Credentials, InvalidUrl> {
    let user = decode(url.username())?;
    let password = url.password().map(decode).transpose()?;
    Ok(Credentials {
        user: Some(user).filter(|user| !user.is_empty()),
        password: password.filter(|password| !password.is_empty()).map(SecretString::from),
    })
}

fn database_of(path: &str) -> Result<u8, InvalidUrl> {
    match path.trim_matches('/') {
        "" => Ok(0),
        digits => digits.parse().map_err(|_| invalid("the path must be a database index, such as /2")),
    }
}

/// Undoes percent-encoding.
fn decode(text: &str) -> Result<String, InvalidUrl> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.ok_or_else(|| invalid("% must be followed by two hexadecimal digits"))?);
        rest = tail.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| invalid("a percent-encoded part is not UTF-8"))
}

// === impl Credentials ===

impl Credentials {
    /// The password in clear, for the driver only.
    pub(crate) fn exposed_password(&self) -> Option<String> {
        self.password.as_ref().map(|password| password.expose_secret().to_owned())
    }
}
