//! Keys and certificates of one run. Three authorities, so that no part is trusted for
//! more than its work: the cluster's, the front proxy's, and Docket's own.

use crate::process::write_private;
use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use std::path::{Path, PathBuf};

/// An authority that signs certificates and knows where its own lies.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
    name: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes an authority and writes its certificate to `DIR/NAME.crt`; its key stays here.
    pub fn new(dir: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)
            .with_context(|| format!("make the authority {name}"))?;
        let authority = Authority {
            issuer,
            dir: dir.to_owned(),
            name: name.to_owned(),
        };
        write_private(&authority.certificate(), authority.pem())?;
        Ok(authority)
    }

    /// Path of the authority's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join(format!("{}.crt", self.name))
    }

    /// The authority's certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate for loopback.
    pub fn server(&self, name: &str) -> Result<Identity> {
        let names = [
            "localhost",
            "127.0.0.1",
            "kubernetes.default.svc",
            "docket-webhook.docket-system.svc",
        ]
        .map(str::to_owned);
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(name, params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate: the common name is the user, the organization the group.
    pub fn client(&self, file: &str, user: &str, group: Option<&str>) -> Result<Identity> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params
                .distinguished_name
                .push(DnType::OrganizationName, group);
        }
        self.sign(file, params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        file: &str,
        mut params: CertificateParams,
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Identity> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("sign the certificate {file}"))?;
        let identity = Identity {
            certificate: self.dir.join(format!("{file}.crt")),
            key: self.dir.join(format!("{file}.key")),
        };
        write_private(&identity.certificate, certificate.pem())?;
        write_private(&identity.key, key.serialize_pem())?;
        Ok(identity)
    }
}

/// A certificate and its key on disk.
#[derive(Clone, Debug)]
pub struct Identity {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM, PKCS#8.
    pub key: PathBuf,
}

/// A fresh pair for signing service account tokens: `DIR/service-accounts.{key,pub}`.
pub fn service_account_key(dir: &Path) -> Result<()> {
    let key = KeyPair::generate()?;
    write_private(&dir.join("service-accounts.pub"), key.public_key_pem())?;
    write_private(&dir.join("service-accounts.key"), key.serialize_pem())
}
