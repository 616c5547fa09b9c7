//! Configuration from environment variables, read once, with all problems reported together.
//!
//! Invariant: a reader reads all variables before it fails, so that an administrator sees every mistake of a deployment
//! at once. No problem quotes a value, which may be a secret.
//!
//! ```
//! # use shared::config::{EnvReader, Problems, Secret};
//! struct Config { database_url: Secret, port: u16 }
//!
//! fn read(mut environment: EnvReader) -> Result<Config, Problems> {
//!     let database_url = environment.secret("DATABASE_URL");
//!     let port = environment.parse_or("PORT", 3000);
//!     environment.finish(|| Some(Config { database_url: database_url?, port }))
//! }
//!
//! let problems = read([("PORT", "web")].into()).err().unwrap();
//! assert_eq!(
//!     problems.to_string(),
//!     "configuration: DATABASE_URL is required; PORT must be a whole number from 0 to 65535"
//! );
//! ```

pub mod reference;

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

/// Text that is never shown in logs, errors or debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the text, for the code that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

/// Problem of one variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub name: &'static str,
    /// Requirement that the variable does not meet, as the rest of a sentence that begins with its name.
    pub rule: String,
}

/// All problems of a configuration.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("configuration: {}", .0.iter().map(|problem| format!("{} {}", problem.name, problem.rule)).collect::<Vec<_>>().join("; "))]
pub struct Problems(pub Vec<Problem>);

/// Variable that a program reads, for the configuration reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredVariable {
    pub name: &'static str,
    pub default: DefaultValue,
}

/// Meaning of a variable that is not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The program does not start.
    Required,
    /// The feature is off.
    None,
    Value(String),
    /// The value is computed from the machine, as this text describes.
    Computed(&'static str),
}

/// Number with its range, for the message about a malformed value.
pub trait Number: FromStr + Display + PartialOrd + Copy {
    const MIN: Self;
    const MAX: Self;
}

macro_rules! numbers {
    ($($number:ty),+) => { $(impl Number for $number { const MIN: Self = <$number>::MIN; const MAX: Self = <$number>::MAX; })+ };
}
numbers!(u8, u16, u32, u64, usize, i16, i32, i64);

/// Reader of environment variables, which collects the problems of those that were read.
#[derive(Debug)]
pub struct EnvReader {
    values: BTreeMap<String, Secret>,
    declared: Vec<DeclaredVariable>,
    problems: Vec<Problem>,
}

impl EnvReader {
    /// Reads the environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_process() -> Self {
        // `vars` would panic on a name or value that is not UTF-8. RunnerCtl has no such variable.
        let utf8 = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        utf8.collect()
    }

    /// Reads a text. An empty variable counts as not set: deployment templates often contain one.
    pub fn optional(&mut self, name: &'static str) -> Option<String> {
        self.declare(name, DefaultValue::None);
        self.get(name)
    }

    /// Reads a text, or returns `default`.
    pub fn text_or(&mut self, name: &'static str, default: &str) -> String {
        self.declare(name, DefaultValue::Value(default.to_owned()));
        self.get(name).unwrap_or_else(|| default.to_owned())
    }

    /// Reads a required text. Records a problem if it is not set.
    pub fn required(&mut self, name: &'static str) -> Option<String> {
        self.required_as(name, |text| Ok::<_, std::convert::Infallible>(text.to_owned()))
    }

    /// Reads a required secret. Records a problem if it is not set.
    pub fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.required(name).map(Secret)
    }

    /// Reads a required value with `parse`, whose error is the rest of a sentence that begins with `name`.
    pub fn required_as<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.declare(name, DefaultValue::Required);
        let Some(text) = self.get(name) else {
            self.problem(name, "is required");
            return None;
        };
        parse(&text).map_err(|error| self.problem(name, error.to_string())).ok()
    }

    /// Reads an optional value with `parse`. `None` if the variable is not set, or if its problem was recorded.
    pub fn optional_as<T, E: Display>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.optional(name)?;
        parse(&text).map_err(|error| self.problem(name, error.to_string())).ok()
    }

    /// Reads a whole number, or returns `default`.
    pub fn parse_or<T: Number>(&mut self, name: &'static str, default: T) -> T {
        self.number_in(name, default, T::MIN..=T::MAX)
    }

    /// Reads a whole number in `range`, or returns `default`.
    pub fn number_in<T: Number>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T {
        self.declare(name, DefaultValue::Value(default.to_string()));
        self.number(name, default, range)
    }

    /// Reads a whole number in `range`, or returns `computed`, which was computed from the machine as `how` describes.
    pub fn number_or_computed<T: Number>(
        &mut self,
        name: &'static str,
        how: &'static str,
        computed: T,
        range: RangeInclusive<T>,
    ) -> T {
        self.declare(name, DefaultValue::Computed(how));
        self.number(name, computed, range)
    }

    fn number<T: Number>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T {
        let Some(text) = self.get(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(
                    name,
                    format!("must be a whole number from {} to {}", range.start(), range.end()),
                );
                default
            }
        }
    }

    /// Reads a duration in whole milliseconds, at least 1, or returns `default`.
    pub fn millis_or(&mut self, name: &'static str, default: Duration) -> Duration {
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.number_in(name, default, 1..=MAX_MILLIS))
    }

    /// Reads a duration in whole seconds, or returns `default`.
    pub fn seconds_or(&mut self, name: &'static str, default: Duration) -> Duration {
        Duration::from_secs(self.number_in(name, default.as_secs(), 0..=MAX_MILLIS / 1000))
    }

    /// Reads a flag: `1`, `true`, `yes`, `on` or their opposites. False if not set.
    pub fn flag(&mut self, name: &'static str) -> bool {
        self.declare(name, DefaultValue::Value("0".to_owned()));
        match self.get(name).map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("0" | "false" | "no" | "off") => false,
            Some("1" | "true" | "yes" | "on") => true,
            Some(_) => {
                self.problem(name, "must be 1 or 0");
                false
            }
        }
    }

    /// Reads a comma-separated list of texts, trimmed and without empty ones. Empty if not set.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// Reads an enum by its text, or returns `default`.
    pub fn choice_or<T: Copy + Display>(&mut self, name: &'static str, default: T, choices: &[T]) -> T {
        self.declare(name, DefaultValue::Value(default.to_string()));
        let Some(text) = self.get(name) else { return default };
        choices.iter().copied().find(|choice| choice.to_string() == text).unwrap_or_else(|| {
            let names = choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.problem(name, format!("must be one of {names}"));
            default
        })
    }

    /// Records a problem found by the caller, such as two values that contradict each other.
    pub fn problem(&mut self, name: &'static str, rule: impl Into<String>) {
        self.problems.push(Problem { name, rule: rule.into() });
    }

    /// Returns every variable read so far, in the order of reading.
    #[must_use]
    pub fn declared(&self) -> &[DeclaredVariable] {
        &self.declared
    }

    /// Returns the value of `build`, or all problems. `build` may use `?` on required values.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Problems> {
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        build().ok_or(Problems(self.problems))
    }

    fn get(&self, name: &str) -> Option<String> {
        let text = self.values.get(name)?.expose().trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn declare(&mut self, name: &'static str, default: DefaultValue) {
        if self.declared.iter().all(|known| known.name != name) {
            self.declared.push(DeclaredVariable { name, default });
        }
    }
}

/// Maximum duration, in milliseconds: one week. A longer one is probably a mistake in the unit.
const MAX_MILLIS: u64 = 7 * 24 * 3600 * 1000;

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for EnvReader {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let values = variables.into_iter().map(|(name, value)| (name.into(), Secret(value.into()))).collect();
        Self { values, declared: Vec::new(), problems: Vec::new() }
    }
}

impl<const COUNT: usize> From<[(&str, &str); COUNT]> for EnvReader {
    fn from(variables: [(&str, &str); COUNT]) -> Self {
        variables.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_together() {
        let mut environment =
            EnvReader::from([("PORT", "70000"), ("SANDBOX_STRICT", "maybe"), ("LOG_FORMAT", "xml")]);
        let database_url = environment.secret("DATABASE_URL");
        environment.parse_or("PORT", 3000_u16);
        environment.flag("SANDBOX_STRICT");
        environment.choice_or("LOG_FORMAT", "json", &["json", "pretty"]);
        let problems = environment.finish(|| database_url).unwrap_err();
        assert_eq!(
            problems.to_string(),
            "configuration: DATABASE_URL is required; PORT must be a whole number from 0 to 65535; \
             SANDBOX_STRICT must be 1 or 0; LOG_FORMAT must be one of json, pretty"
        );
    }

    #[test]
    fn values_are_typed_and_trimmed_and_defaults_hold() {
        let mut environment = EnvReader::from([
            ("EXECUTION_TIMEOUT_MS", " 1500 "),
            ("EMPTY", ""),
            ("ALLOWED", "a, b,,"),
            ("SANDBOX_STRICT", "1"),
        ]);
        assert_eq!(
            environment.millis_or("EXECUTION_TIMEOUT_MS", Duration::ZERO),
            Duration::from_millis(1500)
        );
        assert_eq!(environment.parse_or("EMPTY", 7_u32), 7);
        assert_eq!(environment.optional("EMPTY"), None);
        assert_eq!(environment.list("ALLOWED"), ["a", "b"]);
        assert!(environment.flag("SANDBOX_STRICT"));
        assert_eq!(
            environment.seconds_or("DRAIN_TIMEOUT_S", Duration::from_secs(30)),
            Duration::from_secs(30)
        );
        assert_eq!(environment.finish(|| Some(())), Ok(()));
    }

    #[test]
    fn a_problem_never_quotes_the_value() {
        let mut environment = EnvReader::from([("ENCRYPTION_KEY", "hunter2"), ("PORT", "hunter2")]);
        environment.required_as("ENCRYPTION_KEY", crate::encryption::Keyring::parse);
        environment.parse_or("PORT", 3000_u16);
        assert!(!format!("{environment:?}").contains("hunter2"));
        let problems = environment.finish(|| Some(())).unwrap_err();
        assert_eq!(problems.0.len(), 2);
        assert!(!problems.to_string().contains("hunter2"));
    }

    #[test]
    fn a_variable_read_twice_is_declared_once() {
        let mut environment = EnvReader::from([]);
        environment.required("DATABASE_URL");
        environment.parse_or("PORT", 3000_u16);
        environment.parse_or("PORT", 3000_u16);
        let declared: Vec<_> = environment.declared().iter().map(|variable| variable.name).collect();
        assert_eq!(declared, ["DATABASE_URL", "PORT"]);
    }
}
