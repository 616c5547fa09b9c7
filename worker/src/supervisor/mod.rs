//! The parent of the sandbox processes: a pool of slots, each with a ready child.

pub mod egress;
pub mod fetch;
