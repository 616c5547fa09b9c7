//! The answers that have no end, byte by byte as they are sent.

use std::time::Duration;

/// Number of bytes that a server without pauses writes at once.
const BLOCK_BYTES: usize = 16 * 1024;
/// Time between two writes of a server that sends slowly.
const DRIP: Duration = Duration::from_millis(20);

/// An answer, named by its part that has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// Nothing is sent at all.
    Silence,
    /// `103` after `103`.
    InterimHeads,
    /// `103` after `103`, slowly.
    DrippedInterimHeads,
    /// A line of a `103`.
    InterimLine,
    /// A line of the head.
    HeadLine,
    /// Empty lines ahead of the head.
    BlankLines,
    /// The head, slowly, byte by byte.
    DrippedHead,
    /// The body, slowly, byte by byte.
    DrippedBody,
    /// Chunks of one byte.
    TinyChunks,
    /// Chunks without a byte, of which the first ends the body.
    EmptyChunks,
    /// The extension of a chunk.
    ChunkExtension,
    /// Zeros at the beginning of a chunk's size.
    ChunkZeros,
    /// Blanks behind a chunk's size.
    ChunkBlanks,
    /// Trailers behind the last chunk.
    Trailers,
    /// A compressed body that decompresses to nothing.
    EmptyBlocks,
    /// HTTP/2: `103` after `103`.
    InterimFrames,
    /// HTTP/2: PING frames.
    Pings,
    /// HTTP/2: SETTINGS frames.
    Settings,
    /// HTTP/2: `WINDOW_UPDATE` frames.
    WindowUpdates,
    /// HTTP/2: frames of a kind that no standard defines.
    UnknownFrames,
    /// HTTP/2: a body of empty DATA frames.
    EmptyData,
    /// HTTP/2: a head of CONTINUATION frames.
    Continuations,
}

/// The bytes that are sent once, and those that follow again and again.
pub(super) struct Answer {
    pub(super) first: Vec<u8>,
    pub(super) again: Vec<u8>,
    /// Time between two writes of `again`.
    pub(super) pause: Option<Duration>,
}

impl Endless {
    /// The answers over HTTP/1.
    pub const HTTP_1: [Self; 15] = [
        Self::Silence,
        Self::InterimHeads,
        Self::DrippedInterimHeads,
        Self::InterimLine,
        Self::HeadLine,
        Self::BlankLines,
        Self::DrippedHead,
        Self::DrippedBody,
        Self::TinyChunks,
        Self::EmptyChunks,
        Self::ChunkExtension,
        Self::ChunkZeros,
        Self::ChunkBlanks,
        Self::Trailers,
        Self::EmptyBlocks,
    ];
    /// The answers over HTTP/2.
    pub const HTTP_2: [Self; 7] = [
        Self::InterimFrames,
        Self::Pings,
        Self::Settings,
        Self::WindowUpdates,
        Self::UnknownFrames,
        Self::EmptyData,
        Self::Continuations,
    ];

    pub(super) fn is_http_2(self) -> bool {
        Self::HTTP_2.contains(&self)
    }

    pub(super) fn answer(self) -> Answer {
        const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        const INTERIM: &str = "HTTP/1.1 103\r\n\r\n";
        match self {
            Self::Silence => drip("", ""),
            Self::InterimHeads => flood("", INTERIM),
            Self::DrippedInterimHeads => drip("", INTERIM),
            Self::InterimLine => flood("HTTP/1.1 103\r\nx: ", "a"),
            Self::HeadLine => flood("HTTP/1.1 200 OK\r\nx: ", "a"),
            Self::BlankLines => flood("", "\r\n"),
            Self::DrippedHead => drip("HTTP/1.1 200 OK\r\nx: ", "a"),
            Self::DrippedBody => drip("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", "a"),
            Self::TinyChunks => flood(CHUNKED, "1\r\na\r\n"),
            Self::EmptyChunks => flood(CHUNKED, "0\r\n\r\n"),
            Self::ChunkExtension => flood([CHUNKED, "1;"].concat(), "a"),
            Self::ChunkZeros => flood(CHUNKED, "0"),
            Self::ChunkBlanks => flood([CHUNKED, "1"].concat(), " "),
            Self::Trailers => flood([CHUNKED, "0\r\n"].concat(), "x: y\r\n"),
            // The header of a gzip stream, then stored deflate blocks of no byte.
            Self::EmptyBlocks => flood(
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\xff",
                b"\0\0\0\xff\xff",
            ),
            Self::InterimFrames => frames(&[], &frame(HEADERS, END_HEADERS, 1, b"\x08\x03103")),
            Self::Pings => frames(&[], &frame(PING, 0, 0, &[0; 8])),
            Self::Settings => frames(&[], &frame(SETTINGS, 0, 0, &[])),
            Self::WindowUpdates => frames(&[], &frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
            Self::UnknownFrames => frames(&[], &frame(UNKNOWN, 0, 0, &[])),
            Self::EmptyData => {
                frames(&frame(HEADERS, END_HEADERS, 1, &[STATUS_200]), &frame(DATA, 0, 1, &[]))
            }
            Self::Continuations => {
                frames(&frame(HEADERS, 0, 1, &[STATUS_200]), &frame(CONTINUATION, 0, 1, &[]))
            }
        }
    }
}

/// An answer that is sent as fast as the client reads it.
fn flood(first: impl AsRef<[u8]>, again: impl AsRef<[u8]>) -> Answer {
    let again = again.as_ref();
    Answer { first: first.as_ref().to_vec(), again: again.repeat(BLOCK_BYTES / again.len()), pause: None }
}

/// An answer that is sent slowly.
fn drip(first: &str, again: &str) -> Answer {
    Answer { first: first.into(), again: again.into(), pause: Some(DRIP) }
}

const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const UNKNOWN: u8 = 0xee;
const END_HEADERS: u8 = 0x4;
/// `:status: 200` in HPACK's static table.
const STATUS_200: u8 = 0x88;

/// A flood of frames behind the SETTINGS frame that every connection begins with.
fn frames(first: &[u8], again: &[u8]) -> Answer {
    flood([&frame(SETTINGS, 0, 0, &[]), first].concat(), again)
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("frames of this module are small");
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}
