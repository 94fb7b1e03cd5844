//! One of many tasks that a request speaks of: its id beside what is said about it.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, MapAccess, Visitor,
        value::{MapAccessDeserializer, StringDeserializer},
    },
};
use trackside_core::TaskId;
use utoipa::ToSchema;

/// `{"task_id": …}` and the fields of `T` in one object.
///
/// `#[serde(flatten)]` would forgive unknown fields, and could not keep a JSON text as it stands.
#[derive(Debug, ToSchema)]
pub(crate) struct Item<T> {
    #[schema(value_type = String)]
    pub(crate) task_id: TaskId,
    #[serde(flatten)]
    pub(crate) said: T,
}

const ID_FIELD: &str = "task_id";

// === impl Item ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Item<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemVisitor(PhantomData))
    }
}

struct ItemVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemVisitor<T> {
    type Value = Item<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item<T>, A::Error> {
        let mut task_id = None;
        let said = T::deserialize(MapAccessDeserializer::new(Without::new(ID_FIELD, map, &mut task_id)))?;
        let task_id = task_id.ok_or_else(|| A::Error::missing_field(ID_FIELD))?;
        Ok(Item { task_id, said })
    }
}

// === impl Without ===

/// The members of an object but one, which is put aside.
pub(crate) struct Without<'v, A, F> {
    name: &'static str,
    map: A,
    value: &'v mut Option<F>,
}

impl<'v, A, F> Without<'v, A, F> {
    pub(crate) const fn new(name: &'static str, map: A, value: &'v mut Option<F>) -> Self {
        Self { name, map, value }
    }
}

impl<'de, A: MapAccess<'de>, F: Deserialize<'de>> MapAccess<'de> for Without<'_, A, F> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key::<String>()? {
            if name != self.name {
                return seed.deserialize(StringDeserializer::new(name)).map(Some);
            }
            if self.value.replace(self.map.next_value()?).is_some() {
                return Err(A::Error::duplicate_field(self.name));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::RawValue};
    use trackside_core::CorrelationId;

    use super::{super::json::parse, *};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        fence: u64,
        result: Option<Box<RawValue>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        tasks: Vec<Item<Said>>,
    }

    const ID: &str = "0198c2d4-7c1e-7448-8000-0d7f5a2f4c11";

    fn errors(batch: &serde_json::Value) -> serde_json::Value {
        let problem = parse::<Batch>(batch.to_string().as_bytes()).unwrap_err();
        serde_json::to_value(problem.document(&CorrelationId::generate())).unwrap()["errors"].take()
    }

    #[test]
    fn the_id_may_stand_anywhere_and_a_json_text_is_kept() {
        let text = format!(
            r#"{{"tasks": [{{"fence": 1, "task_id": "{ID}", "result": {{"z": 1, "a": 12345678901234567890123}}}}]}}"#
        );
        let batch: Batch = parse(text.as_bytes()).unwrap();
        let item = &batch.tasks[0];
        assert_eq!((item.task_id.to_string().as_str(), item.said.fence), (ID, 1));
        assert_eq!(item.said.result.as_ref().unwrap().get(), r#"{"z": 1, "a": 12345678901234567890123}"#);
    }

    #[test]
    fn what_is_wrong_with_an_item_is_named_with_its_place() {
        let wrong =
            errors(&json!({"tasks": [{"task_id": ID, "fence": 1}, {"fence": "x"}, {"task_id": 7, "fence": 1}]}));
        let fields: Vec<&str> =
            wrong.as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(fields, ["tasks[1].fence"], "{wrong}");
        let wrong = errors(&json!({"tasks": [{"fence": 1}]}));
        assert_eq!(wrong, json!([{"field": "tasks[0].task_id", "message": "is required"}]));
        let wrong = errors(&json!({"tasks": [{"task_id": ID, "fnce": 1, "fence": 1}]}));
        assert_eq!(wrong, json!([{"field": "tasks[0].fnce", "message": "unknown field", "suggestion": "fence"}]));
        let wrong = errors(&json!({"tasks": [{"task_id": "x", "fence": 1}]}));
        assert_eq!(wrong[0]["field"], "tasks[0].task_id", "{wrong}");
        let wrong = errors(&json!({"tasks": [[ID, 1]]}));
        assert_eq!(wrong, json!([{"field": "tasks[0]", "message": "invalid type: array, expected an object"}]));
    }
}
