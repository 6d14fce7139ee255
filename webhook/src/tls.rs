//! TLS that follows its files.
//!
//! The content of all files is read again every few seconds: a mounted Secret is swapped
//! by renaming a symlink, which gives no event on the file itself. Any change makes a
//! whole new configuration, with an empty session cache, so a session resumed from before
//! cannot slip past a new client CA. What does not hold together is refused and the old
//! configuration serves on. Open connections keep what they were opened with.

use crate::labels::{Part, ReloadResult};
use crate::metrics::Reload;
use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one listener.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// CA of the callers; with it a client certificate is required.
    pub client_ca: Option<PathBuf>,
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
    #[error("certificate {cert} and key {key} do not make a server: replace both together")]
    Pair {
        /// Certificate file.
        cert: PathBuf,
        /// Key file.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// A CA that cannot verify anyone.
    #[error("client CA {path} cannot verify certificates: give CA certificates in PEM")]
    ClientCa {
        /// Which.
        path: PathBuf,
        /// What rustls said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// One listener's TLS, as it stands now.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<ServerConfig>,
    /// What the current configuration was made of, and what was refused last: each
    /// refused content is logged and counted once, not at every look.
    seen: std::sync::Mutex<Seen>,
    reload: Reload,
    door: Part,
}

struct Seen {
    serving: Contents,
    refused: Option<Contents>,
    unreadable: bool,
}

#[derive(PartialEq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files once; an error here ends the start.
    pub fn load(door: Part, files: TlsFiles, reload: Reload) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let (config, expiry) = configure(&files, &contents)?;
        reload.expiry(door, expiry);
        Ok(Self {
            files,
            current: ArcSwap::new(config),
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
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Looks at the files and takes over what has changed.
    pub fn look(&self) {
        let mut seen = crate::witness::lock(&self.seen);
        let contents = match Contents::read(&self.files) {
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
        match configure(&self.files, &contents) {
            Ok((config, expiry)) => {
                self.current.store(config);
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

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }
}

/// A configuration and when its certificate ends, in seconds since the epoch.
fn configure(files: &TlsFiles, contents: &Contents) -> Result<(Arc<ServerConfig>, i64), TlsError> {
    let chain = certificates(&files.cert, &contents.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| TlsError::Pem {
        path: files.key.clone(),
        expected: "a private key",
    })?;
    let expiry = chain
        .first()
        .and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok())
        .map(|(_, leaf)| leaf.validity().not_after.timestamp())
        .ok_or_else(|| TlsError::Pem {
            path: files.cert.clone(),
            expected: "an X.509 certificate",
        })?;

    let builder = ServerConfig::builder();
    let builder = match (&files.client_ca, &contents.client_ca) {
        (Some(path), Some(pem)) => {
            let refuse = |source: Box<dyn std::error::Error + Send + Sync>| TlsError::ClientCa {
                path: path.clone(),
                source,
            };
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, pem)? {
                roots.add(certificate).map_err(|e| refuse(e.into()))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .map_err(|e| refuse(e.into()))?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Pair {
            cert: files.cert.clone(),
            key: files.key.clone(),
            source,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((Arc::new(config), expiry))
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
