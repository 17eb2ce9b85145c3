//! DECIMAL: groups of nine digits in four bytes each, most significant first; the digits left over at either
//! end take fewer bytes. The first bit is inverted, and all bits are if the number is negative, so that the bytes
//! sort like the numbers.

use super::column_plan::RowError;
use super::raw::{big_endian, cut, put_digits};

const GROUP: u8 = 9;
const GROUP_BYTES: u8 = 4;
/// Bytes for so many digits.
const BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

const MALFORMED: RowError = RowError::Malformed("a decimal with impossible digits");

/// How many bytes a DECIMAL(precision, scale) takes; `scale` is at most `precision`.
pub(super) fn width(precision: u8, scale: u8) -> u16 {
    part_width(precision.saturating_sub(scale)) + part_width(scale)
}

fn part_width(digits: u8) -> u16 {
    u16::from(digits / GROUP * GROUP_BYTES + BYTES[usize::from(digits % GROUP)])
}

/// Writes all digits of the fraction, and of the integer part at least one.
pub(super) fn write(field: &[u8], precision: u8, scale: u8, out: &mut String) -> Result<(), RowError> {
    if scale > precision || field.len() != usize::from(width(precision, scale)) || field.is_empty() {
        return Err(MALFORMED);
    }
    let negative = field[0] & 0x80 == 0;
    if negative {
        out.push('-');
    }
    let mut groups = Groups { rest: field, first: 0x80, invert: if negative { 0xff } else { 0 } };
    write_integer(&mut groups, precision - scale, out)?;
    if scale > 0 {
        out.push('.');
        write_fraction(&mut groups, scale, out)?;
    }
    Ok(())
}

fn write_integer(groups: &mut Groups<'_>, digits: u8, out: &mut String) -> Result<(), RowError> {
    let start = out.len();
    let short = digits % GROUP;
    for group in (short > 0).then_some(short).into_iter().chain((0..digits / GROUP).map(|_| GROUP)) {
        let value = groups.next(group)?;
        // Nothing but zeros so far: they are left out.
        match out.len() == start {
            true if value == 0 => {}
            true => put_digits(out, value, 1),
            false => put_digits(out, value, group.into()),
        }
    }
    if out.len() == start {
        out.push('0');
    }
    Ok(())
}

fn write_fraction(groups: &mut Groups<'_>, digits: u8, out: &mut String) -> Result<(), RowError> {
    let short = digits % GROUP;
    for group in (0..digits / GROUP).map(|_| GROUP).chain((short > 0).then_some(short)) {
        put_digits(out, groups.next(group)?, group.into());
    }
    Ok(())
}

struct Groups<'a> {
    rest: &'a [u8],
    /// Undoes the inverted first bit, once.
    first: u8,
    invert: u8,
}

impl Groups<'_> {
    fn next(&mut self, digits: u8) -> Result<u64, RowError> {
        let bytes = cut(&mut self.rest, BYTES[usize::from(digits)].into()).ok_or(MALFORMED)?;
        let mut plain = [0; GROUP_BYTES as usize];
        let plain = &mut plain[..bytes.len()];
        for (to, from) in plain.iter_mut().zip(bytes) {
            *to = from ^ self.invert ^ self.first;
            self.first = 0;
        }
        let value = big_endian(plain);
        if value < 10u64.pow(digits.into()) { Ok(value) } else { Err(MALFORMED) }
    }
}

#[cfg(test)]
mod tests {
    use mysql_common::binlog::decimal::Decimal;
    use proptest::prelude::*;

    use super::*;

    /// The crate's encoder is the other witness.
    fn packed(text: &str, precision: u8, scale: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        Decimal::parse_str_bytes(text.as_bytes()).unwrap().write_bin(&mut bytes).unwrap();
        assert_eq!(bytes.len(), usize::from(width(precision, scale)));
        bytes
    }

    fn text(field: &[u8], precision: u8, scale: u8) -> Result<String, RowError> {
        let mut out = String::new();
        write(field, precision, scale, &mut out).map(|()| out)
    }

    #[test]
    fn digits_sign_and_scale_survive() {
        assert_eq!(text(&packed("12345678.60", 10, 2), 10, 2).unwrap(), "12345678.60");
        assert_eq!(text(&[0x80, 0, 0, 42, 7], 10, 2).unwrap(), "42.07");
        assert_eq!(text(&[0x7f, 0xff, 0xff, 0xff, 0xfe], 10, 2).unwrap(), "-0.01");
        assert_eq!(text(&packed("1000000001000000002", 19, 0), 19, 0).unwrap(), "1000000001000000002");
        assert_eq!(text(&packed("0.99999", 6, 5)[..], 6, 5).unwrap(), "0.99999");
        // DECIMAL(5,5) has no integer part at all.
        assert_eq!(text(&[0x80, 0x00, 0x01], 5, 5).unwrap(), "0.00001");
        assert_eq!(text(&[0x7f, 0xff, 0xfe], 5, 5).unwrap(), "-0.00001");
    }

    #[test]
    fn impossible_digits_are_an_error() {
        assert_eq!(text(&[0xff], 2, 0), Err(MALFORMED));
        assert_eq!(text(&[], 2, 0), Err(MALFORMED));
        assert_eq!(text(&[0x80, 0], 2, 0), Err(MALFORMED));
    }

    proptest! {
        #[test]
        fn any_decimal_reads_back(sign in "-?", digits in "[1-9][0-9]{34}", fraction in "[0-9]{30}") {
            let number = format!("{sign}{digits}.{fraction}");
            prop_assert_eq!(text(&packed(&number, 65, 30), 65, 30).unwrap(), number);
        }
    }
}
