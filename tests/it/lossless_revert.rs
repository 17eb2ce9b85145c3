//! What a revert would lose is never "nothing" before anybody has looked, is told when it happens, and can be refused.

use serde_json::Value;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

const WIDER: &str = "MODIFY name varchar(50) NOT NULL, DROP KEY u";

/// Values are cut, and, with `twice`, a row has no room: nobody follows the stream.
async fn written_unseen(twice: bool) -> (Table, u64) {
    let mut table =
        Table::create("id int PRIMARY KEY, name varchar(5) NOT NULL, u int, UNIQUE KEY u (u)").await;
    table.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)").await;
    let id = table.migrated(WIDER, &["--agent", "none"]).await;
    table.run("UPDATE t SET name = 'much too long' WHERE id = 1").await;
    if twice {
        table.run("INSERT INTO t VALUES (3, 'c', 2)").await;
    }
    (table, id)
}

async fn refusing(table: &Table, id: u64) -> Vec<Value> {
    let _ = table;
    let ended =
        rsc(shared(), &["--output", "json", "revert", &id.to_string(), "--refuse-losses"]).run().await;
    assert_eq!(ended.code, 6, "{ended:#?}");
    ended.lines()
}

#[tokio::test]
async fn losses_that_nobody_has_looked_at_are_not_nothing() {
    let (table, id) = written_unseen(false).await;
    let last = table.ask("losses", id).await.well().last_line();
    assert_eq!(last["lost_values"], 0);
    assert!(last["unseen"]["transactions"].as_u64().unwrap() > 0, "{last:#}");
    assert!(last["unseen"]["since"].is_string(), "{last:#}");
    let text = rsc(shared(), &["losses", &id.to_string()]).run().await.well().stdout;
    assert!(text.contains("nothing so far") && text.contains("not looked at since"), "{text}");
    assert!(text.contains(&format!("rsc verify {id}")), "{text}");
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!(status["verdict"]["verdict"], "catching_up");
    assert!(status["verdict"]["text"].as_str().unwrap().contains("not known"), "{status:#}");
    // What the text advises.
    table.asked("verify", id).await;
    assert_eq!(table.ask("losses", id).await.well().last_line()["lost_values"], 1);
}

#[tokio::test]
async fn a_revert_tells_what_it_loses() {
    let (mut table, id) = written_unseen(false).await;
    let lines = table.ask("revert", id).await.well().lines();
    let lost = lines.iter().find(|line| line["event"] == "lost").unwrap_or_else(|| panic!("{lines:#?}"));
    assert_eq!((&lost["lost_values"], &lost["parked_rows"]), (&1.into(), &0.into()));
    let named = lost["named"][0].as_str().unwrap();
    assert!(named.contains("much too long") && named.contains("(1)"), "{named}");
    let on_record: Vec<String> =
        table.all(&format!("SELECT kind FROM _rsc.event WHERE change_id = {id} AND kind = 'lost'")).await;
    assert_eq!(on_record.len(), 1);
}

#[tokio::test]
async fn a_revert_that_refuses_losses_names_them_and_changes_nothing() {
    for twice in [false, true] {
        let (mut table, id) = written_unseen(twice).await;
        let before: Vec<(i32, String)> = table.all("SELECT id, name FROM t ORDER BY id").await;
        let lines = refusing(&table, id).await;
        let what = lines.last().unwrap()["reasons"][0]["what"].as_str().unwrap().to_owned();
        assert!(what.contains("(1) name 'much too long' as 'much '"), "{what}");
        assert_eq!(what.contains("1 row not at all"), twice, "{what}");
        let after: Vec<(i32, String)> = table.all("SELECT id, name FROM t ORDER BY id").await;
        assert_eq!(after, before);
        assert_eq!(table.ask("status", id).await.well().last_line()["state"], "revertible");
        // Without losses it reverts, and another wish is not bound by the first one.
        table.run("UPDATE t SET name = 'fits' WHERE id = 1").await;
        table.run("DELETE FROM t WHERE id = 3").await;
        let again = ["--output", "json", "revert", &id.to_string(), "--refuse-losses"];
        rsc(shared(), &again).run().await.well();
        table.asked("reapply", id).await;
        table.run("UPDATE t SET name = 'much too long' WHERE id = 1").await;
        table.asked("revert", id).await;
    }
}

#[tokio::test]
async fn an_owner_refuses_losses_too_and_goes_on() {
    let mut table =
        Table::create("id int PRIMARY KEY, name varchar(5) NOT NULL, u int, UNIQUE KEY u (u)").await;
    table.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)").await;
    let words =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", WIDER];
    let mut keeper = rsc(shared(), &[&words[..], &["--agent", "stay"]].concat()).start();
    keeper.says("\"state\":\"revertible\"").await;
    let newest = format!("SELECT MAX(id) FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    let id: u64 = table.all(&newest).await[0];
    table.run("UPDATE t SET name = 'much too long' WHERE id = 1").await;
    let lines = refusing(&table, id).await;
    let what = lines.last().unwrap()["reasons"][0]["what"].as_str().unwrap().to_owned();
    assert!(what.contains("much too long"), "{what}");
    let told = table.ask("revert", id).await.well().lines();
    assert!(told.iter().any(|line| line["event"] == "lost"), "{told:#?}");
    table.asked("complete", id).await;
    keeper.ended().await.well();
}
