//! An object read into memory at bounded cost.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// What stands for a value nested deeper than anyone reads.
pub const TOO_DEEP: &str = "[nested too deep]";

/// Deepest level that is kept; below serde_json's own limit, so a deep object is still
/// shown as far as it is readable.
const DEPTH: usize = 64;
/// Most values of one object. A field of a byte can cost half a KiB in memory, so it is
/// not bytes that are counted.
const NODES: usize = 100_000;

/// What was read.
pub(super) struct Tree {
    pub(super) value: Value,
    /// Something lay too deep and was not looked at.
    pub(super) deep: bool,
}

/// Why there is no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTree {
    /// Not JSON, or no object.
    Unreadable,
    /// More than [`NODES`] values.
    TooMuch,
}

struct Budget {
    left: usize,
    depth: usize,
    deep: bool,
    spent: bool,
}

pub(super) fn read(object: &[u8]) -> Result<Tree, NoTree> {
    let mut budget = Budget {
        left: NODES,
        depth: 0,
        deep: false,
        spent: false,
    };
    let mut reader = serde_json::Deserializer::from_slice(object);
    let value = Place(&mut budget).deserialize(&mut reader);
    if budget.spent {
        return Err(NoTree::TooMuch);
    }
    let value = value.ok().filter(Value::is_object);
    let value = value.ok_or(NoTree::Unreadable)?;
    reader.end().map_err(|_| NoTree::Unreadable)?;
    Ok(Tree {
        value,
        deep: budget.deep,
    })
}

struct Place<'a>(&'a mut Budget);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if self.0.depth >= DEPTH {
            self.0.deep = true;
            from.deserialize_ignored_any(IgnoredAny)?;
            return Ok(TOO_DEEP.into());
        }
        if self.0.left == 0 {
            self.0.spent = true;
            return Err(D::Error::custom("too many values"));
        }
        self.0.left -= 1;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        self.0.depth += 1;
        while let Some(value) = from.next_element_seed(Place(self.0))? {
            list.push(value);
        }
        self.0.depth -= 1;
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        self.0.depth += 1;
        while let Some(key) = from.next_key::<String>()? {
            let value = from.next_value_seed(Place(self.0))?;
            map.insert(key, value);
        }
        self.0.depth -= 1;
        Ok(map.into())
    }
}
