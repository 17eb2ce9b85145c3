//! What Prometheus is told, and that the dashboard asks for nothing else.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use rsc::audience::metrics::METRICS;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The answer with its head; empty when nobody answers.
async fn get(address: &str, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address).await else { return String::new() };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Returns the metrics when they hold every one of these lines.
pub async fn shows(address: &str, lines: &[&str]) -> String {
    let started = Instant::now();
    loop {
        let answer = get(address, "/metrics").await;
        if lines.iter().all(|line| answer.lines().any(|found| found.starts_with(line))) {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no {lines:?}:\n{answer}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_shown_from_its_copy_to_its_end() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title varchar(9)); INSERT INTO d.t VALUES (1, 'a'), (2, 'b')")
        .await
        .unwrap();
    let address = free_address();
    let narrow = "ALTER TABLE d.t MODIFY COLUMN title varchar(99)";
    let migrate = ["migrate", "--alter", narrow, "--agent", "stay", "--metrics", &address];
    let owner = rsc(&server, &migrate).start();
    let of = |name: &str, more: &str| format!("rsc_change_{name}{{change=\"1\",table=\"d.t\"{more}}}");
    let lines = [
        of("state", ",state=\"revertible\"") + " 1",
        of("driven", "") + " 1",
        of("rows_copied", "") + " 2",
        of("lag_seconds", "") + " 0",
        of("freeze_seconds", "") + " 0.",
        of("verification", ",outcome=\"equal\"") + " 1",
        of("revert_window_left_seconds", "") + " 86",
        of("verdict", ",verdict=\"ready\"") + " 1",
        of("lost_values", "") + " 0",
        "rsc_up 1".into(),
        "rsc_build_info{version=\"".into(),
    ];
    let answer = shows(&address, &lines.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    is_well_formed(answer.split_once("\r\n\r\n").unwrap().1);
    assert!(get(&address, "/").await.starts_with("HTTP/1.1 404"));

    // A value that the old schema cannot hold.
    conn.query_drop("INSERT INTO d.t VALUES (3, 'much too long for it')").await.unwrap();
    let lost = [of("lost_values", "") + " 1", of("verdict", ",verdict=\"ready_with_losses\"") + " 1"];
    shows(&address, &lost.iter().map(String::as_str).collect::<Vec<_>>()).await;
    rsc(&server, &["complete", "1"]).run().await.well();
    owner.ended().await.well();
    assert_eq!(get(&address, "/metrics").await, "", "nobody answers when the process has ended");
}

/// Each line is a comment, or a metric of the list with labels and a number.
fn is_well_formed(text: &str) {
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let name = comment.split(' ').nth(1).unwrap();
            assert!(METRICS.iter().any(|(known, ..)| *known == name), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(METRICS.iter().any(|(known, ..)| *known == name), "{line}");
        assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_started_serves_the_metrics_of_whoever_started_it() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    let (address, state) = (free_address(), tempfile::tempdir().unwrap());
    let migrate =
        ["migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title", "--agent", "auto", "--metrics", &address];
    let migrate = rsc(&server, &migrate).env("XDG_STATE_HOME", state.path().to_str().unwrap());
    let done = migrate.run().await.well();
    assert!(done.stdout.contains("an agent keeps the other table current"), "{done:#?}");
    shows(&address, &["rsc_change_driven{change=\"1\",table=\"d.t\"} 1"]).await;
    rsc(&server, &["complete", "1"]).run().await.well();
}

#[tokio::test]
async fn an_address_that_is_taken_ends_the_command_before_anything_is_touched() {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = table.migrate("DROP COLUMN title", &["--metrics", &address]).await;
    assert_eq!(refused.code, 2, "{refused:#?}");
    let reason = &refused.last_line()["reasons"][0];
    assert!(reason["what"].as_str().unwrap().contains(&address), "{reason:#}");
    assert_eq!(reason["state"], "nothing was touched");
    assert_eq!(table.tables().await, ["t"]);
    let agent = rsc(shared(), &["agent", "--metrics", &address]).run().await;
    assert_eq!(agent.code, 2, "{agent:#?}");
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Every word that begins as a metric of ours does.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("rsc_")).map(str::to_owned).collect()
}

#[test]
fn the_dashboard_uses_only_metrics_that_there_are() {
    let dashboard: Value = file("examples/grafana-dashboard.json").parse().unwrap();
    let mut used = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel:#}");
        for target in targets {
            let names = names_in(target["expr"].as_str().unwrap());
            assert!(!names.is_empty(), "{target:#}");
            used.extend(names);
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        used.extend(names_in(variable["query"].as_str().unwrap_or_default()));
    }
    assert!(used.len() > 8, "{used:?}");
    for name in used {
        assert!(METRICS.iter().any(|(known, ..)| *known == name), "there is no metric {name}");
    }
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let known: BTreeSet<String> = METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(names_in(&file("docs/metrics.md")), known);
}
