//! Looks for rows that a copy is sure to end at, before anything is made.
//!
//! Only a look: it is over after some seconds, it knows of some pairs of types only, and rows may be written after it.
//! What it does not see, the copy meets.

use super::copy::key_literals;
use crate::rows::statements::Statements;
use crate::schema::conversion;
use crate::schema::table::{Column, quote, string_literal};
use crate::session::{Session, SqlError, text};

/// A large table is not read to its end for this.
const LOOK_MS: u32 = 10_000;

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub key: String,
    pub column: String,
    /// As text; `None` is NULL.
    pub value: Option<String>,
    pub target: String,
}

fn type_of(column: &Column) -> String {
    format!("{}{}", column.column_type, if column.nullable { "" } else { " NOT NULL" })
}

/// The first such row that is found. `forward` are the statements of the copy.
pub async fn misfit(session: &mut Session, forward: &Statements) -> Result<Option<Misfit>, SqlError> {
    let projection = forward.projection();
    let mut columns = Vec::new();
    for mapped in &projection.mapped {
        let source = &projection.source[mapped.source];
        let value = format!("d.{}", quote(&source.name));
        if conversion::survives(source, &mapped.target) {
            continue;
        }
        if let Some(fits) = conversion::must_fit(source, &mapped.target, &value) {
            columns.push((source, &mapped.target, value, fits));
        }
    }
    let Some(key) = key_literals(forward, "d").filter(|_| !columns.is_empty()) else { return Ok(None) };
    let case = |yields: &dyn Fn(usize) -> String| -> String {
        let whens: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, (_, _, _, fits))| format!("WHEN NOT {fits} THEN {}", yields(i)))
            .collect();
        format!("CASE {} END", whens.join(" "))
    };
    let misfits: Vec<String> = columns.iter().map(|(_, _, _, fits)| format!("NOT {fits}")).collect();
    let sql = format!(
        "SELECT /*+ MAX_EXECUTION_TIME({LOOK_MS}) */ CONCAT_WS(', ', {}), {}, LEFT({}, 100), {} FROM {} AS d WHERE {} LIMIT 1",
        key.join(", "),
        case(&|i| string_literal(&columns[i].0.name)),
        case(&|i| crate::rows::ledger::shown(&columns[i].2, columns[i].0)),
        case(&|i| string_literal(&type_of(columns[i].1))),
        forward.source(),
        misfits.join(" OR ")
    );
    match session.first(&sql).await {
        Ok(row) => Ok(row.map(|row| Misfit {
            key: text(&row, 0).unwrap_or_default(),
            column: text(&row, 1).unwrap_or_default(),
            value: text(&row, 2),
            target: text(&row, 3).unwrap_or_default(),
        })),
        // The time is over.
        Err(error) if error.code() == Some(3024) => Ok(None),
        Err(error) => Err(error),
    }
}
