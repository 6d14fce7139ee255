//! A text made harmless for a door.

use std::borrow::Cow;

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
pub(super) fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}
