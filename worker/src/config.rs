//! The worker's configuration.
