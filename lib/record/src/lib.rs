//! What a denial is.
//!
//! This crate turns bytes that kube-apiserver sends (an AdmissionReview, an audit
//! event) into the nouns of Docket, and does nothing else: no I/O, no clock, no
//! Kubernetes client. Time is an argument.
//!
//! ```text
//!  AdmissionReview ──review──▶ testimony ──(inside the audit event)──┐
//!  audit event ──audit──▶ AuditEvent ──verdict──▶ denied? ──attribution──▶ Record
//!  policy objects ──law──▶ LawBook (what was in force) ───────┘
//! ```
//!
//! Parsing is total: what is not understood is kept and marked, never guessed.

#[macro_use]
mod pattern;

pub mod api;
pub mod attribution;
pub mod audit;
pub mod changed;
pub mod config;
mod digest;
pub mod entry;
pub mod examine;
pub mod excepted;
pub mod exhibit;
pub mod gap;
pub mod harmful;
pub mod import;
pub mod krate;
pub mod kyverno_event;
pub mod law;
pub mod mask;
pub mod numbers;
pub mod others;
pub mod policies;
pub mod redact;
pub mod report;
pub mod review;
mod scan;
pub mod testimony;
mod text;
pub mod verdict;
pub mod write;

pub use entry::denial;
