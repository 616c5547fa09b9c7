//! RunnerCtl from the client's side: the real `api` and `worker` programs on real servers.
//!
//! Invariant: code here depends only on the HTTP contract and the names of environment variables.

pub mod client;
pub mod memory;
pub mod polling;
pub mod program;
pub mod stack;
