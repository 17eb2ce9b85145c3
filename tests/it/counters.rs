//! The AUTO_INCREMENT counter after a swap: what the statement asks for, and never what the column cannot count to.

use crate::support::table::Table;

const COUNTED: &str = "id int AUTO_INCREMENT PRIMARY KEY, v int";

/// The number that the next row gets.
async fn next(table: &mut Table, of: &str) -> u64 {
    table.run(&format!("INSERT INTO {of} (v) VALUES (9)")).await;
    table.all("SELECT LAST_INSERT_ID()").await[0]
}

#[tokio::test]
async fn a_counter_in_the_statement_does_what_it_does_natively() {
    for clause in ["AUTO_INCREMENT=7", "AUTO_INCREMENT=1", "AUTO_INCREMENT = 0", "AUTO_INCREMENT 500"] {
        for more in ["", ", ADD x int", ", MODIFY v bigint", ", ADD KEY (v)"] {
            let mut table = Table::create(COUNTED).await;
            table.run("CREATE TABLE n LIKE t").await;
            for t in ["t", "n"] {
                table.run(&format!("INSERT INTO {t} VALUES (1, 1), (2, 2), (100, 3)")).await;
                table.run(&format!("DELETE FROM {t} WHERE id = 100")).await;
            }
            let clauses = format!("{clause}{more}");
            table.run(&format!("ALTER TABLE n {clauses}")).await;
            table.migrated(&clauses, &["--strategy", "online"]).await;
            assert_eq!(next(&mut table, "t").await, next(&mut table, "n").await, "{clauses}");
        }
    }
}

#[tokio::test]
async fn a_way_back_goes_on_counting_with_what_the_old_column_holds() {
    for (old, new, beyond) in [
        ("int", "bigint", 3_000_000_000_u64),
        ("tinyint unsigned", "smallint", 300),
        ("bigint", "bigint unsigned", 1 << 63),
    ] {
        let mut table = Table::create(&format!("id {old} AUTO_INCREMENT PRIMARY KEY, v int")).await;
        table.run("INSERT INTO t VALUES (1, 1), (2, 2)").await;
        let id = table.migrated(&format!("MODIFY id {new} AUTO_INCREMENT"), &[]).await;
        table.run("INSERT INTO t (v) VALUES (3), (4)").await;
        table.run("DELETE FROM t WHERE id = 4").await;
        table.run(&format!("INSERT INTO t VALUES ({beyond}, 5)")).await;
        table.reverted_accepting_parked(id).await;
        let back = next(&mut table, "t").await;
        assert!((4..=5).contains(&back), "{old}: {back}");
        table.asked("reapply", id).await;
        assert_eq!(next(&mut table, "t").await, beyond + 1, "{old}: what is behind all that was handed out");
    }
}
