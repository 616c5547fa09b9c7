//! Cron triggers.
pub mod cron;
