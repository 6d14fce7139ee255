//! What the programs of Docket have in common as processes: files that are followed, and
//! who is at the other end of a connection.
//!
//! [`KeyDirectory`] is the directory of MAC keys. The webhook signs with it and the
//! reporter verifies with it, so both must make the same of every file in it.
//! [`common_name`] is the name that a client certificate is believed under.
//!
//! No noun of Docket is made here; blocking reads of small files only.

mod certificate;
mod keys;

pub use certificate::{CommonNameError, common_name};
pub use keys::{KeyDirectory, KeyFileError, Look};
