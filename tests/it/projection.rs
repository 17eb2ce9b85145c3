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
async fn values_change_their_type_in_the_copy_and_in_the_stream() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, i int, f double, v varchar(20), e enum('a','b'), s set('x','y'), dt datetime, \
                 d date, l varchar(9) CHARACTER SET latin1, b varbinary(9), n decimal(10,2), t text, o float",
        rows: "(1, 10, 0.1, '12', 'b', 'y', '2024-02-29 12:00:00', '2024-02-29', 'é', 'ab', -1.50, 'x', 1.5), \
               (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
               (3, -5, 1e300, '-7', 'a', 'x,y', '1000-01-01 00:00:00', '9999-12-31', '', '', 0.01, '', -0.25)",
        alter: "MODIFY i varchar(20), MODIFY f varchar(30), MODIFY v int, MODIFY e enum('b','x','a'), \
                MODIFY s set('y','z','x'), MODIFY dt datetime(6), MODIFY d datetime, MODIFY l text, MODIFY b blob, \
                MODIFY n decimal(12,4), MODIFY t varchar(50), MODIFY o double",
        writes: &[
            "UPDATE t SET i = '77', e = 'b', s = 'x,y', n = 3.25 WHERE id = 1",
            "UPDATE t SET i = '-1', f = '2.5', v = 3, d = '2024-01-01' WHERE id = 2",
            "INSERT INTO t VALUES (4, '5', '0.5', 6, 'a', 'y', '2024-01-01', '2024-01-01', 'ü', 'z', 1, 'y', 2)",
        ],
    })
    .await;
}

#[tokio::test]
async fn the_character_set_of_a_table_is_converted() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, v varchar(20) CHARACTER SET latin1, t text CHARACTER SET latin1, \
                 c char(5) CHARACTER SET latin1, e enum('a','b') CHARACTER SET latin1",
        rows: "(1, 'é', 'ÿ€', 'ü', 'b'), (2, '', NULL, '', NULL)",
        alter: "CONVERT TO CHARACTER SET utf8mb4",
        writes: &["UPDATE t SET v = 'ö' WHERE id = 2"],
    })
    .await;
}

#[tokio::test]
async fn a_generated_column_becomes_one_that_is_written() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, a int, s int AS (a + 1) STORED",
        rows: "(1, 10, DEFAULT), (2, NULL, DEFAULT)",
        alter: "MODIFY s bigint",
        writes: &["INSERT INTO t VALUES (3, 5, 6)", "UPDATE t SET a = 6, s = 7 WHERE id = 1"],
    })
    .await;
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, a int, s int",
        rows: "(1, 10, 11), (2, NULL, NULL)",
        alter: "MODIFY s bigint AS (a + 1) STORED",
        writes: &["INSERT INTO t VALUES (3, 5, DEFAULT)", "UPDATE t SET a = 6 WHERE id = 1"],
    })
    .await;
}

#[tokio::test]
async fn null_becomes_possible_and_is_refused_by_the_row_where_it_is_not() {
    does_what_the_native_alter_does(Case {
        create: "id int PRIMARY KEY, a int NOT NULL, b int NULL",
        rows: "(1, 10, 1), (2, 20, 2)",
        alter: "MODIFY a int NULL, MODIFY b int NOT NULL",
        writes: &["INSERT INTO t VALUES (3, 7, 7)", "UPDATE t SET a = 5 WHERE id = 1"],
    })
    .await;
    let mut table = Table::create("id int PRIMARY KEY, a int").await;
    table.run("INSERT INTO t VALUES (1, 10), (2, NULL), (3, 30)").await;
    let ended = table.migrate("MODIFY a int NOT NULL", &[]).await;
    assert_eq!(ended.code, 3, "{ended:#?}");
    assert!(ended.stdout.contains("the row with the key (2) has NULL in column a"), "{ended:#?}");
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test]
async fn what_cannot_be_converted_exactly_is_refused_before_anything_is_made() {
    let mut table = Table::create("id int PRIMARY KEY, a time, b varchar(9), c timestamp").await;
    for (alter, sentence) in [
        ("MODIFY a datetime", "column a cannot be converted from time to datetime and back"),
        ("MODIFY b bit(8)", "column b cannot be converted from varchar(9) CHARACTER SET utf8mb4 to bit(8)"),
        (
            "MODIFY c bigint",
            "from timestamp to bigint and back as MySQL would: a TIMESTAMP is converted exactly only",
        ),
    ] {
        let ended = table.migrate(alter, &[]).await;
        assert_eq!(ended.code, 3, "{ended:#?}");
        assert!(ended.stdout.contains(sentence), "{ended:#?}");
        assert!(ended.stdout.contains("add a column of the new type"), "{ended:#?}");
    }
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test]
async fn another_key_becomes_the_primary_key_while_one_finds_each_row_on_both_sides() {
    does_what_the_native_alter_does(Case {
        create: "a int PRIMARY KEY, b varchar(9) NOT NULL, n int, UNIQUE KEY (b)",
        rows: "(1, 'x', 1), (2, 'y', 2), (3, 'z', 3)",
        alter: "DROP PRIMARY KEY, ADD PRIMARY KEY (b, a)",
        writes: &[
            "UPDATE t SET a = 3 WHERE b = 'x'",
            "UPDATE t SET b = 'w' WHERE b = 'y'",
            "INSERT INTO t VALUES (9, 'q', 9)",
            "DELETE FROM t WHERE b = 'z'",
        ],
    })
    .await;
}

#[tokio::test]
async fn a_key_whose_values_might_meet_is_not_the_one_that_finds_rows() {
    does_what_the_native_alter_does(Case {
        create: "k datetime(6) PRIMARY KEY, b int NOT NULL, UNIQUE KEY (b)",
        rows: "('2024-01-01', 1), ('2024-01-02', 2)",
        alter: "MODIFY k datetime NOT NULL",
        writes: &["UPDATE t SET k = '2025-01-01' WHERE b = 1", "UPDATE t SET b = 9 WHERE b = 2"],
    })
    .await;
}

#[tokio::test]
async fn a_key_may_get_a_type_that_keeps_its_values_apart() {
    for (create, rows, alter, writes) in [
        (
            "id int AUTO_INCREMENT PRIMARY KEY, n int",
            "(1, 1), (2, 2), (-5, 3)",
            "MODIFY id bigint NOT NULL AUTO_INCREMENT",
            &["INSERT INTO t (n) VALUES (7)", "UPDATE t SET id = -6 WHERE id = -5"] as &[&str],
        ),
        (
            "k varchar(5) CHARACTER SET latin1 PRIMARY KEY, n int",
            "('é', 1), ('b', 2)",
            "MODIFY k varchar(50) CHARACTER SET utf8mb4 NOT NULL",
            &["UPDATE t SET k = 'ü' WHERE k = 'é'", "DELETE FROM t WHERE k = 'b'"],
        ),
        (
            "k char(5) COLLATE utf8mb4_bin PRIMARY KEY, n int",
            "('a', 1), ('b', 2)",
            "MODIFY k varchar(9) COLLATE utf8mb4_bin NOT NULL",
            &[
                "UPDATE t SET n = 5 WHERE k = 'a'",
                "INSERT INTO t VALUES ('c ', 3)",
                "UPDATE t SET n = 6 WHERE k = 'c'",
            ],
        ),
        (
            "k decimal(5,0) PRIMARY KEY, n int",
            "(7, 1), (-8, 2)",
            "MODIFY k int NOT NULL",
            &["UPDATE t SET k = 9 WHERE k = 7", "UPDATE t SET n = 5 WHERE k = -8"],
        ),
        (
            "k enum('a','b') PRIMARY KEY, n int",
            "('a', 1), ('b', 2)",
            "MODIFY k enum('c','b','a') NOT NULL",
            &["UPDATE t SET n = 5 WHERE k = 'a'", "DELETE FROM t WHERE k = 'b'"],
        ),
    ] {
        does_what_the_native_alter_does(Case { create, rows, alter, writes }).await;
    }
}

#[tokio::test]
async fn values_that_a_conversion_makes_equal_are_duplicates() {
    for (create, rows, alter) in [
        (
            "id int PRIMARY KEY, u decimal(10,4), UNIQUE KEY (u)",
            "(1, 1.001), (2, 1.002)",
            "MODIFY u decimal(10,2)",
        ),
        (
            "id int PRIMARY KEY, u datetime(3), UNIQUE KEY (u)",
            "(1, '2024-01-01 00:00:00.1'), (2, '2024-01-01')",
            "MODIFY u datetime",
        ),
        ("id int PRIMARY KEY, u varchar(9), UNIQUE KEY (u)", "(1, '1'), (2, '01')", "MODIFY u int"),
    ] {
        let mut table = Table::create(create).await;
        table.run(&format!("INSERT INTO t VALUES {rows}")).await;
        let ended = table.migrate(alter, &[]).await;
        assert_eq!(ended.code, 4, "{ended:#?}");
        let both =
            ["the same value for the unique key u of the new schema: (1) with u = ", "and (2) with u = "];
        assert!(both.iter().all(|words| ended.stdout.contains(words)), "{ended:#?}");
        assert_eq!(table.tables().await, ["t"]);
    }
}

#[tokio::test]
async fn a_key_that_does_not_find_each_row_on_both_sides_is_refused() {
    for (create, alter, sentence) in [
        ("k double PRIMARY KEY, n int", "MODIFY n bigint", "no key that identifies a row"),
        ("k datetime(6) PRIMARY KEY", "MODIFY k datetime NOT NULL", "do not keep the same keys apart"),
        ("k timestamp PRIMARY KEY", "MODIFY k datetime NOT NULL", "do not keep the same keys apart"),
        ("k varchar(9) PRIMARY KEY", "MODIFY k char(9) NOT NULL", "do not keep the same keys apart"),
        (
            "k int PRIMARY KEY, n int NOT NULL",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (n)",
            "over the same columns before and after",
        ),
        ("k int PRIMARY KEY, n int", "MODIFY k varchar(20) NOT NULL", "do not keep the same keys apart"),
    ] {
        let table = Table::create(create).await;
        let ended = table.migrate(alter, &[]).await;
        assert_eq!(ended.code, 3, "{ended:#?}");
        assert!(ended.stdout.contains(sentence), "{ended:#?}");
    }
}

#[tokio::test]
async fn columns_and_keys_may_have_any_name() {
    let long = "n".repeat(64);
    let names = [
        "select", "a b", "it's", "`", "``", "a.b", "😀", "é\\", "\"", "%", "--", "d", "k0", "f0", "c0",
        "_rsc_s", &long,
    ];
    // The server takes no character beyond the Basic Multilingual Plane in a name.
    let names: Vec<&str> = names.into_iter().filter(|name| *name != "😀").collect();
    let columns: Vec<String> = names.iter().map(|name| format!(", {} int", quote(name))).collect();
    let keys: Vec<String> = names.iter().map(|name| format!(", KEY {n} ({n})", n = quote(name))).collect();
    let create = format!("`i``d` int{}{}, PRIMARY KEY (`i``d`, `select`)", columns.concat(), keys.concat());
    let clauses: Vec<String> = names
        .iter()
        .map(|name| {
            format!("MODIFY {} bigint{}", quote(name), if *name == "select" { " NOT NULL" } else { "" })
        })
        .collect();
    let values = (0..=names.len()).map(|i| i.to_string()).collect::<Vec<_>>().join(", ");
    does_what_the_native_alter_does(Case {
        create: create.leak(),
        rows: format!("({values})").leak(),
        alter: clauses.join(", ").leak(),
        writes: &["UPDATE t SET `it's` = 99, `select` = 5", "UPDATE t SET `a.b` = 7, `_rsc_s` = 3"],
    })
    .await;
}

#[tokio::test]
async fn a_table_may_have_all_but_one_of_the_columns_that_the_server_takes() {
    let columns: Vec<String> = (1..1016).map(|i| format!(", c{i} tinyint")).collect();
    let values: Vec<String> = (0..1016).map(|i| (i % 100).to_string()).collect();
    does_what_the_native_alter_does(Case {
        create: format!("id int PRIMARY KEY{}", columns.concat()).leak(),
        rows: format!("({})", values.join(", ")).leak(),
        alter: "MODIFY c7 smallint, MODIFY c1015 int",
        writes: &["UPDATE t SET c1 = 5, c1015 = 70000", "UPDATE t SET id = 8, c1015 = 1"],
    })
    .await;
}

#[tokio::test]
async fn a_table_may_have_any_name() {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    for name in
        ["s", "d", "_rsc1_s_new", "select from.x", "back`tick", "gone", "ü", "it's \"x\"", &"n".repeat(64)]
    {
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

#[tokio::test]
async fn a_table_whose_name_leaves_no_room_for_those_of_its_checks_is_refused() {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    for (length, code) in [(58, 0), (59, 3), (64, 3)] {
        let name = "n".repeat(length);
        let create = format!(
            "CREATE TABLE {schema}.{name} (id int PRIMARY KEY, a int, CONSTRAINT c{length} CHECK (a < 10))"
        );
        conn.query_drop(create).await.unwrap();
        let words =
            ["--output", "json", "migrate", "--database", &schema, "--table", &name, "--alter", "ADD b int"];
        let ended = rsc(shared(), &words).run().await;
        assert_eq!(ended.code, code, "{length}: {ended:#?}");
        match code {
            0 => {
                let id = ended.last_line()["id"].to_string();
                for verb in ["revert", "reapply", "complete"] {
                    rsc(shared(), &[verb, &id]).run().await.well();
                }
            }
            _ => assert!(ended.stdout.contains("_chk_1"), "{ended:#?}"),
        }
    }
}

#[tokio::test]
async fn a_check_under_the_name_of_one_that_is_dropped_is_refused_with_what_to_do() {
    let table = Table::create("id int PRIMARY KEY, a int, CONSTRAINT small CHECK (a < 10)").await;
    let ended = table.migrate("DROP CHECK small, ADD CONSTRAINT small CHECK (a < 20)", &[]).await;
    assert_eq!(ended.code, 3, "{ended:#?}");
    assert!(ended.stdout.contains("give the new CHECK constraint a name"), "{ended:#?}");
}

#[tokio::test]
async fn the_names_that_check_constraints_get_are_said_before() {
    let mut table = Table::create(
        "id int PRIMARY KEY, a int, CONSTRAINT small CHECK (a < 5), CONSTRAINT big CHECK (a > -5), CHECK (a <> 3)",
    )
    .await;
    let migrated = table.migrate("DROP CHECK big, ADD COLUMN b int, ADD CHECK (b > 0)", &[]).await.well();
    let (_, create): (String, String) = table.conn.query_first("SHOW CREATE TABLE t").await.unwrap().unwrap();
    assert!(migrated.stdout.contains("small becomes t_chk_2"), "{migrated:#?}");
    assert!(!migrated.stdout.contains("big becomes"), "{migrated:#?}");
    assert!(create.contains("`t_chk_2` CHECK ((`a` < 5))"), "{create}");
}
