//! A process that stood still has old news before it.

use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// Whether this process went on running.
pub(super) struct Awake {
    instant: Instant,
    pub(super) time: Timestamp,
}

impl Awake {
    pub(super) fn now() -> Awake {
        Awake {
            instant: Instant::now(),
            time: Timestamp::now(),
        }
    }

    /// True if more time has passed since the last call than a pulse explains. Both clocks
    /// are asked: one of them stands still while a machine sleeps.
    pub(super) fn stood_still(&mut self, late: Duration) -> bool {
        let before = std::mem::replace(self, Awake::now());
        let by_time = Duration::try_from(self.time.duration_since(before.time));
        let passed = self.instant.duration_since(before.instant);
        passed.max(by_time.unwrap_or_default()) > late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stood_still_notices() {
        let late = Duration::from_secs(3600);
        let mut awake = Awake::now();
        assert!(!awake.stood_still(late));
        awake.time = Timestamp::now() - jiff::SignedDuration::from_hours(2);
        assert!(awake.stood_still(late), "the machine slept");
        assert!(!awake.stood_still(late));
    }
}
