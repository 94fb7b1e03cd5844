//! Rules about `Cargo.toml` files: versions are decided once, in the root, and every crate has the workspace's lints.

use toml::{Table, Value};

use super::finding::Finding;
use super::sources::SourceFile;

const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Everything that is wrong with one manifest.
pub(crate) fn check(file: &SourceFile) -> Vec<Finding> {
    let find = |line, rule, advice: String| Finding::new(&file.path, line, rule, advice);
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![find(1, "manifest", format!("not TOML: {error}"))],
    };
    if manifest.contains_key("workspace") {
        return Vec::new();
    }
    let mut findings = Vec::new();
    if !is_inherited(manifest.get("lints")) {
        findings.push(find(1, "manifest-lints", "add `[lints]` with `workspace = true`".to_owned()));
    }
    for (name, declaration) in TABLES.iter().filter_map(|table| manifest.get(*table)?.as_table()).flatten() {
        // A crate that turns on its own features for its tests names itself.
        let is_itself = declaration.get("path").and_then(Value::as_str) == Some(".");
        if !is_inherited(Some(declaration)) && !is_itself {
            let advice = format!(
                "declare {name} in the root's [workspace.dependencies] and write `{name}.workspace = true` here"
            );
            findings.push(find(line_of(&file.text, name), "manifest-dependency", advice));
        }
    }
    findings
}

/// Whether a table says `workspace = true`.
fn is_inherited(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// The line on which a dependency is declared; 1 when it is not found.
pub(crate) fn line_of(manifest: &str, dependency: &str) -> usize {
    let declares =
        |line: &str| line.trim_start().strip_prefix(dependency).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(declares).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<(usize, &'static str)> {
        check(&SourceFile::new("crates/a/Cargo.toml", text)).into_iter().map(|f| (f.line, f.rule)).collect()
    }

    #[test]
    fn a_manifest_that_inherits_everything_is_fine() {
        let text = "[dependencies]\nserde.workspace = true\nb = { workspace = true, optional = true }\n[lints]\nworkspace = true\n";
        assert_eq!(rules(text), []);
        assert_eq!(rules("[workspace]\nmembers = []\n"), []);
    }

    #[test]
    fn a_version_outside_the_root_is_found() {
        let text = "[lints]\nworkspace = true\n[dev-dependencies]\nserde_json = \"1\"\n";
        assert_eq!(rules(text), [(4, "manifest-dependency")]);
    }

    #[test]
    fn a_crate_may_name_itself() {
        let text = "[lints]\nworkspace = true\n[dev-dependencies]\na = { path = \".\", features = [\"laws\"] }\n";
        assert_eq!(rules(text), []);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert_eq!(rules("[package]\nname = \"a\"\n"), [(1, "manifest-lints")]);
    }

    #[test]
    fn a_dependency_is_not_mistaken_for_one_with_a_longer_name() {
        assert_eq!(line_of("tokio-util.workspace = true\ntokio.workspace = true\n", "tokio"), 2);
    }
}
