//! Values as SQL text that stores the same bytes again.
//!
//! A literal is meant for a statement that inserts into, or compares with, a column of the same type, in a session
//! with `sql_mode='NO_AUTO_VALUE_ON_ZERO'` (not strict), `time_zone='+00:00'` and `SET NAMES utf8mb4` (not
//! `binary`: JSON would become blobs). ALLOW_INVALID_DATES may, and should, be added. No literal contains a backslash, so `NO_BACKSLASH_ESCAPES` does not matter.
//!
//! Why each type comes back as it was:
//! - Integers, BIT, ENUM (ordinal), SET (bit mask) and YEAR are integer literals. YEAR 0 must be: `'0'` is 2000.
//!   So ENUM and SET want the same list of labels in the target.
//! - FLOAT and DOUBLE are the shortest decimal text that reads back as the same double, with an exponent; a plain
//!   decimal text would be rounded to DECIMAL first. A FLOAT is widened to double before, which is exact, and
//!   narrowing it again is too. The server stores no infinity and no NaN.
//! - Text is hexadecimal with the column's character set as introducer, so that the server converts nothing.
//! - Everything without a character set is hexadecimal: BINARY, BLOB, spatial values, VECTOR.
//! - DECIMAL: [`super::decimal`]. Dates and times: [`super::temporal`]. JSON: [`super::json`].
//!
//! Not exact:
//! - Dates that no calendar has ('2024-02-31') become zero dates, with a warning, unless the storing session's
//!   sql_mode has ALLOW_INVALID_DATES. Nothing else changes with that mode.
//! - FLOAT(M,D) and DOUBLE(M,D) at the limit of M are clamped by the server, with a warning, to what is stored.
//! - Text that is malformed in its own character set is refused by the server (error 1300), not changed.

use super::column_plan::RowError;
use super::raw::{big_endian, little_endian, put, put_digits, put_hex, put_signed};
use super::wire_type::WireType;
use super::{decimal, json, temporal};
use crate::schema::table::Column;

/// How the values of one column become literals.
#[derive(Clone, Debug)]
pub(super) enum Codec {
    Signed {
        bytes: u8,
    },
    /// Unsigned integers, ENUM and SET.
    Unsigned {
        bytes: u8,
    },
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Year,
    Date,
    Time {
        digits: u8,
    },
    DateTime {
        digits: u8,
    },
    Timestamp {
        digits: u8,
    },
    Bit {
        bytes: u8,
    },
    /// The introducer, with the space after it: `_latin1 `.
    Text {
        introducer: Box<str>,
    },
    Bytes,
    Json,
}

impl Codec {
    pub(super) fn of(wire: WireType, column: &Column) -> Self {
        match wire {
            WireType::Int { bytes } if column.unsigned() => Self::Unsigned { bytes },
            WireType::Int { bytes } => Self::Signed { bytes },
            WireType::Float => Self::Float,
            WireType::Double => Self::Double,
            WireType::Decimal { precision, scale } => Self::Decimal { precision, scale },
            WireType::Year => Self::Year,
            WireType::Date => Self::Date,
            WireType::Time { digits } => Self::Time { digits },
            WireType::DateTime { digits } => Self::DateTime { digits },
            WireType::Timestamp { digits } => Self::Timestamp { digits },
            WireType::Bit { bytes } => Self::Bit { bytes },
            WireType::Enum { bytes } | WireType::Set { bytes } => Self::Unsigned { bytes },
            WireType::Char { .. } | WireType::VarChar { .. } | WireType::Blob { .. } => {
                match introducer(column) {
                    Some(introducer) => Self::Text { introducer: introducer.into() },
                    None => Self::Bytes,
                }
            }
            WireType::Geometry { .. } | WireType::Vector { .. } => Self::Bytes,
            WireType::Json { .. } => Self::Json,
        }
    }

    pub(super) fn write(&self, field: &[u8], out: &mut String) -> Result<(), RowError> {
        match self {
            Self::Signed { bytes } => put_signed(out, sign_extended(exactly(field, *bytes)?)),
            Self::Unsigned { bytes } => put_digits(out, little_endian(exactly(field, *bytes)?), 1),
            Self::Bit { bytes } => put_digits(out, big_endian(exactly(field, *bytes)?), 1),
            Self::Float => {
                let value = field.try_into().map(f32::from_le_bytes).map_err(|_| WRONG_LENGTH)?;
                put_double(out, f64::from(value))?;
            }
            Self::Double => {
                let value = field.try_into().map(f64::from_le_bytes).map_err(|_| WRONG_LENGTH)?;
                put_double(out, value)?;
            }
            Self::Year => match little_endian(exactly(field, 1)?) {
                0 => out.push('0'),
                years => put_digits(out, 1900 + years, 4),
            },
            Self::Decimal { precision, scale } => decimal::write(field, *precision, *scale, out)?,
            Self::Date => temporal::write_date(field, out)?,
            Self::Time { digits } => temporal::write_time(field, *digits, out)?,
            Self::DateTime { digits } => temporal::write_datetime(field, *digits, out)?,
            Self::Timestamp { digits } => temporal::write_timestamp(field, *digits, out)?,
            Self::Text { introducer } => {
                out.push_str(introducer);
                put_hex(out, field);
            }
            Self::Bytes => put_hex(out, field),
            Self::Json => json::write(field, out)?,
        }
        Ok(())
    }
}

const WRONG_LENGTH: RowError = RowError::Malformed("a value of a wrong length");

fn exactly(field: &[u8], bytes: u8) -> Result<&[u8], RowError> {
    if field.len() == usize::from(bytes) { Ok(field) } else { Err(WRONG_LENGTH) }
}

/// One to eight bytes.
fn sign_extended(field: &[u8]) -> i64 {
    let unused_bits = 64 - 8 * field.len().clamp(1, 8);
    ((little_endian(field) << unused_bits) as i64) >> unused_bits
}

pub(super) fn put_double(out: &mut String, value: f64) -> Result<(), RowError> {
    if !value.is_finite() {
        return Err(RowError::Malformed("a floating point number that is not finite"));
    }
    put(out, format_args!("{value:e}"));
    Ok(())
}

/// `None` if the column's values are bytes, not characters.
fn introducer(column: &Column) -> Option<String> {
    let charset = column.charset.as_deref().filter(|name| *name != "binary")?;
    Some(format!("_{charset} "))
}

/// The server's side of [`super::ColumnPlan::write_literal`], for key columns: an expression over the column that
/// yields such a literal as text, or NULL for NULL. `qualified` is the column, quoted and qualified as the
/// statement needs it; the session is as above.
///
/// `None` for types that cannot be a whole column of a key (JSON, spatial, VECTOR, TEXT, BLOB) and for
/// FLOAT and DOUBLE, whose text on the server need not read back as the same number.
pub fn literal_select_expr(column: &Column, qualified: &str) -> Option<String> {
    Some(match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" => {
            format!("CAST({qualified} AS CHAR)")
        }
        // CAST AS UNSIGNED asks ENUM and SET for their number; adding 0 would make it a double.
        "year" | "bit" | "enum" | "set" => format!("CAST(CAST({qualified} AS UNSIGNED) AS CHAR)"),
        "date" | "time" | "datetime" | "timestamp" => {
            format!("CONCAT('''', CAST({qualified} AS CHAR), '''')")
        }
        "char" | "varchar" | "binary" | "varbinary" => {
            let introducer = introducer(column).unwrap_or_default();
            format!("CONCAT('{introducer}x''', HEX({qualified}), '''')")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(column_type: &str, charset: Option<&str>) -> Column {
        Column {
            name: "c".into(),
            data_type: column_type.split(['(', ' ']).next().unwrap().into(),
            column_type: column_type.into(),
            charset: charset.map(Into::into),
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    fn literal(wire: WireType, column: &Column, field: &[u8]) -> String {
        let mut out = String::new();
        Codec::of(wire, column).write(field, &mut out).unwrap();
        out
    }

    fn plain(wire: WireType, column_type: &str, field: &[u8]) -> String {
        literal(wire, &column(column_type, None), field)
    }

    #[test]
    fn every_width_of_integer_keeps_its_sign() {
        for bytes in [1u8, 2, 3, 4, 8] {
            let (wire, ones) = (WireType::Int { bytes }, &[0xff; 8][..usize::from(bytes)]);
            assert_eq!(plain(wire, "mediumint", ones), "-1");
            let max = (u64::MAX >> (64 - 8 * u32::from(bytes))).to_string();
            assert_eq!(plain(wire, "mediumint unsigned", ones), max);
            assert_eq!(plain(wire, "int(8) unsigned zerofill", ones), max);
        }
        assert_eq!(plain(WireType::Int { bytes: 3 }, "mediumint", &[0x90, 0xee, 0xfe]), "-70000");
        assert_eq!(plain(WireType::Int { bytes: 3 }, "mediumint", &[0x00, 0x00, 0x80]), "-8388608");
    }

    #[test]
    fn year_zero_is_the_number_zero() {
        assert_eq!(plain(WireType::Year, "year", &[0]), "0");
        assert_eq!(plain(WireType::Year, "year", &[1]), "1901");
        assert_eq!(plain(WireType::Year, "year", &[255]), "2155");
    }

    #[test]
    fn bits_are_big_endian_and_sets_little_endian() {
        assert_eq!(plain(WireType::Bit { bytes: 2 }, "bit(10)", &[2, 1]), "513");
        assert_eq!(plain(WireType::Bit { bytes: 8 }, "bit(64)", &[0xff; 8]), u64::MAX.to_string());
        assert_eq!(
            plain(WireType::Set { bytes: 8 }, "set(…)", &[1, 0, 0, 0, 0, 0, 0, 0x80]),
            "9223372036854775809"
        );
        assert_eq!(plain(WireType::Enum { bytes: 2 }, "enum(…)", &[0x2c, 0x01]), "300");
        assert_eq!(plain(WireType::Enum { bytes: 1 }, "enum(…)", &[0]), "0");
    }

    #[test]
    fn a_float_is_printed_as_the_double_it_equals() {
        let float = |value: f32| plain(WireType::Float, "float", &value.to_le_bytes());
        assert_eq!(float(0.1), "1.0000000149011612e-1");
        assert_eq!(float(f32::MAX), "3.4028234663852886e38");
        assert_eq!(float(-0.0), "-0e0");
        let double = |value: f64| plain(WireType::Double, "double", &value.to_le_bytes());
        assert_eq!(double(f64::MAX), "1.7976931348623157e308");
        assert_eq!(double(5e-324), "5e-324");
        assert_eq!(double(0.1), "1e-1");
    }

    #[test]
    fn text_names_its_character_set_and_bytes_do_not() {
        let wire = WireType::VarChar { bytes_max: 20 };
        assert_eq!(literal(wire, &column("varchar(20)", Some("latin1")), b"\xe9'"), "_latin1 x'e927'");
        assert_eq!(literal(wire, &column("varchar(20)", Some("utf16")), b""), "_utf16 ''");
        assert_eq!(literal(wire, &column("varbinary(20)", None), b"\0\\"), "x'005c'");
        assert_eq!(literal(wire, &column("varchar(20)", Some("binary")), b""), "''");
        let blob = WireType::Blob { length_bytes: 4 };
        assert_eq!(literal(blob, &column("longtext", Some("utf8mb3")), b"a"), "_utf8mb3 x'61'");
        assert_eq!(plain(WireType::Vector { length_bytes: 4 }, "vector(1)", &[0; 4]), "x'00000000'");
    }

    #[test]
    fn the_server_is_asked_for_the_same_kind_of_literal() {
        let expr = |column_type, charset| literal_select_expr(&column(column_type, charset), "`t`.`c`");
        assert_eq!(expr("bigint unsigned", None).unwrap(), "CAST(`t`.`c` AS CHAR)");
        assert_eq!(expr("set('a')", Some("latin1")).unwrap(), "CAST(CAST(`t`.`c` AS UNSIGNED) AS CHAR)");
        assert_eq!(expr("varchar(9)", Some("gbk")).unwrap(), "CONCAT('_gbk x''', HEX(`t`.`c`), '''')");
        assert_eq!(expr("binary(9)", None).unwrap(), "CONCAT('x''', HEX(`t`.`c`), '''')");
        assert_eq!(expr("time(3)", None).unwrap(), "CONCAT('''', CAST(`t`.`c` AS CHAR), '''')");
        for keyless in ["float", "double", "json", "point", "vector(3)", "text", "blob"] {
            assert_eq!(expr(keyless, None), None);
        }
    }
}
