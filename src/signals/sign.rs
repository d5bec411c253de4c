//! How a receiver knows that a message comes from here and is not an old one that somebody sends again.
//!
//! As Stripe does it: the time of sending and the body are signed together, so that neither can be changed, and a receiver
//! refuses what is older than a few minutes. The id of the delivery, which stays over retries, is in the head as well, for
//! those who want to take each event once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header with the signature.
pub(super) const SIGNATURE: &str = "X-Simfleet-Signature";
/// The header with the id of the delivery.
pub(super) const DELIVERY: &str = "X-Simfleet-Delivery";
/// The header with the name of the event.
pub(super) const EVENT: &str = "X-Simfleet-Event";

/// Returns the value of the header: `t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`.
pub(super) fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    let time = seconds.to_string();
    format!("t={seconds},v1={}", mac(secret, &[time.as_bytes(), b".", body]))
}

/// Returns HMAC-SHA256 (RFC 2104) over all parts, one after the other, in hexadecimal.
pub fn mac(secret: &str, parts: &[&[u8]]) -> String {
    // HMAC takes keys of any length, so that this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn signatures_are_what_openssl_computes() {
        let expected = "49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(
            signature("secret", 1_700_000_000, b"{\"a\":1}"),
            format!("t=1700000000,v1={expected}")
        );
    }
}
