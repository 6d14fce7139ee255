//! Reading the view. Read-only connections; any number beside the one writer.

use crate::entry::Class;
use crate::store::StoreError;
use std::path::Path;

/// What to list. Empty fields do not filter. All given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Which classes; empty: denials only.
    pub classes: Vec<Class>,
    /// `None`: every namespace (cluster-scoped records too). `Some`: only these.
    pub namespaces: Option<Vec<String>>,
    /// Stage time, microseconds since the epoch, inclusive.
    pub since: Option<i64>,
    /// Exclusive.
    pub until: Option<i64>,
    /// Any attribution's policy.
    pub policy: Option<String>,
    /// Any attribution's rule.
    pub rule: Option<String>,
    /// Any attribution's enforcer.
    pub enforcer: Option<String>,
    /// Kind, as in the public part.
    pub kind: Option<String>,
    /// Object name.
    pub name: Option<String>,
    /// Krate context.
    pub repository: Option<String>,
    /// Krate context.
    pub surface: Option<String>,
    /// Actor's user name.
    pub actor: Option<String>,
    /// denied, unavailable, unknown, failedOpen.
    pub verdict: Option<String>,
    /// CREATE, UPDATE, DELETE, CONNECT.
    pub operation: Option<String>,
    /// Dry runs only, or none.
    pub dry_run: Option<bool>,
}

/// Where a page starts. Newest first, by (time, position).
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// At most this many rows.
    pub limit: u32,
    /// Skip this many.
    pub offset: u64,
    /// Continue after this (time, position).
    pub after: Option<(i64, u64)>,
}

/// One entry as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Place in the tree.
    pub position: u64,
    /// Entry id.
    pub id: String,
    /// Class.
    pub class: Class,
    /// Stage time, microseconds.
    pub time: i64,
    /// When the ledger took it, microseconds.
    pub recorded_at: i64,
    /// Public part, as stored.
    pub public: Vec<u8>,
    /// Personal part, as stored; `None` when there is none (or it was erased).
    pub personal: Option<Vec<u8>>,
    /// How many denials of the same series, and its first and last time.
    pub series: Option<(u64, i64, i64)>,
    /// For gaps: position of the amendment that closed it.
    pub closed_by: Option<u64>,
}

/// Denials counted by one series key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// Namespace.
    pub namespace: String,
    /// Enforcer.
    pub enforcer: String,
    /// Policy or empty.
    pub policy: String,
    /// Rule or empty.
    pub rule: String,
    /// Kind.
    pub kind: String,
    /// Operation.
    pub operation: String,
    /// Repository or empty.
    pub repository: String,
    /// How many.
    pub count: u64,
    /// First stage time.
    pub first: i64,
    /// Last stage time.
    pub last: i64,
}

/// A read-only connection.
pub struct Reader {}

impl Reader {
    /// Open for reading.
    ///
    /// # Errors
    /// If it is not a ledger.
    pub fn open(_path: &Path) -> Result<Reader, StoreError> {
        unimplemented!()
    }
    /// One page.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn list(&self, _filter: &Filter, _page: &Page) -> Result<Vec<Row>, StoreError> {
        unimplemented!()
    }
    /// How many match.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn count(&self, _filter: &Filter) -> Result<u64, StoreError> {
        unimplemented!()
    }
    /// One entry; `namespaces` as in [`Filter`]: out of scope is as if not there.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn get(&self, _id: &str, _namespaces: Option<&[String]>) -> Result<Option<Row>, StoreError> {
        unimplemented!()
    }
    /// Entries by position, from `from` on, at most `limit`, all classes.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn scan(&self, _from: u64, _limit: u32) -> Result<Vec<Row>, StoreError> {
        unimplemented!()
    }
    /// Series within the filter's namespaces and time, largest first.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn series(&self, _filter: &Filter, _limit: u32) -> Result<Vec<SeriesRow>, StoreError> {
        unimplemented!()
    }
    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn checkpoint(&self) -> Result<String, StoreError> {
        unimplemented!()
    }
    /// Bytes of a hash tile (C2SP tlog-tiles): `width` hashes at (level, index).
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn tile(&self, _level: u8, _index: u64, _width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        unimplemented!()
    }
    /// Bytes of an entry bundle: `width` leaves, each with a 16-bit length.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn entries(&self, _index: u64, _width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        unimplemented!()
    }
}
