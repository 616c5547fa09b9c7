//! Pages of a list: newest rows first, by id.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Limits the rows of one page.
pub(crate) const MAX_PER_PAGE: i64 = 100;

/// The requested page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Upper bound of the rows' ids, exclusive; all rows if `None`.
    pub before: Option<Uuid>,
    pub per_page: i64,
}

impl PageRequest {
    /// Returns the upper bound of the ids on this page, exclusive.
    pub fn below(&self) -> Uuid {
        self.before.unwrap_or(Uuid::max())
    }

    /// Returns the number of rows to read: one more than shown, which tells whether another page follows.
    pub const fn rows(&self) -> i64 {
        self.per_page + 1
    }

    /// Makes the page of `rows`, which were read with [`Self::rows`] as their limit.
    pub fn page<R, T>(&self, mut rows: Vec<R>, id: impl Fn(&R) -> Uuid, show: impl Fn(R) -> T) -> Page<T> {
        let shown = usize::try_from(self.per_page).unwrap_or(usize::MAX);
        let more = rows.len() > shown;
        rows.truncate(shown);
        let next_cursor = rows.last().filter(|_| more).map(|row| URL_SAFE_NO_PAD.encode(id(row)));
        Page { results: rows.into_iter().map(show).collect(), next_cursor }
    }
}

/// A page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub results: Vec<T>,
    /// Value of `cursor` for the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Decodes a `next_cursor`; `None` if the text is not one.
pub(crate) fn decode_cursor(cursor: &str) -> Option<Uuid> {
    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok())
}
