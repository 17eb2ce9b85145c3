//! What the old schema cannot hold is on record, and nothing vanishes without a word.

use crate::support::process::{Ended, rsc};
use crate::support::shared;
use crate::support::table::Table;

/// The findings of `rsc losses`, by their event.
async fn findings(table: &Table, id: u64, event: &str) -> Vec<serde_json::Value> {
    table.ask("losses", id).await.well().lines().into_iter().filter(|l| l["event"] == event).collect()
}

async fn verdict(table: &Table, id: u64) -> String {
    table.ask("status", id).await.well().last_line()["verdict"]["verdict"].as_str().unwrap().to_owned()
}

fn refused_naming(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, 6, "{ended:#?}");
    for word in words {
        assert!(ended.stdout.contains(word), "{word}: {ended:#?}");
    }
}

#[tokio::test]
async fn a_longer_value_is_cut_in_the_old_schema_and_kept_in_the_ledger() {
    let mut table = Table::create("id int PRIMARY KEY, name varchar(5) NOT NULL, n int").await;
    table.fill("id, name, n", "i, 'abc', i", 1_000).await;
    let id = table.migrated("MODIFY name varchar(50) NOT NULL", &[]).await;
    table.run("UPDATE t SET name = 'much too long' WHERE id = 7").await;
    table.run("INSERT INTO t VALUES (2000, 'also too long', 1), (2001, 'fits', 1)").await;
    table.run("UPDATE t SET name = 'too long first' WHERE id = 8").await;
    table.run("UPDATE t SET name = 'short' WHERE id = 8").await;
    table.asked("revert", id).await;
    let names: Vec<(i32, String)> =
        table.all("SELECT id, name FROM t WHERE id IN (7, 8, 2000, 2001) ORDER BY id").await;
    let expected = [(7, "much "), (8, "short"), (2000, "also "), (2001, "fits")];
    assert_eq!(names, expected.map(|(id, name)| (id, name.to_owned())));
    let lost = findings(&table, id, "lost_value").await;
    let seen: Vec<_> =
        lost.iter().map(|l| (l["key"].as_str(), l["lost"].as_str(), l["kept"].as_str())).collect();
    assert_eq!(
        seen,
        [
            (Some("7"), Some("much too long"), Some("much ")),
            (Some("2000"), Some("also too long"), Some("also "))
        ]
    );
    assert_eq!(lost[0]["row"]["n"], "7", "the whole row is on record");
    table.asked("reapply", id).await;
    let name: Vec<String> = table.all("SELECT name FROM t WHERE id = 7").await;
    assert_eq!(name, ["much too long"], "what was not written under the old schema comes back whole");
    table.run("DELETE FROM t WHERE id = 7").await;
    table.run("UPDATE t SET name = 'fits' WHERE id = 2000").await;
    table.asked("revert", id).await;
    assert_eq!(findings(&table, id, "lost_value").await, Vec::<serde_json::Value>::new());
    table.asked("complete", id).await;
    let left: Vec<String> = table.all("SHOW TABLES FROM _rsc").await;
    assert!(!left.iter().any(|t| t.ends_with(&format!("_{id}"))), "{left:?}");
}

#[tokio::test]
async fn rows_that_break_a_dropped_unique_key_are_parked_until_they_do_not() {
    let mut table = Table::create(
        "id int PRIMARY KEY, email varchar(20) NOT NULL, title varchar(20), UNIQUE KEY one_email (email)",
    )
    .await;
    table.fill("id, email, title", "i, concat('m', i), concat('t', i)", 1_000).await;
    let id = table.migrated("DROP KEY one_email, DROP COLUMN title", &[]).await;
    table.run("UPDATE t SET email = 'm1' WHERE id IN (5, 6)").await;
    table.run("INSERT INTO t VALUES (3000, 'm1')").await;
    refused_naming(
        &table.ask("revert", id).await,
        &["3 rows", "(5)", "(6)", "(3000)", "m1", "--accept-parked"],
    );
    assert_eq!(verdict(&table, id).await, "blocked");
    assert_eq!(findings(&table, id, "parked_row").await.len(), 3);
    // A parked row that is written, one that moves, and one that no longer stands in the way.
    table.run("UPDATE t SET email = 'm5' WHERE id = 5").await;
    table.run("UPDATE t SET id = 4000 WHERE id = 6").await;
    refused_naming(&table.ask("revert", id).await, &["2 rows", "(3000)", "(4000)"]);
    table.run("DELETE FROM t WHERE id = 1").await;
    refused_naming(&table.ask("revert", id).await, &["1 row:"]);
    table.run("UPDATE t SET email = concat('m', id) WHERE id >= 3000").await;
    table.asked("revert", id).await;
    let rows: Vec<(i32, String, Option<String>)> =
        table.all("SELECT id, email, title FROM t WHERE id IN (1, 5, 6) OR id > 1000 ORDER BY id").await;
    let expected = [
        (5, "m5".to_owned(), Some("t5".to_owned())),
        (3000, "m3000".to_owned(), None),
        (4000, "m4000".to_owned(), Some("t6".to_owned())),
    ];
    assert_eq!(rows, expected, "the dropped column came back to rows that had been parked");
}

#[tokio::test]
async fn accepted_parked_rows_stay_in_the_new_table_and_come_back_with_it() {
    let mut table = Table::create("id int PRIMARY KEY, u int NOT NULL, UNIQUE KEY one_u (u)").await;
    table.fill("id, u", "i, i", 100).await;
    let id = table.migrated("DROP KEY one_u", &[]).await;
    table.run("INSERT INTO t VALUES (1000, 7)").await;
    refused_naming(&table.ask("revert", id).await, &["(1000)"]);
    table.reverted_accepting_parked(id).await;
    let counts: Vec<u64> = table.all("SELECT COUNT(*) FROM t").await;
    assert_eq!(counts, [100]);
    table.run("UPDATE t SET u = 1007 WHERE id = 7").await;
    table.asked("reapply", id).await;
    let rows: Vec<(i32, i32)> = table.all("SELECT id, u FROM t WHERE id IN (7, 1000) ORDER BY id").await;
    assert_eq!(rows, [(7, 1007), (1000, 7)]);
    // Nothing stands in its way any more.
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32)> = table.all("SELECT id, u FROM t WHERE id IN (7, 1000) ORDER BY id").await;
    assert_eq!(rows, [(7, 1007), (1000, 7)]);
}

#[tokio::test]
async fn a_key_that_the_old_schema_cannot_have_is_parked() {
    let mut table = Table::create("id tinyint unsigned PRIMARY KEY, n int").await;
    table.run("INSERT INTO t VALUES (1, 1), (255, 255)").await;
    let id = table.migrated("MODIFY id int unsigned", &[]).await;
    table.run("INSERT INTO t VALUES (300, 300), (2, 2), (70000, 70000)").await;
    table.run("UPDATE t SET id = 301 WHERE id = 1").await;
    refused_naming(&table.ask("revert", id).await, &["3 rows", "(300)", "(301)", "(70000)"]);
    table.run("UPDATE t SET id = 100 WHERE id = 301").await;
    table.run("DELETE FROM t WHERE id = 70000").await;
    table.run("UPDATE t SET id = 101, n = 17 WHERE id = 300").await;
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32)> = table.all("SELECT id, n FROM t ORDER BY id").await;
    assert_eq!(rows, [(2, 2), (100, 1), (101, 17), (255, 255)]);
}

#[tokio::test]
async fn null_a_new_label_and_a_broken_check_each_go_their_way() {
    let mut table = Table::create(
        "id int PRIMARY KEY, n int NOT NULL, e enum('a','b') NOT NULL, c int, CONSTRAINT small CHECK (c < 100)",
    )
    .await;
    table.fill("id, n, e, c", "i, i, 'a', i % 100", 500).await;
    let clauses = "MODIFY n int NULL, MODIFY e enum('a','b','c') NOT NULL, DROP CHECK small";
    let id = table.migrated(clauses, &[]).await;
    table.run("UPDATE t SET n = NULL WHERE id = 1").await;
    table.run("UPDATE t SET e = 'c' WHERE id = 2").await;
    table.run("UPDATE t SET c = 1000 WHERE id = 3").await;
    refused_naming(&table.ask("revert", id).await, &["1 row:", "(3)", "small"]);
    table.run("UPDATE t SET c = 10 WHERE id = 3").await;
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32, String, i32)> = table.all("SELECT * FROM t WHERE id <= 3 ORDER BY id").await;
    assert_eq!(rows, [(1, 0, "a".into(), 1), (2, 2, "".into(), 2), (3, 3, "a".into(), 10)]);
    let lost = findings(&table, id, "lost_value").await;
    let mut seen: Vec<_> = lost.iter().map(|l| (l["column"].as_str(), l["lost"].as_str())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(Some("e"), Some("c")), (Some("n"), None)]);
}

#[tokio::test]
async fn values_of_an_added_column_stay_in_the_new_table() {
    let mut table = Table::create("id int PRIMARY KEY, n int").await;
    table.fill("id, n", "i, i", 100).await;
    let id = table.migrated("ADD COLUMN note varchar(20) NOT NULL DEFAULT 'none'", &[]).await;
    table.run("UPDATE t SET note = 'seen' WHERE id = 7").await;
    table.asked("revert", id).await;
    let own = findings(&table, id, "new_value").await;
    assert_eq!(own.len(), 1);
    assert_eq!((own[0]["key"].as_str(), own[0]["value"].as_str()), (Some("7"), Some("seen")));
    table.run("UPDATE t SET n = 8 WHERE id = 7").await;
    table.asked("reapply", id).await;
    let rows: Vec<(i32, String)> = table.all("SELECT n, note FROM t WHERE id = 7").await;
    assert_eq!(rows, [(8, "seen".to_owned())]);
}

#[tokio::test]
async fn a_row_that_was_written_under_the_old_schema_keeps_what_only_the_new_one_can_hold() {
    let mut table = Table::create("id int PRIMARY KEY, name varchar(5) NOT NULL, n int").await;
    table.fill("id, name, n", "i, 'abc', i", 100).await;
    let id = table.migrated("MODIFY name varchar(50) NOT NULL", &[]).await;
    table.run("UPDATE t SET name = concat('much too long ', id) WHERE id <= 4").await;
    table.asked("revert", id).await;
    table.run("UPDATE t SET n = 0 WHERE id = 1").await;
    table.run("UPDATE t SET name = 'new' WHERE id = 2").await;
    table.run("UPDATE t SET id = 200 WHERE id = 3").await;
    table.asked("reapply", id).await;
    let rows: Vec<(i32, String)> =
        table.all("SELECT id, name FROM t WHERE id IN (1, 2, 4, 200) ORDER BY id").await;
    let expected = [(1, "much too long 1"), (2, "new"), (4, "much too long 4"), (200, "much too long 3")];
    assert_eq!(rows, expected.map(|(id, name)| (id, name.to_owned())));
    let lost = findings(&table, id, "lost_value").await;
    let keys: Vec<_> = lost.iter().map(|l| l["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["1", "4", "200"]);
}

#[tokio::test]
async fn a_kill_after_the_swap_leaves_no_loss_on_record_that_is_none() {
    let mut table = Table::create("id int PRIMARY KEY, name varchar(5) NOT NULL").await;
    table.fill("id, name", "i, 'abc'", 10).await;
    let id = table.migrated("MODIFY name varchar(50) NOT NULL", &[]).await;
    table.run("UPDATE t SET name = concat('much too long ', id) WHERE id <= 3").await;
    table.asked("revert", id).await;
    table.run("DELETE FROM t WHERE id = 1").await;
    table.run("UPDATE t SET name = 'fits' WHERE id = 2").await;
    let words = ["reapply", &id.to_string()];
    let killed = rsc(shared(), &words).env("RSC_FAULT", "swap.rename.after:kill").run().await;
    assert_eq!(killed.code, -1, "{killed:#?}");
    let words = ["--output", "json", "migrate", "--resume", &id.to_string(), "--agent", "stay"];
    let mut keeper = rsc(shared(), &words).start();
    keeper.says("\"following\"").await;
    let lost = findings(&table, id, "lost_value").await;
    let keys: Vec<_> = lost.iter().map(|l| l["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["3"]);
}

#[tokio::test]
async fn a_key_of_a_parked_row_that_another_row_took_under_the_old_schema_is_not_parked() {
    let mut table = Table::create("id int PRIMARY KEY, u int NOT NULL, n int, UNIQUE KEY one_u (u)").await;
    table.fill("id, u, n", "i, i, i", 10).await;
    let id = table.migrated("DROP KEY one_u", &[]).await;
    table.run("INSERT INTO t VALUES (100, 7, 1)").await;
    table.reverted_accepting_parked(id).await;
    table.run("INSERT INTO t VALUES (100, 100, 2)").await;
    table.asked("reapply", id).await;
    table.run("UPDATE t SET n = 3 WHERE id = 100").await;
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32, i32)> = table.all("SELECT * FROM t WHERE id = 100").await;
    assert_eq!(rows, [(100, 100, 3)]);
}

#[tokio::test]
async fn whoever_keeps_the_stream_can_be_asked_to_leave_parked_rows_behind() {
    let mut table = Table::create("id int PRIMARY KEY, u int NOT NULL, UNIQUE KEY one_u (u)").await;
    table.fill("id, u", "i, i", 10).await;
    let id = table.migrated("DROP KEY one_u", &[]).await;
    table.run("INSERT INTO t VALUES (100, 7)").await;
    let words = ["--output", "json", "migrate", "--resume", &id.to_string(), "--agent", "stay"];
    let mut keeper = rsc(shared(), &words).start();
    keeper.says("\"following\"").await;
    refused_naming(&table.ask("revert", id).await, &["(100)"]);
    table.reverted_accepting_parked(id).await;
    assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM t").await, [10]);
}

#[tokio::test]
async fn a_null_that_the_old_schema_cannot_have_comes_back() {
    let mut table = Table::create("id int PRIMARY KEY, n int NOT NULL, u int").await;
    table.fill("id, n, u", "i, i, i", 10).await;
    let id = table.migrated("MODIFY n int NULL", &[]).await;
    table.run("UPDATE t SET n = NULL WHERE id <= 4").await;
    table.asked("revert", id).await;
    table.run("UPDATE t SET u = 0 WHERE id = 1").await;
    table.run("UPDATE t SET id = 100 WHERE id = 2").await;
    table.run("UPDATE t SET n = 9 WHERE id = 3").await;
    table.asked("reapply", id).await;
    let rows: Vec<(i32, Option<i32>)> =
        table.all("SELECT id, n FROM t WHERE id IN (1, 3, 4, 100) ORDER BY id").await;
    assert_eq!(rows, [(1, None), (3, Some(9)), (4, None), (100, None)]);
}

#[tokio::test]
async fn a_row_that_takes_the_key_of_a_parked_one_takes_nothing_else_of_it() {
    let mut table = Table::create("id int PRIMARY KEY, u int, UNIQUE KEY one_u (u)").await;
    table.run("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)").await;
    let id = table.migrated("DROP KEY one_u, ADD COLUMN note varchar(9)", &[]).await;
    table.run("UPDATE t SET u = 1, note = 'parked' WHERE id IN (2, 3)").await;
    table.run("UPDATE t SET note = 'four' WHERE id = 4").await;
    table.reverted_accepting_parked(id).await;
    table.run("INSERT INTO t VALUES (2, 22)").await;
    table.run("UPDATE t SET id = 3 WHERE id = 4").await;
    table.asked("reapply", id).await;
    let rows: Vec<(i32, i32, Option<String>)> = table.all("SELECT id, u, note FROM t ORDER BY id").await;
    assert_eq!(rows, [(1, 1, None), (2, 22, None), (3, 4, Some("four".into()))]);
}
