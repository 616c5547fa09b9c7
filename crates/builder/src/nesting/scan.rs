//! Single pass over a text's bytes that bounds the depth of its syntax tree.

use super::{
    frame::{ANGLE_WEIGHT, Frame, ROOT, Until},
    lexical::{TokenKind, classify_word, continues_statement, is_header, is_plain, is_word, regex_length},
};

/// Maximum weight of the tokens that may each have opened a level and are open at the same time. Real code stays below
/// 200.
const MAX_OPEN_WEIGHT: u32 = 1_000;
/// Weight of a token that makes swc parse twice. Where an arrow function's parameters look like something else, swc
/// tries both readings, again at every level: its time doubles with each open `<T>` at an expression's start, `<T>(…)`,
/// `(a = …)`, `[a = …]`, `{a = …}`, `infer` and arrow after a `?`.
const AMBIGUOUS_WEIGHT: u32 = 110;
/// Weight of `a ? (b) : …`, which is ambiguous only together with the others.
const CONDITIONAL_WEIGHT: u32 = 50;
/// Weight of a class's `extends`: the superclass is resolved twice, again at every level.
const HERITAGE_WEIGHT: u32 = 50;

/// State of the scan.
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) frames: Vec<Frame>,
    /// Sum of the weights of all frames.
    pub(super) open_weight: u32,
    pub(super) last: LastToken,
    /// The current line has a token. On a line without one, a statement may start without a preceding `;`.
    pub(super) line_has_token: bool,
    /// A `;` was seen. Its statement ends unless `else` follows.
    pending_statement_end: bool,
    /// Set once every token counts and no weight is removed any more.
    pub(super) count_only: bool,
}

/// Facts about the last token.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one token")]
pub(super) struct LastToken {
    pub(super) kind: TokenKind,
    /// The token was a `}` that did not end the expression of a template.
    pub(super) is_brace: bool,
    /// The last punctuator was a `>` that is not part of an arrow.
    is_angle: bool,
    /// The last word was `if`, `while`, `for` or `with`, and not a property name.
    is_header: bool,
    /// The token was a `.` that is not part of `...`.
    is_dot: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let last = LastToken {
            kind: TokenKind::Operator,
            is_brace: false,
            is_angle: false,
            is_header: false,
            is_dot: false,
        };
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            frames: vec![Frame::new(ROOT, false, false)],
            open_weight: 0,
            last,
            line_has_token: false,
            pending_statement_end: false,
            count_only: false,
        }
    }

    /// Returns the largest open weight, or the offset at which it passes the limit.
    pub(super) fn run(mut self) -> Result<u32, usize> {
        let mut most = 0;
        while self.at < self.bytes.len() {
            self.step();
            most = most.max(self.open_weight);
            if most > MAX_OPEN_WEIGHT {
                return Err(self.at);
            }
        }
        Ok(most)
    }

    /// Moves past the next `<` at which an operand may start, as JSX does, and returns its offset.
    pub(super) fn next_prefix_angle(&mut self) -> Option<usize> {
        while self.at < self.bytes.len() {
            let at = self.at;
            let found = self.peek(0) == b'<'
                && self.last.kind != TokenKind::Value
                && !self.follows(b'<')
                && !self.count_only;
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
        if self.count_only {
            self.at += 1;
            if !byte.is_ascii_whitespace() && (!is_word(byte) || !is_word(self.peek(0))) {
                self.open_weight += 1;
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

    /// Moves past white space or a comment. Returns whether there was any.
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
                // HTML-like comments are comments in scripts and operators in modules.
                self.count_only |=
                    self.starts_with("<!--") || (self.starts_with("-->") && !self.line_has_token);
                return false;
            }
        }
        true
    }

    fn punctuator(&mut self, byte: u8, fresh_line: bool) {
        if std::mem::take(&mut self.pending_statement_end) || (byte == b'@' && fresh_line && self.ends_line())
        {
            self.end_statement();
        }
        let header = std::mem::take(&mut self.last.is_header);
        self.last.is_dot = false;
        self.last.is_brace = false;
        let after_angle = std::mem::take(&mut self.last.is_angle);
        match byte {
            b'"' | b'\'' => self.string(byte),
            b'`' => self.open_template(after_angle),
            b'(' | b'[' | b'{' => self.open_bracket(byte, header, after_angle),
            b')' | b']' | b'}' => self.close(byte),
            b'/' => self.slash(fresh_line),
            b'.' => self.dot(),
            b'<' => self.less_than(),
            b'>' => self.greater_than(),
            b'?' => self.question_mark(),
            b'!' => self.exclamation_mark(),
            b':' => self.colon(),
            b'@' => self.at_sign(),
            b';' => {
                self.pending_statement_end = true;
                self.move_past(1, TokenKind::Operator);
            }
            b',' => {
                self.end_element();
                self.move_past(1, TokenKind::Operator);
            }
            b'+' | b'-' if self.peek(1) == byte => {
                self.count_in_element(1);
                self.move_past(2, TokenKind::Unknown);
            }
            b'=' if self.starts_default() => self.operator(Until::ElementEnd, AMBIGUOUS_WEIGHT),
            _ => self.operator(Until::ElementEnd, 1),
        }
    }

    fn move_past(&mut self, length: usize, kind: TokenKind) {
        self.at += length;
        self.last.kind = kind;
    }

    fn operator(&mut self, until: Until, weight: u32) {
        self.count(until, weight);
        self.move_past(1, TokenKind::Operator);
    }

    /// Opens a template: an operand, or a call of the preceding operand.
    fn open_template(&mut self, after_angle: bool) {
        self.count_in_element(if after_angle { AMBIGUOUS_WEIGHT } else { 1 });
        self.at += 1;
        self.template();
    }

    fn open_bracket(&mut self, byte: u8, header: bool, after_angle: bool) {
        self.count_in_element(1);
        let object = byte == b'{' && self.last.kind == TokenKind::Operator && !self.follows_arrow();
        self.frames.push(Frame::new(byte, header, object));
        if after_angle {
            // `element_weight` stays 0: it marks the first word of an element.
            self.count(Until::StatementEnd, AMBIGUOUS_WEIGHT);
        }
        self.move_past(1, TokenKind::Operator);
    }

    fn less_than(&mut self) {
        let prefix = self.last.kind != TokenKind::Value && self.peek(1) != b'<' && !self.follows(b'<');
        self.operator(Until::StatementEnd, if prefix { AMBIGUOUS_WEIGHT } else { ANGLE_WEIGHT });
        if let Some(frame) = self.frames.last_mut()
            && !prefix
        {
            frame.angles += 1;
        }
    }

    /// Reads a comparison, an arrow, or the end of type arguments.
    fn greater_than(&mut self) {
        let arrow = self.follows(b'=');
        let conditional = self.frames.last().is_some_and(|frame| frame.question);
        self.operator(Until::ElementEnd, if arrow && conditional { AMBIGUOUS_WEIGHT } else { 1 });
        self.last.kind = if arrow { TokenKind::Operator } else { TokenKind::Unknown };
        self.last.is_angle = !arrow;
        if !arrow {
            self.close_angle();
        }
    }

    fn question_mark(&mut self) {
        let parenthesis = self.bytes[self.at + 1..].trim_ascii_start().first() == Some(&b'(');
        self.operator(Until::ElementEnd, if parenthesis { CONDITIONAL_WEIGHT } else { 1 });
        if let Some(frame) = self.frames.last_mut() {
            frame.question = true;
        }
    }

    /// Reads TypeScript's `value!`, or the operators `!value` and `!=`.
    fn exclamation_mark(&mut self) {
        let is_prefix = self.last.kind == TokenKind::Operator;
        self.operator(Until::ElementEnd, 1);
        if !is_prefix && self.peek(0) != b'=' {
            self.last.kind = TokenKind::Unknown;
        }
    }

    fn at_sign(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.decorated = true;
        }
        self.operator(Until::ElementEnd, 1);
    }

    fn dot(&mut self) {
        self.count_in_element(1);
        if self.starts_with("...") {
            self.move_past(3, TokenKind::Operator);
        } else {
            self.last.is_dot = true;
            // After a number such as `1.`, a slash divides. Nothing else may follow a dot.
            self.move_past(1, TokenKind::Unknown);
        }
    }

    /// Reads a colon. Labels nest and stay open after a `,`; the colons of properties don't.
    fn colon(&mut self) {
        let property = self.frames.last_mut().is_some_and(|frame| {
            let first = !std::mem::replace(&mut frame.colon, true);
            first && frame.object
        });
        self.operator(if property { Until::ElementEnd } else { Until::StatementEnd }, 1);
    }

    fn follows(&self, byte: u8) -> bool {
        self.at > 0 && self.bytes[self.at - 1] == byte
    }

    /// Returns whether this is the `=` of `{a = …}`: a single one, right after the first word of a property.
    fn starts_default(&self) -> bool {
        let first_word = self.frames.last().is_some_and(|frame| {
            frame.element_weight == 0
                && (matches!(frame.opener, b'(' | b'[') || (frame.opener == b'{' && frame.object))
        });
        first_word && self.last.kind != TokenKind::Operator && !matches!(self.peek(1), b'=' | b'>')
    }

    fn follows_arrow(&self) -> bool {
        self.bytes[..self.at].trim_ascii_end().ends_with(b"=>")
    }

    fn slash(&mut self, fresh_line: bool) {
        // A type such as `string` ends at the line end, where a value would continue.
        let ends_type = fresh_line && self.last.kind == TokenKind::Value;
        let kind = if ends_type { TokenKind::Unknown } else { self.last.kind };
        let regex = if kind == TokenKind::Value { None } else { regex_length(&self.bytes[self.at..]) };
        match (kind, regex) {
            (TokenKind::Operator, Some(length)) => self.move_past(length, TokenKind::Value),
            // Division and regular expression are both possible, and the following tokens differ.
            (_, Some(_)) => self.count_only = true,
            (_, None) => self.operator(Until::ElementEnd, 1),
        }
    }

    fn word(&mut self, fresh_line: bool) {
        let start = self.at;
        let escaped = self.move_past_word();
        let word = &self.bytes[start..self.at];
        let property = std::mem::take(&mut self.last.is_dot);
        let ended = std::mem::take(&mut self.pending_statement_end) && word != b"else";
        if (ended || (fresh_line && !continues_statement(word) && self.ends_line()))
            && !self.closes_loop(word)
        {
            self.end_statement();
        }
        self.last.is_brace = false;
        let header_continues = self.last.is_header && word == b"await";
        self.last.is_header = !property && (header_continues || is_header(word));
        if property {
            self.last.kind = TokenKind::Value;
            return;
        }
        self.last.kind = classify_word(word);
        let (until, weight) = self.word_weight(word, escaped);
        self.count(until, weight);
    }

    /// Moves past a word. Returns whether it has escapes.
    fn move_past_word(&mut self) -> bool {
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
                _ => return escaped,
            }
        }
    }

    fn word_weight(&mut self, word: &[u8], escaped: bool) -> (Until, u32) {
        let mut heritage = false;
        if let Some(frame) = self.frames.last_mut() {
            frame.in_do_loop |= word == b"do";
            heritage = word == b"extends" && std::mem::take(&mut frame.class_head);
            frame.class_head |= word == b"class";
        }
        match word {
            // A bracket or a statement follows, not a value.
            _ if self.last.is_header || matches!(word, b"else" | b"do") => (Until::StatementEnd, 1),
            b"extends" if heritage => (Until::ElementEnd, HERITAGE_WEIGHT),
            b"infer" => (Until::ElementEnd, AMBIGUOUS_WEIGHT),
            _ if self.last.kind != TokenKind::Value || escaped => (Until::ElementEnd, 1),
            // Any other word is an operand or a name.
            _ => (Until::ElementEnd, 0),
        }
    }

    /// Returns whether the previous line may have been a complete statement, given that a word or `@` starts this line:
    /// its last token ended a block, or a value that is not a decorator, and no bracket joins the lines.
    fn ends_line(&mut self) -> bool {
        if !self.between_statements() {
            return false;
        }
        let decorated = self.last.kind == TokenKind::Value
            && self.frames.last_mut().is_some_and(|frame| std::mem::take(&mut frame.decorated));
        self.last.is_brace || (self.last.kind == TokenKind::Value && !decorated)
    }

    fn between_statements(&self) -> bool {
        self.frames.last().is_some_and(|frame| matches!(frame.opener, ROOT | b'{'))
    }

    fn closes_loop(&self, word: &[u8]) -> bool {
        word == b"while" && self.frames.last().is_some_and(|frame| frame.in_do_loop)
    }
}
