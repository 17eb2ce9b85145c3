//! What the binary log says about a row is enough to store the same row again, byte for byte.

mod capture;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rsc::mysql::binlog::{ColumnPlan, Fields, PlanMismatch, RowError, literal_select_expr};
use rsc::schema::table::{Column, quote};

use crate::support::shared;
use capture::{Change, Logged, columns, position, rows_events};

/// As the session that applies rows is set up.
const APPLYING: &str = "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', NAMES utf8mb4";

/// A schema with `src`, full of awkward values, and an empty `dst` like it. Returns a session in it, its name,
/// and the position in the log before the first row.
async fn all_types() -> (Conn, String, String) {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    let start = position(&mut conn).await;
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    conn.query_drop(include_str!("data/all_types.sql")).await.unwrap();
    conn.query_drop(include_str!("data/more_values.sql")).await.unwrap();
    conn.query_drop("CREATE TABLE dst LIKE src").await.unwrap();
    (conn, schema, start)
}

fn changes(events: &[Logged], columns: &[Column]) -> (ColumnPlan, Vec<Change>) {
    let plan = ColumnPlan::new(&events[0].map, columns).unwrap();
    let changes = events
        .iter()
        .flat_map(|logged| plan.rows(&logged.rows).unwrap().map(|change| Change::from(change.unwrap())))
        .collect();
    (plan, changes)
}

/// One statement that does to `dst` what was done to `src`.
fn statement(plan: &ColumnPlan, columns: &[Column], change: &Change) -> String {
    let literal = |column: usize, fields: &Fields<'_>| {
        let mut out = String::new();
        plan.write_literal(column, fields[column], &mut out).unwrap();
        out
    };
    let written = || columns.iter().enumerate().filter(|(_, column)| !column.generated);
    match change {
        Change::Insert(image) => {
            let fields = plan.fields(image).unwrap();
            let names: Vec<_> = written().map(|(_, column)| quote(&column.name)).collect();
            let values: Vec<_> = written().map(|(index, _)| literal(index, &fields)).collect();
            format!("INSERT INTO dst ({}) VALUES ({})", names.join(","), values.join(","))
        }
        Change::Update { before, after } => {
            let (before, after) = (plan.fields(before).unwrap(), plan.fields(after).unwrap());
            let set: Vec<_> = written()
                .map(|(index, column)| format!("{}={}", quote(&column.name), literal(index, &after)))
                .collect();
            format!("UPDATE dst SET {} WHERE id={}", set.join(","), literal(0, &before))
        }
        Change::Delete(image) => {
            format!("DELETE FROM dst WHERE id={}", literal(0, &plan.fields(image).unwrap()))
        }
    }
}

fn images(change: &Change) -> Vec<&[u8]> {
    match change {
        Change::Insert(image) | Change::Delete(image) => vec![image],
        Change::Update { before, after } => vec![before, after],
    }
}

/// Cells of one column: how many, and the ids of the rows where they differ.
#[derive(Default)]
struct Tally {
    cells: usize,
    different: Vec<String>,
}

fn compare(plan: &ColumnPlan, src: &Change, dst: &Change, tallies: &mut [Tally]) {
    assert_eq!(std::mem::discriminant(src), std::mem::discriminant(dst));
    for (src, dst) in images(src).into_iter().zip(images(dst)) {
        let (src, dst) = (plan.fields(src).unwrap(), plan.fields(dst).unwrap());
        let mut id = String::new();
        plan.write_literal(0, src[0], &mut id).unwrap();
        for ((tally, src), dst) in tallies.iter_mut().zip(&src).zip(&dst) {
            tally.cells += 1;
            if src != dst {
                tally.different.push(id.clone());
            }
        }
    }
}

/// Prints each type with yes or no; returns the number of cells and what differs.
fn report(columns: &[Column], tallies: &[Tally]) -> (usize, Vec<String>) {
    let mut different = Vec::new();
    for (column, tally) in columns.iter().zip(tallies) {
        let equal = if tally.different.is_empty() { "yes" } else { "no" };
        let charset = column.charset.as_deref().unwrap_or("");
        let column_type: String = column.column_type.chars().take(40).collect();
        println!("{equal:4} {:5} cells  {:10} {column_type} {charset}", tally.cells, column.name);
        different.extend(tally.different.iter().map(|id| format!("{} of row {id}", column.name)));
    }
    (tallies.iter().map(|tally| tally.cells).sum(), different)
}

#[tokio::test]
async fn every_value_of_every_type_survives_the_way_through_the_binary_log() {
    let (mut conn, schema, start) = all_types().await;
    conn.query_drop(
        "UPDATE src SET i24=-1, tm1='-00:00:00.3', y=0, c_l1='ü', f=-0e0, j=JSON_SET(COALESCE(j,'{}'),'$.x',-1) WHERE id=1;
         UPDATE src SET id=id+10000000, ts3='2020-02-29 12:00:00.25' WHERE id BETWEEN 600 AND 602;
         UPDATE src SET i8=3 WHERE id >= 2000;
         DELETE FROM src WHERE id IN (100, 503) OR id BETWEEN 2050 AND 2060",
    )
    .await
    .unwrap();
    let columns = columns(&mut conn, &schema, "src").await;
    let (plan, sources) = changes(&rows_events(&start, &schema, "src").await, &columns);

    let start = position(&mut conn).await;
    conn.query_drop(APPLYING).await.unwrap();
    for change in &sources {
        let statement = statement(&plan, &columns, change);
        if let Err(error) = conn.query_drop(&statement).await {
            panic!("{error}\n{}", &statement[..statement.len().min(4000)]);
        }
    }
    let (dst_plan, copies) = changes(&rows_events(&start, &schema, "dst").await, &columns);
    assert_eq!(copies.len(), sources.len());
    let mut tallies: Vec<Tally> = columns.iter().map(|_| Tally::default()).collect();
    for (src, dst) in sources.iter().zip(&copies) {
        compare(&dst_plan, src, dst, &mut tallies);
    }
    let (cells, different) = report(&columns, &tallies);
    println!("{} of {cells} cells are equal", cells - different.len());
    assert_eq!(different, Vec::<String>::new());
    assert_same_on_the_server(&mut conn, &columns, "dst").await;
}

/// The server finds no difference either, in any row.
async fn assert_same_on_the_server(conn: &mut Conn, columns: &[Column], table: &str) {
    for column in columns {
        let name = quote(&column.name);
        let shown = |table: &str| match column.data_type.as_str() {
            "json" => format!("CONCAT(JSON_TYPE({table}.{name}), CAST({table}.{name} AS CHAR))"),
            "int" | "bigint" | "decimal" | "float" | "double" => format!("CAST({table}.{name} AS CHAR)"),
            _ => format!("HEX({table}.{name})"),
        };
        let (src, dst) = (shown("s"), shown("d"));
        let question = format!(
            "SELECT COUNT(*), COALESCE(SUM(NOT {src} <=> {dst}), 0), (SELECT COUNT(*) FROM {table}) \
             FROM src s JOIN {table} d USING (id)"
        );
        let (rows, different, all): (u64, u64, u64) = conn.query_first(question).await.unwrap().unwrap();
        assert!(rows > 0 && rows == all, "{rows} of {all} rows");
        assert_eq!(different, 0, "{} differs in {table}", column.name);
    }
}

#[tokio::test]
async fn a_date_that_no_calendar_has_survives_where_the_session_allows_it() {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    let start = position(&mut conn).await;
    conn.query_drop(format!(
        "USE {schema}; CREATE TABLE src (id INT PRIMARY KEY, d DATE, t DATETIME(2), j JSON);
         CREATE TABLE dst LIKE src; {APPLYING}, sql_mode = CONCAT(@@sql_mode, ',ALLOW_INVALID_DATES');
         INSERT INTO src VALUES (1, '2024-02-31', '2023-02-29 01:02:03.45', JSON_ARRAY(CAST('2024-04-31' AS DATE)))"
    ))
    .await
    .unwrap();
    let columns = columns(&mut conn, &schema, "src").await;
    let (plan, sources) = changes(&rows_events(&start, &schema, "src").await, &columns);
    let start = position(&mut conn).await;
    conn.query_drop(statement(&plan, &columns, &sources[0])).await.unwrap();
    let (_, copies) = changes(&rows_events(&start, &schema, "dst").await, &columns);
    assert_eq!(images(&copies[0]), images(&sources[0]));
}

#[tokio::test]
async fn literals_that_the_server_makes_of_key_columns_store_the_same_values() {
    let (mut conn, schema, _) = all_types().await;
    let columns = columns(&mut conn, &schema, "src").await;
    let keys: Vec<&Column> = columns
        .iter()
        .filter(|column| !column.generated && literal_select_expr(column, "c").is_some())
        .collect();
    assert!(keys.len() > 60, "only {} columns", keys.len());
    conn.query_drop(APPLYING).await.unwrap();
    let names: Vec<_> = keys.iter().map(|column| quote(&column.name)).collect();
    let literals: Vec<_> = keys
        .iter()
        .map(|column| literal_select_expr(column, &format!("`src`.{}", quote(&column.name))).unwrap())
        .map(|literal| format!("COALESCE({literal}, 'NULL')"))
        .collect();
    let question = format!("SELECT CONCAT_WS(',', {}) FROM src", literals.join(","));
    let rows: Vec<Vec<u8>> = conn.query(question).await.unwrap();
    for row in rows {
        let row = String::from_utf8(row).unwrap();
        conn.query_drop(format!("INSERT INTO dst ({}) VALUES ({row})", names.join(","))).await.unwrap();
    }
    let keys: Vec<Column> = keys.into_iter().cloned().collect();
    assert_same_on_the_server(&mut conn, &keys, "dst").await;
}

#[tokio::test]
async fn a_row_of_which_the_log_has_only_a_part_is_refused() {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!(
        "USE {schema}; CREATE TABLE t (id INT PRIMARY KEY, a INT, j JSON, b BLOB);
         INSERT INTO t VALUES (1, 1, '{{\"a\": \"0123456789\", \"b\": 2}}', 'x')"
    ))
    .await
    .unwrap();
    let columns = columns(&mut conn, &schema, "t").await;
    for (session, statement, error) in [
        ("binlog_row_image = MINIMAL", "UPDATE t SET a = a + 1", RowError::PartialImage),
        ("binlog_row_image = MINIMAL", "INSERT INTO t (id) VALUES (2)", RowError::PartialImage),
        ("binlog_row_image = MINIMAL", "DELETE FROM t WHERE id = 2", RowError::PartialImage),
        ("binlog_row_image = NOBLOB", "UPDATE t SET a = a + 1", RowError::PartialImage),
        (
            "binlog_row_image = FULL, binlog_row_value_options = PARTIAL_JSON",
            "UPDATE t SET j = JSON_REPLACE(j, '$.b', 3)",
            RowError::PartialJson,
        ),
    ] {
        let start = position(&mut conn).await;
        conn.query_drop(format!("SET {session}; {statement}")).await.unwrap();
        let events = rows_events(&start, &schema, "t").await;
        let plan = ColumnPlan::new(&events[0].map, &columns).unwrap();
        assert_eq!(plan.rows(&events[0].rows).unwrap_err(), error, "{session}: {statement}");
    }
}

#[tokio::test]
async fn a_table_that_somebody_altered_does_not_fit_its_plan() {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    let create = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20) CHARACTER SET utf8mb4, \
                  e ENUM('it''s','x\\\\','b,c'), d DECIMAL(10,2), s SET('a','b'), t DATETIME(3))";
    for (alter, expected) in [
        ("MODIFY a VARCHAR(21) CHARACTER SET utf8mb4", Some("a")),
        ("MODIFY a VARCHAR(20) CHARACTER SET latin1", Some("a")),
        ("MODIFY a CHAR(20) CHARACTER SET utf8mb4", Some("a")),
        ("MODIFY id MEDIUMINT", Some("id")),
        ("MODIFY d DECIMAL(10,3)", Some("d")),
        ("MODIFY t DATETIME(4)", Some("t")),
        ("MODIFY t TIMESTAMP(3) NULL", Some("t")),
        ("MODIFY s SET('a','b','c','d','e','f','g','h','i')", Some("s")),
        ("DROP a", None),
        ("ADD z INT", None),
    ] {
        let start = position(&mut conn).await;
        conn.query_drop(format!("USE {schema}; DROP TABLE IF EXISTS t; {create}")).await.unwrap();
        let columns = columns(&mut conn, &schema, "t").await;
        conn.query_drop("INSERT INTO t (id) VALUES (1)").await.unwrap();
        conn.query_drop(format!("ALTER TABLE t {alter}; INSERT INTO t (id) VALUES (2)")).await.unwrap();
        let events = rows_events(&start, &schema, "t").await;
        assert!(ColumnPlan::new(&events[0].map, &columns).is_ok());
        let mismatch = ColumnPlan::new(&events[1].map, &columns).unwrap_err();
        match &mismatch {
            PlanMismatch::Column { column, .. } => assert_eq!(Some(column.as_str()), expected, "{mismatch}"),
            PlanMismatch::ColumnCount { .. } => assert_eq!(None, expected),
            other => panic!("{alter}: {other}"),
        }
    }
}
