//! What is known of a key: its scopes, whose things it reaches, and until when.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use trackside_core::Timestamp;

use super::{ApiKeyId, ApiKeySecret, Owner, secret::KeyHash};

/// What a key may do.
///
/// ```
/// use trackside_api::Scope;
/// assert!(Scope::Admin.includes(Scope::Work) && Scope::Control.includes(Scope::Brake));
/// assert!(!Scope::Brake.includes(Scope::Read));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at everything, and follow it.
    Read,
    /// Add tasks, run tools, write the cache, ask for limits.
    Enqueue,
    /// Lease tasks and settle them, report progress, say what an agent does.
    Work,
    /// Pause, resume, requeue, cancel, invalidate; sessions and schedules. Includes `brake`.
    Control,
    /// Pull and release the brake, and nothing else.
    Brake,
    /// Everything.
    Admin,
}

/// Whose things a key reaches. Where all are empty, it reaches everything.
///
/// Something is within a binding when at least one of its owners (its user, its project, its tenant) is named, and none
/// of its owners is of a kind that the binding names and is not among the names.
///
/// ```
/// use trackside_api::Binding;
/// let binding = Binding { users: ["user-42".to_owned()].into(), ..Binding::default() };
/// assert!(binding.is_bound() && !Binding::default().is_bound());
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binding {
    /// Of these users.
    pub users: BTreeSet<String>,
    /// Of these projects.
    pub projects: BTreeSet<String>,
    /// Of these tenants.
    pub tenants: BTreeSet<String>,
}

/// A key as it stands in the list of keys.
///
/// ```
/// use trackside_api::{ApiKey, ApiKeyRecord, ApiKeySecret, Binding, Scope};
/// let secret = ApiKeySecret::generate()?;
/// let record = ApiKeyRecord::new("dashboard", &secret, &[Scope::Read], Binding::default(), None);
/// assert_eq!(record.id, secret.id().to_string());
/// assert!(ApiKey::try_from(record).is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyRecord {
    /// The public name, which stands in the key itself.
    pub id: String,
    /// What it is for, in somebody's words.
    pub name: String,
    /// SHA-256 of the key, in hexadecimal digits.
    pub sha256: String,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// Whose things it reaches; with the next two empty too, everything.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<String>,
    /// The things of which projects it reaches.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub projects: BTreeSet<String>,
    /// The things of which tenants it reaches.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tenants: BTreeSet<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not accepted any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A key that callers may show.
#[derive(Debug, Clone)]
pub struct ApiKey {
    id: ApiKeyId,
    name: String,
    hash: KeyHash,
    scopes: BTreeSet<Scope>,
    binding: Binding,
    expires_at: Option<Timestamp>,
}

/// What is wrong with a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// Not the id of a key.
    #[error("an id has 8 characters from 0-9 and a-v")]
    Id,
    /// Not a whole key, or one with a slip.
    #[error("not a whole API key: a character is missing or wrong")]
    Secret,
    /// Not a hash.
    #[error("sha256 has 64 hexadecimal digits in lower case")]
    Hash,
    /// A key that may do nothing.
    #[error("a key needs at least one scope")]
    NoScope,
    /// Two keys of one id.
    #[error("the id {0} is there twice")]
    Twice(String),
}

// === impl Scope ===

impl Scope {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Read, Self::Enqueue, Self::Work, Self::Control, Self::Brake, Self::Admin];

    /// The name, as in the list of keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Enqueue => "enqueue",
            Self::Work => "work",
            Self::Control => "control",
            Self::Brake => "brake",
            Self::Admin => "admin",
        }
    }

    /// Whether a key that has this one may do what asks for `other`.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == other || self == Self::Admin || (self == Self::Control && other == Self::Brake)
    }
}

// === impl Binding ===

impl Binding {
    /// Whether anything is out of its reach.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        !(self.users.is_empty() && self.projects.is_empty() && self.tenants.is_empty())
    }

    /// Whether what belongs to these is within reach.
    pub(crate) fn reaches(&self, owner: &Owner<'_>) -> bool {
        let kinds = [(&self.users, owner.user), (&self.projects, owner.project), (&self.tenants, owner.tenant)];
        let is_named = |(names, value): &(&BTreeSet<String>, Option<&str>)| value.is_some_and(|it| names.contains(it));
        let is_foreign = |(names, value): &(&BTreeSet<String>, Option<&str>)| {
            !names.is_empty() && value.is_some_and(|it| !names.contains(it))
        };
        !self.is_bound() || (kinds.iter().any(is_named) && !kinds.iter().any(is_foreign))
    }
}

// === impl ApiKeyRecord ===

impl ApiKeyRecord {
    /// The record of a new key.
    #[must_use]
    pub fn new(
        name: &str,
        secret: &ApiKeySecret,
        scopes: &[Scope],
        binding: Binding,
        expires_at: Option<Timestamp>,
    ) -> Self {
        let Binding { users, projects, tenants } = binding;
        Self {
            id: secret.id().to_string(),
            name: name.to_owned(),
            sha256: secret.hash().to_hex(),
            scopes: scopes.iter().copied().collect(),
            users,
            projects,
            tenants,
            created_at: Timestamp::now(),
            expires_at,
        }
    }
}

// === impl ApiKey ===

impl ApiKey {
    /// Its public name.
    #[must_use]
    pub const fn id(&self) -> ApiKeyId {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it may do what asks for `scope`.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|it| it.includes(scope))
    }

    /// Whose things it reaches.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// From when on it is not accepted any more.
    pub(super) const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether a later record of it has the same secret.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.hash.is(&other.hash)
    }

    pub(super) fn is_shown_by(&self, secret: &ApiKeySecret) -> bool {
        self.hash.is(&secret.hash())
    }
}

impl TryFrom<ApiKeyRecord> for ApiKey {
    type Error = InvalidKey;

    fn try_from(record: ApiKeyRecord) -> Result<Self, Self::Error> {
        if record.scopes.is_empty() {
            return Err(InvalidKey::NoScope);
        }
        Ok(Self {
            id: record.id.parse()?,
            hash: KeyHash::from_hex(&record.sha256).ok_or(InvalidKey::Hash)?,
            name: record.name,
            scopes: record.scopes,
            binding: Binding { users: record.users, projects: record.projects, tenants: record.tenants },
            expires_at: record.expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<'a>(user: Option<&'a str>, project: Option<&'a str>, tenant: Option<&'a str>) -> Owner<'a> {
        Owner { user, project, tenant }
    }

    #[test]
    fn a_binding_reaches_what_it_names_and_nothing_that_is_also_somebody_elses() {
        let binding = Binding {
            users: ["ada".to_owned()].into(),
            projects: ["p1".to_owned(), "p2".to_owned()].into(),
            tenants: BTreeSet::new(),
        };
        for within in
            [of(Some("ada"), None, None), of(None, Some("p2"), None), of(Some("ada"), Some("p1"), Some("whoever"))]
        {
            assert!(binding.reaches(&within), "{within:?}");
        }
        for foreign in [
            of(None, None, None),
            of(Some("bob"), None, None),
            of(Some("ada"), Some("p3"), None),
            of(Some("bob"), Some("p1"), None),
            of(None, None, Some("ada")),
        ] {
            assert!(!binding.reaches(&foreign), "{foreign:?}");
        }
        assert!(Binding::default().reaches(&of(None, None, None)));
    }
}
