//! Texts of others, made harmless for whatever prints them: kubectl writes a JSONPath, a
//! description or a cell to the terminal as it came, and a message may hold what the
//! refused object said.

use docket_record::harmful::is_harmful;
use serde_json::Value;

/// Line breaks and tabs stay, what else is harmful is spelled out.
pub(super) fn text(text: &str) -> Option<String> {
    let stays = |c: char| !is_harmful(c) || matches!(c, '\n' | '\t');
    if text.chars().all(stays) {
        return None;
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if stays(c) {
            safe.push(c);
        } else {
            safe.extend(c.escape_unicode());
        }
    }
    Some(safe)
}

/// Every text in it, names of members included.
pub(super) fn value(value: &mut Value) {
    match value {
        Value::String(inner) => {
            if let Some(safe) = text(inner) {
                *inner = safe;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(self::value),
        Value::Object(members) => {
            if members.keys().any(|name| text(name).is_some()) {
                let named = std::mem::take(members).into_iter();
                *members = named
                    .map(|(name, member)| (text(&name).unwrap_or(name), member))
                    .collect();
            }
            members.values_mut().for_each(self::value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One line of at most so many letters; what is cut ends in `…`.
pub(super) fn line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut letters = 0;
    let words = text.split(|c: char| c.is_whitespace());
    for word in words.filter(|word| !word.is_empty()) {
        if letters > 0 {
            line.push(' ');
            letters += 1;
        }
        for c in word.chars() {
            if letters >= most {
                line.truncate(line.trim_end().len());
                line.push('…');
                return line;
            }
            if is_harmful(c) {
                line.extend(c.escape_unicode());
                letters += 8;
            } else {
                line.push(c);
                letters += 1;
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_record::harmful::HARMFUL;
    use serde_json::json;

    const HOSTILE: &str = "a\u{1b}[31mred\u{7}\u{202e}cod\u{9b}2J\u{200b}\r\nb";

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_in_an_object() {
        let mut object = json!({ "message": HOSTILE, "list": [HOSTILE, 1], HOSTILE: "x" });
        value(&mut object);
        let printed = object.to_string();
        assert!(!printed.chars().any(is_harmful), "{printed:?}");
        assert!(printed.contains(r"\\u{1b}[31mred"), "{printed}");
        assert_eq!(object["message"].as_str().unwrap().lines().count(), 2);
        assert_eq!(text("ordinary\n\ttext, ünïcode 日本"), None);
    }

    #[test]
    fn no_harmful_character_is_left_in_a_text_or_a_cell() {
        for c in HARMFUL.into_iter().flatten() {
            let hostile = format!("a{c}b");
            let cell = line(&hostile, 100);
            assert!(!cell.chars().any(is_harmful), "{cell:?}");
            let kept = text(&hostile).unwrap_or(hostile);
            let obeyed = |c: char| is_harmful(c) && !matches!(c, '\n' | '\t');
            assert!(!kept.chars().any(obeyed), "{kept:?}");
        }
    }

    #[test]
    fn a_cell_is_one_short_line() {
        let cell = line(&format!("{HOSTILE}{}", "x".repeat(70_000)), 100);
        assert!(
            cell.chars().count() <= 110 && !cell.chars().any(is_harmful),
            "{cell:?}"
        );
        assert!(cell.ends_with('…'), "{cell}");
        assert_eq!(line(" \n two\twords \n", 80), "two words");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("", 3), "");
    }
}
