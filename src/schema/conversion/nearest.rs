//! What a value becomes that the target type cannot hold, in words.
//!
//! For people who decide whether they can live with it. That it happens at all is decided by [`survives`] alone; what
//! the server stores is tried by tests/it/conversions.rs and found by the ledger, not read here.

use super::family::{self, Family, family, fraction};
use super::survival::{contains, range};
use super::{implicit_default, may_refuse, survives};
use crate::schema::table::Column;

/// One thing that can happen to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// A sentence without a full stop.
    pub what: String,
    /// Nothing of the value is left in what is stored: no label, zero.
    pub whole: bool,
}

/// All that can happen to values of `from` that `to` stores as others. Empty if each survives.
pub fn nearest(from: &Column, to: &Column) -> Vec<Nearest> {
    if survives(from, to) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if from.nullable
        && !to.nullable
        && let Some(fill) = implicit_default(to)
    {
        found.push(whole(match family(to) {
            // Not the first label, as where a column is not named.
            Family::Labels => "NULL becomes the empty label".into(),
            Family::Json => "NULL becomes the null of JSON".into(),
            _ => format!("NULL becomes {fill}"),
        }));
    }
    let filled = Column { nullable: false, ..from.clone() };
    if !survives(&filled, to) {
        found.extend(of_value(&filled, to));
    }
    found
}

fn whole(what: impl Into<String>) -> Nearest {
    Nearest { what: what.into(), whole: true }
}

fn part(what: impl Into<String>) -> Nearest {
    Nearest { what: what.into(), whole: false }
}

fn of_value(from: &Column, to: &Column) -> Vec<Nearest> {
    use Family::*;
    let is_text = |column: &Column| matches!(family(column), Text | Bytes | Json | Labels);
    match (family(from), family(to)) {
        (_, Integer | Decimal | Approximate | Year | Bit) if is_text(from) => {
            vec![whole("what is no number becomes 0, or the number that it begins with"), out_of_range(to)]
        }
        (_, Date | DateTime | Time) if is_text(from) => {
            vec![whole(format!("what is no {} becomes zero", to.data_type))]
        }
        (Decimal | Approximate, Integer | Year | Bit) => {
            vec![part("digits after the point are rounded away"), out_of_range(to)]
        }
        (Integer | Year | Bit, Approximate) | (Decimal | Approximate, Approximate) => {
            vec![part(format!("a number is rounded to what {} holds", to.column_type))]
        }
        (_, Decimal) => {
            let scale = family::digits(to).1;
            vec![part(format!("digits after the point are rounded to {scale}")), out_of_range(to)]
        }
        (_, Integer | Year | Bit) => vec![out_of_range(to)],
        (Date | DateTime, Timestamp) => {
            vec![whole("a time that no TIMESTAMP holds (before 1970, after 2038) becomes zero")]
        }
        (DateTime | Timestamp, Date) => vec![part("the time of day is left out")],
        (_, DateTime | Timestamp | Time) => {
            vec![part(format!("fractions of a second are rounded to {} digits", fraction(to)))]
        }
        (_, Labels) if to.data_type == "enum" => {
            vec![whole("a label that the old list does not have becomes the empty one")]
        }
        (_, Labels) => vec![part("members that the old list does not have are left out")],
        (Text, Text) => text(from, to),
        (_, Text) => vec![part(format!("its text is cut to what {} holds", to.column_type))],
        (_, Bytes) if to.data_type == "binary" => {
            vec![part(format!("bytes are cut, or padded, to {}", to.column_type))]
        }
        (_, Bytes) => vec![part(format!("bytes are cut to what {} holds", to.column_type))],
        (_, Json | Spatial | Vector) if may_refuse(from, to) => Vec::new(),
        _ => vec![part(format!("a value becomes the nearest that {} holds", to.column_type))],
    }
}

fn out_of_range(to: &Column) -> Nearest {
    part(match family(to) {
        Family::Integer => {
            let (low, high) = range(to);
            format!("a number outside {low} to {high} becomes the nearer of the two")
        }
        _ => format!("a number beyond {} becomes the nearest that it holds", to.column_type),
    })
}

fn text(from: &Column, to: &Column) -> Vec<Nearest> {
    let mut found = Vec::new();
    let most = |column: &Column| match column.data_type.as_str() {
        "char" | "varchar" => family::numbers(column).first().copied(),
        _ => None,
    };
    match (most(from), most(to)) {
        (Some(n), Some(m)) if n <= m => {}
        (_, Some(m)) => found.push(part(format!("a text longer than {m} characters is cut"))),
        (Some(_), None) => {}
        (None, None) if from.data_type == to.data_type => {}
        (None, None) => found.push(part(format!("a text longer than {} holds is cut", to.data_type))),
    }
    if let (Some(a), Some(b)) = (&from.charset, &to.charset)
        && !contains(b, a)
    {
        found.push(part(format!("characters that {b} does not have become `?`")));
    }
    if to.data_type == "char" && from.data_type != "char" {
        found.push(part("spaces at the end are left out"));
    }
    if found.is_empty() {
        found.push(part(format!("a text that {} cannot hold is cut", to.column_type)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(data_type: &str, column_type: &str, charset: Option<&str>) -> Column {
        Column {
            name: "v".into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            charset: charset.map(Into::into),
            collation: charset.map(|set| format!("{set}_bin")),
            nullable: false,
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    fn words(from: &Column, to: &Column) -> Vec<String> {
        nearest(from, to).into_iter().map(|nearest| nearest.what).collect()
    }

    #[test]
    fn what_survives_becomes_nothing_else() {
        let (int, bigint) = (column("int", "int", None), column("bigint", "bigint", None));
        assert_eq!(words(&int, &bigint), Vec::<String>::new());
        assert_eq!(
            words(&bigint, &int),
            ["a number outside -2147483648 to 2147483647 becomes the nearer of the two"]
        );
    }

    #[test]
    fn null_is_told_apart_from_values() {
        let int = column("int", "int", None);
        let null = Column { nullable: true, ..int.clone() };
        assert_eq!(nearest(&null, &int), [whole("NULL becomes 0")]);
    }

    #[test]
    fn a_text_may_be_cut_and_lose_characters() {
        let (long, short) = (
            column("varchar", "varchar(60)", Some("utf8mb4")),
            column("varchar", "varchar(8)", Some("latin1")),
        );
        assert_eq!(
            words(&long, &short),
            ["a text longer than 8 characters is cut", "characters that latin1 does not have become `?`"]
        );
    }
}
