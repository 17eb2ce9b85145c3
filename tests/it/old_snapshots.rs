//! A transaction whose snapshot is older than the rows of the table that becomes live never reads it short without an
//! error, in either direction: it is waited for, or fails as after a native ALTER.
//!
//! On a server of their own: here a transaction that stays open makes every cut-over of the server wait.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Ended, Running, bare, rsc, rsc_minimal};
use crate::support::server::{Options, Server};

const ROWS: u64 = 3_000;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Options::default()).unwrap_or_else(|error| panic!("{error}")))
}

/// One at a time, for the same reason.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    ALONE.lock().await
}

struct Bench {
    conn: Conn,
    schema: String,
}

impl Bench {
    async fn new(table: &str) -> Self {
        let schema = server().fresh_database().await;
        let mut conn = server().conn().await.unwrap();
        conn.query_drop(format!("USE {schema}")).await.unwrap();
        conn.query_drop("SET cte_max_recursion_depth = 1000000").await.unwrap();
        conn.query_drop(format!("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v int) {table}"))
            .await
            .unwrap();
        conn.query_drop("CREATE TABLE audit (id int AUTO_INCREMENT PRIMARY KEY)").await.unwrap();
        for table in ["t (v)", "audit (id)"] {
            let fill = format!(
                "INSERT INTO {table} WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS}) \
                 SELECT i FROM c"
            );
            conn.query_drop(fill).await.unwrap();
        }
        Self { conn, schema }
    }

    fn words(&self, more: &[&str]) -> Vec<String> {
        let words = ["--output", "json", "migrate", "--database", &self.schema, "--table", "t", "--alter"];
        let how = ["MODIFY v bigint", "--copy-threads", "1", "--defer-indexes", "never"];
        [&words[..], &how[..], more].concat().into_iter().map(str::to_owned).collect()
    }

    fn migrate(&self, more: &[&str]) -> Running {
        let words = self.words(more);
        rsc(server(), &words.iter().map(String::as_str).collect::<Vec<_>>()).start()
    }

    /// It copies slowly enough for what is to happen meanwhile.
    fn migrate_slowly(&self, more: &[&str]) -> Running {
        self.migrate(&[&["--batch-time", "5ms", "--nice-ratio", "30"][..], more].concat())
    }

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn snapshot(&self) -> Reader {
        let mut conn = server().conn().await.unwrap();
        conn.query_drop(format!("USE {}", self.schema)).await.unwrap();
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await.unwrap();
        conn.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await.unwrap();
        Reader(conn)
    }

    /// Its definition, without the counter.
    async fn create(&mut self, table: &str) -> String {
        let sql = format!("SHOW CREATE TABLE {table}");
        let (_, create): (String, String) = self.conn.query_first(sql).await.unwrap().unwrap();
        let words = create.split_whitespace().filter(|word| !word.starts_with("AUTO_INCREMENT="));
        words.collect::<Vec<_>>().join(" ")
    }
}

struct Reader(Conn);

impl Reader {
    /// How many rows it sees, or the number of the error.
    async fn counts(&mut self, table: &str) -> Result<u64, u16> {
        match self.0.query_first::<u64, _>(format!("SELECT COUNT(*) FROM {table}")).await {
            Ok(count) => Ok(count.unwrap()),
            Err(mysql_async::Error::Server(error)) => Err(error.code),
            Err(error) => panic!("{error}"),
        }
    }

    async fn ends(mut self) {
        self.0.query_drop("COMMIT").await.unwrap();
    }

    fn named(&self) -> String {
        format!("\"connection\":{}", self.0.id())
    }
}

const WAITS: &str = "a transaction's snapshot is older than the rows of the table that is to become live";

fn id(running: &Running) -> String {
    let started: Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    started["id"].to_string()
}

async fn ask(words: &[&str]) -> Ended {
    rsc(server(), &[&["--output", "json"], words].concat()).run().await
}

#[tokio::test]
async fn a_snapshot_begun_during_the_copy_is_waited_for() {
    let _alone = alone().await;
    let bench = Bench::new("").await;
    let mut running = bench.migrate_slowly(&[]);
    running.says("\"copied\"").await;
    let mut reader = bench.snapshot().await;
    running.says(WAITS).await;
    assert!(running.stdout().contains(&reader.named()), "{}", running.stdout());
    assert_eq!(reader.counts("t").await, Ok(ROWS));
    // What is waited for is no table in use: the transaction has read no table at all when it is found.
    reader.0.query_drop("ROLLBACK; START TRANSACTION WITH CONSISTENT SNAPSHOT").await.unwrap();
    let ended = running.ended().await.well();
    assert_eq!(reader.counts("t").await, Ok(ROWS), "begun behind the last row, it sees all");
    assert!(!ended.stdout.contains("\"old_readers\""), "{ended:#?}");
    reader.ends().await;
    ask(&["complete", &ended.last_line()["id"].to_string()]).await.well();
}

#[tokio::test]
async fn an_operator_who_does_not_wait_makes_old_snapshots_fail() {
    let _alone = alone().await;
    let mut bench = Bench::new("").await;
    let mut running = bench.migrate_slowly(&["--accept-short-reads"]);
    running.says("\"copied\"").await;
    let mut reader = bench.snapshot().await;
    let ended = running.ended().await.well();
    assert_eq!(reader.counts("t").await, Err(1412));
    let told = ended.lines().into_iter().find(|line| line["event"] == "old_readers").unwrap();
    assert_eq!(
        (&told["fail"], told["readers"][0]["connection"].as_u64()),
        (&true.into(), Some(reader.0.id().into()))
    );
    bench.run("CREATE TABLE n LIKE t").await;
    let copy = bench.create("n").await.replace("`n`", "`t`");
    assert_eq!(bench.create("t").await, copy, "nothing is left of how they were made to fail");
    reader.ends().await;
    ask(&["complete", &ended.last_line()["id"].to_string()]).await.well();
}

/// The server adds no column at once to a compressed table.
#[tokio::test]
async fn a_table_that_cannot_refuse_old_snapshots_is_read_short_only_where_that_is_wanted() {
    let _alone = alone().await;
    let bench = Bench::new("ROW_FORMAT=COMPRESSED").await;
    let mut running = bench.migrate_slowly(&[]);
    running.says("\"copied\"").await;
    let mut reader = bench.snapshot().await;
    running.says(WAITS).await;
    let id = id(&running);
    running.interrupt();
    running.ended().await;
    assert_eq!(reader.counts("audit").await, Ok(ROWS));
    let words = ["migrate", "--resume", &id, "--accept-short-reads"];
    let ended = ask(&words).await.well();
    let told = ended.lines().into_iter().find(|line| line["event"] == "old_readers").unwrap();
    assert_eq!(told["fail"], false, "{ended:#?}");
    assert!(reader.counts("t").await.unwrap() < ROWS, "it is read short, as was said");
    reader.ends().await;
    ask(&["complete", &id]).await.well();
}

/// With PROCESS and without SELECT on performance_schema, InnoDB's own list names it.
#[tokio::test]
async fn an_account_that_has_process_alone_waits_for_old_snapshots_by_name() {
    let _alone = alone().await;
    for table in ["ROW_FORMAT=COMPRESSED", ""] {
        let bench = Bench::new(table).await;
        let words = bench.words(&["--batch-time", "5ms", "--nice-ratio", "30"]);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut running = rsc_minimal(server(), &words).start();
        running.says("\"copied\"").await;
        let mut reader = bench.snapshot().await;
        running.says(WAITS).await;
        assert!(running.stdout().contains(&reader.named()), "{}", running.stdout());
        assert_eq!(reader.counts("t").await, Ok(ROWS));
        reader.ends().await;
        let ended = running.ended().await.well();
        assert!(!ended.stdout.contains("\"old_readers\""), "{ended:#?}");
        ask(&["complete", &ended.last_line()["id"].to_string()]).await.well();
    }
}

/// COMMIT begins its next transaction, in which it reads nothing. performance_schema has that for an open transaction.
#[tokio::test]
async fn an_idle_session_whose_commit_chains_has_no_snapshot() {
    let _alone = alone().await;
    for account in [rsc, rsc_minimal] {
        let bench = Bench::new("ROW_FORMAT=COMPRESSED").await;
        let mut idle = bench.snapshot().await;
        idle.0.query_drop("SET completion_type = CHAIN").await.unwrap();
        assert_eq!(idle.counts("t").await, Ok(ROWS));
        idle.0.query_drop("COMMIT").await.unwrap();
        let words = bench.words(&[]);
        let ended =
            account(server(), &words.iter().map(String::as_str).collect::<Vec<_>>()).run().await.well();
        assert!(!ended.stdout.contains("\"old_readers\""), "{ended:#?}");
        assert_eq!(idle.counts("t").await, Ok(ROWS));
        drop(idle);
        ask(&["complete", &ended.last_line()["id"].to_string()]).await.well();
    }
}

#[tokio::test]
async fn the_way_back_waits_for_old_snapshots_as_well() {
    let _alone = alone().await;
    let mut bench = Bench::new("").await;
    let mut running = bench.migrate(&["--agent", "stay"]);
    running.says("\"swapped\"").await;
    let id = id(&running);
    for (verb, serving) in [("revert", "old"), ("reapply", "new")] {
        let mut reader = bench.snapshot().await;
        bench.run("INSERT INTO t (v) VALUES (1)").await;
        let before = reader.counts("audit").await;
        assert_eq!(before, Ok(ROWS));
        let asked = rsc(server(), &["--output", "json", verb, &id]).start();
        sleep(Duration::from_millis(2_500)).await;
        let status = ask(&["status", &id]).await.well().last_line();
        assert_ne!(status["serving"], serving, "{status:#}");
        assert!(running.stdout().contains(&reader.named()), "{}", running.stdout());
        if verb == "revert" {
            reader.ends().await;
            asked.ended().await.well();
            continue;
        }
        ask(&[verb, &id, "--accept-short-reads"]).await.well();
        asked.ended().await.well();
        assert_eq!(reader.counts("t").await, Err(1412));
        reader.ends().await;
    }
    ask(&["complete", &id]).await.well();
    running.ended().await.well();
}

#[tokio::test]
async fn where_readers_cannot_be_seen_old_snapshots_fail() {
    let _alone = alone().await;
    let bench = Bench::new("").await;
    let account = format!("blind_{}", bench.schema);
    let mut root = server().conn().await.unwrap();
    for statement in [
        format!("CREATE USER {account}@'%'"),
        format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {account}@'%'"),
        format!("GRANT ALL ON `{}`.* TO {account}@'%'", bench.schema),
        format!("GRANT ALL ON `\\_rsc`.* TO {account}@'%'"),
    ] {
        root.query_drop(statement).await.unwrap();
    }
    let port = server().port().to_string();
    let words = bench.words(&["--batch-time", "5ms", "--nice-ratio", "30", "--allow-unseen"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut running =
        bare(&[&["--host", "127.0.0.1", "--port", &port, "--user", &account], &words[..]].concat()).start();
    running.says("\"copied\"").await;
    let mut reader = bench.snapshot().await;
    let ended = running.ended().await.well();
    assert_eq!(reader.counts("t").await, Err(1412));
    reader.ends().await;
    ask(&["complete", &ended.last_line()["id"].to_string()]).await.well();
}

/// As between the two statements that make old snapshots fail.
#[tokio::test]
async fn a_process_that_was_killed_leaves_nothing_on_the_table() {
    let _alone = alone().await;
    let mut bench = Bench::new("").await;
    let ended = bench.migrate(&["--postpone-cutover"]).ended().await.well();
    let id = ended.last_line()["id"].to_string();
    bench
        .run(&format!(
            "ALTER TABLE _rsc{id}_t_new ADD COLUMN _rsc_outdates bit(1) INVISIBLE /* rsc change {id} */"
        ))
        .await;
    ask(&["cutover", &id]).await.well();
    assert!(!bench.create("t").await.contains("_rsc_outdates"));
    ask(&["complete", &id]).await.well();
}

/// Readers on a replica are seen by nobody here.
#[tokio::test]
async fn an_old_snapshot_on_a_replica_fails_too() {
    let primary = Server::start(Options::default()).unwrap();
    let replica = Server::start_replica(&primary, Options::default().with("--server-id=2")).await.unwrap();
    let mut conn = primary.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v int)").await.unwrap();
    conn.query_drop("SET cte_max_recursion_depth = 100000").await.unwrap();
    let fill = "INSERT INTO d.t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000) SELECT i, i FROM c";
    conn.query_drop(fill).await.unwrap();
    let words =
        ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t MODIFY v bigint", "--batch-time", "5ms"];
    let more = ["--nice-ratio", "30", "--copy-threads", "1", "--throttle-control-replicas", "none"];
    let mut running = rsc(&primary, &[&words[..], &more[..]].concat()).start();
    running.says("\"copied\"").await;
    let mut reader = Reader(replica.conn().await.unwrap());
    reader.0.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await.unwrap();
    running.ended().await.well();
    let mut other = replica.conn().await.unwrap();
    let executed: String = conn.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap().unwrap();
    other.exec_drop("SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)", (executed,)).await.unwrap();
    assert_eq!(reader.counts("d.t").await, Err(1412));
}

static GO_ON: AtomicBool = AtomicBool::new(true);

/// Each transaction reads one table first, then writes two that always have the same number of rows.
async fn writer(schema: String) -> (u64, u64, Duration) {
    let (mut done, mut refused, mut longest) = (0, 0, Duration::ZERO);
    let mut conn = server().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    while GO_ON.load(Ordering::Relaxed) {
        conn.query_drop("START TRANSACTION").await.unwrap();
        conn.query_drop("SELECT id FROM audit WHERE id = 1").await.unwrap();
        // An INSERT looks at no snapshot.
        let first = if done % 2 == 0 {
            "INSERT INTO t (v) VALUES (1)"
        } else {
            "UPDATE t SET v = v + 1 WHERE id = 7"
        };
        let asked = Instant::now();
        let answer = conn.query_drop(first).await;
        longest = longest.max(asked.elapsed());
        match answer {
            Ok(()) => {
                if done % 2 == 1 {
                    conn.query_drop("INSERT INTO t (v) VALUES (1)").await.unwrap();
                }
                conn.query_drop("INSERT INTO audit VALUES ()").await.unwrap();
                conn.query_drop("COMMIT").await.unwrap();
                done += 1;
            }
            Err(mysql_async::Error::Server(error)) if error.code == 1412 => {
                conn.query_drop("ROLLBACK").await.unwrap();
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(1)).await;
    }
    (done, refused, longest)
}

/// How many snapshots saw both tables alike, and how many were refused.
async fn prober(schema: String) -> (u64, u64) {
    let (mut alike, mut refused) = (0, 0);
    let mut conn = server().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    let mut reader = Reader(conn);
    while GO_ON.load(Ordering::Relaxed) {
        reader.0.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await.unwrap();
        sleep(Duration::from_millis(alike % 40)).await;
        let audit = reader.counts("audit").await.unwrap();
        match reader.counts("t").await {
            Ok(rows) => {
                assert_eq!(rows, audit, "a snapshot sees another number of rows than there were");
                alike += 1;
            }
            Err(1412) => refused += 1,
            Err(other) => panic!("error {other}"),
        }
        reader.0.query_drop("COMMIT").await.unwrap();
    }
    (alike, refused)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_snapshot_reads_short_under_writers_and_no_cut_over_starves() {
    let _alone = alone().await;
    let bench = Bench::new("").await;
    let writers: Vec<_> = (0..8).map(|_| tokio::spawn(writer(bench.schema.clone()))).collect();
    let probers: Vec<_> = (0..2).map(|_| tokio::spawn(prober(bench.schema.clone()))).collect();
    let mut running = bench.migrate(&["--agent", "stay"]);
    running.says("\"swapped\"").await;
    let id = id(&running);
    for verb in ["revert", "reapply", "revert", "reapply"] {
        ask(&[verb, &id]).await.well();
    }
    GO_ON.store(false, Ordering::Relaxed);
    let (mut wrote, mut read) = ((0, 0, Duration::ZERO), (0, 0));
    for writer in writers {
        let (done, refused, longest) = writer.await.unwrap();
        wrote = (wrote.0 + done, wrote.1 + refused, wrote.2.max(longest));
    }
    for prober in probers {
        let (alike, refused) = prober.await.unwrap();
        read = (read.0 + alike, read.1 + refused);
    }
    ask(&["complete", &id]).await.well();
    let ended = running.ended().await.well();
    let count = |event: &str| ended.lines().iter().filter(|line| line["event"] == event).count();
    println!(
        "{} swaps, {} attempts missed; transactions: {} written, {} refused, the longest wait {:?}; snapshots: {} alike, {} refused",
        count("swapped"),
        count("swap_missed"),
        wrote.0,
        wrote.1,
        wrote.2,
        read.0,
        read.1
    );
    assert_eq!(count("swapped"), 5, "{ended:#?}");
    assert!(wrote.0 > 0 && read.0 > 0);
}
