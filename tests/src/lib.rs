//! One harness for every ring that needs real parts: a kube-apiserver with etcd, the
//! controller manager, Kyverno, and Docket's own processes, each a child process on
//! loopback ports of its own, with all keys made for this run.
//!
//! ```text
//! binaries ─ builds what is missing ─┐
//! pki ────── keys and certificates ──┤
//! files ──── kubeconfigs, policies ──┼─▶ plane::ControlPlane ─▶ calls (create, patch, …)
//! process ── groups, pids, watchdog ─┤         │                denials (REST)
//! kyverno, krate, docket ── parts ───┘         └─▶ stop_part, start_part, pause, resume
//! ```
//!
//! It is not a deployment tool: one machine, one run, nothing kept.

pub mod binaries;
pub mod call;
pub mod day;
pub mod denials;
pub mod docket;
pub mod files;
pub mod krate;
pub mod kube_double;
mod kubectl;
pub mod kyverno;
pub mod manifests;
pub mod options;
pub mod paths;
pub mod pki;
pub mod plane;
pub mod process;
pub mod progress;
pub mod recorder;
pub mod replay;
pub mod run;
pub mod texts;
pub mod users;

pub use call::{Call, Reply};
pub use denials::Filter;
pub use kubectl::Said;
pub use options::{AuditWebhook, Options, Part};
pub use plane::ControlPlane;
pub use progress::Progress;
pub use run::{eventually, on_shared_runtime};
