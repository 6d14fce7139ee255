//! What is known when an event is examined.

use crate::config::Config;
use crate::policies::PolicyList;
use crate::testimony::Keys;

/// Everything `examine` needs beside the event.
pub struct Bench<'a> {
    /// Names.
    pub config: &'a Config,
    /// MAC keys.
    pub keys: &'a Keys,
    /// Policies as known at this moment.
    pub policies: &'a PolicyList,
    /// Name of the source that brought the event.
    pub source: &'a str,
}
