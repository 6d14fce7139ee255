//! Texts of others, made harmless for a terminal: a message may hold what the refused
//! object said, and that may be escape codes, or letters that run the other way.

use docket_record::harmful::is_harmful;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// One line: white space becomes a blank, what is harmful is spelled out.
pub fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            c if is_harmful(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe.trim().to_owned()
}

/// Several lines: the line breaks stay.
pub fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(plain);
    let mut kept: Vec<String> = lines.skip_while(String::is_empty).collect();
    while kept.last().is_some_and(String::is_empty) {
        kept.pop();
    }
    kept
}

/// JSON that holds nothing harmful: such characters stand only inside its strings,
/// where they can be written as escapes.
pub fn json(value: &serde_json::Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// The same in one line.
pub fn json_line(value: &serde_json::Value) -> String {
    escaped(&value.to_string())
}

fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmful(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// As a double-quoted YAML scalar, whose escapes have no surrogates.
pub fn yaml_quoted(text: &str) -> String {
    let mut safe = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if is_harmful(c) {
            safe.push_str(&format!("\\U{:08x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Columns that the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns; what is cut ends in `…`.
pub fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut room = most.saturating_sub(1);
    let mut kept = String::new();
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if columns > room {
            break;
        }
        room -= columns;
        kept.push(c);
    }
    if most > 0 {
        kept.truncate(kept.trim_end().len());
        kept.push('…');
    }
    kept
}

/// A time without year and seconds, `11-30 23:26`: where there is no room for all of it.
pub fn short_time(text: &str) -> Option<String> {
    let time = text.parse::<jiff::Timestamp>().ok()?;
    Some(time.strftime("%m-%d %H:%M").to_string())
}

/// Broken between words into lines of at most so many columns.
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().map_or(0, |line| width(line));
        if line > 0 && line + 1 + width(word) > most {
            lines.push(word.to_owned());
        } else if let Some(last) = lines.last_mut() {
            if line > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{cut, json, json_line, lines, plain, width, wrap, yaml_quoted};
    use docket_record::harmful::{HARMFUL, is_harmful};
    use serde_json::Value;

    #[test]
    fn no_harmful_character_is_left_whatever_is_printed_and_json_and_yaml_read_back_the_same() {
        for c in HARMFUL.into_iter().flatten() {
            let hostile = format!("a{c}b");
            let value = serde_json::json!({ &hostile: [hostile] });
            let line = json_line(&value);
            for safe in [&plain(&hostile), &line, &yaml_quoted(&hostile)] {
                assert!(!safe.chars().any(is_harmful), "{safe:?}");
            }
            let pretty = json(&value);
            assert!(
                !pretty.chars().any(|c| c != '\n' && is_harmful(c)),
                "{pretty:?}"
            );
            for json in [line, pretty] {
                assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
            }
            let yaml = crate::yaml::document(&value);
            assert!(
                !yaml.chars().any(|c| c != '\n' && is_harmful(c)),
                "{yaml:?}"
            );
            assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), value);
            let shown = crate::yaml::yaml(&value).join("\n");
            assert!(
                !shown.chars().any(|c| c != '\n' && is_harmful(c)),
                "{shown:?}"
            );
        }
        assert_eq!(
            plain("a\u{1b}[31m\u{202e}\r\nb"),
            "a\\u{1b}[31m\\u{202e}  b"
        );
    }

    #[test]
    fn a_cut_counts_columns_and_not_letters() {
        assert_eq!(cut("ordinary", 8), "ordinary");
        assert_eq!(cut("ordinary", 5), "ordi…");
        assert_eq!(cut("日本語の説明", 7), "日本語…");
        assert_eq!(width(&cut("日本語の説明", 6)), 5);
        assert_eq!(cut("two words", 5), "two…");
        assert_eq!(cut("x", 0), "");
    }

    #[test]
    fn lines_keep_their_breaks_and_lose_empty_ends() {
        assert_eq!(lines("\n\na\n\tb\u{1b}\n\n"), ["a", "b\\u{1b}"]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
    }
}
