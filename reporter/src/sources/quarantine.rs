//! Bytes that could not be read: put aside once, under their hash, within bounds.
//!
//! The directory is for the operator only (mode 0700): what is in it was never redacted.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// Files kept.
const FILES: usize = 256;
/// Bytes kept of one.
const BYTES: usize = 1024 * 1024;

/// The directory.
pub struct Quarantine {
    dir: Option<PathBuf>,
}

/// Where the bytes went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Hash of all of them; the name of the file.
    pub sha256: String,
    /// How many there were.
    pub length: u64,
    /// False if there was no room.
    pub kept: bool,
}

impl Put {
    /// Under which bytes are put aside.
    #[must_use]
    pub fn hash(bytes: &[u8]) -> String {
        HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
    }
}

impl Quarantine {
    /// Made when first needed. `None` keeps nothing.
    #[must_use]
    pub fn new(dir: Option<PathBuf>) -> Quarantine {
        Quarantine { dir }
    }

    /// Put bytes aside.
    pub fn put(&self, bytes: &[u8]) -> Put {
        let sha256 = Put::hash(bytes);
        let kept = self.keep(&sha256, bytes).unwrap_or_else(|error| {
            tracing::warn!("unreadable bytes are not kept: {error}");
            false
        });
        tracing::warn!(
            sha256,
            length = bytes.len(),
            kept,
            "unreadable bytes from a source"
        );
        Put {
            sha256,
            length: bytes.len() as u64,
            kept,
        }
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> std::io::Result<bool> {
        let Some(dir) = &self.dir else {
            return Ok(false);
        };
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let path = dir.join(name);
        if path.exists() {
            return Ok(true);
        }
        if std::fs::read_dir(dir)?.count() >= FILES {
            return Ok(false);
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&bytes[..bytes.len().min(BYTES)])?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_kept_once_and_room_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("q");
        let quarantine = Quarantine::new(Some(place.clone()));
        assert!(quarantine.put(b"one").kept);
        assert!(quarantine.put(b"one").kept);
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1);
        for number in 0..FILES + 5 {
            quarantine.put(format!("item {number}").as_bytes());
        }
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), FILES);
        assert!(!quarantine.put(b"too many").kept);
    }
}
