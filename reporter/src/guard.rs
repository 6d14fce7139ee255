//! A fault of ours costs what it was met in, and nothing else: one event, one line, one
//! object that is watched. Without this it would end the process at the same place for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// `None`: it panicked, and the log says where.
///
/// What `work` touches besides its own values is locks and counters, which hold valid
/// values between any two statements, files that are written whole, and what its caller
/// throws away.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_nothing_and_everything_else_is_what_it_is() {
        assert_eq!(guarded(|| 7), Some(7));
        assert_eq!(guarded(|| -> u8 { panic!("a fault of ours") }), None);
    }
}
