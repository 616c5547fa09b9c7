//! One pass over a text's bytes for the bound of its nesting.

use super::{
    frame::{ANGLE_WEIGHT, Frame, ROOT},
    lexical::{Before, before_slash, goes_on, is_header, is_plain, is_word, regex_length},
};

/// Weight of the tokens that may each have opened a level and are all open at once. People stay below 200.
const MAX_OPEN: u32 = 1_000;
/// Where an arrow function's parameters look like something else, swc reads them both ways, at every level anew: its
/// time doubles with each `<T>` at an expression's start, `<T>(…)`, `(a = …)`, `[a = …]`, `{a = …}`, `infer` and arrow behind a `?`
/// that is open.
const AMBIGUOUS_WEIGHT: u32 = 110;
/// `a ? (b) : …`, ambiguous only together with the others.
const CONDITIONAL_WEIGHT: u32 = 50;
/// What a class extends is resolved twice, at every level anew.
const HERITAGE_WEIGHT: u32 = 50;
#[expect(clippy::struct_excessive_bools, reason = "what is known of the last tokens, each by itself")]
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) frames: Vec<Frame>,
    /// Sum of the counts of all frames.
    pub(super) open: u32,
    pub(super) before: Before,
    /// The last token was a `}` that ended no template's expression.
    pub(super) after_brace: bool,
    /// The last token was a `>` and no arrow.
    after_angle: bool,
    /// The last word was `if`, `while`, `for` or `with`, and no property name.
    header_word: bool,
    after_dot: bool,
    /// A token stands on this line. Where a line is fresh, a statement may start without a `;` before it.
    pub(super) line_has_token: bool,
    /// A `;` was seen, whose statement ends unless `else` follows.
    pending_reset: bool,
    /// Nothing is forgotten any more.
    pub(super) blind: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let root = Frame::new(ROOT, false, false);
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            frames: vec![root],
            open: 0,
            before: Before::Operator,
            after_brace: false,
            after_angle: false,
            header_word: false,
            after_dot: false,
            line_has_token: false,
            pending_reset: false,
            blind: false,
        }
    }

    /// The most that was open at once, or where that passed the limit.
    pub(super) fn run(mut self) -> Result<u32, usize> {
        let mut most = 0;
        while self.at < self.bytes.len() {
            self.step();
            most = most.max(self.open);
            if most > MAX_OPEN {
                return Err(self.at);
            }
        }
        Ok(most)
    }

    /// The next `<` where an operand may start, as JSX does.
    pub(super) fn next_prefix_angle(&mut self) -> Option<usize> {
        while self.at < self.bytes.len() {
            let at = self.at;
            let found =
                self.peek(0) == b'<' && self.before != Before::Value && !self.follows(b'<') && !self.blind;
            self.step();
            if found {
                return Some(at);
            }
        }
        None
    }

    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn starts_with(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    fn step(&mut self) {
        let byte = self.peek(0);
        if self.blind {
            self.at += 1;
            if !byte.is_ascii_whitespace() && (!is_word(byte) || !is_word(self.peek(0))) {
                self.open += 1;
            }
        } else if !self.skip(byte) {
            let fresh_line = !std::mem::replace(&mut self.line_has_token, true);
            if is_word(byte) {
                self.word(fresh_line);
            } else {
                self.punctuator(byte, fresh_line);
            }
        }
    }

    /// Moves over white space or a comment, if there is any.
    fn skip(&mut self, byte: u8) -> bool {
        match byte {
            b'\n' | b'\r' => {
                self.line_has_token = false;
                self.at += 1;
            }
            b' ' | b'\t' | 0x0b | 0x0c => {
                self.at += 1;
                // Indentation: the most frequent run of bytes.
                while self.peek(0) == b' ' {
                    self.at += 1;
                }
            }
            b'/' if matches!(self.peek(1), b'/' | b'*') => self.comment(),
            0x80.. => match self.wide_space() {
                Some(space) => {
                    self.line_has_token &= !matches!(space, '\u{2028}' | '\u{2029}');
                    self.at += space.len_utf8();
                }
                None => return false,
            },
            _ => {
                // Comments of HTML are comments in scripts and operators in modules.
                self.blind |= self.starts_with("<!--") || (self.starts_with("-->") && !self.line_has_token);
                return false;
            }
        }
        true
    }

    fn punctuator(&mut self, byte: u8, fresh_line: bool) {
        if std::mem::take(&mut self.pending_reset) || (byte == b'@' && fresh_line && self.ends_line()) {
            self.end_statement();
        }
        let header = std::mem::take(&mut self.header_word);
        self.after_dot = false;
        self.after_brace = false;
        let after_angle = std::mem::take(&mut self.after_angle);
        match byte {
            b'"' | b'\'' => self.string(byte),
            b'`' => {
                // A template is an operand, or a call of what stands before it.
                self.count(if after_angle { AMBIGUOUS_WEIGHT } else { 1 });
                self.at += 1;
                self.template();
            }
            b'(' | b'[' | b'{' => {
                self.count(1);
                let object = byte == b'{' && self.before == Before::Operator && !self.follows_arrow();
                self.frames.push(Frame::new(byte, header, object));
                if after_angle {
                    // `soft` stays as it is: it tells the first word of an element.
                    self.count_hard(AMBIGUOUS_WEIGHT);
                }
                self.before = Before::Operator;
                self.at += 1;
            }
            b')' | b']' | b'}' => self.close(byte),
            b';' => {
                self.pending_reset = true;
                self.before = Before::Operator;
                self.at += 1;
            }
            b'/' => self.slash(fresh_line),
            b'.' => self.dot(),
            b'<' => {
                let prefix = self.before != Before::Value && self.peek(1) != b'<' && !self.follows(b'<');
                self.operator(true, if prefix { AMBIGUOUS_WEIGHT } else { ANGLE_WEIGHT });
                if let Some(frame) = self.frames.last_mut()
                    && !prefix
                {
                    frame.angles += 1;
                }
            }
            b'=' if self.starts_default() => self.operator(false, AMBIGUOUS_WEIGHT),
            b',' => {
                self.end_element();
                self.before = Before::Operator;
                self.at += 1;
            }
            b':' => self.colon(),
            b'+' | b'-' if self.peek(1) == byte => {
                self.count(1);
                self.before = Before::Unknown;
                self.at += 2;
            }
            b'!' => {
                // TypeScript's `value!`, or the operator `!value`.
                let before = if self.before == Before::Operator { Before::Operator } else { Before::Unknown };
                self.operator(false, 1);
                self.before = if self.peek(0) == b'=' { Before::Operator } else { before };
            }
            b'>' => {
                // Comparison, arrow, or the end of type arguments.
                let arrow = self.follows(b'=');
                let conditional = self.frames.last().is_some_and(|frame| frame.question);
                self.operator(false, if arrow && conditional { AMBIGUOUS_WEIGHT } else { 1 });
                self.before = if arrow { Before::Operator } else { Before::Unknown };
                self.after_angle = !arrow;
                if !arrow {
                    self.close_angle();
                }
            }
            b'?' => {
                let parenthesis = self.bytes[self.at + 1..].trim_ascii_start().first() == Some(&b'(');
                self.operator(false, if parenthesis { CONDITIONAL_WEIGHT } else { 1 });
                if let Some(frame) = self.frames.last_mut() {
                    frame.question = true;
                }
            }
            b'@' => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.decorated = true;
                }
                self.operator(false, 1);
            }
            _ => self.operator(false, 1),
        }
    }

    fn operator(&mut self, hard: bool, weight: u32) {
        if hard {
            self.count_hard(weight);
        } else {
            self.count(weight);
        }
        self.before = Before::Operator;
        self.at += 1;
    }

    fn dot(&mut self) {
        self.count(1);
        if self.starts_with("...") {
            self.before = Before::Operator;
            self.at += 3;
        } else {
            self.after_dot = true;
            // The end of a number such as `1.` divides; nothing else may follow a dot.
            self.before = Before::Unknown;
            self.at += 1;
        }
    }

    /// Labels nest, and stay open over a `,`; the colons of properties don't.
    fn colon(&mut self) {
        let property = self.frames.last_mut().is_some_and(|frame| {
            let first = !std::mem::replace(&mut frame.colon, true);
            first && frame.object
        });
        self.operator(!property, 1);
    }

    fn follows(&self, byte: u8) -> bool {
        self.at > 0 && self.bytes[self.at - 1] == byte
    }

    /// At the `=` of `{a = …}`: a single one, right after the first word of a property.
    fn starts_default(&self) -> bool {
        let first_word = self.frames.last().is_some_and(|frame| {
            frame.soft == 0 && (matches!(frame.opener, b'(' | b'[') || (frame.opener == b'{' && frame.object))
        });
        first_word && self.before != Before::Operator && !matches!(self.peek(1), b'=' | b'>')
    }

    fn follows_arrow(&self) -> bool {
        self.bytes[..self.at].trim_ascii_end().ends_with(b"=>")
    }

    fn slash(&mut self, fresh_line: bool) {
        // A type such as `string` ends at the line end where a value would go on.
        let before = if fresh_line && self.before == Before::Value { Before::Unknown } else { self.before };
        let regex = if before == Before::Value { None } else { regex_length(&self.bytes[self.at..]) };
        match (before, regex) {
            (Before::Operator, Some(length)) => {
                self.at += length;
                self.before = Before::Value;
            }
            // It could be either, and the readings differ.
            (_, Some(_)) => self.blind = true,
            (_, None) => self.operator(false, 1),
        }
    }

    fn word(&mut self, fresh_line: bool) {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += self.bytes[self.at..].iter().take_while(|byte| is_plain(**byte)).count();
            match self.peek(0) {
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                b'{' if escaped && self.bytes[start..self.at].ends_with(b"\\u") => {
                    let digits = self.bytes[self.at + 1..].iter().take_while(|byte| byte.is_ascii_hexdigit());
                    self.at += 1 + digits.count();
                    self.at += usize::from(self.peek(0) == b'}');
                }
                0x80.. if self.wide_space().is_none() => self.at += 1,
                _ => break,
            }
        }
        let word = &self.bytes[start..self.at];
        let property = std::mem::take(&mut self.after_dot);
        let ended = std::mem::take(&mut self.pending_reset) && word != b"else";
        if (ended || (fresh_line && !goes_on(word) && self.ends_line())) && !self.closes_loop(word) {
            self.end_statement();
        }
        self.after_brace = false;
        let header_goes_on = self.header_word && word == b"await";
        self.header_word = !property && (header_goes_on || is_header(word));
        if property {
            self.before = Before::Value;
            return;
        }
        self.before = before_slash(word);
        let mut heritage = false;
        if let Some(frame) = self.frames.last_mut() {
            frame.looping |= word == b"do";
            heritage = word == b"extends" && std::mem::take(&mut frame.class_head);
            frame.class_head |= word == b"class";
        }
        // A header's word is followed by a value's bracket, not by a value.
        if self.header_word || matches!(word, b"else" | b"do") {
            self.count_hard(1);
        } else if heritage {
            self.count(HERITAGE_WEIGHT);
        } else if word == b"infer" {
            self.count(AMBIGUOUS_WEIGHT);
        } else if self.before != Before::Value || escaped {
            // Any other word is an operand or a name.
            self.count(1);
        }
    }

    /// Whether the line before may have been a whole statement, now that a word or `@` starts the next: its last token ended a
    /// block, or a value that is no decorator, and no bracket holds the lines together.
    fn ends_line(&mut self) -> bool {
        if !self.between_statements() {
            return false;
        }
        let decorated = self.before == Before::Value
            && self.frames.last_mut().is_some_and(|frame| std::mem::take(&mut frame.decorated));
        self.after_brace || (self.before == Before::Value && !decorated)
    }

    fn between_statements(&self) -> bool {
        self.frames.last().is_some_and(|frame| matches!(frame.opener, ROOT | b'{'))
    }

    fn closes_loop(&self, word: &[u8]) -> bool {
        word == b"while" && self.frames.last().is_some_and(|frame| frame.looping)
    }
}
