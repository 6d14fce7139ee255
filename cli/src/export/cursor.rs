//! What was delivered, remembered in a file: written beside and renamed, both synced, so that
//! it is whole or the one before, whenever the machine stops.

use crate::door::Ask;
use crate::failure::{Failure, could_not};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file, held for as long as this lives.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    asked: String,
    _held: File,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// Everything up to this place of the ledger is delivered.
    version: String,
    /// What was asked for: another question would leave out what it did not ask for before.
    asked: String,
}

impl Cursor {
    /// Opens it for one exporter at a time; second: the place to go on from, if it has one.
    pub fn open(path: &Path, ask: &Ask) -> Result<(Cursor, Option<String>), Failure> {
        let what = path.display();
        let lock = with(path, ".lock");
        let held = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&lock)
            .map_err(could_not(&format!("{} can't be made", lock.display())))?;
        flock(&held, FlockOperation::NonBlockingLockExclusive).map_err(could_not(&format!(
            "{what} is another exporter's; give each a cursor of its own"
        )))?;
        let asked = format!("{:?} {:?}", ask.place, ask.filters);
        let cursor = Cursor {
            path: path.to_owned(),
            asked,
            _held: held,
        };
        let kept: Kept = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok((cursor, None));
            }
            Err(error) => return Err(could_not(&format!("{what} can't be read"))(error)),
            // Starting afresh would leave out, or send twice, what nobody asked for.
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(could_not(&format!(
                "{what} is no cursor; put it right, or delete it to begin anew"
            )))?,
        };
        if kept.asked != cursor.asked {
            return Err(Failure::CouldNot(format!(
                "{what} belongs to other filters ({}); give this export a cursor of its own",
                kept.asked
            )));
        }
        Ok((cursor, Some(kept.version)))
    }

    /// Remembers a place. When this returns it is on the disk.
    pub fn keep(&self, version: &str) -> Result<(), Failure> {
        let kept = Kept {
            version: version.to_owned(),
            asked: self.asked.clone(),
        };
        let beside = with(&self.path, ".new");
        let write = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec(&kept)?)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            let directory = self
                .path
                .parent()
                .filter(|path| !path.as_os_str().is_empty());
            // The name too must be on the disk.
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(could_not(&format!(
            "{} can't be written",
            self.path.display()
        )))
    }
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::Cursor;
    use crate::door::{Ask, Place};
    use crate::failure::Failure;

    fn ask(namespace: &str) -> Ask {
        Ask {
            place: Place::Namespace(namespace.to_owned()),
            filters: Vec::new(),
        }
    }

    fn refused(opened: Result<(Cursor, Option<String>), Failure>) -> String {
        opened.map(|_| ()).unwrap_err().said()
    }

    #[test]
    fn a_cursor_remembers_one_question_for_one_exporter_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cursor");
        let (cursor, none) = Cursor::open(&path, &ask("a")).unwrap();
        assert_eq!(none, None);
        cursor.keep("5000000000007").unwrap();
        assert!(refused(Cursor::open(&path, &ask("a"))).contains("another exporter's"));
        drop(cursor);
        let (cursor, kept) = Cursor::open(&path, &ask("a")).unwrap();
        assert_eq!(kept.as_deref(), Some("5000000000007"));
        drop(cursor);
        assert!(refused(Cursor::open(&path, &ask("b"))).contains("other filters"));
        std::fs::write(&path, "{").unwrap();
        assert!(refused(Cursor::open(&path, &ask("a"))).contains("is no cursor"));
    }
}
