//! One form for all the ways in which a text writes a value.
//!
//! A message may hold a value as it is, escaped for JSON, quoted by Go's `%q`, as a YAML
//! scalar of any style (folded, indented, with doubled quotes), or one of these inside
//! another. What these ways differ in is only: backslashes, the letters after them, quotes,
//! white space and control characters. So all of those are dropped, and `\u0041` and its kin
//! are read, from the values and from the text alike. How often something was escaped makes
//! no difference then.

use std::ops::Range;

/// Calls `each` with every character that counts, and the bytes of `text` it stands for.
pub(super) fn normalise(text: &str, mut each: impl FnMut(char, Range<usize>)) {
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        let begin = at;
        at += letter.len_utf8();
        if letter != '\\' {
            if counts(letter) {
                each(letter, begin..at);
            }
            continue;
        }
        at += run(&text[at..]);
        let rest = &text[at..];
        match rest.bytes().next() {
            Some(b'u' | b'U' | b'x') => {
                if let Some((letter, length)) = coded(rest) {
                    at += length;
                    if counts(letter) {
                        each(letter, begin..at);
                    }
                }
            }
            // Line breaks, tabs and marks that stand for a single character of control or
            // white space (Go, JSON, YAML).
            Some(
                b'n' | b't' | b'r' | b'a' | b'b' | b'f' | b'v' | b'0' | b'e' | b'N' | b'_' | b'L'
                | b'P',
            ) => at += 1,
            _ => {}
        }
    }
}

fn run(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b'\\').count()
}

fn counts(letter: char) -> bool {
    !(letter.is_whitespace() || letter.is_control() || matches!(letter, '"' | '\'' | '\\'))
}

/// The character that `u0041`, `U00000041` or `x41` stands for, and how long that was.
fn coded(text: &str) -> Option<(char, usize)> {
    let digits = |from: usize, count: usize| {
        let digits = text.get(from..from + count)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| all)
    };
    match text.bytes().next()? {
        b'x' => Some((char::from_u32(digits(1, 2)?)?, 3)),
        b'U' => Some((char::from_u32(digits(1, 8)?)?, 9)),
        _ => {
            let first = digits(1, 4)?;
            if let Some(letter) = char::from_u32(first) {
                return Some((letter, 5));
            }
            // Half of a pair; the other half follows, escaped as often.
            let slashes = run(&text[5..]);
            let second = digits(5 + slashes + 1, 4).filter(|_| slashes > 0)?;
            let is_pair = (0xd800..0xdc00).contains(&first)
                && (0xdc00..0xe000).contains(&second)
                && text.as_bytes().get(5 + slashes) == Some(&b'u');
            let letter = is_pair.then(|| 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
            Some((char::from_u32(letter)?, 5 + slashes + 5))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        let mut normal = String::new();
        normalise(text, |letter, _| normal.push(letter));
        normal
    }

    #[test]
    fn every_way_of_writing_a_value_has_one_form() {
        let value = "a \"q\" 'x' \\n \n<é\u{1f600}\u{7}>";
        let json = serde_json::to_string(value).unwrap();
        let again = serde_json::to_string(&json).unwrap();
        let go = r#"a \"q\" 'x' \\n \n\u003c\u00e9\ud83d\ude00\a\u003e"#;
        let long = r#"a \"q\" 'x' \\n \n<\u00e9\U0001f600\x07>"#;
        let yaml = "'a \"q\" ''x''\n    \\n\n\n    <é\u{1f600}>'";
        for way in [value, &json, &again, go, long, yaml] {
            assert_eq!(normal(way), "aqx<é\u{1f600}>", "{way}");
        }
    }

    #[test]
    fn a_broken_escape_is_only_letters() {
        assert_eq!(normal(r"\u12"), "u12");
        assert_eq!(normal(r"\ud83dx"), "ud83dx");
        assert_eq!(normal(r"\"), "");
        assert_eq!(normal(r"\xé"), "xé");
    }
}
