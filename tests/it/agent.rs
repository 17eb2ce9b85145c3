//! An agent keeps what nobody else drives, answers for it, and ends tidily.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::time::sleep;

use crate::support::process::{bare, rsc};
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

/// What this process has used of the processors so far, in clock ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_server_is_gone_waits_quietly_and_ends_at_once_when_it_is_told_to() {
    let (server, mut conn) = server_with_rows().await;
    rsc(&server, &MIGRATE).run().await.well();
    let agent = rsc(&server, &["agent"]).start();
    until_owned(&mut conn).await;
    server.kill().unwrap();
    let mut agent = agent;
    agent.says("cannot connect").await;
    let before = ticks(agent.pid());
    sleep(Duration::from_secs(6)).await;
    let used = ticks(agent.pid()) - before;
    assert!(used < 100, "{used} ticks of 10 ms in 6 s");
    let tellings = agent.stdout().lines().count();
    assert!(tellings < 30, "{}", agent.stdout());
    server.restart().unwrap();
    let mut conn = server.conn().await.unwrap();
    until_owned(&mut conn).await;
    rsc(&server, &["revert", "1"]).run().await.well();
    server.kill().unwrap();
    sleep(Duration::from_millis(500)).await;
    agent.signal("TERM");
    let told = Instant::now();
    agent.ended().await.well();
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_the_privileges_is_refused_with_the_statements_that_grant_them() {
    let (server, mut conn) = server_with_rows().await;
    rsc(&server, &MIGRATE).run().await.well();
    conn.query_drop("CREATE USER clerk@localhost; GRANT SELECT ON `_rsc`.* TO clerk@localhost")
        .await
        .unwrap();
    let port = server.port().to_string();
    let clerk = |arguments: &[&str]| {
        bare(&[&["--port", &port, "--user", "clerk", "--output", "json"], arguments].concat())
    };
    let refused = clerk(&["agent", "--until-idle"]).run().await;
    assert_eq!(refused.code, 3, "{refused:#?}");
    let next = refused.last_line()["reasons"][0]["next"].as_str().unwrap().to_owned();
    for statement in next.split("; ") {
        conn.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    // It may read the journal now, and the binlog; of the schema of the table it knows only by trying.
    let mut agent = clerk(&["agent"]).start();
    agent.says("GRANT SELECT, INSERT").await;
    let ended = agent.stdout();
    let ended: serde_json::Value =
        ended.lines().find(|line| line.contains("\"ended\"")).unwrap().parse().unwrap();
    let revert = clerk(&["revert", "1"]).run().await;
    assert_eq!(revert.code, 3, "{revert:#?}");
    assert!(revert.stdout.contains("GRANT SELECT, INSERT"), "{revert:#?}");
    let next = ended["reasons"][0]["next"].as_str().unwrap();
    for statement in next.split("; ") {
        conn.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    clerk(&["revert", "1"]).run().await.well();
    agent.interrupt();
    agent.ended().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_leaves_a_read_only_server_alone_until_it_is_promoted() {
    let (server, mut conn) = server_with_rows().await;
    rsc(&server, &MIGRATE).run().await.well();
    conn.query_drop("SET GLOBAL read_only = ON").await.unwrap();
    let mut agent = rsc(&server, &["agent"]).start();
    agent.says("the server is read-only").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(owner(&mut conn).await, None);
    conn.query_drop("SET GLOBAL read_only = OFF").await.unwrap();
    until_owned(&mut conn).await;
    assert!(agent.stdout().contains("can be used again"), "{}", agent.stdout());
    // And so when it becomes one while a change is kept.
    conn.query_drop("SET GLOBAL read_only = ON").await.unwrap();
    agent.says("has become read-only").await;
    conn.query_drop("SET GLOBAL read_only = OFF").await.unwrap();
    rsc(&server, &["revert", "1"]).run().await.well();
    agent.interrupt();
    agent.ended().await.well();
}
