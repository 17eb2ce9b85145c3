//! What the events of a binlog mean for one table: rows, the ends of transactions, and whatever would make a replay
//! inexact.
//!
//! Rows of other tables are skipped undecoded: only the first six bytes of their events are looked at. A
//! transaction is reported when it ends, by its GTID; until then its rows are pushed, but the position may not
//! move. Whatever would make a replay of row images inexact ends the reading with a [`StreamError`] that says
//! what it was; nothing is guessed past.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mysql_common::binlog::consts::{BinlogChecksumAlg, EventType, StatusVarKey};
use mysql_common::binlog::events::{
    Event, EventData, GtidEvent, QueryEvent, RowsEventData, StatusVarVal, TableMapEvent,
};

use super::client_text::{self, ClientText, Foreign};
use super::column_plan::{ColumnPlan, RowChange, RowError};
use super::foreign_statement;
use super::stream::StreamError;
use super::wire_type::PlanMismatch;
use crate::rows::compaction::Compaction;
use crate::rows::gtid_set::Source;
use crate::rows::history::Mark;
use crate::schema::table::{Column, TableName, same_name};

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
    /// Indexes of the columns for which it matters whether they were written.
    pub kept: Vec<usize>,
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

/// Where the reading stands.
pub struct Reading {
    watched: Watched,
    tables: HashMap<u64, Table>,
    /// The plan of the table map that was seen last. All maps that pass against the same columns decode alike.
    plan: Option<Arc<ColumnPlan>>,
    gtid: Option<(Source, u64)>,
    /// Between BEGIN and the end of its transaction.
    open: bool,
    wrote: Wrote,
    payload: Option<Payload>,
    /// Seconds since the epoch, from the last event that had a time.
    event_time: u32,
    committed_us: u64,
    /// The same, of the server where it was first committed.
    original_us: u64,
    /// A transaction that this history must have as it is known.
    expected: Option<Mark>,
    /// The last transaction that wrote the journal and no row of the table.
    mark: Option<Mark>,
    xa: Xa,
    /// What the server made of the next statement's text.
    converted: Option<String>,
    before_key: Vec<u8>,
    after_key: Vec<u8>,
}

/// XA transactions without rows of the table, by their names as the server writes them.
///
/// One that wrote to the table ends the stream at its XA PREPARE. So an XA COMMIT is harmless if its XA PREPARE was read here. If
/// it was not, its rows may be from before the stream began: invisible to the copy until now, and in no event that is yet
/// to come.
#[derive(Default)]
struct Xa {
    /// Of the open transaction.
    open: Option<String>,
    prepared: HashSet<String>,
    /// Committed, and not read here when it was prepared.
    missed: Option<String>,
}

/// More than these are forgotten, which at worst calls for a comparison of the tables.
const PREPARED_MAX: usize = 10_000;

impl Xa {
    fn prepare(&mut self) {
        if self.prepared.len() >= PREPARED_MAX {
            self.prepared.clear();
        }
        self.prepared.extend(self.open.take());
    }

    /// `sql` is any statement. An XA COMMIT is written by the server itself, in one way.
    fn ends(&mut self, sql: &str) {
        if let Some(name) = sql.strip_prefix("XA ROLLBACK ") {
            self.prepared.remove(name);
        } else if let Some(name) = sql.strip_prefix("XA COMMIT ")
            && !self.prepared.remove(name)
        {
            self.missed = Some(name.to_owned());
        }
    }
}

/// The events of a compressed transaction must add up to its size: the driver drops what it cannot decompress.
struct Payload {
    size: u64,
    seen: u64,
}

impl Reading {
    pub fn new(watched: Watched) -> Self {
        Self {
            watched,
            tables: HashMap::new(),
            plan: None,
            gtid: None,
            open: false,
            wrote: Wrote::default(),
            payload: None,
            event_time: 0,
            committed_us: 0,
            original_us: 0,
            expected: None,
            mark: None,
            xa: Xa::default(),
            converted: None,
            before_key: Vec::new(),
            after_key: Vec::new(),
        }
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

    /// When the server committed the last transaction that has begun, in microseconds since the epoch by its clock; 0
    /// before the first.
    pub fn committed_us(&self) -> u64 {
        self.committed_us
    }

    /// When this transaction comes, it must be the one that is meant.
    pub fn expect(&mut self, mark: Mark) {
        self.expected = Some(mark);
    }

    /// A transaction that has ended, by which this history can be told from another one.
    pub fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }

    /// An XA transaction that was committed, and prepared before the stream began. Told once.
    pub fn take_missed_xa(&mut self) -> Option<String> {
        self.xa.missed.take()
    }

    /// Text that only the server can decode, if the event has such; [`Reading::hear`] what it makes of it.
    pub fn foreign_text(&self, event: &Event) -> Option<Foreign> {
        let query = matches!(event.header().event_type(), Ok(EventType::QUERY_EVENT));
        // What is damaged is said when it is taken.
        let query: QueryEvent<'_> = query.then(|| event.read_event().ok()).flatten()?;
        client_text::foreign(&query)
    }

    /// The text of the event that is taken next.
    pub fn hear(&mut self, converted: Option<String>) {
        self.converted = converted;
    }

    /// The next event, in the order of the stream.
    pub fn take(&mut self, event: &Event, into: &mut Compaction) -> Result<Beat, StreamError> {
        self.check(event)?;
        self.mean(event, into)
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

    fn mean(&mut self, event: &Event, into: &mut Compaction) -> Result<Beat, StreamError> {
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
            // Nothing in them is needed, and the driver would make room for as many sets as one claims to hold.
            EventType::PREVIOUS_GTIDS_EVENT => Ok(Beat::Passed),
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
        push_rows(plan, &rows, &self.watched, (before, after), into)?;
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
            EventData::XaPrepareLogEvent(_) => {
                self.xa.prepare();
                self.end()
            }
            EventData::AnonymousGtidEvent(_) => {
                Err(StreamError::Refused("a transaction has no GTID; gtid_mode was switched off".into()))
            }
            EventData::IncidentEvent(_) => {
                Err(StreamError::Damaged("the server reports that events were lost".into()))
            }
            // The whole of a compressed transaction is there at once.
            EventData::HeartbeatEvent if self.payload.is_some() => {
                Err(StreamError::Damaged("a compressed transaction has no end".into()))
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
        let (source, gno) = (Source::new(gtid.sid(), gtid.tag().cloned()), gtid.gno());
        self.committed_us = gtid.immediate_commit_timestamp();
        self.original_us = gtid.original_commit_timestamp();
        if let Some(mark) = self.expected.take_if(|mark| mark.is(&source, gno))
            && mark.committed_us != self.original_us
        {
            return Err(StreamError::Anew(mark.gtid()));
        }
        self.gtid = Some((source, gno));
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
            Some((source, gno)) => {
                if wrote.journal && !wrote.watched {
                    let committed_us = self.original_us;
                    self.mark = Some(Mark { source: source.clone(), gno, committed_us });
                }
                Ok(Beat::Committed(source, gno))
            }
            None => Ok(Beat::Passed),
        }
    }

    fn query(&mut self, event: &QueryEvent<'_>) -> Result<Beat, StreamError> {
        let (schema, text) = (event.schema(), ClientText::of(event, self.converted.take()));
        let sql = text.sql.as_str();
        self.xa.ends(sql);
        match Query::read(&text, self.open) {
            Query::Begin => {
                self.open = true;
                self.xa.open = sql.strip_prefix("XA START ").map(str::to_owned);
                return Ok(Beat::Passed);
            }
            Query::End => return self.end(),
            Query::Truncate if foreign_statement::touches(&schema, &text, &[&self.watched.table]) => {
                return Ok(match self.end()? {
                    Beat::Committed(source, gno) => Beat::Truncated(source, gno),
                    other => other,
                });
            }
            Query::Rows if may_write(event, &self.watched.table.schema) => return Err(foreign(sql)),
            Query::Rows => return Ok(Beat::Passed),
            Query::Truncate | Query::Other => {}
        }
        let tables = [&self.watched.shadow, &self.watched.table];
        // A trigger of the live table is in the way of the next swap, not of the stream. One of the shadow fires for what rsc
        // writes there.
        let tables = if foreign_statement::makes_trigger(&text) { &tables[..1] } else { &tables };
        if !sql.contains(&self.watched.mark) && foreign_statement::touches(&schema, &text, tables) {
            return Err(foreign(sql));
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
    fn read(text: &ClientText, open: bool) -> Self {
        // Written by the server itself, whatever the client had sent.
        match text.sql.as_str() {
            "BEGIN" => return Self::Begin,
            "COMMIT" | "ROLLBACK" => return Self::End,
            sql if sql.starts_with("XA START") => return Self::Begin,
            _ => {}
        }
        match (foreign_statement::verb(text).as_str(), open) {
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
    Watched { key, kept, .. }: &Watched,
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
                into.update(before_key, after_key, after, plan.written(before, after, kept)?);
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
    // Then no event has one but the description of the format, which the server alters as it sends it, and sums anew only
    // where it sums at all.
    if algorithm == BinlogChecksumAlg::BINLOG_CHECKSUM_ALG_OFF {
        return Ok(());
    }
    let (true, false, Some(stored)) = (enabled, made_up, event.checksum()) else { return Ok(()) };
    if event.calc_checksum(algorithm) == u32::from_le_bytes(stored) {
        return Ok(());
    }
    Err(StreamError::Damaged(format!("an event at {} fails its checksum", event.header().log_pos())))
}

#[cfg(test)]
mod tests {
    use mysql_common::binlog::EventStreamReader;
    use mysql_common::binlog::consts::BinlogVersion;
    use mysql_common::binlog::events::TransactionPayloadEvent;

    use super::*;

    /// Written by 9.7.4. Three transactions write `shop.t (id int PRIMARY KEY, a int)` and `shop.other`; the second is
    /// compressed, the third writes only `other`.
    const BINLOG: &[u8] = include_bytes!("../../../tests/it/data/plain_and_compressed.binlog");
    /// Of the file, before its first event.
    const MAGIC: usize = 4;
    /// Of an event.
    const HEADER: usize = 19;

    fn reading() -> Reading {
        let column = |name: &str| Column {
            name: name.into(),
            data_type: "int".into(),
            column_type: "int".into(),
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        };
        Reading::new(Watched {
            table: TableName::new("shop", "t"),
            columns: vec![column("id"), column("a")],
            key: vec![0],
            kept: Vec::new(),
            shadow: TableName::new("shop", "_rsc1_t_old"),
            mark: "/* rsc change 1 */".into(),
        })
    }

    /// Where each event begins, and its type.
    fn events(file: &[u8]) -> Vec<(usize, EventType)> {
        let (mut at, mut found) = (MAGIC, Vec::new());
        while at < file.len() {
            found.push((at, EventType::try_from(file[at + 4]).unwrap()));
            at += u32::from_le_bytes(file[at + 9..at + 13].try_into().unwrap()) as usize;
        }
        found
    }

    /// Where the `n`-th transaction begins.
    fn begin_of(n: usize) -> usize {
        let gtids = events(BINLOG).into_iter().filter(|(_, kind)| *kind == EventType::GTID_EVENT);
        gtids.map(|(at, _)| at).nth(n - 1).unwrap()
    }

    /// As the driver's stream hands them on; `inflate` is what it makes of a payload.
    fn replay(
        reading: &mut Reading,
        file: &[u8],
        inflate: fn(Vec<u8>) -> Vec<u8>,
    ) -> Result<(Vec<Beat>, Compaction), StreamError> {
        let mut driver = EventStreamReader::new(BinlogVersion::Version4);
        let (mut beats, mut net) = (Vec::new(), Compaction::new());
        let mut file = &file[MAGIC..];
        while let Some(event) = driver.read(&mut file).unwrap() {
            beats.push(reading.take(&event, &mut net)?);
            if event.header().event_type_raw() == EventType::TRANSACTION_PAYLOAD_EVENT as u8 {
                let payload = event.read_event::<TransactionPayloadEvent<'_>>().unwrap();
                let inside = inflate(payload.danger_decompress());
                let mut inside = inside.as_slice();
                while let Some(event) = driver.read_decompressed(&mut inside).unwrap() {
                    beats.push(reading.take(&event, &mut net)?);
                }
            }
        }
        beats.retain(|beat| *beat != Beat::Passed);
        Ok((beats, net))
    }

    fn damage(file: &[u8], inflate: fn(Vec<u8>) -> Vec<u8>) -> String {
        match replay(&mut reading(), file, inflate) {
            Err(StreamError::Damaged(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_and_ends_of_transactions_are_reported_compressed_or_not() {
        let (beats, net) = replay(&mut reading(), BINLOG, |inside| inside).unwrap();
        let shown: Vec<String> = beats
            .iter()
            .map(|beat| match beat {
                Beat::Committed(_, gno) => format!("end of {gno}"),
                other => format!("{other:?}"),
            })
            .collect();
        let rows = "Rows";
        assert_eq!(shown, [rows, rows, rows, "end of 16", rows, rows, rows, "end of 17", "end of 18"]);
        assert_eq!(net.rows().count(), 6, "1, and 3 to 7");
    }

    #[test]
    fn every_flipped_bit_in_an_event_is_noticed() {
        // The first two and the last describe the file itself.
        for (at, kind) in
            events(BINLOG).into_iter().skip(2).filter(|(_, kind)| *kind != EventType::ROTATE_EVENT)
        {
            let mut file = BINLOG.to_vec();
            file[at + HEADER + 9] ^= 1;
            let mut driver = EventStreamReader::new(BinlogVersion::Version4);
            let mut rest = &file[MAGIC..];
            let mut noticed = false;
            // The driver may itself stumble over what it reads in advance.
            while let Ok(Some(event)) = driver.read(&mut rest) {
                match check_sum(&event) {
                    Err(StreamError::Damaged(what)) => {
                        assert!(what.contains("fails its checksum"), "{what}");
                        noticed = true;
                    }
                    other => assert_eq!(other, Ok(())),
                }
            }
            assert!(noticed, "{kind:?} at {at}");
        }
    }

    #[test]
    fn a_damaged_row_ends_the_reading_before_it_is_used() {
        let (at, _) =
            events(BINLOG).into_iter().find(|(_, kind)| *kind == EventType::WRITE_ROWS_EVENT).unwrap();
        let mut file = BINLOG.to_vec();
        file[at + HEADER + 16] ^= 0x40;
        assert!(damage(&file, |inside| inside).contains("fails its checksum"));
    }

    #[test]
    fn a_payload_that_yields_nothing_is_noticed_at_the_next_transaction() {
        let what = damage(BINLOG, |_| Vec::new());
        assert!(what.ends_with(":17 has no end"), "{what}");
    }

    #[test]
    fn a_payload_that_yields_nothing_is_noticed_when_nothing_comes_after_it() {
        let mut reading = reading();
        replay(&mut reading, &BINLOG[..begin_of(3)], |_| Vec::new()).unwrap();
        assert!(!reading.between_transactions());
        let heartbeat = reading.other(EventData::HeartbeatEvent);
        assert_eq!(heartbeat, Err(StreamError::Damaged("a compressed transaction has no end".into())));
    }

    #[test]
    fn a_payload_that_lacks_an_event_is_noticed_at_its_end() {
        let what = damage(BINLOG, |inside| {
            let lacking: Vec<_> = events(&[&[0; MAGIC], &inside[..]].concat());
            let (write, _) = lacking.iter().find(|(_, kind)| *kind == EventType::WRITE_ROWS_EVENT).unwrap();
            let at = write - MAGIC;
            let size = u32::from_le_bytes(inside[at + 9..at + 13].try_into().unwrap()) as usize;
            [&inside[..at], &inside[at + size..]].concat()
        });
        assert!(what.starts_with("a compressed transaction yielded"), "{what}");
    }

    /// What they hold need not even be readable.
    #[test]
    fn rows_of_other_tables_are_skipped_undecoded() {
        let mut file = BINLOG.to_vec();
        let (_, theirs) = table_maps(BINLOG);
        for (at, kind) in events(BINLOG) {
            if kind == EventType::WRITE_ROWS_EVENT && table_id(&file[at + HEADER..]) == Some(theirs) {
                // The length of what precedes the rows.
                file[at + HEADER + 8..at + HEADER + 10].fill(0xff);
            }
        }
        let (mut driver, mut reading) = (EventStreamReader::new(BinlogVersion::Version4), reading());
        let (mut net, mut file, mut unreadable) = (Compaction::new(), &file[MAGIC..begin_of(2)], 0);
        while let Some(event) = driver.read(&mut file).unwrap() {
            unreadable += usize::from(event.read_data().is_err());
            reading.mean(&event, &mut net).unwrap();
        }
        assert_eq!(unreadable, 1);
    }

    /// One plan serves all events of a table until the table is named anew.
    #[test]
    fn a_table_is_planned_once_for_each_table_map() {
        let (ours, theirs) = table_maps(BINLOG);
        let mut reading = reading();
        replay(&mut reading, BINLOG, |inside| inside).unwrap();
        let plan = reading.plan().unwrap();
        assert!(matches!(&reading.tables[&ours], Table::Ours(cached) if Arc::ptr_eq(cached, &plan)));
        assert!(matches!(reading.tables[&theirs], Table::Other));
        assert_eq!(reading.tables.len(), 2);
    }

    /// The ids of `shop.t` and `shop.other`.
    fn table_maps(file: &[u8]) -> (u64, u64) {
        let id_of = |name: &[u8]| {
            events(file).into_iter().find_map(|(at, kind)| {
                let names = &file[at + HEADER + 8..];
                (kind == EventType::TABLE_MAP_EVENT && names.starts_with(&[b"\x04shop\0", name].concat()))
                    .then(|| table_id(&file[at + HEADER..]))?
            })
        };
        (id_of(b"\x01t\0").unwrap(), id_of(b"\x05other\0").unwrap())
    }
}
