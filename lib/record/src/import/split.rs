//! Bytes of a file, in pieces of any size, to its records. Nothing is held but the record
//! that is being read, and of one that is too long only its beginning. Pieces of a long line
//! of a container's output are put together ([`super::container`]). Zeros, which a log that
//! was cut in place is full of, are between records, however many.
//!
//! A file is either *lines* (each a record, or one-line JSON with records in it) or a
//! *document* (an array, an object with an array of records in it, or several of them in a
//! row, over as many lines as they like). A broken line costs only itself. In a document
//! a record whose brackets never close costs the rest.

mod document;
mod lines;

use document::Document;

/// Longest record; of a longer one [`KEPT`] bytes are handed on, which can't be read then.
pub const LONGEST: usize = 64 * 1024 * 1024;
/// What is kept of a record that is too long.
const KEPT: usize = 64 * 1024;
/// A first line that is longer than this is read as a document.
const FIRST_LINE: usize = 1024 * 1024;
/// Members that hold records: EventList, Azure's records, CloudWatch's events.
const CONTAINERS: [&[u8]; 4] = [b"items", b"records", b"events", b"logEvents"];

/// One record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// Its bytes. A line break in them is white space.
    pub bytes: Vec<u8>,
    /// Its whole length, where that was too long and `bytes` is only the beginning.
    pub too_long: Option<u64>,
}

/// Takes bytes, gives records.
#[derive(Debug, Default)]
pub struct Splitter {
    input: Input,
    mode: Option<Mode>,
    ready: std::collections::VecDeque<Piece>,
}

#[derive(Debug)]
enum Mode {
    Lines(lines::Lines),
    Document(Document),
}

/// What was pushed and is not used up.
#[derive(Debug, Default)]
struct Input {
    buffer: Vec<u8>,
    /// Bytes before it are used up.
    head: usize,
    /// Line of the byte at `head`, from 0.
    line: u64,
    ended: bool,
    /// Zeros that were passed over.
    zeros: u64,
}

impl Input {
    fn rest(&self) -> &[u8] {
        &self.buffer[self.head..]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.head);
        self.head = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > 4 * FIRST_LINE {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Uses up `count` bytes, counting their lines.
    fn skip(&mut self, count: usize) {
        let end = self.buffer.len().min(self.head + count);
        self.line += memchr::memchr_iter(b'\n', &self.buffer[self.head..end]).count() as u64;
        self.head = end;
    }

    /// Uses up white space and zeros.
    fn skip_space(&mut self) {
        loop {
            let empty = zeros(self.rest());
            self.zeros += empty as u64;
            self.skip(empty);
            let space = self.rest().iter().take_while(|b| b.is_ascii_whitespace());
            let count = space.count();
            self.skip(count);
            if empty + count == 0 {
                return;
            }
        }
    }

    /// A piece of the next `count` bytes, which are used up.
    fn piece(&mut self, count: usize) -> Piece {
        let piece = Piece {
            line: self.line + 1,
            bytes: self.rest()[..count].trim_ascii_end().to_vec(),
            too_long: None,
        };
        self.skip(count);
        piece
    }
}

impl Splitter {
    /// Nothing pushed yet.
    #[must_use]
    pub fn new() -> Splitter {
        Splitter::default()
    }

    /// More bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// There are no more bytes.
    pub fn finish(&mut self) {
        self.input.ended = true;
    }

    /// Zeros that were passed over so far.
    #[must_use]
    pub fn zeros(&self) -> u64 {
        self.input.zeros
    }

    /// The next record; `None` until more is pushed, or at the end.
    pub fn next_piece(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            let mode = match &mut self.mode {
                Some(mode) => mode,
                None => {
                    let mode = decide(&mut self.input)?;
                    self.mode.insert(mode)
                }
            };
            match mode {
                Mode::Lines(lines) => lines.next(&mut self.input, &mut self.ready)?,
                Mode::Document(document) => return document.next(&mut self.input),
            }
        }
    }
}

/// How many zeros these bytes begin with. Blocks of them are compared whole, as there may be
/// a gigabyte.
#[must_use]
pub fn zeros(bytes: &[u8]) -> usize {
    const BLOCK: [u8; 4096] = [0; 4096];
    let mut count = 0;
    while bytes[count..].starts_with(&BLOCK) {
        count += BLOCK.len();
    }
    let rest = bytes[count..].iter().take_while(|byte| **byte == 0);
    count + rest.count()
}

/// Lines or a document? `None`: more must be seen.
fn decide(input: &mut Input) -> Option<Mode> {
    input.skip_space();
    let rest = input.rest();
    let document = || Some(Mode::Document(Document::default()));
    let lines = || Some(Mode::Lines(lines::Lines::default()));
    match rest.first()? {
        b'[' => return document(),
        b'{' => {}
        _ => return lines(),
    }
    let Some(end) = memchr::memchr(b'\n', rest) else {
        let long = rest.len() > FIRST_LINE;
        return if input.ended || long {
            document()
        } else {
            None
        };
    };
    if lines::values(&rest[..end]).is_some() {
        return lines();
    }
    // The first line is broken, or a document goes on here. Documents over several lines
    // are indented; the next record of a file of lines begins at its line's beginning.
    match rest[end + 1..].iter().find(|&&b| b != b'\n' && b != b'\r') {
        Some(b'{') => lines(),
        Some(_) => document(),
        None if input.ended => document(),
        None => None,
    }
}

#[cfg(test)]
mod tests;
