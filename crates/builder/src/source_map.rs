//! Source maps (revision 3) of one source: written into builds, and read back for stack traces.
//!
//! Invariant: positions are 0-based here, and segments ascend by generated position.

use crate::source::Position;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

/// Prefix of the inline map at the end of a build.
const COMMENT: &str = "//# sourceMappingURL=data:application/json;base64,";

/// Mapping from positions of a build to positions of the author's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMap {
    /// Pairs `(generated, original)`.
    segments: Vec<(Position, Position)>,
}

#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    mappings: &'a str,
}

impl SourceMap {
    /// Reads the inline map at the end of a build. `None` if it is missing or malformed.
    pub fn of_build(code: &str) -> Option<Self> {
        let encoded = &code[code.rfind(COMMENT)? + COMMENT.len()..];
        let json = STANDARD.decode(encoded.trim_end()).ok()?;
        let json: Json<'_> = serde_json::from_slice(&json).ok()?;
        decode_mappings(json.mappings).map(|segments| Self { segments })
    }

    /// Returns the position in the author's text of a generated position.
    ///
    /// `None` for code that the author did not write: code before the first segment.
    pub fn original(&self, generated: Position) -> Option<Position> {
        let after = self.segments.partition_point(|segment| segment.0 <= generated);
        let (at, original) = *self.segments.get(after.checked_sub(1)?)?;
        // A line without segments belongs to the wrapper.
        (at.line == generated.line).then_some(original)
    }
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const START: &str = r#"{"version":3,"sources":["script"],"names":[],"mappings":""#;
const END: &str = r#""}"#;

/// Writer of a map, segment by segment.
pub(super) struct Encoder {
    json: Vec<u8>,
    /// Generated position of the last segment.
    generated: Position,
    original: Position,
    first_on_line: bool,
}

impl Encoder {
    pub(super) fn with_capacity(segments: usize) -> Self {
        let mut json = Vec::with_capacity(START.len() + segments * 6 + END.len());
        json.extend_from_slice(START.as_bytes());
        Self { json, generated: Position::default(), original: Position::default(), first_on_line: true }
    }

    /// Appends a segment. `generated` must ascend from call to call.
    pub(super) fn push(&mut self, generated: Position, original: Position) {
        while self.generated.line < generated.line {
            self.json.push(b';');
            self.generated = Position { line: self.generated.line + 1, column: 0 };
            self.first_on_line = true;
        }
        if !self.first_on_line {
            self.json.push(b',');
        }
        self.first_on_line = false;
        self.push_difference(self.generated.column, generated.column);
        // The index of the source is always 0.
        self.push_difference(0, 0);
        self.push_difference(self.original.line, original.line);
        self.push_difference(self.original.column, original.column);
        self.generated = generated;
        self.original = original;
    }

    fn push_difference(&mut self, from: u32, to: u32) {
        let mut rest = u64::from(from.abs_diff(to)) << 1 | u64::from(to < from);
        loop {
            let digit = (rest & 31) as usize;
            rest >>= 5;
            self.json.push(DIGITS[digit | if rest > 0 { 32 } else { 0 }]);
            if rest == 0 {
                return;
            }
        }
    }

    /// Appends the comment that contains the map: one line, without a line end.
    pub(super) fn append_to(mut self, code: &mut String) {
        self.json.extend_from_slice(END.as_bytes());
        let encoded = STANDARD.encode(self.json);
        code.reserve_exact(COMMENT.len() + encoded.len());
        code.push_str(COMMENT);
        code.push_str(&encoded);
    }
}

fn decode_mappings(text: &str) -> Option<Vec<(Position, Position)>> {
    let mut segments = Vec::new();
    let mut original = [0_i64; 3];
    for (line, segments_of_line) in text.split(';').enumerate() {
        let line = u32::try_from(line).ok()?;
        let mut column = 0_i64;
        for segment in segments_of_line.split(',').filter(|segment| !segment.is_empty()) {
            let mut digits = segment.bytes();
            column = column.checked_add(next_vlq(&mut digits)?)?;
            if digits.len() == 0 {
                continue;
            }
            for field in &mut original {
                *field = field.checked_add(next_vlq(&mut digits)?)?;
            }
            let [_, original_line, original_column] = original;
            segments.push((
                Position { line, column: u32::try_from(column).ok()? },
                Position {
                    line: u32::try_from(original_line).ok()?,
                    column: u32::try_from(original_column).ok()?,
                },
            ));
        }
    }
    Some(segments)
}

fn next_vlq(digits: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut value = 0_i64;
    for shift in (0..60).step_by(5) {
        let digit = digits.next()?;
        let digit = i64::try_from(DIGITS.iter().position(|&known| known == digit)?).ok()?;
        value |= (digit & 31) << shift;
        if digit & 32 == 0 {
            return Some(if value & 1 == 1 { -(value >> 1) } else { value >> 1 });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    #[test]
    fn a_source_map_round_trips_through_its_comment() {
        let segments = vec![
            (at(1, 0), at(0, 0)),
            (at(1, 30), at(0, 1000)),
            (at(4, 2), at(0, 7)),
            (at(4, 9), at(70_000, 3)),
        ];
        let mut encoder = Encoder::with_capacity(segments.len());
        for &(generated, original) in &segments {
            encoder.push(generated, original);
        }
        let mut build = "code;\n".to_owned();
        encoder.append_to(&mut build);
        assert_eq!(SourceMap::of_build(&build), Some(SourceMap { segments }));
    }

    #[test]
    fn a_position_between_segments_maps_to_the_previous_one() {
        let map = SourceMap { segments: vec![(at(1, 4), at(0, 2)), (at(1, 8), at(0, 6))] };
        assert_eq!(map.original(at(1, 7)), Some(at(0, 2)));
        assert_eq!(map.original(at(1, 8)), Some(at(0, 6)));
        assert_eq!(map.original(at(1, 3)), None);
        assert_eq!(map.original(at(2, 3)), None, "the wrapper's lines have no original");
    }

    #[test]
    fn an_invalid_source_map_is_ignored() {
        assert_eq!(SourceMap::of_build("1 + 1"), None);
        assert_eq!(SourceMap::of_build(&format!("{COMMENT}%%%")), None);
        let bad = STANDARD.encode(r#"{"mappings":"A!"}"#);
        assert_eq!(SourceMap::of_build(&format!("{COMMENT}{bad}")), None);
    }
}
