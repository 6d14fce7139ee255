//! What changed between two versions, in words.

use serde_json::Value;
use std::collections::BTreeMap;

/// Most lines of a summary.
const MOST: usize = 24;
/// Longest value or name that is spelled out, in bytes.
const LONGEST: usize = 80;
/// Deepest level that is told apart.
const DEPTH: usize = 24;

/// Lines such as `validationActions: Deny → Audit`; empty if nothing changed.
#[must_use]
pub fn summary(old: &Value, new: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(line) = emptied(old, new) {
        lines.push(line);
    } else {
        compare("", old, new, 0, &mut lines);
    }
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        lines.truncate(MOST);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// What a version says when there is none to compare it with.
#[must_use]
pub fn first(text: &Value) -> Vec<String> {
    let spec = &text["spec"];
    if let Some(hooks) = text["webhooks"].as_array() {
        return vec![format!("hooks: {}", names(hooks))];
    }
    ["validationActions", "validationFailureAction", "policyName"]
        .into_iter()
        .filter(|field| !spec[field].is_null())
        .map(|field| format!("{field}: {}", word(&spec[field])))
        .collect()
}

/// A webhook configuration that lost all its hooks, or got its first.
fn emptied(old: &Value, new: &Value) -> Option<String> {
    let hooks = |value: &Value| value["webhooks"].as_array().cloned().unwrap_or_default();
    let kind = new["kind"].as_str().or(old["kind"].as_str())?;
    if !kind.ends_with("WebhookConfiguration") {
        return None;
    }
    let (old, new) = (hooks(old), hooks(new));
    match (old.is_empty(), new.is_empty()) {
        (false, true) => Some(format!("all hooks removed: {}", names(&old))),
        (true, false) => Some(format!("hooks added: {}", names(&new))),
        _ => None,
    }
}

fn names(hooks: &[Value]) -> String {
    let names: Vec<&str> = hooks
        .iter()
        .filter_map(|hook| hook["name"].as_str())
        .take(8)
        .collect();
    let more = hooks.len() - names.len();
    match (names.is_empty(), more) {
        (true, 0) => "none".to_owned(),
        (_, 0) => names.join(", "),
        _ => format!("{} and {more} more", names.join(", ")),
    }
}

fn compare(path: &str, old: &Value, new: &Value, depth: usize, lines: &mut Vec<String>) {
    if old == new {
        return;
    }
    if depth > DEPTH {
        lines.push(format!("{} changed", place(path)));
        return;
    }
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let fields: BTreeMap<&String, ()> =
                before.keys().chain(after.keys()).map(|f| (f, ())).collect();
            for field in fields.into_keys() {
                let (was, is) = (&old[field], &new[field]);
                compare(&join(path, field), was, is, depth + 1, lines);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            list(path, before, after, depth, lines);
        }
        (Value::Null, new) => lines.push(format!("{} added{}", place(path), of(new))),
        (_, Value::Null) => lines.push(format!("{} removed{}", place(path), of(old))),
        _ => lines.push(format!("{}: {} → {}", place(path), word(old), word(new))),
    }
}

fn list(path: &str, old: &[Value], new: &[Value], depth: usize, lines: &mut Vec<String>) {
    let scalars = |list: &[Value]| !list.iter().any(|one| one.is_object() || one.is_array());
    if scalars(old) && scalars(new) {
        let (old, new) = (Value::from(old), Value::from(new));
        lines.push(format!("{}: {} → {}", place(path), word(&old), word(&new)));
        return;
    }
    let (Some(before), Some(after)) = (by_name(old), by_name(new)) else {
        return by_place(path, old, new, depth, lines);
    };
    for (name, was) in &before {
        let path = format!("{path}[{name}]");
        match after.get(name) {
            Some(is) => compare(&path, was, is, depth + 1, lines),
            None => lines.push(format!("{} removed", place(&path))),
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        lines.push(format!("{} added", place(&format!("{path}[{name}]"))));
    }
    if before.keys().eq(after.keys()) && before == after {
        lines.push(format!("{}: another order", place(path)));
    }
}

/// Items by their `name`, if each has its own.
fn by_name(list: &[Value]) -> Option<BTreeMap<&str, &Value>> {
    let named: BTreeMap<&str, &Value> = list
        .iter()
        .map(|item| Some((item["name"].as_str()?, item)))
        .collect::<Option<_>>()?;
    (named.len() == list.len()).then_some(named)
}

/// Nameless items: those at both ends that are equal are left out, the rest is compared
/// one by one, and what is over was added or removed.
fn by_place(path: &str, old: &[Value], new: &[Value], depth: usize, lines: &mut Vec<String>) {
    let begin = old
        .iter()
        .zip(new)
        .take_while(|(was, is)| was == is)
        .count();
    let (old, new) = (&old[begin..], &new[begin..]);
    let pairs = old.iter().rev().zip(new.iter().rev());
    let end = pairs.take_while(|(was, is)| was == is).count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    for at in 0..old.len().max(new.len()) {
        let path = format!("{path}[{}]", begin + at);
        match (old.get(at), new.get(at)) {
            (Some(was), Some(is)) => compare(&path, was, is, depth + 1, lines),
            (Some(_), None) => lines.push(format!("{} removed", place(&path))),
            (None, _) => lines.push(format!("{} added", place(&path))),
        }
    }
}

fn join(path: &str, field: &str) -> String {
    // A dot in a field (an annotation's name) would read as another level.
    match (path.is_empty(), field.contains('.')) {
        (true, _) => field.to_owned(),
        (_, true) => format!("{path}[{field}]"),
        _ => format!("{path}.{field}"),
    }
}

/// As people say it: nearly all of an object is its spec.
fn place(path: &str) -> String {
    let path = path.strip_prefix("spec.").unwrap_or(path);
    let path = path.strip_prefix("metadata.").unwrap_or(path);
    short(path, 2 * LONGEST)
}

fn of(value: &Value) -> String {
    match value {
        Value::Object(_) | Value::Array(_) if !is_plain(value) => String::new(),
        value => format!(": {}", word(value)),
    }
}

fn is_plain(value: &Value) -> bool {
    let list = value.as_array();
    list.is_some_and(|list| !list.iter().any(|one| one.is_object() || one.is_array()))
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => short(text, LONGEST),
        Value::Array(list) if is_plain(value) => {
            let words: Vec<String> = list.iter().map(word).collect();
            match words.is_empty() {
                true => "none".to_owned(),
                false => short(&words.join(", "), LONGEST),
            }
        }
        Value::Object(_) | Value::Array(_) => "…".to_owned(),
        scalar => scalar.to_string(),
    }
}

fn short(text: &str, limit: usize) -> String {
    crate::redact::clean_text(text, limit).into_owned()
}
