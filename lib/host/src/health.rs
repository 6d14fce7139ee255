//! Whether a process is ready, and which part of it is not.

use crate::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Every part by name, with what is to be said of it.
#[derive(Clone, Default)]
pub struct Health {
    /// Held for a map operation, never across an await.
    parts: Arc<Mutex<BTreeMap<String, Readiness>>>,
}

/// Of one part.
#[derive(Clone)]
enum Readiness {
    Ready,
    /// It works, and this is what an operator should know.
    ReadyBut(String),
    NotReady(String),
}

/// The handle of one part; parts are registered before anything is served.
#[derive(Clone)]
pub struct Part {
    health: Health,
    name: String,
}

/// How things stand at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// Every part is.
    pub ready: bool,
    /// What is said of each, by its name: `ok`, `ok; ` and what an operator should know,
    /// or why it is not ready.
    pub parts: BTreeMap<String, String>,
}

impl Health {
    /// A part that delays readiness until it says [`Part::ready`].
    #[must_use]
    pub fn part(&self, name: impl Into<String>, why_not: &str) -> Part {
        let part = Part {
            health: self.clone(),
            name: name.into(),
        };
        part.not_ready(why_not);
        part
    }

    /// How things stand.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let parts = lock(&self.parts);
        let said = |state: &Readiness| match state {
            Readiness::Ready => "ok".to_owned(),
            Readiness::ReadyBut(what) => format!("ok; {what}"),
            Readiness::NotReady(why) => why.clone(),
        };
        let not_ready = |state: &Readiness| matches!(state, Readiness::NotReady(_));
        HealthReport {
            ready: !parts.values().any(not_ready),
            parts: parts
                .iter()
                .map(|(name, state)| (name.clone(), said(state)))
                .collect(),
        }
    }

    fn set(&self, name: &str, state: Readiness) {
        lock(&self.parts).insert(name.to_owned(), state);
    }
}

impl Part {
    /// It works.
    pub fn ready(&self) {
        self.health.set(&self.name, Readiness::Ready);
    }

    /// It works, and there is something that an operator should know.
    pub fn ready_but(&self, what: impl Into<String>) {
        self.health
            .set(&self.name, Readiness::ReadyBut(what.into()));
    }

    /// It does not, for a reason that an operator understands.
    pub fn not_ready(&self, why: impl Into<String>) {
        self.health.set(&self.name, Readiness::NotReady(why.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_is_not_ready_delays_all_and_says_why() {
        let health = Health::default();
        let (keys, store) = (
            health.part("keys", "not read"),
            health.part("store", "shut"),
        );
        store.ready();
        let report = health.report();
        assert!(!report.ready);
        assert_eq!(report.parts["keys"], "not read");
        keys.ready_but("one file is no key");
        let report = health.report();
        assert!(report.ready);
        assert_eq!(report.parts["keys"], "ok; one file is no key");
        assert_eq!(report.parts["store"], "ok");
    }
}
