//! `[session]`: how long sessions live, how browsers carry them, and what seals them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use trackside_core::SystemClock;
use trackside_session::{
    Error, Keyring, MemorySessionStore, SameSite, SealingKey, SessionLayer, SessionManager, SessionStore, WebConfig,
    WhenFull,
};

use super::Config;

/// `[session]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    idle_s: u64,
    absolute_s: u64,
    touch_every_s: u64,
    grace_s: u64,
    /// 0 for any number.
    max_per_user: u32,
    when_full: Full,
    max_context_bytes: usize,
    /// `<name>:<key>` each; the first seals.
    keys: Vec<SecretString>,
    cookie_name: String,
    same_site: Site,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Full {
    OldestGoes,
    Refuse,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Site {
    Lax,
    Strict,
}

/// Refuses settings that cannot work, with their keys.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    let nowhere = MemorySessionStore::new(Arc::new(SystemClock::default()));
    layer(config, Arc::new(nowhere)).map(drop)
}

/// Sessions in a store, as the settings want them.
///
/// # Errors
/// When a setting is out of its bounds, with its key.
pub(crate) fn layer(config: &Config, store: Arc<dyn SessionStore>) -> anyhow::Result<SessionLayer> {
    let session = &config.session;
    let sessions = SessionManager::new(store, session.config()?).map_err(by_key)?;
    let web = WebConfig {
        cookie_name: session.cookie_name.clone(),
        same_site: match session.same_site {
            Site::Lax => SameSite::Lax,
            Site::Strict => SameSite::Strict,
        },
        trusted_origins: config.server.allowed_origins.clone(),
    };
    SessionLayer::new(sessions, web).map_err(by_key)
}

/// The failure by the key of the setting.
fn by_key(error: Error) -> anyhow::Error {
    match error {
        Error::InvalidInput { field: "trusted_origins", reason } => anyhow!("server.allowed_origins: {reason}"),
        Error::InvalidInput { field: field @ ("idle" | "absolute" | "touch_every" | "grace"), reason } => {
            anyhow!("session.{field}_s: {reason}")
        }
        Error::InvalidInput { field, reason } => anyhow!("session.{field}: {reason}"),
        error => error.into(),
    }
}

// === impl Session ===

impl Session {
    fn config(&self) -> anyhow::Result<trackside_session::Config> {
        Ok(trackside_session::Config {
            idle: Duration::from_secs(self.idle_s),
            absolute: Duration::from_secs(self.absolute_s),
            touch_every: Duration::from_secs(self.touch_every_s),
            grace: Duration::from_secs(self.grace_s),
            max_per_user: NonZeroU32::new(self.max_per_user),
            when_full: match self.when_full {
                Full::OldestGoes => WhenFull::OldestGoes,
                Full::Refuse => WhenFull::Refuse,
            },
            max_context_bytes: self.max_context_bytes,
            keyring: self.keyring()?,
            ..trackside_session::Config::default()
        })
    }

    fn keyring(&self) -> anyhow::Result<Option<Keyring>> {
        let mut keyring = None;
        for (index, text) in self.keys.iter().enumerate() {
            // No message repeats what may be a key.
            let place = || format!("session.keys: entry {} is not `<name>:<key>`", index + 1);
            let (id, key) = text.expose_secret().trim().split_once(':').with_context(place)?;
            let id =
                id.parse().map_err(|_| anyhow!("{}: a name is 1 to 32 letters, digits, '_', '-' or '.'", place()))?;
            let key: SealingKey = key.parse().with_context(place)?;
            keyring = Some(match keyring {
                None => Keyring::new(id, key),
                Some(keyring) => Keyring::with_older(keyring, id, key),
            });
        }
        Ok(keyring)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Loaded, Overrides, load, show};

    const NEW: &str = "2026-11:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const OLD: &str = "2026-10:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn with(pairs: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let environment = pairs.iter().map(|(key, value)| (format!("TRACKSIDE_{key}"), (*value).to_owned())).collect();
        load(&Overrides::default(), &environment)
    }

    #[test]
    fn the_defaults_are_those_of_the_crate() {
        let loaded = load(&Overrides::default(), &BTreeMap::new()).unwrap();
        let ours = loaded.config.session.config().unwrap();
        assert_eq!(format!("{ours:?}"), format!("{:?}", trackside_session::Config::default()));
        let web = WebConfig::default();
        assert_eq!(loaded.config.session.cookie_name, web.cookie_name);
        assert!(matches!((loaded.config.session.same_site, web.same_site), (Site::Lax, SameSite::Lax)));
    }

    #[test]
    fn keys_come_from_a_list_or_a_file_the_first_seals_and_none_is_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("{NEW}\n\n{OLD}\n")).unwrap();
        let path = file.path().to_str().unwrap();
        for loaded in [with(&[("SESSION__KEYS", &format!("{NEW}, {OLD}"))]), with(&[("SESSION__KEYS_FILE", path)])] {
            let loaded = loaded.unwrap();
            let keys: Vec<&str> = loaded.config.session.keys.iter().map(ExposeSecret::expose_secret).collect();
            assert_eq!(keys, [NEW, OLD]);
            let keyring = format!("{:?}", loaded.config.session.config().unwrap().keyring);
            assert!(keyring.find("2026-11") < keyring.find("2026-10"), "{keyring}");
            let shown = show(&loaded) + &format!("{:?}", loaded.config);
            assert!(!shown.contains("00112233") && !shown.contains("AAECAw"), "{shown}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_key_and_no_key_is_printed() {
        for (name, value, place) in [
            ("SESSION__IDLE_S", "0", "session.idle_s"),
            ("SESSION__ABSOLUTE_S", "60", "session.idle_s"),
            ("SESSION__TOUCH_EVERY_S", "7000", "session.touch_every_s"),
            ("SESSION__MAX_PER_USER", "257", "session.max_per_user"),
            ("SESSION__WHEN_FULL", "explode", "session.when_full"),
            ("SESSION__COOKIE_NAME", "session", "session.cookie_name"),
            ("SESSION__SAME_SITE", "none", "session.same_site"),
            ("SESSION__KEYS", "hunter2", "session.keys: entry 1"),
            ("SESSION__KEYS", &format!("{NEW},b:hunter2"), "session.keys: entry 2"),
            ("SESSION__KEYS", &format!("a b:{}", &NEW[8..]), "session.keys: entry 1"),
            ("SERVER__ALLOWED_ORIGINS", "app.example.org", "server.allowed_origins"),
        ] {
            let error = format!("{:#}", with(&[(name, value)]).unwrap_err());
            assert!(error.contains(place), "{name}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("00112233"), "{error}");
        }
    }
}
