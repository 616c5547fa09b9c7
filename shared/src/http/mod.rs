//! Request bodies as both programs take them in: size, time, JSON, and fields with an error each.

pub mod body;
pub mod fields;
