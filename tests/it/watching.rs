//! What a change did is on record, little however long it takes; `rsc status --watch`, `rsc report` and `rsc list` show it.

use std::path::Path;
use std::time::Duration;

use rsc::journal::fence::Fence;
use rsc::journal::{sample, store};
use rsc::lifecycle::sample::{Activity, OLDER_MAX, RECENT, Sample};
use rsc::session::Session;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Ended, Running, address, rsc};
use crate::support::shared;
use crate::support::table::Table;

const CLAUSES: &str = "ADD COLUMN n int";

async fn with_rows(rows: u64) -> Table {
    let mut table = Table::create("id int PRIMARY KEY, v varchar(40)").await;
    table.fill("id, v", "i, concat('v ', i)", rows).await;
    table.run("ANALYZE TABLE t").await;
    table
}

fn staying(table: &Table) -> Running {
    let arguments = [
        "--output",
        "json",
        "migrate",
        "--database",
        &table.schema,
        "--table",
        "t",
        "--alter",
        CLAUSES,
        "--agent",
        "stay",
    ];
    rsc(shared(), &arguments).start()
}

async fn id_of(running: &mut Running) -> String {
    running.says("\"event\":\"started\"").await;
    let line = running.stdout().lines().next().unwrap_or_default().to_owned();
    serde_json::from_str::<Value>(&line).unwrap()["id"].to_string()
}

async fn status(id: &str) -> Value {
    rsc(shared(), &["--output", "json", "status", id]).run().await.well().last_line()
}

/// Until `wanted` is met; what was last seen is in the panic.
async fn until(id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    for _ in 0..600 {
        last = status(id).await;
        if wanted(&last) {
            return last;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("it never came: {last:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_kept_tells_its_lag_and_its_swaps() {
    let mut table = with_rows(2_000).await;
    let mut running = staying(&table);
    let id = id_of(&mut running).await;
    until(&id, |status| status["state"] == "revertible" && status["now"]["activity"] == "following").await;
    rsc(shared(), &["pause", &id]).run().await.well();
    table.run("UPDATE t SET v = 'later'").await;
    // The other table gets older and older.
    let paused = until(&id, |status| status["now"]["lag_ms"].as_u64().is_some_and(|ms| ms > 1_500)).await;
    assert_eq!(paused["now"]["activity"], "paused", "{paused:#}");
    rsc(shared(), &["resume", &id]).run().await.well();
    let again = until(&id, |status| {
        status["now"]["activity"] == "following" && status["now"]["applied"].as_u64() >= Some(2_000)
    })
    .await;
    assert!(again["now"]["lag_ms"].as_u64().unwrap() < 60_000, "{again:#}");
    rsc(shared(), &["revert", &id]).run().await.well();
    let status = status(&id).await;
    let swaps = status["swaps"].as_array().unwrap();
    let serving: Vec<&str> = swaps.iter().map(|swap| swap["serving"].as_str().unwrap()).collect();
    assert_eq!(serving, ["new", "old"], "{status:#}");
    for part in ["lock_wait_ms", "drain_ms", "apply_ms", "rename_ms", "freeze_ms"] {
        assert!(swaps[0]["freeze"][part].as_f64().is_some(), "{part}: {status:#}");
    }
    rsc(shared(), &["complete", &id]).run().await.well();
    running.ended().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_without_a_terminal_goes_on_until_the_change_has_ended() {
    let table = with_rows(500).await;
    let id = table.migrated(CLAUSES, &[]).await.to_string();
    let watch =
        |format| rsc(shared(), &["--output", format, "status", &id, "--watch", "--interval", "100ms"]);
    let (mut text, mut json) = (watch("text").start(), watch("json").start());
    let count = |running: &Running, what: &str| running.stdout().matches(what).count();
    let head = format!("change {id} on {}.t: revertible", table.schema);
    while count(&text, &head) < 3 || count(&json, "\"event\":\"status\"") < 3 {
        assert!(text.try_ended().is_none() && json.try_ended().is_none(), "{}", text.stdout());
        sleep(Duration::from_millis(20)).await;
    }
    assert!(!text.stdout().contains('\x1b'), "a file gets no escapes: {:?}", text.stdout());
    rsc(shared(), &["complete", &id]).run().await.well();
    let (text, json) = (text.ended().await.well(), json.ended().await.well());
    assert!(text.stdout.contains(": completed"), "{text:#?}");
    assert_eq!(json.last_line()["state"], "completed");
    assert!(json.lines().iter().all(|line| line["version"] == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_seen_enough_of_a_watch_ends_it_well_and_without_a_word() {
    let table = with_rows(10).await;
    let id = table.migrated(CLAUSES, &[]).await.to_string();
    let mut watch = rsc(shared(), &["status", &id, "--watch"]).start();
    watch.says("revertible").await;
    watch.interrupt();
    let ended = watch.ended().await.well();
    assert!(!ended.stdout.contains("stopping") && ended.stderr.is_empty(), "{ended:#?}");
    table.asked("complete", id.parse().unwrap()).await;
}

async fn report(id: &str, more: &[&str]) -> Ended {
    rsc(shared(), &[&["--output", "json", "report", id], more].concat()).run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_a_page_that_is_not_written_over_unasked() {
    let mut table = Table::create("id int PRIMARY KEY, `<script>alert(1)</script>` int").await;
    table.run("INSERT INTO t VALUES (1, 1)").await;
    let clauses = "ADD COLUMN n int COMMENT '</style><script>alert(2)</script>'";
    let id = table.migrated(clauses, &[]).await.to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    let name = file.to_str().unwrap();
    let written = report(&id, &["--html", name]).await.well().last_line();
    assert_eq!((&written["event"], &written["file"]), (&"report".into(), &name.into()), "{written:#}");
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;alert(2)"), "{page}");

    std::fs::write(&file, "mine").unwrap();
    let refused = report(&id, &["--html", name]).await;
    assert_eq!(refused.code, 2, "{refused:#?}");
    assert!(refused.last_line()["reasons"][0]["next"].as_str().unwrap().contains("--force"), "{refused:#?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    report(&id, &["--html", name, "--force"]).await.well();
    assert!(std::fs::read_to_string(&file).unwrap().contains("revertible"));
    let nowhere = folder.path().join("no/page.html");
    let refused = report(&id, &["--html", nowhere.to_str().unwrap()]).await;
    assert_eq!((refused.code, Path::exists(&nowhere)), (2, false), "{refused:#?}");
    table.asked("complete", id.parse().unwrap()).await;
}

#[tokio::test]
async fn a_list_of_what_is_active_leaves_out_what_has_ended() {
    let table = with_rows(10).await;
    let kept = table.migrated(CLAUSES, &[]).await;
    let other = with_rows(10).await;
    let ended = other.migrated(CLAUSES, &[]).await;
    other.asked("complete", ended).await;
    let listed = async |more: &[&str]| {
        let lines = rsc(shared(), &[&["--output", "json", "list"], more].concat()).run().await.well().lines();
        // What other tests leave behind is noted as well.
        let changes = lines.iter().filter(|line| line["event"] == "change");
        changes.map(|line| line["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let active = listed(&["--active"]).await;
    assert!(active.contains(&kept) && !active.contains(&ended), "{active:?}");
    let all = listed(&[]).await;
    assert!(all.contains(&kept) && all.contains(&ended), "{all:?}");
    table.asked("complete", kept).await;
}

/// A connection of the library's own.
async fn session() -> Session {
    Session::open(&address(shared())).await.unwrap()
}

#[tokio::test]
async fn however_long_a_change_lives_few_samples_are_kept_and_none_of_its_waits_is_lost() {
    let mut session = session().await;
    store::install(&mut session).await.unwrap();
    // No change has this number; an owner is all that is asked for.
    let fence = Fence { change: 4_000_000_001, epoch: 7 };
    let owner = |epoch: u64| {
        format!(
            "INSERT INTO _rsc.owner (change_id, epoch, who, instance, heartbeat) \
             VALUES ({}, {epoch}, 'a test', 'a test', NOW(6))",
            fence.change
        )
    };
    session.run(&owner(fence.epoch)).await.unwrap();
    let at = |beat: u64| Sample {
        at_ms: 0,
        activity: Activity::Copying,
        done: beat,
        goal: 10_000,
        applied: 0,
        lag_ms: Some(if beat == 1_001 { 9_000 } else { 5 }),
        throttled: (beat == 1_003).then(|| "a replica is behind".into()),
    };
    let beats = 3_000;
    for beat in 0..beats {
        sample::write(&mut session, fence, beat, &at(beat)).await.unwrap();
        if beat % 500 == 0 {
            sample::thin(&mut session, fence.change, beat).await.unwrap();
        }
    }
    sample::thin(&mut session, fence.change, beats - 1).await.unwrap();
    let kept = sample::series(&mut session, fence.change).await.unwrap();
    assert!(kept.len() as u64 <= OLDER_MAX + RECENT, "{}", kept.len());
    assert!(kept.len() as u64 > OLDER_MAX / 2, "{}", kept.len());
    assert!(kept.windows(2).all(|pair| pair[0].done < pair[1].done));
    let last: Vec<u64> = kept.iter().rev().take(RECENT as usize).map(|sample| sample.done).collect();
    assert_eq!(last, (beats - RECENT..beats).rev().collect::<Vec<_>>(), "the last ones are all there");
    assert_eq!(kept.iter().filter_map(|sample| sample.lag_ms).max(), Some(9_000));
    assert_eq!(
        kept.iter().filter_map(|sample| sample.throttled.as_deref()).collect::<Vec<_>>(),
        ["a replica is behind"]
    );
    assert_eq!(sample::next_beat(&mut session, fence.change).await.unwrap(), beats);

    // Whoever was taken over from writes nothing more.
    let earlier = Fence { epoch: fence.epoch - 1, ..fence };
    sample::write(&mut session, earlier, beats, &at(beats)).await.unwrap();
    assert_eq!(sample::series(&mut session, fence.change).await.unwrap().len(), kept.len());
    for table in ["sample", "owner"] {
        session.run(&format!("DELETE FROM _rsc.{table} WHERE change_id = {}", fence.change)).await.unwrap();
    }
}
