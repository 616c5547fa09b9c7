//! Seals values at rest: AES-256-GCM with a key id, so that keys can rotate.
