//! A duplicate is reported with both rows when it is real, and survived when it is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mysql_async::prelude::Queryable;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

#[tokio::test]
async fn a_new_unique_key_that_rows_violate_ends_the_change_with_both_keys() {
    let mut table = Table::create("id int PRIMARY KEY, u int").await;
    table.fill("id, u", "i, i", 3_000).await;
    table.run("UPDATE t SET u = 17 WHERE id = 2500").await;
    let run = table.migrate("ADD UNIQUE KEY one_u (u)", &["--batch-time", "5ms"]).await;
    assert_eq!(run.code, 4, "{run:#?}");
    assert!(run.stdout.contains("(2500)") && run.stdout.contains("(17)"), "both rows are named: {run:#?}");
    assert!(run.stdout.contains("Duplicate entry '17'"), "the value is named: {run:#?}");
    assert_eq!(table.tables().await, ["t"], "the shadow is gone");
    let counts: Vec<(u64, u64)> = table.all("SELECT COUNT(*), SUM(u = 17) FROM t").await;
    assert_eq!(counts, [(3_000, 2)], "the live table is as it was");
}

/// A key that two rows violate in its own way. Each of `rows` is the values of `a, b, d`.
struct Violation {
    create: &'static str,
    alter: &'static str,
    rows: [&'static str; 2],
    /// What is said of the two after their keys.
    said: [&'static str; 2],
    key: &'static str,
}

const PLAIN: &str = "id int PRIMARY KEY, a int NOT NULL, b varchar(20) COLLATE utf8mb4_bin, d decimal(10,3)";

const VIOLATIONS: [Violation; 8] = [
    Violation {
        create: PLAIN,
        alter: "ADD UNIQUE KEY one (a, b)",
        rows: ["-5, 'x', 0", "-5, 'x', 1"],
        said: ["a = -5, b = 'x'", "a = -5, b = 'x'"],
        key: "key one ",
    },
    Violation {
        create: PLAIN,
        alter: "ADD UNIQUE KEY `by ``prefix` (b(8))",
        rows: ["-5, 'prefixed one', 0", "-6, 'prefixed two', 1"],
        said: ["b = 'prefixed one'", "b = 'prefixed two'"],
        key: "key by `prefix ",
    },
    Violation {
        create: PLAIN,
        alter: "ADD UNIQUE KEY one ((lower(b)))",
        rows: ["-5, 'Anna', 0", "-6, 'ANNA', 1"],
        said: ["b = 'Anna'", "b = 'ANNA'"],
        key: "key one ",
    },
    Violation {
        create: "id int PRIMARY KEY, a int NOT NULL, b varchar(20) COLLATE utf8mb4_bin, d decimal(10,3), UNIQUE KEY one (b)",
        alter: "MODIFY b varchar(20) COLLATE utf8mb4_0900_ai_ci",
        rows: ["-5, 'Anna', 0", "-6, 'ANNA', 1"],
        said: ["b = 'Anna'", "b = 'ANNA'"],
        key: "key one ",
    },
    Violation {
        create: PLAIN,
        alter: "ADD COLUMN g int AS (abs(a)) STORED, ADD UNIQUE KEY one (g)",
        rows: ["-5000, 'x', 0", "5000, 'y', 1"],
        said: ["a = -5000", "a = 5000"],
        key: "key one ",
    },
    Violation {
        create: PLAIN,
        alter: "MODIFY d decimal(10,2), ADD UNIQUE KEY one (d)",
        rows: ["-5, 'x', 7777.001", "-6, 'y', 7777.002"],
        said: ["d = 7777.001", "d = 7777.002"],
        key: "key one ",
    },
    Violation {
        create: PLAIN,
        alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (a), ADD UNIQUE KEY by_id (id)",
        rows: ["-5, 'x', 0", "-5, 'y', 1"],
        said: ["a = -5", "a = -5"],
        key: "key PRIMARY ",
    },
    // Of a partitioned table there is no temporary twin.
    Violation {
        create: "id int, a int NOT NULL, b varchar(20), d decimal(10,3), PRIMARY KEY (id, a)) PARTITION BY HASH (a) (PARTITION p",
        alter: "ADD UNIQUE KEY one (a, b)",
        rows: ["-5, 'x', 0", "-5, 'x', 1"],
        said: ["", ""],
        key: "unique key ",
    },
];

#[derive(Clone, Copy, PartialEq)]
enum Written {
    Before,
    /// Below what has been copied, and above it.
    DuringBelow,
    DuringAbove,
    WhenReady,
    AfterARevert,
}

async fn violated(violation: &Violation, written: Written) {
    let mut table = Table::create(violation.create).await;
    table.fill("id, a, b, d", "i, i, lpad(i, 8, '0'), i", 3_000).await;
    let [first, second] = violation.rows;
    let other = if written == Written::DuringBelow { -9 } else { 9_000 };
    let second = format!("INSERT INTO t (id, a, b, d) VALUES ({other}, {second})");
    table.run(&format!("INSERT INTO t (id, a, b, d) VALUES (0, {first})")).await;
    let schema = table.schema.clone();
    let begin = |more: &'static str| {
        let words = ["--output", "json", "migrate", "--database", &schema, "--table", "t", "--alter"];
        let words: Vec<&str> = words
            .into_iter()
            .chain([violation.alter, "--batch-time", "5ms", more])
            .filter(|w| !w.is_empty())
            .collect();
        rsc(shared(), &words)
    };
    let sql = format!("SELECT MAX(id) FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    let ended = match written {
        Written::Before => {
            table.run(&second).await;
            begin("").run().await
        }
        Written::DuringBelow | Written::DuringAbove => {
            let killed = begin("").env("RSC_FAULT", "batch.start.before:kill:3").run().await;
            assert_eq!(killed.code, -1, "{killed:#?}");
            table.run(&second).await;
            let id: Vec<u64> = table.all(&sql).await;
            rsc(shared(), &["--output", "json", "migrate", "--resume", &id[0].to_string()]).run().await
        }
        Written::WhenReady => {
            let id = begin("--postpone-cutover").run().await.well().last_line()["id"].as_u64().unwrap();
            table.run(&second).await;
            table.ask("cutover", id).await
        }
        Written::AfterARevert => {
            let id = begin("").run().await.well().last_line()["id"].as_u64().unwrap();
            table.asked("revert", id).await;
            table.run(&second).await;
            table.ask("reapply", id).await
        }
    };
    assert_eq!(ended.code, if written == Written::AfterARevert { 6 } else { 4 }, "{ended:#?}");
    let line = ended.last_line();
    let what = line["reasons"][0]["what"].as_str().unwrap();
    let [one, two] = violation.said;
    let partitioned = one.is_empty();
    let row = |id: i32, said: &str| match partitioned {
        true => format!("({id}, -5)"),
        false => format!("({id}) with {said}"),
    };
    for words in [&row(0, one), &row(other, two), "Duplicate entry", violation.key] {
        assert!(what.contains(words), "{words}: {what}");
    }
    if written != Written::AfterARevert {
        assert_eq!(table.tables().await, ["t"], "the shadow is gone");
    }
    let rows: Vec<u64> = table.all("SELECT COUNT(*) FROM t").await;
    assert_eq!(rows, [3_002], "the live table is as it was");
}

#[tokio::test]
async fn a_violation_that_was_there_is_shown_with_both_rows() {
    for violation in &VIOLATIONS {
        violated(violation, Written::Before).await;
    }
}

#[tokio::test]
async fn a_violation_written_during_the_copy_is_shown_with_both_rows() {
    for violation in &VIOLATIONS {
        violated(violation, Written::DuringBelow).await;
        violated(violation, Written::DuringAbove).await;
    }
}

#[tokio::test]
async fn a_violation_written_after_the_copy_is_shown_with_both_rows() {
    for violation in &VIOLATIONS {
        violated(violation, Written::WhenReady).await;
    }
}

#[tokio::test]
async fn a_violation_written_after_a_revert_is_shown_with_both_rows() {
    for violation in &VIOLATIONS {
        violated(violation, Written::AfterARevert).await;
    }
}

#[tokio::test]
async fn a_row_that_would_merge_with_another_under_a_coarser_key_is_not_overwritten() {
    let mut table = Table::create("k varchar(20) COLLATE utf8mb4_bin PRIMARY KEY, n int").await;
    table.run("INSERT INTO t VALUES ('a', 1), ('b', 2), ('A', 3)").await;
    let run = table.migrate("MODIFY k varchar(20) COLLATE utf8mb4_0900_ai_ci NOT NULL", &[]).await;
    assert_eq!(run.code, 4, "{run:#?}");
    let rows: Vec<(String, i32)> = table.all("SELECT k, n FROM t ORDER BY n").await;
    assert_eq!(rows, [("a".into(), 1), ("b".into(), 2), ("A".into(), 3)]);
}

/// Values wander between rows on both sides of the frontier all the time, and are never held by two.
#[tokio::test(flavor = "multi_thread")]
async fn unique_values_that_change_hands_during_the_copy_are_no_duplicates() {
    let mut table = Table::create("id int PRIMARY KEY, u int NULL, UNIQUE KEY one_u (u)").await;
    table.fill("id, u", "i, i", 20_000).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (schema, stopped) = (table.schema.clone(), Arc::clone(&stop));
    let wanderer = tokio::spawn(async move {
        let mut conn = shared().conn().await.unwrap();
        let mut turn = 0;
        while !stopped.load(Ordering::Relaxed) {
            let (a, b) = (1 + turn * 7 % 10_000, 10_001 + turn * 13 % 9_999);
            conn.query_drop("BEGIN").await.unwrap();
            let t = format!("{schema}.t");
            let values: Vec<i32> = conn
                .query(format!("SELECT u FROM {t} WHERE id IN ({a}, {b}) ORDER BY id FOR UPDATE"))
                .await
                .unwrap();
            conn.query_drop(format!("UPDATE {t} SET u = NULL WHERE id = {a}")).await.unwrap();
            conn.query_drop(format!("UPDATE {t} SET u = {} WHERE id = {b}", values[0])).await.unwrap();
            conn.query_drop(format!("UPDATE {t} SET u = {} WHERE id = {a}", values[1])).await.unwrap();
            conn.query_drop("COMMIT").await.unwrap();
            turn += 1;
        }
        turn
    });
    let run = table.migrate("ADD COLUMN extra int", &["--batch-time", "20ms"]).await;
    let id = run.well().last_line()["id"].as_u64().unwrap();
    for verb in ["revert", "reapply", "revert"] {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        table.asked(verb, id).await;
    }
    stop.store(true, Ordering::Relaxed);
    let turns = wanderer.await.unwrap();
    assert!(turns > 100, "only {turns} exchanges, which proves little");
    table.asked("reapply", id).await;
    let different: Vec<u64> = table
        .all(&format!("SELECT COUNT(*) FROM t JOIN _rsc{id}_t_old o USING (id) WHERE NOT t.u <=> o.u"))
        .await;
    assert_eq!(different, [0]);
    let counts: Vec<(u64, u64)> = table.all("SELECT COUNT(*), COUNT(DISTINCT u) FROM t").await;
    assert_eq!(counts, [(20_000, 20_000)]);
}

#[tokio::test]
async fn a_reapply_that_was_blocked_by_a_value_works_once_the_value_is_mended() {
    let mut table = Table::create("id int PRIMARY KEY, name varchar(50) NOT NULL, n int").await;
    table.fill("id, name, n", "i, 'abc', i", 20_000).await;
    let id = table.migrated("MODIFY name varchar(5) NOT NULL", &[]).await;
    table.asked("revert", id).await;
    table.run("UPDATE t SET name = 'much too long' WHERE id = 7").await;
    let blocked = table.ask("reapply", id).await;
    assert_eq!(blocked.code, 6, "{blocked:#?}");
    assert!(blocked.stdout.contains("for column 'name'"), "{blocked:#?}");
    let status = table.ask("status", id).await.well();
    assert_eq!(status.last_line()["verdict"]["verdict"], "blocked");
    // The mending lies many windows behind the write.
    for _ in 0..3 {
        table.run("UPDATE t SET n = n + 1").await;
    }
    table.run("UPDATE t SET name = 'fits' WHERE id = 7").await;
    table.asked("reapply", id).await;
    let rows: Vec<(u64, u64)> = table.all("SELECT COUNT(*), SUM(n = id + 3) FROM t").await;
    assert_eq!(rows, [(20_000, 20_000)]);
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_row_that_does_not_fit_the_new_schema_is_named() {
    let mut table = Table::create("id int PRIMARY KEY, name varchar(50) NOT NULL").await;
    table.fill("id, name", "i, '7'", 20_000).await;
    table.run("UPDATE t SET name = 'much too long' WHERE id = 12345").await;
    // One is told by a condition, the other by trying. Nothing is begun.
    for clauses in ["MODIFY name varchar(5) NOT NULL", "MODIFY name int NOT NULL"] {
        let refused = table.migrate(clauses, &[]).await;
        assert_eq!(refused.code, 3, "{refused:#?}");
        assert!(refused.stdout.contains("the row with the key (12345)"), "{refused:#?}");
        assert_eq!(table.tables().await, ["t"]);
    }
    // Written after the look, it is met by the copy.
    table.run("UPDATE t SET name = '7'").await;
    let arguments =
        ["migrate", "--database", &table.schema, "--table", "t", "--alter", "MODIFY name int NOT NULL"];
    let mut running = rsc(shared(), &arguments)
        .env("RSC_FAULT", "create.commit.after:delay")
        .env("RSC_FAULT_DELAY_MS", "2000")
        .start();
    let begun = format!("SELECT COUNT(*) FROM _rsc.`change` WHERE active_table = '{}.t'", table.schema);
    while table.all::<u64>(&begun).await != [1] {
        assert!(running.try_ended().is_none());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    table.run("UPDATE t SET name = 'no number' WHERE id = 12345").await;
    let failed = running.ended().await;
    assert_eq!(failed.code, 4, "{failed:#?}");
    assert!(failed.stderr.contains("the row with the key (12345)"), "{failed:#?}");
    assert_eq!(table.tables().await, ["t"]);
}
