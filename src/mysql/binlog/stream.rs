//! The binlog as a stream of row changes of one table.
//!
//! Rows of other tables are skipped undecoded: only the first six bytes of their events are looked at. A
//! transaction is reported when it ends, by its GTID; until then its rows are pushed, but the position may not
//! move. Whatever would make a replay of row images inexact ends the stream with a [`StreamError`] that says
//! what it was; nothing is guessed past.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mysql_async::{BinlogStream, BinlogStreamRequest};
use mysql_common::binlog::consts::{EventType, StatusVarKey};
use mysql_common::binlog::events::{
    Event, EventData, GtidEvent, QueryEvent, RowsEventData, StatusVarVal, TableMapEvent,
};

use super::column_plan::{ColumnPlan, RowChange, RowError};
use super::foreign_statement;
use super::wire_type::PlanMismatch;
use crate::rows::compaction::Compaction;
use crate::rows::gtid_set::{GtidSet, Source};
use crate::schema::table::{Column, TableName, same_name};
use crate::session::{Session, SqlError};
use crate::settings::Server;

/// The server sends a heartbeat so often when it has nothing else to send.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A stream that is silent for so many heartbeats is dead.
const SILENCE: Duration = Duration::from_secs(20);
/// A person waits for `rsc status`, while the server may read through a binlog of a gigabyte.
const OLDEST_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Open it again at the journaled position.
    #[error("the binlog stream broke off: {0}")]
    Lost(String),
    #[error("the server has purged binlogs that the stream still needed")]
    Purged,
    #[error("the server refuses to send its binlog: {0}")]
    Refused(String),
    #[error("someone else changed the table: {0}")]
    Foreign(String),
    #[error("the definition of the table was changed by someone else: {0}")]
    Altered(#[from] PlanMismatch),
    #[error("a row in the binlog cannot be used: {0}")]
    Row(#[from] RowError),
    #[error("an XA transaction wrote to the table, which this version does not follow")]
    Xa,
    #[error("the binlog is damaged: {0}")]
    Damaged(String),
}

impl StreamError {
    pub fn is_lost(&self) -> bool {
        matches!(self, StreamError::Lost(_))
    }
}

impl From<SqlError> for StreamError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Server { code: 1236, message } if message.contains("purged") => StreamError::Purged,
            SqlError::Server { code: 1236, message } if message.contains("same server_") => {
                StreamError::Lost(message)
            }
            SqlError::Server { code: 1236 | 1227 | 1045, message } => StreamError::Refused(message),
            other => StreamError::Lost(other.to_string()),
        }
    }
}

impl From<std::io::Error> for StreamError {
    fn from(error: std::io::Error) -> Self {
        StreamError::Damaged(error.to_string())
    }
}

/// What reading one event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing came within the caller's patience, or only a heartbeat: the stream is at its end for now.
    Quiet,
    /// Something without rows of the table.
    Passed,
    /// Rows of the table were pushed.
    Rows,
    /// A transaction ended. Everything pushed since the last one belongs to it.
    Committed(Source, u64),
    /// This transaction emptied the table by TRUNCATE. Nothing was pushed since the last one ended.
    Truncated(Source, u64),
}

/// The table whose rows are wanted.
#[derive(Clone, Debug)]
pub struct Watched {
    pub table: TableName,
    pub columns: Vec<Column>,
    /// Indexes of the key columns, in key order.
    pub key: Vec<usize>,
    /// Its twin: statements of others on it are as fatal.
    pub shadow: TableName,
    /// What rsc writes into its own statements on these tables, so that they are not taken for someone else's.
    pub mark: String,
}

enum Table {
    Ours(Arc<ColumnPlan>),
    /// Has the watched name, but another definition. That only matters when rows follow: under LOCK TABLES the
    /// server names every locked table in the last transaction before a swap, the live one as it was.
    Unlike(PlanMismatch),
    Shadow,
    /// Of the sidecar.
    Journal,
    Other,
}

/// Whose rows the open transaction has had so far.
#[derive(Clone, Copy, Default)]
struct Wrote {
    watched: bool,
    shadow: bool,
    journal: bool,
}

pub struct Reader {
    stream: BinlogStream,
    watched: Watched,
    tables: HashMap<u64, Table>,
    /// The plan of the table map that was seen last. All maps that pass against the same columns decode alike.
    plan: Option<Arc<ColumnPlan>>,
    gtid: Option<(Source, u64)>,
    /// Between BEGIN and the end of its transaction.
    open: bool,
    wrote: Wrote,
    payload: Option<Payload>,
    heard: Instant,
    /// Seconds since the epoch, from the last event that had a time.
    event_time: u32,
    before_key: Vec<u8>,
    after_key: Vec<u8>,
}

/// The events of a compressed transaction must add up to its size: the driver drops what it cannot decompress.
struct Payload {
    size: u64,
    seen: u64,
}

async fn dump(server: &Server, position: &GtidSet) -> Result<BinlogStream, StreamError> {
    let mut session = Session::plain(server).await?;
    let heartbeat = HEARTBEAT.as_nanos();
    // Without a uuid of its own, a second reader with the same server id would end this one.
    session
        .run(&format!(
            "SET @source_heartbeat_period = {heartbeat}, @master_heartbeat_period = {heartbeat}, \
             @replica_uuid = UUID(), @slave_uuid = @replica_uuid"
        ))
        .await?;
    let request = BinlogStreamRequest::new(server_id()).with_gtid().with_gtid_set(position.to_sids());
    Ok(session.into_conn().get_binlog_stream(request).await.map_err(SqlError::from)?)
}

/// The time of the first transaction behind `position`, in seconds since the epoch by the server's clock. `None` when
/// none comes in time: there is none, or the server looks for it for longer than a person waits.
pub async fn oldest_needed(server: &Server, position: &GtidSet) -> Result<Option<u64>, StreamError> {
    let mut stream = dump(server, position).await?;
    let asked = Instant::now();
    while let Some(left) = OLDEST_WITHIN.checked_sub(asked.elapsed()) {
        let event = match tokio::time::timeout(left, stream.next()).await {
            Err(_) | Ok(None) => return Ok(None),
            Ok(Some(event)) => event.map_err(SqlError::from)?,
        };
        if matches!(
            event.header().event_type(),
            Ok(EventType::GTID_EVENT | EventType::GTID_TAGGED_LOG_EVENT | EventType::ANONYMOUS_GTID_EVENT)
        ) {
            return Ok(Some(event.header().timestamp().into()));
        }
    }
    Ok(None)
}

impl Reader {
    /// Starts behind `position`.
    pub async fn open(server: &Server, position: &GtidSet, watched: Watched) -> Result<Self, StreamError> {
        Ok(Self {
            stream: dump(server, position).await?,
            watched,
            tables: HashMap::new(),
            plan: None,
            gtid: None,
            open: false,
            wrote: Wrote::default(),
            payload: None,
            heard: Instant::now(),
            event_time: 0,
            before_key: Vec::new(),
            after_key: Vec::new(),
        })
    }

    /// From here on another table definition is expected under the watched name.
    pub fn watch(&mut self, watched: Watched) {
        self.watched = watched;
        self.tables.clear();
        self.plan = None;
    }

    /// How to decode the images that were pushed. `None` before the first.
    pub fn plan(&self) -> Option<Arc<ColumnPlan>> {
        self.plan.clone()
    }

    /// No transaction has begun that has not ended.
    pub fn between_transactions(&self) -> bool {
        self.gtid.is_none()
    }

    /// The time of the last event, in seconds since the epoch by the server's clock; 0 before the first.
    pub fn event_time(&self) -> u32 {
        self.event_time
    }

    /// Reads one event, waiting at most `patience`.
    pub async fn read(&mut self, into: &mut Compaction, patience: Duration) -> Result<Beat, StreamError> {
        // Giving up `next` loses nothing: what has been received stays in the stream.
        let event = match tokio::time::timeout(patience, self.stream.next()).await {
            Err(_) if self.heard.elapsed() > SILENCE => {
                return Err(StreamError::Lost(format!("nothing was heard for {SILENCE:?}")));
            }
            Err(_) => return Ok(Beat::Quiet),
            Ok(None) => return Err(StreamError::Lost("the server ended the stream".into())),
            Ok(Some(Err(error))) => return Err(SqlError::from(error).into()),
            Ok(Some(Ok(event))) => event,
        };
        self.heard = Instant::now();
        self.check(&event)?;
        self.take(&event, into)
    }

    fn check(&mut self, event: &Event) -> Result<(), StreamError> {
        let header = event.header();
        if header.timestamp() != 0 {
            self.event_time = header.timestamp();
        }
        match &mut self.payload {
            // Events inside a payload have no checksum of their own: the payload's was checked.
            Some(payload) => payload.seen += u64::from(header.event_size()),
            None => check_sum(event)?,
        }
        Ok(())
    }

    fn take(&mut self, event: &Event, into: &mut Compaction) -> Result<Beat, StreamError> {
        let Ok(kind) = event.header().event_type() else {
            return Ok(Beat::Passed);
        };
        tracing::trace!(?kind, log_pos = event.header().log_pos(), "binlog event");
        match kind {
            EventType::TABLE_MAP_EVENT => {
                self.table_map(event)?;
                Ok(Beat::Passed)
            }
            EventType::WRITE_ROWS_EVENT
            | EventType::UPDATE_ROWS_EVENT
            | EventType::DELETE_ROWS_EVENT
            | EventType::PARTIAL_UPDATE_ROWS_EVENT
            | EventType::WRITE_ROWS_EVENT_V1
            | EventType::UPDATE_ROWS_EVENT_V1
            | EventType::DELETE_ROWS_EVENT_V1 => self.rows(event, into),
            _ => match event.read_data()? {
                Some(data) => self.other(data),
                None => Ok(Beat::Passed),
            },
        }
    }

    fn table_map(&mut self, event: &Event) -> Result<(), StreamError> {
        let Some(id) = table_id(event.data()) else { return Ok(()) };
        let map: TableMapEvent<'_> = event.read_event()?;
        let table = match &self.watched {
            watched if names(&map, &watched.table) => match ColumnPlan::new(&map, &watched.columns) {
                Ok(plan) => Table::Ours(Arc::clone(self.plan.insert(Arc::new(plan)))),
                Err(mismatch) => Table::Unlike(mismatch),
            },
            watched if names(&map, &watched.shadow) => Table::Shadow,
            _ if map.database_name_raw() == b"_rsc" => Table::Journal,
            _ => Table::Other,
        };
        self.tables.insert(id, table);
        Ok(())
    }

    fn rows(&mut self, event: &Event, into: &mut Compaction) -> Result<Beat, StreamError> {
        let id = table_id(event.data()).unwrap_or(u64::MAX);
        let plan = match self.tables.get(&id) {
            Some(Table::Ours(plan)) => plan,
            Some(Table::Other) => return Ok(Beat::Passed),
            Some(Table::Shadow) => {
                self.wrote.shadow = true;
                return Ok(Beat::Passed);
            }
            Some(Table::Journal) => {
                self.wrote.journal = true;
                return Ok(Beat::Passed);
            }
            Some(Table::Unlike(mismatch)) => return Err(mismatch.clone().into()),
            None => return Err(StreamError::Damaged(format!("rows of table {id}, which was never named"))),
        };
        let Some(EventData::RowsEvent(rows)) = event.read_data()? else {
            return Err(StreamError::Damaged("a row event that holds no rows".into()));
        };
        let (before, after) = (&mut self.before_key, &mut self.after_key);
        push_rows(plan, &rows, &self.watched.key, (before, after), into)?;
        self.wrote.watched = true;
        Ok(Beat::Rows)
    }

    fn other(&mut self, data: EventData<'_>) -> Result<Beat, StreamError> {
        match data {
            EventData::GtidEvent(gtid) => self.begin(&gtid).map(|()| Beat::Passed),
            EventData::XidEvent(_) => self.end(),
            EventData::QueryEvent(query) => self.query(&query),
            EventData::TransactionPayloadEvent(payload) => {
                self.payload = Some(Payload { size: payload.uncompressed_size(), seen: 0 });
                Ok(Beat::Passed)
            }
            EventData::XaPrepareLogEvent(_) if self.wrote.watched => Err(StreamError::Xa),
            EventData::XaPrepareLogEvent(_) => self.end(),
            EventData::AnonymousGtidEvent(_) => {
                Err(StreamError::Refused("a transaction has no GTID; gtid_mode was switched off".into()))
            }
            EventData::IncidentEvent(_) => {
                Err(StreamError::Damaged("the server reports that events were lost".into()))
            }
            EventData::HeartbeatEvent => Ok(Beat::Quiet),
            // A restarted server numbers its tables anew.
            EventData::FormatDescriptionEvent(_) => {
                self.tables.clear();
                Ok(Beat::Passed)
            }
            _ => Ok(Beat::Passed),
        }
    }

    fn begin(&mut self, gtid: &GtidEvent) -> Result<(), StreamError> {
        if let Some((source, gno)) = &self.gtid {
            return Err(StreamError::Damaged(format!("transaction {source}:{gno} has no end")));
        }
        self.gtid = Some((Source::new(gtid.sid(), gtid.tag().cloned()), gtid.gno()));
        Ok(())
    }

    fn end(&mut self) -> Result<Beat, StreamError> {
        self.open = false;
        // What rsc writes into the shadow always commits together with a row of the sidecar.
        let wrote = std::mem::take(&mut self.wrote);
        if wrote.shadow && !wrote.journal {
            let shadow = self.watched.shadow.plain();
            return Err(StreamError::Foreign(format!(
                "rows written into {shadow}, which only rsc may write"
            )));
        }
        if let Some(payload) = self.payload.take()
            && payload.seen != payload.size
        {
            return Err(StreamError::Damaged(format!(
                "a compressed transaction yielded {} of {} bytes",
                payload.seen, payload.size
            )));
        }
        match self.gtid.take() {
            Some((source, gno)) => Ok(Beat::Committed(source, gno)),
            None => Ok(Beat::Passed),
        }
    }

    fn query(&mut self, event: &QueryEvent<'_>) -> Result<Beat, StreamError> {
        let (schema, sql) = (event.schema(), event.query());
        match Query::read(&sql, self.open) {
            Query::Begin => {
                self.open = true;
                return Ok(Beat::Passed);
            }
            Query::End => return self.end(),
            Query::Truncate if foreign_statement::touches(&schema, &sql, &[&self.watched.table]) => {
                return Ok(match self.end()? {
                    Beat::Committed(source, gno) => Beat::Truncated(source, gno),
                    other => other,
                });
            }
            Query::Rows if may_write(event, &self.watched.table.schema) => return Err(foreign(&sql)),
            Query::Rows => return Ok(Beat::Passed),
            Query::Truncate | Query::Other => {}
        }
        let tables = [&self.watched.table, &self.watched.shadow];
        if !sql.contains(&self.watched.mark) && foreign_statement::touches(&schema, &sql, &tables) {
            return Err(foreign(&sql));
        }
        if self.open { Ok(Beat::Passed) } else { self.end() }
    }
}

/// What a statement in the binlog is to a transaction.
enum Query {
    Begin,
    End,
    /// Ours is followed.
    Truncate,
    /// Rows written as a statement.
    Rows,
    Other,
}

impl Query {
    /// `open`: within a transaction.
    fn read(sql: &str, open: bool) -> Self {
        // Written by the server itself, whatever the client had sent.
        match sql {
            "BEGIN" => return Self::Begin,
            "COMMIT" | "ROLLBACK" => return Self::End,
            _ if sql.starts_with("XA START") => return Self::Begin,
            _ => {}
        }
        match (foreign_statement::verb(sql).as_str(), open) {
            ("TRUNCATE", false) => Self::Truncate,
            ("SAVEPOINT" | "ROLLBACK" | "RELEASE" | "XA" | "CREATE" | "DROP", _) | (_, false) => Self::Other,
            (_, true) => Self::Rows,
        }
    }
}

fn foreign(sql: &str) -> StreamError {
    StreamError::Foreign(sql.chars().take(300).collect())
}

/// Whether rows of a table in `schema` may have been written by a statement. Its text does not tell: a view, a trigger
/// or a function has another name. So the list counts that the server keeps of all
/// databases that it used.
fn may_write(event: &QueryEvent<'_>, schema: &str) -> bool {
    let list = event.status_vars().get_status_var(StatusVarKey::UpdatedDbNames);
    match list.as_ref().map(|list| list.get_value()) {
        Some(Ok(StatusVarVal::UpdatedDbNames(names))) => match names.as_slice() {
            [only] => same_name(&only.as_str(), schema),
            // The driver reads only the first of several names.
            _ => true,
        },
        _ => true,
    }
}

fn names(map: &TableMapEvent<'_>, table: &TableName) -> bool {
    map.table_name_raw() == table.table.as_bytes() && map.database_name_raw() == table.schema.as_bytes()
}

fn push_rows(
    plan: &ColumnPlan,
    event: &RowsEventData<'_>,
    key: &[usize],
    (before_key, after_key): (&mut Vec<u8>, &mut Vec<u8>),
    into: &mut Compaction,
) -> Result<(), RowError> {
    for change in plan.rows(event)? {
        before_key.clear();
        after_key.clear();
        match change? {
            RowChange::Insert(image) => {
                plan.key_bytes(image, key, after_key)?;
                into.insert(after_key, image);
            }
            RowChange::Update { before, after } => {
                plan.key_bytes(before, key, before_key)?;
                plan.key_bytes(after, key, after_key)?;
                into.update(before_key, after_key, after);
            }
            RowChange::Delete(image) => {
                plan.key_bytes(image, key, before_key)?;
                into.delete(before_key);
            }
        }
    }
    Ok(())
}

/// The first six bytes of table map and row events.
fn table_id(data: &[u8]) -> Option<u64> {
    let bytes = data.get(..6)?;
    Some(bytes.iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte)))
}

fn check_sum(event: &Event) -> Result<(), StreamError> {
    // The rotate event that opens a stream is made up for it, and its checksum with it.
    let made_up = event.header().event_type_raw() == EventType::ROTATE_EVENT as u8;
    let footer = event.footer();
    let Ok(Some(algorithm)) = footer.get_checksum_alg() else { return Ok(()) };
    let enabled = footer.get_checksum_enabled();
    let (true, false, Some(stored)) = (enabled, made_up, event.checksum()) else { return Ok(()) };
    if event.calc_checksum(algorithm) == u32::from_le_bytes(stored) {
        return Ok(());
    }
    Err(StreamError::Damaged(format!("an event at {} fails its checksum", event.header().log_pos())))
}

/// Replicas have small numbers by habit; two readers of one server may not share theirs.
fn server_id() -> u32 {
    0x7000_0000 | (uuid::Uuid::new_v4().as_u128() as u32 & 0x0fff_ffff)
}
