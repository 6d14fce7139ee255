//! The witness as a process, over TLS on loopback.

#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

mod answers;
mod connections;
mod drain;
mod files;
mod handout;
mod harness;
mod testimonies;
