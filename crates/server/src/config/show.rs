//! `trackside config show`: every value and where it came from, secrets masked.

use std::fmt::Write as _;

use figment::value::Value;

use super::{
    environment::is_secret,
    load::{Loaded, dotted},
};

/// One aligned line per key: `key = value  # source`.
pub(crate) fn show(loaded: &Loaded) -> String {
    let lines: Vec<(String, &str)> = dotted(&loaded.values)
        .into_iter()
        .map(|(key, value)| {
            let value = print(&key, value);
            let source = loaded.sources.get(&key).map_or("default", String::as_str);
            (format!("{key} = {value}"), source)
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (line, source)| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line:width$}  # {source}");
        text
    })
}

fn print(key: &str, value: &Value) -> String {
    match value {
        Value::String(_, text) if is_secret(key) && !text.is_empty() => "\"********\"".to_owned(),
        Value::String(_, text) => format!("{text:?}"),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string()))
            .unwrap_or_default(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Array(_, items) => {
            format!("[{}]", items.iter().map(|item| print(key, item)).collect::<Vec<_>>().join(", "))
        }
        Value::Dict(..) | Value::Char(..) | Value::Empty(..) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Overrides, load};

    #[test]
    fn a_password_is_never_shown() {
        let environment = BTreeMap::from([("REDIS_URL".to_owned(), "redis://:hunter2@h:6379".to_owned())]);
        let text = show(&load(&Overrides::default(), &environment).unwrap());
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            text.lines().any(|line| line.contains("redis.url") && line.ends_with("environment variable REDIS_URL"))
        );
    }

    #[test]
    fn every_value_has_a_line_and_a_source() {
        let text = show(&load(&Overrides::default(), &BTreeMap::new()).unwrap());
        assert!(text.contains("queue.names = [\"agent_tasks\", "), "{text}");
        assert!(text.lines().all(|line| line.contains(" = ") && line.ends_with("# default")), "{text}");
    }
}
