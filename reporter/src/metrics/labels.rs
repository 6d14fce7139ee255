//! Families with one label.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::borrow::Cow;

/// Names and values of `N` labels.
pub(super) type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];

/// A counter for each value of one label.
#[derive(Clone)]
pub(crate) struct Counters {
    label: &'static str,
    family: Family<Labels<1>, Counter>,
}

impl Counters {
    /// Registers it; `known` values count from zero on.
    pub(super) fn register(
        all: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Counters {
        let family = Family::<Labels<1>, Counter>::default();
        all.register(name, help, family.clone());
        for value in known {
            drop(family.get_or_create(&[(label, value.into())]));
        }
        Counters { label, family }
    }

    /// The counter itself, for who counts by itself.
    pub(super) fn of(&self, value: impl Into<Cow<'static, str>>) -> Counter {
        self.family
            .get_or_create(&[(self.label, value.into())])
            .clone()
    }

    pub(crate) fn inc(&self, value: impl Into<Cow<'static, str>>) {
        self.add(value, 1);
    }

    pub(crate) fn add(&self, value: impl Into<Cow<'static, str>>, count: u64) {
        let labels = [(self.label, value.into())];
        self.family.get_or_create(&labels).inc_by(count);
    }
}

/// A gauge for each value of one label.
#[derive(Clone)]
pub(crate) struct Gauges {
    label: &'static str,
    family: Family<Labels<1>, Gauge>,
}

impl Gauges {
    /// Registers it; `known` values are zero from the start.
    pub(super) fn register(
        all: &mut Registry,
        name: &str,
        help: &str,
        label: &'static str,
        known: impl IntoIterator<Item = &'static str>,
    ) -> Gauges {
        let family = Family::<Labels<1>, Gauge>::default();
        all.register(name, help, family.clone());
        for value in known {
            drop(family.get_or_create(&[(label, value.into())]));
        }
        Gauges { label, family }
    }

    pub(crate) fn set(&self, value: impl Into<Cow<'static, str>>, to: u64) {
        self.of(value).set(whole(to));
    }

    /// The gauge itself, for who changes it often.
    pub(super) fn of(&self, value: impl Into<Cow<'static, str>>) -> Gauge {
        self.family
            .get_or_create(&[(self.label, value.into())])
            .clone()
    }
}

/// One counter.
pub(super) fn counter(all: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    all.register(name, help, counter.clone());
    counter
}

/// One gauge.
pub(super) fn gauge(all: &mut Registry, name: &str, help: &str) -> Gauge {
    let gauge = Gauge::default();
    all.register(name, help, gauge.clone());
    gauge
}

pub(super) fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
