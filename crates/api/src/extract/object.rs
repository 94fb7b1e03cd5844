//! A struct is read from a JSON object and from nothing else.
//!
//! Derived implementations also take an array of the fields in the order in which the source happens to name them, which
//! would make that order part of the interface.

use serde::{Deserialize, Deserializer, de::Visitor, forward_to_deserialize_any};

/// A value that, when it is a struct, is an object in the text. Holds for the value itself, not for what is in it.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

/// Asks for a map where a struct is asked for.
struct StructsAreMaps<D>(D);

// === impl Object ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(StructsAreMaps(deserializer)).map(Self)
    }
}

// === impl StructsAreMaps ===

impl<'de, D: Deserializer<'de>> Deserializer<'de> for StructsAreMaps<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map enum identifier ignored_any
    }
}
