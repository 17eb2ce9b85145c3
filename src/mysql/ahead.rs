//! Looks for rows that a copy is sure to end at, before anything is made.
//!
//! First by conditions, which read a table fast but are known for some pairs of types only. Then, where the new
//! definition may refuse a row for other reasons, by trying: rows are copied into the empty probe table and rolled back,
//! so that they are in no binlog. The server itself is the judge.
//!
//! Only a look: it is over after some seconds, and rows may be written after it. What it does not see, the copy meets.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::copy::{boundary, key_literals};
use crate::rows::key_range::Bound;
use crate::rows::statements::Statements;
use crate::schema::conversion;
use crate::schema::table::{Column, Table, quote, string_literal};
use crate::session::{Remedy, Session, SqlError, text};

/// A large table is not read to its end for this.
const LOOK: Duration = Duration::from_secs(10);
/// Rows that are tried together: few enough that undoing them hurts nobody.
const TRIED_ROWS: u64 = 2_000;

/// A row that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("the row with the key ({key}) has {value} in column {column}, which {target} cannot hold")]
    Value { key: String, column: String, value: String, target: String },
    #[error("the row with the key ({key}) does not fit the new schema: {why}")]
    Row { key: String, why: String },
}

/// Such a row for each column that has one, as far as conditions tell; else the first that the server refuses.
/// `forward` are the statements that copy rows of `table` into the probe, `after`.
pub async fn misfits(
    session: &mut Session,
    forward: &Statements,
    table: &Table,
    after: &Table,
) -> Result<Vec<Misfit>, SqlError> {
    let until = Instant::now() + LOOK;
    let Some(literals) = key_literals(forward, "d") else { return Ok(Vec::new()) };
    let mut found: Vec<Misfit> = Vec::new();
    let mut columns = limited(forward);
    // One look at all columns, as long as there is nothing; then one more for those that are left.
    while let Some(misfit) = by_condition(session, forward, &literals, &columns).await? {
        let Misfit::Value { column: name, .. } = &misfit else { break };
        let before = columns.len();
        columns.retain(|column| column.source.name != *name);
        found.push(misfit);
        if columns.len() == before || Instant::now() >= until {
            break;
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    match may_refuse(forward, table, after) {
        true => Ok(by_trying(session, forward, &literals, until).await?.into_iter().collect()),
        false => Ok(Vec::new()),
    }
}

/// A column with values that may not fit, as far as a condition can tell.
pub struct Limited<'s> {
    pub source: &'s Column,
    target: &'s Column,
    value: String,
    /// True for a value that fits.
    pub fits: String,
}

/// The source table's alias in the conditions is `d`.
pub fn limited(forward: &Statements) -> Vec<Limited<'_>> {
    let projection = forward.projection();
    let mapped = projection.mapped.iter();
    mapped
        .filter(|mapped| !conversion::survives(&projection.source[mapped.source], &mapped.target))
        .filter_map(|mapped| {
            let (source, target) = (&projection.source[mapped.source], &mapped.target);
            let value = format!("d.{}", quote(&source.name));
            let fits = conversion::must_fit(source, target, &value)?;
            Some(Limited { source, target, value, fits })
        })
        .collect()
}

/// Whether the new definition has a type, or a rule, that rows of the old one may not fit.
fn may_refuse(forward: &Statements, table: &Table, after: &Table) -> bool {
    let projection = forward.projection();
    let converts = |mapped: &crate::schema::projection::Mapped| {
        !conversion::survives(&projection.source[mapped.source], &mapped.target)
    };
    // What an expression gives may be refused, or not be computed.
    let computed = |own: &crate::schema::projection::TargetOnly| {
        let default = own.column.default.as_deref().unwrap_or_default().to_uppercase();
        own.column.extra.to_uppercase().contains("DEFAULT_GENERATED")
            && !default.starts_with("CURRENT_TIMESTAMP")
    };
    projection.mapped.iter().any(converts)
        || projection.target_only.iter().any(computed)
        || !rules(&after.create).is_subset(&rules(&table.create))
}

/// The CHECK constraints, generated columns and partitions of a definition, without the names that LIKE changes.
fn rules(create: &str) -> BTreeSet<&str> {
    let (body, options) = create.rsplit_once("\n) ").unwrap_or((create, ""));
    let checks = body.lines().filter_map(|line| Some(line.split_once(" CHECK (")?.1.trim_end_matches(',')));
    let generated = body
        .lines()
        .filter(|line| line.contains(" GENERATED ALWAYS AS "))
        .map(|line| line.trim_end_matches(','));
    let partitions = options.split_once("PARTITION BY").map(|(_, partitions)| partitions);
    checks.chain(generated).chain(partitions).collect()
}

/// Copies row after row, until one is refused, all have been, or the time is over.
async fn by_trying(
    session: &mut Session,
    forward: &Statements,
    literals: &[String],
    until: Instant,
) -> Result<Option<Misfit>, SqlError> {
    let mut lo: Option<Bound> = None;
    while Instant::now() < until {
        let hi = boundary(session, forward, literals, lo.as_ref(), None, TRIED_ROWS).await?;
        if let Tried::Refused(why) = tried(session, forward, lo.as_ref(), hi.as_ref()).await? {
            return named(session, forward, literals, (lo, hi), why).await.map(Some);
        }
        if hi.is_none() {
            break;
        }
        lo = hi;
    }
    Ok(None)
}

enum Tried {
    Fit,
    Refused(String),
}

async fn tried(
    session: &mut Session,
    forward: &Statements,
    lo: Option<&Bound>,
    hi: Option<&Bound>,
) -> Result<Tried, SqlError> {
    session.run("START TRANSACTION").await?;
    let copied = session.run(&forward.copy(lo, hi)).await;
    session.run("ROLLBACK").await?;
    match copied {
        Ok(_) => Ok(Tried::Fit),
        Err(error) => match error.remedy() {
            Remedy::Data => Ok(Tried::Refused(error.to_string())),
            // The copy shows both rows.
            Remedy::Duplicate | Remedy::Again => Ok(Tried::Fit),
            _ => Err(error),
        },
    }
}

/// Halves a range that was refused down to a row. Someone may mend the row meanwhile; then the last half is named by
/// its first row.
async fn named(
    session: &mut Session,
    forward: &Statements,
    literals: &[String],
    range: (Option<Bound>, Option<Bound>),
    mut why: String,
) -> Result<Misfit, SqlError> {
    let (mut lo, mut hi) = range;
    let mut rows = TRIED_ROWS;
    while rows > 1 {
        rows = rows.div_ceil(2);
        let middle = boundary(session, forward, literals, lo.as_ref(), hi.as_ref(), rows).await?;
        // Fewer rows than that.
        let Some(middle) = middle else { continue };
        match tried(session, forward, lo.as_ref(), Some(&middle)).await? {
            Tried::Refused(again) => (hi, why) = (Some(middle), again),
            Tried::Fit => lo = Some(middle),
        }
    }
    let row = boundary(session, forward, literals, lo.as_ref(), hi.as_ref(), 1).await?;
    Ok(Misfit::Row { key: row.unwrap_or_default().join(", "), why })
}

fn type_of(column: &Column) -> String {
    format!("{}{}", column.column_type, if column.nullable { "" } else { " NOT NULL" })
}

async fn by_condition(
    session: &mut Session,
    forward: &Statements,
    key: &[String],
    columns: &[Limited<'_>],
) -> Result<Option<Misfit>, SqlError> {
    if columns.is_empty() {
        return Ok(None);
    }
    let case = |yields: &dyn Fn(&Limited<'_>) -> String| -> String {
        let whens: Vec<String> = columns
            .iter()
            .map(|column| format!("WHEN NOT {} THEN {}", column.fits, yields(column)))
            .collect();
        format!("CASE {} END", whens.join(" "))
    };
    let misfits: Vec<String> = columns.iter().map(|column| format!("NOT {}", column.fits)).collect();
    let sql = format!(
        "SELECT /*+ MAX_EXECUTION_TIME({}) */ CONCAT_WS(', ', {}), {}, LEFT({}, 100), {} FROM {} AS d WHERE {} LIMIT 1",
        LOOK.as_millis(),
        key.join(", "),
        case(&|column| string_literal(&column.source.name)),
        case(&|column| crate::rows::ledger::shown(&column.value, column.source)),
        case(&|column| string_literal(&type_of(column.target))),
        forward.source(),
        misfits.join(" OR ")
    );
    match session.first(&sql).await {
        Ok(row) => Ok(row.map(|row| Misfit::Value {
            key: text(&row, 0).unwrap_or_default(),
            column: text(&row, 1).unwrap_or_default(),
            value: text(&row, 2).map_or_else(|| "NULL".into(), |value| format!("'{value}'")),
            target: text(&row, 3).unwrap_or_default(),
        })),
        // The time is over.
        Err(error) if error.code() == Some(3024) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_known_by_what_it_says_not_by_its_name() {
        let old = "CREATE TABLE `t` (\n  `a` int,\n  CONSTRAINT `small` CHECK ((`a` < 5)),\n  CONSTRAINT `t_chk_1` CHECK ((`a` > 1))\n) ENGINE=InnoDB";
        let same = "CREATE TABLE `p` (\n  `a` int,\n  CONSTRAINT `p_chk_1` CHECK ((`a` < 5)),\n  CONSTRAINT `p_chk_2` CHECK ((`a` > 1))\n) ENGINE=InnoDB";
        assert_eq!(rules(old), rules(same));
        assert_eq!(rules(old).len(), 2);
        let parted = format!("{same}\n/*!50100 PARTITION BY HASH (`a`) */");
        assert!(!rules(&parted).is_subset(&rules(old)));
        let generated =
            "CREATE TABLE `t` (\n  `b` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL\n) ENGINE=InnoDB";
        assert_eq!(rules(generated).len(), 1);
    }
}
