//! Ids of executions, dated by the database's clock.
//!
//! Invariant: an id falls into a week that the database, by its own clock, has made a partition for. A wrong clock of
//! this machine changes nothing about that.

use chrono::{DateTime, Utc};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use uuid::{ContextV7, Timestamp, Uuid};

/// Limits the seconds by which ids may be ahead of a new clock reading and still stay in order. If they are ahead by
/// more, the database's clock was set back, and new ids follow it.
const JITTER: Duration = Duration::from_secs(1);

static IDS: Mutex<ExecutionIds> = Mutex::new(ExecutionIds::new());

/// Makes the next id of this process. Later ids are greater, unless the database's clock was set back.
pub(crate) fn next() -> Uuid {
    let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ids().next(Instant::now(), system)
}

/// Sets the clock to `database`, which the database must have just answered to `SELECT clock_timestamp()`.
pub(crate) fn set_clock(database: DateTime<Utc>) {
    let since_epoch = SystemTime::from(database).duration_since(UNIX_EPOCH).unwrap_or_default();
    ids().set_clock(since_epoch, Instant::now());
}

fn ids() -> MutexGuard<'static, ExecutionIds> {
    IDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes ids, dated by a clock that runs on evenly between two readings of the database's. Times are since the Unix
/// epoch.
#[derive(Debug)]
struct ExecutionIds {
    /// The last reading of the database's clock, and the local time of that reading.
    reading: Option<(Duration, Instant)>,
    /// The date of the newest id.
    newest: Duration,
    /// Orders ids of one millisecond.
    order: ContextV7,
}

impl ExecutionIds {
    const fn new() -> Self {
        Self { reading: None, newest: Duration::ZERO, order: ContextV7::new() }
    }

    fn set_clock(&mut self, database: Duration, now: Instant) {
        self.reading = Some((database, now));
        if self.newest > database + JITTER {
            // The old context would continue from the newest id until the clock has caught up with it.
            self.order = ContextV7::new();
        }
    }

    /// Makes the next id. It is dated by `system` until the database's clock has been read.
    fn next(&mut self, now: Instant, system: Duration) -> Uuid {
        let date =
            self.reading.map_or(system, |(database, read)| database + now.saturating_duration_since(read));
        self.newest = date;
        Uuid::new_v7(Timestamp::from_unix(&self.order, date.as_secs(), date.subsec_nanos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const NOW: Duration = Duration::from_secs(1_750_000_000);

    fn date(id: Uuid) -> Duration {
        let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
        Duration::new(seconds, nanoseconds)
    }

    #[test]
    fn ids_follow_the_databases_clock_not_the_machines() {
        let (mut ids, began) = (ExecutionIds::new(), Instant::now());
        ids.set_clock(NOW, began);
        for wrong in [NOW.saturating_sub(100 * DAY), NOW + 100 * DAY] {
            assert_eq!(date(ids.next(began + DAY, wrong)), NOW + DAY);
        }
    }

    #[test]
    fn ids_switch_to_the_databases_clock_at_its_first_reading() {
        let (mut ids, began) = (ExecutionIds::new(), Instant::now());
        assert_eq!(date(ids.next(began, NOW + 100 * DAY)), NOW + 100 * DAY);
        ids.set_clock(NOW, began);
        assert_eq!(date(ids.next(began, NOW + 100 * DAY)), NOW);
    }

    #[test]
    fn ids_increase_within_a_millisecond_and_across_jitter() {
        let (mut ids, began) = (ExecutionIds::new(), Instant::now());
        let mut made = Vec::new();
        for reading in [NOW, NOW.saturating_sub(JITTER)] {
            ids.set_clock(reading, began);
            made.extend((0..100).map(|_| ids.next(began, Duration::ZERO)));
        }
        assert!(made.is_sorted());
    }
}
