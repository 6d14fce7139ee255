//! The hash of a file's first line: what a log is known by after it was renamed.

use crate::sources::rotation::Candidate;
use data_encoding::HEXLOWER;
use flate2::read::MultiGzDecoder;
use ring::digest::{SHA256, digest};
use std::fs::File;
use std::io::{self, Read as _};

/// Of the first line, this much is hashed.
pub(super) const FIRST: usize = 64 * 1024;

pub(super) fn hash_first(line: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, &line[..line.len().min(FIRST)]).as_ref())
}

/// The hash of the first line in `start`, the beginning of a file; `None` without one.
pub(super) fn hash_of_start(start: &[u8]) -> Option<String> {
    match start.iter().position(|&byte| byte == b'\n') {
        Some(end) => Some(hash_first(&start[..end])),
        None if start.len() >= FIRST => Some(hash_first(start)),
        None => None,
    }
}

pub(super) fn first_line(candidate: &Candidate) -> io::Result<Option<String>> {
    let file = File::open(&candidate.path)?;
    let mut start = Vec::with_capacity(4096);
    if candidate.gzip {
        MultiGzDecoder::new(file)
            .take(FIRST as u64)
            .read_to_end(&mut start)?;
    } else {
        file.take(FIRST as u64).read_to_end(&mut start)?;
    }
    Ok(hash_of_start(&start))
}
