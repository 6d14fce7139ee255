//! The texts of a record that may repeat what the refused object said: those that are masked.

use super::{Grade, Record};
use serde_json::Value;

/// Annotation keys under which the API server repeats the messages of policies.
const MESSAGES: &str = "validation.policy.admission.k8s.io/";

impl Record {
    /// Calls `each` with every text that may hold a value of the object, always in the same
    /// order. Names of policies are among them where nothing but such a text says them.
    pub fn echoes(&mut self, mut each: impl FnMut(&mut String)) {
        let Record {
            public, personal, ..
        } = self;
        if !is_word(&public.reason) {
            each(&mut public.reason);
        }
        for attribution in &mut public.attributions {
            if attribution.grade == Some(Grade::Exact) || attribution.law.is_some() {
                continue;
            }
            let names = [
                &mut attribution.policy,
                &mut attribution.rule,
                &mut attribution.binding,
            ];
            names.into_iter().flatten().for_each(&mut each);
        }
        each(&mut personal.text);
        personal.messages.iter_mut().for_each(&mut each);
        let event = &mut personal.event;
        if let Some(status) = event.get_mut("responseStatus") {
            self::status(status, &mut each);
        }
        if let Some(Value::Object(annotations)) = event.get_mut("annotations") {
            for (key, value) in annotations {
                if let (true, Value::String(text)) = (key.starts_with(MESSAGES), value) {
                    each(text);
                }
            }
        }
    }
}

fn status(status: &mut Value, each: &mut impl FnMut(&mut String)) {
    if let Some(Value::String(reason)) = status.get_mut("reason")
        && !is_word(reason)
    {
        each(reason);
    }
    if let Some(message) = status.get_mut("message") {
        cut_text(message, each);
    }
    if let Some(Value::Array(causes)) = status.get_mut("causes") {
        for cause in causes {
            cut_text(cause, each);
        }
    }
}

/// The API server's own reasons are single words; a webhook may write anything there.
fn is_word(reason: &str) -> bool {
    reason.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// A text as [`crate::audit::Cut`] is kept. The hash of a whole text that was masked goes:
/// whoever knows the rest could try values until it fits.
fn cut_text(kept: &mut Value, each: &mut impl FnMut(&mut String)) {
    match kept {
        Value::String(text) => each(text),
        Value::Object(fields) => {
            let mut changed = false;
            if let Some(Value::String(text)) = fields.get_mut("text") {
                let before = text.clone();
                each(text);
                changed = before != *text;
            }
            if changed {
                fields.remove("sha256");
            }
        }
        _ => {}
    }
}
