//! From the printer's marks to the segments of a source map.
//!
//! The printer marks where syntax nodes start and end. V8 also blames operators and brackets, which are no nodes, so
//! between two marks the generated and the author's text are compared, and each operator found in both gets a segment.

use super::source::{Position, Source};
use swc_common::{BytePos, LineCol};

/// Segments `(generated, original)`, ascending by generated position. `marks` count lines from `code`'s line
/// `first_line`; `base` is the position of the author's first byte.
pub(super) fn segments(
    marks: Vec<(BytePos, LineCol)>,
    code: &str,
    first_line: u32,
    base: u32,
    source: &Source<'_>,
) -> Vec<(Position, Position)> {
    let mut marks: Vec<(Position, usize)> = marks
        .into_iter()
        .filter_map(|(original, generated)| {
            let offset = original.0.checked_sub(base)? as usize;
            let generated = Position { line: generated.line + first_line, column: generated.col };
            (offset <= source.text.len()).then_some((generated, offset))
        })
        .collect();
    // Of several marks at one place the last is the innermost syntax: the sort is stable, so keep that.
    marks.sort_by_key(|mark| mark.0);
    let mut segments = Vec::with_capacity(marks.len() * 3 / 2);
    let mut marks = marks.into_iter().peekable();
    // Where the printer counts to be, and where V8 does, which knows more line ends.
    let mut here = Position { line: 0, column: 0 };
    let mut there = here;
    // Where in the author's text the walk is, as long as the two texts agree.
    let mut original: Option<usize> = None;
    let mut in_word = false;
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        let mut marked = false;
        while let Some((_, offset)) = marks.next_if(|mark| mark.0 <= here) {
            original = Some(offset);
            marked = true;
        }
        if character.is_whitespace() {
            if let (true, Some(offset)) = (marked, original) {
                segments.push((there, source.position(offset)));
            }
            in_word = false;
        } else if let Some(offset) = original {
            let (at, agree) = next_is(&source.text, offset, character);
            if marked {
                // A mark may be the end of a node, with space between it and what follows.
                segments.push((there, source.position(if agree { at } else { offset })));
            } else if agree && (is_operator(character) || (character == 'i' && !in_word)) {
                segments.push((there, source.position(at)));
            }
            original = agree.then(|| at + character.len_utf8());
            in_word = character.is_alphanumeric();
        }
        let width = if u32::from(character) > 0xffff { 2 } else { 1 };
        let ends_line = character == '\n' || (character == '\r' && characters.peek() != Some(&'\n'));
        advance(&mut here, ends_line, width);
        advance(&mut there, ends_line || matches!(character, '\u{2028}' | '\u{2029}'), width);
    }
    segments
}

/// Where the first character from `offset` on stands that is no white space, and whether it is this one.
fn next_is(text: &str, offset: usize, character: char) -> (usize, bool) {
    let bytes = text.as_bytes();
    let spaces = bytes.get(offset..).unwrap_or_default().iter();
    let at = offset + spaces.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    match bytes.get(at) {
        // Nearly every character is one of these, and needs no decoding.
        Some(&byte) if byte.is_ascii_graphic() => (at, u32::from(character) == u32::from(byte)),
        _ => {
            let rest = text.get(at..).unwrap_or_default().trim_start();
            (text.len() - rest.len(), rest.starts_with(character))
        }
    }
}

fn advance(position: &mut Position, ends_line: bool, width: u32) {
    if ends_line {
        *position = Position { line: position.line + 1, column: 0 };
    } else {
        position.column += width;
    }
}

/// Characters that operators V8 may blame start with; `in` and `instanceof` are the others.
const fn is_operator(character: char) -> bool {
    matches!(
        character,
        '=' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '!' | '&' | '|' | '^' | '~' | '?' | '(' | '['
    )
}
