//! Secret values, taken out of texts that may echo them.
//!
//! A policy's message may repeat what it judged. Whoever knows the secret values of the
//! object can mask them there, in whatever way the text writes them ([`normal`]), also in
//! base64, and also when the text was cut inside one. The mark that is left is
//! `[redacted:1a2b]`: the beginning of the value's keyed digest, so that equal values can be
//! recognised within a namespace and nobody can try values without the key.
//!
//! Cost is linear in the text and in the values. What is over a bound makes the texts go as
//! a whole ([`MASKED`]), never stay. Not found are: values of fewer than four characters, a
//! part of a value, and a value that was changed (lower-cased, hashed, reversed).

mod find;
mod normal;

use crate::digest::Digester;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use find::Finder;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

/// What stands where a value was taken out.
pub const REDACTED: &str = "[redacted]";

/// What stands for a text that could not be masked value by value.
pub const MASKED: &str = "[masked]";

/// Fewest characters that are looked for.
const SHORTEST: usize = 4;
/// Most values of one object.
const VALUES: usize = 4096;
/// Most bytes of them, so much of each counted.
const BYTES: usize = 2 << 20;
/// Longest text that is looked through, and so most bytes of a value that matter.
pub const LONGEST: usize = 20 * 1024;
/// Most marks in one text.
const MARKS: usize = 256;
/// Texts that are so common in messages, and so little of a secret, that they stay.
const COMMON: [&str; 5] = ["true", "false", "null", "none", "None"];

/// The secret values of an object: filled by [`crate::redact::Rules::view`].
#[derive(Debug, Default)]
pub struct Secrets {
    values: BTreeSet<Box<str>>,
    bytes: usize,
    incomplete: bool,
}

impl Secrets {
    /// One more.
    pub(crate) fn add(&mut self, value: &str) {
        if value == REDACTED || self.incomplete {
            return;
        }
        let value = crate::text::prefix(value, LONGEST);
        if self.values.contains(value) {
            return;
        }
        self.bytes += value.len();
        if self.values.len() >= VALUES || self.bytes > BYTES {
            self.incomplete();
            return;
        }
        self.values.insert(value.into());
    }

    /// There are more, which are not known.
    pub(crate) fn incomplete(&mut self) {
        self.incomplete = true;
        self.values.clear();
    }

    /// Those of another version of the object too.
    pub fn join(&mut self, other: Secrets) {
        if other.incomplete {
            self.incomplete();
        }
        for value in &other.values {
            self.add(value);
        }
    }

    /// True if every value is known and there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && !self.incomplete
    }
}

/// Looks for the values of one object in any number of texts.
pub struct Masker(Inner);

enum Inner {
    Nothing,
    /// Over a bound: no text is left.
    Everything,
    Values(Box<Values>),
}

struct Values {
    finder: Finder,
    /// The values as they are, for texts with backslashes: one that stands before a value
    /// by chance would be read as the beginning of an escape.
    raw: Vec<(Vec<u8>, usize)>,
    raw_finder: OnceLock<Option<Finder>>,
    marks: Vec<String>,
}

impl Masker {
    /// For these values. Without a key to make digests with, the marks say nothing of the
    /// values.
    pub fn new(secrets: &Secrets, digester: Option<&Digester>) -> Masker {
        if secrets.incomplete {
            return Masker(Inner::Everything);
        }
        let mut patterns: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut raw: Vec<(Vec<u8>, usize)> = Vec::new();
        let mut marks = Vec::new();
        for value in secrets.values.iter().filter(|value| worth(value)) {
            let at = marks.len();
            let mut push = |form: &str| {
                let form = normal_bytes(form);
                if form.len() >= SHORTEST {
                    patterns.push((form, at));
                }
            };
            push(value);
            for form in encodings(value) {
                push(&form);
            }
            raw.push((value.as_bytes().to_vec(), at));
            marks.push(match digester {
                Some(digester) => format!("[redacted:{}]", &digester.of_text(value)[..4]),
                None => REDACTED.to_owned(),
            });
        }
        if patterns.is_empty() {
            return Masker(Inner::Nothing);
        }
        Masker(match Finder::new(patterns) {
            Some(finder) => Inner::Values(Box::new(Values {
                finder,
                raw,
                raw_finder: OnceLock::new(),
                marks,
            })),
            None => Inner::Everything,
        })
    }

    /// The text without the values; `None` if it holds none of them.
    pub fn mask(&self, text: &str) -> Option<String> {
        match &self.0 {
            Inner::Nothing => None,
            Inner::Everything => (!text.is_empty()).then(|| MASKED.to_owned()),
            Inner::Values(_) if text.len() > LONGEST => Some(MASKED.to_owned()),
            Inner::Values(values) => values.mask(text),
        }
    }
}

impl Values {
    fn mask(&self, text: &str) -> Option<String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut places: Vec<Range<usize>> = Vec::with_capacity(text.len());
        let mut buffer = [0; 4];
        normal::normalise(text, |letter, place| {
            for byte in letter.encode_utf8(&mut buffer).bytes() {
                bytes.push(byte);
                places.push(place.clone());
            }
        });
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        for (range, value) in self.finder.find(&bytes) {
            let place = places[range.start].start..places[range.end - 1].end;
            found.push((place, value));
        }
        if text.contains('\\') {
            let raw = self
                .raw_finder
                .get_or_init(|| Finder::new(self.raw.clone()));
            let Some(raw) = raw else {
                return Some(MASKED.to_owned());
            };
            found.extend(raw.find(text.as_bytes()));
            found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        }
        self.put(text, &found)
    }

    /// `found` is sorted by where it begins; what overlaps gets the first one's mark.
    fn put(&self, text: &str, found: &[(Range<usize>, usize)]) -> Option<String> {
        let (first, _) = found.first()?;
        if found.len() > MARKS {
            return Some(MASKED.to_owned());
        }
        let mut masked = String::with_capacity(text.len() + 64);
        masked.push_str(&text[..first.start]);
        let mut at = first.start;
        for (range, value) in found {
            if range.start >= at {
                masked.push_str(&text[at..range.start]);
                masked.push_str(&self.marks[*value]);
            }
            // A raw match is bytes; the text is cut at characters only.
            at = at.max(text.ceil_char_boundary(range.end));
        }
        masked.push_str(&text[at..]);
        Some(masked)
    }
}

fn worth(value: &str) -> bool {
    !COMMON.contains(&value) && value.chars().nth(SHORTEST - 1).is_some()
}

fn normal_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut buffer = [0; 4];
    normal::normalise(text, |letter, _| {
        bytes.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
    });
    bytes
}

/// The value in base64, and what it is the base64 of.
fn encodings(value: &str) -> Vec<String> {
    let mut forms = vec![BASE64_NOPAD.encode(value.as_bytes())];
    let url = BASE64URL_NOPAD.encode(value.as_bytes());
    if url != forms[0] {
        forms.push(url);
    }
    let packed: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    let packed = packed.trim_end_matches('=').as_bytes();
    let decoded = BASE64_NOPAD
        .decode(packed)
        .or_else(|_| BASE64URL_NOPAD.decode(packed));
    forms.extend(decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()));
    forms
}

#[cfg(test)]
mod tests;
