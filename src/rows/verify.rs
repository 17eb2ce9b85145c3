//! The SQL that compares what the live table would be in the shadow with what the shadow holds.
//!
//! # Sums
//!
//! A range is compared by the number of its rows and the XOR of SHA2(…, 256) over them, 256 bits wide. What is hashed of
//! a row is its values as bytes, the lengths of those that may hold anything, and which are NULL, so that two rows that
//! are not the same never are the same text. SHA2 is on every server from 8.0 on, where MD5 and SHA1 are not, and costs
//! hardly more than CRC32 here. CRC32 would not do: it is linear, so the same damage in two rows cancels out in their
//! XOR, and 32 bits are few for a table of many millions. Two sets of rows with the same number and the same XOR of 256
//! bits do not come about by accident. Within one table no two rows hash the same, as the key is among the values.
//!
//! # Values
//!
//! What the projection leaves unchanged is read from the live table. What it converts is stored, by the expression that
//! copy and stream use, in a temporary table (`want`) with columns of the shadow's types: only such a column tells what
//! becomes of a value. Bytes are compared, never collations.
//!
//! # What is no difference
//!
//! * A row that the ledger has parked: in the live table only, or, when it was accepted in a revert, in the shadow only.
//! * A lost value: the shadow holds the nearest one, which is what the expression yields.
//! * After the first swap, a value of the shadow that would be in the live table what the live table has
//!   ([`super::kept`]): it is better known in the shadow, and not to be told from a wrong one that says the same.
//!
//! Documents are compared as their text, in which MySQL has its own order of the keys. A value in a document that has no
//! JSON type of its own (a BLOB, a date) may have lost its exact tag on its way through the stream; it is not counted.

use super::key_range::{Bound, between};
use super::ledger::{same, shown};
use super::statements::{LENIENT, STAGING_MODE, Staging, Statements, define};
use crate::schema::conversion::{self, Manner};
use crate::schema::projection::Mapped;
use crate::schema::table::quote;

pub const WANT: &str = "`_rsc`.`want`";
pub const STAYS: &str = "`_rsc`.`stays`";
/// Rows that differed, by the live table's key.
pub const SUSPECT: &str = "`_rsc`.`suspect`";
/// Rows that only the shadow had, by its own key.
pub const EXTRA: &str = "`_rsc`.`extra`";
/// Keys that the stream brought since.
pub const TOUCHED: &str = "`_rsc`.`touched`";
/// Rows of the live table that are to be written again.
pub const MEND: &str = "`_rsc`.`mend`";

/// Characters of a value in a finding.
const SHOWN_MAX: u32 = 200;

/// `lo < key <= hi`, open where a bound is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub lo: Option<Bound>,
    pub hi: Option<Bound>,
}

/// Which rows are looked at one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Range(Piece),
    /// Those in [`SUSPECT`] and [`EXTRA`].
    Suspects,
}

/// How the rows of one direction are compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    statements: Statements,
    columns: Vec<Compared>,
    parked: Option<Parked>,
}

#[derive(Clone, Debug)]
struct Compared {
    mapped: Mapped,
    /// What is stored of the live value, as an expression over `d`; `None` where only a column of the type can tell.
    as_is: Option<String>,
    /// The shadow may know it better.
    kept: bool,
}

/// Where rows are that need not be on both sides.
#[derive(Clone, Debug)]
pub struct Parked {
    pub table: String,
    /// They are in the live table; else in the shadow.
    pub live: bool,
}

impl Comparison {
    /// `swapped`: the tables have been swapped before, so that one may know more than the other.
    pub fn new(statements: Statements, parked: Option<Parked>, swapped: bool) -> Self {
        let projection = statements.projection();
        let columns = projection
            .mapped
            .iter()
            .map(|mapped| {
                let from = &projection.source[mapped.source];
                let value = format!("d.{}", quote(&from.name));
                Compared {
                    mapped: mapped.clone(),
                    as_is: conversion::as_stored(from, &mapped.target, &value),
                    kept: swapped && !conversion::survives(&mapped.target, from),
                }
            })
            .collect();
        Self { statements, columns, parked }
    }

    pub fn statements(&self) -> &Statements {
        &self.statements
    }

    /// Whether a bound of the live table's key bounds the same rows in the shadow. If not, ranges have no sums.
    pub fn ordered(&self) -> bool {
        let projection = self.statements.projection();
        projection.key.iter().all(|part| {
            !part.recollate && conversion::same_order(&projection.source[part.source], &part.target)
        })
    }

    /// Columns of either side that are not compared.
    pub fn excluded(&self) -> Vec<String> {
        let projection = self.statements.projection();
        let mapped = |i: usize| projection.mapped.iter().any(|m| m.source == i);
        let live = projection.source.iter().enumerate().filter(|(i, _)| !mapped(*i)).map(|(_, c)| &c.name);
        let shadow = projection.target_only.iter().map(|own| &own.column.name);
        let mut names: Vec<String> = live.chain(shadow).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Some values have to be stored before they can be compared.
    pub fn stores(&self) -> bool {
        self.columns.iter().any(|column| column.as_is.is_none())
    }

    pub fn keeps(&self) -> bool {
        self.columns.iter().any(|column| column.kept)
    }

    fn stored(&self) -> impl Iterator<Item = (usize, &Compared)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.as_is.is_none())
    }

    fn kept(&self) -> impl Iterator<Item = (usize, &Compared)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.kept)
    }

    /// The session's own tables that values are compared in.
    pub fn create(&self) -> Vec<String> {
        let key: Vec<String> = self.key_names();
        let keys = |columns: &mut Vec<String>| {
            for part in &self.statements.projection().key {
                let column = self.statements.source_column(part);
                columns.push(define(&quote(&column.name), column, false));
            }
        };
        let mut tables = Vec::new();
        if self.stores() {
            let mut columns = Vec::new();
            keys(&mut columns);
            columns.push("_rsc_p BINARY(32) NULL".into());
            for (i, column) in self.stored() {
                let target = &column.mapped.target;
                columns.push(define(&format!("_rsc_v{i}"), target, target.nullable));
            }
            tables.push(temporary(WANT, &columns, &format!("PRIMARY KEY ({})", key.join(", "))));
        }
        if self.keeps() {
            let mut columns = Vec::new();
            keys(&mut columns);
            for (i, column) in self.kept() {
                columns.push(define(&format!("_rsc_b{i}"), self.source(column), true));
            }
            tables.push(temporary(STAYS, &columns, &format!("PRIMARY KEY ({})", key.join(", "))));
        }
        tables
    }

    /// Those that hold keys while rows are looked at again.
    pub fn create_suspects(&self) -> [String; 3] {
        let mut live = vec!["_rsc_n BIGINT NOT NULL PRIMARY KEY".to_owned()];
        self.statements.define_key("k", &mut live);
        let mut shadow = vec!["_rsc_n BIGINT NOT NULL PRIMARY KEY".to_owned()];
        for part in &self.statements.projection().key {
            shadow.push(define(&quote(&part.target.name), &part.target, false));
        }
        let mut touched = Vec::new();
        self.statements.define_key("k", &mut touched);
        let key: Vec<String> = self.k("");
        [
            temporary(SUSPECT, &live, &format!("KEY ({})", key.join(", "))),
            temporary(EXTRA, &shadow, &format!("KEY ({})", self.shadow_key_names().join(", "))),
            temporary(TOUCHED, &touched, &format!("KEY ({})", key.join(", "))),
        ]
    }

    /// Stores the values of a range, or of suspects, in the shadow's types. Empty if nothing has to be stored.
    pub fn store(&self, scope: &Scope) -> Vec<String> {
        let mut statements = Vec::new();
        if self.stores() {
            let plain: Vec<(String, &Compared)> = self.plain_live();
            let hash = match plain.is_empty() {
                true => "NULL".into(),
                false => format!("UNHEX({})", hash(&image(&plain))),
            };
            let (mut names, mut values) = (self.key_names(), self.statements.source_key_columns());
            names.push("_rsc_p".into());
            values.push(hash);
            for (i, column) in self.stored() {
                names.push(format!("_rsc_v{i}"));
                values.push(self.statements.value(&column.mapped));
            }
            let (from, which) = self.live(scope);
            statements.push(format!("DELETE FROM {WANT}"));
            statements.push(format!(
                "INSERT {}INTO {WANT} ({}) SELECT {} FROM {from} WHERE {which}",
                self.statements.mode(),
                names.join(", "),
                values.join(", ")
            ));
        }
        statements
    }

    /// Stores what the shadow's values of a range, or of suspects, would be in the live table.
    pub fn store_back(&self, scope: &Scope) -> Vec<String> {
        if !self.keeps() {
            return Vec::new();
        }
        let (mut names, mut values) = (self.key_names(), self.statements.source_key_columns());
        for (i, column) in self.kept() {
            let stored = format!("_rsc_s.{}", quote(&column.mapped.target.name));
            names.push(format!("_rsc_b{i}"));
            let (from, to) = (&column.mapped.target, self.source(column));
            values.push(conversion::expression(from, to, Manner::Nearest, &stored));
        }
        let (from, which) = self.live(scope);
        vec![
            format!("DELETE FROM {STAYS}"),
            format!(
                "INSERT {LENIENT} INTO {STAYS} ({}) SELECT {} FROM {from} STRAIGHT_JOIN {} ON {} WHERE {which}",
                names.join(", "),
                values.join(", "),
                self.statements.shadow_by_key(),
                self.statements.matches_delta()
            ),
        ]
    }

    /// Number and sum of what the live table's rows of a range should be in the shadow. [`Comparison::store`] goes before.
    pub fn live_sum(&self, piece: &Piece) -> String {
        if !self.stores() {
            let (from, which) = self.live(&Scope::Range(piece.clone()));
            return sum(&hash(&image(&self.plain_live())), &from, &which);
        }
        let stored = self.stored().map(|(i, column)| (format!("d._rsc_v{i}"), column)).collect::<Vec<_>>();
        let both = format!("CONCAT(COALESCE(d._rsc_p, ''), {})", image(&stored));
        sum(&hash(&both), &format!("{WANT} AS d"), "TRUE")
    }

    /// Number and sum of the shadow's rows.
    pub fn shadow_sum(&self, piece: &Piece) -> String {
        let value = |column: &Compared| format!("_rsc_s.{}", quote(&column.mapped.target.name));
        let of = |stored: bool| -> Vec<(String, &Compared)> {
            let columns = self.columns.iter().filter(move |c| c.as_is.is_none() == stored);
            columns.map(|column| (value(column), column)).collect()
        };
        let (plain, stored) = (of(false), of(true));
        let row = match (plain.is_empty(), self.stores()) {
            (_, false) => image(&plain),
            (true, true) => format!("CONCAT('', {})", image(&stored)),
            (false, true) => format!("CONCAT(UNHEX({}), {})", hash(&image(&plain)), image(&stored)),
        };
        let which = between(&self.shadow_key_columns(), piece.lo.as_ref(), piece.hi.as_ref());
        sum(&hash(&row), &self.statements.shadow_by_key(), &which)
    }

    /// The number of the live table's rows of a range.
    pub fn live_count(&self, piece: &Piece) -> String {
        let (from, which) = self.live(&Scope::Range(piece.clone()));
        format!("SELECT COUNT(*) FROM {from} WHERE {which}")
    }

    /// The key of the `rows`-th row of the shadow in a range.
    pub fn shadow_boundary(&self, literals: &[String], piece: &Piece, rows: u64) -> String {
        format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT 1 OFFSET {}",
            literals.join(", "),
            self.statements.shadow_by_key(),
            between(&self.shadow_key_columns(), piece.lo.as_ref(), piece.hi.as_ref()),
            self.shadow_key_columns().join(", "),
            rows.max(1) - 1
        )
    }

    /// Rows of the live table that the shadow does not have as they should be: the key as literals and for people, whether
    /// it is missing, then for each column whether it differs, what it should be, and what it is.
    pub fn differing(&self, literals: &[String], scope: &Scope, most: u64) -> String {
        let key: Vec<String> = self
            .statements
            .projection()
            .key
            .iter()
            .map(|part| {
                let column = self.statements.source_column(part);
                shown(&format!("d.{}", quote(&column.name)), column)
            })
            .collect();
        let missing = format!("_rsc_s.{} IS NULL", self.shadow_key_names()[0]);
        let differs: Vec<String> =
            self.columns.iter().enumerate().map(|(i, column)| self.differs(i, column)).collect();
        let mut values = literals.to_vec();
        values.push(format!("CONCAT_WS(', ', {})", key.join(", ")));
        values.push(missing.clone());
        for (i, column) in self.columns.iter().enumerate() {
            let (wanted, stored) = (self.wanted(i, column), self.held(column));
            values.push(differs[i].clone());
            values.push(format!("LEFT({}, {SHOWN_MAX})", shown(&wanted, &column.mapped.target)));
            values.push(format!("LEFT({}, {SHOWN_MAX})", shown(&stored, &column.mapped.target)));
        }
        let (mut from, which) = self.live(scope);
        let key = |alias: &str| -> String {
            let pairs = self.key_names().into_iter().zip(self.statements.source_key_columns());
            pairs.map(|(name, value)| format!("{alias}.{name} = {value}")).collect::<Vec<_>>().join(" AND ")
        };
        if self.stores() {
            from.push_str(&format!(" STRAIGHT_JOIN {WANT} AS w ON {}", key("w")));
        }
        if self.keeps() {
            from.push_str(&format!(" LEFT JOIN {STAYS} AS y ON {}", key("y")));
        }
        let parked = match &self.parked {
            Some(Parked { table, live: true }) => format!(
                " AND NOT EXISTS (SELECT 1 FROM {table} AS p WHERE {})",
                equal(&self.k("p."), &self.statements.source_key_columns())
            ),
            _ => String::new(),
        };
        format!(
            "SELECT {} FROM {from} LEFT JOIN {} ON {} WHERE {which} AND ({missing}{parked} OR (NOT {missing} AND ({}))) \
             LIMIT {most}",
            values.join(", "),
            self.statements.shadow_by_key(),
            self.statements.matches_delta(),
            differs.join(" OR ")
        )
    }

    /// Rows of the shadow that the live table does not have: the key as literals and for people.
    pub fn extra(&self, literals: &[String], scope: &Scope, most: u64) -> String {
        let projection = self.statements.projection();
        let key: Vec<String> = projection
            .key
            .iter()
            .map(|part| shown(&format!("_rsc_s.{}", quote(&part.target.name)), &part.target))
            .collect();
        let (from, which) = match scope {
            Scope::Range(piece) => (
                self.statements.shadow_by_key(),
                between(&self.shadow_key_columns(), piece.lo.as_ref(), piece.hi.as_ref()),
            ),
            Scope::Suspects => {
                let names = self.shadow_key_names();
                let of = |alias: &str| names.iter().map(|name| format!("{alias}{name}")).collect::<Vec<_>>();
                let same = equal(&of("_rsc_s."), &of("x."));
                (
                    format!("{EXTRA} AS x STRAIGHT_JOIN {} ON {same}", self.statements.shadow_by_key()),
                    "TRUE".into(),
                )
            }
        };
        let parked = match &self.parked {
            Some(Parked { table, live: false }) => format!(
                " AND NOT EXISTS (SELECT 1 FROM {table} AS p WHERE {})",
                equal(&self.k("p."), &self.shadow_key_columns())
            ),
            _ => String::new(),
        };
        format!(
            "SELECT {}, CONCAT_WS(', ', {}) FROM {from} LEFT JOIN {} ON {} WHERE {which} AND {} IS NULL{parked} LIMIT {most}",
            literals.join(", "),
            key.join(", "),
            self.statements.source_by_key(),
            self.statements.matches_delta(),
            self.statements.source_key_columns()[0]
        )
    }

    /// To be followed by rows of a number and a key.
    pub fn stage(&self, table: &str) -> String {
        format!("INSERT {STAGING_MODE} INTO {table} VALUES ")
    }

    /// The numbers of the suspects that the stream has brought.
    pub fn touched(&self) -> [String; 2] {
        [
            format!(
                "SELECT DISTINCT x._rsc_n FROM {SUSPECT} AS x STRAIGHT_JOIN {TOUCHED} AS t ON {}",
                equal(&self.k("t."), &self.k("x."))
            ),
            format!(
                "SELECT DISTINCT _rsc_s._rsc_n FROM {EXTRA} AS _rsc_s STRAIGHT_JOIN {TOUCHED} AS t ON {}",
                self.statements.matches(|i, _| format!("t.k{i}"))
            ),
        ]
    }

    /// The live table's rows as of now, to be written later.
    pub fn create_mend(&self) -> String {
        let keys = self.key_names();
        let projection = self.statements.projection();
        let columns: Vec<String> = projection
            .staged()
            .iter()
            .map(|&i| {
                let column = &projection.source[i];
                let in_key = projection.key.iter().any(|part| part.source == i);
                define(&quote(&column.name), column, !in_key)
            })
            .collect();
        temporary(MEND, &columns, &format!("PRIMARY KEY ({})", keys.join(", ")))
    }

    pub fn take_mend(&self) -> String {
        let names = self.staged_names();
        let values: Vec<String> = names.iter().map(|name| format!("d.{name}")).collect();
        let (from, which) = self.live(&Scope::Suspects);
        format!(
            "INSERT {STAGING_MODE} INTO {MEND} ({}) SELECT {} FROM {from} WHERE {which}",
            names.join(", "),
            values.join(", ")
        )
    }

    /// Stages those of them that are still suspects.
    pub fn stage_mend(&self, delta: &str) -> String {
        let names = self.staged_names();
        let values: Vec<String> = names.iter().map(|name| format!("d.{name}")).collect();
        format!(
            "INSERT {STAGING_MODE} INTO {delta} ({}) SELECT {} FROM {SUSPECT} AS x STRAIGHT_JOIN {MEND} AS d ON {}",
            names.join(", "),
            values.join(", "),
            equal(&self.statements.source_key_columns(), &self.k("x."))
        )
    }

    /// Stages the rows of `delta` as rows that move to where they are, and their keys as left.
    pub fn stage_rebuild(&self) -> [String; 2] {
        let key = self.statements.source_key_columns().join(", ");
        let delta = Staging::Delta.name();
        [
            format!(
                "INSERT {STAGING_MODE} INTO {} SELECT {key}, {key} FROM {delta} AS d",
                Staging::Moved.name()
            ),
            format!(
                "{} SELECT {key} FROM {delta} AS d",
                self.statements.stage_gone().trim_end_matches(" VALUES ")
            ),
        ]
    }

    /// The shadow's rows of [`EXTRA`].
    pub fn delete_extra(&self) -> String {
        let names = self.shadow_key_names();
        let of = |alias: &str| names.iter().map(|name| format!("{alias}{name}")).collect::<Vec<_>>();
        format!(
            "DELETE _rsc_s FROM {EXTRA} AS x STRAIGHT_JOIN {} ON {}",
            self.statements.shadow_by_key(),
            equal(&of("_rsc_s."), &of("x."))
        )
    }

    /// The names of the compared columns, in the order of [`Comparison::differing`].
    pub fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.mapped.target.name.as_str()).collect()
    }

    fn live(&self, scope: &Scope) -> (String, String) {
        match scope {
            Scope::Range(piece) => (
                self.statements.source_by_key(),
                between(&self.statements.source_key_columns(), piece.lo.as_ref(), piece.hi.as_ref()),
            ),
            Scope::Suspects => (
                format!(
                    "{SUSPECT} AS x STRAIGHT_JOIN {} ON {}",
                    self.statements.source_by_key(),
                    equal(&self.statements.source_key_columns(), &self.k("x."))
                ),
                "TRUE".into(),
            ),
        }
    }

    fn plain_live(&self) -> Vec<(String, &Compared)> {
        self.columns.iter().filter_map(|column| Some((column.as_is.clone()?, column))).collect()
    }

    fn wanted(&self, i: usize, column: &Compared) -> String {
        column.as_is.clone().unwrap_or_else(|| format!("w._rsc_v{i}"))
    }

    fn held(&self, column: &Compared) -> String {
        format!("_rsc_s.{}", quote(&column.mapped.target.name))
    }

    fn differs(&self, i: usize, column: &Compared) -> String {
        let target = &column.mapped.target;
        let of = |value: String| format!("CAST({} AS BINARY)", conversion::bytes(target, &value));
        let (wanted, held) = (of(self.wanted(i, column)), of(self.held(column)));
        let mut differs = format!("NOT {wanted} <=> {held}");
        if target.data_type == "json" {
            let plain = |value: &str| {
                format!("REGEXP_REPLACE(CONVERT({value} USING utf8mb4), 'base64:type[0-9]+:', 'base64:')")
            };
            differs.push_str(&format!(" AND NOT {} <=> {}", plain(&wanted), plain(&held)));
        }
        if column.kept {
            let source = self.source(column);
            let live = format!("d.{}", quote(&source.name));
            differs.push_str(&format!(
                " AND NOT COALESCE({}, FALSE)",
                same(&format!("y._rsc_b{i}"), &live, source)
            ));
        }
        format!("({differs})")
    }

    fn source(&self, column: &Compared) -> &crate::schema::table::Column {
        &self.statements.projection().source[column.mapped.source]
    }

    fn staged_names(&self) -> Vec<String> {
        let projection = self.statements.projection();
        projection.staged().iter().map(|&i| quote(&projection.source[i].name)).collect()
    }

    fn key_names(&self) -> Vec<String> {
        let projection = self.statements.projection();
        projection.key.iter().map(|part| quote(&self.statements.source_column(part).name)).collect()
    }

    fn shadow_key_names(&self) -> Vec<String> {
        self.statements.projection().key.iter().map(|part| quote(&part.target.name)).collect()
    }

    /// The key columns of the shadow, in key order.
    pub fn shadow_key_columns(&self) -> Vec<String> {
        self.shadow_key_names().iter().map(|name| format!("_rsc_s.{name}")).collect()
    }

    fn k(&self, alias: &str) -> Vec<String> {
        (0..self.statements.projection().key.len()).map(|i| format!("{alias}k{i}")).collect()
    }
}

/// A row as one text, from which every value, its absence and its length can be told.
fn image(columns: &[(String, &Compared)]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let (mut lengths, mut nulls) = (Vec::new(), Vec::new());
    for (value, column) in columns {
        let target = &column.mapped.target;
        let bytes = conversion::bytes(target, value);
        if conversion::of_any_length(target) {
            lengths.push(format!("LENGTH({bytes})"));
        }
        if target.nullable {
            nulls.push(format!("ISNULL({value})"));
        }
        parts.push(bytes);
    }
    parts.extend(lengths);
    if !nulls.is_empty() {
        parts.push(format!("CONCAT({})", nulls.join(", ")));
    }
    // The separator's character set makes the whole binary, so that no text is converted.
    format!("CONCAT_WS(CAST('#' AS BINARY), {})", parts.join(", "))
}

fn hash(text: &str) -> String {
    format!("SHA2({text}, 256)")
}

fn sum(hash: &str, from: &str, which: &str) -> String {
    format!("SELECT COUNT(*), HEX(BIT_XOR(UNHEX({hash}))) FROM {from} WHERE {which}")
}

fn equal(a: &[String], b: &[String]) -> String {
    a.iter().zip(b).map(|(a, b)| format!("{a} = {b}")).collect::<Vec<_>>().join(" AND ")
}

fn temporary(name: &str, columns: &[String], key: &str) -> String {
    format!("CREATE TEMPORARY TABLE {name} ({}, {key}) ENGINE=InnoDB", columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::projection::{KeyColumn, Projection, TargetOnly};
    use crate::schema::table::{Column, TableName};

    fn column(name: &str, column_type: &str) -> Column {
        let data_type = column_type.split('(').next().unwrap();
        Column {
            name: name.into(),
            data_type: data_type.into(),
            column_type: column_type.into(),
            charset: (data_type == "varchar").then(|| "utf8mb4".into()),
            collation: (data_type == "varchar").then(|| "utf8mb4_bin".into()),
            nullable: name != "id",
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    /// `id`, `v` as it is, and `n` as another type; `own` is known to the shadow only.
    fn comparison(n: &str, swapped: bool, parked: Option<Parked>) -> Comparison {
        let source =
            vec![column("id", "int"), column("v", "varchar(9)"), column("n", "int"), column("x", "int")];
        let mapped = |source: usize, target: Column| Mapped { source, target };
        let projection = Projection {
            mapped: vec![
                mapped(0, source[0].clone()),
                mapped(1, source[1].clone()),
                mapped(2, column("n", n)),
            ],
            target_only: vec![TargetOnly { column: column("own", "int"), fill: None }],
            key: vec![KeyColumn { source: 0, target: source[0].clone(), recollate: false }],
            source,
            source_key: "PRIMARY".into(),
            target_key: "PRIMARY".into(),
            manner: if swapped { Manner::Nearest } else { Manner::Strict },
        };
        let (live, shadow) = (TableName::new("d", "t"), TableName::new("d", "s"));
        Comparison::new(Statements::new(projection, live, shadow), parked, swapped)
    }

    fn piece() -> Piece {
        Piece { lo: Some(vec!["1".into()]), hi: Some(vec!["9".into()]) }
    }

    #[test]
    fn what_is_carried_unchanged_is_summed_where_it_is() {
        let comparison = comparison("bigint", false, None);
        assert!(comparison.ordered() && !comparison.stores() && !comparison.keeps());
        assert_eq!(
            comparison.live_sum(&piece()),
            "SELECT COUNT(*), HEX(BIT_XOR(UNHEX(SHA2(CONCAT_WS(CAST('#' AS BINARY), d.`id`, d.`v`, d.`n`, \
             LENGTH(d.`v`), CONCAT(ISNULL(d.`v`), ISNULL(d.`n`))), 256)))) \
             FROM `d`.`t` AS d FORCE INDEX (`PRIMARY`) WHERE d.`id` > 1 AND d.`id` <= 9"
        );
        assert_eq!(
            comparison.shadow_sum(&piece()),
            "SELECT COUNT(*), HEX(BIT_XOR(UNHEX(SHA2(CONCAT_WS(CAST('#' AS BINARY), _rsc_s.`id`, _rsc_s.`v`, _rsc_s.`n`, \
             LENGTH(_rsc_s.`v`), CONCAT(ISNULL(_rsc_s.`v`), ISNULL(_rsc_s.`n`))), 256)))) \
             FROM `d`.`s` AS _rsc_s FORCE INDEX (`PRIMARY`) WHERE _rsc_s.`id` > 1 AND _rsc_s.`id` <= 9"
        );
        assert_eq!(comparison.excluded(), ["own", "x"]);
    }

    #[test]
    fn what_is_converted_is_stored_in_a_column_of_the_type_first() {
        let comparison = comparison("decimal(9,2)", false, None);
        assert_eq!(
            comparison.create(),
            [
                "CREATE TEMPORARY TABLE `_rsc`.`want` (`id` int NOT NULL, _rsc_p BINARY(32) NULL, _rsc_v2 decimal(9,2) NULL, \
              PRIMARY KEY (`id`)) ENGINE=InnoDB"
            ]
        );
        let store = comparison.store(&Scope::Range(piece()));
        assert_eq!(store[0], "DELETE FROM `_rsc`.`want`");
        assert_eq!(
            store[1],
            "INSERT INTO `_rsc`.`want` (`id`, _rsc_p, _rsc_v2) SELECT d.`id`, UNHEX(SHA2(CONCAT_WS(CAST('#' AS BINARY), \
             d.`id`, d.`v`, LENGTH(d.`v`), CONCAT(ISNULL(d.`v`))), 256)), d.`n` \
             FROM `d`.`t` AS d FORCE INDEX (`PRIMARY`) WHERE d.`id` > 1 AND d.`id` <= 9"
        );
        assert!(comparison.live_sum(&piece()).contains("FROM `_rsc`.`want` AS d WHERE TRUE"));
        let rows = comparison.differing(&["d.`id`".into()], &Scope::Suspects, 10);
        assert!(rows.contains("NOT CAST(w._rsc_v2 AS BINARY) <=> CAST(_rsc_s.`n` AS BINARY)"), "{rows}");
        assert!(!rows.contains("COLLATE"), "bytes, not collations: {rows}");
    }

    #[test]
    fn only_after_a_swap_may_the_shadow_know_a_value_better() {
        let before = comparison("bigint", false, None);
        let after = comparison("bigint", true, None);
        let rows = |comparison: &Comparison| comparison.differing(&[], &Scope::Suspects, 10);
        assert!(!rows(&before).contains("_rsc_b") && before.store_back(&Scope::Suspects).is_empty());
        assert!(after.keeps() && rows(&after).contains("y._rsc_b2 <=> d.`n`"), "{}", rows(&after));
        assert!(after.store_back(&Scope::Suspects)[1].contains("_rsc_s.`n`"));
    }

    #[test]
    fn a_parked_row_may_be_absent_from_the_side_that_cannot_hold_it_and_from_no_other() {
        let parked = |live| Some(Parked { table: "parked".into(), live });
        let of = |live| {
            let comparison = comparison("bigint", true, parked(live));
            let range = Scope::Range(piece());
            (comparison.differing(&[], &range, 1), comparison.extra(&["k".into()], &range, 1))
        };
        let absent = "NOT EXISTS (SELECT 1 FROM parked AS p WHERE p.k0 = ";
        let ((missing, extra), (accepted_missing, accepted_extra)) = (of(true), of(false));
        assert!(missing.contains(absent) && !extra.contains(absent));
        assert!(!accepted_missing.contains(absent) && accepted_extra.contains(absent));
    }

    #[test]
    fn keys_in_another_order_have_no_ranges_in_common() {
        let mut comparison = comparison("bigint", false, None);
        let projection = comparison.statements.projection().clone();
        let key = KeyColumn { recollate: true, ..projection.key[0].clone() };
        let (live, shadow) = (TableName::new("d", "t"), TableName::new("d", "s"));
        comparison.statements = Statements::new(Projection { key: vec![key], ..projection }, live, shadow);
        assert!(!comparison.ordered());
    }
}
