//! What tests of several modules need: a court that asks nobody, and a writer with a store
//! of its own.

use super::Court;
use super::quarantine::Quarantine;
use crate::events::{self, CLUSTER};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::writer::{Started, Writer};
use docket_ledger::entry::Class;
use docket_ledger::query::{Filter, Page, Reader};
use docket_ledger::store::{Options, Store};
use docket_record::examine::Config;
use jiff::SignedDuration;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// It knows no policies and keeps no bytes.
pub fn court() -> Court {
    Court {
        config: Config {
            cluster: CLUSTER.into(),
            krate_group: "krate.a5c.ai".into(),
            label_prefix: "krate.a5c.ai/".into(),
            org_namespace_prefix: "krate-org-".into(),
            clock_tolerance: SignedDuration::from_secs(2),
        },
        keys: events::key_directory(),
        laws: Arc::new(crate::law::Laws::new(None)),
        examine: docket_record::examine::examine,
        quarantine: Quarantine::new(None),
        witnesses: None,
        metrics: Metrics::new().0,
    }
}

/// An examiner with a fault.
pub fn panics_at_pr_2(
    event: &docket_record::audit::AuditEvent,
    bench: &docket_record::examine::Bench<'_>,
) -> Result<docket_record::examine::Finding, docket_record::examine::ExamineError> {
    let name = event
        .object_ref
        .as_ref()
        .map(|object| object.name.text.as_str());
    assert_ne!(name, Some("pr-2"), "a fault of ours");
    docket_record::examine::examine(event, bench)
}

/// A writer on the store at `path`.
pub fn writer(path: &Path, health: &Health) -> Writer {
    let path = path.to_owned();
    let open = Box::new(move || {
        let options = Options {
            origin: format!("docket.a5c.ai/{CLUSTER}"),
            signing_seed: [7; 32],
            random: Box::new(|buffer| buffer.fill(1)),
        };
        Store::open(&path, options)
    });
    let waits = crate::intake::Waits {
        numbers: SignedDuration::from_secs(300),
        others: None,
    };
    let metrics = Metrics::new().0;
    let Started { writer, .. } =
        Writer::start(open, waits, metrics, health.part("ledger", "")).unwrap();
    writer
}

/// Public parts of the entries of a class, newest first.
pub fn rows(path: &Path, class: Class) -> Vec<Value> {
    let reader = Reader::open(path).unwrap();
    let filter = Filter {
        classes: vec![class],
        ..Filter::default()
    };
    let page = Page {
        limit: 1000,
        ..Page::default()
    };
    let rows = reader.list(&filter, &page).unwrap();
    rows.iter()
        .map(|row| serde_json::from_slice(&row.public).unwrap())
        .collect()
}
