//! Extractors of query strings, list pages and path parameters.
//!
//! Invariant: an unknown or malformed parameter is rejected by name. If a misspelled filter were ignored, the answer
//! would be the whole list.

pub(crate) use crate::model::pagination::{Page, PageRequest, PageText};
use crate::model::{
    error::{ApiError, ErrorKind, FieldErrors},
    pagination::{MAX_PER_PAGE, decode_cursor},
};
use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use chrono::{DateTime, Datelike as _, Utc};
use std::{collections::BTreeMap, str::FromStr};
use uuid::Uuid;

const DEFAULT_PER_PAGE: i64 = 50;
/// Limits the characters of a search.
const MAX_SEARCH_CHARACTERS: usize = 200;

/// The query parameters of a request, read by [`ReadQuery`].
#[derive(Debug)]
pub(crate) struct Query<T>(pub T);

/// A type that is read from query parameters.
pub(crate) trait ReadQuery: Sized {
    fn read(parameters: &mut Parameters) -> Option<Self>;
}

impl<S: Sync, T: ReadQuery> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// No parameters at all.
#[derive(Debug)]
pub(crate) struct NoQuery;

impl ReadQuery for NoQuery {
    fn read(_: &mut Parameters) -> Option<Self> {
        Some(Self)
    }
}

fn parse<T: ReadQuery>(query: &str) -> Result<T, ApiError> {
    let mut parameters = Parameters::of(query);
    let value = T::read(&mut parameters);
    for name in std::mem::take(&mut parameters.values).into_keys() {
        parameters.errors.add(name, "Unknown parameter.");
    }
    parameters.errors.into_result()?;
    value.ok_or(ApiError::Internal("a query string was rejected without a field error".into()))
}

/// Query parameters, taken one by one.
#[derive(Debug)]
pub(crate) struct Parameters {
    values: BTreeMap<String, String>,
    pub errors: FieldErrors,
}

impl Parameters {
    fn of(query: &str) -> Self {
        let mut errors = FieldErrors::default();
        let mut values = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            if value.contains('\0') {
                errors.add(name, "Must not hold the NUL character.");
            } else if values.insert(name.clone(), value).is_some() {
                errors.add(name, "May be given once.");
            }
        }
        Self { values, errors }
    }

    /// Takes a parameter that may be left out.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.values.remove(name)
    }

    /// Returns a parameter without taking it.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Takes a parameter and parses it; `expected` completes the error "Must be".
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.errors.add(name, format!("Must be {expected}."));
        }
        value
    }

    /// Takes a whole number within bounds.
    pub(crate) fn number(&mut self, name: &'static str, least: i64, most: i64) -> Option<i64> {
        let expected = format!("a whole number from {least} to {most}");
        let number = self.parsed(name, &expected)?;
        if (least..=most).contains(&number) {
            return Some(number);
        }
        self.errors.add(name, format!("Must be {expected}."));
        None
    }

    /// Takes a time of the years that RFC 3339 can express, all of which the database can hold.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let expected = "an RFC 3339 time of the years 0000 to 9999";
        let time: DateTime<Utc> = self.parsed(name, expected)?;
        if (0..=9999).contains(&time.year()) {
            return Some(time);
        }
        self.errors.add(name, format!("Must be {expected}."));
        None
    }

    /// Takes one of the texts of an enum.
    pub(crate) fn choice(&mut self, name: &'static str, choices: &[&str]) -> Option<String> {
        let text = self.text(name)?;
        if choices.contains(&text.as_str()) {
            return Some(text);
        }
        self.errors.add(name, format!("Must be one of {}.", choices.join(", ")));
        None
    }

    /// Takes the `search` parameter, as an `ILIKE` pattern that matches it anywhere.
    pub(crate) fn search(&mut self) -> Option<String> {
        // An empty search box sends an empty parameter.
        let text = self.text("search").filter(|text| !text.is_empty())?;
        if text.chars().count() > MAX_SEARCH_CHARACTERS {
            self.errors.add("search", format!("Must have {MAX_SEARCH_CHARACTERS} characters at most."));
            return None;
        }
        let literal = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        Some(format!("%{literal}%"))
    }

    /// Takes the `per_page` parameter.
    pub(crate) fn per_page(&mut self) -> i64 {
        self.number("per_page", 1, MAX_PER_PAGE).unwrap_or(DEFAULT_PER_PAGE)
    }

    /// Takes the `cursor` and `per_page` parameters.
    pub(crate) fn page(&mut self) -> PageRequest {
        let per_page = self.per_page();
        let before = self.text("cursor").and_then(|cursor| {
            let id = decode_cursor(&cursor);
            if id.is_none() {
                self.errors.add("cursor", "Must be the next_cursor of an earlier page.");
            }
            id
        });
        PageRequest { before, per_page }
    }
}

/// The only parameter of a path. A path that is not UTF-8 is answered 404.
#[derive(Debug)]
pub(crate) struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.map(|Path(text)| Self(text)).map_err(|_| not_found())
    }
}

/// Returns the 404 error of a path without a route.
pub(crate) fn not_found() -> ApiError {
    ApiError::problem(ErrorKind::NotFound, "not_found", "Not found.")
}

/// Parses an id of a path. A text that is not a UUID is answered 404, like an id without a row.
pub(crate) fn path_id(text: &str, what: &'static str) -> Result<Uuid, ApiError> {
    Uuid::parse_str(text).map_err(|_| ApiError::not_found(what))
}

/// Returns the 405 error in the documented shape; axum adds `Allow`.
pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::problem(ErrorKind::MethodNotAllowed, "method_not_allowed", "Method not allowed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct TestQuery {
        page: PageRequest,
        search: Option<String>,
    }

    impl ReadQuery for TestQuery {
        fn read(parameters: &mut Parameters) -> Option<Self> {
            Some(Self { page: parameters.page(), search: parameters.search() })
        }
    }

    #[test]
    fn wildcards_in_a_search_are_literal() {
        let filter = parse::<TestQuery>("search=50%25_off").unwrap();
        assert_eq!(filter.search.as_deref(), Some("%50\\%\\_off%"));
        assert_eq!(filter.page.per_page, DEFAULT_PER_PAGE);
    }

    #[test]
    fn wrong_parameters_are_named() {
        let error = parse::<TestQuery>("per_page=101&cursor=x&serch=a&search=a&search=b").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cursor: Must be the next_cursor of an earlier page.; per_page: Must be a whole number from 1 to 100.; \
             search: May be given once.; serch: Unknown parameter."
        );
    }

    #[test]
    fn times_outside_of_the_years_of_rfc_3339_are_refused() {
        let read = |text: &str| {
            let mut parameters = Parameters::of(&format!("after={text}"));
            let time = parameters.time("after");
            assert_eq!(time.is_none(), parameters.errors.names("after"), "{text}");
            time.is_some()
        };
        for valid in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "2026-03-29T02:30:00%2B02:00"]
        {
            assert!(read(valid), "{valid}");
        }
        let refused = [
            "-9999-01-01T00:00:00Z",
            "-0001-12-31T23:59:59Z",
            "%2B10000-01-01T00:00:00Z",
            "%2B262142-12-31T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "0000-01-01T00:00:00%2B01:00",
            "2026-03-29",
            "yesterday",
        ];
        for refused in refused {
            assert!(!read(refused), "{refused}");
        }
    }

    #[test]
    fn the_cursor_of_a_page_leads_to_the_next() {
        let request = PageRequest { before: None, per_page: 2 };
        let ids = [Uuid::from_u128(3), Uuid::from_u128(2), Uuid::from_u128(1)];
        let page = |ids: &[Uuid]| -> serde_json::Value {
            serde_json::from_slice(&request.page(ids.to_vec(), |id| *id, |id| id).unwrap().0).unwrap()
        };
        let first = page(&ids);
        assert_eq!(first["results"], serde_json::json!(ids[..2]));
        assert_eq!(decode_cursor(first["next_cursor"].as_str().unwrap()), Some(ids[1]));
        assert_eq!(page(&ids[2..])["next_cursor"], serde_json::Value::Null);
    }
}
