//! How many new Events a namespace gets.

use serde::{Deserialize, Serialize};

/// New Events of one namespace at once, and then each second.
const BURST: f64 = 100.0;
const PER_SECOND: f64 = 5.0;

/// The token bucket of one namespace. Its clock is the ledger's: what is looked at twice
/// is allowed twice or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rate {
    tokens: f64,
    /// Microseconds: when there were so many.
    since: i64,
    /// Denials that had no Event of their own since the last new one.
    held: u64,
}

impl Rate {
    pub(super) fn full(at: i64) -> Rate {
        Rate {
            tokens: BURST,
            since: at,
            held: 0,
        }
    }

    /// Allows one more, and says how many were held back before it; or holds it back.
    pub(super) fn take(&mut self, at: i64) -> Option<u64> {
        self.tokens = self.at(at);
        self.since = self.since.max(at);
        if self.tokens < 1.0 {
            self.held += 1;
            return None;
        }
        self.tokens -= 1.0;
        Some(std::mem::take(&mut self.held))
    }

    /// True if it says no more than one that was never used.
    pub(super) fn is_idle(&self, now: i64) -> bool {
        self.held == 0 && self.at(now) >= BURST
    }

    pub(super) fn since(&self) -> i64 {
        self.since
    }

    fn at(&self, at: i64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a span of microseconds; its last bits do not matter"
        )]
        let seconds = at.saturating_sub(self.since).max(0) as f64 / 1_000_000.0;
        (self.tokens + seconds * PER_SECOND).min(BURST)
    }
}
