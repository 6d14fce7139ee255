//! Lists of denials, page by page, each of one moment: the version of the first page.

use super::asked::Asked;
use super::object::{self, Object};
use super::options::Match;
use super::status::Failure;
use super::token::{Token, asked};
use super::{Call, unread};
use crate::doors::ask::Verb;
use crate::doors::item;
use crate::doors::read::{Entry, Found, Listing, Scope};
use crate::doors::rest::is_id;
use docket_ledger::query::{Filter, Page, Row};
use serde_json::{Value, json};

/// Records asked for at one time where selectors are.
const AT_LEAST: usize = 100;
/// Records looked at for one page; where selectors take few of them a page is short, and
/// says where to go on.
const LOOK: usize = 2000;
/// Bytes of records on one page, as they are kept.
const BYTES: usize = 16 * 1024 * 1024;

/// Where a list begins, and of when it is.
pub(super) struct Place {
    /// Entries from here on are not in the list.
    pub(super) size: u64,
    pub(super) after: Option<(i64, u64)>,
    pub(super) given: u64,
    /// Of the query.
    pub(super) asked: u64,
}

/// A page in the making.
#[derive(Default)]
struct Made {
    objects: Vec<Object>,
    /// How many there are; `None` where counting ended before the last.
    total: Option<u64>,
    /// The last record that was looked at, if more follow.
    next: Option<(i64, u64)>,
}

impl Call {
    /// A page of denials.
    pub(super) async fn denials(&self) -> Result<Value, Failure> {
        let asked = Asked::parse(&self.options, &self.target, self.now)?;
        let scope = self.granted(Verb::List).await?.scope;
        let place = self.begin().await?;
        let page = match &asked.name {
            Some(name) => self.named(&scope, &asked, name, place.size).await?,
            None => self.page(&scope, &asked, &place).await?,
        };
        let left = page.total.filter(|_| asked.all);
        let metadata = self.metadata(&place, page.objects.len(), page.next, left);
        let list = format!("{}List", self.target.resource.kind());
        Ok(self.listed(&list, &page.objects, metadata))
    }

    /// Where the page starts: by `continue`, or else where the list does.
    pub(super) async fn begin(&self) -> Result<Place, Failure> {
        let options = &self.options;
        let path = format!("{:?} {:?}", self.target.resource, self.target.namespace);
        let asked = asked(&[&path, &options.labels, &options.fields]);
        let size = self.size().await?;
        if let Some(token) = &options.token {
            let token = Token::parse(token, asked)?;
            return Ok(Place {
                size: self.place(&token.version.to_string(), size)?,
                after: Some(token.after),
                given: token.given,
                asked,
            });
        }
        let then = options.version.as_deref();
        let then = then.map(|version| self.place(version, size)).transpose()?;
        let exact = options.matching == Some(Match::Exact);
        Ok(Place {
            size: then.filter(|_| exact).unwrap_or(size),
            after: None,
            given: 0,
            asked,
        })
    }

    /// Of a list: `next` is the place of its last record if more follow, `total` how many
    /// there are if that is known.
    pub(super) fn metadata(
        &self,
        place: &Place,
        here: usize,
        next: Option<(i64, u64)>,
        total: Option<u64>,
    ) -> Value {
        let version = self.state.inner.versions.print(place.size);
        let mut metadata = json!({ "resourceVersion": version });
        if let Some(after) = next {
            let given = place.given + here as u64;
            let token = Token {
                version: version.parse().unwrap_or_default(),
                after,
                given,
                asked: place.asked,
            };
            metadata["continue"] = token.print().into();
            let left = total.unwrap_or(0).saturating_sub(given);
            if left > 0 {
                metadata["remainingItemCount"] = left.into();
            }
        }
        metadata
    }

    async fn page(&self, scope: &Scope, asked: &Asked, place: &Place) -> Result<Made, Failure> {
        let wanted = self.options.limit as usize;
        let mut made = Made::default();
        let (mut after, mut looked, mut bytes) = (place.after, 0, 0);
        loop {
            let left = wanted - made.objects.len();
            // Few at a time would be many questions where selectors take few.
            let limit = if asked.all { left } else { left.max(AT_LEAST) };
            let page = Page {
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
                offset: 0,
                after,
            };
            let records = &self.state.inner.records;
            let listing = records.list(scope, asked.filter.clone(), page).await;
            let Listing {
                items,
                total,
                capped,
                more,
            } = listing.map_err(unread)?;
            made.total = (!capped).then_some(total);
            let mut items = items.into_iter().peekable();
            while let Some(entry) = items.next() {
                let here = (entry.row.time, entry.row.position);
                after = Some(here);
                looked += 1;
                bytes += weight(&entry);
                made.objects.extend(self.taken(asked, entry, place.size));
                let follow = more || items.peek().is_some();
                let full = made.objects.len() >= wanted || looked >= LOOK || bytes >= BYTES;
                if full && follow {
                    made.next = Some(here);
                    return Ok(made);
                }
            }
            if !more {
                return Ok(made);
            }
        }
    }

    /// The one of this name, if the other selectors take it too.
    async fn named(
        &self,
        scope: &Scope,
        asked: &Asked,
        name: &str,
        size: u64,
    ) -> Result<Made, Failure> {
        let mut made = Made::default();
        let Some(entry) = self
            .found(scope, name)
            .await?
            .filter(|entry| entry.row.id == name)
        else {
            return Ok(made);
        };
        let filter = Filter {
            positions: Some(vec![entry.row.position]),
            ..asked.filter.clone()
        };
        let those = self.state.inner.records.those(scope, filter).await;
        let those = those.map_err(unread)?.into_iter();
        made.objects
            .extend(those.filter_map(|entry| self.taken(asked, entry, size)));
        Ok(made)
    }

    /// The record with this id, or the only one whose id begins so.
    pub(super) async fn found(&self, scope: &Scope, name: &str) -> Result<Option<Entry>, Failure> {
        if !is_id(name) {
            return Ok(None);
        }
        let found = self.state.inner.records.find(scope, name).await;
        only(found.map_err(unread)?, name)
    }

    /// As it was when the ledger held `size` entries; `None` for what was not there, or is
    /// not looked for.
    fn taken(&self, asked: &Asked, mut entry: Entry, size: u64) -> Option<Object> {
        if entry.row.position >= size {
            return None;
        }
        let then = |row: &Row| row.position < size;
        entry.amendments.retain(then);
        entry.outcome = entry.outcome.filter(then);
        entry.through = entry.through.filter(then);
        let object = self.object(&entry, entry.version());
        asked.takes(&entry, &object).then_some(object)
    }

    /// As the object that it is here; `size` is its version.
    pub(super) fn object(&self, entry: &Entry, size: u64) -> Object {
        let inner = &self.state.inner;
        let report = inner.records.report_of(&entry.row);
        let denial = item::denial(entry, None, report).for_list();
        let version = inner.versions.print(size);
        object::denial(&self.target.resource, &version, entry, &denial)
    }
}

fn weight(entry: &Entry) -> usize {
    entry.row.public.len() + entry.row.personal.as_ref().map_or(0, Vec::len)
}

/// Not one of several that begin alike.
pub(super) fn only(found: Found, name: &str) -> Result<Option<Entry>, Failure> {
    match found {
        Found::One(entry) => Ok(Some(*entry)),
        Found::None => Ok(None),
        Found::Several => Err(Failure::bad_request(format!(
            "several begin with {name}; give more of the name"
        ))),
    }
}
