//! What a server answers, and the ways to insist on a shape.

use std::fmt;

use bytes::Bytes;

use crate::{Error, Operation};

/// What a conversion names when it fails; [`Error::during`] puts the caller's operation in its place.
const PARSING: Operation = Operation::new("redis.reply");

/// A server's answer, as RESP3 tells it: `HGETALL` and other maps come as an array of alternating keys and values (in
/// no particular order), a boolean as 0 or 1, a score as [`Double`](Self::Double).
///
/// Its `Debug` shows numbers, shapes and sizes, never text.
///
/// ```
/// use trackside_redis::Reply;
/// let reply = Reply::Array(vec![Reply::Int(3), Reply::Bytes("mail".into()), Reply::Nil]);
/// let [depth, name, missing] = reply.into_array_of::<3>()?;
/// assert_eq!(depth.as_int()?, 3);
/// assert_eq!(name.into_string()?, "mail");
/// assert_eq!(missing.into_option(), None);
/// # Ok::<(), trackside_redis::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub enum Reply {
    /// Nothing there.
    Nil,
    /// An integer.
    Int(i64),
    /// A floating-point number, such as a score.
    Double(f64),
    /// A string, text or not.
    Bytes(Bytes),
    /// A list, or a map as alternating keys and values.
    Array(Vec<Self>),
    /// An error inside a list.
    Error(String),
}

// === impl Reply ===

impl Reply {
    /// True for [`Nil`](Self::Nil).
    #[must_use]
    pub const fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// `None` for nil.
    #[must_use]
    pub fn into_option(self) -> Option<Self> {
        if self.is_nil() { None } else { Some(self) }
    }

    /// A string's bytes, also of a number.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is nil or a list.
    pub fn into_bytes(self) -> Result<Bytes, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Int(int) => Ok(int.to_string().into()),
            Self::Double(double) => Ok(double.to_string().into()),
            other => Err(other.is_not("a string")),
        }
    }

    /// A string's text, also of a number.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is nil, a list or not UTF-8.
    pub fn into_string(self) -> Result<String, Error> {
        let bytes = self.into_bytes()?;
        String::from_utf8(bytes.into()).map_err(|_| Error::InvalidData {
            operation: PARSING,
            expected: "UTF-8 text",
            found: "other bytes".to_owned(),
        })
    }

    /// An integer, also as decimal text.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is not one.
    pub fn as_int(&self) -> Result<i64, Error> {
        match self {
            Self::Int(int) => Ok(*int),
            Self::Bytes(bytes) => parse(bytes).ok_or_else(|| self.is_not("an integer")),
            other => Err(other.is_not("an integer")),
        }
    }

    /// An integer that is not negative, also as decimal text.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is not one.
    pub fn as_u64(&self) -> Result<u64, Error> {
        u64::try_from(self.as_int()?).map_err(|_| self.is_not("a count"))
    }

    /// A number, also as text.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is not one.
    #[expect(clippy::cast_precision_loss, reason = "Redis keeps scores as doubles itself")]
    pub fn as_f64(&self) -> Result<f64, Error> {
        match self {
            Self::Int(int) => Ok(*int as f64),
            Self::Double(double) => Ok(*double),
            Self::Bytes(bytes) => parse(bytes).ok_or_else(|| self.is_not("a number")),
            other => Err(other.is_not("a number")),
        }
    }

    /// A flag: 0 or 1.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is something else.
    pub fn as_bool(&self) -> Result<bool, Error> {
        match self.as_int() {
            Ok(0) => Ok(false),
            Ok(1) => Ok(true),
            _ => Err(self.is_not("0 or 1")),
        }
    }

    /// A list's items; nil is the empty list.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is neither.
    pub fn into_array(self) -> Result<Vec<Self>, Error> {
        match self {
            Self::Array(items) => Ok(items),
            Self::Nil => Ok(Vec::new()),
            other => Err(other.is_not("a list")),
        }
    }

    /// A list of exactly `N` items.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is no list or has another length.
    pub fn into_array_of<const N: usize>(self) -> Result<[Self; N], Error> {
        self.into_array()?.try_into().map_err(|items: Vec<Self>| Error::InvalidData {
            operation: PARSING,
            expected: "a list of the agreed length",
            found: format!("a list of {}", items.len()),
        })
    }

    /// A map's entries, in no particular order; nil is the empty map.
    ///
    /// # Errors
    /// [`Error::InvalidData`] when it is no list of alternating keys and values.
    pub fn into_pairs(self) -> Result<Vec<(Self, Self)>, Error> {
        let items = self.into_array()?;
        if items.len() % 2 != 0 {
            return Err(Self::Array(items).is_not("alternating keys and values"));
        }
        let mut items = items.into_iter();
        Ok(std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect())
    }

    fn is_not(&self, expected: &'static str) -> Error {
        Error::InvalidData { operation: PARSING, expected, found: format!("{self:?}") }
    }
}

fn parse<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Int(int) => write!(f, "the integer {int}"),
            Self::Double(double) => write!(f, "the number {double}"),
            Self::Bytes(bytes) => write!(f, "a string of {} bytes", bytes.len()),
            Self::Array(items) => write!(f, "a list of {}", items.len()),
            Self::Error(_) => f.write_str("an error"),
        }
    }
}
