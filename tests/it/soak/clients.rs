//! Clients that go on after their server died, and let the server itself say what was committed.
//!
//! Every transaction writes the table, its twin and a receipt. Nobody changes the twin's schema, so after any crash
//! it holds what the table must hold, also for the transactions whose COMMIT was never answered; and every
//! acknowledged one must have its receipt. The twin has the columns of both schemas: what a schema lacks takes its
//! default there, moves with its row, and must be back when the other schema serves.
//!
//! Each client has keys and unique codes of its own, so that what a statement finds does not change between the table
//! and the twin. The counters belong to all, and are only added to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::server::Server;

const CLIENTS: i64 = 4;
/// Rows at first, and about as many as there stay.
const ROWS: i64 = 8_000;
/// The highest multiple that a client makes keys of; above all of them the server hands out numbers.
const SPAN: i64 = ROWS / CLIENTS - 1;
const COUNTERS: i64 = 3;
const CODES: i64 = 40;
/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(100);

const ER_LOCK_DEADLOCK: u16 = 1213;

/// The whole schema of the soak. The twin has the columns of both sides of the change.
const TABLES: [&str; 3] = [
    "CREATE TABLE d.t (id bigint AUTO_INCREMENT PRIMARY KEY, n int NOT NULL, note varchar(40) NOT NULL, \
     code int UNIQUE, title varchar(30) NOT NULL DEFAULT 'none')",
    "CREATE TABLE d.twin (id bigint PRIMARY KEY, n int NOT NULL, note varchar(40) NOT NULL, \
     code int UNIQUE, title varchar(30) NOT NULL DEFAULT 'none', extra int NOT NULL DEFAULT 7)",
    "CREATE TABLE d.receipt (client bigint, seq bigint, PRIMARY KEY (client, seq))",
];
pub const ALTER: &str =
    "DROP COLUMN title, MODIFY n bigint NOT NULL, ADD COLUMN extra int NOT NULL DEFAULT 7, ADD KEY (note)";

/// Even while the server is to be there, odd while it is being killed or gone.
pub type ServerLife = Arc<AtomicU32>;

pub struct Clients {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    /// Up to which receipts have been looked at, by client, and how many there were.
    seen: [i64; CLIENTS as usize],
    receipts: u64,
}

struct Shared {
    life: ServerLife,
    stop: AtomicBool,
    /// Held by every client for the time of a transaction.
    gate: Arc<RwLock<()>>,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    /// Client and number of the transactions that were acknowledged since the last look.
    acknowledged: Vec<(i64, i64)>,
    tally: Tally,
    errors: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub transactions: u64,
    /// The statements on the table in acknowledged transactions.
    pub writes: u64,
    /// Transactions whose connection was lost with the server.
    pub unanswered: u64,
    pub deadlocks: u64,
}

impl Shared {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tables, with their rows.
pub async fn create(conn: &mut Conn) {
    let fill = format!(
        "INSERT INTO d.t (id, n, note, title) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c \
         WHERE i < {ROWS}) SELECT i, i, 'first', CONCAT('t', i) FROM c"
    );
    let counters = (1..=COUNTERS).map(|i| format!("({}, 0, 'counter', 'c{i}')", counter(i)));
    let counters = counters.collect::<Vec<_>>().join(", ");
    let filling = [
        "SET SESSION cte_max_recursion_depth = 1000000".to_owned(),
        fill,
        format!("INSERT INTO d.t (id, n, note, title) VALUES {counters}"),
        "INSERT INTO d.twin (id, n, note, code, title) SELECT * FROM d.t".to_owned(),
    ];
    run(conn, "CREATE DATABASE d").await;
    for sql in TABLES.into_iter().map(str::to_owned).chain(filling) {
        run(conn, &sql).await;
    }
}

pub async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

fn counter(i: i64) -> i64 {
    -1_000_000 - i
}

impl Clients {
    /// Each client takes a rest of `pace` after a transaction.
    pub fn start(server: &Server, life: ServerLife, pace: Duration, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            life,
            stop: AtomicBool::default(),
            gate: Arc::default(),
            said: Mutex::default(),
        });
        let opts = server
            .opts()
            .user(Some("client"))
            // Found rows, so that the table and its twin can be held against each other.
            .client_found_rows(true)
            // Gap locks would let clients of disjoint rows block each other.
            .setup(vec!["SET SESSION transaction_isolation = 'READ-COMMITTED'"]);
        let client = |number: i64| {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(number as u64 + 1));
            let client = Client {
                number,
                rng,
                opts: opts.clone(),
                shared: shared.clone(),
                pace,
                own: VecDeque::new(),
            };
            tokio::spawn(client.write())
        };
        let tasks = (0..CLIENTS).map(client).collect();
        Self { shared, tasks, seen: [0; CLIENTS as usize], receipts: 0 }
    }

    /// Returns when every transaction has its end; none begins until the guard is dropped.
    pub async fn pause(&self) -> OwnedRwLockWriteGuard<()> {
        self.shared.gate.clone().write_owned().await
    }

    pub fn tally(&self) -> Tally {
        self.shared.said().tally
    }

    /// What clients met that no client may meet, and acknowledged transactions that are not there. During a pause.
    pub async fn complaints(&mut self, conn: &mut Conn) -> Vec<String> {
        let (acknowledged, mut complaints) = {
            let mut said = self.shared.said();
            (std::mem::take(&mut said.acknowledged), said.errors.clone())
        };
        let mut arrived = BTreeSet::new();
        for client in 0..CLIENTS {
            let seen = &mut self.seen[client as usize];
            let sql = format!("SELECT seq FROM d.receipt WHERE client = {client} AND seq > {seen}");
            let found: Vec<i64> = conn.query(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
            *seen = found.iter().copied().max().unwrap_or(*seen);
            self.receipts += found.len() as u64;
            arrived.extend(found.into_iter().map(|seq| (client, seq)));
        }
        let missing = acknowledged.iter().filter(|one| !arrived.contains(one));
        complaints
            .extend(missing.map(|one| format!("acknowledged, but not there: client, transaction {one:?}")));
        let now: Option<u64> = conn.query_first("SELECT COUNT(*) FROM d.receipt").await.unwrap();
        if now != Some(self.receipts) {
            complaints.push(format!("{} receipts had been seen, now there are {now:?}", self.receipts));
        }
        complaints
    }

    pub async fn end(self) -> Tally {
        self.shared.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap_or_else(|panicked| panic!("a client: {panicked}"));
        }
        self.shared.said().tally
    }
}

struct Client {
    number: i64,
    rng: StdRng,
    opts: OptsBuilder,
    shared: Arc<Shared>,
    pace: Duration,
    /// Numbers that the server handed out to this client.
    own: VecDeque<i64>,
}

/// What a transaction did, to be believed when it is acknowledged.
#[derive(Default)]
struct Done {
    writes: u64,
    numbers: Vec<i64>,
    taken_back: bool,
}

impl Client {
    async fn write(mut self) {
        let shared = self.shared.clone();
        let mut conn = None;
        let mut seq = 0;
        while !shared.stop.load(Ordering::Relaxed) {
            let pass = shared.gate.read().await;
            let life = shared.life.load(Ordering::SeqCst);
            seq += 1;
            match self.attempt(&mut conn, seq).await {
                Ok(done) if done.taken_back => {}
                Ok(done) => {
                    let mut said = shared.said();
                    said.acknowledged.push((self.number, seq));
                    said.tally.transactions += 1;
                    said.tally.writes += done.writes;
                    self.own.extend(done.numbers);
                }
                // Between clients, and rolled back as a whole.
                Err(mysql_async::Error::Server(error)) if error.code == ER_LOCK_DEADLOCK => {
                    shared.said().tally.deadlocks += 1;
                }
                Err(error) => {
                    conn = None;
                    let died = life % 2 == 1 || life != shared.life.load(Ordering::SeqCst);
                    let mut said = shared.said();
                    match died {
                        true => said.tally.unanswered += 1,
                        false => said.errors.push(format!("client {}: {error}", self.number)),
                    }
                }
            }
            drop(pass);
            sleep(if conn.is_some() { self.pace } else { AGAIN }).await;
        }
    }

    async fn attempt(&mut self, conn: &mut Option<Conn>, seq: i64) -> mysql_async::Result<Done> {
        let conn = match conn {
            Some(conn) => conn,
            none => none.insert(Conn::new(self.opts.clone()).await?),
        };
        let mut done = Done::default();
        conn.query_drop("START TRANSACTION").await?;
        for _ in 0..self.rng.random_range(1..=4) {
            self.change(conn, &mut done).await?;
        }
        conn.query_drop(format!("INSERT INTO d.receipt VALUES ({}, {seq})", self.number)).await?;
        done.taken_back = self.rng.random_bool(0.1);
        conn.query_drop(if done.taken_back { "ROLLBACK" } else { "COMMIT" }).await?;
        Ok(done)
    }

    fn key(&mut self) -> i64 {
        // A fifth of all changes meet in few rows, so that rows move, go and come again within one window.
        let span = if self.rng.random_bool(0.2) { 4 } else { SPAN };
        let key = self.rng.random_range(1..=span) * CLIENTS + self.number;
        if self.rng.random_bool(0.5) { key } else { -key }
    }

    async fn change(&mut self, conn: &mut Conn, done: &mut Done) -> mysql_async::Result<()> {
        let (one, other) = (self.key(), self.key());
        let n = self.rng.random_range(0..1_000_000);
        let statements = match self.rng.random_range(0..100) {
            0..8 => return self.take_number(conn, n, done).await,
            8..20 => vec![format!("DELETE FROM # WHERE id = {one}")],
            20..32 => vec![
                format!("DELETE FROM # WHERE id = {one}"),
                format!("INSERT INTO # (id, n, note) VALUES ({one}, {n}, 'again')"),
            ],
            32..55 if one != other => vec![
                format!("DELETE FROM # WHERE id = {other}"),
                format!("UPDATE # SET id = {other} WHERE id = {one}"),
            ],
            55..65 => {
                let code = self.rng.random_range(0..CODES) * CLIENTS + self.number;
                vec![
                    format!("UPDATE # SET code = NULL WHERE code = {code}"),
                    format!("UPDATE # SET code = {code} WHERE id = {one}"),
                ]
            }
            65..71 => {
                let hot = counter(self.rng.random_range(1..=COUNTERS));
                vec![format!("UPDATE # SET n = n + 1 WHERE id = {hot}")]
            }
            71..80 => match self.own.pop_front() {
                Some(own) => vec![
                    format!("DELETE FROM # WHERE id = {one}"),
                    format!("UPDATE # SET id = {one}, n = {n} WHERE id = {own}"),
                ],
                None => Vec::new(),
            },
            // Many rows in one event.
            80..82 => {
                let from = self.rng.random_range(-ROWS..ROWS - 800);
                let (to, number) = (from + 800, self.number);
                vec![format!(
                    "UPDATE # SET n = {n}, note = REVERSE(note) WHERE id BETWEEN {from} AND {to} \
                     AND MOD(ABS(id), {CLIENTS}) = {number}"
                )]
            }
            _ => vec![format!("UPDATE # SET n = {n}, note = 'n{n}' WHERE id = {one}")],
        };
        for statement in statements {
            conn.query_drop(statement.replace('#', "d.t")).await?;
            let found = conn.affected_rows();
            conn.query_drop(statement.replace('#', "d.twin")).await?;
            done.writes += 1;
            if found != conn.affected_rows() {
                let said = format!("{statement}: found {found} rows, {} in the twin", conn.affected_rows());
                self.shared.said().errors.push(said);
            }
        }
        Ok(())
    }

    async fn take_number(&mut self, conn: &mut Conn, n: i32, done: &mut Done) -> mysql_async::Result<()> {
        conn.query_drop(format!("INSERT INTO d.t (n, note) VALUES ({n}, 'auto')")).await?;
        let id = conn.last_insert_id().unwrap_or_default() as i64;
        // A number that was handed out before meets its row here.
        conn.query_drop(format!("INSERT INTO d.twin (id, n, note) VALUES ({id}, {n}, 'auto')")).await?;
        done.numbers.push(id);
        done.writes += 1;
        Ok(())
    }
}

async fn columns(conn: &mut Conn, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
    );
    conn.query(&sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// Row by row and column by column, what `table` holds and its twin does not. During a pause of the clients. `None`
/// when there is no such table: a swap has just happened.
pub async fn differences(conn: &mut Conn, table: &str) -> Option<Vec<String>> {
    const NO_SUCH: [u16; 2] = [1146, 1054];
    let columns = columns(conn, table).await;
    if columns.is_empty() {
        return None;
    }
    assert!(columns.len() >= 5, "{table} has only {columns:?}");
    let shown: Vec<String> = columns.iter().map(|c| format!("'{c}=', COALESCE({c}, 'NULL')")).collect();
    let mut held = Vec::new();
    for one in [table, "twin"] {
        let sql = format!("SELECT id, CONCAT_WS(' ', {}) FROM d.{one}", shown.join(", "));
        let rows: Vec<(i64, String)> = match conn.query(&sql).await {
            Ok(rows) => rows,
            Err(mysql_async::Error::Server(error)) if NO_SUCH.contains(&error.code) => return None,
            Err(error) => panic!("{sql}: {error}"),
        };
        held.push(rows.into_iter().collect::<BTreeMap<_, _>>());
    }
    let (is, should) = (&held[0], &held[1]);
    assert!(should.len() as i64 > ROWS / 4, "hardly a row is left");
    let keys: BTreeSet<_> = is.keys().chain(should.keys()).collect();
    let differs = |key: &i64| {
        let (is, should) = (is.get(key), should.get(key));
        (is != should).then(|| format!("{table} {key}: is {is:?}, should be {should:?}"))
    };
    Some(keys.into_iter().filter_map(differs).collect())
}

/// Gives the column that only the schema in service has new values, in a fifth of all rows. During a pause.
pub async fn mark(conn: &mut Conn, round: u64) {
    let columns = columns(conn, "t").await;
    let value = match columns.iter().any(|c| c == "title") {
        true => format!("title = CONCAT('r{round}-', id)"),
        false => format!("extra = MOD(ABS(id), 1000) + 1000 * {round}"),
    };
    run(conn, "START TRANSACTION").await;
    for table in ["d.t", "d.twin"] {
        run(conn, &format!("UPDATE {table} SET {value} WHERE MOD(ABS(id), 5) = {}", round % 5)).await;
    }
    run(conn, "COMMIT").await;
}

/// When a change is over that has not stayed, its column is forgotten. During a pause.
pub async fn forget_extra(conn: &mut Conn) {
    run(conn, "UPDATE d.twin SET extra = 7").await;
}
