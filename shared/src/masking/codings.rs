//! How characters are written so that they pass through JSON, the console, addresses and HTML, and read back.
//!
//! Readers take more than any one writer writes (hexadecimal of either case, all escapes of a kind), so that whichever
//! program wrote a text, it is read.

/// A way of writing texts in which some bytes stand for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// `\n`, `\"`, `\/`, `\u00e9`, `\x1B`: JSON, and a string as the console shows it.
    Escaped = 1,
    /// The same, escaped again: JSON inside JSON is what a logged request body looks like.
    EscapedTwice = 2,
    /// `%2F`, `+`: addresses and forms.
    Address = 4,
    /// `&quot;`, `&#39;`: HTML and XML.
    Markup = 8,
}

/// Codings a text may be in, as far as it was read. All of them have the bytes that stand for themselves in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Codings(u8);

impl Codings {
    /// The fifth is none of [`Coding`]: every byte stands for itself.
    pub(super) const ALL: Self = Self(0b1_1111);

    pub(super) const fn only(coding: Coding) -> Self {
        Self(coding as u8)
    }

    /// Those of them in which `byte` may stand for itself, if there are any.
    pub(super) fn with(self, byte: u8) -> Option<Self> {
        let without = match byte {
            b'\\' => Coding::Escaped as u8 | Coding::EscapedTwice as u8,
            b'&' => Coding::Markup as u8,
            // Some programs leave `%` and `+` alone in addresses.
            _ => 0,
        };
        let left = self.0 & !without;
        (left != 0).then_some(Self(left))
    }

    /// Those of them in which `byte` may begin the spelling of something else.
    pub(super) fn escaping_with(self, byte: u8) -> impl Iterator<Item = Coding> {
        let codings: &[Coding] = match byte {
            b'\\' => &[Coding::Escaped, Coding::EscapedTwice],
            b'%' | b'+' => &[Coding::Address],
            b'&' => &[Coding::Markup],
            _ => &[],
        };
        codings.iter().copied().filter(move |coding| self.0 & *coding as u8 != 0)
    }
}

/// Bytes that may begin the spelling of something else, in some coding.
pub(super) const ESCAPES: [u8; 4] = [b'\\', b'%', b'+', b'&'];

/// Whether `byte` may begin the spelling of something else, in some coding.
pub(super) const fn is_escape(byte: u8) -> bool {
    matches!(byte, b'\\' | b'%' | b'+' | b'&')
}

/// Whether a program that writes some coding spells `byte` in another way than as itself. Letters and digits it leaves
/// alone, so that an escape of one is not read either.
pub(super) const fn is_ever_escaped(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric()
}

/// What stands in a place of a text, and where the text goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading<T> {
    Is(T, usize),
    /// The text ends in the middle of a spelling.
    CutOff,
    /// Nothing that has a meaning in this coding.
    Nothing,
}

impl<T> Reading<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Is(read, next) => Reading::Is(change(read), next),
            Self::CutOff => Reading::CutOff,
            Self::Nothing => Reading::Nothing,
        }
    }
}

/// Up to four bytes: a character, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelled {
    bytes: [u8; 4],
    length: usize,
}

impl Spelled {
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

impl Coding {
    /// What the escape at `at` may spell. There is one reading of all but `+`.
    pub(super) fn read(self, text: &[u8], at: usize) -> [Reading<Spelled>; 2] {
        if text[at] == b'+' {
            // A space, that was written as `%20` already in a value that is an address itself.
            return [b" ".as_slice(), b"%20"].map(|bytes| Reading::Is(Spelled::bytes(bytes), at + 1));
        }
        let read = match self {
            Self::Escaped => unescaped(text, at).map(Spelled::character),
            Self::EscapedTwice => match text.get(at + 1) {
                Some(b'\\') => unescaped_twice(text, at).map(Spelled::character),
                Some(_) => Reading::Nothing,
                None => Reading::CutOff,
            },
            Self::Address => {
                let byte = hexadecimal(|at| as_is(text, at), 2, at + 1);
                byte.map(|byte| Spelled::bytes(&byte.to_be_bytes()[3..]))
            }
            Self::Markup => entity(text, at).map(Spelled::character),
        };
        match read {
            Reading::Is(spelled, _) if !is_ever_escaped(spelled.bytes[0]) => [Reading::Nothing; 2],
            _ => [read, Reading::Nothing],
        }
    }
}

/// The byte at `at`. No escape holds anything but ASCII.
fn as_is(text: &[u8], at: usize) -> Reading<char> {
    match text.get(at) {
        Some(byte) if byte.is_ascii() => Reading::Is(char::from(*byte), at + 1),
        Some(_) => Reading::Nothing,
        None => Reading::CutOff,
    }
}

/// The character at `at` in a text that was escaped once.
fn unescaped(text: &[u8], at: usize) -> Reading<char> {
    unescape(|at| as_is(text, at), at)
}

/// The character at `at` in a text that was escaped twice.
fn unescaped_twice(text: &[u8], at: usize) -> Reading<char> {
    unescape(|at| unescaped(text, at), at)
}

/// The character at `at`; `read` reads what it may be escaped with.
fn unescape(read: impl Fn(usize) -> Reading<char>, at: usize) -> Reading<char> {
    let next = match read(at) {
        Reading::Is('\\', next) => next,
        other => return other,
    };
    match read(next) {
        Reading::Is('b', next) => Reading::Is('\u{8}', next),
        Reading::Is('t', next) => Reading::Is('\t', next),
        Reading::Is('n', next) => Reading::Is('\n', next),
        Reading::Is('v', next) => Reading::Is('\u{b}', next),
        Reading::Is('f', next) => Reading::Is('\u{c}', next),
        Reading::Is('r', next) => Reading::Is('\r', next),
        Reading::Is('x', next) => scalar(hexadecimal(read, 2, next)),
        Reading::Is('u', next) => unicode(read, next),
        Reading::Is(character, _) if character.is_ascii_alphanumeric() => Reading::Nothing,
        other => other,
    }
}

/// The character whose UTF-16 begins at `at`, after `\u`.
fn unicode(read: impl Fn(usize) -> Reading<char>, at: usize) -> Reading<char> {
    let (high, mut at) = match hexadecimal(&read, 4, at) {
        Reading::Is(high @ 0xD800..0xDC00, next) => (high, next),
        other => return scalar(other),
    };
    for expected in ['\\', 'u'] {
        match read(at) {
            Reading::Is(found, next) if found == expected => at = next,
            Reading::CutOff => return Reading::CutOff,
            _ => return Reading::Nothing,
        }
    }
    match hexadecimal(&read, 4, at) {
        Reading::Is(low @ 0xDC00..0xE000, next) => {
            scalar(Reading::Is(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00), next))
        }
        Reading::CutOff => Reading::CutOff,
        _ => Reading::Nothing,
    }
}

/// The number that so many hexadecimal digits at `at` make.
fn hexadecimal(read: impl Fn(usize) -> Reading<char>, digits: usize, mut at: usize) -> Reading<u32> {
    let mut number = 0;
    for _ in 0..digits {
        match read(at).map(|character| character.to_digit(16)) {
            Reading::Is(Some(digit), next) => (number, at) = (number << 4 | digit, next),
            Reading::CutOff => return Reading::CutOff,
            _ => return Reading::Nothing,
        }
    }
    Reading::Is(number, at)
}

fn scalar(number: Reading<u32>) -> Reading<char> {
    match number.map(char::from_u32) {
        Reading::Is(Some(character), next) => Reading::Is(character, next),
        Reading::CutOff => Reading::CutOff,
        _ => Reading::Nothing,
    }
}

/// Most bytes of an entity between its `&` and its `;`: `#1114111`.
const LONGEST_ENTITY: usize = 8;

/// The character whose entity begins at `at`: those that every writer of HTML or XML knows, and any by number.
fn entity(text: &[u8], at: usize) -> Reading<char> {
    let rest = &text[at + 1..];
    let name = &rest[..rest
        .iter()
        .take(LONGEST_ENTITY)
        .take_while(|&&byte| byte == b'#' || byte.is_ascii_alphanumeric())
        .count()];
    let next = at + 1 + name.len() + 1;
    if name.len() == rest.len() {
        return Reading::CutOff;
    }
    if rest[name.len()] != b';' {
        return Reading::Nothing;
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
    character.map_or(Reading::Nothing, |character| Reading::Is(character, next))
}

fn by_number(digits: &[u8], radix: u32) -> Option<char> {
    let digits = str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(coding: Coding, text: &str) -> Reading<String> {
        coding.read(text.as_bytes(), 0)[0]
            .map(|spelled| String::from_utf8(spelled.as_bytes().to_vec()).unwrap())
    }

    #[track_caller]
    fn assert_read(coding: Coding, text: &str, expected: &str) {
        assert_eq!(read(coding, text), Reading::Is(expected.to_owned(), text.len()), "{text}");
        for cut in 1..text.len() {
            assert_eq!(read(coding, &text[..cut]), Reading::CutOff, "{}", &text[..cut]);
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
            assert_read(Coding::Escaped, text, expected);
        }
        for text in [r"\q", r"\u0041", r"\u00g0", r"\ude00", r"\ud83d\u0041", r"\xé"] {
            assert_eq!(read(Coding::Escaped, text), Reading::Nothing, "{text}");
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
            assert_read(Coding::EscapedTwice, text, expected);
        }
        assert_eq!(read(Coding::EscapedTwice, r"\n"), Reading::Nothing);
    }

    #[test]
    fn percent_encoded_bytes_and_entities_are_read() {
        assert_read(Coding::Address, "%2f", "/");
        assert_eq!(read(Coding::Address, "%2g"), Reading::Nothing);
        for (text, expected) in
            [("&amp;", "&"), ("&#39;", "'"), ("&#x27;", "'"), ("&quot;", "\""), ("&#233;", "é")]
        {
            assert_read(Coding::Markup, text, expected);
        }
        for text in ["&nosuch;", "& ", "&#;", "&#x110000;", "&quotation;"] {
            assert_eq!(read(Coding::Markup, text), Reading::Nothing, "{text}");
        }
    }
}
