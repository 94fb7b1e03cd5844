//! Where settings come from: defaults, file, environment, flags; the later wins.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use figment::{
    Figment, Profile, Provider,
    error::Kind,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{
    Config, DEFAULTS, check,
    environment::{environment_layers, nearest, parse},
};

/// Settings that have flags.
#[derive(Debug, Default, Clone)]
pub(crate) struct Overrides {
    /// `--config`
    pub(crate) config: Option<PathBuf>,
    /// Dotted key and value of every other flag that was given.
    pub(crate) values: Vec<(&'static str, String)>,
}

/// Settings, and where each came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// Dotted key to the source of its value.
    pub(crate) sources: BTreeMap<String, String>,
    /// Every value as it stands, for display.
    pub(crate) values: Dict,
}

/// One layer: dotted keys with their values, and what to call it.
pub(super) struct Layer {
    name: String,
    values: Vec<(String, Value)>,
}

/// Reads every layer and checks the result as a whole.
///
/// # Errors
/// When a layer cannot be read, a key is unknown, or a value is impossible; the message names the key and the source.
pub(crate) fn load(overrides: &Overrides, environment: &BTreeMap<String, String>) -> anyhow::Result<Loaded> {
    let mut figment = Figment::from(named(Toml::string(DEFAULTS), "default"));
    if let Some(path) = config_file(overrides, environment)? {
        figment = figment.merge(Toml::file_exact(&path));
    }
    for layer in environment_layers(environment)? {
        figment = figment.merge(layer);
    }
    for (key, value) in &overrides.values {
        let flag = key.rsplit('.').next().unwrap_or(key).replace('_', "-");
        figment = figment.merge(Layer::one(format!("flag --{flag}"), key, parse(value)));
    }
    let config: Config = figment.extract().map_err(|error| explain(&error))?;
    check::check(&config)?;
    let values: Dict = figment.extract().map_err(|error| explain(&error))?;
    let sources = dotted(&values).into_iter().map(|(key, value)| (key, source_of(&figment, value))).collect();
    Ok(Loaded { config, sources, values })
}

/// Every value of a tree with its dotted key, as it would stand in a file: parts with other characters are quoted.
pub(super) fn dotted(values: &Dict) -> Vec<(String, &Value)> {
    let mut keys = Vec::new();
    for (key, value) in values {
        let is_bare = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let key = if is_bare { key.clone() } else { format!("{key:?}") };
        match value {
            Value::Dict(_, inner) => {
                keys.extend(dotted(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            _ => keys.push((key, value)),
        }
    }
    keys
}

/// The file to read: the one that was named, which must exist, or `./trackside.toml` when it does.
fn config_file(overrides: &Overrides, environment: &BTreeMap<String, String>) -> anyhow::Result<Option<PathBuf>> {
    let named = overrides.config.clone().or_else(|| environment.get("TRACKSIDE_CONFIG").map(PathBuf::from));
    match named {
        Some(path) if path.is_file() => Ok(Some(path)),
        Some(path) => Err(anyhow!("settings file {} does not exist", path.display())),
        None => Ok(Some(PathBuf::from("trackside.toml")).filter(|path| path.is_file())),
    }
}

fn source_of(figment: &Figment, value: &Value) -> String {
    let metadata = figment.get_metadata(value.tag());
    metadata.map_or_else(
        || "default".to_owned(),
        |metadata| match &metadata.source {
            Some(figment::Source::File(path)) => display_path(path),
            _ => metadata.name.to_string(),
        },
    )
}

fn display_path(path: &Path) -> String {
    format!("file {}", path.display())
}

/// One line that says what is wrong, where, and what was probably meant.
fn explain(errors: &figment::Error) -> anyhow::Error {
    let lines = errors.clone().into_iter().map(|error| {
        let mut path = error.path.clone();
        let what = match &error.kind {
            Kind::UnknownField(field, expected) => {
                path.retain(|part| part != field);
                let hint = nearest(field, expected.iter().copied());
                let hint = hint.map(|hint| format!("; did you mean `{hint}`?")).unwrap_or_default();
                format!("unknown key `{}`{hint}", path.iter().chain([field]).cloned().collect::<Vec<_>>().join("."))
            }
            kind => format!("`{}`: {kind}", path.join(".")),
        };
        let source = error.metadata.as_ref().map(|metadata| match &metadata.source {
            Some(figment::Source::File(path)) => display_path(path),
            _ => metadata.name.to_string(),
        });
        source.map_or_else(|| what.clone(), |source| format!("{what} ({source})"))
    });
    anyhow!("settings: {}", lines.collect::<Vec<_>>().join("\n          "))
}

fn named(provider: impl Provider, name: &'static str) -> impl Provider {
    struct Named<P>(P, &'static str);
    impl<P: Provider> Provider for Named<P> {
        fn metadata(&self) -> figment::Metadata {
            figment::Metadata::named(self.1)
        }
        fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
            self.0.data()
        }
    }
    Named(provider, name)
}

// === impl Layer ===

impl Layer {
    pub(super) fn one(name: String, key: &str, value: Value) -> Self {
        Self { name, values: vec![(key.to_owned(), value)] }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> figment::Metadata {
        figment::Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut root = Dict::new();
        for (key, value) in &self.values {
            let mut nested = value.clone();
            let mut parts = key.split('.').rev();
            let first = parts.next_back();
            for part in parts {
                nested = Value::from(Dict::from([(part.to_owned(), nested)]));
            }
            if let Some(first) = first {
                root.insert(first.to_owned(), nested);
            }
        }
        Ok(Map::from([(Profile::Default, root)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn error_of(pairs: &[(&str, &str)]) -> String {
        format!("{:#}", load(&Overrides::default(), &environment(pairs)).unwrap_err())
    }

    #[test]
    fn the_embedded_file_is_a_complete_set_of_defaults() {
        let loaded = load(&Overrides::default(), &BTreeMap::new()).unwrap();
        assert_eq!(loaded.config.worker.concurrency, 4);
        assert_eq!(loaded.sources["worker.concurrency"], "default");
    }

    #[test]
    fn flags_beat_the_environment_which_beats_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.toml");
        std::fs::write(&file, "[worker]\nconcurrency = 5\n[log]\nfilter = \"warn\"\n[queue]\nlease_ms = 11000\n")
            .unwrap();
        let overrides = Overrides { config: Some(file), values: vec![("worker.concurrency", "7".into())] };
        let loaded =
            load(&overrides, &environment(&[("TRACKSIDE_WORKER__CONCURRENCY", "6"), ("TRACKSIDE_LOG", "debug")]));
        let loaded = loaded.unwrap();
        assert_eq!(loaded.config.worker.concurrency, 7);
        assert_eq!(loaded.config.log.filter, "debug");
        assert_eq!(loaded.config.queue.lease_ms, 11_000);
        assert_eq!(loaded.sources["log.filter"], "environment variable TRACKSIDE_LOG");
        assert!(loaded.sources["queue.lease_ms"].starts_with("file "));
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("t.toml");
        std::fs::write(&file, "[redis]\nulr = \"redis://h\"\n").unwrap();
        let overrides = Overrides { config: Some(file), values: vec![] };
        let error = format!("{:#}", load(&overrides, &BTreeMap::new()).unwrap_err());
        assert!(error.contains("`redis.ulr`") && error.contains("did you mean `url`?"), "{error}");
        let error = error_of(&[("TRACKSIDE_WORKER__CONCURENCY", "8")]);
        assert!(error.contains("did you mean TRACKSIDE_WORKER__CONCURRENCY?"), "{error}");
    }

    #[test]
    fn what_kubernetes_sets_beside_a_service_is_left_alone() {
        let names = [("TRACKSIDE_SERVICE_HOST", "10.0.0.1"), ("TRACKSIDE_PORT_8080_TCP_PROTO", "tcp")];
        assert!(load(&Overrides::default(), &environment(&names)).is_ok());
        assert!(error_of(&[("TRACKSIDE_REDIS_ULR", "redis://h")]).contains("did you mean TRACKSIDE_REDIS_URL?"));
        assert!(error_of(&[("TRACKSIDE_NOTHING__LIKE__THIS", "1")]).contains("sets nothing"));
    }

    #[test]
    fn the_product_s_own_name_wins_over_the_plain_redis_url() {
        use secrecy::ExposeSecret;
        let both = environment(&[("REDIS_URL", "redis://a"), ("TRACKSIDE_REDIS_URL", "redis://b")]);
        let loaded = load(&Overrides::default(), &both).unwrap();
        assert_eq!(loaded.config.redis.url.expose_secret(), "redis://b");
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        use secrecy::ExposeSecret;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        std::fs::write(&file, "redis://:pw@h:1\n").unwrap();
        let path = file.to_str().unwrap();
        for name in ["TRACKSIDE_REDIS_URL_FILE", "TRACKSIDE_REDIS__URL_FILE"] {
            let loaded = load(&Overrides::default(), &environment(&[(name, path)])).unwrap();
            assert_eq!(loaded.config.redis.url.expose_secret(), "redis://:pw@h:1", "{name}");
        }
        assert!(error_of(&[("TRACKSIDE_REDIS_URL_FILE", "/does/not/exist")]).contains("/does/not/exist"));
    }

    #[test]
    fn a_text_setting_stays_text_when_it_looks_like_a_number() {
        let loaded = load(&Overrides::default(), &environment(&[("TRACKSIDE_REDIS__PREFIX", "1")])).unwrap();
        assert_eq!(loaded.config.redis.prefix, "1");
    }

    #[test]
    fn a_value_of_the_wrong_type_names_its_variable() {
        let error = error_of(&[("TRACKSIDE_WORKER__CONCURRENCY", "many")]);
        assert!(error.contains("worker.concurrency") && error.contains("TRACKSIDE_WORKER__CONCURRENCY"), "{error}");
    }
}
