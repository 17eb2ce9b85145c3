//! What a JSON container holds: one expression for each type the server tags.
//!
//! A plain number literal is INTEGER up to 2^63 - 1; UNSIGNED INTEGER needs the cast. Dates and times need
//! one too. A hexadecimal literal gets the tag VARCHAR. The tags of BLOB, BINARY, BIT and TIMESTAMP are only given
//! to columns: so JSON_TABLE makes a column of one row, and JSON_ARRAYAGG reads it as a column (a scalar
//! subquery would turn TINYBLOB and LONGBLOB into BLOB, and TIMESTAMP into DATETIME).
//!
//! Text of a character set that the server cannot put into JSON (UTF-16, UCS-2, UTF-32) is stored as its bytes, with
//! the tag VAR_STRING. `_ucs2` does the same, and takes any pairs of bytes.
//!
//! Decimals: [`super::json_decimal`].
//!
//! Not exact, and nearest instead: a blob with a tag that no server is known to write, a BIT longer than eight
//! bytes, a BINARY longer than 255 (no column can be either) gets the tag VARCHAR. Text reads the same but for
//! the number in `base64:type15:`.

use super::column_plan::RowError;
use super::json::MALFORMED;
use super::raw::{big_endian, put, put_digits, put_hex, put_signed};
use super::{json_decimal, temporal};

pub(super) fn write_literal(literal: u64, out: &mut String) -> Result<(), RowError> {
    out.push_str(match literal {
        0 => "NULL",
        1 => "true",
        2 => "false",
        _ => return Err(MALFORMED),
    });
    Ok(())
}

pub(super) fn write_signed(value: i64, out: &mut String) {
    // The digits of the smallest one alone are no INTEGER, whatever the sign before them.
    if value == i64::MIN {
        out.push_str("CAST(-9223372036854775808 AS SIGNED)");
    } else {
        put_signed(out, value);
    }
}

pub(super) fn write_unsigned(value: u64, out: &mut String) {
    out.push_str("CAST(");
    put_digits(out, value, 1);
    out.push_str(" AS UNSIGNED)");
}

pub(super) fn write_string(text: &[u8], out: &mut String) {
    out.push_str("_utf8mb4 ");
    put_hex(out, text);
}

// Type codes as tags of opaque values.
const TIMESTAMP: u8 = 7;
const DATE: u8 = 10;
const TIME: u8 = 11;
const DATETIME: u8 = 12;
const BIT: u8 = 16;
const NEWDECIMAL: u8 = 246;
const TINY_BLOB: u8 = 249;
const MEDIUM_BLOB: u8 = 250;
const LONG_BLOB: u8 = 251;
const BLOB: u8 = 252;
const VAR_STRING: u8 = 253;
const STRING: u8 = 254;

/// `data` is the whole value.
pub(super) fn write_opaque(column_type: u8, data: &[u8], out: &mut String) -> Result<(), RowError> {
    match column_type {
        NEWDECIMAL => json_decimal::write(data, out)?,
        DATE => write_cast(data, temporal::write_json_date, "DATE", out)?,
        TIME => write_cast(data, temporal::write_json_time, "TIME(6)", out)?,
        DATETIME => write_cast(data, temporal::write_json_datetime, "DATETIME(6)", out)?,
        TIMESTAMP => {
            let mut text = String::new();
            temporal::write_json_datetime(data, &mut text)?;
            put_column(out, "TIMESTAMP(6)", |out| out.push_str(&text));
        }
        TINY_BLOB => put_column(out, "TINYBLOB", |out| put_blob(out, data)),
        BLOB => put_column(out, "BLOB", |out| put_blob(out, data)),
        MEDIUM_BLOB => put_column(out, "MEDIUMBLOB", |out| put_blob(out, data)),
        LONG_BLOB => put_column(out, "LONGBLOB", |out| put_blob(out, data)),
        VAR_STRING if data.len().is_multiple_of(2) => {
            out.push_str("_ucs2 ");
            put_hex(out, data);
        }
        STRING if data.len() <= 255 => {
            put_column(out, &format!("BINARY({})", data.len()), |out| put_blob(out, data));
        }
        BIT if (1..=8).contains(&data.len()) => {
            put_column(out, &format!("BIT({})", 8 * data.len()), |out| put_digits(out, big_endian(data), 1));
        }
        _ => put_blob(out, data),
    }
    Ok(())
}

fn write_cast(
    data: &[u8],
    write: fn(&[u8], &mut String) -> Result<(), RowError>,
    to: &str,
    out: &mut String,
) -> Result<(), RowError> {
    out.push_str("CAST(");
    write(data, out)?;
    put(out, format_args!(" AS {to})"));
    Ok(())
}

/// Unlike for a column, `''` will not do: that is a string.
fn put_blob(out: &mut String, data: &[u8]) {
    if data.is_empty() {
        out.push('x');
    }
    put_hex(out, data);
}

/// An expression of a column of this type that holds `value`.
pub(super) fn put_column(out: &mut String, column_type: &str, value: impl FnOnce(&mut String)) {
    out.push_str("JSON_EXTRACT((SELECT JSON_ARRAYAGG(c) FROM JSON_TABLE(JSON_ARRAY(");
    value(out);
    put(out, format_args!("),'$[*]' COLUMNS(c {column_type} PATH '$')) AS t),'$[0]')"));
}
