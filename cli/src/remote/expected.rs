//! What a list must show, as far as the parts that were read say it, and how a server's
//! answer differs from that.

use super::report::Kind;
use serde_json::Value;
use std::collections::BTreeSet;

/// What must stand in one place of an answer.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// This. What is not there is null.
    Is(Value),
    /// Not known: whatever says so was not read. Null is always right.
    Unknown(Kind),
    /// An object with these members; others are not known here.
    Object(Vec<(String, Expected)>),
    /// These, in this order.
    List(Vec<Expected>),
}

/// How an answer differs.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Fields that are not as they must be.
    pub(super) fields: Vec<String>,
    /// Why some were not compared.
    pub(super) skipped: BTreeSet<Kind>,
    /// Fields that are not known here.
    pub(super) unknown: Vec<String>,
}

impl<T: Into<Value>> From<T> for Expected {
    fn from(value: T) -> Expected {
        Expected::Is(value.into())
    }
}

impl Expected {
    /// An object with these members.
    pub(super) fn object<const N: usize>(members: [(&str, Expected); N]) -> Expected {
        let members = members.into_iter();
        Expected::Object(
            members
                .map(|(name, member)| (name.to_owned(), member))
                .collect(),
        )
    }

    /// Of an object, the member of this name anew.
    pub(super) fn set(&mut self, name: &str, value: impl Into<Expected>) {
        if let Expected::Object(members) = self {
            members.retain(|(known, _)| known != name);
            members.push((name.to_owned(), value.into()));
        }
    }

    /// Of an object, one of its members.
    pub(super) fn get(&self, name: &str) -> Option<&Expected> {
        match self {
            Expected::Object(members) => {
                let mut members = members.iter();
                members
                    .find(|(known, _)| known == name)
                    .map(|(_, member)| member)
            }
            _ => None,
        }
    }

    /// How an answer differs from it.
    pub(super) fn differences(&self, served: &Value) -> Differences {
        let mut differences = Differences::default();
        self.compare(served, "", &mut differences);
        differences
    }

    fn compare(&self, served: &Value, place: &str, differences: &mut Differences) {
        let below = |name: &str| match place {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        let differs = match (self, served) {
            (Expected::Is(value), served) => value != served,
            (Expected::Unknown(_), Value::Null) => false,
            (Expected::Unknown(kind), _) => {
                differences.skipped.insert(*kind);
                false
            }
            (Expected::Object(members), Value::Object(there)) => {
                for (name, member) in members {
                    let served = there.get(name).unwrap_or(&Value::Null);
                    member.compare(served, &below(name), differences);
                }
                for name in there.keys() {
                    if !members.iter().any(|(known, _)| known == name) {
                        differences.unknown.push(below(name));
                    }
                }
                false
            }
            (Expected::List(items), Value::Array(there)) if items.len() == there.len() => {
                for (at, (item, served)) in items.iter().zip(there).enumerate() {
                    item.compare(served, &below(&at.to_string()), differences);
                }
                false
            }
            (Expected::Object(_) | Expected::List(_), _) => true,
        };
        if differs {
            differences.fields.push(place.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Expected, Kind};
    use serde_json::json;

    #[test]
    fn every_difference_is_named_and_what_is_not_known_is_told_apart() {
        let expected = Expected::object([
            ("id", "a".into()),
            ("none", Expected::Is(json!(null))),
            ("secret", Expected::Unknown(Kind::Texts)),
            (
                "list",
                Expected::List(vec![Expected::object([("x", 1.into())]), 2.into()]),
            ),
        ]);
        let same = json!({"id": "a", "secret": null, "list": [{"x": 1}, 2]});
        let same = expected.differences(&same);
        assert!(same.fields.is_empty() && same.skipped.is_empty() && same.unknown.is_empty());
        let other = json!({"id": 1, "none": false, "secret": "s", "more": 1,
            "list": [{"x": 2, "y": 1}, 2]});
        let other = expected.differences(&other);
        assert_eq!(other.fields, ["id", "none", "list.0.x"]);
        assert_eq!(other.unknown, ["list.0.y", "more"]);
        assert!(other.skipped.contains(&Kind::Texts));
        for wrong in [json!(null), json!([]), json!("x")] {
            assert_eq!(expected.differences(&wrong).fields, [""], "{wrong}");
        }
        let short = json!({"id": "a", "list": [{"x": 1}]});
        assert_eq!(expected.differences(&short).fields, ["list"]);
    }
}
