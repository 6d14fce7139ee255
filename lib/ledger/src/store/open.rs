//! Opening: what the file is, and whether its head agrees with its rows.

use super::{Options, Store, StoreError};
use crate::entry::Leaf;
use crate::head::Head;
use crate::note::Signer;
use crate::row::to_i64;
use crate::schema::{FileKind, file_kind};
use crate::state::{StateDigest, for_each_state};
use crate::tree::{Tree, leaf_hash};
use crate::{file, schema, view};
use rusqlite::{Connection, OpenFlags, params};
use std::path::Path;
use std::time::Duration;

impl Store {
    /// Open or create.
    ///
    /// # Errors
    /// If another process holds it, the file system is a network one, the file is not a
    /// ledger, or its head does not agree with its rows.
    pub fn open(path: &Path, options: Options) -> Result<Store, StoreError> {
        let Options {
            origin,
            signing_seed,
            random,
        } = options;
        let signer = Signer::new(&origin, &signing_seed).map_err(StoreError::Key)?;
        let lock = file::lock(path)?;
        file::create(path)?;
        let connection = open_writable(path)?;
        match file_kind(&connection)? {
            FileKind::Empty => create(&connection, &origin, &signer)?,
            FileKind::Ours => {}
        }
        let meta = schema::meta(&connection)?;
        if meta.get("origin") != Some(&origin) {
            return Err(StoreError::OtherOrigin(
                meta.get("origin").cloned().unwrap_or_default(),
            ));
        }
        if meta.get("verifier_key") != Some(&signer.verifier_key()) {
            return Err(StoreError::OtherKey);
        }
        let differences = schema::differences(&connection)?;
        if !differences.is_empty() {
            return Err(StoreError::Schema(differences.join(", ")));
        }
        let mut state = StateDigest::default();
        for_each_state(&connection, |key, value| _ = state.set(key, Some(value)))?;
        let meta = schema::meta_hash(&meta);
        let head = Head::read(&connection)?;
        let tree = head
            .check(&signer, meta, state.hash())
            .map_err(StoreError::Damaged)?;
        let last_recorded_at = check_last_rows(&connection, &tree)?;
        let sieve = view::sieve(&connection, to_i64(tree.size()))?;
        let Head {
            checkpoint,
            store_head,
            ..
        } = head;
        Ok(Store {
            connection,
            signer,
            random,
            tree,
            sieve,
            meta,
            state,
            checkpoint,
            store_head,
            last_recorded_at,
            poisoned: false,
            _lock: lock,
        })
    }
}

pub(super) fn open_writable(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Before anything is written: is it ours at all?
    if let FileKind::Empty = file_kind(&connection)? {
        connection.execute_batch("PRAGMA page_size = 8192")?;
    }
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; \
         PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000; \
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
    )?;
    Ok(connection)
}

fn create(connection: &Connection, origin: &str, signer: &Signer) -> Result<(), StoreError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    schema::create_all(connection)?;
    let format = schema::FORMAT.to_string();
    let key = signer.verifier_key();
    for (name, value) in [
        ("format", format.as_str()),
        ("origin", origin),
        ("verifier_key", key.as_str()),
    ] {
        connection.execute("INSERT INTO meta VALUES (?1, ?2)", [name, value])?;
    }
    let meta = schema::meta_hash(&schema::meta(connection)?);
    let tree = Tree::default();
    let store_head = signer.store_head(0, tree.root(), meta, StateDigest::default().hash());
    connection.execute(
        "INSERT INTO head VALUES (0, 0, ?1, ?2, ?3)",
        params![
            tree.edge_bytes(),
            signer.checkpoint(0, tree.root()),
            store_head
        ],
    )?;
    connection.execute_batch(&format!(
        "PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT",
        schema::APPLICATION_ID,
        schema::FORMAT
    ))?;
    Ok(())
}

/// The last rows must be those of the head. Cheap: at most one tile of entries; the rest
/// is for `verify`. Returns when the last entry was recorded.
fn check_last_rows(connection: &Connection, tree: &Tree) -> Result<i64, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(what.to_owned());
    let size = to_i64(tree.size());
    for table in ["entry", "record"] {
        let sql = format!("SELECT coalesce(max(position) + 1, 0) FROM {table}");
        let rows: i64 = connection.query_row(&sql, (), |row| row.get(0))?;
        if rows != size {
            return Err(StoreError::Damaged(format!(
                "the head says {size} entries, table {table} ends at {rows}"
            )));
        }
    }
    let edge = tree.partial(0).unwrap_or_default();
    let first = size - to_i64(edge.len() as u64);
    let sql = "SELECT leaf FROM entry WHERE position >= ?1 ORDER BY position";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([first.min((size - 1).max(0))])?;
    let mut leaves = Vec::new();
    while let Some(row) = rows.next()? {
        leaves.push(row.get::<_, Vec<u8>>(0)?);
    }
    if !edge.is_empty()
        && !edge
            .iter()
            .copied()
            .eq(leaves.iter().map(|leaf| leaf_hash(leaf)))
    {
        return Err(damaged("the last entries are not those of the right edge"));
    }
    match leaves.last() {
        None => Ok(i64::MIN),
        Some(leaf) => Leaf::parse(leaf)
            .map(|leaf| leaf.recorded_at)
            .ok_or_else(|| damaged("the last leaf can't be read")),
    }
}
