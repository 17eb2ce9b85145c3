//! A column that one schema computes and the other keeps: what nobody wrote since comes back as it was.

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

const COMPUTED: [&str; 2] = [
    "MODIFY g int GENERATED ALWAYS AS (a * 2) STORED",
    "CHANGE g g2 bigint GENERATED ALWAYS AS (a * 2) STORED",
];

async fn verified(table: &Table, id: u64) {
    table.asked("verify", id).await;
    let repairing = ["--output", "json", "verify", &id.to_string(), "--repair"];
    rsc(shared(), &repairing).run().await.well();
}

async fn rows(table: &mut Table) -> Vec<(i32, i32, Option<i64>, i32)> {
    table.all("SELECT * FROM t ORDER BY id").await
}

#[tokio::test]
async fn a_plain_column_that_becomes_computed_comes_back_as_it_was() {
    for clause in COMPUTED {
        let mut table = Table::create("id int PRIMARY KEY, a int, g int, j int").await;
        table
            .run("INSERT INTO t VALUES (1, 1, 100, 0), (2, 2, 200, 0), (3, 3, NULL, 0), (4, 4, 400, 0)")
            .await;
        let id = table.migrated(clause, &["--agent", "none"]).await;
        verified(&table, id).await;
        table.run("UPDATE t SET j = 1 WHERE id IN (1, 3)").await;
        table.run("UPDATE t SET a = 7 WHERE id = 2").await;
        table.run("UPDATE t SET id = 14 WHERE id = 4").await;
        table.run("INSERT INTO t (id, a, j) VALUES (5, 5, 0)").await;
        verified(&table, id).await;
        table.asked("revert", id).await;
        let back = [
            (1, 1, Some(100), 1),
            (2, 7, Some(14), 0),
            (3, 3, None, 1),
            (5, 5, Some(10), 0),
            (14, 4, Some(400), 0),
        ];
        assert_eq!(rows(&mut table).await, back, "{clause}");
        verified(&table, id).await;
        table.asked("reapply", id).await;
        verified(&table, id).await;
        table.run("UPDATE t SET j = 2").await;
        table.asked("revert", id).await;
        let back: Vec<_> = back.iter().map(|(id, a, g, _)| (*id, *a, *g, 2)).collect();
        assert_eq!(rows(&mut table).await, back, "{clause}");
    }
}

#[tokio::test]
async fn a_computed_column_that_becomes_plain_keeps_what_was_written_there() {
    let mut table = Table::create("id int PRIMARY KEY, a int, g int AS (a * 2) STORED, j int").await;
    table.run("INSERT INTO t (id, a, j) VALUES (1, 1, 0), (2, 2, 0), (3, 3, 0)").await;
    let id = table.migrated("MODIFY g int", &["--agent", "none"]).await;
    verified(&table, id).await;
    table.run("UPDATE t SET g = 77 WHERE id IN (1, 2)").await;
    table.asked("revert", id).await;
    verified(&table, id).await;
    table.run("UPDATE t SET j = 1 WHERE id = 1").await;
    table.run("UPDATE t SET a = 9 WHERE id = 2").await;
    verified(&table, id).await;
    table.asked("reapply", id).await;
    assert_eq!(rows(&mut table).await, [(1, 1, Some(77), 1), (2, 9, Some(18), 0), (3, 3, Some(6), 0)]);
    verified(&table, id).await;
}
