//! What is certain about values without looking at them.

use super::family::{self, Family, family, fraction};
use super::{refusal, same_type};
use crate::schema::table::{Column, string_literal};

/// Whether every value of `from` comes back identical after it was converted to `to` and back.
///
/// True only if that is certain.
pub fn survives(from: &Column, to: &Column) -> bool {
    use Family::*;
    if to.generated || (from.nullable && !to.nullable) || refusal(from, to).is_some() {
        return false;
    }
    if same_type(from, to) {
        return true;
    }
    match (family(from), family(to)) {
        (Integer, Integer) => within(range(from), range(to)),
        (Integer, Decimal) => {
            let (precision, scale) = family::digits(to);
            // An ALTER takes a DECIMAL for a signed number, even for a column that has no sign.
            range(from).1 <= i64::MAX.into()
                && width(from) <= precision - scale
                && (to_signed(to) || !to_signed(from))
        }
        (Integer, Approximate) => {
            family::numbers(to).is_empty() && bits(from) <= mantissa(to) && to_signed(to)
        }
        (Integer, Text) => !zerofill(from) && length(to).is_some_and(|l| l.holds_ascii(width(from) + 1)),
        (Year, Integer) => within((0, 2155), range(to)),
        (Decimal, Decimal) => {
            let ((p, s), (q, t)) = (family::digits(from), family::digits(to));
            s <= t && p - s <= q - t && (to_signed(to) || !to_signed(from))
        }
        (Approximate, Approximate) => {
            let plain = family::numbers(from).is_empty() && family::numbers(to).is_empty();
            plain && mantissa(from) <= mantissa(to) && (to_signed(to) || !to_signed(from))
        }
        (DateTime, DateTime) | (Timestamp, Timestamp) | (Time, Time) => fraction(from) <= fraction(to),
        (Bit, Bit) => fraction(from) <= fraction(to),
        (Text, Text) => text_survives(from, to),
        (Bytes, Bytes) => bytes_survive(from, to),
        (Labels, Labels) => labels_survive(from, to),
        _ => false,
    }
}

/// Whether two different keys of `from` stay different in `to`, and the other way round.
///
/// If not, the shadow's key would find the row of another key, and overwrite or delete it without a word. A
/// conversion that fails loudly (a number out of range, a text too long) is no danger here; one that rounds, pads
/// or strips is. Where a value is to be stored as the nearest one, [`fits`] tells which keys must not be.
pub fn keeps_keys_apart(from: &Column, to: &Column) -> bool {
    if from.column_type == to.column_type {
        return true;
    }
    let whole = |column: &Column| match family(column) {
        Family::Integer => true,
        Family::Decimal => family::digits(column).1 == 0,
        _ => false,
    };
    match (from.data_type.as_str(), to.data_type.as_str()) {
        ("decimal", "decimal") => family::digits(from).1 == family::digits(to).1,
        ("varchar", "varchar") | ("char", "char") | ("varbinary", "varbinary") => true,
        // CHAR loses spaces at the end. They make no difference where both sides do not see them.
        ("char", "varchar") | ("varchar", "char") => ignores_last_spaces(from) && ignores_last_spaces(to),
        ("enum", "enum") => survives(&filled(from), &filled(to)) || survives(&filled(to), &filled(from)),
        _ => whole(from) && whole(to),
    }
}

/// The condition under which a value of a key column, for which [`keeps_keys_apart`] is true, is stored as what it
/// is. `None` if it always is.
pub fn fits(from: &Column, to: &Column, value: &str) -> Option<String> {
    if survives(&filled(from), &filled(to)) {
        return None;
    }
    let mut conditions = Vec::new();
    match family(to) {
        Family::Integer => {
            let (low, high) = range(to);
            conditions.push(format!("{value} BETWEEN {low} AND {high}"));
        }
        Family::Decimal => {
            let (precision, scale) = family::digits(to);
            conditions.push(format!("ABS({value}) < 1e{}", precision - scale));
            if to.unsigned() {
                conditions.push(format!("{value} >= 0"));
            }
        }
        Family::Labels => {
            let labels: Vec<String> = labels(&to.column_type)
                .unwrap_or_default()
                .iter()
                .map(|label| string_literal(label))
                .collect();
            conditions.push(format!("CONCAT({value}) IN ({})", labels.join(", ")));
        }
        _ => {
            if let Some(&most) = family::numbers(to).first() {
                conditions.push(format!("CHAR_LENGTH({value}) <= {most}"));
            }
            if let (Some(a), Some(b)) = (&from.charset, &to.charset)
                && !contains(b, a)
            {
                conditions.push(format!(
                    "CAST(CONVERT(CONVERT({value} USING {b}) USING {a}) AS BINARY) = CAST({value} AS BINARY)"
                ));
            }
        }
    }
    Some(format!("({})", conditions.join(" AND ")))
}

/// A key has no NULL, on neither side. NOT NULL, as a counter is no place for a NULL.
fn filled(column: &Column) -> Column {
    Column { nullable: false, ..column.clone() }
}

/// Whether the collation takes `a` and `a ` for equal. Only the newer ones of Unicode, and `binary`, do not.
fn ignores_last_spaces(column: &Column) -> bool {
    column.collation.as_deref().is_some_and(|name| name != "binary" && !name.contains("_0900_"))
}

fn within((low, high): (i128, i128), (least, most): (i128, i128)) -> bool {
    least <= low && high <= most
}

/// The bits of an integer type, with the one of the sign.
fn size(column: &Column) -> u32 {
    match column.data_type.as_str() {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" => 32,
        _ => 64,
    }
}

pub(super) fn range(column: &Column) -> (i128, i128) {
    match column.unsigned() {
        true => (0, (1 << size(column)) - 1),
        false => (-(1 << (size(column) - 1)), (1 << (size(column) - 1)) - 1),
    }
}

/// The digits of the largest value of an integer type.
fn width(column: &Column) -> u32 {
    range(column).1.to_string().len() as u32
}

/// The bits of the magnitude of an integer type.
fn bits(column: &Column) -> u32 {
    if column.unsigned() { size(column) } else { size(column) - 1 }
}

fn mantissa(column: &Column) -> u32 {
    if column.data_type == "float" { 24 } else { 53 }
}

fn to_signed(column: &Column) -> bool {
    !column.unsigned()
}

fn zerofill(column: &Column) -> bool {
    column.column_type.contains("zerofill")
}

/// What fits into a text column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Characters(u32),
    Bytes { most: u64, per_character: u64 },
}

impl Length {
    fn holds_ascii(self, characters: u32) -> bool {
        match self {
            Length::Characters(most) => characters <= most,
            Length::Bytes { most, per_character } => u64::from(characters) * per_character <= most,
        }
    }
}

/// The bytes of the longest character; `None` for a character set that is not known here.
fn widest(charset: &str) -> Option<u64> {
    Some(match charset {
        "ascii" | "latin1" => 1,
        "utf8mb3" => 3,
        "utf8mb4" | "utf16" | "utf32" => 4,
        _ => return None,
    })
}

fn off_page_bytes(column: &Column) -> Option<u64> {
    match column.data_type.as_str() {
        "tinytext" | "tinyblob" => Some((1 << 8) - 1),
        "text" | "blob" => Some((1 << 16) - 1),
        "mediumtext" | "mediumblob" => Some((1 << 24) - 1),
        "longtext" | "longblob" => Some((1 << 32) - 1),
        _ => None,
    }
}

fn length(column: &Column) -> Option<Length> {
    match off_page_bytes(column) {
        Some(most) => Some(Length::Bytes { most, per_character: widest(column.charset.as_deref()?)? }),
        None => family::numbers(column).first().map(|&n| Length::Characters(n)),
    }
}

/// Every character of one set is in the other, and comes back.
pub(super) fn contains(to: &str, from: &str) -> bool {
    from == to
        || matches!(
            (from, to),
            ("ascii", "latin1" | "utf8mb3" | "utf8mb4")
                | ("latin1", "utf8mb3" | "utf8mb4")
                | ("utf8mb3", "utf8mb4" | "utf16" | "utf32")
                | ("utf8mb4", "utf16" | "utf32")
                | ("utf16" | "utf32", "utf8mb4")
        )
}

fn text_survives(from: &Column, to: &Column) -> bool {
    let (Some(a), Some(b)) = (from.charset.as_deref(), to.charset.as_deref()) else { return false };
    let strips = to.data_type == "char" && from.data_type != "char";
    let fits = match (length(from), length(to)) {
        (Some(Length::Characters(n)), Some(Length::Characters(m))) => n <= m,
        (Some(Length::Characters(n)), Some(Length::Bytes { most, per_character })) => {
            u64::from(n) * per_character <= most
        }
        (Some(Length::Bytes { most: n, .. }), Some(Length::Bytes { most: m, .. })) if a == b => n <= m,
        (Some(Length::Bytes { most: n, .. }), Some(Length::Bytes { most: m, per_character })) => {
            n * per_character <= m
        }
        (Some(Length::Bytes { most: n, .. }), Some(Length::Characters(m))) => n <= u64::from(m),
        (None, _) | (_, None) => false,
    };
    contains(b, a) && !strips && fits
}

/// BINARY pads what it takes, so nothing but itself comes back from it.
fn bytes_survive(from: &Column, to: &Column) -> bool {
    let most = |column: &Column| {
        off_page_bytes(column).or_else(|| family::numbers(column).first().map(|&n| u64::from(n)))
    };
    let fits = most(from).zip(most(to)).is_some_and(|(n, m)| n <= m);
    to.data_type != "binary" && fits
}

/// Labels are found by their text, so each must be in the other list. With an empty label, ENUM's own empty value
/// would become that label.
fn labels_survive(from: &Column, to: &Column) -> bool {
    let same = from.data_type == to.data_type && from.charset == to.charset && from.collation == to.collation;
    let (Some(a), Some(b)) = (labels(&from.column_type), labels(&to.column_type)) else { return false };
    same && !a.contains(&String::new())
        && !b.contains(&String::new())
        && a.iter().all(|label| b.contains(label))
}

/// The labels of `enum('a','it''s')`.
pub(super) fn labels(column_type: &str) -> Option<Vec<String>> {
    let mut rest = column_type.split_once('(')?.1;
    let mut found = Vec::new();
    loop {
        let mut label = String::new();
        rest = rest.strip_prefix('\'')?;
        loop {
            let (text, after) = rest.split_once('\'')?;
            label.push_str(text);
            match after.strip_prefix('\'') {
                Some(more) => {
                    label.push('\'');
                    rest = more;
                }
                None => {
                    rest = after;
                    break;
                }
            }
        }
        found.push(label);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (rest == ")").then_some(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_holds_every_key_of_its_own_type() {
        let id = Column {
            name: "id".into(),
            data_type: "bigint".into(),
            column_type: "bigint".into(),
            charset: None,
            collation: None,
            nullable: false,
            default: None,
            extra: "auto_increment".into(),
            generated: false,
        };
        assert_eq!(fits(&id, &id, "d.`id`"), None);
    }

    #[test]
    fn labels_are_read_with_their_quotes_and_commas() {
        assert_eq!(labels("enum('a','it''s','b,c','')").unwrap(), ["a", "it's", "b,c", ""]);
        assert_eq!(labels("int"), None);
    }
}
