//! JSON over several lines: an array of records, an object with such an array in it, or
//! records one after the other. Read byte by byte, so that a file of any length needs no
//! more memory than its longest record.

use super::{CONTAINERS, Input, KEPT, LONGEST, Piece};

#[derive(Debug, Default)]
pub(super) struct Document {
    /// What closes the arrays and objects that records stand in, outermost first.
    closers: Vec<u8>,
    value: Option<Value>,
    /// After the records of a container: its other members are passed over.
    passing: bool,
}

/// An object that is being read; it begins at the input's head.
#[derive(Debug, Default)]
struct Value {
    /// Bytes read.
    at: usize,
    depth: u32,
    string: bool,
    escaped: bool,
    /// Where the last string began that stands directly in the object.
    key_from: usize,
    /// That string, while only white space and a colon have followed.
    key: Option<(usize, usize)>,
    colon: bool,
    /// The beginning of one that is too long, with how much of it is gone.
    cut: Option<(Piece, u64)>,
}

enum Seen {
    More,
    /// So many bytes are the value.
    Whole(usize),
    /// Records begin after so many bytes.
    Container(usize),
    /// A line ends within a string: the value is broken, and this long.
    Broken(usize),
}

impl Document {
    pub(super) fn next(&mut self, input: &mut Input) -> Option<Piece> {
        loop {
            if let Some(value) = &mut self.value {
                // Deeper than an array of containers nothing is opened.
                let may_open = self.closers.len() < 2;
                let passing = self.passing;
                match value.read(input, may_open && !passing) {
                    Seen::More if input.ended => {
                        let left = input.rest().len();
                        let piece = self.end(input, left);
                        if passing || piece.bytes.is_empty() {
                            return None;
                        }
                        return Some(piece);
                    }
                    Seen::More => {
                        if passing {
                            // Only its end is of interest.
                            input.skip(value.at);
                            value.at = 0;
                        } else if value.at > LONGEST || value.cut.is_some() {
                            value.shorten(input);
                        }
                        return None;
                    }
                    Seen::Whole(length) | Seen::Broken(length) => {
                        let piece = self.end(input, length);
                        if std::mem::take(&mut self.passing) {
                            self.closers.pop();
                            continue;
                        }
                        return Some(piece);
                    }
                    Seen::Container(length) => {
                        input.skip(length);
                        self.value = None;
                        self.closers.extend([b'}', b']']);
                    }
                }
                continue;
            }
            if let Some(piece) = self.between(input)? {
                return Some(piece);
            }
        }
    }

    /// What stands between values. `None`: more must be pushed, or it is the end.
    fn between(&mut self, input: &mut Input) -> Option<Option<Piece>> {
        input.skip_space();
        let byte = *input.rest().first()?;
        match byte {
            b',' => input.skip(1),
            b'[' if self.closers.is_empty() => {
                input.skip(1);
                self.closers.push(b']');
            }
            b'{' => self.value = Some(Value::default()),
            _ if self.closers.last() == Some(&byte) => {
                self.closers.pop();
                input.skip(1);
                if self.closers.last() == Some(&b'}') {
                    // The rest of the container, read as an object that has begun.
                    self.passing = true;
                    self.value = Some(Value {
                        depth: 1,
                        ..Value::default()
                    });
                }
            }
            _ => {
                let rest = input.rest();
                let end = rest
                    .iter()
                    .position(|b| matches!(b, b'\n' | b',' | b']' | b'}'));
                let Some(end) = end.or(input.ended.then_some(rest.len())) else {
                    // No record is this long without a bracket.
                    return (rest.len() > KEPT).then(|| Some(input.piece(KEPT)));
                };
                return Some(Some(input.piece(end.max(1))));
            }
        }
        Some(None)
    }

    fn end(&mut self, input: &mut Input, length: usize) -> Piece {
        let cut = self.value.take().and_then(|value| value.cut);
        match cut {
            Some((piece, gone)) => {
                input.skip(length);
                Piece {
                    too_long: Some(gone + length as u64),
                    ..piece
                }
            }
            None if length > LONGEST => {
                let piece = beginning(input, length);
                input.skip(length);
                Piece {
                    too_long: Some(length as u64),
                    ..piece
                }
            }
            None => input.piece(length),
        }
    }
}

fn beginning(input: &Input, seen: usize) -> Piece {
    Piece {
        line: input.line + 1,
        bytes: input.rest()[..KEPT.min(seen)].to_vec(),
        too_long: None,
    }
}

impl Value {
    /// Reads on to the end of the value, or of what was pushed.
    fn read(&mut self, input: &Input, may_open: bool) -> Seen {
        let bytes = input.rest();
        while let Some(&byte) = bytes.get(self.at) {
            self.at += 1;
            if self.string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'\n' => return Seen::Broken(self.at),
                    b'"' => {
                        self.string = false;
                        if self.depth == 1 {
                            self.key = Some((self.key_from, self.at - 1));
                            self.colon = false;
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => {
                    self.string = true;
                    self.key_from = self.at;
                }
                b'{' | b'[' => {
                    if byte == b'[' && may_open && self.depth == 1 && self.is_container(bytes) {
                        return Seen::Container(self.at);
                    }
                    self.depth += 1;
                    self.key = None;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Seen::Whole(self.at);
                    }
                }
                b':' => self.colon = true,
                byte if byte.is_ascii_whitespace() => {}
                _ => self.key = None,
            }
        }
        Seen::More
    }

    /// True if the last thing read was the name of an array of records.
    fn is_container(&self, bytes: &[u8]) -> bool {
        let named = |(from, to): (usize, usize)| {
            bytes
                .get(from..to)
                .is_some_and(|key| CONTAINERS.contains(&key))
        };
        self.cut.is_none() && self.colon && self.key.is_some_and(named)
    }

    /// Keeps the beginning of a value that is too long, and forgets the rest.
    fn shorten(&mut self, input: &mut Input) {
        let seen = self.at;
        let (_, gone) = self.cut.get_or_insert_with(|| (beginning(input, seen), 0));
        *gone += seen as u64;
        input.skip(seen);
        (self.at, self.key) = (0, None);
    }
}
