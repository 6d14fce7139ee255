//! An Event whose text ends too early, with a mark of who cut it (`[Truncated...]`, `...`) or
//! without: what stands whole before the cut is still true.

use super::{ImportError, Read, Shape};
use crate::audit::{AuditEvent, Cut};
use crate::scan::Cursor;
use crate::text::sha256;
use crate::verdict::refusal;
use serde_json::value::RawValue;

/// Bytes at the end of a text that may belong to an escape or a character that was cut.
const TORN: usize = 12;
/// Of a text's beginning, what is looked at to see whether it is an Event at all.
const LOOKED_AT: usize = 4096;

/// True if the text begins as an Event does.
pub(super) fn may_be(text: &str) -> bool {
    let head = crate::text::prefix(text, LOOKED_AT);
    head.contains("audit.k8s.io") || head.contains("\"auditID\"")
}

/// The event that can be made from the members before the cut. `logged_at`: the log
/// service's own time, used where the event's is behind the cut.
pub(super) fn event(
    text: &str,
    shape: Shape,
    logged_at: &str,
) -> Result<Read<'static>, ImportError> {
    let (whole, torn_message) = whole_members(text.as_bytes());
    // Without verb and stage it can't be known what it was.
    let mut event = AuditEvent::parse(&whole)?;
    let status = event.response_status.get_or_insert_default();
    if let Some(said) = torn_message {
        let whole = Some((said.len() as u64, sha256(said.as_bytes())));
        status.message = Some(Cut {
            whole,
            ..Cut::at(&said, Cut::MESSAGE_LIMIT)
        });
    }
    // The code stands behind the text. An enforcer's words are a refusal without it.
    let open = status.code == 0 && !refusal(status).is_enforcers();
    let is_end = matches!(event.stage.as_str(), "ResponseComplete" | "Panic");
    let reads = matches!(event.verb.as_str(), "list" | "watch");
    if open && is_end && !reads {
        return Err(ImportError::CutEarly);
    }
    if event.stage_timestamp.is_empty() {
        event.stage_timestamp =
            super::time(logged_at).ok_or(ImportError::Member("time of logging"))?;
    }
    let digest = sha256(text.as_bytes());
    let event = shape.derive(event, &[logged_at.as_bytes(), &digest]);
    Ok(Read::Derived(shape, Box::new(event)))
}

/// An object of those members that are followed by something: a number at the very end
/// may have lost digits. And what is left of the answer's text, if it was that which was
/// cut.
fn whole_members(text: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut whole = vec![b'{'];
    let mut cursor = Cursor::new(text);
    let mut torn = None;
    if cursor.enter_object() {
        while let Ok(Some(key)) = cursor.key() {
            let rest = &text[cursor.offset()..];
            let Some(value) = value(&mut cursor, text) else {
                if key == b"responseStatus" {
                    let (status, message) = status(rest);
                    add(&mut whole, key, &status);
                    torn = message;
                }
                break;
            };
            add(&mut whole, key, value);
        }
    }
    whole.push(b'}');
    (whole, torn)
}

/// The next value, if it is whole and more than looks like one.
fn value<'a>(cursor: &mut Cursor<'a>, text: &[u8]) -> Option<&'a [u8]> {
    let value = cursor.value().ok()?.0;
    let may_go_on =
        cursor.offset() == text.len() && !value.ends_with(b"}") && !value.ends_with(b"\"");
    let reads = serde_json::from_slice::<&RawValue>(value).is_ok();
    (!may_go_on && reads).then_some(value)
}

fn add(object: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    if object.len() > 1 {
        object.push(b',');
    }
    object.push(b'"');
    object.extend_from_slice(key);
    object.extend_from_slice(b"\":");
    object.extend_from_slice(value);
}

/// What stands whole of a `responseStatus` that was cut, and the beginning of its message.
fn status(text: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut whole = vec![b'{'];
    let mut cursor = Cursor::new(text);
    let mut message = None;
    if cursor.enter_object() {
        while let Ok(Some(key)) = cursor.key() {
            let rest = &text[cursor.offset()..];
            let Some(value) = value(&mut cursor, text) else {
                if key == b"message" {
                    message = beginning(rest);
                }
                break;
            };
            add(&mut whole, key, value);
        }
    }
    whole.push(b'}');
    (whole, message)
}

/// A string that has no end: what can be read of it.
fn beginning(rest: &[u8]) -> Option<String> {
    let inner = rest.trim_ascii_start().strip_prefix(b"\"")?;
    (0..=TORN.min(inner.len())).find_map(|torn| {
        let mut quoted = vec![b'"'];
        quoted.extend_from_slice(&inner[..inner.len() - torn]);
        quoted.push(b'"');
        serde_json::from_slice::<String>(&quoted).ok()
    })
}
