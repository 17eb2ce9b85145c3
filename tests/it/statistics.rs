//! A new table has the statistics of the old one; and what CREATE TABLE … LIKE loses is refused by name.

use mysql_async::prelude::Queryable;

use crate::support::process::rsc;
use crate::support::server::{Options, Server};
use crate::support::table::Table;

async fn histograms(table: &mut Table) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT COLUMN_NAME, CAST(JSON_REMOVE(HISTOGRAM, '$.\"last-updated\"') AS CHAR) FROM \
         information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = '{}' AND TABLE_NAME = 't' ORDER BY 1",
        table.schema
    );
    table.all(&sql).await
}

async fn rows_known(table: &mut Table) -> u64 {
    let sql = format!(
        "SELECT n_rows FROM mysql.innodb_table_stats WHERE database_name = '{}' AND table_name = 't'",
        table.schema
    );
    table.all(&sql).await[0]
}

#[tokio::test]
async fn the_new_table_has_rows_and_histograms_for_the_optimizer() {
    for (clauses, histograms_kept) in [
        ("ADD x int", &["d", "e", "n", "s"][..]),
        ("MODIFY n bigint, DROP COLUMN d, ADD KEY (s)", &["e", "s"]),
        ("CONVERT TO CHARACTER SET latin1", &["d", "n"]),
    ] {
        let mut table =
            Table::create("id int PRIMARY KEY, n int, s varchar(20), e enum('x','y'), d date").await;
        table.run("ALTER TABLE t STATS_AUTO_RECALC=0 STATS_PERSISTENT=1").await;
        table
            .fill("id, n, s, e, d", "i, i % 7, concat('it''s \\\\ ', i % 9), 1 + i % 2, '2020-01-01'", 1_000)
            .await;
        table.run("ANALYZE TABLE t").await;
        table.run("ANALYZE TABLE t UPDATE HISTOGRAM ON n, s, d WITH 5 BUCKETS AUTO UPDATE").await;
        table.run("ANALYZE TABLE t UPDATE HISTOGRAM ON e WITH 9 BUCKETS").await;
        let before = histograms(&mut table).await;
        assert_eq!(before.len(), 4);
        let id = table.migrated(clauses, &["--defer-indexes", "never"]).await;
        let expected: Vec<_> =
            before.iter().filter(|(column, _)| histograms_kept.contains(&column.as_str())).cloned().collect();
        assert_eq!(histograms(&mut table).await, expected, "{clauses}");
        assert!(rows_known(&mut table).await > 900, "{clauses}");
        table.asked("revert", id).await;
        assert_eq!(histograms(&mut table).await, before, "{clauses}: the old table keeps its own");
        assert!(rows_known(&mut table).await > 900, "{clauses}");
    }
}

#[tokio::test]
async fn documents_that_are_numbered_by_hand_are_refused_before_anything_is_touched() {
    for definition in [
        "FTS_DOC_ID bigint unsigned NOT NULL PRIMARY KEY, t text, FULLTEXT KEY (t)",
        "id int PRIMARY KEY, FTS_DOC_ID bigint unsigned NOT NULL, t text, UNIQUE KEY FTS_DOC_ID_INDEX (FTS_DOC_ID), \
         FULLTEXT KEY (t)",
    ] {
        let table = Table::create(definition).await;
        for verb in ["plan", "migrate"] {
            let words = [
                "--output",
                "json",
                verb,
                "--database",
                &table.schema,
                "--table",
                "t",
                "--alter",
                "ADD x int",
            ];
            let ended = rsc(crate::support::shared(), &words).run().await;
            assert_eq!(ended.code, 3, "{verb}: {ended:#?}");
            assert!(ended.stdout.contains("FTS_DOC_ID"), "{verb}: {ended:#?}");
        }
    }
}

#[tokio::test]
async fn what_a_copy_of_the_definition_loses_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().canonicalize().unwrap();
    let server =
        Server::start(Options::default().with(format!("--innodb-directories={}", folder.display()))).unwrap();
    let mut conn = server.conn().await.unwrap();
    for statement in [
        "CREATE DATABASE d".to_owned(),
        format!("CREATE TABLE d.away (id int PRIMARY KEY) DATA DIRECTORY='{}'", folder.display()),
        format!("CREATE TABLESPACE ts ADD DATAFILE '{}/ts.ibd'", folder.display()),
        "CREATE TABLE d.shared (id int PRIMARY KEY) TABLESPACE ts".into(),
        format!(
            "CREATE TABLE d.parted (id int PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (9) \
             DATA DIRECTORY='{}', PARTITION p1 VALUES LESS THAN MAXVALUE)",
            folder.display()
        ),
    ] {
        conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    for verb in ["plan", "migrate"] {
        let words = ["--output", "json", verb, "--database", "d", "--table", "away", "--alter", "ADD x int"];
        let ended = rsc(&server, &words).run().await;
        assert_eq!(ended.code, 3, "{ended:#?}");
        assert!(ended.stdout.contains("DATA DIRECTORY"), "{ended:#?}");
    }
    // These two the copy takes along.
    for (name, kept) in [("shared", "TABLESPACE `ts`"), ("parted", "DATA DIRECTORY = ")] {
        let words =
            ["--output", "json", "migrate", "--database", "d", "--table", name, "--alter", "ADD x int"];
        rsc(&server, &words).run().await.well();
        let (_, create): (String, String) =
            conn.query_first(format!("SHOW CREATE TABLE d.{name}")).await.unwrap().unwrap();
        assert!(create.contains(kept) && create.contains("`x` int"), "{create}");
    }
}
