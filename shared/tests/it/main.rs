//! Tests of `shared` from outside, as the api and the worker use it, and of what it promises to the repository's files.

mod fixtures;
mod nesting;
