//! Reading the view. Read-only connections; any number beside the one writer.

use crate::entry::{Class, Hash, Part};
use crate::listing::Selection;
use crate::schema;
use crate::store::{Head, Kind, StoreError, for_each_state, kind, to_i64};
use crate::tree::{TILE_WIDTH, level_width};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row as SqlRow, params};
use std::path::Path;
use std::time::Duration;

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
    /// Any attribution's policy. Where rule and enforcer are given too, one attribution
    /// must have them all.
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

/// One part as stored, with the salt of its commitment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaltedPart {
    /// Which part.
    pub part: Part,
    /// Salt.
    pub salt: [u8; 32],
    /// Bytes.
    pub bytes: Vec<u8>,
}

/// A span in which the record may be incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// The entry of class gap.
    pub row: Row,
    /// Start, microseconds; `None` if not known.
    pub from: Option<i64>,
    /// End, microseconds; `None` if not known.
    pub to: Option<i64>,
    /// Name of the source, or `witness`.
    pub source: String,
    /// Why.
    pub cause: String,
}

/// Columns that a [`Row`] is made of.
const ROW: &str = "SELECT r.position, r.id, r.class, r.time, r.recorded_at, e.public, e.personal, \
                   s.count, s.first_time, s.last_time, g.closed_by, r.namespace \
                   FROM record r JOIN entry e ON e.position = r.position \
                   LEFT JOIN series s ON s.id = r.series LEFT JOIN gap g ON g.position = r.position";

/// Columns of a [`SeriesRow`] in the table; those of [`SERIES_LIVE`] are the same, counted.
const SERIES: &str = "SELECT namespace, enforcer, policy, rule, kind, operation, repository, \
                      count, first_time, last_time FROM series";

/// A read-only connection. Each call sees one state of the ledger; several calls see the
/// same state inside [`Reader::snapshot`].
pub struct Reader {
    connection: Connection,
}

impl Reader {
    /// Open for reading.
    ///
    /// # Errors
    /// If it is not a ledger.
    pub fn open(path: &Path) -> Result<Reader, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(128);
        connection.execute_batch(
            "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; \
             PRAGMA cache_size = -16384",
        )?;
        match kind(&connection)? {
            Kind::Ours => Ok(Reader { connection }),
            Kind::Empty => Err(StoreError::NotALedger),
        }
    }

    /// Run several reads on one state of the ledger.
    ///
    /// # Errors
    /// What `reads` returns, or if SQLite fails.
    pub fn snapshot<T, E: From<StoreError>>(
        &self,
        reads: impl FnOnce(&Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.connection.is_autocommit() {
            return reads(self);
        }
        // Ends when dropped. Nothing is ever written here, so how it ends is all one.
        let _transaction = self
            .connection
            .unchecked_transaction()
            .map_err(|error| E::from(error.into()))?;
        reads(self)
    }

    /// One page.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn list(&self, filter: &Filter, page: &Page) -> Result<Vec<Row>, StoreError> {
        self.snapshot(|_| {
            let limit = u64::from(page.limit);
            let reach = limit.saturating_add(page.offset).min(i64::MAX as u64);
            let mut keys = Vec::new();
            for selection in selections(filter) {
                keys.extend(selection.keys(&self.connection, page.after, reach)?);
            }
            // One namespace comes in order; of several the newest are among the newest of each.
            keys.sort_unstable_by(|a, b| b.cmp(a));
            let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
            let keys = keys.into_iter().skip(offset).take(page.limit as usize);
            let sql = format!("{ROW} WHERE r.position = ?1");
            let mut statement = self.connection.prepare_cached(&sql)?;
            keys.map(|(_, position)| Ok(statement.query_row([position], row)?))
                .collect()
        })
    }

    /// How many match.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn count(&self, filter: &Filter) -> Result<u64, StoreError> {
        self.snapshot(|_| {
            let mut count = 0;
            for selection in selections(filter) {
                count += selection.count(&self.connection)?;
            }
            Ok(count)
        })
    }

    /// One entry; `namespaces` as in [`Filter`]: out of scope is as if not there.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn get(&self, id: &str, namespaces: Option<&[String]>) -> Result<Option<Row>, StoreError> {
        let sql = format!("{ROW} WHERE r.id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_row([id], |found| {
            Ok((row(found)?, found.get::<_, String>("namespace")?))
        });
        let Some((row, namespace)) = found.optional()? else {
            return Ok(None);
        };
        let visible = namespaces.is_none_or(|scope| scope.contains(&namespace));
        Ok(visible.then_some(row))
    }

    /// Denials and passes whose id begins so, at most `limit`; `namespaces` as in [`Filter`].
    /// Those out of scope do not count.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn begins(
        &self,
        id: &str,
        namespaces: Option<&[String]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let (denial, pass) = (Class::Denial as u8, Class::Pass as u8);
        let sql = format!(
            "{ROW} WHERE r.id >= ?1 AND r.id < ?2 AND r.class IN ({denial}, {pass}) ORDER BY r.id"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut found = statement.query([id, &format!("{id}{}", char::MAX)])?;
        let mut rows = Vec::new();
        while rows.len() < limit
            && let Some(found) = found.next()?
        {
            let namespace: String = found.get("namespace")?;
            if namespaces.is_none_or(|scope| scope.contains(&namespace)) {
                rows.push(row(found)?);
            }
        }
        Ok(rows)
    }

    /// Names of namespaces with entries, at most `limit`, in order.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn namespaces(&self, limit: u32) -> Result<Vec<String>, StoreError> {
        // One seek in the index for each name, however many entries it has.
        let sql = "WITH RECURSIVE n(name) AS (\
                   SELECT min(namespace) FROM record WHERE namespace > '' UNION ALL \
                   SELECT (SELECT min(namespace) FROM record WHERE namespace > n.name) \
                   FROM n WHERE n.name IS NOT NULL) \
                   SELECT name FROM n WHERE name IS NOT NULL LIMIT ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement
            .query_map([limit], |row| row.get(0))?
            .collect::<Result<_, _>>()?)
    }

    /// Entries by position, from `from` on, at most `limit`, all classes.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn scan(&self, from: u64, limit: u32) -> Result<Vec<Row>, StoreError> {
        let sql = format!("{ROW} WHERE r.position >= ?1 ORDER BY r.position LIMIT ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let from = i64::try_from(from).unwrap_or(i64::MAX);
        Ok(statement
            .query_map(params![from, limit], row)?
            .collect::<Result<_, _>>()?)
    }

    /// Amendments of one entry, oldest first.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn amendments(&self, id: &str) -> Result<Vec<Row>, StoreError> {
        let sql = format!(
            "{ROW} JOIN amendment m ON m.position = r.position WHERE m.amends = ?1 \
             ORDER BY r.position"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_map([id], row)?.collect::<Result<_, _>>()?)
    }

    /// All gaps, newest first; `open` takes only those that nothing has closed.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn gaps(&self, open: bool) -> Result<Vec<GapRow>, StoreError> {
        let sql = format!(
            "{} WHERE g.position IS NOT NULL{} ORDER BY r.time DESC, r.position DESC",
            ROW.replacen(
                "r.namespace",
                "r.namespace, g.from_time, g.to_time, g.source, g.cause",
                1
            ),
            if open { " AND g.closed_by IS NULL" } else { "" }
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let gaps = statement.query_map((), |found| {
            let (from, to) = (found.get("from_time")?, found.get("to_time")?);
            let (source, cause) = (found.get("source")?, found.get("cause")?);
            Ok(GapRow {
                row: row(found)?,
                from,
                to,
                source,
                cause,
            })
        })?;
        Ok(gaps.collect::<Result<_, _>>()?)
    }

    /// Series within the filter, largest first. Policy, rule and enforcer are those of the
    /// first attribution here, because that is what a series is counted by.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn series(&self, filter: &Filter, limit: u32) -> Result<Vec<SeriesRow>, StoreError> {
        if !(filter.classes.is_empty() || filter.classes.contains(&Class::Denial)) {
            return Ok(Vec::new());
        }
        self.snapshot(|_| {
            let mut series = Vec::new();
            let scopes: Vec<Option<&str>> = match &filter.namespaces {
                None => vec![None],
                Some(namespaces) => distinct(namespaces).into_iter().map(Some).collect(),
            };
            for namespace in scopes {
                let (sql, binds) = series_sql(filter, namespace, limit);
                let mut statement = self.connection.prepare_cached(&sql)?;
                let binds = rusqlite::params_from_iter(&binds);
                for row in statement.query_map(binds, series_row)? {
                    series.push(row?);
                }
            }
            series.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| b.last.cmp(&a.last)));
            series.truncate(limit as usize);
            Ok(series)
        })
    }

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn checkpoint(&self) -> Result<String, StoreError> {
        Ok(Head::read(&self.connection)?.checkpoint)
    }

    /// Tree size.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn size(&self) -> Result<u64, StoreError> {
        Ok(Head::read(&self.connection)?.size.cast_unsigned())
    }

    /// The verifier key that the store names as its own.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn verifier_key(&self) -> Result<String, StoreError> {
        let missing = || StoreError::Damaged("it names no verifier key".to_owned());
        schema::meta(&self.connection)?
            .remove("verifier_key")
            .ok_or_else(missing)
    }

    /// All state values, by key.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn states(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut states = Vec::new();
        for_each_state(&self.connection, |key, value| {
            states.push((key.into(), value.into()))
        })?;
        Ok(states)
    }

    /// Bytes of a hash tile (C2SP tlog-tiles): `width` hashes at (level, index), 256 for a
    /// full tile. `None` if the tree has not that many.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn tile(&self, level: u8, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot(|_| {
            let head = Head::read(&self.connection)?;
            let there = level_width(head.size.cast_unsigned(), level);
            let Some(width) = within(there, index, width) else {
                return Ok(None);
            };
            let mut bytes = if index < there / TILE_WIDTH as u64 {
                let sql = "SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.query_row(params![level, to_i64(index)], |row| row.get(0))?
            } else {
                let torn =
                    || StoreError::Damaged("the right edge does not fit the size".to_owned());
                let tree = head.tree().ok_or_else(torn)?;
                tree.partial(level)
                    .unwrap_or_default()
                    .as_flattened()
                    .to_vec()
            };
            bytes.truncate(width * size_of::<Hash>());
            Ok(Some(bytes))
        })
    }

    /// Bytes of an entry bundle: `width` leaves, each with a 16-bit length.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn entries(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot(|_| {
            let size = Head::read(&self.connection)?.size.cast_unsigned();
            let Some(width) = within(size, index, width) else {
                return Ok(None);
            };
            let from = to_i64(index * TILE_WIDTH as u64);
            let sql = "SELECT leaf FROM entry WHERE position >= ?1 ORDER BY position LIMIT ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![from, to_i64(width as u64)])?;
            let mut bundle = Vec::new();
            while let Some(row) = rows.next()? {
                let leaf = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
                let long = |_| StoreError::Damaged("a leaf is too long".to_owned());
                bundle.extend(u16::try_from(leaf.len()).map_err(long)?.to_be_bytes());
                bundle.extend(leaf);
            }
            Ok(Some(bundle))
        })
    }

    /// The parts of one entry that are there, with their salts; `None` if there is no such
    /// entry.
    ///
    /// # Errors
    /// If SQLite fails.
    pub fn parts(&self, position: u64) -> Result<Option<Vec<SaltedPart>>, StoreError> {
        let Ok(position) = i64::try_from(position) else {
            return Ok(None);
        };
        let sql = "SELECT public_salt, public, personal_salt, personal, exhibit_salt, exhibit \
                   FROM entry WHERE position = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let parts = statement.query_row([position], |row| {
            let mut parts = Vec::new();
            for (part, at) in [(Part::Public, 0), (Part::Personal, 2), (Part::Exhibit, 4)] {
                if let (Some(salt), Some(bytes)) = (row.get(at)?, row.get(at + 1)?) {
                    parts.push(SaltedPart { part, salt, bytes });
                }
            }
            Ok(parts)
        });
        Ok(parts.optional()?)
    }
}

/// `width` if a tile of that width at `index` lies within `there` hashes.
fn within(there: u64, index: u64, width: u16) -> Option<usize> {
    let wide = (1..=TILE_WIDTH).contains(&usize::from(width));
    let end = index
        .checked_mul(TILE_WIDTH as u64)?
        .checked_add(u64::from(width))?;
    (wide && end <= there).then_some(usize::from(width))
}

fn distinct(namespaces: &[String]) -> Vec<&str> {
    let mut namespaces: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    namespaces
}

/// One selection for each namespace, so that each is read from the end of its own index.
fn selections(filter: &Filter) -> Vec<Selection> {
    match &filter.namespaces {
        None => vec![Selection::new(filter, None)],
        Some(namespaces) => {
            let each = |namespace| Selection::new(filter, Some(namespace));
            distinct(namespaces).into_iter().map(each).collect()
        }
    }
}

/// Series from their table where its columns say all that the filter asks, else counted
/// from the records.
fn series_sql(filter: &Filter, namespace: Option<&str>, limit: u32) -> (String, Vec<Value>) {
    let by_series = Filter {
        classes: Vec::new(),
        policy: None,
        rule: None,
        enforcer: None,
        ..filter.clone()
    };
    let table = filter.since.is_none()
        && filter.until.is_none()
        && filter.dry_run.is_none()
        && [
            &filter.name,
            &filter.surface,
            &filter.actor,
            &filter.verdict,
        ]
        .iter()
        .all(|f| f.is_none());
    let (mut sql, mut binds) = if table {
        (format!("{SERIES} WHERE true"), Vec::new())
    } else {
        let records = Selection::new(&by_series, namespace);
        let counted = "SELECT s.namespace, s.enforcer, s.policy, s.rule, s.kind, s.operation, \
                       s.repository, n.count, n.first_time, n.last_time FROM (SELECT r.series, \
                       count(*) AS count, min(r.time) AS first_time, max(r.time) AS last_time";
        let sql = format!(
            "{counted} {} GROUP BY r.series) n JOIN series s ON s.id = n.series WHERE true",
            records.sql
        );
        (sql, records.binds)
    };
    let mut equal = |column: &str, value: Option<&str>| {
        if let Some(value) = value {
            binds.push(Value::from(value.to_owned()));
            sql += &format!(" AND {column} = ?{}", binds.len());
        }
    };
    equal("enforcer", filter.enforcer.as_deref());
    equal("policy", filter.policy.as_deref());
    equal("rule", filter.rule.as_deref());
    if table {
        equal("namespace", namespace);
        equal("kind", filter.kind.as_deref());
        equal("operation", filter.operation.as_deref());
        equal("repository", filter.repository.as_deref());
    }
    let order = if table {
        "count DESC, last_time DESC"
    } else {
        "8 DESC, 10 DESC"
    };
    (format!("{sql} ORDER BY {order} LIMIT {limit}"), binds)
}

fn series_row(row: &SqlRow<'_>) -> rusqlite::Result<SeriesRow> {
    let count: i64 = row.get(7)?;
    Ok(SeriesRow {
        namespace: row.get(0)?,
        enforcer: row.get(1)?,
        policy: row.get(2)?,
        rule: row.get(3)?,
        kind: row.get(4)?,
        operation: row.get(5)?,
        repository: row.get(6)?,
        count: count.cast_unsigned(),
        first: row.get(8)?,
        last: row.get(9)?,
    })
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let position: i64 = row.get(0)?;
    let number: u8 = row.get(2)?;
    let series: Option<i64> = row.get(7)?;
    let closed_by: Option<i64> = row.get(10)?;
    let series = match series {
        Some(count) => Some((count.cast_unsigned(), row.get(8)?, row.get(9)?)),
        None => None,
    };
    Ok(Row {
        position: position.cast_unsigned(),
        id: row.get(1)?,
        class: Class::from_number(number).ok_or(rusqlite::Error::IntegralValueOutOfRange(
            2,
            i64::from(number),
        ))?,
        time: row.get(3)?,
        recorded_at: row.get(4)?,
        public: row.get(5)?,
        personal: row.get(6)?,
        series,
        closed_by: closed_by.map(i64::cast_unsigned),
    })
}
