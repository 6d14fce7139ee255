//! The directory of MAC keys, followed: a file per key, its name the key's id.
//!
//! The webhook signs with the newest key of it and the reporter verifies with all, so
//! there is one rule for what a file is worth. Names that begin with a dot, and what is no
//! file, are skipped: kubelet keeps its own entries there. A file whose name or content is
//! out of bounds, or that cannot be read, gives no key, is named ([`KeyFileError`]) and
//! changes nothing about the others. A directory that cannot be listed leaves the keys as
//! they were: it is being replaced.

use crate::lock;
use arc_swap::ArcSwap;
use docket_record::testimony::{Keys, KeysError};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Larger than any key file, in bytes; what is longer is none.
const LONGEST: u64 = 4096;
/// [`KeyDirectory::look_soon`] reads the directory no more often.
const SOON: Duration = Duration::from_secs(1);

/// Why a file of the directory, or all of it, gives no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The directory cannot be listed; the keys stay as they were.
    #[error(
        "the MAC keys in {path} cannot be listed, those loaded stay in use: give a readable directory ({source})"
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("the MAC key file {path} cannot be read and is left out: make it readable ({source})")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its name or its content is out of bounds.
    #[error("the MAC key file {path} is left out: {source}")]
    Key {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: KeysError,
    },
}

/// What a look at the directory found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The files have changed, and the keys with them.
    pub changed: bool,
    /// Faults that were not there at the look before.
    pub new_faults: u64,
    /// Faults that are there now.
    pub faults: u64,
}

/// Names and contents, as far as they could be read.
type Entries = BTreeMap<String, Vec<u8>>;

/// One directory of keys, and the keys in it.
pub struct KeyDirectory {
    path: PathBuf,
    keys: Arc<ArcSwap<Keys>>,
    /// Held while the directory is read.
    last: Mutex<Last>,
}

/// What the last look found.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    entries: Option<Entries>,
    faults: Vec<String>,
}

impl KeyDirectory {
    /// Looks at a directory for the first time.
    ///
    /// # Errors
    /// [`KeyFileError::Directory`] if it cannot be listed. A file in it that gives no key
    /// is no error: see [`KeyDirectory::faults`].
    pub fn open(path: PathBuf) -> Result<KeyDirectory, KeyFileError> {
        let directory = KeyDirectory::new(path);
        directory.list()?;
        directory.look();
        Ok(directory)
    }

    /// A directory that was not looked at: there is no key yet.
    pub fn new(path: PathBuf) -> KeyDirectory {
        KeyDirectory {
            path,
            keys: Arc::default(),
            last: Mutex::default(),
        }
    }

    /// The keys, as each look leaves them.
    pub fn keys(&self) -> Arc<ArcSwap<Keys>> {
        Arc::clone(&self.keys)
    }

    /// What is wrong with the directory now, one sentence each.
    pub fn faults(&self) -> Vec<String> {
        self.last().faults.clone()
    }

    /// Reads the directory. Each fault is logged when it appears.
    pub fn look(&self) -> Look {
        self.look_in(&mut self.last())
    }

    /// The same, unless the last look was a moment ago: for whoever met a key that is not
    /// here. True if the keys have changed.
    pub fn look_soon(&self) -> bool {
        let mut last = self.last();
        let soon = last.at.is_some_and(|at| at.elapsed() < SOON);
        !soon && self.look_in(&mut last).changed
    }

    fn look_in(&self, last: &mut Last) -> Look {
        last.at = Some(Instant::now());
        let (found, faults) = match self.list() {
            Ok((entries, faults)) => (Some(entries), faults),
            Err(fault) => (None, vec![fault]),
        };
        let changed = found.is_some() && found != last.entries;
        let mut faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if let Some(entries) = found {
            let (keys, wrong) = self.read(&entries);
            faults.extend(wrong.iter().map(ToString::to_string));
            if changed {
                match keys.newest() {
                    Some(newest) => tracing::info!(newest, "MAC keys loaded"),
                    None => tracing::warn!(
                        directory = %self.path.display(),
                        "no MAC key: nothing is sworn to or verified until there is one"
                    ),
                }
                self.keys.store(Arc::new(keys));
                last.entries = Some(entries);
            }
        }
        let mut look = Look {
            changed,
            faults: faults.len() as u64,
            new_faults: 0,
        };
        for fault in faults.iter().filter(|fault| !last.faults.contains(fault)) {
            tracing::error!("{fault}");
            look.new_faults += 1;
        }
        last.faults = faults;
        look
    }

    /// All files that can be read, through symbolic links, and which cannot.
    fn list(&self) -> Result<(Entries, Vec<KeyFileError>), KeyFileError> {
        let directory = |source| KeyFileError::Directory {
            path: self.path.clone(),
            source,
        };
        let (mut entries, mut faults) = (Entries::new(), Vec::new());
        for entry in std::fs::read_dir(&self.path).map_err(directory)? {
            let entry = entry.map_err(directory)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            match content(&entry.path()) {
                Ok(Some(content)) => drop(entries.insert(name, content)),
                Ok(None) => {}
                Err(source) => faults.push(KeyFileError::File {
                    path: entry.path(),
                    source,
                }),
            }
        }
        Ok((entries, faults))
    }

    /// The keys of those files that hold one, and what is wrong with the others.
    fn read(&self, entries: &Entries) -> (Keys, Vec<KeyFileError>) {
        let (keys, wrong) = Keys::read(entries.iter().map(|(id, content)| (id.as_str(), content)));
        let fault = |source: KeysError| KeyFileError::Key {
            path: self.path.join(source.id()),
            source,
        };
        (keys, wrong.into_iter().map(fault).collect())
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        lock(&self.last)
    }
}

/// What a file holds; nothing of one that is longer than any key. `None`: no file.
fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Ok(None);
    }
    if about.len() > LONGEST {
        return Ok(Some(Vec::new()));
    }
    std::fs::read(path).map(Some)
}

#[cfg(test)]
mod tests;
