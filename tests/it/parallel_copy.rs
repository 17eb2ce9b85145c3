//! Batches side by side: what one that was lost leaves behind.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

const ROWS: u64 = 20_000;

type Batch = (u64, Option<String>, Option<String>, u64);

async fn batches(table: &mut Table, id: u64) -> Vec<Batch> {
    table
        .all(&format!(
            "SELECT seq, CAST(lo AS CHAR), CAST(hi AS CHAR), rows_copied FROM _rsc.batch WHERE change_id = {id} ORDER BY seq"
        ))
        .await
}

/// The first batch waits for a lock; those above it are copied. Then the process dies, and every row is written.
#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_a_dead_process_left_is_copied_and_nothing_twice() {
    let mut table = Table::create("id int PRIMARY KEY, n int NOT NULL").await;
    table.fill("id, n", "i, i", ROWS).await;
    let words = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    let more = ["--alter", "ADD COLUMN extra int DEFAULT 7", "--copy-threads", "4", "--batch-time", "20ms"];
    let begun = rsc(shared(), &[&words[..], &more[..]].concat())
        .env("RSC_FAULT", "batch.start.before:kill")
        .run()
        .await;
    assert_eq!(begun.code, -1, "{begun:#?}");
    let schema = table.schema.clone();
    let id: u64 =
        table.all(&format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{schema}'")).await.remove(0);
    let mut lock = shared().conn().await.unwrap();
    lock.query_drop(format!("BEGIN; INSERT INTO {schema}._rsc{id}_t_new (id, n) VALUES (500, 0)"))
        .await
        .unwrap();

    let change = id.to_string();
    let resume = ["--output", "json", "migrate", "--resume", &change];
    let mut dies = rsc(shared(), &resume).start();
    while batches(&mut table, id).await.len() < 3 {
        assert!(dies.try_ended().is_none(), "it ended too soon");
        sleep(Duration::from_millis(10)).await;
    }
    drop(dies); // As by kill -9.
    table.run("UPDATE t SET n = n + 1").await;
    table.run("UPDATE t SET id = id + 100000 WHERE id % 1000 = 3").await;
    lock.query_drop("ROLLBACK").await.unwrap();
    let kept = batches(&mut table, id).await;
    assert!(kept[0].1.is_some(), "the first range is not copied: {kept:?}");

    rsc(shared(), &resume).run().await.well();
    let all = batches(&mut table, id).await;
    assert!(kept.iter().all(|batch| all.contains(batch)), "{kept:?} {all:?}");
    assert_eq!(all[0].1, None, "{all:?}");
    assert!(
        all.windows(2).all(|pair| pair[0].2 == pair[1].1),
        "in the order of keys, and without a hole: {all:?}"
    );
    assert_eq!(all.last().unwrap().2, None, "{all:?}");
    let other = format!("_rsc{id}_t_old");
    let differ: u64 = table
        .all(&format!(
            "SELECT COUNT(*) FROM {other} o LEFT JOIN t ON t.id = o.id WHERE t.n IS NULL OR t.n <> o.n OR t.extra <> 7"
        ))
        .await
        .remove(0);
    let counts: Vec<u64> =
        table.all(&format!("SELECT COUNT(*) FROM t UNION ALL SELECT COUNT(*) FROM {other}")).await;
    assert_eq!((differ, counts), (0, vec![ROWS, ROWS]));
}
