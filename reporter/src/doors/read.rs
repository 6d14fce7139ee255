//! The one query core. Each method takes the caller's scope first and nothing here can
//! be asked without one, but for what holds commitments only: checkpoint, tiles,
//! bundles ([`Records::checkpoint`] and its neighbours).

mod laws;
mod pool;
mod violations;

pub use violations::{Asked, Found as FoundViolation, Origin, Reported, Violations};

pub(super) use violations::{Kepts, word};

use super::follow::{Head, SharedRecent};
use crate::law::Laws;
use crate::objects::Objects;
use crate::reports::Reports;
use docket_ledger::entry::Class;
use docket_ledger::query::{
    Cases, Filter, GapRow, Inclusion, Page, Reader, Row, SaltedPart, SeriesRow, Total, Touch,
};
pub use docket_ledger::query::{Plot, Scope};
use docket_ledger::store::StoreError;
use docket_record::gap::{Hidden, hides, may_concern};
use pool::Pool;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The ledger.
    #[error("the ledger could not be read")]
    Store(#[from] StoreError),
    /// The query's thread ended early.
    #[error("the query was broken off")]
    BrokenOff(#[from] tokio::task::JoinError),
}

/// One page of a list.
#[derive(Debug)]
pub struct Listing<T = Entry> {
    /// Newest first.
    pub items: Vec<T>,
    /// How many there are in all, within scope and filter.
    pub total: u64,
    /// There are more than that: counting ended there.
    pub capped: bool,
    /// Whether older ones follow.
    pub more: bool,
}

impl<T> Listing<T> {
    fn empty() -> Listing<T> {
        Listing {
            items: Vec::new(),
            total: 0,
            capped: false,
            more: false,
        }
    }
}

/// A record, and what was learned about it later.
#[derive(Debug)]
pub struct Entry {
    /// The record.
    pub row: Row,
    /// Entries that amend it, oldest first.
    pub amendments: Vec<Row>,
    /// The amendment that decided of its round whether others denied too.
    pub through: Option<Row>,
    /// What happened next, if anything; of a [`narrow`](Self::narrow) one only what whoever
    /// was denied did.
    pub outcome: Option<Row>,
    /// Read by a scope of a repository, an actor or one of several orgs: denials only, and
    /// nothing that others did.
    pub narrow: bool,
}

impl Entry {
    /// The ledger's size right after the last entry that changed how the record reads: its
    /// version. An `others-through` amendment counts for the record that it names only.
    #[must_use]
    pub fn version(&self) -> u64 {
        let later = self.amendments.iter().chain(&self.outcome);
        let last = later.map(|row| row.position).max();
        last.unwrap_or(0).max(self.row.position) + 1
    }
}

/// The parts of one entry that are there.
#[derive(Debug)]
pub struct Parts {
    /// Place in the tree.
    pub position: u64,
    /// Which class.
    pub class: Class,
    /// Where it happened; empty for what belongs to no namespace.
    pub namespace: String,
    /// Bytes and salts.
    pub parts: Vec<SaltedPart>,
}

/// What an id, or its beginning, stands for within a scope.
#[derive(Debug)]
pub enum Found {
    /// One record.
    One(Box<Entry>),
    /// None that the caller may read.
    None,
    /// The beginning of several ids.
    Several,
}

/// Denials counted.
#[derive(Debug)]
pub struct Summary {
    /// How many denials, within scope and filter.
    pub total: u64,
    /// Series, largest first, at most [`Records::SERIES`].
    pub series: Vec<SeriesRow>,
    /// Gaps that no later event has closed, within the filter's time.
    pub open_gaps: usize,
}

/// What this process knows of the cluster beside the ledger: shared with those who watch.
#[derive(Clone, Default)]
pub struct Known {
    /// Policy reports.
    pub reports: Reports,
    /// Policies.
    pub laws: Arc<Laws>,
    /// Objects that were written.
    pub objects: Objects,
    /// How far the ledger reaches.
    pub head: Head,
}

/// The ledger, for those who may read, and what is known beside it.
#[derive(Clone)]
pub struct Records {
    pool: Arc<Pool>,
    known: Known,
    recent: SharedRecent,
}

impl Records {
    /// Series that a summary is made of.
    pub const SERIES: u32 = 1000;
    /// Denials that figures on outcomes are made of, the newest.
    pub const CASES: u32 = 10_000;

    /// Most records that a total counts.
    pub const COUNTED: u64 = 10_000;
    /// The same of a search by words, which has to read them.
    pub const FOUND: u64 = 1000;
    /// Longest that a search may look for its page.
    pub const SEARCH: Duration = Duration::from_secs(3);
    /// Longest that a search may count what else there is.
    pub const COUNTING: Duration = Duration::from_millis(500);

    /// Opens nothing yet.
    #[must_use]
    pub fn new(store: PathBuf, readers: usize, known: Known) -> Records {
        Records {
            pool: Arc::new(Pool::new(store, readers.max(1))),
            known,
            recent: SharedRecent::default(),
        }
    }

    /// One page of the records that match, and how many there are.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn list(
        &self,
        scope: &Scope,
        filter: Filter,
        page: Page,
    ) -> Result<Listing, ReadError> {
        let filter = Filter {
            scope: scope.clone(),
            ..filter
        };
        if scope.is_nothing() {
            return Ok(Listing::empty());
        }
        let searched = filter.text.is_some();
        let question = move |reader: &Reader| {
            let rows = within(reader, searched, Self::SEARCH, |reader| {
                reader.list(&filter, &one_more(&page))
            })?;
            let most = if searched { Self::FOUND } else { Self::COUNTED };
            let total = within(reader, searched, Self::COUNTING, |reader| {
                reader.count_to(&filter, most)
            })?;
            listing(reader, &filter.scope, rows, total, page.limit)
        };
        self.pool
            .ask(searched, move |reader| reader.snapshot(question))
            .await
    }

    /// Records of the filter's positions, with no order promised and no total.
    pub(super) async fn those(
        &self,
        scope: &Scope,
        filter: Filter,
    ) -> Result<Vec<Entry>, ReadError> {
        let filter = Filter {
            scope: scope.clone(),
            ..filter
        };
        if scope.is_nothing() {
            return Ok(Vec::new());
        }
        let page = Page {
            limit: u32::MAX,
            ..Page::default()
        };
        let question = move |reader: &Reader| {
            let rows = reader.list(&filter, &page)?;
            rows.into_iter()
                .map(|row| entry(reader, &filter.scope, row))
                .collect()
        };
        self.pool
            .read(move |reader| reader.snapshot(question))
            .await
    }

    /// What entries of these positions touch: for those who go on to ask for the records
    /// within a scope, never an answer in itself.
    pub(super) async fn touched(&self, from: u64, until: u64) -> Result<Vec<Touch>, ReadError> {
        self.pool
            .read(move |reader| reader.touched(from, until))
            .await
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn size(&self) -> Result<u64, ReadError> {
        self.pool.read(Reader::size).await
    }

    /// As the writer tells.
    pub(super) fn head(&self) -> Head {
        self.known.head.clone()
    }

    /// What the newest entries touch, for all who follow.
    pub(super) fn recent(&self) -> &SharedRecent {
        &self.recent
    }

    /// The record with this id, or the only one whose id begins so.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn find(&self, scope: &Scope, id: &str) -> Result<Found, ReadError> {
        if scope.is_nothing() {
            return Ok(Found::None);
        }
        let (scope, id) = (scope.clone(), id.to_owned());
        self.pool
            .read(move |reader| {
                let mut rows = reader.begins(&id, &[Class::Denial, Class::Pass], &scope, 2)?;
                Ok(match (rows.pop(), rows.is_empty()) {
                    (Some(_), false) => Found::Several,
                    (Some(row), true) => Found::One(Box::new(entry(reader, &scope, row)?)),
                    (None, _) => Found::None,
                })
            })
            .await
    }

    /// Denials by series.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn summary(&self, scope: &Scope, filter: Filter) -> Result<Summary, ReadError> {
        let filter = Filter {
            scope: scope.clone(),
            ..filter
        };
        if scope.is_nothing() {
            return Ok(Summary {
                total: 0,
                series: Vec::new(),
                open_gaps: 0,
            });
        }
        let searched = filter.text.is_some();
        let asked = GapsAsked {
            since: filter.since,
            until: filter.until,
            open: true,
            hiding: Some(match filter.verdict.as_deref() {
                Some("excepted") => Hidden::Excepted,
                _ => Hidden::Denials,
            }),
            namespace: filter.namespace.clone(),
            operation: filter.operation.clone(),
        };
        let question = move |reader: &Reader| {
            let gaps = reader.gaps(true)?;
            let (total, series) = within(reader, searched, Self::SEARCH, |reader| {
                let series = reader.series(&filter, Self::SERIES)?;
                Ok((reader.count(&filter)?, series))
            })?;
            Ok(Summary {
                total,
                series,
                open_gaps: gaps
                    .iter()
                    .filter(|gap| matters(gap, &filter.scope, &asked))
                    .count(),
            })
        };
        self.pool
            .ask(searched, move |reader| reader.snapshot(question))
            .await
    }

    /// How many actors there are behind the denials of each namespace and policy.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub(super) async fn actors(
        &self,
        scope: &Scope,
        filter: Filter,
    ) -> Result<BTreeMap<(String, String), u64>, ReadError> {
        if scope.is_nothing() {
            return Ok(BTreeMap::new());
        }
        let filter = Filter {
            scope: scope.clone(),
            ..filter
        };
        self.pool.read(move |reader| reader.actors(&filter)).await
    }

    /// Denials of one namespace and what came of them: of one policy or of all. Never of
    /// several namespaces: what one tenant does to pass is no other tenant's business, not
    /// even as a figure. `None`: out of scope.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn cases(
        &self,
        scope: &Scope,
        namespace: &str,
        asked: CasesAsked,
    ) -> Result<Option<Cases>, ReadError> {
        let Some(begins) = scope.whole_from(namespace) else {
            return Ok(None);
        };
        let namespace = namespace.to_owned();
        let question = move |reader: &Reader| {
            let CasesAsked {
                policy,
                since,
                until,
            } = asked;
            let since = since.max(begins);
            reader.cases(&namespace, policy.as_deref(), since, until, Self::CASES)
        };
        self.pool.read(question).await.map(Some)
    }

    /// Gaps that touch the time asked for. They are about the whole stream, so that whoever
    /// may read anything may know where the record is not complete; the door leaves out
    /// process, numbers and detail for those who may not read everything, and of the writes
    /// that are missing those of namespaces that the caller does not read.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn gaps(
        &self,
        scope: &Scope,
        asked: GapsAsked,
        page: Page,
    ) -> Result<Listing<GapRow>, ReadError> {
        if scope.whole().is_some_and(|names| names.is_empty()) {
            return Ok(Listing::empty());
        }
        let scope = scope.clone();
        self.pool
            .read(move |reader| {
                let mut gaps = reader.gaps(asked.open)?;
                gaps.retain(|gap| matters(gap, &scope, &asked));
                let total = gaps.len() as u64;
                if let Some(after) = page.after {
                    gaps.retain(|gap| (gap.row.time, gap.row.position) < after);
                }
                let skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
                let left = gaps.len().saturating_sub(skip);
                let items = gaps
                    .into_iter()
                    .skip(skip)
                    .take(page.limit as usize)
                    .collect();
                Ok(Listing {
                    items,
                    total,
                    capped: false,
                    more: left > page.limit as usize,
                })
            })
            .await
    }

    /// The parts, with their salts, of those entries at or after `from` that the caller
    /// may read, among the next `limit`; and where to go on.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn parts(
        &self,
        scope: &Scope,
        from: u64,
        limit: u32,
    ) -> Result<(Vec<Parts>, u64), ReadError> {
        let scope = scope.clone();
        self.pool
            .read(move |reader| {
                let rows = reader.scan(from, limit)?;
                let next = rows.last().map_or(from, |row| row.position + 1);
                let mut found = Vec::new();
                for row in rows.iter().filter(|row| readable(&scope, row)) {
                    let parts = reader.parts(row.position)?.unwrap_or_default();
                    found.push(Parts {
                        position: row.position,
                        class: row.class,
                        namespace: row.namespace.clone(),
                        parts,
                    });
                }
                Ok((found, next))
            })
            .await
    }

    /// Namespaces that have records or violations, at most `limit`: for those who ask
    /// whether a caller may read them, never an answer in itself.
    pub(super) async fn namespaces(&self, limit: u32) -> Result<Vec<String>, ReadError> {
        let mut names = self.known.reports.read().namespaces(limit as usize);
        let recorded = self.pool.read(move |reader| reader.namespaces(limit));
        names.extend(recorded.await?);
        names.sort_unstable();
        names.dedup();
        names.truncate(limit as usize);
        Ok(names)
    }

    /// From when on records of these namespaces are those of the namespaces that were
    /// created at these times (microseconds of whole seconds): from the beginning of that
    /// second, or from its end if there are older ones of another namespace of that name,
    /// which may have lasted into it.
    pub(super) async fn begun(
        &self,
        created: Vec<(String, i64)>,
    ) -> Result<Vec<(String, i64)>, ReadError> {
        const SECOND: i64 = 1_000_000;
        let question = move |reader: &Reader| {
            let mut begun = Vec::with_capacity(created.len());
            for (name, created) in created {
                let since = match reader.holds_before(&name, created)? {
                    true => created.saturating_add(SECOND),
                    false => created,
                };
                begun.push((name, since));
            }
            Ok(begun)
        };
        self.pool.read(question).await
    }

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn checkpoint(&self) -> Result<String, ReadError> {
        self.pool.read(Reader::checkpoint).await
    }

    /// That this entry, which the caller has read, is in the tree.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub(super) async fn inclusion(&self, entry: &Entry) -> Result<Option<Inclusion>, ReadError> {
        let position = entry.row.position;
        self.pool
            .read(move |reader| reader.inclusion(position))
            .await
    }

    /// Hashes of a tile.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn tile(
        &self,
        level: u8,
        index: u64,
        width: u16,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        self.pool
            .read(move |reader| reader.tile(level, index, width))
            .await
    }

    /// Leaves of a bundle.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub async fn entries(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, ReadError> {
        self.pool
            .read(move |reader| reader.entries(index, width))
            .await
    }
}

/// Searches by words are ended after `limit`.
fn within<T>(
    reader: &Reader,
    searched: bool,
    limit: Duration,
    reads: impl FnOnce(&Reader) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    if searched {
        reader.within(limit, reads)
    } else {
        reads(reader)
    }
}

/// The page and one row behind it, which tells whether more follow.
fn one_more(page: &Page) -> Page {
    Page {
        limit: page.limit + 1,
        ..page.clone()
    }
}

/// What was read with [`one_more`], as a page of at most `limit`.
fn listing(
    reader: &Reader,
    scope: &Scope,
    mut rows: Vec<Row>,
    total: Total,
    limit: u32,
) -> Result<Listing, StoreError> {
    let wanted = limit as usize;
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let entries = rows.into_iter().map(|row| entry(reader, scope, row));
    Ok(Listing {
        items: entries.collect::<Result<_, StoreError>>()?,
        total: total.count,
        capped: total.capped,
        more,
    })
}

fn entry(reader: &Reader, scope: &Scope, row: Row) -> Result<Entry, StoreError> {
    let narrow = !scope.covers_place_of(&row);
    let through = match row.class {
        Class::Denial => reader.others_through(row.position)?,
        _ => None,
    };
    Ok(Entry {
        amendments: reader.amendments(&row.id)?,
        through,
        outcome: match row.class {
            Class::Denial => reader
                .outcome(&row.id)?
                .filter(|outcome| !narrow || by_who_was_denied(outcome)),
            _ => None,
        },
        narrow,
        row,
    })
}

fn by_who_was_denied(outcome: &Row) -> bool {
    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Public {
        same_actor: bool,
    }
    let public: Public = serde_json::from_slice(&outcome.public).unwrap_or_default();
    public.same_actor
}

/// Which gaps.
#[derive(Clone, Debug, Default)]
pub struct GapsAsked {
    /// Microseconds, inclusive.
    pub since: Option<i64>,
    /// Exclusive.
    pub until: Option<i64>,
    /// Only those that nothing has closed.
    pub open: bool,
    /// Only those that may hide this.
    pub hiding: Option<Hidden>,
    /// Not those that are known to be about writes of other namespaces only.
    pub namespace: Option<String>,
    /// Nor about other operations.
    pub operation: Option<String>,
}

/// Which denials, with what came of them.
#[derive(Clone, Debug, Default)]
pub struct CasesAsked {
    /// Any attribution's policy.
    pub policy: Option<String>,
    /// Microseconds, inclusive.
    pub since: Option<i64>,
    /// Exclusive.
    pub until: Option<i64>,
}

/// May something be missing there that is asked for? A gap whose ends are not known may be
/// anywhere, and one that does not name every write that is missing may hide any.
fn matters(gap: &GapRow, scope: &Scope, asked: &GapsAsked) -> bool {
    let (since, until) = (asked.since, asked.until);
    let ends_before = since.is_some_and(|since| gap.to.is_some_and(|to| to < since));
    let begins_after = until.is_some_and(|until| gap.from.is_some_and(|from| from >= until));
    if ends_before || begins_after {
        return false;
    }
    if asked.hiding.is_none() && asked.namespace.is_none() && asked.operation.is_none() {
        return true;
    }
    let is = |asked: &Option<String>, is: &str| asked.as_deref().is_none_or(|asked| asked == is);
    let hiding = asked
        .hiding
        .is_none_or(|hidden| hides(&gap.cause).contains(&hidden));
    // No write of it was made later than its end.
    let time = gap.to.unwrap_or(i64::MAX);
    hiding
        && may_concern(
            &serde_json::from_slice(&gap.row.public).unwrap_or_default(),
            |namespace, operation| {
                is(&asked.namespace, namespace)
                    && is(&asked.operation, operation)
                    && scope.takes_some_of(namespace, time)
            },
        )
}

/// What has a namespace is read there, laws of a namespace included. Erasures name places in
/// the tree only, and whoever misses a part must know that it was erased. Other classes
/// (gaps, amendments) name processes, files or other people's records: cluster scope only.
fn readable(scope: &Scope, row: &Row) -> bool {
    match row.class {
        Class::Outcome | Class::Law => scope.covers_all_of(&row.namespace, row.time),
        Class::Erasure => !scope.is_nothing(),
        _ => scope.covers(row),
    }
}
