//! The ledger: an append-only Merkle log in SQLite, with a view that can be rebuilt.
//!
//! It knows bytes and index columns, and nothing of Kubernetes. What of an entry goes into
//! the columns, [`docket_record::entry::index`] says.
//!
//! ```text
//!  NewEntry ──▶ store ──▶ leaf ──▶ tree ──▶ checkpoint      what is signed
//!                 │         └─ salted commitments to the parts beside it
//!                 └────▶ fold ──▶ view                      what is read, rebuildable
//!  verify recomputes all of it from the entries; query reads the view
//! ```
//!
//! Byte layouts, with test vectors, are in `docs/ledger-format.md`.

pub mod entry;
pub mod erasure;
mod error;
mod file;
mod fold;
mod head;
pub mod note;
pub mod query;
mod row;
mod schema;
mod state;
pub mod store;
pub mod tree;
pub mod verified;
pub mod verify;
mod view;
mod words;
