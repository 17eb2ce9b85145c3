//! Writing rows again that differ.

use super::{Comparison, EXTRA, MEND, SUSPECT, Scope, equal, temporary};
use crate::rows::statements::{Staging, define};
use crate::schema::table::quote;

impl Comparison {
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
        let (names, values) = (self.staged_names(), self.staged_values());
        let (from, which) = self.live(&Scope::Suspects);
        format!(
            "INSERT {} INTO {MEND} ({}) SELECT {} FROM {from} WHERE {which}",
            self.statements.as_it_is(),
            names.join(", "),
            values.join(", ")
        )
    }

    /// Stages those of them that are still suspects.
    pub fn stage_mend(&self, delta: &str) -> String {
        let (names, values) = (self.staged_names(), self.staged_values());
        format!(
            "INSERT {} INTO {delta} ({}) SELECT {} FROM {SUSPECT} AS x STRAIGHT_JOIN {MEND} AS d ON {}",
            self.statements.as_it_is(),
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
                "INSERT {} INTO {} SELECT {key}, {key} FROM {delta} AS d",
                self.statements.as_it_is(),
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
}
