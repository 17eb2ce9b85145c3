//! A change does to the rows what the same ALTER does natively, and its revert undoes it.

use mysql_async::prelude::Queryable;
use rsc::schema::table::quote;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::table::Table;

/// One ALTER, what it is made on, and what happens to the rows while the new schema serves.
struct Case {
    create: &'static str,
    rows: &'static str,
    alter: &'static str,
    /// Run on `t` after the change, and natively.
    writes: &'static [&'static str],
}

/// All columns of every row, as text, in the order of the first column.
async fn rows(table: &mut Table, name: &str) -> Vec<String> {
    let columns: Vec<String> = table
        .all(&format!(
            "SELECT CONCAT('COALESCE(HEX(`', REPLACE(COLUMN_NAME, '`', '``'), '`), ''NULL'')') FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{name}' ORDER BY COLUMN_NAME",
            table.schema
        ))
        .await;
    let schema = table.schema.clone();
    table.all(&format!("SELECT CONCAT_WS('|', {}) FROM {schema}.{name} ORDER BY 1", columns.join(", "))).await
}

async fn definition(table: &mut Table, name: &str) -> String {
    let (_, create): (String, String) = table.all(&format!("SHOW CREATE TABLE {name}")).await.remove(0);
    let body = create.split_once('\n').unwrap().1.to_owned();
    // The counter depends on how rows came in, and constraint names on the table's.
    body.lines()
        .filter(|l| !l.contains("CONSTRAINT"))
        .map(|l| l.split(" AUTO_INCREMENT=").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

async fn does_what_the_native_alter_does(case: Case) {
    let mut table = Table::create(case.create).await;
    table.run("CREATE TABLE native LIKE t").await;
    table.run(&format!("INSERT INTO t VALUES {}", case.rows)).await;
    table.run(&format!("INSERT INTO native VALUES {}", case.rows)).await;
    let before = rows(&mut table, "t").await;
    let old_definition = definition(&mut table, "t").await;
    table.run(&format!("ALTER TABLE native {}, ALGORITHM=COPY", case.alter)).await;

    let id = table.migrated(case.alter, &[]).await;
    assert_eq!(definition(&mut table, "t").await, definition(&mut table, "native").await, "{}", case.alter);
    assert_eq!(rows(&mut table, "t").await, rows(&mut table, "native").await, "{}", case.alter);

    table.asked("revert", id).await;
    assert_eq!(definition(&mut table, "t").await, old_definition, "{}", case.alter);
    assert_eq!(rows(&mut table, "t").await, before, "{} reverted", case.alter);

    table.asked("reapply", id).await;
    for write in case.writes {
        table.run(write).await;
        table.run(&write.replace(" t ", " native ")).await;
    }
    table.asked("revert", id).await;
    table.asked("reapply", id).await;
    assert_eq!(rows(&mut table, "t").await, rows(&mut table, "native").await, "{} after writes", case.alter);
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["native", "t"]);
}

#[tokio::test]
async fn columns_that_swap_their_names_keep_their_values() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, a int, b int",
        rows: "(1, 10, 20), (2, NULL, 21), (3, 12, NULL)",
        alter: "RENAME COLUMN a TO b, RENAME COLUMN b TO a",
        writes: &["UPDATE t SET a = 5 WHERE id = 1", "INSERT INTO t (id, a, b) VALUES (4, 1, 2)"],
    })
    .await;
}

#[tokio::test]
async fn a_column_that_is_changed_keeps_its_values_under_its_new_name() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, `od``d` varchar(10) NOT NULL, `select` int",
        rows: "(1, 'x', 1), (2, '', NULL), (3, 'é', 0)",
        alter: "CHANGE `od``d` `the new one` varchar(40) NULL, RENAME COLUMN `select` TO `from`",
        writes: &["UPDATE t SET `the new one` = 'longer' WHERE id = 1", "DELETE FROM t WHERE id = 2"],
    })
    .await;
}

#[tokio::test]
async fn a_column_dropped_and_added_under_its_name_is_a_new_one() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, a int",
        rows: "(1, 10), (2, 20)",
        alter: "DROP COLUMN a, ADD COLUMN a int NOT NULL DEFAULT 7",
        writes: &["UPDATE t SET a = 5 WHERE id = 1"],
    })
    .await;
}

#[tokio::test]
async fn a_not_null_column_without_default_is_filled_as_mysql_fills_it() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY",
        rows: "(1), (2)",
        alter: "ADD COLUMN n int NOT NULL, ADD COLUMN v varchar(9) NOT NULL, ADD COLUMN e enum('x','y') NOT NULL, \
                ADD COLUMN f double NOT NULL, ADD COLUMN b blob NOT NULL",
        writes: &["INSERT INTO t (id, n, v, e, f, b) VALUES (3, 1, 'v', 'y', 0.5, x'00')"],
    })
    .await;
}

#[tokio::test]
async fn a_key_may_be_widened_renamed_and_reordered() {
    does_what_the_native_alter_does(Case {
        create: "a int NOT NULL, b varchar(20) COLLATE utf8mb4_0900_ai_ci NOT NULL, n int, PRIMARY KEY (a, b)",
        rows: "(1, 'x', 1), (1, 'Ÿ', 2), (-5, '', 3)",
        alter: "CHANGE a aa bigint NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (b, aa)",
        writes: &[
            "UPDATE t SET n = 9 WHERE b = 'x'",
            "UPDATE t SET b = 'X' WHERE b = 'x'",
            "UPDATE t SET aa = 77 WHERE aa = -5",
            "DELETE FROM t WHERE b = 'Ÿ'",
        ],
    })
    .await;
}

#[tokio::test]
async fn the_key_may_get_another_collation_as_long_as_rows_stay_apart() {
    does_what_the_native_alter_does(Case {
        create: "k varchar(20) COLLATE utf8mb4_bin PRIMARY KEY, n int",
        rows: "('a', 1), ('B', 2), ('c', 3)",
        alter: "MODIFY k varchar(20) COLLATE utf8mb4_0900_ai_ci NOT NULL",
        writes: &["UPDATE t SET k = 'A' WHERE k = 'a'", "UPDATE t SET n = 5 WHERE k = 'b'"],
    })
    .await;
}

#[tokio::test]
async fn generated_columns_are_left_to_the_server() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, a int, s int AS (a + 1) STORED, v int AS (a + 2) VIRTUAL, KEY (v)",
        rows: "(1, 10, DEFAULT, DEFAULT)",
        alter: "ADD COLUMN w int AS (a * 2) STORED, MODIFY a bigint",
        writes: &["INSERT INTO t (id, a) VALUES (2, 5)", "UPDATE t SET a = 6 WHERE id = 1"],
    })
    .await;
}

#[tokio::test]
async fn times_floats_and_documents_go_through_the_stream_unchanged() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, ts timestamp(3) NULL, dt datetime(6), tm time(2), y year, f float, d double, \
                 j json, de decimal(20,6), m mediumint, bi bit(10), s set('a','b'), l varchar(9) CHARACTER SET latin1",
        rows: "(1, '2024-03-10 02:30:00.123', '0001-01-01', '-12:34:56.7', 0, 1.1, 1e-300, \
                '{\"a\": [1, 1.5, null, \"x\"]}', -0.000001, -70000, 5, 'b,a', 'é')",
        alter: "ADD COLUMN extra int",
        writes: &[
            "INSERT INTO t SELECT id + 1, ts, dt, tm, y, f, d, j, de, m, bi, s, l, extra FROM t WHERE id = 1",
            "UPDATE t SET m = -1, tm = '-00:00:00.5', y = 2155, f = -3.4e38, ts = '1970-01-01 00:00:01' WHERE id = 1",
        ],
    })
    .await;
}

#[tokio::test]
async fn a_table_may_have_any_name() {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    for name in ["s", "d", "_rsc1_s_new", "select from.x", "back`tick", "gone", "ü"] {
        let quoted = quote(name);
        conn.query_drop(format!("CREATE TABLE {schema}.{quoted} (id int PRIMARY KEY, a int)")).await.unwrap();
        conn.query_drop(format!("INSERT INTO {schema}.{quoted} VALUES (1, 1)")).await.unwrap();
        let arguments =
            ["--output", "json", "migrate", "--database", &schema, "--table", name, "--alter", "DROP a"];
        let ended = rsc(shared(), &arguments).run().await.well();
        let id = ended.last_line()["id"].to_string();
        conn.query_drop(format!("INSERT INTO {schema}.{quoted} VALUES (2)")).await.unwrap();
        rsc(shared(), &["revert", &id]).run().await.well();
        let rows: Vec<(i32, Option<i32>)> =
            conn.query(format!("SELECT * FROM {schema}.{quoted}")).await.unwrap();
        assert_eq!(rows, [(1, Some(1)), (2, None)], "{name}");
        rsc(shared(), &["complete", &id]).run().await.well();
    }
}
