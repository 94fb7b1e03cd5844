//! `[webhooks.<source>]`: who may send webhooks.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use trackside_api::{WebhookScheme, WebhookSource, WebhookSources};
use trackside_queue::Priority;

use super::Config;

/// The keys of one source.
const KEYS: [&str; 11] = [
    "scheme",
    "secret",
    "secret_file",
    "queue",
    "kind",
    "priority",
    "tolerance_s",
    "max_body_bytes",
    "delivery_header",
    "signature_header",
    "keep_headers",
];

/// `[webhooks.<source>]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    scheme: Scheme,
    #[serde(default)]
    secret: Option<Secrets>,
    #[serde(default)]
    secret_file: Option<PathBuf>,
    queue: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default = "default_tolerance_s")]
    tolerance_s: u64,
    #[serde(default = "default_max_body_bytes")]
    max_body_bytes: usize,
    #[serde(default)]
    delivery_header: Option<String>,
    #[serde(default)]
    signature_header: Option<String>,
    #[serde(default)]
    keep_headers: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    #[serde(rename = "github")]
    GitHub,
    Stripe,
    Generic,
}

/// One secret, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Secrets {
    One(SecretString),
    Several(Vec<SecretString>),
}

const fn default_tolerance_s() -> u64 {
    300
}

const fn default_max_body_bytes() -> usize {
    256 * 1024
}

/// The last part of a key such as `webhooks.github.secret`.
pub(super) fn key_of(key: &str) -> Option<&'static str> {
    let (source, key) = key.strip_prefix("webhooks.")?.split_once('.')?;
    KEYS.into_iter().find(|known| *known == key && !source.is_empty())
}

/// The sources as the HTTP surface takes them. The settings were checked when they were read.
pub(crate) fn sources(config: &Config) -> anyhow::Result<WebhookSources> {
    config.webhooks.iter().map(|(name, webhook)| Ok((name.clone(), webhook.source(name)?))).collect()
}

// === impl Webhook ===

impl Webhook {
    pub(super) fn check(&self, name: &str) -> anyhow::Result<()> {
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        ensure!(is_name, "webhooks.{name}: a source is called by 1 to 64 letters, digits, '_' or '-'");
        ensure!(
            (1..=24 * 60 * 60).contains(&self.tolerance_s),
            "webhooks.{name}.tolerance_s = {}: from 1 to 86400",
            self.tolerance_s
        );
        ensure!(self.max_body_bytes > 0, "webhooks.{name}.max_body_bytes must be at least 1");
        self.source(name).map(drop)
    }

    fn source(&self, name: &str) -> anyhow::Result<WebhookSource> {
        let queue = self.queue.parse().with_context(|| format!("webhooks.{name}.queue: {:?}", self.queue))?;
        let scheme = match self.scheme {
            Scheme::GitHub => WebhookScheme::GitHub,
            Scheme::Stripe => WebhookScheme::Stripe,
            Scheme::Generic => WebhookScheme::Generic,
        };
        let header = |key: &str, text: &String| {
            text.parse().with_context(|| format!("webhooks.{name}.{key}: {text:?} is no name of a header"))
        };
        let kept = self.keep_headers.iter().map(|text| header("keep_headers", text));
        Ok(WebhookSource {
            kind: self.kind.clone(),
            priority: self.priority,
            tolerance: Duration::from_secs(self.tolerance_s),
            max_body_bytes: self.max_body_bytes,
            delivery_header: self.delivery_header.as_ref().map(|text| header("delivery_header", text)).transpose()?,
            signature_header: self
                .signature_header
                .as_ref()
                .map(|text| header("signature_header", text))
                .transpose()?,
            keep_headers: kept.collect::<anyhow::Result<_>>()?,
            ..WebhookSource::new(scheme, self.secrets(name)?, queue)
        })
    }

    /// At least one secret, none of them empty: who signs with nothing could be anyone.
    fn secrets(&self, name: &str) -> anyhow::Result<Vec<SecretString>> {
        let secrets = match (&self.secret, &self.secret_file) {
            (Some(_), Some(_)) => anyhow::bail!("webhooks.{name}: give either secret or secret_file"),
            (Some(Secrets::One(secret)), None) => lines(secret.expose_secret()),
            (Some(Secrets::Several(secrets)), None) => secrets.clone(),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("webhooks.{name}.secret_file: cannot read {}", file.display()))?;
                lines(&text)
            }
            (None, None) => Vec::new(),
        };
        let are_good = !secrets.is_empty() && secrets.iter().all(|secret| !secret.expose_secret().trim().is_empty());
        ensure!(are_good, "webhooks.{name}: no secret is given (secret, or secret_file), or an empty one");
        Ok(secrets)
    }
}

/// One secret in each line.
fn lines(text: &str) -> Vec<SecretString> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Loaded, Overrides, load, show};

    fn loaded(text: &str, environment: &[(&str, &str)]) -> anyhow::Result<Loaded> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.toml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        load(&Overrides { config: Some(file), values: vec![] }, &environment)
    }

    fn secrets_of(loaded: &Loaded, name: &str) -> Vec<String> {
        let secrets = loaded.config.webhooks[name].secrets(name).unwrap();
        secrets.iter().map(|secret| secret.expose_secret().to_owned()).collect()
    }

    #[test]
    fn a_source_may_have_one_secret_several_or_a_file_of_them() {
        let one = loaded("[webhooks.a]\nscheme = \"github\"\nqueue = \"q\"\nsecret = \"s\"", &[]).unwrap();
        assert_eq!(secrets_of(&one, "a"), ["s"]);
        let two = loaded("[webhooks.a]\nscheme = \"stripe\"\nqueue = \"q\"\nsecret = [\"new\", \"old\"]", &[]).unwrap();
        assert_eq!(secrets_of(&two, "a"), ["new", "old"]);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secrets");
        std::fs::write(&file, "new\n\nold\n").unwrap();
        let text = format!("[webhooks.a]\nscheme = \"generic\"\nqueue = \"q\"\nsecret_file = {file:?}");
        assert_eq!(secrets_of(&loaded(&text, &[]).unwrap(), "a"), ["new", "old"]);
    }

    #[test]
    fn a_source_may_come_from_the_environment() {
        let environment = [
            ("TRACKSIDE_WEBHOOKS__GITHUB__SCHEME", "github"),
            ("TRACKSIDE_WEBHOOKS__GITHUB__QUEUE", "enhancement"),
            ("TRACKSIDE_WEBHOOKS__GITHUB__SECRET", "from the environment"),
            ("TRACKSIDE_WEBHOOKS__STRIPE__SCHEME", "stripe"),
            ("TRACKSIDE_WEBHOOKS__STRIPE__QUEUE", "exports"),
            ("TRACKSIDE_WEBHOOKS__STRIPE__SECRET", "12345"),
            ("TRACKSIDE_WEBHOOKS__STRIPE__TOLERANCE_S", "60"),
            ("TRACKSIDE_WEBHOOKS__STRIPE__KEEP_HEADERS", "X-A, X-B"),
        ];
        let loaded = loaded("", &environment).unwrap();
        assert_eq!(secrets_of(&loaded, "github"), ["from the environment"]);
        assert_eq!(secrets_of(&loaded, "stripe"), ["12345"], "a number is a text all the same");
        assert_eq!(loaded.config.webhooks["stripe"].keep_headers, ["X-A", "X-B"]);
        let shown = show(&loaded);
        assert!(!shown.contains("from the environment") && shown.contains("webhooks.github.secret"), "{shown}");
    }

    #[test]
    fn no_secret_is_shown() {
        let one = loaded("[webhooks.a]\nscheme = \"github\"\nqueue = \"q\"\nsecret = [\"hunter2\", \"hunter3\"]", &[]);
        let one = one.unwrap();
        assert!(!show(&one).contains("hunter"), "{}", show(&one));
        assert!(!format!("{:?}{:?}", one.config.webhooks, sources(&one.config).unwrap()).contains("hunter"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        for (line, key) in [
            ("secret = \"\"", "no secret"),
            ("secret = []", "no secret"),
            ("", "no secret"),
            ("secret = \"s\"\nsecret_file = \"f\"", "either"),
            ("secret_file = \"/does/not/exist\"", "webhooks.a.secret_file"),
            ("secret = \"s\"\ndelivery_header = \"two words\"", "webhooks.a.delivery_header"),
            ("secret = \"s\"\ntolerance_s = 0", "webhooks.a.tolerance_s"),
            ("secret = \"s\"\ntolerence_s = 1", "did you mean `tolerance_s`?"),
        ] {
            let text = format!("[webhooks.a]\nscheme = \"github\"\nqueue = \"q\"\n{line}");
            let error = format!("{:#}", loaded(&text, &[]).unwrap_err());
            assert!(error.contains(key), "{line}: {error}");
        }
        let error = format!(
            "{:#}",
            loaded("[webhooks.a]\nscheme = \"github\"\nqueue = \"a b\"\nsecret = \"s\"", &[]).unwrap_err()
        );
        assert!(error.contains("webhooks.a.queue"), "{error}");
        assert!(
            load(
                &Overrides::default(),
                &BTreeMap::from([("TRACKSIDE_WEBHOOKS__A__SECERT".to_owned(), "s".to_owned())])
            )
            .is_err()
        );
    }
}
