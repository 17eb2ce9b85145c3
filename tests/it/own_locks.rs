//! No session of rsc waits for another one of the same process.

use std::time::Duration;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

/// Far longer than any of it takes; a wait for itself has no end.
const AT_MOST: Duration = Duration::from_secs(60);

async fn asked(table: &Table, words: &[&str], code: i32) {
    let arguments = [&["--output", "json"], words].concat();
    let asked = rsc(shared(), &arguments);
    let ended = tokio::time::timeout(AT_MOST, asked.run()).await;
    let ended = ended.unwrap_or_else(|_| panic!("{words:?} waits for itself ({})", table.schema));
    assert_eq!(ended.code, code, "{words:?}: {ended:#?}");
}

/// The ledger is in use, and the counter of the table that does not serve is to be raised.
async fn with_a_parked_row(key: &str) -> (Table, String) {
    let mut table =
        Table::create(&format!("id int AUTO_INCREMENT PRIMARY KEY, email varchar(20), {key}")).await;
    table.run("INSERT INTO t (email) VALUES ('a'), ('b')").await;
    let id = table.migrated("DROP KEY u, MODIFY email varchar(40)", &[]).await;
    table.run("INSERT INTO t (email) VALUES ('a')").await;
    raise(&mut table).await;
    (table, id.to_string())
}

async fn raise(table: &mut Table) {
    table.run("BEGIN").await;
    table.run("INSERT INTO t (email) VALUES ('gone')").await;
    table.run("DELETE FROM t WHERE email = 'gone'").await;
    table.run("COMMIT").await;
}

#[tokio::test]
async fn a_revert_with_parked_rows_and_a_counter_ends() {
    for verb in [&["revert"][..], &["verify"], &["verify", "--repair"]] {
        let (mut table, id) = with_a_parked_row("UNIQUE KEY u (email)").await;
        let first = [&verb[..1], &[&id], &verb[1..]].concat();
        asked(&table, &first, if verb == ["revert"] { 6 } else { 0 }).await;
        raise(&mut table).await;
        asked(&table, &["revert", &id, "--accept-parked"], 0).await;
        raise(&mut table).await;
        asked(&table, &["reapply", &id], 0).await;
        raise(&mut table).await;
        asked(&table, &["revert", &id], 6).await;
        table.run("UPDATE t SET email = 'much longer than it was, and cut' WHERE id = 2").await;
        raise(&mut table).await;
        asked(&table, &["revert", &id, "--accept-parked"], 0).await;
    }
}

#[tokio::test]
async fn an_emptied_table_with_parked_rows_ends() {
    let (mut table, id) = with_a_parked_row("UNIQUE KEY u (email)").await;
    asked(&table, &["revert", &id], 6).await;
    table.run("TRUNCATE TABLE t").await;
    table.run("INSERT INTO t (email) VALUES ('a'), ('a')").await;
    asked(&table, &["verify", &id], 0).await;
    raise(&mut table).await;
    asked(&table, &["revert", &id, "--accept-parked"], 0).await;
    asked(&table, &["complete", &id], 0).await;
}
