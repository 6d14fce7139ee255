//! JSON as YAML, for people. Every text is made harmless.

use crate::text::plain;
use serde_json::Value;

/// The mark of a value that was taken out reads better without quotes.
const REDACTED: &str = "[redacted]";

/// The lines of a value.
pub fn yaml(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    block(value, 0, &mut lines);
    lines
}

fn block(value: &Value, indent: usize, lines: &mut Vec<String>) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = scalar(name);
                if is_block(value) {
                    lines.push(format!("{pad}{name}:"));
                    block(value, indent + 2, lines);
                } else {
                    lines.push(format!("{pad}{name}: {}", single(value)));
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let from = lines.len();
                block(item, indent + 2, lines);
                // The mark stands where the item's indentation was.
                if let Some(line) = lines.get_mut(from) {
                    line.replace_range(indent..indent + 2, "- ");
                }
            }
        }
        value => lines.push(format!("{pad}{}", single(value))),
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn single(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        value => value.to_string(),
    }
}

/// As it is where YAML reads it back as the same text, else quoted as in JSON.
fn scalar(text: &str) -> String {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ' ' | '@');
    let is_plain = text.starts_with(|c: char| c.is_alphabetic())
        && text.chars().all(word)
        && !text.ends_with(' ')
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if is_plain || text == REDACTED {
        plain(text)
    } else {
        plain(&Value::from(text).to_string())
    }
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
}
