//! The worker's HTTP endpoints: build, validate, execute-sync, health, metrics.
