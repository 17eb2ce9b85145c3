//! rsc may be killed at any moment: what was begun goes on from the journal, and two never drive one change.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use rsc::journal::fence::{self, FenceError};
use rsc::journal::history::Beside;
use rsc::rows::gtid_set::GtidSet;
use rsc::session::Session;
use tokio::time::sleep;

use crate::support::process::{address, bare, rsc};
use crate::support::server::{Options, Server as MysqlServer};
use crate::support::shared;
use crate::support::table::Table;
use crate::support::writers::{Column, Plan, Shape, Writers, compare};

/// The process is killed in the copy, in the swap and while it follows, at moments that the dice choose; each
/// time another goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_survives_kill_nine_at_any_moment() {
    let schema = shared().fresh_database().await;
    let table = rsc::schema::table::TableName::new(&schema, "t");
    let payload = vec![Column::int("n"), Column::varchar("note", 40)];
    let mut plan = Plan::new(table.clone(), Shape::Signed, payload);
    plan.rows_per_writer = 4_000;
    plan.statements_per_s = Some(300.0);
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(plan.create_table(&["title varchar(20) NOT NULL DEFAULT 'x'"])).await.unwrap();
    let mut writers = Writers::start(shared().opts(), plan).await.unwrap();

    let begin = [
        "--output",
        "json",
        "migrate",
        "--database",
        &schema,
        "--table",
        "t",
        "--alter",
        "DROP COLUMN title",
    ];
    let mut running = rsc(shared(), &[&begin[..], &["--batch-time", "3ms"]].concat()).start();
    running.says("\"copying\"").await;
    let id: u64 = conn
        .query_first(format!("SELECT id FROM _rsc.change WHERE schema_name = '{schema}'"))
        .await
        .unwrap()
        .unwrap();
    let id = id.to_string();
    let mut kills = 0;
    for (verb, wanted) in [("migrate", "revertible"), ("revert", "reverted"), ("reapply", "revertible")] {
        let arguments = match verb {
            "migrate" => vec!["--output", "json", "migrate", "--resume", &id],
            verb => vec!["--output", "json", verb, &id],
        };
        for wait_ms in [1, 20, 45, 70, 90, 130] {
            sleep(Duration::from_millis(wait_ms)).await;
            drop(running);
            kills += 1;
            running = rsc(shared(), &arguments).start();
        }
        let ended = running.ended().await.well();
        assert_eq!(ended.last_line()["state"], wanted, "{ended:#?}");
        let paused = writers.pause().await;
        let differences = compare(&paused, &mut conn, &table).await.unwrap();
        assert!(differences.is_empty(), "after {verb}: {differences:#?}");
        assert!(writers.errors().is_empty(), "after {verb}: {:#?}", writers.errors());
        writers.resume();
        running = rsc(shared(), &["list"]).start();
    }
    drop(running);
    rsc(shared(), &["complete", &id]).run().await.well();
    writers.finish().await;
    println!("{kills} kills");
}

#[tokio::test]
async fn a_process_that_was_taken_over_from_commits_nothing() {
    let table = Table::create("id int PRIMARY KEY, a int").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    let mut session = Session::open(&address(shared())).await.unwrap();
    let first = fence::claim(&address(shared()), &mut session, id, &fence::Birth::default()).await.unwrap();
    // Alive: another process must leave it alone.
    let id_text = id.to_string();
    let other = rsc(shared(), &["--output", "json", "migrate", "--resume", &id_text]).run().await;
    assert_eq!(other.code, 8, "{other:#?}");
    assert!(other.stdout.contains(&fence::myself()), "{other:#?}");
    let stale = first.fence;
    // It dies without saying so: its connection is gone.
    drop(first);
    let next = loop {
        match fence::claim(&address(shared()), &mut session, id, &fence::Birth::default()).await {
            Ok(next) => break next,
            Err(FenceError::Owned(_)) => sleep(Duration::from_millis(50)).await,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(next.fence.epoch > stale.epoch);
    assert_eq!(stale.share_at("save.share", &mut session).await, Err(FenceError::Fenced));
    let moved = session.run(&stale.advance(&GtidSet::new().to_string(), &Beside::default())).await.unwrap();
    assert_eq!(moved.affected, 0, "the position is not moved under an old epoch");
    assert_eq!(next.fence.share_at("save.share", &mut session).await, Ok(()));
    next.release(&mut session).await.unwrap();
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_probe_that_was_killed_is_taken_away_by_the_next() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    let arguments =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", "ADD b int"];
    rsc(shared(), &arguments).env("RSC_FAULT", "shadow.create.after:kill").run().await;
    assert_eq!(table.tables().await.len(), 2, "the kill left its probe");
    let id = table.migrated("ADD b int", &[]).await;
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_change_stands_still_until_it_is_resumed() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.fill("id, a", "i, i", 60_000).await;
    let arguments =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", "ADD b int"];
    let mut running = rsc(shared(), &[&arguments[..], &["--batch-time", "2ms"]].concat()).start();
    running.says("\"copied\"").await;
    let started: serde_json::Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].as_u64().unwrap();
    table.asked("pause", id).await;
    running.says("\"paused\"").await;
    let batches = format!("SELECT COUNT(*) FROM _rsc.batch WHERE change_id = {id}");
    let before: Vec<u64> = table.all(&batches).await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(table.all::<u64>(&batches).await, before);
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!((&status["paused"], &status["next"][0]), (&true.into(), &format!("rsc resume {id}").into()));
    table.asked("resume", id).await;
    running.ended().await.well();
    // Nobody drives it now: the wish is put on record, and a revert ends the pause.
    table.asked("pause", id).await;
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!((&status["paused"], &status["state"]), (&true.into(), &"revertible".into()));
    table.asked("revert", id).await;
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!((&status["paused"], &status["state"]), (&false.into(), &"reverted".into()));
    table.asked("complete", id).await;
    assert_eq!(table.ask("pause", id).await.code, 3);
}

/// Stopped for longer than its lease, another has taken over; woken up, it sees that and changes nothing. Wherever it
/// was stopped, what it held is no obstacle.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_through_a_takeover_wakes_up_harmless() {
    let moments = [0, 2, 4, 8, 16, 32].map(Duration::from_millis);
    futures_util::future::join_all(moments.map(slept_through_a_takeover)).await;
}

async fn slept_through_a_takeover(stopped_after: Duration) {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.fill("id, a", "i, i", 1_000).await;
    let arguments =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", "ADD b int"];
    let mut sleeper = rsc(shared(), &[&arguments[..], &["--agent", "stay"]].concat()).start();
    sleeper.says("\"revertible\"").await;
    let started: serde_json::Value = serde_json::from_str(sleeper.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].as_u64().unwrap();
    sleep(stopped_after).await;
    sleeper.signal("STOP");
    table.run("UPDATE t SET a = a + 1").await;
    sleep(Duration::from_secs_f64(fence::LEASE_S + 0.5)).await;
    table.asked("revert", id).await;
    table.run("UPDATE t SET a = a + 1").await;
    sleeper.signal("CONT");
    sleep(Duration::from_millis(500)).await;
    table.asked("reapply", id).await;
    let rows: Vec<(u64, u64)> = table.all("SELECT COUNT(*), SUM(a = id + 2) FROM t").await;
    assert_eq!(rows, [(1_000, 1_000)]);
    table.asked("complete", id).await;
    sleeper.ended().await.well();
}

/// The wish of a command that was killed stays on record when its owner was killed as well. What is carried out
/// meanwhile came later.
#[tokio::test(flavor = "multi_thread")]
async fn a_wish_that_nobody_answered_is_not_granted_after_a_later_one() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    let id = table.migrated("ADD b int", &[]).await;
    let change = id.to_string();
    let stay = ["--output", "json", "migrate", "--resume", &change, "--agent", "stay"];
    let mut owner = rsc(shared(), &stay).start();
    owner.says("\"following\"").await;
    owner.signal("STOP");
    let mut asking = rsc(shared(), &["--output", "json", "complete", &change]).start();
    let asked = format!("SELECT COUNT(*) FROM _rsc.request WHERE change_id = {id}");
    while table.all::<u64>(&asked).await == [0] {
        assert!(asking.try_ended().is_none(), "{}", asking.stdout());
        sleep(Duration::from_millis(10)).await;
    }
    drop(asking);
    drop(owner);
    let gone = format!("SELECT IS_USED_LOCK('rsc.change.{id}') IS NULL");
    while table.all::<u64>(&gone).await == [0] {
        sleep(Duration::from_millis(10)).await;
    }
    let reverted = table.ask("revert", id).await.well();
    assert!(reverted.stdout.contains("\"started\""), "by itself: {reverted:#?}");
    let mut owner = rsc(shared(), &stay).start();
    owner.says("\"following\"").await;
    table.asked("reapply", id).await;
    table.asked("complete", id).await;
    owner.ended().await.well();
    assert_eq!(table.all::<u64>("SELECT COUNT(b) FROM t").await, [0], "the new schema serves");
}

/// The owner is stopped, so the wish waits when the connection of the command that made it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_loses_its_connection_says_that_its_wish_may_still_be_granted() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    let arguments =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", "ADD b int"];
    let mut owner = rsc(shared(), &[&arguments[..], &["--agent", "stay"]].concat()).start();
    owner.says("\"following\"").await;
    let started: serde_json::Value = serde_json::from_str(owner.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].as_u64().unwrap();
    owner.signal("STOP");
    // An account of its own, so that its connection can be told from all others.
    let user = table.schema.clone();
    table.run(&format!("CREATE USER {user}@'%'")).await;
    table.run(&format!("GRANT ALL ON *.* TO {user}@'%'")).await;
    let (port, change) = (shared().port().to_string(), id.to_string());
    let connection = ["--host", "127.0.0.1", "--port", &port, "--user", &user];
    let mut asking = bare(&[&connection[..], &["--output", "json", "revert", &change]].concat()).start();
    let asked = format!("SELECT COUNT(*) FROM _rsc.request WHERE change_id = {id}");
    while table.all::<u64>(&asked).await == [0] {
        assert!(asking.try_ended().is_none(), "{}", asking.stdout());
        sleep(Duration::from_millis(10)).await;
    }
    let mine = format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{user}'");
    let connections: Vec<u64> = table.all(&mine).await;
    assert_eq!(connections.len(), 1);
    table.run(&format!("KILL {}", connections[0])).await;
    let ended = asking.ended().await;
    owner.signal("CONT");
    assert_eq!(ended.code, 5, "{ended:#?}");
    assert!(ended.stdout.contains("may grant it still"), "{ended:#?}");
    assert!(ended.stdout.contains(&format!("rsc status {id}")), "{ended:#?}");
    owner.says("\"reverted\"").await;
    table.asked("complete", id).await;
    owner.ended().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_transaction_goes_through_the_stream_in_parts() {
    let mut table = Table::create("id int PRIMARY KEY, a int, title varchar(20) NOT NULL DEFAULT ''").await;
    table.fill("id, a, title", "i, i, CONCAT('t', i)", 60_000).await;
    let id = table.migrated("DROP COLUMN title", &[]).await;
    // Three times the size of a window: every key moves, then some come back, and rows go and come.
    table.run("BEGIN").await;
    table.run("UPDATE t SET id = -id, a = a + 1").await;
    table.run("UPDATE t SET id = -id WHERE id % 3 = 0").await;
    table.run("DELETE FROM t WHERE id % 7 = 0").await;
    table.run("INSERT INTO t VALUES (7, 0), (-14, 0)").await;
    table.run("COMMIT").await;
    table.asked("revert", id).await;
    let wrong: Vec<u64> = table
        .all(
            "SELECT COUNT(*) FROM t WHERE title <> IF(id IN (7, -14), '', CONCAT('t', ABS(id))) \
             OR a <> IF(id IN (7, -14), 0, ABS(id) + 1)",
        )
        .await;
    assert_eq!(wrong, [0], "every row has its own title and value");
    let count: Vec<u64> = table.all(&format!("SELECT COUNT(*) FROM _rsc{id}_t_new")).await;
    let now: Vec<u64> = table.all("SELECT COUNT(*) FROM t").await;
    assert_eq!(now, count);
}

#[tokio::test]
async fn an_empty_table_and_a_single_row_go_forward_and_back() {
    for rows in [0, 1] {
        let mut table = Table::create("id int PRIMARY KEY, a int").await;
        if rows == 1 {
            table.run("INSERT INTO t VALUES (0, 5)").await;
        }
        let id = table.migrated("DROP COLUMN a", &[]).await;
        table.asked("revert", id).await;
        let found: Vec<(i32, i32)> = table.all("SELECT id, a FROM t").await;
        assert_eq!(found, [(0, 5)][..rows]);
        table.asked("complete", id).await;
    }
}

#[tokio::test]
async fn the_next_number_of_a_deleted_row_is_not_handed_out_again() {
    let mut table = Table::create("id bigint AUTO_INCREMENT PRIMARY KEY, a int").await;
    table.run("INSERT INTO t (a) VALUES (1), (2), (3)").await;
    table.run("DELETE FROM t WHERE id = 3").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    table.run("INSERT INTO t (a) VALUES (4)").await;
    table.run("DELETE FROM t WHERE a = 4").await;
    table.asked("revert", id).await;
    table.run("INSERT INTO t (a) VALUES (5)").await;
    let last: Vec<i64> = table.all("SELECT id FROM t WHERE a = 5").await;
    assert_eq!(last, [5], "3 and 4 were handed out before");
}

#[tokio::test]
async fn a_definition_changed_by_someone_else_ends_the_stream_and_is_named() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 1)").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    table.run("ALTER TABLE t ADD COLUMN theirs int").await;
    table.run("INSERT INTO t VALUES (2, 2, 2, 2)").await;
    let ended = table.ask("revert", id).await;
    assert_eq!(ended.code, 6, "{ended:#?}");
    assert!(ended.stdout.contains("changed by someone else"), "{ended:#?}");
    let rows: Vec<u64> = table.all("SELECT COUNT(*) FROM t WHERE theirs = 2").await;
    assert_eq!(rows, [1], "the live table is as they made it");
    table.asked("complete", id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_table_is_followed_in_the_copy_and_after_the_swap() {
    let mut table = Table::create("id int AUTO_INCREMENT PRIMARY KEY, a int, title int DEFAULT 7").await;
    table.fill("a", "i", 60_000).await;
    let arguments =
        ["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", "DROP title"];
    let mut running = rsc(shared(), &[&arguments[..], &["--batch-time", "3ms"]].concat()).start();
    running.says("\"copied\"").await;
    table.run("TRUNCATE TABLE t").await;
    table.run("INSERT INTO t (a) VALUES (1), (2), (3)").await;
    let migrated = running.ended().await.well();
    assert!(migrated.stdout.contains("\"truncated\""), "{migrated:#?}");
    let id = migrated.last_line()["id"].as_u64().unwrap();
    let rows: Vec<(i32, i32)> = table.all("SELECT id, a FROM t ORDER BY id").await;
    assert_eq!(rows, [(1, 1), (2, 2), (3, 3)]);
    table.run("DELETE FROM t WHERE id = 1").await;
    table.run("TRUNCATE t").await;
    table.run("INSERT INTO t (a) VALUES (4)").await;
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32, i32)> = table.all("SELECT id, a, title FROM t").await;
    assert_eq!(rows, [(1, 4, 7)]);
    table.asked("complete", id).await;
}

/// With durable commits, so that what the server acknowledged is there after its death.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_and_comes_back_is_waited_for() {
    let options = Options::default().with("--sync-binlog=1").with("--innodb-flush-log-at-trx-commit=1");
    let server = MysqlServer::start(options).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, a int, title int)")
        .await
        .unwrap();
    conn.query_drop(
        "SET SESSION cte_max_recursion_depth = 1000000; INSERT INTO d.t WITH RECURSIVE c(i) AS \
         (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60000) SELECT i, i, i FROM c",
    )
    .await
    .unwrap();
    let migrate =
        ["--output", "json", "migrate", "--database", "d", "--table", "t", "--alter", "DROP COLUMN title"];
    let mut running =
        rsc(&server, &[&migrate[..], &["--agent", "stay", "--batch-time", "5ms"]].concat()).start();
    running.says("\"copied\"").await;
    server.kill().unwrap();
    server.restart().unwrap();
    running.says("\"revertible\"").await;
    assert!(running.stdout().contains("\"retrying\""), "{}", running.stdout());
    server.kill().unwrap();
    server.restart().unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("UPDATE d.t SET a = 0 WHERE id % 2 = 0; DELETE FROM d.t WHERE id % 5 = 0").await.unwrap();
    rsc(&server, &["revert", "1"]).run().await.well();
    let sums: Vec<(u64, u64, u64)> = conn
        .query("SELECT COUNT(*), SUM(title = id), SUM(a = IF(id % 2 = 0, 0, id)) FROM d.t")
        .await
        .unwrap();
    assert_eq!(sums, [(48_000, 48_000, 48_000)]);
    rsc(&server, &["complete", "1"]).run().await.well();
    running.ended().await.well();
}

/// Root may write in spite of read_only, so that alone does not keep a change from being driven on a replica.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_not_driven_on_a_read_only_server() {
    let server = MysqlServer::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    let migrate =
        ["--output", "json", "migrate", "--database", "d", "--table", "t", "--alter", "DROP COLUMN title"];
    rsc(&server, &migrate).run().await.well();
    conn.query_drop("SET GLOBAL read_only = ON").await.unwrap();
    for (arguments, code) in
        [(vec!["revert", "1"], 6), (vec!["complete", "1"], 3), (vec!["migrate", "--resume", "1"], 3)]
    {
        let refused = rsc(&server, &[&["--output", "json"][..], &arguments].concat()).run().await;
        assert_eq!(refused.code, code, "{refused:#?}");
        assert!(refused.stdout.contains("connect to the primary"), "{refused:#?}");
    }
    let tables: Vec<String> = conn.query("SHOW TABLES IN d").await.unwrap();
    assert_eq!(tables, ["_rsc1_t_old", "t"]);
    conn.query_drop("SET GLOBAL read_only = OFF").await.unwrap();
    rsc(&server, &["revert", "1"]).run().await.well();
}

/// Lets the swap last long enough, with the tables locked and the last window committed, for a client to run into it.
#[cfg(debug_assertions)]
const SLOW_SWAP: &str = "swap.commit.before:delay,swap.commit.after:delay";
#[cfg(debug_assertions)]
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// A client's UPDATE that waits for the tables that `rsc` has locked; `None` if it came too late for that.
#[cfg(debug_assertions)]
async fn client_at_the_lock(
    table: &mut Table,
    rsc: &mut crate::support::process::Running,
) -> Option<tokio::task::JoinHandle<mysql_async::Result<u64>>> {
    let locks = |status: &str, kind: &str| {
        format!(
            "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_SCHEMA = '{}' \
             AND OBJECT_NAME = 't' AND LOCK_STATUS = '{status}' AND LOCK_TYPE = '{kind}'",
            table.schema
        )
    };
    let (locked, waiting) = (locks("GRANTED", "SHARED_NO_READ_WRITE"), locks("PENDING", "SHARED_WRITE"));
    while table.all::<u64>(&locked).await == [0] {
        if rsc.try_ended().is_some() {
            return None;
        }
        sleep(Duration::from_millis(2)).await;
    }
    let update = format!("UPDATE {}.t SET a = a + 1 WHERE id = 1", table.schema);
    let client = tokio::spawn(async move {
        let mut conn = shared().conn().await?;
        conn.query_drop(update).await?;
        Ok(conn.affected_rows())
    });
    while table.all::<u64>(&waiting).await == [0] {
        if client.is_finished() {
            assert_eq!(client.await.unwrap().unwrap(), 1);
            return None;
        }
        sleep(Duration::from_millis(2)).await;
    }
    Some(client)
}

#[cfg(debug_assertions)]
async fn answered(client: tokio::task::JoinHandle<mysql_async::Result<u64>>) {
    let answer = tokio::time::timeout(ANSWERED_WITHIN, client).await.expect("the client still waits");
    assert_eq!(answer.unwrap().expect("the client gets an error"), 1);
}

/// What both tables hold of the row that clients added to. The shadow follows only when somebody drives it.
#[cfg(debug_assertions)]
async fn nothing_was_lost(mut table: Table, id: u64) {
    let updates: Vec<i32> = table.all("SELECT a FROM t WHERE id = 1").await;
    assert!(updates[0] > 0, "{updates:?}");
    for verb in ["revert", "reapply", "revert"] {
        table.asked(verb, id).await;
        let row: Vec<i32> = table.all("SELECT a FROM t WHERE id = 1").await;
        assert_eq!(row, updates, "after {verb}");
    }
    let titles: Vec<String> = table.all("SELECT title FROM t ORDER BY id").await;
    assert_eq!(titles, ["one", "two"]);
    table.asked("complete", id).await;
}

#[cfg(debug_assertions)]
async fn migrated_table() -> (Table, u64) {
    let mut table = Table::create("id int PRIMARY KEY, a int, title varchar(20)").await;
    table.run("INSERT INTO t VALUES (1, 0, 'one'), (2, 0, 'two')").await;
    let id = table.migrated("DROP COLUMN title", &[]).await;
    (table, id)
}

#[cfg(debug_assertions)]
async fn has_title(table: &mut Table) -> bool {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = 't' AND COLUMN_NAME = 'title'",
        table.schema
    );
    table.all::<u64>(&sql).await == [1]
}

/// The server sees the end of the connection, gives the locks back, and the client goes on with the table as it was.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_in_the_swap_is_answered_when_rsc_is_killed_with_the_locks() {
    let (mut table, id) = migrated_table().await;
    let mut waited = 0;
    // A slow machine may let the client come too late.
    for _ in 0..5 {
        let fault = format!("{SLOW_SWAP},swap.rename.before:kill");
        let mut reverting = rsc(shared(), &["revert", &id.to_string()]).env("RSC_FAULT", &fault).start();
        let Some(client) = client_at_the_lock(&mut table, &mut reverting).await else { continue };
        let ended = reverting.ended().await;
        assert_eq!(ended.code, -1, "{ended:#?}");
        assert!(ended.stderr.contains("struck: swap.rename.before"), "{ended:#?}");
        answered(client).await;
        assert!(!has_title(&mut table).await, "it was killed before the RENAME");
        waited += 1;
        break;
    }
    assert_eq!(waited, 1, "no client ever waited");
    nothing_was_lost(table, id).await;
}

/// A stopped process keeps its connection, so the server ends it after `IDLE_MAX_S`.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_waits_in_the_swap_is_answered_when_rsc_is_stopped_with_the_locks() {
    let (mut table, id) = migrated_table().await;
    let mut waited = 0;
    // A slow machine may let the client, or the signal, come too late.
    for verb in ["revert", "reapply", "revert", "reapply", "revert"] {
        let title = has_title(&mut table).await;
        let mut asked = rsc(shared(), &[verb, &id.to_string()]).env("RSC_FAULT", SLOW_SWAP).start();
        let Some(client) = client_at_the_lock(&mut table, &mut asked).await else {
            asked.ended().await.well();
            continue;
        };
        asked.signal("STOP");
        answered(client).await;
        let before_the_rename = has_title(&mut table).await == title;
        asked.signal("CONT");
        asked.ended().await.well();
        if before_the_rename {
            waited += 1;
            break;
        }
    }
    assert_eq!(waited, 1, "no client ever waited");
    nothing_was_lost(table, id).await;
}

/// It waits for a minute; what was done is kept.
#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_change_gives_up_on_a_server_that_stays_away() {
    let server = MysqlServer::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1, 1)").await.unwrap();
    let migrate = ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title"];
    let mut running = rsc(&server, &[&migrate[..], &["--agent", "stay"]].concat()).start();
    running.says("\"revertible\"").await;
    server.kill().unwrap();
    let ended = running.ended().await;
    assert_eq!(ended.code, 5, "{ended:#?}");
    assert!(ended.stdout.contains("rsc migrate --resume 1") && ended.stdout.contains("\"retrying\""));
    server.restart().unwrap();
    rsc(&server, &["revert", "1"]).run().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_begin_at_once_on_one_table_one_is_refused() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.fill("id, a", "i, i", 5_000).await;
    let begin = |clause: &'static str| {
        let words = ["--database", &table.schema, "--table", "t", "--alter", clause];
        rsc(shared(), &[&["--output", "json", "migrate"], &words[..]].concat()).start()
    };
    let both = [begin("ADD COLUMN b int"), begin("ADD COLUMN c int")];
    let mut codes = Vec::new();
    for running in both {
        let ended = running.ended().await;
        let refused = ["has a change already", "is being changed already"];
        assert!(ended.code == 0 || refused.iter().any(|said| ended.stdout.contains(said)), "{ended:#?}");
        codes.push(ended.code);
    }
    codes.sort();
    assert_eq!(codes, [0, 3]);
    assert_eq!(table.tables().await.len(), 2);
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_second_interrupt_does_not_wait_for_the_statement_in_flight() {
    for (first, second) in [("INT", "INT"), ("TERM", "INT")] {
        let mut table = Table::create("id int PRIMARY KEY, a int").await;
        table.fill("id, a", "i, i", 5_000).await;
        let words = ["--database", &table.schema, "--table", "t", "--alter", "ADD b int"];
        let mut running = rsc(shared(), &[&["--output", "json", "migrate"], &words[..]].concat())
            .env("RSC_FAULT", "batch.copy.before:delay")
            .env("RSC_FAULT_DELAY_MS", "600000")
            .start();
        running.logs("fault struck").await;
        let started: serde_json::Value =
            serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
        running.signal(first);
        running.says("once more to stop at once").await;
        running.signal(second);
        assert_eq!(running.ended().await.code, 130);
        let id = started["id"].as_u64().unwrap();
        let resumed =
            rsc(shared(), &["--output", "json", "migrate", "--resume", &id.to_string()]).run().await;
        assert_eq!(resumed.well().last_line()["state"], "revertible");
        table.asked("complete", id).await;
    }
}

/// Wherever in the swap: it is made or it is not, the exit code says which, and the change goes on.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_in_the_swap_leaves_one_schema_or_the_other() {
    let points = ["swap.lock.before", "swap.freeze.before", "swap.commit.before", "swap.rename.before"];
    let points = points.into_iter().chain(["swap.rename.after", "swap.unlock.after", "save.commit.before"]);
    for point in points {
        let mut table = Table::create("id int PRIMARY KEY, title int").await;
        table.fill("id, title", "i, i", 1_000).await;
        let words = ["--database", &table.schema, "--table", "t", "--alter", "DROP COLUMN title"];
        // The fourth state that is saved is what came of the swap.
        let nth = if point.starts_with("save") { ":4" } else { "" };
        let mut running = rsc(shared(), &[&["--output", "json", "migrate"], &words[..]].concat())
            .env("RSC_FAULT", &format!("{point}:delay{nth}"))
            .start();
        running.logs("fault struck").await;
        let started: serde_json::Value =
            serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
        let id = started["id"].as_u64().unwrap();
        running.signal("TERM");
        // Under the lock this waits, and is applied to the table that has the name afterwards.
        table.run("UPDATE t SET id = -id WHERE id = 7").await;
        let ended = running.ended().await;
        let tables = table.tables().await;
        let swapped = tables == [format!("_rsc{id}_t_old"), "t".into()];
        assert!(swapped || tables == [format!("_rsc{id}_t_new"), "t".into()], "{point}: {tables:?}");
        assert!(ended.code == 0 && swapped || ended.code == 130, "{point}: {ended:#?}");
        println!("{point}: exit {}, {}", ended.code, if swapped { "swapped" } else { "not swapped" });
        let resumed =
            rsc(shared(), &["--output", "json", "migrate", "--resume", &id.to_string()]).run().await;
        assert_eq!(resumed.well().last_line()["state"], "revertible", "{point}");
        table.asked("revert", id).await;
        let rows: Vec<(u64, u64)> = table.all("SELECT COUNT(*), SUM(title = ABS(id)) FROM t").await;
        assert_eq!(rows, [(1_000, 1_000)], "{point}");
        table.asked("complete", id).await;
    }
}

/// Stopped while it holds the tables: the server lets the application go on, another process takes over, and who wakes
/// up changes nothing.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_sleeps_in_the_swap_is_taken_over_from() {
    for point in ["swap.advance.before", "swap.rename.before", "swap.rename.after"] {
        let mut table = Table::create("id int PRIMARY KEY, title int").await;
        table.fill("id, title", "i, i", 1_000).await;
        let words = ["--database", &table.schema, "--table", "t", "--alter", "DROP COLUMN title"];
        let mut sleeper = rsc(shared(), &[&["--output", "json", "migrate"], &words[..]].concat())
            .env("RSC_FAULT", &format!("{point}:delay"))
            .start();
        sleeper.logs("fault struck").await;
        sleeper.signal("STOP");
        let started: serde_json::Value =
            serde_json::from_str(sleeper.stdout().lines().next().unwrap()).unwrap();
        let id = started["id"].as_u64().unwrap();
        // Waits for the lock, and is answered.
        table.run("UPDATE t SET id = -id WHERE id = 7").await;
        let resume = ["--output", "json", "migrate", "--resume", &id.to_string()];
        let resumed = loop {
            let resumed = rsc(shared(), &resume).run().await;
            if resumed.code != 8 {
                break resumed;
            }
            sleep(Duration::from_millis(200)).await;
        };
        assert_eq!(resumed.well().last_line()["state"], "revertible", "{point}");
        table.run("UPDATE t SET id = -id WHERE id = 8").await;
        table.asked("revert", id).await;
        sleeper.signal("CONT");
        let woken = sleeper.ended().await;
        println!("{point}: exit {} after waking up", woken.code);
        assert!([0, 8].contains(&woken.code), "{point}: {woken:#?}");
        let rows: Vec<(u64, u64)> = table.all("SELECT COUNT(*), SUM(title = ABS(id)) FROM t").await;
        assert_eq!(rows, [(1_000, 1_000)], "{point}");
        table.asked("reapply", id).await;
        table.asked("complete", id).await;
    }
}

/// Stopped in the middle of a transaction, it holds the fence's row until its connection ends.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_sleeps_in_a_transaction_is_taken_over_from() {
    for point in ["window.commit.before", "save.commit.before:delay:4", "window.advance.before"] {
        let mut table = Table::create("id int PRIMARY KEY, title int").await;
        table.fill("id, title", "i, i", 1_000).await;
        let words = ["--database", &table.schema, "--table", "t", "--alter", "DROP COLUMN title"];
        let fault = if point.contains(':') { point.into() } else { format!("{point}:delay") };
        let mut sleeper =
            rsc(shared(), &[&["--output", "json", "migrate", "--agent", "stay"], &words[..]].concat())
                .env("RSC_FAULT", &fault)
                .env("RSC_FAULT_DELAY_MS", "3000")
                .start();
        sleeper.says("\"swapped\"").await;
        table.run("UPDATE t SET id = -id WHERE id = 7").await;
        sleeper.logs("fault struck").await;
        sleeper.signal("STOP");
        let started: serde_json::Value =
            serde_json::from_str(sleeper.stdout().lines().next().unwrap()).unwrap();
        let id = started["id"].as_u64().unwrap();
        let begun = std::time::Instant::now();
        table.asked("revert", id).await;
        // The lease, and what the server waits for a lock, are less than that together.
        println!("{point}: taken over after {:.1?}", begun.elapsed());
        table.run("UPDATE t SET id = -id WHERE id = 8").await;
        sleeper.signal("CONT");
        sleep(Duration::from_millis(500)).await;
        table.asked("reapply", id).await;
        table.asked("revert", id).await;
        let rows: Vec<(u64, u64)> = table.all("SELECT COUNT(*), SUM(title = ABS(id)) FROM t").await;
        assert_eq!(rows, [(1_000, 1_000)], "{point}");
        table.asked("complete", id).await;
        sleeper.ended().await.well();
    }
}

/// The journal does not know of the swap yet; the tables do.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_revert_right_after_a_kill_in_the_swap_is_granted() {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    table.fill("id, title", "i, i", 100).await;
    let words = ["--database", &table.schema, "--table", "t", "--alter", "DROP COLUMN title"];
    let killed = rsc(shared(), &[&["--output", "json", "migrate"], &words[..]].concat())
        .env("RSC_FAULT", "swap.unlock.after:kill")
        .run()
        .await;
    let id = killed.lines()[0]["id"].as_u64().unwrap();
    let state = format!("SELECT state FROM _rsc.`change` WHERE id = {id}");
    assert_eq!(table.all::<String>(&state).await, ["cutting_over"]);
    loop {
        let reverted = table.ask("revert", id).await;
        if reverted.code != 8 {
            assert_eq!(reverted.well().last_line()["state"], "reverted");
            break;
        }
    }
    assert_eq!(table.all::<u64>("SELECT SUM(title = id) FROM t").await, [100]);
    table.asked("complete", id).await;
}
