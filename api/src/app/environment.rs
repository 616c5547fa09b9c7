//! Encryption of a set of environment values, as scripts and test runs have one.

use crate::model::{REDACTED, error::ApiError};
use shared::{
    encryption::{AssociatedData, Keyring},
    limits::SECRET_SET_BYTES,
};
use std::collections::BTreeMap;

/// Environment values by key.
pub(crate) type Values = BTreeMap<String, String>;

/// Encrypts `values` for storage. Returns `None` if there are none.
pub(crate) fn seal(keyring: &Keyring, values: &Values, context: &AssociatedData) -> Option<Vec<u8>> {
    if values.is_empty() {
        return None;
    }
    let text = serde_json::to_vec(values).expect("texts by text are JSON");
    Some(keyring.seal(&text, context))
}

/// Decrypts stored values.
pub fn open(keyring: &Keyring, sealed: Option<&[u8]>, context: &AssociatedData) -> Result<Values, ApiError> {
    let Some(sealed) = sealed else { return Ok(Values::new()) };
    let text = keyring
        .open(sealed, context)
        .map_err(|error| ApiError::Internal(format!("can't decrypt a stored environment: {error}").into()))?;
    serde_json::from_slice(&text)
        .map_err(|_| ApiError::Internal("a decrypted environment is not a JSON object of texts".into()))
}

/// Returns the keys, each with a redacted value.
pub(crate) fn redact(keyring: &Keyring, sealed: Option<&[u8]>, context: &AssociatedData) -> Values {
    match open(keyring, sealed, context) {
        Ok(values) => values.into_keys().map(|key| (key, REDACTED.to_owned())).collect(),
        Err(error) => {
            tracing::error!(%error, "can't list the keys of a stored environment");
            Values::new()
        }
    }
}

/// Rejects a set of values that is too large, unless it is no larger than the one it replaces: a set that is older than
/// the limit may stay and shrink.
pub(crate) fn check_bytes(field: &'static str, bytes: usize, before: usize) -> Result<(), ApiError> {
    if bytes <= SECRET_SET_BYTES.max(before) {
        return Ok(());
    }
    let rule = format!("All values together may have {SECRET_SET_BYTES} bytes; they have {bytes}.");
    Err(ApiError::field(field, rule))
}

fn bytes(values: &Values) -> usize {
    values.values().map(String::len).sum()
}

/// Returns `written` with every redacted value replaced by the stored one.
pub(crate) fn merge(mut written: Values, stored: &Values) -> Result<Values, ApiError> {
    for (key, value) in &mut written {
        if value == REDACTED {
            let kept = stored.get(key).ok_or_else(|| {
                ApiError::field("env", format!("{key}: {REDACTED} keeps a stored value, and there is none."))
            })?;
            value.clone_from(kept);
        }
    }
    check_bytes("env", bytes(&written), bytes(stored))?;
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_hidden_value_keeps_the_stored_one() {
        let stored = values(&[("A", "1"), ("B", "2")]);
        assert_eq!(
            merge(values(&[("A", REDACTED), ("C", "3")]), &stored).unwrap(),
            values(&[("A", "1"), ("C", "3")])
        );
        assert!(merge(values(&[("X", REDACTED)]), &stored).is_err());
    }

    #[test]
    fn a_set_over_the_limit_may_stay_and_shrink_but_not_grow() {
        let most = "x".repeat(SECRET_SET_BYTES);
        assert!(merge(values(&[("A", &most)]), &Values::new()).is_ok());
        let over = values(&[("A", &most), ("B", "1")]);
        let refused = merge(over.clone(), &Values::new()).unwrap_err().to_string();
        assert_eq!(refused, "env: All values together may have 65536 bytes; they have 65537.");
        assert!(merge(values(&[("A", REDACTED), ("B", REDACTED)]), &over).is_ok());
        assert!(merge(values(&[("A", REDACTED), ("B", "2")]), &over).is_ok());
        assert!(merge(values(&[("A", REDACTED), ("B", "12")]), &over).is_err());
    }
}
