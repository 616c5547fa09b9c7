//! Request bodies of the api and the worker: size, time limit, JSON, and one error per field.

pub mod body;
pub mod fields;
