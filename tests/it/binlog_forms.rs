//! However sessions have their transactions numbered, packed or read by others: they are followed.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Conn};
use rsc::schema::table::TableName;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;
use crate::support::writers::{Column, Plan, Shape, Writers, compare};

async fn let_write() {
    sleep(Duration::from_millis(300)).await;
}

/// Every writer's session begins with `session`.
async fn is_followed(session: &str) -> Conn {
    let table = TableName::new(shared().fresh_database().await, "t");
    let mut plan =
        Plan::new(table.clone(), Shape::Signed, vec![Column::int("n"), Column::varchar("note", 40)]);
    plan.rows_per_writer = 600;
    plan.statements_per_s = Some(150.0);
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(plan.create_table(&["title varchar(20) NOT NULL DEFAULT 'x'"])).await.unwrap();
    let opts = shared().opts().init(vec![session]);
    let mut writers = Writers::start(opts, plan).await.unwrap();
    let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    let change = ["--alter", "DROP COLUMN title", "--batch-time", "5ms"];
    let migrated = rsc(shared(), &[&arguments[..], &change[..]].concat()).run().await.well();
    let id = migrated.last_line()["id"].to_string();
    for verb in ["revert", "reapply"] {
        let_write().await;
        rsc(shared(), &[verb, &id]).run().await.well();
        let_write().await;
        let paused = writers.pause().await;
        assert_eq!(compare(&paused, &mut conn, &table).await.unwrap(), Vec::<String>::new(), "after {verb}");
        writers.resume();
    }
    rsc(shared(), &["complete", &id]).run().await.well();
    let finished = writers.finish().await;
    assert!(finished.errors.is_empty(), "{:#?}", finished.errors);
    assert!(finished.tally.committed > 100, "{:?}", finished.tally);
    assert_eq!(compare(&finished.models, &mut conn, &table).await.unwrap(), Vec::<String>::new());
    conn
}

/// Connections with an odd number tag their transactions, the others do not; and someone numbers by hand.
#[tokio::test(flavor = "multi_thread")]
async fn tagged_and_untagged_transactions_between_each_other() {
    let by_hand = tokio::spawn(async {
        let mut table = Table::create("id int PRIMARY KEY").await;
        for gno in 1.. {
            table
                .run(&format!(
                    "SET SESSION gtid_next = '5c2f1e0a-0000-4000-8000-00000000abcd:hand:{}'",
                    gno * 2
                ))
                .await;
            table.run(&format!("INSERT INTO t VALUES ({gno})")).await;
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut conn =
        is_followed("SET SESSION gtid_next = IF(CONNECTION_ID() % 2 = 1, 'AUTOMATIC:odd', 'AUTOMATIC')")
            .await;
    by_hand.abort();
    let executed: String = conn.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap();
    assert!(executed.contains(":odd:") && executed.contains(":hand:2:4"), "{executed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_transactions() {
    is_followed("SET SESSION binlog_transaction_compression = ON").await;
}

struct Stay {
    table: Table,
    process: crate::support::process::Running,
    id: u64,
}

impl Stay {
    async fn start() -> Self {
        let mut table = Table::create("id int PRIMARY KEY, a int").await;
        table.run("INSERT INTO t VALUES (1, 1)").await;
        let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
        let change = ["--alter", "ADD COLUMN b int", "--agent", "stay"];
        let mut process = rsc(shared(), &[&arguments[..], &change[..]].concat()).start();
        process.says("\"revertible\"").await;
        let started: Value = serde_json::from_str(process.stdout().lines().next().unwrap()).unwrap();
        let id = started["id"].as_u64().unwrap();
        Self { table, process, id }
    }
}

/// Readers that call themselves by one number end each other; they must not end ours, nor ours each other or them.
#[tokio::test(flavor = "multi_thread")]
async fn other_readers_of_the_binlog_live_beside_ours() {
    let dump = async || {
        let conn = shared().conn().await.unwrap();
        let number = conn.id();
        let stream = conn.get_binlog_stream(BinlogStreamRequest::new(0x7000_0001)).await.unwrap();
        (number, stream)
    };
    let (first, mut theirs) = dump().await;
    theirs.next().await.unwrap().unwrap();
    let mut stays = [Stay::start().await, Stay::start().await];
    let (_, mut again) = dump().await;
    again.next().await.unwrap().unwrap();
    let ended = async { while theirs.next().await.is_some_and(|event| event.is_ok()) {} };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("the second dump ends the first");
    assert!(!dumps(&mut stays[0].table).await.contains(&first));
    for stay in &mut stays {
        stay.table.run("INSERT INTO t VALUES (2, 2, 2)").await;
        stay.table.asked("revert", stay.id).await;
        assert_eq!(stay.table.all::<(i32, i32)>("SELECT id, a FROM t").await, [(1, 1), (2, 2)]);
    }
    again.next().await.unwrap().unwrap();
    for stay in stays {
        stay.table.asked("complete", stay.id).await;
        let ended = stay.process.ended().await.well();
        assert!(!ended.stdout.contains("retrying"), "{ended:#?}");
    }
}

async fn dumps(table: &mut Table) -> BTreeSet<u32> {
    let ids: Vec<u32> = table
        .all("SELECT PROCESSLIST_ID FROM performance_schema.threads WHERE PROCESSLIST_COMMAND LIKE 'Binlog Dump%'")
        .await;
    ids.into_iter().collect()
}

/// Also numbers of rows that are gone again.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_given_twice_across_swaps_and_restarts_of_the_server() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d").await.unwrap();
    conn.query_drop("CREATE TABLE d.t (id bigint AUTO_INCREMENT PRIMARY KEY, a int)").await.unwrap();
    let mut given = Vec::new();
    let run = async |arguments: &[&str]| {
        rsc(&server, &[&["--output", "json"], arguments].concat()).run().await.well().last_line()
    };
    insert_and_delete(&server, &mut given).await;
    let migrated = run(&["migrate", "--database", "d", "--table", "t", "--alter", "ADD COLUMN b int"]).await;
    let id = migrated["id"].to_string();
    for (turn, verb) in ["revert", "reapply", "revert", "reapply"].into_iter().enumerate() {
        insert_and_delete(&server, &mut given).await;
        run(&[verb, &id]).await;
        match turn {
            0 => server.restart().unwrap(),
            1 => {
                server.kill().unwrap();
                server.restart().unwrap();
            }
            _ => {}
        }
        insert_and_delete(&server, &mut given).await;
    }
    run(&["complete", &id]).await;
    server.restart().unwrap();
    insert_and_delete(&server, &mut given).await;
    let mut once = given.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), given.len(), "{given:?}");
    assert_eq!(given.len(), 30);
}

/// Of three new rows, the last two go again.
async fn insert_and_delete(server: &Server, given: &mut Vec<u64>) {
    let mut conn = server.conn().await.unwrap();
    for _ in 0..3 {
        conn.query_drop("INSERT INTO d.t (a) VALUES (1)").await.unwrap();
        given.extend(conn.last_insert_id());
    }
    conn.query_drop("DELETE FROM d.t ORDER BY id DESC LIMIT 2").await.unwrap();
}
