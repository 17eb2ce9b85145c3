//! One copy batch: a key range from a snapshot, its journal row, and a look at the fence, in one transaction.

use std::time::Instant;

use super::binlog::literal::literal_select_expr;
use crate::journal::fence::{Fence, FenceError};
use crate::journal::store;
use crate::rows::coverage::Copied;
use crate::rows::key_range::Bound;
use crate::rows::statements::Statements;
use crate::schema::table::{Key, Table, same_name};
use crate::session::{Session, SqlError, text};

/// The key columns of `alias` as expressions that print them as SQL literals. `None` if a key column has a type
/// that cannot be paged by.
pub fn key_literals(statements: &Statements, alias: &str) -> Option<Vec<String>> {
    let projection = statements.projection();
    let columns = statements.key_columns_of(alias);
    projection
        .key
        .iter()
        .zip(&columns)
        .map(|(key, qualified)| literal_select_expr(&projection.source[key.source], qualified))
        .collect()
}

/// The key of the `rows`-th row in `lo < key <= hi`; `None` when there are fewer.
pub async fn boundary(
    session: &mut Session,
    statements: &Statements,
    literals: &[String],
    lo: Option<&Bound>,
    hi: Option<&Bound>,
    rows: u64,
) -> Result<Option<Bound>, SqlError> {
    let row = session.first(&statements.boundary(literals, lo, hi, rows)).await?;
    Ok(row.map(|row| (0..literals.len()).map(|i| text(&row, i).unwrap_or_else(|| "NULL".into())).collect()))
}

/// What a look at the live table said about a duplicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duplicate {
    /// Two rows with these keys have the value, at one moment.
    Proven(String, String),
    /// Not any more.
    Passed,
    /// The violated key cannot be compared by a query.
    Unknown,
}

/// Whether the first row above `lo` has a unique value that another row has as well.
///
/// `error` is the server's, which names the key. The shadow only suggests the other row; both are then looked at
/// in one statement, so in one snapshot, of the live table.
pub async fn duplicate(
    session: &mut Session,
    statements: &Statements,
    shadow: &Table,
    lo: Option<&Bound>,
    error: &str,
) -> Result<Duplicate, SqlError> {
    let (Some(key), Some(one), Some(other)) =
        (violated(shadow, error), key_literals(statements, "d"), key_literals(statements, "e"))
    else {
        return Ok(Duplicate::Unknown);
    };
    let Some(sql) = statements.duplicate(&one, &other, key, lo) else { return Ok(Duplicate::Unknown) };
    let Some(row) = session.first(&sql).await? else { return Ok(Duplicate::Passed) };
    let list = |columns: std::ops::Range<usize>| -> String {
        columns.map(|i| text(&row, i).unwrap_or_default()).collect::<Vec<_>>().join(", ")
    };
    Ok(Duplicate::Proven(list(0..one.len()), list(one.len()..2 * one.len())))
}

/// The key that `Duplicate entry 'x' for key 'table.name'` is about.
fn violated<'t>(shadow: &'t Table, error: &str) -> Option<&'t Key> {
    let name = error.rsplit_once(" for key '")?.1.split('\'').next()?;
    let name = name.rsplit_once('.').map_or(name, |(_, name)| name);
    shadow.keys.iter().find(|key| same_name(&key.name, name))
}

/// Copies the rows of a range and returns how many there were.
pub async fn batch(
    session: &mut Session,
    statements: &Statements,
    fence: Fence,
    range: &Copied,
) -> Result<u64, FenceError> {
    session.run_at("batch.start", "START TRANSACTION").await?;
    let copied = copy_in_transaction(session, statements, fence, range).await;
    match copied {
        Ok(rows) => {
            session.run_at("batch.commit", "COMMIT").await?;
            Ok(rows)
        }
        Err(error) => {
            session.run("ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn copy_in_transaction(
    session: &mut Session,
    statements: &Statements,
    fence: Fence,
    range: &Copied,
) -> Result<u64, FenceError> {
    fence.share_at("batch.share", session).await?;
    let started = Instant::now();
    let copy = statements.copy(range.lo.as_ref(), range.hi.as_ref());
    let rows = session.run_at("batch.copy", &copy).await?.affected;
    let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
    session.run_at("batch.record", &store::record_batch(fence.change, range, rows, elapsed_ms)).await?;
    Ok(rows)
}
