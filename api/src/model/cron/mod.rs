//! Cron expressions in a time zone: the times at which a schedule fires. Pure.
//!
//! Invariant: when clocks change, schedules fire as under Debian's cron. An expression whose minute and hour do not
//! begin with `*` names fixed times: each that is skipped fires at the change, each that occurs twice fires once. Any
//! other expression fires whenever the clock shows a time that matches. A change of three hours or more is a correction
//! of the zone, such as a skipped day: nothing is made up for.

#[cfg(test)]
mod debian;
mod expression;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use expression::Expression;

/// Limits the occurrences that are counted between two moments; further ones are not counted.
const MAX_COUNTED: usize = 10_000;
/// Limits the change of a clock, in minutes, at which a schedule still makes up for skipped times.
const CORRECTION: TimeDelta = TimeDelta::hours(3);
/// Limits the offset of a zone, in hours, with one hour to spare.
const MAX_OFFSET: TimeDelta = TimeDelta::hours(16);
const SECOND: TimeDelta = TimeDelta::seconds(1);

/// An error in an expression or a time zone.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum InvalidRecurrence {
    #[error("Must have five fields: minute, hour, day of month, month, day of week; it has {0}.")]
    Fields(usize),
    #[error("Not a cron expression: {0}.")]
    Expression(String),
    #[error("Never matches.")]
    Never,
    #[error("Not an IANA time zone such as Europe/Berlin.")]
    TimeZone,
}

impl InvalidRecurrence {
    /// Returns the field of a schedule that is wrong.
    #[must_use]
    pub(crate) const fn field(&self) -> &'static str {
        match self {
            Self::TimeZone => "timezone",
            _ => "cron",
        }
    }
}

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub(crate) struct Recurrence {
    expression: Expression,
    zone: Tz,
}

impl Recurrence {
    /// Parses both. An expression that can never match (30 February) is an error.
    pub(crate) fn parse(expression: &str, timezone: &str) -> Result<Self, InvalidRecurrence> {
        let zone = timezone.parse().map_err(|_| InvalidRecurrence::TimeZone)?;
        let recurrence = Self { expression: expression::parse(expression)?, zone };
        recurrence.next_after(Utc::now()).ok_or(InvalidRecurrence::Never)?;
        Ok(recurrence)
    }

    /// Returns the first occurrence after `moment`, or `None` if the calendar ends before it.
    #[must_use]
    pub(crate) fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = self.local(moment);
        let ahead = self.times_after(local).find_map(|time| {
            self.occurrences(time).into_iter().flatten().find(|occurrence| *occurrence > moment)
        });
        // Times before `local` may still come, if the clock goes back over them.
        let again = match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Ambiguous(first, second) if first <= moment && moment < second => self
                .times_after(local - (second - first))
                .take_while(|time| *time <= local || self.second_time(*time).is_some())
                .filter_map(|time| self.second_time(time))
                .find(|occurrence| *occurrence > moment),
            _ => None,
        };
        [ahead, again].into_iter().flatten().min()
    }

    /// Returns the number of runs at an occurrence: more than one if several fixed times were skipped together.
    fn runs_at(&self, occurrence: DateTime<Utc>) -> usize {
        let (before, after) = (self.local(occurrence - SECOND), self.local(occurrence));
        if self.expression.is_wildcard || !is_skipped(after - before - SECOND) {
            return 1;
        }
        self.times_after(before).take_while(|time| *time <= after).count().max(1)
    }

    /// Returns the occurrences from `due` (itself one) up to `now`: the latest, and the number of earlier runs.
    #[must_use]
    pub(crate) fn until(&self, due: DateTime<Utc>, now: DateTime<Utc>) -> Due {
        let mut due = Due { latest: due, runs: self.runs_at(due), earlier: 0 };
        while let Some(next) = self.next_after(due.latest).filter(|next| *next <= now) {
            if due.earlier >= MAX_COUNTED {
                due.latest = self.latest_until(now).unwrap_or(next);
                due.runs = self.runs_at(due.latest);
                break;
            }
            due = Due { latest: next, runs: self.runs_at(next), earlier: due.earlier + due.runs };
        }
        due
    }

    /// Returns the latest occurrence up to `now`, from a window that grows until it holds one.
    fn latest_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut window = TimeDelta::hours(1);
        loop {
            let first = self.next_after(now.checked_sub_signed(window)?)?;
            if first <= now {
                let up_to_now =
                    |occurrence: &DateTime<Utc>| self.next_after(*occurrence).filter(|next| *next <= now);
                return std::iter::successors(Some(first), up_to_now).last();
            }
            window = window.checked_mul(2)?;
        }
    }

    /// Returns what the clock shows at `moment`.
    fn local(&self, moment: DateTime<Utc>) -> NaiveDateTime {
        moment.with_timezone(&self.zone).naive_local()
    }

    /// Iterates the times of the calendar that match, after `time`, whether or not the clock shows them.
    fn times_after(&self, time: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        let next = |time: &NaiveDateTime| {
            let next = self.expression.cron.find_next_occurrence(&time.and_utc(), false).ok()?;
            Some(next.naive_utc())
        };
        std::iter::successors(next(&time), next)
    }

    /// Returns the occurrences of a time that matches, in order.
    fn occurrences(&self, time: NaiveDateTime) -> [Option<DateTime<Utc>>; 2] {
        match self.zone.from_local_datetime(&time) {
            MappedLocalTime::Single(moment) => [Some(moment.to_utc()), None],
            MappedLocalTime::Ambiguous(first, _) => [Some(first.to_utc()), self.second_time(time)],
            MappedLocalTime::None => [self.change_after_skipped(time), None],
        }
    }

    /// Returns the second occurrence of a time that the clock shows twice.
    fn second_time(&self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        let MappedLocalTime::Ambiguous(first, second) = self.zone.from_local_datetime(&time) else {
            return None;
        };
        (self.expression.is_wildcard || second - first > CORRECTION).then(|| second.to_utc())
    }

    /// Returns the moment of the change that skips `time`, if the change is made up for.
    fn change_after_skipped(&self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        if self.expression.is_wildcard {
            return None;
        }
        // The clock is before `time` at one end and after it at the other, and passes it by in a single second.
        let (mut before, mut after) = (time.and_utc() - MAX_OFFSET, time.and_utc() + MAX_OFFSET);
        while after - before > SECOND {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if self.local(middle) < time { before = middle } else { after = middle }
        }
        is_skipped(self.local(after) - self.local(before) - SECOND).then_some(after)
    }
}

/// Tells whether a clock that moved forward by `change` skipped times that are made up for.
fn is_skipped(change: TimeDelta) -> bool {
    change > TimeDelta::zero() && change < CORRECTION
}

/// Occurrences that are due together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub latest: DateTime<Utc>,
    /// Number of runs at the latest occurrence: more than one if the clock skipped several times at it.
    pub runs: usize,
    /// Number of due runs before the latest occurrence.
    pub earlier: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect(text)
    }

    fn berlin(expression: &str) -> Recurrence {
        Recurrence::parse(expression, "Europe/Berlin").expect(expression)
    }

    /// Returns the occurrences after `from` and up to `to`, each as often as it runs.
    fn runs(recurrence: &Recurrence, from: &str, to: &str) -> Vec<DateTime<Utc>> {
        let next = |moment: &DateTime<Utc>| recurrence.next_after(*moment).filter(|next| *next <= at(to));
        std::iter::successors(next(&at(from)), next)
            .flat_map(|moment| std::iter::repeat_n(moment, recurrence.runs_at(moment)))
            .collect()
    }

    #[test]
    fn a_time_of_day_follows_the_zone_in_summer_and_winter() {
        let nine = berlin("0 9 * * *");
        assert_eq!(nine.next_after(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T08:00:00Z")));
        assert_eq!(nine.next_after(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T07:00:00Z")));
    }

    #[test]
    fn a_fixed_time_in_a_skipped_hour_fires_at_the_change() {
        // Clocks went from 02:00 to 03:00 on 29 March 2026.
        let (change, day) = (at("2026-03-29T01:00:00Z"), ["2026-03-28T12:00:00Z", "2026-03-29T11:00:00Z"]);
        for (expression, times) in
            [("30 2 * * *", 1), ("0,30 2 * * *", 2), ("0-10/5 2 * * *", 3), ("30 2,3 * * *", 1)]
        {
            let runs = runs(&berlin(expression), day[0], day[1]);
            assert_eq!(runs.iter().filter(|run| **run == change).count(), times, "{expression}: {runs:?}");
        }
        let twice_a_day = runs(&berlin("0 2,14 * * *"), "2026-03-28T13:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(twice_a_day, [change, at("2026-03-29T12:00:00Z")]);
        let santiago = Recurrence::parse("0 0,12 * * *", "America/Santiago").unwrap();
        let changed = runs(&santiago, "2026-09-05T16:00:00Z", "2026-09-06T15:00:00Z");
        assert_eq!(changed, [at("2026-09-06T04:00:00Z"), at("2026-09-06T15:00:00Z")]);
    }

    #[test]
    fn a_fixed_time_in_a_repeated_hour_fires_once() {
        // Clocks went from 03:00 to 02:00 on 25 October 2026.
        for (expression, times) in
            [("30 2 * * *", 1), ("0,30 2 * * *", 2), ("0-10/5 2 * * *", 3), ("0 2,14 * * *", 1)]
        {
            let runs = runs(&berlin(expression), "2026-10-24T22:00:00Z", "2026-10-25T11:00:00Z");
            assert_eq!(runs.len(), times, "{expression}: {runs:?}");
            assert!(runs.iter().all(|run| *run < at("2026-10-25T01:00:00Z")), "{expression}: {runs:?}");
        }
    }

    #[test]
    fn a_wildcard_follows_the_clock_through_its_changes() {
        let half_hours = berlin("*/30 * * * *");
        assert_eq!(runs(&half_hours, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z").len(), 2);
        assert_eq!(runs(&half_hours, "2026-10-25T00:00:00Z", "2026-10-25T02:00:00Z").len(), 4);
        assert!(runs(&berlin("*/30 2 * * *"), "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z").is_empty());
        assert_eq!(runs(&berlin("*/30 2 * * *"), "2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z").len(), 4);
    }

    #[test]
    fn a_zone_that_skips_a_day_does_not_stop_a_schedule() {
        // Samoa had no 30 December 2011.
        let noon = Recurrence::parse("0 12 * * *", "Pacific/Apia").unwrap();
        let runs = runs(&noon, "2011-12-28T23:00:00Z", "2012-01-01T00:00:00Z");
        assert_eq!(
            runs,
            [at("2011-12-29T22:00:00Z"), at("2011-12-30T22:00:00Z"), at("2011-12-31T22:00:00Z")]
        );
    }

    #[test]
    fn occurrences_missed_during_an_outage_are_counted() {
        let hourly = berlin("0 * * * *");
        let due = hourly.until(at("2026-01-10T10:00:00Z"), at("2026-01-10T12:30:00Z"));
        assert_eq!(due, Due { latest: at("2026-01-10T12:00:00Z"), runs: 1, earlier: 2 });
        let skipped =
            berlin("0-10/5 2,5 * * *").until(at("2026-03-28T01:00:00Z"), at("2026-03-29T01:30:00Z"));
        assert_eq!(skipped, Due { latest: at("2026-03-29T01:00:00Z"), runs: 3, earlier: 6 });
    }

    #[test]
    fn the_latest_occurrence_is_found_beyond_the_limit_of_counting() {
        let minutes = berlin("* * * * *");
        let due = minutes.until(at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:30Z"));
        assert_eq!(due, Due { latest: at("2026-02-01T00:00:00Z"), runs: 1, earlier: MAX_COUNTED });
    }

    #[test]
    fn an_invalid_recurrence_names_its_field() {
        let parse = |cron: &str, zone: &str| Recurrence::parse(cron, zone).expect_err(cron);
        assert_eq!(parse("* * * * * *", "UTC"), InvalidRecurrence::Fields(6));
        assert_eq!(parse("0 0 30 2 *", "UTC"), InvalidRecurrence::Never);
        assert_eq!(parse("61 * * * *", "UTC").field(), "cron");
        assert_eq!(parse("* * * * *", "Mars/Olympus").field(), "timezone");
    }
}
