//! Extractors of request bodies and query strings. Each rejects with an error that names the field.

pub(crate) mod json;
pub(crate) mod query;
