//! The SQL that keeps what the shadow knows better than the live table can say.
//!
//! After a revert the shadow may hold a long text of which the live table has only the beginning. The stream brings
//! whole rows, so a row of which another column is written would bring the beginning, and the long text would be
//! gone. So a value of the shadow stays as long as what it would be in the live table is what the live table has.
//!
//! `kept` holds such values, of the rows of one window, under their key after it. It is filled before they are
//! written over, and put back afterwards.

use super::ledger::same;
use super::statements::{Staging, Statements, define};
use crate::schema::conversion::{self, Manner};
use crate::schema::projection::Mapped;
use crate::schema::table::{Column, quote};

/// A temporary table, as the staging tables are.
pub const KEPT: &str = "`_rsc`.`kept`";

impl Statements {
    /// Whether the shadow can hold something that the live table cannot.
    pub fn keeps(&self) -> bool {
        !self.kept_columns().is_empty()
    }

    fn kept_columns(&self) -> Vec<&Mapped> {
        let projection = self.projection();
        projection
            .mapped
            .iter()
            .filter(|m| !conversion::survives(&m.target, &projection.source[m.source]))
            .collect()
    }

    pub fn create_kept(&self) -> String {
        let mut columns = Vec::new();
        self.define_key("k", &mut columns);
        for (i, mapped) in self.kept_columns().iter().enumerate() {
            columns.push(roomy(&format!("c{i}"), &mapped.target));
            let source = &self.projection().source[mapped.source];
            // Where the live table has no NULL, a NULL is something else there.
            let nullable = source.nullable || conversion::implicit_default(source).is_none();
            columns.push(define(&format!("b{i}"), source, nullable));
            columns.push(format!("stays{i} BOOLEAN NOT NULL DEFAULT FALSE"));
        }
        let key: Vec<String> = (0..self.projection().key.len()).map(|i| format!("k{i}")).collect();
        format!(
            "CREATE TEMPORARY TABLE {KEPT} ({}, PRIMARY KEY ({})) ENGINE=InnoDB",
            columns.join(", "),
            key.join(", ")
        )
    }

    /// Takes values of rows that will move, or be written anew, from under the key before.
    pub fn keep_moved(&self) -> String {
        let shadow = self.matches(|i, _| format!("m.f{i}"));
        let delta: Vec<String> =
            self.source_key_columns().iter().enumerate().map(|(i, key)| format!("m.k{i} = {key}")).collect();
        self.keep(&format!(
            "{} AS m STRAIGHT_JOIN {} ON {shadow} STRAIGHT_JOIN {} AS d ON {}",
            Staging::Moved.name(),
            self.shadow_by_key(),
            Staging::Delta.name(),
            delta.join(" AND ")
        ))
    }

    /// Takes values of rows that stay where they are.
    pub fn keep_updated(&self) -> String {
        self.keep(&format!(
            "{} AS d STRAIGHT_JOIN {} ON {}",
            Staging::Delta.name(),
            self.shadow_by_key(),
            self.matches_delta()
        ))
    }

    /// What the shadow holds, and what that would be in the live table: only a column of the type can tell.
    fn keep(&self, from: &str) -> String {
        let mut names: Vec<String> = (0..self.projection().key.len()).map(|i| format!("k{i}")).collect();
        let mut values = self.source_key_columns();
        for (i, mapped) in self.kept_columns().iter().enumerate() {
            let source = &self.projection().source[mapped.source];
            let stored = format!("_rsc_s.{}", quote(&mapped.target.name));
            let back = conversion::expression(&mapped.target, source, Manner::Nearest, &stored);
            names.extend([format!("c{i}"), format!("b{i}")]);
            values.extend([stored, back]);
        }
        format!(
            "INSERT {} INTO {KEPT} ({}) SELECT {} FROM {from}",
            self.lenient(),
            names.join(", "),
            values.join(", ")
        )
    }

    /// Marks the values that stay. One that would be written as it is may stay or not.
    pub fn judge_kept(&self) -> String {
        let text = |value: &str| format!("CAST(CAST({value} AS CHAR CHARACTER SET utf8mb4) AS BINARY)");
        let sets: Vec<String> = self
            .kept_columns()
            .iter()
            .enumerate()
            .map(|(i, mapped)| {
                let source = &self.projection().source[mapped.source];
                let stands = same(&format!("q.b{i}"), &format!("d.{}", quote(&source.name)), source);
                let (stored, written) = (text(&format!("q.c{i}")), text(&self.value(mapped)));
                format!("q.stays{i} = {stands} AND NOT {stored} <=> {written}")
            })
            .collect();
        let key: Vec<String> =
            self.source_key_columns().iter().enumerate().map(|(i, key)| format!("q.k{i} = {key}")).collect();
        format!(
            "UPDATE {} {KEPT} AS q JOIN {} AS d ON {} SET {}",
            self.lenient(),
            Staging::Delta.name(),
            key.join(" AND "),
            sets.join(", ")
        )
    }

    /// Usually all.
    pub fn forget_kept(&self) -> String {
        let stays: Vec<String> = (0..self.kept_columns().len()).map(|i| format!("stays{i}")).collect();
        format!("DELETE FROM {KEPT} WHERE NOT ({})", stays.join(" OR "))
    }

    /// Puts them back, one statement a column.
    pub fn put_back(&self) -> Vec<String> {
        let projection = self.projection();
        let matches = self.matches(|i, _| format!("q.k{i}"));
        let mapped = projection.mapped.iter().map(|m| &m.target);
        let own = projection.target_only.iter().map(|own| &own.column);
        let standing: Vec<String> = mapped
            .chain(own)
            .filter(|column| column.on_update())
            .map(|column| format!(", _rsc_s.{0} = _rsc_s.{0}", quote(&column.name)))
            .collect();
        self.kept_columns()
            .iter()
            .enumerate()
            .map(|(i, m)| {
                let name = quote(&m.target.name);
                let others: Vec<&str> = standing
                    .iter()
                    .map(String::as_str)
                    .filter(|set| !set.starts_with(&format!(", _rsc_s.{name} =")))
                    .collect();
                format!(
                    "UPDATE {KEPT} AS q STRAIGHT_JOIN {} ON {matches} SET _rsc_s.{name} = q.c{i}{} WHERE q.stays{i}",
                    self.shadow_by_key(),
                    others.concat()
                )
            })
            .collect()
    }
}

/// A column that takes all values of `column`. Long strings stand apart from the row, whose size is limited.
fn roomy(name: &str, column: &Column) -> String {
    let kind = match (column.data_type.as_str(), &column.charset) {
        ("char" | "varchar", Some(charset)) => format!("LONGTEXT CHARACTER SET {charset}"),
        ("binary" | "varbinary", _) => "LONGBLOB".into(),
        _ => return define(name, column, true),
    };
    format!("{name} {kind} NULL")
}
