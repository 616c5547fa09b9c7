//! Extractors: request bodies and query strings, each refused with an error that names the field.

pub mod json;
pub mod query;
