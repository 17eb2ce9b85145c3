//! How fast this server copies rows of this table: a short look, of which nothing stays.
//!
//! Rows are copied into the empty probe table in transactions that are rolled back, so they are in no binlog. As many
//! sessions copy side by side as the change would, each a range of its own, and each round of them is one measurement.
//! What a sample cannot show is said with the estimate: what a commit costs, a cache that is too small for the whole
//! table, and what the application will do meanwhile.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::copy::{boundary, key_literals};
use crate::rows::key_range::Bound;
use crate::rows::statements::Statements;
use crate::session::{Session, SqlError};
use crate::settings::Server;

/// Rows that one session copies in the first round.
const FIRST_ROWS: u64 = 200;
/// A round takes about so long: many rounds show how they differ.
const ROUND: Duration = Duration::from_millis(60);
/// Undoing more would be felt.
const BATCH_MAX: u64 = 10_000;

/// One round: all sessions together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    pub rows: u64,
    pub seconds: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub rounds: Vec<Round>,
    /// The table has no more rows than these.
    pub whole: bool,
}

impl Sample {
    pub fn rows(&self) -> u64 {
        self.rounds.iter().map(|round| round.rows).sum()
    }
}

type Range = (Option<Bound>, Option<Bound>);

/// Copies for about `budget` into the probe that `forward` writes. `Err` with the server's answer where a row does not
/// fit.
pub async fn copied(
    server: &Server,
    session: &mut Session,
    forward: &Statements,
    threads: usize,
    budget: Duration,
) -> Result<Sample, SqlError> {
    let Some(literals) = key_literals(forward, "d") else { return Ok(Sample::default()) };
    let mut workers = Vec::new();
    for _ in 0..threads {
        let mut worker = Session::writer(server, forward.meaning()).await?;
        // Two sessions that meet in a duplicate do not wait for each other for long.
        worker.run("SET SESSION innodb_lock_wait_timeout = 1").await?;
        worker.run("START TRANSACTION").await?;
        workers.push(worker);
    }
    let sampled = rounds(session, &mut workers, forward, &literals, budget).await;
    for mut worker in workers {
        worker.run("ROLLBACK").await?;
    }
    sampled
}

async fn rounds(
    session: &mut Session,
    workers: &mut [Session],
    forward: &Statements,
    literals: &[String],
    budget: Duration,
) -> Result<Sample, SqlError> {
    let began = Instant::now();
    let mut sample = Sample::default();
    let (mut lo, mut size) = (None, FIRST_ROWS);
    while !sample.whole && (began.elapsed() < budget || sample.rounds.is_empty()) {
        let started = Instant::now();
        let ranges = ranges(session, forward, literals, lo, workers.len(), size).await?;
        let copies = workers.iter_mut().zip(&ranges).map(|(worker, (lo, hi))| {
            let copy = forward.copy(lo.as_ref(), hi.as_ref());
            async move { worker.run(&copy).await }
        });
        let mut rows = 0;
        for copied in join_all(copies).await {
            rows += copied?.affected;
        }
        let seconds = started.elapsed().as_secs_f64();
        if rows > 0 {
            sample.rounds.push(Round { rows, seconds });
        }
        lo = ranges.last().and_then(|(_, hi)| hi.clone());
        sample.whole = lo.is_none();
        let ideal = size as f64 * ROUND.as_secs_f64() / seconds.max(1e-6);
        size = (ideal as u64).clamp(size / 2, size * 2).clamp(1, BATCH_MAX);
    }
    Ok(sample)
}

/// The next ranges, one for each session; the last may be open, and then there are no rows behind it.
async fn ranges(
    session: &mut Session,
    forward: &Statements,
    literals: &[String],
    mut lo: Option<Bound>,
    sessions: usize,
    rows: u64,
) -> Result<Vec<Range>, SqlError> {
    let mut ranges = Vec::new();
    for _ in 0..sessions {
        let hi = boundary(session, forward, literals, lo.as_ref(), None, rows).await?;
        ranges.push((lo, hi.clone()));
        lo = hi;
        if lo.is_none() {
            break;
        }
    }
    Ok(ranges)
}
