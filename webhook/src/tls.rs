//! TLS that follows its files.
//!
//! The content of all files is read again every few seconds: a mounted Secret is swapped
//! by renaming a symlink, which gives no event on the file itself. Any change makes a
//! whole new configuration, with an empty session cache, so a session resumed from before
//! cannot slip past a new client CA. What does not hold together is refused and the old
//! configuration serves on. Open connections keep what they were opened with.

mod client;
mod server;

pub use client::ClientFiles;
pub use server::ServerFiles;

use crate::labels::{Part, ReloadResult};
use crate::metrics::Reload;
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that together make one configuration.
pub trait Files: Send + Sync + 'static {
    /// What is made of them.
    type Made: Send + Sync;

    /// Which they are, always in the same order.
    fn paths(&self) -> Vec<&Path>;

    /// The configuration from their contents, and when its certificate ends, in seconds
    /// since the epoch.
    fn make(&self, contents: &[Vec<u8>]) -> Result<(Self::Made, i64), TlsError>;
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

/// The TLS of a listener, or of our calls, as it stands now.
pub struct Tls<F: Files = ServerFiles> {
    files: F,
    current: ArcSwap<F::Made>,
    /// What the current configuration was made of, and what was refused last: each
    /// refused content is logged and counted once, not at every look.
    seen: std::sync::Mutex<Seen>,
    reload: Reload,
    door: Part,
}

struct Seen {
    serving: Vec<Vec<u8>>,
    refused: Option<Vec<Vec<u8>>>,
    unreadable: bool,
}

impl<F: Files> Tls<F> {
    /// Reads the files once; an error here ends the start.
    pub fn load(door: Part, files: F, reload: Reload) -> Result<Self, TlsError> {
        let contents = read(&files)?;
        let (made, expiry) = files.make(&contents)?;
        reload.expiry(door, expiry);
        Ok(Self {
            files,
            current: ArcSwap::from_pointee(made),
            seen: std::sync::Mutex::new(Seen {
                serving: contents,
                refused: None,
                unreadable: false,
            }),
            reload,
            door,
        })
    }

    /// The configuration for the next connection.
    pub fn current(&self) -> Arc<F::Made> {
        self.current.load_full()
    }

    /// Looks at the files and takes over what has changed.
    pub fn look(&self) {
        let mut seen = crate::witness::lock(&self.seen);
        let contents = match read(&self.files) {
            Ok(contents) => contents,
            Err(error) => {
                if !std::mem::replace(&mut seen.unreadable, true) {
                    self.refuse(error);
                }
                return;
            }
        };
        seen.unreadable = false;
        if contents == seen.serving {
            seen.refused = None;
            return;
        }
        if seen.refused.as_ref() == Some(&contents) {
            return;
        }
        match self.files.make(&contents) {
            Ok((made, expiry)) => {
                self.current.store(Arc::new(made));
                seen.serving = contents;
                seen.refused = None;
                self.reload.expiry(self.door, expiry);
                self.reload.count(self.door, ReloadResult::Taken);
                tracing::info!(door = self.door.name(), "new certificates taken");
            }
            Err(error) => {
                seen.refused = Some(contents);
                self.refuse(error);
            }
        }
    }

    fn refuse(&self, error: TlsError) {
        self.reload.count(self.door, ReloadResult::Refused);
        let error = anyhow::Error::new(error);
        tracing::warn!(
            door = self.door.name(),
            "new certificates refused, the old ones serve on: {error:#}"
        );
    }
}

fn read(files: &impl Files) -> Result<Vec<Vec<u8>>, TlsError> {
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
