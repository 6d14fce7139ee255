//! What a process sets up before anything else, and what it is called.

use rustix::process::{Resource, getrlimit, setrlimit};
use std::io;

/// The host's name; in a pod this is the pod's.
///
/// # Errors
/// If the system does not tell.
pub fn host_name() -> io::Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    Ok(name.trim_end().to_owned())
}

/// Logs where `program` (as in "the witness") panics, and not why: the default hook prints
/// the message, and a message may quote what was being read.
pub fn log_panics(program: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!(
            at = panic.location().map(tracing::field::display),
            "{program} panicked"
        );
    }));
}

/// Chooses ring for TLS. Before any TLS configuration is made: rustls asks for it then.
pub fn install_crypto_provider() {
    let ring = rustls::crypto::ring::default_provider();
    if ring.install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
}

/// Raises the limit of open files to `wanted` as far as that is needed and allowed, and
/// says how many there may be. Beyond it no connection can be accepted, and nobody be made
/// to go.
pub fn raise_open_files(wanted: usize) -> usize {
    let wanted = wanted as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!("cannot raise the limit of open files: {error}");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_and_never_lowered() {
        let before = raise_open_files(1);
        let raised = raise_open_files(before + 1);
        assert!(raised >= before);
        assert_eq!(raise_open_files(1), raised);
        let hard = getrlimit(Resource::Nofile).maximum;
        if hard.is_none_or(|hard| hard > before as u64) {
            assert_eq!(raised, before + 1);
        }
    }
}
