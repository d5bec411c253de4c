//! A client that proves itself by a certificate: a token of its own (RFC 7523), signed with the key.
//!
//! The form is that of <https://learn.microsoft.com/entra/identity-platform/certificate-credentials>.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use serde_json::json;
use sha2::{Digest, Sha256};

/// For how long the token holds: long enough for clocks that differ.
const LIFE: u64 = 600;

/// Returns a token that says, signed, that `client` speaks to `audience`. `pem` holds the certificate and its RSA key.
///
/// # Errors
/// What is wrong with the file, without its name.
pub(super) fn assertion(pem: &[u8], client: &str, audience: &str) -> Result<String, String> {
    let certificate =
        CertificateDer::from_pem_slice(pem).map_err(|error| format!("has no certificate in PEM: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| format!("has no private key in PEM: {error}"))?;
    let key: Arc<dyn SigningKey> =
        any_supported_type(&key).map_err(|error| format!("has a key that is not usable: {error}"))?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]);
    let signer = signer.ok_or_else(|| "has a key that is not RSA, which Entra does not take".to_owned())?;

    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let header = json!({
        "alg": "PS256",
        "typ": "JWT",
        "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate)),
    });
    let claims = json!({
        "aud": audience,
        "iss": client,
        "sub": client,
        "jti": uuid::Uuid::new_v4().to_string(),
        "nbf": now,
        "exp": now + LIFE,
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = signer
        .sign(signed.as_bytes())
        .map_err(|error| format!("has a key that cannot sign: {error}"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
