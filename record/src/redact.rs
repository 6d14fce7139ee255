//! What may be shown of an object, and how a text is made harmless for a door.
//!
//! Redaction happens here and nowhere else.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// What stands where a value was taken out.
pub const REDACTED: &str = "[redacted]";
/// What stands for a value nested deeper than anyone reads.
pub const TOO_DEEP: &str = "[nested too deep]";

/// Deepest level that is kept; below serde_json's own limit, so a deep object is still
/// shown as far as it is readable.
const DEPTH: usize = 64;

/// Kinds of which nothing is ever shown.
const SECRET_KINDS: &[&str] = &["Secret", "SecretList", "SealedSecret", "ExternalSecret"];

/// Words that make a field's value a secret.
const SECRET_WORDS: &[&str] = &[
    "token",
    "tokens",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "apikey",
    "authorization",
    "cookie",
    "bearer",
    "privatekey",
    "accesskey",
    "signingkey",
    "encryptionkey",
    "sshkey",
    "key",
    "hmac",
];

/// Last words that make a field the name of a secret or a fact about it, not its value.
const REFERENCE_WORDS: &[&str] = &[
    "ref",
    "refs",
    "reference",
    "name",
    "names",
    "namespace",
    "id",
    "ids",
    "type",
    "kind",
    "path",
    "url",
    "uri",
    "count",
    "length",
    "size",
    "policy",
    "selector",
    "provider",
    "version",
    "expiry",
    "expires",
    "at",
    "seconds",
    "ttl",
    "enabled",
    "required",
    "rotation",
    "algorithm",
    "usage",
];

/// What is taken out beside the fixed rules.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Paths of field names; `*` stands for any one, list indices are not counted.
    paths: Vec<Vec<String>>,
}

/// A configured path that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the redacted path {0:?} is empty or has an empty field: write it like spec.auth.header")]
pub struct PathError(String);

impl Rules {
    /// Rules with further paths, written `spec.auth.header`, `*` for any one field.
    ///
    /// # Errors
    /// The first path that has an empty field.
    pub fn with_paths<P: AsRef<str>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Rules, PathError> {
        let split = |path: P| {
            let fields: Vec<String> = path.as_ref().split('.').map(str::to_owned).collect();
            let usable = fields.iter().all(|field| !field.is_empty());
            if usable {
                Ok(fields)
            } else {
                Err(PathError(path.as_ref().to_owned()))
            }
        };
        Ok(Rules {
            paths: paths.into_iter().map(split).collect::<Result<_, _>>()?,
        })
    }

    /// The object with everything secret taken out; `None` for kinds that are secret as
    /// a whole, and for bytes that are not a JSON object.
    pub fn redact(&self, object: &[u8]) -> Option<Value> {
        let mut reader = serde_json::Deserializer::from_slice(object);
        let place = Place {
            rules: self,
            path: &mut Vec::new(),
            secret: false,
        };
        let mut value = place
            .deserialize(&mut reader)
            .ok()
            .filter(Value::is_object)?;
        reader.end().ok()?;
        let kind = value["kind"].as_str().unwrap_or("").to_owned();
        if SECRET_KINDS.contains(&kind.as_str()) {
            return None;
        }
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
            if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
            }
        }
        // The console puts the values themselves there.
        if kind == "AgentSecretGrant"
            && let Some(data) = value.pointer_mut("/spec/data")
        {
            *data = REDACTED.into();
        }
        Some(value)
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
}

/// True if a field of this name holds a secret: one of its words says so, and its last
/// word does not make it a reference to one.
pub fn is_secret_field(name: &str) -> bool {
    let words = words(name);
    let Some(last) = words.last() else {
        return false;
    };
    let joined = words.concat();
    let secret = words
        .iter()
        .any(|word| SECRET_WORDS.contains(&word.as_str()))
        || SECRET_WORDS
            .iter()
            .any(|word| word.len() > 5 && joined == *word);
    secret && (words.len() == 1 || !REFERENCE_WORDS.contains(&last.as_str()))
}

/// `webhookSigning_secretV2` → webhook, signing, secret, v2.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    let mut letters = name.chars().take(256).peekable();
    while let Some(letter) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
        let begins = !before.is_alphanumeric()
            || (letter.is_uppercase() && (!before.is_uppercase() || next_is_lower));
        if letter.is_alphanumeric() {
            if begins {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.extend(letter.to_lowercase());
            }
        }
        before = letter;
    }
    words
}

struct Place<'a> {
    rules: &'a Rules,
    path: &'a mut Vec<String>,
    /// A field above is secret: texts and numbers go, the shape stays.
    secret: bool,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        if self.path.len() >= DEPTH {
            from.deserialize_ignored_any(IgnoredAny)?;
            return Ok(TOO_DEEP.into());
        }
        from.deserialize_any(self)
    }
}

impl Place<'_> {
    fn scalar<E>(self, value: Value) -> Result<Value, E> {
        Ok(if self.secret { REDACTED.into() } else { value })
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
        self.scalar(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.scalar(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        // Lists have no field of their own in a path, but they count as a level.
        self.path.push(String::new());
        loop {
            let place = Place {
                rules: self.rules,
                path: &mut *self.path,
                secret: self.secret,
            };
            match from.next_element_seed(place)? {
                Some(value) => list.push(value),
                None => break,
            }
        }
        self.path.pop();
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = from.next_key::<String>()? {
            self.path.push(key.clone());
            let named: Vec<String> = self
                .path
                .iter()
                .filter(|field| !field.is_empty())
                .cloned()
                .collect();
            let value = if self.rules.names(&named) {
                from.next_value::<IgnoredAny>()?;
                REDACTED.into()
            } else {
                let secret = self.secret || is_secret_field(&key);
                from.next_value_seed(Place {
                    rules: self.rules,
                    path: &mut *self.path,
                    secret,
                })?
            };
            self.path.pop();
            map.insert(key, value);
        }
        // A variable of a container: the secret's name is a value, its value is not.
        let named_secret = map
            .get("name")
            .and_then(Value::as_str)
            .is_some_and(is_secret_field);
        if named_secret && map.get("value").is_some_and(|value| !value.is_null()) {
            map.insert("value".to_owned(), REDACTED.into());
        }
        Ok(map.into())
    }
}

/// Makes a text harmless for a terminal, a log line or an Event's note: control
/// characters (ESC among them) and marks that turn the writing direction become a blank
/// or `\u{fffd}`, and at most `limit` bytes are kept, ended by `…` where it was longer.
pub fn clean_text(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len().min(limit) + 4);
    for letter in text.chars() {
        let letter = match letter {
            '\n' | '\r' | '\t' => ' ',
            harmful if is_harmful(harmful) => char::REPLACEMENT_CHARACTER,
            letter => letter,
        };
        clean.push(letter);
        if clean.len() > limit {
            let mark = if limit >= '…'.len_utf8() { "…" } else { "" };
            clean.truncate(clean.floor_char_boundary(limit - mark.len()));
            clean.push_str(mark);
            break;
        }
    }
    Cow::Owned(clean)
}

/// Control characters, bidirectional overrides and isolates, zero-width marks, line and
/// paragraph separators, tags, and the byte order mark.
fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
