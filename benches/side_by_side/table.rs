//! The table that is changed, and the server that it is on.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::Outcome;
use crate::server::{Options, Server};

/// What a table's rows look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// About 180 bytes, three secondary indexes, one of them unique.
    Usual,
    /// 200 columns.
    Wide,
    /// 1 KiB a row.
    Long,
}

/// `RSC_BENCH_MYSQLD` adds options to mysqld's command line, separated by spaces.
pub fn start(buffer_pool: &str) -> Outcome<Server> {
    let options = Options::default()
        .with(format!("--innodb-buffer-pool-size={buffer_pool}"))
        .with("--innodb-redo-log-capacity=4G")
        .with("--performance-schema=ON")
        .with("--binlog-expire-logs-seconds=0");
    let more = std::env::var("RSC_BENCH_MYSQLD").unwrap_or_default();
    Ok(Server::start(more.split_whitespace().fold(options, |options, option| options.with(option)))?)
}

/// Rows per statement while a table is filled.
const CHUNK: u64 = 100_000;

/// Makes `bench.t` with `rows` rows.
pub async fn fill(server: &Server, shape: Shape, rows: u64) -> Outcome<()> {
    let mut conn = server.conn().await?;
    conn.query_drop("DROP DATABASE IF EXISTS bench; CREATE DATABASE bench").await?;
    conn.query_drop("USE bench").await?;
    conn.query_drop("SET SESSION cte_max_recursion_depth = 10000000").await?;
    let (columns, values, keys) = columns(shape);
    conn.query_drop(format!("CREATE TABLE t ({columns})")).await?;
    let mut first = 1;
    while first <= rows {
        let last = (first + CHUNK - 1).min(rows);
        conn.query_drop(format!(
            "INSERT INTO t WITH RECURSIVE c(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM c WHERE i < {last}) \
             SELECT {values} FROM c"
        ))
        .await?;
        first = last + 1;
    }
    if !keys.is_empty() {
        conn.query_drop(format!("ALTER TABLE t {keys}")).await?;
    }
    conn.query_drop("ANALYZE TABLE t").await?;
    Ok(())
}

fn columns(shape: Shape) -> (String, String, String) {
    match shape {
        Shape::Usual => (
            "id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, user_id bigint NOT NULL, email varchar(60) NOT NULL, \
             status tinyint NOT NULL, amount decimal(12,2) NOT NULL, created datetime(3) NOT NULL, \
             note varchar(200) NULL"
                .into(),
            // Users and addresses in no order, as everywhere; times as they came.
            "i, CRC32(i) % 1000003, CONCAT(LEFT(SHA2(i, 256), 20), '@example.com'), i % 5, i % 100000 / 100, \
             '2026-01-01' + INTERVAL i SECOND, REPEAT(CHAR(97 + i % 26), 60 + i % 60)"
                .into(),
            "ADD UNIQUE KEY by_email (email), ADD KEY by_user (user_id), ADD KEY by_time (created, status)".into(),
        ),
        Shape::Wide => {
            let names = (1..200).map(|n| format!("c{n} int NULL"));
            let values = (1..200).map(|n| format!("i % {}", n + 1));
            (
                std::iter::once("id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY".into())
                    .chain(names)
                    .collect::<Vec<_>>()
                    .join(", "),
                std::iter::once("i".into()).chain(values).collect::<Vec<_>>().join(", "),
                "ADD KEY by_c7 (c7)".into(),
            )
        }
        Shape::Long => (
            "id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, n int NOT NULL, body varchar(2000) NOT NULL".into(),
            "i, i % 1000, REPEAT(CHAR(97 + i % 26), 1000)".into(),
            "ADD KEY by_n (n)".into(),
        ),
    }
}

/// Waits until the server has cleaned up after what was before, so that it does not count for what comes.
pub async fn settle(server: &Server) -> Outcome<()> {
    let mut conn: Conn = server.conn().await?;
    for _ in 0..120 {
        let history: Option<u64> = conn
            .query_first(
                "SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'",
            )
            .await?;
        if history.unwrap_or(0) < 1_000 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    conn.query_drop("PURGE BINARY LOGS BEFORE NOW()").await?;
    Ok(())
}
