//! Manifests of any shape: what they say is understood, and what cannot be is refused in one line.

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, json};
use trackside_jobs::ToolManifest;

/// A word as a manifest writes it so that it stands for itself.
fn escaped(word: &str) -> String {
    word.replace('{', "{{").replace('}', "}}")
}

proptest! {
    #[test]
    fn a_manifest_says_what_its_author_wrote(
        name in "[a-z0-9_-]{1,64}", description in "\\PC{0,40}", words in vec("\\PC{0,12}", 0..5), timeout_s in 1_u64..86_400,
        outputs in vec("[a-z0-9*]{1,8}(/[a-z0-9*]{1,8}){0,2}", 0..4), value in "\\PC{0,20}",
    ) {
        let command: Vec<String> = std::iter::once("program".to_owned())
            .chain(words.iter().map(|word| escaped(word)))
            .chain(["{value}".to_owned()])
            .collect();
        let text = toml::to_string(&json!({
            "name": name, "description": description, "command": command, "timeout_s": timeout_s, "outputs": outputs,
            "parameters": {"properties": {"value": {"type": "string"}}, "required": ["value"]},
        })).unwrap();
        let manifest = ToolManifest::parse(&text).unwrap();
        prop_assert_eq!((&manifest.name, &manifest.description), (&name, &description));
        prop_assert_eq!((manifest.timeout.as_secs(), manifest.outputs.patterns()), (timeout_s, &outputs[..]));
        // A value is one argument, whatever is in it.
        let params = manifest.parameters.validate(json!({"value": value})).unwrap();
        let arguments = manifest.command.arguments(&params);
        let expected: Vec<String> = std::iter::once("program".to_owned()).chain(words).chain([value]).collect();
        prop_assert_eq!(arguments, expected);
    }

    #[test]
    fn any_text_is_a_manifest_or_refused_in_one_line(text in "((name|command|outputs|x) = (\"\\PC{0,8}\"|\\[\\]|[0-9]+)\n){0,5}\\PC{0,20}") {
        if let Err(error) = ToolManifest::parse(&text) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }

    #[test]
    fn an_output_never_stands_outside_of_the_folder(up in 1_usize..4, below in "[a-z*]{0,6}", tail in "[a-z*]{1,6}") {
        for pattern in [format!("{below}/{}{tail}", "../".repeat(up)), format!("/{below}{tail}"), "../".repeat(up) + &tail] {
            let text = toml::to_string(&json!({"name": "a", "command": ["true"], "outputs": [pattern]})).unwrap();
            prop_assert!(ToolManifest::parse(&text).is_err(), "{}", text);
        }
    }

    #[test]
    fn parameters_that_the_schema_does_not_know_are_refused_by_name(name in "[a-z]{1,12}") {
        let manifest = ToolManifest::parse("name = \"a\"\ncommand = [\"true\"]").unwrap();
        let params: Map<_, _> = [(name.clone(), json!(1))].into_iter().collect();
        let fields = manifest.parameters.validate(params.into()).unwrap_err();
        prop_assert_eq!(&fields[0].field, &format!("params.{name}"));
    }
}
