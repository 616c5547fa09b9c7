//! Entity tags: the state of a row that a client has seen, compared with the row's current state.

use super::error::ApiError;
use chrono::{DateTime, Utc};

/// An entity tag, with its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etag(String);

impl Etag {
    /// Returns the tag of a row: its version and the time of its last change, to the microsecond.
    pub(crate) fn of_row(version: i32, updated_at: DateTime<Utc>) -> Self {
        Self(format!("\"{version}-{}\"", updated_at.timestamp_micros()))
    }

    /// Returns the tag of a text without quotes.
    pub(crate) fn of_text(text: &str) -> Self {
        Self(format!("\"{text}\""))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether a header's list of tags contains this one; `*` matches all.
    pub(crate) fn is_in(&self, list: &str) -> bool {
        // A proxy that compresses the body makes a tag weak; the state it names is the same.
        list.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }
}

/// The states of a row that a change may start from: the values of `If-Match`, or any state without one.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpectedState(Option<Vec<String>>);

impl ExpectedState {
    /// Any state.
    pub(crate) const ANY: Self = Self(None);

    /// Returns the states named by these lists of tags.
    pub(crate) const fn of_lists(lists: Vec<String>) -> Self {
        Self(Some(lists))
    }

    /// Returns an error if the client has not seen the state `current`.
    pub(crate) fn check(&self, current: &Etag) -> Result<(), ApiError> {
        match &self.0 {
            Some(lists) if !lists.iter().any(|list| current.is_in(list)) => Err(ApiError::stale()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_tag_of_a_list_matches() {
        let tag = Etag::of_text("a-1");
        for (list, is_known) in
            [("\"a-1\"", true), ("\"x\", W/\"a-1\"", true), ("*", true), ("\"a-2\"", false)]
        {
            assert_eq!(tag.is_in(list), is_known, "{list}");
            let expected = ExpectedState::of_lists(vec![list.to_owned()]);
            assert_eq!(expected.check(&tag).is_ok(), is_known, "{list}");
        }
        assert!(ExpectedState::ANY.check(&tag).is_ok());
    }
}
