//! Everything recomputed from the entries and compared with what the store says.
//!
//! Nothing here trusts an index, a count, a stored hash or the view. What is found is
//! said with its place; damage of the file itself is a finding too, never a failure.

mod cursor;
mod entries;

use crate::entry::{Class, Hash};
use crate::error::StoreError;
use crate::file::with_suffix;
use crate::head::Head;
use crate::note::{NoteError, StoreHead, Verifier, has_one_signature};
use crate::schema;
use crate::state::StateDigest;
use crate::state::for_each_state;
use crate::tree::Tree;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::fmt::{self, Display, Formatter};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use crate::entry::{Leaf, bundle_leaves, commitment};
pub use crate::note::{Checkpoint, check_note};
pub use crate::tree::{leaf_hash, root_from_leaf_hashes};

/// Findings kept; beyond, they are only counted.
const FINDINGS_KEPT: usize = 1000;

/// What is known from elsewhere.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The log's public key. Without it the key that the store itself names is used, and
    /// a store that was written anew from the first entry on is not noticed.
    pub verifier_key: Option<String>,
    /// A checkpoint seen before. Without one, an older copy is not noticed.
    pub known_checkpoint: Option<String>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: `entry 17`, `record 17`, `tile 0/3`, `head`, `state`, `file` …
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.what)
    }
}

/// The outcome: intact if there are no findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Origin that the store names.
    pub origin: String,
    /// Verifier key that the store names.
    pub verifier_key: String,
    /// Entries read.
    pub size: u64,
    /// Root recomputed over them.
    pub root: Hash,
    /// How many of each class; classes without entries are left out.
    pub entries: Vec<(Class, u64)>,
    /// Parts that are there and were compared with their commitments.
    pub parts_present: u64,
    /// Parts that no entry ever had.
    pub parts_absent: u64,
    /// Parts that are gone, as erasure entries say.
    pub parts_erased: u64,
    /// What does not hold.
    pub findings: Vec<Finding>,
    /// How many more findings there are than are listed.
    pub more_findings: u64,
}

impl Report {
    /// True if nothing was found.
    #[must_use]
    pub fn intact(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, place: impl Into<String>, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(Finding {
                place: place.into(),
                what: what.into(),
            });
        } else {
            self.more_findings += 1;
        }
    }

    /// The value, or a finding if the file is damaged there.
    fn read<T>(
        &mut self,
        place: &str,
        result: rusqlite::Result<T>,
    ) -> Result<Option<T>, VerifyError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_damage(&error) => {
                self.find(place, error.to_string());
                Ok(None)
            }
            Err(error) => Err(VerifyError::Sqlite(error)),
        }
    }
}

/// Why it could not be checked. Says nothing about the store's integrity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The file can't be read.
    #[error("{} can't be read", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// SQLite could not read it, for a reason other than what is in the file.
    #[error("the store could not be read")]
    Sqlite(#[source] rusqlite::Error),
    /// Written by a later version.
    #[error("the store has format {0}, newer than this program knows; use a newer docket")]
    Newer(i64),
    /// The key given is malformed.
    #[error("the verifier key given can't be used")]
    Key(#[source] NoteError),
    /// The checkpoint given does not stand on its own.
    #[error("the checkpoint given can't be used")]
    Checkpoint(#[source] NoteError),
    /// A reporter opened the store meanwhile.
    #[error("the store was opened by a reporter while it was read; run it again")]
    Changed,
}

/// Recompute everything. The file is not modified.
///
/// # Errors
/// If it could not be checked; damage and tampering are findings of the report.
pub fn verify(path: &Path, options: &VerifyOptions) -> Result<Report, VerifyError> {
    let given = options
        .verifier_key
        .as_deref()
        .map(Verifier::parse)
        .transpose();
    let given = given.map_err(VerifyError::Key)?;
    let stamp = || stamp(path).map_err(|error| VerifyError::Io(path.into(), error));
    let before = stamp()?;
    // A log beside the file is read with it, through shared memory like any reader does.
    // Without one, immutable keeps SQLite from making files next to evidence.
    let alone = !with_suffix(path, "-wal").exists();
    let mut report = Report::default();
    if let Some(connection) = report.read("file", open(path, alone))? {
        check(&connection, given, options, &mut report)?;
    }
    if alone && (stamp()? != before || with_suffix(path, "-wal").exists()) {
        return Err(VerifyError::Changed);
    }
    Ok(report)
}

fn stamp(path: &Path) -> io::Result<(u64, SystemTime)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.len(), metadata.modified()?))
}

fn open(path: &Path, alone: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if alone {
        let mut uri = String::from("file:");
        for byte in path.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                    uri.push(char::from(*byte));
                }
                other => uri += &format!("%{other:02x}"),
            }
        }
        uri += "?immutable=1";
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // One transaction: all that follows sees one state of a store that is being written.
    connection.execute_batch(
        "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
         PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; BEGIN",
    )?;
    Ok(connection)
}

fn check(
    connection: &Connection,
    given: Option<Verifier>,
    options: &VerifyOptions,
    report: &mut Report,
) -> Result<(), VerifyError> {
    let meta = report
        .read("meta", schema::meta(connection))?
        .unwrap_or_default();
    let format = meta.get("format").map(String::as_str).unwrap_or_default();
    let version = report.read("file", schema::pragma(connection, "user_version"))?;
    // Only where the whole file agrees that it is newer: one of the two is a change.
    if let Some(newer) = version.filter(|version| *version > schema::FORMAT)
        && format == newer.to_string()
    {
        return Err(VerifyError::Newer(newer));
    }
    if format != schema::FORMAT.to_string() {
        report.find("meta", "the format is missing or not one of ours");
    }
    let file = check_file(connection, report);
    report.read("file", file)?;
    let differences = report.read("schema", schema::differences(connection))?;
    for difference in differences.unwrap_or_default() {
        report.find("schema", difference);
    }
    report.origin = meta.get("origin").cloned().unwrap_or_default();
    report.verifier_key = meta.get("verifier_key").cloned().unwrap_or_default();
    let has_key = given.is_some();
    let verifier = match given {
        Some(given) => {
            if options.verifier_key.as_deref().map(str::trim) != Some(&report.verifier_key) {
                report.find("meta", "the verifier key is not the one given");
            }
            Some(given)
        }
        None => match Verifier::parse(&report.verifier_key) {
            Ok(own) => Some(own),
            Err(error) => {
                report.find("meta", error.to_string());
                None
            }
        },
    };
    if verifier
        .as_ref()
        .is_some_and(|verifier| verifier.origin() != report.origin)
    {
        report.find("meta", "the origin is not that of the verifier key");
    }
    let known = match (&options.known_checkpoint, &verifier) {
        (Some(note), Some(verifier)) => match verifier.checkpoint(note) {
            Ok(known) => Some(known),
            Err(error) if has_key => return Err(VerifyError::Checkpoint(error)),
            Err(error) => {
                report.find(
                    "checkpoint",
                    format!("the known checkpoint does not fit: {error}"),
                );
                None
            }
        },
        _ => None,
    };
    let mut state = StateDigest::default();
    let states = for_each_state(connection, |key, value| _ = state.set(key, Some(value)));
    report.read("state", states)?;
    let tree = entries::check(connection, known.as_ref(), report)?;
    if let Some(known) = known.filter(|known| known.size > tree.size()) {
        let (size, known) = (tree.size(), known.size);
        let what = format!("an older copy: it has {size} entries, the known checkpoint {known}");
        report.find("checkpoint", what);
    }
    let head = match Head::read(connection) {
        Ok(head) => Some(head),
        Err(StoreError::Sqlite(error)) => report.read("head", Err(error))?,
        Err(other) => {
            report.find("head", other.to_string());
            None
        }
    };
    let others = "SELECT count(*) FROM head WHERE id <> 0";
    if report.read("head", connection.query_row(others, (), |row| row.get(0)))? != Some(0) {
        report.find("head", "there is more than one row");
    }
    if let (Some(head), Some(verifier)) = (head, verifier) {
        let (meta, state) = (schema::meta_hash(&meta), state.hash());
        check_head(&head, &verifier, &tree, meta, state, report);
    }
    Ok(())
}

fn check_file(connection: &Connection, report: &mut Report) -> rusqlite::Result<()> {
    for (name, expected) in [
        ("application_id", schema::APPLICATION_ID),
        ("user_version", schema::FORMAT),
    ] {
        let found = schema::pragma(connection, name)?;
        if found != expected {
            report.find(
                "file",
                format!("{name} is {found} and should be {expected}"),
            );
        }
    }
    let encoding: String = connection.query_row("PRAGMA encoding", (), |row| row.get(0))?;
    if encoding != "UTF-8" {
        report.find(
            "file",
            format!("the text encoding is {encoding} and should be UTF-8"),
        );
    }
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let line = row.get_ref(0)?.as_bytes()?;
        if line != b"ok" {
            report.find("file", String::from_utf8_lossy(line));
        }
    }
    Ok(())
}

fn check_head(
    head: &Head,
    verifier: &Verifier,
    tree: &Tree,
    meta: Hash,
    state: Hash,
    report: &mut Report,
) {
    if u64::try_from(head.size) != Ok(tree.size()) {
        let (said, size) = (head.size, tree.size());
        report.find("head", format!("it says {said} entries, there are {size}"));
    }
    if head.edge != tree.edge_bytes() {
        report.find("head", "the right edge is not that of the entries");
    }
    let Checkpoint { size, root, .. } = match verifier.checkpoint(&head.checkpoint) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return report.find("checkpoint", error.to_string()),
    };
    if (size, root) != (tree.size(), tree.root()) {
        report.find("checkpoint", "size or root are not those of the entries");
    }
    if !has_one_signature(&head.checkpoint) || !has_one_signature(&head.store_head) {
        report.find(
            "head",
            "a note carries a signature that does not belong there",
        );
    }
    let origin = verifier.origin().to_owned();
    let checkpoint = Checkpoint {
        origin,
        size: tree.size(),
        root: tree.root(),
    };
    match verifier.is_store_head(
        &head.store_head,
        &StoreHead {
            checkpoint,
            meta,
            state,
        },
    ) {
        Ok(true) => {}
        Ok(false) => report.find(
            "store head",
            "it was signed over other entries, meta or state",
        ),
        Err(error) => report.find("store head", error.to_string()),
    }
}

/// True if the error says that the content of the file is not what it should be; false if
/// it says that the file could not be got at.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error() {
        None => true,
        Some(error) if error.extended_code == ffi::SQLITE_IOERR_SHORT_READ => true,
        Some(error) => !matches!(
            error.code,
            ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::OperationInterrupted
                | ErrorCode::OutOfMemory
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
        ),
    }
}
