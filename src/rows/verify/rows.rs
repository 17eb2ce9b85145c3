//! The rows of one table that the other does not have as they should be.

use super::{Compared, Comparison, EXTRA, Parked, SHOWN_MAX, STAYS, Scope, WANT, equal};
use crate::rows::key_range::between;
use crate::rows::ledger::{same, shown};
use crate::schema::conversion;
use crate::schema::table::quote;

impl Comparison {
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
}
