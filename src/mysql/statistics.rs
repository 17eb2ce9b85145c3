//! The statistics that the optimizer plans with, for a table that is about to take another one's name.
//!
//! * **Of the table**, so that the first plans after the swap are not made for an empty one. InnoDB counts anew by itself
//!   when a tenth of the rows has changed, but some seconds later, and not at all with STATS_AUTO_RECALC=0, where a native
//!   ALTER takes them along. The look is a sample of pages: its time does not grow with the table.
//! * **Histograms.** CREATE TABLE … LIKE makes none. RENAME takes them along with their table, so they are given to the
//!   shadow before: the very buckets that the live table has, also `AUTO UPDATE`, for columns of the same name and type.
//!   A native ALTER keeps those of the columns that it does not name. Of another type, they are gone, as natively.
//!
//! Both are done on the shadow, which nobody reads, before the locks. They are no condition: where the server does not
//! take one, the change goes on.

use crate::schema::table::{Table, TableName, quote, same_name, string_literal};
use crate::session::{Session, SqlError, text};

/// Histograms are logged, as replicas lack them too. `mark` tells the statements in the binlog.
pub async fn carry(session: &mut Session, live: &Table, shadow: &Table, mark: &str) -> Result<(), SqlError> {
    // A replica of a table that never counts by itself does not count this one either.
    let logged = if shadow.create.contains(" STATS_AUTO_RECALC=0") { "" } else { "NO_WRITE_TO_BINLOG" };
    attempt(session, &format!("ANALYZE {logged} TABLE {} {mark}", shadow.name)).await?;
    for (column, histogram) in histograms(session, &live.name).await? {
        if let Some(statement) = give(live, shadow, &column, &histogram, mark) {
            attempt(session, &statement).await?;
        }
    }
    Ok(())
}

/// By column, as the server keeps them. None where the server has no such view, or does not show it.
pub async fn histograms(session: &mut Session, table: &TableName) -> Result<Vec<(String, String)>, SqlError> {
    let sql = format!(
        "SELECT COLUMN_NAME, HISTOGRAM FROM information_schema.COLUMN_STATISTICS \
         WHERE SCHEMA_NAME = {} AND TABLE_NAME = {} ORDER BY 1",
        string_literal(&table.schema),
        string_literal(&table.table)
    );
    match session.rows(&sql).await {
        Ok(rows) => Ok(rows.iter().filter_map(|row| Some((text(row, 0)?, text(row, 1)?))).collect()),
        Err(SqlError::Server { .. }) => Ok(Vec::new()),
        Err(lost) => Err(lost),
    }
}

/// `None` for a column that the shadow does not have as it was.
fn give(live: &Table, shadow: &Table, column: &str, histogram: &str, mark: &str) -> Option<String> {
    let (from, to) = (live.column(column)?, shadow.columns.iter().find(|c| same_name(&c.name, column))?);
    let same = from.column_type == to.column_type && from.collation == to.collation;
    // The grammar wants a plain string here. Numbers, dates and base64 need no quoting.
    let plain = !histogram.contains(['\'', '\\']);
    (same && plain).then(|| {
        format!(
            "ANALYZE TABLE {} UPDATE HISTOGRAM ON {} USING DATA '{histogram}' {mark}",
            shadow.name,
            quote(&to.name)
        )
    })
}

async fn attempt(session: &mut Session, statement: &str) -> Result<(), SqlError> {
    match session.rows(statement).await {
        Ok(told) => {
            for row in told.iter().filter(|row| text(row, 2).as_deref() == Some("Error")) {
                tracing::warn!(statement, why = text(row, 3).unwrap_or_default(), "no statistics");
            }
            Ok(())
        }
        Err(error @ SqlError::Server { .. }) => {
            tracing::warn!(statement, %error, "no statistics");
            Ok(())
        }
        Err(lost) => Err(lost),
    }
}
