//! Time for which the slots of this worker are taken.
//!
//! Short runs fall between two samples of a gauge, so the time is summed up exactly.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Sum, over all slots, of the time for which they were taken.
#[derive(Debug, Default)]
pub struct BusyTime(Mutex<Integral>);

#[derive(Debug, Default)]
struct Integral {
    /// Slots that are taken now.
    taken: u32,
    /// Time of the last change, up to which `sum` is complete.
    until: Option<Instant>,
    /// Time that was not reported yet.
    sum: Duration,
}

impl Integral {
    fn advance(&mut self, now: Instant) {
        if let Some(until) = self.until.replace(now) {
            self.sum += now.saturating_duration_since(until) * self.taken;
        }
    }
}

/// Counts a slot as taken until it is dropped.
#[derive(Debug)]
pub(crate) struct BusySlot<'a>(&'a BusyTime);

impl BusyTime {
    /// Begins to count one more slot as taken.
    #[must_use]
    pub(crate) fn begin(&self) -> BusySlot<'_> {
        let mut integral = self.lock();
        integral.advance(Instant::now());
        integral.taken += 1;
        BusySlot(self)
    }

    /// Returns the whole seconds that were added since the last call. The rest counts for the next call.
    pub(crate) fn take_seconds(&self) -> u64 {
        let mut integral = self.lock();
        integral.advance(Instant::now());
        let seconds = integral.sum.as_secs();
        integral.sum -= Duration::from_secs(seconds);
        seconds
    }

    fn lock(&self) -> MutexGuard<'_, Integral> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BusySlot<'_> {
    fn drop(&mut self) {
        let mut integral = self.0.lock();
        integral.advance(Instant::now());
        integral.taken -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_slots_add_up_and_idle_ones_do_not() {
        let start = Instant::now();
        let mut integral = Integral::default();
        // One slot for 2 s, two slots for 3 s, none for a minute.
        for (at, taken) in [(0, 1), (2, 2), (5, 0), (65, 0)] {
            integral.advance(start + Duration::from_secs(at));
            integral.taken = taken;
        }
        assert_eq!(integral.sum, Duration::from_secs(8));
    }

    #[test]
    fn fractions_of_a_second_are_kept_for_the_next_call() {
        let busy = BusyTime::default();
        busy.lock().sum = Duration::from_millis(1_700);
        assert_eq!(busy.take_seconds(), 1);
        busy.lock().sum += Duration::from_millis(300);
        assert_eq!(busy.take_seconds(), 1);
        assert_eq!(busy.take_seconds(), 0);
    }
}
