//! What programs read: JSON, JSON Lines, YAML. All of one answer, and each harmless for a
//! terminal: what one would obey is written as an escape.

use crate::args::Output;
use crate::screen::{print, show};
use crate::text::{json, json_line};
use crate::yaml;
use serde_json::Value;

/// Prints a document as a program wants it; false: it is for people.
pub fn printed(output: Output, document: &Value) -> bool {
    match output {
        Output::Table | Output::Wide => return false,
        Output::Json => show(&json(document)),
        Output::Yaml => show(&yaml::document(document)),
        Output::Jsonl => match document["items"].as_array() {
            Some(items) => items.iter().for_each(|item| print(&json_line(item))),
            None => print(&json_line(document)),
        },
    }
    true
}
