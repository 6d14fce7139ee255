//! Who a client certificate says it is.

use rustls_pki_types::CertificateDer;
use x509_parser::parse_x509_certificate;

/// Why a certificate has no name to believe it under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommonNameError {
    /// Not X.509.
    #[error("the certificate is not X.509: issue another one")]
    Certificate,
    /// No common name, or one that is no text.
    #[error("the certificate's subject has no common name: issue one that has")]
    None,
    /// More than one.
    #[error("the certificate's subject has several common names: issue one that has a single one")]
    Several,
}

/// The one common name of a certificate's subject. Several are refused: which of them
/// counts is read differently by different readers.
///
/// # Errors
/// [`CommonNameError`] if there is not exactly one.
pub fn common_name(certificate: &CertificateDer<'_>) -> Result<String, CommonNameError> {
    let (_, certificate) =
        parse_x509_certificate(certificate).map_err(|_| CommonNameError::Certificate)?;
    let mut names = certificate.subject().iter_common_name();
    let first = names.next().ok_or(CommonNameError::None)?;
    if names.next().is_some() {
        return Err(CommonNameError::Several);
    }
    let name = first.as_str().map_err(|_| CommonNameError::None)?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn certificate(names: &[(DnType, &str)]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, name) in names {
            params.distinguished_name.push(kind.clone(), *name);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_certificate_has_the_name_of_its_one_common_name() {
        let one = [
            (DnType::OrganizationName, "system:masters"),
            (DnType::CommonName, "ann"),
        ];
        assert_eq!(common_name(&certificate(&one)), Ok("ann".to_owned()));
        let none = [(DnType::OrganizationName, "ann")];
        assert_eq!(common_name(&certificate(&none)), Err(CommonNameError::None));
        let torn = CertificateDer::from(vec![0x30, 0x03, 1]);
        assert_eq!(common_name(&torn), Err(CommonNameError::Certificate));
    }
    #[test]
    fn of_several_common_names_none_is_believed() {
        // rcgen keeps one name of a kind; by its number it is another kind.
        let again = DnType::CustomDnType(vec![2, 5, 4, 3]);
        for names in [["kube-apiserver", "ann"], ["ann", "ann"]] {
            let names = [(DnType::CommonName, names[0]), (again.clone(), names[1])];
            let certificate = certificate(&names);
            assert_eq!(common_name(&certificate), Err(CommonNameError::Several));
        }
    }
}
