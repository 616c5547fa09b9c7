//! The child process: one isolate per run, locked down before any script.
