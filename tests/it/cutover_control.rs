//! When the tables are swapped, and what a swap that cannot be made does to the application.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Running, rsc};
use crate::support::shared;
use crate::support::table::Table;
use crate::support::writers::{Column, Plan, Shape, Writers, compare};

async fn table() -> Table {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    table.fill("id, title", "i, i", 1_000).await;
    table
}

fn begin(table: &Table, more: &[&str]) -> Running {
    let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    rsc(shared(), &[&arguments[..], &["--alter", "DROP COLUMN title"], more].concat()).start()
}

fn id(running: &Running) -> u64 {
    let started: Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    started["id"].as_u64().unwrap()
}

/// An hour that is not now, by the clock of UTC.
fn later() -> String {
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600 % 24;
    format!("{:02}:00-{:02}:30", (hour + 3) % 24, (hour + 3) % 24)
}

#[tokio::test]
async fn outside_its_window_a_change_waits_and_cutover_swaps_it_at_once() {
    let mut table = table().await;
    let windows = later();
    let mut running = begin(&table, &["--cutover-between", &windows]);
    running.says("\"cutover_waits\"").await;
    assert!(running.stdout().contains(&format!("{windows} UTC")), "{}", running.stdout());
    let id = id(&running);
    let status = table.ask("status", id).await.well().last_line();
    assert_eq!(status["state"], "ready", "{status:#}");
    let wait = status["cutover_waits"]["opens_in_s"].as_u64().unwrap();
    assert!((3600..4 * 3600).contains(&wait), "{status:#}");
    // It is kept current, and can be verified.
    table.run("INSERT INTO t VALUES (100000, 1)").await;
    table.asked("verify", id).await;
    table.asked("cutover", id).await;
    let ended = running.ended().await.well();
    assert_eq!(ended.last_line()["state"], "revertible");
    assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM t").await, [1_001]);
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_change_is_swapped_by_itself_when_its_window_opens() {
    let table = table().await;
    let mut running = begin(&table, &["--cutover-between", &later(), "--time-zone", "+00:00"]);
    running.says("\"cutover_waits\"").await;
    let id = id(&running);
    let all_day = ["set", &id.to_string(), "cutover-between=00:00-24:00"];
    rsc(shared(), &all_day).run().await.well();
    assert_eq!(running.ended().await.well().last_line()["state"], "revertible");
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_change_that_waits_for_its_window_waits_for_it_again_when_it_is_resumed() {
    let table = table().await;
    let mut running = begin(&table, &["--cutover-between", &later()]);
    running.says("\"cutover_waits\"").await;
    let id = id(&running);
    drop(running);
    let id_text = id.to_string();
    let mut resumed = rsc(shared(), &["--output", "json", "migrate", "--resume", &id_text]).start();
    resumed.says("\"cutover_waits\"").await;
    table.asked("cutover", id).await;
    resumed.ended().await.well();
    table.asked("complete", id).await;
}

#[tokio::test]
async fn a_table_that_goes_as_a_whole_waits_for_its_window_as_well() {
    let mut table = table().await;
    let statement = format!("DROP TABLE {}.t", table.schema);
    let words = ["--output", "json", "migrate", "--alter", &statement, "--cutover-between", &later()];
    let mut running = rsc(shared(), &words).start();
    running.says("\"cutover_waits\"").await;
    let id = id(&running);
    assert_eq!(table.ask("status", id).await.well().last_line()["state"], "ready");
    assert_eq!(table.tables().await, ["t"]);
    let all_day = ["set", &id.to_string(), "cutover-between=00:00-24:00"];
    rsc(shared(), &all_day).run().await.well();
    assert_eq!(running.ended().await.well().last_line()["state"], "revertible");
    assert_eq!(table.tables().await, [format!("_rsc{id}_t_old")]);
    table.asked("revert", id).await;
    assert_eq!(table.all::<u64>("SELECT COUNT(*) FROM t").await, [1_000]);
    table.asked("complete", id).await;
}

#[tokio::test]
async fn who_keeps_a_table_from_going_is_ended_where_that_is_wanted() {
    let mut table = table().await;
    let statement = format!("DROP TABLE {}.t", table.schema);
    let mut reader = shared().application().await.unwrap();
    reader.query_drop(format!("START TRANSACTION; SELECT * FROM {}.t LIMIT 1", table.schema)).await.unwrap();
    let words = ["--output", "json", "migrate", "--alter", &statement, "--cutover-lock-timeout", "1s"];
    let running = rsc(shared(), &[&words[..], &["--force-cutover-after", "1s"]].concat()).start();
    let ended = running.ended().await.well();
    assert!(ended.stdout.contains(&format!("\"connection\":{}", reader.id())), "{ended:#?}");
    assert!(ended.stdout.contains("\"killed\""), "{ended:#?}");
    assert!(reader.query_drop("SELECT 1").await.is_err(), "it was ended");
    let id = ended.last_line()["id"].as_u64().unwrap();
    assert_eq!(table.tables().await, [format!("_rsc{id}_t_old")]);
    table.asked("complete", id).await;
}

#[tokio::test]
async fn an_instant_change_has_no_window() {
    let mut table = table().await;
    let instant = format!("ALTER TABLE {}.t ADD COLUMN b int", table.schema);
    for more in [["--cutover-between", "02:00-04:00"], ["--force-cutover-after", "1s"]] {
        let words = ["migrate", "--alter", &instant, "--strategy", "instant"];
        let refused = rsc(shared(), &[&words[..], &more].concat()).run().await;
        assert_eq!(refused.code, 2, "{refused:#?}");
    }
    assert_eq!(table.tables().await, ["t"]);
}

/// A transaction that only reads keeps the table from being locked for `held`. The longest that a writer waited.
async fn stalled(held: Duration, lock_timeout: &str) -> Duration {
    let schema = shared().fresh_database().await;
    let name = rsc::schema::table::TableName::new(&schema, "t");
    let plan = Plan {
        statements_per_s: Some(100.0),
        ..Plan::new(name.clone(), Shape::Signed, vec![Column::int("n")])
    };
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(plan.create_table(&["title int"])).await.unwrap();
    let writers = Writers::start(shared().opts(), plan).await.unwrap();
    let mut reader = shared().conn().await.unwrap();
    reader.query_drop(format!("START TRANSACTION; SELECT * FROM {name} LIMIT 1")).await.unwrap();
    let began = Instant::now();
    let arguments = ["--output", "json", "migrate", "--database", &schema, "--table", "t"];
    let more = ["--alter", "DROP COLUMN title", "--cutover-lock-timeout", lock_timeout];
    let mut running = rsc(shared(), &[&arguments[..], &more].concat()).start();
    running.says("\"swap_missed\"").await;
    assert!(running.stdout().contains(&format!("\"connection\":{}", reader.id())), "{}", running.stdout());
    sleep(held.saturating_sub(began.elapsed())).await;
    assert!(!running.stdout().contains("\"swapped\""));
    reader.query_drop("COMMIT").await.unwrap();
    let ended = running.ended().await.well();
    let id = ended.last_line()["id"].as_u64().unwrap();
    let finished = writers.finish().await;
    assert!(finished.errors.is_empty(), "{:#?}", finished.errors);
    assert_eq!(compare(&finished.models, &mut conn, &name).await.unwrap(), Vec::<String>::new());
    rsc(shared(), &["complete", &id.to_string()]).run().await.well();
    println!("held for {held:?}: {:?}, {}", finished.tally, ended.stdout);
    finished.tally.longest_wait
}

#[tokio::test]
async fn a_transaction_that_stays_open_stalls_the_application_no_longer_than_the_lock_timeout() {
    // A machine that does other things as well is given some time more; without a limit it would be all eight seconds.
    let stalled = stalled(Duration::from_secs(8), "1s").await;
    assert!(stalled < Duration::from_secs(4), "a writer waited for {stalled:?}");
}

#[tokio::test]
#[ignore = "takes more than a minute"]
async fn a_transaction_of_sixty_seconds_stalls_the_application_no_longer_than_the_lock_timeout() {
    let stalled = stalled(Duration::from_secs(60), "3s").await;
    println!("the longest wait of a writer: {stalled:?}");
    assert!(stalled < Duration::from_secs(5), "a writer waited for {stalled:?}");
}
