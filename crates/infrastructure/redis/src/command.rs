//! One Redis command, built word by word.

use std::fmt;

use bytes::Bytes;

use crate::{Error, Operation};

/// A command with its arguments. [`key`](Self::key) marks what decides the Cluster slot, [`arg`](Self::arg) the rest.
///
/// Its `Debug` shows the name and the number of arguments, never their content.
///
/// ```
/// use trackside_redis::Command;
/// let command = Command::new("XADD").key("events").arg("*").arg("size").arg(42);
/// assert_eq!(format!("{command:?}"), "XADD (4 arguments)");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a command does nothing before it is executed"]
pub struct Command {
    name: &'static str,
    args: Vec<Bytes>,
    /// Where the keys are among the arguments.
    keys: Vec<usize>,
}

/// One argument: bytes, text or a number in decimal.
///
/// ```
/// use trackside_redis::Arg;
/// assert_eq!(Arg::from(-7).into_bytes(), "-7");
/// assert_eq!(Arg::from("text").into_bytes(), "text");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Arg(Bytes);

// === impl Command ===

impl Command {
    /// A command without arguments. A subcommand is an argument: `Command::new("XGROUP").arg("CREATE")`.
    pub const fn new(name: &'static str) -> Self {
        Self { name, args: Vec::new(), keys: Vec::new() }
    }

    /// A key, already with its prefix. All keys of one command must share a slot in Cluster.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.keys.push(self.args.len());
        self.args.push(Bytes::from(key.into()));
        self
    }

    /// Any number of keys.
    pub fn keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        for key in keys {
            self = self.key(key);
        }
        self
    }

    /// An argument that is not a key.
    pub fn arg(mut self, arg: impl Into<Arg>) -> Self {
        self.args.push(arg.into().0);
        self
    }

    /// Any number of arguments that are not keys.
    pub fn args<A: Into<Arg>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.into().0));
        self
    }

    /// The command's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The keys, in order.
    pub(crate) fn key_bytes(&self) -> impl Iterator<Item = &Bytes> {
        self.keys.iter().filter_map(|index| self.args.get(*index))
    }

    /// True when the first argument is a key and no other is.
    pub(crate) fn has_only_first_as_key(&self) -> bool {
        self.keys == [0]
    }

    pub(crate) fn args_bytes(&self) -> &[Bytes] {
        &self.args
    }

    /// What an error about this command tells of it.
    pub(crate) fn operation(&self, name: &'static str) -> Operation {
        match self.key_bytes().next().and_then(|key| std::str::from_utf8(key).ok()) {
            Some(key) => Operation::on(name, key),
            None => Operation::new(name),
        }
    }

    /// Refuses what would change the meaning of a connection that others share.
    pub(crate) fn check_shareable(&self, name: &'static str) -> Result<(), Error> {
        const CONNECTION_STATE: [&str; 12] = [
            "SUBSCRIBE",
            "PSUBSCRIBE",
            "SSUBSCRIBE",
            "UNSUBSCRIBE",
            "PUNSUBSCRIBE",
            "MONITOR",
            "SELECT",
            "MULTI",
            "EXEC",
            "WATCH",
            "RESET",
            "QUIT",
        ];
        if CONNECTION_STATE.iter().any(|word| word.eq_ignore_ascii_case(self.name)) {
            let reason = format!("{} would change a connection that others share", self.name);
            return Err(Error::invalid_input(Operation::new(name), reason));
        }
        Ok(())
    }

    pub(crate) fn into_args(self) -> Vec<Bytes> {
        self.args
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} arguments)", self.name, self.args.len())
    }
}

// === impl Arg ===

impl Arg {
    /// The bytes as they are sent.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl fmt::Debug for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<Bytes> for Arg {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl From<&Bytes> for Arg {
    fn from(bytes: &Bytes) -> Self {
        Self(bytes.clone())
    }
}

impl From<Vec<u8>> for Arg {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for Arg {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&String> for Arg {
    fn from(text: &String) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

macro_rules! arg_from_number {
    ($($number:ty),*) => {$(
        impl From<$number> for Arg {
            fn from(number: $number) -> Self {
                Self(number.to_string().into())
            }
        }
    )*};
}

arg_from_number!(i8, u8, i16, u16, i32, u32, i64, u64, isize, usize, f64);
