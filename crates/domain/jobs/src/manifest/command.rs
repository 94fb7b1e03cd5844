//! The command of a tool: an argument vector with `{parameter}` placeholders, never a shell line.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use super::{ManifestError, ParameterSchema, SearchPath};

/// An argument vector whose placeholders are filled from a job's parameters.
///
/// A value fills in as it is: it stays inside its argument whatever characters it has, because no shell ever sees it.
/// A text stands without quotes, anything else as JSON. `{{` and `}}` are braces. A tool whose parameter may start
/// with `-` takes it as `--name={value}` or after `--`, or reads it from standard input.
#[derive(Debug, Clone)]
pub struct CommandTemplate {
    program: String,
    /// The arguments after the program.
    arguments: Vec<Vec<Part>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Parameter(String),
}

// === impl CommandTemplate ===

impl CommandTemplate {
    pub(crate) fn compile(command: Vec<String>) -> Result<Self, ManifestError> {
        let mut words = command.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or_else(|| ManifestError::new("command: empty"))?;
        if program.contains(['{', '}']) {
            return Err(ManifestError::new("command: the program is fixed; only its arguments take placeholders"));
        }
        let arguments = words.map(|word| parts(&word)).collect::<Result<_, _>>()?;
        Ok(Self { program, arguments })
    }

    /// Every placeholder must be a parameter that is always there.
    pub(crate) fn check_against(&self, parameters: &ParameterSchema) -> Result<(), ManifestError> {
        for name in self.placeholders() {
            if !parameters.has(name) {
                return Err(ManifestError::new(format!("command: `{{{name}}}` has no parameter")));
            }
            if !parameters.is_always_present(name) {
                return Err(ManifestError::new(format!(
                    "command: `{{{name}}}` is optional and has no default; require it or give it one"
                )));
            }
        }
        Ok(())
    }

    /// The program as the manifest names it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// The argument vector for these parameters, the program first and as the manifest names it.
    #[must_use]
    pub fn arguments(&self, params: &Map<String, Value>) -> Vec<String> {
        std::iter::once(self.program.clone()).chain(self.arguments.iter().map(|parts| fill(parts, params))).collect()
    }

    /// The arguments after the program. One that has no placeholder and names a file beside the manifest becomes the
    /// path of that file, because the job runs elsewhere.
    #[must_use]
    pub fn resolved_arguments(&self, folder: &Path, params: &Map<String, Value>) -> Vec<OsString> {
        let resolve = |parts: &Vec<Part>| {
            let filled = fill(parts, params);
            let is_fixed = parts.iter().all(|part| matches!(part, Part::Text(_)));
            let beside = folder.join(&filled);
            if is_fixed && !filled.is_empty() && beside.is_file() { beside.into_os_string() } else { filled.into() }
        };
        self.arguments.iter().map(resolve).collect()
    }

    /// Where the program is: beside the manifest, else on the search path.
    #[must_use]
    pub fn find_program(&self, folder: &Path, search_path: &SearchPath) -> Option<PathBuf> {
        let beside = folder.join(&self.program);
        if beside.is_file() {
            return Some(beside);
        }
        if self.program.contains('/') { None } else { search_path.find(&self.program) }
    }

    fn placeholders(&self) -> BTreeSet<&str> {
        let parts = self.arguments.iter().flatten();
        parts
            .filter_map(|part| match part {
                Part::Parameter(name) => Some(name.as_str()),
                Part::Text(_) => None,
            })
            .collect()
    }
}

fn fill(parts: &[Part], params: &Map<String, Value>) -> String {
    let fill_one = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Parameter(name) => match params.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        },
    };
    parts.iter().map(fill_one).collect()
}

fn parts(word: &str) -> Result<Vec<Part>, ManifestError> {
    let unpaired =
        || ManifestError::new(format!("command: `{word}` has a brace without its pair; write {{{{ for a brace"));
    let (mut parts, mut text, mut rest) = (Vec::new(), String::new(), word);
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        text.push_str(before);
        if brace.starts_with("{{") || brace.starts_with("}}") {
            text.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        let (name, after) = brace.strip_prefix('{').and_then(|inner| inner.split_once('}')).ok_or_else(unpaired)?;
        if name.is_empty() || name.contains('{') {
            return Err(unpaired());
        }
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Parameter(name.to_owned()));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(word: &str, params: &Value) -> String {
        fill(&parts(word).unwrap(), params.as_object().unwrap())
    }

    #[test]
    fn placeholders_fill_whole_arguments_and_parts_of_them() {
        let params = json!({"top": 5, "dir": "a b; rm -rf /", "deep": {"x": [1]}, "on": true});
        assert_eq!(filled("{top}", &params), "5");
        assert_eq!(filled("--dir={dir}/x", &params), "--dir=a b; rm -rf //x");
        assert_eq!(filled("{deep}", &params), r#"{"x":[1]}"#);
        assert_eq!(filled("{on}{top}", &params), "true5");
        assert_eq!(filled("{{{top}}}", &params), "{5}");
        assert_eq!(filled("", &params), "");
    }

    #[test]
    fn a_value_that_looks_like_a_placeholder_is_not_filled_again() {
        assert_eq!(filled("{a}", &json!({"a": "{b}", "b": "secret"})), "{b}");
    }

    #[test]
    fn a_fixed_argument_that_names_a_file_beside_the_manifest_becomes_its_path() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("script.py"), "").unwrap();
        let template = CommandTemplate::compile(vec!["sh".into(), "script.py".into(), "{file}".into()]).unwrap();
        let params = json!({"file": "script.py"});
        let arguments = template.resolved_arguments(folder.path(), params.as_object().unwrap());
        assert_eq!(arguments, [folder.path().join("script.py").into_os_string(), "script.py".into()]);
    }

    #[test]
    fn a_program_beside_the_manifest_comes_before_the_one_in_path() {
        let folder = tempfile::tempdir().unwrap();
        let template = CommandTemplate::compile(vec!["sh".into()]).unwrap();
        let search_path = SearchPath::default();
        let in_path = template.find_program(folder.path(), &search_path).unwrap();
        std::fs::write(folder.path().join("sh"), "").unwrap();
        assert_eq!(template.find_program(folder.path(), &search_path).unwrap(), folder.path().join("sh"));
        assert_ne!(in_path, folder.path().join("sh"));
    }
}
