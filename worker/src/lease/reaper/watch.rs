//! Decides which of the stale leases could have been renewed by a live worker. Pure.
//!
//! Time counts only between two successful scans in a row. While the database is unreachable no worker can renew a lease, and
//! when it is back every worker gets the time to do so before a run is taken from it. A pause of this process counts at most
//! as [`MAX_INTERVAL`], since the other workers may have paused as well.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Maximum time, in seconds, that a live worker takes to renew its leases once the database is back: it tries every second.
pub(super) const RENEWAL_TIME: Duration = Duration::from_secs(4);
/// Limits the time, in seconds, that one interval between two scans counts, however long it took.
const MAX_INTERVAL: Duration = Duration::from_secs(2);

/// Lease of a running execution that was not renewed when it was due.
#[derive(Clone, Debug)]
pub(super) struct StaleLease {
    pub(super) execution_id: Uuid,
    /// End of the lease, as text of the database. Another text is another lease.
    pub(super) lease: String,
    /// True if the lease is over by the database's clock.
    pub(super) is_over: bool,
}

/// Stale leases that the scans so far have found.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch {
    /// End of each stale lease, and the time in which it could have been renewed.
    stale: HashMap<Uuid, (String, Duration)>,
    last_scan: Option<Instant>,
}

impl LeaseWatch {
    /// Records the stale leases of a scan. Returns the executions whose runs are lost.
    pub(super) fn observe(&mut self, now: Instant, found: Vec<StaleLease>) -> Vec<Uuid> {
        let passed = self.last_scan.map_or(Duration::ZERO, |last| (now - last).min(MAX_INTERVAL));
        self.last_scan = Some(now);
        let mut lost = Vec::new();
        let mut before = std::mem::take(&mut self.stale);
        for StaleLease { execution_id, lease, is_over } in found {
            let watched = match before.remove(&execution_id) {
                Some((known, watched)) if known == lease => watched + passed,
                _ => Duration::ZERO,
            };
            if is_over && watched >= RENEWAL_TIME {
                lost.push(execution_id);
            }
            self.stale.insert(execution_id, (lease, watched));
        }
        lost
    }

    /// Records a failed scan: the time until the next one does not count.
    pub(super) const fn interrupt(&mut self) {
        self.last_scan = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans that find one run.
    struct Scans {
        watch: LeaseWatch,
        now: Instant,
    }

    impl Scans {
        fn begin() -> Self {
            Self { watch: LeaseWatch::default(), now: Instant::now() }
        }

        /// Scans `after` seconds later. Returns true if the run is lost.
        fn is_lost(&mut self, after: u64, lease: &str, is_over: bool) -> bool {
            self.now += Duration::from_secs(after);
            let stale = StaleLease { execution_id: Uuid::nil(), lease: lease.to_owned(), is_over };
            !self.watch.observe(self.now, vec![stale]).is_empty()
        }
    }

    #[test]
    fn a_run_is_lost_when_its_lease_ended_and_was_renewable() {
        let mut scans = Scans::begin();
        assert!(!scans.is_lost(0, "a", false));
        assert!(!scans.is_lost(2, "a", false));
        assert!(!scans.is_lost(2, "a", false), "its lease holds");
        assert!(scans.is_lost(1, "a", true));
    }

    #[test]
    fn a_lease_that_is_over_at_the_first_look_can_still_be_renewed() {
        let mut scans = Scans::begin();
        assert!(!scans.is_lost(0, "a", true));
        assert!(!scans.is_lost(2, "a", true));
        assert!(scans.is_lost(2, "a", true));
    }

    #[test]
    fn another_lease_is_watched_from_its_beginning() {
        let mut scans = Scans::begin();
        assert!(!scans.is_lost(0, "a", true));
        assert!(!scans.is_lost(2, "a", true));
        assert!(!scans.is_lost(2, "b", true));
    }

    #[test]
    fn time_in_which_the_database_was_away_does_not_count() {
        let mut scans = Scans::begin();
        assert!(!scans.is_lost(0, "a", false));
        assert!(!scans.is_lost(2, "a", false));
        scans.watch.interrupt();
        assert!(!scans.is_lost(60, "a", true));
        assert!(!scans.is_lost(1, "a", true));
        assert!(scans.is_lost(1, "a", true), "what had its chance before keeps having had it");
    }

    #[test]
    fn a_pause_of_the_process_counts_as_one_interval() {
        let mut scans = Scans::begin();
        assert!(!scans.is_lost(0, "a", false));
        assert!(!scans.is_lost(60, "a", true));
        assert!(scans.is_lost(2, "a", true));
    }

    #[test]
    fn a_run_that_is_renewed_in_between_is_forgotten() {
        let mut scans = Scans::begin();
        assert!(!scans.is_lost(0, "a", true));
        scans.now += Duration::from_secs(2);
        assert!(scans.watch.observe(scans.now, Vec::new()).is_empty());
        assert!(!scans.is_lost(2, "a", true));
    }
}
