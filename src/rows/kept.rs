//! What one side knows better than the other can say, and how it stays known.
//!
//! From the first swap on, a value of the shadow may be more than what the live table has: 1.50 of which an INT has 2,
//! a long text of which the other has the beginning, an INT 1 for which an ENUM has its second label. The claim, for
//! every row and every mapped column, at every position of the stream, in either direction:
//!
//! > If nobody wrote the value since it was last written in the shadow's schema, the shadow has it byte by byte. Else the
//! > shadow has what a native ALTER of the live table would make of it, or the ledger says what it lacks.
//!
//! # Why it holds
//!
//! *Nothing is guessed from values.* A row event holds the row before and after it, with all columns
//! ([`crate::mysql::binlog::column_plan`] refuses others), and a column was written if the two differ in its bytes
//! ([`super::written`]). A window joins what its events say, per row ([`super::compaction`]); rows and
//! position commit together, so each event is counted once, and never by its net effect: what was written and
//! written back has been written.
//!
//! *At a swap it holds.* The shadow then is the table that was live, and each of its values is the one that was written.
//!
//! *A window keeps it.* Its staged rows carry what was written of them. Rows with the same columns written are a [`Group`],
//! and one statement writes a group, in one go for each row, so a CHECK over two columns never sees half of it.
//! An UPDATE leaves out what was not written. A row that moves, or is written anew, is carried with those values,
//! in the shadow's own types, and inserted with them. A row that was inserted has had all its columns written.
//! A column whose values all survive in the live table and back needs none of this, and is always written.
//!
//! *A parked row keeps it.* It is not in the shadow, but its values are on record, with what has been written
//! since, and, as of the stream's position, the live table's values of the same columns ([`super::ledger`]). When it is
//! tried again the rest is read from the live table, maybe from after the position; every window writes
//! the rest anyway. These columns may not be read like that: an event that is yet to come may leave them out.
//!
//! # Not before the first swap
//!
//! While rows are copied the shadow has rows that are newer than the position. The row under a key may be another one
//! than the stream means, and a move would carry its values along (tests/model shows it). Nor is there anything to
//! keep: every value of the shadow was made of the live table's. So until then all columns are written.
//!
//! # Repairs
//!
//! A verification that writes a row again knows no events. There a value stays if what it would be in the live table is
//! what the live table has: by the above, one of the two is always made of the other.

use super::ledger::same;
use super::statements::{Staging, Statements, define};
use crate::schema::conversion;
use crate::schema::projection::Mapped;
use crate::schema::table::{Column, quote};

/// What the shadow's values would be in the live table. A temporary table, as the staging tables are.
pub const KEPT: &str = "`_rsc`.`kept`";
/// The column of `delta` that says what was written.
pub const WRITTEN: &str = "_rsc_w";

/// Staged rows of which the same columns were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As [`super::written::Written::text`] has it; empty where all columns are.
    written: String,
    /// No other rows are staged.
    alone: bool,
}

impl Group {
    /// All staged rows, to be written whole.
    pub const WHOLE: Group = Group { written: String::new(), alone: true };

    /// A group for each of `written`.
    pub fn of(written: impl IntoIterator<Item = String>) -> Vec<Group> {
        let mut all: Vec<String> = written.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        let alone = all.len() == 1;
        all.into_iter().map(|written| Group { written, alone }).collect()
    }

    pub(super) fn writes(&self, place: usize) -> bool {
        self.written.as_bytes().get(place) != Some(&b'0')
    }

    /// That a row of `delta` is one of them.
    pub(super) fn is(&self) -> Option<String> {
        (!self.alone).then(|| format!("d.{WRITTEN} = '{}'", self.written))
    }
}

impl Statements {
    /// Whether the shadow may hold something that the live table cannot.
    pub fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    /// The columns in which it may, in the order of their places.
    pub(super) fn kept(&self) -> Vec<&Mapped> {
        self.kept.iter().map(|&i| &self.projection().mapped[i]).collect()
    }

    /// The place of a column among them.
    pub(super) fn place(&self, mapped: &Mapped) -> Option<usize> {
        self.kept.iter().position(|&i| self.projection().mapped[i].source == mapped.source)
    }

    /// Indexes of the live table's columns of which it matters whether they were written.
    pub fn watched(&self) -> Vec<usize> {
        self.kept().iter().map(|mapped| mapped.source).collect()
    }

    /// The columns of `delta`, or of a parked row, that says what was written; by default all.
    pub(super) fn define_written(&self, name: &str) -> String {
        let places = self.kept().len();
        format!("{name} VARBINARY({places}) NOT NULL DEFAULT '{}'", "1".repeat(places))
    }

    /// What was written of the rows that a statement has staged.
    pub fn groups(&self) -> String {
        format!("SELECT DISTINCT {WRITTEN} FROM {}", Staging::Delta.name())
    }

    /// All that is staged counts as written.
    pub fn write_all(&self) -> String {
        format!("UPDATE {} SET {WRITTEN} = DEFAULT({WRITTEN})", Staging::Delta.name())
    }

    /// A column for what the shadow's value would be in the live table: only one of the type can tell. Where that has no
    /// NULL, a NULL is something else there.
    pub(super) fn define_back(&self, name: &str, mapped: &Mapped) -> String {
        let source = &self.projection().source[mapped.source];
        let implicit = source.data_type != "json" && conversion::implicit_default(source).is_some();
        define(name, source, source.nullable || !implicit)
    }

    pub(super) fn back(&self, mapped: &Mapped) -> String {
        let stored = format!("_rsc_s.{}", quote(&mapped.target.name));
        conversion::if_taken(&mapped.target, &self.projection().source[mapped.source], &stored)
    }

    /// What the live value would be in the shadow. One that was not written need not fit: it may have been made of
    /// what the shadow has.
    pub(super) fn wanted(&self, mapped: &Mapped) -> String {
        let source = &self.projection().source[mapped.source];
        match self.place(mapped) {
            Some(_) => conversion::if_taken(source, &mapped.target, &format!("d.{}", quote(&source.name))),
            None => self.value(mapped),
        }
    }

    pub fn create_kept(&self) -> String {
        let mut columns = Vec::new();
        self.define_key("k", &mut columns);
        for (i, mapped) in self.kept().into_iter().enumerate() {
            columns.push(self.define_back(&format!("b{i}"), mapped));
        }
        let key: Vec<String> = (0..self.projection().key.len()).map(|i| format!("k{i}")).collect();
        format!(
            "CREATE TEMPORARY TABLE {KEPT} ({}, PRIMARY KEY ({})) ENGINE=InnoDB",
            columns.join(", "),
            key.join(", ")
        )
    }

    /// Lets the staged rows leave out what the shadow has of the same value: only a column of the type can tell.
    pub fn judge_kept(&self) -> [String; 3] {
        let mut names: Vec<String> = (0..self.projection().key.len()).map(|i| format!("k{i}")).collect();
        let mut values = self.source_key_columns();
        let mut written = Vec::new();
        for (i, mapped) in self.kept().iter().enumerate() {
            let source = &self.projection().source[mapped.source];
            names.push(format!("b{i}"));
            values.push(self.back(mapped));
            let stands = same(&format!("q.b{i}"), &format!("d.{}", quote(&source.name)), source);
            // What the live table computes tells nothing about what the shadow has of it.
            written.push(match self.projection().computed_there(mapped) {
                true => "'0'".into(),
                false => format!("IF({stands}, '0', '1')"),
            });
        }
        let key: Vec<String> =
            self.source_key_columns().iter().enumerate().map(|(i, key)| format!("q.k{i} = {key}")).collect();
        [
            format!("DELETE FROM {KEPT}"),
            format!(
                "INSERT {} INTO {KEPT} ({}) SELECT {} FROM {} AS d STRAIGHT_JOIN {} ON {}",
                self.lenient(),
                names.join(", "),
                values.join(", "),
                Staging::Delta.name(),
                self.shadow_by_key(),
                self.matches_delta()
            ),
            format!(
                "UPDATE {} AS d JOIN {KEPT} AS q ON {} SET d.{WRITTEN} = CONCAT({})",
                Staging::Delta.name(),
                key.join(" AND "),
                written.join(", ")
            ),
        ]
    }
}

/// A string of so many characters takes no more room in a page than the pointer to one that stands apart.
const SHORT: u32 = 10;

/// A column that takes all values of `column`. Long strings stand apart from the row, whose size is limited.
pub(super) fn roomy(name: &str, column: &Column) -> String {
    let length = column.column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    if length.is_some_and(|(length, _)| length.parse().is_ok_and(|length: u32| length <= SHORT)) {
        return define(name, column, true);
    }
    let kind = match (column.data_type.as_str(), &column.charset, &column.collation) {
        ("char" | "varchar", Some(charset), Some(collation)) => {
            format!("LONGTEXT CHARACTER SET {charset} COLLATE {collation}")
        }
        ("binary" | "varbinary", ..) => "LONGBLOB".into(),
        _ => return define(name, column, true),
    };
    format!("{name} {kind} NULL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_the_same_columns_written_are_one_group() {
        let groups = Group::of(["01", "10", "01"].map(str::to_owned));
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].is().as_deref(), Some("d._rsc_w = '01'"));
        assert_eq!([groups[0].writes(0), groups[0].writes(1)], [false, true]);
        assert_eq!(Group::of(["01".to_owned()])[0].is(), None);
        assert!(Group::WHOLE.writes(7));
    }
}
