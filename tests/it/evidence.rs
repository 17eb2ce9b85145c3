//! What is known of the two tables decides whether they may be swapped; it does not age, and a native ALTER has a say in it.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::support::process::{Ended, rsc};
use crate::support::shared;
use crate::support::table::Table;

async fn typed(words: &[&str]) -> Ended {
    rsc(shared(), &[&["--output", "json"], words].concat()).run().await
}

async fn verify(id: u64, more: &[&str]) -> Ended {
    typed(&[&["verify", &id.to_string()], more].concat()).await
}

/// As no binlog has it.
async fn damage(table: &mut Table, sql: &str) {
    table.run(&format!("SET sql_log_bin = 0; {sql}; SET sql_log_bin = 1")).await;
}

/// What `status` and `list` say of the way back, and the commands that are offered.
async fn said(table: &Table, id: u64) -> (String, String, Vec<String>) {
    let status = table.ask("status", id).await.well().last_line();
    let list = typed(&["list"]).await.well();
    let listed = list.lines().into_iter().find(|line| line["id"] == id).unwrap();
    let next = status["next"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
    let verdict = status["verdict"]["verdict"].as_str().unwrap().to_owned();
    (verdict, listed["verdict"].as_str().unwrap_or("null").to_owned(), next.collect())
}

fn kinds(ended: &Ended) -> Vec<(String, String)> {
    let lines = ended.lines();
    let found = lines.iter().filter(|line| line["event"] == "mismatch");
    found
        .map(|line| {
            let column = line["columns"][0]["column"].as_str().unwrap_or_default();
            (line["kind"].as_str().unwrap().to_owned(), column.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn no_swap_is_made_over_a_known_difference_unless_accepted() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 200).await;
    let id = table.migrated("DROP COLUMN x", &["--agent", "none"]).await;
    damage(&mut table, &format!("UPDATE _rsc{id}_t_old SET n = 9 WHERE id = 7")).await;
    assert_eq!(verify(id, &[]).await.code, 7);
    let (status, list, next) = said(&table, id).await;
    assert_eq!((status.as_str(), list.as_str()), ("differs", "differs"));
    assert_eq!(next, [format!("rsc verify {id} --repair"), format!("rsc complete {id}")]);
    let refused = table.ask("revert", id).await;
    assert_eq!(refused.code, 6, "{refused:#?}");
    assert!(refused.stdout.contains("(7) differs in n"), "{refused:#?}");
    assert!(refused.stdout.contains(&format!("rsc revert {id} --accept-differences")), "{refused:#?}");
    assert_eq!(verify(id, &["--repair"]).await.code, 0);
    assert_eq!(said(&table, id).await.0, "catching_up");
    table.asked("revert", id).await;
    // And the other way round.
    damage(&mut table, &format!("DELETE FROM _rsc{id}_t_new WHERE id = 9")).await;
    assert_eq!(verify(id, &[]).await.code, 7);
    assert_eq!(table.ask("reapply", id).await.code, 6);
    let rows: Vec<u64> = table.all("SELECT count(*) FROM t").await;
    assert_eq!(rows, [200], "the damaged table is not live");
    typed(&["reapply", &id.to_string(), "--accept-differences"]).await.well();
    let rows: Vec<u64> = table.all("SELECT count(*) FROM t").await;
    assert_eq!(rows, [199], "the operator wanted it so");
    assert_eq!(table.ask("revert", id).await.code, 6, "that was for one wish only");
}

#[tokio::test]
async fn a_change_that_waits_with_a_difference_is_not_cut_over() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 50).await;
    let id = table.migrated("DROP COLUMN x", &["--postpone-cutover", "--agent", "none"]).await;
    damage(&mut table, &format!("UPDATE _rsc{id}_t_new SET n = 9 WHERE id = 7")).await;
    assert_eq!(verify(id, &[]).await.code, 7);
    let refused = table.ask("cutover", id).await;
    assert!(refused.code == 3 && refused.stdout.contains("--accept-differences"), "{refused:#?}");
    assert_eq!(verify(id, &["--repair"]).await.code, 0);
    table.asked("cutover", id).await;
}

#[tokio::test]
async fn without_the_kept_table_nothing_is_offered_that_is_refused() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 5).await;
    let id = table.migrated("DROP COLUMN x", &["--agent", "none"]).await;
    table.run(&format!("DROP TABLE _rsc{id}_t_old")).await;
    let (status, list, next) = said(&table, id).await;
    assert_eq!((status.as_str(), list.as_str()), ("impossible", "impossible"));
    assert_eq!(next, [format!("rsc complete {id}")]);
    assert_eq!(table.ask("revert", id).await.code, 6);
}

#[tokio::test]
async fn what_a_background_pass_finds_is_known_and_a_later_one_clears_it() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 3_000).await;
    let schema = table.schema.clone();
    let words = ["--output", "json", "migrate", "--database", &schema, "--table", "t", "--alter"];
    let words = [&words[..], &["DROP COLUMN x", "--agent", "stay", "--verify-every", "1s"]].concat();
    let mut keeper = rsc(shared(), &words).start();
    keeper.says("\"background\":true").await;
    let ids: Vec<u64> = table
        .all(&format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{}'", table.schema.clone()))
        .await;
    let id = ids[0];
    damage(&mut table, &format!("UPDATE _rsc{id}_t_old SET n = 9 WHERE id = 8")).await;
    keeper.says("\"outcome\":\"differs\"").await;
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!(status["evidence"]["differs"], true, "{status:#}");
    let refused = table.ask("revert", id).await;
    assert!(refused.code == 6 && refused.stdout.contains("(8) differs in n"), "{refused:#?}");
    // As the application does, so that the stream brings the row.
    table.run("UPDATE t SET n = 80 WHERE id = 8").await;
    let began = Instant::now();
    while table.ask("status", id).await.well().last_line()["evidence"]["differs"] == true {
        assert!(began.elapsed() < Duration::from_secs(60), "no later pass has cleared it");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    table.asked("revert", id).await;
    let kept: Vec<u64> =
        table.all(&format!("SELECT count(*) FROM _rsc.verify WHERE change_id = {id} AND background")).await;
    assert!(kept[0] <= 20, "old passes are forgotten: {kept:?}");
}

/// In a session of another zone, a row is written whose generated columns and index entries are those of that zone.
async fn written_elsewhere(table: &mut Table, shadow: &str, id: u64) {
    let values = format!("SELECT id, ts, v FROM t WHERE id = {id}");
    let sql = format!(
        "DELETE FROM {shadow} WHERE id = {id}; SET time_zone = '+09:00'; \
         INSERT INTO {shadow} (id, ts, v) {values}; SET time_zone = DEFAULT"
    );
    damage(table, &sql).await;
}

#[tokio::test]
async fn what_the_server_computed_is_compared_and_so_are_its_indexes() {
    let mut table = Table::create(
        "id int PRIMARY KEY, ts timestamp NOT NULL, v int, x int, d date AS (date(ts)) STORED, \
         w int AS (v * 2) STORED, h int AS (hour(ts)) VIRTUAL, KEY kh (h), KEY kd ((cast(ts as date)))",
    )
    .await;
    table.fill("id, ts, v, x", "i, '2020-01-01' + INTERVAL i HOUR, i, i", 190).await;
    let postponed = ["--postpone-cutover", "--agent", "none", "--allow-session-dependent"];
    let id = table.migrated("DROP COLUMN x, MODIFY w bigint AS (v * 3) STORED", &postponed).await;
    let shadow = format!("_rsc{id}_t_new");
    let first = verify(id, &[]).await.well();
    let result: Value = first.last_line();
    assert_eq!((&result["excluded"], &result["outcome"]), (&serde_json::json!(["x"]), &"equal".into()));
    assert!(result["native"]["rows"].as_u64().unwrap() > 100, "{result:#}");
    assert_eq!(result["native"]["excluded"], serde_json::json!([]), "all indexes were asked: {result:#}");
    written_elsewhere(&mut table, &shadow, 20).await;
    let found = verify(id, &["--limit", "100"]).await;
    assert_eq!(found.code, 7, "{found:#?}");
    let kinds = kinds(&found);
    for named in [("differs", "d"), ("unindexed", "kh"), ("unindexed", "kd")] {
        assert!(kinds.contains(&(named.0.into(), named.1.into())), "{named:?}: {kinds:?}");
    }
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_wrong_conversion_is_found_by_the_native_alter_alone() {
    let mut table = Table::create("id int PRIMARY KEY, a int, n int").await;
    table.fill("id, a, n", "i, i, i", 300).await;
    let schema = table.schema.clone();
    let words = ["--output", "json", "migrate", "--agent", "none", "--database", &schema];
    let words = [&words[..], &["--table", "t", "--alter", "MODIFY a decimal(12,2)"]].concat();
    // Before anything is touched, where there are rows.
    let refused = rsc(shared(), &words).env("RSC_BENT", "a").run().await;
    assert!(refused.code == 3 && refused.stdout.contains("native ALTER stores '1.00'"), "{refused:#?}");
    assert_eq!(table.tables().await, ["t"]);
    // And before the swap. Nothing else sees it: the copy and the verification share the expression.
    let killed = rsc(shared(), &words).env("RSC_FAULT", "batch.start.before:kill").run().await;
    assert_ne!(killed.code, 0);
    let ids: Vec<u64> = table
        .all(&format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{}'", table.schema.clone()))
        .await;
    let id = ids[0].to_string();
    let resume = ["--output", "json", "migrate", "--resume", &id, "--agent", "none"];
    let differs = rsc(shared(), &resume).env("RSC_BENT", "a").run().await;
    assert!(
        differs.code == 7 && differs.stdout.contains("is not what a native ALTER makes of it"),
        "{differs:#?}"
    );
    let live: Vec<u64> = table.all("SELECT count(*) FROM t WHERE a = id").await;
    assert_eq!(live, [300]);
    let shadow: Vec<u64> = table.all(&format!("SELECT count(*) FROM _rsc{id}_t_new WHERE a = id + 1")).await;
    assert_eq!(shadow, [300], "the expression was wrong everywhere");
    let probes: Vec<String> = table.all("SHOW TABLES LIKE '\\_rsc\\_probe%'").await;
    assert!(probes.is_empty(), "{probes:?}");
}

#[tokio::test]
async fn rows_that_a_native_alter_refuses_are_left_out_and_named() {
    let mut table = Table::create("id int PRIMARY KEY, d date, n int").await;
    table.conn.query_drop("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'").await.unwrap();
    table.fill("id, d, n", "i, if(i = 17, '2021-02-31', '2021-02-03'), i", 60).await;
    let id = table.migrated("MODIFY d datetime", &["--agent", "none"]).await;
    let native: Vec<String> =
        table.all(&format!("SELECT native->>'$.left_out' FROM _rsc.verify WHERE change_id = {id}")).await;
    assert!(native[0].contains("(17), which a native ALTER refuses"), "{native:?}");
}

/// A sample is read without a lock: whoever has written its rows and not committed is not waited for, by the plan neither.
#[tokio::test]
async fn the_oracle_waits_for_no_writer() {
    let mut table = Table::create("id int PRIMARY KEY, n int NOT NULL").await;
    table.fill("id, n", "i, i", 50).await;
    let mut writer = shared().conn().await.unwrap();
    writer.query_drop(format!("USE {}; BEGIN; UPDATE t SET n = n + 1", table.schema)).await.unwrap();
    let change = ["--database", &table.schema, "--table", "t", "--alter", "MODIFY n bigint NOT NULL"];
    let plan = typed(&[&["plan"], &change[..]].concat()).await.well();
    assert!(!plan.stdout.contains("a native ALTER makes the same"), "{plan:#?}");
    writer.query_drop("COMMIT").await.unwrap();
    table.run("UPDATE t SET n = n - 1").await;
    table.migrated("MODIFY n bigint NOT NULL", &[]).await;
}
