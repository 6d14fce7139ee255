//! The witness as a process, over TLS on loopback.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod answers;
mod api;
mod connections;
mod drain;
mod files;
mod handout;
mod harness;
mod reporter_double;
mod testimonies;
