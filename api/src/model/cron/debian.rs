//! Compares recurrences with a second implementation: the loop of Debian's cron, which wakes up every minute.
//!
//! It shares the time zones with the recurrences and nothing else: its fields are bits, and it knows no calendar.

use super::Recurrence;
use chrono::{DateTime, Datelike as _, Offset as _, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use std::collections::BTreeSet;

const EXPRESSIONS: [&str; 14] = [
    "0 2,14 * * *",
    "0 0,12 * * *",
    "0,30 2 * * *",
    "0-10/5 2 * * *",
    "30 1-3 * * *",
    "0-59/7 0-23 * * *",
    "15 0-23/2 1-31 * *",
    "30 2 * * 0",
    "45 23 28-31 * 6,0",
    "0 3 */2 * 0,6",
    "*/15 * * * *",
    "*/20 2 * * *",
    "30 * * * *",
    "0 */2 * * *",
];

/// Hours before and after a change of a clock that are compared.
const AROUND: TimeDelta = TimeDelta::hours(26);

/// A line of a crontab: the values of each field as bits, and the fields that begin with `*`.
struct Line {
    fields: [u64; 5],
    stars: [bool; 5],
}

impl Line {
    fn parse(expression: &str) -> Self {
        let mut line = Self { fields: [0; 5], stars: [false; 5] };
        let bounds = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        for (at, field) in expression.split(' ').enumerate() {
            line.stars[at] = field.starts_with('*');
            for item in field.split(',') {
                let (range, step) = item.split_once('/').unwrap_or((item, "1"));
                let (first, last) = match range.split_once('-') {
                    Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
                    None if range == "*" => bounds[at],
                    None => (range.parse().unwrap(), range.parse().unwrap()),
                };
                for value in (first..=last).step_by(step.parse().unwrap()) {
                    line.fields[at] |= 1 << value;
                }
            }
        }
        line.fields[4] |= line.fields[4] >> 7;
        line
    }

    fn is_wildcard(&self) -> bool {
        self.stars[0] || self.stars[1]
    }

    /// Tells whether the line matches a minute of the local clock, counted from 1970.
    fn matches(&self, minute: i64) -> bool {
        let has = |at: usize, value: u32| (self.fields[at] >> value) & 1 == 1;
        let of_day = u32::try_from(minute.rem_euclid(1440)).unwrap();
        if !has(0, of_day % 60) || !has(1, of_day / 60) {
            return false;
        }
        let date = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let (day, weekday) = (has(2, date.day()), has(4, date.weekday().num_days_from_sunday()));
        let is_day = if self.stars[2] || self.stars[4] { day && weekday } else { day || weekday };
        has(3, date.month()) && is_day
    }
}

/// Returns the minutes of `from..to` at which cron starts the line, each as often as it does.
fn simulate(line: &Line, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let clock = |moment: DateTime<Utc>| {
        let offset = zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc();
        (moment.timestamp() + i64::from(offset)).div_euclid(60)
    };
    let (wildcard, fixed) = (line.is_wildcard(), !line.is_wildcard());
    let mut runs = Vec::new();
    let mut moment = from;
    let mut virtual_time = clock(from - TimeDelta::minutes(1));
    while moment < to {
        let running = clock(moment);
        let mut start = |minute: i64, is_wanted: bool| {
            if is_wanted && line.matches(minute) {
                runs.push(moment);
            }
        };
        match running - virtual_time {
            1..=5 => (virtual_time + 1..=running).for_each(|minute| start(minute, true)),
            6..=180 => {
                start(running, wildcard);
                (virtual_time + 1..=running).for_each(|minute| start(minute, fixed));
            }
            -179..=0 => {
                start(running, wildcard);
                moment += TimeDelta::minutes(1);
                continue;
            }
            _ => start(running, true),
        }
        virtual_time = running;
        moment += TimeDelta::minutes(1);
    }
    runs
}

/// Returns the runs of a recurrence in `from..to`.
fn recur(recurrence: &Recurrence, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let next = |moment: &DateTime<Utc>| recurrence.next_after(*moment).filter(|next| *next < to);
    std::iter::successors(next(&(from - TimeDelta::seconds(1))), next)
        .flat_map(|moment| std::iter::repeat_n(moment, recurrence.runs_at(moment)))
        .collect()
}

/// Returns the hours in which the clock of a zone changes in the years.
fn changes(zone: Tz, years: std::ops::Range<i32>) -> Vec<DateTime<Utc>> {
    let at = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap();
    let offset = |moment: DateTime<Utc>| zone.offset_from_utc_datetime(&moment.naive_utc()).fix();
    let changes_within = |moment: DateTime<Utc>, step: TimeDelta| offset(moment) != offset(moment + step);
    let days =
        (0..(at(years.end) - at(years.start)).num_days()).map(|day| at(years.start) + TimeDelta::days(day));
    days.filter(|day| changes_within(*day, TimeDelta::days(1)))
        .flat_map(|day| (0..24).map(move |hour| day + TimeDelta::hours(hour)))
        .filter(|hour| changes_within(*hour, TimeDelta::hours(1)))
        .collect()
}

fn compare(zone: Tz, change: DateTime<Utc>) {
    let (from, to) = (change - AROUND, change + AROUND);
    for expression in EXPRESSIONS {
        let recurrence = Recurrence::parse(expression, zone.name()).unwrap();
        let (ours, debian) =
            (recur(&recurrence, from, to), simulate(&Line::parse(expression), zone, from, to));
        assert_eq!(ours, debian, "{expression} in {zone} around {change}");
    }
}

/// Identifies changes that are alike: what the clock shows before and after, on which weekday.
fn kind_of(zone: Tz, change: DateTime<Utc>) -> (u32, u32, i32, i32) {
    let offset =
        |moment: DateTime<Utc>| zone.offset_from_utc_datetime(&moment.naive_utc()).fix().local_minus_utc();
    let local = change.with_timezone(&zone);
    let later = change + TimeDelta::hours(1);
    (
        local.hour() * 60 + local.minute(),
        local.weekday().num_days_from_sunday(),
        offset(later) - offset(change),
        offset(change) % 3_600,
    )
}

#[test]
fn each_kind_of_change_fires_as_under_debians_cron() {
    let mut known = BTreeSet::new();
    for zone in TZ_VARIANTS {
        for change in changes(zone, 2023..2027) {
            if known.insert(kind_of(zone, change)) {
                compare(zone, change);
            }
        }
    }
    assert!(known.len() > 20, "{} kinds of changes", known.len());
    let samoa = Utc.with_ymd_and_hms(2011, 12, 30, 10, 0, 0).unwrap();
    compare(Tz::Pacific__Apia, samoa);
    for change in changes(Tz::Antarctica__Casey, 2009..2012) {
        compare(Tz::Antarctica__Casey, change);
    }
}

#[test]
#[ignore = "takes minutes: make cron"]
fn all_changes_of_20_years_fire_as_under_debians_cron() {
    let mut compared = 0;
    for zone in TZ_VARIANTS {
        for change in changes(zone, 2010..2031) {
            compare(zone, change);
            compared += 1;
        }
        // A quiet day.
        compare(zone, Utc.with_ymd_and_hms(2026, 2, 28, 0, 0, 0).unwrap());
    }
    println!("{compared} changes of {} zones, {} expressions each", TZ_VARIANTS.len(), EXPRESSIONS.len());
}
