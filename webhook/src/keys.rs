//! The directory of MAC keys, followed.
//!
//! A key that cannot be read is left out, said once and counted; the others serve on. A
//! directory that is gone leaves the keys as they were: it is being replaced, and a witness
//! without a key leaves denials without testimony.

use crate::labels::{Part, ReloadResult};
use crate::metrics::Reload;
use crate::witness::Witness;
use docket_record::testimony::Keys;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Larger than any key file; what is longer is none.
const LONGEST: u64 = 4096;

type Entries = BTreeMap<String, Vec<u8>>;

/// Follows one directory.
pub struct KeyDirectory {
    path: PathBuf,
    seen: Mutex<Seen>,
    reload: Reload,
}

#[derive(Default)]
struct Seen {
    entries: Entries,
    unreadable: bool,
}

impl KeyDirectory {
    /// A directory not yet looked at.
    pub fn new(path: PathBuf, reload: Reload) -> Self {
        Self {
            path,
            seen: Mutex::default(),
            reload,
        }
    }

    /// Looks at the directory and gives the witness what has changed.
    pub fn look(&self, witness: &Witness) {
        let mut seen = crate::witness::lock(&self.seen);
        let entries = match read(&self.path) {
            Ok(entries) => entries,
            Err(error) => {
                if !std::mem::replace(&mut seen.unreadable, true) {
                    self.reload.count(Part::Keys, ReloadResult::Refused);
                    tracing::warn!(
                        directory = %self.path.display(),
                        "cannot read the MAC keys, those loaded stay in use: {error}"
                    );
                }
                return;
            }
        };
        seen.unreadable = false;
        if entries == seen.entries {
            return;
        }
        let keys = self.usable(&entries);
        match keys.newest() {
            Some(newest) => tracing::info!(newest, "MAC keys loaded"),
            None => tracing::warn!(
                directory = %self.path.display(),
                "no MAC key: reviews are allowed without testimony until there is one"
            ),
        }
        witness.keys.store(Arc::new(keys));
        self.reload.count(Part::Keys, ReloadResult::Taken);
        seen.entries = entries;
    }

    fn usable(&self, entries: &Entries) -> Keys {
        let good = entries.iter().filter(|(id, content)| {
            let read = Keys::from_entries([(id.as_str(), content)]);
            if let Err(error) = &read {
                self.reload.count(Part::Keys, ReloadResult::Refused);
                tracing::warn!(directory = %self.path.display(), "a MAC key is left out: {error}");
            }
            read.is_ok()
        });
        // Each was read by itself a moment ago.
        Keys::from_entries(good.map(|(id, content)| (id.as_str(), content))).unwrap_or_default()
    }
}

/// All files of the directory, through symlinks, but for those that begin with a dot.
fn read(path: &Path) -> io::Result<Entries> {
    let mut entries = Entries::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let about = std::fs::metadata(entry.path())?;
        if name.starts_with('.') || !about.is_file() {
            continue;
        }
        let content = if about.len() > LONGEST {
            Vec::new()
        } else {
            std::fs::read(entry.path())?
        };
        entries.insert(name, content);
    }
    Ok(entries)
}
