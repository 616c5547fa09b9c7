//! What the `api` program can be told to do.

pub mod dead_letters;
pub mod erasure;
pub mod keys;
pub mod loaddata;
pub mod migrate;
pub mod reseal;
pub mod serve;
pub mod shares;
