//! Concurrent clients that remember every acknowledged write, to prove that a schema change loses none.
//!
//! Each writer owns a part of the rows (column `owner`) and uses keys that no other uses. So it knows exactly what the
//! server must hold: a change enters its model when the server has acknowledged the commit. At the end, or at a pause,
//! [`compare`] holds the models against the table.
//!
//! The writers name only columns that stay: the key, `owner` and the payload. They run under READ COMMITTED: under
//! REPEATABLE READ, gap locks would let writers of disjoint rows block each other.
//!
//! Examples use this file too, through `#[path = "../tests/it/support/writers.rs"] mod writers;`.
//!
//! They are tasks of the caller's runtime: a test that computes or blocks beside them wants a `multi_thread` one.

// Tests use different parts of it.
#![allow(dead_code)]

#[path = "writers/compare.rs"]
mod compare;
#[path = "writers/model.rs"]
mod model;
#[path = "writers/shape.rs"]
mod shape;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rsc::schema::table::TableName;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

pub use compare::compare;
use model::{Model, Undo};
pub use shape::{Cell, Column, Shape};

const ER_LOCK_DEADLOCK: u16 = 1213;

/// After so many, writers stop: something is wrong altogether.
const ERRORS_MAX: usize = 100;

/// Rows for each INSERT that fills the table before the writers start.
const FILL_ROWS: usize = 500;

#[derive(Clone, Debug)]
pub struct Plan {
    pub table: TableName,
    pub shape: Shape,
    /// At least one column.
    pub payload: Vec<Column>,
    pub writers: u32,
    /// The same seed gives each writer the same dice; what it does depends on its acknowledged writes besides.
    pub seed: u64,
    /// Rows that each writer has at first, and about the number that it keeps.
    pub rows_per_writer: usize,
    /// For each writer; `None` is as fast as the server answers.
    pub statements_per_s: Option<f64>,
}

impl Plan {
    pub fn new(table: TableName, shape: Shape, payload: Vec<Column>) -> Self {
        Self { table, shape, payload, writers: 4, seed: 1, rows_per_writer: 300, statements_per_s: None }
    }

    /// For tests that do not bring their own table; `more` are further definitions, such as columns to be dropped.
    pub fn create_table(&self, more: &[&str]) -> String {
        let mut parts = vec![self.shape.key_definitions().to_owned(), "owner int NOT NULL".to_owned()];
        parts.extend(self.payload.iter().map(Column::definition));
        parts.extend(more.iter().map(|definition| (*definition).to_owned()));
        parts.push(format!("PRIMARY KEY ({})", self.shape.key_columns().join(", ")));
        format!("CREATE TABLE {} ({})", self.table, parts.join(", "))
    }
}

/// A client's error. There must be none: a schema change may make clients wait, never fail.
#[derive(Clone, Debug)]
pub struct WriteError {
    pub at: SystemTime,
    pub writer: u32,
    pub statement: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub statements: u64,
    pub committed: u64,
    pub rolled_back: u64,
    /// Transactions that the server rolled back because of a deadlock between writers.
    pub deadlocks: u64,
    /// The longest that a single statement took: how long a client was kept waiting.
    pub longest_wait: Duration,
}

/// What the table must hold.
#[derive(Clone, Debug)]
pub struct Models {
    plan: Arc<Plan>,
    models: Vec<Model>,
}

impl Models {
    pub fn rows(&self) -> usize {
        self.models.iter().map(|model| model.rows.len()).sum()
    }
}

/// The end of the writers' work.
#[derive(Clone, Debug)]
pub struct Finished {
    pub models: Models,
    pub errors: Vec<WriteError>,
    pub tally: Tally,
}

pub struct Writers {
    plan: Arc<Plan>,
    /// A writer holds its model's lock from the first statement of a transaction to the acknowledged end, so who has
    /// all locks has a pause, and exact models.
    models: Vec<Arc<tokio::sync::Mutex<Model>>>,
    paused: Vec<OwnedMutexGuard<Model>>,
    tasks: Vec<JoinHandle<()>>,
    report: Arc<Report>,
}

/// What writers tell the test while they run.
#[derive(Default)]
struct Report {
    stop: AtomicBool,
    errors: Mutex<Vec<WriteError>>,
    tally: Mutex<Tally>,
}

impl Writers {
    /// Fills the table, which must exist, and returns with the writers running.
    pub async fn start(opts: OptsBuilder, plan: Plan) -> mysql_async::Result<Self> {
        // Found rows, not changed rows: an UPDATE to the same values must still find its row.
        let opts =
            opts.client_found_rows(true).setup(vec!["SET SESSION transaction_isolation = 'READ-COMMITTED'"]);
        let plan = Arc::new(plan);
        let report = Arc::new(Report::default());
        let mut ready = Vec::new();
        for owner in 0..plan.writers {
            let mut rng = StdRng::seed_from_u64(plan.seed.wrapping_mul(1_000_003).wrapping_add(owner.into()));
            let model = Model::new(&plan, owner, &mut rng);
            let mut conn = Conn::new(opts.clone()).await?;
            fill(&mut conn, &plan, &model).await?;
            let prepared = owner % 2 == 1;
            ready.push((
                model,
                Writer { owner, conn, rng, prepared, plan: plan.clone(), report: report.clone() },
            ));
        }
        let mut writers = Self { plan, models: Vec::new(), paused: Vec::new(), tasks: Vec::new(), report };
        for (model, writer) in ready {
            let model = Arc::new(tokio::sync::Mutex::new(model));
            writers.models.push(model.clone());
            writers.tasks.push(tokio::spawn(writer.write(model)));
        }
        Ok(writers)
    }

    /// Returns when every transaction begun is acknowledged; no other begins until [`Writers::resume`].
    pub async fn pause(&mut self) -> Models {
        self.paused.clear();
        for model in &self.models {
            self.paused.push(model.clone().lock_owned().await);
        }
        Models {
            plan: self.plan.clone(),
            models: self.paused.iter().map(|model| (**model).clone()).collect(),
        }
    }

    pub fn resume(&mut self) {
        self.paused.clear();
    }

    /// Lets every writer complete its transaction.
    pub async fn finish(mut self) -> Finished {
        self.report.stop.store(true, Ordering::Relaxed);
        self.paused.clear();
        for task in self.tasks.drain(..) {
            task.await.unwrap_or_else(|panicked| panic!("a writer: {panicked}"));
        }
        Finished { models: self.pause().await, errors: self.errors(), tally: self.tally() }
    }

    /// All errors so far.
    pub fn errors(&self) -> Vec<WriteError> {
        self.report.errors().clone()
    }

    pub fn tally(&self) -> Tally {
        *self.report.tally()
    }
}

impl Report {
    fn errors(&self) -> MutexGuard<'_, Vec<WriteError>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of a new model, in few statements.
async fn fill(conn: &mut Conn, plan: &Plan, model: &Model) -> mysql_async::Result<()> {
    let mut columns = plan.shape.key_columns().to_vec();
    columns.push("owner");
    columns.extend(plan.payload.iter().map(|c| c.name.as_str()));
    let rows: Vec<_> = model.rows.values().collect();
    for some in rows.chunks(FILL_ROWS) {
        let row = |row: &&model::Row| {
            let owner = Cell::Int(model.owner.into());
            let cells: Vec<_> =
                row.key.iter().chain([&owner]).chain(&row.payload).map(Cell::literal).collect();
            format!("({})", cells.join(", "))
        };
        let values: Vec<_> = some.iter().map(row).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        conn.query_drop(format!("INSERT INTO {} ({columns}) VALUES {values}", plan.table)).await?;
    }
    Ok(())
}

/// One client with its connection.
struct Writer {
    owner: u32,
    conn: Conn,
    rng: StdRng,
    /// Prepared statements or literals: a schema change meets clients of both kinds.
    prepared: bool,
    plan: Arc<Plan>,
    report: Arc<Report>,
}

impl Writer {
    async fn write(mut self, model: Arc<tokio::sync::Mutex<Model>>) {
        let mut due = Instant::now();
        loop {
            let statements = if self.rng.random_bool(0.6) { 1 } else { self.rng.random_range(2..=6) };
            let mut model = model.lock().await;
            if self.report.stop.load(Ordering::Relaxed) || self.report.errors().len() >= ERRORS_MAX {
                return;
            }
            let mut undo = Undo::default();
            match self.transaction(&mut model, &mut undo, statements).await {
                Ok(End::Committed) => self.report.tally().committed += 1,
                Ok(End::RolledBack) => {
                    model.undo(undo);
                    self.report.tally().rolled_back += 1;
                }
                Err(error) => {
                    model.undo(undo);
                    // The server may have undone the statement only. Without a connection there is no way to learn what
                    // it did, and the model may be wrong about this one transaction.
                    if error.is_fatal() || self.execute("ROLLBACK", &[]).await.is_err() {
                        return;
                    }
                }
            }
            drop(model);
            if let Some(per_s) = self.plan.statements_per_s {
                // Time lost in a pause is not made up for by a burst.
                due = due.max(Instant::now()) + Duration::from_secs_f64(f64::from(statements) / per_s);
                tokio::time::sleep_until(due.into()).await;
            }
        }
    }

    /// The model runs ahead of the commit; whoever gets no [`End::Committed`] takes its changes back by `undo`.
    async fn transaction(
        &mut self,
        model: &mut Model,
        undo: &mut Undo,
        statements: u32,
    ) -> mysql_async::Result<End> {
        if statements == 1 {
            self.change(model, undo).await?;
            return Ok(End::Committed);
        }
        self.execute("START TRANSACTION", &[]).await?;
        for _ in 0..statements {
            self.change(model, undo).await?;
        }
        if self.rng.random_bool(0.8) {
            self.execute("COMMIT", &[]).await?;
            Ok(End::Committed)
        } else {
            self.execute("ROLLBACK", &[]).await?;
            Ok(End::RolledBack)
        }
    }

    async fn change(&mut self, model: &mut Model, undo: &mut Undo) -> mysql_async::Result<()> {
        let change = model.choose(&self.plan, &mut self.rng);
        self.execute(&change.sql, &change.values).await?;
        let rows = self.conn.affected_rows();
        if rows != 1 {
            // Not the client's error, but seen first by the client: its row is gone, or there twice.
            self.report(&change.sql, &change.values, format!("it found {rows} rows instead of one"));
        }
        model.apply(change, self.conn.last_insert_id(), undo);
        Ok(())
    }

    async fn execute(&mut self, sql: &str, values: &[Cell]) -> mysql_async::Result<()> {
        let begun = Instant::now();
        let answer = if self.prepared && !values.is_empty() {
            self.conn.exec_drop(sql, values.iter().map(Value::from).collect::<Vec<_>>()).await
        } else {
            self.conn.query_drop(with_literals(sql, values)).await
        };
        {
            let mut tally = self.report.tally();
            tally.statements += 1;
            tally.longest_wait = tally.longest_wait.max(begun.elapsed());
        }
        match &answer {
            Ok(()) => {}
            Err(mysql_async::Error::Server(error)) if error.code == ER_LOCK_DEADLOCK => {
                self.report.tally().deadlocks += 1;
            }
            Err(error) => self.report(sql, values, error.to_string()),
        }
        answer
    }

    fn report(&self, sql: &str, values: &[Cell], text: String) {
        let statement = with_literals(sql, values);
        self.report.errors().push(WriteError { at: SystemTime::now(), writer: self.owner, statement, text });
    }
}

enum End {
    Committed,
    RolledBack,
}

/// Each `?` replaced; there is none but the places for values.
fn with_literals(sql: &str, values: &[Cell]) -> String {
    let mut literals = values.iter().map(Cell::literal);
    let mut pieces = sql.split('?');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str(&literals.next().unwrap_or_else(|| "?".to_owned()));
        text.push_str(piece);
    }
    text
}
