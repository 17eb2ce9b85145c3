//! Reads and writes the journal. Everything an owner writes here is fenced.

use mysql_async::Row;
use serde_json::Value;

use super::fence::{self, Fence, FenceError};
use super::history::{self, Beside};
use super::record::{Answer, COLUMNS, Change, Request, Unreadable, stream_table};
use crate::journal::record::Options;
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::throttle::limits::Limits;
use crate::rows::coverage::{Copied, Coverage};
use crate::rows::gtid_set::GtidSet;
use crate::rows::history::Seen;
use crate::rows::key_range::Bound;
use crate::rows::ledger::{loss_table, parked_table};
use crate::schema::table::{Table, TableName, string_literal};
use crate::session::{Remedy, Session, SqlError, number, text};

/// The version of `tables.sql`.
const VERSION: u64 = 4;
/// The tables of `tables.sql`.
const TABLES: [&str; 10] =
    ["meta", "change", "owner", "batch", "request", "event", "verify", "sample", "heartbeat", "throttle"];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the sidecar schema `_rsc` has version {found}, but this rsc knows version {VERSION}")]
    Version { found: u64 },
    #[error("the sidecar schema `_rsc` is incomplete: {missing} is missing")]
    Incomplete { missing: String },
    /// The account cannot tell whether there is one, or cannot read all of it.
    #[error(
        "rsc's journal, the schema `_rsc`, is not to be read by {account}: whether there are changes is unknown"
    )]
    Hidden { account: String },
    #[error("{0} is being changed already")]
    Busy(String),
    #[error("the position in the journal cannot be read: {0}")]
    Position(String),
}

/// Creates the sidecar where it is missing. Touches none that it does not know, or that has lost a table: a journal
/// that begins again would give the same numbers to other changes.
pub async fn install(session: &mut Session) -> Result<(), StoreError> {
    installed(session).await?;
    for statement in include_str!("tables.sql").split("\n;;\n") {
        session.run(statement).await?;
    }
    let first = session
        .run(&format!(
            "INSERT INTO `_rsc`.`meta` (version) SELECT {VERSION} FROM DUAL \
             WHERE NOT EXISTS (SELECT 1 FROM `_rsc`.`meta`)"
        ))
        .await;
    match first {
        // Another process has just done the same.
        Err(SqlError::Server { code: 1062, .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    check_version(session).await.map(|_| ())
}

/// Whether there is a sidecar at all.
pub async fn installed(session: &mut Session) -> Result<bool, StoreError> {
    // The version is written last: without it the sidecar is still being made, and only with it all tables are there.
    if !there(session).await?.iter().any(|table| table == "meta") {
        return legible(session, &["meta"]).await.map(|()| false);
    }
    legible(session, &TABLES).await?;
    if !check_version(session).await? {
        return Ok(false);
    }
    let there = there(session).await?;
    let missing: Vec<String> = TABLES
        .iter()
        .filter(|name| !there.iter().any(|there| there == *name))
        .map(|name| format!("`{name}`"))
        .collect();
    match missing.is_empty() {
        true => Ok(true),
        false => Err(StoreError::Incomplete { missing: missing.join(", ") }),
    }
}

/// No journal, and none that this account may read, are two answers: the server does not list what it denies, but denies it
/// also where it is not.
///
/// What is denied is told before what is not there.
async fn legible(session: &mut Session, tables: &[&str]) -> Result<(), StoreError> {
    let tables: Vec<String> = tables.iter().map(|table| format!("`_rsc`.`{table}`")).collect();
    match session.run(&format!("SELECT 1 FROM {} LIMIT 0", tables.join(", "))).await {
        Err(error) if error.remedy() == Remedy::Denied => {
            let account = session.text("SELECT CURRENT_USER()").await?.unwrap_or_default();
            Err(StoreError::Hidden { account })
        }
        Ok(_) | Err(SqlError::Server { .. }) => Ok(()),
        Err(lost) => Err(lost.into()),
    }
}

/// The tables of [`TABLES`] that this account sees.
async fn there(session: &mut Session) -> Result<Vec<String>, SqlError> {
    let names = TABLES.map(|name| format!("'{name}'")).join(", ");
    let rows = session
        .rows(&format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = '_rsc' AND TABLE_NAME IN ({names})"
        ))
        .await?;
    Ok(rows.iter().filter_map(|row| text(row, 0)).collect())
}

async fn check_version(session: &mut Session) -> Result<bool, StoreError> {
    let found = session.text("SELECT MAX(version) FROM `_rsc`.`meta`").await?;
    match found.and_then(|v| v.parse().ok()) {
        Some(VERSION) => Ok(true),
        None => Ok(false),
        Some(found) => Err(StoreError::Version { found }),
    }
}

/// All changes, the newest first.
pub async fn list(session: &mut Session) -> Result<Listed, SqlError> {
    let rows = session.rows(&format!("SELECT {COLUMNS} FROM `_rsc`.`change` ORDER BY id DESC")).await?;
    let mut listed = Listed::default();
    for row in &rows {
        match Change::read(row) {
            Ok(change) => listed.changes.push(change),
            Err(unreadable) => listed.unreadable.push(unreadable),
        }
    }
    Ok(listed)
}

/// What the journal has. A row that cannot be read stands in the way of no other change.
#[derive(Default)]
pub struct Listed {
    pub changes: Vec<Change>,
    pub unreadable: Vec<Unreadable>,
}

pub async fn find(session: &mut Session, id: u64) -> Result<Option<Change>, StoreError> {
    let row = session.first(&format!("SELECT {COLUMNS} FROM `_rsc`.`change` WHERE id = {id}")).await?;
    Ok(row.as_ref().map(Change::read).transpose()?)
}

/// The change that has not ended on this table.
pub async fn active(session: &mut Session, table: &TableName) -> Result<Option<Change>, StoreError> {
    let row = session
        .first(&format!(
            "SELECT {COLUMNS} FROM `_rsc`.`change` WHERE active_table = {}",
            string_literal(&table.plain())
        ))
        .await?;
    Ok(row.as_ref().map(Change::read).transpose()?)
}

/// The server's clock, in seconds since 1970.
pub async fn now_s(session: &mut Session) -> Result<u64, SqlError> {
    let row = session.first("SELECT UNIX_TIMESTAMP()").await?;
    Ok(row.and_then(|row| number(&row, 0)).unwrap_or(0))
}

/// A change that is to be journaled.
pub struct Begun<'a> {
    pub table: &'a TableName,
    pub statement: &'a str,
    pub options: &'a Options,
    /// `None` where there is no table yet.
    pub old: Option<&'a Table>,
}

/// Journals a new change, as this process's. The unique key on the active table decides between two that come at once. As long
/// as the session lives, no agent takes the change up.
pub async fn create(session: &mut Session, begun: Begun<'_>) -> Result<u64, StoreError> {
    let Begun { table, statement, options, old } = begun;
    let options = serde_json::to_string(options).unwrap_or_else(|_| "{}".into());
    session.run("START TRANSACTION").await?;
    let inserted = session
        .run_at("create.change", &format!(
            "INSERT INTO `_rsc`.`change` (schema_name, table_name, active_table, statement, options, state, \
             old_create, rows_estimate) VALUES ({}, {}, {}, {}, {}, '{}', {}, {})",
            string_literal(&table.schema),
            string_literal(&table.table),
            string_literal(&table.plain()),
            string_literal(statement),
            string_literal(&options),
            State::Planned,
            string_literal(old.map_or("", |old| &old.create)),
            old.map_or(0, |old| old.rows_estimate),
        ))
        .await;
    match inserted {
        Err(SqlError::Server { code: 1062, .. }) => {
            session.run("ROLLBACK").await?;
            return Err(StoreError::Busy(table.plain()));
        }
        other => other?,
    };
    let id = session.text("SELECT LAST_INSERT_ID()").await?.and_then(|v| v.parse().ok()).unwrap_or(0);
    fence::own_from_birth(session, id).await?;
    session.run_at("create.commit", "COMMIT").await?;
    Ok(id)
}

/// Makes the stream's table and row where they are missing. For a change that is planned, however often, or about to
/// end; in between it would hide that the stream has lost its thread.
///
/// The first epoch comes from the clock, so that whoever still holds one of a table of this name that someone dropped
/// does not meet it again.
pub async fn create_stream(session: &mut Session, id: u64) -> Result<(), SqlError> {
    let stream = stream_table(id);
    session
        .run_at(
            "create.stream",
            &format!(
                "CREATE TABLE IF NOT EXISTS {stream} (\
             `one` TINYINT NOT NULL PRIMARY KEY DEFAULT 1, \
             `epoch` BIGINT UNSIGNED NOT NULL COMMENT 'of the owner; whoever has another may not write', \
             `position` LONGTEXT NOT NULL COMMENT 'GTID set up to which the stream has been applied', {}) \
             ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin \
             COMMENT='rsc: fence and position of change {id}'",
                history::COLUMNS
            ),
        )
        .await?;
    let first = format!("INSERT INTO {stream} (one, epoch, position) VALUES (1, {FIRST_EPOCH}, '')");
    match session.run_at("create.row", &first).await {
        // It is there.
        Err(SqlError::Server { code: 1062, .. }) => Ok(()),
        other => other.map(|_| ()),
    }
}

const FIRST_EPOCH: &str = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)";

/// What an owner records with a new state.
#[derive(Clone, Debug, Default)]
pub struct Note {
    pub new_create: Option<String>,
    /// `Some(None)` clears it.
    pub reason: Option<Option<String>>,
    pub paused: Option<bool>,
    /// A revert goes on though rows are parked.
    pub accept_parked: Option<bool>,
    /// A revert does not go on if a value is lost in it.
    pub refuse_losses: Option<bool>,
    /// The tables are swapped though they are known to differ.
    pub accept_differences: Option<bool>,
    /// The first swap is made at once, also outside its windows.
    pub cutover_now: Option<bool>,
    /// The next swap does not wait for readers with an old snapshot.
    pub accept_short_reads: Option<bool>,
    pub limits: Option<Limits>,
    /// A swap has happened: what serves now, and the freeze where it is known, in milliseconds.
    pub swapped: Option<(Serving, Option<f64>)>,
    /// The server when a rebuilt shadow starts: at all that it has executed.
    pub start_at: Option<Seen>,
}

/// Saves the state, with what belongs to it, if the fence still stands.
pub async fn save(
    session: &mut Session,
    fence: Fence,
    change: &Change,
    state: State,
    note: &Note,
) -> Result<(), FenceError> {
    session.run_at("save.start", "START TRANSACTION").await?;
    let saved = save_in_transaction(session, fence, change, state, note).await;
    match saved {
        Ok(()) => session.run_at("save.commit", "COMMIT").await.map(|_| ()).map_err(FenceError::from),
        Err(error) => {
            session.run("ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn save_in_transaction(
    session: &mut Session,
    fence: Fence,
    change: &Change,
    state: State,
    note: &Note,
) -> Result<(), FenceError> {
    fence.share_at("save.share", session).await?;
    let mut sets = vec![format!("state = '{state}'")];
    if state.ended() {
        sets.push("active_table = NULL".into());
    }
    if let Some(create) = &note.new_create {
        sets.push(format!("new_create = {}", string_literal(create)));
    }
    match &note.reason {
        Some(Some(reason)) => sets.push(format!("reason = {}", string_literal(reason))),
        Some(None) => sets.push("reason = NULL".into()),
        None => {}
    }
    if let Some(paused) = note.paused {
        sets.push(format!("paused = {paused}"));
    }
    if let Some(refuse) = note.refuse_losses {
        sets.push(format!("options = JSON_SET(options, '$.refuse_losses', CAST('{refuse}' AS JSON))"));
    }
    if let Some(accept) = note.accept_differences {
        sets.push(format!("options = JSON_SET(options, '$.accept_differences', CAST('{accept}' AS JSON))"));
    }
    if let Some(accept) = note.accept_parked {
        sets.push(format!("options = JSON_SET(options, '$.accept_parked', CAST('{accept}' AS JSON))"));
    }
    if let Some(now) = note.cutover_now {
        sets.push(format!("options = JSON_SET(options, '$.cutover_now', CAST('{now}' AS JSON))"));
    }
    if let Some(accept) = note.accept_short_reads {
        sets.push(format!("options = JSON_SET(options, '$.accept_short_reads', CAST('{accept}' AS JSON))"));
    }
    if let Some(limits) = &note.limits {
        let limits = serde_json::to_string(limits).unwrap_or_else(|_| "{}".into());
        sets.push(format!(
            "options = JSON_SET(options, '$.limits', CAST({} AS JSON))",
            string_literal(&limits)
        ));
    }
    if let Some((serving, freeze)) = note.swapped {
        sets.push(format!("serving = '{}'", serving.name()));
        let window = change.options.revert_window_s;
        sets.push(format!("freeze_ms = {}", freeze.map_or("NULL".into(), |ms| format!("{ms:.3}"))));
        sets.push(format!("window_ends_at = NOW(3) + INTERVAL {window} SECOND"));
    }
    session
        .run_at(
            "save.update",
            &format!("UPDATE `_rsc`.`change` SET {} WHERE id = {}", sets.join(", "), change.id),
        )
        .await?;
    if let Some(seen) = &note.start_at {
        let beside = Beside { run: Some(seen.run.clone()), trx: seen.trx, anew: true, ..Beside::default() };
        session
            .run_at("save.batches", &format!("DELETE FROM `_rsc`.`batch` WHERE change_id = {}", change.id))
            .await?;
        session.run_at("save.position", &fence.advance(&seen.executed.to_string(), &beside)).await?;
    }
    Ok(())
}

/// The position of the stream.
pub async fn position(session: &mut Session, id: u64) -> Result<GtidSet, StoreError> {
    let text = session
        .text(&format!("SELECT position FROM {} WHERE one = 1", stream_table(id)))
        .await?
        .unwrap_or_default();
    text.parse().map_err(|e| StoreError::Position(format!("{e}")))
}

/// Whether the server takes writes only from those that its read-only mode does not bind.
pub async fn read_only(session: &mut Session) -> Result<bool, SqlError> {
    let answer = session.text("SELECT @@GLOBAL.read_only OR @@GLOBAL.super_read_only").await?;
    Ok(answer.as_deref() == Some("1"))
}

/// Everything the server has committed.
pub async fn executed(session: &mut Session) -> Result<GtidSet, StoreError> {
    read_set(session.text(EXECUTED).await?)
}

/// The same, where nobody can write the tables of a swap any more.
pub async fn freeze_point(session: &mut Session) -> Result<GtidSet, StoreError> {
    read_set(session.text_at("swap.freeze", EXECUTED).await?)
}

const EXECUTED: &str = "SELECT @@GLOBAL.gtid_executed";

pub(super) fn read_set(set: Option<String>) -> Result<GtidSet, StoreError> {
    set.unwrap_or_default().parse().map_err(|e| StoreError::Position(format!("{e}")))
}

/// The statement that records a batch; it runs in the transaction of the batch's rows.
pub fn record_batch(id: u64, range: &Copied, rows: u64, elapsed_ms: f64) -> String {
    let bound = |bound: &Option<Bound>| match bound {
        Some(bound) => string_literal(&serde_json::to_string(bound).unwrap_or_default()),
        None => "NULL".into(),
    };
    format!(
        "INSERT INTO `_rsc`.`batch` (change_id, seq, lo, hi, rows_copied, elapsed_ms) \
         VALUES ({id}, {}, {}, {}, {rows}, {elapsed_ms:.3})",
        range.place,
        bound(&range.lo),
        bound(&range.hi),
    )
}

pub async fn rows_copied(session: &mut Session, id: u64) -> Result<u64, SqlError> {
    let sum =
        session.first(&format!("SELECT SUM(rows_copied) FROM `_rsc`.`batch` WHERE change_id = {id}")).await?;
    Ok(sum.as_ref().and_then(|row| number(row, 0)).unwrap_or(0))
}

/// What has been copied.
pub async fn coverage(session: &mut Session, id: u64) -> Result<Coverage, StoreError> {
    let rows =
        session.rows(&format!("SELECT seq, lo, hi FROM `_rsc`.`batch` WHERE change_id = {id}")).await?;
    let batch = |row: &Row| {
        let (lo, hi) = (bound(id, row, 1)?, bound(id, row, 2)?);
        Ok(Copied { place: number(row, 0).unwrap_or(0), lo, hi })
    };
    let batches: Result<Vec<Copied>, Unreadable> = rows.iter().map(batch).collect();
    Ok(Coverage::of(batches?))
}

fn bound(id: u64, row: &Row, column: usize) -> Result<Option<Bound>, Unreadable> {
    text(row, column)
        .map(|json| serde_json::from_str(&json))
        .transpose()
        .map_err(|e| Unreadable { id, why: e.to_string() })
}

/// Puts what happened on record. The owner's time line, for people; nothing is decided by it.
pub async fn record_event(
    session: &mut Session,
    id: u64,
    kind: &str,
    detail: &Value,
) -> Result<(), SqlError> {
    session
        .run(&format!(
            "INSERT INTO `_rsc`.`event` (change_id, kind, detail) VALUES ({id}, {}, {})",
            string_literal(kind),
            string_literal(&detail.to_string())
        ))
        .await
        .map(|_| ())
}

/// Of events that come again and again the last so many are read.
const EVENTS_MAX: u32 = 1_000;

/// The time line: when, in milliseconds since the epoch, what, detail. The oldest first.
pub async fn events(session: &mut Session, id: u64) -> Result<Vec<(u64, String, String)>, SqlError> {
    let part = |which: &str| {
        format!(
            "(SELECT id, CAST(UNIX_TIMESTAMP(at) * 1000 AS UNSIGNED) AS at_ms, kind, detail FROM `_rsc`.`event` \
             WHERE change_id = {id} AND kind {which} 'swap_missed' ORDER BY id DESC LIMIT {EVENTS_MAX})"
        )
    };
    let all =
        format!("SELECT at_ms, kind, detail FROM ({} UNION ALL {}) e ORDER BY id", part("<>"), part("="));
    let rows = session.rows(&all).await?;
    Ok(rows
        .iter()
        .map(|row| {
            (number(row, 0).unwrap_or(0), text(row, 1).unwrap_or_default(), text(row, 2).unwrap_or_default())
        })
        .collect())
}

/// Seconds for which the change can still be taken back, by the server's clock. `None` before the first swap.
pub async fn window_left_s(session: &mut Session, id: u64) -> Result<Option<f64>, SqlError> {
    let left = format!(
        "SELECT GREATEST(0, TIMESTAMPDIFF(MICROSECOND, NOW(3), window_ends_at) / 1000000) FROM `_rsc`.`change` WHERE id = {id}"
    );
    Ok(session.text(&left).await?.and_then(|left| left.parse().ok()))
}

/// The server's clock, in milliseconds since the epoch.
pub async fn now_ms(session: &mut Session) -> Result<u64, SqlError> {
    let row = session.first("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS UNSIGNED)").await?;
    Ok(row.and_then(|row| number(&row, 0)).unwrap_or(0))
}

/// When the tables were last swapped, in UTC; each swap begins the revert window anew. `None` before the first.
pub async fn swapped_at(session: &mut Session, change: &Change) -> Result<Option<String>, SqlError> {
    let sql = format!(
        "SELECT window_ends_at - INTERVAL {} SECOND FROM `_rsc`.`change` WHERE id = {}",
        change.options.revert_window_s, change.id
    );
    session.text(&sql).await
}

/// Asks the owner; returns the request's number.
pub async fn ask(session: &mut Session, id: u64, wish: &Wish<'_>, by: &str) -> Result<u64, SqlError> {
    session
        .run(&format!(
            "INSERT INTO `_rsc`.`request` (change_id, verb, argument, asked_by) VALUES ({id}, {}, {}, {})",
            string_literal(wish.verb),
            wish.argument.map_or("NULL".into(), string_literal),
            string_literal(by)
        ))
        .await?;
    Ok(session.text("SELECT LAST_INSERT_ID()").await?.and_then(|v| v.parse().ok()).unwrap_or(0))
}

/// The verb of a request for other limits. It is no wish about where the change goes, so it is no
/// [`Verb`](crate::lifecycle::event::Verb).
pub const SET: &str = "set";

/// What an owner is asked.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    pub verb: &'a str,
    /// What the verb is about.
    pub argument: Option<&'a str>,
}

/// After this time nobody waits for an answer any more, and an owner must not act on the request.
pub const REQUEST_LIVES_S: u64 = 20;

/// The oldest request that has no answer and that someone still waits for.
pub async fn open_request(session: &mut Session, id: u64) -> Result<Option<Request>, SqlError> {
    let row = session
        .first(&format!(
            "SELECT id, verb, asked_by, argument FROM `_rsc`.`request` \
             WHERE change_id = {id} AND granted IS NULL \
             AND asked_at > NOW(3) - INTERVAL {REQUEST_LIVES_S} SECOND ORDER BY id LIMIT 1"
        ))
        .await?;
    Ok(row.map(|row| Request {
        id: number(&row, 0).unwrap_or(0),
        verb: text(&row, 1).unwrap_or_default(),
        asked_by: text(&row, 2).unwrap_or_default(),
        argument: text(&row, 3),
    }))
}

pub async fn answer(session: &mut Session, request: u64, answer: &Answer) -> Result<(), SqlError> {
    session
        .run_at(
            "request.answer",
            &format!(
                "UPDATE `_rsc`.`request` SET granted = {}, answer = {}, advice = {} WHERE id = {request}",
                answer.granted,
                string_literal(&answer.why),
                string_literal(&answer.advice)
            ),
        )
        .await
        .map(|_| ())
}

/// Answers the wishes before `later`, which is carried out without having been asked for here. Whoever made them may be
/// dead; granted afterwards, they would undo what was wanted last.
pub async fn overtake(session: &mut Session, id: u64, later: &str) -> Result<(), SqlError> {
    let why = string_literal(&format!("a later wish was carried out first: {later}"));
    let advice =
        string_literal(&format!("to see where it stands, `rsc status {id}`; then ask again if need be"));
    session
        .run(&format!(
            "UPDATE `_rsc`.`request` SET granted = FALSE, answer = {why}, advice = {advice} \
             WHERE change_id = {id} AND granted IS NULL AND verb <> {}",
            string_literal(later)
        ))
        .await
        .map(|_| ())
}

/// The owner's answer, once it has given one.
pub async fn answer_of(session: &mut Session, request: u64) -> Result<Option<Answer>, SqlError> {
    let row = session
        .first(&format!("SELECT granted, answer, advice FROM `_rsc`.`request` WHERE id = {request}"))
        .await?;
    Ok(row.and_then(|row| {
        Some(Answer {
            granted: number(&row, 0)? == 1,
            why: text(&row, 1).unwrap_or_default(),
            advice: text(&row, 2).unwrap_or_default(),
        })
    }))
}

/// Takes a request back. False when it has been answered already.
pub async fn withdraw(session: &mut Session, request: u64) -> Result<bool, SqlError> {
    let gone = session
        .run(&format!("DELETE FROM `_rsc`.`request` WHERE id = {request} AND granted IS NULL"))
        .await?;
    Ok(gone.affected == 1)
}

/// Drops the stream row and the ledger of a change that has ended.
pub async fn forget_stream(session: &mut Session, id: u64) -> Result<(), SqlError> {
    let (stream, parked, loss) = (stream_table(id), parked_table(id), loss_table(id));
    session.run_at("forget.stream", &format!("DROP TABLE IF EXISTS {stream}, {parked}, {loss}")).await?;
    session.run(&format!("DELETE FROM `_rsc`.`throttle` WHERE change_id = {id}")).await.map(|_| ())
}
