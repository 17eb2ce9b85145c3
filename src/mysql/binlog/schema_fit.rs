//! Whether a column as `information_schema` describes it is one that the binary log writes in a given way.

use super::wire_type::WireType;
use crate::schema::table::Column;

/// Whether a schema column of this definition is logged as `wire`.
pub(super) fn fits(wire: WireType, column: &Column) -> bool {
    let name = column.data_type.as_str();
    match wire {
        WireType::Int { bytes } => int_bytes(name) == Some(bytes),
        WireType::Float => name == "float",
        WireType::Double => name == "double",
        WireType::Decimal { precision, scale } => {
            name == "decimal" && arguments(&column.column_type) == [u32::from(precision), u32::from(scale)]
        }
        WireType::Year => name == "year",
        WireType::Date => name == "date",
        WireType::Time { digits } => name == "time" && fraction_digits(column) == u32::from(digits),
        WireType::DateTime { digits } => name == "datetime" && fraction_digits(column) == u32::from(digits),
        WireType::Timestamp { digits } => name == "timestamp" && fraction_digits(column) == u32::from(digits),
        WireType::Bit { bytes } => {
            name == "bit" && argument(column).is_some_and(|bits| bits.div_ceil(8) == u32::from(bytes))
        }
        WireType::Enum { bytes } => name == "enum" && enum_bytes(labels(&column.column_type)) == bytes,
        WireType::Set { bytes } => name == "set" && set_bytes(labels(&column.column_type)) == bytes,
        WireType::Char { bytes_max } => matches!(name, "char" | "binary") && length_fits(column, bytes_max),
        WireType::VarChar { bytes_max } => {
            matches!(name, "varchar" | "varbinary") && length_fits(column, bytes_max)
        }
        WireType::Blob { length_bytes } => blob_length_bytes(name) == Some(length_bytes),
        WireType::Json { length_bytes } => name == "json" && length_bytes == 4,
        WireType::Geometry { length_bytes } => is_spatial(name) && length_bytes == 4,
        WireType::Vector { length_bytes } => name == "vector" && length_bytes == 4,
    }
}

fn int_bytes(data_type: &str) -> Option<u8> {
    Some(match data_type {
        "tinyint" => 1,
        "smallint" => 2,
        "mediumint" => 3,
        "int" => 4,
        "bigint" => 8,
        _ => return None,
    })
}

fn blob_length_bytes(data_type: &str) -> Option<u8> {
    Some(match data_type {
        "tinytext" | "tinyblob" => 1,
        "text" | "blob" => 2,
        "mediumtext" | "mediumblob" => 3,
        "longtext" | "longblob" => 4,
        _ => return None,
    })
}

fn is_spatial(data_type: &str) -> bool {
    matches!(
        data_type,
        "geometry"
            | "point"
            | "linestring"
            | "polygon"
            | "multipoint"
            | "multilinestring"
            | "multipolygon"
            | "geomcollection"
            | "geometrycollection"
    )
}

/// The numbers between the parentheses of a column type: `[10, 2]` of `decimal(10,2) unsigned`.
fn arguments(column_type: &str) -> Vec<u32> {
    let inside = column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.map_or_else(Vec::new, |(list, _)| list.split(',').filter_map(|n| n.trim().parse().ok()).collect())
}

fn argument(column: &Column) -> Option<u32> {
    arguments(&column.column_type).first().copied()
}

fn fraction_digits(column: &Column) -> u32 {
    argument(column).unwrap_or(0)
}

fn length_fits(column: &Column, bytes_max: u16) -> bool {
    let Some(characters) = argument(column) else { return false };
    let bytes_each = match &column.charset {
        None => Some(1),
        Some(charset) => character_bytes_max(charset),
    };
    bytes_each.is_none_or(|each| characters.saturating_mul(each) == u32::from(bytes_max))
}

/// `MAXLEN` of the character set; `None` for one that is not known here, which leaves the length unchecked.
fn character_bytes_max(charset: &str) -> Option<u32> {
    Some(match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8mb3" | "utf8" | "ujis" | "eucjpms" => 3,
        "big5" | "cp932" | "euckr" | "gb2312" | "gbk" | "sjis" | "ucs2" => 2,
        "armscii8" | "ascii" | "binary" | "cp1250" | "cp1251" | "cp1256" | "cp1257" | "cp850" | "cp852"
        | "cp866" | "dec8" | "geostd8" | "greek" | "hebrew" | "hp8" | "keybcs2" | "koi8r" | "koi8u"
        | "latin1" | "latin2" | "latin5" | "latin7" | "macce" | "macroman" | "swe7" | "tis620" => 1,
        _ => return None,
    })
}

fn enum_bytes(labels: usize) -> u8 {
    if labels < 256 { 1 } else { 2 }
}

fn set_bytes(labels: usize) -> u8 {
    match labels.div_ceil(8) {
        bytes @ 0..=4 => bytes as u8,
        _ => 8,
    }
}

/// How many labels `enum('a','b,c','it''s')` has: one more than commas outside of quotes. A doubled quote ends a
/// label and begins it again with no comma between; the server escapes backslashes inside.
fn labels(column_type: &str) -> usize {
    let (mut count, mut inside) = (1, false);
    let mut characters = column_type.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if inside => _ = characters.next(),
            '\'' => inside = !inside,
            ',' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_counted_through_quotes_and_backslashes() {
        assert_eq!(labels("enum('a')"), 1);
        assert_eq!(labels("set('a','b,c','it\'\'s','\'\',\'\'','','\\\\')"), 6);
        assert_eq!((enum_bytes(255), enum_bytes(256)), (1, 2));
        assert_eq!([1, 8, 9, 24, 32, 33, 64].map(set_bytes), [1, 1, 2, 3, 4, 8, 8]);
    }
}
