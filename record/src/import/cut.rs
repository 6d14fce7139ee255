//! An Event whose text ends too early: what stands whole before the cut is still true.

use super::{ImportError, Read, Shape};
use crate::audit::{AuditEvent, sha256};
use crate::scan::Cursor;

/// The event that can be made from the members before the cut. `logged_at`: the log
/// service's own time, used where the event's is behind the cut.
pub(super) fn event(
    text: &str,
    shape: Shape,
    logged_at: &str,
) -> Result<Read<'static>, ImportError> {
    let whole = whole_members(text.as_bytes());
    // Only verb and stage must be there: without them it can't be known what it was.
    let mut event = AuditEvent::parse(&whole)?;
    if event.stage_timestamp.is_empty() {
        event.stage_timestamp =
            super::time(logged_at).ok_or(ImportError::Member("time of logging"))?;
    }
    let digest = sha256(text.as_bytes());
    let event = shape.derive(event, &[logged_at.as_bytes(), &digest]);
    Ok(Read::Derived(shape, Box::new(event)))
}

/// An object of those members that are followed by something: a number at the very end
/// may have lost digits.
fn whole_members(text: &[u8]) -> Vec<u8> {
    let mut whole = vec![b'{'];
    let mut cursor = Cursor::new(text);
    if cursor.enter_object() {
        while let Ok(Some(key)) = cursor.key() {
            let Ok(value) = cursor.value() else { break };
            if cursor.offset() == text.len()
                && !value.0.ends_with(b"}")
                && !value.0.ends_with(b"\"")
            {
                break;
            }
            if whole.len() > 1 {
                whole.push(b',');
            }
            whole.push(b'"');
            whole.extend_from_slice(key);
            whole.extend_from_slice(b"\":");
            whole.extend_from_slice(value.0);
        }
    }
    whole.push(b'}');
    whole
}
