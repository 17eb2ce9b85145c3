//! Foreign keys and triggers that come while a change is open: in the way of a swap, by name, and gone when they are.

use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::support::process::{Ended, Running, rsc};
use crate::support::shared;
use crate::support::table::Table;

async fn filled() -> Table {
    let mut table = Table::create("id int PRIMARY KEY, u int, title int, UNIQUE KEY u (u)").await;
    table.fill("id, u, title", "i, i, i", 50).await;
    table
}

fn begin(table: &Table, more: &[&str]) -> Running {
    let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    rsc(shared(), &[&arguments[..], &["--alter", "DROP COLUMN title"], more].concat()).start()
}

fn id(running: &Running) -> u64 {
    let started: Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    started["id"].as_u64().unwrap()
}

/// It ended with this, and says all of it.
fn says(ended: &Ended, code: i32, texts: &[&str]) {
    assert_eq!(ended.code, code, "{ended:#?}");
    for text in texts {
        assert!(ended.stdout.contains(text), "{text}: {ended:#?}");
    }
}

async fn verdict(table: &Table, id: u64) -> String {
    table.ask("status", id).await.well().last_line()["verdict"]["text"].as_str().unwrap().to_owned()
}

const CHILD: &str =
    "CREATE TABLE child (id int PRIMARY KEY, t_id int, CONSTRAINT late FOREIGN KEY (t_id) REFERENCES t (id))";
const UNCHAIN: &str = "ALTER TABLE child DROP FOREIGN KEY late";
const TRIGGER: &str = "CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.u = NEW.u + 1000";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_or_trigger_made_later_stops_each_swap_until_it_is_gone() {
    for keeper in ["stay", "none"] {
        let mut table = filled().await;
        let mut running = begin(&table, &["--postpone-cutover", "--agent", keeper]);
        running.says("\"ready\"").await;
        let id = id(&running);
        if keeper == "none" {
            running.ended().await.well();
            running = begin(&table, &["--allow-unseen"]);
        }
        for (verb, code) in [("cutover", 3), ("revert", 6), ("reapply", 6)] {
            table.run(CHILD).await;
            table.run("INSERT INTO child VALUES (1, 1)").await;
            if keeper == "stay" {
                running.says("\"in_the_way\"").await;
            }
            says(&table.ask(verb, id).await, code, &["late (", "child` DROP FOREIGN KEY `late`"]);
            assert!(verdict(&table, id).await.starts_with("blocked: foreign keys"));
            let list = rsc(shared(), &["--output", "json", "list"]).run().await.well();
            let listed = list.lines().into_iter().find(|line| line["id"] == id).unwrap();
            assert!(listed["in_the_way"].as_str().unwrap().contains("late"), "{listed:#}");
            // It still holds for the application.
            table.conn.query_drop("DELETE FROM t WHERE id = 1").await.unwrap_err();
            table.run(UNCHAIN).await;
            table.run("DROP TABLE child").await;
            table.run(TRIGGER).await;
            says(&table.ask(verb, id).await, code, &["has triggers", "DROP TRIGGER `"]);
            assert!(verdict(&table, id).await.contains("has triggers"));
            // The trigger's work is in the rows that the stream brings.
            table.run("INSERT INTO t (id, u) VALUES (1000, 1000)").await;
            table.run("DROP TRIGGER tr").await;
            table.run("UPDATE t SET u = u + 1 WHERE id = 1000").await;
            table.asked(verb, id).await;
            assert_eq!(table.all::<(i32, i32)>("SELECT id, u FROM t WHERE id = 1000").await, [(1000, 2001)]);
            table.run("DELETE FROM t WHERE id = 1000").await;
        }
        table.asked("verify", id).await;
        table.asked("complete", id).await;
        let ended = running.ended().await;
        assert_eq!(ended.code, if keeper == "stay" { 0 } else { 3 }, "{ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_comes_by_itself_waits_and_says_for_what() {
    let mut table = filled().await;
    // A window that is closed now, whatever the hour.
    let mut running = begin(&table, &["--cutover-between", "sat 00:00-00:01"]);
    running.says("\"cutover_waits\"").await;
    let id = id(&running);
    table.run(CHILD).await;
    rsc(shared(), &["set", &id.to_string(), "cutover-between=00:00-24:00"]).run().await.well();
    running.says("\"swap_missed\"").await;
    assert!(running.stdout().contains("DROP FOREIGN KEY `late`"), "{}", running.stdout());
    table.run(UNCHAIN).await;
    assert_eq!(running.ended().await.well().last_line()["state"], "revertible");
    table.asked("complete", id).await;
}

/// Values of a unique column that are exchanged are deleted and inserted again.
#[tokio::test]
async fn what_is_written_to_the_kept_table_is_not_passed_on() {
    let mut table = filled().await;
    let id = table.migrated("DROP COLUMN title", &[]).await;
    table
        .run(&format!(
            "CREATE TABLE child (id int PRIMARY KEY, t_id int, \
             FOREIGN KEY (t_id) REFERENCES _rsc{id}_t_old (id) ON DELETE CASCADE ON UPDATE CASCADE)"
        ))
        .await;
    table.run("INSERT INTO child SELECT id, id FROM t").await;
    table.run("CREATE TABLE strict (t_id int, FOREIGN KEY (t_id) REFERENCES t (id))").await;
    table.run("DROP TABLE strict").await;
    for sql in [
        "START TRANSACTION",
        "UPDATE t SET u = -1 WHERE id = 1",
        "UPDATE t SET u = 1 WHERE id = 2",
        "UPDATE t SET u = 2 WHERE id = 1",
        "COMMIT",
        "UPDATE t SET id = 500 WHERE id = 3",
        "DELETE FROM t WHERE id = 4",
    ] {
        table.run(sql).await;
    }
    // The key points at the table that will be live: nothing is in the way.
    table.asked("revert", id).await;
    assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM child").await, [50]);
    assert_eq!(table.all::<i32>("SELECT u FROM t WHERE id IN (1, 2) ORDER BY id").await, [2, 1]);
    // Now it points at the live one.
    says(&table.ask("reapply", id).await, 6, &["child"]);
    table.run("DROP TABLE child").await;
    table.asked("reapply", id).await;
    table.asked("verify", id).await;
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_key_at_the_kept_table_is_named_and_can_be_moved() {
    for (by_swap, verb) in [(true, "complete"), (false, "cancel")] {
        let mut table = filled().await;
        let more: &[&str] = if by_swap { &[] } else { &["--postpone-cutover"] };
        let id = table.migrated("DROP COLUMN title", more).await;
        let kept = format!("_rsc{id}_t_{}", if by_swap { "old" } else { "new" });
        table
            .run(&format!(
                "CREATE TABLE child (id int PRIMARY KEY, t_id int, \
                 CONSTRAINT late FOREIGN KEY (t_id) REFERENCES {kept} (id) ON DELETE SET NULL)"
            ))
            .await;
        let held = table.ask("status", id).await.well().last_line()["held"].clone();
        assert!(held.as_str().is_some_and(|held| held.contains("point at it: late")), "{held}");
        let shown = table.rsc(&["status", &id.to_string()]).run().await.well().stdout;
        assert!(shown.contains(&format!("{verb:<10} not yet: ")), "{shown}");
        let refused = table.ask(verb, id).await;
        says(&refused, 3, &["cannot be dropped while foreign keys point at it: late"]);
        let next = refused.last_line()["reasons"][0]["next"].as_str().unwrap().to_owned();
        let statements: Vec<&str> = next.split_once(", ALTER").unwrap().1.split("; ").collect();
        assert_eq!(statements.len(), 3, "{next}");
        table.run(&format!("ALTER{}", statements[0])).await;
        table.run(statements[1]).await;
        assert!(table.ask("status", id).await.well().last_line()["held"].is_null());
        table.asked(verb, id).await;
        let rules = "SELECT REFERENCED_TABLE_NAME, DELETE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS \
             WHERE CONSTRAINT_SCHEMA = SCHEMA()";
        assert_eq!(table.all::<(String, String)>(rules).await, [("t".into(), "SET NULL".into())]);
        assert_eq!(table.tables().await, ["child", "t"]);
    }
}

/// What the look under the locks rests on.
#[tokio::test]
async fn nothing_hangs_itself_on_a_table_that_is_locked() {
    let mut table = filled().await;
    table.run("CREATE TABLE parent (id int PRIMARY KEY)").await;
    table.run("CREATE TABLE kid (t_id int, CONSTRAINT k FOREIGN KEY (t_id) REFERENCES t (id))").await;
    table.run("CREATE TABLE other (t_id int)").await;
    table.run("LOCK TABLES t WRITE").await;
    let mut late = shared().conn().await.unwrap();
    late.query_drop(format!("USE {}", table.schema)).await.unwrap();
    for checks in [0, 1] {
        late.query_drop(format!("SET SESSION lock_wait_timeout = 1, SESSION foreign_key_checks = {checks}"))
            .await
            .unwrap();
        for sql in [
            CHILD,
            TRIGGER,
            "ALTER TABLE other ADD FOREIGN KEY (t_id) REFERENCES t (id)",
            "ALTER TABLE t ADD FOREIGN KEY (u) REFERENCES parent (id)",
            "ALTER TABLE kid DROP FOREIGN KEY k",
            "RENAME TABLE kid TO kid2",
            "DROP TABLE kid",
        ] {
            let error = late.query_drop(sql).await.expect_err(sql);
            assert!(error.to_string().contains("Lock wait timeout"), "{sql}: {error}");
        }
    }
    table.run("UNLOCK TABLES").await;
}

#[tokio::test]
async fn a_trigger_of_the_kept_table_ends_the_stream_for_good() {
    let mut table = filled().await;
    let id = table.migrated("DROP COLUMN title", &[]).await;
    table.run(&TRIGGER.replace("ON t", &format!("ON _rsc{id}_t_old"))).await;
    says(&table.ask("revert", id).await, 6, &["has triggers"]);
    table.run("INSERT INTO t (id, u) VALUES (1000, 1000)").await;
    table.run("DROP TRIGGER tr").await;
    says(&table.ask("revert", id).await, 6, &["CREATE"]);
    table.asked("complete", id).await;
}
