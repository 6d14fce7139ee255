//! The law: which versions of which policies there were, and which were in force at a
//! given time.
//!
//! ```text
//!  object ──Object::read──▶ text, hash, body ──▶ Version ──▶ Shelves ──▶ LawBook::at(time)
//! ```
//!
//! A version is observed a moment after it came into force, and the reporter's clock is
//! not the API server's. So within [`WITHIN`] of an observation both versions stand in
//! the list, and an attribution that could be owed to either is not exact. A version
//! that came while the watch was away may have come at any time of that absence.

pub mod autogen;
mod book;
mod kinds;
mod object;
pub mod summary;
pub mod text;
mod write;

pub use crate::entry::law::{Change, Public as Entry};
pub use book::{AWAY, LawBook, PENDING, Shelves};
pub use kinds::{KINDS, Kind};
pub use object::{Binding, Body, Object};
pub use write::LawWrite;

use jiff::{SignedDuration, Timestamp};

/// How near two versions must have been observed for either to be a candidate.
pub const WITHIN: SignedDuration = SignedDuration::from_secs(10);

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Group and kind.
    pub kind: &'static Kind,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    /// metadata.name.
    pub name: String,
}

/// One observed version of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Id of its law entry.
    pub id: String,
    /// When it was observed.
    pub at: Timestamp,
    /// It came after this; `None` if the watch saw it come.
    pub after: Option<Timestamp>,
    /// How it came to be known.
    pub change: Change,
    /// What it says; [`Body::Gone`] for a deletion.
    pub body: Body,
}

impl Entry {
    /// Whose version it is; `None` if the kind is not one of ours.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let (group, _) = self.api_version.split_once('/')?;
        Some(Place {
            kind: Kind::of(group, &self.kind)?,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        })
    }
}

impl Version {
    /// From when on it may have been in force, but for what clocks differ.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.after.unwrap_or(self.at)
    }

    /// What an entry says, with what Kyverno made of it for controllers of pods, as the
    /// amendments of the entry say; texts are read again. Oldest first; more than one where
    /// Kyverno made something else of it later.
    #[must_use]
    pub fn of(entry: &Entry, made: &[autogen::Amendment]) -> Vec<Version> {
        let body = |made: Option<&autogen::Amendment>| match (entry.change, made) {
            (Change::Deleted, _) => Body::Gone,
            (_, None) => object::body(&entry.text, &entry.uid),
            (_, Some(made)) => {
                object::body(&autogen::beside(&entry.text, &made.autogen), &entry.uid)
            }
        };
        let mut versions = vec![Version {
            id: entry.id.clone(),
            at: entry.time,
            after: entry.after,
            change: entry.change,
            body: body(made.first()),
        }];
        versions.extend(made.iter().skip(1).map(|made| Version {
            id: entry.id.clone(),
            at: made.time,
            after: made.after,
            change: Change::Changed,
            body: body(Some(made)),
        }));
        versions
    }
}

#[cfg(test)]
mod tests;
