//! The actor's name, taken out of what more people read than may read the denial.
//!
//! A policy's message may repeat who asked, whole or in part. Hidden are the whole names of
//! the actor and of who impersonated, their uids, and the pieces that a name is put together
//! from: of a ServiceAccount its name and its namespace, of others what stands between the
//! usual separators. Upper and lower case are one. Not found is a name that was changed
//! otherwise (reversed, hashed), or a piece of a piece.

use aho_corasick::{AhoCorasick, MatchKind};
use docket_record::audit::User;
use docket_record::redact::clean_text;

/// What stands for a name.
pub(super) const HIDDEN: &str = "(actor)";
/// Shorter names are found only where they stand for themselves.
const SHORT: usize = 4;
/// Pieces that name no one.
const COMMON: [&str; 8] = [
    "system",
    "serviceaccount",
    "serviceaccounts",
    "node",
    "user",
    "oidc",
    "http",
    "https",
];
/// Longest name that is looked for.
const LONGEST: usize = 1024;

/// The names that are not to be read.
pub(super) struct Names {
    /// Found wherever they stand.
    long: Vec<String>,
    /// Found as whole words.
    short: Vec<String>,
    longest: usize,
    /// One of them is too long to be looked for.
    too_long: bool,
}

impl Names {
    /// Of these people, seen from a namespace: an account of that namespace itself gives
    /// nothing away by the namespace's name.
    pub(super) fn of<'a>(people: impl IntoIterator<Item = &'a User>, namespace: &str) -> Names {
        let mut needles = Vec::new();
        for user in people {
            needles.push(user.username.as_str());
            needles.push(user.uid.as_str());
            match user.username.strip_prefix("system:serviceaccount:") {
                Some(account) => needles.extend(account.split(':')),
                None => needles.extend(pieces(&user.username)),
            }
        }
        needles.retain(|needle| {
            let common = COMMON.contains(&needle.to_ascii_lowercase().as_str());
            needle.len() > 1 && *needle != namespace && !common
        });
        let too_long = needles.iter().any(|needle| needle.len() > LONGEST);
        // They are looked for in a cleaned text. A letter grows to three bytes at most.
        let clean = |needle: &str| clean_text(needle, 3 * LONGEST).into_owned();
        let (long, short): (Vec<String>, Vec<String>) = needles
            .into_iter()
            .map(clean)
            .partition(|needle| needle.len() >= SHORT);
        let longest = long.iter().chain(&short).map(String::len).max();
        Names {
            longest: longest.unwrap_or(0),
            long,
            short,
            too_long,
        }
    }

    /// The text without them: harmless characters, and at most `room` bytes.
    pub(super) fn hide(&self, text: &str, room: usize) -> String {
        if self.too_long && !text.is_empty() {
            return HIDDEN.into();
        }
        // Enough to fill the room, whatever part of it the names are.
        let within = (room + self.longest) * (self.longest / HIDDEN.len() + 2);
        let cut = text.len() > within;
        let mut clean = clean_text(text, within).into_owned();
        if cut {
            // The end may be the beginning of a name.
            let end = clean.len().saturating_sub(self.longest + '…'.len_utf8());
            clean.truncate(clean.floor_char_boundary(end));
            clean.push('…');
        }
        let hidden = replace(&clean, &self.long, |_, _| true);
        let hidden = replace(&hidden, &self.short, |before, after| {
            !ends_a_word(before.chars().next_back()) && !ends_a_word(after.chars().next())
        });
        clean_text(&hidden, room).into_owned()
    }
}

/// Each of `names` that stands where `here` (what is before it, what is after it) says so.
fn replace(text: &str, names: &[String], here: impl Fn(&str, &str) -> bool) -> String {
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(names);
    let Ok(finder) = finder else {
        // Too much to look for: nothing may stay.
        return HIDDEN.into();
    };
    let mut hidden = String::with_capacity(text.len());
    let mut at = 0;
    for found in finder.find_iter(text) {
        if here(&text[..found.start()], &text[found.end()..]) {
            hidden.push_str(&text[at..found.start()]);
            hidden.push_str(HIDDEN);
            at = found.end();
        }
    }
    hidden.push_str(&text[at..]);
    hidden
}

/// What a name is put together from. A mail domain names an organisation, not a person.
fn pieces(name: &str) -> impl Iterator<Item = &str> {
    let separator = |letter: char| {
        letter.is_whitespace() || matches!(letter, ':' | '/' | '\\' | '|' | '#' | ',' | ';' | '=')
    };
    name.split(separator)
        .map(|piece| match piece.split_once('@') {
            Some((person, _)) => person,
            None => piece,
        })
}

fn ends_a_word(letter: Option<char>) -> bool {
    letter.is_some_and(char::is_alphanumeric)
}
