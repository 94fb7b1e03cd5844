//! The keys that there are.

use std::{collections::HashMap, sync::Arc, time::Duration};

use trackside_core::Timestamp;

use super::{ApiKey, ApiKeyId, ApiKeyRecord, ApiKeySecret, InvalidKey};

/// The keys that callers may show.
///
/// ```
/// use trackside_api::{ApiKeyRecord, ApiKeySecret, Binding, KeyRing, Scope};
/// let secret = ApiKeySecret::generate()?;
/// let record = ApiKeyRecord::new("worker", &secret, &[Scope::Work], Binding::default(), None);
/// let ring = KeyRing::new([record]).map_err(std::io::Error::other)?;
/// assert_eq!(ring.len(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    keys: HashMap<ApiKeyId, Arc<ApiKey>>,
}

/// Why what was shown is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// Not a whole key: a slip, or something else.
    Malformed,
    /// Never was one, or was revoked.
    Unknown,
    /// It was one.
    Expired,
}

// === impl KeyRing ===

impl KeyRing {
    /// These keys.
    ///
    /// # Errors
    /// When one of them is malformed, may do nothing, or has the id of another.
    pub fn new(records: impl IntoIterator<Item = ApiKeyRecord>) -> Result<Self, InvalidKey> {
        let mut keys = HashMap::new();
        for record in records {
            let key = ApiKey::try_from(record)?;
            if let Some(earlier) = keys.insert(key.id(), Arc::new(key)) {
                return Err(InvalidKey::Twice(earlier.id().to_string()));
            }
        }
        Ok(Self { keys })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none: nobody is let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How long a key that was shown is good for, at most a day; `None` when it is not good any more.
    pub(crate) fn holds(&self, key: &ApiKey, now: Timestamp) -> Option<Duration> {
        const LOOK_AGAIN: Duration = Duration::from_secs(86_400);
        let known = self.keys.get(&key.id()).filter(|known| known.is_same(key))?;
        let Some(end) = known.expires_at() else { return Some(LOOK_AGAIN) };
        let left = Duration::from_millis(end.millis_since(now));
        (!known.is_over(now)).then(|| left.min(LOOK_AGAIN))
    }

    /// The key that was shown. Its id finds it, which is no secret; the rest is compared in constant time.
    pub(crate) fn find(&self, shown: &str, now: Timestamp) -> Result<Arc<ApiKey>, NoKey> {
        let secret: ApiKeySecret = shown.parse().map_err(|_| NoKey::Malformed)?;
        let key = self.keys.get(&secret.id()).filter(|key| key.is_shown_by(&secret)).ok_or(NoKey::Unknown)?;
        if key.is_over(now) { Err(NoKey::Expired) } else { Ok(Arc::clone(key)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Binding, Scope},
        *,
    };

    #[test]
    fn a_key_is_found_until_it_expires_and_never_by_its_id_alone() {
        let (mine, other) = (ApiKeySecret::generate().unwrap(), ApiKeySecret::generate().unwrap());
        let end = Timestamp::from_millis(1_000);
        let record = ApiKeyRecord::new("mine", &mine, &[Scope::Read], Binding::default(), Some(end));
        let ring = KeyRing::new([record.clone()]).unwrap();
        let at = Timestamp::from_millis;
        assert_eq!(ring.find(mine.expose(), at(999)).unwrap().name(), "mine");
        assert_eq!(ring.find(mine.expose(), at(1_000)).unwrap_err(), NoKey::Expired);
        let key = ring.find(mine.expose(), at(0)).unwrap();
        assert_eq!(ring.holds(&key, at(999)), Some(Duration::from_millis(1)));
        assert_eq!(ring.holds(&key, at(1_000)), None);
        assert_eq!(KeyRing::default().holds(&key, at(0)), None);
        assert_eq!(ring.find(other.expose(), at(0)).unwrap_err(), NoKey::Unknown);
        assert_eq!(ring.find(&mine.expose()[..40], at(0)).unwrap_err(), NoKey::Malformed);
        // The id of a key with another secret.
        let forged = ApiKeyRecord {
            sha256: ApiKeyRecord::new("x", &other, &[], Binding::default(), None).sha256,
            ..record.clone()
        };
        assert_eq!(KeyRing::new([forged]).unwrap().find(mine.expose(), at(0)).unwrap_err(), NoKey::Unknown);
        assert!(matches!(KeyRing::new([record.clone(), record]).unwrap_err(), InvalidKey::Twice(_)));
    }

    #[test]
    fn a_list_with_a_mistake_is_refused_as_a_whole() {
        let secret = ApiKeySecret::generate().unwrap();
        let good = ApiKeyRecord::new("good", &secret, &[Scope::Read], Binding::default(), None);
        let refused = |change: fn(&mut ApiKeyRecord)| {
            let mut record = good.clone();
            change(&mut record);
            KeyRing::new([record]).unwrap_err()
        };
        assert_eq!(refused(|it| it.scopes.clear()), InvalidKey::NoScope);
        assert_eq!(refused(|it| it.sha256.truncate(10)), InvalidKey::Hash);
        assert_eq!(refused(|it| it.id.push('x')), InvalidKey::Id);
    }
}
