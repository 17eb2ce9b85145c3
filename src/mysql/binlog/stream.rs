//! The binlog as a stream: the connection, and how it can end. What its events mean: [`super::reading`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mysql_async::{BinlogStream, BinlogStreamRequest};
use mysql_common::binlog::consts::EventType;

use super::column_plan::{ColumnPlan, RowError};
use super::reading::{Beat, Reading, Watched};
use super::wire_type::PlanMismatch;
use crate::mysql::READER_NAME;
use crate::rows::compaction::Compaction;
use crate::rows::gtid_set::GtidSet;
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

async fn dump(server: &Server, position: &GtidSet) -> Result<BinlogStream, StreamError> {
    let mut session = Session::open(server).await?;
    let heartbeat = HEARTBEAT.as_nanos();
    // Without a uuid of its own, a second reader with the same server id would end this one.
    session
        .run(&format!(
            "SET @source_heartbeat_period = {heartbeat}, @master_heartbeat_period = {heartbeat}, \
             @replica_uuid = UUID(), @slave_uuid = @replica_uuid"
        ))
        .await?;
    let request = BinlogStreamRequest::new(server_id())
        .with_hostname(READER_NAME.as_bytes())
        .with_gtid()
        .with_gtid_set(position.to_sids());
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

pub struct Reader {
    stream: BinlogStream,
    reading: Reading,
    heard: Instant,
}

impl Reader {
    /// Starts behind `position`.
    pub async fn open(server: &Server, position: &GtidSet, watched: Watched) -> Result<Self, StreamError> {
        let stream = dump(server, position).await?;
        Ok(Self { stream, reading: Reading::new(watched), heard: Instant::now() })
    }

    /// [`Reading::watch`]
    pub fn watch(&mut self, watched: Watched) {
        self.reading.watch(watched);
    }

    /// [`Reading::plan`]
    pub fn plan(&self) -> Option<Arc<ColumnPlan>> {
        self.reading.plan()
    }

    /// [`Reading::between_transactions`]
    pub fn between_transactions(&self) -> bool {
        self.reading.between_transactions()
    }

    /// [`Reading::event_time`]
    pub fn event_time(&self) -> u32 {
        self.reading.event_time()
    }

    /// [`Reading::committed_us`]
    pub fn committed_us(&self) -> u64 {
        self.reading.committed_us()
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
        self.reading.take(&event, into)
    }
}

/// Replicas have small numbers by habit; two readers of one server may not share theirs.
fn server_id() -> u32 {
    0x7000_0000 | (uuid::Uuid::new_v4().as_u128() as u32 & 0x0fff_ffff)
}
