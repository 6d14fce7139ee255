//! What an event is to the ledger.

use crate::denial::Record;
use crate::verdict::Counted;

/// Entry or count.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A denial (denied, unavailable, unknown) or a pass (failedOpen, excepted).
    Record(Box<Record>),
    /// Only counted.
    Counted(Counted),
}
