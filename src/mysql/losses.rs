//! Reads the ledger of a change for people.

use super::inspect::{self, Found};
use crate::lifecycle::notice::Lost;
use crate::lifecycle::step::Refusal;
use crate::rows::ledger::{loss_table, parked_table, shown};
use crate::schema::projection::{Projection, TargetOnly};
use crate::schema::table::{Column, TableName, quote};
use crate::session::{Session, SqlError, number, text};

/// How much the ledger holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows that the old schema cannot hold at all.
    pub parked: u64,
    /// Values of which it holds only the nearest.
    pub losses: u64,
}

/// A row that is not in the old table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    pub key: String,
    pub reason: String,
    /// UTC, when it was parked.
    pub since: String,
}

/// A value that the old table holds as another. `None` is NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    pub key: String,
    pub column: String,
    pub kept: Option<String>,
    pub lost: Option<String>,
    /// The row as it was written, as JSON.
    pub row: String,
    pub since: String,
}

/// A value of a column that only the new schema has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    pub key: String,
    pub column: String,
    pub value: Option<String>,
}

/// Zeros where there is no ledger (any more).
pub async fn totals(session: &mut Session, change: u64) -> Result<Totals, SqlError> {
    if !exists(session, change).await? {
        return Ok(Totals::default());
    }
    let row = session
        .first(&format!(
            "SELECT (SELECT COUNT(*) FROM {}), (SELECT COUNT(*) FROM {})",
            parked_table(change),
            loss_table(change)
        ))
        .await?;
    let at = |i| row.as_ref().and_then(|row| number(row, i)).unwrap_or(0);
    Ok(Totals { parked: at(0), losses: at(1) })
}

/// The first of the parked rows.
pub async fn parked(session: &mut Session, change: u64, most: u64) -> Result<Vec<Parked>, SqlError> {
    let table = format!("parked_{change}");
    let Some(key) = key_of_ledger(session, &table).await? else { return Ok(Vec::new()) };
    let sql =
        format!("SELECT {key}, `reason`, `since` FROM {} ORDER BY n LIMIT {most}", parked_table(change));
    let rows = session.rows(&sql).await?;
    Ok(rows
        .iter()
        .map(|row| Parked {
            key: text(row, 0).unwrap_or_default(),
            reason: text(row, 1).unwrap_or_default(),
            since: text(row, 2).unwrap_or_default(),
        })
        .collect())
}

/// The first of the lost values.
pub async fn losses(session: &mut Session, change: u64, most: u64) -> Result<Vec<Loss>, SqlError> {
    let table = format!("loss_{change}");
    let Some(key) = key_of_ledger(session, &table).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT {key}, `column_name`, `kept`, `lost`, `whole`, `since` FROM {} ORDER BY n LIMIT {most}",
        loss_table(change)
    );
    let rows = session.rows(&sql).await?;
    Ok(rows
        .iter()
        .map(|row| Loss {
            key: text(row, 0).unwrap_or_default(),
            column: text(row, 1).unwrap_or_default(),
            kept: text(row, 2),
            lost: text(row, 3),
            row: text(row, 4).unwrap_or_default(),
            since: text(row, 5).unwrap_or_default(),
        })
        .collect())
}

/// Rows that a refusal names.
const NAMED_MAX: u64 = 3;
/// Characters of a value in it.
const VALUE_MAX: usize = 60;

/// Why a revert is refused: while rows are parked, and, if they are not accepted, for values that are cut.
pub async fn refusal(
    session: &mut Session,
    change: u64,
    accept_losses: bool,
) -> Result<Option<Refusal>, SqlError> {
    let Totals { parked: rows, losses: values } = totals(session, change).await?;
    if !accept_losses && values > 0 {
        return refusal_for_losses(session, change, rows, values).await.map(Some);
    }
    if rows == 0 {
        return Ok(None);
    }
    let named: Vec<String> = parked(session, change, NAMED_MAX)
        .await?
        .iter()
        .map(|row| format!("({}): {}", row.key, row.reason))
        .collect();
    let more = rows.saturating_sub(named.len() as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let rows = if rows == 1 { "1 row".into() } else { format!("{rows} rows") };
    Ok(Some(Refusal {
        what: format!("the old schema cannot hold {rows}: {}{more}", named.join("; ")),
        next: format!(
            "to see them all, `rsc losses {change}`; mend them and try again, or leave them to the new table with `rsc revert {change} --accept-parked`"
        ),
    }))
}

async fn refusal_for_losses(
    session: &mut Session,
    change: u64,
    rows: u64,
    values: u64,
) -> Result<Refusal, SqlError> {
    let named = named_losses(session, change).await?;
    let more = values.saturating_sub(named.len() as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let values = if values == 1 { "1 value".into() } else { format!("{values} values") };
    let rows = match rows {
        0 => String::new(),
        1 => ", and 1 row not at all".into(),
        rows => format!(", and {rows} rows not at all"),
    };
    Ok(Refusal {
        what: format!(
            "the old schema holds {values} only as the nearest it can: {}{more}{rows}",
            named.join("; ")
        ),
        next: format!(
            "to see them all, `rsc losses {change}`; change them and try again, or go back with these losses, `rsc revert {change}`"
        ),
    })
}

async fn named_losses(session: &mut Session, change: u64) -> Result<Vec<String>, SqlError> {
    let value =
        |value: &Option<String>| value.as_deref().map_or("NULL".into(), |text| format!("'{}'", cut(text)));
    let first = losses(session, change, NAMED_MAX).await?;
    Ok(first
        .iter()
        .map(|loss| format!("({}) {} {} as {}", loss.key, loss.column, value(&loss.lost), value(&loss.kept)))
        .collect())
}

fn cut(text: &str) -> String {
    match text.chars().count() > VALUE_MAX {
        true => text.chars().take(VALUE_MAX).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// What people are told of a revert that has lost something; `None` if it has not.
pub async fn told(session: &mut Session, change: u64) -> Result<Option<Lost>, SqlError> {
    let Totals { parked: rows, losses: values } = totals(session, change).await?;
    match (rows, values) {
        (0, 0) => Ok(None),
        _ => Ok(Some(Lost { rows, values, named: named_losses(session, change).await? })),
    }
}

/// The time that a look for values of one column may take, in milliseconds.
const LOOK_MS: u64 = 20_000;

/// Values other than the default in the columns that only the new schema has: the first of each column.
/// `forward` makes rows of the new table, which is `table` now.
pub async fn own_values(
    session: &mut Session,
    forward: &Projection,
    table: &TableName,
    most: u64,
) -> Result<Vec<Own>, SqlError> {
    let key: Vec<String> = forward.key.iter().map(|k| shown(&quote(&k.target.name), &k.target)).collect();
    let mut found = Vec::new();
    for own in &forward.target_only {
        let column = &own.column;
        let sql = format!(
            "SELECT /*+ MAX_EXECUTION_TIME({LOOK_MS}) */ CONCAT_WS(', ', {}), {} FROM {table} WHERE {} LIMIT {most}",
            key.join(", "),
            shown(&quote(&column.name), column),
            differs(own)
        );
        found.extend(session.rows(&sql).await?.iter().map(|row| Own {
            key: text(row, 0).unwrap_or_default(),
            column: column.name.clone(),
            value: text(row, 1),
        }));
    }
    Ok(found)
}

/// The value is none that the server would have filled in.
pub fn differs(own: &TargetOnly) -> String {
    let name = quote(&own.column.name);
    match (own.fill, own.column.extra.to_lowercase().contains("default_generated")) {
        (Some(fill), _) => format!("NOT ({name} <=> {fill})"),
        // What an expression gave then cannot be told from what was written.
        (None, true) => format!("{name} IS NOT NULL"),
        (None, false) if own.column.auto_increment() => "TRUE".into(),
        (None, false) => format!("NOT ({name} <=> DEFAULT({name}))"),
    }
}

async fn exists(session: &mut Session, change: u64) -> Result<bool, SqlError> {
    Ok(inspect::exists(session, &ledger_name(&format!("parked_{change}"))).await?
        && inspect::exists(session, &ledger_name(&format!("loss_{change}"))).await?)
}

fn ledger_name(table: &str) -> TableName {
    TableName::new("_rsc", table)
}

/// The expression that shows the key of a row of the ledger; `None` when there is no such table.
async fn key_of_ledger(session: &mut Session, table: &str) -> Result<Option<String>, SqlError> {
    let Found::Table(table) = inspect::find(session, &ledger_name(table)).await? else { return Ok(None) };
    let is_key = |column: &&Column| {
        column.name.strip_prefix('k').is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    };
    let parts: Vec<String> =
        table.columns.iter().filter(is_key).map(|column| shown(&quote(&column.name), column)).collect();
    Ok(Some(format!("CONCAT_WS(', ', {})", parts.join(", "))))
}
