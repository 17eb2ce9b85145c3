//! Whatever would make a replay of rows inexact is noticed and named, never guessed past; and the live table stays as
//! the application has it.

use crate::support::shared;
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

/// The table's name is nowhere in what the binlog has of these.
#[tokio::test]
async fn rows_logged_as_statements_on_something_else() {
    const STATEMENT: &str = "SET SESSION binlog_format = STATEMENT";
    let view = ["CREATE VIEW v AS SELECT * FROM t", STATEMENT, "UPDATE v SET a = 7", "DROP VIEW v"];
    is_noticed(&view, "UPDATE v SET a = 7").await;
    let trigger = [
        "CREATE TABLE other (id int PRIMARY KEY)",
        "CREATE TRIGGER tr AFTER INSERT ON other FOR EACH ROW UPDATE t SET a = 8",
        STATEMENT,
        "INSERT INTO other VALUES (1)",
        "DROP TABLE other",
    ];
    is_noticed(&trigger, "INSERT INTO other").await;
    let function = [
        "CREATE FUNCTION f() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN UPDATE t SET a = 9; RETURN 1; END",
        STATEMENT,
        "DO f()",
    ];
    is_noticed(&function, "`f`()").await;
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

const BY_RANGE: &str = "id int PRIMARY KEY, a int) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN MAXVALUE";

/// Rows come and go with a partition, and no row event tells of them.
#[tokio::test]
async fn partitions_emptied_dropped_and_exchanged() {
    const REDEFINED: &str = "the definition of";
    for (clause, told) in [
        ("TRUNCATE PARTITION p0", "TRUNCATE PARTITION p0"),
        ("EXCHANGE PARTITION p0 WITH TABLE other", "EXCHANGE PARTITION p0 WITH TABLE other"),
        ("DISCARD PARTITION p0 TABLESPACE", "DISCARD PARTITION p0 TABLESPACE"),
        ("DROP PARTITION p0", REDEFINED),
        ("REMOVE PARTITIONING", REDEFINED),
    ] {
        let mut table = Table::create(BY_RANGE).await;
        table.run("INSERT INTO t VALUES (1, 1), (101, 2)").await;
        let id = table.migrated("MODIFY COLUMN a bigint", &[]).await;
        table.run("CREATE TABLE other LIKE t").await;
        table.run("ALTER TABLE other REMOVE PARTITIONING").await;
        table.run(&format!("ALTER TABLE t {clause}")).await;
        ends_by_its_name(&table, id, told).await;
    }
}

#[tokio::test]
async fn a_partition_of_another_table_exchanged_with_ours() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 1), (2, 2)").await;
    let id = table.migrated("MODIFY COLUMN a bigint", &[]).await;
    table.run("CREATE TABLE other (id int PRIMARY KEY, a bigint) PARTITION BY HASH (id) PARTITIONS 1").await;
    table.run("INSERT INTO other VALUES (7, 7)").await;
    table.run("ALTER TABLE other EXCHANGE PARTITION p0 WITH TABLE t").await;
    ends_by_its_name(&table, id, "EXCHANGE PARTITION p0 WITH TABLE t").await;
}

#[tokio::test]
async fn a_table_without_its_tablespace() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    let id = table.migrated("MODIFY COLUMN a bigint", &[]).await;
    table.run("ALTER TABLE t DISCARD TABLESPACE").await;
    ends_by_its_name(&table, id, "DISCARD TABLESPACE").await;
}

/// Done to the kept table, so that a swap back would bring wrong rows.
#[tokio::test]
async fn the_kept_table_touched_by_someone_else() {
    for act in ["TRUNCATE TABLE shadow", "DELETE FROM shadow", "ALTER TABLE shadow TRUNCATE PARTITION p0"] {
        let mut table = Table::create(BY_RANGE).await;
        table.run("INSERT INTO t VALUES (1, 1), (101, 2)").await;
        let id = table.migrated("MODIFY COLUMN a bigint", &[]).await;
        let sql = act.replace("shadow", &format!("_rsc{id}_t_old"));
        table.run(&sql).await;
        let told = if act.starts_with("DELETE") { "rows written into" } else { sql.as_str() };
        ends_by_its_name(&table, id, told).await;
    }
}

async fn ends_by_its_name(table: &Table, id: u64, name: &str) {
    let ended = table.ask("revert", id).await;
    assert_eq!(ended.code, 6, "{name}: {ended:#?}");
    let what = ended.last_line()["reasons"][0]["what"].as_str().unwrap().to_owned();
    assert!(what.contains(name), "{name} is told as: {what}");
    assert_eq!(table.ask("status", id).await.well().last_line()["verdict"]["verdict"], "blocked");
    table.asked("complete", id).await;
}

/// However rows are written and kept, they are followed.
#[tokio::test]
async fn bulk_writes_and_upkeep_are_followed() {
    let mut table = Table::create(BY_RANGE).await;
    table.run("INSERT INTO t VALUES (1, 1), (2, 2), (101, 101), (102, 102)").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    let file = shared().data_directory().join(format!("{}.csv", table.schema));
    std::fs::write(&file, "11,11,11\n12,12,12\n").unwrap();
    table.run("CREATE TABLE other (id int PRIMARY KEY, a int)").await;
    for write in [
        "OPTIMIZE TABLE t".to_owned(),
        format!("LOAD DATA INFILE '{}' INTO TABLE t FIELDS TERMINATED BY ','", file.display()),
        "REPAIR TABLE t".to_owned(),
        "INSERT INTO other SELECT id, a FROM t".to_owned(),
        "INSERT INTO t SELECT id + 200, a, 5 FROM other".to_owned(),
        "ALTER TABLE t OPTIMIZE PARTITION p0".to_owned(),
        "UPDATE t JOIN other USING (id) SET t.a = t.a * 10, other.a = 0 WHERE id < 100".to_owned(),
        "ALTER TABLE t REBUILD PARTITION p1".to_owned(),
        "DELETE t, other FROM t JOIN other USING (id) WHERE id = 102".to_owned(),
        "ANALYZE TABLE t".to_owned(),
        "FLUSH TABLES t".to_owned(),
    ] {
        table.run(&write).await;
    }
    let rows = "SELECT id, a FROM t ORDER BY id";
    let written: Vec<(i32, i32)> = table.all(rows).await;
    table.asked("revert", id).await;
    assert_eq!(table.all::<(i32, i32)>(rows).await, written);
    assert_eq!(written.len(), 11, "{written:?}");
    table.asked("complete", id).await;
}

/// Tracers put a comment before every statement.
#[tokio::test]
async fn a_truncate_behind_a_comment_is_followed() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 1), (2, 2)").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    table.run("/* shop:nightly */ TRUNCATE TABLE t").await;
    table.run("INSERT INTO t VALUES (3, 3, 3)").await;
    table.asked("revert", id).await;
    assert_eq!(table.all::<(i32, i32)>("SELECT id, a FROM t").await, [(3, 3)]);
    table.asked("complete", id).await;
}

/// A session that logs statements, and writes only elsewhere.
#[tokio::test]
async fn statements_logged_on_another_schema_are_let_pass() {
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 1)").await;
    let id = table.migrated("ADD COLUMN b int", &[]).await;
    let other = format!("{}_other", table.schema);
    table.run(&format!("CREATE DATABASE {other}")).await;
    table.run(&format!("CREATE TABLE {other}.sums (n int)")).await;
    table.run("SET SESSION binlog_format = STATEMENT, transaction_isolation = 'REPEATABLE-READ'").await;
    table.run(&format!("REPLACE INTO {other}.sums VALUES (1)")).await;
    table.asked("revert", id).await;
    table.run(&format!("DROP DATABASE {other}")).await;
    table.asked("complete", id).await;
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
