//! One copy batch: a key range from a snapshot, its journal row, and a look at the fence, in one transaction.

use std::time::Instant;

use super::binlog::literal::literal_select_expr;
use crate::journal::fence::{Fence, FenceError};
use crate::journal::store;
use crate::rows::key_range::Bound;
use crate::rows::statements::Statements;
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

/// The key of the `rows`-th row above `lo`; `None` when there are fewer.
pub async fn boundary(
    session: &mut Session,
    statements: &Statements,
    literals: &[String],
    lo: Option<&Bound>,
    rows: u64,
) -> Result<Option<Bound>, SqlError> {
    let row = session.first(&statements.boundary(literals, lo, rows)).await?;
    Ok(row.map(|row| (0..literals.len()).map(|i| text(&row, i).unwrap_or_else(|| "NULL".into())).collect()))
}

/// Copies the rows with `lo < key <= hi` and returns how many there were.
pub async fn batch(
    session: &mut Session,
    statements: &Statements,
    fence: Fence,
    seq: u64,
    lo: Option<&Bound>,
    hi: Option<&Bound>,
) -> Result<u64, FenceError> {
    session.run_at("batch.start", "START TRANSACTION").await?;
    let copied = copy_in_transaction(session, statements, fence, seq, lo, hi).await;
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
    seq: u64,
    lo: Option<&Bound>,
    hi: Option<&Bound>,
) -> Result<u64, FenceError> {
    fence.share_at("batch.share", session).await?;
    let started = Instant::now();
    let rows = session.run_at("batch.copy", &statements.copy(lo, hi)).await?.affected;
    let elapsed_ms = started.elapsed().as_secs_f64() * 1000.0;
    let hi = hi.map(Vec::as_slice);
    let record = store::record_batch(fence.change, seq, hi, rows, elapsed_ms);
    session.run_at("batch.record", &record).await?;
    Ok(rows)
}
