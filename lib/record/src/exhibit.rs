//! What the reporter asks a witness about reviewed objects, and what it gets: the redacted
//! excerpt, keyed digests of the values, and the texts masked. Secret values never leave the
//! witness, so it is the witness that masks.

mod cut;

pub use crate::digest::{Digester, Digests};
pub use cut::LONGEST as LONGEST_EXCERPT;

use crate::mask::{Masker, Secrets};
use crate::redact::{Rules, Shown};
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::fmt;

/// Most questions of one call. kube-apiserver sends up to 400 events at once.
pub const QUESTIONS: usize = 4096;
/// Most texts of one question.
pub const TEXTS: usize = 512;
/// Longest body of a call; what a reporter can't fit in, it does not ask.
pub const LONGEST_CALL: usize = 32 << 20;
/// Longest body of an answer; what a witness can't fit in is answered as missing.
pub const LONGEST_ANSWER: usize = 64 << 20;
/// Longest exhibit: excerpt and digests.
pub const LONGEST_EXHIBIT: usize = 2 * cut::LONGEST;

/// One question, about one reviewed object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Of the review.
    pub uid: String,
    /// Of the request; empty for cluster-scoped objects. Digests are keyed by it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// To be masked.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::<_, _, TEXTS>"
    )]
    pub texts: Vec<String>,
    /// Id of the MAC key from which the digests' key is derived; absent: the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests_with: Option<String>,
    /// Without the excerpt: of an admitted write only paths are kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub digests_only: bool,
}

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// In any order.
    #[serde(deserialize_with = "bounded::<_, _, QUESTIONS>")]
    pub questions: Vec<Question>,
}

/// Its answer: as many, in the same order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Answers {
    /// One for each question.
    #[serde(deserialize_with = "bounded::<_, _, QUESTIONS>")]
    pub answers: Vec<Answer>,
}

/// One answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The object was there.
    Held(Held),
    /// It was not, or the answer did not fit.
    Missing(Missing),
}

/// What a witness gives of an object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// [`Exhibit`], the bytes that become the exhibit part. Absent for kinds that are
    /// secret as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exhibit: Option<Box<RawValue>>,
    /// One for each text: masked, or absent where it may stay as it is.
    #[serde(default, deserialize_with = "bounded::<_, _, TEXTS>")]
    pub texts: Vec<Option<String>>,
}

/// Why there is no exhibit; the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Missing {
    /// No testimony says whom to ask.
    NoTestimony,
    /// The witness said that it keeps none: a secret, a CONNECT, one of a collection.
    NotHeld,
    /// No address is known for the witness.
    UnknownWitness,
    /// It had to make room, or its process has ended.
    Gone,
    /// No answer within a second.
    Slow,
    /// The call or the answer was broken.
    Failed,
    /// It did not fit into one call.
    TooLarge,
}

impl Missing {
    /// All of them, for metrics that must exist before they count.
    pub const ALL: [Missing; 7] = [
        Missing::NoTestimony,
        Missing::NotHeld,
        Missing::UnknownWitness,
        Missing::Gone,
        Missing::Slow,
        Missing::Failed,
        Missing::TooLarge,
    ];

    /// The metric label.
    pub fn label(self) -> &'static str {
        match self {
            Missing::NoTestimony => "noTestimony",
            Missing::NotHeld => "notHeld",
            Missing::UnknownWitness => "unknownWitness",
            Missing::Gone => "gone",
            Missing::Slow => "slow",
            Missing::Failed => "failed",
            Missing::TooLarge => "tooLarge",
        }
    }
}

/// The exhibit part of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exhibit {
    /// What may be shown of the object; absent where only digests were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Value>,
    /// What was left out of it for its length, in the order in which that was done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<String>,
    /// Its values by keyed digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Digests>,
}

impl Questions {
    /// Reads a call, at bounded cost.
    ///
    /// # Errors
    /// It is no such call, or has more questions or texts than one may have.
    pub fn parse(body: &[u8]) -> Result<Questions, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// Answers one question. `versions` are the object that is the exhibit and, of an update,
/// the one it replaces: a message may echo either.
pub fn answer(
    question: &Question,
    object: &[u8],
    replaced: Option<&[u8]>,
    rules: &Rules,
    digester: Option<&Digester>,
) -> Held {
    let view = rules.view(object, digester);
    let mut secrets = view.secrets;
    if let Some(replaced) = replaced {
        secrets.join(rules.view(replaced, None).secrets);
    }
    let object = match view.shown {
        Shown::Object(object) => Some(object),
        Shown::TooMuch => Some(Value::from("[too many fields]")),
        Shown::Secret | Shown::Unreadable => None,
    };
    let exhibit = object.map(|object| {
        let (object, cut) = if question.digests_only {
            (None, Vec::new())
        } else {
            let (object, cut) = cut::fit(object);
            (Some(object), cut)
        };
        Exhibit {
            object,
            cut,
            digests: view.digests,
        }
    });
    Held {
        exhibit: exhibit.and_then(|exhibit| serde_json::value::to_raw_value(&exhibit).ok()),
        texts: mask(&question.texts, &secrets, digester),
    }
}

fn mask(texts: &[String], secrets: &Secrets, digester: Option<&Digester>) -> Vec<Option<String>> {
    if texts.is_empty() || secrets.is_empty() {
        return texts.iter().map(|_| None).collect();
    }
    let masker = Masker::new(secrets, digester);
    texts.iter().map(|text| masker.mask(text)).collect()
}

/// A list of at most `MOST` items; more are an error.
fn bounded<'de, D, T, const MOST: usize>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Items<T, const MOST: usize>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Items<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MOST}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = from.next_element()? {
                if items.len() == MOST {
                    return Err(A::Error::invalid_length(MOST + 1, &self));
                }
                items.push(item);
            }
            Ok(items)
        }
    }
    from.deserialize_seq(Items::<T, MOST>(std::marker::PhantomData))
}

#[cfg(test)]
mod tests;
