//! The rows of one table beside the rows that it should have.

use super::{Report, VerifyError};
use crate::schema::Table;
use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Rows, Statement};
use std::cmp::Ordering;

/// All rows of a table, all columns, in the order of the key.
pub(super) fn rows_of<'c>(
    connection: &'c Connection,
    table: &Table,
) -> rusqlite::Result<Statement<'c>> {
    let (columns, key) = (
        table.columns.join(", "),
        table.columns[..table.key].join(", "),
    );
    connection.prepare(&format!(
        "SELECT {columns} FROM {} ORDER BY {key}",
        table.name
    ))
}

/// Walks a table in step with what is expected, so that one row too many or too few is
/// one finding and does not shift the rest.
pub(super) struct Cursor<'s> {
    table: &'static Table,
    rows: Rows<'s>,
    /// The current row has not been matched yet.
    waiting: bool,
    /// The table could not be read on; that was said.
    broken: bool,
}

impl<'s> Cursor<'s> {
    pub fn new(table: &'static Table, statement: &'s mut Statement<'_>) -> rusqlite::Result<Self> {
        Ok(Cursor {
            table,
            rows: statement.query(())?,
            waiting: false,
            broken: false,
        })
    }

    /// The next row should be this one.
    pub fn expect(
        &mut self,
        cells: &[ValueRef<'_>],
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        let key = &cells[..self.table.key];
        loop {
            let order = match self.current(report)? {
                Some(row) => compare_keys(row, key),
                None => Ordering::Greater,
            };
            if self.broken {
                return Ok(());
            }
            match order {
                Ordering::Less => self.extra(report),
                Ordering::Equal => {
                    self.compare(cells, report);
                    self.waiting = false;
                    return Ok(());
                }
                Ordering::Greater => {
                    report.find(self.place(key), "the row is missing");
                    return Ok(());
                }
            }
        }
    }

    /// No more rows should come.
    pub fn finish(&mut self, report: &mut Report) -> Result<(), VerifyError> {
        while self.current(report)?.is_some() {
            self.extra(report);
        }
        Ok(())
    }

    fn current(&mut self, report: &mut Report) -> Result<Option<&Row<'s>>, VerifyError> {
        if !self.waiting && !self.broken {
            let next = self.rows.next().map(|row| row.is_some());
            match report.read(self.table.name, next)? {
                Some(there) => self.waiting = there,
                None => self.broken = true,
            }
        }
        Ok(if self.waiting { self.rows.get() } else { None })
    }

    fn extra(&mut self, report: &mut Report) {
        if let Some(row) = self.rows.get() {
            let key: Vec<_> = (0..self.table.key)
                .filter_map(|at| row.get_ref(at).ok())
                .collect();
            report.find(self.place(&key), "the row does not belong here");
        }
        self.waiting = false;
    }

    fn compare(&self, cells: &[ValueRef<'_>], report: &mut Report) {
        let Some(row) = self.rows.get() else { return };
        for (at, (cell, column)) in cells.iter().zip(self.table.columns).enumerate() {
            if row.get_ref(at).ok() != Some(*cell) {
                let place = self.place(&cells[..self.table.key]);
                report.find(
                    place,
                    format!("column {column} is not what the entries say"),
                );
            }
        }
    }

    fn place(&self, key: &[ValueRef<'_>]) -> String {
        let mut place = self.table.name.to_owned();
        for (at, value) in key.iter().enumerate() {
            place.push(if at == 0 { ' ' } else { '/' });
            place += &value
                .as_i64()
                .map_or_else(|_| "?".to_owned(), |value| value.to_string());
        }
        place
    }
}

/// A key that is not an integer comes before all that are, and so does not belong.
fn compare_keys(row: &Row<'_>, expected: &[ValueRef<'_>]) -> Ordering {
    for (at, expected) in expected.iter().enumerate() {
        let actual = row.get_ref(at).ok().and_then(|value| value.as_i64().ok());
        let order = actual.cmp(&expected.as_i64().ok());
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
