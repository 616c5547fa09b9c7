//! Extractors of request bodies, query strings and headers. Each rejects with an error that names the field.

pub(crate) mod idempotency_key;
pub(crate) mod json;
pub(crate) mod query;
