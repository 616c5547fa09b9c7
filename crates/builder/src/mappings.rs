//! Segments of a source map, made from the printer's marks.
//!
//! The printer marks where syntax nodes start and end. V8 also reports errors at operators and brackets, which are not
//! nodes. So the generated and the author's text are compared between two marks, and each operator found in both gets a
//! segment.

use crate::{
    source::{Position, Source},
    source_map::Encoder,
    writer::Mark,
};
use std::{iter::Peekable, slice::Iter};

/// Encodes the source map of `code`. `marks` must ascend by generated offset.
pub(super) fn encode(marks: &[Mark], code: &str, source: &Source<'_>) -> Encoder {
    let mut walk = Walk {
        code,
        source,
        marks: marks.iter().peekable(),
        encoder: Encoder::with_capacity(marks.len() * 3 / 2),
        at: 0,
        position: Position::default(),
        original: None,
        in_word: false,
    };
    walk.skip_word();
    while let Some(character) = walk.character() {
        let marked = walk.take_marks();
        walk.compare(character, marked);
        walk.advance(character);
        walk.skip_word();
    }
    walk.encoder
}

/// Walk through the generated code and the author's text side by side.
struct Walk<'a> {
    code: &'a str,
    source: &'a Source<'a>,
    marks: Peekable<Iter<'a, Mark>>,
    encoder: Encoder,
    /// Byte offset into the generated code.
    at: usize,
    /// Position of `at`, with lines as V8 counts them.
    position: Position,
    /// Byte offset into the author's text, as long as the two texts agree.
    original: Option<usize>,
    in_word: bool,
}

impl Walk<'_> {
    /// Moves past the rest of a word that is the same in both texts and unmarked, as most characters are.
    fn skip_word(&mut self) {
        let (true, Some(offset)) = (self.in_word, self.original) else { return };
        let code = self.code.as_bytes();
        let end = self.marks.peek().map_or(code.len(), |mark| mark.generated.clamp(self.at, code.len()));
        let original = self.source.text.as_bytes().get(offset..).unwrap_or_default();
        let same = code[self.at..end].iter().zip(original);
        let length = same.take_while(|(a, b)| a == b && a.is_ascii_alphanumeric()).count();
        self.original = Some(offset + length);
        self.at += length;
        self.position.column += u32::try_from(length).unwrap_or(u32::MAX);
    }

    fn character(&self) -> Option<char> {
        match self.code.as_bytes().get(self.at)? {
            // Nearly every character is one byte and needs no decoding.
            byte if byte.is_ascii() => Some(char::from(*byte)),
            _ => self.code.get(self.at..)?.chars().next(),
        }
    }

    /// Takes the marks up to here and returns whether there were any. Of several marks at one offset, the last belongs
    /// to the innermost syntax.
    fn take_marks(&mut self) -> bool {
        let mut marked = false;
        while let Some(mark) = self.marks.next_if(|mark| mark.generated <= self.at) {
            self.original = Some(mark.original);
            marked = true;
        }
        marked
    }

    /// Adds a segment for a marked character, and for an operator that is the next character of both texts.
    fn compare(&mut self, character: char, marked: bool) {
        if character.is_whitespace() {
            if let (true, Some(offset)) = (marked, self.original) {
                self.encoder.push(self.position, self.source.position(offset));
            }
            self.in_word = false;
        } else if let Some(offset) = self.original {
            let (next, agree) = next_is(&self.source.text, offset, character);
            if marked {
                // A mark may be the end of a node, followed by white space.
                self.encoder.push(self.position, self.source.position(if agree { next } else { offset }));
            } else if agree && (is_operator(character) || (character == 'i' && !self.in_word)) {
                self.encoder.push(self.position, self.source.position(next));
            }
            self.original = agree.then(|| next + character.len_utf8());
            self.in_word = character.is_alphanumeric();
        }
    }

    fn advance(&mut self, character: char) {
        self.at += character.len_utf8();
        let ends_line = match character {
            '\n' | '\u{2028}' | '\u{2029}' => true,
            '\r' => self.code.as_bytes().get(self.at) != Some(&b'\n'),
            _ => false,
        };
        if ends_line {
            self.position = Position { line: self.position.line + 1, column: 0 };
        } else {
            self.position.column += if character.len_utf8() == 4 { 2 } else { 1 };
        }
    }
}

/// Offset of the first character from `offset` on that is not white space, and whether it is `character`.
fn next_is(text: &str, offset: usize, character: char) -> (usize, bool) {
    let bytes = text.as_bytes();
    let spaces = bytes.get(offset..).unwrap_or_default().iter();
    let at = offset + spaces.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    match bytes.get(at) {
        // Nearly every character is printable ASCII and needs no decoding.
        Some(&byte) if byte.is_ascii_graphic() => (at, u32::from(character) == u32::from(byte)),
        _ => {
            let rest = text.get(at..).unwrap_or_default().trim_start();
            (text.len() - rest.len(), rest.starts_with(character))
        }
    }
}

/// Returns whether an operator at which V8 may report an error starts with the character. The operators `in` and
/// `instanceof` start with a letter instead.
const fn is_operator(character: char) -> bool {
    matches!(
        character,
        '=' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '!' | '&' | '|' | '^' | '~' | '?' | '(' | '['
    )
}
