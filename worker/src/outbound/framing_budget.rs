//! A bound on the bytes of an HTTP/1 connection that bring no body: leading zeros of a chunk's size, blanks behind it,
//! heads, the framing of chunks of one byte.

use super::Flood;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Limits the bytes that arrive without a piece of body: a head, framing, and what is read ahead of the body's reader.
const CAPACITY: usize = 256 * 1024;
/// Number of bytes that the framing of one piece of a body may take, besides as many as the piece has.
const BYTES_PER_PIECE: usize = 64;

/// The bytes that may still arrive. Its clones share one count: the connection spends, the reader of the body earns.
#[derive(Clone, Debug)]
pub(super) struct FramingBudget(Arc<AtomicUsize>);

impl Default for FramingBudget {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(CAPACITY)))
    }
}

impl FramingBudget {
    /// Refills the budget, once a response's final head has arrived.
    pub(super) fn refill(&self) {
        self.0.store(CAPACITY, Ordering::Relaxed);
    }

    /// Adds what a piece of a body may have taken: its own bytes, as many of framing, and [`BYTES_PER_PIECE`].
    pub(super) fn earn(&self, piece: usize) {
        let earn = |left: usize| Some((left + 2 * piece + BYTES_PER_PIECE).min(CAPACITY));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earn);
    }

    /// Subtracts bytes that have arrived.
    pub(super) fn spend(&self, bytes: usize) -> Result<(), Flood> {
        let spent = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_left| Flood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_bring_no_body_are_bounded() {
        let budget = FramingBudget::default();
        for _ in 0..4 {
            budget.spend(64 * 1024).unwrap();
        }
        assert!(budget.spend(1).is_err());
    }

    #[test]
    fn a_final_head_refills_the_budget() {
        let budget = FramingBudget::default();
        budget.spend(CAPACITY).unwrap();
        budget.refill();
        budget.spend(CAPACITY).unwrap();
    }

    #[test]
    fn a_long_body_in_chunks_of_one_byte_passes() {
        let budget = FramingBudget::default();
        for _ in 0..1_000_000 {
            budget.spend("00000001\r\nx\r\n".len()).unwrap();
            budget.earn(1);
        }
    }

    #[test]
    fn earnings_beyond_the_capacity_are_lost() {
        let budget = FramingBudget::default();
        budget.earn(10 * CAPACITY);
        assert!(budget.spend(CAPACITY + 1).is_err());
    }
}
