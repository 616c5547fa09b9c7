//! Tests that hold the repository's files to the definitions in `shared`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod metrics;
