//! What is open, bracket by bracket, and when it is forgotten.

use super::{lexical::Before, scan::Scan};

/// swc tries type arguments at every `<`, in time that grows with the square of those open.
pub(super) const ANGLE_WEIGHT: u32 = 4;
pub(super) const ROOT: u8 = 0;
pub(super) const TEMPLATE: u8 = b'$';

/// An open bracket.
#[expect(clippy::struct_excessive_bools, reason = "what is known of the bracket, each by itself")]
pub(super) struct Frame {
    pub(super) opener: u8,
    /// The brackets belong to `if`, `while`, `for` or `with`.
    pub(super) header: bool,
    /// The braces stand where an expression or a type would: they hold properties rather than statements.
    pub(super) object: bool,
    /// Counted at this bracket's own level since its last `,`.
    pub(super) soft: u32,
    /// Counted since the last statement's end, and not ended by a `,`.
    pub(super) hard: u32,
    /// A `:` was seen since the last `,`: the next one is no property's.
    pub(super) colon: bool,
    /// A `?` was seen since the last `,`.
    pub(super) question: bool,
    /// How often [`ANGLE_WEIGHT`] is part of `hard`.
    pub(super) angles: u32,
    /// An `@` was seen, and since then no line that could start what is decorated.
    pub(super) decorated: bool,
    /// A `do` was seen since the last statement's end: a `while` may belong to it.
    pub(super) looping: bool,
    /// The next `extends` is that of a class, or of its type parameters.
    pub(super) class_head: bool,
}

impl Frame {
    pub(super) const fn new(opener: u8, header: bool, object: bool) -> Self {
        Self {
            opener,
            header,
            object,
            soft: 0,
            hard: 0,
            colon: false,
            question: false,
            angles: 0,
            decorated: false,
            looping: false,
            class_head: false,
        }
    }
}

impl Scan<'_> {
    /// What one `<` opened is closed; the operators that both may be were counted once, with the `>`.
    pub(super) fn close_angle(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && frame.angles > 0
        {
            frame.angles -= 1;
            frame.hard -= ANGLE_WEIGHT;
            self.open -= ANGLE_WEIGHT;
        }
    }

    pub(super) fn count(&mut self, weight: u32) {
        self.open += weight;
        if let Some(frame) = self.frames.last_mut() {
            frame.soft += weight;
        }
    }

    pub(super) fn count_hard(&mut self, weight: u32) {
        self.open += weight;
        if let Some(frame) = self.frames.last_mut() {
            frame.hard += weight;
        }
    }

    pub(super) fn end_element(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            self.open -= std::mem::take(&mut frame.soft);
            frame.colon = false;
            frame.question = false;
        }
    }

    pub(super) fn end_statement(&mut self) {
        self.end_element();
        if let Some(frame) = self.frames.last_mut() {
            self.open -= std::mem::take(&mut frame.hard);
            frame.angles = 0;
            frame.decorated = false;
            frame.looping = false;
        }
    }

    pub(super) fn close(&mut self, byte: u8) {
        self.at += 1;
        let expected = match byte {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        match self.frames.last() {
            Some(frame) if frame.opener == expected => {
                self.before = match byte {
                    b')' if frame.header => Before::Operator,
                    b'}' => Before::Unknown,
                    _ => Before::Value,
                };
                self.after_brace = byte == b'}';
                self.pop();
            }
            Some(frame) if frame.opener == TEMPLATE && byte == b'}' => {
                self.pop();
                self.template();
            }
            // No parser gets past an unmatched bracket; what follows is counted all the same.
            _ => self.blind = true,
        }
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.open -= frame.soft + frame.hard;
        }
    }
}
