//! A server that has run out of room: what cannot be written stops the change where it is, and it goes on when there is
//! room again.
//!
//! The room is that of a system tablespace that must not grow and has all tables in it: InnoDB answers there as it does
//! when the disk is full, with error 1114. A full disk itself, errno 28, is not brought about; its errors are told apart
//! in src/session.rs.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::support::process::{Ended, rsc};
use crate::support::server::{Options, Server};

async fn small_server() -> (Server, Conn) {
    let options =
        Options::default().with("--innodb-data-file-path=ibdata1:40M").with("--innodb-file-per-table=OFF");
    let server = Server::start(options).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.ballast (id int PRIMARY KEY, b char(250))")
        .await
        .unwrap();
    conn.query_drop("CREATE TABLE d.t (id int PRIMARY KEY, a int, title char(200))").await.unwrap();
    conn.query_drop("SET SESSION cte_max_recursion_depth = 1000000").await.unwrap();
    conn.query_drop(
        "INSERT INTO d.t WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 30000) \
         SELECT i, i, REPEAT('x', 200) FROM c",
    )
    .await
    .unwrap();
    (server, conn)
}

/// Until hardly anything is left.
async fn fill(conn: &mut Conn) {
    for (rows, from) in [(5000, 0), (500, 1_000_000), (50, 2_000_000)] {
        for batch in 0.. {
            let first = from + batch * rows;
            let filled = conn
                .query_drop(format!(
                    "INSERT INTO d.ballast WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c \
                     WHERE i < {rows}) SELECT {first} + i, REPEAT('x', 250) FROM c"
                ))
                .await;
            match filled {
                Ok(()) => assert!(batch < 1000, "the tablespace grows"),
                Err(mysql_async::Error::Server(error)) if error.code == 1114 => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

async fn make_room(conn: &mut Conn) {
    conn.query_drop("DROP TABLE d.ballast").await.unwrap();
}

fn stopped(ended: &Ended) {
    assert_eq!(ended.code, 5, "{ended:#?}");
    let reason = &ended.last_line()["reasons"][0];
    assert!(reason["what"].as_str().unwrap().contains("disk space"), "{ended:#?}");
    assert!(reason["next"].as_str().unwrap().contains("rsc migrate --resume 1"), "{ended:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_finds_no_room_stops_and_goes_on_when_there_is_room() {
    let (server, mut conn) = small_server().await;
    let migrate = ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t ADD COLUMN b int"];
    let mut running = rsc(&server, &[&migrate[..], &["--batch-time", "2ms"]].concat()).start();
    running.says("\"copied\"").await;
    running.signal("STOP");
    fill(&mut conn).await;
    running.signal("CONT");
    let ended = running.ended().await;
    stopped(&ended);
    assert!(!ended.stdout.contains("cutting_over"), "the test fills nothing: {ended:#?}");
    let rows: Option<(u64, u64)> = conn.query_first("SELECT COUNT(*), SUM(a = id) FROM d.t").await.unwrap();
    assert_eq!(rows, Some((30_000, 30_000)));
    make_room(&mut conn).await;
    let resumed = rsc(&server, &["--output", "json", "migrate", "--resume", "1"]).run().await.well();
    assert_eq!(resumed.last_line()["state"], "revertible");
    let rows: Option<(u64, u64)> =
        conn.query_first("SELECT COUNT(*), SUM(a = id AND b IS NULL) FROM d.t").await.unwrap();
    assert_eq!(rows, Some((30_000, 30_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_finds_no_room_stops_with_its_rows_and_its_position() {
    let (server, mut conn) = small_server().await;
    let migrate = ["--output", "json", "migrate", "--alter", "ALTER TABLE d.t DROP COLUMN title"];
    rsc(&server, &migrate).run().await.well();
    // What the old table must have room for.
    conn.query_drop("INSERT INTO d.t SELECT id + 100000, a FROM d.t WHERE id <= 20000").await.unwrap();
    conn.query_drop("UPDATE d.t SET a = -a WHERE id <= 30000").await.unwrap();
    fill(&mut conn).await;
    let stays = ["--output", "json", "migrate", "--resume", "1", "--agent", "stay"];
    stopped(&rsc(&server, &stays).run().await);
    make_room(&mut conn).await;
    rsc(&server, &["--output", "json", "revert", "1"]).run().await.well();
    let sum = "SELECT COUNT(*), SUM(a = IF(id > 100000, id - 100000, -id)), \
               SUM(title = IF(id > 100000, '', REPEAT('x', 200))) FROM d.t";
    let sum = sum.replace("SUM(title", "SUM(IFNULL(title, '')");
    let rows: Option<(u64, u64, u64)> = conn.query_first(sum).await.unwrap();
    assert_eq!(rows, Some((50_000, 50_000, 50_000)));
}
