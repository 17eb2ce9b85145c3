//! Columns that the server computes, as SHOW CREATE TABLE tells of them, and which of them mean the same in two tables.
//!
//! A column means the same if its expression is written the same, its type is the same, and so are all columns that the
//! expression names: what the one table holds is then what the other has to hold. Of a column that does not, the table's own
//! row tells what it has to hold: its expression over that row. A value that is not stored is computed whenever it is read,
//! and needs no such look.

use super::projection::Mapped;
use super::table::{Column, Table, quote, same_name};

/// A generated column in a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Computed {
    pub name: String,
    /// As SHOW CREATE TABLE has it, without the outermost parentheses.
    pub expression: String,
    pub stored: bool,
}

/// A stored value that is held against its expression over the same row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recomputed {
    pub column: Column,
    pub expression: String,
}

/// The generated columns of a shadow, by how they can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Generated {
    /// They mean the same in the live table.
    pub alike: Vec<Mapped>,
    /// They do not, and are stored.
    pub recomputed: Vec<Recomputed>,
}

impl Generated {
    /// `pairs`: the columns of `live` and `shadow` that are the same.
    pub fn of(live: &Table, shadow: &Table, pairs: &[(&Column, &Column)]) -> Self {
        let (theirs, own) = (computed(&live.create), computed(&shadow.create));
        let mut found = Self::default();
        // One may be computed of another, which stands before it or behind it.
        let mut alike: Vec<&str> = Vec::new();
        loop {
            let known = alike.len();
            for one in &own {
                if !alike.contains(&one.name.as_str()) && means_the_same(one, &theirs, &own, pairs, &alike) {
                    alike.push(&one.name);
                }
            }
            if alike.len() == known {
                break;
            }
        }
        for one in &own {
            let Some(column) = shadow.column(&one.name) else { continue };
            if alike.contains(&one.name.as_str()) {
                let from = pairs.iter().find(|(_, to)| same_name(&to.name, &one.name)).map(|(from, _)| from);
                let place =
                    |from: &&&Column| live.columns.iter().position(|c| same_name(&c.name, &from.name));
                if let Some(source) = from.as_ref().and_then(place) {
                    found.alike.push(Mapped { source, target: column.clone() });
                }
            } else if one.stored {
                let expression = one.expression.clone();
                found.recomputed.push(Recomputed { column: column.clone(), expression });
            }
        }
        found
    }
}

fn means_the_same(
    one: &Computed,
    theirs: &[Computed],
    own: &[Computed],
    pairs: &[(&Column, &Column)],
    alike: &[&str],
) -> bool {
    let pair = |name: &str| pairs.iter().find(|(_, to)| same_name(&to.name, name));
    let Some((from, to)) = pair(&one.name) else { return false };
    let Some(other) = theirs.iter().find(|other| same_name(&other.name, &from.name)) else { return false };
    let named = |name: &str| names(&one.expression, name);
    let same_names = pairs.iter().filter(|(_, to)| named(&to.name)).all(|(from, to)| {
        let computed = own.iter().find(|other| same_name(&other.name, &to.name));
        same_name(&from.name, &to.name)
            && same_type(from, to)
            && computed.is_none_or(|other| alike.contains(&other.name.as_str()))
            && from.generated == to.generated
    });
    other.expression == one.expression && same_type(from, to) && same_names
}

fn same_type(a: &Column, b: &Column) -> bool {
    a.column_type == b.column_type && a.charset == b.charset && a.collation == b.collation
}

/// Whether an expression names a column. A text that looks like it counts, which only makes for more work.
pub fn names(expression: &str, column: &str) -> bool {
    expression.to_lowercase().contains(&quote(column).to_lowercase())
}

/// The generated columns of a SHOW CREATE TABLE.
pub fn computed(create: &str) -> Vec<Computed> {
    create.lines().filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<Computed> {
    const AS: &str = " GENERATED ALWAYS AS (";
    let rest = line.trim_start().strip_prefix('`')?;
    let (name, rest) = super::deferral::quoted_name(rest)?;
    let start = outside(rest).find(|&(i, depth)| depth == 0 && rest[i..].starts_with(AS))?.0 + AS.len();
    let inner = &rest[start..];
    let end = outside(inner).find(|&(i, depth)| depth == 0 && inner[i..].starts_with(')'))?.0;
    let stored = inner[end..].strip_prefix(')')?.trim_start().starts_with("STORED");
    Some(Computed { name, expression: inner[..end].to_owned(), stored })
}

/// The expressions among the parts of an index, and the columns that stand beside them, as `KEY name (…)` has them.
pub fn key_parts(text: &str) -> Vec<String> {
    let Some(open) = outside(text).find(|&(i, depth)| depth == 0 && text[i..].starts_with('(')) else {
        return Vec::new();
    };
    let inner = &text[open.0 + 1..];
    let mut parts = Vec::new();
    let mut from = 0;
    for (i, depth) in outside(inner) {
        let (ends, closes) = (inner[i..].starts_with(','), inner[i..].starts_with(')'));
        if depth == 0 && (ends || closes) {
            parts.push(inner[from..i].trim().to_owned());
            from = i + 1;
            if closes {
                break;
            }
        }
    }
    parts
}

/// The places of a text that are in no quotes, and how deep in parentheses they are: one that opens a pair is outside it, one
/// that closes it is inside.
fn outside(text: &str) -> impl Iterator<Item = (usize, i32)> {
    let mut places = Vec::new();
    let (mut quote, mut escaped, mut depth) = (None, false, 0);
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('\'' | '"'), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"' | '`') => quote = Some(c),
            (None, '(') => {
                places.push((i, depth));
                depth += 1;
            }
            (None, ')') => {
                places.push((i, depth));
                depth = (depth - 1).max(0);
            }
            (None, _) => places.push((i, depth)),
        }
    }
    places.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: &str = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `a` int DEFAULT NULL,\n  \
        `g` int GENERATED ALWAYS AS ((`a` * 2)) STORED COMMENT ') VIRTUAL',\n  \
        `s` varchar(9) COLLATE utf8mb4_bin GENERATED ALWAYS AS (concat(_utf8mb4'\\') STORED',`a`,_utf8mb4'it''s (')) VIRTUAL NOT NULL,\n  \
        `e` enum(' GENERATED ALWAYS AS (') DEFAULT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB";

    #[test]
    fn expressions_are_read_whatever_stands_in_their_texts() {
        let found = computed(CREATE);
        let of = |i: usize| (found[i].name.as_str(), found[i].expression.as_str(), found[i].stored);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(of(0), ("g", "(`a` * 2)", true));
        assert_eq!(of(1), ("s", "concat(_utf8mb4'\\') STORED',`a`,_utf8mb4'it''s (')", false));
    }

    #[test]
    fn the_parts_of_an_index_are_told_apart() {
        assert_eq!(
            key_parts("KEY `k` (`a`,(cast(json_extract(`j`,_utf8mb4'$[*]') as unsigned array)),`b`(9) DESC)"),
            ["`a`", "(cast(json_extract(`j`,_utf8mb4'$[*]') as unsigned array))", "`b`(9) DESC"]
        );
    }

    #[test]
    fn a_column_means_the_same_only_if_all_that_it_names_does() {
        let column = |name: &str, column_type: &str, generated| Column {
            name: name.into(),
            data_type: column_type.into(),
            column_type: column_type.into(),
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated,
        };
        let table = |a: &str, expression: &str| Table {
            columns: vec![column("a", a, false), column("g", "int", true), column("h", "int", true)],
            create: format!(
                "CREATE TABLE `t` (\n  `a` {a},\n  `g` int GENERATED ALWAYS AS ({expression}) STORED,\n  \
                 `h` int GENERATED ALWAYS AS ((`g` + 1)) STORED\n)"
            ),
            ..Table::only_named(&crate::schema::table::TableName::new("d", "t"))
        };
        let of = |live: &Table, shadow: &Table| {
            let pairs: Vec<_> = live.columns.iter().zip(&shadow.columns).collect();
            let found = Generated::of(live, shadow, &pairs);
            let alike: Vec<String> = found.alike.into_iter().map(|m| m.target.name).collect();
            (alike, found.recomputed.into_iter().map(|r| r.column.name).collect::<Vec<_>>())
        };
        let old = table("int", "(`a` * 2)");
        let both = vec!["g".to_owned(), "h".to_owned()];
        assert_eq!(of(&old, &old), (both.clone(), vec![]));
        assert_eq!(of(&old, &table("bigint", "(`a` * 2)")), (vec![], both.clone()), "its base is another");
        assert_eq!(of(&old, &table("int", "(`a` * 3)")), (vec![], both), "and so is what is computed of it");
    }
}
