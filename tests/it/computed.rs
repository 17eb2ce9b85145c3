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
async fn a_repair_does_not_overwrite_what_is_computed_now() {
    for clause in COMPUTED {
        let mut table = Table::create("id int PRIMARY KEY, a int, g int, j int").await;
        table.run("INSERT INTO t VALUES (1, 1, 100, 0), (2, 2, 200, 0), (3, 3, NULL, 0)").await;
        let before = rows(&mut table).await;
        let id = table.migrated(clause, &["--agent", "none"]).await;
        verified(&table, id).await;
        table.asked("revert", id).await;
        assert_eq!(rows(&mut table).await, before, "{clause}");
    }
}
