//! TLS inside the guest: rustls with ring, trusting the authorities that the data source gives, and for
//! services of the web those that its plug-in brings along.

use std::fmt::Display;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};
use sdk::{Fault, Result};

use crate::Vendor;
use crate::settings::missing;

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// How much is asked of the server, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// No encryption.
    Disable,
    /// Encryption where the server offers it; nobody's identity is checked.
    Prefer,
    /// Encryption; nobody's identity is checked.
    Require,
    /// The certificate must come from an authority that the data source gives.
    VerifyCa,
    /// It must also be made out for the host.
    VerifyName,
}

/// What is asked of the server, and whom the data source trusts.
#[derive(Clone, Copy, Debug)]
pub struct Security<'a> {
    pub mode: Mode,
    /// Certificates of authorities in PEM form.
    ca: Option<&'a str>,
    /// Authorities that are trusted where there is no `ca`.
    anchors: &'static [TrustAnchor<'static>],
}

impl<'a> Security<'a> {
    /// With a `ca`, certificates are checked whenever there is encryption.
    ///
    /// # Errors
    /// `connection.invalid` where certificates are to be checked and no authority is given.
    pub fn new(asked: Option<Mode>, ca: Option<&'a str>) -> Result<Self> {
        let mode = match asked {
            Some(Mode::VerifyCa | Mode::VerifyName) if ca.is_none() => {
                return Err(missing("ssl/ca").hint("a plug-in sees no certificate store of the machine; give the authority's certificate, for instance {\"file\": \"ca.pem\"}"));
            }
            Some(Mode::Require) if ca.is_some() => Mode::VerifyCa,
            Some(mode) => mode,
            None if ca.is_some() => Mode::VerifyName,
            None => Mode::Prefer,
        };
        Ok(Self { mode, ca, anchors: &[] })
    }

    /// For a service that always speaks TLS: without a `ca`, `anchors` are trusted.
    pub fn of_web(
        asked: Option<Mode>,
        ca: Option<&'a str>,
        anchors: &'static [TrustAnchor<'static>],
    ) -> Self {
        let mode = match asked {
            Some(Mode::Require) if ca.is_some() => Mode::VerifyCa,
            asked => asked.unwrap_or(Mode::VerifyName),
        };
        Self { mode, ca, anchors }
    }

    /// Whether encryption here means that the server has shown who it is.
    pub fn verifies(&self) -> bool {
        self.mode >= Mode::VerifyCa
    }

    /// What is said of a server that offers no TLS.
    ///
    /// # Errors
    /// The vendor's `tls_not_offered`, unless the mode does without.
    pub fn without(&self, vendor: Vendor) -> Result<()> {
        if self.mode <= Mode::Prefer {
            return Ok(());
        }
        Err(vendor
            .external("tls_not_offered", "the server offers no TLS")
            .hint("switch TLS on at the server, or choose a mode that does without where the network is trusted")
            .at("/connection/ssl/mode"))
    }
}

/// Begins TLS on `stream`, handshake included.
///
/// # Errors
/// The vendor's `tls_certificate` where the server's certificate is not accepted, `tls_failed` for the
/// rest, `connection_lost`; `connection.invalid` for an unreadable `ca`.
pub fn begin(
    vendor: Vendor,
    mut stream: TcpStream,
    host: &str,
    security: Security<'_>,
) -> Result<TlsStream> {
    let failed = |why: &dyn Display| {
        vendor
        .external("tls_failed", format!("the TLS handshake failed: {why}"))
        .hint("a server that knows nothing newer than TLS 1.1 needs a mode without encryption, in a network that is trusted")
    };
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Fault::user(
            "connection.invalid",
            format!("\"{host}\" is not a host name that a certificate can carry"),
        )
        .at("/connection/host")
    })?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier::new(security, provider.clone())?);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failed(&error))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match inner {
                Some(rustls::Error::InvalidCertificate(why)) => refused(vendor, host, why),
                Some(_) => failed(&error),
                None => vendor.lost(&error),
            }
        })?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// What binds a login to this connection (`tls-server-end-point`): a hash of the server's certificate, by
/// the hash of its signature. `None` for signatures that have none, or one that is not here.
pub fn end_point(stream: &TlsStream) -> Option<Vec<u8>> {
    let certificate = stream.conn.peer_certificates()?.first()?;
    // The cipher suites bring the hashes along.
    let suite = match signature_hash(certificate)? {
        SignatureHash::Sha256 => ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        SignatureHash::Sha384 => ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    };
    let hash = suite.tls13()?.common.hash_provider.hash(certificate);
    Some(hash.as_ref().to_vec())
}

#[derive(Debug, PartialEq, Eq)]
enum SignatureHash {
    Sha256,
    Sha384,
}

/// The hash of a certificate's signature; SHA-256 stands in for the broken ones.
fn signature_hash(certificate: &[u8]) -> Option<SignatureHash> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    // Certificate ::= SEQUENCE { tbsCertificate, SEQUENCE { OBJECT IDENTIFIER, … }, … }
    let (whole, _) = der(certificate)?;
    let (_, behind) = der(whole)?;
    let (algorithm, _) = der(behind)?;
    let (identifier, _) = der(algorithm)?;
    match (identifier.strip_prefix(RSA), identifier.strip_prefix(ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => Some(SignatureHash::Sha256),
        (Some([12]), _) | (_, Some([3, 3])) => Some(SignatureHash::Sha384),
        _ => None,
    }
}

/// The contents of the first DER element, and what stands behind it.
fn der(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match head[1] {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let digits = digits.iter().filter(|_| digits.len() <= 4);
            (digits.fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    rest.split_at_checked(length)
}

fn refused(vendor: Vendor, host: &str, why: &CertificateError) -> Fault {
    let (what, hint) = match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the server's certificate is not made out for \"{host}\""),
            "name the host as the certificate does, or use the mode \"verify-ca\"",
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the server's certificate does not come from the authority in \"ssl.ca\", or from one that is known where there is none".to_owned(),
            "check that \"ssl.ca\" is the certificate of the authority that signed the server's",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            ("the server's certificate has expired".to_owned(), "renew the server's certificate")
        }
        other => (
            format!("the server's certificate is not accepted: {other}"),
            "look at the server's certificate with openssl x509 -text",
        ),
    };
    vendor.external("tls_certificate", what).hint(hint).at("/connection/ssl")
}

/// Looks at the server's certificate as far as the mode asks.
#[derive(Debug)]
struct Verifier {
    mode: Mode,
    authorities: Vec<CertificateDer<'static>>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(security: Security<'_>, provider: Arc<CryptoProvider>) -> Result<Self> {
        let mode = security.mode;
        let unreadable = |why: &str| {
            Fault::user("connection.invalid", format!("\"ssl.ca\" can't be used: {why}"))
                .hint("it holds one or more certificates in PEM form")
                .at("/connection/ssl/ca")
        };
        if !security.verifies() || security.ca.is_none() && security.anchors.is_empty() {
            return Ok(Self { mode, authorities: Vec::new(), chain: None, provider });
        }
        let authorities =
            CertificateDer::pem_slice_iter(security.ca.unwrap_or_default().as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| unreadable(&error.to_string()))?;
        let mut roots = RootCertStore::empty();
        if security.ca.is_none() {
            roots.extend(security.anchors.iter().cloned());
        }
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| unreadable(&error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unreadable("there is no certificate in it"));
        }
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| unreadable(&error.to_string()))?;
        Ok(Self { mode, authorities, chain: Some(chain), provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // A certificate that signed itself and was given as the authority is trusted as it stands.
        if self.authorities.iter().any(|authority| authority.as_ref() == end_entity.as_ref()) {
            if self.mode == Mode::VerifyName {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last, so that all else has been found good.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.mode == Mode::VerifyCa => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate of which only the algorithm of its signature matters.
    fn certificate(identifier: &[u8]) -> Vec<u8> {
        let element = |tag: u8, contents: &[u8]| {
            let length = (contents.len() as u16).to_be_bytes();
            [&[tag, 0x82][..], &length, contents].concat()
        };
        let body = element(0x30, &[0; 300]);
        let algorithm = element(0x30, &[&[6, identifier.len() as u8][..], identifier].concat());
        element(0x30, &[body, algorithm].concat())
    }

    #[test]
    fn the_hash_of_a_signature_is_found() {
        let rsa = |last: u8| certificate(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
        let ecdsa = |last: u8| certificate(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, last]);
        assert_eq!(signature_hash(&rsa(11)), Some(SignatureHash::Sha256));
        assert_eq!(signature_hash(&rsa(5)), Some(SignatureHash::Sha256));
        assert_eq!(signature_hash(&rsa(12)), Some(SignatureHash::Sha384));
        assert_eq!(signature_hash(&ecdsa(2)), Some(SignatureHash::Sha256));
        assert_eq!(signature_hash(&ecdsa(3)), Some(SignatureHash::Sha384));
        // Ed25519 signs without a hash of its own.
        assert_eq!(signature_hash(&certificate(&[0x2b, 0x65, 0x70])), None);
        for cut in 0..300 {
            assert_eq!(signature_hash(&rsa(11)[..cut]), None, "{cut}");
        }
    }
}
