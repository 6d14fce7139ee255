//! Stores and entries for the tests of this crate.
#![allow(
    clippy::unwrap_used,
    reason = "a test says what it expects by unwrapping"
)]
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use docket_ledger::entry::{Class, NewEntry};
use docket_ledger::query::{Plot, Scope};
use docket_ledger::store::{Batch, Options, Store};
use jiff::Timestamp;
use serde_json::json;
use std::path::Path;

pub const ORIGIN: &str = "docket.a5c.ai/test";

/// Random numbers that are the same in every run (xorshift64*).
pub fn seeded(seed: u64) -> impl FnMut(&mut [u8]) + Send {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |buffer| {
        for byte in buffer {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            *byte = (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8;
        }
    }
}

pub fn options() -> Options {
    Options {
        origin: ORIGIN.into(),
        signing_seed: [42; 32],
        random: Box::new(seeded(1)),
    }
}

pub fn open(path: &Path) -> Store {
    Store::open(path, options()).unwrap()
}

/// `n` seconds after a fixed day's start.
pub fn at(n: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + n).unwrap()
}

pub fn micros(n: i64) -> i64 {
    at(n).as_microsecond()
}

/// The `n`th denial: fields turn at different rates, so that every filter splits.
pub fn denial(n: i64) -> NewEntry {
    let id = format!("denial-{n:05}");
    let pick = |from: &[&str], every: i64| from[(n / every) as usize % from.len()].to_owned();
    let mut attributions = vec![json!({
        "enforcer": "kyverno", "policy": pick(&["require-pr-description", "fork-runs-untrusted"], 1),
        "result": "fail", "source": "responseStatus"
    })];
    if n % 5 == 0 {
        attributions.push(json!({
            "enforcer": "kyverno", "policy": "webhook-signing-required", "rule": "has-secret"
        }));
    }
    let public = json!({
        "id": id, "time": at(n).to_string(), "verdict": pick(&["denied", "denied", "unavailable"], 1),
        "operation": pick(&["CREATE", "UPDATE", "DELETE"], 2), "dryRun": n % 7 == 0,
        "kind": pick(&["PullRequest", "Pipeline"], 3),
        "namespace": pick(&["krate-org-acme", "krate-org-globex", ""], 4),
        "attributions": attributions,
        "context": {"org": pick(&["acme", "globex", ""], 5), "repository": pick(&["web", "api", ""], 1), "surface": pick(&["pr", "run"], 2)},
    });
    let mut personal = json!({
        "name": format!("object-{}", n % 9), "text": "\u{1b}[31mno \"description\"",
        "actor": {"username": pick(&["alice", "bob", "system:serviceaccount:ci:runner"], 1)},
        "event": {"verb": "create", "padding": "x".repeat(40)},
    });
    if n % 4 == 0 {
        personal["importer"] = "carol".into();
    }
    NewEntry {
        id,
        class: Class::Denial,
        public: public.to_string().into_bytes(),
        personal: Some(personal.to_string().into_bytes()),
        exhibit: (n % 11 == 0).then(|| format!("exhibit {n}").into_bytes()),
    }
}

pub fn gap(n: i64) -> NewEntry {
    let id = format!("gap-{n}");
    let public = json!({
        "id": id, "time": at(n).to_string(), "from": at(n - 60).to_string(),
        "to": at(n).to_string(), "source": "witness", "cause": "numbers-missing",
        "process": {"instance": "a", "started": 1}, "numbers": [3, 4], "count": 2
    });
    let public = public.to_string().into_bytes();
    NewEntry {
        id,
        class: Class::Gap,
        public,
        personal: None,
        exhibit: None,
    }
}

pub fn amendment(n: i64, amends: &str, kind: &str) -> NewEntry {
    let id = format!("amendment-{n}");
    let public = json!({"id": id, "time": at(n).to_string(), "amends": amends, "kind": kind});
    let public = public.to_string().into_bytes();
    NewEntry {
        id,
        class: Class::Amendment,
        public,
        personal: None,
        exhibit: None,
    }
}

/// The write at `n` answers these denials, and as many others of the same object as make
/// up the count.
pub fn outcome(n: i64, relation: &str, denials: &[&str], count: u32) -> NewEntry {
    let id = format!("outcome-{n}-{relation}");
    let public = json!({
        "id": id, "time": at(n).to_string(), "relation": relation, "namespace": "krate-org-acme",
        "kind": "PullRequest", "operation": "UPDATE", "write": format!("write-{n}"),
        "denials": denials, "count": count, "after": 60_000, "afterLast": 1_000,
        "sameActor": true, "paths": [{"path": "spec.description", "change": "added"}],
    });
    let personal = json!({"name": "object-3", "actor": {"username": "alice"}});
    NewEntry {
        id,
        class: Class::Outcome,
        public: public.to_string().into_bytes(),
        personal: Some(personal.to_string().into_bytes()),
        exhibit: None,
    }
}

/// A policy as it was first seen.
pub fn law(n: i64, name: &str) -> NewEntry {
    let id = format!("law-{n}");
    let public = json!({
        "id": id, "time": at(n).to_string(), "change": "first-seen", "kind": "ValidatingPolicy",
        "apiVersion": "policies.kyverno.io/v1", "name": name, "hash": format!("hash-{n}"),
    });
    NewEntry {
        id,
        class: Class::Law,
        public: public.to_string().into_bytes(),
        personal: None,
        exhibit: None,
    }
}

pub fn batch(entries: impl IntoIterator<Item = NewEntry>) -> Batch {
    Batch {
        entries: entries.into_iter().collect(),
        state: Vec::new(),
    }
}

/// `count` denials in batches of 50 with state, two gaps (one closed), a dispute, an
/// outcome and two laws.
pub fn fill(path: &Path, count: i64) -> Store {
    let mut store = open(path);
    for first in (0..count).step_by(50) {
        let mut batch = batch((first..count.min(first + 50)).map(denial));
        batch.state = vec![
            (
                "source/webhook/last".into(),
                Some(first.to_string().into_bytes()),
            ),
            (format!("numbers/{first}"), Some(vec![1, 2, 3])),
        ];
        store.append(&batch, at(first + 50)).unwrap();
    }
    let late = [
        gap(count),
        gap(count + 1),
        amendment(count + 2, &format!("gap-{count}"), "gap-closed"),
        amendment(count + 3, "denial-00003", "disputed"),
        outcome(count + 4, "object", &["denial-00003", "denial-00004"], 4),
        law(count + 5, "require-pr-description"),
        law(count + 6, "fork-runs-untrusted"),
    ];
    store.append(&batch(late), at(count + 60)).unwrap();
    store
}

/// These namespaces, from the beginning.
pub fn scope(namespaces: &[&str]) -> Scope {
    let whole = |name: &&str| ((*name).to_owned(), Plot::default());
    Scope::of(namespaces.iter().map(whole))
}
