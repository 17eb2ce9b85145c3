//! An application beside the change, and a probe that feels what it does to one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use rand::Rng;
use tokio::task::JoinHandle;

use crate::Outcome;
use crate::server::Server;

/// Clients that write until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Result<(), String>>>,
}

impl Load {
    /// `per_second` statements of all clients together; `None` as fast as they can.
    pub async fn start(server: &Server, clients: u32, per_second: Option<f64>, rows: u64) -> Outcome<Self> {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut handles = Vec::new();
        for _ in 0..clients {
            let mut conn = server.conn().await?;
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let every = per_second.map(|rate| Duration::from_secs_f64(f64::from(clients) / rate));
            handles.push(tokio::spawn(async move {
                let mut next = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    let statement = statement(rows);
                    conn.query_drop(&statement).await.map_err(|e| format!("{statement}: {e}"))?;
                    done.fetch_add(1, Ordering::Relaxed);
                    if let Some(every) = every {
                        next += every;
                        tokio::time::sleep_until(next.into()).await;
                    }
                }
                Ok(())
            }));
        }
        Ok(Self { stop, done, clients: handles })
    }

    /// Statements a second while `work` runs, and what came of it.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> (f64, T) {
        let (before, began) = (self.done.load(Ordering::Relaxed), Instant::now());
        let result = work.await;
        let done = self.done.load(Ordering::Relaxed) - before;
        (done as f64 / began.elapsed().as_secs_f64(), result)
    }

    /// The clients must not have seen an error.
    pub async fn stop(self) -> Outcome<()> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        Ok(())
    }
}

/// Mostly updates of one row, some inserts and deletes.
fn statement(rows: u64) -> String {
    let mut random = rand::rng();
    let id = random.random_range(1..=rows);
    match random.random_range(0..10) {
        0 => format!("DELETE FROM bench.t WHERE id = {id}"),
        1 | 2 => format!(
            "INSERT INTO bench.t (user_id, email, status, amount, created, note) \
             VALUES ({id}, UUID(), 1, 1.5, NOW(3), 'new')"
        ),
        _ => format!("UPDATE bench.t SET amount = amount + 1, status = {} WHERE id = {id}", id % 7),
    }
}

/// Writes one row each 2 ms.
pub struct Probe {
    stop: Arc<AtomicBool>,
    writer: JoinHandle<Result<Vec<(Instant, Duration)>, String>>,
}

const PROBE_EVERY: Duration = Duration::from_millis(2);

impl Probe {
    pub async fn start(server: &Server) -> Outcome<Self> {
        let mut conn = server.conn().await?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let writer = tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut next = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                let write = "UPDATE bench.t SET amount = amount + 1 WHERE id = 1";
                conn.query_drop(write).await.map_err(|e| e.to_string())?;
                seen.push((began, began.elapsed()));
                next = (next + PROBE_EVERY).max(Instant::now());
                tokio::time::sleep_until(next.into()).await;
            }
            Ok(seen)
        });
        Ok(Self { stop, writer })
    }

    pub async fn stop(self) -> Outcome<Vec<(Instant, Duration)>> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(self.writer.await??)
    }
}

/// The value below which `share` of them lie.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(at).copied().unwrap_or(0.0)
}
