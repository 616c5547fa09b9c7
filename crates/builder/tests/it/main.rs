//! Tests of the builder from outside, as the api and the worker use it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod builder;
mod fixtures;
mod nesting;
