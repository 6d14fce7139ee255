//! Certificates: from files, again whenever their content changes.

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often files are read again. Content decides: a directory of symbolic links that is
/// swapped as a whole (kubelet) gives no other sign.
const RELOAD: Duration = Duration::from_secs(5);

/// Where a server's certificates are.
#[derive(Clone, Debug)]
pub struct ServerFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// With it, a client certificate by this authority is required.
    pub client_ca: Option<PathBuf>,
}

/// Where a client's certificates are.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// The server's authority, PEM.
    pub ca: PathBuf,
    /// Our certificate and key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The present configuration of a server.
pub type Server = Arc<ArcSwap<ServerConfig>>;

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not a PEM certificate", path.display()))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate", path.display());
    Ok(chain)
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .with_context(|| format!("{} is not a PEM private key", path.display()))
}

fn roots(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .with_context(|| format!("{} is unusable", path.display()))?;
    }
    Ok(roots)
}

impl ServerFiles {
    fn contents(&self) -> Result<Vec<Vec<u8>>> {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(|path| read(path))
            .collect()
    }

    fn config(&self) -> Result<ServerConfig> {
        let builder = ServerConfig::builder();
        let builder = match &self.client_ca {
            Some(ca) => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder(Arc::new(roots(ca)?)).build()?,
            ),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(certificates(&self.cert)?, key(&self.key)?)
            .context("certificate and key do not belong together")?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// Load now; keep up with changes for as long as the future is polled.
    pub fn load(self) -> Result<(Server, impl Future<Output = Result<()>>)> {
        let server = Arc::new(ArcSwap::from_pointee(self.config()?));
        let current = Arc::clone(&server);
        let mut known = self.contents()?;
        let reload = async move {
            loop {
                tokio::time::sleep(RELOAD).await;
                let Ok(contents) = self.contents() else {
                    continue;
                };
                if contents == known {
                    continue;
                }
                match self.config() {
                    Ok(config) => {
                        tracing::info!(cert = %self.cert.display(), "certificate reloaded");
                        current.store(Arc::new(config));
                        known = contents;
                    }
                    // Certificate and key are replaced one after the other: try again.
                    Err(error) => {
                        tracing::warn!("certificate not reloaded, the old one is kept: {error:#}");
                    }
                }
            }
        };
        Ok((server, reload))
    }
}

impl ClientFiles {
    /// Load once.
    ///
    /// # Errors
    /// If a file can't be read or used.
    pub fn config(&self) -> Result<ClientConfig> {
        let builder = ClientConfig::builder().with_root_certificates(roots(&self.ca)?);
        match &self.identity {
            Some((cert, key_file)) => builder
                .with_client_auth_cert(certificates(cert)?, key(key_file)?)
                .context("certificate and key do not belong together"),
            None => Ok(builder.with_no_client_auth()),
        }
    }
}
