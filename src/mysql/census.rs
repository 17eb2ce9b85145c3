//! How many rows of a table a condition is true for, as far as a short look can tell.

use std::time::Duration;

use crate::schema::table::TableName;
use crate::session::{Session, SqlError, number};

/// A large table is not read to its end for this.
const LOOK: Duration = Duration::from_secs(5);

/// For each condition, over the alias `d`, so many rows. `None` when the table is too large to be counted in time.
pub async fn count(
    session: &mut Session,
    table: &TableName,
    conditions: &[String],
) -> Result<Option<Vec<u64>>, SqlError> {
    if conditions.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let sums: Vec<String> =
        conditions.iter().map(|condition| format!("COALESCE(SUM(({condition}) IS TRUE), 0)")).collect();
    let sql = format!(
        "SELECT /*+ MAX_EXECUTION_TIME({}) */ {} FROM {table} AS d",
        LOOK.as_millis(),
        sums.join(", ")
    );
    match session.first(&sql).await {
        Ok(Some(row)) => Ok(Some((0..conditions.len()).map(|i| number(&row, i).unwrap_or(0)).collect())),
        Ok(None) => Ok(None),
        // The time is over.
        Err(error) if error.code() == Some(3024) => Ok(None),
        Err(error) => Err(error),
    }
}
