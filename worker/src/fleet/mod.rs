//! Consumes messages while slots are free, and drains.
