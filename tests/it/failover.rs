//! The server may die for good: a change goes on from the replicated journal on the replica that was promoted.
//!
//! Each client writes the table, its twin and a receipt in one transaction. So wherever replication was cut off, the
//! twin says row by row what the table must hold, dropped column included; and acknowledged receipts that did not
//! arrive count what MySQL lost, not rsc.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::process::{Ended, Running, bare, rsc};
use crate::support::proxy::Proxy;
use crate::support::server::account::Account;
use crate::support::server::{Options, Server};

const ROWS: i64 = 6_000;
const CLIENTS: i64 = 3;

const ER_LOCK_DEADLOCK: u16 = 1213;

fn durable() -> Options {
    Options::default().with("--sync-binlog=1").with("--innodb-flush-log-at-trx-commit=1")
}

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

async fn text(conn: &mut Conn, sql: &str) -> String {
    let found: Option<String> = conn.query_first(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    found.unwrap_or_else(|| panic!("{sql}: nothing"))
}

/// A primary with the table, its twin and the receipts.
async fn primary() -> Server {
    let server = Server::start(durable()).unwrap();
    let mut conn = server.conn().await.unwrap();
    run(&mut conn, "CREATE DATABASE d").await;
    run(
        &mut conn,
        "CREATE TABLE d.t (id bigint AUTO_INCREMENT PRIMARY KEY, n int NOT NULL, note varchar(40) NOT NULL, \
         title varchar(20) NOT NULL DEFAULT 'none')",
    )
    .await;
    run(&mut conn, "CREATE TABLE d.twin LIKE d.t").await;
    run(
        &mut conn,
        "CREATE TABLE d.receipt (client bigint, run bigint, seq bigint, PRIMARY KEY (client, run, seq))",
    )
    .await;
    run(&mut conn, "SET SESSION cte_max_recursion_depth = 1000000").await;
    run(
        &mut conn,
        &format!(
            "INSERT INTO d.t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS}) \
             SELECT i, i, 'first', CONCAT('t', i) FROM c"
        ),
    )
    .await;
    run(&mut conn, "INSERT INTO d.twin SELECT * FROM d.t").await;
    server
}

/// A replica as it should stand beside a primary.
async fn replica(primary: &Server) -> Server {
    let options = durable().with("--read-only=ON").with("--replica-parallel-workers=4");
    let replica = Server::start_replica(primary, options).await.unwrap();
    caught_up(primary, &replica).await;
    replica
}

async fn caught_up(primary: &Server, replica: &Server) {
    let written = text(&mut primary.conn().await.unwrap(), "SELECT @@GLOBAL.gtid_executed").await;
    let late = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}', 30)");
    assert_eq!(text(&mut replica.conn().await.unwrap(), &late).await, "0", "the replica does not catch up");
}

/// From here on nothing arrives any more: what the primary acknowledges now is lost with it.
async fn cut_off(replica: &Server) {
    run(&mut replica.conn().await.unwrap(), "STOP REPLICA").await;
}

/// Whatever has arrived is applied; then the replica is on its own.
async fn promote(replica: &Server) {
    let mut conn = replica.conn().await.unwrap();
    let service: String =
        text(&mut conn, "SELECT SERVICE_STATE FROM performance_schema.replication_applier_status").await;
    if service == "ON" {
        run(&mut conn, "STOP REPLICA IO_THREAD").await;
        let arrived = "SELECT WAIT_FOR_EXECUTED_GTID_SET((SELECT RECEIVED_TRANSACTION_SET \
                       FROM performance_schema.replication_connection_status), 30)";
        assert_eq!(text(&mut conn, arrived).await, "0");
    }
    run(&mut conn, "STOP REPLICA").await;
    run(&mut conn, "RESET REPLICA ALL").await;
    run(&mut conn, "SET GLOBAL read_only = OFF").await;
}

/// Clients with receipts.
struct Clients {
    stop: Arc<AtomicBool>,
    said: Arc<Mutex<Said>>,
    run: i64,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Said {
    /// Client and number of every acknowledged transaction.
    receipts: Vec<(i64, i64)>,
    errors: Vec<String>,
}

impl Clients {
    /// Each `run` needs a number of its own.
    async fn start(server: &Server, run: i64) -> Self {
        let clients = Self { stop: Arc::default(), said: Arc::default(), run, tasks: Vec::new() };
        let mut tasks = Vec::new();
        for client in 0..CLIENTS {
            let mut conn = server.conn().await.unwrap();
            // Gap locks would let clients of disjoint rows block each other.
            conn.query_drop("SET SESSION transaction_isolation = 'READ-COMMITTED'").await.unwrap();
            let (stop, said) = (clients.stop.clone(), clients.said.clone());
            tasks.push(tokio::spawn(write(conn, client, run, stop, said)));
        }
        Self { tasks, ..clients }
    }

    async fn end(self) -> (i64, Said) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        (self.run, std::mem::take(&mut self.said.lock().unwrap()))
    }

    /// The server lives: nobody may have seen an error.
    async fn end_well(self) -> (i64, Said) {
        let ended = self.end().await;
        assert!(ended.1.errors.is_empty(), "{:#?}", ended.1.errors);
        assert!(!ended.1.receipts.is_empty(), "nobody wrote");
        ended
    }
}

async fn write(mut conn: Conn, client: i64, run: i64, stop: Arc<AtomicBool>, said: Arc<Mutex<Said>>) {
    let mut rng = StdRng::seed_from_u64((run * CLIENTS + client) as u64);
    let mut seq = 0;
    while !stop.load(Ordering::Relaxed) {
        seq += 1;
        let answer = transaction(&mut conn, &mut rng, client, run, seq).await;
        match answer {
            Ok(()) => said.lock().unwrap().receipts.push((client, seq)),
            // Between clients, and rolled back as a whole.
            Err(mysql_async::Error::Server(error)) if error.code == ER_LOCK_DEADLOCK => {}
            Err(error) => return said.lock().unwrap().errors.push(format!("client {client}: {error}")),
        }
        // The servers commit durably, and more than one of them on one disk.
        sleep(Duration::from_millis(5)).await;
    }
}

/// One to three changes of this client's own keys, each to the table and to its twin.
async fn transaction(
    conn: &mut Conn,
    rng: &mut StdRng,
    client: i64,
    run: i64,
    seq: i64,
) -> mysql_async::Result<()> {
    conn.query_drop("START TRANSACTION").await?;
    for _ in 0..rng.random_range(1..=3) {
        // A tenth of all changes meet in few rows, so that rows move, go and come again within one window.
        let span = if rng.random_bool(0.1) { 5 } else { ROWS / CLIENTS };
        let mut key = || {
            let key = rng.random_range(1..=span) * CLIENTS + client;
            if rng.random_bool(0.5) { key } else { -key }
        };
        let (one, other) = (key(), key());
        let n = rng.random_range(0..1_000_000);
        match rng.random_range(0..10) {
            0 => {
                conn.query_drop(format!("INSERT INTO d.t (n, note) VALUES ({n}, 'auto')")).await?;
                let id = conn.last_insert_id().unwrap_or_default();
                conn.query_drop(format!("INSERT INTO d.twin (id, n, note) VALUES ({id}, {n}, 'auto')"))
                    .await?;
            }
            dice => {
                let statements = match dice {
                    1 => vec![format!("DELETE FROM # WHERE id = {one}")],
                    2 => vec![
                        format!("DELETE FROM # WHERE id = {one}"),
                        format!("INSERT INTO # (id, n, note) VALUES ({one}, {n}, 'again')"),
                    ],
                    3..=5 if one != other => vec![
                        format!("DELETE FROM # WHERE id = {other}"),
                        format!("UPDATE # SET id = {other} WHERE id = {one}"),
                    ],
                    _ => vec![format!("UPDATE # SET n = {n}, note = 'run {run}' WHERE id = {one}")],
                };
                for statement in statements {
                    conn.query_drop(statement.replace('#', "d.t")).await?;
                    conn.query_drop(statement.replace('#', "d.twin")).await?;
                }
            }
        }
    }
    conn.query_drop(format!("INSERT INTO d.receipt VALUES ({client}, {run}, {seq})")).await?;
    conn.query_drop("COMMIT").await
}

/// Acknowledged transactions that this server does not have.
async fn lost(server: &Server, (run, said): &(i64, Said)) -> usize {
    let mut conn = server.conn().await.unwrap();
    let arrived: Vec<(i64, i64)> =
        conn.query(format!("SELECT client, seq FROM d.receipt WHERE run = {run}")).await.unwrap();
    let arrived: BTreeSet<_> = arrived.into_iter().collect();
    said.receipts.iter().filter(|receipt| !arrived.contains(receipt)).count()
}

/// # Panics
/// When the table is not, row by row, what its twin is. Nobody may write meanwhile.
async fn same_as_twin(server: &Server, when: &str) {
    let mut conn = server.conn().await.unwrap();
    let titles: Option<u8> = conn
        .query_first(
            "SELECT 1 FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 't' AND COLUMN_NAME = 'title'",
        )
        .await
        .unwrap();
    let columns = if titles.is_some() { "CONCAT_WS('|', n, note, title)" } else { "CONCAT_WS('|', n, note)" };
    let mut rows = async |table: &str| -> BTreeMap<i64, String> {
        let rows: Vec<(i64, String)> =
            conn.query(format!("SELECT id, {columns} FROM d.{table}")).await.unwrap();
        rows.into_iter().collect()
    };
    let (table, twin) = (rows("t").await, rows("twin").await);
    let keys: BTreeSet<_> = table.keys().chain(twin.keys()).collect();
    let different: Vec<String> = keys
        .into_iter()
        .filter(|key| table.get(key) != twin.get(key))
        .map(|key| format!("{key}: is {:?}, should be {:?}", table.get(key), twin.get(key)))
        .collect();
    let some = &different[..different.len().min(10)];
    assert!(different.is_empty(), "{when}: {} rows differ: {some:#?}", different.len());
    assert!(twin.len() as i64 > ROWS / 4, "{when}: hardly a row is left");
}

const MIGRATE: [&str; 9] =
    ["--output", "json", "migrate", "--database", "d", "--table", "t", "--alter", "DROP COLUMN title"];

fn migrate(server: &Server, more: &[&str]) -> Running {
    rsc(server, &[&MIGRATE[..], more].concat()).start()
}

async fn resume(server: &Server) -> Ended {
    rsc(server, &["--output", "json", "migrate", "--resume", "1"]).run().await
}

async fn ask(server: &Server, verb: &str) -> Ended {
    rsc(server, &["--output", "json", verb, "1"]).run().await
}

async fn state(server: &Server) -> String {
    text(&mut server.conn().await.unwrap(), "SELECT state FROM _rsc.`change` WHERE id = 1").await
}

/// To the end that is named, and every row is right there and after one more swap each way.
async fn forward_and_back(server: &Server, run: i64) {
    let clients = Clients::start(server, run).await;
    let ended = resume(server).await.well();
    assert_eq!(ended.last_line()["serving"], "new", "{ended:#?}");
    sleep(Duration::from_millis(100)).await;
    clients.end_well().await;
    same_as_twin(server, "after resume").await;
    back(server, run + 1).await;
}

async fn back(server: &Server, run: i64) {
    let clients = Clients::start(server, run).await;
    sleep(Duration::from_millis(50)).await;
    let ended = ask(server, "revert").await.well();
    assert_eq!(ended.last_line()["state"], "reverted", "{ended:#?}");
    clients.end_well().await;
    same_as_twin(server, "after revert").await;
    let kept = "SELECT COUNT(*) FROM d.t WHERE title <> 'none'";
    let titles: i64 = text(&mut server.conn().await.unwrap(), kept).await.parse().unwrap();
    assert!(titles > ROWS / 4, "only {titles} titles are left");
    numbers_are_new(server).await;
}

/// No number is handed out twice.
async fn numbers_are_new(server: &Server) {
    let mut conn = server.conn().await.unwrap();
    let known: i64 = text(&mut conn, "SELECT GREATEST(MAX(id), 0) FROM d.twin").await.parse().unwrap();
    run(&mut conn, "START TRANSACTION").await;
    run(&mut conn, "INSERT INTO d.t (n, note) VALUES (0, 'next')").await;
    let next = conn.last_insert_id().unwrap() as i64;
    run(&mut conn, "ROLLBACK").await;
    assert!(next > known, "{next} was handed out, {known} exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_survives_its_server_dying_in_the_copy_and_the_next_one_in_the_window() {
    let first = primary().await;
    let second = replica(&first).await;
    let clients = Clients::start(&first, 1).await;
    let mut running = migrate(&first, &["--batch-time", "3ms"]);
    running.says("\"copied\"").await;
    // Nothing that was acknowledged may be missing.
    let said = clients.end_well().await;
    caught_up(&first, &second).await;
    first.kill().unwrap();
    drop(running);
    promote(&second).await;
    assert_eq!(state(&second).await, "copying");
    assert_eq!(lost(&second, &said).await, 0);
    same_as_twin(&second, "at the first promotion").await;

    let third = replica(&second).await;
    let clients = Clients::start(&second, 2).await;
    let ended = resume(&second).await.well();
    assert_eq!(ended.last_line()["state"], "revertible", "{ended:#?}");
    sleep(Duration::from_millis(200)).await;
    let said = clients.end_well().await;
    same_as_twin(&second, "after the copy").await;
    caught_up(&second, &third).await;
    second.kill().unwrap();
    promote(&third).await;
    assert_eq!(lost(&third, &said).await, 0);
    same_as_twin(&third, "at the second promotion").await;
    back(&third, 3).await;
    let clients = Clients::start(&third, 5).await;
    ask(&third, "reapply").await.well();
    clients.end_well().await;
    same_as_twin(&third, "after reapply").await;
    ask(&third, "complete").await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_replication_had_not_shipped_of_a_copy_is_lost_on_both_sides_alike() {
    let first = primary().await;
    let second = replica(&first).await;
    let clients = Clients::start(&first, 1).await;
    let mut running = migrate(&first, &["--batch-time", "3ms"]);
    running.says("\"copied\"").await;
    caught_up(&first, &second).await;
    cut_off(&second).await;
    sleep(Duration::from_millis(150)).await;
    first.kill().unwrap();
    drop(running);
    let said = clients.end().await;
    promote(&second).await;
    let lost = lost(&second, &said).await;
    println!("{lost} of {} acknowledged transactions were not shipped", said.1.receipts.len());
    assert!(lost > 0, "the test cuts nothing off");
    assert_eq!(state(&second).await, "copying");
    same_as_twin(&second, "at the promotion").await;
    forward_and_back(&second, 2).await;
}

async fn reverted_on_the_promoted_replica(agent: &str, cut: bool) {
    let first = primary().await;
    let second = replica(&first).await;
    let clients = Clients::start(&first, 1).await;
    let mut running = migrate(&first, &["--agent", agent]);
    running.says("\"revertible\"").await;
    sleep(Duration::from_millis(300)).await;
    let said = if cut {
        cut_off(&second).await;
        sleep(Duration::from_millis(150)).await;
        first.kill().unwrap();
        clients.end().await
    } else {
        let said = clients.end_well().await;
        caught_up(&first, &second).await;
        first.kill().unwrap();
        said
    };
    promote(&second).await;
    let lost = lost(&second, &said).await;
    println!("{lost} of {} acknowledged transactions were not shipped", said.1.receipts.len());
    assert_eq!(lost > 0, cut);
    same_as_twin(&second, "at the promotion").await;
    // The process that stays still looks for its own server, and is in nobody's way.
    back(&second, 2).await;
    if agent == "stay" {
        assert!(running.stdout().contains("\"retrying\""), "{}", running.stdout());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_follows_is_reverted_on_the_promoted_replica() {
    reverted_on_the_promoted_replica("none", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_followed_is_reverted_on_the_promoted_replica() {
    reverted_on_the_promoted_replica("stay", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_change_is_reverted_where_replication_was_behind() {
    reverted_on_the_promoted_replica("stay", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_the_swap_leaves_one_side_or_the_other() {
    let first = primary().await;
    let second = replica(&first).await;
    let clients = Clients::start(&first, 1).await;
    let mut running = migrate(&first, &[]);
    running.says("\"cutting_over\"").await;
    first.kill().unwrap();
    drop(running);
    clients.end().await;
    promote(&second).await;
    println!("{} at the promotion", state(&second).await);
    same_as_twin(&second, "at the promotion").await;
    forward_and_back(&second, 2).await;
}

/// A number that is handed out, and whose row is gone again.
async fn hand_out(server: &Server) -> i64 {
    let mut conn = server.conn().await.unwrap();
    run(&mut conn, "INSERT INTO d.t (n, note) VALUES (0, 'gone')").await;
    let number = conn.last_insert_id().unwrap() as i64;
    run(&mut conn, &format!("DELETE FROM d.t WHERE id = {number}")).await;
    number
}

/// On the server that dies the tables are swapped; on the one that is promoted they never were.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_was_not_shipped_is_done_again_on_the_promoted_replica() {
    let first = primary().await;
    let second = replica(&first).await;
    let clients = Clients::start(&first, 1).await;
    // On a busy machine the first attempt may come too late; with a replica that is cut off there would be no other.
    let mut running = rsc(&first, &[&MIGRATE[..], &["--max-lag", "none"]].concat())
        .env("RSC_FAULT", "swap.lock.before:delay,swap.rename.after:kill")
        .env("RSC_FAULT_DELAY_MS", "5000")
        .start();
    running.logs("fault struck: swap.lock.before").await;
    let number = hand_out(&first).await;
    caught_up(&first, &second).await;
    cut_off(&second).await;
    // Numbers that only the dead one has handed out may come again, with the rows that only it has had.
    let _ = running.ended().await;
    let mut conn = first.conn().await.unwrap();
    let swapped: Vec<String> = conn.query("SHOW TABLES IN d LIKE '\\_rsc%'").await.unwrap();
    assert_eq!(swapped, ["_rsc1_t_old"], "the swap was not committed where it was made");
    sleep(Duration::from_millis(100)).await;
    first.kill().unwrap();
    let said = clients.end().await;
    promote(&second).await;
    println!("{} of {} not shipped", lost(&second, &said).await, said.1.receipts.len());
    assert_eq!(state(&second).await, "cutting_over");
    let mut conn = second.conn().await.unwrap();
    let as_before: Vec<String> = conn.query("SHOW TABLES IN d LIKE '\\_rsc%'").await.unwrap();
    assert_eq!(as_before, ["_rsc1_t_new"]);
    same_as_twin(&second, "at the promotion").await;
    let ended = resume(&second).await.well();
    assert!(ended.stdout.contains("\"swapped\""), "{ended:#?}");
    same_as_twin(&second, "after the swap").await;
    let next = hand_out(&second).await;
    assert!(next > number, "{next} is handed out after {number}");
    back(&second, 2).await;
    assert!(hand_out(&second).await > next);
}

/// The name that rsc was given leads to a server that becomes read-only, and then to the one that was promoted.
async fn goes_on_behind_the_same_name(variable: &str) {
    let first = primary().await;
    let second = replica(&first).await;
    let name = Proxy::before(&first).await;
    let clients = Clients::start(&first, 1).await;
    let port = name.port().to_string();
    let connection = ["--host", "127.0.0.1", "--port", &port, "--user", Account::Documented.user()];
    let arguments = [&connection[..], &MIGRATE, &["--batch-time", "2ms", "--agent", "stay"]].concat();
    let mut running = bare(&arguments).start();
    running.says("\"copied\"").await;
    let said = clients.end_well().await;
    let number = hand_out(&first).await;
    let mut old = first.conn().await.unwrap();
    run(&mut old, &format!("SET GLOBAL {variable} = ON")).await;
    running.says("\"retrying\"").await;
    let written = text(&mut old, "SELECT @@GLOBAL.gtid_executed").await;
    running.says("the server is read-only").await;
    caught_up(&first, &second).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(text(&mut old, "SELECT @@GLOBAL.gtid_executed").await, written, "it was still written to");
    promote(&second).await;
    assert_eq!(lost(&second, &said).await, 0);
    name.point_at(&second);
    let clients = Clients::start(&second, 2).await;
    running.says("\"revertible\"").await;
    clients.end_well().await;
    assert_eq!(text(&mut old, "SELECT @@GLOBAL.gtid_executed").await, written, "it was still written to");
    same_as_twin(&second, "after the swap").await;
    let next = hand_out(&second).await;
    assert!(next > number, "{next} is handed out after {number}");
    // Back again, in the window.
    let third = replica(&second).await;
    let mut old = second.conn().await.unwrap();
    run(&mut old, &format!("SET GLOBAL {variable} = ON")).await;
    caught_up(&second, &third).await;
    let before = running.stdout().matches("the server is read-only").count();
    while running.stdout().matches("the server is read-only").count() == before {
        running.says("the server is read-only").await;
        sleep(Duration::from_millis(50)).await;
    }
    caught_up(&second, &third).await;
    promote(&third).await;
    name.point_at(&third);
    back(&third, 3).await;
    ask(&third, "complete").await.well();
    running.ended().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_read_only_is_not_written_to_and_its_successor_is_found() {
    goes_on_behind_the_same_name("super_read_only").await;
}

/// Which does not bind root, nor rsc's account with CONNECTION_ADMIN.
#[tokio::test(flavor = "multi_thread")]
async fn whom_read_only_does_not_bind_stops_writing_all_the_same() {
    goes_on_behind_the_same_name("read_only").await;
}
