//! The private server keeps its promises to the tests.

use std::io::{BufRead, BufReader, Read};
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use mysql_async::prelude::{FromRow, Queryable};

use crate::support::server::{Error, Options, Server};
use crate::support::shared;

async fn ask<T: FromRow + Send + 'static>(server: &Server, question: &str) -> T {
    let mut conn = server.conn().await.unwrap();
    conn.query_first(question).await.unwrap().unwrap()
}

fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
    true
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

fn folder_of(server: &Server) -> PathBuf {
    server.data_directory().parent().unwrap().to_owned()
}

#[tokio::test]
async fn each_test_gets_a_schema_of_its_own() {
    let (one, other) = (shared().fresh_database().await, shared().fresh_database().await);
    assert_ne!(one, other);
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("CREATE TABLE {one}.t (id int PRIMARY KEY)")).await.unwrap();
    let seen: Vec<String> = conn.query(format!("SHOW TABLES IN {other}")).await.unwrap();
    assert_eq!(seen, Vec::<String>::new());
}

#[tokio::test]
async fn a_server_is_as_rsc_needs_it() {
    let settings = "SELECT CONCAT_WS(' ', @@gtid_mode, @@enforce_gtid_consistency, @@log_bin, @@binlog_format, \
                    @@binlog_row_image, @@innodb_buffer_pool_size DIV 1048576)";
    let said: String = ask(shared(), settings).await;
    assert_eq!(said, "ON ON 1 ROW FULL 256");
}

#[tokio::test]
async fn two_servers_run_beside_each_other() {
    let other = Server::start(Options::default()).unwrap();
    let identity = "SELECT @@server_id, @@server_uuid, @@port";
    let one: (u32, String, u16) = ask(shared(), identity).await;
    let two: (u32, String, u16) = ask(&other, identity).await;
    assert_ne!(one.0, two.0);
    assert_ne!(one.1, two.1);
    assert_ne!(one.2, two.2);
    assert_eq!(two.2, other.port());
}

#[tokio::test]
async fn an_option_overrides_the_default() {
    let options = Options::default()
        .with("--gtid-mode=OFF")
        .with("--enforce-gtid-consistency=OFF")
        .with("--innodb-buffer-pool-size=64M")
        .with("--sync-binlog=1")
        .with("--default-time-zone=+05:30");
    let server = Server::start(options).unwrap();
    let question = "SELECT CONCAT_WS(' ', @@gtid_mode, @@innodb_buffer_pool_size DIV 1048576, @@sync_binlog, @@time_zone)";
    let said: String = ask(&server, question).await;
    assert_eq!(said, "OFF 64 1 +05:30");
}

#[tokio::test]
async fn an_option_of_the_data_directory_holds_from_its_first_start() {
    let server = Server::start(Options::default().with("--lower-case-table-names=1")).unwrap();
    let said: u8 = ask(&server, "SELECT @@lower_case_table_names").await;
    assert_eq!(said, 1);
}

#[test]
fn a_failed_start_shows_the_log_and_leaves_nothing() {
    let refused = Server::start(Options::default().with("--no-such-option=1")).err().unwrap();
    assert!(matches!(refused, Error::EndedAtStart { .. }), "{refused:?}");
    assert!(refused.to_string().contains("unknown variable 'no-such-option=1'"), "{refused}");
}

#[tokio::test]
async fn a_killed_server_comes_back_with_its_data() {
    let server = Server::start(Options::default()).unwrap();
    let schema = server.fresh_database().await;
    let mut conn = server.conn().await.unwrap();
    conn.query_drop(format!("CREATE TABLE {schema}.t (id int PRIMARY KEY)")).await.unwrap();
    conn.query_drop(format!("INSERT INTO {schema}.t VALUES (7)")).await.unwrap();

    let (port, pid) = (server.port(), server.pid().unwrap());
    server.kill().unwrap();
    assert!(!runs(pid));
    assert_eq!(server.pid(), None);
    assert!(conn.query_drop("SELECT 1").await.is_err());
    assert!(server.conn().await.is_err());

    server.restart().unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), Some(pid));
    let id: u32 = ask(&server, &format!("SELECT id FROM {schema}.t")).await;
    assert_eq!(id, 7);
}

#[tokio::test]
async fn a_running_server_restarts() {
    let server = Server::start(Options::default()).unwrap();
    let pid = server.pid().unwrap();
    server.restart().unwrap();
    assert!(!runs(pid));
    let answer: u8 = ask(&server, "SELECT 1").await;
    assert_eq!(answer, 1);
}

#[test]
fn a_dropped_server_is_gone_with_its_data() {
    let server = Server::start(Options::default()).unwrap();
    let (pid, folder) = (server.pid().unwrap(), folder_of(&server));
    assert!(runs(pid) && folder.exists());
    drop(server);
    assert!(!runs(pid) && !folder.exists());
}

#[test]
fn a_server_is_gone_after_its_test_panicked() {
    let server = Server::start(Options::default()).unwrap();
    let (pid, folder) = (server.pid().unwrap(), folder_of(&server));
    let panicked = thread::spawn(move || {
        let _held = server;
        panic::resume_unwind(Box::new("as a failed assertion, without the noise"));
    });
    assert!(panicked.join().is_err());
    assert!(!runs(pid) && !folder.exists());
}

const HOLDS_A_SERVER: &str = "RSC_TEST_HOLDS_A_SERVER";

/// The victim of the next test, in a process of its own; by itself it does nothing.
#[test]
fn holds_a_server_until_killed() {
    if env::var_os(HOLDS_A_SERVER).is_none() {
        return;
    }
    println!("server {} {}", shared().pid().unwrap(), folder_of(shared()).display());
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_server_is_gone_after_its_process_was_killed() {
    let mut holder = Command::new(env::current_exe().unwrap())
        .args(["--exact", "private_server::holds_a_server_until_killed", "--nocapture"])
        .env(HOLDS_A_SERVER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines().map(Result::unwrap);
    // Ahead of it on its line may be the harness's `test … `.
    let said = lines
        .filter_map(|l| l.split_once("server ").map(|(_, rest)| rest.to_owned()))
        .find(|l| l.contains('/'));
    let said = said.unwrap();
    let (pid, folder) = said.split_once(' ').unwrap();
    let (pid, folder) = (pid.parse().unwrap(), Path::new(folder));
    assert!(runs(pid) && folder.exists());

    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(within(Duration::from_secs(10), || !runs(pid) && !folder.exists()));
}

#[tokio::test]
async fn a_replica_follows_its_primary() {
    let primary = Server::start(Options::default()).unwrap();
    let schema = primary.fresh_database().await;
    let replica = Server::start_replica(&primary, Options::default()).await.unwrap();
    let mut conn = primary.conn().await.unwrap();
    conn.query_drop(format!("CREATE TABLE {schema}.t AS SELECT 42 AS id")).await.unwrap();
    let written: String = ask(&primary, "SELECT @@gtid_executed").await;
    let late: u8 = ask(&replica, &format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}', 20)")).await;
    assert_eq!(late, 0);
    let id: u32 = ask(&replica, &format!("SELECT id FROM {schema}.t")).await;
    assert_eq!(id, 42);
}
