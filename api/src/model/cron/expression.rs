//! Parses a cron expression: five fields as in Debian's crontab, or a nickname such as `@daily`. Pure.

use super::InvalidRecurrence;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// A field of an expression.
struct Field {
    name: &'static str,
    /// Number of its values, which limits a step.
    size: u16,
    /// Words that it may hold.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", size: 60, words: &[] },
    Field { name: "hour", size: 24, words: &[] },
    Field { name: "day of month", size: 31, words: &["L", "W", "LW"] },
    Field {
        name: "month",
        size: 12,
        words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    Field {
        name: "day of week",
        size: 7,
        words: &[
            "SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L", "SUNL", "MONL", "TUEL", "WEDL", "THUL",
            "FRIL", "SATL",
        ],
    },
];

/// Nicknames and the five fields that each stands for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A cron expression that was parsed.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) cron: Cron,
    /// Tells whether minute or hour begin with `*`. Such an expression follows the clock through its changes: it names
    /// no fixed times that could be lost.
    pub(super) is_wildcard: bool,
}

/// Parses an expression.
pub(super) fn parse(text: &str) -> Result<Expression, InvalidRecurrence> {
    let fields: Vec<&str> = expand(text)?.split_whitespace().collect();
    let [minute, hour, day, _, weekday] = fields[..] else {
        return Err(InvalidRecurrence::Fields(fields.len()));
    };
    for (field, value) in FIELDS.iter().zip(&fields) {
        check(field, value)?;
    }
    let begins_with_star = |field: &str| field.starts_with(['*', '?']);
    // As in crontab: a day has to match both fields if one of them begins with `*` (`*/2`), else either of them.
    let both_days = begins_with_star(day) || begins_with_star(weekday);
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .dom_and_dow(both_days)
        .build();
    let cron = parser
        .parse(&fields.join(" "))
        .map_err(|error| InvalidRecurrence::Expression(error.to_string().trim_end_matches('.').to_owned()))?;
    Ok(Expression { cron, is_wildcard: begins_with_star(minute) || begins_with_star(hour) })
}

/// Returns the five fields of a nickname, and any other text as it is.
fn expand(text: &str) -> Result<&str, InvalidRecurrence> {
    let text = text.trim();
    if !text.starts_with('@') {
        return Ok(text);
    }
    let nickname = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    nickname.map(|(_, fields)| *fields).ok_or_else(|| {
        let names = NICKNAMES.map(|(name, _)| name).join(", ");
        InvalidRecurrence::Expression(format!("{text} is none of {names}"))
    })
}

/// Checks what the parser lets pass: empty items, steps that no second value follows, words of other fields.
fn check(field: &Field, value: &str) -> Result<(), InvalidRecurrence> {
    let Field { name, size, words } = field;
    let invalid = |rule: String| Err(InvalidRecurrence::Expression(format!("{name} {value}: {rule}")));
    for item in value.split(',') {
        if item.is_empty() {
            return invalid("an item of the list is empty".into());
        }
        if let Some((_, step)) = item.split_once('/')
            && !step.parse().is_ok_and(|step: u16| (1..=*size).contains(&step))
        {
            return invalid(format!("a step must be a whole number from 1 to {size}"));
        }
        let mut found = item.split(|letter: char| !letter.is_alphabetic()).filter(|word| !word.is_empty());
        if let Some(word) = found.find(|word| !words.iter().any(|known| known.eq_ignore_ascii_case(word))) {
            return invalid(format!("{word} is no value of this field"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nicknames_stand_for_five_fields() {
        for (nickname, fields) in NICKNAMES {
            let (one, other) = (parse(nickname).unwrap(), parse(fields).unwrap());
            assert_eq!((one.cron, one.is_wildcard), (other.cron, other.is_wildcard), "{nickname}");
        }
        assert!(parse("@Daily").is_ok());
        let refused = parse("@reboot").unwrap_err().to_string();
        assert!(refused.contains("@reboot is none of @hourly, @daily"), "{refused}");
    }

    #[test]
    fn steps_lists_and_words_are_checked_in_each_field() {
        for (expression, part) in [
            ("*/61 * * * *", "minute */61: a step must be a whole number from 1 to 60"),
            ("0-59/0 * * * *", "minute 0-59/0: a step must be"),
            ("0 */25 * * *", "hour */25: a step must be a whole number from 1 to 24"),
            ("0 0 * * */8", "day of week */8: a step must be a whole number from 1 to 7"),
            ("1,,2 * * * *", "minute 1,,2: an item of the list is empty"),
            ("0 0 1, * *", "day of month 1,: an item of the list is empty"),
            ("jan * * * *", "minute jan: jan is no value of this field"),
            ("0 0 * janfeb *", "month janfeb: janfeb is no value of this field"),
        ] {
            let error = parse(expression).unwrap_err().to_string();
            assert!(error.contains(part), "{expression}: {error}");
        }
        for valid in [
            "*/60 */24 * * *",
            "0 9 * jan-mar,dec mon-fri",
            "0 9 L * *",
            "0 9 LW * *",
            "0 9 * * 5L",
            "0 9 * * fri#2",
        ] {
            assert!(parse(valid).is_ok(), "{valid}");
        }
    }

    #[test]
    fn only_minute_and_hour_make_an_expression_a_wildcard() {
        for (expression, is_wildcard) in
            [("0 2 * * *", false), ("0-59 2 * * *", false), ("0 */2 * * *", true), ("*/5 2 * * *", true)]
        {
            assert_eq!(parse(expression).unwrap().is_wildcard, is_wildcard, "{expression}");
        }
    }
}
