//! What the programs of Docket have in common as processes.
//!
//! ```text
//!  ShutdownSignal     when it ends
//!  Listener           connections, their limits, who has to go, drain
//!    ReloadingTls     its certificates, and ours where we call
//!  KeyDirectory       the MAC keys: the webhook signs with them, the reporter verifies
//!    poll_files       reads both again every few seconds
//!  health, admin_router   /healthz, /readyz, /metrics
//! ```
//!
//! No noun of Docket is made here. Each program keeps its routes, its limits and its
//! metrics, which it hands in.

mod admin;
mod certificate;
pub mod health;
mod keys;
mod listener;
mod poll;
mod process;
mod shutdown;
#[cfg(test)]
mod testing;
mod tls;

pub use admin::{AdminState, admin_router};
pub use certificate::{CommonNameError, common_name};
pub use keys::{KeyDirectory, KeyFileError, Look};
pub use listener::{
    Listener, ListenerConfig, ListenerLimits, ListenerMetrics, Peer, RequestStart, RunningListener,
};
pub use poll::{Reload, poll_files};
pub use process::{host_name, install_crypto_provider, log_panics, raise_open_files};
pub use shutdown::ShutdownSignal;
pub use tls::{ClientFiles, ConfigFiles, ReloadEvent, ReloadingTls, ServerFiles, TlsError};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a panic elsewhere never takes the others down. What the locks here guard is valid
/// between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
