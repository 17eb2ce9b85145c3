//! CREATE TABLE and DROP TABLE: everything that can be lost at a statement, at every statement, in every direction, with a
//! client that goes on writing whenever the table is there; then the documented command goes on.
//!
//! A lane is one statement and one thing that is lost. In each of its rounds a change is made, taken back, made again and
//! completed while the table is away, each time with the next statement that is due. What the client was told is in the
//! table whenever it is there, and in the kept one whenever it is away.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::server::{Options, Server};
use crate::support::{shared, sum_up};

const KINDS: [(&str, &str); 4] =
    [("before", "kill"), ("after", "kill"), ("before", "cut"), ("after", "lost")];
/// Of the states that a command saves, the first is the wish, or what follows the preparation; the second what came of it.
const MOVE: [(&str, u32); 6] = [
    ("save.commit", 1),
    ("move.lock", 1),
    ("move.share", 1),
    ("move.rename", 1),
    ("move.unlock", 1),
    ("save.commit", 2),
];
/// The server is asked about the statement first, under yet another name.
const MAKE: [(&str, u32); 3] = [("shadow.share", 1), ("shadow.clear", 2), ("shadow.create", 2)];
const END: [(&str, u32); 5] =
    [("save.commit", 1), ("shadow.share", 1), ("shadow.drop", 1), ("save.commit", 2), ("forget.stream", 1)];

#[derive(Default)]
struct Told {
    next: u64,
    acknowledged: BTreeSet<u64>,
    errors: Vec<String>,
}

/// A client that inserts numbers. Whoever holds `told` has it wait.
struct Client {
    told: Arc<Mutex<Told>>,
    writing: JoinHandle<()>,
}

impl Client {
    async fn start(schema: &str) -> Self {
        let mut conn = shared().conn().await.unwrap();
        let (told, into) = (Arc::<Mutex<Told>>::default(), format!("{schema}.t"));
        let all = told.clone();
        let writing = tokio::spawn(async move {
            const NO_SUCH_TABLE: u16 = 1146;
            loop {
                let mut told = all.lock().await;
                let n = told.next;
                told.next += 1;
                match conn.query_drop(format!("INSERT INTO {into} VALUES ({n})")).await {
                    Ok(()) => {
                        told.acknowledged.insert(n);
                    }
                    Err(mysql_async::Error::Server(error)) if error.code == NO_SUCH_TABLE => {}
                    Err(error) => told.errors.push(error.to_string()),
                }
                drop(told);
                sleep(Duration::from_millis(2)).await;
            }
        });
        Self { told, writing }
    }
}

struct Lane {
    creates: bool,
    lost: (&'static str, &'static str),
    schema: String,
    conn: Conn,
    client: Client,
    struck: usize,
}

impl Lane {
    async fn open(creates: bool, lost: (&'static str, &'static str)) -> Self {
        let schema = shared().fresh_database().await;
        let conn = shared().conn().await.unwrap();
        let client = Client::start(&schema).await;
        Self { creates, lost, schema, conn, client, struck: 0 }
    }

    /// Returns how many faults struck.
    async fn run(mut self) -> usize {
        let make = MAKE.iter().filter(|_| self.creates);
        let mut forward: VecDeque<(&str, u32)> = make.chain(&MOVE).copied().collect();
        let (mut back, mut again) = (VecDeque::from(MOVE), VecDeque::from(MOVE));
        let mut end = VecDeque::from(END);
        while !forward.is_empty() {
            let definition = format!("TABLE {}.t", self.schema);
            let statement = match self.creates {
                true => format!("CREATE {definition} (n bigint PRIMARY KEY)"),
                false => {
                    self.conn
                        .query_drop(format!("CREATE {definition} (n bigint PRIMARY KEY)"))
                        .await
                        .unwrap();
                    sleep(Duration::from_millis(20)).await;
                    format!("DROP {definition}")
                }
            };
            self.strike("migrate", &statement, forward.pop_front(), "revertible").await;
            self.strike("revert", "", back.pop_front(), "reverted").await;
            self.strike("reapply", "", again.pop_front(), "revertible").await;
            if self.creates {
                self.strike("revert", "", None, "reverted").await;
            }
            self.strike("complete", "", end.pop_front(), "completed").await;
            self.client.told.lock().await.acknowledged.clear();
        }
        assert!([&back, &again, &end].iter().all(|left| left.is_empty()), "there were too few rounds");
        self.client.writing.abort();
        self.struck
    }

    /// Runs a command with a fault, and then, if it was killed, the documented one until it is done.
    async fn strike(&mut self, verb: &str, statement: &str, at: Option<(&str, u32)>, wanted: &str) {
        let (moment, kind) = self.lost;
        let (point, fault) = match at {
            Some((name, nth)) => (format!("{name}.{moment}"), format!("{name}.{moment}:{kind}:{nth}")),
            None => Default::default(),
        };
        let id = self.change().await.map_or_else(String::new, |(id, _)| id.to_string());
        let words = match verb {
            "migrate" => vec!["--output", "json", "migrate", "--alter", statement],
            verb => vec!["--output", "json", verb, &id],
        };
        let ended = loop {
            let ended = rsc(shared(), &words).env("RSC_FAULT", &fault).run().await;
            // The one before is not quite dead.
            if ended.code != 8 {
                break ended;
            }
            sleep(Duration::from_millis(20)).await;
        };
        let what = format!("{} {verb} with {fault}", if self.creates { "CREATE" } else { "DROP" });
        if at.is_some() {
            assert!(
                ended.stderr.contains(&format!("struck: {point}")),
                "{what} was never struck: {ended:#?}"
            );
            self.struck += 1;
        }
        assert!([0, -1].contains(&ended.code), "{what}: {ended:#?}");
        assert!(ended.code == 0 || kind == "kill", "{what}: {ended:#?}");
        if ended.code == -1 {
            self.go_on(verb, &what).await;
        }
        assert_eq!(
            self.change().await.map(|(_, state)| state).as_deref(),
            Some(wanted),
            "{what}: {ended:#?}"
        );
        self.every_row_is_where_it_should_be(wanted, &what).await;
    }

    async fn go_on(&mut self, verb: &str, what: &str) {
        let id = self.change().await.unwrap_or_else(|| panic!("{what}: there is no change")).0.to_string();
        // Whoever looks before anyone goes on is told no untruth.
        rsc(shared(), &["status", &id]).run().await.well();
        let words = match verb {
            "migrate" => vec!["--output", "json", "migrate", "--resume", &id],
            verb => vec!["--output", "json", verb, &id],
        };
        loop {
            let ended = rsc(shared(), &words).run().await;
            match ended.code {
                0 => return,
                8 => sleep(Duration::from_millis(20)).await,
                _ => panic!("{what}, and then {words:?}: {ended:#?}"),
            }
        }
    }

    async fn change(&mut self) -> Option<(u64, String)> {
        let sql = format!(
            "SELECT id, state FROM _rsc.`change` WHERE schema_name = '{}' ORDER BY id DESC LIMIT 1",
            self.schema
        );
        // No sidecar before the first change.
        self.conn.query_first(sql).await.unwrap_or_default()
    }

    async fn every_row_is_where_it_should_be(&mut self, state: &str, what: &str) {
        if state != "completed" {
            // The client has the table for a while, if it is there.
            sleep(Duration::from_millis(15)).await;
        }
        let told = self.client.told.lock().await;
        assert_eq!(told.errors, Vec::<String>::new(), "{what}");
        let there = (state == "revertible") == self.creates;
        let (id, _) = self
            .conn
            .query_first::<(u64, String), _>(format!(
                "SELECT id, state FROM _rsc.`change` WHERE schema_name = '{}' ORDER BY id DESC LIMIT 1",
                self.schema
            ))
            .await
            .unwrap()
            .unwrap();
        let kept = format!("_rsc{id}_t_{}", if self.creates { "new" } else { "old" });
        let tables: Vec<String> = self.conn.query(format!("SHOW TABLES FROM {}", self.schema)).await.unwrap();
        if state == "completed" {
            assert_eq!(tables, Vec::<String>::new(), "{what}");
            return;
        }
        let name = if there { "t" } else { &kept };
        assert_eq!(tables, [name], "{what}");
        let rows: Vec<u64> =
            self.conn.query(format!("SELECT n FROM {}.{name} ORDER BY n", self.schema)).await.unwrap();
        assert!(
            rows.iter().eq(&told.acknowledged),
            "{what}: {} rows of {}",
            rows.len(),
            told.acknowledged.len()
        );
        assert!(!there || !rows.is_empty(), "{what}: the client wrote nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_lost_at_whatever_statement_the_table_is_whole() {
    let started = Instant::now();
    let mut lanes = JoinSet::new();
    for creates in [true, false] {
        for lost in KINDS {
            lanes.spawn(async move { Lane::open(creates, lost).await.run().await });
        }
    }
    let (mut struck, mut failed) = (0, 0);
    while let Some(lane) = lanes.join_next().await {
        match lane {
            Ok(of_lane) => struck += of_lane,
            Err(_) => failed += 1,
        }
    }
    assert_eq!(failed, 0, "lanes that failed, as said above");
    let in_one = 2 * (2 * MOVE.len() + MOVE.len() + END.len()) + MAKE.len();
    assert_eq!(struck, KINDS.len() * in_one);
    sum_up(&format!("whole tables: {struck} faults in {:.1?}", started.elapsed()));
}

/// The process is about to rename, or has just done so, and goes on with the server that comes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_around_the_rename_and_the_process_goes_on() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d").await.unwrap();
    for (n, point) in ["move.rename.before", "move.rename.after", "move.unlock.after"].iter().enumerate() {
        let id = (n + 1).to_string();
        conn.query_drop("CREATE TABLE d.t (n int PRIMARY KEY); INSERT INTO d.t VALUES (1), (2)")
            .await
            .unwrap();
        let words = ["--output", "json", "migrate", "--alter", "DROP TABLE d.t"];
        let mut dropping = rsc(&server, &words).env("RSC_FAULT", &format!("{point}:delay")).start();
        dropping.logs("fault struck").await;
        server.kill().unwrap();
        server.restart().unwrap();
        let dropped = dropping.ended().await.well();
        assert_eq!(dropped.last_line()["state"], "revertible", "{point}: {dropped:#?}");
        conn = server.conn().await.unwrap();
        rsc(&server, &["revert", &id]).run().await.well();
        let rows: Vec<u64> = conn.query("SELECT n FROM d.t").await.unwrap();
        assert_eq!(rows, [1, 2], "{point}");
        rsc(&server, &["reapply", &id]).run().await.well();
        rsc(&server, &["complete", &id]).run().await.well();
        let left: Vec<String> = conn.query("SHOW TABLES FROM d").await.unwrap();
        assert_eq!(left, Vec::<String>::new(), "{point}");
    }
}
