//! An excerpt that fits: what is too long is left out in a fixed order, and what was left
//! out is said.

use serde_json::{Map, Value};

/// Longest excerpt, as JSON.
pub const LONGEST: usize = 64 * 1024;

/// One step: what is said of it, and what it does.
type Step = (&'static str, fn(&mut Value));

/// In this order, until it fits. First what is long without saying much.
const STEPS: [Step; 8] = [
    ("texts longer than 1024 bytes", |object| texts(object, 1024)),
    ("status", |object| drop_field(object, "status")),
    ("lists longer than 64", |object| lists(object, 64)),
    ("texts longer than 128 bytes", |object| texts(object, 128)),
    ("maps longer than 64", |object| maps(object, 64)),
    ("lists and maps longer than 16", |object| {
        lists(object, 16);
        maps(object, 16);
    }),
    ("what is nested deeper than 4", |object| deep(object, 4)),
    ("all but its name", only_name),
];

/// Long names of fields are no one's words either.
const NAME: usize = 253;

/// The object, short enough, and what was left out of it.
pub(super) fn fit(mut object: Value) -> (Value, Vec<String>) {
    let mut cut = Vec::new();
    for (what, step) in STEPS {
        if length(&object) <= LONGEST {
            break;
        }
        step(&mut object);
        cut.push(what.to_owned());
    }
    (object, cut)
}

fn length(value: &Value) -> usize {
    /// Counts instead of keeping.
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        // A value of ours always has a text; if not, it is too long.
        Err(_) => usize::MAX,
    }
}

fn texts(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) if text.len() > longest => {
            let whole = text.len();
            text.truncate(text.floor_char_boundary(longest));
            text.push_str(&format!("… ({whole} bytes)"));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, longest)),
        Value::Object(fields) => fields.values_mut().for_each(|item| texts(item, longest)),
        _ => {}
    }
}

fn lists(value: &mut Value, longest: usize) {
    match value {
        Value::Array(items) => {
            if items.len() > longest {
                let more = items.len() - longest;
                items.truncate(longest);
                items.push(format!("… ({more} more)").into());
            }
            items.iter_mut().for_each(|item| lists(item, longest));
        }
        Value::Object(fields) => fields.values_mut().for_each(|item| lists(item, longest)),
        _ => {}
    }
}

fn maps(value: &mut Value, longest: usize) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| maps(item, longest)),
        Value::Object(fields) => {
            let whole = fields.len();
            if whole > longest || fields.keys().any(|name| name.len() > NAME) {
                let kept = std::mem::take(fields).into_iter();
                let kept = kept.filter(|(name, _)| name.len() <= NAME);
                *fields = kept.take(longest).collect();
                let more = whole - fields.len();
                fields.insert("…".to_owned(), format!("({more} more)").into());
            }
            fields.values_mut().for_each(|item| maps(item, longest));
        }
        _ => {}
    }
}

fn deep(value: &mut Value, levels: usize) {
    let below = |item: &mut Value| deep(item, levels.saturating_sub(1));
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => *value = "…".into(),
        Value::Array(items) => items.iter_mut().for_each(below),
        Value::Object(fields) => fields.values_mut().for_each(below),
        _ => {}
    }
}

fn drop_field(object: &mut Value, name: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(name);
    }
}

fn only_name(object: &mut Value) {
    let mut left = Map::new();
    for name in ["apiVersion", "kind"] {
        left.insert(name.to_owned(), short(&object[name]));
    }
    let metadata = &object["metadata"];
    let names = ["namespace", "name", "generateName"]
        .into_iter()
        .filter(|name| metadata.get(name).is_some())
        .map(|name| (name.to_owned(), short(&metadata[name])))
        .collect();
    left.insert("metadata".to_owned(), Value::Object(names));
    *object = left.into();
}

fn short(value: &Value) -> Value {
    value
        .as_str()
        .map(|text| crate::text::prefix(text, NAME).into())
        .unwrap_or_default()
}
