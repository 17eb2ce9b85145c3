//! Reads what the binary log says about the tables of one schema.

use std::collections::HashMap;

use futures_util::StreamExt;
use mysql_async::binlog::events::{EventData, RowsEventData, TableMapEvent};
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Conn};
use rsc::mysql::binlog::RowChange;
use rsc::rows::gtid_set::GtidSet;
use rsc::schema::table::Column;

use crate::support::shared;

/// A [`RowChange`] that owns its images.
#[derive(Clone, Debug)]
pub enum Change {
    Insert(Vec<u8>),
    Update { before: Vec<u8>, after: Vec<u8> },
    Delete(Vec<u8>),
}

impl From<RowChange<'_>> for Change {
    fn from(change: RowChange<'_>) -> Self {
        match change {
            RowChange::Insert(image) => Self::Insert(image.to_vec()),
            RowChange::Update { before, after } => {
                Self::Update { before: before.to_vec(), after: after.to_vec() }
            }
            RowChange::Delete(image) => Self::Delete(image.to_vec()),
        }
    }
}

/// A rows event and the TABLE_MAP event before it.
pub struct Logged {
    pub map: TableMapEvent<'static>,
    pub rows: RowsEventData<'static>,
}

/// All transactions so far; what is asked of the log later begins after them.
pub async fn position(conn: &mut Conn) -> String {
    conn.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap()
}

/// The rows events of one table after `position`, in the log's order.
pub async fn rows_events(position: &str, schema: &str, table: &str) -> Vec<Logged> {
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop("SET @replica_uuid = UUID(), @slave_uuid = @replica_uuid").await.unwrap();
    let done: GtidSet = position.parse().unwrap();
    // Beside it, other tests must not take it for a replica that they have to wait for.
    let request = BinlogStreamRequest::new(rand::random())
        .with_hostname(b"rsc")
        .with_gtid()
        .with_gtid_set(done.to_sids())
        .with_non_blocking();
    let mut stream = conn.get_binlog_stream(request).await.unwrap();
    let mut maps = HashMap::new();
    let mut logged = Vec::new();
    while let Some(event) = stream.next().await {
        match event.unwrap().read_data().unwrap() {
            Some(EventData::TableMapEvent(map)) => _ = maps.insert(map.table_id(), map.into_owned()),
            Some(EventData::RowsEvent(rows)) => {
                let map = &maps[&rows.table_id()];
                if map.database_name() == schema && map.table_name() == table {
                    logged.push(Logged { map: map.clone(), rows: rows.into_owned() });
                }
            }
            _ => {}
        }
    }
    logged
}

pub async fn columns(conn: &mut Conn, schema: &str, table: &str) -> Vec<Column> {
    let question = "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, \
                    GENERATION_EXPRESSION <> '' FROM information_schema.COLUMNS \
                    WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
    type Answer = (String, Vec<u8>, Vec<u8>, Option<String>, Option<String>, String, bool);
    let answers: Vec<Answer> = conn.exec(question, (schema, table)).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let column = |(name, data_type, column_type, charset, collation, extra, generated): Answer| Column {
        name,
        data_type: text(data_type),
        column_type: text(column_type),
        charset,
        collation,
        nullable: true,
        default: None,
        extra,
        generated,
    };
    answers.into_iter().map(column).collect()
}
