//! The whole of RunnerCtl as a client sees it: the real `api` and `worker` programs on real servers.
//!
//! Invariant: nothing here knows more than the HTTP contract and the names of environment variables.

pub mod client;
pub mod polling;
pub mod program;
pub mod stack;
