//! Generated columns.
//!
//! One that means the same in both tables is compared like any other column, with what the live table shows: that is what
//! readers have seen so far. One that does not is held against its expression over the shadow's own row, which is compared
//! with the live one's besides; and only before the first swap: later a row that nobody has written since may rightly hold
//! what sessions of another zone or mode computed.

use super::{Compared, Comparison, equal, temporary};
use crate::rows::key_range::between;
use crate::rows::ledger::shown;
use crate::rows::statements::define;
use crate::schema::conversion;
use crate::schema::generated::Generated;
use crate::schema::table::quote;

use super::{Piece, SHOWN_MAX};

/// What the shadow's expressions yield for its own rows.
pub const RECOMPUTED: &str = "`_rsc`.`recomputed`";

impl Comparison {
    /// Also compares the columns that the server computes.
    pub fn with_generated(mut self, generated: Generated, swapped: bool) -> Self {
        for mapped in generated.alike {
            let source = &self.statements.projection().source[mapped.source];
            let as_is = Some(format!("d.{}", quote(&source.name)));
            self.columns.push(Compared { mapped, as_is, kept: false });
        }
        match swapped {
            false => self.recomputed = generated.recomputed,
            true => self.unchecked = generated.recomputed.into_iter().map(|own| own.column.name).collect(),
        }
        self
    }

    pub fn recomputes(&self) -> bool {
        !self.recomputed.is_empty()
    }

    /// The session's own table for it.
    pub fn create_recomputed(&self) -> String {
        let mut columns: Vec<String> = Vec::new();
        for part in &self.statements.projection().key {
            columns.push(define(&quote(&part.target.name), &part.target, false));
        }
        for (i, own) in self.recomputed.iter().enumerate() {
            columns.push(define(&format!("_rsc_v{i}"), &own.column, true));
        }
        let key = self.shadow_key_names().join(", ");
        temporary(RECOMPUTED, &columns, &format!("PRIMARY KEY ({key})"))
    }

    /// Computes the columns of a range anew.
    pub fn recompute(&self, piece: &Piece) -> [String; 2] {
        let (mut names, mut values) = (self.shadow_key_names(), self.shadow_key_columns());
        for (i, own) in self.recomputed.iter().enumerate() {
            names.push(format!("_rsc_v{i}"));
            values.push(own.expression.clone());
        }
        [
            format!("DELETE FROM {RECOMPUTED}"),
            format!(
                "INSERT INTO {RECOMPUTED} ({}) SELECT {} FROM {} WHERE {}",
                names.join(", "),
                values.join(", "),
                self.statements.shadow_by_key(),
                between(&self.shadow_key_columns(), piece.lo.as_ref(), piece.hi.as_ref())
            ),
        ]
    }

    /// Rows that hold something else, in the form of [`Comparison::differing`]. [`Comparison::recompute`] goes before.
    pub fn miscomputed(&self, literals: &[String], most: u64) -> String {
        let mut values = literals.to_vec();
        let key = self.statements.projection().key.iter();
        let key: Vec<String> =
            key.map(|part| shown(&format!("_rsc_s.{}", quote(&part.target.name)), &part.target)).collect();
        values.push(format!("CONCAT_WS(', ', {})", key.join(", ")));
        values.push("FALSE".into());
        let mut differs = Vec::new();
        for (i, own) in self.recomputed.iter().enumerate() {
            let (wanted, held) = (format!("r._rsc_v{i}"), format!("_rsc_s.{}", quote(&own.column.name)));
            let of = |value: &str| format!("CAST({} AS BINARY)", conversion::bytes(&own.column, value));
            differs.push(format!("NOT {} <=> {}", of(&wanted), of(&held)));
            values.push(format!("({})", differs[i]));
            values.push(format!("LEFT({}, {SHOWN_MAX})", shown(&wanted, &own.column)));
            values.push(format!("LEFT({}, {SHOWN_MAX})", shown(&held, &own.column)));
        }
        let own: Vec<String> = self.shadow_key_names().iter().map(|name| format!("r.{name}")).collect();
        format!(
            "SELECT {} FROM {RECOMPUTED} AS r STRAIGHT_JOIN {} ON {} STRAIGHT_JOIN {} ON {} WHERE {} LIMIT {most}",
            values.join(", "),
            self.statements.shadow_by_key(),
            equal(&own, &self.shadow_key_columns()),
            self.statements.source_by_key(),
            self.statements.matches_delta(),
            differs.join(" OR ")
        )
    }

    pub fn recomputed_names(&self) -> Vec<&str> {
        self.recomputed.iter().map(|own| own.column.name.as_str()).collect()
    }
}
