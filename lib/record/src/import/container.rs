//! Lines of a container's output as its runtime keeps them, and their pieces.
//!
//! | runtime | a line |
//! |---|---|
//! | CRI (containerd, CRI-O) | `TIME stdout F TEXT`; of a long line all but the last piece say `P` |
//! | Docker's `json-file` | `{"log":"TEXT\n","stream":"stdout","time":"…"}`; only the last piece ends the line |
//!
//! An API server whose audit log is its standard output (`--audit-log-path=-`) has its
//! events there, cut into pieces of 16 KiB.

use crate::scan::Cursor;
use std::borrow::Cow;

/// A long line is put together up to this length.
const LONGEST: usize = super::split::LONGEST;
/// What is kept of one that is longer.
const KEPT: usize = 64 * 1024;

/// One line of the runtime's file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// RFC 3339, as it stands.
    pub(super) time: &'a str,
    pub(super) stream: Stream,
    /// More of the same line of output follows.
    pub(super) piece: bool,
    /// What was written.
    pub(super) text: Cow<'a, str>,
}

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn named(name: &str) -> Option<Stream> {
        match name {
            "stdout" => Some(Stream::Out),
            "stderr" => Some(Stream::Err),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        }
    }
}

/// True for a line of a runtime's file.
#[must_use]
pub fn is_line(line: &[u8]) -> bool {
    match line.first() {
        Some(b'{') => docker(line).is_some(),
        _ => cri(line).is_some(),
    }
}

/// `TIME STREAM TAGS TEXT`.
pub(super) fn cri(line: &[u8]) -> Option<Line<'_>> {
    if !line.first()?.is_ascii_digit() {
        return None;
    }
    let line = str::from_utf8(line).ok()?;
    let (time, rest) = line.split_once(' ')?;
    let (stream, rest) = rest.split_once(' ')?;
    let stream = Stream::named(stream)?;
    // Tags are separated by colons; the first says whether the line goes on.
    let (tags, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let piece = match tags.split(':').next()? {
        "P" => true,
        "F" => false,
        _ => return None,
    };
    super::time(time)?;
    Some(Line {
        time,
        stream,
        piece,
        text: Cow::Borrowed(text),
    })
}

/// Docker's object. Log shippers write the same members without the line break, so a
/// `piece` of Docker's may be a whole line all the same.
pub(super) fn docker(line: &[u8]) -> Option<Line<'_>> {
    let (mut log, mut stream, mut time) = (None, None, None);
    let mut cursor = Cursor::new(line);
    if !cursor.enter_object() {
        return None;
    }
    while let Some(key) = cursor.key().ok()? {
        let value = cursor.value().ok()?;
        match key {
            b"log" => log = Some(value),
            b"stream" => stream = value.text(),
            b"time" => time = str::from_utf8(value.0).ok(),
            b"attrs" => {}
            // Somebody else's line.
            _ => return None,
        }
    }
    let text = log?.text()?;
    let time = time?.strip_prefix('"')?.strip_suffix('"')?;
    super::time(time)?;
    Some(Line {
        time,
        stream: Stream::named(&stream?)?,
        piece: !text.ends_with('\n'),
        text,
    })
}

/// A line of output that was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Where its first piece stands.
    pub at: u64,
    /// As CRI writes a line that is whole (`F`), or one whose end never came (`P`).
    pub bytes: Vec<u8>,
    /// Its length, where that was too much and `bytes` is only the beginning.
    pub too_long: Option<u64>,
}

/// Puts pieces together, those of each stream by themselves.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    unfinished: [Option<Unfinished>; 2],
}

#[derive(Clone, Debug)]
struct Unfinished {
    at: u64,
    time: String,
    text: Vec<u8>,
    /// Of all its pieces; `text` holds less once that is too much.
    length: u64,
    brackets: Brackets,
}

impl Joiner {
    /// Takes the line that stands `at`, by whatever count the caller keeps. False: it is no
    /// piece, to be read as it is. What ends with this line is given to `ended`, and comes
    /// before it.
    pub fn take(&mut self, line: &[u8], at: u64, mut ended: impl FnMut(Joined)) -> bool {
        let is_docker = line.first() == Some(&b'{');
        let read = if is_docker {
            self.may_be_piece(line).then(|| docker(line)).flatten()
        } else {
            cri(line)
        };
        let Some(line) = read else {
            return false;
        };
        let (text, stream) = (line.text.as_bytes(), line.stream);
        let place = &mut self.unfinished[stream as usize];
        let alone = || {
            let mut brackets = Brackets::default();
            brackets.read(text);
            text.starts_with(b"{") && brackets.closed()
        };
        match place {
            Some(_) if (is_docker || !line.piece) && alone() => {
                // The writer died in the middle of what was begun, and here is the next.
                if let Some(unfinished) = place.take() {
                    ended(unfinished.end(stream, false));
                }
                return false;
            }
            Some(_) => {}
            None if !line.piece => return false,
            None if is_docker && (!text.starts_with(b"{") || alone()) => return false,
            None => {
                *place = Some(Unfinished {
                    at,
                    time: line.time.to_owned(),
                    text: Vec::new(),
                    length: 0,
                    brackets: Brackets::default(),
                });
            }
        }
        let whole = place.as_mut().is_some_and(|unfinished| {
            unfinished.add(text);
            !line.piece || is_docker && unfinished.brackets.closed()
        });
        if let Some(unfinished) = place.take_if(|_| whole) {
            ended(unfinished.end(stream, true));
        }
        true
    }

    /// Most lines are none of Docker's, or whole: told without reading them.
    fn may_be_piece(&self, line: &[u8]) -> bool {
        let waiting = self.unfinished.iter().any(Option::is_some);
        let holds = |word: &[u8]| memchr::memmem::find(line, word).is_some();
        holds(b"\"stream\"") && (waiting || !holds(b"\\n\",\"stream\""))
    }

    /// No more lines come: what is unfinished stays so.
    pub fn finish(&mut self, mut ended: impl FnMut(Joined)) {
        for stream in [Stream::Out, Stream::Err] {
            if let Some(unfinished) = self.unfinished[stream as usize].take() {
                ended(unfinished.end(stream, false));
            }
        }
    }

    /// Where the first piece stands that waits for its end.
    #[must_use]
    pub fn earliest(&self) -> Option<u64> {
        let all = self.unfinished.iter().flatten();
        all.map(|unfinished| unfinished.at).min()
    }
}

impl Unfinished {
    fn add(&mut self, text: &[u8]) {
        self.length += text.len() as u64;
        if self.length <= LONGEST as u64 {
            self.brackets.read(text);
            self.text.extend_from_slice(text);
        } else if self.text.len() > KEPT {
            self.text.truncate(KEPT);
            self.text.shrink_to_fit();
        }
    }

    fn end(self, stream: Stream, whole: bool) -> Joined {
        let tag = if whole { "F" } else { "P" };
        let mut bytes = format!("{} {} {tag} ", self.time, stream.name()).into_bytes();
        bytes.extend_from_slice(&self.text);
        Joined {
            at: self.at,
            bytes,
            too_long: (self.length > LONGEST as u64).then_some(self.length),
        }
    }
}

/// Whether text is one object from its first to its last byte, told piece by piece.
#[derive(Clone, Debug, Default)]
struct Brackets {
    depth: u64,
    string: bool,
    escaped: bool,
    begun: bool,
    /// Something stands behind it.
    more: bool,
}

impl Brackets {
    fn read(&mut self, text: &[u8]) {
        for &byte in text {
            if self.string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.string = false,
                    _ => {}
                }
                continue;
            }
            if self.begun && self.depth == 0 && !byte.is_ascii_whitespace() {
                self.more = true;
            }
            match byte {
                b'"' => self.string = true,
                b'{' | b'[' => (self.depth, self.begun) = (self.depth + 1, true),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn closed(&self) -> bool {
        self.begun && self.depth == 0 && !self.string && !self.more
    }
}

#[cfg(test)]
mod tests;
