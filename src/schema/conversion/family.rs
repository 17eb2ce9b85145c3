//! Types that are converted in the same way.

use crate::schema::key::is_spatial;
use crate::schema::table::Column;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    Integer,
    Decimal,
    Approximate,
    Text,
    Bytes,
    Date,
    DateTime,
    Timestamp,
    Time,
    Year,
    Bit,
    Json,
    Labels,
    Spatial,
    Vector,
    Unknown,
}

pub fn family(column: &Column) -> Family {
    match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Family::Integer,
        "decimal" => Family::Decimal,
        "float" | "double" => Family::Approximate,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Family::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Family::Bytes,
        "date" => Family::Date,
        "datetime" => Family::DateTime,
        "timestamp" => Family::Timestamp,
        "time" => Family::Time,
        "year" => Family::Year,
        "bit" => Family::Bit,
        "json" => Family::Json,
        "enum" | "set" => Family::Labels,
        "vector" => Family::Vector,
        other if is_spatial(other) => Family::Spatial,
        _ => Family::Unknown,
    }
}

/// The numbers in parentheses: `[10, 2]` of `decimal(10,2) unsigned`, `[6]` of `datetime(6)`.
pub fn numbers(column: &Column) -> Vec<u32> {
    let inner = column.column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inner.map_or_else(Vec::new, |(inner, _)| inner.split(',').filter_map(|n| n.trim().parse().ok()).collect())
}

/// All digits of a DECIMAL, and those behind the point.
pub fn digits(column: &Column) -> (u32, u32) {
    match numbers(column)[..] {
        [precision, scale] => (precision, scale),
        [precision] => (precision, 0),
        _ => (10, 0),
    }
}

pub fn precision(column: &Column) -> u32 {
    digits(column).0
}

/// The digits of a fraction of a second.
pub fn fraction(column: &Column) -> u32 {
    numbers(column).first().copied().unwrap_or(0)
}

/// The type of a DECIMAL column for CAST, which knows no UNSIGNED.
pub fn decimal_cast(column: &Column) -> String {
    let (precision, scale) = digits(column);
    format!("DECIMAL({precision},{scale})")
}

/// BLOB and TEXT types.
pub fn off_page(column: &Column) -> bool {
    column.data_type.ends_with("blob") || column.data_type.ends_with("text")
}
