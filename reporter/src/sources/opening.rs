//! The first line of a file: what a log is known by after it was renamed, and since when
//! it was written.
//!
//! A log that was cut in place by another program (copytruncate) begins with a hole of
//! zeros where its writer went on at its old place. They are no part of a line.

use super::rotation::Candidate;
use data_encoding::HEXLOWER;
use docket_record::import::packed::Packed;
use docket_record::import::split::zeros;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use rustix::fs::{SeekFrom, seek};
use std::fs::File;
use std::io::{self, Read};

/// Of the first line, this much is hashed.
pub const FIRST: usize = 64 * 1024;
/// Read at once.
const STEP: usize = 256 * 1024;

/// The beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// Hash of its first line.
    pub hash: String,
    /// Byte at which that begins.
    pub at: u64,
    /// When its event was written, microseconds.
    pub began: Option<i64>,
}

/// Hash of a line.
pub fn hash(line: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, &line[..line.len().min(FIRST)]).as_ref())
}

/// The first line in `start`, the bytes of a file from `at` on; `None` without one.
pub fn in_start(start: &[u8], at: u64) -> Option<First> {
    let skipped = start.iter().take_while(|byte| ends_line(**byte)).count();
    let line = &start[skipped..];
    let line = match line.iter().position(|&byte| ends_line(byte)) {
        Some(end) => &line[..end],
        None if line.len() >= FIRST => line,
        None => return None,
    };
    Some(First {
        hash: hash(line),
        at: at + skipped as u64,
        began: began(line),
    })
}

/// Zeros are between lines, as line breaks are.
pub fn ends_line(byte: u8) -> bool {
    matches!(byte, b'\n' | 0)
}

/// When the line's event was written, or the line itself by a container's runtime.
pub fn began(line: &[u8]) -> Option<i64> {
    const KEY: &[u8] = b"\"stageTimestamp\":\"";
    let line = &line[..line.len().min(FIRST)];
    let time = match line.windows(KEY.len()).position(|part| part == KEY) {
        Some(at) => line[at + KEY.len()..].split(|&byte| byte == b'"').next()?,
        None => line.split(|&byte| byte == b' ').next()?,
    };
    let time: Timestamp = str::from_utf8(time).ok()?.parse().ok()?;
    Some(time.as_microsecond())
}

/// The first line of a file; `None` if it has none yet.
///
/// # Errors
/// If it can't be read.
pub fn first_line(candidate: &Candidate) -> io::Result<Option<First>> {
    let file = File::open(&candidate.path)?;
    match candidate.packed {
        None => {
            let at = past_holes(&file)?;
            first(&file, at)
        }
        Some(Packed::Gzip) => first(MultiGzDecoder::new(file), 0),
        Some(Packed::Other { name, .. }) => Err(io::Error::other(format!(
            "it is compressed with {name}, which is not read"
        ))),
    }
}

/// Where the file's first block lies, from which on it is to be read; holes cost nothing.
fn past_holes(file: &File) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(0)) {
        Ok(at) => Ok(at),
        // It is empty, or nothing but a hole.
        Err(rustix::io::Errno::NXIO) => Ok(seek(file, SeekFrom::End(0))?),
        // A file system that does not tell.
        Err(_) => Ok(seek(file, SeekFrom::Start(0))?),
    }
}

/// The first line of what is read from here on, which is the file from `at`.
fn first(mut file: impl Read, mut at: u64) -> io::Result<Option<First>> {
    let mut start = Vec::new();
    let mut piece = vec![0; STEP];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(in_start(&start, at));
        }
        start.extend_from_slice(&piece[..read]);
        let empty = zeros(&start);
        start.drain(..empty);
        at += empty as u64;
        let found = in_start(&start, at);
        if found.is_some() || start.len() > 2 * FIRST {
            return Ok(found);
        }
    }
}
