//! The statement that undoes an ALTER where no old table is kept, derived from the two definitions.
//!
//! It is a proposal: whether it gives the old definition back is tried on an empty table before it is journaled. Only
//! what a server does at once needs to be undone here: columns, their defaults and comments, indexes and constraints
//! that came or went, and the table's comment. What else differs is found by that trial.

use super::conversion;
use super::deferral::key_of_line;
use super::table::{Table, check_names, quote};

/// What undoes a change, and at what price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compensation {
    /// The clauses of an ALTER TABLE, in an order that any server takes.
    pub clauses: Vec<String>,
    /// What it does not bring back, or takes away; a sentence each.
    pub losses: Vec<String>,
}

/// From `new` back to `old`. `pairs` are the columns that are the same, by their places in each.
pub fn compensation(old: &Table, new: &Table, pairs: &[(usize, usize)]) -> Compensation {
    let (mut clauses, mut losses) = (Vec::new(), Vec::new());
    for (n, column) in new.columns.iter().enumerate() {
        if !pairs.iter().any(|&(_, other)| other == n) {
            clauses.push(format!("DROP COLUMN {}", quote(&column.name)));
            if !column.generated {
                losses.push(format!("what was written to column {} is gone then", column.name));
            }
        }
    }
    let moved = pairs.windows(2).any(|two| two[0].1 > two[1].1);
    for (o, column) in old.columns.iter().enumerate() {
        let Some(line) = column_line(&old.create, &column.name) else { continue };
        let place = match o.checked_sub(1) {
            Some(before) => format!("AFTER {}", quote(&old.columns[before].name)),
            None => "FIRST".into(),
        };
        let Some(&(_, n)) = pairs.iter().find(|&&(other, _)| other == o) else {
            clauses.push(format!("ADD COLUMN {line} {place}"));
            if !column.generated {
                losses.push(format!(
                    "what column {} held was dropped by the change; it comes back with its default",
                    column.name
                ));
            }
            continue;
        };
        let now = &new.columns[n];
        if moved || column_line(&new.create, &now.name) != Some(line) {
            let place = if moved { format!(" {place}") } else { String::new() };
            clauses.push(format!("CHANGE COLUMN {} {line}{place}", quote(&now.name)));
        }
        if !now.generated && !conversion::survives(now, column) {
            losses.push(format!(
                "a value of column {} that {} cannot hold stops it, and has to be mended first",
                now.name, column.column_type
            ));
        }
    }
    clauses.extend(keys(old, new));
    clauses.extend(checks(old, new));
    clauses.extend(comment(old, new));
    Compensation { clauses, losses }
}

/// The definition of a column, as SHOW CREATE TABLE has it.
fn column_line<'c>(create: &'c str, name: &str) -> Option<&'c str> {
    let begin = format!("{} ", quote(name));
    let lines = create.lines().map(|line| line.trim().trim_end_matches(','));
    lines.skip(1).find(|line| line.starts_with(&begin))
}

fn keys(old: &Table, new: &Table) -> Vec<String> {
    let of = |table: &Table| table.create.lines().filter_map(key_of_line).collect::<Vec<_>>();
    let (before, after) = (of(old), of(new));
    let gone = after.iter().filter(|key| !before.iter().any(|other| other.name == key.name));
    let back = before.iter().filter(|key| !after.iter().any(|other| other.name == key.name));
    gone.map(|key| format!("DROP KEY {}", quote(&key.name)))
        .chain(back.map(|key| format!("ADD {}", key.text)))
        .collect()
}

/// Those of `new` have names that LIKE made up. They come in the order of their names, so only their number tells.
fn checks(old: &Table, new: &Table) -> Vec<String> {
    let (before, after) = (check_names(&old.create), check_names(&new.create));
    if before.len() <= after.len() {
        return Vec::new();
    }
    let texts = |table: &Table| -> Vec<String> {
        let lines = table.create.lines().map(|line| line.trim().trim_end_matches(','));
        lines.filter_map(|line| Some(line.split_once(" CHECK ")?.1.to_owned())).collect()
    };
    let kept = texts(new);
    let lost = before.iter().zip(texts(old)).filter(|(_, text)| !kept.contains(text));
    lost.map(|(name, text)| format!("ADD CONSTRAINT {} CHECK {text}", quote(name))).collect()
}

fn comment(old: &Table, new: &Table) -> Option<String> {
    let of = |table: &Table| -> Option<String> {
        let (_, options) = table.create.rsplit_once("\n) ")?;
        let at = options.find(" COMMENT='")?;
        literal(&options[at + " COMMENT=".len()..])
    };
    let (before, after) = (of(old), of(new));
    (before != after).then(|| format!("COMMENT={}", before.unwrap_or_else(|| "''".into())))
}

/// The string literal that a text begins with. A quote within is doubled.
fn literal(text: &str) -> Option<String> {
    let mut end = 1;
    loop {
        end += text.get(end..)?.find('\'')? + 1;
        match text.get(end..)?.starts_with('\'') {
            true => end += 1,
            false => return Some(text[..end].to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::{Column, TableName};

    fn table(lines: &[&str], options: &str) -> Table {
        let column = |line: &&str| {
            let name = line.strip_prefix('`')?.split('`').next()?;
            let column_type = line.split(' ').nth(1)?;
            Some(Column {
                name: name.into(),
                data_type: column_type.split('(').next()?.into(),
                column_type: column_type.into(),
                charset: None,
                collation: None,
                nullable: true,
                default: None,
                extra: String::new(),
                generated: false,
            })
        };
        Table {
            name: TableName::new("d", "t"),
            columns: lines.iter().filter_map(column).collect(),
            keys: Vec::new(),
            create: format!("CREATE TABLE `t` (\n  {}\n) ENGINE=InnoDB{options}", lines.join(",\n  ")),
            auto_increment: None,
            rows_estimate: 0,
        }
    }

    #[test]
    fn columns_that_came_go_and_those_that_went_come_back_to_their_places() {
        let old = table(&["`a` int", "`b` int DEFAULT '3'", "`c` int"], "");
        let new = table(&["`a` int", "`c` int", "`d` int"], "");
        let back = compensation(&old, &new, &[(0, 0), (2, 1)]);
        assert_eq!(back.clauses, ["DROP COLUMN `d`", "ADD COLUMN `b` int DEFAULT '3' AFTER `a`"]);
        assert_eq!(back.losses.len(), 2);
    }

    #[test]
    fn a_column_gets_its_name_and_its_default_back() {
        let old = table(&["`a` int DEFAULT '1'"], "");
        let new = table(&["`z` int DEFAULT '2'"], "");
        let back = compensation(&old, &new, &[(0, 0)]);
        assert_eq!(back.clauses, ["CHANGE COLUMN `z` `a` int DEFAULT '1'"]);
        assert!(back.losses.is_empty());
    }

    #[test]
    fn a_comment_comes_back_as_it_was() {
        let old = table(&["`a` int"], " COMMENT='it''s old' STATS_PERSISTENT=1");
        let new = table(&["`a` int"], " COMMENT='new'");
        assert_eq!(compensation(&old, &new, &[(0, 0)]).clauses, ["COMMENT='it''s old'"]);
        assert_eq!(compensation(&new, &table(&["`a` int"], ""), &[(0, 0)]).clauses, ["COMMENT='new'"]);
        assert_eq!(compensation(&table(&["`a` int"], ""), &new, &[(0, 0)]).clauses, ["COMMENT=''"]);
    }
}
