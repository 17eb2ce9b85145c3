//! Rows that nearly fill the server's max_allowed_packet: as text they are longer than any statement may be.

use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Row};

use crate::support::process::{Ended, rsc};
use crate::support::server::{Options, Server};

struct Place {
    server: Server,
    conn: Conn,
}

impl Place {
    async fn with_packet(bytes: usize) -> Self {
        let server = Server::start(Options::default().with(format!("--max-allowed-packet={bytes}"))).unwrap();
        let mut conn = server.conn().await.unwrap();
        for sql in [
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE t (id int PRIMARY KEY, b mediumblob, s mediumtext, l mediumtext CHARACTER SET latin1, \
             u mediumtext CHARACTER SET utf16, j json, n int)",
        ] {
            conn.query_drop(sql).await.unwrap();
        }
        Self { server, conn }
    }

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn all<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Vec<T> {
        self.conn.query(sql).await.unwrap()
    }

    async fn rsc(&self, arguments: &[&str]) -> Ended {
        rsc(&self.server, &[&["--output", "json"], arguments].concat()).run().await
    }

    async fn migrate(&self) -> u64 {
        let ended = self.rsc(&["migrate", "--database", "d", "--table", "t", "--alter", "ADD COLUMN c int"]);
        ended.await.well().last_line()["id"].as_u64().unwrap()
    }

    async fn rows(&mut self) -> Vec<String> {
        let hash = |c: &str| format!("COALESCE(SHA2({c}, 256), '-')");
        let parts = ["b", "s", "l", "u", "CAST(j AS CHAR)", "n"].map(hash).join(", ' ', ");
        self.all(&format!("SELECT CONCAT(id, ' ', {parts}) FROM t ORDER BY id")).await
    }

    /// Long rows of every kind, as nearly as the server lets a value come to its packet.
    async fn write(&mut self, from: u32) {
        let (one, two, three, four) = (from, from + 1, from + 2, from + 3);
        self.run("SET NAMES utf8mb4").await;
        for sql in [
            format!(
                "INSERT INTO t (id, b, s) VALUES ({one}, REPEAT(x'00ff275c', 230400), REPEAT('é日𝄞', 100000))"
            ),
            format!(
                "INSERT INTO t (id, b, n) VALUES ({two}, REPEAT(x'a7', 1048576), 1), ({three}, x'00', 2)"
            ),
            format!("INSERT INTO t (id, l, u) VALUES ({four}, REPEAT('é''', 340000), REPEAT('Ω', 300000))"),
            format!(
                "INSERT INTO t (id, j) SELECT id + 10, JSON_OBJECT('a', REPEAT('é', 450000), 'b', 1.5) FROM t WHERE id = {one}"
            ),
            format!("UPDATE t SET b = REPEAT(x'0102', 500000), n = 3 WHERE id IN ({one}, {three})"),
            format!("UPDATE t SET id = id + 20 WHERE id = {two}"),
            format!("DELETE FROM t WHERE id = {four} AND {from} = 1"),
        ] {
            self.run(&sql).await;
        }
    }
}

#[tokio::test]
async fn rows_that_nearly_fill_a_packet_go_forward_and_back() {
    let mut place = Place::with_packet(1 << 20).await;
    place.write(1).await;
    let id = place.migrate().await.to_string();
    place.write(101).await;
    let written = place.rows().await;
    place.rsc(&["revert", &id]).await.well();
    assert_eq!(place.rows().await, written);
    assert_eq!(written.len(), 9);
    place.write(201).await;
    place.run("UPDATE t SET b = REPEAT(x'fe', 1000001), u = NULL WHERE id IN (1, 104)").await;
    place.run("DELETE FROM t WHERE id BETWEEN 101 AND 103").await;
    let written = place.rows().await;
    place.rsc(&["reapply", &id]).await.well();
    assert_eq!(place.rows().await, written);
    place.rsc(&["complete", &id]).await.well();
}

/// A document of many small values has no long one that could be sent apart.
#[tokio::test]
async fn a_row_that_cannot_be_sent_is_named_and_passes_once_the_server_takes_it() {
    let mut place = Place::with_packet(1 << 20).await;
    let id = place.migrate().await.to_string();
    let numbers = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 60000)";
    place.run("SET SESSION cte_max_recursion_depth = 100000").await;
    place
        .run(&format!(
            "INSERT INTO t (id, j) {numbers} SELECT 7, JSON_ARRAYAGG(CAST(i AS DECIMAL(9, 2))) FROM c"
        ))
        .await;
    let written = place.rows().await;
    let ended = place.rsc(&["revert", &id]).await;
    assert_eq!(ended.code, 5, "{ended:#?}");
    let what = ended.last_line()["reasons"][0]["what"].as_str().unwrap().to_owned();
    assert!(what.contains("the row with the key (7) takes ") && what.contains("1048576"), "{what}");
    let mend = what.split('`').nth(1).unwrap();
    place.run(mend).await;
    place.rsc(&["revert", &id]).await.well();
    assert_eq!(place.rows().await, written);
    let _: Vec<Row> = place.all("SELECT 1").await;
    place.rsc(&["complete", &id]).await.well();
}
