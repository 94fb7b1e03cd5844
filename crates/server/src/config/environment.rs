//! The environment as a layer of settings, a layer per variable, so that each value can be traced to its name.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use figment::{
    Figment,
    providers::{Format, Toml},
    value::{Dict, Value},
};

use super::{
    DEFAULTS, cache, limits,
    load::{Layer, dotted},
    policy, webhooks,
};

/// Environment variables with a short name of their own, and the keys they set.
const SHORT_NAMES: [(&str, &str); 11] = [
    ("REDIS_URL", "redis.url"),
    ("TRACKSIDE_REDIS_URL", "redis.url"),
    ("TRACKSIDE_CACHE_REDIS_URL", "cache.redis_url"),
    ("TRACKSIDE_LISTEN", "server.listen"),
    ("TRACKSIDE_DATA_DIR", "data_dir"),
    ("TRACKSIDE_TOOLS_DIR", "tools_dir"),
    ("TRACKSIDE_DATABASE_URL", "history.database_url"),
    ("TRACKSIDE_LOG", "log.filter"),
    ("TRACKSIDE_LOG_FORMAT", "log.format"),
    ("TRACKSIDE_ALLOWED_HOSTS", "server.allowed_hosts"),
    ("TRACKSIDE_API_KEYS_FILE", "server.api_keys_file"),
];

/// Read by the loader or a command itself, or set for the commands of jobs, and not a setting.
const NOT_SETTINGS: [&str; 5] =
    ["TRACKSIDE_CONFIG", "TRACKSIDE_URL", "TRACKSIDE_API_KEY", "TRACKSIDE_JOB_ID", "TRACKSIDE_CORRELATION_ID"];
/// Prefixes of what the test suite passes to itself, and of passwords for `trackside acl print`.
const NOT_SETTINGS_PREFIXES: [&str; 2] = ["TRACKSIDE_TEST_", "TRACKSIDE_ACL_PASSWORD_"];
/// Keys whose value may stand in a file, named by the variable with `_FILE` behind it.
const SECRETS: [&str; 6] = [
    "redis.url",
    "cache.redis_url",
    "history.database_url",
    "monitor.webhook_url",
    "monitor.webhook_secret",
    "session.keys",
];

/// True for values that must never be printed.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key) || webhooks::key_of(key) == Some("secret")
}

/// A layer per variable, so that each value can be traced to its name.
pub(super) fn environment_layers(environment: &BTreeMap<String, String>) -> anyhow::Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for (name, key) in SHORT_NAMES {
        if let Some(value) = environment.get(name).filter(|value| !value.is_empty()) {
            layers.push(Layer::one(format!("environment variable {name}"), key, parse_for(key, value)));
        }
        let file_name = format!("{name}_FILE");
        if let (true, Some(path)) = (is_secret(key), environment.get(&file_name)) {
            layers.push(Layer::one(format!("environment variable {file_name}"), key, secret(&file_name, key, path)?));
        }
    }
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("TRACKSIDE_")) {
        let short = |candidate: &str| {
            SHORT_NAMES.iter().any(|(short, key)| {
                *short == candidate || is_secret(key) && candidate.strip_suffix("_FILE") == Some(*short)
            })
        };
        if short(name)
            || NOT_SETTINGS.contains(&name.as_str())
            || NOT_SETTINGS_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            continue;
        }
        let key = name.trim_start_matches("TRACKSIDE_").to_lowercase().replace("__", ".");
        let layer_name = format!("environment variable {name}");
        match key.strip_suffix("_file").filter(|key| is_secret(key)) {
            Some(key) => layers.push(Layer::one(layer_name, key, secret(name, key, value)?)),
            None => {
                let mut known = known_keys();
                known.extend(policy::keys_beside(&key));
                known.extend(cache::keys_beside(&key));
                known.extend(limits::keys_beside(&key));
                if !known.contains(&key) && webhooks::key_of(&key).is_none() {
                    let hint = nearest(&key, known.iter().map(String::as_str)).map(variable_of);
                    let hint =
                        hint.or_else(|| nearest(name, SHORT_NAMES.iter().map(|(name, _)| *name)).map(str::to_owned));
                    match hint {
                        Some(hint) => {
                            return Err(anyhow!("environment variable {name} sets nothing; did you mean {hint}?"));
                        }
                        None if name.contains("__") => return Err(anyhow!("environment variable {name} sets nothing")),
                        // Kubernetes sets TRACKSIDE_SERVICE_HOST and the like beside a service of our name.
                        None => continue,
                    }
                }
                layers.push(Layer::one(layer_name, &key, parse_for(&key, value)));
            }
        }
    }
    Ok(layers)
}

/// What stands in a file: a text, or for a key that is a list, one in each line.
fn secret(name: &str, key: &str, path: &str) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{name}: cannot read {path}"))?;
    Ok(match default_of(key) {
        Some(Value::Array(..)) => list(text.lines()),
        _ => Value::from(text.trim_end()),
    })
}

/// The variable that sets a key.
fn variable_of(key: &str) -> String {
    let short = SHORT_NAMES.iter().rev().find(|(name, known)| *known == key && name.starts_with("TRACKSIDE_"));
    short.map_or_else(|| format!("TRACKSIDE_{}", key.replace('.', "__").to_uppercase()), |(name, _)| (*name).into())
}

/// The texts, but empty ones.
fn list<'a>(parts: impl Iterator<Item = &'a str>) -> Value {
    Value::from(parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>())
}

fn default_of(key: &str) -> Option<Value> {
    Figment::from(Toml::string(DEFAULTS)).find_value(key).ok()
}

fn known_keys() -> Vec<String> {
    let defaults = Figment::from(Toml::string(DEFAULTS)).extract::<Dict>();
    defaults.map(|values| dotted(&values).into_iter().map(|(key, _)| key).collect()).unwrap_or_default()
}

/// The known name that differs least, when it differs little enough to be a slip of the finger.
pub(super) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate));
    scored.filter(|(slips, _)| *slips <= (text.len() / 3).clamp(1, 3)).min().map(|(_, candidate)| candidate)
}

/// A value from text: numbers, booleans and arrays are recognised, everything else is a string.
pub(super) fn parse(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::from(text))
}

/// As [`parse`], but a key whose default is a string takes the text as it is: a prefix of `1` stays text.
fn parse_for(key: &str, text: &str) -> Value {
    match default_of(key) {
        Some(Value::String(..)) => Value::from(text),
        Some(Value::Array(..)) if !text.starts_with('[') => list(text.split(',')),
        Some(_) => parse(text),
        None => match webhooks::key_of(key) {
            None | Some("tolerance_s" | "max_body_bytes") => parse(text),
            Some("keep_headers") => list(text.split(',')),
            Some(_) => Value::from(text),
        },
    }
}
