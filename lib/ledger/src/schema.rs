//! The tables, and what makes a file one of ours.

use crate::entry::{Hash, sha256};
use crate::error::StoreError;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// `PRAGMA application_id`: "Dckt".
pub(crate) const APPLICATION_ID: i64 = 0x4463_6b74;

/// `PRAGMA user_version`, and the `format` row of `meta`.
pub(crate) const FORMAT: i64 = 1;

/// A table of the store, with its indices.
pub(crate) struct Table {
    pub name: &'static str,
    /// All columns, the key first.
    pub columns: &'static [&'static str],
    /// How many of the columns are the key; all of them are integers.
    pub key: usize,
    /// The statements as SQLite keeps them.
    pub ddl: &'static [&'static str],
}

/// What is signed or hashed: the record itself.
const LEDGER: [&str; 5] = [
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE entry (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL, \
     public_salt BLOB, public BLOB, personal_salt BLOB, personal BLOB, \
     exhibit_salt BLOB, exhibit BLOB) STRICT",
    "CREATE TABLE tile (level INTEGER, idx INTEGER, hashes BLOB NOT NULL, \
     PRIMARY KEY (level, idx)) STRICT",
    "CREATE TABLE head (id INTEGER PRIMARY KEY CHECK (id = 0), size INTEGER NOT NULL, \
     edge BLOB NOT NULL, checkpoint TEXT NOT NULL, store_head TEXT NOT NULL) STRICT",
    "CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID",
];

pub(crate) const RECORD: Table = Table {
    name: "record",
    columns: &[
        "position",
        "id",
        "class",
        "time",
        "recorded_at",
        "namespace",
        "verdict",
        "operation",
        "kind",
        "name",
        "repository",
        "org",
        "surface",
        "actor",
        "dry_run",
        "series",
        "imported",
    ],
    key: 1,
    ddl: &[
        "CREATE TABLE record (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, \
         class INTEGER NOT NULL, time INTEGER NOT NULL, recorded_at INTEGER NOT NULL, \
         namespace TEXT NOT NULL, verdict TEXT, operation TEXT, kind TEXT, name TEXT, \
         repository TEXT, org TEXT, surface TEXT, actor TEXT, dry_run INTEGER, \
         series INTEGER, imported INTEGER NOT NULL) STRICT",
        "CREATE INDEX record_time ON record (time)",
        // With what tells the tenants of a shared namespace apart.
        "CREATE INDEX record_namespace ON record (namespace, time, org)",
        "CREATE INDEX record_kind ON record (kind, time)",
        "CREATE INDEX record_name ON record (name, time)",
        "CREATE INDEX record_actor ON record (actor, time, imported)",
        "CREATE INDEX record_repository ON record (repository, time) \
         WHERE repository IS NOT NULL",
        "CREATE INDEX record_place ON record (namespace, repository, time) \
         WHERE repository IS NOT NULL",
        "CREATE INDEX record_other ON record (time) WHERE class <> 1",
    ],
};

pub(crate) const ATTRIBUTION: Table = Table {
    name: "attribution",
    columns: &[
        "position",
        "n",
        "time",
        "namespace",
        "enforcer",
        "policy",
        "rule",
    ],
    key: 2,
    ddl: &[
        "CREATE TABLE attribution (position INTEGER, n INTEGER, time INTEGER NOT NULL, \
         namespace TEXT NOT NULL, enforcer TEXT NOT NULL, policy TEXT, rule TEXT, \
         PRIMARY KEY (position, n)) STRICT, WITHOUT ROWID",
        "CREATE INDEX attribution_policy ON attribution (policy, time) WHERE policy IS NOT NULL",
        "CREATE INDEX attribution_namespace ON attribution (namespace, policy, time) \
         WHERE policy IS NOT NULL",
        "CREATE INDEX attribution_rule ON attribution (rule, time) WHERE rule IS NOT NULL",
    ],
};

pub(crate) const SERIES: Table = Table {
    name: "series",
    columns: &[
        "id",
        "namespace",
        "enforcer",
        "policy",
        "rule",
        "kind",
        "operation",
        "repository",
        "count",
        "first_time",
        "last_time",
    ],
    key: 1,
    ddl: &[
        "CREATE TABLE series (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, \
         enforcer TEXT NOT NULL, policy TEXT NOT NULL, rule TEXT NOT NULL, kind TEXT NOT NULL, \
         operation TEXT NOT NULL, repository TEXT NOT NULL, count INTEGER NOT NULL, \
         first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, \
         UNIQUE (namespace, enforcer, policy, rule, kind, operation, repository)) STRICT",
        "CREATE INDEX series_count ON series (count)",
    ],
};

pub(crate) const GAP: Table = Table {
    name: "gap",
    columns: &[
        "position",
        "from_time",
        "to_time",
        "source",
        "cause",
        "closed_by",
    ],
    key: 1,
    ddl: &[
        "CREATE TABLE gap (position INTEGER PRIMARY KEY, from_time INTEGER, to_time INTEGER, \
            source TEXT NOT NULL, cause TEXT NOT NULL, closed_by INTEGER) STRICT",
    ],
};

pub(crate) const AMENDMENT: Table = Table {
    name: "amendment",
    columns: &["position", "amends", "kind"],
    key: 1,
    ddl: &[
        "CREATE TABLE amendment (position INTEGER PRIMARY KEY, amends TEXT NOT NULL, \
         kind TEXT NOT NULL) STRICT",
        "CREATE INDEX amendment_amends ON amendment (amends)",
        "CREATE INDEX amendment_through ON amendment (position) WHERE kind = 'others-through'",
    ],
};

pub(crate) const LAW: Table = Table {
    name: "law",
    columns: &[
        "position",
        "time",
        "api_group",
        "kind",
        "namespace",
        "name",
        "hash",
        "change",
    ],
    key: 1,
    ddl: &[
        "CREATE TABLE law (position INTEGER PRIMARY KEY, time INTEGER NOT NULL, \
         api_group TEXT NOT NULL, kind TEXT NOT NULL, namespace TEXT NOT NULL, \
         name TEXT NOT NULL, hash TEXT NOT NULL, change TEXT NOT NULL) STRICT",
        "CREATE INDEX law_place ON law (name, kind, api_group, namespace, time)",
        "CREATE INDEX law_time ON law (time)",
    ],
};

pub(crate) const OUTCOME: Table = Table {
    name: "outcome",
    columns: &[
        "position",
        "n",
        "denial",
        "series",
        "time",
        "written_by",
        "first_time",
        "last_time",
        "count",
    ],
    key: 2,
    ddl: &[
        "CREATE TABLE outcome (position INTEGER, n INTEGER, denial TEXT, \
         series INTEGER NOT NULL, time INTEGER NOT NULL, written_by TEXT NOT NULL, \
         first_time INTEGER NOT NULL, last_time INTEGER NOT NULL, count INTEGER NOT NULL, \
         PRIMARY KEY (position, n)) STRICT, WITHOUT ROWID",
        "CREATE INDEX outcome_denial ON outcome (denial) WHERE denial IS NOT NULL",
        "CREATE INDEX outcome_others ON outcome (last_time) WHERE denial IS NULL",
    ],
};

pub(crate) const WORDS: Table = Table {
    name: "words",
    columns: &["tile", "sieve"],
    key: 1,
    ddl: &["CREATE TABLE words (tile INTEGER PRIMARY KEY, sieve BLOB NOT NULL) STRICT"],
};

/// What can be rebuilt from the entries.
pub(crate) const VIEW: [&Table; 8] = [
    &RECORD,
    &ATTRIBUTION,
    &SERIES,
    &GAP,
    &AMENDMENT,
    &LAW,
    &OUTCOME,
    &WORDS,
];

/// All statements of a new store.
pub(crate) fn create_all(connection: &Connection) -> rusqlite::Result<()> {
    for statement in LEDGER {
        connection.execute_batch(statement)?;
    }
    create_view(connection)
}

pub(crate) fn create_view(connection: &Connection) -> rusqlite::Result<()> {
    for statement in VIEW.iter().flat_map(|table| table.ddl) {
        connection.execute_batch(statement)?;
    }
    Ok(())
}

/// Tables, indices, triggers and views of a file: (type, name) → (table, SQL).
type Objects = BTreeMap<(String, String), (String, Option<String>)>;

fn objects(connection: &Connection) -> rusqlite::Result<Objects> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let rows = statement.query_map((), |row| {
        Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))
    })?;
    rows.collect()
}

/// How the schema of a file differs from ours, one sentence each; empty if it does not.
pub(crate) fn differences(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let ours = Connection::open_in_memory()?;
    create_all(&ours)?;
    let (ours, theirs) = (objects(&ours)?, objects(connection)?);
    let mut differences = Vec::new();
    for ((kind, name), object) in &ours {
        match theirs.get(&(kind.clone(), name.clone())) {
            None => differences.push(format!("{kind} {name} is missing")),
            Some(there) if there != object => {
                differences.push(format!("{kind} {name} is not defined as it should be"));
            }
            Some(_) => {}
        }
    }
    for (kind, name) in theirs.keys() {
        if !ours.contains_key(&(kind.clone(), name.clone())) {
            differences.push(format!("{kind} {name} does not belong here"));
        }
    }
    Ok(differences)
}

/// The rows of `meta`.
pub(crate) fn meta(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT key, value FROM meta")?;
    statement
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Hash over `meta`, in the order of its keys; a part of the store head.
pub(crate) fn meta_hash(meta: &BTreeMap<String, String>) -> Hash {
    let mut bytes = Vec::new();
    for text in meta.iter().flat_map(|(key, value)| [key, value]) {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    sha256(&[&bytes])
}

/// One integer pragma.
pub(crate) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0))
}

/// What a file is.
pub(crate) enum FileKind {
    /// Nothing in it yet.
    Empty,
    /// A ledger that this version can read.
    Ours,
}

/// What a file is; nothing is written.
pub(crate) fn file_kind(connection: &Connection) -> Result<FileKind, StoreError> {
    let application = pragma(connection, "application_id")?;
    let version = pragma(connection, "user_version")?;
    if application == 0 && version == 0 {
        let sql = "SELECT count(*) FROM sqlite_schema";
        let objects: i64 = connection.query_row(sql, (), |row| row.get(0))?;
        return if objects == 0 {
            Ok(FileKind::Empty)
        } else {
            Err(StoreError::NotALedger)
        };
    }
    match version {
        _ if application != APPLICATION_ID => Err(StoreError::NotALedger),
        FORMAT => Ok(FileKind::Ours),
        newer if newer > FORMAT => Err(StoreError::Newer(newer)),
        _ => Err(StoreError::NotALedger),
    }
}
