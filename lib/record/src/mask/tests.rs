use super::*;
use crate::redact::Rules;
use proptest::prelude::*;
use serde_json::{Value, json};

fn secrets(values: &[&str]) -> Secrets {
    let object = json!({"spec": {"tokens": values}}).to_string();
    Rules::default().view(object.as_bytes(), None).secrets
}

fn mask(values: &[&str], text: &str) -> String {
    Masker::new(&secrets(values), None)
        .mask(text)
        .unwrap_or_else(|| text.to_owned())
}

/// As Go's `%q` writes it.
fn go(value: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in value.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\u{7}' => quoted.push_str("\\a"),
            letter if (letter as u32) < 0x20 => {
                quoted.push_str(&format!("\\x{:02x}", letter as u32))
            }
            letter if letter.is_ascii() => quoted.push(letter),
            letter if (letter as u32) < 0x10000 => {
                quoted.push_str(&format!("\\u{:04x}", letter as u32))
            }
            letter => quoted.push_str(&format!("\\U{:08x}", letter as u32)),
        }
    }
    quoted + "\""
}

/// As yaml.v2 writes a long scalar: single quotes, folded.
fn yaml(value: &str, width: usize) -> String {
    let mut folded = String::from("'");
    let mut column = 0;
    for letter in value.chars() {
        match letter {
            '\'' => folded.push_str("''"),
            ' ' if column > width => {
                folded.push_str("\n    ");
                column = 0;
            }
            '\n' => folded.push_str("\n\n    "),
            letter => folded.push(letter),
        }
        column += 1;
    }
    folded + "'"
}

#[test]
fn a_value_is_found_in_whatever_way_it_is_written() {
    let value = "pa\"ss'w\\ord with <blanks> and\nlines é";
    let json = serde_json::to_string(value).unwrap();
    let ways = [
        value.to_owned(),
        json.clone(),
        serde_json::to_string(&json).unwrap(),
        json.replace('<', "\\u003c").replace('>', "\\u003e"),
        go(value),
        yaml(value, 8),
        yaml(&json, 8),
        BASE64_NOPAD.encode(value.as_bytes()) + "=",
        format!("|-\n      {}", value.replace('\n', "\n      ")),
    ];
    for way in ways {
        let masked = mask(&[value], &format!("the value {way} is wrong"));
        for part in ["pa", "ss", "ord", "blanks", "lines", "cGEi"] {
            assert!(!masked.contains(part), "{way:?} became {masked:?}");
        }
        assert!(
            masked.starts_with("the value ") && masked.ends_with(" is wrong"),
            "{masked:?}"
        );
    }
}

#[test]
fn marks_stand_where_the_values_stood() {
    assert_eq!(
        mask(&["alpha", "bravo"], "say 'alpha', \"bravo\" and alpha"),
        "say '[redacted]', \"[redacted]\" and [redacted]"
    );
    assert_eq!(
        mask(&["alpha"], "nothing of it: alph a-lpha"),
        "nothing of it: [redacted]-lpha"
    );
    assert_eq!(
        mask(&["abcdef", "defghi"], "x abcdefghi y"),
        "x [redacted] y"
    );
}

#[test]
fn short_and_common_values_are_left() {
    for value in ["abc", "true", "null", "12", ""] {
        let text = format!("it says {value} here");
        assert_eq!(mask(&[value], &text), text);
    }
    assert_eq!(mask(&["abcd"], "it says abcd"), "it says [redacted]");
}

#[test]
fn a_value_that_the_end_of_a_text_cuts_is_masked_from_eight_bytes_on() {
    let value = "0123456789abcdef";
    assert_eq!(mask(&[value], "is 01234567"), "is [redacted]");
    assert_eq!(mask(&[value], "is \"0123456789..."), "is \"[redacted]");
    assert_eq!(mask(&[value], "is 012345678…"), "is [redacted]");
    assert_eq!(mask(&[value], "is 0123456"), "is 0123456");
    assert_eq!(mask(&[value], "01234567 is"), "01234567 is");
    let long = "ab".repeat(5_000) + "end";
    assert_eq!(
        mask(&[&long], &format!("is {}", &long[..4_000])),
        "is [redacted]"
    );
    assert_eq!(
        mask(&[&long], &format!("is {long} yes")),
        "is [redacted] yes"
    );
}

#[test]
fn the_base64_of_a_value_and_what_it_is_the_base64_of_are_masked() {
    assert_eq!(
        mask(&["hunter2!"], "is aHVudGVyMiE= yes"),
        "is [redacted]= yes"
    );
    assert_eq!(
        mask(&["aHVudGVyMiE="], "is hunter2! yes"),
        "is [redacted] yes"
    );
}

#[test]
fn a_backslash_before_a_value_does_not_hide_it() {
    for value in ["nope-secret", "u0041bcde", "x41secret"] {
        let masked = mask(&[value], &format!("C:\\{value} is wrong"));
        assert!(!masked.contains(&value[3..]), "{masked}");
    }
}

#[test]
fn over_a_bound_the_whole_text_goes() {
    let many: Vec<String> = (0..VALUES + 1).map(|n| format!("value-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(mask(&many, "any text"), MASKED);
    let few = &many[..10];
    assert_eq!(mask(few, &"x".repeat(LONGEST + 1)), MASKED);
    assert_eq!(mask(few, &"value-1 ".repeat(MARKS + 1)), MASKED);
    let beginning = "b".repeat(100);
    let alike: Vec<String> = (0..100).map(|n| format!("{beginning}{n:03}")).collect();
    let alike: Vec<&str> = alike.iter().map(String::as_str).collect();
    assert_eq!(mask(&alike, "any text"), MASKED);
}

#[test]
fn hostile_values_and_texts_cost_little() {
    let values: Vec<String> = (4..70).map(|n| "a".repeat(n)).collect();
    let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
    let long = "a".repeat(19_000);
    values.push(&long);
    let masker = Masker::new(&secrets(&values), None);
    let text = format!("{}b{}", "a".repeat(9_000), "a".repeat(9_000));
    let began = std::time::Instant::now();
    for _ in 0..5 {
        assert!(!masker.mask(&text).unwrap().contains("aaaa"));
    }
    // Unoptimised, on a busy machine; what is quadratic here takes minutes.
    assert!(began.elapsed().as_secs() < 30);
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9+/=_.-]{4,80}",
        "[ -~]{8,60}",
        "([a-z]{1,6}[ \\n\"'\\\\<]){3,8}",
        "[a-zé\u{1f600}ß\\\\nu0-9]{6,30}",
    ]
    .prop_filter("what counts of it", |value| {
        normal_bytes(value).len() >= SHORTEST && !COMMON.contains(&value.trim())
    })
}

proptest! {
    #[test]
    fn no_planted_value_is_left(
        value in value(), other in value(), before in "[ a-zA-Z:'\"\\\\]{0,30}", after in "[ a-z.'\"]{0,30}", way in 0..7,
    ) {
        let json = serde_json::to_string(&value).unwrap();
        let written = match way {
            0 => value.clone(),
            1 => json,
            2 => go(&value),
            3 => yaml(&value, 10),
            4 => yaml(&json, 10),
            5 => serde_json::to_string(&json).unwrap(),
            _ => BASE64_NOPAD.encode(value.as_bytes()),
        };
        // A backslash right before an escaped value is no way of writing it.
        let before = if way == 0 { before } else { format!("{before} ") };
        let text = format!("{before}{written}{after}");
        let masked = mask(&[&value, &other], &text);
        prop_assert!(!masked.contains(&written), "{text:?} became {masked:?}");
        prop_assert!(!masked.contains(&value), "{text:?} became {masked:?}");
        let normal = |text: &str| String::from_utf8(normal_bytes(text)).unwrap();
        let left = normal(&masked);
        if way > 0 && way < 6 && !normal("[redacted]").contains(&normal(&value)) {
            prop_assert!(!left.contains(&normal(&value)), "{text:?} became {masked:?}");
        }
    }

    #[test]
    fn a_masked_text_is_bounded(values in prop::collection::vec("[ab]{4,9}", 1..9), text in "[ab ]{0,4000}") {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let masked = mask(&values, &text);
        prop_assert!(masked.len() <= text.len() + MARKS * 16);
    }

    #[test]
    fn any_object_and_any_text_are_taken(object in ".{0,60}", text in ".{0,200}", tokens in prop::collection::vec(".{0,20}", 0..5)) {
        drop(Rules::default().view(object.as_bytes(), None));
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let _: Value = Value::from(mask(&tokens, &text));
    }
}
