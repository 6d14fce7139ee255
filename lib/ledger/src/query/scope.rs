//! What of the ledger a reader may see: a set of records, told by index columns.
//!
//! One scope is evaluated in two ways that must agree: as SQL ([`super::listing`]) and on
//! one row in memory ([`Scope::covers`]). Both go by the columns of `record`, and a test
//! holds them to each other.

use super::touched::Touch;
use crate::entry::Class;
use crate::row::Row;
use std::collections::{BTreeMap, BTreeSet};

/// Which records a reader may see. Opaque, so that it can only be built whole and asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Reach);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Reach {
    /// Everything, also what belongs to no namespace.
    #[default]
    All,
    /// In these namespaces (empty name: records of none), what the plot takes.
    Plots(BTreeMap<String, Plot>),
    /// What this actor was denied, as the API server itself said (not imported).
    Actor(String),
}

/// Which records of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plot {
    /// Not those before this time (microseconds): they were another namespace's of that name.
    pub since: Option<i64>,
    /// Of this repository only.
    pub repository: Option<String>,
    /// By the org that the record names.
    pub orgs: Orgs,
}

/// Which orgs' records, where several share a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Orgs {
    /// Whatever org a record names, or none.
    #[default]
    Any,
    /// Those that name one of these.
    Only(BTreeSet<String>),
    /// Those that name none of these, nothing included.
    Except(BTreeSet<String>),
}

impl Plot {
    /// All that happened there in its time, whoever's it is?
    fn is_whole(&self) -> bool {
        self.repository.is_none() && self.orgs == Orgs::Any
    }

    fn takes(&self, row: &Row) -> bool {
        let org = row.org.as_deref();
        self.since.is_none_or(|since| row.time >= since)
            && self
                .repository
                .as_ref()
                .is_none_or(|own| row.repository.as_ref() == Some(own))
            && match &self.orgs {
                Orgs::Any => true,
                Orgs::Only(orgs) => org.is_some_and(|org| orgs.contains(org)),
                Orgs::Except(orgs) => org.is_none_or(|org| !orgs.contains(org)),
            }
    }
}

/// The records of one selection: at most one namespace, at most one actor.
#[derive(Clone, Copy, Default)]
pub(crate) struct Piece<'a> {
    pub namespace: Option<&'a str>,
    pub plot: Option<&'a Plot>,
    pub actor: Option<&'a str>,
}

impl Scope {
    /// Everything.
    #[must_use]
    pub const fn all() -> Scope {
        Scope(Reach::All)
    }

    /// What these plots take, each in its namespace. An empty name is that of records that
    /// belong to no namespace; no plot at all: nothing.
    #[must_use]
    pub fn of(plots: impl IntoIterator<Item = (String, Plot)>) -> Scope {
        let plain = |(name, mut plot): (String, Plot)| {
            match &plot.orgs {
                Orgs::Only(orgs) if orgs.is_empty() => return None,
                Orgs::Except(orgs) if orgs.is_empty() => plot.orgs = Orgs::Any,
                _ => {}
            }
            Some((name, plot))
        };
        Scope(Reach::Plots(plots.into_iter().filter_map(plain).collect()))
    }

    /// One namespace, from the beginning.
    #[must_use]
    pub fn one(namespace: &str) -> Scope {
        Scope::of([(namespace.to_owned(), Plot::default())])
    }

    /// What this user was denied. An import is somebody's word of who acted: what came by
    /// one is not within it.
    #[must_use]
    pub fn of_actor(name: &str) -> Scope {
        Scope(Reach::Actor(name.to_owned()))
    }

    /// Does it take everything?
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Reach::All
    }

    /// Does it take nothing, whatever the ledger holds?
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match &self.0 {
            Reach::All => false,
            Reach::Plots(plots) => plots.is_empty(),
            Reach::Actor(name) => name.is_empty(),
        }
    }

    /// May it be that the record that was touched is within it? The ledger decides; this
    /// spares it the question.
    #[must_use]
    pub fn may_cover(&self, touch: &Touch) -> bool {
        match &self.0 {
            Reach::All => true,
            Reach::Plots(plots) => plots.contains_key(&touch.namespace),
            Reach::Actor(name) => touch.actor.as_ref() == Some(name),
        }
    }

    /// Is this denial or pass within it? Other classes are nobody's but the reader's of
    /// everything: what they speak of is a question of its own.
    #[must_use]
    pub fn covers(&self, row: &Row) -> bool {
        match &self.0 {
            Reach::All => true,
            _ if !matches!(row.class, Class::Denial | Class::Pass) => false,
            Reach::Plots(plots) => plots
                .get(&row.namespace)
                .is_some_and(|plot| plot.takes(row)),
            Reach::Actor(name) => {
                !row.imported && !name.is_empty() && row.actor.as_ref() == Some(name)
            }
        }
    }

    /// May anything that happened in this namespace at this time (microseconds) be within it?
    #[must_use]
    pub fn takes_some_of(&self, namespace: &str, time: i64) -> bool {
        match &self.0 {
            Reach::All | Reach::Actor(_) => true,
            Reach::Plots(plots) => plots
                .get(namespace)
                .is_some_and(|plot| plot.since.is_none_or(|since| time >= since)),
        }
    }

    /// Is whatever happened in this namespace at this time (microseconds) within it,
    /// whoever did it? So for what no single record says: laws, outcomes, reports.
    #[must_use]
    pub fn covers_all_of(&self, namespace: &str, time: i64) -> bool {
        match &self.0 {
            Reach::All => true,
            _ => self
                .whole_from(namespace)
                .is_some_and(|since| since.is_none_or(|since| time >= since)),
        }
    }

    /// Does it take this record because it takes all records of its place, whoever's they
    /// are? Then what others did about it is within it too.
    #[must_use]
    pub fn covers_place_of(&self, row: &Row) -> bool {
        match &self.0 {
            Reach::All => true,
            Reach::Plots(plots) => plots
                .get(&row.namespace)
                .is_some_and(|plot| plot.is_whole() && plot.takes(row)),
            Reach::Actor(_) => false,
        }
    }

    /// The namespaces that are within it whole, though perhaps from some time on; `None`:
    /// all, and what belongs to none.
    #[must_use]
    pub fn whole(&self) -> Option<Vec<String>> {
        let whole = self.whole_since()?.into_iter();
        Some(whole.map(|(name, _)| name.to_owned()).collect())
    }

    /// The same, with the time from which on.
    pub(crate) fn whole_since(&self) -> Option<Vec<(&str, Option<i64>)>> {
        let plots = match &self.0 {
            Reach::All => return None,
            Reach::Plots(plots) => plots,
            Reach::Actor(_) => return Some(Vec::new()),
        };
        let whole = plots
            .iter()
            .filter(|(name, plot)| !name.is_empty() && plot.is_whole());
        Some(
            whole
                .map(|(name, plot)| (name.as_str(), plot.since))
                .collect(),
        )
    }

    /// Does the series of this row, as the ledger counts it, hold nothing out of scope? A
    /// series is of one namespace and one repository; time, orgs and actors it does not know.
    pub(crate) fn counts_whole(&self, row: &Row) -> bool {
        let first = row.series.map_or(row.time, |(_, first, _)| first);
        match &self.0 {
            Reach::All => true,
            Reach::Actor(_) => false,
            Reach::Plots(plots) => plots.get(&row.namespace).is_some_and(|plot| {
                plot.orgs == Orgs::Any && plot.since.is_none_or(|since| first >= since)
            }),
        }
    }

    /// From when on (`Some(None)`: ever) whatever happens in this namespace is within it,
    /// whoever does it; `None`: it is not.
    #[must_use]
    pub fn whole_from(&self, namespace: &str) -> Option<Option<i64>> {
        match &self.0 {
            _ if namespace.is_empty() => None,
            Reach::All => Some(None),
            Reach::Plots(plots) => {
                let plot = plots.get(namespace).filter(|plot| plot.is_whole())?;
                Some(plot.since)
            }
            Reach::Actor(_) => None,
        }
    }

    /// What is asked of the ledger for it, each served by an index of its own: in all, or in
    /// this one namespace.
    pub(crate) fn pieces<'a>(&'a self, namespace: Option<&'a str>) -> Vec<Piece<'a>> {
        let piece = Piece {
            namespace,
            ..Piece::default()
        };
        match &self.0 {
            Reach::All => vec![piece],
            Reach::Actor(name) if name.is_empty() => Vec::new(),
            Reach::Actor(name) => vec![Piece {
                actor: Some(name),
                ..piece
            }],
            Reach::Plots(plots) => plots
                .iter()
                .filter(|(name, _)| namespace.is_none_or(|only| only == *name))
                .map(|(name, plot)| Piece {
                    namespace: Some(name),
                    plot: Some(plot),
                    actor: None,
                })
                .collect(),
        }
    }
}
