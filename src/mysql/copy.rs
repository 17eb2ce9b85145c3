//! One copy batch: a key range from a snapshot, its journal row, and a look at the fence, in one transaction.

use std::time::Instant;

use super::binlog::literal::literal_select_expr;
use crate::journal::fence::{Fence, FenceError};
use crate::journal::store;
use crate::rows::coverage::Copied;
use crate::rows::key_range::Bound;
use crate::rows::statements::Statements;
use crate::schema::meaning::Meaning;
use crate::session::{Session, SqlError, text};
use crate::settings::Server;

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

/// A session that copies. As the applier's, it writes the shadow without regard to foreign keys that point at it.
pub async fn session(server: &Server, meaning: &Meaning) -> Result<Session, SqlError> {
    let mut session = Session::writer(server, meaning).await?;
    session.run("SET SESSION foreign_key_checks = 0").await?;
    Ok(session)
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
