//! Transactions whose snapshot may be older than the rows of a table, and how such a table is made to refuse them.
//!
//! InnoDB refuses a snapshot that is older than the *index* that it is to read (error 1412, "Table definition has changed,
//! please retry transaction"), not one that is older than the index's rows. A native ALTER makes the index with the rows. A
//! shadow's index is older than its rows: a snapshot from between the two reads only those rows that were there.
//!
//! There is one cheap way to make an index young again without touching a row: a column that is added and dropped with
//! ALGORITHM=INSTANT stamps every index of the table with the number of its own transaction. SHOW CREATE TABLE is the same
//! afterwards; InnoDB counts two row versions more, of 64 (255 since 9.1). ALGORITHM=INPLACE, a rename of a column, a virtual
//! column, EXCHANGE PARTITION and what only changes the dictionary leave the number as it was, or write the table anew.

use std::time::Duration;

use super::swap::CLIENT;
use crate::lifecycle::notice::Blocker;
use crate::schema::table::{TableName, string_literal};
use crate::session::{Remedy, Session, SqlError, number, text};

/// A transaction that may have a snapshot, and how long ago it began.
#[derive(Clone, Debug)]
pub struct Reader {
    pub who: Blocker,
    pub age: Duration,
}

/// Whether [`older`] sees every transaction: the account may look, and the server keeps all of them.
pub async fn seen(session: &mut Session) -> bool {
    let kept = session
        .text(
            "SELECT (SELECT COUNT(*) FROM performance_schema.setup_instruments \
             WHERE NAME = 'transaction' AND ENABLED = 'YES' AND TIMED = 'YES') = 1 \
             AND (SELECT COUNT(*) FROM performance_schema.setup_consumers WHERE ENABLED = 'YES' AND NAME IN \
             ('events_transactions_current', 'global_instrumentation', 'thread_instrumentation')) = 3 \
             AND NOT EXISTS (SELECT 1 FROM performance_schema.threads WHERE TYPE = 'FOREGROUND' AND INSTRUMENTED = 'NO') \
             AND (SELECT COUNT(*) FROM performance_schema.events_transactions_current WHERE FALSE) = 0 \
             AND (SELECT COUNT(*) FROM performance_schema.events_statements_current WHERE FALSE) = 0 \
             AND (SELECT COUNT(*) FROM performance_schema.user_variables_by_thread WHERE FALSE) = 0",
        )
        .await;
    matches!(kept, Ok(Some(answer)) if answer == "1")
}

/// The clock of the server's transactions and ours are two: an age is taken for a little more than it is.
const CLOCKS: Duration = Duration::from_millis(5);

/// Who has a transaction open that began longer than `age` ago, the longest first.
///
/// A snapshot is never older than its transaction. Below REPEATABLE READ a snapshot is a statement's, and so it is where
/// each statement is a transaction: a statement has all its tables from its beginning, and keeps them from being locked. A
/// prepared XA transaction reads no more, and an applier of replication reads no snapshot. rsc's own sessions read their own tables, or both of a change whose owner they are.
pub async fn older(session: &mut Session, age: Duration) -> Result<Vec<Reader>, SqlError> {
    let age = age.mul_f64(0.999).saturating_sub(CLOCKS);
    let rows = session
        .rows(&format!(
            "SELECT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST, \
                 LEFT(COALESCE(t.PROCESSLIST_INFO, s.SQL_TEXT, ''), 120), t.PROCESSLIST_INFO IS NULL, \
                 CAST(COALESCE(x.TIMER_WAIT, 0) DIV 1000000 AS UNSIGNED), {CLIENT} \
                 FROM performance_schema.events_transactions_current x \
                 JOIN performance_schema.threads t ON t.THREAD_ID = x.THREAD_ID \
                 LEFT JOIN performance_schema.events_statements_current s \
                 ON s.THREAD_ID = x.THREAD_ID AND s.NESTING_EVENT_LEVEL = 0 \
                 WHERE x.STATE = 'ACTIVE' AND x.AUTOCOMMIT = 'NO' \
                 AND x.ISOLATION_LEVEL NOT IN ('READ COMMITTED', 'READ UNCOMMITTED') \
                 AND COALESCE(x.XA_STATE, '') <> 'PREPARED' \
                 AND (x.TIMER_WAIT IS NULL OR x.TIMER_WAIT DIV 1000000 >= {}) \
                 AND t.TYPE = 'FOREGROUND' AND t.PROCESSLIST_ID IS NOT NULL \
                 AND t.NAME NOT LIKE '%/replica\\_%' AND t.NAME NOT LIKE '%/slave\\_%' AND NOT EXISTS \
                 (SELECT 1 FROM performance_schema.user_variables_by_thread v \
                 WHERE v.THREAD_ID = t.THREAD_ID AND v.VARIABLE_NAME = 'rsc_instance') ORDER BY 6 DESC",
            age.as_micros()
        ))
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            let age = Duration::from_micros(number(row, 5).unwrap_or(0));
            let who = Blocker {
                connection: number(row, 0).unwrap_or(0),
                user: text(row, 1).unwrap_or_default(),
                host: text(row, 2).unwrap_or_default(),
                query: text(row, 3).unwrap_or_default(),
                seconds: age.as_secs(),
                idle: number(row, 4) == Some(1),
                application: number(row, 6) == Some(1),
            };
            Reader { who, age }
        })
        .collect())
}

/// The connections that have a transaction in InnoDB, as of a moment ago: it makes this list anew ten times a second at most.
/// `None` for an account without PROCESS.
pub async fn in_innodb(session: &mut Session) -> Option<Vec<u64>> {
    let rows = session.rows("SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX").await.ok()?;
    Some(rows.iter().filter_map(|row| number(row, 0)).collect())
}

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
