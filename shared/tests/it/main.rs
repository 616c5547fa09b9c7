//! Tests of `shared` from outside, as the api and the worker use it, and of what it promises to the repository's files.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod builder;
mod fixtures;
mod metrics;
mod nesting;
