//! Configuration from environment variables: read once, all problems reported together.
