//! The ledger: an append-only Merkle log in SQLite, with a view that can be rebuilt.
//!
//! It knows bytes and index columns, and nothing of Kubernetes.

pub mod entry;
pub mod query;
pub mod store;
