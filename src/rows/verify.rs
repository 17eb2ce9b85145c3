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
//! A column that the live table computes and the shadow does not is not compared once the tables have been swapped: what
//! the shadow has of a row that nobody wrote since is what was written there, whatever is computed now.
//!
//! Documents are compared as their text, in which MySQL has its own order of the keys. A value in a document that has no
//! JSON type of its own (a BLOB, a date) may have lost its exact tag on its way through the stream; it is not counted.

mod generated;
mod image;
mod indexes;
mod mend;
mod rows;

use self::image::{hash, image, sum};
use super::key_range::{Bound, between};
use super::statements::{STAGING_MODE, Statements, define};
use crate::schema::conversion;
use crate::schema::generated::Recomputed;
use crate::schema::projection::Mapped;
use crate::schema::table::{Key, quote, same_name};

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
    /// Generated columns of the shadow that are held against their expression, and those that are not looked at.
    recomputed: Vec<Recomputed>,
    unchecked: Vec<String>,
    /// Indexes of the shadow over what is computed when it is read.
    indexes: Vec<Key>,
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
            .filter(|mapped| !(swapped && projection.computed_there(mapped)))
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
        let (recomputed, unchecked, indexes) = (Vec::new(), Vec::new(), Vec::new());
        Self { statements, columns, parked, recomputed, unchecked, indexes }
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
        let recomputed = |name: &str| self.recomputed.iter().any(|own| same_name(&own.column.name, name));
        let mapped = |i: usize| {
            self.columns.iter().any(|c| c.mapped.source == i) || recomputed(&projection.source[i].name)
        };
        let live = projection.source.iter().enumerate().filter(|(i, _)| !mapped(*i)).map(|(_, c)| &c.name);
        let shadow = projection.target_only.iter().map(|own| &own.column.name);
        let mut names: Vec<String> = live.chain(shadow).chain(&self.unchecked).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether a key means the same in sessions of every time zone.
    pub fn zone_free(&self) -> bool {
        let projection = self.statements.projection();
        projection.key.iter().all(|part| {
            [&projection.source[part.source], &part.target]
                .iter()
                .all(|column| column.data_type != "timestamp")
        })
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
                let nullable = target.nullable || target.data_type == "json";
                columns.push(define(&format!("_rsc_v{i}"), target, nullable));
            }
            tables.push(temporary(WANT, &columns, &format!("PRIMARY KEY ({})", key.join(", "))));
        }
        if self.keeps() {
            let mut columns = Vec::new();
            keys(&mut columns);
            for (i, column) in self.kept() {
                columns.push(self.statements.define_back(&format!("_rsc_b{i}"), &column.mapped));
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
                values.push(self.statements.wanted(&column.mapped));
            }
            let mode =
                if self.keeps() { format!("{} ", self.statements.lenient()) } else { self.statements.mode() };
            let (from, which) = self.live(scope);
            statements.push(format!("DELETE FROM {WANT}"));
            statements.push(format!(
                "INSERT {mode}INTO {WANT} ({}) SELECT {} FROM {from} WHERE {which}",
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
            names.push(format!("_rsc_b{i}"));
            values.push(self.statements.back(&column.mapped));
        }
        let (from, which) = self.live(scope);
        vec![
            format!("DELETE FROM {STAYS}"),
            format!(
                "INSERT {} INTO {STAYS} ({}) SELECT {} FROM {from} STRAIGHT_JOIN {} ON {} WHERE {which}",
                self.statements.lenient(),
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

    fn source(&self, column: &Compared) -> &crate::schema::table::Column {
        &self.statements.projection().source[column.mapped.source]
    }

    fn staged_values(&self) -> Vec<String> {
        let projection = self.statements.projection();
        let columns = projection.staged().into_iter().map(|i| &projection.source[i]);
        columns.map(|column| conversion::whole(column, &format!("d.{}", quote(&column.name)))).collect()
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

fn equal(a: &[String], b: &[String]) -> String {
    a.iter().zip(b).map(|(a, b)| format!("{a} = {b}")).collect::<Vec<_>>().join(" AND ")
}

fn temporary(name: &str, columns: &[String], key: &str) -> String {
    format!("CREATE TEMPORARY TABLE {name} ({}, {key}) ENGINE=InnoDB", columns.join(", "))
}

#[cfg(test)]
mod tests;
