//! Transactions that may have a snapshot, and where they are to be seen.
//!
//! A snapshot is never older than its transaction. Below REPEATABLE READ a snapshot is a statement's, and so it is where
//! each statement is a transaction: a statement has all its tables from its beginning, and keeps them from being locked. A
//! prepared XA transaction reads no more, and an applier of replication reads no snapshot. rsc's own sessions are READ
//! COMMITTED (`session/variables.rs`).
//!
//! | seen in | needs | what it does not know |
//! |---|---|---|
//! | performance_schema | SELECT on it, and the server keeps transactions there | whether there is a snapshot: COMMIT with `completion_type` CHAIN begins a transaction that reads nothing for hours |
//! | InnoDB's list | PROCESS | what is younger than a second, and who began when: its clock is the server's local time, which is put back in autumn |
//!
//! So by InnoDB's list nobody is left out for being young, and who is not in it has no snapshot. InnoDB makes the list anew when
//! nobody has read it for 100 ms, and hands out the last one until then. Whether an answer is a new list is seen in it: the
//! question itself stands in a new one as what this connection is running.

use std::time::Duration;

use mysql_async::Row;

use super::swap::CLIENT;
use crate::lifecycle::notice::Blocker;
use crate::session::{Session, SqlError, number, text};

/// Where the server lets this account see other transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    PerformanceSchema,
    Innodb,
    Nowhere,
}

/// A transaction that may have a snapshot, and how long ago it began.
#[derive(Clone, Debug)]
pub struct Reader {
    pub who: Blocker,
    pub age: Duration,
}

/// For so long InnoDB hands out the last list. A little more than it is.
pub const CACHED_FOR: Duration = Duration::from_millis(110);
/// Somebody who reads the list all the time keeps it from being made anew.
const LOOKS: usize = 3;

/// The clock of the server's transactions and ours are two: an age is taken for a little more than it is.
const CLOCKS: Duration = Duration::from_millis(5);

pub async fn sight(session: &mut Session) -> Sight {
    if kept(session).await {
        Sight::PerformanceSchema
    } else if session.rows("SELECT 1 FROM information_schema.INNODB_TRX WHERE FALSE").await.is_ok() {
        Sight::Innodb
    } else {
        Sight::Nowhere
    }
}

/// Whether performance_schema shows every transaction: the account may look, and the server keeps all of them.
async fn kept(session: &mut Session) -> bool {
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

/// Who has a transaction open that may have begun longer than `age` ago, the longest first. `None`: it cannot be seen.
pub async fn older(
    session: &mut Session,
    sight: Sight,
    age: Duration,
) -> Result<Option<Vec<Reader>>, SqlError> {
    match sight {
        Sight::PerformanceSchema => older_by_performance_schema(session, age).await.map(Some),
        Sight::Innodb => by_innodb(session).await,
        Sight::Nowhere => Ok(None),
    }
}

async fn older_by_performance_schema(session: &mut Session, age: Duration) -> Result<Vec<Reader>, SqlError> {
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

/// A line of InnoDB's list.
struct Listed {
    connection: u64,
    /// On the server's own clock.
    began: i64,
    /// Its snapshot is a transaction's.
    repeatable: bool,
    query: String,
}

/// The connections that have a transaction in InnoDB. `None`: it cannot be seen.
pub async fn in_innodb(session: &mut Session) -> Result<Option<Vec<u64>>, SqlError> {
    let list = list(session).await?;
    Ok(list.map(|all| all.into_iter().map(|listed| listed.connection).collect()))
}

async fn by_innodb(session: &mut Session) -> Result<Option<Vec<Reader>>, SqlError> {
    let Some(list) = list(session).await? else { return Ok(None) };
    let own = u64::from(session.id());
    let now = list.iter().find(|listed| listed.connection == own).map_or(0, |listed| listed.began);
    // Behind the list: whoever is gone by now reads no more, and connection numbers are not given twice.
    let connections = session.rows("SHOW FULL PROCESSLIST").await?;
    let mut readers: Vec<Reader> = list
        .iter()
        .filter(|listed| listed.repeatable && listed.connection != own)
        .filter_map(|listed| {
            let row = connections.iter().find(|row| number(row, 0) == Some(listed.connection))?;
            reader(listed, now, row)
        })
        .collect();
    readers.sort_by_key(|reader| std::cmp::Reverse(reader.age));
    Ok(Some(readers))
}

fn reader(listed: &Listed, now: i64, connection: &Row) -> Option<Reader> {
    let user = text(connection, 1).unwrap_or_default();
    // Appliers of replication.
    if user == "system user" {
        return None;
    }
    // A clock that was put back is no reason to take anyone for young.
    let age = Duration::from_secs(now.abs_diff(listed.began));
    let running = text(connection, 7);
    let who = Blocker {
        connection: listed.connection,
        user,
        host: text(connection, 2).unwrap_or_default(),
        idle: running.is_none(),
        query: running.unwrap_or_else(|| listed.query.clone()).chars().take(120).collect(),
        seconds: age.as_secs(),
        // Events of the server are connected, and run nothing of a client's.
        application: text(connection, 4).is_some_and(|command| command != "Connect"),
    };
    Some(Reader { who, age })
}

/// InnoDB's list as of this moment, with this connection in it.
async fn list(session: &mut Session) -> Result<Option<Vec<Listed>>, SqlError> {
    // Else this connection has no transaction, and is not listed.
    session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let list = new_list(session).await;
    session.run("ROLLBACK").await?;
    list
}

async fn new_list(session: &mut Session) -> Result<Option<Vec<Listed>>, SqlError> {
    let own = u64::from(session.id());
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(CACHED_FOR).await;
        }
        let question = uuid::Uuid::new_v4().to_string();
        let rows = session
            .rows(&format!(
                "SELECT /* {question} */ trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, '1970-01-01', trx_started), \
                 trx_isolation_level NOT IN ('READ COMMITTED', 'READ UNCOMMITTED') AND NOT trx_autocommit_non_locking, \
                 COALESCE(trx_query, '') \
                 FROM information_schema.INNODB_TRX"
            ))
            .await;
        let list: Vec<Listed> = match rows {
            Ok(rows) => rows.iter().map(listed).collect(),
            Err(SqlError::Server { .. }) => return Ok(None),
            Err(lost) => return Err(lost),
        };
        if list.iter().any(|listed| listed.connection == own && listed.query.contains(&question)) {
            return Ok(Some(list));
        }
    }
    Ok(None)
}

fn listed(row: &Row) -> Listed {
    Listed {
        connection: number(row, 0).unwrap_or(0),
        began: text(row, 1).and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
        repeatable: number(row, 2) != Some(0),
        query: text(row, 3).unwrap_or_default(),
    }
}
