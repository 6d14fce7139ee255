//! One pass over the entries: leaves, parts, tiles, tree, and the view folded anew.

use super::cursor::{Cursor, rows_of};
use super::{Report, VerifyError};
use crate::entry::{Class, Leaf, NO_PART, Part, commitment};
use crate::erasure::erased;
use crate::fold::{Folded, Gap, Series, SeriesKey, fold};
use crate::note::Checkpoint;
use crate::row::to_i64;
use crate::schema::{AMENDMENT, ATTRIBUTION, GAP, LAW, OUTCOME, RECORD, SERIES, VIEW, WORDS};
use crate::tree::{Tree, leaf_hash};
use crate::words::{Sieve, TILE};
use rusqlite::{Connection, OptionalExtension, Row, Rows, Statement, params};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Check all entries and return the tree over them.
pub(super) fn check(
    connection: &Connection,
    known: Option<&Checkpoint>,
    report: &mut Report,
) -> Result<Tree, VerifyError> {
    let mut pass = Pass {
        connection,
        known,
        tree: Tree::default(),
        tiles: 0,
        classes: [0; Class::ALL.len()],
        last_recorded_at: i64::MIN,
        series: HashMap::new(),
        gaps: BTreeMap::new(),
        gap_ids: HashMap::new(),
        sieve: Sieve::default(),
        missing: BTreeSet::new(),
    };
    pass.run(report)?;
    for (position, part) in &pass.missing {
        let what = format!(
            "the {} part is missing, and no erasure names it",
            part.name()
        );
        report.find(format!("entry {position}"), what);
    }
    let counts = Class::ALL.into_iter().zip(pass.classes);
    report.entries = counts.filter(|(_, count)| *count > 0).collect();
    (report.size, report.root) = (pass.tree.size(), pass.tree.root());
    Ok(pass.tree)
}

struct Pass<'c> {
    connection: &'c Connection,
    known: Option<&'c Checkpoint>,
    tree: Tree,
    tiles: u64,
    classes: [u64; Class::ALL.len()],
    last_recorded_at: i64,
    series: HashMap<SeriesKey, Series>,
    /// Position to gap and what closed it.
    gaps: BTreeMap<i64, (Gap<'static>, Option<i64>)>,
    gap_ids: HashMap<String, i64>,
    /// Words of the entries since the last full tile.
    sieve: Sieve,
    /// Parts that are gone, and that no erasure entry has named yet.
    missing: BTreeSet<(u64, Part)>,
}

impl Pass<'_> {
    fn run(&mut self, report: &mut Report) -> Result<(), VerifyError> {
        let mut statements = Vec::new();
        for table in VIEW {
            let Some(statement) = report.read(table.name, rows_of(self.connection, table))? else {
                // The schema is not ours, and that was said: only the tree is checked.
                statements.clear();
                break;
            };
            statements.push(statement);
        }
        let mut view = match report.read("view", View::open(&mut statements))? {
            Some(Some(view)) => Some(view),
            _ => None,
        };
        self.check_known(report);
        let sql = "SELECT position, leaf, public_salt, public, personal_salt, personal, \
                   exhibit_salt, exhibit FROM entry ORDER BY position";
        if let Some(mut statement) = report.read("entry", self.connection.prepare(sql))? {
            let rows = statement.query(());
            if let Some(mut rows) = report.read("entry", rows)? {
                self.entries(&mut rows, view.as_mut(), report)?;
            }
        }
        let tiles = "SELECT count(*) FROM tile";
        let tiles = self
            .connection
            .query_row(tiles, (), |row| row.get::<_, i64>(0));
        let tiles = report.read("tile", tiles)?;
        if tiles.is_some_and(|tiles| tiles != to_i64(self.tiles)) {
            report.find("tile", "there are tiles that the entries do not fill");
        }
        if let Some(view) = &mut view {
            self.finish(view, report)?;
        }
        Ok(())
    }

    fn entries(
        &mut self,
        rows: &mut Rows<'_>,
        mut view: Option<&mut View<'_>>,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        let mut next = 0;
        while let Some(Some(row)) = report.read("entry", rows.next())? {
            let Some(position) = report.read("entry", row.get::<_, i64>(0))? else {
                continue;
            };
            if position != next {
                report.find(
                    format!("entry {position}"),
                    format!("entry {next} should stand here"),
                );
            }
            next = position.saturating_add(1);
            let leaf = blob(row, 1).unwrap_or_default();
            self.push(leaf, report)?;
            let Some(leaf) = Leaf::parse(leaf) else {
                report.find(format!("entry {position}"), "the leaf can't be read");
                continue;
            };
            self.leaf(position, &leaf, row, report)?;
            if let Some(view) = view.as_deref_mut() {
                let folded = fold(position, &leaf, blob(row, 3), blob(row, 5));
                self.fold(&folded, view, report)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, leaf: &[u8], report: &mut Report) -> Result<(), VerifyError> {
        let mut full = Vec::new();
        self.tree.push(leaf_hash(leaf), |level, index, hashes| {
            full.push((level, index, hashes.to_vec()));
        });
        for (level, index, hashes) in full {
            self.tiles += 1;
            let place = format!("tile {level}/{index}");
            let stored = stored_tile(self.connection, level, index);
            match report.read(&place, stored)? {
                Some(Some(stored)) if stored == hashes.as_flattened() => {}
                Some(Some(_)) => report.find(place, "the hashes are not those of the entries"),
                Some(None) => report.find(place, "the tile is missing"),
                None => {}
            }
        }
        self.check_known(report);
        Ok(())
    }

    fn check_known(&self, report: &mut Report) {
        let Some(known) = self.known.filter(|known| known.size == self.tree.size()) else {
            return;
        };
        if known.root != self.tree.root() {
            let what = format!(
                "the first {} entries are not those it was given for",
                known.size
            );
            report.find("known checkpoint", what);
        }
    }

    fn leaf(
        &mut self,
        position: i64,
        leaf: &Leaf,
        row: &Row<'_>,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        self.classes[leaf.class as usize - 1] += 1;
        let place = format!("entry {position}");
        if leaf.recorded_at < self.last_recorded_at {
            report.find(&place, "it was recorded before the entry that it follows");
        }
        self.last_recorded_at = self.last_recorded_at.max(leaf.recorded_at);
        let at_position = position.cast_unsigned();
        for (part, at) in [(Part::Public, 2), (Part::Personal, 4), (Part::Exhibit, 6)] {
            let name = part.name();
            let salt = report.read(&place, row.get::<_, Option<[u8; 32]>>(at))?;
            let (Some(salt), promised) = (salt, leaf.commitment(part)) else {
                continue;
            };
            match (salt, blob(row, at + 1)) {
                (None, None) if *promised == NO_PART => report.parts_absent += 1,
                (None, None) => _ = self.missing.insert((at_position, part)),
                (Some(salt), Some(bytes)) if commitment(part, &salt, bytes) == *promised => {
                    report.parts_present += 1;
                    if (leaf.class, part) == (Class::Erasure, Part::Public) {
                        let erased = erased(at_position, bytes).into_iter();
                        let gone = erased.filter(|one| self.missing.remove(one));
                        report.parts_erased += gone.count() as u64;
                    }
                }
                _ => report.find(&place, format!("the {name} part is not what the leaf says")),
            }
        }
        Ok(())
    }

    fn fold(
        &mut self,
        folded: &Folded<'_>,
        view: &mut View<'_>,
        report: &mut Report,
    ) -> Result<(), VerifyError> {
        let record = &folded.record;
        let series = folded.series().map(|key| {
            let new = || Series {
                count: 0,
                ..Series::new(record.position, record.time)
            };
            let series = self.series.entry(key).or_insert_with(new);
            series.add(record.time);
            series.id
        });
        view.record.expect(&record.cells(series), report)?;
        for (n, attribution) in folded.attributions.iter().enumerate() {
            view.attribution
                .expect(&attribution.cells(record, n), report)?;
        }
        if let Some(gap) = &folded.gap {
            self.gap_ids.insert(record.id.to_string(), record.position);
            let owned = |text: &str| Cow::Owned(text.to_owned());
            let (source, cause) = (owned(&gap.source), owned(&gap.cause));
            self.gaps.insert(
                record.position,
                (
                    Gap {
                        source,
                        cause,
                        ..*gap
                    },
                    None,
                ),
            );
        }
        if let Some(amendment) = &folded.amendment {
            view.amendment
                .expect(&amendment.cells(record.position), report)?;
            let gap = self
                .gap_ids
                .get(&*amendment.amends)
                .filter(|_| amendment.closes());
            if let Some((_, closed_by)) = gap.and_then(|gap| self.gaps.get_mut(gap)) {
                closed_by.get_or_insert(record.position);
            }
        }
        if let Some(law) = &folded.law {
            view.law.expect(&law.cells(record), report)?;
        }
        for cells in folded
            .outcome
            .iter()
            .flat_map(|outcome| outcome.rows(record))
        {
            view.outcome.expect(&cells, report)?;
        }
        if let Some(full) = self.sieve.add(folded) {
            let cells = full.cells(record.position / TILE);
            view.words.expect(&cells, report)?;
        }
        Ok(())
    }

    fn finish(&mut self, view: &mut View<'_>, report: &mut Report) -> Result<(), VerifyError> {
        let mut series: Vec<_> = self.series.iter().collect();
        series.sort_unstable_by_key(|(_, series)| series.id);
        for (key, series) in series {
            view.series.expect(&series.cells(key), report)?;
        }
        for (position, (gap, closed_by)) in &self.gaps {
            view.gap.expect(&gap.cells(*position, *closed_by), report)?;
        }
        for cursor in [
            &mut view.record,
            &mut view.attribution,
            &mut view.series,
            &mut view.gap,
            &mut view.amendment,
            &mut view.law,
            &mut view.outcome,
            &mut view.words,
        ] {
            cursor.finish(report)?;
        }
        Ok(())
    }
}

struct View<'s> {
    record: Cursor<'s>,
    attribution: Cursor<'s>,
    series: Cursor<'s>,
    gap: Cursor<'s>,
    amendment: Cursor<'s>,
    law: Cursor<'s>,
    outcome: Cursor<'s>,
    words: Cursor<'s>,
}

impl<'s> View<'s> {
    /// Statements in the order of [`VIEW`].
    fn open(statements: &'s mut [Statement<'_>]) -> rusqlite::Result<Option<View<'s>>> {
        let [
            record,
            attribution,
            series,
            gap,
            amendment,
            law,
            outcome,
            words,
        ] = statements
        else {
            return Ok(None);
        };
        Ok(Some(View {
            record: Cursor::new(&RECORD, record)?,
            attribution: Cursor::new(&ATTRIBUTION, attribution)?,
            series: Cursor::new(&SERIES, series)?,
            gap: Cursor::new(&GAP, gap)?,
            amendment: Cursor::new(&AMENDMENT, amendment)?,
            law: Cursor::new(&LAW, law)?,
            outcome: Cursor::new(&OUTCOME, outcome)?,
            words: Cursor::new(&WORDS, words)?,
        }))
    }
}

fn stored_tile(
    connection: &Connection,
    level: u8,
    index: u64,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement
        .query_row(params![level, to_i64(index)], |row| row.get(0))
        .optional()
}

/// A part's bytes. What is there in another type can't be: the tables are strict.
fn blob<'r>(row: &'r Row<'_>, at: usize) -> Option<&'r [u8]> {
    row.get_ref(at)
        .ok()
        .and_then(|value| value.as_blob_or_null().ok().flatten())
}
