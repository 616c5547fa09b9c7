//! What the `api` program can be told to do.

pub mod dead_letters;
pub mod fixtures;
pub mod keys;
pub mod migrate;
pub mod reencrypt;
pub mod serve;
pub mod workspaces;
