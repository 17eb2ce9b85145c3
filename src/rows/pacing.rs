//! How many rows a batch takes, from how long the last ones took.

use std::time::Duration;

/// The size of the next batch, in rows.
#[derive(Clone, Debug)]
pub struct Pacing {
    target: Duration,
    rows: u64,
}

/// Small enough for a row of 64 KiB and a slow disk; doubles to its right size within ten batches.
const FIRST: u64 = 1_000;
/// A batch is one transaction: its binlog and undo must stay modest however fast the server is.
const MOST: u64 = 100_000;

impl Pacing {
    pub fn new(target: Duration) -> Self {
        Self { target, rows: FIRST }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// At most doubles or halves, so that one odd batch does not throw it.
    pub fn took(&mut self, rows: u64, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64().max(1e-6);
        let ideal = rows as f64 * self.target.as_secs_f64() / seconds;
        let (least, most) = ((self.rows / 2).max(1), (self.rows * 2).min(MOST));
        self.rows = (ideal as u64).clamp(least, most.max(least));
    }

    /// A batch of so many rows met a conflict, maybe with a row that is still moving: take less, so that less can move
    /// meanwhile. Other batches may have changed the pace since it was begun.
    pub fn halve(&mut self, size: u64) {
        self.rows = (self.rows.min(size) / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_to_the_target_and_shrink_when_the_server_slows() {
        let mut pacing = Pacing::new(Duration::from_millis(500));
        for _ in 0..10 {
            let rows = pacing.rows();
            pacing.took(rows, Duration::from_secs_f64(rows as f64 / 40_000.0));
        }
        assert_eq!(pacing.rows(), 20_000);
        pacing.took(20_000, Duration::from_secs(5));
        assert_eq!(pacing.rows(), 10_000);
    }

    #[test]
    fn a_batch_has_always_at_least_one_row() {
        let mut pacing = Pacing::new(Duration::from_millis(1));
        for _ in 0..50 {
            pacing.halve(pacing.rows());
        }
        pacing.took(1, Duration::from_secs(60));
        assert_eq!(pacing.rows(), 1);
    }
}
