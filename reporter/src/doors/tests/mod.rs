//! The router over a real ledger, with a double of the Kubernetes API.

mod access;
mod aggregated;
mod bindings;
mod cluster_double;
mod described;
mod evidence;
mod following;
mod harmless;
mod impersonating;
mod importing;
mod laws;
mod others;
mod outcomes;
mod policy_page;
mod reading;
mod scopes;
mod shape;
mod streaming;
mod violations;
mod world;
