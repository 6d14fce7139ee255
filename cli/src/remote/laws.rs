//! The lists of laws and of gaps.

use super::expected::Expected;
use super::lists::{Lists, members};
use super::parts::no_room;
use super::record::time;
use super::report::Kind;
use super::walk::Walk;
use crate::failure::Failure;
use docket_ledger::entry::Class;
use docket_ledger::query::{LawFilter, Page, Row, Total};
use docket_record::entry::amendment::{self, AmendmentKind};
use docket_record::entry::{bytes, gap};
use docket_record::gap::hides;
use docket_record::law::autogen;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a law's entry may say; what it does not say must not be shown.
const LAW: [&str; 17] = [
    "id",
    "time",
    "after",
    "apiVersion",
    "kind",
    "namespace",
    "name",
    "uid",
    "resourceVersion",
    "generation",
    "hash",
    "change",
    "previous",
    "summary",
    "enforces",
    "text",
    "whole",
];
/// The same of a gap's.
const GAP: [&str; 10] = [
    "id", "time", "from", "to", "source", "cause", "process", "numbers", "count", "detail",
];
/// What of a gap everyone is shown.
const GAP_FIELDS: usize = 6;

fn uncapped(count: u64) -> Total {
    Total {
        count,
        capped: false,
    }
}

impl Lists<'_> {
    /// Versions of laws; how many are listed.
    pub(super) async fn laws(&mut self) -> Result<u64, Failure> {
        let mut walk = Walk::new("/api/laws", None);
        let mut page = Page {
            limit: 1000,
            ..Page::default()
        };
        let laws = self.verified.view.laws(&LawFilter::default(), &page);
        let (_, total) = laws.map_err(no_room)?;
        while let Some(page) = walk.next(self.client).await? {
            if walk.pages == 1 {
                self.total(&walk.path, uncapped(total), &page).await?;
            }
            for item in page["items"].as_array().into_iter().flatten() {
                let Some(position) = self.place(&mut walk, item).await? else {
                    continue;
                };
                let row = self.verified.view.at(position).map_err(no_room)?;
                match row.filter(|row| row.class == Class::Law) {
                    Some(row) => {
                        self.in_order(&mut walk, &row);
                        let mut expected = self.law(&row)?;
                        let by = "changedBy";
                        let fits = expected
                            .get(by)
                            .map(|by| by.differences(&item["changedBy"]));
                        if fits.is_some_and(|fits| !fits.fields.is_empty()) && self.grown(1).await?
                        {
                            expected.set(by, Expected::Unknown(Kind::Newer));
                        }
                        self.compare(expected, item, position, &walk.path)?;
                    }
                    None => self.report.find(format!(
                        "{} shows an entry {position} that the ledger does not hold for you",
                        walk.path
                    )),
                }
            }
            if walk.has_no_end() {
                self.report.find(format!("{} has no end", walk.path));
                return Ok(walk.seen.len() as u64);
            }
        }
        loop {
            let laws = self.verified.view.laws(&LawFilter::default(), &page);
            let (rows, _) = laws.map_err(no_room)?;
            for row in rows.iter().filter(|row| !walk.seen.contains(&row.position)) {
                self.report.find(format!(
                    "entry {} is in the ledger, but not in {}",
                    row.position, walk.path
                ));
            }
            match rows.last() {
                Some(last) => page.after = Some((last.time, last.position)),
                None => return Ok(walk.seen.len() as u64),
            }
        }
    }

    fn law(&self, row: &Row) -> Result<Expected, Failure> {
        let mut shown = Expected::Object(members(&row.public));
        for name in LAW {
            if shown.get(name).is_none() {
                shown.set(name, Value::Null);
            }
        }
        shown.set("position", row.position);
        shown.set("recordedAt", time(row.recorded_at));
        let amendments = self.verified.view.amendments(&row.id).map_err(no_room)?;
        // What Kyverno made of it last.
        let mut made = amendments.iter().rev();
        let made = made.find_map(|row| autogen::Amendment::read(&row.public));
        shown.set(
            "autogen",
            match (made, self.verified.whole) {
                (Some(made), _) => made.autogen.into(),
                (None, true) => Value::Null.into(),
                (None, false) => Expected::Unknown(Kind::Amendments),
            },
        );
        let changed_by = match self.verified.whole {
            true => {
                let mut by = Vec::new();
                for amendment in &amendments {
                    by.extend(self.changed_by(amendment));
                }
                // Those that fit only if the clocks differ count where no other does.
                let sure = |one: &(bool, Expected)| !one.0;
                if by.iter().any(sure) {
                    by.retain(sure);
                }
                Expected::List(by.into_iter().map(|(_, one)| one).collect())
            }
            // Who changed a law is told to who reads everything.
            false => Value::Null.into(),
        };
        shown.set("changedBy", changed_by);
        Ok(shown)
    }

    /// Whether it is only perhaps the one, and who it was.
    fn changed_by(&self, row: &Row) -> Option<(bool, Expected)> {
        let public = amendment::Public::read(&row.public);
        if public.kind != AmendmentKind::LawChangedBy {
            return None;
        }
        let actor = match self.verified.withheld.contains(&row.position) {
            true => Expected::Unknown(Kind::Texts),
            false => {
                let personal = amendment::Personal::read(row.personal.as_deref());
                personal.actor.map(|actor| actor.username).into()
            }
        };
        let perhaps = public.perhaps;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let one = Expected::object([
            ("actor", actor),
            ("verb", given(public.verb).into()),
            ("time", json!(public.written_at).into()),
            ("event", given(public.event).into()),
            ("perhaps", perhaps.into()),
        ]);
        Some((perhaps, one))
    }

    /// Gaps; how many are listed. Everyone who reads anything is shown all of them.
    pub(super) async fn gaps(&mut self) -> Result<u64, Failure> {
        let gaps = self.verified.view.gaps(false).map_err(no_room)?;
        let gaps: BTreeMap<u64, Row> = gaps
            .into_iter()
            .map(|gap| (gap.row.position, gap.row))
            .collect();
        let leaves = (0..self.size()).filter(|at| self.class(*at) == Some(Class::Gap));
        let leaves: Vec<u64> = leaves.collect();
        let mut walk = Walk::new("/api/gaps", None);
        while let Some(page) = walk.next(self.client).await? {
            if walk.pages == 1 {
                self.total(&walk.path, uncapped(leaves.len() as u64), &page)
                    .await?;
            }
            for item in page["items"].as_array().into_iter().flatten() {
                let Some(position) = self.place(&mut walk, item).await? else {
                    continue;
                };
                if self.class(position) != Some(Class::Gap) {
                    self.report.find(format!(
                        "{} shows an entry {position}, which is no gap",
                        walk.path
                    ));
                    continue;
                }
                if let Some(row) = gaps.get(&position) {
                    self.in_order(&mut walk, row);
                }
                let mut expected = self.gap(position, gaps.get(&position));
                let closed = item["closedBy"].as_u64().filter(|at| *at >= self.size());
                if let Some(at) = closed
                    && self.grown((at - self.size()).saturating_add(1)).await?
                {
                    expected.set("closed", Expected::Unknown(Kind::Newer));
                    expected.set("closedBy", Expected::Unknown(Kind::Newer));
                }
                self.compare(expected, item, position, &walk.path)?;
            }
            if walk.has_no_end() {
                self.report.find(format!("{} has no end", walk.path));
                return Ok(walk.seen.len() as u64);
            }
        }
        for position in leaves {
            if walk.pages > 0 && !walk.seen.contains(&position) {
                self.report.find(format!(
                    "entry {position} is in the ledger, but not in {}",
                    walk.path
                ));
            }
        }
        Ok(walk.seen.len() as u64)
    }

    fn gap(&self, position: u64, row: Option<&Row>) -> Expected {
        let recorded = self.recorded(position);
        let mut shown = match row {
            Some(row) => {
                let mut shown = Expected::Object(members(&row.public));
                for name in GAP {
                    if shown.get(name).is_none() {
                        shown.set(name, Value::Null);
                    }
                }
                let public: gap::Public = serde_json::from_slice(&row.public).unwrap_or_default();
                let hidden = hides(public.cause.name()).iter();
                let hidden: Vec<&str> = hidden.map(|one| one.name()).collect();
                shown.set("hides", hidden);
                shown.set("writes", self.writes(row, &public.writes));
                shown.set("closed", row.closed_by.is_some());
                shown.set("closedBy", json!(row.closed_by));
                shown
            }
            // Its parts are not served to who reads a namespace: its place in the tree is.
            None => {
                let mut shown = Expected::object([]);
                for name in &GAP[..GAP_FIELDS] {
                    shown.set(name, Expected::Unknown(Kind::Gaps));
                }
                for name in &GAP[GAP_FIELDS..] {
                    shown.set(name, Value::Null);
                }
                for name in ["hides", "closed", "closedBy", "writes"] {
                    shown.set(name, Expected::Unknown(Kind::Gaps));
                }
                shown
            }
        };
        shown.set("position", position);
        shown.set("recordedAt", recorded);
        shown
    }

    /// The writes that are missing, with who made them, which stands in the personal part.
    fn writes(&self, row: &Row, writes: &[gap::MissingWrite]) -> Expected {
        let withheld = self.verified.withheld.contains(&row.position);
        let personal = row.personal.as_deref().unwrap_or_default();
        let personal: gap::Personal = serde_json::from_slice(personal).unwrap_or_default();
        let shown = writes.iter().map(|write| {
            let mut shown = Expected::Object(members(&bytes(write)));
            let mut who = personal.writes.iter();
            let who = who.find(|who| who.number == write.number);
            for (name, text) in [
                ("name", who.map(|who| &who.name)),
                ("user", who.map(|who| &who.user)),
            ] {
                shown.set(
                    name,
                    match withheld {
                        true => Expected::Unknown(Kind::Texts),
                        false => text.filter(|text| !text.is_empty()).cloned().into(),
                    },
                );
            }
            shown
        });
        let shown: Vec<Expected> = shown.collect();
        match shown.is_empty() {
            true => Value::Null.into(),
            false => Expected::List(shown),
        }
    }

    fn recorded(&self, position: u64) -> Option<String> {
        let at = usize::try_from(position).ok()?;
        Some(time(self.leaves.get(at)?.as_ref()?.recorded_at))
    }
}
