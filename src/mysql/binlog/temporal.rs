//! Dates and times, from row images and from JSON documents.
//!
//! A calendar value is one number: `((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second`;
//! a TIME is `hour << 12 | minute << 6 | second`. A fraction follows in ceil(digits / 2) bytes of two digits
//! each, so TIME(1) counts hundredths. Row images hold number and fraction as one big endian integer
//! plus an offset that makes it sort: for negative times the whole integer, fraction included, is negated, so
//! the offset is taken off before anything is split (splitting first is the mistake that turns
//! `-12:34:56.7` into another time).
//!
//! Values that no calendar has ('2024-02-31' under ALLOW_INVALID_DATES) are written as they are; the session
//! that stores them needs that sql_mode too.

use super::column_plan::RowError;
use super::raw::{big_endian, little_endian, put_digits};

const WRONG_LENGTH: RowError = RowError::Malformed("a date or time of a wrong length");

/// DATE: three bytes, little endian.
pub(super) fn write_date(field: &[u8], out: &mut String) -> Result<(), RowError> {
    if field.len() != 3 {
        return Err(WRONG_LENGTH);
    }
    let packed = little_endian(field);
    out.push('\'');
    put_date(out, packed >> 9, packed >> 5 & 15, packed & 31);
    out.push('\'');
    Ok(())
}

/// TIME(digits).
pub(super) fn write_time(field: &[u8], digits: u8, out: &mut String) -> Result<(), RowError> {
    let value = without_offset(field, 3, digits)?;
    let fraction_bits = 8 * u32::from(digits.div_ceil(2));
    out.push('\'');
    put_time(out, value < 0, value.unsigned_abs() >> fraction_bits);
    put_fraction(out, value.unsigned_abs() & ((1 << fraction_bits) - 1), digits);
    out.push('\'');
    Ok(())
}

/// DATETIME(digits).
pub(super) fn write_datetime(field: &[u8], digits: u8, out: &mut String) -> Result<(), RowError> {
    let value = without_offset(field, 5, digits)?;
    let fraction_bits = 8 * u32::from(digits.div_ceil(2));
    out.push('\'');
    put_calendar(out, value.unsigned_abs() >> fraction_bits);
    put_fraction(out, value.unsigned_abs() & ((1 << fraction_bits) - 1), digits);
    out.push('\'');
    Ok(())
}

/// TIMESTAMP(digits): four bytes of seconds since 1970, written in UTC, with the offset: so it is the same instant in a session
/// of any zone, also in an hour that a clock shows twice. Second 0 is the zero date, which has no offset.
pub(super) fn write_timestamp(field: &[u8], digits: u8, out: &mut String) -> Result<(), RowError> {
    let (seconds, fraction) = field.split_at_checked(4).ok_or(WRONG_LENGTH)?;
    if fraction.len() != usize::from(digits.div_ceil(2)) {
        return Err(WRONG_LENGTH);
    }
    let seconds = big_endian(seconds);
    out.push('\'');
    match seconds {
        0 => out.push_str("0000-00-00 00:00:00"),
        seconds => put_utc(out, seconds),
    }
    put_fraction(out, big_endian(fraction), digits);
    out.push_str(if seconds == 0 { "'" } else { "+00:00'" });
    Ok(())
}

/// A DATE inside a JSON document: as [`write_json_datetime`], the time is zero.
pub(super) fn write_json_date(data: &[u8], out: &mut String) -> Result<(), RowError> {
    let calendar = json_number(data)?.unsigned_abs() >> 24;
    out.push('\'');
    put_calendar_date(out, calendar >> 17);
    out.push('\'');
    Ok(())
}

/// DATETIME and TIMESTAMP inside a JSON document: eight bytes, little endian, the low 24 bits are microseconds.
pub(super) fn write_json_datetime(data: &[u8], out: &mut String) -> Result<(), RowError> {
    let value = json_number(data)?.unsigned_abs();
    out.push('\'');
    put_calendar(out, value >> 24);
    put_fraction(out, value & 0xff_ffff, 6);
    out.push('\'');
    Ok(())
}

pub(super) fn write_json_time(data: &[u8], out: &mut String) -> Result<(), RowError> {
    let value = json_number(data)?;
    out.push('\'');
    put_time(out, value < 0, value.unsigned_abs() >> 24);
    put_fraction(out, value.unsigned_abs() & 0xff_ffff, 6);
    out.push('\'');
    Ok(())
}

fn json_number(data: &[u8]) -> Result<i64, RowError> {
    data.try_into().map(i64::from_le_bytes).map_err(|_| WRONG_LENGTH)
}

/// The signed integer of `len` bytes and a fraction; at most 5 + 3 bytes.
fn without_offset(field: &[u8], len: u32, digits: u8) -> Result<i64, RowError> {
    let bytes = len + u32::from(digits.div_ceil(2));
    if field.len() != bytes as usize {
        return Err(WRONG_LENGTH);
    }
    let offset = 1u64 << (8 * bytes - 1);
    Ok(big_endian(field).wrapping_sub(offset) as i64)
}

fn put_calendar(out: &mut String, packed: u64) {
    put_calendar_date(out, packed >> 17);
    out.push(' ');
    put_clock(out, packed >> 12 & 31, packed);
}

fn put_calendar_date(out: &mut String, packed: u64) {
    let months = packed >> 5;
    put_date(out, months / 13, months % 13, packed & 31);
}

fn put_date(out: &mut String, year: u64, month: u64, day: u64) {
    put_digits(out, year, 4);
    out.push('-');
    put_digits(out, month, 2);
    out.push('-');
    put_digits(out, day, 2);
}

fn put_time(out: &mut String, negative: bool, packed: u64) {
    if negative {
        out.push('-');
    }
    put_clock(out, packed >> 12 & 0x3ff, packed);
}

fn put_clock(out: &mut String, hour: u64, packed: u64) {
    put_digits(out, hour, 2);
    out.push(':');
    put_digits(out, packed >> 6 & 63, 2);
    out.push(':');
    put_digits(out, packed & 63, 2);
}

/// `stored` counts in ceil(digits / 2) pairs of digits; an odd number of digits has a zero too many.
fn put_fraction(out: &mut String, stored: u64, digits: u8) {
    if digits > 0 {
        out.push('.');
        let value = if digits % 2 == 1 { stored / 10 } else { stored };
        put_digits(out, value, digits.into());
    }
}

/// Days to a date after Howard Hinnant's `civil_from_days`, with years that begin in March.
fn put_utc(out: &mut String, seconds: u64) {
    const DAY: u64 = 24 * 60 * 60;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    const DAYS_BEFORE_1970: u64 = 719_468; // since 0000-03-01
    let days = seconds / DAY + DAYS_BEFORE_1970;
    let day_of_era = days % DAYS_IN_400_YEARS;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + days / DAYS_IN_400_YEARS * 400 + u64::from(month <= 2);
    put_date(out, year, month, day);
    out.push(' ');
    let clock = seconds % DAY;
    put_clock(out, clock / 3600, ((clock / 60 % 60) << 6) | (clock % 60));
}

#[cfg(test)]
mod tests {
    use super::*;

    type Write = fn(&[u8], u8, &mut String) -> Result<(), RowError>;

    fn text(write: Write, field: &[u8], digits: u8) -> String {
        let mut out = String::new();
        write(field, digits, &mut out).unwrap();
        out
    }

    #[test]
    fn a_negative_time_is_negated_as_a_whole() {
        // 12:34:56 is 0x00c8b8; with .70 it is 0x00c8b846, and 0x80000000 minus that is 0x7f3747ba.
        assert_eq!(text(write_time, &[0x7f, 0x37, 0x47, 0xba], 1), "'-12:34:56.7'");
        assert_eq!(text(write_time, &[0x7f, 0x37, 0x47, 0xba], 2), "'-12:34:56.70'");
        assert_eq!(text(write_time, &[0x7f, 0x37, 0x48], 0), "'-12:34:56'");
        assert_eq!(text(write_time, &[0x80, 0xc8, 0xb8], 0), "'12:34:56'");
        assert_eq!(text(write_time, &[0x7f, 0xff, 0xff, 0xff], 2), "'-00:00:00.01'");
        assert_eq!(text(write_time, &[0x7f, 0xff, 0xff, 0xff, 0xff], 4), "'-00:00:00.0001'");
        assert_eq!(text(write_time, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff], 6), "'-00:00:00.000001'");
        assert_eq!(text(write_time, &[0xb4, 0x6e, 0xfb], 0), "'838:59:59'");
    }

    #[test]
    fn a_datetime_keeps_partial_and_zero_dates() {
        assert_eq!(text(write_datetime, &[0x80, 0, 0, 0, 0], 0), "'0000-00-00 00:00:00'");
        let packed = ((2024u64 * 13) << 5) << 17 | 1 << 39;
        assert_eq!(text(write_datetime, &packed.to_be_bytes()[3..], 0), "'2024-00-00 00:00:00'");
        let packed = (((2024u64 * 13 + 2) << 5 | 29) << 17 | 23 << 12 | 59 << 6 | 58) << 16 | 1230 | 1 << 55;
        assert_eq!(text(write_datetime, &packed.to_be_bytes()[1..], 3), "'2024-02-29 23:59:58.123'");
    }

    #[test]
    fn a_timestamp_is_written_in_utc() {
        assert_eq!(text(write_timestamp, &[0, 0, 0, 0], 0), "'0000-00-00 00:00:00'");
        assert_eq!(text(write_timestamp, &[0, 0, 0, 1, 0, 10], 3), "'1970-01-01 00:00:01.001+00:00'");
        assert_eq!(text(write_timestamp, &[0x7f, 0xff, 0xff, 0xff], 0), "'2038-01-19 03:14:07+00:00'");
        assert_eq!(text(write_timestamp, &1_709_251_199u32.to_be_bytes(), 0), "'2024-02-29 23:59:59+00:00'");
        assert_eq!(text(write_timestamp, &951_868_800u32.to_be_bytes(), 0), "'2000-03-01 00:00:00+00:00'");
    }

    #[test]
    fn a_date_is_little_endian() {
        let packed = 2024u32 << 9 | 2 << 5 | 29;
        assert_eq!(text(|f, _, o| write_date(f, o), &packed.to_le_bytes()[..3], 0), "'2024-02-29'");
        assert_eq!(text(|f, _, o| write_date(f, o), &[0, 0, 0], 0), "'0000-00-00'");
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        assert!(write_time(&[0x80, 0, 0, 0], 0, &mut String::new()).is_err());
        assert!(write_date(&[0; 4], &mut String::new()).is_err());
        assert!(write_json_time(&[0; 7], &mut String::new()).is_err());
    }
}
