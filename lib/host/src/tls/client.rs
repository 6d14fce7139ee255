//! What we show when we call, and whom we believe.

use super::{ConfigFiles, TlsError, chain, key, roots};
use rustls::ClientConfig;
use std::path::{Path, PathBuf};

/// The files of our calls to one server.
#[derive(Debug, Clone)]
pub struct ClientFiles {
    /// CA of the server.
    pub ca: PathBuf,
    /// Our certificate chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl ConfigFiles for ClientFiles {
    type Config = ClientConfig;

    fn paths(&self) -> Vec<&Path> {
        vec![&self.ca, &self.cert, &self.key]
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<(ClientConfig, i64), TlsError> {
        let part = |at: usize| contents.get(at).map_or(&[][..], Vec::as_slice);
        let (chain, expiry) = chain(&self.cert, part(1))?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots(&self.ca, part(0))?)
            .with_client_auth_cert(chain, key(&self.key, part(2))?)
            .map_err(|source| TlsError::Pair {
                cert: self.cert.clone(),
                key: self.key.clone(),
                source,
            })?;
        Ok((config, expiry))
    }
}
