//! An agent keeps what nobody else drives, answers for it, and ends tidily.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::server::{Options, Server};

/// A server of its own: an agent takes every change that it finds.
async fn server_with_rows() -> (Server, Conn) {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1, 1), (2, 2), (3, 3)").await.unwrap();
    (server, conn)
}

const MIGRATE: [&str; 7] =
    ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title", "--agent", "none"];

async fn owner(conn: &mut Conn) -> Option<String> {
    conn.query_first("SELECT who FROM _rsc.owner WHERE IS_USED_LOCK('rsc.change.1') IS NOT NULL")
        .await
        .unwrap()
}

async fn until_owned(conn: &mut Conn) -> String {
    let started = Instant::now();
    loop {
        match owner(conn).await {
            Some(owner) => return owner,
            None => assert!(started.elapsed() < Duration::from_secs(20), "nobody takes the change"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_up_what_nobody_drives_and_answers_for_it() {
    let (server, mut conn) = server_with_rows().await;
    rsc(&server, &MIGRATE).run().await.well();
    assert_eq!(owner(&mut conn).await, None);
    let agent = rsc(&server, &["agent", "--until-idle"]).start();
    until_owned(&mut conn).await;
    conn.query_drop("INSERT INTO d.t VALUES (4)").await.unwrap();
    for verb in ["revert", "reapply", "revert"] {
        let asked = rsc(&server, &["--output", "json", verb, "1"]).run().await.well();
        assert!(!asked.stdout.contains("\"started\""), "the agent does it, not the command: {asked:#?}");
    }
    let rows: Vec<(i32, Option<i32>)> = conn.query("SELECT * FROM d.t").await.unwrap();
    assert_eq!(rows, [(1, Some(1)), (2, Some(2)), (3, Some(3)), (4, None)]);
    rsc(&server, &["complete", "1"]).run().await.well();
    let ended = agent.ended().await.well();
    assert!(ended.stdout.contains("change 1: swapped: the old schema serves"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrate_with_no_agent_there_starts_one_that_outlives_it() {
    let (server, mut conn) = server_with_rows().await;
    let state = tempfile::tempdir().unwrap();
    let migrate = [&MIGRATE[..6], &["auto"]].concat();
    let command = rsc(&server, &migrate).env("XDG_STATE_HOME", state.path().to_str().unwrap());
    let migrated = command.run().await.well();
    assert!(migrated.stdout.contains("an agent keeps the other table current"), "{migrated:#?}");
    assert!(owner(&mut conn).await.is_some(), "the stream is kept after migrate has ended");
    let status = rsc(&server, &["--output", "json", "status", "1"]).run().await.well();
    assert_eq!(status.last_line()["verdict"]["verdict"], "ready");
    // A second change finds the agent, and does not start another.
    conn.query_drop("CREATE TABLE d.u (id int PRIMARY KEY, title int)").await.unwrap();
    let second =
        ["--output", "json", "migrate", "--alter", "ALTER TABLE d.u DROP COLUMN title", "--agent", "auto"];
    let second =
        rsc(&server, &second).env("XDG_STATE_HOME", state.path().to_str().unwrap()).run().await.well();
    assert!(!second.stdout.contains("started for it"), "{second:#?}");
    rsc(&server, &["revert", "1"]).run().await.well();
    for id in ["1", "2"] {
        rsc(&server, &["complete", id]).run().await.well();
    }
    let gone = "SELECT IS_USED_LOCK('rsc.agent') IS NULL";
    let started = Instant::now();
    while conn.query_first::<u8, _>(gone).await.unwrap() != Some(1) {
        assert!(started.elapsed() < Duration::from_secs(20), "the agent does not end when it is idle");
        sleep(Duration::from_millis(50)).await;
    }
    let log = std::fs::read_dir(state.path().join("rsc")).unwrap().next().unwrap().unwrap();
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("change 1: swapped"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_told_to_end_leaves_its_changes_free_for_the_next() {
    let (server, mut conn) = server_with_rows().await;
    rsc(&server, &MIGRATE).run().await.well();
    let agent = rsc(&server, &["agent"]).start();
    until_owned(&mut conn).await;
    agent.interrupt();
    agent.ended().await.well();
    assert_eq!(owner(&mut conn).await, None);
    // Two at once: the fence decides, and nobody is in the other's way.
    let agents = [rsc(&server, &["agent"]).start(), rsc(&server, &["agent"]).start()];
    until_owned(&mut conn).await;
    rsc(&server, &["revert", "1"]).run().await.well();
    rsc(&server, &["complete", "1"]).run().await.well();
    for agent in agents {
        agent.interrupt();
        agent.ended().await.well();
    }
}
