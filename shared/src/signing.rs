//! Signatures of requests between Plane's backend, the api and the workers (HMAC-SHA256).
//!
//! Invariant: a signature covers the time, a nonce, the method, the path with its query, the workspace, the user and
//! the body, and is not valid for any other combination. The caller checks that a nonce is used only once, after
//! [`SigningKeys::verify`] and never before: unsigned requests must not fill the store of nonces.

#[cfg(test)]
mod tests;

use crate::workspace::{SLUG_RULE, is_slug};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;

/// Header with the Unix time in whole seconds.
pub const TIMESTAMP_HEADER: &str = "x-runner-timestamp";
/// Header with the nonce, unique per request: [`NONCE_CHARACTERS`] visible ASCII characters.
pub const NONCE_HEADER: &str = "x-runner-nonce";
/// Header with the slug of the workspace of the request.
pub const WORKSPACE_HEADER: &str = "x-workspace-slug";
/// Header with the id of the user on whose behalf the request is made. Optional.
pub const USER_HEADER: &str = "x-user-id";
/// Header with the signature: `v1=` and 64 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-runner-signature";

/// Maximum difference between the clocks of signer and verifier, in seconds.
pub const CLOCK_SKEW_S: u64 = 300;
/// Length of a nonce, in characters.
pub const NONCE_CHARACTERS: std::ops::RangeInclusive<usize> = 16..=64;

/// Minimum length of a secret, in bytes: the length of the hash, below which HMAC is weaker (RFC 2104 section 3).
const MIN_SECRET_BYTES: usize = 32;

const SCHEME: &str = "v1=";

/// Parts of a request that one signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedParts<'a> {
    /// Unix time in seconds.
    pub timestamp: i64,
    pub nonce: &'a str,
    /// Method in upper case, as on the request line.
    pub method: &'a str,
    /// Path and query as on the request line: `/path` or `/path?query`, not decoded.
    pub path_and_query: &'a str,
    pub workspace_slug: &'a str,
    /// Empty if the request has no user.
    pub user_id: &'a str,
    pub body: &'a [u8],
}

/// Headers of a signed request, well-formed but not yet verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedHeaders<'a> {
    pub timestamp: i64,
    pub nonce: &'a str,
    pub workspace_slug: &'a str,
    pub user_id: &'a str,
    pub signature: &'a str,
}

impl<'a> SignedHeaders<'a> {
    /// Reads the headers through `lookup`, which is called with lower-case names.
    pub fn read(lookup: impl Fn(&'static str) -> Option<&'a str>) -> Result<Self, SignatureError> {
        let required = |header| lookup(header).ok_or(SignatureError::Missing { header });
        let timestamp = required(TIMESTAMP_HEADER)?.parse().map_err(|_| SignatureError::Malformed {
            header: TIMESTAMP_HEADER,
            rule: "must be a Unix time in whole seconds",
        })?;
        Ok(Self {
            timestamp,
            nonce: required(NONCE_HEADER)?,
            workspace_slug: required(WORKSPACE_HEADER)?,
            user_id: lookup(USER_HEADER).unwrap_or_default(),
            signature: required(SIGNATURE_HEADER)?,
        })
    }

    /// Checks form and age, which need no body: a server refuses a request by them before it receives the body.
    pub fn check(&self, method: &str, path_and_query: &str, now_unix: i64) -> Result<(), SignatureError> {
        let parts = self.covering(method, path_and_query, &[]);
        check_form_and_age(&parts, self.signature, now_unix).map(drop)
    }

    /// Returns the parts that the signature of a request with these headers must cover.
    #[must_use]
    pub fn covering<'b>(&self, method: &'b str, path_and_query: &'b str, body: &'b [u8]) -> SignedParts<'b>
    where
        'a: 'b,
    {
        SignedParts {
            timestamp: self.timestamp,
            nonce: self.nonce,
            method,
            path_and_query,
            workspace_slug: self.workspace_slug,
            user_id: self.user_id,
            body,
        }
    }
}

/// Errors of verifying a signed request. Every variant is answered 401.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    #[error("header {header} is missing")]
    Missing { header: &'static str },
    #[error("header {header} {rule}")]
    Malformed { header: &'static str, rule: &'static str },
    /// The timestamp is too old or too new. `skew_s` is positive if it lies in the future.
    #[error("the timestamp is {skew_s} s away from this server's clock; {CLOCK_SKEW_S} s are accepted")]
    Expired { skew_s: i64 },
    #[error("the signature does not match the request")]
    Mismatch,
    /// The nonce was used before. Returned by the caller, which stores the nonces.
    #[error("the nonce was used before")]
    Replayed,
}

impl SignatureError {
    /// Returns the `code` of the 401 response.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "signature_missing",
            Self::Malformed { .. } => "signature_malformed",
            Self::Expired { .. } => "signature_expired",
            Self::Mismatch => "signature_mismatch",
            Self::Replayed => "nonce_replayed",
        }
    }
}

/// Errors of a list of secrets.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SigningKeysError {
    #[error("must list at least one secret")]
    None,
    #[error("has an empty secret at position {position} of its comma-separated list")]
    Empty {
        /// Position in the list, 1-based.
        position: usize,
    },
    #[error(
        "has a secret of {bytes} bytes at position {position} of its comma-separated list, and needs at least \
         {MIN_SECRET_BYTES}: `openssl rand -hex 32` makes one"
    )]
    Short {
        /// Position in the list, 1-based.
        position: usize,
        bytes: usize,
    },
}

/// Secrets in use. The first signs and all verify, so that a secret can be rotated without downtime.
#[derive(Clone)]
pub struct SigningKeys {
    signing: Hmac<Sha256>,
    older: Vec<Hmac<Sha256>>,
}

impl SigningKeys {
    /// Parses `RUNNER_HMAC_SECRET_KEY`: one or more secrets separated by commas, the newest first.
    pub fn parse(text: &str) -> Result<Self, SigningKeysError> {
        if text.trim().is_empty() {
            return Err(SigningKeysError::None);
        }
        let mut keys = Vec::new();
        for (index, secret) in text.split(',').map(str::trim).enumerate() {
            if secret.is_empty() {
                return Err(SigningKeysError::Empty { position: index + 1 });
            }
            if secret.len() < MIN_SECRET_BYTES {
                return Err(SigningKeysError::Short { position: index + 1, bytes: secret.len() });
            }
            keys.push(Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length"));
        }
        let signing = keys.remove(0);
        Ok(Self { signing, older: keys })
    }

    /// Computes the value of [`SIGNATURE_HEADER`] for `parts`.
    #[must_use]
    pub fn sign(&self, parts: &SignedParts<'_>) -> String {
        let tag = feed(&self.signing, parts).finalize().into_bytes();
        format!("{SCHEME}{}", hex::encode(tag))
    }

    /// Verifies `signature` for `parts` at `now_unix` seconds, in time that does not depend on the secrets.
    ///
    /// A list of candidate signatures is not accepted, so that one request cannot try many.
    pub fn verify(
        &self,
        parts: &SignedParts<'_>,
        signature: &str,
        now_unix: i64,
    ) -> Result<(), SignatureError> {
        let tag = check_form_and_age(parts, signature, now_unix)?;
        let matches = std::iter::once(&self.signing)
            .chain(&self.older)
            .fold(false, |matched, key| feed(key, parts).verify_slice(&tag).is_ok() | matched);
        if matches { Ok(()) } else { Err(SignatureError::Mismatch) }
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({} secrets)", 1 + self.older.len())
    }
}

const MALFORMED_SIGNATURE: SignatureError = SignatureError::Malformed {
    header: SIGNATURE_HEADER,
    rule: "must be `v1=` followed by 64 hexadecimal digits, once",
};

/// Checks all that needs neither the body nor a secret. Returns the decoded signature.
fn check_form_and_age(
    parts: &SignedParts<'_>,
    signature: &str,
    now_unix: i64,
) -> Result<[u8; 32], SignatureError> {
    check_form(parts)?;
    let digits = signature.strip_prefix(SCHEME).ok_or(MALFORMED_SIGNATURE)?;
    let mut tag = [0; 32];
    hex::decode_to_slice(digits, &mut tag).map_err(|_| MALFORMED_SIGNATURE)?;
    let skew_s = parts.timestamp.saturating_sub(now_unix);
    if skew_s.unsigned_abs() > CLOCK_SKEW_S {
        return Err(SignatureError::Expired { skew_s });
    }
    Ok(tag)
}

/// Rejects parts with a line feed, with which two different requests could have the same signed text.
fn check_form(parts: &SignedParts<'_>) -> Result<(), SignatureError> {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !NONCE_CHARACTERS.contains(&parts.nonce.len()) || !visible(parts.nonce) {
        let rule = "must be 16 to 64 visible ASCII characters";
        return Err(SignatureError::Malformed { header: NONCE_HEADER, rule });
    }
    if !is_slug(parts.workspace_slug) {
        return Err(SignatureError::Malformed { header: WORKSPACE_HEADER, rule: SLUG_RULE });
    }
    if parts.user_id.contains(|character: char| character.is_ascii_control()) {
        let rule = "must not hold control characters";
        return Err(SignatureError::Malformed { header: USER_HEADER, rule });
    }
    if !visible(parts.method) || parts.path_and_query.contains('\n') {
        return Err(SignatureError::Mismatch);
    }
    Ok(())
}

fn feed(key: &Hmac<Sha256>, parts: &SignedParts<'_>) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(signed_text(parts).as_bytes());
    mac
}

fn signed_text(parts: &SignedParts<'_>) -> String {
    let SignedParts { timestamp, nonce, method, path_and_query, workspace_slug, user_id, body } = parts;
    let body_hash = hex::encode(Sha256::digest(body));
    format!("{timestamp}\n{nonce}\n{method}\n{path_and_query}\n{workspace_slug}\n{user_id}\n{body_hash}")
}
