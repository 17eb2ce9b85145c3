//! Which column types rsc converts into which.
//!
//! The conversion itself is done by the server, by assignment in `INSERT … SELECT`. That is what a native ALTER
//! does too, *within* a family of types. Between families the two differ (ALTER takes the ordinal of an ENUM,
//! INSERT its text; a TIMESTAMP depends on the session's zone), so those are refused here until the projection
//! has an exact expression for each.

use super::table::Column;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    Exact,
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
    Other,
}

fn family(column: &Column) -> Family {
    match column.data_type.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" => Family::Exact,
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
        _ => Family::Other,
    }
}

/// What becomes of a value that the target type cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// The statement fails, as a native ALTER in strict mode does. Needs a strict `sql_mode`.
    Strict,
    /// The server stores the nearest value, as it does without strict mode. Needs a `sql_mode` that is not strict.
    Nearest,
}

pub fn expression(_from: &Column, _to: &Column, _manner: Manner, value: &str) -> String {
    value.to_owned()
}

/// Whether every value of `from` comes back the same from `to`.
pub fn survives(from: &Column, to: &Column) -> bool {
    from.column_type == to.column_type && from.charset == to.charset && (to.nullable || !from.nullable)
}

/// Whether values of `from` are assigned to `to` exactly as a native ALTER would.
pub fn supported(from: &Column, to: &Column) -> bool {
    if from.column_type == to.column_type && from.charset == to.charset {
        return true;
    }
    match (family(from), family(to)) {
        (Family::Labels, Family::Labels) => {
            from.data_type == to.data_type && same_labels_then_more(&from.column_type, &to.column_type)
        }
        (Family::Other, _) | (_, Family::Other) => false,
        (a, b) => a == b,
    }
}

/// Whether two different keys of `from` stay different in `to`, and the other way round.
///
/// If not, the shadow's key would find the row of another key, and overwrite or delete it without a word. A
/// conversion that fails loudly (a number out of range, a text too long) is no danger here; one that rounds, pads
/// or strips is.
pub fn keeps_keys_apart(from: &Column, to: &Column) -> bool {
    if from.column_type == to.column_type {
        return true;
    }
    match (from.data_type.as_str(), to.data_type.as_str()) {
        ("decimal", "decimal") => scale(from) == scale(to),
        ("decimal", _) | (_, "decimal") => false,
        ("varchar", "varchar") | ("char", "char") | ("varbinary", "varbinary") | ("enum", "enum") => true,
        _ => family(from) == Family::Exact && family(to) == Family::Exact,
    }
}

/// `2` of `decimal(10,2) unsigned`.
fn scale(column: &Column) -> Option<&str> {
    let inner = column.column_type.split_once('(')?.1.split_once(')')?.0;
    Some(inner.split_once(',').map_or("0", |(_, scale)| scale))
}

/// One label list begins with the other, so the ordinals (bits) they share mean the same labels.
fn same_labels_then_more(a: &str, b: &str) -> bool {
    let inner = |t: &str| t.trim_end_matches(')').to_owned();
    let (a, b) = (inner(a), inner(b));
    let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    long == short || long.strip_prefix(&short).is_some_and(|rest| rest.starts_with(','))
}

/// What a column without default takes in rows that did not name it, as a native ALTER fills an added column.
/// `None` for a type without an implicit default.
pub fn implicit_default(column: &Column) -> Option<&'static str> {
    Some(match family(column) {
        Family::Exact | Family::Approximate | Family::Year | Family::Bit => "0",
        Family::Text | Family::Bytes => "''",
        Family::Date => "'0000-00-00'",
        Family::DateTime | Family::Timestamp => "'0000-00-00 00:00:00'",
        Family::Time => "'00:00:00'",
        Family::Json => "CAST('null' AS JSON)",
        Family::Labels if column.data_type == "enum" => "1",
        Family::Labels => "''",
        Family::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str, column_type: &str) -> Column {
        Column {
            name: "c".into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    #[test]
    fn widening_stays_within_the_family() {
        assert!(supported(&column("int", "int"), &column("bigint", "bigint unsigned")));
        assert!(supported(&column("varchar", "varchar(5)"), &column("text", "text")));
        assert!(!supported(&column("int", "int"), &column("enum", "enum('a')")));
        assert!(!supported(&column("timestamp", "timestamp"), &column("datetime", "datetime")));
    }

    #[test]
    fn a_key_is_not_rounded_padded_or_stripped() {
        assert!(keeps_keys_apart(&column("int", "int"), &column("bigint", "bigint")));
        assert!(keeps_keys_apart(&column("decimal", "decimal(5,2)"), &column("decimal", "decimal(9,2)")));
        assert!(!keeps_keys_apart(&column("decimal", "decimal(5,2)"), &column("decimal", "decimal(5,1)")));
        assert!(!keeps_keys_apart(&column("datetime", "datetime(6)"), &column("datetime", "datetime")));
        assert!(!keeps_keys_apart(&column("varchar", "varchar(9)"), &column("char", "char(9)")));
        assert!(!keeps_keys_apart(&column("varbinary", "varbinary(9)"), &column("binary", "binary(9)")));
    }

    #[test]
    fn labels_may_only_be_appended() {
        let short = column("enum", "enum('a','b')");
        assert!(supported(&short, &column("enum", "enum('a','b','c')")));
        assert!(!supported(&short, &column("enum", "enum('b','a')")));
        assert!(!supported(&short, &column("enum", "enum('a','bc')")));
    }
}
