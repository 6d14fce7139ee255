//! Each part that a server hands out, against the commitment in its leaf. A part that is
//! not there must be withheld by right, or erased by an entry that says so.

use super::permission::Permissions;
use super::report::{Kind, Report, count, entries};
use crate::client::Client;
use crate::failure::{Failure, could_not};
use data_encoding::BASE64;
use docket_ledger::entry::{Class, Leaf, NO_PART, Part, commitment};
use docket_ledger::erasure::erased;
use docket_ledger::query::Reader;
use docket_ledger::verified::{VerifiedEntry, VerifiedView};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Entries asked for at a time.
const PAGE: u64 = 200;
/// All parts, in the order in which they are served.
const PARTS: [Part; 3] = [Part::Public, Part::Personal, Part::Exhibit];

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next: u64,
}

/// What fits the signed tree, to hold the lists against.
pub(super) struct Verified {
    /// The entries whose public part was served.
    pub(super) view: Reader,
    /// Positions of entries whose personal part is there and was withheld.
    pub(super) withheld: BTreeSet<u64>,
    /// Every entry was served: the caller reads everything.
    pub(super) whole: bool,
}

/// Where one part of one entry was not served.
type Place = (u64, Part);

struct Check<'a> {
    report: &'a mut Report,
    leaves: &'a [Option<Leaf>],
    view: VerifiedView,
    compared: u64,
    /// Not there, and not called withheld.
    absent: BTreeSet<Place>,
    erased: BTreeSet<Place>,
    withheld: BTreeSet<Place>,
}

/// Asks for all parts, and compares them.
pub(super) async fn verified(
    client: &Client,
    report: &mut Report,
    permissions: &mut Permissions,
    leaves: &[Option<Leaf>],
) -> Result<Verified, Failure> {
    let before = report.findings();
    let mut check = Check {
        report,
        leaves,
        view: VerifiedView::new().map_err(no_room)?,
        compared: 0,
        absent: BTreeSet::new(),
        erased: BTreeSet::new(),
        withheld: BTreeSet::new(),
    };
    let served = check.pages(client).await?;
    let erased = check.absent();
    let Check {
        report,
        view,
        compared,
        withheld,
        ..
    } = check;
    let view = view.reader().map_err(no_room)?;
    not_served(report, permissions, leaves.len() as u64 - served).await;
    by_right(report, permissions, &view, &withheld).await?;
    report.count("parts", compared);
    report.count("erased", erased);
    if report.findings() == before {
        let erased = match erased {
            0 => String::new(),
            erased => format!(", {} erased", count(erased, "was", "were")),
        };
        let withheld = match withheld.len() as u64 {
            0 => String::new(),
            withheld => format!(", {} not yours to read", count(withheld, "is", "are")),
        };
        let all = entries(leaves.len() as u64);
        let parts = count(compared, "part", "parts");
        let fit = if compared == 1 {
            "fits its commitment"
        } else {
            "fit their commitments"
        };
        report.say(
            "parts",
            &format!("{served} of {all} yours to read; {parts} {fit}{erased}{withheld}"),
        );
    }
    let personal = withheld
        .into_iter()
        .filter(|(_, part)| *part == Part::Personal);
    Ok(Verified {
        view,
        withheld: personal.map(|(position, _)| position).collect(),
        whole: served == leaves.len() as u64,
    })
}

impl Check<'_> {
    /// Page after page; returns how many entries were served.
    async fn pages(&mut self, client: &Client) -> Result<u64, Failure> {
        let size = self.leaves.len() as u64;
        let (mut from, mut served) = (0, 0);
        while from < size {
            let page = client
                .get(&format!("/api/parts?from={from}&limit={PAGE}"))
                .await?;
            let page: Page = serde_json::from_slice(&page)
                .map_err(could_not("the server's parts can't be read"))?;
            if page.next <= from {
                self.report.find(format!(
                    "entry {from}: the server has a leaf for it and knows no such entry"
                ));
                break;
            }
            if page.next > from + PAGE {
                self.report
                    .find(format!("entry {}: its parts were passed over", from + PAGE));
            }
            let mut entries = Vec::new();
            let mut least = from;
            for item in &page.items {
                let position = item["position"].as_u64().unwrap_or(u64::MAX);
                if position < least || position >= page.next {
                    self.report.find(format!(
                        "parts of entry {} were served where those of {least} to {} belong",
                        item["position"],
                        page.next - 1
                    ));
                    continue;
                }
                least = position + 1;
                // Newer than the checkpoint: next time.
                if position < size {
                    served += 1;
                    entries.extend(self.entry(position, item));
                }
            }
            for twice in self.view.add(&entries).map_err(no_room)? {
                self.report
                    .find(format!("entry {twice} has the id of an earlier one"));
            }
            from = page.next;
        }
        Ok(served)
    }

    /// One entry; what of it fits.
    fn entry(&mut self, position: u64, item: &Value) -> Option<VerifiedEntry> {
        let leaf = *usize::try_from(position)
            .ok()
            .and_then(|at| self.leaves.get(at)?.as_ref())?;
        if item["class"] != json!(leaf.class) {
            self.report.find(format!(
                "entry {position}: it is served as {} and its leaf says {}",
                item["class"],
                json!(leaf.class)
            ));
        }
        let mut fitting = PARTS.map(|part| self.part(position, &leaf, part, item));
        let (public, personal) = (fitting[0].take()?, fitting[1].take());
        if leaf.class == Class::Erasure {
            self.erased.extend(erased(position, &public));
        }
        Some(VerifiedEntry {
            position,
            personal: personal.map(|bytes| short(leaf.class, bytes)),
            leaf,
            public,
        })
    }

    /// The bytes of one part, if it was served and fits.
    fn part(&mut self, position: u64, leaf: &Leaf, part: Part, item: &Value) -> Option<Vec<u8>> {
        let name = part.name();
        let promised = *leaf.commitment(part);
        let called = item["withheld"].as_array().into_iter().flatten();
        let is_withheld = called.filter(|other| *other == name).count() > 0;
        match (&item[name], promised == NO_PART) {
            (Value::Null, true) if is_withheld => self.report.find(format!(
                "entry {position}: its {name} part is called withheld, and it never had one"
            )),
            (Value::Null, true) => {}
            (Value::Null, false) if !is_withheld => _ = self.absent.insert((position, part)),
            // It names no one: whoever may read the entry may read it.
            (Value::Null, false) if part == Part::Public => self.report.find(format!(
                "entry {position}: its public part is called withheld, which it never is"
            )),
            (Value::Null, false) => _ = self.withheld.insert((position, part)),
            (served, _) => match fitting(part, served, &promised) {
                Some(bytes) => {
                    self.compared += 1;
                    return Some(bytes);
                }
                None => self.report.find(format!(
                    "entry {position}: its {name} part does not fit the commitment in its leaf"
                )),
            },
        }
        None
    }

    /// What is not there must have been erased; returns how many parts were.
    fn absent(&mut self) -> u64 {
        let mut gone = 0;
        for place in &self.absent {
            if self.erased.contains(place) {
                gone += 1;
                continue;
            }
            let (position, part) = place;
            self.report.find(format!(
                "entry {position}: its {} part is not there, and no erasure entry names it",
                part.name()
            ));
        }
        gone
    }
}

/// Entries that were not served at all may be other people's, or be left out.
async fn not_served(report: &mut Report, permissions: &mut Permissions, number: u64) {
    if number == 0 {
        return;
    }
    match permissions.everything().await {
        Some(true) => report.find(format!(
            "{} not served to you, who may `list denials` in the cluster, as the API server says",
            count(number, "entry was", "entries were")
        )),
        Some(false) => report.skip_all(Kind::Entries, number),
        None => report.skip_all(Kind::EntriesUnasked, number),
    }
}

/// Parts that the server calls withheld: is that right?
async fn by_right(
    report: &mut Report,
    permissions: &mut Permissions,
    view: &Reader,
    withheld: &BTreeSet<Place>,
) -> Result<(), Failure> {
    for (position, part) in withheld {
        let row = view.at(*position).map_err(no_room)?;
        let namespace = row.map_or_else(String::new, |row| row.namespace);
        let personal = *part == Part::Personal;
        match permissions.evidence(&namespace).await {
            Some(true) => {
                let place = match namespace.as_str() {
                    "" => "the cluster".to_owned(),
                    name => format!("namespace {name}"),
                };
                report.find(format!(
                    "entry {position}: its {} part is withheld from you, who may `get \
                     denials/evidence` in {place}, as the API server says (if you may since \
                     less than a minute, run it again)",
                    part.name()
                ));
            }
            Some(false) if personal => report.skip(Kind::Personal),
            Some(false) => report.skip(Kind::Exhibit),
            None if personal => report.skip(Kind::PersonalUnasked),
            None => report.skip(Kind::ExhibitUnasked),
        }
    }
    Ok(())
}

/// The bytes of a part as it was served, if they fit.
fn fitting(part: Part, served: &Value, promised: &[u8; 32]) -> Option<Vec<u8>> {
    let decoded = |name: &str| BASE64.decode(served[name].as_str()?.as_bytes()).ok();
    let (salt, bytes) = (decoded("salt")?.try_into().ok()?, decoded("bytes")?);
    (commitment(part, &salt, &bytes) == *promised).then_some(bytes)
}

/// A record's personal part without what no list shows: of the audit event only its id.
fn short(class: Class, bytes: Vec<u8>) -> Vec<u8> {
    if !matches!(class, Class::Denial | Class::Pass) {
        return bytes;
    }
    let Ok(Value::Object(mut personal)) = serde_json::from_slice(&bytes) else {
        return bytes;
    };
    if let Some(event) = personal.get_mut("event") {
        *event = json!({ "auditID": event["auditID"] });
    }
    serde_json::to_vec(&personal).unwrap_or(bytes)
}

/// The verified parts lie in a temporary file.
pub(super) fn no_room(error: docket_ledger::store::StoreError) -> Failure {
    could_not(
        "what was verified can't be kept in a temporary file; set TMPDIR to a directory with \
         room for it",
    )(error)
}
