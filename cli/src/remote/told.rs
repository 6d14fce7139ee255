//! What a server hands out as parts, and what they say of a record in a list's words.

use data_encoding::BASE64;
use docket_ledger::entry::{Hash, Part, commitment};
use docket_ledger::tree::leaf_hash;
use docket_record::denial::{Personal, Public};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct PartsPage {
    pub(super) items: Vec<Served>,
    pub(super) next: u64,
}

#[derive(Deserialize)]
pub(super) struct Served {
    pub(super) position: u64,
    pub(super) public: Option<ServedPart>,
    pub(super) personal: Option<ServedPart>,
    pub(super) exhibit: Option<ServedPart>,
    /// Parts that are there and not the caller's to see.
    #[serde(default)]
    pub(super) withheld: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct ServedPart {
    salt: String,
    bytes: String,
}

impl ServedPart {
    fn bytes(&self) -> Option<Vec<u8>> {
        BASE64.decode(self.bytes.as_bytes()).ok()
    }

    pub(super) fn commitment(&self, part: Part) -> Option<Hash> {
        let salt = BASE64.decode(self.salt.as_bytes()).ok()?.try_into().ok()?;
        Some(commitment(part, &salt, &self.bytes()?))
    }
}

/// What the parts say of one record, in the words of the list.
pub(super) enum Told {
    /// All that a list must show of it.
    Essence {
        /// Over it.
        hash: Hash,
        /// Over what of it no later entry changes.
        settled: Hash,
        /// The personal part was there to compare with, or there is none.
        personal: bool,
    },
    /// A form that this program does not know.
    Unknown,
}

impl Told {
    pub(super) fn of(served: &Served) -> Told {
        let read = |part: &Option<ServedPart>| part.as_ref().and_then(ServedPart::bytes);
        let Some(public) =
            read(&served.public).and_then(|bytes| serde_json::from_slice::<Public>(&bytes).ok())
        else {
            return Told::Unknown;
        };
        let personal = match read(&served.personal) {
            None => None,
            Some(bytes) => match serde_json::from_slice::<Personal>(&bytes) {
                Ok(personal) => Some(personal),
                Err(_) => return Told::Unknown,
            },
        };
        let withheld = served
            .withheld
            .iter()
            .any(|part| part == Part::Personal.name());
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let of = |get: fn(&Personal) -> &str| {
            personal.as_ref().and_then(|personal| given(get(personal)))
        };
        let message = |at: usize| {
            personal
                .as_ref()
                .and_then(|personal| personal.messages.get(at))
                .and_then(|text| given(text))
        };
        let attributions = public
            .attributions
            .iter()
            .enumerate()
            .map(|(at, attribution)| {
                let mut value = serde_json::to_value(attribution).unwrap_or_default();
                value["message"] = json!(message(at));
                value
            });
        let mut told = json!({
            "id": public.id, "time": public.time, "verdict": public.verdict,
            "operation": public.operation, "dryRun": public.dry_run, "code": public.code,
            "namespace": given(&public.namespace), "kind": public.kind,
            "name": of(|personal| &personal.name),
            "actor": of(|personal| &personal.actor.username),
            "impersonator": personal.as_ref().and_then(|personal| personal.impersonator.as_ref()).map(|user| user.username.clone()),
            "context": public.context, "notes": public.notes,
            "attributions": attributions.collect::<Vec<_>>(),
        });
        if withheld {
            without_personal(&mut told);
        }
        let hash = digest(&told);
        without_law(&mut told);
        Told::Essence {
            hash,
            settled: digest(&told),
            personal: !withheld,
        }
    }

    /// Without names, actors and messages: they are not the caller's to compare.
    pub(super) fn is_bare(&self) -> bool {
        matches!(
            self,
            Told::Essence {
                personal: false,
                ..
            }
        )
    }

    /// Does the list show it so? Where an amendment holds the law for uncertain, the list
    /// says so in the attributions, which then differ from the record's in that alone.
    pub(super) fn fits(&self, item: &Value) -> bool {
        let Told::Essence {
            hash,
            settled,
            personal,
        } = self
        else {
            return true;
        };
        let mut shown = json!({
            "kind": item["resourceRef"]["kind"], "name": item["resourceRef"]["name"],
        });
        for name in [
            "id",
            "time",
            "verdict",
            "operation",
            "dryRun",
            "code",
            "namespace",
            "actor",
            "impersonator",
            "context",
            "notes",
            "attributions",
        ] {
            shown[name] = item[name].clone();
        }
        if !personal {
            without_personal(&mut shown);
        }
        if in_doubt(item).next().is_none() {
            return digest(&shown) == *hash;
        }
        without_law(&mut shown);
        digest(&shown) == *settled
    }
}

/// Kind of the amendment that says that another version of a policy may have been in force.
pub(super) const IN_DOUBT: &str = "law-in-doubt";

/// Positions of such amendments, as the list shows them.
pub(super) fn in_doubt(item: &Value) -> impl Iterator<Item = u64> {
    let amendments = item["amendments"].as_array().into_iter().flatten();
    amendments
        .filter(|amendment| amendment["kind"] == IN_DOUBT)
        .map(|amendment| amendment["position"].as_u64().unwrap_or(u64::MAX))
}

/// What an amendment says: of which entry, and in what way.
pub(super) fn amends(served: &Served) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Amendment {
        amends: String,
        kind: String,
    }
    let bytes = served.public.as_ref()?.bytes()?;
    let read: Amendment = serde_json::from_slice(&bytes).ok()?;
    Some((read.amends, read.kind))
}

/// Without what an amendment may have changed since.
fn without_law(told: &mut Value) {
    for attribution in told["attributions"].as_array_mut().into_iter().flatten() {
        if let Some(attribution) = attribution.as_object_mut() {
            for name in ["grade", "doubt", "laws"] {
                attribution.remove(name);
            }
        }
    }
}

/// Of a part that is not the caller's to see nothing can be compared.
fn without_personal(told: &mut Value) {
    for name in ["name", "actor", "impersonator"] {
        told[name] = Value::Null;
    }
    for attribution in told["attributions"].as_array_mut().into_iter().flatten() {
        attribution["message"] = Value::Null;
    }
}

/// Over the value with its members in order.
fn digest(value: &Value) -> Hash {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(members) => {
                let sorted: BTreeMap<_, _> = members.iter().collect();
                out.push('{');
                for (name, member) in sorted {
                    out.push_str(&Value::from(name.as_str()).to_string());
                    out.push(':');
                    write(member, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for item in items {
                    write(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
    let mut text = String::new();
    write(value, &mut text);
    leaf_hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::digest;
    use serde_json::json;

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_members_and_on_all_else() {
        let value = json!({"a": 1, "b": [{"c": null, "d": "x"}]});
        let same: serde_json::Value =
            serde_json::from_str(r#"{"b":[{"d":"x","c":null}],"a":1}"#).unwrap();
        assert_eq!(digest(&value), digest(&same));
        for other in [
            json!({"a": 1, "b": [{"c": null}]}),
            json!({"a": "1", "b": [{"c": null, "d": "x"}]}),
        ] {
            assert_ne!(digest(&value), digest(&other));
        }
    }
}
