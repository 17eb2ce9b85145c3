//! Indexes that are built after the copy: what may happen while the server is at it.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStreamRequest, Conn};
use tokio::time::sleep;

use crate::support::process::{Ended, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

const ALTER: &str = "ADD UNIQUE KEY by_name (name), ADD KEY by_n (n DESC), ADD COLUMN extra int DEFAULT 7";
const ROWS: u64 = 2_000;

async fn table() -> Table {
    let mut table =
        Table::create("id int PRIMARY KEY, name varchar(20), n int NOT NULL, KEY old_n (n)").await;
    table.fill("id, name, n", "i, CONCAT('name', i), i % 97", ROWS).await;
    table
}

fn migrate<'a>(table: &'a Table, more: &[&'a str]) -> Vec<&'a str> {
    let words =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", ALTER];
    words.into_iter().chain(more.iter().copied()).collect()
}

async fn id(table: &mut Table) -> u64 {
    let schema = table.schema.clone();
    table.all(&format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{schema}'")).await.remove(0)
}

async fn indexes(table: &mut Table, name: &str) -> Vec<String> {
    let schema = table.schema.clone();
    table
        .all(&format!(
            "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = '{schema}' \
             AND TABLE_NAME = '{name}' ORDER BY INDEX_NAME"
        ))
        .await
}

/// The build that waits for whoever reads the shadow.
async fn builds(table: &mut Table, id: u64) -> Vec<u64> {
    table
        .all(&format!(
            "SELECT ID FROM performance_schema.processlist WHERE INFO LIKE 'ALTER /* rsc change {id} */ TABLE%'"
        ))
        .await
}

/// Copied, with the build waiting behind a reader of the shadow. Returns the reader.
async fn held(table: &mut Table) -> (Conn, u64) {
    let stopped = rsc(shared(), &migrate(table, &["--defer-indexes", "always"]))
        .env("RSC_FAULT", "indexes.share.before:kill")
        .run()
        .await;
    assert_eq!(stopped.code, -1, "{stopped:#?}");
    let id = id(table).await;
    assert_eq!(indexes(table, &format!("_rsc{id}_t_new")).await, ["PRIMARY"]);
    let mut reader = shared().conn().await.unwrap();
    reader.query_drop("BEGIN").await.unwrap();
    let count = format!("SELECT COUNT(*) FROM {}._rsc{id}_t_new", table.schema);
    assert_eq!(reader.query_first::<u64, _>(count).await.unwrap(), Some(ROWS));
    (reader, id)
}

async fn until_building(table: &mut Table, id: u64) -> u64 {
    loop {
        if let Some(build) = builds(table, id).await.pop() {
            return build;
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn served(table: &mut Table, ended: Ended) {
    ended.well();
    assert_eq!(indexes(table, "t").await, ["by_n", "by_name", "old_n", "PRIMARY"]);
    let sum: u64 =
        table.all("SELECT COUNT(*) FROM t FORCE INDEX (by_name) WHERE name LIKE 'name%'").await.remove(0);
    assert_eq!(sum, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_whose_process_is_gone_is_waited_for() {
    let mut table = table().await;
    let (mut reader, id) = held(&mut table).await;
    let change = id.to_string();
    let words = ["--output", "json", "migrate", "--resume", &change];
    let first = rsc(shared(), &words).start();
    let build = until_building(&mut table, id).await;
    drop(first); // As by kill -9.
    let mut second = rsc(shared(), &words).start();
    second.says("\"indexing\"").await;
    assert_eq!(
        builds(&mut table, id).await,
        [build],
        "the server goes on with it, and nobody begins another"
    );
    reader.query_drop("COMMIT").await.unwrap();
    served(&mut table, second.ended().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cut_off_or_killed_is_made_again() {
    let mut table = table().await;
    let (mut reader, id) = held(&mut table).await;
    let change = id.to_string();
    let mut run = rsc(shared(), &["--output", "json", "migrate", "--resume", &change]).start();
    let build = until_building(&mut table, id).await;
    table.run(&format!("KILL QUERY {build}")).await;
    run.says("\"retrying\"").await;
    let build = until_building(&mut table, id).await;
    table.run(&format!("KILL {build}")).await;
    while builds(&mut table, id).await.first().is_none_or(|next| *next == build) {
        sleep(Duration::from_millis(20)).await;
    }
    reader.query_drop("COMMIT").await.unwrap();
    served(&mut table, run.ended().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_cancelled_or_paused_ends_its_build() {
    let mut table = table().await;
    let (mut reader, id) = held(&mut table).await;
    let change = id.to_string();
    let mut run = rsc(shared(), &["--output", "json", "migrate", "--resume", &change]).start();
    until_building(&mut table, id).await;
    table.asked("pause", id).await;
    run.says("\"paused\"").await;
    while !builds(&mut table, id).await.is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    table.asked("resume", id).await;
    until_building(&mut table, id).await;
    let cancel = rsc(shared(), &["cancel", &change]).start();
    while !builds(&mut table, id).await.is_empty() {
        sleep(Duration::from_millis(20)).await;
    }
    reader.query_drop("COMMIT").await.unwrap();
    cancel.ended().await.well();
    run.ended().await;
    assert_eq!(table.tables().await, ["t"]);
    assert_eq!(indexes(&mut table, "t").await, ["old_n", "PRIMARY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_that_the_build_meets_is_told_with_both_rows() {
    let mut table = table().await;
    table.run("UPDATE t SET name = 'NAME7' WHERE id = 1234").await;
    let failed = rsc(shared(), &migrate(&table, &["--defer-indexes", "always"])).run().await;
    assert_eq!(failed.code, 4, "{failed:#?}");
    let told = failed.stderr.clone() + &failed.stdout;
    assert!(told.contains("(7) and (1234)") || told.contains("(1234) and (7)"), "{failed:#?}");
    assert!(told.contains("by_name"), "{failed:#?}");
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_that_was_mended_meanwhile_is_none() {
    let mut table = table().await;
    table.run("UPDATE t SET name = 'NAME7' WHERE id = 1234").await;
    let run = rsc(shared(), &migrate(&table, &["--defer-indexes", "always"]))
        .env("RSC_FAULT", "indexes.build.after:delay")
        .env("RSC_FAULT_DELAY_MS", "3000")
        .start();
    // The build has met it; what it met is looked for when the delay is over.
    loop {
        if run.stderr().contains("struck: indexes.build.after") {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    table.run("UPDATE t SET name = 'other name' WHERE id = 1234").await;
    run.ended().await.well();
    assert_eq!(indexes(&mut table, "t").await, ["by_n", "by_name", "old_n", "PRIMARY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whether_indexes_are_left_off_is_the_operators_choice_and_by_itself_the_replicas() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, n int, KEY by_n (n))")
        .await
        .unwrap();
    let made = |ended: Ended| {
        let lines = ended.well().lines();
        lines.into_iter().find(|line| line["event"] == "made").unwrap()
    };
    let words = |defer: &'static str| {
        [
            "--output",
            "json",
            "migrate",
            "--alter",
            "ALTER TABLE d.t FORCE",
            "--max-lag",
            "none",
            "--defer-indexes",
            defer,
        ]
    };
    for (defer, replica, deferred) in
        [("auto", false, 1), ("never", false, 0), ("auto", true, 0), ("always", true, 1)]
    {
        let replica = match replica {
            true => {
                let request = BinlogStreamRequest::new(77).with_hostname(b"replica");
                Some(server.conn().await.unwrap().get_binlog_stream(request).await.unwrap())
            }
            false => None,
        };
        let made = made(rsc(&server, &words(defer)).run().await);
        assert_eq!(made["indexes_deferred"], deferred, "{defer}: {made}");
        assert_eq!(
            made["because"].as_str().is_some_and(|why| why.contains("replica")),
            replica.is_some() && deferred == 0
        );
        let id: u64 = conn.query_first("SELECT MAX(id) FROM _rsc.`change`").await.unwrap().unwrap();
        rsc(&server, &["complete", &id.to_string()]).run().await.well();
    }
}
