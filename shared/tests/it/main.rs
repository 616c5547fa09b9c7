//! Tests of promises that `shared` makes to the repository's files.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod metrics;
