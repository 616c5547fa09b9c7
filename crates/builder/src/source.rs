//! Text of an author, with an index of its lines.
//!
//! Invariant: every offset is a byte offset into [`Source::text`]. It differs from the text that the author sent only
//! by a byte order mark (dropped; editors don't count it) and by a hashbang (turned into a comment of the same length).

use std::{borrow::Cow, cell::Cell};

/// Position in the author's text: 0-based line and column, the column in UTF-16 units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// Parsed text, with the index that converts its offsets to positions.
pub(super) struct Source<'a> {
    pub(super) text: Cow<'a, str>,
    /// Ascending; never empty.
    lines: Vec<Line>,
    /// Entry per character that takes more bytes than UTF-16 units: the offset after it, and the total surplus up to
    /// there.
    surplus: Vec<(u32, u32)>,
    /// Line of the previous lookup. Lookups mostly come in the order of the text.
    last_line: Cell<usize>,
}

struct Line {
    /// Byte offset of the line's first character.
    start: u32,
    /// Bytes minus UTF-16 units of the text before the line.
    surplus: u32,
}

impl<'a> Source<'a> {
    pub(super) fn new(code: &'a str) -> Self {
        let code = code.trim_start_matches('\u{feff}');
        let text = match code.strip_prefix("#!") {
            Some(rest) => Cow::Owned(format!("//{rest}")),
            None => Cow::Borrowed(code),
        };
        let (lines, surplus) = index(&text);
        Self { text, lines, surplus, last_line: Cell::new(0) }
    }

    /// Converts a byte offset to a position. An offset beyond the end gives the end.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = to_u32(offset.min(self.text.len()));
        let index = self.line_of(offset);
        let line = &self.lines[index];
        let total = self.surplus.last().map_or(0, |&(_, total)| total);
        let is_wide = self.lines.get(index + 1).map_or(total, |next| next.surplus) > line.surplus;
        let surplus = if is_wide { self.surplus_before(offset) - line.surplus } else { 0 };
        Position { line: to_u32(index), column: offset - line.start - surplus }
    }

    fn line_of(&self, offset: u32) -> usize {
        let holds = |line: usize| {
            self.lines.get(line).is_some_and(|line| line.start <= offset)
                && self.lines.get(line + 1).is_none_or(|next| offset < next.start)
        };
        let last = self.last_line.get();
        let line = match (holds(last), holds(last + 1)) {
            (true, _) => last,
            (false, true) => last + 1,
            _ => self.lines.partition_point(|line| line.start <= offset) - 1,
        };
        self.last_line.set(line);
        line
    }

    fn surplus_before(&self, offset: u32) -> u32 {
        match self.surplus.partition_point(|&(after, _)| after <= offset) {
            0 => 0,
            index => self.surplus[index - 1].1,
        }
    }
}

/// Finds line starts and wide characters. Lines end at ECMAScript's line terminators, as in V8: LF, CR, CRLF, U+2028
/// and U+2029.
fn index(text: &str) -> (Vec<Line>, Vec<(u32, u32)>) {
    let bytes = text.as_bytes();
    let mut lines = vec![Line { start: 0, surplus: 0 }];
    let mut surplus = Vec::new();
    let mut total = 0;
    let mut at = 0;
    while at < bytes.len() {
        // Most blocks are ASCII without a line end; one comparison skips a whole block.
        while let Some(block) = bytes[at..].first_chunk::<16>()
            && block.iter().filter(|byte| !(0x0e..0x80).contains(*byte)).count() == 0
        {
            at += block.len();
        }
        if at == bytes.len() {
            break;
        }
        let width = match bytes[at] {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
            b'\n' | b'\r' => 1,
            0..0x80 => {
                at += 1;
                continue;
            }
            lead => {
                let (width, units) = match lead {
                    0x80..0xe0 => (2, 1),
                    0xe0..0xf0 => (3, 1),
                    _ => (4, 2),
                };
                total += width - units;
                surplus.push((to_u32(at) + width, total));
                let separator = matches!(text.get(at..at + width as usize), Some("\u{2028}" | "\u{2029}"));
                at += width as usize;
                if separator {
                    lines.push(Line { start: to_u32(at), surplus: total });
                }
                continue;
            }
        };
        at += width;
        lines.push(Line { start: to_u32(at), surplus: total });
    }
    (lines, surplus)
}

/// Converts an offset. The code limit (256 KiB) keeps offsets far below `u32::MAX`.
fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(text: &str, needle: &str) -> (u32, u32) {
        let source = Source::new(text);
        let position = source.position(source.text.find(needle).expect("the needle is in the text"));
        (position.line, position.column)
    }

    #[test]
    fn every_line_terminator_of_ecmascript_starts_a_line() {
        assert_eq!(position("a\nb\r\nc\rd\u{2028}e\u{2029}f", "f"), (5, 0));
        assert_eq!(position("a\r\n\r\nx", "x"), (2, 0));
    }

    #[test]
    fn columns_count_utf16_units() {
        assert_eq!(position("é ü 漢 x", "x"), (0, 6));
        assert_eq!(position("\n😀 = x", "x"), (1, 5));
    }

    #[test]
    fn a_bom_takes_no_column_and_a_hashbang_is_a_comment() {
        assert_eq!(position("\u{feff}x", "x"), (0, 0));
        assert_eq!(Source::new("#!/usr/bin/env node\nx").text, "///usr/bin/env node\nx");
    }

    #[test]
    fn an_offset_behind_the_end_is_the_end() {
        assert_eq!(Source::new("ab").position(99), Position { line: 0, column: 2 });
    }
}
