//! The statements of a swap, and who stands in its way.

use crate::lifecycle::notice::Blocker;
use crate::schema::table::{TableName, string_literal};
use crate::session::{Session, SqlError, instance, number, text};

/// Longer than the last of the stream may take under the locks, which is when the session has nothing to do.
pub const IDLE_MAX_S: u64 = 5;

/// The tables of a swap: `live` gives its name to `shadow` and takes the name `retired`.
#[derive(Clone, Debug)]
pub struct Swap {
    pub live: TableName,
    pub shadow: TableName,
    pub retired: TableName,
    /// The table of the change's stream row, quoted.
    pub stream: String,
    /// What else the last window writes, as LOCK TABLES wants it.
    pub ledger: String,
    /// A comment that tells rsc's own statements in the binlog.
    pub mark: String,
}

impl Swap {
    /// Waits at most `seconds` for the locks; the application waits as long.
    ///
    /// A statement that uses a table twice needs a lock for each alias. Staging tables are temporary and need
    /// none. Should this process be stopped while it holds the locks, the server ends the idle session after
    /// [`IDLE_MAX_S`], and the application goes on.
    pub async fn lock(&self, session: &mut Session, seconds: u64) -> Result<(), SqlError> {
        be_short(session, seconds).await?;
        session
            .run_at(
                "swap.lock",
                &format!(
                    "LOCK TABLES {} WRITE, {} WRITE, {} AS _rsc_s WRITE, {} WRITE, {}",
                    self.live, self.shadow, self.shadow, self.stream, self.ledger
                ),
            )
            .await
            .map(|_| ())
    }

    /// What [`Swap::lock`] set for the time of the locks is as it was. For after the locks.
    pub async fn relax(&self, session: &mut Session) -> Result<(), SqlError> {
        session
            .run_at(
                "swap.relax",
                "SET SESSION lock_wait_timeout = 60, SESSION innodb_lock_wait_timeout = 50, \
                 SESSION wait_timeout = 28800",
            )
            .await
            .map(|_| ())
    }

    /// When no answer comes, the tables that exist tell what happened.
    pub async fn rename(&self, session: &mut Session) -> Result<(), SqlError> {
        session
            .run_at(
                "swap.rename",
                &format!(
                    "RENAME TABLE {} TO {}, {} TO {} {}",
                    self.live, self.retired, self.shadow, self.live, self.mark
                ),
            )
            .await
            .map(|_| ())
    }

    /// Lets the application go on. The caller has committed, or rolls back first.
    pub async fn unlock(&self, session: &mut Session) -> Result<(), SqlError> {
        session.run_at("swap.unlock", "UNLOCK TABLES").await.map(|_| ())
    }

    /// `to` as a statement spells it. The server sets it to more where the rows ask for it.
    pub async fn set_auto_increment(
        &self,
        at: &'static str,
        session: &mut Session,
        to: &str,
    ) -> Result<(), SqlError> {
        session
            .run_at(at, &format!("ALTER TABLE {} AUTO_INCREMENT = {to} {}", self.shadow, self.mark))
            .await
            .map(|_| ())
    }
}

/// For a session that is to have locks that others wait behind.
async fn be_short(session: &mut Session, seconds: u64) -> Result<(), SqlError> {
    session
        .run(&format!(
            "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}, \
             SESSION wait_timeout = {IDLE_MAX_S}"
        ))
        .await
        .map(|_| ())
}

/// One table that takes another name, which none has.
#[derive(Clone, Debug)]
pub struct Move {
    pub from: TableName,
    pub to: TableName,
    /// The table of the change's stream row, quoted.
    pub stream: String,
    /// A comment that tells rsc's own statements in the binlog.
    pub mark: String,
}

impl Move {
    /// As [`Swap::lock`].
    pub async fn lock(&self, session: &mut Session, seconds: u64) -> Result<(), SqlError> {
        be_short(session, seconds).await?;
        session
            .run_at("move.lock", &format!("LOCK TABLES {} WRITE, {} WRITE", self.from, self.stream))
            .await
            .map(|_| ())
    }

    /// When no answer comes, the tables that exist tell what happened.
    pub async fn rename(&self, session: &mut Session) -> Result<(), SqlError> {
        session
            .run_at("move.rename", &format!("RENAME TABLE {} TO {} {}", self.from, self.to, self.mark))
            .await
            .map(|_| ())
    }

    pub async fn unlock(&self, session: &mut Session) -> Result<(), SqlError> {
        session.run_at("move.unlock", "UNLOCK TABLES").await.map(|_| ())
    }
}

/// Whether [`blockers`] can tell anything: the account may look, and the server keeps its metadata locks.
pub async fn sees_blockers(session: &mut Session) -> bool {
    let kept = session
        .text(
            "SELECT i.ENABLED = 'YES' AND (SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE FALSE) = 0 \
             AND (SELECT COUNT(*) FROM performance_schema.threads WHERE FALSE) = 0 \
             AND (SELECT COUNT(*) FROM performance_schema.events_transactions_current WHERE FALSE) = 0 \
             AND (SELECT COUNT(*) FROM performance_schema.events_statements_current WHERE FALSE) = 0 \
             AND (SELECT COUNT(*) FROM performance_schema.user_variables_by_thread WHERE FALSE) = 0 \
             FROM performance_schema.setup_instruments i WHERE i.NAME = 'wait/lock/metadata/sql/mdl'",
        )
        .await;
    matches!(kept, Ok(Some(answer)) if answer == "1")
}

/// Shorter ones come and go.
const IN_THE_WAY_S: u64 = 1;
const IN_THE_WAY_MAX: usize = 5;

/// For an onlooker: who else than rsc has held the table for longer than a moment.
pub async fn in_the_way(session: &mut Session, table: &TableName) -> Vec<Blocker> {
    let ours = "SELECT t.PROCESSLIST_ID FROM performance_schema.user_variables_by_thread v \
         JOIN performance_schema.threads t USING (THREAD_ID) WHERE v.VARIABLE_NAME = 'rsc_instance'";
    let ours: Vec<u64> =
        session.rows(ours).await.unwrap_or_default().iter().filter_map(|row| number(row, 0)).collect();
    let mut found = blockers(session, table).await;
    found.retain(|held| held.seconds >= IN_THE_WAY_S && !ours.contains(&held.connection));
    found.truncate(IN_THE_WAY_MAX);
    found
}

/// Connections of clients are threads of this kind; those of replication, of events and of the server itself are not.
pub(super) const CLIENT: &str = "t.TYPE = 'FOREGROUND' AND t.NAME LIKE '%/one\\_connection' AND t.PROCESSLIST_COMMAND NOT LIKE 'Binlog Dump%' \
     AND t.PROCESSLIST_USER NOT IN ('system user', 'event_scheduler') AND NOT EXISTS \
     (SELECT 1 FROM performance_schema.user_variables_by_thread v WHERE v.THREAD_ID = t.THREAD_ID AND v.VARIABLE_NAME = 'rsc_instance')";

/// Only a prepared XA transaction holds a table without a connection. How long it has is nowhere to be seen; it is in the way
/// until somebody ends it.
const DETACHED: &str =
    "a prepared XA transaction without a connection: XA RECOVER lists it, XA COMMIT or XA ROLLBACK ends it";
const DETACHED_S: u64 = 60 * 60;

/// Who holds a metadata lock on the table that keeps it from being locked, the longest first. Empty also when the server
/// does not let us look. This process's own connections are left out.
///
/// Whoever has a transaction open holds its tables until its end, however short its statements are. So the age is the
/// transaction's.
pub async fn blockers(session: &mut Session, table: &TableName) -> Vec<Blocker> {
    let rows = session
        .rows(&format!(
            "SELECT DISTINCT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST, \
             IF(t.PROCESSLIST_ID IS NULL, '{DETACHED}', LEFT(COALESCE(t.PROCESSLIST_INFO, s.SQL_TEXT, ''), 120)), \
             IF(t.PROCESSLIST_ID IS NULL, {DETACHED_S}, \
             GREATEST(COALESCE(t.PROCESSLIST_TIME, 0), COALESCE(FLOOR(x.TIMER_WAIT / 1e12), 0))), \
             t.PROCESSLIST_INFO IS NULL, {CLIENT} \
             FROM performance_schema.metadata_locks m \
             LEFT JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID \
             LEFT JOIN performance_schema.events_transactions_current x \
             ON x.THREAD_ID = t.THREAD_ID AND x.STATE = 'ACTIVE' \
             LEFT JOIN performance_schema.events_statements_current s \
             ON s.THREAD_ID = t.THREAD_ID AND s.NESTING_EVENT_LEVEL = 0 \
             WHERE m.OBJECT_TYPE = 'TABLE' AND m.OBJECT_SCHEMA = {} AND m.OBJECT_NAME = {} \
             AND m.LOCK_STATUS = 'GRANTED' AND m.LOCK_TYPE NOT IN ('SHARED', 'SHARED_HIGH_PRIO') \
             AND COALESCE(t.PROCESSLIST_ID, 0) <> CONNECTION_ID() AND NOT EXISTS \
             (SELECT 1 FROM performance_schema.user_variables_by_thread o WHERE o.THREAD_ID = t.THREAD_ID \
             AND o.VARIABLE_NAME = 'rsc_instance' AND o.VARIABLE_VALUE = '{}') ORDER BY 5 DESC",
            string_literal(&table.schema),
            string_literal(&table.table),
            instance()
        ))
        .await;
    // Knowing the blockers is a help, not a condition: without the privilege the swap goes on untold.
    rows.unwrap_or_default()
        .iter()
        .map(|row| Blocker {
            connection: number(row, 0).unwrap_or(0),
            user: text(row, 1).unwrap_or_default(),
            host: text(row, 2).unwrap_or_default(),
            query: text(row, 3).unwrap_or_default(),
            seconds: number(row, 4).unwrap_or(0),
            idle: number(row, 5) == Some(1),
            application: number(row, 6) == Some(1),
        })
        .collect()
}

/// Ends a connection. False if it has ended by itself, or may not be ended by this account.
pub async fn kill(session: &mut Session, blocker: &Blocker) -> Result<bool, SqlError> {
    match session.run(&format!("KILL {}", blocker.connection)).await {
        Ok(_) => Ok(true),
        Err(SqlError::Server { .. }) => Ok(false),
        Err(lost) => Err(lost),
    }
}
