//! Entries as they are read, with what the view says of them.

use crate::entry::Class;
use crate::error::StoreError;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

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
    /// Namespace; empty for what belongs to none.
    pub namespace: String,
    /// Repository that it names.
    pub repository: Option<String>,
    /// Org that it names.
    pub org: Option<String>,
    /// User name of who acted, if that was not erased.
    pub actor: Option<String>,
    /// Brought by an import, and not by the API server itself.
    pub imported: bool,
    /// Public part, as stored.
    pub public: Vec<u8>,
    /// Personal part, as stored; `None` when there is none (or it was erased).
    pub personal: Option<Vec<u8>>,
    /// How many denials of the same series, and its first and last time.
    pub series: Option<(u64, i64, i64)>,
    /// For gaps: position of the amendment that closed it.
    pub closed_by: Option<u64>,
}

/// Columns that a [`Row`] is made of.
pub(crate) const ROW: &str = "SELECT r.position, r.id, r.class, r.time, r.recorded_at, \
                              e.public, e.personal, s.count, s.first_time, s.last_time, \
                              g.closed_by, r.namespace, r.repository, \
                              r.org, r.actor, r.imported \
                              FROM record r JOIN entry e ON e.position = r.position \
                              LEFT JOIN series s ON s.id = r.series \
                              LEFT JOIN gap g ON g.position = r.position";

/// Entries by position, from `from` on, at most `limit`, all classes.
pub(crate) fn scan(connection: &Connection, from: u64, limit: u32) -> Result<Vec<Row>, StoreError> {
    let sql = format!("{ROW} WHERE r.position >= ?1 ORDER BY r.position LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    Ok(statement
        .query_map(params![from, limit], row)?
        .collect::<Result<_, _>>()?)
}

/// Position of the entry that the newest amendment of kind `others-through` reaches.
pub(crate) fn reached(connection: &Connection) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT d.position FROM amendment m CROSS JOIN record d ON d.id = m.amends \
               WHERE m.kind = 'others-through' ORDER BY m.position DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let reached: Option<i64> = statement.query_row((), |row| row.get(0)).optional()?;
    Ok(reached.map(i64::cast_unsigned))
}

pub(crate) fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
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
        namespace: row.get(11)?,
        repository: row.get(12)?,
        org: row.get(13)?,
        actor: row.get(14)?,
        imported: row.get(15)?,
        public: row.get(5)?,
        personal: row.get(6)?,
        series,
        closed_by: closed_by.map(i64::cast_unsigned),
    })
}

/// Of several outcomes of one denial the one that counts comes first: the object itself
/// before another of its series, then the earliest write.
const FIRST: &str = "ORDER BY series, time, written_by LIMIT 1";

/// SQL for the position of the outcome that counts of the denial `r`: one that names it,
/// else one that counts it among its others. An entry names at most some hundred denials;
/// the others of the same object lie between its first and last.
pub(crate) fn outcome_of_r() -> String {
    let class = Class::Outcome as u8;
    format!(
        "coalesce((SELECT position FROM outcome WHERE denial = r.id {FIRST}), \
         (SELECT o.position FROM outcome o CROSS JOIN record q ON q.position = o.position \
         WHERE o.denial IS NULL AND o.last_time >= r.time AND o.first_time <= r.time \
         AND q.class = {class} AND q.namespace = r.namespace AND q.kind = r.kind \
         AND q.name = r.name AND (q.operation = 'DELETE') >= (r.operation = 'DELETE') \
         ORDER BY o.series, o.time, o.written_by LIMIT 1))"
    )
}

/// Positions stay far below 2^63: a store of that size would not fit any disk.
pub(crate) fn to_i64(number: u64) -> i64 {
    number.cast_signed()
}
