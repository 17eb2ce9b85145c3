//! Nothing of a change is where it was begun: whoever has its number, an account and the documented grants takes it back
//! from anywhere, also when every process that knew of it is dead.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rsc::schema::table::TableName;
use tokio::time::sleep;

use crate::support::process::{Ended, bare, rsc};
use crate::support::server::account::{Account, as_documented};
use crate::support::server::{Options, Server};
use crate::support::writers::{Column, Plan, Shape, Writers, compare};

async fn owner(conn: &mut Conn) -> Option<String> {
    conn.query_first("SELECT who FROM _rsc.owner WHERE IS_USED_LOCK('rsc.change.1') IS NOT NULL")
        .await
        .unwrap()
}

/// A machine with nothing but a configuration file.
struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn of(server: &Server, user: &str, password: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let profile = format!(
            "[profile.night]\nhost = '127.0.0.1'\nport = {}\nuser = '{user}'\npassword = '{password}'\n",
            server.port()
        );
        std::fs::write(home.path().join("rsc.toml"), profile).unwrap();
        Self { home }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        let home = self.home.path().to_str().unwrap();
        let config = format!("{home}/rsc.toml");
        let all = [&["--output", "json", "--profile", "night", "--config", &config], arguments].concat();
        bare(&all).env("HOME", home).env("XDG_STATE_HOME", home).env("USER", "operator").run().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_every_process_was_killed_is_reverted_from_another_machine() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d").await.unwrap();
    let table = TableName::new("d", "t");
    let payload = vec![Column::int("n"), Column::varchar("note", 40)];
    let mut plan = Plan::new(table.clone(), Shape::Signed, payload);
    plan.statements_per_s = Some(100.0);
    conn.query_drop(plan.create_table(&["title varchar(20) NOT NULL DEFAULT 'kept'"])).await.unwrap();
    let mut writers = Writers::start(server.opts(), plan).await.unwrap();
    let titles = "SELECT COUNT(*) FROM d.t WHERE title = 'kept'";

    let first = tempfile::tempdir().unwrap();
    let migrate = [
        "migrate",
        "--alter",
        "ALTER TABLE d.t ALTER title SET DEFAULT 'late', ADD b int",
        "--agent",
        "auto",
    ];
    let state = first.path().to_str().unwrap();
    let migrated = rsc(&server, &migrate).env("HOME", state).env("XDG_STATE_HOME", state).run().await.well();
    assert!(migrated.stdout.contains("started for it"), "{migrated:#?}");
    let before: u64 = conn.query_first(titles).await.unwrap().unwrap();
    assert!(before > 0);
    // `process 4711 on host`: the only one that is left, started by the one that has ended.
    let who = owner(&mut conn).await.unwrap();
    let agent = who.split_whitespace().nth(1).unwrap().to_owned();
    let killed = std::process::Command::new("/bin/sh").args(["-c", &format!("kill -9 {agent}")]).status();
    assert!(killed.unwrap().success());
    drop(first);
    let since = Instant::now();
    while owner(&mut conn).await.is_some() {
        assert!(since.elapsed() < Duration::from_secs(20), "the agent lives");
        sleep(Duration::from_millis(20)).await;
    }
    // Written with nobody there.
    sleep(Duration::from_millis(500)).await;

    for statement in as_documented(Account::Minimal, "'night'@'localhost'", "d") {
        conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    let other = Machine::of(&server, "night", "a good password");
    let status = other.run(&["status", "1"]).await.well().last_line();
    assert_eq!(status["verdict"]["verdict"], "catching_up", "{status:#}");
    let reverted = other.run(&["revert", "1"]).await.well();
    assert_eq!(reverted.last_line()["state"], "reverted", "{reverted:#?}");
    let paused = writers.pause().await;
    let differences = compare(&paused, &mut conn, &table).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
    assert!(writers.errors().is_empty(), "{:#?}", writers.errors());
    let columns: Vec<String> = conn
        .query("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 't' AND COLUMN_NAME = 'b'")
        .await
        .unwrap();
    assert_eq!(columns, Vec::<String>::new());
    writers.resume();
    other.run(&["reapply", "1"]).await.well();
    other.run(&["complete", "1"]).await.well();
    let finished = writers.finish().await;
    let differences = compare(&finished.models, &mut conn, &table).await.unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}
