//! The journal is the server's, and people drop and upgrade schemas: a sidecar that this version does not know is left
//! alone, and one that is gone, whole or in part, ends what runs with a word that says what is left.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::support::process::{Ended, Running, rsc};
use crate::support::server::{Options, Server};

/// A server of its own: its journal is damaged.
async fn server_with_rows() -> (Server, Conn) {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, title int)").await.unwrap();
    conn.query_drop(
        "SET SESSION cte_max_recursion_depth = 1000000; INSERT INTO d.t WITH RECURSIVE c(i) AS \
         (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60000) SELECT i, i FROM c",
    )
    .await
    .unwrap();
    (server, conn)
}

const MIGRATE: [&str; 3] = ["migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title"];

fn start(server: &Server, more: &[&str]) -> Running {
    rsc(server, &[&["--output", "json"], &MIGRATE[..], more].concat()).start()
}

async fn run(server: &Server, arguments: &[&str]) -> Ended {
    rsc(server, &[&["--output", "json"], arguments].concat()).run().await
}

async fn tables(conn: &mut Conn) -> Vec<String> {
    conn.query("SHOW TABLES IN d").await.unwrap()
}

fn ended_with(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, code, "{ended:#?}");
    for part in parts {
        assert!(ended.stdout.contains(part), "no {part:?}: {ended:#?}");
    }
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_of_another_version_is_refused_by_every_command_and_left_alone() {
    let (server, mut conn) = server_with_rows().await;
    run(&server, &MIGRATE).await.well();
    conn.query_drop(
        "UPDATE _rsc.meta SET version = 5; DROP TABLE _rsc.batch; CREATE TABLE _rsc.lanes (a int)",
    )
    .await
    .unwrap();
    conn.query_drop("CREATE TABLE d.u (id int PRIMARY KEY, title int)").await.unwrap();
    let written = "SELECT @@GLOBAL.gtid_executed";
    let before: Option<String> = conn.query_first(written).await.unwrap();
    let second = ["migrate", "--alter", "ALTER TABLE d.u DROP COLUMN title"];
    let id_verbs =
        ["status", "cutover", "revert", "reapply", "complete", "cancel", "pause", "resume", "verify"];
    let commands = id_verbs.map(|verb| vec![verb, "1"]);
    let others = [vec!["list"], vec!["agent"], vec!["migrate", "--resume", "1"], second.to_vec()];
    for command in commands.into_iter().chain(others) {
        let refused = run(&server, &command).await;
        ended_with(&refused, 3, &["has version 5, but this rsc knows version 4", "nothing was touched"]);
        assert!(refused.stdout.contains("a newer one"), "{command:?}: {refused:#?}");
    }
    assert_eq!(conn.query_first::<String, _>(written).await.unwrap(), before, "something was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_that_lost_a_table_is_not_begun_again() {
    let (server, mut conn) = server_with_rows().await;
    run(&server, &MIGRATE).await.well();
    conn.query_drop("DROP TABLE _rsc.`change`").await.unwrap();
    for command in [&["list"][..], &["revert", "1"], &MIGRATE] {
        let refused = run(&server, command).await;
        ended_with(&refused, 3, &["`change` is missing", "DROP DATABASE `_rsc`"]);
    }
    assert_eq!(tables(&mut conn).await, ["_rsc1_t_old", "t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_a_change_whose_journal_is_dropped_stops_and_names_what_is_left() {
    let (server, mut conn) = server_with_rows().await;
    let mut stays = start(&server, &["--agent", "stay"]);
    stays.says("\"revertible\"").await;
    conn.query_drop("DROP DATABASE _rsc").await.unwrap();
    let ended = stays.ended().await;
    ended_with(&ended, 5, &["was dropped or damaged by someone else", "d._rsc1_t_old, is left"]);

    let listed = run(&server, &["list"]).await.well();
    assert!(listed.stdout.contains("d._rsc1_t_old is left of a change"), "{listed:#?}");
    ended_with(&run(&server, &["status", "1"]).await, 3, &["there is no change 1", "d._rsc1_t_old is left"]);
    let again = ["migrate", "--alter", "ALTER TABLE d.t ADD COLUMN b int"];
    // The new journal would begin with number 1, whose table it would drop or take for its own.
    let refused = run(&server, &again).await;
    ended_with(&refused, 3, &["d._rsc1_t_old is left", "DROP TABLE `d`.`_rsc1_t_old`"]);
    let titles: Option<u64> = conn.query_first("SELECT COUNT(title) FROM d._rsc1_t_old").await.unwrap();
    assert_eq!(titles, Some(60_000));
    conn.query_drop("DROP TABLE d._rsc1_t_old").await.unwrap();
    run(&server, &again).await.well();
    assert_eq!(run(&server, &["list"]).await.well().lines().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_journal_is_dropped_stops_with_the_live_table_untouched() {
    let (server, mut conn) = server_with_rows().await;
    let mut copying = start(&server, &["--batch-time", "3ms"]);
    copying.says("\"copied\"").await;
    conn.query_drop("DROP DATABASE _rsc").await.unwrap();
    ended_with(&copying.ended().await, 5, &["was dropped or damaged by someone else", "d._rsc1_t_new"]);
    let rows: Option<u64> = conn.query_first("SELECT COUNT(title) FROM d.t").await.unwrap();
    assert_eq!(rows, Some(60_000));
}

/// Only the fence and position of one change are gone: it cannot go on, and it can be ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_stream_table_is_dropped_can_still_be_ended() {
    let (server, mut conn) = server_with_rows().await;
    let mut copying = start(&server, &["--batch-time", "3ms"]);
    copying.says("\"copied\"").await;
    conn.query_drop("DROP TABLE _rsc.stream_1").await.unwrap();
    ended_with(&copying.ended().await, 5, &["d._rsc1_t_new, is left", "rsc cancel 1"]);
    run(&server, &["status", "1"]).await.well();
    ended_with(&run(&server, &["migrate", "--resume", "1"]).await, 5, &["rsc cancel 1"]);
    run(&server, &["cancel", "1"]).await.well();
    assert_eq!(tables(&mut conn).await, ["t"]);

    let mut stays = start(&server, &["--agent", "stay"]);
    stays.says("\"revertible\"").await;
    conn.query_drop("DROP TABLE _rsc.stream_2; UPDATE d.t SET id = -id WHERE id < 10").await.unwrap();
    ended_with(&stays.ended().await, 5, &["d._rsc2_t_old, is left", "rsc complete 2"]);
    let status = run(&server, &["status", "2"]).await.well().last_line();
    assert_eq!(status["verdict"]["verdict"], "impossible", "{status:#}");
    ended_with(&run(&server, &["revert", "2"]).await, 6, &["rsc complete 2"]);
    run(&server, &["complete", "2"]).await.well();
    assert_eq!(tables(&mut conn).await, ["t"]);
    let streams: Vec<String> = conn.query("SHOW TABLES IN _rsc LIKE 'stream%'").await.unwrap();
    assert_eq!(streams, Vec::<String>::new());
}
