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

/// What an owner that has nothing to do holds would keep its own definitions waiting, and everybody else's.
#[tokio::test]
async fn an_owner_that_follows_holds_no_table_between_two_windows() {
    let mut table =
        Table::create("id int AUTO_INCREMENT PRIMARY KEY, email varchar(20), UNIQUE KEY u (email)").await;
    table.run("INSERT INTO t (email) VALUES ('a'), ('b')").await;
    let words = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    let words =
        [&words[..], &["--alter", "DROP KEY u, MODIFY email varchar(40)", "--agent", "stay"]].concat();
    let mut owner = rsc(shared(), &words).start();
    owner.says("\"state\":\"revertible\"").await;
    table.run("INSERT INTO t (email) VALUES ('a'), ('much longer than it was, and cut')").await;
    owner.says("\"event\":\"parked\"").await;
    let newest = format!("SELECT MAX(id) FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    let id: u64 = table.all(&newest).await[0];
    let held = format!(
        "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'TABLE' AND LOCK_DURATION = 'TRANSACTION' \
         AND (OBJECT_NAME = '_rsc{id}_t_old' OR (OBJECT_SCHEMA = '_rsc' AND OBJECT_NAME IN ('parked_{id}', 'loss_{id}')))"
    );
    // It tries parked rows now and then: what counts is that it lets go of them.
    for rest in 0..3 {
        let mut looks = 0;
        while table.all::<u64>(&held).await[0] > 0 {
            looks += 1;
            assert!(looks < 200, "{rest}: held all the time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        table.run("UPDATE t SET email = CONCAT('b', id) WHERE id = 2").await;
    }
    asked(&table, &["revert", &id.to_string(), "--accept-parked"], 0).await;
    asked(&table, &["complete", &id.to_string()], 0).await;
    owner.ended().await.well();
}
