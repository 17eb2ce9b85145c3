//! Values as bytes, so that two that are not the same to the last bit are two: no collation, no rounding for display.

use super::family::{Family, family};
use super::survival::survives;
use super::{refusal, same_type};
use crate::schema::table::Column;

/// An expression of what a value of `column` is: equal bytes if and only if the same is stored. NULL stays NULL. Bytes of
/// two columns can be compared where their types are the same. It may be a number or a text in whatever character set,
/// and is to be taken as a binary string.
pub fn bytes(column: &Column, value: &str) -> String {
    match family(column) {
        // As text a FLOAT shows six digits, and a display width hides more; 0 and -0 differ.
        Family::Approximate => format!("({value} * 1e0)"),
        Family::Bit => format!("({value} + 0)"),
        // An empty label reads as no label does. As a DOUBLE, a SET of 64 labels would lose some.
        Family::Labels => format!("CAST({value} AS UNSIGNED)"),
        Family::Json => format!("CAST({value} AS CHAR)"),
        Family::Vector => format!("HEX({value})"),
        Family::Spatial => format!("CAST({value} AS BINARY)"),
        Family::Integer
        | Family::Decimal
        | Family::Text
        | Family::Bytes
        | Family::Date
        | Family::DateTime
        | Family::Timestamp
        | Family::Time
        | Family::Year
        | Family::Unknown => value.to_owned(),
    }
}

/// Whether the bytes of different values may have different lengths and hold anything.
pub fn of_any_length(column: &Column) -> bool {
    matches!(
        family(column),
        Family::Text | Family::Bytes | Family::Json | Family::Spatial | Family::Vector | Family::Unknown
    )
}

/// The expression whose [`bytes`] are those of what `to` stores of it, where that is certain without storing it.
pub fn as_stored(from: &Column, to: &Column, value: &str) -> Option<String> {
    let plain = |column: &Column| !column.column_type.contains("zerofill");
    if from.nullable && !to.nullable {
        return None;
    }
    if same_type(from, to) {
        return Some(value.to_owned());
    }
    if refusal(from, to).is_some() || !survives(from, to) {
        return None;
    }
    match (family(from), family(to)) {
        (Family::Integer, Family::Integer) if plain(from) && plain(to) => Some(value.to_owned()),
        // It may be padded.
        (Family::Text, Family::Text) if from.data_type == "char" && to.data_type != "char" => None,
        (Family::Text, Family::Text) if from.charset == to.charset => Some(value.to_owned()),
        (Family::Text, Family::Text) => {
            to.charset.as_ref().map(|charset| format!("CONVERT({value} USING {charset})"))
        }
        _ => None,
    }
}

/// Whether keys of the two types are in the same order, so that a literal bounds the same rows on both sides.
pub fn same_order(from: &Column, to: &Column) -> bool {
    let numbers = |column: &Column| matches!(family(column), Family::Integer | Family::Decimal);
    (from.column_type == to.column_type && from.charset == to.charset && from.collation == to.collation)
        || (numbers(from) && numbers(to))
        || (from.data_type == "varchar"
            && to.data_type == "varchar"
            && from.charset == to.charset
            && from.collation == to.collation)
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn column(column_type: &str) -> Column {
        let data_type = column_type.split(['(', ' ']).next().unwrap();
        let textual = ["char", "varchar", "text", "enum"].contains(&data_type);
        Column {
            name: "c".into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            charset: textual.then(|| "utf8mb4".into()),
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    #[test]
    fn no_bit_of_a_number_is_hidden_by_its_text() {
        assert_eq!(bytes(&column("float(7,3)"), "v"), "(v * 1e0)");
        assert_eq!(bytes(&column("bit(9)"), "v"), "(v + 0)");
        assert_eq!(bytes(&column("enum('','a')"), "v"), "CAST(v AS UNSIGNED)");
        assert_eq!(bytes(&column("decimal(9,2)"), "v"), "v");
    }

    #[test]
    fn only_what_is_stored_unchanged_is_read_from_the_live_table() {
        let stored = |from: &str, to: &str| as_stored(&column(from), &column(to), "v");
        for (from, to) in [("int", "int"), ("int", "bigint"), ("varchar(5)", "text"), ("char(5)", "char(9)")]
        {
            assert_eq!(stored(from, to).as_deref(), Some("v"), "{from} to {to}");
        }
        for (from, to) in [
            ("bigint", "int"),
            ("int(5) unsigned zerofill", "bigint"),
            ("decimal(9,2)", "decimal(10,3)"),
            ("datetime", "datetime(3)"),
            ("varchar(5)", "char(5)"),
            ("enum('a')", "enum('b','a')"),
            ("float", "double"),
        ] {
            assert_eq!(stored(from, to), None, "{from} to {to}");
        }
        let mut latin = column("varchar(5)");
        latin.charset = Some("latin1".into());
        assert_eq!(as_stored(&latin, &column("varchar(5)"), "v").unwrap(), "CONVERT(v USING utf8mb4)");
        let mut whole = column("int");
        whole.nullable = false;
        assert_eq!(as_stored(&column("int"), &whole, "v"), None, "a NULL becomes a 0");
    }

    #[test]
    fn a_literal_bounds_the_same_rows_only_in_the_same_order() {
        assert!(same_order(&column("int"), &column("bigint unsigned")));
        assert!(!same_order(&column("enum('a','b')"), &column("enum('b','a')")));
        let mut other = column("varchar(5)");
        other.collation = Some("utf8mb4_bin".into());
        assert!(!same_order(&column("varchar(5)"), &other));
    }
}
