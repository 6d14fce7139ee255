//! JSON as YAML. Every text is made harmless: for people by spelling out what a terminal
//! would obey, for programs by escapes that read back as the same text.

use crate::text::{plain, yaml_quoted};
use docket_record::harmful::is_harmful;
use serde_json::Value;

/// The mark of a value that was taken out reads better without quotes.
const REDACTED: &str = "[redacted]";

/// How a text is written.
type Scalar = fn(&str) -> String;

/// The lines of a value, for people.
pub fn yaml(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    block(value, 0, &mut lines, scalar);
    lines
}

/// A document that reads back as the same value.
pub fn document(value: &Value) -> String {
    let mut lines = Vec::new();
    block(value, 0, &mut lines, exact);
    lines.join("\n")
}

fn block(value: &Value, indent: usize, lines: &mut Vec<String>, scalar: Scalar) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = scalar(name);
                if is_block(value) {
                    lines.push(format!("{pad}{name}:"));
                    block(value, indent + 2, lines, scalar);
                } else {
                    lines.push(format!("{pad}{name}: {}", single(value, scalar)));
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let from = lines.len();
                block(item, indent + 2, lines, scalar);
                // The mark stands where the item's indentation was.
                if let Some(line) = lines.get_mut(from) {
                    line.replace_range(indent..indent + 2, "- ");
                }
            }
        }
        value => lines.push(format!("{pad}{}", single(value, scalar))),
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn single(value: &Value, scalar: Scalar) -> String {
    match value {
        Value::String(text) => scalar(text),
        value => value.to_string(),
    }
}

/// As it is where YAML reads it back as the same text, else quoted as in JSON.
fn scalar(text: &str) -> String {
    if is_plain(text) || text == REDACTED {
        plain(text)
    } else {
        plain(&Value::from(text).to_string())
    }
}

/// The same, and whoever reads it back has the text itself.
fn exact(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        yaml_quoted(text)
    }
}

fn is_plain(text: &str) -> bool {
    // Some letters are shown as nothing.
    let letter = |c: char| c.is_alphanumeric() && !is_harmful(c);
    let word = |c: char| letter(c) || matches!(c, '-' | '_' | '.' | '/' | ' ' | '@');
    text.starts_with(|c: char| c.is_alphabetic())
        && text.chars().all(word)
        && !text.ends_with(' ')
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_read_as_people_write_it() {
        let object = json!({"kind": "PullRequest", "spec": {"title": "a: b", "token": "[redacted]",
            "n": 1, "none": null, "empty": {}, "yes": "yes", "steps": [{"name": "x", "run": ["a", "b"]}, 2, []]}});
        assert_eq!(
            yaml(&object).join("\n"),
            "kind: PullRequest\nspec:\n  empty: {}\n  \"n\": 1\n  none: null\n  steps:\n    - name: x\n      run:\n        - a\n        - b\n    - 2\n    - []\n  title: \"a: b\"\n  token: [redacted]\n  \"yes\": \"yes\""
        );
    }

    #[test]
    fn no_text_reaches_the_terminal_as_a_command() {
        let lines = yaml(&json!({"a\u{1b}[31m": "b\u{1b}[0m\n\u{202e}c"}));
        assert_eq!(lines.len(), 1);
        assert!(
            !lines[0].contains(['\u{1b}', '\n', '\u{202e}']),
            "{lines:?}"
        );
    }

    #[test]
    fn a_document_reads_back_as_the_same_value() {
        let value = json!({"a\u{1b}": "\u{202e}b\n\u{e0041}\u{9b}\"\\", "none": null, "list": [[], {}, [1, -2.5]],
            "no": "no", "number": "12", "marked": "[redacted]", "spaced": " x ", "empty": "", "true": true});
        let text = document(&value);
        assert!(
            !text
                .chars()
                .any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')),
            "{text:?}"
        );
        assert_eq!(
            serde_saphyr::from_str::<Value>(&text).unwrap(),
            value,
            "{text}"
        );
    }
}
