//! What was changed between the object that was denied and the one that was admitted, by
//! keyed digests of their fields alone: no value is compared or kept.

use crate::digest::Digests;
use std::collections::BTreeMap;

pub use crate::entry::outcome::{Change, ChangedPath};

/// Paths named; the others are counted.
const MOST: usize = 64;

/// What the API server or a client writes by itself, so that it says nothing of a fix.
const NOISE: [&str; 9] = [
    "status",
    "metadata.managedFields",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.uid",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.name",
    "metadata.generateName",
];
/// kubectl's copy of what was applied last.
const LAST_APPLIED: &str = "last-applied-configuration";

/// All that differs, in the order of the paths, and how many more there are than are
/// listed. `None` where the digests can't be compared. Where one side was cut, what only
/// the other has is not told: it may have been there.
#[must_use]
pub fn changed(denied: &Digests, admitted: &Digests) -> Option<(Vec<ChangedPath>, u64)> {
    if denied.key != admitted.key {
        return None;
    }
    let mut paths: BTreeMap<&str, Change> = BTreeMap::new();
    for (path, digest) in &denied.paths {
        match admitted.paths.get(path) {
            None if !admitted.cut => _ = paths.insert(path, Change::Removed),
            Some(other) if other != digest => _ = paths.insert(path, Change::Changed),
            Some(_) | None => {}
        }
    }
    for path in admitted.paths.keys() {
        if !denied.cut && !denied.paths.contains_key(path) {
            paths.insert(path, Change::Added);
        }
    }
    let mut told = paths.into_iter().filter(|(path, _)| !is_noise(path));
    let listed: Vec<ChangedPath> = told
        .by_ref()
        .take(MOST)
        .map(|(path, change)| ChangedPath {
            path: path.to_owned(),
            change,
        })
        .collect();
    let more = told.count() as u64;
    Some((listed, more))
}

fn is_noise(path: &str) -> bool {
    let under = |noise: &&str| {
        path.strip_prefix(*noise)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    NOISE.iter().any(under)
        || (path.starts_with("metadata.annotations") && path.contains(LAST_APPLIED))
}

#[cfg(test)]
mod tests {
    use super::{Change, ChangedPath, MOST, changed};
    use crate::digest::Digests;

    fn digests(key: &str, paths: &[(&str, &str)]) -> Digests {
        Digests {
            key: key.into(),
            paths: paths
                .iter()
                .map(|&(path, digest)| (path.into(), digest.into()))
                .collect(),
            cut: false,
        }
    }

    #[test]
    fn a_path_was_added_changed_or_removed_and_noise_is_left_out() {
        let denied = digests(
            "k",
            &[
                ("metadata.name", "1"),
                ("metadata.managedFields[0].time", "1"),
                (
                    "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]",
                    "1",
                ),
                ("metadata.labels.team", "1"),
                ("spec.title", "1"),
                ("spec.labels[1]", "1"),
                ("status.phase", "1"),
                ("statusCheck", "1"),
            ],
        );
        let admitted = digests(
            "k",
            &[
                ("metadata.name", "2"),
                (
                    "metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]",
                    "2",
                ),
                ("metadata.uid", "1"),
                ("metadata.labels.team", "1"),
                ("spec.title", "2"),
                ("spec.description", "1"),
                ("statusCheck", "2"),
            ],
        );
        let path = |path: &str, change| ChangedPath {
            path: path.into(),
            change,
        };
        assert_eq!(
            changed(&denied, &admitted),
            Some((
                vec![
                    path("spec.description", Change::Added),
                    path("spec.labels[1]", Change::Removed),
                    path("spec.title", Change::Changed),
                    path("statusCheck", Change::Changed),
                ],
                0
            ))
        );
    }

    #[test]
    fn digests_under_different_keys_are_not_compared() {
        let (one, other) = (digests("k1", &[("a", "1")]), digests("k2", &[("a", "1")]));
        assert_eq!(changed(&one, &other), None);
    }

    #[test]
    fn what_may_only_have_been_cut_is_not_told() {
        let whole = digests("k", &[("spec.a", "1"), ("spec.b", "1")]);
        let mut cut = digests("k", &[("spec.a", "2")]);
        cut.cut = true;
        for (denied, admitted) in [(&whole, &cut), (&cut, &whole)] {
            let (paths, _) = changed(denied, admitted).unwrap();
            let paths: Vec<_> = paths
                .iter()
                .map(|path| (path.path.as_str(), path.change))
                .collect();
            assert_eq!(paths, [("spec.a", Change::Changed)]);
        }
    }

    #[test]
    fn of_many_paths_the_first_are_named_and_the_others_counted() {
        let mut many = digests("k", &[]);
        for n in 0..MOST + 5 {
            many.paths.insert(format!("spec.a{n:03}"), "1".into());
        }
        let (listed, more) = changed(&digests("k", &[]), &many).unwrap();
        assert_eq!((listed.len(), more), (MOST, 5));
        assert_eq!(listed[0].path, "spec.a000");
    }
}
