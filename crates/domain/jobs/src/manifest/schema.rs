//! What a tool takes: a JSON Schema that fills in its defaults and names every field that is wrong.

use std::sync::Arc;

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use super::ManifestError;
use crate::error::{FieldError, did_you_mean, nearest};

/// Errors reported for one request; a request that breaks more rules is not helped by a longer list.
const MAX_ERRORS: usize = 20;
/// Characters of one message; the schema library repeats the offending value, which may be long.
const MAX_MESSAGE_CHARS: usize = 240;

/// A compiled JSON Schema of an object.
///
/// Parameters that the schema does not name are refused unless it says `additionalProperties`.
#[derive(Debug, Clone)]
pub struct ParameterSchema {
    schema: Arc<Value>,
    validator: Arc<Validator>,
}

// === impl ParameterSchema ===

impl ParameterSchema {
    /// `None` means that the tool takes nothing.
    pub(crate) fn compile(schema: Option<Value>) -> Result<Self, ManifestError> {
        let mut schema = schema.unwrap_or_else(|| json!({}));
        let object = schema.as_object_mut().ok_or_else(|| ManifestError::new("parameters: must be a table"))?;
        let kind = object.entry("type").or_insert_with(|| json!("object"));
        if kind.is_string() && kind != "object" {
            return Err(ManifestError::new("parameters: must describe an object"));
        }
        // Without the keyword, a parameter too many would be reported without its name.
        object.entry("properties").or_insert_with(|| json!({}));
        if !object.contains_key("patternProperties") && !object.contains_key("unevaluatedProperties") {
            object.entry("additionalProperties").or_insert(Value::Bool(false));
        }
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| ManifestError::new(format!("parameters: {}", shorten(&error.to_string()))))?;
        let this = Self { schema: Arc::new(schema), validator: Arc::new(validator) };
        this.check_defaults()?;
        Ok(this)
    }

    /// The schema, as clients may show it.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.schema
    }

    /// The parameters with defaults filled in.
    ///
    /// # Errors
    /// Every field that does not fit, at most twenty, `params` when the whole is not an object.
    pub fn validate(&self, mut params: Value) -> Result<Map<String, Value>, Vec<FieldError>> {
        fill_defaults(&self.schema, &mut params);
        let errors: Vec<FieldError> =
            self.validator.iter_errors(&params).flat_map(|error| self.describe(&error)).take(MAX_ERRORS).collect();
        match params {
            Value::Object(params) if errors.is_empty() => Ok(params),
            _ => Err(errors),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.property(name).is_some()
    }

    /// Required, or filled in by a default.
    pub(crate) fn is_always_present(&self, name: &str) -> bool {
        let is_required =
            self.schema.get("required").and_then(Value::as_array).is_some_and(|names| names.iter().any(|n| n == name));
        is_required || self.property(name).is_some_and(|schema| schema.get("default").is_some())
    }

    fn property(&self, name: &str) -> Option<&Value> {
        self.schema.get("properties")?.get(name)
    }

    fn property_names(&self) -> impl Iterator<Item = &str> {
        self.schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// A default that its own schema refuses would fail every job.
    fn check_defaults(&self) -> Result<(), ManifestError> {
        let properties = self.schema.get("properties").and_then(Value::as_object);
        for (name, schema) in properties.into_iter().flatten() {
            let Some(default) = schema.get("default") else { continue };
            let refused = match jsonschema::validator_for(schema) {
                Ok(validator) => validator.validate(default).err().map(|error| error.to_string()),
                // A property that points into the whole schema compiles only with it; the whole did compile.
                Err(_) => None,
            };
            if let Some(reason) = refused {
                return Err(ManifestError::new(format!("parameters: the default of `{name}`: {}", shorten(&reason))));
            }
        }
        Ok(())
    }

    fn describe(&self, error: &ValidationError<'_>) -> Vec<FieldError> {
        let at = field(error.instance_path().as_str());
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().map_or_else(|| property.to_string(), str::to_owned);
                vec![FieldError { field: format!("{at}.{name}"), message: "is required".to_owned() }]
            }
            ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
                .iter()
                .map(|name| {
                    let suggestion = if at == "params" { nearest(name, self.property_names()) } else { None };
                    let message = format!("is not a parameter of this tool{}", did_you_mean(suggestion));
                    FieldError { field: format!("{at}.{}", shorten(name)), message }
                })
                .collect(),
            _ => vec![FieldError { field: at, message: shorten(&error.to_string()) }],
        }
    }
}

/// Puts the schema's defaults where the object has nothing, into nested objects as well.
fn fill_defaults(schema: &Value, value: &mut Value) {
    let (Some(properties), Some(object)) = (schema.get("properties").and_then(Value::as_object), value.as_object_mut())
    else {
        return;
    };
    for (name, schema) in properties {
        if let (None, Some(default)) = (object.get(name), schema.get("default")) {
            object.insert(name.clone(), default.clone());
        }
        if let Some(inner) = object.get_mut(name) {
            fill_defaults(schema, inner);
        }
    }
}

/// A JSON pointer as a field name: `/filter/0` becomes `params.filter.0`.
fn field(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
    std::iter::once("params".to_owned()).chain(parts).collect::<Vec<_>>().join(".")
}

fn shorten(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((at, _)) => format!("{}…", &message[..at]),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> ParameterSchema {
        let schema = json!({
            "type": "object",
            "required": ["input"],
            "properties": {
                "input": { "type": "string" },
                "top": { "type": "integer", "default": 20, "minimum": 1 },
                "style": { "type": "object", "default": {}, "properties": { "dark": { "type": "boolean", "default": true } } },
            },
        });
        ParameterSchema::compile(Some(schema)).unwrap()
    }

    fn errors(params: Value) -> Vec<(String, String)> {
        schema().validate(params).unwrap_err().into_iter().map(|e| (e.field, e.message)).collect()
    }

    #[test]
    fn defaults_are_filled_in_also_inside_objects() {
        let params = schema().validate(json!({"input": "x"})).unwrap();
        assert_eq!(Value::Object(params), json!({"input": "x", "top": 20, "style": {"dark": true}}));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let errors = errors(json!({"top": "many", "style": {"dark": 1}, "inptu": "x"}));
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field.as_str()).collect();
        for expected in ["params.input", "params.top", "params.style.dark", "params.inptu"] {
            assert!(fields.contains(&expected), "{expected} in {errors:?}");
        }
        let slip = errors.iter().find(|(field, _)| field == "params.inptu").unwrap();
        assert_eq!(slip.1, "is not a parameter of this tool, did you mean `input`?");
    }

    #[test]
    fn parameters_that_are_no_object_are_refused() {
        for params in [json!(null), json!([]), json!("x"), json!(3)] {
            assert_eq!(errors(params)[0].0, "params");
        }
    }

    #[test]
    fn a_long_value_is_not_echoed_in_full() {
        let errors = errors(json!({"input": "x", "top": "y".repeat(10_000)}));
        assert!(errors[0].1.chars().count() <= MAX_MESSAGE_CHARS + 1, "{}", errors[0].1.len());
    }

    #[test]
    fn a_default_that_its_schema_refuses_is_refused() {
        let schema = json!({"properties": {"top": {"type": "integer", "default": "many"}}});
        let refusal = ParameterSchema::compile(Some(schema)).unwrap_err().to_string();
        assert!(refusal.starts_with("parameters: the default of `top`"), "{refusal}");
    }

    #[test]
    fn a_tool_without_parameters_takes_an_empty_object_only() {
        let nothing = ParameterSchema::compile(None).unwrap();
        assert!(nothing.validate(json!({})).unwrap().is_empty());
        assert_eq!(nothing.validate(json!({"x": 1})).unwrap_err()[0].field, "params.x");
    }
}
