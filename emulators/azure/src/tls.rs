//! What TLS is spoken with.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::options::Tls;

/// Makes or reads the certificate.
pub(crate) fn config(tls: &Tls) -> io::Result<Arc<ServerConfig>> {
    let (chain, key) = match tls {
        Tls::SelfMade { ca_file } => {
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
            let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
            std::fs::write(ca_file, made.cert.pem())?;
            (made.cert.pem(), made.signing_key.serialize_pem())
        }
        Tls::Given { cert, key } => (std::fs::read_to_string(cert)?, std::fs::read_to_string(key)?),
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let chain = chain.map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_is_given_is_taken_and_one_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let given = Tls::Given {
            cert: cert.clone(),
            key: key.clone(),
        };
        assert!(config(&given).is_ok());
        assert!(config(&Tls::Given { cert: key, key: cert }).is_err());
    }
}
