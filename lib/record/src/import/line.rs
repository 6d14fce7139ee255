//! A line of text with an Event in it: what stands before the Event is told by the form of
//! what writes such lines.
//!
//! | before the Event | written by |
//! |---|---|
//! | `TIME stdout F ` | a container runtime ([`super::container`]) |
//! | `TIME `, `TIME kube-apiserver-audit-… ` | exports of CloudWatch to S3, `aws logs tail` |
//! | `Dec 01 10:00:00 HOST kube-apiserver[1]: `, `<134>1 TIME HOST … ` | journals and syslog |
//! | `[pod/NAME/CONTAINER] `, `NAME CONTAINER TIME ` | `kubectl logs --prefix`, stern |
//! | `TIME {label="value"} ` | Loki's `logcli` |
//!
//! Never within a line of the API server's own log (klog): such a line may quote what a
//! client sent.

use super::{ImportError, Read, Shape, content};
use std::borrow::Cow;

/// What may stand before an Event.
const HEADER: usize = 512;
/// Streams of an EKS log group that are other components.
const OTHER_STREAMS: [&str; 4] = [
    "authenticator-",
    "cloud-controller-manager-",
    "kube-controller-manager-",
    "kube-scheduler-",
];
/// Prefix of the streams that hold audit events; the API server's own log is beside them.
pub(super) const AUDIT_STREAM: &str = "kube-apiserver-audit";

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// An object begins at this byte.
    Object {
        /// Where.
        at: usize,
        /// What kind of line it stands in.
        shape: Shape,
        /// When it was logged, in any form of RFC 3339; or empty.
        time: &'a str,
    },
    /// A log line of something else.
    Other,
    /// No form that is known.
    Unknown,
}

/// A record that is no JSON object.
pub(super) fn read(line: &[u8]) -> Result<Read<'_>, ImportError> {
    let line = str::from_utf8(line).map_err(|_| ImportError::Unknown)?;
    if is_legacy(line) {
        return Err(ImportError::Legacy);
    }
    match find(line) {
        Found::Object { at, shape, time } => {
            let time = super::time(time).unwrap_or_default();
            // A container's line is an Event, or the container's own.
            let depth = match shape {
                Shape::Container => super::wrapped::DEPTH,
                _ => 0,
            };
            content(Cow::Borrowed(&line[at..]), shape, &time, depth)
        }
        Found::Other => Ok(Read::Other),
        Found::Unknown => Err(ImportError::Unknown),
    }
}

/// `--audit-log-format=legacy`, at the line's beginning or behind a header.
pub(super) fn is_legacy(line: &str) -> bool {
    let head = crate::text::prefix(line, HEADER);
    head.find("AUDIT: id=\"")
        .is_some_and(|at| head[..at].is_empty() || head[..at].ends_with(' '))
}

/// Where the object is, if one may be in the line.
pub(super) fn find(line: &str) -> Found<'_> {
    if let Some(found) = super::container::cri(line.as_bytes()) {
        let at = line.len() - found.text.len();
        if !found.text.starts_with('{') {
            return Found::Other;
        }
        return Found::Object {
            at,
            shape: Shape::Container,
            time: found.time,
        };
    }
    let head = crate::text::prefix(line, HEADER);
    let at = head.find("{\"");
    let before = &head[..at.unwrap_or(head.len())];
    if is_klog(before) {
        return Found::Other;
    }
    let words: Vec<&str> = before.split_ascii_whitespace().collect();
    let time = words.iter().find(|word| super::time(word).is_some());
    let time = time.copied().unwrap_or_default();
    let Some(at) = at.filter(|_| is_header(before)) else {
        let dated = !time.is_empty() && words.first() == Some(&time) || is_syslog(&words);
        return if dated { Found::Other } else { Found::Unknown };
    };
    if let [stream] = words.as_slice().get(1..).unwrap_or_default()
        && OTHER_STREAMS.iter().any(|other| stream.starts_with(other))
    {
        return Found::Other;
    }
    let cloudwatch = match words.as_slice() {
        [only] => *only == time,
        [first, stream] => *first == time && stream.starts_with(AUDIT_STREAM),
        _ => false,
    };
    let shape = if cloudwatch {
        Shape::Eks
    } else {
        Shape::Wrapped
    };
    Found::Object { at, shape, time }
}

/// Words of a header, and Loki's labels; no text that quotes something.
fn is_header(before: &str) -> bool {
    let plain = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || " \t.:_/-+[]<>|@#,()".contains(c))
    };
    match before.split_once('{') {
        None => plain(before),
        Some((before, rest)) => match rest.split_once("} ") {
            Some((labels, after)) => {
                plain(before) && plain(after) && !labels.contains(['{', '}', '\\'])
            }
            None => false,
        },
    }
}

/// A line of the API server's own log, behind whatever header: `I1201 10:00:00.101010 …`.
fn is_klog(before: &str) -> bool {
    let mut words = before.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let word = word.as_bytes();
        let marked = word.len() == 5
            && b"IWEF".contains(&word[0])
            && word[1..].iter().all(u8::is_ascii_digit);
        if marked && words.peek().is_some_and(|next| is_clock(next)) {
            return true;
        }
    }
    false
}

/// `10:00:00`, and a fraction perhaps.
fn is_clock(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 8
        && bytes[..8].iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
}

/// `Dec 01 10:00:00 …`, `<134>…`.
fn is_syslog(words: &[&str]) -> bool {
    match words {
        [month, day, clock, ..] if month.len() == 3 => {
            day.bytes().all(|byte| byte.is_ascii_digit()) && is_clock(clock)
        }
        [first, ..] => first.starts_with('<') && first.contains('>'),
        [] => false,
    }
}
