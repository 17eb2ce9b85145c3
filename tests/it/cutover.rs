//! A postponed cut-over: copied, kept current, and swapped when the operator says so; whoever keeps it, or nobody.

use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::support::process::{Running, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

const ROWS: u64 = 2_000;

async fn table() -> Table {
    let mut table = Table::create("id int PRIMARY KEY, a int, title int").await;
    table.fill("id, a, title", "i, i, i", ROWS).await;
    table
}

fn postponed(table: &Table, more: &[&str]) -> Running {
    let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    let alter = ["--alter", "DROP COLUMN title", "--postpone-cutover"];
    rsc(shared(), &[&arguments[..], &alter, more].concat()).start()
}

fn id(running: &Running) -> u64 {
    let started: serde_json::Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    started["id"].as_u64().unwrap()
}

/// The application goes on while nothing is swapped.
async fn write(table: &mut Table) {
    table.run("UPDATE t SET a = -a WHERE id % 2 = 0").await;
    table.run("DELETE FROM t WHERE id % 10 = 0").await;
    table.run("UPDATE t SET id = id + 1000000 WHERE id % 10 = 1").await;
}

/// After [`write`], in the new schema and then, taken back, in the old one.
async fn nothing_is_lost(table: &mut Table, id: u64) {
    let right = "SELECT COUNT(*), SUM(id % 1000000 * IF(id % 2 = 0, -1, 1) = a), SUM(id > 1000000) FROM t";
    let expected = [(ROWS * 9 / 10, ROWS * 9 / 10, ROWS / 10)];
    assert_eq!(table.all::<(u64, u64, u64)>(right).await, expected);
    table.asked("revert", id).await;
    assert_eq!(table.all::<(u64, u64, u64)>(right).await, expected);
    assert_eq!(table.all::<u64>("SELECT SUM(title = id % 1000000) FROM t").await, [ROWS * 9 / 10]);
}

#[tokio::test]
async fn a_postponed_change_that_nobody_keeps_is_swapped_by_cutover() {
    let mut table = table().await;
    let migrated = postponed(&table, &[]).ended().await.well();
    assert_eq!(migrated.last_line()["state"], "ready", "{migrated:#?}");
    assert!(migrated.stdout.contains("keeps binlogs for"), "{migrated:#?}");
    let id = migrated.last_line()["id"].as_u64().unwrap();
    assert_eq!(table.tables().await, [format!("_rsc{id}_t_new"), "t".into()]);

    let status = table.ask("status", id).await.well().last_line();
    assert_eq!((&status["state"], &status["serving"]), (&"ready".into(), &"old".into()), "{status:#}");
    assert_eq!(status["postpone_cutover"], true);
    assert_eq!(status["next"], json!([format!("rsc cutover {id}"), format!("rsc cancel {id}")]));
    let id_text = id.to_string();
    let shown = rsc(shared(), &["status", &id_text]).run().await.well().stdout;
    assert!(shown.contains(": ready") && shown.contains(&format!("rsc cutover {id}")), "{shown}");
    for (verb, code) in [("revert", 6), ("reapply", 6), ("complete", 3)] {
        let refused = table.ask(verb, id).await;
        assert_eq!(refused.code, code, "{verb}: {refused:#?}");
        assert!(refused.stdout.contains("still ready"), "{verb}: {refused:#?}");
    }
    // Neither going on nor a pause and its end swaps what was postponed.
    for verb in ["pause", "resume"] {
        table.asked(verb, id).await;
    }
    let resumed = rsc(shared(), &["--output", "json", "migrate", "--resume", &id_text]).run().await.well();
    assert_eq!(resumed.last_line()["state"], "ready");

    write(&mut table).await;
    let swapped = table.ask("cutover", id).await.well();
    assert_eq!(swapped.last_line()["state"], "revertible", "{swapped:#?}");
    // What is so already is no error; what has gone on is refused.
    table.asked("cutover", id).await;
    nothing_is_lost(&mut table, id).await;
    let refused = table.ask("cutover", id).await;
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert!(refused.stdout.contains("rsc reapply"), "{refused:#?}");
    table.asked("complete", id).await;
    assert_eq!(table.ask("cutover", id).await.code, 3);
}

#[tokio::test]
async fn the_process_that_stays_swaps_when_it_is_asked_and_goes_on() {
    let mut table = table().await;
    let mut owner = postponed(&table, &["--agent", "stay"]);
    owner.says("\"ready\"").await;
    let id = id(&owner);
    write(&mut table).await;
    let asked = table.ask("cutover", id).await.well();
    assert_eq!(asked.last_line()["state"], "revertible");
    assert!(!asked.stdout.contains("\"swapped\""), "the owner does it, not the command: {asked:#?}");
    assert!(owner.stdout().contains("\"swapped\""));
    nothing_is_lost(&mut table, id).await;
    table.asked("complete", id).await;
    owner.ended().await.well();
}

#[tokio::test]
async fn when_the_process_that_kept_it_is_dead_cutover_does_it_itself() {
    let mut table = table().await;
    let mut owner = postponed(&table, &["--agent", "stay"]);
    owner.says("\"ready\"").await;
    let id = id(&owner);
    drop(owner);
    write(&mut table).await;
    // The server lets the connections of the dead one go a moment later; until then it seems to live.
    table.asked("cutover", id).await;
    nothing_is_lost(&mut table, id).await;
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_postponed_change_can_be_given_up() {
    let mut table = table().await;
    let id = postponed(&table, &[]).ended().await.well().last_line()["id"].as_u64().unwrap();
    let second = table.migrate("ADD COLUMN b int", &[]).await;
    assert_eq!(second.code, 3, "{second:#?}");
    assert!(second.stdout.contains(&format!("rsc cutover {id}")), "{second:#?}");
    table.asked("cancel", id).await;
    assert_eq!(table.tables().await, ["t"]);
    assert_eq!(table.ask("cutover", id).await.code, 3);
}

#[tokio::test]
async fn a_change_that_is_not_ready_is_not_swapped() {
    let mut table = table().await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    // Swapped by itself: there is nothing to do.
    table.asked("cutover", id).await;
    table.asked("complete", id).await;
    table.run("CREATE TABLE hold (stop int); INSERT INTO hold VALUES (1)").await;
    let held = format!("SELECT stop FROM {}.hold", table.schema);
    let mut copying = postponed(&table, &["--throttle-query", &held]);
    copying.says("the throttle query answers 1").await;
    let id = self::id(&copying);
    let refused = table.ask("cutover", id).await;
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert!(refused.stdout.contains("not ready to be swapped"), "{refused:#?}");
    table.run("UPDATE hold SET stop = 0").await;
    assert_eq!(copying.ended().await.well().last_line()["state"], "ready");
    table.asked("cancel", id).await;
}

/// A row that the new schema cannot hold ends the change, as it would have before.
#[tokio::test]
async fn what_does_not_fit_while_it_waits_ends_the_change_with_the_live_table_untouched() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 1)").await;
    let arguments = ["--postpone-cutover", "--agent", "stay"];
    let alter = ["--database", &table.schema, "--table", "t", "--alter", "ADD UNIQUE KEY (a)"];
    let mut owner =
        rsc(shared(), &[&["--output", "json", "migrate"], &alter[..], &arguments].concat()).start();
    owner.says("\"ready\"").await;
    table.run("INSERT INTO t VALUES (2, 1)").await;
    let ended = owner.ended().await;
    assert_eq!(ended.code, 4, "{ended:#?}");
    assert!(ended.stdout.contains("Duplicate entry"), "{ended:#?}");
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_handed_what_is_ready_and_swaps_it_when_it_is_asked() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1, 1), (2, 2)").await.unwrap();
    let agent = rsc(&server, &["agent", "--until-idle"]).start();
    let alter = ["migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title"];
    let more = ["--postpone-cutover", "--agent", "auto"];
    let migrated = rsc(&server, &[&alter[..], &more].concat()).env("HOME", "/nowhere").run().await.well();
    assert!(migrated.stdout.contains("an agent keeps the other table current"), "{migrated:#?}");
    assert!(migrated.stdout.contains("to swap the tables, `rsc cutover 1`"), "{migrated:#?}");
    conn.query_drop("INSERT INTO d.t VALUES (3, 3); DELETE FROM d.t WHERE id = 1").await.unwrap();
    let asked = rsc(&server, &["--output", "json", "cutover", "1"]).run().await.well();
    assert!(!asked.stdout.contains("\"started\""), "the agent does it, not the command: {asked:#?}");
    assert_eq!(asked.last_line()["state"], "revertible");
    let rows: Vec<i32> = conn.query("SELECT id FROM d.t ORDER BY id").await.unwrap();
    assert_eq!(rows, [2, 3]);
    rsc(&server, &["complete", "1"]).run().await.well();
    agent.ended().await.well();
}
