//! What entries of the ledger say: for each [`Class`] the form of its public and of its
//! personal part. Whoever writes, folds, verifies or shows an entry uses these.
//!
//! | class | public part | personal part |
//! |---|---|---|
//! | denial, pass | [`denial::Public`] | [`denial::Personal`] |
//! | amendment | [`amendment::Public`], [`law::Autogen`] | [`amendment::Personal`] |
//! | law | [`law::Public`] | none |
//! | outcome | [`outcome::Public`] | [`outcome::Personal`] |
//! | gap | [`gap::Public`] | [`gap::Personal`] |
//! | erasure | [`erasure::Public`] | [`erasure::Personal`] |
//!
//! Floods and statements have no form yet: nothing writes them.
//!
//! Parts are stored as they were written and never serialised again, so a form may grow
//! and may not change: members stand in the order in which they were first written, what
//! is empty is left out where it always was, and what a newer writer adds is passed over.
//! [`index`] is what the ledger's view reads of any part, whatever its class.
//!
//! Nothing here reads another module of this crate.

pub mod amendment;
mod class;
pub mod denial;
pub mod erasure;
pub mod gap;
mod id;
pub mod index;
pub mod law;
mod open_enum;
pub mod outcome;
mod user;

pub use class::Class;
pub use id::{base32, id};
pub use open_enum::{Named, OpenEnum};
pub use user::User;

use serde::Serialize;

/// The bytes of a part. Our own types have text keys only, so this cannot fail.
pub fn bytes<T: Serialize>(part: &T) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "structs with text keys always serialise"
    )]
    serde_json::to_vec(part).expect("a part serialises")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests;
