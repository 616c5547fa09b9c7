//! The backlog: executions that workers could take, apart from those that a limit of their workspace holds back.

use crate::db::health::WaitingWorkspace;
use std::{collections::HashMap, time::Instant};
use uuid::Uuid;

/// Due outbox rows that are not published.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Backlog {
    /// Rows that could be published now.
    pub rows: i64,
    /// Time, in seconds, for which the oldest of them could have been published.
    pub oldest_s: f64,
    /// Rows that wait until running executions of their workspace end.
    pub held_back_rows: i64,
    /// Age, in seconds, of the oldest row of a workspace that has such rows.
    pub held_back_oldest_s: f64,
}

/// The next row of each workspace that has a limit, and the time since which it could be published.
///
/// The row of such a workspace is old because others ran before it. Only the time for which the limit allowed it to be
/// published counts, and it begins anew with each row.
#[derive(Debug, Default)]
pub(super) struct HeldBackProgress(HashMap<Uuid, (i64, Instant)>);

impl HeldBackProgress {
    /// Measures the backlog at `now`, and remembers it for the next call.
    pub(super) fn measure(&mut self, workspaces: &[WaitingWorkspace], now: Instant) -> Backlog {
        let mut next = HashMap::new();
        let mut backlog = Backlog::default();
        for workspace in workspaces {
            let publishable = workspace.publishable.unwrap_or(i64::MAX).min(workspace.rows);
            backlog.rows += publishable;
            let held_back = workspace.rows - publishable;
            if held_back > 0 {
                backlog.held_back_rows += held_back;
                backlog.held_back_oldest_s = backlog.held_back_oldest_s.max(workspace.oldest_s);
            }
            let oldest_s = match workspace.next_row {
                None => workspace.oldest_s,
                Some(_) if publishable == 0 => continue,
                Some(row) => {
                    let since = self.since(workspace.workspace_id, row).unwrap_or(now);
                    next.insert(workspace.workspace_id, (row, since));
                    now.saturating_duration_since(since).as_secs_f64()
                }
            };
            backlog.oldest_s = backlog.oldest_s.max(oldest_s);
        }
        self.0 = next;
        backlog
    }

    /// Returns the time since which this row has been the workspace's next one, without an interruption.
    fn since(&self, workspace_id: Uuid, row: i64) -> Option<Instant> {
        self.0.get(&workspace_id).filter(|(known, _)| *known == row).map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn unlimited(rows: i64, oldest_s: f64) -> WaitingWorkspace {
        WaitingWorkspace {
            workspace_id: Uuid::from_u128(1),
            rows,
            oldest_s,
            publishable: None,
            next_row: None,
        }
    }

    fn limited(rows: i64, publishable: i64, next_row: i64) -> WaitingWorkspace {
        WaitingWorkspace {
            workspace_id: Uuid::from_u128(2),
            rows,
            oldest_s: 600.0,
            publishable: Some(publishable),
            next_row: Some(next_row),
        }
    }

    #[test]
    fn rows_without_a_limit_count_with_their_age() {
        let backlog = HeldBackProgress::default().measure(&[unlimited(3, 90.0)], Instant::now());
        assert_eq!(backlog, Backlog { rows: 3, oldest_s: 90.0, ..Backlog::default() });
    }

    #[test]
    fn rows_beyond_a_limit_are_held_back() {
        let backlog =
            HeldBackProgress::default().measure(&[limited(500, 0, 7), unlimited(1, 0.5)], Instant::now());
        let expected = Backlog { rows: 1, oldest_s: 0.5, held_back_rows: 500, held_back_oldest_s: 600.0 };
        assert_eq!(backlog, expected);
    }

    #[test]
    fn a_limited_workspace_that_progresses_is_never_old() {
        let (mut progress, start) = (HeldBackProgress::default(), Instant::now());
        for second in 0..120 {
            let next_row = i64::try_from(second).unwrap();
            let backlog = progress.measure(&[limited(500, 1, next_row)], start + Duration::from_secs(second));
            assert_eq!((backlog.rows, backlog.oldest_s, backlog.held_back_rows), (1, 0.0, 499));
        }
    }

    #[test]
    fn a_limited_workspace_that_is_not_served_grows_old() {
        let (mut progress, start) = (HeldBackProgress::default(), Instant::now());
        let mut oldest_at = |seconds, publishable| {
            let now = start + Duration::from_secs(seconds);
            Duration::from_secs_f64(progress.measure(&[limited(500, publishable, 7)], now).oldest_s)
        };
        assert_eq!(oldest_at(0, 1), Duration::ZERO);
        assert_eq!(oldest_at(70, 1), Duration::from_secs(70));
        // A running execution takes its place: the row waits for the limit, and later anew for the relay.
        assert_eq!(oldest_at(75, 0), Duration::ZERO);
        assert_eq!(oldest_at(80, 1), Duration::ZERO);
        assert_eq!(oldest_at(85, 1), Duration::from_secs(5));
    }
}
