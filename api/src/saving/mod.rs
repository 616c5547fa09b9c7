//! Saves of scripts and functions: check, build, resolve and write, in one transaction.

pub mod environment;
pub mod functions;
pub mod schedules;
pub mod scripts;
