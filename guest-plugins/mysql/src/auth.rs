//! How a login shows that it knows the password.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use rsa::PublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::sha2::digest::Digest;
use rsa::sha2::{Sha256, Sha512};
use sdk::{Fault, Result};
use sha1::Sha1;

use crate::error::{VENDOR, broken};

pub(crate) const NATIVE: &str = "mysql_native_password";
/// The password itself, which goes to no server but one that has shown who it is.
pub(crate) const CLEAR: &str = "mysql_clear_password";
const CACHING_SHA2: &str = "caching_sha2_password";
const ED25519: &str = "client_ed25519";

/// What shows that this side knows the password, and is of no use for another login; `None` for a way
/// that is not here.
pub(crate) fn prove(plugin: &str, password: &str, scramble: &[u8]) -> Option<Vec<u8>> {
    match plugin {
        "" | NATIVE | CACHING_SHA2 if password.is_empty() => Some(Vec::new()),
        "" | NATIVE => {
            let once = Sha1::digest(password);
            let mix = Sha1::digest([scramble, Sha1::digest(once).as_slice()].concat());
            Some(mixed(&once, &mix))
        }
        CACHING_SHA2 => {
            let once = Sha256::digest(password);
            let mix = Sha256::digest([Sha256::digest(once).as_slice(), scramble].concat());
            Some(mixed(&once, &mix))
        }
        ED25519 => {
            let key = ExpandedSecretKey::from_bytes(&Sha512::digest(password).into());
            let signature = raw_sign::<Sha512>(&key, scramble, &VerifyingKey::from(&key));
            Some(signature.to_bytes().to_vec())
        }
        _ => None,
    }
}

fn mixed(a: &[u8], b: &[u8]) -> Vec<u8> {
    a.iter().zip(b).map(|(a, b)| a ^ b).collect()
}

/// The password for `caching_sha2_password`, encrypted with the server's public key (PEM).
///
/// # Errors
/// `mysql.protocol` where it is no such key.
pub(crate) fn seal(password: &str, scramble: &[u8], key: &[u8]) -> Result<Vec<u8>> {
    let ended = [password.as_bytes(), &[0]].concat();
    let turns: Vec<u8> = scramble.iter().copied().cycle().take(ended.len()).collect();
    let key =
        std::str::from_utf8(key).ok().and_then(|key| PublicKey::from_public_key_pem(key).ok());
    let key = key.ok_or_else(|| broken("the public key is none"))?;
    key.oaep_encrypt::<Sha1>(&mixed(&ended, &turns))
        .map_err(|_| broken("the public key is too short for the password"))
}

pub(crate) fn unsupported(plugin: &str) -> Fault {
    if plugin == CLEAR {
        let message =
            "the server asks for the password in clear text, and its identity is not checked";
        return VENDOR
            .login_failed(message)
            .hint("give the authority of the server's certificate in \"ssl.ca\"");
    }
    let message =
        format!("the server asks for a kind of login that is not supported (\"{plugin}\")");
    VENDOR.login_failed(message).hint(format!("{NATIVE}, {CACHING_SHA2} and ed25519 are"))
}

pub(crate) fn needs_encryption() -> Fault {
    VENDOR
        .login_failed("the server wants the password itself, which goes over no connection that is not encrypted")
        .hint("switch TLS on at the server, or let the password be encrypted with a key that anyone may have sent, by the property \"allowPublicKeyRetrieval\": \"true\"")
}
