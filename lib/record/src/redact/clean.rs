//! A text made harmless for a door.

use crate::harmful::is_harmful;
use std::borrow::Cow;

/// Makes a text harmless for a terminal, a log line or an Event's note: of the characters
/// that are [harmful](crate::harmful) line breaks and tabs become a blank, all others
/// `\u{fffd}`, and at most `limit` bytes are kept, ended by `…` where it was longer.
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
