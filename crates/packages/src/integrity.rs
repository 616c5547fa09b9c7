//! Subresource integrity: the hash of an archive according to the registry.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha512};
use std::fmt;

const PREFIX: &str = "sha512-";

/// SHA-512, the hash that npm has written for every version since 2017.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Integrity([u8; 64]);

impl Integrity {
    /// Parses one or more hashes separated by spaces. `None` if none is a SHA-512.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|hash| {
            let hash = hash.strip_prefix(PREFIX)?.split('?').next()?;
            STANDARD.decode(hash).ok()?.try_into().ok().map(Self)
        })
    }

    pub(crate) fn holds(&self, bytes: &[u8]) -> bool {
        Sha512::digest(bytes)[..] == self.0
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrity_accepts_only_the_hashed_bytes() {
        let integrity = Integrity(Sha512::digest(b"archive").into());
        let read = Integrity::parse(&format!("sha1-AAAA {integrity}?option")).unwrap();
        assert!(read.holds(b"archive") && !read.holds(b"Archive"));
        assert_eq!(Integrity::parse("sha1-AAAA sha512-AAAA md5-x"), None);
    }
}
