//! A listener's certificate, and who may call.

use super::{ConfigFiles, TlsError, chain, key, roots};
use crate::certificate::common_name;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one listener.
#[derive(Debug, Clone)]
pub struct ServerFiles {
    /// Certificate chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// CA of the callers; with it a client certificate is required.
    pub client_ca: Option<PathBuf>,
    /// Common names of those who may call, of all whom the CA has signed; none: all.
    pub client_names: Vec<String>,
}

impl ConfigFiles for ServerFiles {
    type Config = ServerConfig;

    fn paths(&self) -> Vec<&Path> {
        let both = [self.cert.as_path(), self.key.as_path()];
        both.into_iter().chain(self.client_ca.as_deref()).collect()
    }

    fn build(&self, contents: &[Vec<u8>]) -> Result<(ServerConfig, i64), TlsError> {
        let part = |at: usize| contents.get(at).map_or(&[][..], Vec::as_slice);
        let (chain, expiry) = chain(&self.cert, part(0))?;
        let builder = ServerConfig::builder();
        let builder = match &self.client_ca {
            Some(path) => builder.with_client_cert_verifier(self.verifier(path, part(2))?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key(&self.key, part(1))?)
            .map_err(|source| TlsError::Pair {
                cert: self.cert.clone(),
                key: self.key.clone(),
                source,
            })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok((config, expiry))
    }
}

impl ServerFiles {
    fn verifier(&self, ca: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let signed = WebPkiClientVerifier::builder(Arc::new(roots(ca, pem)?))
            .build()
            .map_err(|e| TlsError::Ca {
                path: ca.to_owned(),
                source: e.into(),
            })?;
        if self.client_names.is_empty() {
            return Ok(signed);
        }
        Ok(Arc::new(NamedClientVerifier {
            names: self.client_names.clone(),
            signed,
        }))
    }
}

/// Who is signed by the CA and has one of these names. Asked in the handshake, so that
/// nothing of another caller is ever read.
#[derive(Debug)]
struct NamedClientVerifier {
    names: Vec<String>,
    signed: Arc<dyn ClientCertVerifier>,
}

impl ClientCertVerifier for NamedClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.signed.verify_client_cert(leaf, intermediates, now)?;
        match common_name(leaf) {
            Ok(name) if self.names.contains(&name) => Ok(verified),
            name => {
                tracing::debug!(?name, "a certificate of the right CA has another name");
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls12_signature(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
