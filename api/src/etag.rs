//! Entity tags: what a client has seen, and whether it still holds.

use crate::error::ApiError;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use chrono::{DateTime, Utc};

/// An entity tag, with its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// Of a row that says when it was changed, to the microsecond.
    pub fn of_row(version: i32, updated_at: DateTime<Utc>) -> Self {
        Self(format!("\"{version}-{}\"", updated_at.timestamp_micros()))
    }

    /// Of text without quotes.
    pub fn of_text(text: &str) -> Self {
        Self(format!("\"{text}\""))
    }

    /// The header that carries it.
    pub fn header(&self) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::from_str(&self.0).expect("tags are made of digits, letters and dashes");
        (header::ETAG, value)
    }

    /// Whether the client has this already (`If-None-Match`).
    pub fn is_known(&self, headers: &HeaderMap) -> bool {
        self.is_among(headers, header::IF_NONE_MATCH)
    }

    /// Refuses a change of a row that the client has not seen as it is (`If-Match`).
    pub fn check_match(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        if headers.contains_key(header::IF_MATCH) && !self.is_among(headers, header::IF_MATCH) {
            return Err(ApiError::stale());
        }
        Ok(())
    }

    fn is_among(&self, headers: &HeaderMap, name: HeaderName) -> bool {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|list| {
            // A proxy that compresses makes a tag weak; what it names is the same.
            list.split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_tag_of_a_list_matches() {
        let tag = Etag::of_text("a-1");
        for (list, known) in [("\"a-1\"", true), ("\"x\", W/\"a-1\"", true), ("*", true), ("\"a-2\"", false)]
        {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static(list))]);
            assert_eq!(tag.is_known(&headers), known, "{list}");
        }
        assert!(tag.check_match(&HeaderMap::new()).is_ok());
    }
}
