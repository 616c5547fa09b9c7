//! An HTTP client for servers that may be hostile.
//!
//! Invariants:
//! - Before its final head a response brings at most [`MAX_INTERIM_HEADS`] interim heads, of at most [`INTERIM_BYTES`]
//!   together.
//! - Bytes and frames that bring no body are bounded for as long as a connection lives, and so are the bytes that enter a
//!   decompressor.
//! - One poll works on at most [`poll_quota::BYTES_PER_POLL`], then yields its thread.
//!
//! The time of a request is the caller's to bound: dropping its future ends it.

mod body;
mod client;
mod connector;
mod frames;
mod framing_budget;
mod interim;
mod poll_quota;
mod stream;

pub(crate) use client::{Client, ClientError, ClientSettings, Response};
pub(crate) use connector::{ConnectTimeout, tls};

/// Limits the names and values of one response's headers, in bytes.
pub(crate) const HEAD_BYTES: usize = 64 * 1024;
/// Limits the header lines of one response.
pub(crate) const HEAD_LINES: usize = 256;
/// Limits a head as HTTP/1 writes it, in bytes: four more for each line, and the status line.
const RAW_HEAD_BYTES: usize = HEAD_BYTES + HEAD_LINES * 4 + 1024;
/// Limits the interim heads (1xx) of one response.
const MAX_INTERIM_HEADS: usize = 8;
/// Limits the interim heads of one response, in bytes together.
const INTERIM_BYTES: usize = 64 * 1024;

/// An error of a server that sends more heads, frames or framing than its response needs.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server sends interim responses, control frames or framing without end")]
pub struct Flood;

/// Marks an `io::Error` made of a [`Flood`]. HTTP/2 keeps nothing of such an error but its kind. No read from a socket
/// fails with this one.
pub(crate) const FLOOD_KIND: std::io::ErrorKind = std::io::ErrorKind::QuotaExceeded;

impl From<Flood> for std::io::Error {
    fn from(flood: Flood) -> Self {
        Self::new(FLOOD_KIND, flood)
    }
}
