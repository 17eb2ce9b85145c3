//! Binlogs that the server purges, or is about to, before the stream has had them.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Ended, rsc};
use crate::support::server::{Options, Server};

struct Place {
    server: Server,
    conn: Conn,
}

impl Place {
    async fn new() -> Self {
        let server = Server::start(Options::default()).unwrap();
        let mut conn = server.conn().await.unwrap();
        for sql in ["CREATE DATABASE d", "USE d", "CREATE TABLE t (id int PRIMARY KEY, a int)"] {
            conn.query_drop(sql).await.unwrap();
        }
        conn.query_drop("INSERT INTO t VALUES (1, 1), (2, 2)").await.unwrap();
        Self { server, conn }
    }

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn json(&self, arguments: &[&str]) -> Ended {
        rsc(&self.server, &[&["--output", "json"], arguments].concat()).run().await
    }

    async fn migrate(&self) -> Ended {
        let migrate = ["migrate", "--database", "d", "--table", "t", "--alter", "ADD COLUMN b int"];
        self.json(&migrate).await.well()
    }

    async fn status(&self, id: &str) -> Value {
        self.json(&["status", id]).await.well().last_line()
    }

    /// All binlogs but an empty one.
    async fn purge(&mut self) {
        self.run("FLUSH BINARY LOGS").await;
        let logs: Vec<(String, u64, String)> = self.conn.query("SHOW BINARY LOGS").await.unwrap();
        self.run(&format!("PURGE BINARY LOGS TO '{}'", logs.last().unwrap().0)).await;
    }
}

#[tokio::test]
async fn binlogs_that_may_soon_be_purged_are_warned_of() {
    let mut place = Place::new().await;
    let done = place.migrate().await;
    let id = done.last_line()["id"].to_string();
    assert!(!done.stdout.contains("keeps binlogs for"), "{done:#?}");
    assert_eq!(place.status(&id).await["binlogs_short"], Value::Null);
    place.run("INSERT INTO t VALUES (3, 3, 3)").await;
    place.run("SET GLOBAL binlog_expire_logs_seconds = 2").await;
    let asked = Instant::now();
    while place.status(&id).await["binlogs_short"] == Value::Null {
        assert!(asked.elapsed() < Duration::from_secs(60), "no warning");
        sleep(Duration::from_millis(100)).await;
    }
    let status = place.status(&id).await;
    assert_eq!(status["binlogs_short"]["kept_s"], 2);
    assert_eq!(status["verdict"]["verdict"], "catching_up");
    let text = rsc(&place.server, &["status", &id]).run().await.well().stdout;
    assert!(text.contains("the server keeps binlogs for 2s, and may purge"), "{text}");
    place.run("SET GLOBAL binlog_expire_logs_auto_purge = OFF").await;
    assert_eq!(place.status(&id).await["binlogs_short"], Value::Null);
    place.json(&["revert", &id]).await.well();
    place.json(&["complete", &id]).await.well();
    place.run("SET GLOBAL binlog_expire_logs_auto_purge = ON").await;
    let done = place.migrate().await;
    let notes: Vec<Value> = done.lines().into_iter().filter(|line| line["event"] == "note").collect();
    assert!(notes[0]["text"].as_str().unwrap().contains("less than the revert window of 1day"), "{notes:?}");
}

#[tokio::test]
async fn a_pause_that_outlasts_the_retention_is_warned_of() {
    let mut place = Place::new().await;
    let migrate =
        ["--output", "json", "migrate", "--database", "d", "--table", "t", "--alter", "ADD COLUMN b int"];
    let mut staying = rsc(&place.server, &[&migrate[..], &["--agent", "stay"]].concat()).start();
    staying.says("\"revertible\"").await;
    let started: Value = serde_json::from_str(staying.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].to_string();
    place.json(&["pause", &id]).await.well();
    place.run("SET GLOBAL binlog_expire_logs_seconds = 4").await;
    staying.says("binlogs_short").await;
    place.json(&["resume", &id]).await.well();
    place.json(&["complete", &id]).await.well();
    staying.ended().await.well();
}

#[tokio::test]
async fn a_stream_whose_binlogs_were_purged_is_severed_in_those_words() {
    const GONE: &str = "the server has purged binlogs that the stream still needed";
    let mut place = Place::new().await;
    let id = place.migrate().await.last_line()["id"].to_string();
    place.run("INSERT INTO t VALUES (3, 3, 3)").await;
    place.purge().await;
    let impossible = format!("impossible: {GONE}");
    assert_eq!(place.status(&id).await["verdict"]["text"], impossible);
    let ended = place.json(&["revert", &id]).await;
    assert_eq!(ended.code, 6, "{ended:#?}");
    let reason = ended.last_line()["reasons"][0].clone();
    assert_eq!(reason["what"], GONE);
    assert!(reason["state"].as_str().unwrap().contains("no way to the other schema any more"), "{reason}");
    let status = place.status(&id).await;
    assert_eq!((&status["verdict"]["text"], &status["reason"]), (&impossible.into(), &GONE.into()));
    place.json(&["complete", &id]).await.well();
    let rows: Vec<(i32, i32)> = place.conn.query("SELECT id, a FROM t").await.unwrap();
    assert_eq!(rows, [(1, 1), (2, 2), (3, 3)]);
}
