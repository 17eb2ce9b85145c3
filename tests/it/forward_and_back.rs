//! A change goes forward and back under writers, and every row is what its writer was told.
//!
//! Each row has a column `born` that is made when it is inserted and never written again, so a row can be told
//! from another that takes its key later. Titles are given once, before the change drops the column: whichever
//! way a row goes through keys and tables, it must come back with its own.

use std::collections::HashSet;
use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rsc::schema::table::TableName;
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::shared;
use crate::support::writers::{Column, Models, Plan, Shape, Writers, compare};

const BORN: &str = "born varchar(40) NOT NULL DEFAULT (uuid())";
const TITLE: &str = "title varchar(60) NOT NULL DEFAULT 'none'";

struct Case {
    conn: Conn,
    table: TableName,
    writers: Writers,
    titled: HashSet<String>,
}

impl Case {
    /// A table that writers work on, whose rows have titles of their own.
    async fn start(shape: Shape, rows_per_writer: usize, seed: u64) -> Self {
        let table = TableName::new(shared().fresh_database().await, "people");
        let payload = vec![Column::int("n"), Column::varchar("note", 40), Column::int("m").not_null()];
        let mut plan = Plan::new(table.clone(), shape, payload);
        plan.rows_per_writer = rows_per_writer;
        plan.seed = seed;
        // Enough that every window has some. Writers at full speed would only take the machine from the tests beside this one.
        plan.statements_per_s = Some(150.0);
        let mut conn = shared().conn().await.unwrap();
        conn.query_drop(plan.create_table(&[BORN, TITLE, "KEY by_note (note)"])).await.unwrap();
        let mut writers = Writers::start(shared().opts(), plan).await.unwrap();
        writers.pause().await;
        conn.query_drop(format!("UPDATE {table} SET title = CONCAT('T-', born)")).await.unwrap();
        let titled: Vec<String> = conn.query(format!("SELECT born FROM {table}")).await.unwrap();
        writers.resume();
        Self { conn, table, writers, titled: titled.into_iter().collect() }
    }

    async fn migrate(&self, clauses: &str, more: &[&str]) -> u64 {
        let arguments = ["--output", "json", "migrate", "--database", &self.table.schema];
        let options = ["--table", &self.table.table, "--alter", clauses, "--batch-time", "5ms"];
        let ended = rsc(shared(), &[&arguments[..], &options[..], more].concat()).run().await.well();
        ended.last_line()["id"].as_u64().unwrap()
    }

    async fn ask(&self, verb: &str, id: u64) {
        rsc(shared(), &[verb, &id.to_string()]).run().await.well();
    }

    async fn let_write(&self) {
        sleep(Duration::from_millis(300)).await;
    }

    /// Every row is as its writer was told, column by column.
    async fn assert_rows(&mut self, when: &str) -> Models {
        let models = self.writers.pause().await;
        let errors = self.writers.errors();
        assert!(errors.is_empty(), "{when}: clients saw errors: {errors:#?}");
        let differences = compare(&models, &mut self.conn, &self.table).await.unwrap();
        assert!(
            differences.is_empty(),
            "{when}: {} differences\n{}",
            differences.len(),
            differences.join("\n")
        );
        models
    }

    /// Every row that had a title has it again, wherever it has moved; every other has the default.
    async fn assert_titles(&mut self, when: &str) {
        let rows: Vec<(String, String)> =
            self.conn.query(format!("SELECT born, title FROM {}", self.table)).await.unwrap();
        let mut kept = 0;
        for (born, title) in rows {
            let expected = match self.titled.contains(&born) {
                true => format!("T-{born}"),
                false => "none".into(),
            };
            kept += usize::from(self.titled.contains(&born));
            assert_eq!(title, expected, "{when}: the title of the row born as {born}");
        }
        assert!(kept > 20, "{when}: only {kept} of the first rows are left, which proves little");
    }

    async fn tables(&mut self) -> Vec<String> {
        self.conn.query(format!("SHOW TABLES IN {}", self.table.schema)).await.unwrap()
    }
}

/// `RSC_SEED` gives the writers other dice.
async fn goes_forward_and_back(shape: Shape, seed: u64) {
    let seed = seed + std::env::var("RSC_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0) * 1_000;
    println!("seed {seed}");
    let mut case = Case::start(shape, 600, seed).await;
    let id = case
        .migrate("DROP COLUMN title, ADD COLUMN extra int NOT NULL DEFAULT 7", &["--agent", "none"])
        .await;
    for turn in 1..=2 {
        case.let_write().await;
        case.assert_rows(&format!("{shape:?}, applied {turn}")).await;
        case.writers.resume();
        case.let_write().await;
        case.ask("revert", id).await;
        case.let_write().await;
        case.assert_rows(&format!("{shape:?}, reverted {turn}")).await;
        case.assert_titles(&format!("{shape:?}, reverted {turn}")).await;
        case.writers.resume();
        if turn == 1 {
            case.let_write().await;
            case.ask("reapply", id).await;
        }
    }
    case.ask("complete", id).await;
    case.assert_rows(&format!("{shape:?}, completed")).await;
    assert_eq!(case.tables().await, ["people"], "nothing is left behind");
    let finished = case.writers.finish().await;
    assert!(finished.tally.committed > 100, "{:?}", finished.tally);
}

/// The stream is alive all the time: windows are what happens to come, and swaps are asked for from outside.
#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_while_one_process_stays_and_others_ask_it() {
    let mut case = Case::start(Shape::Text, 800, 21).await;
    let database = case.table.schema.clone();
    let arguments = ["--output", "json", "migrate", "--database", &database, "--table", "people"];
    let options = ["--alter", "DROP COLUMN title", "--batch-time", "5ms", "--agent", "stay"];
    let mut staying = rsc(shared(), &[&arguments[..], &options[..]].concat()).start();
    staying.says("\"revertible\"").await;
    let started: serde_json::Value = serde_json::from_str(staying.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].as_u64().unwrap();
    for turn in 1..=3 {
        case.let_write().await;
        case.ask("revert", id).await;
        case.let_write().await;
        case.assert_rows(&format!("reverted {turn}")).await;
        case.assert_titles(&format!("reverted {turn}")).await;
        case.writers.resume();
        case.let_write().await;
        case.ask("reapply", id).await;
        case.let_write().await;
        case.assert_rows(&format!("reapplied {turn}")).await;
        case.writers.resume();
    }
    case.ask("complete", id).await;
    staying.ended().await.well();
    case.assert_rows("completed").await;
    assert_eq!(case.tables().await, ["people"], "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_forward_and_back_with_an_auto_increment_key() {
    goes_forward_and_back(Shape::AutoIncrement, 11).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_forward_and_back_with_a_composite_key() {
    goes_forward_and_back(Shape::Composite, 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_forward_and_back_with_a_case_insensitive_text_key() {
    goes_forward_and_back(Shape::Text, 13).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_forward_and_back_with_a_binary_key() {
    goes_forward_and_back(Shape::Binary, 14).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_row_is_lost_forward_and_back_with_negative_and_zero_ids() {
    goes_forward_and_back(Shape::Signed, 15).await;
}
