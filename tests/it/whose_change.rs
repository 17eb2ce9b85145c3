//! A change is its process's from the first row of the journal on, and what becomes of it when that process is stopped,
//! or somebody else ends it, is said and true. An agent takes nothing from anybody, and stumbles over nothing.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::process::{Running, rsc};
use crate::support::server::{Options, Server};

const ROWS: u64 = 20_000;

async fn server_with_rows() -> (Server, Conn) {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("SET cte_max_recursion_depth = 1000000; CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v int)")
        .await
        .unwrap();
    conn.query_drop(format!(
        "INSERT INTO d.t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {ROWS}) SELECT i, i FROM c"
    ))
    .await
    .unwrap();
    (server, conn)
}

/// It copies slowly enough for what is to happen meanwhile.
fn slowly(server: &Server) -> Running {
    let words = ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t ADD COLUMN w int"];
    let slow =
        ["--batch-time", "2ms", "--nice-ratio", "50", "--copy-threads", "1", "--defer-indexes", "never"];
    rsc(server, &[&words[..], &slow].concat()).start()
}

async fn state(server: &Server, id: &str) -> Value {
    rsc(server, &["--output", "json", "status", id]).run().await.well().last_line()
}

/// The agent looks for changes without an owner twice a second, and so it is tried more than once in each of its looks.
#[tokio::test(flavor = "multi_thread")]
async fn no_agent_takes_a_change_from_the_process_that_has_just_begun_it() {
    let (server, mut conn) = server_with_rows().await;
    conn.query_drop("TRUNCATE TABLE d.t").await.unwrap();
    let agents = [(); 3].map(|()| rsc(&server, &["agent"]).start());
    for turn in 0..12 {
        let alter = format!("ALTER TABLE d.t ADD COLUMN c{turn} int");
        // Between the journal's first row and the claim.
        let words = ["--output", "json", "migrate", "--alter", &alter, "--agent", "none"];
        let ended = rsc(&server, &words)
            .env("RSC_FAULT", "create.stream.before:delay")
            .env("RSC_FAULT_DELAY_MS", "700")
            .run()
            .await
            .well();
        let id = ended.last_line()["id"].to_string();
        assert!(ended.stdout.contains("\"swapped\""), "another process has swapped: {ended:#?}");
        rsc(&server, &["complete", &id]).run().await.well();
    }
    for agent in agents {
        agent.interrupt();
        agent.ended().await.well();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_stopped_pauses_its_change_and_no_agent_goes_on_with_it() {
    let (server, _conn) = server_with_rows().await;
    let agent = rsc(&server, &["agent"]).start();
    for signal in ["INT", "TERM", "HUP"] {
        let mut running = slowly(&server);
        running.says("\"copied\"").await;
        running.signal(signal);
        let ended = running.ended().await;
        assert_eq!(ended.code, 130, "{signal}: {ended:#?}");
        let id = ended.lines()[0]["id"].to_string();
        let told = ended.last_line()["reasons"][0].clone();
        assert_eq!(told["what"], format!("interrupted; change {id} is paused"), "{signal}");
        for command in ["rsc migrate --resume", "rsc resume", "rsc cancel"] {
            assert!(told["next"].as_str().unwrap().contains(&format!("{command} {id}")), "{told:#}");
        }
        sleep(Duration::from_millis(1_500)).await;
        let status = state(&server, &id).await;
        assert_eq!((&status["paused"], &status["serving"]), (&true.into(), &"old".into()), "{status:#}");
        let next = [format!("rsc migrate --resume {id}"), format!("rsc cancel {id}")];
        assert_eq!(status["next"], json!(next), "{status:#}");
        match signal {
            "INT" => {
                rsc(&server, &["set", &id, "nice-ratio=0"]).run().await.well();
                rsc(&server, &["--output", "json", "migrate", "--resume", &id, "--agent", "none"])
                    .run()
                    .await
                    .well();
                rsc(&server, &["revert", &id]).run().await.well();
                rsc(&server, &["complete", &id]).run().await.well();
            }
            _ => drop(rsc(&server, &["cancel", &id]).run().await.well()),
        }
    }
    agent.interrupt();
    agent.ended().await.well();
}

/// A pipeline must not go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_somebody_else_cancels_ends_its_process_with_a_failure() {
    let (server, _conn) = server_with_rows().await;
    let mut running = slowly(&server);
    running.says("\"copied\"").await;
    let started: Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].to_string();
    rsc(&server, &["cancel", &id]).run().await.well();
    let ended = running.ended().await;
    assert_eq!(ended.code, 4, "{ended:#?}");
    let told = &ended.last_line()["reasons"][0];
    assert_eq!(told["what"], format!("change {id} was cancelled by another command"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_stands_in_the_way_of_no_other_change() {
    let (server, mut conn) = server_with_rows().await;
    let words =
        ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t ADD COLUMN w int", "--agent", "none"];
    rsc(&server, &words).run().await.well();
    conn.query_drop("CREATE TABLE d.u (id int PRIMARY KEY)").await.unwrap();
    conn.query_drop(
        "INSERT INTO _rsc.`change` (id, schema_name, table_name, active_table, statement, options, state, old_create, \
         rows_estimate) SELECT 77, 'd', 'x', 'd.x', statement, options, 'levitating', old_create, 0 FROM _rsc.`change`",
    )
    .await
    .unwrap();
    let list = rsc(&server, &["list"]).run().await.well();
    let all = format!("{}{}", list.stdout, list.stderr);
    assert!(
        all.contains("change 77 in the journal cannot be read") && all.contains("revertible"),
        "{list:#?}"
    );
    let mut agent = rsc(&server, &["agent"]).start();
    agent.says("change 77").await;
    let alter =
        ["--output", "json", "migrate", "--alter", "ALTER TABLE d.u ADD COLUMN w int", "--agent", "none"];
    rsc(&server, &alter).run().await.well();
    rsc(&server, &["revert", "1"]).run().await.well();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(agent.stdout().matches("change 77 in the journal").count(), 1, "{}", agent.stdout());
    agent.interrupt();
    agent.ended().await.well();
}

/// Whoever may write the journal has not the rights of rsc's account.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_the_journal_or_a_request_is_run_by_nobody() {
    let (server, mut conn) = server_with_rows().await;
    let query = "SELECT COUNT(*) FROM d.asked";
    conn.query_drop("CREATE TABLE d.asked (id int)").await.unwrap();
    let postponed =
        ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t ADD COLUMN w int", "--postpone-cutover"];
    let given = ["--throttle-query", query, "--agent", "none"];
    rsc(&server, &[&postponed[..], &given].concat()).run().await.well();
    // By the command, and by a row that somebody writes.
    let set = rsc(&server, &["set", "1", "throttle-query=SELECT 1"]).run().await;
    assert_eq!(set.code, 2, "{set:#?}");
    let mut agent = rsc(&server, &["agent"]).start();
    agent.says("change 1").await;
    conn.query_drop(
        "INSERT INTO _rsc.request (change_id, verb, argument, asked_by) VALUES \
         (1, 'set', '[\"throttle-query=SELECT 0; DROP TABLE d.asked\"]', 'somebody')",
    )
    .await
    .unwrap();
    let answered = "SELECT granted FROM _rsc.request WHERE asked_by = 'somebody' AND granted IS NOT NULL";
    let granted: Option<u8> = loop {
        match conn.query_first(answered).await.unwrap() {
            None => sleep(Duration::from_millis(50)).await,
            some => break some,
        }
    };
    assert_eq!(granted, Some(0));
    // Nor what stands in the change's own row, which the process that began it was given, and the agent was not.
    conn.query_drop(
        "UPDATE _rsc.`change` SET options = JSON_SET(options, '$.limits.\"throttle-query\"', 'DROP TABLE d.asked')",
    )
    .await
    .unwrap();
    agent.interrupt();
    agent.ended().await.well();
    let agent = rsc(&server, &["agent"]).start();
    let mut reasons = json!(null);
    for _ in 0..400 {
        reasons = state(&server, "1").await["throttle"]["reasons"].clone();
        if reasons.to_string().contains("was not given it") {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(reasons.to_string().contains("was not given it"), "{reasons}");
    assert_eq!(conn.query_first::<u8, _>("SELECT COUNT(*) FROM d.asked").await.unwrap(), Some(0));
    agent.interrupt();
    agent.ended().await.well();
}

#[tokio::test]
async fn a_statement_comes_from_a_file_or_from_standard_input_and_may_begin_with_a_comment() {
    let (server, _conn) = server_with_rows().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("0042.sql");
    let text = "-- drop what nobody reads\nALTER TABLE d.t DROP COLUMN v;\n";
    std::fs::write(&file, format!("\u{feff}{text}")).unwrap();
    let path = file.to_str().unwrap();
    rsc(&server, &["plan", "--alter-file", path]).run().await.well();
    rsc(&server, &["plan", "--alter", text]).run().await.well();
    let nothing = rsc(&server, &["plan", "--alter-file", "-"]).run().await;
    assert!(nothing.code == 3 && nothing.stderr.contains("the statement is empty"), "{nothing:#?}");
    for (bad, why) in [("/dev/zero", "it is longer than"), ("/nowhere.sql", "No such file")] {
        let refused = rsc(&server, &["migrate", "--alter-file", bad]).run().await;
        assert!(refused.code == 2 && refused.stderr.contains(why), "{refused:#?}");
    }
    let both = rsc(&server, &["plan", "--alter-file", path, "--alter", text]).run().await;
    assert_eq!(both.code, 2, "{both:#?}");
}
