//! The reporter: audit events in, ledger entries out, and the doors to read them.
//!
//! ```text
//!  /audit, audit log ─▶ sources ─▶ writer (one thread) ─▶ intake ─▶ ledger
//!                         │ record::examine                           │
//!        law (watch) ─────┘          Events (publish) ◀───────────────┤
//!                                    doors (REST)     ◀───────────────┘
//! ```
//!
//! [`intake`] and [`numbers`] are the deciding core: synchronous, without clock or
//! network. [`run`] puts the parts together, watches them and takes them apart.

mod admin;
pub mod args;
pub mod doors;
#[cfg(test)]
#[path = "../tests/events/mod.rs"]
#[allow(dead_code, reason = "each ring uses a part of it")]
mod events;
pub mod gaps;
mod guard;
pub use docket_host::health;
pub mod intake;
mod keys;
mod law;
mod listen;
mod measure;
pub mod metrics;
pub mod numbers;
pub mod objects;
mod publish;
mod replay;
pub mod reports;
pub mod run;
mod serve;
pub use serve::Peer;
mod sources;
mod watch;
mod witness;
mod writer;
