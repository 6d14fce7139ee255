//! Whether nothing happened while the watches were away.
//!
//! That everything was as before afterwards does not say so: a policy may have been
//! changed and changed back, or made and deleted. The API server's own log does: it has
//! each write, and who has read it without a break has seen them all. So the gap of an
//! absence is closed if
//!
//! - every object had the same uid, generation and text before and after,
//! - each API server's log is a file source, and each was read from before the absence
//!   until past its end, with no open gap of its own in between,
//! - and none of them tells of a write to a policy in that time but for its status. A
//!   webhook configuration may have been written: Kyverno does so again and again with the
//!   hooks that it has already. With the same generation, which the API server counts up
//!   whenever the hooks change, they were the same all the time. With another one it may
//!   have been written once, when its certificate is new: with the same text before and
//!   after there was no other in between.
//!
//! Else it stays.

use super::table::Absence;
use super::{DISCOVERY, Watch};
use crate::gaps::{Amendment, Cause};
use crate::intake::law_writes::{LawWrites, WRITES};
use crate::sources::file::{FileState, key};
use anyhow::{Context as _, Result};
use docket_ledger::query::Reader;
use docket_record::law::{LawWrite, WITHIN};
use futures::future::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;
use kube::{Api, Client};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio::time::timeout;

/// Whether the gap of an absence can be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing was written; how that is known.
    Made(String),
    /// The logs are not read so far yet.
    Waits,
    /// It can't be proved, now or later.
    None(String),
}

/// What the ledger knows of the sources, as of one moment.
pub(super) struct Evidence {
    /// Each file source by name.
    pub(super) files: BTreeMap<String, Option<FileState>>,
    /// Open gaps of file sources.
    pub(super) gaps: Vec<OpenGap>,
    pub(super) writes: Option<LawWrites>,
    /// API servers of the cluster.
    pub(super) servers: usize,
}

/// An open gap.
pub(super) struct OpenGap {
    pub(super) source: String,
    /// When it was noticed.
    pub(super) noticed: Timestamp,
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
}

impl Evidence {
    /// Reads it. The order matters: what a file was read of is older than the writes that
    /// it told of and the gaps that it left.
    pub(super) fn read(store: &Path, files: &[String]) -> Result<Evidence> {
        let reader = Reader::open(store)?;
        let state: BTreeMap<_, _> = reader.states()?.into_iter().collect();
        let files = files.iter().map(|name| {
            let row = state.get(&key(name));
            let read = row.and_then(|row| serde_json::from_slice(row).ok());
            (name.clone(), read)
        });
        let files: BTreeMap<_, _> = files.collect();
        let time = |micros: i64| Timestamp::from_microsecond(micros).ok();
        let gaps = reader.gaps(true)?.into_iter();
        let gaps = gaps.filter(|gap| gap.cause != Cause::LawWatchAway.name());
        let gaps = gaps.filter(|gap| files.contains_key(&gap.source));
        let gaps = gaps.map(|gap| OpenGap {
            noticed: time(gap.row.time).unwrap_or(Timestamp::MAX),
            from: gap.from.and_then(time),
            to: gap.to.and_then(time),
            source: gap.source,
        });
        Ok(Evidence {
            gaps: gaps.collect(),
            writes: state.get(WRITES).and_then(|row| LawWrites::read(row)),
            files,
            servers: 0,
        })
    }

    /// Have all files been read past the end of an absence?
    pub(super) fn is_past(&self, absence: &Absence) -> bool {
        let end = absence.to.saturating_add(WITHIN).unwrap_or(Timestamp::MAX);
        let mut read = self.files.values();
        read.all(|file| file.as_ref().is_some_and(|file| file.read_to() >= end))
    }

    /// `holds`: is this object, which was not changed in that time, there?
    pub(super) fn judge(&self, absence: &Absence, holds: impl Fn(&LawWrite) -> bool) -> Proof {
        let from = absence.from.saturating_sub(WITHIN);
        let from = from.unwrap_or(Timestamp::MIN);
        for (name, file) in &self.files {
            let Some(file) = file else { continue };
            if file.whole_since().is_none_or(|since| since > from) {
                return Proof::None(format!("{name} was not read without a break"));
            }
        }
        if let Some(gap) = self.gaps.iter().find(|gap| gap.touches(from, absence.to)) {
            return Proof::None(format!("{} has an open gap of that time", gap.source));
        }
        let Some(writes) = &self.writes else {
            return Proof::Waits;
        };
        let Some(writes) = writes.between(absence.from, absence.to) else {
            return Proof::None("not all writes of that time are remembered".to_owned());
        };
        let mut written = BTreeSet::new();
        for write in &writes {
            let first = written.insert(place(write));
            let key = (write.kind.clone(), write.name.clone());
            let same = first || !absence.regenerated.contains(&key);
            if !(is_rewritten(write) && holds(write) && same) {
                let object = format!("{} {}", write.kind, write.name);
                return Proof::None(format!("{} of {}", write.verb, object.trim_end()));
            }
        }
        if self.files.is_empty() || !self.is_past(absence) {
            return Proof::Waits;
        }
        if self.files.len() < self.servers {
            return Proof::None(format!("{} API servers have a log each", self.servers));
        }
        let names: Vec<&str> = self.files.keys().map(String::as_str).collect();
        let mut says = format!(
            "every policy was the same before and after, and the audit log, read without a \
             break ({}), has no write to one in that time",
            names.join(", ")
        );
        if !written.is_empty() {
            let hooks: Vec<&str> = written.iter().map(|(_, name)| *name).collect();
            says = format!("{says}; written, and the same: {}", hooks.join(", "));
        }
        Proof::Made(says)
    }
}

impl OpenGap {
    /// May something of that time be missing for it? What can't be read is noticed when it
    /// is read, which may be later.
    fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        let before = self.to.is_some_and(|end| end < from);
        let after = self.from.is_some_and(|begin| begin > to);
        self.noticed >= from || !(before || after)
    }
}

fn place(write: &LawWrite) -> (&str, &str) {
    (&write.kind, &write.name)
}

/// Kyverno writes its hooks again, and nothing of them is new but the certificate.
fn is_rewritten(write: &LawWrite) -> bool {
    write.kind.ends_with("WebhookConfiguration")
        && matches!(write.verb.as_str(), "update" | "patch")
}

impl Watch {
    /// Asks what the file sources say, if there is an absence to be judged.
    pub(super) fn prove(&mut self) {
        if self.files.is_empty() || self.proving.is_some() {
            return;
        }
        let absences: Vec<Absence> = self.table.absences().cloned().collect();
        if absences.is_empty() {
            return;
        }
        let (store, files) = (self.store.clone(), self.files.clone());
        let client = self.client.clone();
        let proving = async move {
            let reading = move || Evidence::read(&store, &files);
            let mut evidence = tokio::task::spawn_blocking(reading).await??;
            if absences.iter().any(|absence| evidence.is_past(absence)) {
                let asking = timeout(DISCOVERY, api_servers(&client)).await;
                evidence.servers = asking.context("the API server does not answer")??;
            }
            Ok(evidence)
        };
        self.proving = Some(proving.boxed());
    }

    pub(super) fn judge(&mut self, evidence: &Evidence) {
        let absences: Vec<Absence> = self.table.absences().cloned().collect();
        for absence in absences {
            let holds = |write: &LawWrite| {
                let LawWrite {
                    kind,
                    namespace,
                    name,
                    ..
                } = write;
                self.table.holds(kind, namespace, name)
            };
            match evidence.judge(&absence, holds) {
                Proof::Waits => continue,
                Proof::Made(says) => {
                    tracing::info!("policies were not watched for a while: {says}");
                    let closed = Amendment::gap_disproved(&absence.gap, says, Timestamp::now());
                    self.closing.push(closed);
                }
                Proof::None(why) => {
                    tracing::info!(
                        gap = absence.gap,
                        "it is not known what happened while policies were not watched: {why}"
                    );
                }
            }
            self.table.judged(&absence.gap);
            self.judged = true;
        }
    }
}

/// How many API servers the cluster has: those behind the service `kubernetes`. One that
/// is announced nowhere is alone.
async fn api_servers(client: &Client) -> kube::Result<usize> {
    let api: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
    let of = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
    let slices = api.list(&of).await?;
    let mut addresses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for slice in slices.items {
        let of_type = addresses.entry(slice.address_type).or_default();
        let endpoints = slice.endpoints.into_iter().flatten();
        of_type.extend(endpoints.flat_map(|endpoint| endpoint.addresses));
    }
    let most = addresses.values().map(BTreeSet::len).max();
    Ok(most.unwrap_or(0).max(1))
}

#[cfg(test)]
mod tests;
