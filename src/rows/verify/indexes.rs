//! Indexes of the shadow over columns that the server computes whenever they are read.
//!
//! Such a value stands in the index alone, as the session computed it that wrote the row. A look at the rows computes it
//! anew, and would never see that the index has another; a reader who goes by the index does, and the server itself calls
//! the table corrupt when it looks for the entry to delete. So for each row of a range, its entry is looked up where it should
//! be: by the value that the row has, and its key.
//!
//! Of an index over an expression, the value has no name to be looked up by in a join; rows of a sample are looked up one by
//! one (`mysql/oracle.rs`).

use super::{Comparison, Piece};
use crate::rows::key_range::between;
use crate::rows::ledger::shown;
use crate::schema::table::{Key, Table, quote};

impl Comparison {
    /// Also looks into the indexes of the shadow that hold what no row does.
    pub fn with_indexes(mut self, shadow: &Table) -> Self {
        self.indexes = shadow.keys.iter().filter(|key| over_virtual(shadow, key)).cloned().collect();
        self
    }

    pub fn indexes(&self) -> &[Key] {
        &self.indexes
    }

    /// Rows of the shadow that an index does not have where they should be: the live row's key as literals, and for people.
    pub fn unindexed(&self, key: &Key, literals: &[String], piece: &Piece, most: u64) -> String {
        let parts = key.parts.iter().filter_map(|part| part.column.as_ref());
        let mut same: Vec<String> =
            parts.map(|name| format!("_rsc_i.{0} <=> _rsc_s.{0}", quote(name))).collect();
        let own = self.shadow_key_names();
        same.extend(own.iter().map(|name| format!("_rsc_i.{name} = _rsc_s.{name}")));
        let columns = self.statements.projection().key.iter();
        let names: Vec<String> = columns
            .map(|part| shown(&format!("_rsc_s.{}", quote(&part.target.name)), &part.target))
            .collect();
        format!(
            "SELECT {}, CONCAT_WS(', ', {}) FROM {} LEFT JOIN {} AS _rsc_i FORCE INDEX ({}) ON {} \
             JOIN {} ON {} WHERE {} AND _rsc_i.{} IS NULL LIMIT {most}",
            literals.join(", "),
            names.join(", "),
            self.statements.shadow_by_key(),
            self.statements.shadow,
            quote(&key.name),
            same.join(" AND "),
            self.statements.source_by_key(),
            self.statements.matches_delta(),
            between(&self.shadow_key_columns(), piece.lo.as_ref(), piece.hi.as_ref()),
            own[0]
        )
    }
}

/// Whether the index is of whole columns, and one of them is computed when it is read.
fn over_virtual(table: &Table, key: &Key) -> bool {
    let whole = key.parts.iter().all(|part| part.column.is_some() && !part.prefix);
    let computed = key.parts.iter().filter_map(|part| table.column(part.column.as_ref()?));
    whole
        && computed
            .into_iter()
            .any(|column| column.generated && column.extra.to_uppercase().contains("VIRTUAL"))
}
