//! Base64 forms of values: the digits that are determined by a value alone, for each offset in a group of three bytes.

use super::{MIN_CHARACTERS, words::WordsBuilder};

/// Digit and padding after the determined digits, if the encoded text ends with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    /// The last byte of the value ends a digit, so nothing follows.
    None,
    /// A further digit, and the number of `=` after it.
    Digit(u8, u8),
}

/// Adds the words of `value`, one for each offset in a group of three bytes.
pub(super) fn add(words: &mut WordsBuilder<Ending>, value: &[u8]) {
    for offset in 0..3_usize {
        // Range of the digits that are determined by the value alone.
        let (first, end) = ((offset * 8).div_ceil(6), (offset + value.len()) * 8 / 6);
        if end.saturating_sub(first) < MIN_CHARACTERS {
            continue;
        }
        let ending = match (offset + value.len()) * 8 % 6 {
            0 => Ending::None,
            left => Ending::Digit(digit(value, offset, end), if left == 2 { 2 } else { 1 }),
        };
        words.add((first..end).map(|index| digit(value, offset, index)), ending);
    }
}

/// Digit `index` of `value` with `offset` zero bytes before it, and zero bytes after it as needed.
fn digit(value: &[u8], offset: usize, index: usize) -> u8 {
    let bit = index * 6;
    let byte =
        |at: usize| at.checked_sub(offset).and_then(|at| value.get(at)).map_or(0, |&byte| u16::from(byte));
    let pair = byte(bit / 8) << 8 | byte(bit / 8 + 1);
    u8::try_from(pair >> (10 - bit % 8) & 63).expect("six bits")
}

/// Reads the digit at `at`, in either alphabet. Returns it with the offset after it.
pub(super) fn read_digit(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let digit = match *text.get(at)? {
        letter @ b'A'..=b'Z' => letter - b'A',
        letter @ b'a'..=b'z' => letter - b'a' + 26,
        number @ b'0'..=b'9' => number - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        b'%' => return percent_encoded(text, at),
        b'\\' => return (text.get(at + 1) == Some(&b'/')).then_some((63, at + 2)),
        _ => return None,
    };
    Some((digit, at + 1))
}

/// First bytes of the spellings of `digit` that [`read_digit`] accepts.
pub(super) fn spellings(digit: u8) -> &'static [u8] {
    const LETTERS_AND_NUMBERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    match digit {
        62 => b"+-%",
        63 => b"/_%\\",
        other => &LETTERS_AND_NUMBERS[usize::from(other)..][..1],
    }
}

/// First bytes of line breaks.
pub(super) const BREAKS: &[u8] = b"\n\r\\";

fn percent_encoded(text: &[u8], at: usize) -> Option<(u8, usize)> {
    match text.get(at + 1..at + 3)? {
        b"2B" | b"2b" => Some((62, at + 3)),
        b"2F" | b"2f" => Some((63, at + 3)),
        _ => None,
    }
}

/// Offset after the padding at `at`, which truncation may have shortened.
fn after_padding(text: &[u8], mut at: usize, marks: u8) -> usize {
    for _ in 0..marks {
        let mark = [b"=".as_slice(), b"%3D", b"%3d"].into_iter().find(|mark| text[at..].starts_with(mark));
        at += mark.map_or(0, <[u8]>::len);
    }
    at
}

impl Ending {
    /// Offset at which a value ends whose determined digits end at `at`.
    pub(super) fn after(self, text: &[u8], at: usize) -> usize {
        let Self::Digit(digit, marks) = self else { return at };
        match read_digit(text, after_break(text, at)) {
            Some((found, next)) if found == digit => after_padding(text, next, marks),
            _ => at,
        }
    }
}

/// Offset after the line break at `at`, and after the text around it: the next line's indentation, or the marks with
/// which the console shows a string in several lines. `at` if there is no break.
pub(super) fn after_break(text: &[u8], at: usize) -> usize {
    let breaks = [b"\r\n".as_slice(), b"\n", br"\r\n", br"\n"];
    let Some(found) = breaks.into_iter().find(|mark| text[at..].starts_with(mark)) else { return at };
    let after = at + found.len();
    let continued = [b"' +\n", b"\" +\n", b"` +\n"].into_iter().find(|mark| text[after..].starts_with(*mark));
    let line = after + continued.map_or(0, |mark| mark.len());
    let next = line
        + text[line..].iter().take(MAX_INDENT).take_while(|&&byte| byte == b' ' || byte == b'\t').count();
    match continued {
        Some(mark) if text.get(next) == Some(&mark[0]) => next + 1,
        Some(_) => after,
        None => next,
    }
}

/// Maximum indentation of a continued line, in spaces and tabs.
const MAX_INDENT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::{Engine, prelude::BASE64_STANDARD};

    #[test]
    fn base64_middles_occur_in_the_encoding_at_every_offset() {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut words = WordsBuilder::new();
        add(&mut words, b"secret-value");
        let written = |(word, _): (&[u8], _)| {
            word.iter().map(|&digit| char::from(ALPHABET[usize::from(digit)])).collect()
        };
        let middles: Vec<String> = words.iter().map(written).collect();
        for offset in 0..3 {
            for neighbour in [0x00, 0x5a, 0xff] {
                let before = vec![neighbour; offset];
                let whole = BASE64_STANDARD.encode([&before[..], b"secret-value", &[neighbour; 2]].concat());
                assert!(middles.iter().any(|middle| whole.contains(middle)), "{offset} {neighbour}");
            }
        }
    }

    #[test]
    fn digits_are_read_in_either_alphabet_and_percent_encoded() {
        let digits = |text: &str| {
            let (mut at, mut digits) = (0, Vec::new());
            while let Some((digit, next)) = read_digit(text.as_bytes(), at) {
                digits.push(digit);
                at = next;
            }
            (digits, at)
        };
        for digit in 0..64 {
            let read = |byte: &u8| {
                read_digit(&[*byte, b'2', b'B'], 0).or_else(|| read_digit(&[*byte, b'2', b'F'], 0))
            };
            assert!(spellings(digit).iter().filter_map(read).any(|(read, _)| read == digit), "{digit}");
        }
        assert_eq!(digits("Az9+/-_=").0, [0, 51, 61, 62, 63, 62, 63]);
        assert_eq!(digits(r"%2B%2f\/%20"), (vec![62, 63, 63], 8));
    }

    #[test]
    fn a_line_break_in_base64_is_skipped_with_its_surroundings() {
        for text in ["\n", "\r\n", r"\n", r"\r\n", "\n    ", "\\n' +\n  '"] {
            assert_eq!(after_break(format!("{text}x").as_bytes(), 0), text.len(), "{text:?}");
        }
        assert_eq!(after_break(b" x", 0), 0);
    }
}
