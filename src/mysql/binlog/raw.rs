//! Reading bytes and writing text, shared by the codecs. Nothing here can panic on any input.

use std::fmt::{self, Write};

/// Up to eight bytes, least significant first; more than eight never reach here (lengths are checked before).
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Up to eight bytes, most significant first.
pub(super) fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Cuts `len` bytes off the front of `rest`.
pub(super) fn cut<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (front, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(front)
}

pub(super) fn put(out: &mut String, text: fmt::Arguments<'_>) {
    // A String takes every write; there is no error to report.
    let _ = out.write_fmt(text);
}

/// `value` in decimal with at least `width` digits (20 digits hold every u64).
pub(super) fn put_digits(out: &mut String, mut value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while value > 0 {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    put_ascii(out, &digits[start.min(digits.len().saturating_sub(width))..]);
}

pub(super) fn put_signed(out: &mut String, value: i64) {
    if value < 0 {
        out.push('-');
    }
    put_digits(out, value.unsigned_abs(), 1);
}

/// `x'…'`, or `''` for nothing.
pub(super) fn put_hex(out: &mut String, bytes: &[u8]) {
    if bytes.is_empty() {
        out.push_str("''");
        return;
    }
    out.reserve(bytes.len() * 2 + 3);
    out.push_str("x'");
    let mut text = [0; 2 * HEX_CHUNK];
    for chunk in bytes.chunks(HEX_CHUNK) {
        for (pair, byte) in text.chunks_exact_mut(2).zip(chunk) {
            pair.copy_from_slice(&HEX[usize::from(*byte)]);
        }
        put_ascii(out, &text[..2 * chunk.len()]);
    }
    out.push('\'');
}

/// Converted on the stack, then appended in one copy; 256 bytes become 512 characters.
const HEX_CHUNK: usize = 256;

/// The two hexadecimal digits of every byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    table
};

fn put_ascii(out: &mut String, ascii: &[u8]) {
    // The callers above only make ASCII, which is UTF-8, so the other case does not exist.
    if let Ok(text) = str::from_utf8(ascii) {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn numbers_keep_every_digit() {
        assert_eq!(text(|o| put_digits(o, 0, 1)), "0");
        assert_eq!(text(|o| put_digits(o, 7, 3)), "007");
        assert_eq!(text(|o| put_digits(o, 1234, 3)), "1234");
        assert_eq!(text(|o| put_digits(o, u64::MAX, 1)), u64::MAX.to_string());
        assert_eq!(text(|o| put_signed(o, i64::MIN)), i64::MIN.to_string());
    }

    #[test]
    fn hexadecimal_crosses_chunks_without_a_gap() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        let expected: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(text(|o| put_hex(o, &bytes)), format!("x'{expected}'"));
        assert_eq!(text(|o| put_hex(o, b"")), "''");
    }
}
