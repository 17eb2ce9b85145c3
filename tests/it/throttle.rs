//! What makes a change wait, and that it goes on by itself.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Running, bare, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

const ROWS: u64 = 20_000;

async fn table() -> Table {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    table.fill("id, title", "i, i", ROWS).await;
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

async fn status(server: &Server, id: u64) -> Value {
    rsc(server, &["--output", "json", "status", &id.to_string()]).run().await.well().last_line()
}

async fn set(id: u64, settings: &[&str]) -> Value {
    let id = id.to_string();
    rsc(shared(), &[&["--output", "json", "set", &id], settings].concat()).run().await.well().last_line()
}

/// Until the change stands still for a reason with this text; returns what status then says of it.
async fn throttled(server: &Server, id: u64, reason: &str) -> Value {
    for _ in 0..600 {
        let throttle = status(server, id).await["throttle"].clone();
        if throttle["throttled"] == true && throttle["reasons"].to_string().contains(reason) {
            return throttle;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("not throttled by {reason}: {:#}", status(server, id).await);
}

async fn copied(conn: &mut Conn, id: u64) -> u64 {
    let sum = format!("SELECT COALESCE(SUM(rows_copied), 0) FROM _rsc.batch WHERE change_id = {id}");
    conn.query_first(sum).await.unwrap().unwrap()
}

async fn events(conn: &mut Conn, id: u64) -> Vec<String> {
    conn.query(format!("SELECT kind FROM _rsc.event WHERE change_id = {id} ORDER BY id")).await.unwrap()
}

#[tokio::test]
async fn a_change_waits_while_the_flag_file_exists_and_goes_on_by_itself() {
    let mut table = table().await;
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("a flag");
    std::fs::write(&flag, "").unwrap();
    let mut running = begin(&table, &["--throttle-flag-file", flag.to_str().unwrap(), "--agent", "stay"]);
    running.says("\"throttled\"").await;
    let id = id(&running);
    let throttle = throttled(shared(), id, "a flag exists").await;
    assert!(throttle["since"].is_string() && throttle["lag_ms"].is_null(), "{throttle}");
    let shown = rsc(shared(), &["status", &id.to_string()]).run().await.well().stdout;
    assert!(shown.contains("throttled") && shown.contains("a flag exists"), "{shown}");
    // Long enough to be put on record.
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(copied(&mut table.conn, id).await, 0);
    assert!(!running.stdout().contains("\"copied\""));
    std::fs::remove_file(&flag).unwrap();
    running.says("\"unthrottled\"").await;
    running.says("\"revertible\"").await;
    let events = events(&mut table.conn, id).await;
    let times = |kind: &str| events.iter().filter(|event| *event == kind).count();
    assert_eq!((times("throttled"), times("unthrottled")), (1, 1), "{events:?}");
    // Only a pause stands in the way of the stream from here on, and of a revert.
    std::fs::write(&flag, "").unwrap();
    table.run("INSERT INTO t VALUES (-1)").await;
    table.asked("revert", id).await;
    assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM t WHERE title IS NOT NULL").await, [ROWS]);
    table.asked("complete", id).await;
    running.ended().await.well();
}

#[tokio::test]
async fn a_throttle_query_without_an_answer_throttles_and_limits_change_while_the_change_is_made() {
    let mut table = table().await;
    table.run("CREATE TABLE s (stop int); INSERT INTO s VALUES (3)").await;
    let query = format!("SELECT stop FROM {}.s", table.schema);
    let mut running = begin(&table, &["--throttle-query", &query]);
    running.says("the throttle query answers 3").await;
    let id = id(&running);
    table.run("UPDATE s SET stop = NULL").await;
    throttled(shared(), id, "it gives NULL").await;
    table.run("DROP TABLE s").await;
    throttled(shared(), id, "doesn't exist").await;
    // Another limit takes its place.
    set(id, &["max-load=Threads_connected=0", "throttle-query=none"]).await;
    throttled(shared(), id, "more than 0").await;
    let limits = set(id, &[]).await["limits"].clone();
    assert_eq!(
        (&limits["max-load"], &limits["throttle-query"]),
        (&"Threads_connected=0".into(), &"none".into())
    );
    assert_eq!(copied(&mut table.conn, id).await, 0);
    set(id, &["max-load=none"]).await;
    let ended = running.ended().await.well();
    assert_eq!(ended.last_line()["state"], "revertible");
    assert!(ended.stdout.contains("\"limits_set\""), "{ended:#?}");
    table.asked("complete", id).await;
}

#[tokio::test]
async fn limits_of_a_change_that_nobody_drives_are_kept_for_whoever_goes_on() {
    let mut table = table().await;
    let ended = begin(&table, &["--critical-load", "Threads_connected=0"]).ended().await;
    assert_eq!(ended.code, 5, "{ended:#?}");
    let error = ended.last_line().to_string();
    assert!(error.contains("stopped by a critical load: Threads_connected is"), "{error}");
    let id = ended.lines()[0]["id"].as_u64().unwrap();
    assert!(error.contains(&format!("rsc migrate --resume {id}")), "{error}");
    assert_eq!(status(shared(), id).await["state"], "copying");
    // The same again, and then not.
    let id_text = id.to_string();
    let resume = ["--output", "json", "migrate", "--resume", &id_text];
    assert_eq!(rsc(shared(), &resume).run().await.code, 5);
    set(id, &["critical-load=none"]).await;
    rsc(shared(), &resume).run().await.well();
    assert!(events(&mut table.conn, id).await.contains(&"critical_load".into()));
    table.asked("complete", id).await;
    let refused = rsc(shared(), &["set", &id_text, "max-lag=none"]).run().await;
    assert_eq!(refused.code, 3, "{refused:#?}");
}

#[tokio::test]
async fn at_a_critical_load_a_change_hibernates_if_it_is_to_and_goes_on_by_itself() {
    let table = table().await;
    let more = ["--critical-load", "Threads_connected=0", "--critical-load-hibernate", "2s"];
    let mut running = begin(&table, &more);
    running.says("standing still for").await;
    let id = id(&running);
    set(id, &["critical-load=none"]).await;
    running.ended().await.well();
    table.asked("complete", id).await;
}

#[tokio::test]
async fn after_the_swap_a_critical_load_makes_a_verification_wait_and_the_way_back_stays() {
    let mut table = table().await;
    let mut owner = begin(&table, &["--agent", "stay"]);
    owner.says("\"revertible\"").await;
    let id = id(&owner);
    set(id, &["critical-load=Threads_connected=0"]).await;
    let verifying = rsc(shared(), &["--output", "json", "verify", &id.to_string()]).start();
    owner.says("a critical load: Threads_connected is").await;
    // The stream goes on meanwhile.
    table.run("INSERT INTO t VALUES (-1)").await;
    let arrived = format!("SELECT COUNT(*) FROM _rsc{id}_t_old WHERE id = -1");
    while table.all::<u64>(&arrived).await == [0] {
        sleep(Duration::from_millis(20)).await;
    }
    set(id, &["critical-load=none"]).await;
    verifying.ended().await.well();
    table.asked("revert", id).await;
    table.asked("complete", id).await;
    owner.ended().await.well();
}

/// Without the stream all that was copied would be lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_goes_on_whatever_throttles_when_the_server_may_purge_what_it_needs() {
    let server = Server::start(Options::default().with("--binlog-expire-logs-seconds=4")).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    conn.query_drop("INSERT INTO d.t VALUES (1, 1), (2, 2)").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("flag");
    std::fs::write(&flag, "").unwrap();
    let more = ["--throttle-flag-file", flag.to_str().unwrap()];
    let mut running = rsc(&server, &[&MIGRATE[..], &more].concat()).start();
    running.says("\"throttled\"").await;
    let position = "SELECT position FROM _rsc.stream_1";
    let before: String = conn.query_first(position).await.unwrap().unwrap();
    conn.query_drop("UPDATE d.t SET title = 3 WHERE id = 2").await.unwrap();
    running.says("\"binlogs_short\"").await;
    while before == conn.query_first::<String, _>(position).await.unwrap().unwrap() {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(copied(&mut conn, 1).await, 0, "only the stream goes on");
    std::fs::remove_file(&flag).unwrap();
    running.ended().await.well();
}

#[tokio::test]
async fn a_nice_copy_rests_so_many_times_as_long_as_its_batches_took() {
    let mut table = table().await;
    let more = ["--nice-ratio", "8", "--copy-threads", "1", "--batch-time", "10ms", "--no-verify"];
    let ended = begin(&table, &more).ended().await.well();
    let id = ended.last_line()["id"].as_u64().unwrap();
    // After the last one there is nothing to rest for.
    let (batches, ms): (u64, f64) = table
        .conn
        .query_first(format!(
            "SELECT COUNT(*), SUM(elapsed_ms) - MAX(elapsed_ms) FROM _rsc.batch WHERE change_id = {id}"
        ))
        .await
        .unwrap()
        .unwrap();
    assert!(batches > 2, "{batches} batches");
    assert!(
        ended.took > Duration::from_secs_f64(ms * 8.0 / 1000.0),
        "{ms} ms of batches in {:?}",
        ended.took
    );
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_long_history_list_and_a_full_disk_throttle() {
    let mut table = table().await;
    let mut other = shared().conn().await.unwrap();
    let held =
        "SET SESSION transaction_isolation = 'REPEATABLE-READ'; START TRANSACTION WITH CONSISTENT SNAPSHOT";
    other.query_drop(held).await.unwrap();
    for _ in 0..20 {
        table.run("UPDATE t SET title = title + 1 WHERE id = 1").await;
    }
    let mut running = begin(&table, &["--max-history", "5", "--min-free-disk", "1K"]);
    running.says("the history list has").await;
    let id = id(&running);
    set(id, &["min-free-disk=1000T", "max-history=none"]).await;
    throttled(shared(), id, "the server's disk has").await;
    other.query_drop("COMMIT").await.unwrap();
    set(id, &["min-free-disk=none"]).await;
    running.ended().await.well();
    table.asked("complete", id).await;
}

#[tokio::test]
async fn what_cannot_be_read_at_the_start_is_refused_and_nothing_is_touched() {
    let mut table = table().await;
    let own = format!("127.0.0.1:{}", shared().port());
    for (option, value, said) in [
        ("--max-lag", "soon", "is no span of time"),
        ("--max-load", "25", "is no load"),
        ("--max-load", "No_such_thing=25", "no status variable No_such_thing"),
        ("--critical-load", "Threads_running", "is no load"),
        ("--critical-load-hibernate", "0", "to switch it off, write `none`"),
        ("--max-history", "long", "is no whole number"),
        ("--min-free-disk", "5%", "is no size"),
        ("--throttle-query", "SELEKT 1", "the throttle query has no answer"),
        ("--throttle-query", "SELECT 'no'", "which is no number"),
        ("--throttle-control-replicas", "127.0.0.1:1", "replica 127.0.0.1:1 cannot be measured"),
        ("--throttle-control-replicas", &own, "and no replica of it"),
        ("--throttle-control-replicas", "a b", "is no address"),
        ("--nice-ratio", "-1", "is no ratio"),
        ("--cutover-between", "25:00-26:00", "is no window"),
        ("--cutover-between", "02:00-04:00 Mars/Olympus", "is no time zone"),
        ("--time-zone", "Mars/Olympus", "is no time zone"),
        ("--cutover-lock-timeout", "100ms", "whole seconds"),
        ("--force-cutover-after", "later", "is no span of time"),
    ] {
        let refused = table.migrate("DROP COLUMN title", &[&format!("{option}={value}")]).await;
        assert_eq!(refused.code, 2, "{option} {value}: {refused:#?}");
        let all = format!("{}{}", refused.stdout, refused.stderr);
        assert!(all.contains(said), "{option} {value}: {refused:#?}");
    }
    assert_eq!(table.tables().await, ["t"]);
    let none = format!("SELECT COUNT(*) FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    assert_eq!(table.all::<u64>(&none).await, [0]);
}

#[tokio::test]
async fn what_cannot_be_set_is_told_with_what_was_perhaps_meant() {
    let table = table().await;
    let running = begin(&table, &["--postpone-cutover"]);
    let id = running.ended().await.well().last_line()["id"].as_u64().unwrap().to_string();
    for (setting, said) in [
        ("max-laod=Threads_running=25", "did you mean `max-load`?"),
        ("max-lag", "sets nothing"),
        ("max-lag=soon", "max-lag: `soon` is no span of time"),
        ("max-load=No_such_thing=1", "no status variable No_such_thing"),
    ] {
        let refused = rsc(shared(), &["set", &id, "nice-ratio=3", setting]).run().await;
        assert_eq!(refused.code, 2, "{setting}: {refused:#?}");
        assert!(refused.stderr.contains(said), "{setting}: {refused:#?}");
    }
    let shown = rsc(shared(), &["set", &id]).run().await.well().stdout;
    assert!(shown.contains("nice-ratio=0\n") && shown.contains("max-lag=1.5s\n"), "{shown}");
    table.asked("cancel", id.parse().unwrap()).await;
}

/// A primary with rows, and a replica of it.
async fn pair(options: Options) -> (Server, Server) {
    let primary = Server::start(Options::default()).unwrap();
    let mut conn = primary.conn().await.unwrap();
    conn.query_drop("SET SESSION cte_max_recursion_depth = 10000000; CREATE DATABASE d").await.unwrap();
    conn.query_drop("CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    conn.query_drop(
        "INSERT INTO d.t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000) \
         SELECT i, i FROM c",
    )
    .await
    .unwrap();
    let replica = Server::start_replica(&primary, options).await.unwrap();
    caught_up(&primary, &replica).await;
    (primary, replica)
}

async fn caught_up(primary: &Server, replica: &Server) {
    let written: String =
        primary.conn().await.unwrap().query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap();
    let wait = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}', 60)");
    let late: u64 = replica.conn().await.unwrap().query_first(wait).await.unwrap().unwrap();
    assert_eq!(late, 0, "the replica does not catch up");
}

/// The connection through which a replica is sent the binlog.
async fn dump_thread(conn: &mut Conn) -> Vec<u64> {
    let sql = "SELECT t.PROCESSLIST_ID FROM performance_schema.threads t \
               JOIN performance_schema.user_variables_by_thread v ON v.THREAD_ID = t.THREAD_ID \
               AND v.VARIABLE_NAME = 'replica_uuid' JOIN information_schema.PROCESSLIST p ON p.ID = t.PROCESSLIST_ID \
               WHERE t.PROCESSLIST_COMMAND LIKE 'Binlog Dump%' ORDER BY 1";
    conn.query(sql).await.unwrap()
}

const MIGRATE: [&str; 5] = ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title"];

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_or_dies_throttles_and_the_copy_goes_on_by_itself() {
    let (primary, replica) = pair(Options::default()).await;
    let mut behind = replica.conn().await.unwrap();
    let mut conn = primary.conn().await.unwrap();
    behind.query_drop("STOP REPLICA SQL_THREAD").await.unwrap();
    let more = ["--nice-ratio", "30", "--batch-time", "5ms", "--copy-threads", "1"];
    let mut running = rsc(&primary, &[&MIGRATE[..], &more].concat()).start();
    running.says("s behind, more than 1.5s").await;
    let name = format!("127.0.0.1:{}", replica.port());
    let other = format!("localhost:{}", replica.port());
    let throttle = throttled(&primary, 1, "behind").await;
    let said = throttle["reasons"].to_string();
    assert!(said.contains(&name) || said.contains(&other), "{throttle}");
    assert!(throttle["lag_ms"].as_f64().unwrap() > 1500.0, "{throttle}");
    // A batch that had begun may have ended; from here on nothing moves.
    sleep(Duration::from_millis(500)).await;
    let before = copied(&mut conn, 1).await;
    sleep(Duration::from_millis(1500)).await;
    assert_eq!(copied(&mut conn, 1).await, before);
    behind.query_drop("START REPLICA SQL_THREAD").await.unwrap();
    running.says("\"unthrottled\"").await;
    let lag = status(&primary, 1).await["throttle"]["lag_ms"].clone();
    assert!(lag.as_f64().unwrap() <= 1500.0, "{lag}");
    // It is looked at still when its source does not know it any more.
    drop(behind);
    replica.kill().unwrap();
    throttled(&primary, 1, "is not known").await;
    let registered: Vec<mysql_async::Row> = conn.query("SHOW REPLICAS").await.unwrap();
    assert!(registered.len() <= 2, "{registered:?}");
    replica.restart().unwrap();
    let quick = ["set", "1", "nice-ratio=0"];
    rsc(&primary, &quick).run().await.well();
    running.ended().await.well();
    caught_up(&primary, &replica).await;
    let rows: Vec<u64> = replica.conn().await.unwrap().query("SELECT COUNT(*) FROM d.t").await.unwrap();
    assert_eq!(rows, [30_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_gone_for_good_is_forgotten_when_the_operator_says_so() {
    let (primary, replica) = pair(Options::default()).await;
    let mut running =
        rsc(&primary, &[&MIGRATE[..], &["--nice-ratio", "50", "--batch-time", "5ms"]].concat()).start();
    running.says("\"copied\"").await;
    drop(replica);
    throttled(&primary, 1, "is not known").await;
    // The server lets its connection go when it next has something to send.
    let mut conn = primary.conn().await.unwrap();
    loop {
        let left: Vec<mysql_async::Row> = conn.query("SHOW REPLICAS").await.unwrap();
        if left.iter().all(|row| row.get::<String, _>(1).unwrap() == "rsc") {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    rsc(&primary, &["set", "1", "throttle-control-replicas=auto", "nice-ratio=0"]).run().await.well();
    running.ended().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocker_is_ended_when_it_is_time_and_a_replicas_connection_is_not() {
    // Where it says it is, nobody is; it is found where it connects from.
    let (primary, replica) = pair(Options::default().with("--report-host=192.0.2.1")).await;
    let mut conn = primary.conn().await.unwrap();
    let before = dump_thread(&mut conn).await;
    assert_eq!(before.len(), 1);
    let mut blocker = primary.application().await.unwrap();
    blocker.query_drop("START TRANSACTION; SELECT * FROM d.t WHERE id = 4711").await.unwrap();
    let connection = blocker.id();
    let more = ["--cutover-lock-timeout", "1s", "--force-cutover-after", "2s"];
    let ended = rsc(&primary, &[&MIGRATE[..], &more].concat()).run().await.well();
    let lines = ended.lines();
    let missed = lines.iter().find(|line| line["event"] == "swap_missed").unwrap();
    assert_eq!(missed["blockers"][0]["connection"], connection, "{missed}");
    assert!(missed["blockers"][0]["query"].to_string().contains("4711"), "{missed}");
    assert_eq!(missed["blockers"][0]["user"], "application");
    let killed: Vec<&Value> = lines.iter().filter(|line| line["event"] == "killed").collect();
    assert_eq!(killed.len(), 1, "{ended:#?}");
    assert_eq!(killed[0]["blocker"]["connection"], connection);
    assert!(blocker.query_drop("SELECT 1").await.is_err(), "the blocker lives");
    assert!(events(&mut conn, 1).await.contains(&"killed".into()));
    let left: Vec<u64> = dump_thread(&mut conn).await;
    assert!(left.contains(&before[0]), "the replica's connection was ended");
    caught_up(&primary, &replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_may_not_see_enough_is_told_what_it_lacks() {
    let (primary, replica) = pair(Options::default()).await;
    let mut conn = primary.conn().await.unwrap();
    for statement in [
        "CREATE USER few IDENTIFIED BY ''",
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO few",
        "GRANT ALL PRIVILEGES ON d.* TO few",
        "GRANT ALL PRIVILEGES ON _rsc.* TO few",
    ] {
        conn.query_drop(statement).await.unwrap();
    }
    let port = primary.port().to_string();
    let migrate = |more: &[&str]| {
        let account = ["--host", "127.0.0.1", "--port", &port, "--user", "few"];
        bare(&[&account[..], &MIGRATE, more].concat()).run()
    };
    let refused = migrate(&[]).await;
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.stdout.contains("set report_host on it"), "{refused:#?}");
    let named = format!("--throttle-control-replicas=127.0.0.1:{}", replica.port());
    for (more, code, said) in [
        ("--max-history=1", 2, "GRANT PROCESS"),
        ("--force-cutover-after=1s", 3, "GRANT CONNECTION_ADMIN ON *.* TO 'few'@'%'"),
    ] {
        let refused = migrate(&[&named, more]).await;
        assert_eq!(refused.code, code, "{refused:#?}");
        assert!(refused.stdout.contains(said), "{refused:#?}");
    }
    let touched: Vec<String> = conn.query("SHOW DATABASES LIKE '\\_rsc'").await.unwrap();
    assert!(touched.is_empty());
    caught_up(&primary, &replica).await;
    let ended = migrate(&[&named, "--allow-unseen"]).await.well();
    assert!(!ended.stdout.contains("\"throttled\""), "{ended:#?}");
}
