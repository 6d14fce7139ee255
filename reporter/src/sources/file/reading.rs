//! One open file: its next whole lines, and whether it is still the file it was.

use super::{CHUNK, Place};
use crate::sources::LONGEST;
use crate::sources::opening::{FIRST, hash, in_start};
use docket_record::import::container::Joiner;
use docket_record::import::split::zeros;
use flate2::read::MultiGzDecoder;
use ring::digest::{Context, SHA256};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// A file being read.
pub(super) struct Reading {
    pub(super) path: PathBuf,
    pub(super) input: Input,
    /// What was read and not used up.
    pub(super) buffer: Vec<u8>,
    /// Place of the buffer's first byte in the uncompressed file.
    pub(super) start: u64,
    /// Pieces of long lines of a container's output.
    pub(super) joiner: Joiner,
    /// It was seen to be replaced; what is left is read once more to its end.
    pub(super) replaced: bool,
    /// A line longer than [`LONGEST`], of which only hash and length are kept.
    pub(super) long: Option<Long>,
    /// Bytes in the buffer that are not in the file.
    pub(super) padding: u64,
    seen: Option<(u64, i64, i64)>,
}

/// What is kept of a line that is too long.
pub(super) struct Long {
    pub(super) hash: Context,
    pub(super) length: u64,
    /// Where it begins.
    pub(super) at: u64,
    /// Hash of its beginning, as [`Place::first`] would have it.
    pub(super) first: String,
}

pub(super) enum Input {
    Plain(File),
    Gzip(MultiGzDecoder<File>),
}

impl Reading {
    pub(super) fn new(path: &Path, input: Input, start: u64) -> Reading {
        Reading {
            path: path.to_owned(),
            input,
            buffer: Vec::new(),
            start,
            joiner: Joiner::default(),
            replaced: false,
            long: None,
            padding: 0,
            seen: None,
        }
    }

    /// Read until there is a chunk of whole lines, or no more. True at the end.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        let mut piece = vec![0; 256 * 1024];
        while self.buffer.len() < CHUNK || !self.buffer.contains(&b'\n') {
            if self.buffer.len() > LONGEST && self.whole_lines() == 0 {
                let (at, first) = (self.start, hash(&self.buffer));
                let long = self.long.get_or_insert_with(|| Long {
                    hash: Context::new(&SHA256),
                    length: 0,
                    at,
                    first,
                });
                long.hash.update(&self.buffer);
                long.length += self.buffer.len() as u64;
                self.start += self.buffer.len() as u64;
                self.buffer = Vec::new();
            }
            let read = match &mut self.input {
                Input::Plain(file) => file.read(&mut piece)?,
                Input::Gzip(decoder) => decoder.read(&mut piece)?,
            };
            if read == 0 {
                return Ok(true);
            }
            self.buffer.extend_from_slice(&piece[..read]);
            if self.long.is_none() {
                // A hole may be as long as the file that was cut in place.
                let hole = zeros(&self.buffer);
                self.buffer.drain(..hole);
                self.start += hole as u64;
            }
        }
        Ok(false)
    }

    /// Length of the whole lines in the buffer, newline included.
    pub(super) fn whole_lines(&self) -> usize {
        self.buffer
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1)
    }

    pub(super) fn long_ended(&self) -> bool {
        self.long.is_some() && self.whole_lines() > 0
    }

    pub(super) fn is(&self, current: &Metadata, place: &Place) -> bool {
        matches!(self.input, Input::Plain(_))
            && (current.dev(), current.ino()) == (place.dev, place.ino)
    }

    /// Bytes of the file that are not used up yet, where its length is known.
    pub(super) fn behind(&self) -> Option<u64> {
        match &self.input {
            Input::Plain(file) => Some(file.metadata().ok()?.len().saturating_sub(self.start)),
            Input::Gzip(_) => None,
        }
    }

    /// The first `whole` bytes of the buffer are used up.
    pub(super) fn used(&mut self, whole: usize) {
        self.start += whole as u64 - self.padding;
        self.padding = 0;
        self.long = None;
        self.buffer.drain(..whole);
        if self.buffer.capacity() > 8 * CHUNK {
            self.buffer.shrink_to(CHUNK);
        }
    }

    /// True if the file no longer holds what was read of it. Looked at again only when
    /// size or times have changed.
    pub(super) fn was_cut(&mut self, place: &Place) -> io::Result<bool> {
        let Input::Plain(file) = &self.input else {
            return Ok(false);
        };
        let metadata = file.metadata()?;
        let seen = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if self.seen == Some(seen) {
            return Ok(false);
        }
        self.seen = Some(seen);
        if metadata.len() < place.offset {
            return Ok(true);
        }
        if place.offset == 0 || place.first.is_empty() {
            return Ok(false);
        }
        let mut start = vec![0; FIRST];
        let mut read = 0;
        while read < FIRST {
            match file.read_at(&mut start[read..], place.first_at + read as u64)? {
                0 => break,
                more => read += more,
            }
            if start[..read].contains(&b'\n') {
                break;
            }
        }
        // Its writer went on at its old place: there is a hole where the line was.
        let hole = start[..read].first() == Some(&0);
        let first = in_start(&start[..read], place.first_at);
        Ok(hole || first.is_some_and(|first| first.hash != place.first))
    }
}
