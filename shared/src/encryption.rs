//! Encryption of values at rest: AES-256-GCM with a key id, so that keys can be rotated.
//!
//! Invariant: a sealed value opens only with the [`AssociatedData`] with which it was sealed. A row copied to another
//! workspace, or a value moved to another variable, does not open.
//!
//! Layout: version (1 byte, `1`), length of the key id (1 byte), key id, nonce (12 bytes), ciphertext and tag.
//! Nonces are random. NIST SP 800-38D §8.3 allows 2³² encryptions with one key, far more than a key is used for.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha2::{Digest, Sha256};
use std::fmt;
use uuid::Uuid;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Maximum length of a key id, in characters.
const KEY_ID_CHARACTERS: usize = 64;
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Computes the length of a plaintext in bytes from the lengths of the sealed value and of its key id (its second
/// byte).
#[must_use]
pub const fn plaintext_bytes(sealed: usize, key_id: usize) -> usize {
    sealed.saturating_sub(2 + key_id + NONCE_BYTES + TAG_BYTES)
}

/// Associated data of a sealed value: its kind and owner. It is authenticated with the value and not stored in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociatedData(Vec<u8>);

impl AssociatedData {
    /// For one value of a workspace's environment.
    #[must_use]
    pub fn environment(workspace_id: Uuid, key: &str) -> Self {
        Self::of("environment", workspace_id, key)
    }

    /// For the whole environment of one script.
    #[must_use]
    pub fn script_env(script_id: Uuid) -> Self {
        Self::of("script_env", script_id, "")
    }

    /// For the environment that was submitted with one execution.
    #[must_use]
    pub fn execution_env(execution_id: Uuid) -> Self {
        Self::of("execution_env", execution_id, "")
    }

    /// For the token with which a workspace's scripts call Plane.
    #[must_use]
    pub fn plane_token(workspace_id: Uuid) -> Self {
        Self::of("plane_token", workspace_id, "")
    }

    /// Encodes the parts. Kinds contain no NUL and ids have a fixed length, so different parts never give the same
    /// bytes.
    fn of(kind: &str, id: Uuid, name: &str) -> Self {
        let mut text = Vec::with_capacity(kind.len() + 1 + 16 + name.len());
        text.extend_from_slice(kind.as_bytes());
        text.push(0);
        text.extend_from_slice(id.as_bytes());
        text.extend_from_slice(name.as_bytes());
        Self(text)
    }
}

/// Errors of `ENCRYPTION_KEY`. Positions are 1-based.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyringError {
    #[error("must list at least one key")]
    None,
    #[error("key {position} must be `id:` and the base64 of {KEY_BYTES} bytes")]
    Malformed { position: usize },
    #[error("key {position} has {bytes} bytes; AES-256 takes {KEY_BYTES}")]
    Length { position: usize, bytes: usize },
    #[error("key {position} must have an id of 1 to {KEY_ID_CHARACTERS} letters, digits, `-`, `_` or `.`")]
    Id { position: usize },
    #[error("key id {id:?} is used twice")]
    Repeated { id: String },
}

/// Errors of opening a sealed value.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum OpenError {
    #[error("the sealed value is truncated or has an unknown version")]
    Malformed,
    #[error("the value was sealed with key {id:?}, which ENCRYPTION_KEY does not list")]
    UnknownKey { id: String },
    #[error("the value was changed, or sealed for another owner or with another key of the same id")]
    Refused,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

/// Encryption keys in use. The first seals, all open.
pub struct Keyring {
    /// Never empty.
    keys: Vec<Key>,
}

impl Keyring {
    /// Parses `ENCRYPTION_KEY`: `id:base64(32 bytes)`, followed by older keys, separated by commas.
    ///
    /// The id of a base64 key without an id is derived from its hash, so that the key can be rotated later.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        if text.trim().is_empty() {
            return Err(KeyringError::None);
        }
        let mut keys: Vec<Key> = Vec::new();
        for (index, entry) in text.split(',').map(str::trim).enumerate() {
            let key = parse_key(entry, index + 1)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeyringError::Repeated { id: key.id });
            }
            keys.push(key);
        }
        Ok(Self { keys })
    }

    /// Seals `plaintext` with the first key.
    #[must_use]
    pub fn seal(&self, plaintext: &[u8], data: &AssociatedData) -> Vec<u8> {
        let Key { id, cipher } = &self.keys[0];
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let mut sealed = header(id);
        let aad = header_and_data(&sealed, data);
        let ciphertext = cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad: &aad })
            .expect("AES-GCM takes up to 64 GiB, and plaintexts are far smaller");
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        sealed
    }

    /// Opens a value that [`Keyring::seal`] sealed with the same associated data.
    pub fn open(&self, sealed: &[u8], data: &AssociatedData) -> Result<Vec<u8>, OpenError> {
        let (id, rest) = split_header(sealed)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| OpenError::UnknownKey { id: id.to_owned() })?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError::Malformed)?;
        let aad = header_and_data(&header(id), data);
        key.cipher
            .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: &aad })
            .map_err(|_| OpenError::Refused)
    }

    /// Returns whether `sealed` should be sealed again, because it was not sealed with the first key.
    #[must_use]
    pub fn is_outdated(&self, sealed: &[u8]) -> bool {
        split_header(sealed).map_or(true, |(id, _)| id != self.keys[0].id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

fn parse_key(entry: &str, position: usize) -> Result<Key, KeyringError> {
    let (id, encoded) = match entry.split_once(':') {
        Some((id, encoded)) => (Some(id.trim()), encoded.trim()),
        None => (None, entry),
    };
    let bytes = BASE64.decode(encoded).map_err(|_| KeyringError::Malformed { position })?;
    let key = <[u8; KEY_BYTES]>::try_from(bytes)
        .map_err(|bytes| KeyringError::Length { position, bytes: bytes.len() })?;
    let id = id.map_or_else(|| hex::encode(&Sha256::digest(key)[..4]), str::to_owned);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if id.is_empty() || id.len() > KEY_ID_CHARACTERS || !id.bytes().all(plain) {
        return Err(KeyringError::Id { position });
    }
    Ok(Key { id, cipher: Aes256Gcm::new(&key.into()) })
}

fn header(id: &str) -> Vec<u8> {
    let length = u8::try_from(id.len()).expect("ids have at most 64 characters");
    let mut header = vec![VERSION, length];
    header.extend_from_slice(id.as_bytes());
    header
}

fn split_header(sealed: &[u8]) -> Result<(&str, &[u8]), OpenError> {
    let [VERSION, length, rest @ ..] = sealed else { return Err(OpenError::Malformed) };
    let (id, rest) = rest.split_at_checked(usize::from(*length)).ok_or(OpenError::Malformed)?;
    Ok((std::str::from_utf8(id).map_err(|_| OpenError::Malformed)?, rest))
}

fn header_and_data(header: &[u8], data: &AssociatedData) -> Vec<u8> {
    [header, &data.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> String {
        BASE64.encode([byte; KEY_BYTES])
    }

    fn context() -> AssociatedData {
        AssociatedData::environment(Uuid::from_u128(1), "SLACK_TOKEN")
    }

    #[test]
    fn the_length_of_a_value_shows_without_opening_it() {
        for (keys, plaintext) in [(key(1), ""), (format!("a:{}", key(1)), "xoxb-1"), (key(2), "é")] {
            let sealed = Keyring::parse(&keys).unwrap().seal(plaintext.as_bytes(), &context());
            assert_eq!(plaintext_bytes(sealed.len(), usize::from(sealed[1])), plaintext.len());
        }
        assert_eq!(plaintext_bytes(0, 0), 0, "not a sealed value");
    }

    #[test]
    fn a_value_opens_in_its_own_context_only() {
        let keyring = Keyring::parse(&key(1)).unwrap();
        let sealed = keyring.seal(b"xoxb-1", &context());
        assert_eq!(keyring.open(&sealed, &context()).unwrap(), b"xoxb-1");
        let others = [
            AssociatedData::environment(Uuid::from_u128(2), "SLACK_TOKEN"),
            AssociatedData::environment(Uuid::from_u128(1), "OTHER"),
            AssociatedData::script_env(Uuid::from_u128(1)),
            AssociatedData::execution_env(Uuid::from_u128(1)),
            AssociatedData::plane_token(Uuid::from_u128(1)),
        ];
        for other in others {
            assert_eq!(keyring.open(&sealed, &other), Err(OpenError::Refused), "{other:?}");
        }
    }

    #[test]
    fn a_value_is_decrypted_by_old_and_new_keys_during_rotation() {
        let old = Keyring::parse(&format!("2025:{}", key(1))).unwrap();
        let both = Keyring::parse(&format!("2026:{}, 2025:{}", key(2), key(1))).unwrap();
        let new = Keyring::parse(&format!("2026:{}", key(2))).unwrap();
        let sealed = old.seal(b"value", &context());
        assert_eq!(both.open(&sealed, &context()).unwrap(), b"value");
        assert!(both.is_outdated(&sealed));
        let resealed = both.seal(b"value", &context());
        assert!(!both.is_outdated(&resealed));
        assert_eq!(new.open(&resealed, &context()).unwrap(), b"value");
        assert_eq!(new.open(&sealed, &context()), Err(OpenError::UnknownKey { id: "2025".into() }));
    }

    #[test]
    fn equal_values_do_not_look_equal() {
        let keyring = Keyring::parse(&key(1)).unwrap();
        assert_ne!(keyring.seal(b"value", &context()), keyring.seal(b"value", &context()));
    }

    #[test]
    fn a_key_of_the_wrong_length_is_named_by_position() {
        let short = BASE64.encode([0; 16]);
        let error = Keyring::parse(&format!("a:{},b:{short}", key(1))).unwrap_err();
        assert_eq!(error.to_string(), "key 2 has 16 bytes; AES-256 takes 32");
        assert_eq!(Keyring::parse("").unwrap_err(), KeyringError::None);
        assert_eq!(Keyring::parse("not base64!").unwrap_err(), KeyringError::Malformed { position: 1 });
        assert_eq!(Keyring::parse(&format!(":{}", key(1))).unwrap_err(), KeyringError::Id { position: 1 });
        let twice = format!("a:{},a:{}", key(1), key(2));
        assert_eq!(Keyring::parse(&twice).unwrap_err(), KeyringError::Repeated { id: "a".into() });
    }

    #[test]
    fn debug_shows_ids_only() {
        let keyring = Keyring::parse(&format!("2026:{}", key(7))).unwrap();
        assert_eq!(format!("{keyring:?}"), r#"["2026"]"#);
    }

    proptest! {
        #[test]
        fn an_encrypted_value_decrypts_to_its_plaintext(plaintext in proptest::collection::vec(any::<u8>(), 0..256)) {
            let keyring = Keyring::parse(&key(1)).unwrap();
            prop_assert_eq!(keyring.open(&keyring.seal(&plaintext, &context()), &context()).unwrap(), plaintext);
        }

        #[test]
        fn a_changed_byte_fails_decryption(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
            let keyring = Keyring::parse(&key(1)).unwrap();
            let mut sealed = keyring.seal(b"value", &context());
            let at = at.index(sealed.len());
            sealed[at] ^= flip;
            prop_assert!(keyring.open(&sealed, &context()).is_err());
        }

        #[test]
        fn random_bytes_fail_decryption(sealed in proptest::collection::vec(any::<u8>(), 0..128)) {
            prop_assert!(Keyring::parse(&key(1)).unwrap().open(&sealed, &context()).is_err());
        }
    }
}
