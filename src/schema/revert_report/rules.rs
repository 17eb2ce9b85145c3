//! What the old schema demands of a row besides the types of its columns, and whether the new one demands it, too.

use super::super::conversion;
use super::super::deferral::keys_of;
use super::super::projection::Mapping;
use super::super::table::{Column, Key, Table, quote, same_name};
use super::parts;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Unique,
    Check,
    /// An index over an expression, which a row may make impossible to compute.
    Expression,
    Partitions,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Unique => "unique",
            Kind::Check => "check",
            Kind::Expression => "expression",
            Kind::Partitions => "partitions",
        }
    }
}

/// A rule of the old schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub kind: Kind,
    /// Empty for the partitions.
    pub name: String,
    /// A row of the new schema may break it.
    pub parks: bool,
    pub what: String,
}

impl Rule {
    pub fn title(&self) -> String {
        match self.kind {
            Kind::Unique if self.name == "PRIMARY" => "PRIMARY KEY".into(),
            Kind::Unique => format!("UNIQUE KEY {}", self.name),
            Kind::Check => format!("CHECK {}", self.name),
            Kind::Expression => format!("KEY {}", self.name),
            Kind::Partitions => "PARTITION BY".into(),
        }
    }
}

const HOLDS: &str = "the new schema demands the same";

pub fn rules(mapping: &Mapping) -> Vec<Rule> {
    let mut found: Vec<Rule> =
        mapping.old_table().keys.iter().filter_map(|key| of_key(mapping, key)).collect();
    found.extend(checks(mapping));
    found.extend(partitions(mapping));
    found
}

fn of_key(mapping: &Mapping, key: &Key) -> Option<Rule> {
    let (kind, parks, what) = match key.unique {
        true if is_implied(mapping, key) => (Kind::Unique, false, HOLDS),
        true => (Kind::Unique, true, "a second row with the same value, for the old schema, is parked"),
        false if !has_expression(key) => return None,
        false if in_both(mapping, key) => (Kind::Expression, false, HOLDS),
        false => (Kind::Expression, true, "a row for which its expression cannot be computed is parked"),
    };
    Some(Rule { kind, name: key.name.clone(), parks, what: what.into() })
}

fn has_expression(key: &Key) -> bool {
    key.parts.iter().any(|part| part.column.is_none())
}

/// No two rows that the new schema takes are one to this key of the old one.
fn is_implied(mapping: &Mapping, key: &Key) -> bool {
    mapping.new_table().keys.iter().any(|new| new.unique && keeps_apart(mapping, new, key))
        || in_both(mapping, key)
        || never_filled_twice(mapping, key)
}

/// Rows differ in the columns of `new`, so they differ in those of `old`, which has them all.
fn keeps_apart(mapping: &Mapping, new: &Key, old: &Key) -> bool {
    new.parts.iter().all(|part| {
        let Some(name) = part.column.as_deref().filter(|_| !part.prefix) else { return false };
        let Some((o, n)) = mapping.pairs().find(|(_, n)| same_name(&n.name, name)) else { return false };
        let held = old.parts.iter().any(|part| {
            !part.prefix && part.column.as_deref().is_some_and(|column| same_name(column, &o.name))
        });
        held && alike(mapping, o, n)
    })
}

/// The same text, about columns that mean the same: also for prefixes and expressions.
fn in_both(mapping: &Mapping, key: &Key) -> bool {
    let body = |table: &Table, name: &str| {
        let text = keys_of(&table.create).into_iter().find(|text| same_name(&text.name, name))?;
        text.text.split_once(" (").map(|(_, body)| (text.unique(), body.to_owned()))
    };
    let Some(old) = body(mapping.old_table(), &key.name) else { return false };
    let same = mapping
        .new_table()
        .keys
        .iter()
        .any(|new| body(mapping.new_table(), &new.name).as_ref() == Some(&old));
    same && mentions_alike(mapping, &old.1)
}

/// Of columns that the new schema does not have: rows from before have what they had, and new ones have NULL or a
/// number of their own.
fn never_filled_twice(mapping: &Mapping, key: &Key) -> bool {
    let columns = parts(mapping, key);
    let dropped = |column: &Column| !mapping.pairs().any(|(o, _)| same_name(&o.name, &column.name));
    let apart = |column: &&Column| {
        let null = column.nullable && column.default.is_none();
        !column.generated && (null || column.auto_increment())
    };
    columns.len() == key.parts.len() && columns.iter().all(|c| dropped(c)) && columns.iter().any(apart)
}

/// What differs in the new column differs in the old one, and compares in the same way.
fn alike(mapping: &Mapping, old: &Column, new: &Column) -> bool {
    match (old.generated, new.generated) {
        (true, true) => computed_alike(mapping, old, new),
        (true, false) => false,
        (false, _) => {
            let apart = conversion::survives(new, old) || unfit_key(mapping, old, new);
            apart && (new.collation == old.collation || new.collation.is_none())
        }
    }
}

/// A row is found by its key, so a key that the old type does not have is not stored as another: its row is parked, and
/// those that are left are what they were.
pub(super) fn unfit_key(mapping: &Mapping, old: &Column, new: &Column) -> bool {
    let inverse = mapping.inverse();
    let part = inverse.key.iter().find(|part| same_name(&part.target.name, &old.name));
    part.is_some_and(|part| conversion::fits(new, &part.target, &quote(&new.name)).is_some())
}

/// Both are computed by the same text, of columns that mean the same.
pub(super) fn computed_alike(mapping: &Mapping, old: &Column, new: &Column) -> bool {
    let text = |table: &Table, column: &Column| {
        let start = format!("{} ", quote(&column.name));
        let line = table.create.lines().map(str::trim).find_map(|line| line.strip_prefix(&start))?;
        let (kind, expression) = line.split_once(" GENERATED ALWAYS AS ")?;
        let kind = kind.to_owned();
        Some((kind, expression.trim_end_matches(',').split(" COMMENT ").next()?.to_owned()))
    };
    match (text(mapping.old_table(), old), text(mapping.new_table(), new)) {
        (Some(a), Some(b)) => same_expression(&a, &b) && mentions_alike(mapping, &a.1),
        _ => false,
    }
}

/// The kind is the type; VIRTUAL, STORED and visibility make no other value.
fn same_expression(a: &(String, String), b: &(String, String)) -> bool {
    let bare = |expression: &str| {
        let end = expression.rfind(')').map_or(expression.len(), |end| end + 1);
        expression[..end].to_owned()
    };
    a.0 == b.0 && bare(&a.1) == bare(&b.1)
}

/// Every old column that the text names is in the new schema under its name, and means the same.
fn mentions_alike(mapping: &Mapping, text: &str) -> bool {
    let named = mapping.old_table().columns.iter().filter(|column| text.contains(&quote(&column.name)));
    named.into_iter().all(|column| {
        let pair = mapping.pairs().find(|(o, _)| same_name(&o.name, &column.name));
        pair.is_some_and(|(o, n)| {
            // A generated column that names itself does not exist.
            same_name(&o.name, &n.name) && (o.generated || alike(mapping, o, n))
        })
    })
}

/// The name and the text of each CHECK that is enforced.
fn checks_of(create: &str) -> Vec<(String, String)> {
    create
        .lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("CONSTRAINT `")?;
            let (name, check) = rest.split_once("` CHECK ")?;
            let check = check.trim_end_matches(',');
            (!check.contains("NOT ENFORCED */")).then(|| (name.replace("``", "`"), check.to_owned()))
        })
        .collect()
}

fn checks(mapping: &Mapping) -> Vec<Rule> {
    let new = checks_of(&mapping.new_table().create);
    checks_of(&mapping.old_table().create)
        .into_iter()
        .map(|(name, text)| {
            let holds = new.iter().any(|(_, other)| *other == text) && mentions_alike(mapping, &text);
            let what = if holds { HOLDS } else { "a row that it does not let in is parked" };
            Rule { kind: Kind::Check, name, parks: !holds, what: what.into() }
        })
        .collect()
}

fn partitions_of(create: &str) -> Option<&str> {
    let (_, options) = create.rsplit_once("\n) ")?;
    options.split_once("PARTITION BY ").map(|(_, partitions)| partitions)
}

fn partitions(mapping: &Mapping) -> Option<Rule> {
    let old = partitions_of(&mapping.old_table().create)?;
    let holds = takes_all(old)
        || (partitions_of(&mapping.new_table().create) == Some(old) && mentions_alike(mapping, old));
    let what = match holds {
        true => "there is one for every row",
        false => "a row for which the old table has no partition is parked",
    };
    Some(Rule { kind: Kind::Partitions, name: String::new(), parks: !holds, what: what.into() })
}

/// By RANGE and LIST there may be rows for which there is no partition, unless one is for all the rest.
fn takes_all(partitions: &str) -> bool {
    let by = partitions.trim_start().to_uppercase();
    let ranged = by.starts_with("RANGE") || by.starts_with("LIST");
    !ranged || by.contains("VALUES LESS THAN MAXVALUE") || by.contains("VALUES LESS THAN (MAXVALUE)")
}
