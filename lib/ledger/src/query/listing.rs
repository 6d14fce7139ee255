//! Filters as SQL. Each shape below is served by an index that ends in time, so a page
//! costs what it shows and not what the ledger holds.

use super::latest::Latest;
use super::list::{Filter, Total};
use super::scope::Orgs;
use super::scope::Piece;
use crate::entry::Class;
use crate::error::StoreError;
use crate::words::TILE;
use rusqlite::Connection;
use rusqlite::types::Value;

/// FROM and WHERE over `record r`, with what to bind.
pub(crate) struct Selection {
    pub sql: String,
    pub binds: Vec<Value>,
    /// True where one record may come up more than once.
    repeats: bool,
}

impl Selection {
    /// Records that the filter takes, within one piece of its scope.
    pub fn new(filter: &Filter, piece: Piece<'_>) -> Selection {
        let mut binds = Vec::new();
        let mut terms = vec![classes(&filter.classes)];
        let repository = piece.plot.and_then(|plot| plot.repository.as_deref());
        // The attribution drives where it names a policy or a rule; that of an enforcer
        // would drive through most of the ledger, so there it only checks. So it does where
        // the scope is small: what others were denied by that policy is not read past.
        let narrow = piece.actor.is_some() || repository.is_some();
        let drives = !narrow && (filter.policy.is_some() || filter.rule.is_some());
        let (time, place) = if drives {
            ("a.time", "a.namespace")
        } else {
            ("r.time", "r.namespace")
        };
        if let Some(positions) = &filter.positions {
            let list: Vec<String> = positions.iter().map(u64::to_string).collect();
            // One text for every list, so that the statement is prepared once.
            binds.push(Value::from(format!("[{}]", list.join(","))));
            let place = binds.len();
            terms.push(format!(
                "r.position IN (SELECT value FROM json_each(?{place}))"
            ));
        }
        let mut equal = |column: &str, value: Option<&str>| {
            value.map(|value| {
                binds.push(Value::from(value.to_owned()));
                format!("{column} = ?{}", binds.len())
            })
        };
        terms.extend(equal(place, piece.namespace));
        terms.extend(equal("r.repository", repository));
        terms.extend(equal("r.actor", piece.actor));
        let attributed = [
            equal("a.policy", filter.policy.as_deref()),
            equal("a.rule", filter.rule.as_deref()),
            equal("a.enforcer", filter.enforcer.as_deref()),
        ];
        let attributed: Vec<String> = attributed.into_iter().flatten().collect();
        terms.extend(equal("r.kind", filter.kind.as_deref()));
        terms.extend(equal("r.name", filter.name.as_deref()));
        terms.extend(equal("r.repository", filter.repository.as_deref()));
        terms.extend(equal("r.surface", filter.surface.as_deref()));
        terms.extend(equal("r.actor", filter.actor.as_deref()));
        terms.extend(equal("r.verdict", filter.verdict.as_deref()));
        terms.extend(equal("r.operation", filter.operation.as_deref()));
        terms.extend(
            filter
                .dry_run
                .map(|dry| format!("r.dry_run = {}", i64::from(dry))),
        );
        if piece.actor.is_some() {
            terms.push("r.imported = 0".to_owned());
        }
        if let Some(plot) = piece.plot {
            terms.extend(orgs(&plot.orgs, &mut binds));
        }
        let since = filter.since.max(piece.plot.and_then(|plot| plot.since));
        terms.extend(since.map(|since| format!("{time} >= {since}")));
        terms.extend(filter.until.map(|until| format!("{time} < {until}")));
        if let Some(words) = &filter.text {
            binds.push(Value::from(words.as_str().to_owned()));
            let place = binds.len();
            // The first asks once for the whole search, the second reads texts.
            terms.push(format!(
                "r.position / {TILE} NOT IN \
                 (SELECT tile FROM words WHERE lacks_words(?{place}, sieve)) \
                 AND EXISTS (SELECT 1 FROM entry t WHERE t.position = r.position \
                 AND holds_words(?{place}, t.public, t.personal))"
            ));
        }
        let from = if drives {
            terms.extend(attributed);
            "attribution a JOIN record r ON r.position = a.position"
        } else {
            if !attributed.is_empty() {
                terms.push(format!(
                    "EXISTS (SELECT 1 FROM attribution a WHERE a.position = r.position AND {})",
                    attributed.join(" AND ")
                ));
            }
            // Which index serves a scope is decided here, not guessed: a filter that others
            // match too must not lead through their records.
            match (piece.actor, repository) {
                _ if filter.positions.is_some() => "record r",
                (Some(_), _) => "record r INDEXED BY record_actor",
                (_, Some(_)) => "record r INDEXED BY record_place",
                _ => "record r",
            }
        };
        let sql = format!("FROM {from} WHERE {}", terms.join(" AND "));
        Selection {
            sql,
            binds,
            repeats: drives,
        }
    }

    /// (time, position) of the newest that match, newest first.
    pub fn keys(
        &self,
        connection: &Connection,
        after: Option<(i64, u64)>,
        limit: u64,
    ) -> rusqlite::Result<Vec<(i64, i64)>> {
        let (time, position) = if self.repeats {
            ("a.time", "a.position")
        } else {
            ("r.time", "r.position")
        };
        let after = after.map_or(String::new(), |(at, place)| {
            // The first term is what an index can seek to.
            format!(" AND {time} <= {at} AND ({time} < {at} OR {position} < {place})")
        });
        let distinct = if self.repeats { "DISTINCT " } else { "" };
        let sql = format!(
            "SELECT {distinct}{time}, {position} {}{after} \
             ORDER BY {time} DESC, {position} DESC LIMIT {limit}",
            self.sql
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let binds = rusqlite::params_from_iter(&self.binds);
        statement
            .query_map(binds, |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    /// The latest of each series and name among the newest `look`; and, if there are more
    /// than those, the time of the oldest that was looked at.
    pub fn latest(
        &self,
        connection: &Connection,
        look: u32,
    ) -> rusqlite::Result<(Vec<Latest>, Option<i64>)> {
        let distinct = if self.repeats { "DISTINCT " } else { "" };
        let time = if self.repeats { "a.time" } else { "r.time" };
        // The bare columns beside max() are those of the row that has it (sqlite.org,
        // "Bare columns in an aggregate query").
        let sql = format!(
            "SELECT max(time), position, count(*), min(time) FROM (SELECT {distinct}\
             {time} AS time, r.position AS position, r.series AS series, r.name AS name {} \
             ORDER BY {time} DESC LIMIT {look}) GROUP BY series, name",
            self.sql
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(&self.binds), |row| {
            let (position, count): (i64, i64) = (row.get(1)?, row.get(2)?);
            Ok(Latest {
                time: row.get(0)?,
                position: position.cast_unsigned(),
                count: count.cast_unsigned(),
                first: row.get(3)?,
            })
        })?;
        let found = rows.collect::<Result<Vec<_>, _>>()?;
        let looked: u64 = found.iter().map(|latest| latest.count).sum();
        let oldest = found.iter().map(|latest| latest.first).min();
        Ok((found, oldest.filter(|_| looked >= u64::from(look))))
    }

    /// How many match, from the newest on. Counting ends with the first behind `most`, or
    /// when the time is over.
    pub fn count(&self, connection: &Connection, most: u64) -> Result<Total, StoreError> {
        let what = if self.repeats {
            "DISTINCT r.position"
        } else {
            "1"
        };
        let limit = most.saturating_add(1).min(i64::MAX as u64);
        let sql = format!("SELECT {what} {} LIMIT {limit}", self.sql);
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&self.binds))?;
        let mut total = Total::default();
        loop {
            match rows
                .next()
                .map(|row| row.is_some())
                .map_err(StoreError::from)
            {
                Ok(true) if total.count == most => total.capped = true,
                Ok(true) => total.count += 1,
                Ok(false) => return Ok(total),
                Err(StoreError::TooLong) => total.capped = true,
                Err(error) => return Err(error),
            }
            if total.capped {
                return Ok(total);
            }
        }
    }
}

fn orgs(orgs: &Orgs, binds: &mut Vec<Value>) -> Option<String> {
    let (names, word) = match orgs {
        Orgs::Any => return None,
        Orgs::Only(names) => (names, "r.org IN"),
        Orgs::Except(names) => (names, "r.org IS NULL OR r.org NOT IN"),
    };
    let mut place = |name: &String| {
        binds.push(Value::from(name.clone()));
        format!("?{}", binds.len())
    };
    let places: Vec<String> = names.iter().map(&mut place).collect();
    Some(format!("({word} ({}))", places.join(", ")))
}

fn classes(classes: &[Class]) -> String {
    if classes.is_empty() {
        return format!("r.class = {}", Class::Denial as u8);
    }
    let numbers: Vec<String> = classes
        .iter()
        .map(|class| (*class as u8).to_string())
        .collect();
    // Said in the words of a partial index, so that the few other entries are found
    // without reading past all denials.
    let other = if classes.contains(&Class::Denial) {
        ""
    } else {
        " AND r.class <> 1"
    };
    format!("r.class IN ({}){other}", numbers.join(", "))
}
