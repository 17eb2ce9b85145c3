//! What can be said about the values of a column before anything is made of them.

use super::family::{Family, digits, family, numbers};
use super::survival::{contains, labels, range};
use crate::schema::table::{Column, string_literal};

/// A condition that is false only for values that end a copy, as they end a native ALTER. A value for which it is true
/// may do so as well: for most pairs of types only the attempt can tell. `None` if nothing can be said.
pub fn must_fit(from: &Column, to: &Column, value: &str) -> Option<String> {
    let mut conditions = Vec::new();
    if from.nullable && !to.nullable {
        conditions.push(format!("{value} IS NOT NULL"));
    }
    match (family(from), family(to)) {
        (Family::Integer, Family::Integer) => {
            let (low, high) = range(to);
            conditions.push(format!("{value} BETWEEN {low} AND {high}"));
        }
        (Family::Integer | Family::Decimal, Family::Decimal) => {
            let (precision, scale) = digits(to);
            conditions.push(format!("ABS(ROUND({value}, {scale})) < 1e{}", precision - scale));
            if to.unsigned() {
                conditions.push(format!("ROUND({value}, {scale}) >= 0"));
            }
        }
        (Family::Text, Family::Text) => conditions.extend(text(from, to, value)),
        (Family::Text, Family::Json) => conditions.push(format!("JSON_VALID({value})")),
        (Family::Labels, Family::Labels) if from.data_type == "enum" && to.data_type == "enum" => {
            let labels: Vec<String> =
                labels(&to.column_type)?.iter().map(|label| string_literal(label)).collect();
            conditions.push(format!(
                "({value} + 0 = 0 OR {} IN ({}))",
                as_label(to, value),
                labels.join(", ")
            ));
        }
        _ => {}
    }
    (!conditions.is_empty()).then(|| {
        let known: Vec<String> = conditions.iter().map(|c| format!("({c}) IS NOT FALSE")).collect();
        format!("({})", known.join(" AND "))
    })
}

/// Which label a text is, the target's character set and collation decide; spaces at the end do not count.
fn as_label(to: &Column, value: &str) -> String {
    let text = format!("TRIM(TRAILING ' ' FROM CONCAT({value}))");
    match (&to.charset, &to.collation) {
        (Some(charset), Some(collation)) => format!("CONVERT({text} USING {charset}) COLLATE {collation}"),
        _ => text,
    }
}

/// Spaces at the end are cut without an error.
fn text(from: &Column, to: &Column, value: &str) -> Vec<String> {
    let mut conditions = Vec::new();
    if let (true, Some(most)) = (matches!(to.data_type.as_str(), "char" | "varchar"), numbers(to).first()) {
        conditions.push(format!("CHAR_LENGTH(TRIM(TRAILING ' ' FROM {value})) <= {most}"));
    }
    if let (Some(a), Some(b)) = (&from.charset, &to.charset)
        && !contains(b, a)
    {
        conditions.push(format!(
            "CAST(CONVERT(CONVERT({value} USING {b}) USING {a}) AS BINARY) = CAST({value} AS BINARY)"
        ));
    }
    conditions
}
