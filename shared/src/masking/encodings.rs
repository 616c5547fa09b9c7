//! Decoders of the escapes of JSON, the console, URLs and HTML.
//!
//! The decoders accept more than any one program writes (hexadecimal digits of either case, all escapes of a kind), so
//! that they read the output of every program.

/// Encoding of texts in which some bytes are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `\n`, `\"`, `\/`, `\u00e9`, `\x1B`: JSON, and a string as the console shows it.
    Escaped = 1,
    /// Escaped twice: JSON inside JSON, as in a logged request body.
    EscapedTwice = 2,
    /// `%2F`, `+`: URLs and forms.
    Address = 4,
    /// `&quot;`, `&#39;`: HTML and XML.
    Markup = 8,
}

/// Set of encodings that a text may have, as far as it was read. Unescaped bytes are the same in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encodings(u8);

impl Encodings {
    /// All encodings. The fifth bit is none of [`Encoding`]: plain text, without escapes.
    pub(super) const ALL: Self = Self(0b1_1111);

    pub(super) const fn only(encoding: Encoding) -> Self {
        Self(encoding as u8)
    }

    /// Subset of the encodings in which `byte` may be unescaped. `None` if it is empty.
    pub(super) fn with(self, byte: u8) -> Option<Self> {
        let without = match byte {
            b'\\' => Encoding::Escaped as u8 | Encoding::EscapedTwice as u8,
            b'&' => Encoding::Markup as u8,
            // Some programs do not escape `%` and `+` in URLs.
            _ => 0,
        };
        let left = self.0 & !without;
        (left != 0).then_some(Self(left))
    }

    /// Encodings of the set in which `byte` may start an escape.
    pub(super) fn escaping_with(self, byte: u8) -> impl Iterator<Item = Encoding> {
        let encodings: &[Encoding] = match byte {
            b'\\' => &[Encoding::Escaped, Encoding::EscapedTwice],
            b'%' | b'+' => &[Encoding::Address],
            b'&' => &[Encoding::Markup],
            _ => &[],
        };
        encodings.iter().copied().filter(move |encoding| self.0 & *encoding as u8 != 0)
    }
}

/// Bytes that may start an escape, in some encoding.
pub(super) const ESCAPES: [u8; 4] = [b'\\', b'%', b'+', b'&'];

/// Returns whether `byte` may start an escape, in some encoding.
pub(super) const fn is_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'+' | b'&')
}

/// Returns whether some encoder escapes `byte`. No encoder escapes letters and digits, so their escapes are not decoded
/// either.
pub(super) const fn is_ever_escaped(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric()
}

/// Result of decoding at one offset, with the offset after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded<T> {
    Value(T, usize),
    /// The text ends inside an escape.
    Truncated,
    /// The bytes have no meaning in this encoding.
    Invalid,
}

impl<T> Decoded<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Decoded<U> {
        match self {
            Self::Value(read, next) => Decoded::Value(change(read), next),
            Self::Truncated => Decoded::Truncated,
            Self::Invalid => Decoded::Invalid,
        }
    }
}

/// Up to four decoded bytes: a character, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DecodedBytes {
    bytes: [u8; 4],
    length: usize,
}

impl DecodedBytes {
    fn bytes(spelled: &[u8]) -> Self {
        let mut bytes = [0; 4];
        bytes[..spelled.len()].copy_from_slice(spelled);
        Self { bytes, length: spelled.len() }
    }

    fn character(character: char) -> Self {
        Self::bytes(character.encode_utf8(&mut [0; 4]).as_bytes())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Encoding {
    /// Decodes the escape at `at`. Every escape except `+` has one reading.
    pub(super) fn read(self, text: &[u8], at: usize) -> [Decoded<DecodedBytes>; 2] {
        if text[at] == b'+' {
            // A space, which is `%20` in a value that is itself a URL.
            return [b" ".as_slice(), b"%20"].map(|bytes| Decoded::Value(DecodedBytes::bytes(bytes), at + 1));
        }
        let read = match self {
            Self::Escaped => unescaped(text, at).map(DecodedBytes::character),
            Self::EscapedTwice => match text.get(at + 1) {
                Some(b'\\') => unescaped_twice(text, at).map(DecodedBytes::character),
                Some(_) => Decoded::Invalid,
                None => Decoded::Truncated,
            },
            Self::Address => {
                let byte = hexadecimal(|at| as_is(text, at), 2, at + 1);
                byte.map(|byte| DecodedBytes::bytes(&byte.to_be_bytes()[3..]))
            }
            Self::Markup => entity(text, at).map(DecodedBytes::character),
        };
        match read {
            Decoded::Value(spelled, _) if !is_ever_escaped(spelled.bytes[0]) => [Decoded::Invalid; 2],
            _ => [read, Decoded::Invalid],
        }
    }
}

/// Reads the byte at `at`. Escapes contain only ASCII.
fn as_is(text: &[u8], at: usize) -> Decoded<char> {
    match text.get(at) {
        Some(byte) if byte.is_ascii() => Decoded::Value(char::from(*byte), at + 1),
        Some(_) => Decoded::Invalid,
        None => Decoded::Truncated,
    }
}

/// Decodes the character at `at` in a text that was escaped once.
fn unescaped(text: &[u8], at: usize) -> Decoded<char> {
    unescape(|at| as_is(text, at), at)
}

/// Decodes the character at `at` in a text that was escaped twice.
fn unescaped_twice(text: &[u8], at: usize) -> Decoded<char> {
    unescape(|at| unescaped(text, at), at)
}

/// Decodes the character at `at`. `read` reads the characters of its escape.
fn unescape(read: impl Fn(usize) -> Decoded<char>, at: usize) -> Decoded<char> {
    let next = match read(at) {
        Decoded::Value('\\', next) => next,
        other => return other,
    };
    match read(next) {
        Decoded::Value('b', next) => Decoded::Value('\u{8}', next),
        Decoded::Value('t', next) => Decoded::Value('\t', next),
        Decoded::Value('n', next) => Decoded::Value('\n', next),
        Decoded::Value('v', next) => Decoded::Value('\u{b}', next),
        Decoded::Value('f', next) => Decoded::Value('\u{c}', next),
        Decoded::Value('r', next) => Decoded::Value('\r', next),
        Decoded::Value('x', next) => scalar(hexadecimal(read, 2, next)),
        Decoded::Value('u', next) => unicode(read, next),
        Decoded::Value(character, _) if character.is_ascii_alphanumeric() => Decoded::Invalid,
        other => other,
    }
}

/// Decodes the character whose UTF-16 digits start at `at`, after `\u`.
fn unicode(read: impl Fn(usize) -> Decoded<char>, at: usize) -> Decoded<char> {
    let (high, mut at) = match hexadecimal(&read, 4, at) {
        Decoded::Value(high @ 0xD800..0xDC00, next) => (high, next),
        other => return scalar(other),
    };
    for expected in ['\\', 'u'] {
        match read(at) {
            Decoded::Value(found, next) if found == expected => at = next,
            Decoded::Truncated => return Decoded::Truncated,
            _ => return Decoded::Invalid,
        }
    }
    match hexadecimal(&read, 4, at) {
        Decoded::Value(low @ 0xDC00..0xE000, next) => {
            scalar(Decoded::Value(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00), next))
        }
        Decoded::Truncated => Decoded::Truncated,
        _ => Decoded::Invalid,
    }
}

/// Reads a number of `digits` hexadecimal digits at `at`.
fn hexadecimal(read: impl Fn(usize) -> Decoded<char>, digits: usize, mut at: usize) -> Decoded<u32> {
    let mut number = 0;
    for _ in 0..digits {
        match read(at).map(|character| character.to_digit(16)) {
            Decoded::Value(Some(digit), next) => (number, at) = (number << 4 | digit, next),
            Decoded::Truncated => return Decoded::Truncated,
            _ => return Decoded::Invalid,
        }
    }
    Decoded::Value(number, at)
}

fn scalar(number: Decoded<u32>) -> Decoded<char> {
    match number.map(char::from_u32) {
        Decoded::Value(Some(character), next) => Decoded::Value(character, next),
        Decoded::Truncated => Decoded::Truncated,
        _ => Decoded::Invalid,
    }
}

/// Maximum length of an entity between its `&` and its `;`, in bytes: `#1114111`.
const MAX_ENTITY_BYTES: usize = 8;

/// Decodes the entity at `at`: the named ones that all encoders of HTML and XML use, and any number.
fn entity(text: &[u8], at: usize) -> Decoded<char> {
    let rest = &text[at + 1..];
    let name = &rest[..rest
        .iter()
        .take(MAX_ENTITY_BYTES)
        .take_while(|&&byte| byte == b'#' || byte.is_ascii_alphanumeric())
        .count()];
    let next = at + 1 + name.len() + 1;
    if name.len() == rest.len() {
        return Decoded::Truncated;
    }
    if rest[name.len()] != b';' {
        return Decoded::Invalid;
    }
    let character = match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x' | b'X', digits @ ..] => by_number(digits, 16),
        [b'#', digits @ ..] => by_number(digits, 10),
        _ => None,
    };
    character.map_or(Decoded::Invalid, |character| Decoded::Value(character, next))
}

fn by_number(digits: &[u8], radix: u32) -> Option<char> {
    let digits = str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(encoding: Encoding, text: &str) -> Decoded<String> {
        encoding.read(text.as_bytes(), 0)[0]
            .map(|spelled| String::from_utf8(spelled.as_bytes().to_vec()).unwrap())
    }

    #[track_caller]
    fn assert_read(encoding: Encoding, text: &str, expected: &str) {
        assert_eq!(read(encoding, text), Decoded::Value(expected.to_owned(), text.len()), "{text}");
        for cut in 1..text.len() {
            assert_eq!(read(encoding, &text[..cut]), Decoded::Truncated, "{}", &text[..cut]);
        }
    }

    #[test]
    fn escapes_of_json_and_the_console_are_read() {
        for (text, expected) in [
            (r"\n", "\n"),
            (r#"\""#, "\""),
            (r"\'", "'"),
            (r"\/", "/"),
            (r"\\", "\\"),
            (r"\x1B", "\u{1b}"),
            (r"\u00e9", "é"),
            (r"\ud83d\ude00", "😀"),
        ] {
            assert_read(Encoding::Escaped, text, expected);
        }
        for text in [r"\q", r"\u0041", r"\u00g0", r"\ude00", r"\ud83d\u0041", r"\xé"] {
            assert_eq!(read(Encoding::Escaped, text), Decoded::Invalid, "{text}");
        }
    }

    #[test]
    fn escapes_of_escapes_are_read() {
        for (text, expected) in [
            (r"\\n", "\n"),
            (r#"\\\""#, "\""),
            (r"\\\\", "\\"),
            (r"\\/", "/"),
            (r"\\u00e9", "é"),
            (r"\\ud83d\\ude00", "😀"),
        ] {
            assert_read(Encoding::EscapedTwice, text, expected);
        }
        assert_eq!(read(Encoding::EscapedTwice, r"\n"), Decoded::Invalid);
    }

    #[test]
    fn percent_encoded_bytes_and_entities_are_read() {
        assert_read(Encoding::Address, "%2f", "/");
        assert_eq!(read(Encoding::Address, "%2g"), Decoded::Invalid);
        for (text, expected) in
            [("&amp;", "&"), ("&#39;", "'"), ("&#x27;", "'"), ("&quot;", "\""), ("&#233;", "é")]
        {
            assert_read(Encoding::Markup, text, expected);
        }
        for text in ["&nosuch;", "& ", "&#;", "&#x110000;", "&quotation;"] {
            assert_eq!(read(Encoding::Markup, text), Decoded::Invalid, "{text}");
        }
    }
}
