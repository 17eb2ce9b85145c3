//! `--strategy instant`: the server changes the table itself, and `revert --compensate` is a change of its own.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use crate::support::process::{Ended, rsc};
use crate::support::shared;
use crate::support::table::Table;

const INSTANT: [&str; 2] = ["--strategy", "instant"];

async fn table() -> Table {
    let mut table =
        Table::create("id int PRIMARY KEY, a int NOT NULL DEFAULT 1, title varchar(20) COMMENT 'it''s'")
            .await;
    table.fill("id, a, title", "i, i, CONCAT('t', i)", 100).await;
    table
}

async fn create(table: &mut Table) -> String {
    let (_, create): (String, String) = table.conn.query_first("SHOW CREATE TABLE t").await.unwrap().unwrap();
    create
}

async fn compensated(id: u64) -> Ended {
    rsc(shared(), &["--output", "json", "revert", &id.to_string(), "--compensate"]).run().await
}

#[tokio::test]
async fn the_server_changes_the_table_and_another_change_undoes_it() {
    for (clauses, loses) in [
        ("ADD COLUMN b int DEFAULT 7", "what was written to column b"),
        ("DROP COLUMN title", "what column title held"),
        ("RENAME COLUMN title TO name", ""),
        ("ALTER COLUMN a SET DEFAULT 9", ""),
        ("ADD COLUMN b int FIRST, ADD COLUMN c int AFTER a, DROP COLUMN title", "column c"),
    ] {
        let mut table = table().await;
        let before = create(&mut table).await;
        let done = table.migrate(clauses, &INSTANT).await.well().last_line();
        assert_eq!((&done["state"], &done["serving"]), (&"completed".into(), &"new".into()), "{clauses}");
        assert_ne!(create(&mut table).await, before, "{clauses}");
        assert_eq!(table.tables().await, ["t"], "{clauses}: nothing is left behind");
        table.run("INSERT INTO t (id) VALUES (1000)").await;

        let id = done["id"].as_u64().unwrap();
        let refused = table.ask("revert", id).await;
        assert_eq!(refused.code, 6, "{clauses}: {refused:#?}");
        for part in ["--compensate` runs as an online change: ALTER TABLE", loses] {
            assert!(refused.stdout.contains(part), "{clauses}: no {part:?}: {refused:#?}");
        }
        assert_eq!(table.ask("reapply", id).await.code, 6);
        let status = table.ask("status", id).await.well().last_line();
        assert_eq!(status["next"], serde_json::json!([format!("rsc revert {id} --compensate")]));
        assert!(
            status["verdict"]["text"].as_str().unwrap().contains("changed the table itself"),
            "{status:#}"
        );

        let back = compensated(id).await.well();
        assert!(back.stdout.contains(loses), "{clauses}: {back:#?}");
        assert_eq!(create(&mut table).await, before, "{clauses}");
        assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM t").await, [101]);
        let again = compensated(id).await;
        assert!(again.code == 6 && again.stdout.contains("not as change"), "{again:#?}");
        // The other change keeps its old table, as any other.
        let other = back.last_line()["id"].as_u64().unwrap();
        table.asked("revert", other).await;
        assert_ne!(create(&mut table).await, before, "{clauses}");
        assert_eq!(compensated(other).await.code, 6);
    }
}

#[tokio::test]
async fn what_the_server_does_not_do_at_once_is_refused_in_its_words() {
    let mut table = table().await;
    let before = create(&mut table).await;
    for clauses in ["ADD KEY by_a (a)", "MODIFY a bigint NOT NULL DEFAULT 1", "FORCE"] {
        let refused = table.migrate(clauses, &INSTANT).await;
        assert_eq!(refused.code, 3, "{clauses}: {refused:#?}");
        assert!(refused.stdout.contains("ALGORITHM=INSTANT is not supported"), "{clauses}: {refused:#?}");
    }
    let refused = table.migrate("ADD b int", &["--strategy", "instant", "--postpone-cutover"]).await;
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert_eq!((create(&mut table).await, table.tables().await), (before, vec!["t".to_owned()]));
}

/// Writers behind the statement wait as long as it does, so it gives up soon, and tries again.
#[tokio::test]
async fn a_long_transaction_is_named_and_outlived() {
    let mut table = table().await;
    let mut holder = shared().conn().await.unwrap();
    holder.query_drop(format!("BEGIN; SELECT * FROM {}.t", table.schema)).await.unwrap();
    let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter"];
    let more = ["ADD b int", "--strategy", "instant", "--cutover-lock-timeout", "1s"];
    let mut running = rsc(shared(), &[&arguments[..], &more].concat()).start();
    running.says("\"swap_missed\"").await;
    table.run("UPDATE t SET a = a + 1").await;
    let id =
        serde_json::from_str::<serde_json::Value>(running.stdout().lines().next().unwrap()).unwrap()["id"]
            .as_u64()
            .unwrap();
    // Whoever drives it answers.
    table.asked("pause", id).await;
    table.asked("resume", id).await;
    holder.query_drop("COMMIT").await.unwrap();
    let done = running.ended().await.well();
    assert!(done.stdout.contains("\"blockers\":[{"), "{done:#?}");
    assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM t WHERE b IS NULL").await, [100]);
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn whatever_dies_the_definition_tells_what_happened() {
    for (fault, changed) in [
        ("in_place.alter.before:kill", false),
        ("in_place.alter.after:kill", true),
        ("in_place.alter.before:cut", true),
        ("in_place.alter.after:cut", true),
        ("in_place.alter.after:lost", true),
        ("in_place.share.after:kill", false),
    ] {
        for verb in ["resume", "cancel"] {
            let mut table = table().await;
            let before = create(&mut table).await;
            let arguments = [
                "--output",
                "json",
                "migrate",
                "--database",
                &table.schema,
                "--table",
                "t",
                "--alter",
                "ADD b int",
            ];
            let struck =
                rsc(shared(), &[&arguments[..], &INSTANT].concat()).env("RSC_FAULT", fault).run().await;
            let id = struck.lines()[0]["id"].as_u64().unwrap();
            assert_eq!(create(&mut table).await != before, changed, "{fault}: {struck:#?}");
            // A killed process' connections are let go of a little later.
            let gone = format!("SELECT IS_USED_LOCK('rsc.change.{id}') IS NULL");
            while table.all::<u64>(&gone).await == [0] {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let text = id.to_string();
            let ended = match verb {
                "resume" => rsc(shared(), &["--output", "json", "migrate", "--resume", &text]).run().await,
                _ => table.ask("cancel", id).await,
            };
            let status = table.ask("status", id).await.well().last_line();
            let state = if changed || verb == "resume" { "completed" } else { "cancelled" };
            assert_eq!(status["state"], state, "{fault}, {verb}: {ended:#?}");
            assert_eq!(create(&mut table).await != before, state == "completed", "{fault}, {verb}");
        }
    }
}
