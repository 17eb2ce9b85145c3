//! `rsc verify` finds what is wrong, names it, mends it, and raises no false alarm.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use rsc::schema::table::TableName;
use serde_json::Value;

use crate::support::process::{Ended, rsc};
#[cfg(debug_assertions)]
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;
use crate::support::writers::{Column, Plan, Shape, Writers};

/// Of every kind that its bytes could hide in.
const COLUMNS: &str = "id int PRIMARY KEY, n bigint, f float, d double, v varchar(20) COLLATE utf8mb4_general_ci NULL, \
    c char(5), b varbinary(20), e enum('','b') NOT NULL DEFAULT 'b', s set('x','y'), j json, ts timestamp(3) NULL, \
    dt datetime, de decimal(12,2), y year, bt bit(9), g point, x int, gen int AS (n + 1) STORED, \
    m int, q decimal(10,2), l varchar(10) CHARACTER SET latin1, w smallint NOT NULL DEFAULT 1, \
    o datetime(3), z varchar(9) NOT NULL DEFAULT 'z'";
const NAMES: &str = "id, n, f, d, v, c, b, e, s, j, ts, dt, de, y, bt, g, x, m, q, l, w, o, z";
const VALUES: &str = "i, i * 7, i / 3, i / 7, concat('Name ', i), concat('c', i % 9), concat('b', i), 'b', 'x', \
    json_object('a', i, 'b', json_array(1, 2.5, 'x')), '2020-01-01 00:00:00.123', '2021-02-03 04:05:06', i / 4, 2001, \
    i % 512, point(i, 1), i, i, i / 4, 'é', 1, '2020-01-01 00:00:00.5', 'z'";
const CLAUSES: &str = "DROP COLUMN x, ADD COLUMN extra int DEFAULT 7, MODIFY m varchar(20), \
    MODIFY q decimal(12,4), MODIFY l varchar(10) CHARACTER SET utf8mb4, MODIFY w int NOT NULL DEFAULT 1, \
    MODIFY o datetime(6), MODIFY z char(9) NOT NULL DEFAULT 'z'";

/// Changes one row of the shadow, behind everyone's back; the row, and the column that is named for it.
const DAMAGE: [(&str, &str, &str); 25] = [
    ("SET n = n ^ 1", "1", "n,gen"),
    ("SET f = f + 1e-7", "2", "f"),
    ("SET d = -0e0", "3", "d"),
    ("SET v = NULL", "4", "v"),
    ("SET v = concat(v, ' ')", "5", "v"),
    ("SET v = upper(v)", "6", "v"),
    ("SET v = ''", "7", "v"),
    ("SET c = 'x'", "8", "c"),
    ("SET b = concat(b, x'00')", "9", "b"),
    ("SET e = ''", "10", "e"),
    ("SET s = 'x,y'", "11", "s"),
    ("SET j = JSON_SET(j, '$.b[0]', 2)", "12", "j"),
    ("SET ts = ts + INTERVAL 1000 MICROSECOND", "13", "ts"),
    ("SET dt = dt + INTERVAL 1 SECOND", "14", "dt"),
    ("SET de = de + 0.01", "15", "de"),
    ("SET y = 2002", "16", "y"),
    ("SET bt = bt ^ 256", "17", "bt"),
    ("SET g = point(1, 1)", "18", "g"),
    ("SET m = m + 1", "19", "m"),
    ("SET q = q + 0.01", "20", "q"),
    ("SET l = 'e'", "21", "l"),
    ("SET w = w + 1", "22", "w"),
    ("SET o = o + INTERVAL 1000 MICROSECOND", "23", "o"),
    ("SET z = 'Z'", "24", "z"),
    ("SET n = NULL", "25", "n,gen"),
];

async fn verify(id: u64, more: &[&str]) -> Ended {
    let id = id.to_string();
    rsc(shared(), &[&["--output", "json", "verify", &id], more].concat()).run().await
}

/// As `key kind columns`.
fn mismatches(ended: &Ended) -> BTreeSet<String> {
    let named = |line: &Value| {
        let columns: Vec<&str> =
            line["columns"].as_array().unwrap().iter().map(|cell| cell["column"].as_str().unwrap()).collect();
        let mut name = format!("{} {}", line["key"].as_str().unwrap(), line["kind"].as_str().unwrap());
        if !columns.is_empty() {
            name += &format!(" {}", columns.join(","));
        }
        name
    };
    ended.lines().iter().filter(|line| line["event"] == "mismatch").map(named).collect()
}

fn result(ended: &Ended) -> Value {
    ended
        .lines()
        .into_iter()
        .find(|line| line["event"] == "verification")
        .unwrap_or_else(|| panic!("{ended:#?}"))
}

fn equal(ended: &Ended) {
    assert_eq!(ended.code, 0, "{ended:#?}");
    let result = result(ended);
    assert_eq!((&result["outcome"], &result["mismatches"]), (&"equal".into(), &0.into()), "{ended:#?}");
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

impl Table {
    /// As a defect would, or a person: no binlog has it.
    async fn behind_everyones_back(&mut self, statements: &str) {
        self.run(&format!("SET sql_log_bin = 0; {statements}; SET sql_log_bin = 1")).await;
    }
}

#[tokio::test]
async fn every_damage_is_found_named_and_mended_in_both_directions() {
    let mut table = Table::create(COLUMNS).await;
    table.fill(NAMES, VALUES, 3_000).await;
    let id = table.migrated(CLAUSES, &[]).await;
    for (shadow, back) in [("old", "revert"), ("new", "reapply")] {
        equal(&verify(id, &[]).await);
        let shadow = format!("_rsc{id}_t_{shadow}");
        let mut expected = BTreeSet::new();
        let mut statements = Vec::new();
        for (change, key, column) in DAMAGE {
            statements.push(format!("UPDATE {shadow} {change} WHERE id = {key}"));
            expected.insert(format!("{key} differs {column}"));
        }
        // Not to be seen: another order of keys.
        statements
            .push(format!("UPDATE {shadow} SET j = '{{\"b\": [1, 2.5, \"x\"], \"a\": 26}}' WHERE id = 26"));
        statements.push(format!("DELETE FROM {shadow} WHERE id IN (27, 3000)"));
        statements.push(format!("INSERT INTO {shadow} (id, z) VALUES (-5, 'a'), (3001, 'b')"));
        // The same in two rows, which a linear sum would not see.
        statements.push(format!("UPDATE {shadow} SET c = 'q' WHERE id IN (37, 46)"));
        expected.extend(set(&[
            "27 missing",
            "3000 missing",
            "-5 extra",
            "3001 extra",
            "37 differs c",
            "46 differs c",
        ]));
        table.behind_everyones_back(&statements.join("; ")).await;
        let found = verify(id, &["--limit", "1000"]).await;
        assert_eq!(found.code, 7, "{found:#?}");
        assert_eq!(mismatches(&found), expected);
        let left: Vec<String> = table
            .all(&format!("SELECT concat(id, ' ', coalesce(v, 'NULL')) FROM {shadow} WHERE id = 4"))
            .await;
        assert_eq!(left, ["4 NULL"], "without --repair nothing is written");
        let mended = verify(id, &["--repair", "--limit", "1000"]).await;
        assert_eq!(mended.code, 0, "{mended:#?}");
        assert_eq!(mismatches(&mended), expected);
        assert!(mended.lines().iter().all(|line| line["event"] != "mismatch" || line["mended"] == true));
        assert_eq!(result(&mended)["mended"], expected.len());
        equal(&verify(id, &[]).await);
        table.asked(back, id).await;
    }
    equal(&verify(id, &[]).await);
    let excluded = result(&verify(id, &[]).await)["excluded"].clone();
    assert_eq!(excluded, serde_json::json!(["extra", "x"]));
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!(status["verification"]["outcome"], "equal");
    assert_eq!(status["verification"]["rows"], 3_000);
}

#[tokio::test]
async fn keys_in_another_order_are_looked_up_one_by_one() {
    let mut table =
        Table::create("k varchar(20) COLLATE utf8mb4_0900_as_cs, n int, m int, PRIMARY KEY (k, n)").await;
    table.fill("k, n, m", "concat(char(65 + i % 26), i), i, i", 3_000).await;
    let id = table.migrated("MODIFY k varchar(30) COLLATE utf8mb4_bin NOT NULL", &[]).await;
    equal(&verify(id, &[]).await);
    let shadow = format!("_rsc{id}_t_old");
    table
        .behind_everyones_back(&format!(
            "UPDATE {shadow} SET m = 0 WHERE n = 7; DELETE FROM {shadow} WHERE n = 8; \
             INSERT INTO {shadow} VALUES ('zz', 1, 1)"
        ))
        .await;
    let found = verify(id, &[]).await;
    assert_eq!(mismatches(&found), set(&["H7, 7 differs m", "I8, 8 missing", "zz, 1 extra"]));
    assert_eq!(result(&found)["rows"], 3_000);
    assert_eq!(verify(id, &["--repair"]).await.code, 0);
    equal(&verify(id, &[]).await);
}

#[tokio::test]
async fn rows_that_stand_in_each_others_way_are_mended_together() {
    let mut table = Table::create("id int PRIMARY KEY, u int NOT NULL, x int, UNIQUE KEY one_u (u)").await;
    table.fill("id, u, x", "i, i, i", 100).await;
    let id = table.migrated("DROP COLUMN x", &[]).await;
    let shadow = format!("_rsc{id}_t_old");
    table
        .behind_everyones_back(&format!(
            "UPDATE {shadow} SET u = 1000 WHERE id = 1; UPDATE {shadow} SET u = 1 WHERE id = 2; \
             UPDATE {shadow} SET u = 2 WHERE id = 1; DELETE FROM {shadow} WHERE id = 3; INSERT INTO {shadow} VALUES (200, 3, 3)"
        ))
        .await;
    let mended = verify(id, &["--repair"]).await;
    assert_eq!(mended.code, 0, "{mended:#?}");
    assert_eq!(mismatches(&mended), set(&["1 differs u", "2 differs u", "3 missing", "200 extra"]));
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32, Option<i32>)> = table.all("SELECT * FROM t WHERE id < 4 ORDER BY id").await;
    assert_eq!(rows, [(1, 1, Some(1)), (2, 2, Some(2)), (3, 3, None)], "only the old schema knew x");
}

#[tokio::test]
async fn what_the_ledger_has_and_what_is_kept_is_no_mismatch_but_a_wrong_value_is() {
    let mut table = Table::create(
        "id int PRIMARY KEY, name varchar(5) NOT NULL, u int NOT NULL, at datetime(3) NOT NULL, UNIQUE KEY one_u (u)",
    )
    .await;
    table.fill("id, name, u, at", "i, 'abc', i, '2020-01-01 00:00:00.250'", 1_000).await;
    let clauses = "MODIFY name varchar(50) NOT NULL, MODIFY at datetime NOT NULL, DROP KEY one_u";
    let id = table.migrated(clauses, &[]).await;
    // Lost, parked; and the old table knows all times to the millisecond.
    table.run("UPDATE t SET name = 'much too long' WHERE id <= 3").await;
    table.run("INSERT INTO t VALUES (2000, 'also too long', 7, now()), (2001, 'a', 7, now())").await;
    equal(&verify(id, &[]).await);
    let old = format!("_rsc{id}_t_old");
    table
        .behind_everyones_back(&format!(
            "UPDATE {old} SET name = 'mucH ' WHERE id = 2; UPDATE {old} SET at = at + INTERVAL 1 SECOND WHERE id = 9; \
             DELETE FROM {old} WHERE id = 10"
        ))
        .await;
    let found = verify(id, &[]).await;
    assert_eq!(mismatches(&found), set(&["2 differs name", "9 differs at", "10 missing"]));
    let mended = verify(id, &["--repair"]).await;
    assert_eq!((mended.code, result(&mended)["mended"].clone()), (0, 3.into()), "{mended:#?}");
    let lost: Vec<i32> = table.all(&format!("SELECT k0 FROM _rsc.loss_{id} ORDER BY k0")).await;
    assert_eq!(lost, [1, 2, 3], "the ledger is as it was");
    let kept: Vec<i32> = table.all(&format!("SELECT id FROM {old} WHERE MICROSECOND(at) <> 250000")).await;
    assert_eq!(kept, [9, 10], "only rows that were written again have lost their milliseconds");
    // Accepted, they are in the new table only; and that keeps the long names.
    table.reverted_accepting_parked(id).await;
    equal(&verify(id, &[]).await);
    table.behind_everyones_back(&format!("INSERT INTO _rsc{id}_t_new VALUES (3000, 'x', 1, now())")).await;
    assert_eq!(mismatches(&verify(id, &[]).await), set(&["3000 extra"]));
    assert_eq!(verify(id, &["--repair"]).await.code, 0);
    table.asked("reapply", id).await;
    equal(&verify(id, &[]).await);
    let names: Vec<String> = table.all("SELECT name FROM t WHERE id IN (1, 2000) ORDER BY id").await;
    assert_eq!(names, ["much too long", "also too long"]);
}

#[tokio::test]
async fn a_table_that_differs_in_more_rows_than_can_be_listed_ends_the_verification_early() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 5_000).await;
    let id = table.migrated("DROP COLUMN x", &[]).await;
    let old = format!("_rsc{id}_t_old");
    table.behind_everyones_back(&format!("UPDATE {old} SET n = -1")).await;
    let found = verify(id, &[]).await;
    assert_eq!((found.code, mismatches(&found).len()), (7, 100), "{found:#?}");
    assert_eq!(result(&found)["mismatches"], 1_000);
    let mended = verify(id, &["--repair", "--limit", "9999"]).await;
    assert_eq!(mended.code, 0, "{mended:#?}");
    assert_eq!((result(&mended)["mended"].clone(), mismatches(&mended).len()), (5_000.into(), 1_000));
    equal(&verify(id, &[]).await);
}

/// The column that is dropped is still there.
#[cfg(debug_assertions)]
async fn serving_old(table: &mut Table) -> bool {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = 't' AND COLUMN_NAME = 'x'",
        table.schema
    );
    table.all::<u64>(&sql).await == [1]
}

/// The number of a change that waits just before it is verified, or has been and goes on.
async fn number(table: &mut Table) -> u64 {
    let sql = format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    table.all(&sql).await[0]
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn before_the_first_swap_a_difference_stops_the_change_and_can_be_mended() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 1_000).await;
    let words = [
        "--output",
        "json",
        "migrate",
        "--database",
        &table.schema,
        "--table",
        "t",
        "--alter",
        "DROP COLUMN x",
    ];
    let mut migrating = rsc(shared(), &words)
        .env("RSC_FAULT", "verify.begin.before:delay")
        .env("RSC_FAULT_DELAY_MS", "4000")
        .start();
    migrating.says("\"catching_up\"").await;
    let id = number(&mut table).await;
    let new = format!("_rsc{id}_t_new");
    table
        .behind_everyones_back(&format!(
            "UPDATE {new} SET n = 0 WHERE id = 500; DELETE FROM {new} WHERE id = 600"
        ))
        .await;
    let stopped = migrating.ended().await;
    assert_eq!(stopped.code, 7, "{stopped:#?}");
    for word in [
        "(500) differs in n",
        "(600) is missing",
        "rsc verify",
        "--repair",
        "rsc migrate --resume",
        "rsc cancel",
    ] {
        assert!(stopped.stdout.contains(word), "{word}: {stopped:#?}");
    }
    assert!(serving_old(&mut table).await, "not swapped");
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!((status["state"].clone(), status["serving"].clone()), ("catching_up".into(), "old".into()));
    // Again, as often as one likes.
    let resume = ["--output", "json", "migrate", "--resume", &id.to_string()];
    assert_eq!(rsc(shared(), &resume).run().await.code, 7);
    let found = verify(id, &[]).await;
    assert_eq!((found.code, mismatches(&found)), (7, set(&["500 differs n", "600 missing"])));
    let mended = verify(id, &["--repair"]).await;
    assert_eq!(mended.code, 0, "{mended:#?}");
    assert_eq!(mismatches(&mended), set(&["500 differs n", "600 missing"]));
    assert!(serving_old(&mut table).await, "not swapped");
    let done = rsc(shared(), &resume).run().await.well();
    assert_eq!(done.last_line()["state"], "revertible");
    equal(&verify(id, &[]).await);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_a_change_that_differs_and_swaps_when_it_is_resumed() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, n int); INSERT INTO d.t VALUES (1, 1), (2, 2)")
        .await
        .unwrap();
    let run = |words: &[&str]| rsc(&server, &[&["--output", "json"], words].concat());
    let mut migrating = run(&["migrate", "--alter", "ALTER TABLE d.t ADD KEY (n)"])
        .env("RSC_FAULT", "verify.begin.before:delay")
        .env("RSC_FAULT_DELAY_MS", "3000")
        .start();
    migrating.says("\"catching_up\"").await;
    conn.query_drop("SET sql_log_bin = 0; DELETE FROM d._rsc1_t_new WHERE id = 2; SET sql_log_bin = 1")
        .await
        .unwrap();
    assert_eq!(migrating.ended().await.code, 7);
    let mut agent = run(&["agent"]).start();
    agent.says("\"state\":\"catching_up\"").await;
    conn.query_drop("INSERT INTO d.t VALUES (3, 3)").await.unwrap();
    assert_eq!(mismatches(&run(&["verify", "1"]).run().await), set(&["2 missing"]));
    assert_eq!(run(&["verify", "1", "--repair"]).run().await.code, 0);
    let state = async || run(&["status", "1"]).run().await.well().last_line()["state"].clone();
    assert_eq!(state().await, "catching_up");
    run(&["resume", "1"]).run().await.well();
    let begun = Instant::now();
    while state().await != "revertible" {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", agent.stdout());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    equal(&run(&["verify", "1"]).run().await);
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn whoever_does_not_want_to_be_sure_is_not_asked_and_a_change_that_differs_can_be_cancelled() {
    let mut table = Table::create("id int PRIMARY KEY, n int").await;
    table.fill("id, n", "i, i", 100).await;
    let words = [
        "--output",
        "json",
        "migrate",
        "--database",
        &table.schema,
        "--table",
        "t",
        "--alter",
        "ADD KEY (n)",
    ];
    let mut migrating = rsc(shared(), &words)
        .env("RSC_FAULT", "verify.begin.before:delay")
        .env("RSC_FAULT_DELAY_MS", "3000")
        .start();
    migrating.says("\"catching_up\"").await;
    let id = number(&mut table).await;
    table.behind_everyones_back(&format!("DELETE FROM _rsc{id}_t_new WHERE id = 5")).await;
    assert_eq!(migrating.ended().await.code, 7);
    table.asked("cancel", id).await;
    assert_eq!(table.tables().await, ["t"]);
    let ended = table.migrate("ADD KEY (n)", &["--no-verify"]).await.well();
    assert!(!ended.stdout.contains("verified"), "{ended:#?}");
    let id = ended.last_line()["id"].as_u64().unwrap();
    assert_eq!(table.ask("status", id).await.well().last_line()["verification"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_verified_is_refused() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 100).await;
    let id = table.migrated("DROP COLUMN x", &[]).await;
    table.asked("pause", id).await;
    let refused = verify(id, &[]).await;
    assert!(refused.code == 3 && refused.stdout.contains("rsc resume"), "{refused:#?}");
    table.asked("resume", id).await;
    equal(&verify(id, &[]).await);
    table.asked("complete", id).await;
    for more in [&[][..], &["--repair"]] {
        let refused = verify(id, more).await;
        assert!(refused.code == 3 && refused.stdout.contains("completed"), "{refused:#?}");
    }
    let words = ["--output", "json", "migrate", "--alter", "ALTER TABLE a.b FORCE", "--verify-every", "5s"];
    assert_eq!(rsc(shared(), &words).run().await.code, 2);
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn the_owner_verifies_when_asked_one_at_a_time_and_a_wish_goes_before_it() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 2_000).await;
    let id = table.migrated("DROP COLUMN x", &[]).await;
    let number = id.to_string();
    let words = ["--output", "json", "migrate", "--resume", &number, "--agent", "stay"];
    let mut keeper = rsc(shared(), &words).start();
    keeper.says("\"following\"").await;
    equal(&verify(id, &[]).await);
    table.behind_everyones_back(&format!("DELETE FROM _rsc{id}_t_old WHERE id = 5")).await;
    assert_eq!(mismatches(&verify(id, &["--repair"]).await), set(&["5 missing"]));
    drop(keeper);
    // One that is slow at its mark: the owner can be asked meanwhile.
    table.behind_everyones_back(&format!("DELETE FROM _rsc{id}_t_old WHERE id = 6")).await;
    let words = ["--output", "json", "migrate", "--resume", &number, "--agent", "stay"];
    let mut keeper = loop {
        let mut keeper = rsc(shared(), &words)
            .env("RSC_FAULT", "verify.mark.before:delay")
            .env("RSC_FAULT_DELAY_MS", "3000")
            .start();
        tokio::time::sleep(Duration::from_millis(500)).await;
        // The one before may not be quite dead.
        if keeper.try_ended().is_none() {
            break keeper;
        }
    };
    keeper.says("\"following\"").await;
    let first = tokio::spawn(async move { verify(id, &[]).await });
    keeper.logs("fault struck: verify.mark").await;
    let second = verify(id, &[]).await;
    assert!(second.code == 3 && second.stdout.contains("being verified already"), "{second:#?}");
    let first = first.await.unwrap();
    assert_eq!(mismatches(&first), set(&["6 missing"]));
    assert_eq!(mismatches(&verify(id, &["--repair"]).await), set(&["6 missing"]));
    table.asked("revert", id).await;
    equal(&verify(id, &[]).await);
}

#[tokio::test]
async fn whoever_keeps_the_stream_verifies_again_and_again() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 200).await;
    let words = [
        "--output",
        "json",
        "migrate",
        "--database",
        &table.schema,
        "--table",
        "t",
        "--alter",
        "DROP COLUMN x",
        "--agent",
        "stay",
        "--verify-every",
        "1s",
    ];
    let mut keeper = rsc(shared(), &words).start();
    keeper.says("\"following\"").await;
    let id = number(&mut table).await;
    table.behind_everyones_back(&format!("UPDATE _rsc{id}_t_old SET n = 9 WHERE id = 8")).await;
    keeper.says("\"outcome\":\"differs\"").await;
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!(
        (status["evidence"]["differs"].clone(), status["state"].clone()),
        (true.into(), "revertible".into())
    );
}

/// Half a minute, or as long as `RSC_VERIFY_SECONDS` says.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_false_alarm_however_much_is_written() {
    let seconds = std::env::var("RSC_VERIFY_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(30);
    let schema = shared().fresh_database().await;
    let payload = vec![Column::int("n"), Column::varchar("note", 40)];
    let name = TableName::new(&schema, "t");
    // Keys that move; few rows, so that each is hot.
    let mut plan = Plan::new(name, Shape::Signed, payload);
    plan.rows_per_writer = 150;
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(plan.create_table(&["title varchar(20) NOT NULL DEFAULT 'x'"])).await.unwrap();
    let writers = Writers::start(shared().opts(), plan).await.unwrap();
    let words = [
        "--output",
        "json",
        "migrate",
        "--database",
        &schema,
        "--table",
        "t",
        "--alter",
        "DROP COLUMN title, MODIFY n varchar(20), ADD KEY by_note (note)",
        "--batch-time",
        "20ms",
    ];
    let ended = rsc(shared(), &words).run().await.well();
    let id = ended.last_line()["id"].as_u64().unwrap();
    let words = ["--output", "json", "migrate", "--resume", &id.to_string(), "--agent", "stay"];
    let mut keeper = rsc(shared(), &words).start();
    keeper.says("\"following\"").await;
    let begun = Instant::now();
    let (mut verifies, mut unsettled) = (0, 0);
    while begun.elapsed() < Duration::from_secs(seconds) || verifies < 3 {
        let found = verify(id, &[]).await;
        equal(&found);
        unsettled += result(&found)["unsettled"].as_u64().unwrap();
        verifies += 1;
        if verifies % 7 == 0 {
            let verb = if verifies % 2 == 1 { "revert" } else { "reapply" };
            rsc(shared(), &[verb, &id.to_string()]).run().await.well();
        }
    }
    let finished = writers.finish().await;
    assert!(finished.errors.is_empty(), "{:#?}", finished.errors);
    println!("{verifies} verifications under {:?}; {unsettled} rows unsettled", finished.tally);
    equal(&verify(id, &[]).await);
}

/// Before the first swap, a process goes on where the one before it was killed, and does not take its word for more than that.
#[cfg(debug_assertions)]
#[tokio::test]
async fn another_process_goes_on_where_a_comparison_was_broken_off() {
    // At its end, the place that was put on record first is still the last one: the next would be due after seconds.
    for (fault, damaged) in [
        ("verify.reach.after:kill", None),
        ("verify.reach.before:cut", None),
        ("verify.reach.after:lost", None),
        ("verify.end.before:kill", None),
        ("verify.end.before:kill", Some(19_000)),
        ("verify.end.before:kill", Some(3)),
    ] {
        let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
        table.fill("id, n, x", "i, i, i", 20_000).await;
        let words = [
            "--output",
            "json",
            "migrate",
            "--database",
            &table.schema,
            "--table",
            "t",
            "--alter",
            "DROP COLUMN x",
        ];
        let struck = rsc(shared(), &words).env("RSC_FAULT", fault).run().await;
        assert!(struck.stderr.contains("fault struck"), "{struck:#?}");
        let id = number(&mut table).await;
        if !fault.ends_with("kill") {
            // It went on by itself, in the same pass or in another.
            struck.well();
            continue;
        }
        let sql =
            format!("SELECT CAST(reached->>'$.rows' AS UNSIGNED) FROM _rsc.verify WHERE change_id = {id}");
        let reached: Vec<Option<u64>> = table.all(&sql).await;
        // Killed before it was committed, it is not on record.
        let somewhere = reached[0].is_some_and(|rows| (1_000..19_000).contains(&rows));
        assert_eq!(somewhere, fault.starts_with("verify.end"), "{reached:?}");
        if let Some(damaged) = damaged {
            let new = format!("_rsc{id}_t_new");
            table.behind_everyones_back(&format!("UPDATE {new} SET n = 0 WHERE id = {damaged}")).await;
        }
        let resume = ["--output", "json", "migrate", "--resume", &id.to_string()];
        let resumed = loop {
            let ended = rsc(shared(), &resume).run().await;
            // The one before is not quite dead.
            if ended.code != 8 {
                break ended;
            }
        };
        let expected = if damaged == Some(19_000) { 7 } else { 0 };
        assert_eq!(resumed.code, expected, "{damaged:?}: {resumed:#?}");
        let verified: Value = resumed
            .stdout
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .find(|line: &Value| line["event"] == "verified")
            .unwrap();
        assert_eq!(verified["rows"], 20_000, "all are counted: {resumed:#?}");
        // What was damaged behind it is found by whoever asks for a whole one.
        let whole = verify(id, &[]).await;
        assert_eq!(whole.code, if damaged.is_some() { 7 } else { 0 }, "{whole:#?}");
    }
}

/// Everything that can be lost at its statements: afterwards the same is found, and mended.
#[cfg(debug_assertions)]
#[tokio::test]
async fn whatever_is_lost_at_its_statements_the_next_one_finds_and_mends() {
    let mut table = Table::create("id int PRIMARY KEY, n int, x int").await;
    table.fill("id, n, x", "i, i, i", 200).await;
    let id = table.migrated("DROP COLUMN x", &[]).await;
    for name in ["verify.begin", "verify.mark", "verify.mend", "verify.delete", "verify.end"] {
        for (moment, kind) in [("before", "kill"), ("after", "kill"), ("before", "cut"), ("after", "lost")] {
            let old = format!("_rsc{id}_t_old");
            table
                .behind_everyones_back(&format!(
                    "UPDATE {old} SET n = 9 WHERE id = 8; DELETE FROM {old} WHERE id = 9; INSERT INTO {old} VALUES (500, 1, 1)"
                ))
                .await;
            let fault = format!("{name}.{moment}:{kind}");
            let words = ["--output", "json", "verify", &id.to_string(), "--repair"];
            let struck = rsc(shared(), &words).env("RSC_FAULT", &fault).run().await;
            assert!(struck.stderr.contains("fault struck"), "{fault} was never struck: {struck:#?}");
            assert!(matches!(struck.code, -1 | 0 | 5), "{fault}: {struck:#?}");
            let after = loop {
                let ended = verify(id, &["--repair"]).await;
                // The one before is not quite dead.
                if ended.code != 8 {
                    break ended;
                }
            };
            assert_eq!(after.code, 0, "{fault}: {after:#?}");
            equal(&verify(id, &[]).await);
        }
    }
}
