//! Full text: which words a denial or pass holds, and which tiles of entries can't hold
//! a word at all.
//!
//! For each full tile of 256 entries the view keeps a sieve: a Bloom filter over the words
//! of its denials and passes. A search walks the records of its scope in their order,
//! skips those whose tile lacks a word, and reads the texts of the rest. So it costs
//! nothing where a word is not, touches nothing out of scope, and gives exact answers.
//!
//! Why not FTS5: its segments depend on how entries were batched and merged, so that no
//! verifier can say what they should hold. A sieve is a function of the entries, a row for
//! each tile, and is recomputed and compared like every other row of the view.

use crate::fold::{Cells, Folded, texts};
use rusqlite::types::ValueRef;
use std::collections::HashSet;

/// Entries that one sieve speaks of.
pub(crate) const TILE: i64 = 256;
/// Bytes of a sieve. A tile with 1,500 different words lets one other word in 110 pass.
pub(crate) const SIEVE: usize = 2048;
/// Phrases looked for at one time.
const PHRASES: usize = 32;

/// Words of one tile, hashed.
#[derive(Clone)]
pub(crate) struct Sieve(Vec<u8>);

impl Default for Sieve {
    fn default() -> Sieve {
        Sieve(vec![0; SIEVE])
    }
}

impl Sieve {
    /// Adds an entry. Gives the sieve of its tile where that is full now.
    pub fn add(&mut self, entry: &Folded<'_>) -> Option<Sieve> {
        entry.each_text(|text| {
            for run in runs(text) {
                for place in places(run) {
                    self.0[place / 8] |= 1 << (place % 8);
                }
            }
        });
        let full = (entry.record.position + 1) % TILE == 0;
        full.then(|| std::mem::take(self))
    }

    /// The row of its tile.
    pub fn cells(&self, tile: i64) -> Cells<'_, 2> {
        [ValueRef::Integer(tile), ValueRef::Blob(&self.0)]
    }
}

/// Letters and digits of ASCII that stand together. Coarser than a word, and the same for
/// ever: what else is a letter, and what its lower case is, changes with Unicode.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let separates = |c: char| !c.is_ascii_alphanumeric();
    text.split(separates).filter(|run| !run.is_empty())
}

/// The four bits of a run: FNV-1a over its lower case, mixed (as SplitMix64 does), 14 bits
/// of each quarter.
fn places(run: &str) -> [usize; 4] {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in run.bytes() {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    [0, 16, 32, 48].map(|shift| (hash >> shift) as usize & (SIEVE * 8 - 1))
}

/// What is looked for: words and phrases, all of which must be there, each within one of
/// message, text, policy, rule, object name, actor, kind and repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    given: String,
    phrases: Vec<Vec<String>>,
    places: Vec<[usize; 4]>,
}

impl Words {
    /// Reads what a person typed. Words stand between spaces, phrases in double quotes;
    /// what is written together (`require-pr-description`) is a phrase too. Nothing else
    /// has a meaning, so nothing can be wrong but that there is no word: `None`.
    #[must_use]
    pub fn parse(given: &str) -> Option<Words> {
        let mut phrases: Vec<Vec<String>> = Vec::new();
        for (at, piece) in given.split('"').enumerate() {
            if at % 2 == 1 {
                phrases.push(tokens(piece).map(folded).collect());
            } else {
                let words = piece.split_whitespace();
                phrases.extend(words.map(|word| tokens(word).map(folded).collect()));
            }
        }
        phrases.retain(|phrase| !phrase.is_empty());
        phrases.sort_unstable();
        phrases.dedup();
        phrases.truncate(PHRASES);
        if phrases.is_empty() {
            return None;
        }
        let words = phrases.iter().flatten();
        let places: HashSet<_> = words.flat_map(|word| runs(word)).map(places).collect();
        Some(Words {
            given: given.to_owned(),
            places: places.into_iter().collect(),
            phrases,
        })
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// Does a record with these parts hold all of them?
    #[must_use]
    pub fn are_in(&self, public: &[u8], personal: Option<&[u8]>) -> bool {
        let record = texts(public, personal);
        let mut missing: Vec<&Vec<String>> = self.phrases.iter().collect();
        record.each_text(|text| {
            if missing.is_empty() {
                return;
            }
            let there: Vec<&str> = tokens(text).collect();
            missing.retain(|phrase| {
                let mut places = there.windows(phrase.len());
                !places.any(|place| place.iter().zip(*phrase).all(|(a, b)| same(a, b)))
            });
        });
        missing.is_empty()
    }

    /// True if no entry of the tile holds all of them.
    pub(crate) fn lacked_by(&self, sieve: &[u8]) -> bool {
        let lacks = |place: &usize| {
            let byte = sieve.get(place / 8).copied().unwrap_or(u8::MAX);
            byte & (1 << (place % 8)) == 0
        };
        self.places.iter().flatten().any(lacks)
    }
}

/// Words of a text. Scripts that put no spaces between words are cut into characters, so
/// that what is looked for in them is found as a phrase.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let separates = |c: char| !c.is_alphanumeric();
    text.split(separates).flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let first = rest.chars().next()?;
            let end = if alone(first) {
                first.len_utf8()
            } else {
                rest.find(alone).unwrap_or(rest.len())
            };
            let (token, after) = rest.split_at(end);
            rest = after;
            Some(token)
        })
    })
}

/// Chinese, Japanese and Korean.
fn alone(c: char) -> bool {
    c >= '\u{2e80}'
}

/// Lower case, character by character. What is not ASCII stays so: else a word could be
/// found in a text whose sieve does not know it.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) if c.is_ascii() || !one.is_ascii() => one,
        _ => c,
    }
}

fn folded(token: &str) -> String {
    token.chars().map(lower).collect()
}

fn same(token: &str, folded: &str) -> bool {
    token.chars().map(lower).eq(folded.chars())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(query: &str, text: &str) -> bool {
        let personal = serde_json::json!({ "text": text }).to_string();
        let words = Words::parse(query).expect("words");
        words.are_in(b"{\"id\":\"a\"}", Some(personal.as_bytes()))
    }

    fn sieve_of(text: &str) -> Sieve {
        let personal = serde_json::json!({ "text": text }).to_string();
        let mut sieve = Sieve::default();
        assert!(
            sieve
                .add(&texts(b"{}", Some(personal.as_bytes())))
                .is_none()
        );
        sieve
    }

    #[test]
    fn words_are_found_whole_in_any_order_and_case_and_phrases_as_they_stand() {
        let text = "Policy require-pr-description: A description of at LEAST 20 characters.";
        for found in [
            "description",
            "DESCRIPTION policy",
            "least at",
            "require-pr-description",
            "\"at least 20\"",
            "\"of at\" policy",
            "\"at least", // a quote that does not end
            "pr:description,",
        ] {
            assert!(held(found, text), "{found}");
        }
        for other in [
            "descr",
            "\"least at\"",
            "description missing",
            "require-description",
        ] {
            assert!(!held(other, text), "{other}");
        }
    }

    #[test]
    fn other_scripts_are_found_too() {
        assert!(held("CAFÉ", "un café"));
        assert!(!held("cafe", "un café"), "another letter");
        assert!(held("説明", "この説明は短い"));
        assert!(!held("明説", "この説明は短い"));
        assert!(held("Ωmega", "ωMEGA"));
    }

    #[test]
    fn what_is_no_word_is_nothing_to_look_for() {
        for nothing in ["", " ", "\"\"", "* - ( ) : ^", "\u{1b}[\"", "\"\" \" - "] {
            assert_eq!(Words::parse(nothing), None, "{nothing:?}");
        }
        for plain in ["a OR b", "NEAR(a b)", "a*", "text:a", "(a", "a AND NOT b"] {
            assert!(Words::parse(plain).is_some(), "{plain}");
        }
    }

    proptest! {
        #[test]
        fn a_sieve_never_lacks_what_was_put_into_it(
            before in "\\PC{0,12}", text in "\\PC{1,24}", after in "\\PC{0,12}"
        ) {
            let all = format!("{before} {text} {after}");
            for query in [&text, &format!("\"{text}\""), &text.to_uppercase()] {
                if let Some(words) = Words::parse(query)
                    && held(query, &all)
                {
                    prop_assert!(!words.lacked_by(&sieve_of(&all).0), "{query:?} {all:?}");
                }
            }
        }
    }

    #[test]
    fn a_sieve_lacks_nearly_all_that_was_not_put_into_it() {
        let text: Vec<String> = (0..1500).map(|n| format!("word{n}")).collect();
        let sieve = sieve_of(&text.join(" "));
        let passes = |n: &u32| {
            let words = Words::parse(&format!("other{n}")).expect("a word");
            !words.lacked_by(&sieve.0)
        };
        let passed = (0..10_000).filter(passes).count();
        assert!(passed < 200, "{passed} of 10,000");
    }
}
