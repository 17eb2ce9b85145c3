//! Which column types rsc converts into which, and by which expression.
//!
//! The server converts, by assignment in `INSERT … SELECT` or UPDATE. That is nearly what a native ALTER does, but
//! not quite: an ALTER takes the text of a number where an INSERT takes the number, rounds otherwise, and reads a
//! TIMESTAMP in the server's time zone. Where the two part, the expression here brings them together again. What
//! was found is held by tests/it/conversions.rs, which compares every pair value by value with the native ALTER.
//!
//! A change must be able to come back, so a pair is supported if there is an expression for both directions.

mod ahead;
mod bytes;
mod calendar;
mod family;
mod nearest;
mod survival;
mod zone;

pub use self::ahead::must_fit;
pub use self::bytes::{as_stored, bytes, of_any_length, same_order};
use self::family::{Family, family, fraction};
pub use self::nearest::{Nearest, nearest};
pub use self::survival::{fits, keeps_keys_apart, survives};
use super::table::Column;

/// What becomes of a value that the target type cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// The statement fails, as a native ALTER in strict mode does. Needs a strict `sql_mode`.
    Strict,
    /// The server stores the nearest value, as it does without strict mode. Needs a `sql_mode` that is not strict.
    Nearest,
}

/// Why values of one type cannot become values of another, or not come back, exactly as in a native ALTER. `None`
/// for a pair that is supported in this direction and in the other.
pub fn refusal(from: &Column, to: &Column) -> Option<&'static str> {
    if same_type(from, to) {
        return (from.nullable && to.auto_increment()).then_some(
            "a NULL would become the next number of the counter, which is not the same in two tables",
        );
    }
    one_way(from, to).or_else(|| one_way(to, from))
}

fn same_type(a: &Column, b: &Column) -> bool {
    a.column_type == b.column_type && a.charset == b.charset
}

fn one_way(from: &Column, to: &Column) -> Option<&'static str> {
    use Family::*;
    if from.nullable && to.auto_increment() {
        return Some(
            "a NULL would become the next number of the counter, which is not the same in two tables",
        );
    }
    match (family(from), family(to)) {
        (Timestamp, Timestamp | DateTime | Date) | (DateTime | Date, Timestamp) => None,
        (Timestamp, _) | (_, Timestamp) => {
            Some("a TIMESTAMP is converted exactly only from and to DATETIME and DATE")
        }
        (Time, Date | DateTime | Year) | (Date | DateTime | Year, Time) => Some(
            "MySQL takes the day of the conversion for what is missing, so a row would depend on when it is converted",
        ),
        (Text | Bytes | Json, Bit) => {
            Some("an ALTER reads the text as a number, and no expression does that in the same way")
        }
        (Bit, Date | DateTime) | (Date | DateTime, Bit) => {
            Some("the bits would be read as a text, or as a number")
        }
        (Bytes, Json) => Some("MySQL makes no JSON of bytes without a character set"),
        (Decimal, Json) if family::precision(from) > 15 => Some(
            "JSON holds such a number only as a DOUBLE, and MySQL does not always refuse the ones that do not fit",
        ),
        (Spatial, Spatial) => None,
        (Vector, Vector) => {
            Some("MySQL cuts a vector that is too long differently in an ALTER and in an INSERT")
        }
        (Spatial | Vector | Unknown, _) | (_, Spatial | Vector | Unknown) => {
            Some("there is no exact expression for it")
        }
        _ => None,
    }
}

/// The SQL that yields, from a value of `from`, what an assignment to `to` stores as a native ALTER does. `value` is
/// the qualified source column. The session's `time_zone` is UTC or the server's.
///
/// A CHAR is padded where a server with PAD_CHAR_TO_FULL_LENGTH pads it, which rsc's own sessions do not.
pub fn expression(from: &Column, to: &Column, manner: Manner, value: &str) -> String {
    let converted = if same_type(from, to) { whole(from, value) } else { converted(from, to, manner, value) };
    match (manner, family(to)) {
        _ if !from.nullable || to.nullable => converted,
        // Elsewhere a server that is not strict stores zero or the empty text. JSON has neither, and a TIMESTAMP may
        // take the time of the statement.
        (Manner::Nearest, Family::Json) => format!("COALESCE({converted}, CAST('null' AS JSON))"),
        (Manner::Nearest, Family::Timestamp) => format!("COALESCE({converted}, '0000-00-00 00:00:00')"),
        _ => converted,
    }
}

/// A value on its way to another column of its own type. A SET is passed on as its text, in which a sole empty label is
/// nothing.
pub fn whole(column: &Column, value: &str) -> String {
    let empty = column.data_type == "set"
        && (survival::labels(&column.column_type)).is_none_or(|labels| labels.contains(&String::new()));
    if empty { format!("CAST({value} AS UNSIGNED)") } else { value.to_owned() }
}

/// As [`expression`], for values that may not be there to be converted: one that the type does not take at all, whatever
/// the manner, becomes NULL. Needs a `sql_mode` that is not strict.
pub fn if_taken(from: &Column, to: &Column, value: &str) -> String {
    let expression = expression(from, to, Manner::Nearest, value);
    match family(to) {
        Family::Json if family(from) != Family::Json => {
            format!("IF(JSON_VALID({expression}), {expression}, NULL)")
        }
        _ => expression,
    }
}

fn converted(from: &Column, to: &Column, manner: Manner, value: &str) -> String {
    let plain = unguarded(from, to, manner, value);
    match (manner, family(from), family(to)) {
        (Manner::Strict, Family::Date | Family::DateTime | Family::Timestamp, _) => plain,
        (Manner::Strict, _, Family::Date | Family::DateTime) => calendar::guarded(&plain),
        _ => plain,
    }
}

/// A CHAR as the server hands it to an ALTER.
fn padded(from: &Column, to: &Column, value: &str) -> Option<String> {
    (from.data_type == "char" && to.data_type != "char" && from.charset.is_some()).then(|| {
        let length = family::numbers(from).first().copied().unwrap_or(1);
        format!(
            "IF(FIND_IN_SET('PAD_CHAR_TO_FULL_LENGTH', @@GLOBAL.sql_mode), RPAD({value}, {length}, ' '), {value})"
        )
    })
}

fn unguarded(from: &Column, to: &Column, manner: Manner, value: &str) -> String {
    let padded = padded(from, to, value);
    by_family(from, to, manner, padded.as_deref().unwrap_or(value))
}

fn by_family(from: &Column, to: &Column, manner: Manner, value: &str) -> String {
    use Family::*;
    match (family(from), family(to)) {
        (Timestamp, DateTime | Date) => zone::local(from, value),
        (DateTime | Date, Timestamp) => zone::instant(to, manner, value),
        // The text of a number, which for an ALTER decides. For an INSERT it is a number: 0.1 as FLOAT is
        // 0.10000000149011612 then, YEAR 0 is 0 and not 0000, zeros to the left are lost.
        (Integer | Decimal | Approximate | Year, Text | Bytes | Date | DateTime | Time | Labels | Json)
        | (Json, Integer | Approximate | Year | Date | DateTime | Time) => format!("CONCAT({value})"),
        // Of a FLOAT above 64 bits that is the least integer, in a strict session too; a native ALTER makes the same of it.
        (Decimal | Approximate, Integer | Year | Bit) => format!("CAST({value} AS SIGNED)"),
        // FLOAT to FLOAT is copied bit by bit by an INSERT, whatever the display width is.
        (Approximate, Approximate) if from.data_type == to.data_type => format!("({value} + 0e0)"),
        // An UPDATE fails at a character that the other set does not have, strict or not; an ALTER puts a `?`.
        (Text | Labels | Json, Text) if manner == Manner::Nearest => match &to.charset {
            Some(charset) if !survival::contains(charset, from.charset.as_deref().unwrap_or("utf8mb4")) => {
                format!("CONVERT({value} USING {charset})")
            }
            _ => value.to_owned(),
        },
        (Text | Bytes | Labels, Date | DateTime | Time) => zone::with_offset(to, value),
        (Date, Year) => format!("({value} + 0)"),
        // Text in a BLOB is read up to what is no number, and an ALTER does not mind.
        (Text | Bytes, Decimal) if family::off_page(from) => {
            format!("CAST({value} AS {})", family::decimal_cast(to))
        }
        _ => value.to_owned(),
    }
}

/// Whether a value may be refused even where the nearest one is wanted: there is none.
pub fn may_refuse(from: &Column, to: &Column) -> bool {
    let null_is_lost = from.nullable && !to.nullable;
    match family(to) {
        Family::Json => family(from) != Family::Json,
        // By an UPDATE, bytes that are no text in that character set.
        Family::Text => family(from) == Family::Bytes,
        Family::Spatial | Family::Vector => null_is_lost || !same_type(from, to),
        _ => false,
    }
}

/// What a column without default takes in rows that did not name it, as a native ALTER fills an added column.
/// `None` for a type without an implicit default.
pub fn implicit_default(column: &Column) -> Option<&'static str> {
    Some(match family(column) {
        Family::Integer | Family::Decimal | Family::Approximate | Family::Year | Family::Bit => "0",
        Family::Text | Family::Bytes => "''",
        Family::Date => "'0000-00-00'",
        Family::DateTime | Family::Timestamp => "'0000-00-00 00:00:00'",
        Family::Time => "'00:00:00'",
        Family::Json => "CAST('null' AS JSON)",
        Family::Labels if column.data_type == "enum" => "1",
        Family::Labels => "''",
        Family::Spatial | Family::Vector | Family::Unknown => return None,
    })
}

/// What a DATETIME whose default is the time of the statement takes: the time of the server's clock, whatever the zone of
/// the session. A TIMESTAMP is the same instant in every zone.
pub fn local_now(column: &Column) -> Option<&'static str> {
    let now =
        column.default.as_deref().is_some_and(|text| text.to_uppercase().starts_with("CURRENT_TIMESTAMP"));
    if column.data_type != "datetime" || !now {
        return None;
    }
    Some(match fraction(column) {
        0 => "CONVERT_TZ(UTC_TIMESTAMP(0), '+00:00', @@GLOBAL.time_zone)",
        1 => "CONVERT_TZ(UTC_TIMESTAMP(1), '+00:00', @@GLOBAL.time_zone)",
        2 => "CONVERT_TZ(UTC_TIMESTAMP(2), '+00:00', @@GLOBAL.time_zone)",
        3 => "CONVERT_TZ(UTC_TIMESTAMP(3), '+00:00', @@GLOBAL.time_zone)",
        4 => "CONVERT_TZ(UTC_TIMESTAMP(4), '+00:00', @@GLOBAL.time_zone)",
        5 => "CONVERT_TZ(UTC_TIMESTAMP(5), '+00:00', @@GLOBAL.time_zone)",
        _ => "CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', @@GLOBAL.time_zone)",
    })
}

#[cfg(test)]
mod tests;
