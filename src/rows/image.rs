//! How many bytes a row takes in the binlog.

use crate::schema::table::{Column, quote};

/// What a row has before its values: a bit for each column, and its share of the event around it.
pub fn fixed(columns: usize) -> usize {
    columns.div_ceil(8) + 2
}

/// An expression for the size of a value of `column`, in the table that has the alias `d`. NULL takes none.
pub fn bytes(column: &Column) -> String {
    let value = format!("d.{}", quote(&column.name));
    let constant = match column.data_type.as_str() {
        "tinyint" | "year" => Some(1),
        "smallint" => Some(2),
        "mediumint" | "date" => Some(3),
        "int" | "float" => Some(4),
        "bigint" | "double" => Some(8),
        "time" => Some(3 + fraction(column)),
        "timestamp" => Some(4 + fraction(column)),
        "datetime" => Some(5 + fraction(column)),
        "enum" => Some(2),
        "set" | "bit" => Some(8),
        "decimal" => Some(decimal(column)),
        _ => None,
    };
    match (constant, column.data_type.as_str()) {
        (Some(bytes), _) => format!("IF({value} IS NULL, 0, {bytes})"),
        (None, "json") => format!("COALESCE(JSON_STORAGE_SIZE({value}) + 4, 0)"),
        (None, "char" | "varchar" | "binary" | "varbinary") => format!("COALESCE(LENGTH({value}) + 2, 0)"),
        (None, _) => format!("COALESCE(LENGTH({value}) + 4, 0)"),
    }
}

fn numbers(column: &Column) -> Vec<u32> {
    let inner = column.column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inner.map_or_else(Vec::new, |(inner, _)| inner.split(',').filter_map(|n| n.trim().parse().ok()).collect())
}

fn fraction(column: &Column) -> u32 {
    numbers(column).first().map_or(0, |digits| digits.div_ceil(2))
}

/// Nine digits are four bytes.
fn decimal(column: &Column) -> u32 {
    let precision = numbers(column).first().copied().unwrap_or(10);
    precision.div_ceil(9) * 4
}
