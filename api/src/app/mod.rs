//! Use cases: each checks a request, builds its code and writes its rows, in one transaction.
//!
//! Invariant: no HTTP here. A use case takes the parts of the api that it uses, and returns a model or an error.

pub mod build;
pub mod dead_letters;
pub mod environment;
pub mod executions;
pub mod function_resolution;
pub mod functions;
pub mod packages;
pub mod schedules;
pub mod script_cache;
pub mod scripts;
pub mod type_declarations;

/// An update of a resource.
#[derive(Debug)]
pub enum Update<Draft, Patch> {
    /// PUT: every field, with defaults for fields that are left out.
    Replace(Draft),
    /// PATCH: the fields that change.
    Patch(Patch),
}
