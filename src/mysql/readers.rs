//! How a table is made to refuse transactions whose snapshot is older than its rows.
//!
//! InnoDB refuses a snapshot that is older than the *index* that it is to read (error 1412, "Table definition has changed,
//! please retry transaction"), not one that is older than the index's rows. A native ALTER makes the index with the rows. A
//! shadow's index is older than its rows: a snapshot from between the two reads only those rows that were there.
//!
//! There is one cheap way to make an index young again without touching a row: a column that is added and dropped with
//! ALGORITHM=INSTANT stamps every index of the table with the number of its own transaction. SHOW CREATE TABLE is the same
//! afterwards; InnoDB counts two row versions more, of 64 (255 since 9.1). ALGORITHM=INPLACE, a rename of a column, a virtual
//! column, EXCHANGE PARTITION and what only changes the dictionary leave the number as it was, or write the table anew.

use crate::schema::table::{TableName, string_literal};
use crate::session::{Remedy, Session, SqlError};

/// The column that comes and goes.
const COLUMN: &str = "_rsc_outdates";

/// Makes every snapshot that exists now fail on the table, instead of reading it short. False if the server cannot do that
/// at once: the table is as it was. The caller has it locked, and `mark` is that of its own statements.
pub async fn outdate(session: &mut Session, table: &TableName, mark: &str) -> Result<bool, SqlError> {
    let add =
        format!("ALTER TABLE {table} ADD COLUMN `{COLUMN}` BIT(1) INVISIBLE, ALGORITHM = INSTANT {mark}");
    match session.run(&add).await {
        Ok(_) => {}
        Err(error) if matches!(error.remedy(), Remedy::None | Remedy::Data) => return Ok(false),
        Err(error) => return Err(error),
    }
    let drop = format!("ALTER TABLE {table} DROP COLUMN `{COLUMN}`, ALGORITHM = INSTANT {mark}");
    session.run(&drop).await?;
    Ok(true)
}

/// Whether a process that was killed between the two statements of [`outdate`] has left the column.
pub async fn left(session: &mut Session, table: &TableName) -> Result<bool, SqlError> {
    let found = session
        .text(&format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND COLUMN_NAME = '{COLUMN}'",
            string_literal(&table.schema),
            string_literal(&table.table)
        ))
        .await?;
    Ok(found.as_deref() == Some("1"))
}

/// Takes it off.
pub async fn clear(session: &mut Session, table: &TableName, mark: &str) -> Result<(), SqlError> {
    session.run(&format!("ALTER TABLE {table} DROP COLUMN `{COLUMN}` {mark}")).await.map(|_| ())
}
