//! Which of the leases that nobody renews had their chance. Pure.
//!
//! Time counts only between two looks that both found the database in order: while it is away, no worker can renew,
//! and when it is back, each gets its chance before anything is taken from it. The same holds while this process stood
//! still, since then perhaps the others did, too.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// How long a live worker takes at most to renew its leases once the database is back: it tries every second.
pub(super) const CHANCE: Duration = Duration::from_secs(4);
/// The most that one interval between two looks counts, however long it took.
const MOST: Duration = Duration::from_secs(2);

/// A running execution whose lease was not renewed when it was due.
#[derive(Clone, Debug)]
pub(super) struct Stale {
    pub(super) execution_id: Uuid,
    /// When the lease ends, in the database's words: another text is another lease.
    pub(super) lease: String,
    /// By the database's clock.
    pub(super) is_over: bool,
}

/// What the looks so far have seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Stale leases, and for how long they could have been renewed.
    stale: HashMap<Uuid, (String, Duration)>,
    last_look: Option<Instant>,
}

impl Watch {
    /// Takes in what a look has found. Returns the runs that are lost.
    pub(super) fn look(&mut self, now: Instant, found: Vec<Stale>) -> Vec<Uuid> {
        let passed = self.last_look.map_or(Duration::ZERO, |last| (now - last).min(MOST));
        self.last_look = Some(now);
        let mut lost = Vec::new();
        let mut before = std::mem::take(&mut self.stale);
        for Stale { execution_id, lease, is_over } in found {
            let watched = match before.remove(&execution_id) {
                Some((known, watched)) if known == lease => watched + passed,
                _ => Duration::ZERO,
            };
            if is_over && watched >= CHANCE {
                lost.push(execution_id);
            }
            self.stale.insert(execution_id, (lease, watched));
        }
        lost
    }

    /// A look failed: the time until the next does not count.
    pub(super) const fn interrupt(&mut self) {
        self.last_look = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at one run; `after` the last.
    struct Looks {
        watch: Watch,
        now: Instant,
    }

    impl Looks {
        fn begin() -> Self {
            Self { watch: Watch::default(), now: Instant::now() }
        }

        fn is_lost(&mut self, after: u64, lease: &str, is_over: bool) -> bool {
            self.now += Duration::from_secs(after);
            let stale = Stale { execution_id: Uuid::nil(), lease: lease.to_owned(), is_over };
            !self.watch.look(self.now, vec![stale]).is_empty()
        }
    }

    #[test]
    fn a_run_is_lost_when_its_lease_is_over_and_could_have_been_renewed() {
        let mut looks = Looks::begin();
        assert!(!looks.is_lost(0, "a", false));
        assert!(!looks.is_lost(2, "a", false));
        assert!(!looks.is_lost(2, "a", false), "its lease holds");
        assert!(looks.is_lost(1, "a", true));
    }

    #[test]
    fn a_lease_that_is_over_at_the_first_look_can_still_be_renewed() {
        let mut looks = Looks::begin();
        assert!(!looks.is_lost(0, "a", true));
        assert!(!looks.is_lost(2, "a", true));
        assert!(looks.is_lost(2, "a", true));
    }

    #[test]
    fn another_lease_is_watched_from_its_beginning() {
        let mut looks = Looks::begin();
        assert!(!looks.is_lost(0, "a", true));
        assert!(!looks.is_lost(2, "a", true));
        assert!(!looks.is_lost(2, "b", true));
    }

    #[test]
    fn time_in_which_the_database_was_away_does_not_count() {
        let mut looks = Looks::begin();
        assert!(!looks.is_lost(0, "a", false));
        assert!(!looks.is_lost(2, "a", false));
        looks.watch.interrupt();
        assert!(!looks.is_lost(60, "a", true));
        assert!(!looks.is_lost(1, "a", true));
        assert!(looks.is_lost(1, "a", true), "what had its chance before keeps having had it");
    }

    #[test]
    fn time_in_which_this_process_stood_still_counts_as_one_interval() {
        let mut looks = Looks::begin();
        assert!(!looks.is_lost(0, "a", false));
        assert!(!looks.is_lost(60, "a", true));
        assert!(looks.is_lost(2, "a", true));
    }

    #[test]
    fn a_run_that_is_renewed_in_between_is_forgotten() {
        let mut looks = Looks::begin();
        assert!(!looks.is_lost(0, "a", true));
        looks.now += Duration::from_secs(2);
        assert!(looks.watch.look(looks.now, Vec::new()).is_empty());
        assert!(!looks.is_lost(2, "a", true));
    }
}
