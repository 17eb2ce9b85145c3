//! How the rows of one table become rows of the other, in both directions.
//!
//! Derived from facts: the two definitions as the server reports them, columns paired by name. From the
//! statement come only the things that the definitions cannot show: renames, and that a column was dropped and
//! added again under its old name.

use super::conversion::{self, Manner};
use super::key;
use super::statement::Alter;
use super::table::{Column, Key, Table, same_name};

/// Why two definitions cannot be kept equal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmappable {
    #[error(
        "the table has no key that identifies a row: it needs a primary key, or a unique key without NULL columns"
    )]
    NoKey,
    #[error(
        "no primary or unique key is over the same columns before and after, so a row could not be found on both sides"
    )]
    NoSharedKey,
    #[error(
        "column {column} cannot be converted from {from} to {to} and back as MySQL would: {why}; \
         instead, add a column of the new type, fill it, and drop the old one in a change of its own"
    )]
    Conversion { column: String, from: String, to: String, why: &'static str },
    #[error(
        "column {column} is part of the key that finds a row, and {from} and {to} do not keep the same keys apart"
    )]
    KeyConversion { column: String, from: String, to: String },
    #[error(
        "column {column} ({column_type}) is NOT NULL without a default, and its type has no implicit one, so rows that do not know it could not be written"
    )]
    NoDefault { column: String, column_type: String },
    #[error(
        "column {column} ({column_type}) would be added as NOT NULL without a default, so every row would get a zero date, which a native ALTER refuses; give it a default, or let it be NULL"
    )]
    ZeroDate { column: String, column_type: String },
    #[error(
        "the table has {0} columns, the most that MySQL takes, and the change converts some in a way that is not simply \
         taken back; rsc notes beside a row what was written of it, for which there is no room: drop a column first"
    )]
    NoRoom(usize),
    #[error("the statement renames column {0}, but the server's result does not show it")]
    Rename(String),
}

/// InnoDB's limit.
const COLUMNS_MAX: usize = 1017;

/// The mapped columns of the old and the new definition, and the key that finds a row in both.
#[derive(Clone, Debug)]
pub struct Mapping {
    old: Table,
    new: Table,
    pairs: Vec<(usize, usize)>,
    /// The key of `old` and of `new`.
    keys: (usize, usize),
}

impl Mapping {
    /// All reasons why the two cannot be mapped, not only the first.
    pub fn between(old: &Table, new: &Table, alter: &Alter) -> Result<Self, Vec<Unmappable>> {
        let pairs = pair_columns(old, new, alter).map_err(|reason| vec![reason])?;
        let mut reasons = Vec::new();
        for &(o, n) in &pairs {
            let (from, to) = (&old.columns[o], &new.columns[n]);
            if let Some(why) = conversion::refusal(from, to)
                && !(from.generated && to.generated)
            {
                reasons.push(Unmappable::Conversion {
                    column: from.name.clone(),
                    from: described(from),
                    to: described(to),
                    why,
                });
            }
        }
        let lossy = |&(o, n): &(usize, usize)| {
            let (from, to) = (&old.columns[o], &new.columns[n]);
            !conversion::survives(from, to) || !conversion::survives(to, from)
        };
        let widest = old.columns.len().max(new.columns.len());
        if widest >= COLUMNS_MAX && pairs.iter().any(lossy) {
            reasons.push(Unmappable::NoRoom(widest));
        }
        let mapped_old = |i| pairs.iter().any(|&(o, _)| o == i);
        let mapped_new = |i| pairs.iter().any(|&(_, n)| n == i);
        reasons.extend(unfillable(old, mapped_old).chain(unfillable(new, mapped_new)));
        reasons.extend(zero_dates(new, mapped_new));
        if !old.keys.iter().any(|k| key::identifies_rows(old, k)) {
            reasons.push(Unmappable::NoKey);
        }
        let shared = key::shared(old, new, &pairs);
        let apart = |keys: &&(usize, usize)| key_conversions(old, new, &pairs, &old.keys[keys.0]).is_empty();
        let Some(&keys) = shared.iter().find(apart).or(shared.first()) else {
            if !reasons.contains(&Unmappable::NoKey) {
                reasons.push(Unmappable::NoSharedKey);
            }
            return Err(reasons);
        };
        reasons.extend(key_conversions(old, new, &pairs, &old.keys[keys.0]));
        match reasons.is_empty() {
            true => Ok(Self { old: old.clone(), new: new.clone(), pairs, keys }),
            false => Err(reasons),
        }
    }

    pub fn old_table(&self) -> &Table {
        &self.old
    }

    pub fn new_table(&self) -> &Table {
        &self.new
    }

    /// The old column and the new one of each pair.
    pub fn pairs(&self) -> impl Iterator<Item = (&Column, &Column)> {
        self.pairs.iter().map(|&(o, n)| (&self.old.columns[o], &self.new.columns[n]))
    }

    /// Rows of the old definition become rows of the new one.
    pub fn forward(&self) -> Projection {
        let key = &self.old.keys[self.keys.0];
        let target_key = &self.new.keys[self.keys.1].name;
        Projection::new(Manner::Strict, (&self.old, &self.new), &self.pairs, key, target_key)
    }

    /// Rows of the new definition become rows of the old one. Pages by the same columns in the old key's order.
    pub fn inverse(&self) -> Projection {
        let pairs: Vec<_> = self.pairs.iter().map(|&(o, n)| (n, o)).collect();
        let key = &self.new.keys[self.keys.1];
        let target_key = &self.old.keys[self.keys.0].name;
        Projection::new(Manner::Nearest, (&self.new, &self.old), &pairs, key, target_key)
    }
}

/// The columns that are the same before and after, by their places in each.
pub fn pair_columns(old: &Table, new: &Table, alter: &Alter) -> Result<Vec<(usize, usize)>, Unmappable> {
    let index = |table: &Table, name: &str| table.columns.iter().position(|c| same_name(&c.name, name));
    let mut pairs = Vec::new();
    for (from, to) in &alter.renames {
        match (index(old, from), index(new, to)) {
            (Some(o), Some(n)) => pairs.push((o, n)),
            _ => return Err(Unmappable::Rename(from.clone())),
        }
    }
    for (o, column) in old.columns.iter().enumerate() {
        let taken = |name: &str| alter.dropped.iter().any(|d| same_name(d, name));
        if pairs.iter().any(|&(p, _)| p == o) || taken(&column.name) {
            continue;
        }
        if let Some(n) = index(new, &column.name)
            && !pairs.iter().any(|&(_, p)| p == n)
        {
            pairs.push((o, n));
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// The type, with the character set where it has one.
fn described(column: &Column) -> String {
    match &column.charset {
        Some(charset) => format!("{} CHARACTER SET {charset}", column.column_type),
        None => column.column_type.clone(),
    }
}

fn key_conversions(old: &Table, new: &Table, pairs: &[(usize, usize)], key: &Key) -> Vec<Unmappable> {
    let in_key = |column: &Column| key::column_names(key).iter().any(|name| same_name(name, &column.name));
    pairs
        .iter()
        .map(|&(o, n)| (&old.columns[o], &new.columns[n]))
        .filter(|(from, to)| in_key(from) && !conversion::keeps_keys_apart(from, to))
        .map(|(from, to)| Unmappable::KeyConversion {
            column: from.name.clone(),
            from: from.column_type.clone(),
            to: to.column_type.clone(),
        })
        .collect()
}

fn unfillable(table: &Table, mapped: impl Fn(usize) -> bool) -> impl Iterator<Item = Unmappable> {
    table
        .columns
        .iter()
        .enumerate()
        .filter(|&(i, column)| {
            !mapped(i) && needs_fill(column) && conversion::implicit_default(column).is_none()
        })
        .map(|(_, column)| Unmappable::NoDefault {
            column: column.name.clone(),
            column_type: column.column_type.clone(),
        })
        .collect::<Vec<_>>()
        .into_iter()
}

/// Forward only: in the old schema a zero date is better than no way back.
fn zero_dates(new: &Table, mapped: impl Fn(usize) -> bool) -> Vec<Unmappable> {
    let is_date = |column: &Column| matches!(column.data_type.as_str(), "date" | "datetime" | "timestamp");
    new.columns
        .iter()
        .enumerate()
        .filter(|&(i, column)| !mapped(i) && needs_fill(column) && is_date(column))
        .map(|(_, column)| Unmappable::ZeroDate {
            column: column.name.clone(),
            column_type: column.column_type.clone(),
        })
        .collect()
}

/// An INSERT that does not name this column fails in strict mode.
fn needs_fill(column: &Column) -> bool {
    !column.generated && !column.nullable && column.default.is_none() && !column.auto_increment()
}

/// A target column and where its value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Index into [`Projection::source`].
    pub source: usize,
    pub target: Column,
}

/// A target column that the source does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOnly {
    pub column: Column,
    /// The expression for rows that never had a value; `None` leaves it to the column's own default.
    pub fill: Option<&'static str>,
}

/// A key column on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumn {
    /// Index into [`Projection::source`].
    pub source: usize,
    pub target: Column,
    /// Source and target compare in different collations.
    pub recollate: bool,
}

/// One direction of a [`Mapping`]: everything the statements that move rows need to know.
#[derive(Clone, Debug)]
pub struct Projection {
    /// All columns of the source, in binlog order.
    pub source: Vec<Column>,
    /// The target columns that are written from the source, without generated ones.
    pub mapped: Vec<Mapped>,
    /// The target's own columns, without generated ones.
    pub target_only: Vec<TargetOnly>,
    /// In the order of the source's key.
    pub key: Vec<KeyColumn>,
    /// The name of that key on the source, and on the target.
    pub source_key: String,
    pub target_key: String,
    pub manner: Manner,
}

impl Projection {
    fn new(
        manner: Manner,
        (source, target): (&Table, &Table),
        pairs: &[(usize, usize)],
        key: &Key,
        target_key: &str,
    ) -> Self {
        let mapped = pairs
            .iter()
            .filter(|&&(_, t)| !target.columns[t].generated)
            .map(|&(s, t)| Mapped { source: s, target: target.columns[t].clone() })
            .collect();
        let target_only = target
            .columns
            .iter()
            .enumerate()
            .filter(|&(i, column)| !column.generated && !pairs.iter().any(|&(_, t)| t == i))
            .map(|(_, column)| TargetOnly {
                column: column.clone(),
                fill: match needs_fill(column) {
                    true => conversion::implicit_default(column),
                    false => conversion::local_now(column),
                },
            })
            .collect();
        let key_columns = key::column_names(key)
            .into_iter()
            .filter_map(|name| {
                let &(s, t) = pairs.iter().find(|&&(s, _)| same_name(&source.columns[s].name, name))?;
                let (from, to) = (&source.columns[s], &target.columns[t]);
                Some(KeyColumn { source: s, target: to.clone(), recollate: from.collation != to.collation })
            })
            .collect();
        Self {
            source: source.columns.clone(),
            mapped,
            target_only,
            key: key_columns,
            source_key: key.name.clone(),
            target_key: target_key.into(),
            manner,
        }
    }

    /// Values are stored as the nearest ones where they do not fit, and some may not.
    pub fn may_lose(&self) -> bool {
        self.manner == Manner::Nearest
            && self.mapped.iter().any(|m| !conversion::survives(&self.source[m.source], &m.target))
    }

    /// The source computes the column, and the target keeps what was written: a value that nobody wrote since cannot be
    /// told from the computed one, so only the stream, which sees what changes, may write it.
    pub fn computed_there(&self, mapped: &Mapped) -> bool {
        self.source[mapped.source].generated && !mapped.target.generated
    }

    /// Indexes of the key columns in a row image of the source, in key order.
    pub fn key_indexes(&self) -> Vec<usize> {
        self.key.iter().map(|column| column.source).collect()
    }

    /// Indexes of the source columns that must be staged: the mapped ones and the key, in binlog order.
    pub fn staged(&self) -> Vec<usize> {
        let mut staged: Vec<usize> =
            self.mapped.iter().map(|m| m.source).chain(self.key.iter().map(|k| k.source)).collect();
        staged.sort_unstable();
        staged.dedup();
        staged
    }
}
