//! The writers tell the truth about the table, and see where it lies.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use rsc::schema::table::TableName;
use tokio::time::sleep;

use crate::support::shared;
use crate::support::writers::{Column, Plan, Shape, Writers, compare};

async fn plan(shape: Shape) -> Plan {
    let table = TableName::new(shared().fresh_database().await, "written");
    let payload = vec![Column::int("n"), Column::varchar("note", 40), Column::int("m").not_null()];
    let plan = Plan::new(table, shape, payload);
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(plan.create_table(&["title varchar(20) NOT NULL DEFAULT 'x'"])).await.unwrap();
    plan
}

#[tokio::test]
async fn writers_and_table_agree_without_any_schema_change() {
    for shape in Shape::ALL {
        let plan = plan(shape).await;
        let table = plan.table.clone();
        let mut conn = shared().conn().await.unwrap();
        let mut writers = Writers::start(shared().opts(), plan).await.unwrap();
        sleep(Duration::from_millis(400)).await;
        let paused = writers.pause().await;
        assert_eq!(
            compare(&paused, &mut conn, &table).await.unwrap(),
            Vec::<String>::new(),
            "{shape:?}, paused"
        );
        writers.resume();
        sleep(Duration::from_millis(400)).await;
        let finished = writers.finish().await;
        println!("{shape:?}: {} rows, {:?}", finished.models.rows(), finished.tally);
        assert!(finished.errors.is_empty(), "{shape:?}: {:#?}", finished.errors);
        assert!(
            finished.tally.committed > 50 && finished.tally.rolled_back > 5,
            "{shape:?}: {:?}",
            finished.tally
        );
        assert_eq!(
            compare(&finished.models, &mut conn, &table).await.unwrap(),
            Vec::<String>::new(),
            "{shape:?}"
        );
    }
}

#[tokio::test]
async fn nothing_is_written_during_a_pause() {
    let plan = plan(Shape::Signed).await;
    let table = plan.table.clone();
    let mut conn = shared().conn().await.unwrap();
    let mut writers = Writers::start(shared().opts(), plan).await.unwrap();
    writers.pause().await;
    let statements = writers.tally().statements;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(writers.tally().statements, statements);
    writers.resume();
    sleep(Duration::from_millis(200)).await;
    assert!(writers.tally().statements > statements);
    let finished = writers.finish().await;
    assert_eq!(compare(&finished.models, &mut conn, &table).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn writers_keep_to_their_pace() {
    let plan = Plan { writers: 2, statements_per_s: Some(100.0), ..plan(Shape::AutoIncrement).await };
    let writers = Writers::start(shared().opts(), plan).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let tally = writers.finish().await.tally;
    // START TRANSACTION and COMMIT come on top of the 200.
    assert!((100..400).contains(&tally.statements), "{tally:?}");
}

#[tokio::test]
async fn every_difference_is_named() {
    let plan = Plan { writers: 1, rows_per_writer: 10, ..plan(Shape::Signed).await };
    let table = plan.table.clone();
    let mut conn = shared().conn().await.unwrap();
    let models = Writers::start(shared().opts(), plan).await.unwrap().finish().await.models;
    let ids: Vec<i64> = conn.query(format!("SELECT id FROM {table} ORDER BY id LIMIT 2")).await.unwrap();
    let (gone, changed) = (ids[0], ids[1]);
    for statement in [
        format!("DELETE FROM {table} WHERE id = {gone}"),
        format!("UPDATE {table} SET n = 7, note = 'it''s new', m = 1 WHERE id = {changed}"),
        format!("UPDATE {table} SET m = 2 WHERE id = {changed}"),
        format!("INSERT INTO {table} (id, owner, n, note, m) VALUES (1000, 0, NULL, 'more', 3)"),
        format!("INSERT INTO {table} (id, owner, n, note, m) VALUES (1001, -1, NULL, 'of nobody', 3)"),
    ] {
        conn.query_drop(statement).await.unwrap();
    }
    let differences = compare(&models, &mut conn, &table).await.unwrap();
    let has = |text: String| differences.iter().any(|difference| difference.starts_with(&text));
    assert!(has(format!("missing: id=\"{gone}\" (owner=\"0\", n=")), "{differences:#?}");
    assert!(has(format!("different: id=\"{changed}\": n is \"7\", should be ")), "{differences:#?}");
    assert!(
        has(format!("different: id=\"{changed}\": note is \"it's new\", should be ")),
        "{differences:#?}"
    );
    assert!(has(format!("different: id=\"{changed}\": m is \"2\", should be ")), "{differences:#?}");
    assert!(
        has("extra: id=\"1000\" (owner=\"0\", n=NULL, note=\"more\", m=\"3\")".to_owned()),
        "{differences:#?}"
    );
    assert_eq!(differences.len(), 5, "{differences:#?}");
}

#[tokio::test]
async fn a_client_error_is_recorded() {
    let plan = plan(Shape::Text).await;
    let table = plan.table.clone();
    let mut conn = shared().conn().await.unwrap();
    let writers = Writers::start(shared().opts(), plan).await.unwrap();
    conn.query_drop(format!("ALTER TABLE {table} DROP COLUMN note")).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    let finished = writers.finish().await;
    let errors = finished.errors;
    assert!(errors.iter().any(|e| e.text.contains("Unknown column 'note'")), "{errors:#?}");
}

#[tokio::test]
async fn a_row_lost_under_a_writer_is_noticed() {
    let plan = plan(Shape::Binary).await;
    let table = plan.table.clone();
    let mut conn = shared().conn().await.unwrap();
    let mut writers = Writers::start(shared().opts(), plan).await.unwrap();
    writers.pause().await;
    conn.query_drop(format!("DELETE FROM {table}")).await.unwrap();
    writers.resume();
    sleep(Duration::from_millis(300)).await;
    let errors = writers.finish().await.errors;
    assert!(errors.iter().any(|e| e.text == "it found 0 rows instead of one"), "{errors:#?}");
}

#[tokio::test]
async fn writers_bear_a_column_that_comes_and_goes() {
    let plan = plan(Shape::Composite).await;
    let table = plan.table.clone();
    let mut conn = shared().conn().await.unwrap();
    let writers = Writers::start(shared().opts(), plan).await.unwrap();
    for change in ["DROP COLUMN title", "ADD COLUMN title int FIRST", "ADD KEY (note), ALGORITHM=COPY"] {
        conn.query_drop(format!("ALTER TABLE {table} {change}")).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let finished = writers.finish().await;
    assert!(finished.errors.is_empty(), "{:#?}", finished.errors);
    assert_eq!(compare(&finished.models, &mut conn, &table).await.unwrap(), Vec::<String>::new());
}
