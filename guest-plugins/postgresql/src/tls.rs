//! TLS inside the guest: rustls with ring, trusting only the authorities that the data source gives.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned,
};
use sdk::{Fault, Result};

use crate::settings::SslMode;

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Begins TLS on `stream`, handshake included.
///
/// # Errors
/// `postgresql.tls_certificate` where the server's certificate is not accepted, `postgresql.tls_failed`
/// for the rest, `connection.invalid` for an unreadable `ca`.
pub(crate) fn begin(
    mut stream: TcpStream,
    host: &str,
    mode: SslMode,
    ca: Option<&str>,
) -> Result<TlsStream> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        Fault::user(
            "connection.invalid",
            format!("\"{host}\" is not a host name that a certificate can carry"),
        )
        .at("/connection/host")
    })?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier::new(mode, ca, provider.clone())?);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name)
        .map_err(|error| failed(&error.to_string()))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match inner {
                Some(rustls::Error::InvalidCertificate(why)) => refused(host, why),
                _ => failed(&error.to_string()),
            }
        })?;
    }
    Ok(StreamOwned::new(connection, stream))
}

fn failed(why: &str) -> Fault {
    Fault::external("postgresql.tls_failed", format!("the TLS handshake failed: {why}"))
}

fn refused(host: &str, why: &CertificateError) -> Fault {
    let (what, hint) = match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            format!("the server's certificate is not made out for \"{host}\""),
            "name the host as the certificate does, or use the mode \"verify-ca\"",
        ),
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the server's certificate does not come from the authority in \"ssl.ca\"".to_owned(),
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
    Fault::external("postgresql.tls_certificate", what).hint(hint).at("/connection/ssl")
}

/// Looks at the server's certificate as far as the mode asks.
#[derive(Debug)]
struct Verifier {
    mode: SslMode,
    authorities: Vec<CertificateDer<'static>>,
    chain: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(mode: SslMode, ca: Option<&str>, provider: Arc<CryptoProvider>) -> Result<Self> {
        let unreadable = |why: &str| {
            Fault::user("connection.invalid", format!("\"ssl.ca\" can't be used: {why}"))
                .hint("it holds one or more certificates in PEM form")
                .at("/connection/ssl/ca")
        };
        let Some(pem) = ca.filter(|_| matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull))
        else {
            return Ok(Self { mode, authorities: Vec::new(), chain: None, provider });
        };
        let authorities = CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unreadable(&error.to_string()))?;
        let mut roots = RootCertStore::empty();
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
            if self.mode == SslMode::VerifyFull {
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
            )) if self.mode == SslMode::VerifyCa => Ok(ServerCertVerified::assertion()),
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
