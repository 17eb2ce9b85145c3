//! The binlog as a stream: the connection, and how it can end. What its events mean: [`super::reading`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use mysql_async::{BinlogStream, BinlogStreamRequest};
use mysql_common::binlog::consts::EventType;
use mysql_common::binlog::events::{Event, EventData};

use super::client_text::Foreign;
use super::column_plan::{ColumnPlan, RowError};
use super::reading::{Beat, Reading, Watched};
use super::wire_type::PlanMismatch;
use crate::mysql::READER_NAME;
use crate::rows::compaction::Compaction;
use crate::rows::gtid_set::{GtidSet, Source};
use crate::rows::history::{Mark, anew};
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
    /// The transaction that is not there, or is another one.
    #[error("{}", anew(.0))]
    Anew(String),
    #[error(
        "the server runs without its binlog (log_bin is OFF), so it writes rows that the stream cannot see"
    )]
    Off,
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

/// Of errors 1236 that say nothing for good.
const LOST: [&str; 4] =
    ["same server_", "could not find next log", "ould not find first log", "ould not open log file"];

impl From<SqlError> for StreamError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Server { code: 1236, message } if message.contains("purged") => StreamError::Purged,
            // The source's end of the position is not in its binlog.
            SqlError::Server { code: 1236, message } if message.contains("more GTIDs than") => {
                StreamError::Anew("the end of what the stream has applied".into())
            }
            SqlError::Server { code: 1236, message } if message.contains("not open") => StreamError::Off,
            // What it becomes is found out by who opens it again: the files were removed while one was read (RESET BINARY
            // LOGS AND GTIDS, or by hand).
            SqlError::Server { code: 1236, message } if LOST.iter().any(|text| message.contains(text)) => {
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

/// Whether the server's history has this transaction as it is known. `None` when it does not come in time.
pub async fn has(server: &Server, position: &GtidSet, mark: &Mark) -> Result<Option<bool>, StreamError> {
    let mut before = position.clone();
    before.remove(&mark.source, mark.gno);
    let mut stream = dump(server, &before).await?;
    let asked = Instant::now();
    while let Some(left) = OLDEST_WITHIN.checked_sub(asked.elapsed()) {
        let event = match tokio::time::timeout(left, stream.next()).await {
            Err(_) | Ok(None) => return Ok(None),
            Ok(Some(event)) => event.map_err(SqlError::from)?,
        };
        if let Some(EventData::GtidEvent(gtid)) = gtid_of(&event)? {
            let source = Source::new(gtid.sid(), gtid.tag().cloned());
            let known = mark.is(&source, gtid.gno());
            return Ok(known.then(|| gtid.original_commit_timestamp() == mark.committed_us));
        }
    }
    Ok(None)
}

fn gtid_of(event: &Event) -> Result<Option<EventData<'_>>, StreamError> {
    match event.header().event_type() {
        Ok(EventType::GTID_EVENT | EventType::GTID_TAGGED_LOG_EVENT) => Ok(event.read_data()?),
        _ => Ok(None),
    }
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
    server: Server,
    /// For text that only the server can decode, which is rare.
    converting: Option<Session>,
    end: End,
}

/// How far the server says that its binlog goes, by its heartbeats: it sends them where it waits for more, and where it
/// looks for what is wanted in a long file. Only there the place moves on.
///
/// Heartbeats may have been on their way for a while. So only those count that come after a moment in which there was
/// nothing to read.
#[derive(Default)]
struct End {
    quiet: bool,
    at: Option<u32>,
    /// So many heartbeats have come from the same place, with nothing between them.
    seen: u32,
}

impl End {
    fn hear(&mut self, event: &Event) {
        let place = event.header().log_pos();
        let beat = matches!(event.header().event_type(), Ok(EventType::HEARTBEAT_EVENT));
        let same = self.at == Some(place);
        self.seen = if beat && self.quiet { 1 + if same { self.seen } else { 0 } } else { 0 };
        self.at = beat.then_some(place);
    }
}

impl Reader {
    /// Starts behind `position`.
    pub async fn open(server: &Server, position: &GtidSet, watched: Watched) -> Result<Self, StreamError> {
        let stream = dump(server, position).await?;
        let (reading, heard, server) = (Reading::new(watched), Instant::now(), server.clone());
        Ok(Self { stream, reading, heard, server, converting: None, end: End::default() })
    }

    /// [`Reading::expect`]
    pub fn expect(&mut self, mark: Mark) {
        self.reading.expect(mark);
    }

    /// [`Reading::mark`]
    pub fn mark(&self) -> Option<&Mark> {
        self.reading.mark()
    }

    /// [`Reading::take_missed_xa`]
    pub fn take_missed_xa(&mut self) -> Option<String> {
        self.reading.take_missed_xa()
    }

    /// So many times in a row the server has said that it has nothing more to send.
    pub fn at_end(&self) -> u32 {
        self.end.seen
    }

    /// From here on [`Reader::at_end`] counts anew.
    pub fn forget_end(&mut self) {
        self.end = End::default();
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
            Err(_) => {
                self.end.quiet = true;
                return Ok(Beat::Quiet);
            }
            Ok(None) => return Err(StreamError::Lost("the server ended the stream".into())),
            Ok(Some(Err(error))) => return Err(SqlError::from(error).into()),
            Ok(Some(Ok(event))) => event,
        };
        self.heard = Instant::now();
        self.end.hear(&event);
        if let Some(text) = self.reading.foreign_text(&event) {
            let converted = self.convert(&text).await?;
            self.reading.hear(converted);
        }
        self.reading.take(&event, into)
    }

    /// As the server did it when it ran the statement. `None` where it cannot.
    async fn convert(&mut self, text: &Foreign) -> Result<Option<String>, StreamError> {
        let session = match &mut self.converting {
            Some(session) => session,
            none => none.insert(Session::open(&self.server).await?),
        };
        let name = format!(
            "SELECT CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID = {}",
            text.collation
        );
        let Some(name) = session.text(&name).await? else { return Ok(None) };
        let hex: String = text.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match session.text(&format!("SELECT CONVERT(_{name} x'{hex}' USING utf8mb4)")).await {
            // Bytes that are none of that character set.
            Err(SqlError::Server { .. }) => Ok(None),
            converted => Ok(converted?),
        }
    }
}

/// Replicas have small numbers by habit; two readers of one server may not share theirs.
fn server_id() -> u32 {
    0x7000_0000 | (uuid::Uuid::new_v4().as_u128() as u32 & 0x0fff_ffff)
}
