//! The writer. One process holds a store; one transaction a batch.

use crate::entry::{Hash, Leaf, NO_PART, NewEntry, Part, commitment};
use crate::note::{NoteError, Signer};
use crate::place::{self, Held};
use crate::state::{StateDigest, Undo};
use crate::tree::{Tree, leaf_hash};
use crate::view::{self, ViewWriter};
use crate::{fold, schema};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What one transaction does: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Entries in order; those whose id is already in the ledger are skipped.
    pub entries: Vec<NewEntry>,
    /// Working state that must not part from the entries (source positions, numbers
    /// seen, publication cursors): key, and value or `None` to delete. Not in the tree,
    /// but covered by the signed head.
    pub state: Vec<(String, Option<Vec<u8>>)>,
}

/// One for each entry of a batch: where it stands, or (`Err`) where one of the same id
/// stood before.
pub type Positions = Vec<Result<u64, u64>>;

/// Where a batch landed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// For each entry of the batch its position; `Err` holds the position of the
    /// entry that was there before under the same id.
    pub positions: Positions,
    /// Tree size afterwards.
    pub size: u64,
}

/// Fills a buffer with randomness.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// Outside inputs of the store.
pub struct Options {
    /// Origin line of checkpoints, such as `docket.a5c.ai/<cluster>`.
    pub origin: String,
    /// Ed25519 seed (32 bytes).
    pub signing_seed: [u8; 32],
    /// Fills a buffer with randomness for salts; seeded in tests.
    pub random: Random,
}

/// The one writer of a ledger.
pub struct Store {
    connection: Connection,
    signer: Signer,
    random: Random,
    tree: Tree,
    meta: Hash,
    state: StateDigest,
    checkpoint: String,
    store_head: String,
    last_recorded_at: i64,
    poisoned: bool,
    _held: Held,
}

/// Why the store could not do it. After a commit whose outcome is not known the store is
/// poisoned: every later call fails until it is opened again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds it.
    #[error("the store is held by another process; stop that reporter first")]
    Held,
    /// Locks and shared memory do not hold there.
    #[error("the store lies on a network file system ({0}); move it to a local disk")]
    NetworkFileSystem(&'static str),
    /// Some other file.
    #[error("the file is not a ledger; give the path of one, or of a file that does not exist")]
    NotALedger,
    /// Written by a later version.
    #[error("the store has format {0}, newer than this program knows; use a newer docket")]
    Newer(i64),
    /// Written under another name.
    #[error("the store was written as origin {0}; give that origin, or a new store")]
    OtherOrigin(String),
    /// The signing key is not the one that the store began with.
    #[error(
        "the signing key is not the one of this store; give the old key: a lost one can't be \
         replaced and needs a new store with a new origin"
    )]
    OtherKey,
    /// The origin or the key can't be used.
    #[error("the origin or the signing key can't be used")]
    Key(#[source] NoteError),
    /// Head and rows do not agree.
    #[error("the store is damaged: {0}; run docket verify")]
    Damaged(String),
    /// Tables or indices are not those of this version.
    #[error("the store's tables are not as expected: {0}; run docket verify, then docket reindex")]
    Schema(String),
    /// No space left; nothing of the batch is stored, and the store goes on working.
    #[error("no space is left for the store; free some, then try again")]
    Full,
    /// A public part without the entry's id.
    #[error("the public part of entry {0} of the batch is not a JSON object with its id")]
    Entry(usize),
    /// Another process wrote, past the lock.
    #[error("the head of the store was moved by another process; open it again")]
    Fenced,
    /// A commit failed before, and what is on disk is not known.
    #[error("an earlier commit failed; open the store again")]
    Poisoned,
    /// A file operation beside SQLite failed.
    #[error("{} could not be used", .0.display())]
    Io(PathBuf, #[source] std::io::Error),
    /// SQLite said no.
    #[error("the store could not be read or written")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        let Some(code) = error.sqlite_error() else {
            return StoreError::Sqlite(error);
        };
        match (code.code, code.extended_code) {
            // The second is how a full disk shows when the WAL index has to grow.
            (ErrorCode::DiskFull, _) | (_, rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
            (ErrorCode::NotADatabase, _) => StoreError::NotALedger,
            _ => StoreError::Sqlite(error),
        }
    }
}

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
        let held = place::hold(path)?;
        place::create(path)?;
        let connection = open_writable(path)?;
        match kind(&connection)? {
            Kind::Empty => create(&connection, &origin, &signer)?,
            Kind::Ours => {}
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
            meta,
            state,
            checkpoint,
            store_head,
            last_recorded_at,
            poisoned: false,
            _held: held,
        })
    }

    /// Append one batch durably: when this returns, a crash loses none of it. The time
    /// in the leaf never runs backwards: if the clock does, the last time is used again.
    ///
    /// # Errors
    /// Nothing of the batch was stored.
    pub fn append(
        &mut self,
        batch: &Batch,
        recorded_at: Timestamp,
    ) -> Result<Appended, StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let recorded_at = recorded_at.as_microsecond().max(self.last_recorded_at);
        let mut undo = Vec::new();
        let done = self.write(batch, recorded_at, &mut undo);
        if done.is_err() {
            self.state.restore(undo);
        }
        // Still open: it failed before the commit, or there was nothing to write.
        if !self.connection.is_autocommit() && self.connection.execute_batch("ROLLBACK").is_err() {
            self.poisoned = true;
        }
        let (positions, written) = done?;
        if let Some(Written {
            tree,
            checkpoint,
            store_head,
        }) = written
        {
            if tree.size() > self.tree.size() {
                self.last_recorded_at = recorded_at;
            }
            (self.tree, self.checkpoint, self.store_head) = (tree, checkpoint, store_head);
        }
        Ok(Appended {
            positions,
            size: self.tree.size(),
        })
    }

    fn write(
        &mut self,
        batch: &Batch,
        recorded_at: i64,
        undo: &mut Vec<Undo>,
    ) -> Result<(Positions, Option<Written>), StoreError> {
        let Store {
            connection, random, ..
        } = self;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut tree = self.tree.clone();
        let mut view = ViewWriter::new(connection);
        let mut positions = Vec::with_capacity(batch.entries.len());
        for (index, entry) in batch.entries.iter().enumerate() {
            if fold::id(&entry.public).as_deref() != Some(&entry.id) {
                return Err(StoreError::Entry(index));
            }
            if let Some(before) = position_of(connection, &entry.id)? {
                positions.push(Err(before));
                continue;
            }
            let position = tree.size();
            let row = to_i64(position);
            let (public, personal, exhibit) = (
                Sealed::new(random, Part::Public, Some(&entry.public)),
                Sealed::new(random, Part::Personal, entry.personal.as_deref()),
                Sealed::new(random, Part::Exhibit, entry.exhibit.as_deref()),
            );
            let leaf = Leaf {
                class: entry.class,
                recorded_at,
                public: public.commitment,
                personal: personal.commitment,
                exhibit: exhibit.commitment,
            };
            let bytes = leaf.to_bytes();
            connection
                .prepare_cached("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    row,
                    bytes,
                    public.salt,
                    public.bytes,
                    personal.salt,
                    personal.bytes,
                    exhibit.salt,
                    exhibit.bytes
                ])?;
            view.add(&fold::fold(
                row,
                &leaf,
                Some(&entry.public),
                entry.personal.as_deref(),
            ))?;
            let mut tiles = Ok(());
            tree.push(leaf_hash(&bytes), |level, index, hashes| {
                if tiles.is_ok() {
                    tiles = insert_tile(connection, level, index, hashes);
                }
            });
            tiles?;
            positions.push(Ok(position));
        }
        view.finish()?;
        for (key, value) in &batch.state {
            undo.push(self.state.set(key, value.as_deref()));
            set_state(connection, key, value.as_deref())?;
        }
        let grown = tree.size() > self.tree.size();
        if !grown && batch.state.is_empty() {
            return Ok((positions, None));
        }
        let (size, root) = (tree.size(), tree.root());
        let checkpoint = if grown {
            self.signer.checkpoint(size, root)
        } else {
            self.checkpoint.clone()
        };
        let store_head = self
            .signer
            .store_head(size, root, self.meta, self.state.hash());
        let sql = "UPDATE head SET size = ?1, edge = ?2, checkpoint = ?3, store_head = ?4 \
                   WHERE id = 0 AND size = ?5 AND store_head = ?6";
        let (before, edge) = (to_i64(self.tree.size()), tree.edge_bytes());
        let moved = connection.prepare_cached(sql)?.execute(params![
            to_i64(size),
            edge,
            checkpoint,
            store_head,
            before,
            self.store_head
        ])?;
        if moved != 1 {
            self.poisoned = true;
            return Err(StoreError::Fenced);
        }
        if let Err(error) = connection.execute_batch("COMMIT") {
            let error = StoreError::from(error);
            // A full disk is known to have stored nothing: the commit frame is the last
            // to be written. After any other failure (a sync above all) the pages may or
            // may not be on disk.
            self.poisoned = !matches!(error, StoreError::Full);
            return Err(error);
        }
        Ok((
            positions,
            Some(Written {
                tree,
                checkpoint,
                store_head,
            }),
        ))
    }

    /// One state value.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn state(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM state WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    /// All state values whose key starts with `prefix`, by key.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn states(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM state WHERE key >= ?1 ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([prefix])?;
        let mut states = Vec::new();
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            if !key.starts_with(prefix) {
                break;
            }
            states.push((key, row.get(1)?));
        }
        Ok(states)
    }

    /// The signed checkpoint of the present tree.
    #[must_use]
    pub fn checkpoint(&self) -> String {
        self.checkpoint.clone()
    }

    /// Public key as a C2SP note verifier key, `<origin>+<hash>+<base64>`.
    #[must_use]
    pub fn verifier_key(&self) -> String {
        self.signer.verifier_key()
    }

    /// Tree size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Let the file grow to at most this many pages of 8 KiB; beyond, appending fails with
    /// [`StoreError::Full`]. Holds until the store is opened again.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        let sql = format!("PRAGMA max_page_count = {pages}");
        self.connection.query_row(&sql, (), |_| Ok(()))?;
        Ok(())
    }
}

/// What a committed batch changes in memory.
struct Written {
    tree: Tree,
    checkpoint: String,
    store_head: String,
}

/// A part with its salt.
struct Sealed<'a> {
    salt: Option<[u8; 32]>,
    bytes: Option<&'a [u8]>,
    commitment: Hash,
}

impl<'a> Sealed<'a> {
    fn new(random: &mut dyn FnMut(&mut [u8]), part: Part, bytes: Option<&'a [u8]>) -> Sealed<'a> {
        let Some(bytes) = bytes else {
            return Sealed {
                salt: None,
                bytes: None,
                commitment: NO_PART,
            };
        };
        let mut salt = [0; 32];
        random(&mut salt);
        let commitment = commitment(part, &salt, bytes);
        Sealed {
            salt: Some(salt),
            bytes: Some(bytes),
            commitment,
        }
    }
}

/// Rebuild the view from the entries, in one transaction. Needs no key: the view is not
/// signed, it is whatever the entries say. Returns how many entries there are.
///
/// # Errors
/// If a process holds the store, it is not a ledger, or an entry can't be read.
pub fn reindex(path: &Path) -> Result<u64, StoreError> {
    if !path.exists() {
        return Err(StoreError::Io(
            path.into(),
            std::io::ErrorKind::NotFound.into(),
        ));
    }
    let _held = place::hold(path)?;
    let connection = open_writable(path)?;
    if matches!(kind(&connection)?, Kind::Empty) {
        return Err(StoreError::NotALedger);
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let count = view::rebuild(&connection)?;
    connection.execute_batch("COMMIT")?;
    Ok(count)
}

fn open_writable(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    // Before anything is written: is it ours at all?
    if let Kind::Empty = kind(&connection)? {
        connection.execute_batch("PRAGMA page_size = 8192")?;
    }
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; \
         PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000; \
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
    )?;
    Ok(connection)
}

pub(crate) enum Kind {
    /// Nothing in it yet.
    Empty,
    /// A ledger that this version can read.
    Ours,
}

/// What a file is; nothing is written.
pub(crate) fn kind(connection: &Connection) -> Result<Kind, StoreError> {
    let application = schema::pragma(connection, "application_id")?;
    let version = schema::pragma(connection, "user_version")?;
    if application == 0 && version == 0 {
        let sql = "SELECT count(*) FROM sqlite_schema";
        let objects: i64 = connection.query_row(sql, (), |row| row.get(0))?;
        return if objects == 0 {
            Ok(Kind::Empty)
        } else {
            Err(StoreError::NotALedger)
        };
    }
    match version {
        _ if application != schema::APPLICATION_ID => Err(StoreError::NotALedger),
        schema::FORMAT => Ok(Kind::Ours),
        newer if newer > schema::FORMAT => Err(StoreError::Newer(newer)),
        _ => Err(StoreError::NotALedger),
    }
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

/// The one row of `head`.
pub(crate) struct Head {
    pub size: i64,
    pub edge: Vec<u8>,
    pub checkpoint: String,
    pub store_head: String,
}

impl Head {
    pub fn read(connection: &Connection) -> Result<Head, StoreError> {
        let sql = "SELECT size, edge, checkpoint, store_head FROM head WHERE id = 0";
        let head = connection.prepare_cached(sql)?.query_row((), |row| {
            let (size, edge) = (row.get(0)?, row.get(1)?);
            Ok(Head {
                size,
                edge,
                checkpoint: row.get(2)?,
                store_head: row.get(3)?,
            })
        });
        head.optional()?
            .ok_or_else(|| StoreError::Damaged("it has no head".to_owned()))
    }

    pub fn tree(&self) -> Option<Tree> {
        Tree::from_edge(u64::try_from(self.size).ok()?, &self.edge)
    }

    /// Signing is deterministic: the notes must be exactly those that we would write.
    fn check(&self, signer: &Signer, meta: Hash, state: Hash) -> Result<Tree, String> {
        let tree = self.tree().ok_or("the right edge does not fit the size")?;
        let (size, root) = (tree.size(), tree.root());
        if self.checkpoint != signer.checkpoint(size, root) {
            return Err("the checkpoint does not fit the right edge".to_owned());
        }
        if self.store_head != signer.store_head(size, root, meta, state) {
            return Err("the state rows are not those that were signed".to_owned());
        }
        Ok(tree)
    }
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

pub(crate) fn for_each_state(
    connection: &Connection,
    mut each: impl FnMut(&str, &[u8]),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT key, value FROM state ORDER BY key")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        each(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
    }
    Ok(())
}

fn position_of(connection: &Connection, id: &str) -> rusqlite::Result<Option<u64>> {
    let mut statement = connection.prepare_cached("SELECT position FROM record WHERE id = ?1")?;
    let position: Option<i64> = statement.query_row([id], |row| row.get(0)).optional()?;
    Ok(position.map(i64::cast_unsigned))
}

fn insert_tile(
    connection: &Connection,
    level: u8,
    index: u64,
    hashes: &[Hash],
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT INTO tile VALUES (?1, ?2, ?3)")?;
    statement.execute(params![level, to_i64(index), hashes.as_flattened()])?;
    Ok(())
}

fn set_state(connection: &Connection, key: &str, value: Option<&[u8]>) -> rusqlite::Result<()> {
    match value {
        Some(value) => {
            let sql = "INSERT INTO state VALUES (?1, ?2) \
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            connection
                .prepare_cached(sql)?
                .execute(params![key, value])?;
        }
        None => {
            connection
                .prepare_cached("DELETE FROM state WHERE key = ?1")?
                .execute([key])?;
        }
    }
    Ok(())
}

/// Positions stay far below 2^63: a store of that size would not fit any disk.
pub(crate) fn to_i64(number: u64) -> i64 {
    number.cast_signed()
}
