//! Integration tests of the builder, through the interface that the api and the worker use.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod builder;
mod fixtures;
mod nesting;
