//! Cron expressions in a time zone: the times at which a schedule fires. Pure.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// Number of fields of an expression: minute, hour, day of month, month, day of week.
const FIELDS: usize = 5;
/// Limits the occurrences that are counted between two moments; further ones are not counted.
const MAX_COUNTED: usize = 10_000;

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
///
/// A time that is skipped when clocks go forward fires at the first moment that exists. A fixed time that occurs twice
/// when they go back fires once.
#[derive(Clone, Debug)]
pub(crate) struct Recurrence {
    cron: Cron,
    zone: Tz,
}

impl Recurrence {
    /// Parses both. An expression that can never match (30 February) is an error.
    pub(crate) fn parse(expression: &str, timezone: &str) -> Result<Self, InvalidRecurrence> {
        let zone = timezone.parse().map_err(|_| InvalidRecurrence::TimeZone)?;
        let fields = expression.split_whitespace().count();
        if fields != FIELDS {
            return Err(InvalidRecurrence::Fields(fields));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron =
            parser.parse(expression).map_err(|error| InvalidRecurrence::Expression(error.to_string()))?;
        let recurrence = Self { cron, zone };
        recurrence.next_after(Utc::now()).ok_or(InvalidRecurrence::Never)?;
        Ok(recurrence)
    }

    /// Returns the first occurrence after `moment`, or `None` if the calendar ends before it.
    #[must_use]
    pub(crate) fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.cron.find_next_occurrence(&moment.with_timezone(&self.zone), false).ok()?;
        Some(next.with_timezone(&Utc))
    }

    /// Returns the occurrences from `due` (itself one) up to `now`: the latest, and the number of earlier ones.
    #[must_use]
    pub(crate) fn until(&self, due: DateTime<Utc>, now: DateTime<Utc>) -> Due {
        let (mut latest, mut earlier) = (due, 0);
        while earlier < MAX_COUNTED
            && let Some(next) = self.next_after(latest)
            && next <= now
        {
            latest = next;
            earlier += 1;
        }
        Due { latest, earlier }
    }
}

/// Occurrences that are due together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub latest: DateTime<Utc>,
    /// Number of due occurrences before the latest.
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

    #[test]
    fn a_time_of_day_follows_the_zone_in_summer_and_winter() {
        let nine = berlin("0 9 * * *");
        assert_eq!(nine.next_after(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T08:00:00Z")));
        assert_eq!(nine.next_after(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T07:00:00Z")));
    }

    #[test]
    fn a_fixed_time_in_a_skipped_hour_still_fires_once() {
        // Clocks went from 02:00 to 03:00 on 29 March 2026.
        let half_past_two = berlin("30 2 * * *");
        let first = half_past_two.next_after(at("2026-03-29T00:00:00Z")).expect("an occurrence");
        assert!((at("2026-03-29T01:00:00Z")..=at("2026-03-29T01:30:00Z")).contains(&first), "{first}");
        assert_eq!(half_past_two.next_after(first), Some(at("2026-03-30T00:30:00Z")));
    }

    #[test]
    fn a_fixed_time_in_a_repeated_hour_fires_once() {
        // Clocks went from 03:00 to 02:00 on 25 October 2026.
        let half_past_two = berlin("30 2 * * *");
        let first = half_past_two.next_after(at("2026-10-24T22:00:00Z")).expect("an occurrence");
        assert_eq!(first, at("2026-10-25T00:30:00Z"));
        assert_eq!(half_past_two.next_after(first), Some(at("2026-10-26T01:30:00Z")));
    }

    #[test]
    fn occurrences_missed_during_an_outage_are_counted() {
        let hourly = berlin("0 * * * *");
        let due = hourly.until(at("2026-01-10T10:00:00Z"), at("2026-01-10T12:30:00Z"));
        assert_eq!(due, Due { latest: at("2026-01-10T12:00:00Z"), earlier: 2 });
    }

    #[test]
    fn an_invalid_recurrence_names_its_field() {
        let parse = |cron: &str, zone: &str| Recurrence::parse(cron, zone).expect_err(cron);
        assert_eq!(parse("* * * * * *", "UTC"), InvalidRecurrence::Fields(6));
        assert_eq!(parse("@daily", "UTC"), InvalidRecurrence::Fields(1));
        assert_eq!(parse("0 0 30 2 *", "UTC"), InvalidRecurrence::Never);
        assert_eq!(parse("61 * * * *", "UTC").field(), "cron");
        assert_eq!(parse("* * * * *", "Mars/Olympus").field(), "timezone");
    }
}
