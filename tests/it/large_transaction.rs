//! One transaction with more rows than fit a window: memory does not grow with it.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

/// A window holds 16 MiB of rows, as images and once more as SQL text.
const MEMORY_MIB_MAX: u64 = 100;
const ENOUGH: Duration = Duration::from_secs(600);

async fn goes_through(rows: u64) {
    let mut table = Table::create("id int PRIMARY KEY, a int, s varchar(40)").await;
    table.fill("id, a, s", "i, i, CONCAT('row ', i)", 1_000).await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    let began = Instant::now();
    table.run("BEGIN").await;
    let mut filled = 1_000;
    while filled < rows {
        let more = filled.min(rows - filled);
        table
            .run(&format!("INSERT INTO t (id, a, s) SELECT id + {filled}, a, s FROM t WHERE id <= {more}"))
            .await;
        filled += more;
    }
    table.run("UPDATE t SET a = a + 1, s = CONCAT(s, ' again')").await;
    table.run("DELETE FROM t WHERE id % 10 = 3").await;
    table.run("COMMIT").await;
    let written = began.elapsed();
    let sum = "SELECT COUNT(*), SUM(id), SUM(a), SUM(CRC32(s)) FROM t";
    let before: Vec<(u64, u64, u64, u64)> = table.all(sum).await;
    let began = Instant::now();
    let reverting = rsc(shared(), &["--output", "json", "revert", &id.to_string()]).start();
    let mut memory = 0;
    while let Some(peak) = reverting.memory_peak_mib() {
        memory = peak;
        assert!(began.elapsed() < ENOUGH, "{}", reverting.stdout());
        sleep(Duration::from_millis(20)).await;
    }
    reverting.ended().await.well();
    let followed = began.elapsed();
    assert_eq!(table.all::<(u64, u64, u64, u64)>(sum).await, before);
    assert_eq!(before[0].0, rows - rows / 10);
    println!("{rows} rows: written in {written:.1?}, followed in {followed:.1?}, at most {memory} MiB");
    assert!((1..MEMORY_MIB_MAX).contains(&memory), "{memory} MiB");
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_transaction_larger_than_a_window_is_followed_in_little_memory() {
    goes_through(100_000).await;
}

/// Minutes: `cargo test --test it two_million -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "two million rows"]
async fn a_transaction_of_two_million_rows_is_followed_in_little_memory() {
    goes_through(2_000_000).await;
}
