//! A record a line, or a line of JSON with records in it.

use super::super::container::{Joined, Joiner};
use super::{CONTAINERS, Input, KEPT, LONGEST, Piece};
use crate::scan::{Cursor, Token};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Lines {
    /// A line that is too long: its beginning, and how much of it was seen.
    long: Option<(Piece, u64)>,
    /// Bytes of the line that were searched for its end.
    searched: usize,
    /// Pieces of lines of a container's output.
    joiner: Joiner,
}

impl Lines {
    /// Makes the records of the next line ready. `None`: more must be pushed.
    pub(super) fn next(&mut self, input: &mut Input, ready: &mut VecDeque<Piece>) -> Option<()> {
        if self.long.is_none() {
            input.skip_space();
            self.searched = self.searched.min(input.rest().len());
        }
        let rest = input.rest();
        let end = memchr::memchr2(b'\n', 0, &rest[self.searched..]).map(|at| at + self.searched);
        let Some(length) = end.or((input.ended && !rest.is_empty()).then_some(rest.len())) else {
            self.searched = rest.len();
            if rest.len() > LONGEST || self.long.is_some() {
                let seen = rest.len();
                let (_, length) = self.long.get_or_insert_with(|| (beginning(input), 0));
                *length += seen as u64;
                input.skip(seen);
                self.searched = 0;
            }
            if input.ended {
                if self.joiner.earliest().is_some() {
                    self.joiner.finish(|joined| ready.push_back(piece(joined)));
                    return Some(());
                }
                self.end_long(ready)?;
                return Some(());
            }
            return None;
        };
        self.searched = 0;
        let whole = length + usize::from(end.is_some());
        if let Some((_, seen)) = &mut self.long {
            *seen += length as u64;
            input.skip(whole);
            self.end_long(ready);
        } else if length > LONGEST {
            self.long = Some((beginning(input), length as u64));
            input.skip(whole);
            self.end_long(ready);
        } else {
            let number = input.line + 1;
            let line = rest[..length].trim_ascii_end();
            let ended = |joined| ready.push_back(piece(joined));
            if !self.joiner.take(line, number, ended) {
                records(line, number, ready);
            }
            input.skip(whole);
        }
        Some(())
    }

    fn end_long(&mut self, ready: &mut VecDeque<Piece>) -> Option<()> {
        let (piece, length) = self.long.take()?;
        ready.push_back(Piece {
            too_long: Some(length),
            ..piece
        });
        Some(())
    }
}

fn piece(joined: Joined) -> Piece {
    Piece {
        line: joined.at,
        bytes: joined.bytes,
        too_long: joined.too_long,
    }
}

fn beginning(input: &Input) -> Piece {
    Piece {
        line: input.line + 1,
        bytes: input.rest()[..KEPT.min(input.rest().len())].to_vec(),
        too_long: None,
    }
}

fn records(line: &[u8], number: u64, ready: &mut VecDeque<Piece>) {
    let line = line.trim_ascii();
    if line.is_empty() {
        return;
    }
    let mut add = |bytes: &[u8]| {
        ready.push_back(Piece {
            line: number,
            bytes: bytes.to_vec(),
            too_long: None,
        });
    };
    match values(line) {
        // Broken or no JSON: whoever reads it says why.
        None => add(line),
        Some(values) => values.into_iter().for_each(add),
    }
}

/// The records of one line of JSON: its values, and of containers what is in them. `None`
/// if it is not whole JSON values and nothing else.
pub(super) fn values(line: &[u8]) -> Option<Vec<&[u8]>> {
    let mut cursor = Cursor::new(line);
    let mut values = Vec::new();
    while let Some(first) = cursor.peek() {
        if first != b'{' && first != b'[' {
            return None;
        }
        let Token(value) = cursor.value().ok()?;
        expand(value, &mut values);
    }
    Some(values)
}

/// Subscription payloads may stand in an array, so one container in another is opened.
fn expand<'a>(value: &'a [u8], values: &mut Vec<&'a [u8]>) {
    let array = match value.first() {
        Some(b'[') => Some(value),
        _ => container(value),
    };
    match array.and_then(elements) {
        None => values.push(value),
        Some(records) => {
            for element in records {
                match container(element).and_then(elements) {
                    Some(inner) => values.extend(inner),
                    None => values.push(element),
                }
            }
        }
    }
}

fn elements(array: &[u8]) -> Option<Vec<&[u8]>> {
    let mut cursor = Cursor::new(array);
    let mut elements = Vec::new();
    if !cursor.enter_array() {
        return None;
    }
    while cursor.element().ok()? {
        elements.push(cursor.value().ok()?.0);
    }
    Some(elements)
}

/// The array of records in an object, if it has one.
fn container(object: &[u8]) -> Option<&[u8]> {
    let mut cursor = Cursor::new(object);
    if !cursor.enter_object() {
        return None;
    }
    while let Some(key) = cursor.key().ok()? {
        let Token(value) = cursor.value().ok()?;
        if CONTAINERS.contains(&key) && value.first() == Some(&b'[') {
            return Some(value);
        }
    }
    None
}
