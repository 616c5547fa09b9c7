//! Lexical grammar of ECMAScript that decides to which token a byte belongs.

use super::{
    frame::{Frame, TEMPLATE},
    scan::Scan,
};

/// Kind of a token, as far as it decides the meaning of a following `/`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// End of an expression: `/` divides.
    Value,
    /// Operator, opening bracket or keyword: `/` starts a regular expression.
    Operator,
    /// Either of the two, depending on grammar that this scan does not know.
    Unknown,
}

impl Scan<'_> {
    /// White space beyond ASCII at the current offset.
    pub(super) fn wide_space(&self) -> Option<char> {
        if self.peek(0) < 0x80 {
            return None;
        }
        let next = self.text.get(self.at..)?.chars().next()?;
        (next.is_whitespace() || next == '\u{feff}').then_some(next)
    }

    pub(super) fn comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = if rest[1] == b'*' {
            let end = rest[2..].windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 4);
            // A block comment may contain a line end. Assuming one is the safe choice.
            self.line_has_token = false;
            end
        } else {
            line_length(rest)
        };
        self.at += length;
    }

    pub(super) fn string(&mut self, quote: u8) {
        self.at += 1;
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' if self.peek(1) == b'\r' && self.peek(2) == b'\n' => self.at += 3,
                b'\\' => self.at += 2,
                b'\n' | b'\r' => break,
                byte => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        self.last.kind = TokenKind::Value;
    }

    /// Moves past the text of a template, up to its end or the next `${`.
    pub(super) fn template(&mut self) {
        while self.at < self.bytes.len() {
            match self.peek(0) {
                b'\\' => self.at += 2,
                b'`' => {
                    self.at += 1;
                    break;
                }
                b'$' if self.peek(1) == b'{' => {
                    self.at += 2;
                    // The expressions of a template are siblings, so the weight belongs to the new frame.
                    self.frames.push(Frame::new(TEMPLATE, false, false));
                    self.count_in_element(1);
                    self.last.kind = TokenKind::Operator;
                    return;
                }
                _ => self.at += 1,
            }
        }
        self.last.kind = TokenKind::Value;
    }
}

pub(super) const fn is_header(word: &[u8]) -> bool {
    matches!(word, b"if" | b"while" | b"for" | b"with")
}

/// Returns whether the word continues the statement of the previous line. So do a `while` after its `do`, and any word
/// after a decorator.
pub(super) const fn continues_statement(word: &[u8]) -> bool {
    matches!(
        word,
        b"in"
            | b"of"
            | b"instanceof"
            | b"as"
            | b"satisfies"
            | b"is"
            | b"else"
            | b"catch"
            | b"finally"
            | b"extends"
            | b"implements"
            | b"from"
            | b"with"
    )
}

/// Classifies a word by the meaning of a following `/`.
pub(super) const fn classify_word(word: &[u8]) -> TokenKind {
    match word {
        b"return" | b"typeof" | b"case" | b"do" | b"else" | b"in" | b"instanceof" | b"new" | b"void"
        | b"delete" | b"throw" | b"extends" | b"default" => TokenKind::Operator,
        // Names in some positions; in others, keywords that are continued, perhaps on the next line.
        b"of" | b"yield" | b"await" | b"async" | b"let" | b"as" | b"is" | b"satisfies" | b"keyof"
        | b"infer" | b"readonly" | b"unique" | b"asserts" | b"type" | b"static" | b"get" | b"set"
        | b"accessor" | b"using" | b"declare" | b"abstract" | b"out" | b"const" | b"var" | b"enum"
        | b"function" | b"class" | b"interface" | b"namespace" | b"module" | b"global" | b"import"
        | b"export" | b"public" | b"private" | b"protected" | b"override" | b"implements" | b"switch"
        | b"try" | b"catch" | b"finally" | b"if" | b"for" | b"while" | b"with" => TokenKind::Unknown,
        _ => TokenKind::Value,
    }
}

/// Returns whether a byte is part of a word: letters, digits, `_`, `$`, `#`, `\` and all bytes beyond ASCII.
pub(super) fn is_word(byte: u8) -> bool {
    WORD[byte as usize] != 0
}

/// Returns whether a byte is part of a word and a whole character.
pub(super) fn is_plain(byte: u8) -> bool {
    WORD[byte as usize] == 1
}

/// Class of each byte: 1 for whole characters of words, 2 for parts of escapes and of wide characters, 0 for others. A
/// table, because nearly every byte is looked up.
static WORD: [u8; 256] = {
    let mut word = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let character = byte as u8;
        word[byte] = match character {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'$' | b'#' => 1,
            b'\\' | 0x80.. => 2,
            _ => 0,
        };
        byte += 1;
    }
    word
};

pub(super) fn line_length(bytes: &[u8]) -> usize {
    (0..bytes.len()).find(|&at| ends_line(&bytes[at..])).unwrap_or(bytes.len())
}

fn ends_line(bytes: &[u8]) -> bool {
    matches!(bytes, [b'\n' | b'\r', ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..])
}

/// Length of the regular expression at the start of `bytes`, without flags; `None` if none ends on this line.
pub(super) fn regex_length(bytes: &[u8]) -> Option<usize> {
    let mut in_class = false;
    let mut at = 1;
    while at < bytes.len() && !ends_line(&bytes[at..]) {
        match bytes[at] {
            // A line end cannot be escaped.
            b'\\' if !ends_line(&bytes[at + 1..]) => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'/' if !in_class => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    None
}
