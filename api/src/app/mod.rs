//! Use cases: each checks a request, builds its code and writes its rows, in one transaction.
//!
//! Invariant: no HTTP here. A use case takes the parts of the api that it uses, and returns a model or an error.

pub(crate) mod build;
pub(crate) mod dead_letters;
pub(crate) mod environment;
pub(crate) mod executions;
pub(crate) mod function_resolution;
pub(crate) mod functions;
pub(crate) mod packages;
mod run_size;
pub(crate) mod schedules;
pub(crate) mod script_cache;
pub(crate) mod scripts;
mod type_declarations;
pub(crate) mod types;

/// An update of a resource.
#[derive(Debug)]
pub(crate) enum Update<Draft, Patch> {
    /// PUT: every field, with defaults for fields that are left out.
    Replace(Draft),
    /// PATCH: the fields that change.
    Patch(Patch),
}
