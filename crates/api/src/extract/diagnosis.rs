//! From serde's words to the fields of a problem document, with the nearest accepted name for a misspelling.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::problem::{FieldError, Problem, ProblemKind};

/// Wrong fields reported at once; a client that has more of them reads the documentation first.
const MAX_ERRORS: usize = 16;

const IS_REQUIRED: &str = "is required";

/// How alike two names must be (Jaro) to be taken for a misspelling; the bound that `clap` uses.
const ALIKE: f64 = 0.7;

/// Everything that is wrong with `body`, given the first thing that was found.
///
/// serde stops at the first error. So what is wrong is taken out and the rest is read again: the field itself, or, for one
/// that is missing, the object that misses it.
pub(super) fn of_json<T: DeserializeOwned>(
    body: &[u8],
    first: serde_path_to_error::Error<serde_json::Error>,
) -> Problem {
    let Ok(mut document) = serde_json::from_slice::<Value>(body) else {
        return Problem::new(ProblemKind::MalformedJson).with_detail(first.into_inner().to_string());
    };
    let mut errors: Vec<FieldError> = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    let mut next = Some(first);
    while let Some(error) = next.take() {
        let path = error.path().to_string();
        let error = read_message(&path, &without_position(&error.into_inner().to_string()));
        let culprit = match error.message == IS_REQUIRED {
            true => error.field.rsplit_once('.').map_or("", |(parent, _)| parent).to_owned(),
            false => error.field.clone(),
        };
        // A field that is missing because it was taken out here was reported already.
        if !removed.contains(&error.field) {
            errors.push(error);
        }
        if errors.len() < MAX_ERRORS && remove(&mut document, &culprit) {
            removed.push(culprit);
            let rest = document.to_string();
            next = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(&rest)).err();
        }
    }
    Problem::invalid(errors)
}

/// What serde says about a path or query parameter: `<name>: <message>`, or the message alone.
pub(super) fn of_parameter(text: &str) -> Problem {
    let (path, message) = match text.split_once(": ") {
        Some((path, message)) if !path.contains(' ') => (path, message),
        _ => ("", text),
    };
    Problem::invalid(vec![read_message(path, message)])
}

/// serde's standard sentences name the field, and what was expected, between backticks.
fn read_message(path: &str, message: &str) -> FieldError {
    let parent = if path == "." { "" } else { path };
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let name = quoted.next().unwrap_or_default();
        // The path of an unknown field may or may not end with its name, depending on how its owner is read.
        let field = if last_segment(parent) == name { parent.to_owned() } else { join(parent, name) };
        return FieldError { field, message: "unknown field".to_owned(), suggestion: nearest(name, quoted) };
    }
    if message.starts_with("missing field") {
        let name = quoted.next().unwrap_or_default();
        return FieldError { field: join(parent, name), message: IS_REQUIRED.to_owned(), suggestion: None };
    }
    let suggestion = match message.starts_with("unknown variant") {
        true => quoted.next().and_then(|given| nearest(given, quoted)),
        false => None,
    };
    let field = if parent.is_empty() { "body".to_owned() } else { parent.to_owned() };
    FieldError { field, message: in_words_of_json(message), suggestion }
}

/// serde speaks of sequences, maps and Rust's structs; the caller sent arrays and objects.
fn in_words_of_json(message: &str) -> String {
    let message = message.replace("invalid type: sequence", "invalid type: array");
    let message = message.replace("invalid type: map", "invalid type: object");
    match message.split_once("expected struct ") {
        Some((found, _)) => format!("{found}expected an object"),
        None => message,
    }
}

/// The candidate most like `given`, when it is like it at all.
pub(crate) fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (strsim::jaro(given, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.to_owned())
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

fn last_segment(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// `serde_json` ends its messages with a position in the text it read, which is not always the text that was sent.
fn without_position(message: &str) -> String {
    message.split(" at line ").next().unwrap_or(message).to_owned()
}

/// Takes the member at `path` out of its object; false when it is not a member of an object.
fn remove(document: &mut Value, path: &str) -> bool {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let pointer: String = parent
        .split(['.', '['])
        .map(|segment| segment.trim_end_matches(']'))
        .filter(|segment| !segment.is_empty())
        .fold(String::new(), |pointer, segment| pointer + "/" + segment);
    let owner = document.pointer_mut(&pointer).and_then(Value::as_object_mut);
    owner.is_some_and(|members| members.remove(name).is_some())
}
