//! Pages of a list: newest rows first, by id.

use super::error::ApiError;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Limits the rows of one page.
pub(crate) const MAX_PER_PAGE: i64 = 100;
/// Limits the bytes of one page: of its rows as they are read, and of its JSON. A page of larger rows ends early. Every
/// row alone has fewer bytes.
pub(crate) const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The rows that fit a page, by key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fitting<K> {
    pub keys: Vec<K>,
    /// True if another row follows.
    pub more: bool,
}

/// Returns the rows that fit a page of `per_page` rows and [`MAX_PAGE_BYTES`], the first one in any case. `sizes` are
/// the keys and the bytes of its rows, and of one more.
pub(crate) fn fitting<K>(per_page: i64, sizes: impl Iterator<Item = (K, i32)>) -> Fitting<K> {
    let most = usize::try_from(per_page).unwrap_or(usize::MAX);
    let (mut keys, mut bytes) = (Vec::new(), 0_usize);
    for (key, size) in sizes {
        bytes = bytes.saturating_add(usize::try_from(size).unwrap_or(0));
        if keys.len() == most || (!keys.is_empty() && bytes > MAX_PAGE_BYTES) {
            return Fitting { keys, more: true };
        }
        keys.push(key);
    }
    Fitting { keys, more: false }
}

/// The rows of a page.
#[derive(Debug)]
pub(crate) struct PageRows<R> {
    pub rows: Vec<R>,
    /// True if other rows follow.
    pub more: bool,
}

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
    pub(crate) fn page<R, T: Serialize>(
        &self,
        rows: Vec<R>,
        id: impl Fn(&R) -> Uuid,
        show: impl Fn(R) -> T,
    ) -> Result<PageText, ApiError> {
        self.page_of(PageRows { rows, more: false }, id, show)
    }

    /// Makes the page of rows that fit it.
    pub(crate) fn page_of<R, T: Serialize>(
        &self,
        rows: PageRows<R>,
        id: impl Fn(&R) -> Uuid,
        show: impl Fn(R) -> T,
    ) -> Result<PageText, ApiError> {
        PageText::of(self.per_page, rows, |row| URL_SAFE_NO_PAD.encode(id(row)), show)
    }
}

/// A page as JSON text, in the form of [`Page`].
#[derive(Debug)]
pub(crate) struct PageText(pub Vec<u8>);

impl PageText {
    /// Makes a page of at most `per_page` rows and about [`MAX_PAGE_BYTES`], and of one row at least, if there is one.
    /// `cursor` returns the text from which the page after a row starts.
    pub(crate) fn of<R, T: Serialize>(
        per_page: i64,
        PageRows { rows, mut more }: PageRows<R>,
        cursor: impl Fn(&R) -> String,
        show: impl Fn(R) -> T,
    ) -> Result<Self, ApiError> {
        let most = usize::try_from(per_page).unwrap_or(usize::MAX);
        let mut text = b"{\"results\":[".to_vec();
        let (mut shown, mut last) = (0, None);
        for row in rows {
            if shown == most {
                more = true;
                break;
            }
            let (end, next) = (text.len(), cursor(&row));
            if shown > 0 {
                text.push(b',');
            }
            write_json(&mut text, &show(row))?;
            if shown > 0 && text.len() > MAX_PAGE_BYTES {
                text.truncate(end);
                more = true;
                break;
            }
            (shown, last) = (shown + 1, Some(next));
        }
        text.extend_from_slice(b"],\"next_cursor\":");
        write_json(&mut text, &last.filter(|_| more))?;
        text.push(b'}');
        Ok(Self(text))
    }
}

fn write_json(text: &mut Vec<u8>, value: &impl Serialize) -> Result<(), ApiError> {
    serde_json::to_writer(text, value)
        .map_err(|error| ApiError::Internal(format!("a row of a page is not JSON: {error}").into()))
}

/// A page of a list, newest first. It ends early, with a cursor, if its rows are large.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    pub results: Vec<T>,
    /// Value of `cursor` for the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Decodes a `next_cursor`; `None` if the text is not one.
pub(crate) fn decode_cursor(cursor: &str) -> Option<Uuid> {
    URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn rows<R>(rows: Vec<R>) -> PageRows<R> {
        PageRows { rows, more: false }
    }

    fn parsed(page: Result<PageText, ApiError>) -> Value {
        serde_json::from_slice(&page.unwrap().0).unwrap()
    }

    #[test]
    fn rows_are_read_up_to_the_number_and_bytes_of_a_page() {
        let of = |keys: &[u8], more| Fitting { keys: keys.to_vec(), more };
        let fit = |sizes: &[(u8, i32)]| fitting(2, sizes.iter().copied());
        let most = i32::try_from(MAX_PAGE_BYTES).unwrap();
        assert_eq!(fit(&[]), of(&[], false));
        assert_eq!(fit(&[(3, 1), (2, most - 1)]), of(&[3, 2], false));
        assert_eq!(fit(&[(3, 1), (2, 1), (1, 1)]), of(&[3, 2], true));
        assert_eq!(fit(&[(3, 1), (2, most)]), of(&[3], true));
        assert_eq!(fit(&[(3, i32::MAX), (2, 0)]), of(&[3], true));
    }

    #[test]
    fn a_page_ends_before_the_row_that_exceeds_its_bytes() {
        // Each character of a row is six of JSON, so that a fifth row exceeds the limit.
        let rows: Vec<(u128, String)> = (1..=9).rev().map(|id| (id, "\u{1}".repeat(160 * 1024))).collect();
        let request = PageRequest { before: None, per_page: 100 };
        let id = |row: &(u128, String)| Uuid::from_u128(row.0);
        let PageText(text) = request.page(rows, id, |row| row).unwrap();
        assert!(text.len() < MAX_PAGE_BYTES + 100, "{}", text.len());
        let page: Value = serde_json::from_slice(&text).unwrap();
        let ids: Vec<u64> =
            page["results"].as_array().unwrap().iter().map(|row| row[0].as_u64().unwrap()).collect();
        assert_eq!(ids, [9, 8, 7, 6]);
        assert_eq!(decode_cursor(page["next_cursor"].as_str().unwrap()), Some(Uuid::from_u128(6)));
    }

    #[test]
    fn a_page_has_one_row_at_least() {
        let texts = vec!["x".repeat(MAX_PAGE_BYTES), String::new()];
        let page = parsed(PageText::of(100, rows(texts), |row: &String| row.len().to_string(), |row| row));
        assert_eq!(page["results"].as_array().unwrap().len(), 1);
        assert_eq!(page["next_cursor"], MAX_PAGE_BYTES.to_string());
    }

    #[test]
    fn a_list_without_rows_is_an_empty_page() {
        let page = parsed(PageText::of(1, rows(Vec::<u8>::new()), u8::to_string, |row| row));
        assert_eq!(page, serde_json::json!({"results": [], "next_cursor": null}));
    }
}
