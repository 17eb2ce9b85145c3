//! The operator's commands: called for what happens, in order, with the event; and never able to hurt a change.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::metrics::{free_address, shows};
use crate::support::process::{Rsc, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

/// A folder in which hooks write down that they were called.
struct Diary {
    folder: tempfile::TempDir,
}

impl Diary {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("diary")
    }

    /// A command that writes the event and what it is told by environment, on one line.
    fn entry(&self) -> String {
        format!(
            "{{ echo \"$RSC_HOOK $RSC_CHANGE_ID $RSC_CHANGE_TABLE $RSC_CHANGE_STATE $(cat)\"; }} >> '{}'",
            self.path().display()
        )
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap_or_default()
    }

    /// The names of the hooks that were called.
    fn called(&self) -> Vec<String> {
        self.text().lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// The event that a hook of this name was given last.
    fn event(&self, hook: &str) -> Value {
        let text = self.text();
        let line = text.lines().rev().find(|line| line.starts_with(&format!("{hook} ")));
        let line = line.unwrap_or_else(|| panic!("no {hook}:\n{text}"));
        line[line.find('{').unwrap()..].parse().unwrap()
    }

    async fn says(&self, hook: &str) {
        let started = Instant::now();
        while !self.called().iter().any(|called| called == hook) {
            assert!(started.elapsed() < Duration::from_secs(60), "{hook} is not called:\n{}", self.text());
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// All hooks are written down.
    fn listening(&self, mut rsc: Rsc) -> Rsc {
        for hook in ["READY", "CUTOVER", "REVERT", "REAPPLY", "VERDICT_CHANGE", "FAILURE", "COMPLETE"] {
            rsc = rsc.env(&format!("RSC_ON_{hook}"), &self.entry());
        }
        rsc
    }
}

fn migrate<'a>(table: &'a Table, clauses: &'a str) -> Vec<&'a str> {
    vec!["--output", "json", "migrate", "--database", &table.schema, "--table", "t", "--alter", clauses]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_a_change_calls_its_hook_with_the_event() {
    let table = Table::create("id int PRIMARY KEY, title int").await;
    let diary = Diary::new();
    let run = |arguments: &[&str]| diary.listening(rsc(shared(), arguments)).run();
    let postponed = [&migrate(&table, "DROP COLUMN title")[..], &["--postpone-cutover"]].concat();
    let id = run(&postponed).await.well().last_line()["id"].to_string();
    for verb in ["cutover", "revert", "reapply", "complete"] {
        run(&[verb, &id]).await.well();
    }
    assert_eq!(diary.called(), ["ready", "cutover", "revert", "reapply", "complete"]);
    let text = diary.text();
    let first = format!("ready {id} {}.t ready {{", table.schema);
    assert!(text.starts_with(&first), "no {first}:\n{text}");
    let event = diary.event("revert");
    assert_eq!((&event["event"], &event["serving"]), (&"swapped".into(), &"old".into()), "{event:#}");
    assert_eq!((&event["version"], &event["hook"]), (&1.into(), &"revert".into()), "{event:#}");
    assert_eq!((event["id"].to_string(), &event["table"]), (id, &format!("{}.t", table.schema).into()));
    assert!(event["freeze"]["freeze_ms"].as_f64().is_some() && event["at"].is_string(), "{event:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_has_to_wait_calls_the_hook_for_it() {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    table.run("INSERT INTO t VALUES (1, 7), (2, 7)").await;
    let diary = Diary::new();
    let flag = diary.folder.path().join("flag");
    fs::write(&flag, "").unwrap();
    let hooked = ["--throttle-flag-file", flag.to_str().unwrap(), "--on-throttled", &diary.entry()];
    let waiting = rsc(shared(), &[&migrate(&table, "DROP COLUMN title")[..], &hooked].concat()).start();
    diary.says("throttled").await;
    let event = diary.event("throttled");
    assert!(event["reasons"][0].as_str().unwrap().contains("the flag file"), "{event:#}");
    fs::remove_file(&flag).unwrap();
    waiting.ended().await.well();
    assert_eq!(diary.called(), ["throttled"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_calls_the_hook_for_it_and_one_that_is_refused_does_not() {
    let mut table = Table::create("id int PRIMARY KEY, title int").await;
    table.run("INSERT INTO t VALUES (1, 7), (2, 7)").await;
    let diary = Diary::new();
    let failed = diary.listening(rsc(shared(), &migrate(&table, "ADD UNIQUE KEY (title)"))).run().await;
    assert_eq!(failed.code, 4, "{failed:#?}");
    assert_eq!(diary.called(), ["failure"]);
    let event = diary.event("failure");
    assert_eq!((&event["kind"], &event["exit_code"]), (&"failed".into(), &4.into()), "{event:#}");
    assert!(event["reasons"][0]["what"].as_str().unwrap().contains("Duplicate"), "{event:#}");
    let refused = diary.listening(rsc(shared(), &migrate(&table, "DROP COLUMN nothing"))).run().await;
    assert_eq!((refused.code, diary.called().len()), (3, 1), "{refused:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_fails_or_is_missing_is_logged_and_hurts_nothing() {
    for (command, told) in [
        ("sleep 1000 & sleep 1000", "had not ended after 1s and was killed"),
        ("echo 'no such pager' >&2; exit 7", "exit status: 7; it said: no such pager"),
        ("/does/not/exist --now", "exit status: 127"),
        ("kill -9 $$", "signal: 9"),
        ("yes >&2", "was killed"),
    ] {
        let table = Table::create("id int PRIMARY KEY, title int").await;
        let hooked = ["--on-cutover", command, "--hook-timeout", "1s"];
        let done =
            rsc(shared(), &[&migrate(&table, "DROP COLUMN title")[..], &hooked].concat()).run().await.well();
        assert_eq!(done.last_line()["state"], "revertible", "{command}: {done:#?}");
        assert!(
            done.stderr.contains("the hook on-cutover") && done.stderr.contains(told),
            "{command}: {done:#?}"
        );
        assert!(done.took < Duration::from_secs(30), "{command}: {:?}", done.took);
    }
}

/// No hook is left behind that was killed, nor what it had started.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_has_started_ends_with_it() {
    let table = Table::create("id int PRIMARY KEY, title int").await;
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let command = format!("sleep 1000 & echo $! $$ > '{}'; wait", pids.display());
    let hooked = ["--on-cutover", &command, "--hook-timeout", "1s"];
    rsc(shared(), &[&migrate(&table, "DROP COLUMN title")[..], &hooked].concat()).run().await.well();
    for pid in fs::read_to_string(&pids).unwrap().split_whitespace() {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let gone = state.is_empty() || state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
        assert!(gone, "{pid} lives: {state}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_never_waits_for_a_hook() {
    let table = Table::create("id int PRIMARY KEY, title int").await;
    let diary = Diary::new();
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let slow = format!("until [ -e '{}' ]; do sleep 0.1; done; {}", go.display(), diary.entry());
    let stay = ["--agent", "stay", "--on-cutover", &slow, "--on-revert", &diary.entry()];
    let mut owner = rsc(shared(), &[&migrate(&table, "DROP COLUMN title")[..], &stay].concat()).start();
    owner.says(r#""state":"revertible""#).await;
    let started: Value = owner.stdout().lines().next().unwrap().parse().unwrap();
    let id = started["id"].as_u64().unwrap();
    table.asked("revert", id).await;
    assert_eq!(diary.called(), Vec::<String>::new(), "the revert was done while the first hook still slept");
    std::fs::write(go, "").unwrap();
    table.asked("complete", id).await;
    owner.ended().await.well();
    assert_eq!(diary.called(), ["cutover", "revert"], "in the order in which it happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_calls_hooks_and_tells_of_a_verdict_that_changes() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, a int, UNIQUE KEY (a)); INSERT INTO d.t VALUES (1, 1)")
        .await
        .unwrap();
    let migrate = ["migrate", "--alter", "ALTER TABLE d.t DROP KEY a", "--agent", "none"];
    rsc(&server, &migrate).run().await.well();
    let (diary, address) = (Diary::new(), free_address());
    let agent = diary.listening(rsc(&server, &["agent", "--until-idle", "--metrics", &address])).start();
    shows(&address, &["rsc_change_verdict{change=\"1\",table=\"d.t\",verdict=\"ready\"} 1"]).await;
    // The old schema cannot hold a second row with this value.
    conn.query_drop("INSERT INTO d.t VALUES (2, 1)").await.unwrap();
    diary.says("verdict-change").await;
    let event = diary.event("verdict-change");
    assert!(
        event["text"].as_str().unwrap().starts_with("blocked: the old schema cannot hold 1 row"),
        "{event:#}"
    );
    assert_eq!((&event["verdict"], &event["was"]), (&"blocked".into(), &"ready: the stream is alive".into()));
    conn.query_drop("DELETE FROM d.t WHERE id = 2").await.unwrap();
    rsc(&server, &["revert", "1"]).run().await.well();
    diary.says("revert").await;
    rsc(&server, &["complete", "1"]).run().await.well();
    agent.ended().await.well();
    assert_eq!(diary.called().last().unwrap(), "complete");
}
