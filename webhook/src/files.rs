//! Open files: how many connections the system lets us have.
//!
//! Beyond that nobody could be accepted, and nobody be made to go. Where they are short,
//! readers go without first: a review must always find one.

use crate::run::FEW;
use docket_host::raise_open_files;

/// Open files besides connections.
const OTHER_FILES: usize = 32;

/// What can be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Connections of kube-apiserver for reviews.
    pub admission: usize,
    /// Part of what the readers' listener asked for, from 0 to 1.
    pub api: f64,
}

/// Raises the limit of open files as far as it is needed and allowed, and says what fits.
pub fn afford(admission: usize, api: usize) -> Share {
    let others = 2 * FEW + OTHER_FILES;
    let files = raise_open_files(admission + api + others);
    let share = shared(files.saturating_sub(others), admission, api);
    if share.admission < admission {
        tracing::warn!(
            "only {} of --max-connections {admission}: raise the limit of open files",
            share.admission
        );
    }
    if share.api < 1.0 {
        tracing::warn!(
            "only {:.0} % of the --api-max-* numbers: raise the limit of open files",
            share.api * 100.0
        );
    }
    share
}

fn shared(files: usize, admission: usize, api: usize) -> Share {
    let for_admission = admission.min(files).max(1);
    let left = files.saturating_sub(for_admission);
    Share {
        admission: for_admission,
        api: if left >= api {
            1.0
        } else {
            left as f64 / api as f64
        },
    }
}

/// A part of a number, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of it is never larger, nor below nothing"
)]
pub fn part(number: usize, share: f64) -> usize {
    ((number as f64 * share) as usize).clamp(1, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_go_without_before_reviews_do() {
        let enough = shared(4_000, 1_000, 2_000);
        assert_eq!((enough.admission, enough.api), (1_000, 1.0));
        let half = shared(2_000, 1_000, 2_000);
        assert_eq!((half.admission, half.api), (1_000, 0.5));
        let none = shared(800, 1_000, 2_000);
        assert_eq!((none.admission, none.api), (800, 0.0));
        assert_eq!(shared(100, 50, 0).api, 1.0);
        assert_eq!(part(2_000, half.api), 1_000);
        assert_eq!(part(2_000, none.api), 1);
    }
}
