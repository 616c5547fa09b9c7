//! Path prefixes of the two APIs.

/// Prefix of signed requests: the web app's backend and workers.
pub const INTERNAL: &str = "/api/runnerctl";
/// Prefix of requests with an API key.
pub const EXTERNAL: &str = "/api/v1/runnerctl";
