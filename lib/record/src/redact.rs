//! What may be shown of an object, which of its values are secret, and how a text is made
//! harmless for a door.
//!
//! What is secret is decided here and nowhere else. A value that is taken out here is
//! also masked in texts ([`crate::mask`]).

mod clean;
mod tree;
mod words;

pub use clean::clean_text;
pub use tree::TOO_DEEP;

use crate::digest::{Digester, Digests};
use crate::mask::Secrets;

pub use crate::mask::REDACTED;
use serde_json::{Map, Value};
use tree::{NoTree, Tree};

/// Kinds of which nothing is ever shown.
const SECRET_KINDS: &[&str] = &["Secret", "SecretList", "SealedSecret", "ExternalSecret"];
/// Where those kinds keep it; other objects may hold one of them whole.
const SECRET_FIELDS: &[&str] = &["data", "stringData", "spec", "items"];
/// Clients keep the whole object there, as they last sent it.
const LAST_APPLIED: &str = "/last-applied-configuration";

/// What is taken out beside the fixed rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Paths of field names; `*` stands for any one, list indices are not counted.
    paths: Vec<Vec<String>>,
    /// Names of fields, as words.
    names: Vec<Vec<String>>,
}

/// A configured rule that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A path.
    #[error(
        "the redacted path {0:?} is empty or has an empty field: write it like spec.auth.header"
    )]
    Path(String),
    /// A name.
    #[error("the redacted name {0:?} has no letter: write it like accountNumber or account-number")]
    Name(String),
}

/// An object as it may be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// With everything secret taken out.
    Object(Value),
    /// A kind that is secret as a whole.
    Secret,
    /// More values than are looked at.
    TooMuch,
    /// No JSON object.
    Unreadable,
}

/// What one look at an object gives.
#[derive(Debug)]
pub struct View {
    /// For readers.
    pub shown: Shown,
    /// For the masker: every value that was taken out.
    pub secrets: Secrets,
    /// Its values by keyed digest, secret ones too, if that was asked for.
    pub digests: Option<Digests>,
}

impl Rules {
    /// Rules with further paths, written `spec.auth.header`, `*` for any one field, and
    /// further names of fields, written in any of the usual ways (`accountNumber`).
    ///
    /// # Errors
    /// The first path that has an empty field, or name without a letter.
    pub fn new<S: AsRef<str>>(
        paths: impl IntoIterator<Item = S>,
        names: impl IntoIterator<Item = S>,
    ) -> Result<Rules, RuleError> {
        let path = |path: S| {
            let fields: Vec<String> = path.as_ref().split('.').map(str::to_owned).collect();
            let usable = fields.iter().all(|field| !field.is_empty());
            let error = || RuleError::Path(path.as_ref().to_owned());
            usable.then_some(fields).ok_or_else(error)
        };
        let name = |name: S| {
            let words = words::words(name.as_ref());
            let error = || RuleError::Name(name.as_ref().to_owned());
            (!words.is_empty()).then_some(words).ok_or_else(error)
        };
        Ok(Rules {
            paths: paths.into_iter().map(path).collect::<Result<_, _>>()?,
            names: names.into_iter().map(name).collect::<Result<_, _>>()?,
        })
    }

    /// Looks at an object once. Bounded in depth and in values; what was not looked at
    /// makes the secrets incomplete, and the masker then leaves no text.
    pub fn view(&self, object: &[u8], digester: Option<&Digester>) -> View {
        let mut secrets = Secrets::default();
        let Tree { mut value, deep } = match tree::read(object) {
            Ok(tree) => tree,
            Err(why) => {
                secrets.incomplete();
                return View {
                    shown: match why {
                        NoTree::Unreadable => Shown::Unreadable,
                        NoTree::TooMuch => Shown::TooMuch,
                    },
                    secrets,
                    digests: None,
                };
            }
        };
        if deep {
            secrets.incomplete();
        }
        // Before anything is taken out.
        let digests = digester.map(|digester| digester.of_object(&value));
        self.walk().value(&mut value, &mut secrets, Ground::Plain);
        let secret = is_secret_kind(&value);
        View {
            shown: if secret {
                Shown::Secret
            } else {
                Shown::Object(value)
            },
            secrets,
            // Short secrets could be guessed from their digests by who holds the key.
            digests: digests.filter(|_| !secret),
        }
    }

    fn walk(&self) -> Walk<'_> {
        Walk {
            rules: self,
            path: Vec::new(),
        }
    }

    fn names(&self, path: &[String]) -> bool {
        self.paths.iter().any(|wanted| {
            wanted.len() == path.len()
                && wanted
                    .iter()
                    .zip(path)
                    .all(|(wanted, field)| wanted == "*" || wanted == field)
        })
    }

    /// True if a field of this name holds a secret: one of its words says so, and its last
    /// word does not make it a reference to one.
    pub fn is_secret_field(&self, name: &str) -> bool {
        words::is_secret(name, &self.names)
    }
}

fn is_secret_kind(value: &Value) -> bool {
    value["kind"]
        .as_str()
        .is_some_and(|kind| SECRET_KINDS.contains(&kind))
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Plain,
    /// Under a reference: `key` names a key there.
    Reference,
    /// Under a secret field: texts and numbers go, the shape stays.
    Secret,
    /// As a whole: all of it goes.
    Whole,
}

struct Walk<'a> {
    rules: &'a Rules,
    /// Kept up only where paths are configured.
    path: Vec<String>,
}

impl Walk<'_> {
    /// Takes out what is secret. Recursion is bounded by the tree's depth.
    fn value(&mut self, value: &mut Value, secrets: &mut Secrets, ground: Ground) {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::String(text) if matches!(ground, Ground::Secret | Ground::Whole) => {
                secrets.add(text);
                *value = REDACTED.into();
            }
            Value::Number(number) if matches!(ground, Ground::Secret | Ground::Whole) => {
                secrets.add(&number.to_string());
                *value = REDACTED.into();
            }
            Value::String(_) | Value::Number(_) => {}
            Value::Array(list) => {
                for item in list {
                    self.value(item, secrets, ground);
                }
            }
            Value::Object(map) => self.map(map, secrets, ground),
        }
        if ground == Ground::Whole {
            *value = REDACTED.into();
        }
    }

    fn map(&mut self, map: &mut Map<String, Value>, secrets: &mut Secrets, ground: Ground) {
        let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
        let secret_kind = SECRET_KINDS.contains(&kind);
        // The console puts the values themselves into a grant.
        let grant = kind == "AgentSecretGrant";
        // A selector's or toleration's key names a label.
        let names_label = map.contains_key("operator") || map.contains_key("effect");
        // A variable of a container: the secret's name is a value, its value is not.
        let named_secret = map
            .get("name")
            .and_then(Value::as_str)
            .is_some_and(|name| self.rules.is_secret_field(name));
        let follows_paths = !self.rules.paths.is_empty();
        map.retain(|name, value| {
            let applied = name.ends_with(LAST_APPLIED);
            if applied && let Some(text) = value.as_str() {
                self.applied(text, secrets);
            }
            let managed = name == "managedFields" && value.is_array();
            !applied && !managed
        });
        for (name, value) in map.iter_mut() {
            if follows_paths {
                self.path.push(name.clone());
            }
            let is_key = name == "key" && (names_label || ground == Ground::Reference);
            let below = if ground == Ground::Whole
                || (follows_paths && self.rules.names(&self.path))
                || (secret_kind && SECRET_FIELDS.contains(&name.as_str()))
                || (named_secret && name == "value" && !value.is_null())
            {
                Ground::Whole
            } else if ground == Ground::Secret
                || name == "stringData"
                || (!is_key && self.rules.is_secret_field(name))
            {
                Ground::Secret
            } else if words::is_reference(name) {
                Ground::Reference
            } else {
                Ground::Plain
            };
            if grant
                && name == "spec"
                && let Some(data) = value.get_mut("data")
            {
                self.value(data, secrets, Ground::Whole);
            }
            self.value(value, secrets, below);
            if follows_paths {
                self.path.pop();
            }
        }
    }

    /// The whole of it is taken out, and what was secret in it may be echoed by itself.
    fn applied(&self, text: &str, secrets: &mut Secrets) {
        secrets.add(text);
        match tree::read(text.as_bytes()) {
            Ok(Tree { mut value, deep }) => {
                if deep {
                    secrets.incomplete();
                }
                self.rules.walk().value(&mut value, secrets, Ground::Plain);
            }
            Err(NoTree::TooMuch) => secrets.incomplete(),
            Err(NoTree::Unreadable) => {}
        }
    }
}

#[cfg(test)]
mod tests;
