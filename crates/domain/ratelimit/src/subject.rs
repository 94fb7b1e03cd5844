//! Whom a call is held against.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::{Dimension, Error};

/// The values that a call has, by dimension.
///
/// ```
/// use trackside_ratelimit::{Dimension, Subject};
/// let subject = Subject::of(Dimension::User, "alice")?.with(Dimension::Ip, "2001:db8:1:2:3:4:5:6")?;
/// assert_eq!(subject.get(Dimension::Ip), Some("2001:db8:1:2::/64"));
/// # Ok::<(), trackside_ratelimit::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Subject {
    /// In the order of [`Dimension::ALL`].
    values: [Option<Arc<str>>; 6],
}

/// The longest value in bytes.
const MAX_BYTES: usize = 256;

// === impl Subject ===

impl Subject {
    /// A subject with one value.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn of(dimension: Dimension, value: &str) -> Result<Self, Error> {
        Self::default().with(dimension, value)
    }

    /// The same subject with a further value. Of an API key only a digest is kept; of an IPv6 address only its network of 64 bits,
    /// which is what one customer gets.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] with the dimension: a value is 1 to 256 bytes without control characters and braces, and an address
    /// is one.
    pub fn with(mut self, dimension: Dimension, value: &str) -> Result<Self, Error> {
        let bad = |reason: &str| Error::InvalidInput { field: dimension.as_str(), reason: reason.to_owned() };
        if !is_value(value) {
            return Err(bad("1 to 256 bytes without control characters or braces"));
        }
        let value = match dimension {
            Dimension::Ip => network(value.parse().map_err(|_| bad("an IPv4 or IPv6 address"))?),
            Dimension::Key => BASE64URL_NOPAD.encode(Sha256::digest(value.as_bytes()).get(..16).unwrap_or_default()),
            _ => value.to_owned(),
        };
        self.values[dimension as usize] = Some(value.into());
        Ok(self)
    }

    /// The same subject that comes from this address.
    #[must_use]
    pub fn with_ip(mut self, address: IpAddr) -> Self {
        self.values[Dimension::Ip as usize] = Some(network(address).into());
        self
    }

    /// The values as they are counted, in the order of [`Dimension::ALL`].
    pub(crate) fn values(&self) -> [Option<&str>; 6] {
        self.values.each_ref().map(Option::as_deref)
    }

    /// The subject with these values, when every one of them could be one.
    pub(crate) fn of_values(values: [Option<String>; 6]) -> Option<Self> {
        let is_valid = values.iter().flatten().all(|value| is_value(value));
        is_valid.then(|| Self { values: values.map(|value| value.map(Into::into)) })
    }

    /// The value of a dimension, as it is counted.
    #[must_use]
    pub fn get(&self, dimension: Dimension) -> Option<&str> {
        self.values[dimension as usize].as_deref()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values =
            Dimension::ALL.into_iter().filter_map(|dimension| Some((dimension.as_str(), self.get(dimension)?)));
        f.debug_map().entries(values).finish()
    }
}

fn is_value(text: &str) -> bool {
    (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(|c| c.is_control() || matches!(c, '{' | '}'))
}

/// What one customer has: an address of IPv4, a network of IPv6.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> String {
        Subject::of(Dimension::Ip, text).unwrap().get(Dimension::Ip).unwrap().to_owned()
    }

    #[test]
    fn addresses_are_counted_by_what_one_customer_has() {
        assert_eq!(ip("192.0.2.7"), "192.0.2.7");
        assert_eq!(ip("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert!(Subject::of(Dimension::Ip, "localhost").is_err());
    }

    #[test]
    fn an_api_key_is_not_kept() {
        let subject = Subject::of(Dimension::Key, "sk-secret").unwrap();
        assert!(!format!("{subject:?}").contains("secret"));
        assert_eq!(subject.get(Dimension::Key).unwrap().len(), 22);
    }

    #[test]
    fn values_cannot_break_out_of_their_keys() {
        for bad in ["", "a{b", "a}b", "a\nb", &"x".repeat(257)] {
            assert!(Subject::of(Dimension::User, bad).is_err(), "{bad:?}");
        }
        assert!(Subject::of(Dimension::Project, "Übersicht / 1").is_ok());
    }
}
