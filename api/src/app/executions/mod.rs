//! Use cases of executions.

pub mod submit;
