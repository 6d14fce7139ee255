//! Records that are sent together.

use docket_record::import::split::Piece;
use hyper::body::Bytes;

/// Records in a chunk.
const RECORDS: usize = 1000;
/// Bytes at which a chunk is full; one record may be longer.
const FULL: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct Chunk {
    body: Vec<u8>,
    /// Line of the file on which each record begins.
    lines: Vec<u64>,
}

impl Chunk {
    /// One line a record: line breaks in it are white space, or it is broken anyway.
    pub(super) fn add(&mut self, piece: Piece) {
        let line = piece.bytes.iter().map(|&byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => byte,
        });
        self.body.extend(line);
        self.body.push(b'\n');
        self.lines.push(piece.line);
    }

    pub(super) fn is_full(&self) -> bool {
        self.lines.len() >= RECORDS || self.body.len() >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn body(&self) -> Bytes {
        Bytes::copy_from_slice(&self.body)
    }

    /// Where the `index`-th line of the body stood in the file.
    pub(super) fn line(&self, index: u64) -> u64 {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        self.lines.get(index).copied().unwrap_or_default()
    }
}
