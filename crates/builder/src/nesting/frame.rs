//! Weights of open tokens per bracket, and the points at which they are removed.

use super::{lexical::TokenKind, scan::Scan};

/// Weight of a `<`: swc tries type arguments there, in time that grows with the square of the number of open ones.
pub(super) const ANGLE_WEIGHT: u32 = 4;
pub(super) const ROOT: u8 = 0;
pub(super) const TEMPLATE: u8 = b'$';

/// Point at which a weight is removed from its frame.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// The next `,`, or the end of the statement or bracket.
    ElementEnd,
    /// The end of the statement or bracket.
    StatementEnd,
}

/// Open bracket.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one bracket")]
pub(super) struct Frame {
    pub(super) opener: u8,
    /// The bracket belongs to `if`, `while`, `for` or `with`.
    pub(super) header: bool,
    /// The brace is in the position of an expression or a type: it contains properties rather than statements.
    pub(super) object: bool,
    /// Weight counted in this bracket since its last `,`.
    pub(super) element_weight: u32,
    /// Weight counted since the end of the last statement, which a `,` does not remove.
    pub(super) statement_weight: u32,
    /// A `:` was seen since the last `,`, so the next one does not belong to a property.
    pub(super) colon: bool,
    /// A `?` was seen since the last `,`.
    pub(super) question: bool,
    /// Number of times [`ANGLE_WEIGHT`] is part of `statement_weight`.
    pub(super) angles: u32,
    /// An `@` was seen, and since then no line that could start the decorated declaration.
    pub(super) decorated: bool,
    /// A `do` was seen since the end of the last statement, so a `while` may belong to it.
    pub(super) in_do_loop: bool,
    /// The next `extends` belongs to a class or to its type parameters.
    pub(super) class_head: bool,
}

impl Frame {
    pub(super) const fn new(opener: u8, header: bool, object: bool) -> Self {
        Self {
            opener,
            header,
            object,
            element_weight: 0,
            statement_weight: 0,
            colon: false,
            question: false,
            angles: 0,
            decorated: false,
            in_do_loop: false,
            class_head: false,
        }
    }
}

impl Scan<'_> {
    /// Removes the weight of one `<`. In case both are operators, they were counted once, with the `>`.
    pub(super) fn close_angle(&mut self) {
        if let Some(frame) = self.frames.last_mut()
            && frame.angles > 0
        {
            frame.angles -= 1;
            frame.statement_weight -= ANGLE_WEIGHT;
            self.open_weight -= ANGLE_WEIGHT;
        }
    }

    pub(super) fn count_in_element(&mut self, weight: u32) {
        self.count(Until::ElementEnd, weight);
    }

    pub(super) fn count(&mut self, until: Until, weight: u32) {
        self.open_weight += weight;
        if let Some(frame) = self.frames.last_mut() {
            match until {
                Until::ElementEnd => frame.element_weight += weight,
                Until::StatementEnd => frame.statement_weight += weight,
            }
        }
    }

    pub(super) fn end_element(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            self.open_weight -= std::mem::take(&mut frame.element_weight);
            frame.colon = false;
            frame.question = false;
        }
    }

    pub(super) fn end_statement(&mut self) {
        self.end_element();
        if let Some(frame) = self.frames.last_mut() {
            self.open_weight -= std::mem::take(&mut frame.statement_weight);
            frame.angles = 0;
            frame.decorated = false;
            frame.in_do_loop = false;
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
                self.last.kind = match byte {
                    b')' if frame.header => TokenKind::Operator,
                    b'}' => TokenKind::Unknown,
                    _ => TokenKind::Value,
                };
                self.last.is_brace = byte == b'}';
                self.pop();
            }
            Some(frame) if frame.opener == TEMPLATE && byte == b'}' => {
                self.pop();
                self.template();
            }
            // No parser gets past an unmatched bracket, but the tokens after it still count.
            _ => self.count_only = true,
        }
    }

    fn pop(&mut self) {
        if let Some(frame) = self.frames.pop() {
            self.open_weight -= frame.element_weight + frame.statement_weight;
        }
    }
}
