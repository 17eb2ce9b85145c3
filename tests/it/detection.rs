//! Whatever would make a replay of rows inexact is noticed and named, never guessed past; and the live table stays as
//! the application has it.

use crate::support::table::Table;

/// What the others do while the new schema serves, and the words that it is told in.
async fn is_noticed(writes: &[&str], told: &str) {
    let mut table = Table::create("id int PRIMARY KEY, a int, j json").await;
    table.run("INSERT INTO t VALUES (1, 1, '{\"k\": \"a long enough value to be replaced in part\"}'), (2, 2, NULL)").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    for write in writes {
        table.run(write).await;
    }
    let before: Vec<(u64, Option<u64>)> =
        table.all("SELECT COUNT(*), SUM(CRC32(CONCAT(id, a))) FROM t").await;
    let ended = table.ask("revert", id).await;
    assert_eq!(ended.code, 6, "{writes:?}: {ended:#?}");
    let error = ended.last_line();
    let what = error["reasons"][0]["what"].as_str().unwrap();
    assert!(what.contains(told), "{writes:?} is told as: {what}");
    assert_eq!(error["reasons"][0]["next"], format!("to keep what serves, `rsc complete {id}`"), "{error}");
    let after: Vec<(u64, Option<u64>)> = table.all("SELECT COUNT(*), SUM(CRC32(CONCAT(id, a))) FROM t").await;
    assert_eq!(after, before, "{writes:?}");
    assert_eq!(table.ask("status", id).await.well().last_line()["verdict"]["verdict"], "blocked");
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test]
async fn rows_logged_in_part() {
    is_noticed(
        &["SET SESSION binlog_row_image = MINIMAL", "UPDATE t SET a = 5 WHERE id = 1"],
        "has only some of the columns",
    )
    .await;
}

#[tokio::test]
async fn documents_logged_as_differences() {
    is_noticed(
        &[
            "SET SESSION binlog_row_value_options = PARTIAL_JSON",
            "UPDATE t SET j = JSON_REPLACE(j, '$.k', 'x') WHERE id = 1",
        ],
        "only parts of JSON values",
    )
    .await;
}

#[tokio::test]
async fn rows_logged_as_statements() {
    is_noticed(
        &["SET SESSION binlog_format = STATEMENT", "UPDATE t SET a = a + 1 WHERE id = 2"],
        "UPDATE t SET a = a + 1",
    )
    .await;
}

#[tokio::test]
async fn rows_of_an_xa_transaction() {
    is_noticed(
        &[
            "XA START 'rsc-detection'",
            "UPDATE t SET a = 9 WHERE id = 2",
            "XA END 'rsc-detection'",
            "XA PREPARE 'rsc-detection'",
            "XA COMMIT 'rsc-detection'",
        ],
        "XA transaction",
    )
    .await;
}

#[tokio::test]
async fn an_index_made_by_someone_else() {
    is_noticed(&["CREATE INDEX theirs ON t (a)"], "changed by someone else").await;
}

#[tokio::test]
async fn a_table_put_in_its_place() {
    is_noticed(
        &["CREATE TABLE other LIKE t", "RENAME TABLE t TO away, other TO t", "DROP TABLE away"],
        "RENAME TABLE t TO away",
    )
    .await;
}

/// Reads of the table, and the same names elsewhere, are nobody's business.
#[tokio::test]
async fn what_does_no_harm_is_let_pass() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 1)").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    let other = format!("{}_other", table.schema);
    for harmless in [
        "ANALYZE TABLE t".to_owned(),
        "CREATE VIEW v AS SELECT * FROM t".to_owned(),
        format!("CREATE DATABASE {other}"),
        format!("CREATE TABLE {other}.t (id int PRIMARY KEY)"),
        format!("ALTER TABLE {other}.t ADD COLUMN t int"),
        format!("INSERT INTO {other}.t VALUES (1, 1)"),
        format!("TRUNCATE TABLE {other}.t"),
        format!("DROP DATABASE {other}"),
        "BEGIN".to_owned(),
        "INSERT INTO t VALUES (2, 2, 2)".to_owned(),
        "SAVEPOINT one".to_owned(),
        "INSERT INTO t VALUES (3, 3, 3)".to_owned(),
        "ROLLBACK TO SAVEPOINT one".to_owned(),
        "COMMIT".to_owned(),
    ] {
        table.run(&harmless).await;
    }
    table.asked("revert", id).await;
    let rows: Vec<(i32, i32)> = table.all("SELECT id, a FROM t").await;
    assert_eq!(rows, [(1, 1), (2, 2)]);
    table.asked("complete", id).await;
}
