//! TLS that follows its files.
//!
//! The content of all files is read again every few seconds: a mounted Secret is swapped
//! by renaming a symlink, which gives no event on the file itself. Any change makes a
//! whole new configuration, with an empty session cache, so a session resumed from before
//! cannot slip past a new client CA. It is made of the contents that were compared, not of
//! files read a second time. What does not hold together is refused, logged and counted
//! once, and the old configuration serves on. Open connections keep what they were opened
//! with.

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::ClientFiles;
pub use server::ServerFiles;

use crate::lock;
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Files that together make one configuration.
pub trait ConfigFiles: Send + Sync + 'static {
    /// What is made of them.
    type Config: Send + Sync;

    /// Which they are, always in the same order.
    fn paths(&self) -> Vec<&Path>;

    /// The configuration from their contents, in the order of [`ConfigFiles::paths`], and
    /// when its certificate ends, in seconds since the epoch.
    ///
    /// # Errors
    /// [`TlsError`] if they do not hold together.
    fn build(&self, contents: &[Vec<u8>]) -> Result<(Self::Config, i64), TlsError>;
}

/// What became of the files of one configuration; `expires` is when the certificate in use
/// ends, in seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadEvent {
    /// Read for the first time.
    Loaded {
        /// End of the certificate.
        expires: i64,
    },
    /// They have changed and are in use now.
    Reloaded {
        /// End of the certificate.
        expires: i64,
    },
    /// They have changed and cannot be used; what was there before is in use.
    Refused,
}

/// Why a set of files cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or not readable.
    #[error("cannot read {path}: give an existing, readable PEM file")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not PEM, or none of the expected kind inside.
    #[error("no usable PEM in {path}: it must hold {expected}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be inside.
        expected: &'static str,
    },
    /// Parts that do not fit each other.
    #[error("certificate {cert} and key {key} do not belong together: replace both together")]
    Pair {
        /// Certificate file.
        cert: PathBuf,
        /// Key file.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// A CA that cannot verify anyone.
    #[error("CA {path} cannot verify certificates: give CA certificates in PEM")]
    Ca {
        /// Which.
        path: PathBuf,
        /// What rustls said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The configuration of a listener, or of our calls, as its files stand now.
pub struct ReloadingTls<F: ConfigFiles = ServerFiles> {
    name: &'static str,
    files: F,
    current: ArcSwap<F::Config>,
    last: Mutex<LastRead>,
    observe: Box<dyn Fn(ReloadEvent) + Send + Sync>,
}

/// What the configuration in use was made of, and what was refused last: each refused
/// content is told once, not at every look.
struct LastRead {
    in_use: Vec<Vec<u8>>,
    refused: Option<Vec<Vec<u8>>>,
    unreadable: bool,
}

impl<F: ConfigFiles> ReloadingTls<F> {
    /// Reads the files for the first time. `name` is for logs; `observe` counts.
    ///
    /// # Errors
    /// [`TlsError`] if they cannot be used: then there is nothing to begin with.
    pub fn load(
        name: &'static str,
        files: F,
        observe: impl Fn(ReloadEvent) + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        let contents = read(&files)?;
        let (config, expires) = files.build(&contents)?;
        observe(ReloadEvent::Loaded { expires });
        Ok(Self {
            name,
            files,
            current: ArcSwap::from_pointee(config),
            last: Mutex::new(LastRead {
                in_use: contents,
                refused: None,
                unreadable: false,
            }),
            observe: Box::new(observe),
        })
    }

    /// The configuration for the next connection.
    pub fn current(&self) -> Arc<F::Config> {
        self.current.load_full()
    }

    /// Reads the files again and takes over what has changed. Blocks on the disk.
    pub fn reload(&self) {
        let mut last = lock(&self.last);
        let contents = match read(&self.files) {
            Ok(contents) => contents,
            Err(error) => {
                if !std::mem::replace(&mut last.unreadable, true) {
                    self.refuse(&error);
                }
                return;
            }
        };
        last.unreadable = false;
        if contents == last.in_use {
            last.refused = None;
            return;
        }
        if last.refused.as_ref() == Some(&contents) {
            return;
        }
        match self.files.build(&contents) {
            Ok((config, expires)) => {
                self.current.store(Arc::new(config));
                last.in_use = contents;
                last.refused = None;
                (self.observe)(ReloadEvent::Reloaded { expires });
                tracing::info!(tls = self.name, "new certificates taken");
            }
            Err(error) => {
                last.refused = Some(contents);
                self.refuse(&error);
            }
        }
    }

    fn refuse(&self, error: &TlsError) {
        (self.observe)(ReloadEvent::Refused);
        let cause = std::error::Error::source(error);
        tracing::warn!(
            tls = self.name,
            cause = cause.map(tracing::field::display),
            "new certificates refused, the old ones serve on: {error}"
        );
    }
}

fn read(files: &impl ConfigFiles) -> Result<Vec<Vec<u8>>, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    files.paths().into_iter().map(read).collect()
}

fn key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| TlsError::Pem {
        path: path.to_owned(),
        expected: "a private key",
    })
}

/// A chain, and when its leaf ends, in seconds since the epoch.
fn chain(path: &Path, pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, i64), TlsError> {
    let chain = certificates(path, pem)?;
    let expiry = chain
        .first()
        .and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok())
        .map(|(_, leaf)| leaf.validity().not_after.timestamp())
        .ok_or_else(|| TlsError::Pem {
            path: path.to_owned(),
            expected: "an X.509 certificate",
        })?;
    Ok((chain, expiry))
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|e| TlsError::Ca {
            path: path.to_owned(),
            source: e.into(),
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = || TlsError::Pem {
        path: path.to_owned(),
        expected: "certificates",
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| refuse())?;
    if chain.is_empty() {
        Err(refuse())
    } else {
        Ok(chain)
    }
}
