//! Denials by policy, rule, verdict, enforcer and namespace: so many sets of labels, and
//! one more for all others.

use super::labels::{Labels, counter, gauge, whole};
use crate::intake::verdict_name;
use docket_record::denial::{Grade, Public, Verdict};
use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Sets of labels; the first come count until the process ends.
const SETS: usize = 5000;
/// What stands for the labels of all others.
const OTHER: &str = "other";

/// A new denial, as it is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDenial {
    /// Of the first attribution, where the law of that moment confirms it: other names may
    /// be anyone's words. Empty where it does not.
    policy: String,
    rule: String,
    enforcer: String,
    namespace: String,
    verdict: Verdict,
    dry_run: bool,
    /// Stage time.
    pub(super) time: Timestamp,
}

impl NewDenial {
    /// What is counted of a record.
    pub(crate) fn of(public: &Public, time: Timestamp) -> NewDenial {
        let first = public.attributions.first();
        let sure = first.filter(|one| one.grade == Some(Grade::Exact) || one.law.is_some());
        NewDenial {
            policy: sure.and_then(|one| one.policy.clone()).unwrap_or_default(),
            rule: sure.and_then(|one| one.rule.clone()).unwrap_or_default(),
            enforcer: first.map(|one| one.enforcer.clone()).unwrap_or_default(),
            namespace: public.namespace.clone(),
            verdict: public.verdict,
            dry_run: public.dry_run,
            time,
        }
    }

    fn labels(&self) -> Labels<5> {
        [
            ("policy", self.policy.clone().into()),
            ("rule", self.rule.clone().into()),
            ("namespace", self.namespace.clone().into()),
            ("enforcer", self.enforcer.clone().into()),
            ("verdict", verdict_name(self.verdict).into()),
        ]
    }

    fn other(&self) -> Labels<5> {
        [
            ("policy", OTHER.into()),
            ("rule", OTHER.into()),
            ("namespace", OTHER.into()),
            ("enforcer", OTHER.into()),
            ("verdict", verdict_name(self.verdict).into()),
        ]
    }
}

#[derive(Clone)]
pub(super) struct Denials {
    family: Family<Labels<5>, Counter>,
    // A std mutex: held for a look-up, by the one thread that writes the ledger.
    known: Arc<Mutex<HashSet<Labels<5>>>>,
    sets: Gauge,
    overflowed: Counter,
    dry_run: Counter,
}

impl Denials {
    pub(super) fn register(all: &mut Registry) -> Denials {
        let family = Family::default();
        all.register(
            "denials",
            "New denials by first attribution, namespace and verdict; dry runs and imports left out",
            family.clone(),
        );
        Denials {
            family,
            known: Arc::default(),
            sets: gauge(
                all,
                "denials_label_sets",
                "Sets of labels that are counted apart; there is a limit",
            ),
            overflowed: counter(
                all,
                "denials_overflowed",
                "Denials that are counted under other, because there were too many sets of labels",
            ),
            dry_run: counter(all, "dry_run_denials", "New denials of dry runs"),
        }
    }

    pub(super) fn count(&self, denial: &NewDenial) {
        if denial.dry_run {
            self.dry_run.inc();
            return;
        }
        let labels = denial.labels();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let room = known.len() < SETS;
        if known.contains(&labels) || (room && known.insert(labels.clone())) {
            self.sets.set(whole(known.len() as u64));
            drop(known);
            self.family.get_or_create(&labels).inc();
        } else {
            drop(known);
            self.overflowed.inc();
            self.family.get_or_create(&denial.other()).inc();
        }
    }
}
