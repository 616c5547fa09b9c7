//! From the printer's marks to the segments of a source map.
//!
//! The printer marks where syntax nodes start and end. V8 also blames operators and brackets, which are no nodes, so
//! between two marks the generated and the author's text are compared, and each operator found in both gets a segment.

use crate::{
    source::{Position, Source},
    source_map::Encoder,
    writer::Mark,
};

/// The source map of `code`, whose `marks` ascend by generated place.
pub(super) fn encode(marks: &[Mark], code: &str, source: &Source<'_>) -> Encoder {
    let mut encoder = Encoder::with_capacity(marks.len() * 3 / 2);
    let mut marks = marks.iter().peekable();
    // Lines as V8 counts them.
    let mut here = Position { line: 0, column: 0 };
    // Where in the author's text the walk is, as long as the two texts agree.
    let mut original: Option<usize> = None;
    let mut in_word = false;
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        // Most characters are the rest of a word, the same in both texts and unmarked.
        if let (true, Some(offset)) = (in_word, original) {
            let end = marks.peek().map_or(bytes.len(), |mark| mark.generated.clamp(at, bytes.len()));
            let same = bytes[at..end].iter().zip(source.text.as_bytes().get(offset..).unwrap_or_default());
            let length = same.take_while(|(a, b)| a == b && a.is_ascii_alphanumeric()).count();
            original = Some(offset + length);
            at += length;
            here.column += u32::try_from(length).unwrap_or(u32::MAX);
            if at == bytes.len() {
                break;
            }
        }
        let byte = bytes[at];
        // Nearly every character is one byte, and needs no decoding.
        let (character, length) = if byte.is_ascii() {
            (char::from(byte), 1)
        } else {
            let Some(character) = code.get(at..).and_then(|rest| rest.chars().next()) else { break };
            (character, character.len_utf8())
        };
        let mut marked = false;
        // Of several marks at one place the last is the innermost syntax.
        while let Some(mark) = marks.next_if(|mark| mark.generated <= at) {
            original = Some(mark.original);
            marked = true;
        }
        if character.is_whitespace() {
            if let (true, Some(offset)) = (marked, original) {
                encoder.push(here, source.position(offset));
            }
            in_word = false;
        } else if let Some(offset) = original {
            let (place, agree) = next_is(&source.text, offset, character);
            if marked {
                // A mark may be the end of a node, with space between it and what follows.
                encoder.push(here, source.position(if agree { place } else { offset }));
            } else if agree && (is_operator(character) || (character == 'i' && !in_word)) {
                encoder.push(here, source.position(place));
            }
            original = agree.then(|| place + length);
            in_word = character.is_alphanumeric();
        }
        at += length;
        let ends_line = match character {
            '\n' | '\u{2028}' | '\u{2029}' => true,
            '\r' => bytes.get(at) != Some(&b'\n'),
            _ => false,
        };
        if ends_line {
            here = Position { line: here.line + 1, column: 0 };
        } else {
            here.column += if length == 4 { 2 } else { 1 };
        }
    }
    encoder
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

/// Characters that operators V8 may blame start with; `in` and `instanceof` are the others.
const fn is_operator(character: char) -> bool {
    matches!(
        character,
        '=' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '!' | '&' | '|' | '^' | '~' | '?' | '(' | '['
    )
}
