//! The cluster ring: a real kube-apiserver, etcd and Kyverno, one plane for all tests of
//! this binary. A test that stops a part starts a plane of its own.
//!
//! Run with `cargo test -p docket-tests --features cluster --test cluster`, or `make test`.

mod aggregated;
mod attribution;
mod common;
mod control_plane;
mod deniers;
mod docs;
mod events;
mod exhibits;
mod first_run;
mod forgery;
mod import;
mod kubectl;
mod law;
mod outages;
mod outcomes;
mod readers;
mod reports;
mod shapes;
mod tenants;
mod verdicts;
