//! The past that a position stands for is not always the server's past: whatever happens to the history, no row is lost
//! with exit 0, and nothing waits for ever.
//!
//! Each test is a line of a table: what happens to the history of a server, while an agent is about or nobody
//! is, to a change before its first swap, one that is revertible and one that is reverted.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::support::process::{Ended, Running, rsc};
use crate::support::server::{Options, Server};

/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    server: Server,
    conn: Conn,
}

/// The tables, each with a change: its number is the place in the list.
const TABLES: [&str; 3] = ["ready", "revertible", "reverted"];

impl Place {
    async fn new(options: Options) -> Self {
        let server = Server::start(options).unwrap();
        let conn = server.conn().await.unwrap();
        let mut place = Self { server, conn };
        place.run("CREATE DATABASE d").await;
        for table in TABLES {
            place.table(table).await;
        }
        place
    }

    async fn table(&mut self, table: &str) {
        self.run(&format!("CREATE TABLE d.{table} (id int PRIMARY KEY, a int, b int)")).await;
        self.run(&format!("INSERT INTO d.{table} VALUES (1, 1, 1), (2, 2, 2)")).await;
    }

    /// A change before its first swap, one after it, and one that was taken back.
    async fn changed(options: Options) -> Self {
        let place = Self::new(options).await;
        place.migrate("ready", &["--postpone-cutover"]).await;
        place.migrate("revertible", &[]).await;
        place.migrate("reverted", &[]).await;
        place.ask(&["revert", "3"]).await.well();
        place
    }

    async fn migrate(&self, table: &str, more: &[&str]) -> Ended {
        let arguments =
            ["migrate", "--database", "d", "--table", table, "--alter", "DROP COLUMN b", "--agent", "none"];
        self.ask(&[&arguments[..], more].concat()).await.well()
    }

    async fn ask(&self, arguments: &[&str]) -> Ended {
        let asked = rsc(&self.server, &[&["--output", "json"], arguments].concat()).run();
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{arguments:?} hangs"))
    }

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn one(&mut self, sql: &str) -> String {
        let found: Option<String> = self.conn.query_first(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        found.unwrap_or_default()
    }

    async fn again(&mut self) {
        self.conn = self.server.conn().await.unwrap();
    }

    /// The row that is at stake.
    async fn write(&mut self) {
        for table in TABLES {
            self.run(&format!("INSERT INTO d.{table} (id, a) VALUES (3, 3)")).await;
        }
    }

    async fn has_row(&mut self, table: &str) -> bool {
        self.one(&format!("SELECT COUNT(*) FROM d.{table} WHERE id = 3 AND a = 3")).await == "1"
    }

    async fn columns(&mut self, table: &str) -> String {
        let columns = format!(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = '{table}'"
        );
        self.one(&columns).await
    }

    async fn verdict(&self, id: &str) -> String {
        let status = self.ask(&["status", id]).await.well().last_line();
        status["verdict"]["text"].as_str().unwrap().to_owned()
    }

    /// Whatever is asked for is refused, for a reason with these words; and the live tables are as they were.
    async fn is_severed(&mut self, words: &str) {
        for (id, verb, table) in [("2", "revert", "revertible"), ("3", "reapply", "reverted")] {
            let verdict = self.verdict(id).await;
            assert!(verdict.contains("blocked") || verdict.contains("impossible"), "{table}: {verdict}");
            assert!(verdict.contains(words), "{table}: {verdict}");
            let verified = self.ask(&["verify", id]).await;
            assert!([3, 5].contains(&verified.code), "{table}: {verified:#?}");
            let columns = self.columns(table).await;
            let ended = self.ask(&[verb, id]).await;
            assert_eq!(ended.code, 6, "{table}: {ended:#?}");
            let what = ended.last_line()["reasons"][0]["what"].to_string();
            assert!(what.contains(words), "{table}: {what}");
            assert_eq!(self.columns(table).await, columns, "{table}");
            assert!(self.has_row(table).await, "{table}");
        }
        let ended = self.ask(&["cutover", "1"]).await;
        assert_ne!(ended.code, 0, "{ended:#?}");
        assert_eq!(self.columns("ready").await, "3");
        assert!(self.has_row("ready").await);
        for id in ["2", "3"] {
            self.ask(&["complete", id]).await.well();
        }
    }

    async fn reset(&mut self) {
        let sql = match self.server.version().starts_with("8.0") {
            true => "RESET MASTER",
            false => "RESET BINARY LOGS AND GTIDS",
        };
        self.run(sql).await;
    }

    /// Transactions until the server counts as many as before, and `more`.
    async fn refill(&mut self, counted: u64, more: u64) {
        self.run("CREATE TABLE IF NOT EXISTS d.filler (id int AUTO_INCREMENT PRIMARY KEY)").await;
        while self.counted().await < counted + more {
            self.run("INSERT INTO d.filler VALUES ()").await;
        }
    }

    async fn counted(&mut self) -> u64 {
        let set = self.one("SELECT @@GLOBAL.gtid_executed").await;
        set.rsplit(['-', ':']).next().and_then(|last| last.trim().parse().ok()).unwrap_or(0)
    }

    async fn agent(&self) -> Running {
        let mut agent = rsc(&self.server, &["--output", "json", "agent"]).start();
        for id in ["2", "3"] {
            agent.says(&format!("\"id\":{id}")).await;
        }
        for id in ["1", "2", "3"] {
            while self.ask(&["status", id]).await.well().last_line()["owner"] == Value::Null {
                sleep(Duration::from_millis(100)).await;
            }
        }
        agent
    }
}

const ANEW: &str = "begun anew";

#[tokio::test]
async fn a_reset_that_leaves_a_shorter_history() {
    let mut place = Place::changed(Options::default()).await;
    place.reset().await;
    place.write().await;
    place.is_severed(ANEW).await;
}

#[tokio::test]
async fn a_reset_that_is_filled_up_to_the_same_length() {
    let mut place = Place::changed(Options::default()).await;
    let counted = place.counted().await;
    place.reset().await;
    place.write().await;
    place.refill(counted, 0).await;
    place.is_severed(ANEW).await;
}

#[tokio::test]
async fn a_reset_that_is_filled_up_further() {
    let mut place = Place::changed(Options::default()).await;
    let counted = place.counted().await;
    place.reset().await;
    place.write().await;
    place.refill(counted, 20).await;
    place.is_severed(ANEW).await;
}

#[tokio::test]
async fn a_reset_under_an_agent() {
    for more in [None, Some(5)] {
        let mut place = Place::changed(Options::default()).await;
        let agent = place.agent().await;
        let counted = place.counted().await;
        place.reset().await;
        place.write().await;
        if let Some(more) = more {
            place.refill(counted, more).await;
        }
        // An agent that looks before all is filled up meets what was added first.
        let is_told = |verdict: &str| verdict.contains(ANEW) || verdict.contains("by hand");
        for id in ["2", "3"] {
            let started = Instant::now();
            while !is_told(&place.verdict(id).await) {
                assert!(started.elapsed() < Duration::from_secs(120), "{}", place.verdict(id).await);
                sleep(Duration::from_millis(200)).await;
            }
        }
        for (id, verb, table) in [("2", "revert", "revertible"), ("3", "reapply", "reverted")] {
            let ended = place.ask(&[verb, id]).await;
            assert_eq!(ended.code, 6, "{ended:#?}");
            assert!(place.has_row(table).await);
        }
        let ended = place.ask(&["cutover", "1"]).await;
        assert_ne!(ended.code, 0, "{ended:#?}");
        assert!(place.has_row("ready").await);
        drop(agent);
    }
}

/// As when a server is rebuilt from a dump.
#[tokio::test]
async fn a_history_that_was_restored_by_gtid_purged() {
    let mut place = Place::changed(Options::default()).await;
    let before = place.one("SELECT @@GLOBAL.gtid_executed").await;
    place.reset().await;
    place.run(&format!("SET GLOBAL gtid_purged = '{before}'")).await;
    place.write().await;
    place.is_severed("purged binlogs").await;
}

#[tokio::test]
async fn transactions_that_were_added_to_gtid_purged() {
    const BY_HAND: &str = "SET GLOBAL gtid_purged = '+5c2f1e0a-0000-4000-8000-00000000abcd:1-3'";
    let mut place = Place::changed(Options::default()).await;
    place.run(BY_HAND).await;
    place.write().await;
    place.is_severed("purged binlogs").await;

    let mut place = Place::changed(Options::default()).await;
    let agent = place.agent().await;
    place.run(BY_HAND).await;
    place.write().await;
    let ended = place.ask(&["revert", "2"]).await;
    assert_eq!(ended.code, 6, "{ended:#?}");
    assert!(ended.stdout.contains("gtid_purged"), "{ended:#?}");
    assert!(place.has_row("revertible").await);
    drop(agent);
}

#[tokio::test]
async fn rows_written_while_the_server_ran_without_its_binlog() {
    let mut place = Place::changed(Options::default()).await;
    place.server.restart_with(&["--skip-log-bin"]).unwrap();
    place.again().await;
    place.write().await;
    assert!(place.verdict("2").await.contains("log_bin is OFF"));
    place.server.restart().unwrap();
    place.again().await;
    assert!(place.verdict("2").await.contains("compared before a swap"));
    for (id, verb, table) in [("2", "revert", "revertible"), ("3", "reapply", "reverted")] {
        for _ in 0..2 {
            let ended = place.ask(&[verb, id]).await;
            assert_eq!(ended.code, 6, "{table}: {ended:#?}");
            assert!(ended.stdout.contains("(3) is missing"), "{ended:#?}");
            assert!(place.has_row(table).await, "{table}");
        }
        let repaired = place.ask(&["verify", id, "--repair"]).await;
        assert_eq!(repaired.code, 0, "{repaired:#?}");
        place.ask(&[verb, id]).await.well();
        assert!(place.has_row(table).await, "{table}");
    }
    // Before the first swap the row is copied after all.
    place.ask(&["cutover", "1"]).await.well();
    assert_eq!(place.columns("ready").await, "2");
    assert!(place.has_row("ready").await);
}

#[tokio::test]
async fn an_agent_that_meets_a_server_without_its_binlog() {
    let mut place = Place::changed(Options::default()).await;
    let agent = place.agent().await;
    place.server.restart_with(&["--skip-log-bin"]).unwrap();
    place.again().await;
    place.write().await;
    for id in ["2", "3"] {
        while !place.verdict(id).await.contains("log_bin is OFF") {
            sleep(Duration::from_millis(200)).await;
        }
        let recorded = format!("SELECT COALESCE(severed, '') FROM _rsc.stream_{id}");
        while !place.one(&recorded).await.contains("log_bin is OFF") {
            sleep(Duration::from_millis(200)).await;
        }
    }
    place.server.restart().unwrap();
    place.again().await;
    drop(agent);
    place.is_severed("log_bin is OFF").await;
}

/// What happens every day stays cheap.
#[tokio::test]
async fn an_ordinary_restart_costs_no_comparison() {
    let mut place = Place::changed(Options::default()).await;
    place.server.restart().unwrap();
    place.again().await;
    place.write().await;
    place.ask(&["revert", "2"]).await.well();
    place.ask(&["reapply", "3"]).await.well();
    place.server.kill().unwrap();
    place.server.restart().unwrap();
    place.again().await;
    place.ask(&["reapply", "2"]).await.well();
    place.ask(&["revert", "3"]).await.well();
    for (id, table) in [("2", "revertible"), ("3", "reverted")] {
        assert!(place.has_row(table).await);
        // The one before the first swap.
        let verified = format!("SELECT COUNT(*) FROM _rsc.verify WHERE change_id = {id}");
        assert_eq!(place.one(&verified).await, "1", "{table}");
    }
}

#[tokio::test]
async fn a_server_with_another_uuid_is_another_server() {
    let mut place = Place::changed(Options::default()).await;
    std::fs::remove_file(place.server.data_directory().join("auto.cnf")).unwrap();
    place.server.restart().unwrap();
    place.again().await;
    place.write().await;
    assert!(place.verdict("2").await.contains("another server"));
    place.ask(&["revert", "2"]).await.well();
    assert!(place.has_row("revertible").await);
    let verified = "SELECT COUNT(*) FROM _rsc.verify WHERE change_id = 2";
    assert_eq!(place.one(verified).await, "2");
}

/// Its XA PREPARE is older than the change, its rows are visible after its XA COMMIT, which has none.
#[tokio::test]
async fn a_prepared_xa_transaction_is_waited_for_by_name() {
    let mut place = Place::new(Options::default()).await;
    let mut other = place.server.conn().await.unwrap();
    for sql in ["XA START 'x'", "INSERT INTO d.ready VALUES (3, 3, 3)", "XA END 'x'", "XA PREPARE 'x'"] {
        other.query_drop(sql).await.unwrap();
    }
    drop(other);
    let plan =
        place.ask(&["plan", "--database", "d", "--table", "ready", "--alter", "DROP COLUMN b"]).await.well();
    assert!(plan.stdout.contains("prepared XA transaction"), "{plan:#?}");
    let arguments =
        ["migrate", "--database", "d", "--table", "ready", "--alter", "DROP COLUMN b", "--agent", "none"];
    let mut running = rsc(&place.server, &[&["--output", "json"], &arguments[..]].concat()).start();
    running.says("prepared XA transaction").await;
    // Also while the server is another process.
    place.server.kill().unwrap();
    place.server.restart().unwrap();
    place.again().await;
    place.run("XA COMMIT 'x'").await;
    timeout(PATIENCE, running.ended()).await.unwrap().well();
    assert_eq!(place.columns("ready").await, "2");
    assert!(place.has_row("ready").await);
}

/// As where neither XA RECOVER nor the metadata locks can be seen: it is noticed by its XA COMMIT.
#[tokio::test]
async fn a_prepared_xa_transaction_that_nobody_saw_is_repaired() {
    let hidden = "--performance-schema-instrument=wait/lock/metadata/sql/mdl=OFF";
    let mut place = Place::new(Options::default().with(hidden)).await;
    let mut other = place.server.conn().await.unwrap();
    for sql in ["XA START 'x'", "INSERT INTO d.ready VALUES (3, 3, 3)", "XA END 'x'", "XA PREPARE 'x'"] {
        other.query_drop(sql).await.unwrap();
    }
    drop(other);
    let arguments = [
        "migrate",
        "--database",
        "d",
        "--table",
        "ready",
        "--alter",
        "DROP COLUMN b",
        "--agent",
        "none",
        "--no-verify",
    ];
    let mut running = rsc(&place.server, &[&["--output", "json"], &arguments[..]].concat()).start();
    running.says("swap_missed").await;
    place.run("XA COMMIT 'x'").await;
    timeout(PATIENCE, running.ended()).await.unwrap().well();
    assert_eq!(place.columns("ready").await, "2");
    assert!(place.has_row("ready").await);
}

/// The binlog has a statement's bytes as its client sent them.
#[tokio::test]
async fn a_table_is_recognized_in_every_character_set() {
    let mut place = Place::new(Options::default()).await;
    for (id, (name, charset, bytes)) in [
        ("tabl\u{e9}", "latin1", &b"tabl\xe9"[..]),
        ("\u{8868}", "sjis", b"\x95\x5c"),
        ("\u{8868}x", "gbk", b"\xb1\xedx"),
        ("\u{df}", "utf8mb4", "\u{df}".as_bytes()),
        ("\u{416}", "cp1251", b"\xc6"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = (id + 1).to_string();
        place.table(&format!("`{name}`")).await;
        place.migrate(name, &["--postpone-cutover"]).await;
        place.run(&format!("SET character_set_client = {charset}")).await;
        let truncate = [&b"TRUNCATE TABLE d.`"[..], bytes, b"`"].concat();
        place.conn.query_drop(truncate).await.unwrap();
        place.run("SET character_set_client = utf8mb4").await;
        place.ask(&["cutover", &id]).await.well();
        assert_eq!(place.one(&format!("SELECT COUNT(*) FROM d.`{name}`")).await, "0", "{name}");
        place.ask(&["complete", &id]).await.well();
    }
}

#[tokio::test]
async fn checksums_may_be_off_or_change_at_any_time() {
    let mut place = Place::changed(Options::default().with("--binlog-checksum=NONE")).await;
    place.write().await;
    place.ask(&["revert", "2"]).await.well();
    assert!(place.has_row("revertible").await);
    let agent = place.agent().await;
    for (n, checksum) in ["CRC32", "NONE", "CRC32"].into_iter().enumerate() {
        place.run(&format!("SET GLOBAL binlog_checksum = {checksum}")).await;
        place.run("SET SESSION binlog_transaction_compression = ON").await;
        place.run(&format!("INSERT INTO d.revertible (id, a) VALUES ({}, 0)", n + 10)).await;
        place.run("SET SESSION binlog_transaction_compression = OFF").await;
        place.run(&format!("INSERT INTO d.revertible (id, a) VALUES ({}, 0)", n + 20)).await;
        place.run("FLUSH BINARY LOGS").await;
    }
    place.ask(&["reapply", "2"]).await.well();
    assert_eq!(place.one("SELECT COUNT(*) FROM d.revertible").await, "9");
    drop(agent);
}
