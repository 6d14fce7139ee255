//! The view in SQLite: rows of the fold, written in the same transaction as the entries.

use crate::entry::Leaf;
use crate::error::StoreError;
use crate::fold::{Folded, Series, SeriesKey, fold};
use crate::schema::{
    self, AMENDMENT, ATTRIBUTION, GAP, LAW, OUTCOME, RECORD, SERIES, Table, VIEW, WORDS,
};
use crate::words::{Sieve, TILE};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use std::collections::HashMap;

/// Series held back before they are written, to bound memory while reindexing.
const SERIES_HELD: usize = 4096;

/// Writes folded entries. [`ViewWriter::finish`] must come last.
pub(crate) struct ViewWriter<'c> {
    connection: &'c Connection,
    inserts: Inserts,
    /// Series touched since the last flush; true if the row is new. Writing each once
    /// per batch, and not once per denial, is what makes floods cheap.
    series: HashMap<SeriesKey, (Series, bool)>,
    /// Words of the tile that is not full yet.
    sieve: Sieve,
}

struct Inserts {
    record: String,
    attribution: String,
    series: String,
    gap: String,
    amendment: String,
    law: String,
    outcome: String,
    words: String,
}

impl<'c> ViewWriter<'c> {
    /// `sieve`: words of the entries since the last full tile.
    pub fn new(connection: &'c Connection, sieve: Sieve) -> ViewWriter<'c> {
        let inserts = Inserts {
            record: insert_sql(&RECORD),
            attribution: insert_sql(&ATTRIBUTION),
            series: insert_sql(&SERIES),
            gap: insert_sql(&GAP),
            amendment: insert_sql(&AMENDMENT),
            law: insert_sql(&LAW),
            outcome: insert_sql(&OUTCOME),
            words: insert_sql(&WORDS),
        };
        ViewWriter {
            connection,
            inserts,
            series: HashMap::new(),
            sieve,
        }
    }

    pub fn add(&mut self, folded: &Folded<'_>) -> rusqlite::Result<()> {
        let record = &folded.record;
        let series = match folded.series() {
            Some(key) => Some(self.count(key, record.position, record.time)?),
            None => None,
        };
        self.insert(&self.inserts.record, &record.cells(series))?;
        for (n, attribution) in folded.attributions.iter().enumerate() {
            self.insert(&self.inserts.attribution, &attribution.cells(record, n))?;
        }
        if let Some(gap) = &folded.gap {
            self.insert(&self.inserts.gap, &gap.cells(record.position, None))?;
        }
        if let Some(amendment) = &folded.amendment {
            self.insert(&self.inserts.amendment, &amendment.cells(record.position))?;
            if amendment.closes() {
                let sql = "UPDATE gap SET closed_by = ?1 WHERE closed_by IS NULL \
                           AND position = (SELECT position FROM record WHERE id = ?2)";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.execute(params![record.position, amendment.amends])?;
            }
        }
        if let Some(law) = &folded.law {
            self.insert(&self.inserts.law, &law.cells(record))?;
        }
        for cells in folded
            .outcome
            .iter()
            .flat_map(|outcome| outcome.rows(record))
        {
            self.insert(&self.inserts.outcome, &cells)?;
        }
        if let Some(full) = self.sieve.add(folded) {
            self.insert(&self.inserts.words, &full.cells(record.position / TILE))?;
        }
        Ok(())
    }

    /// Counts a denial in its series and returns the id of the series.
    fn count(&mut self, key: SeriesKey, position: i64, time: i64) -> rusqlite::Result<i64> {
        if let Some((series, _)) = self.series.get_mut(&key) {
            series.add(time);
            return Ok(series.id);
        }
        if self.series.len() >= SERIES_HELD {
            self.flush()?;
        }
        let sql = "SELECT id, count, first_time, last_time FROM series WHERE namespace = ?1 \
                   AND enforcer = ?2 AND policy = ?3 AND rule = ?4 AND kind = ?5 \
                   AND operation = ?6 AND repository = ?7";
        let mut statement = self.connection.prepare_cached(sql)?;
        let known = statement.query_row(params_from_iter(&key), |row| {
            let (id, count) = (row.get(0)?, row.get(1)?);
            Ok(Series {
                id,
                count,
                first: row.get(2)?,
                last: row.get(3)?,
            })
        });
        let (series, new) = match known.optional()? {
            Some(mut series) => {
                series.add(time);
                (series, false)
            }
            None => (Series::new(position, time), true),
        };
        let id = series.id;
        self.series.insert(key, (series, new));
        Ok(id)
    }

    fn flush(&mut self) -> rusqlite::Result<()> {
        let sql = "UPDATE series SET count = ?2, first_time = ?3, last_time = ?4 WHERE id = ?1";
        for (key, (series, new)) in std::mem::take(&mut self.series) {
            if new {
                self.insert(&self.inserts.series, &series.cells(&key))?;
            } else {
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.execute(params![series.id, series.count, series.first, series.last])?;
            }
        }
        Ok(())
    }

    /// Returns the words of the entries since the last full tile.
    pub fn finish(mut self) -> rusqlite::Result<Sieve> {
        self.flush()?;
        Ok(self.sieve)
    }

    fn insert(&self, sql: &str, cells: &[ValueRef<'_>]) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute(params_from_iter(
            cells.iter().map(|cell| ToSqlOutput::Borrowed(*cell)),
        ))?;
        Ok(())
    }
}

fn insert_sql(table: &Table) -> String {
    let places = vec!["?"; table.columns.len()].join(", ");
    format!(
        "INSERT INTO {} ({}) VALUES ({places})",
        table.name,
        table.columns.join(", ")
    )
}

/// Throw the view away and make it again from the entries. Runs in the caller's
/// transaction. Returns how many entries were read.
pub(crate) fn rebuild(connection: &Connection) -> Result<u64, StoreError> {
    for table in VIEW {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", table.name))?;
    }
    schema::create_view(connection)?;
    let mut view = ViewWriter::new(connection, Sieve::default());
    let count = each_entry(connection, 0, |folded| view.add(folded))?;
    view.finish()?;
    Ok(count)
}

/// Words of the entries since the last full tile of a ledger of `size` entries.
pub(crate) fn sieve(connection: &Connection, size: i64) -> Result<Sieve, StoreError> {
    let mut sieve = Sieve::default();
    each_entry(connection, size - size % TILE, |folded| {
        sieve.add(folded);
        Ok(())
    })?;
    Ok(sieve)
}

/// Folds the entries from a position on; returns how many there are.
fn each_entry(
    connection: &Connection,
    from: i64,
    mut each: impl FnMut(&Folded<'_>) -> rusqlite::Result<()>,
) -> Result<u64, StoreError> {
    let sql = "SELECT position, leaf, public, personal FROM entry \
               WHERE position >= ?1 ORDER BY position";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([from])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(0)?;
        let leaf = Leaf::parse(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)
            .ok_or_else(|| StoreError::Damaged(format!("the leaf at {position} can't be read")))?;
        let public = row
            .get_ref(2)?
            .as_blob_or_null()
            .map_err(rusqlite::Error::from)?;
        let personal = row
            .get_ref(3)?
            .as_blob_or_null()
            .map_err(rusqlite::Error::from)?;
        each(&fold(position, &leaf, public, personal))?;
        count += 1;
    }
    Ok(count)
}
