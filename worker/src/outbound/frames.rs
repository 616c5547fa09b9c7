//! A bound on the frames that an HTTP/2 server sends. Pure: reads the headers of frames, and skips their payload.
//!
//! The h2 crate bounds the size of one head, DATA frames with little in them, and resets. It answers any number of PING and
//! SETTINGS frames, and keeps any number of interim heads until they are read.

use super::{Flood, INTERIM_BYTES, MAX_INTERIM_HEADS};
use std::collections::BTreeMap;

/// Limits the frames other than DATA that a connection may bring before it earns more, and those that it may save up.
const CAPACITY: u32 = 4_096;
/// Number of such frames that each response earns.
const PER_RESPONSE: u32 = 64;
/// Bytes, of bodies in either direction, that earn one such frame: `WINDOW_UPDATE` and `PING` accompany them.
const BYTES_PER_FRAME: usize = 512;
/// Limits the responses whose heads are counted at once. No connection has more in progress: the oldest beyond that was
/// given up.
const MAX_COUNTED_RESPONSES: usize = 1_024;
/// Limits the heads of one response: the interim ones and the final one. Only HPACK could tell which is the final one.
const MAX_HEADS: usize = MAX_INTERIM_HEADS + 1;

const HEADER_BYTES: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;

/// Counts the frames of one connection. A [`Flood`] ends the connection: bytes after it are not counted correctly.
#[derive(Debug)]
pub(super) struct FrameCounter {
    /// The beginning of a frame header that is not complete yet.
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    /// Bytes of the current frame's payload that are still to come.
    payload_left: usize,
    /// Frames other than DATA that may still come.
    budget: u32,
    /// Bytes that have not earned a frame yet.
    unearned: usize,
    /// The highest stream that brought a response.
    newest_stream: u32,
    heads: BTreeMap<u32, HeadCount>,
}

/// The heads of a response whose body has not begun.
#[derive(Debug, Default)]
struct HeadCount {
    heads: usize,
    bytes: usize,
}

impl Default for FrameCounter {
    fn default() -> Self {
        Self {
            header: [0; HEADER_BYTES],
            header_filled: 0,
            payload_left: 0,
            budget: CAPACITY,
            unearned: 0,
            newest_stream: 0,
            heads: BTreeMap::new(),
        }
    }
}

impl FrameCounter {
    /// Counts bytes from the server.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = self.payload_left.min(bytes.len());
            self.payload_left -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.header_filled).min(bytes.len());
            self.header[self.header_filled..self.header_filled + taken].copy_from_slice(&bytes[..taken]);
            self.header_filled += taken;
            bytes = &bytes[taken..];
            if self.header_filled == HEADER_BYTES {
                self.header_filled = 0;
                self.count_frame()?;
            }
        }
        Ok(())
    }

    /// Counts bytes to the server.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.earn_by_bytes(bytes);
    }

    fn count_frame(&mut self) -> Result<(), Flood> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.header;
        let length = usize::try_from(u32::from_be_bytes([0, l0, l1, l2])).map_err(|_| Flood)?;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff;
        self.payload_left = length;
        match kind {
            DATA => {
                self.earn_by_bytes(length);
                self.heads.remove(&stream);
                return Ok(());
            }
            HEADERS => self.count_head(stream, length, flags & END_STREAM != 0)?,
            CONTINUATION => {
                if let Some(count) = self.heads.get_mut(&stream) {
                    count.add(0, length)?;
                }
            }
            RST_STREAM => drop(self.heads.remove(&stream)),
            _ => {}
        }
        self.budget = self.budget.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }

    fn count_head(&mut self, stream: u32, length: usize, ends_stream: bool) -> Result<(), Flood> {
        // h2 ends the connection of a server that names a stream which the client has not opened.
        if stream > self.newest_stream {
            let responses = (stream - self.newest_stream).div_ceil(2);
            self.newest_stream = stream;
            self.earn(responses.saturating_mul(PER_RESPONSE));
        }
        self.heads.entry(stream).or_default().add(1, length)?;
        if ends_stream {
            self.heads.remove(&stream);
        } else if self.heads.len() > MAX_COUNTED_RESPONSES {
            self.heads.pop_first();
        }
        Ok(())
    }

    fn earn_by_bytes(&mut self, bytes: usize) {
        self.unearned += bytes;
        self.earn(u32::try_from(self.unearned / BYTES_PER_FRAME).unwrap_or(CAPACITY));
        self.unearned %= BYTES_PER_FRAME;
    }

    fn earn(&mut self, frames: u32) {
        self.budget = self.budget.saturating_add(frames).min(CAPACITY);
    }
}

impl HeadCount {
    fn add(&mut self, heads: usize, bytes: usize) -> Result<(), Flood> {
        self.heads += heads;
        self.bytes += bytes;
        if self.heads > MAX_HEADS || self.bytes > INTERIM_BYTES { Err(Flood) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let size = u32::try_from(length).unwrap().to_be_bytes();
        let mut bytes = vec![size[1], size[2], size[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.resize(HEADER_BYTES + length, 0xff);
        bytes
    }

    fn ping() -> Vec<u8> {
        const PING: u8 = 0x6;
        frame(PING, 0, 0, 8)
    }

    fn head(stream: u32) -> Vec<u8> {
        frame(HEADERS, 0x4, stream, 5)
    }

    /// Sends the same bytes until they are refused, and returns how often they were accepted.
    fn accepted(mut counter: FrameCounter, bytes: &[u8]) -> usize {
        (0..1_000_000).take_while(|_| counter.received(bytes).is_ok()).count()
    }

    /// A connection that has brought all the control frames it may.
    fn exhausted() -> FrameCounter {
        let mut counter = FrameCounter::default();
        (0..CAPACITY).for_each(|_| counter.received(&ping()).unwrap());
        counter
    }

    #[test]
    fn eight_interim_heads_may_precede_the_final_one() {
        assert_eq!(accepted(FrameCounter::default(), &head(1)), 9);
    }

    #[test]
    fn each_response_may_have_as_many_interim_heads() {
        let mut counter = FrameCounter::default();
        for stream in (1..10_001).step_by(2) {
            (0..9).for_each(|_| counter.received(&head(stream)).unwrap());
            counter.received(&frame(DATA, 0, stream, 10)).unwrap();
            counter.received(&frame(HEADERS, END_STREAM, stream, 10)).unwrap();
        }
        assert!(counter.heads.is_empty());
    }

    #[test]
    fn bytes_of_heads_count_with_their_continuations() {
        let mut counter = FrameCounter::default();
        counter.received(&frame(HEADERS, 0, 1, 16_384)).unwrap();
        assert_eq!(accepted(counter, &frame(CONTINUATION, 0, 1, 16_384)), 3);
    }

    #[test]
    fn control_frames_are_bounded() {
        assert_eq!(accepted(FrameCounter::default(), &ping()), 4_096);
        assert_eq!(accepted(exhausted(), &ping()), 0);
    }

    #[test]
    fn a_response_earns_control_frames() {
        let mut counter = exhausted();
        // It earns 64, and is one of them.
        counter.received(&frame(HEADERS, END_STREAM, 1, 5)).unwrap();
        assert_eq!(accepted(counter, &ping()), 63);
    }

    #[test]
    fn bodies_earn_control_frames_in_either_direction() {
        let mut counter = exhausted();
        counter.received(&frame(DATA, 0, 1, 5_000)).unwrap();
        counter.sent(5_240);
        assert_eq!(accepted(counter, &ping()), 20);
    }

    #[test]
    fn replies_to_pings_do_not_earn_further_pings() {
        let mut counter = FrameCounter::default();
        let pings = (0..1_000_000).take_while(|_| {
            counter.sent(17);
            counter.received(&ping()).is_ok()
        });
        assert!(pings.count() < 4_300);
    }

    #[test]
    fn abandoned_responses_are_forgotten() {
        let mut counter = FrameCounter::default();
        for stream in (1..100_000).step_by(2) {
            counter.received(&head(stream)).unwrap();
        }
        assert_eq!(counter.heads.len(), MAX_COUNTED_RESPONSES);
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_reads_split_them(lengths in prop::collection::vec(1..40_usize, 1..50)) {
            const PAYLOAD: usize = 5;
            let stream = [[head(1), ping()].concat().repeat(9), head(1)].concat();
            let (mut counter, mut rest) = (FrameCounter::default(), &stream[..]);
            for length in lengths.into_iter().cycle() {
                let (read, later) = rest.split_at(length.min(rest.len()));
                // The read that completes the header of the tenth head is refused.
                let expected = later.len() > PAYLOAD;
                prop_assert_eq!(counter.received(read).is_ok(), expected);
                if !expected {
                    break;
                }
                rest = later;
            }
        }

        #[test]
        fn any_bytes_are_counted_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..5_000)) {
            let _ = FrameCounter::default().received(&bytes);
        }
    }
}
