//! The lists that people read, against what the parts say: nothing is missing from them,
//! nothing is added, nothing is told otherwise, and the order is right.

use super::expected::Expected;
use super::parts::{Verified, no_room};
use super::record::{CHANGED_LATER, View, item, time};
use super::report::{Kind, Report, count};
use super::walk::Walk;
use crate::client::Client;
use crate::failure::Failure;
use docket_ledger::entry::{Class, Leaf};
use docket_ledger::note::check_note;
use docket_ledger::query::{Filter, Page, Row, Scope, Total};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most records that a total counts.
pub(super) const COUNTED: u64 = 10_000;
/// Most lists of one sort (repositories, orgs, namespaces) that are asked for.
pub(super) const MOST: usize = 1000;
/// How often it is asked how far the ledger has grown.
const ASKED: u32 = 100;
/// Rows read at a time.
const ROWS: u32 = 1000;

/// What is compared, and with what.
pub(super) struct Lists<'a> {
    pub(super) client: &'a Client,
    pub(super) report: &'a mut Report,
    pub(super) verified: &'a Verified,
    pub(super) leaves: &'a [Option<Leaf>],
    /// Verifier key.
    pub(super) key: &'a str,
    newest: u64,
    asked: u32,
    /// Orgs that records name.
    pub(super) orgs: BTreeSet<String>,
}

/// One list of records.
pub(super) struct List<'a> {
    pub(super) path: String,
    pub(super) verdict: Option<&'static str>,
    pub(super) classes: Vec<Class>,
    /// What of the entries that were served belongs in it.
    pub(super) scope: Scope,
    pub(super) view: View<'a>,
    /// All of that must be in it.
    pub(super) complete: bool,
    /// Series may be counted by what is not known here.
    pub(super) counts: bool,
}

impl<'a> Lists<'a> {
    pub(super) fn new(
        client: &'a Client,
        report: &'a mut Report,
        verified: &'a Verified,
        leaves: &'a [Option<Leaf>],
        key: &'a str,
    ) -> Lists<'a> {
        Lists {
            client,
            report,
            verified,
            leaves,
            key,
            newest: leaves.len() as u64,
            asked: 0,
            orgs: BTreeSet::new(),
        }
    }

    /// All of them.
    pub(super) async fn check(mut self) -> Result<(), Failure> {
        let before = self.report.findings();
        let mut records = 0;
        for (verdict, class) in [
            (None, Class::Denial),
            (Some("failedOpen"), Class::Pass),
            (Some("excepted"), Class::Pass),
        ] {
            let list = List {
                path: "/api/policy-denials".to_owned(),
                verdict,
                classes: vec![class],
                scope: Scope::all(),
                view: View::default(),
                complete: true,
                counts: true,
            };
            records += self.records(&list).await?.unwrap_or(0);
        }
        let laws = self.laws().await?;
        let gaps = self.gaps().await?;
        let narrow = self.narrow().await?;
        let figures = self.figures().await?;
        for (what, number) in [
            ("records", records),
            ("laws", laws),
            ("gaps", gaps),
            ("lists", narrow),
            ("figures", figures),
        ] {
            self.report.count(what, number);
        }
        if self.report.findings() == before {
            let what = [
                count(records, "record", "records"),
                count(laws, "law", "laws"),
                count(gaps, "gap", "gaps"),
            ];
            let what = what.into_iter().filter(|what| !what.starts_with("0 "));
            let what: Vec<String> = what.collect();
            let what = match what.as_slice() {
                [] => "nothing".to_owned(),
                [one] => one.clone(),
                [first @ .., last] => format!("{} and {last}", first.join(", ")),
            };
            let narrow = count(narrow, "narrower list", "narrower lists");
            let figures = count(figures, "answer with figures", "answers with figures");
            self.report.say(
                "lists",
                &format!(
                    "{what} listed as the parts say, and no other; so in {narrow} and {figures}"
                ),
            );
        }
        Ok(())
    }

    /// How many entries the tree was signed over.
    pub(super) fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    pub(super) fn class(&self, position: u64) -> Option<Class> {
        let at = usize::try_from(position).ok()?;
        Some(self.leaves.get(at)?.as_ref()?.class)
    }

    /// Has the ledger grown by so many entries since the checkpoint, as another one says
    /// that the same key signed?
    pub(super) async fn grown(&mut self, by: u64) -> Result<bool, Failure> {
        let size = self.size();
        if self.newest - size < by && self.asked < ASKED {
            self.asked += 1;
            let note = self.client.get("/checkpoint").await?;
            let note = String::from_utf8_lossy(&note);
            if let Ok(newer) = check_note(&note, self.key) {
                self.newest = self.newest.max(newer.size);
            }
        }
        Ok(self.newest - size >= by)
    }

    /// One list; how many records it shows. `None`: it is not the caller's to read.
    pub(super) async fn records(&mut self, list: &List<'_>) -> Result<Option<u64>, Failure> {
        let filter = Filter {
            classes: list.classes.clone(),
            scope: list.scope.clone(),
            verdict: list.verdict.map(str::to_owned),
            ..Filter::default()
        };
        let verdict = list.verdict.map(|verdict| ("verdict", verdict.to_owned()));
        let mut walk = Walk::new(&list.path, verdict);
        while let Some(page) = walk.next(self.client).await? {
            if walk.pages == 1 && list.complete {
                let total = self.verified.view.count_to(&filter, COUNTED);
                self.total(&walk.path, total.map_err(no_room)?, &page)
                    .await?;
            }
            let mut rows = self.rows(&filter, &page)?;
            for item in page["items"].as_array().into_iter().flatten() {
                let Some(position) = self.place(&mut walk, item).await? else {
                    continue;
                };
                let Some(row) = rows.remove(&position) else {
                    // Of one's own, also what lies where one may not read.
                    match list.view.narrow && !list.complete {
                        true if self.class(position) == Some(Class::Denial) => {
                            self.report.skip_of(Kind::Own, position);
                        }
                        _ => self.report.find(format!(
                            "{} shows an entry {position} that the ledger does not hold for you",
                            walk.path
                        )),
                    }
                    continue;
                };
                self.in_order(&mut walk, &row);
                self.record(list, &row, item).await?;
            }
            if walk.has_no_end() {
                self.report.find(format!("{} has no end", walk.path));
                return Ok(Some(walk.seen.len() as u64));
            }
        }
        if walk.pages == 0 {
            return Ok(None);
        }
        if list.complete {
            self.missing(&filter, &walk)?;
        } else {
            let shown = Total {
                count: walk.items,
                capped: walk.items > COUNTED,
            };
            let first = std::mem::take(&mut walk.first);
            if !shown.capped {
                self.total(&walk.path, shown, &first).await?;
            }
        }
        Ok(Some(walk.seen.len() as u64))
    }

    /// The rows of a page's items that belong in the list.
    fn rows(&self, filter: &Filter, page: &Value) -> Result<BTreeMap<u64, Row>, Failure> {
        let items = page["items"].as_array().into_iter().flatten();
        let positions = items.filter_map(|item| item["position"].as_u64());
        let positions: Vec<u64> = positions.filter(|at| *at < self.size()).collect();
        let page = Page {
            limit: u32::try_from(positions.len()).unwrap_or(u32::MAX),
            ..Page::default()
        };
        let filter = Filter {
            positions: Some(positions),
            ..filter.clone()
        };
        let rows = self.verified.view.list(&filter, &page).map_err(no_room)?;
        Ok(rows.into_iter().map(|row| (row.position, row)).collect())
    }

    /// Where an item stands, if it is one to compare.
    pub(super) async fn place(
        &mut self,
        walk: &mut Walk,
        item: &Value,
    ) -> Result<Option<u64>, Failure> {
        let Some(position) = item["position"].as_u64() else {
            let finding = format!("{} shows something without a place", walk.path);
            self.report.find(finding);
            return Ok(None);
        };
        if position >= self.size() {
            // It came after the checkpoint: next time.
            match self
                .grown((position - self.size()).saturating_add(1))
                .await?
            {
                true => self.report.skip_of(Kind::Newer, position),
                false => self.report.find(format!(
                    "{} shows an entry {position} that no checkpoint holds",
                    walk.path
                )),
            }
            return Ok(None);
        }
        if !walk.is_new(position) {
            let finding = format!("entry {position} is listed twice in {}", walk.path);
            self.report.find(finding);
            return Ok(None);
        }
        Ok(Some(position))
    }

    /// Newest first.
    pub(super) fn in_order(&mut self, walk: &mut Walk, row: &Row) {
        let key = (row.time, row.position);
        if walk.last.replace(key).is_some_and(|last| last < key) {
            self.report.find(format!(
                "{} does not show entry {} in its place",
                walk.path, row.position
            ));
        }
    }

    /// What is in the ledger and was not in the list.
    fn missing(&mut self, filter: &Filter, walk: &Walk) -> Result<(), Failure> {
        let mut page = Page {
            limit: ROWS,
            ..Page::default()
        };
        loop {
            let rows = self.verified.view.list(filter, &page).map_err(no_room)?;
            for row in &rows {
                if !walk.seen.contains(&row.position) {
                    self.report.find(format!(
                        "entry {} is in the ledger, but not in {}",
                        row.position, walk.path
                    ));
                }
            }
            match rows.last() {
                Some(last) => page.after = Some((last.time, last.position)),
                None => return Ok(()),
            }
        }
    }

    /// What a list says of how many there are.
    pub(super) async fn total(
        &mut self,
        path: &str,
        total: Total,
        page: &Value,
    ) -> Result<(), Failure> {
        let capped = page["totalCapped"] == true;
        let fits = page["total"] == total.count && capped == total.capped;
        if !fits && !self.has_grown_to(&page["total"], total.count).await? {
            self.report.find(format!(
                "{path} says that there are {} and there are {}",
                page["total"], total.count
            ));
        }
        Ok(())
    }

    /// Is that number as much larger than it must be as the ledger has grown?
    pub(super) async fn has_grown_to(
        &mut self,
        served: &Value,
        expected: u64,
    ) -> Result<bool, Failure> {
        let more = served
            .as_u64()
            .and_then(|served| served.checked_sub(expected));
        let Some(more) = more.filter(|more| *more > 0) else {
            return Ok(false);
        };
        let grown = self.grown(more).await?;
        if grown {
            self.report.skip(Kind::Newer);
        }
        Ok(grown)
    }

    /// One record as it is listed.
    async fn record(&mut self, list: &List<'_>, row: &Row, shown: &Value) -> Result<(), Failure> {
        if let Some(org) = shown["context"]["org"].as_str()
            && self.orgs.len() <= MOST
            && !org.is_empty()
        {
            self.orgs.insert(org.to_owned());
        }
        let Some(expected) = item(self.verified, row, list.view)? else {
            if shown["unreadable"] != true {
                self.report.skip_of(Kind::Forms, row.position);
                return Ok(());
            }
            let bare = Expected::object([
                ("id", row.id.clone().into()),
                ("time", time(row.time).into()),
                ("recordedAt", time(row.recorded_at).into()),
                ("position", row.position.into()),
                ("unreadable", true.into()),
                ("notes", Expected::Unknown(Kind::Forms)),
            ]);
            return self.compare(bare, shown, row.position, &list.path);
        };
        let expected = self.as_known(list, row, expected, shown).await?;
        self.compare(expected, shown, row.position, &list.path)
    }

    /// What must be shown, less what entries that were not read may have changed.
    async fn as_known(
        &mut self,
        list: &List<'_>,
        row: &Row,
        mut expected: Expected,
        shown: &Value,
    ) -> Result<Expected, Failure> {
        let amendments = shown["amendments"].as_array().into_iter().flatten();
        let amendments: Vec<u64> = amendments
            .filter_map(|amendment| amendment["position"].as_u64())
            .collect();
        let outcome = shown["outcome"]["position"].as_u64();
        let later = amendments
            .iter()
            .chain(&outcome)
            .filter(|at| **at >= self.size());
        if let Some(newest) = later.max()
            && self.grown((newest - self.size()).saturating_add(1)).await?
        {
            for name in CHANGED_LATER {
                expected.set(name, Expected::Unknown(Kind::Newer));
            }
        }
        let of_class = |at: &u64, class| self.class(*at) == Some(class);
        let hidden = |at: &u64| self.verified.view.at(*at).is_ok_and(|row| row.is_none());
        if !self.verified.whole
            && !amendments.is_empty()
            && amendments
                .iter()
                .all(|at| of_class(at, Class::Amendment) && hidden(at))
        {
            for name in CHANGED_LATER.into_iter().filter(|name| *name != "outcome") {
                expected.set(name, Expected::Unknown(Kind::Amendments));
            }
        }
        if let Some(at) = outcome.filter(|at| of_class(at, Class::Outcome))
            && (hidden(&at) || self.verified.withheld.contains(&row.position))
        {
            expected.set("outcome", Expected::Unknown(Kind::Outcomes));
        }
        // Where orgs share a namespace, of an outcome only what whoever was denied did.
        let others_did = expected
            .get("outcome")
            .and_then(|outcome| outcome.get("sameActor"));
        if list.view.org.is_some()
            && matches!(others_did, Some(Expected::Is(Value::Bool(false))))
            && shown["outcome"].is_null()
        {
            expected.set("outcome", Value::Null);
        }
        let state = expected
            .get("others")
            .and_then(|others| others.get("state"));
        let pending = matches!(state, Some(Expected::Is(state)) if *state == "pending");
        if pending && shown["others"]["state"] != "pending" && self.grown(1).await? {
            expected.set("others", Expected::Unknown(Kind::Newer));
        }
        let (series, _, _) = row.series.unwrap_or((1, row.time, row.time));
        if shown["count"] != series {
            let more = shown["count"]
                .as_u64()
                .and_then(|shown| shown.checked_sub(series));
            let kind = match more {
                _ if !list.counts => Some(Kind::Figures),
                Some(more) if self.grown(more).await? => Some(Kind::Newer),
                _ if !self.verified.whole && series > COUNTED => Some(Kind::Figures),
                _ => None,
            };
            for name in kind.iter().flat_map(|_| ["count", "firstSeen", "lastSeen"]) {
                expected.set(name, Expected::Unknown(kind.unwrap_or(Kind::Figures)));
            }
        }
        Ok(expected)
    }

    /// Says how an item differs from what it must be.
    pub(super) fn compare(
        &mut self,
        expected: Expected,
        shown: &Value,
        position: u64,
        path: &str,
    ) -> Result<(), Failure> {
        let differences = expected.differences(shown);
        for kind in differences.skipped {
            self.report.skip_of(kind, position);
        }
        for name in differences.unknown {
            self.report.unknown_field(name);
        }
        if !differences.fields.is_empty() {
            self.report.find(format!(
                "entry {position} is listed otherwise than its parts say in {path}: {}",
                differences.fields.join(", ")
            ));
        }
        Ok(())
    }
}

/// A page of laws or gaps holds whatever the ledger says of one.
pub(super) fn members(public: &[u8]) -> Vec<(String, Expected)> {
    let Ok(Value::Object(members)) = serde_json::from_slice(public) else {
        return vec![("unreadable".to_owned(), json!(true).into())];
    };
    let members = members
        .into_iter()
        .map(|(name, value)| (name, value.into()));
    members.collect()
}
