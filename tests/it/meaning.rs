//! Expressions come to what a native ALTER on the same server gives: in any time zone and sql_mode, in the copy, in the
//! stream, and on the way back.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::support::process::{Ended, rsc};
use crate::support::server::{Options, Server};

struct Place {
    server: Server,
    conn: Conn,
}

impl Place {
    async fn new(options: Options) -> Self {
        let server = Server::start(options).unwrap();
        let conn = server.conn().await.unwrap();
        let mut place = Self { server, conn };
        place.run("CREATE DATABASE d").await;
        place
    }

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// The application and rsc come anew.
    async fn set_global(&mut self, assignment: &str) {
        self.run(&format!("SET GLOBAL {assignment}")).await;
        self.conn = self.server.conn().await.unwrap();
    }

    async fn rsc(&self, arguments: &[&str]) -> Ended {
        rsc(&self.server, arguments).run().await
    }

    async fn try_migrate(&self, alter: &str, more: &[&str]) -> Ended {
        let arguments = [
            "--output",
            "json",
            "migrate",
            "--database",
            "d",
            "--table",
            "t",
            "--agent",
            "none",
            "--alter",
            alter,
        ];
        self.rsc(&[&arguments[..], more].concat()).await
    }

    async fn migrate(&self, alter: &str, more: &[&str]) -> String {
        self.try_migrate(alter, more).await.well().last_line()["id"].to_string()
    }

    async fn rows(&mut self, sql: &str) -> Vec<String> {
        self.conn.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    async fn row(&mut self, sql: &str) -> String {
        self.rows(sql).await.join("|")
    }

    /// The table of a native ALTER over the same rows, and rsc's, have the same rows and a sound index.
    async fn as_natively(&mut self, alter: &str, columns: &str) {
        let text = format!("SELECT CONCAT_WS(',', {columns}) FROM d.{{}} ORDER BY 1");
        let of = |table: &str| text.replace("{}", table);
        let (native, own) = (self.rows(&of("native")).await, self.rows(&of("t")).await);
        assert_eq!(own, native, "{alter}");
        self.sound("d.t").await;
    }

    async fn sound(&mut self, table: &str) {
        let checked: Vec<(String, String, String, String)> =
            self.conn.query(format!("CHECK TABLE {table} EXTENDED")).await.unwrap();
        assert!(checked.iter().all(|(_, _, _, text)| text == "OK"), "{checked:?}");
    }
}

/// A zone with the rules of Central Europe in 2024: 01:30 and 00:30 UTC of 27 October are both 02:30 there.
const BERLIN: [&str; 4] = [
    "INSERT INTO mysql.time_zone VALUES (9002, 'N')",
    "INSERT INTO mysql.time_zone_name VALUES ('Test/Berlin', 9002)",
    "INSERT INTO mysql.time_zone_transition_type VALUES (9002, 0, 3600, 0, 'CET'), (9002, 1, 7200, 1, 'CEST')",
    "INSERT INTO mysql.time_zone_transition VALUES (9002, -2147483648, 0), (9002, 1711846800, 1), (9002, 1729990800, 0)",
];

/// The issue's example: rows an hour apart, over the leap and the double hour; forward, stream, back.
async fn expressions_of_a_timestamp(zone: &str, options: Options) {
    const T: &str = "(id INT PRIMARY KEY, ts TIMESTAMP NOT NULL, v INT, d DATE AS (DATE(ts)) STORED, \
         h INT AS (HOUR(ts)) VIRTUAL, KEY (h), CHECK (HOUR(ts) < 24), UNIQUE KEY f ((DATE(ts)), id), \
         made DATE DEFAULT (DATE(v + 20200101)))";
    const ALL: &str = "id, UNIX_TIMESTAMP(ts), v, d, h, made";
    const CHECKED: &str = "id, UNIX_TIMESTAMP(ts), v, d, h, x";
    let mut place = Place::new(options).await;
    for sql in BERLIN {
        place.run(sql).await;
    }
    place.set_global(&format!("time_zone = '{zone}'")).await;
    for table in ["t", "native"] {
        place.run(&format!("CREATE TABLE d.{table} {T}")).await;
    }
    for hour in 0..240 {
        // From 24 October and from 31 March, before the clock leaps.
        let at = if hour < 120 { 1_729_728_000 + hour * 3_600 } else { 1_711_400_000 + hour * 3_600 };
        for table in ["t", "native"] {
            let instant = format!("CONCAT('1970-01-01' + INTERVAL {at} SECOND, '+00:00')");
            place.run(&format!("INSERT INTO d.{table} (id, ts, v) SELECT {hour}, {instant}, 3")).await;
        }
    }
    let refused = place.try_migrate("ADD x INT", &[]).await;
    assert_eq!(refused.code, 3, "{refused:#?}");
    assert!(
        refused.stdout.contains("generated column d reads")
            && refused.stdout.contains("--allow-session-dependent"),
        "{refused:#?}"
    );
    let plan = ["plan", "--database", "d", "--table", "t", "--alter", "ADD x INT"];
    assert_eq!(place.rsc(&plan).await.code, 3);
    assert_eq!(place.rsc(&[&plan[..], &["--allow-session-dependent"]].concat()).await.code, 0);
    let id = place.migrate("ADD x INT", &["--allow-session-dependent", "--postpone-cutover"]).await;
    // The stream, before the swap.
    let written = [
        "UPDATE d.{} SET v = 4, ts = ts WHERE id BETWEEN 50 AND 100",
        "UPDATE d.{} SET id = id + 1000 WHERE id BETWEEN 70 AND 80",
        "UPDATE d.{} SET ts = ts + INTERVAL 1 DAY WHERE id BETWEEN 110 AND 130",
        "DELETE FROM d.{} WHERE id > 200 AND id < 210",
    ];
    for sql in written {
        for table in ["t", "native"] {
            place.run(&sql.replace("{}", table)).await;
        }
    }
    place.rsc(&["cutover", &id]).await.well();
    place.run("ALTER TABLE d.native ADD x INT, ALGORITHM=INPLACE").await;
    place.as_natively("ADD x INT", CHECKED).await;
    // As in faults.md: what would corrupt an index that was computed in another zone.
    for table in ["t", "native"] {
        place.run(&format!("UPDATE d.{table} SET ts = ts + INTERVAL 1 HOUR WHERE id < 40")).await;
        place.run(&format!("UPDATE d.{table} SET v = 9, ts = ts WHERE id BETWEEN 85 AND 105")).await;
        place.run(&format!("DELETE FROM d.{table} WHERE id > 215")).await;
    }
    place.as_natively("writes", CHECKED).await;
    place.rsc(&["revert", &id]).await.well();
    place.as_natively("revert", ALL).await;
    place.run("UPDATE d.t SET ts = ts + INTERVAL 1 HOUR WHERE id < 60").await;
    place.run("DELETE FROM d.t WHERE id > 150").await;
    place.sound("d.t").await;
}

#[tokio::test]
async fn a_timestamp_in_expressions_at_a_fixed_offset() {
    expressions_of_a_timestamp("+03:00", Options::default()).await;
}

#[tokio::test]
async fn a_timestamp_in_expressions_where_the_clock_changes() {
    expressions_of_a_timestamp("Test/Berlin", Options::default()).await;
}

#[tokio::test]
async fn a_timestamp_in_expressions_in_the_zone_of_the_system() {
    expressions_of_a_timestamp("SYSTEM", Options::default().zone("Asia/Kolkata")).await;
}

#[tokio::test]
async fn what_cannot_be_exact_in_a_zone_is_refused_by_name() {
    let mut place = Place::new(Options::default()).await;
    for sql in BERLIN {
        place.run(sql).await;
    }
    place.set_global("time_zone = 'Test/Berlin'").await;
    let allowed = ["--allow-session-dependent"];
    place.run("CREATE TABLE d.t (ts TIMESTAMP PRIMARY KEY, d DATE AS (DATE(ts)) STORED)").await;
    let refused = place.try_migrate("ADD x INT", &allowed).await;
    assert!(refused.code == 3 && refused.stdout.contains("has a TIMESTAMP"), "{refused:#?}");
    place.run("DROP TABLE d.t").await;
    place.run("CREATE TABLE d.t (id INT PRIMARY KEY, ts TIMESTAMP, d DATE AS (DATE(ts)) STORED)").await;
    let refused = place.try_migrate("MODIFY ts TIMESTAMP(3)", &allowed).await;
    assert!(refused.code == 3 && refused.stdout.contains("an hour twice"), "{refused:#?}");
    // Whether a TIMESTAMP is NULL is the same everywhere.
    place.run("DROP TABLE d.t").await;
    place
        .run("CREATE TABLE d.t (id INT PRIMARY KEY, gone TIMESTAMP NULL, UNIQUE KEY f ((IF(gone IS NULL, id, NULL))))")
        .await;
    place.migrate("ADD x INT", &[]).await;
}

/// `NOW()` in a default is the server's clock; natively all rows have the time of the statement.
#[tokio::test]
async fn a_default_that_is_now_is_by_the_servers_clock() {
    for zone in ["+03:00", "-09:30"] {
        let mut place = Place::new(Options::default()).await;
        place.set_global(&format!("time_zone = '{zone}'")).await;
        place
            .run("CREATE TABLE d.t (id INT PRIMARY KEY, ts TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)")
            .await;
        place.run("INSERT INTO d.t (id) VALUES (1)").await;
        let id = place
            .migrate(
                "ADD created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, ADD fine DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) \
                 ON UPDATE CURRENT_TIMESTAMP(3), ADD day DATE DEFAULT (CURDATE()), ADD at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, \
                 ADD later DATETIME DEFAULT (NOW() + INTERVAL 1 DAY)",
                &["--postpone-cutover"],
            )
            .await;
        place.run("INSERT INTO d.t (id) VALUES (2)").await;
        place.run("UPDATE d.t SET id = 3 WHERE id = 1").await;
        place.rsc(&["cutover", &id]).await.well();
        let near = place
            .row(
                "SELECT SUM(ABS(TIMESTAMPDIFF(MINUTE, created, NOW())) < 5 AND ABS(TIMESTAMPDIFF(MINUTE, fine, NOW())) < 5 \
                 AND ABS(TIMESTAMPDIFF(MINUTE, at, NOW())) < 5 AND ABS(DATEDIFF(day, NOW())) < 2 \
                 AND ABS(TIMESTAMPDIFF(MINUTE, later, NOW() + INTERVAL 1 DAY)) < 5) FROM d.t",
            )
            .await;
        assert_eq!(near, "2", "{zone}");
        place.rsc(&["revert", &id]).await.well();
    }
}

/// What a CHAR is, and what `u - 10` may be, in a generated column that is computed anew.
#[tokio::test]
async fn the_sql_mode_of_the_server_computes() {
    let mut place = Place::new(Options::default()).await;
    place
        .set_global("sql_mode = 'PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION,STRICT_TRANS_TABLES,TIME_TRUNCATE_FRACTIONAL'")
        .await;
    const T: &str = "(id INT PRIMARY KEY, c CHAR(20), n INT AS (CHAR_LENGTH(c)) STORED, u INT UNSIGNED DEFAULT 3, \
         g BIGINT AS (u - 10) STORED, CHECK (u - 10 < 100), k INT AS (u - 11) VIRTUAL, KEY (k), s TIME AS (CAST('10:00:00.9' AS TIME)) STORED)";
    for table in ["t", "native"] {
        place.run(&format!("CREATE TABLE d.{table} {T}")).await;
        place.run(&format!("INSERT INTO d.{table} (id, c) VALUES (1, 'ab'), (2, 'abc')")).await;
    }
    let id =
        place.migrate("ADD x VARCHAR(9) DEFAULT 'a', CHANGE c c VARCHAR(20)", &["--postpone-cutover"]).await;
    for table in ["t", "native"] {
        place.run(&format!("UPDATE d.{table} SET u = 5 WHERE id = 1")).await;
        place.run(&format!("INSERT INTO d.{table} (id, c) VALUES (3, 'x')")).await;
    }
    place
        .run("ALTER TABLE d.native ADD x VARCHAR(9) DEFAULT 'a', CHANGE c c VARCHAR(20), ALGORITHM=COPY")
        .await;
    place.rsc(&["cutover", &id]).await.well();
    place.as_natively("CHAR to VARCHAR", "id, HEX(c), n, u, g, k, s, x").await;
    place.run("UPDATE d.t SET u = 6 WHERE id = 2").await;
    place.rsc(&["revert", &id]).await.well();
    assert_eq!(
        place.row("SELECT CONCAT_WS(',', id, n, u, g, k) FROM d.t ORDER BY id").await,
        "1,20,5,-5,-6|2,20,6,-4,-5|3,20,3,-7,-8"
    );
    place.sound("d.t").await;
}

#[tokio::test]
async fn a_server_that_is_not_strict_takes_what_it_takes_natively() {
    let mut place = Place::new(Options::default()).await;
    place.set_global("sql_mode = ''").await;
    place.run("CREATE TABLE d.t (id INT PRIMARY KEY, name VARCHAR(9), z DATE, g VARCHAR(5) AS (CONCAT(name, name)) STORED, q INT AS (5 / id) STORED)").await;
    place
        .run("INSERT INTO d.t (id, name, z) VALUES (1, 'abcdef', '0000-00-00'), (0, 'x', '2024-00-00')")
        .await;
    place.run("CREATE TABLE d.native LIKE d.t").await;
    place.run("INSERT INTO d.native (id, name, z) SELECT id, name, z FROM d.t").await;
    let plan = ["plan", "--database", "d", "--table", "t", "--alter", "ADD x INT"];
    assert_eq!(place.rsc(&plan).await.code, 0);
    let id = place.migrate("ADD x INT", &[]).await;
    place.run("ALTER TABLE d.native ADD x INT").await;
    place.as_natively("ADD x INT", "id, name, z, g, IFNULL(q, 'NULL')").await;
    place.run("UPDATE d.t SET name = 'ghijkl' WHERE id = 1").await;
    place.rsc(&["revert", &id]).await.well();
    assert_eq!(place.row("SELECT g FROM d.t WHERE id = 1").await, "ghijk");
    // A conversion that would change a value without a word is refused before anything is touched.
    let refused = place.try_migrate("MODIFY name VARCHAR(3)", &[]).await;
    assert!(refused.code == 3, "{refused:#?}");
}

/// The statement is read as the session reads it that runs it.
#[tokio::test]
async fn the_statement_is_read_in_the_servers_sql_mode() {
    let mut place = Place::new(Options::default()).await;
    place.set_global("sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,STRICT_TRANS_TABLES'").await;
    place.run("CREATE TABLE d.t (id INT PRIMARY KEY, v INT, CONSTRAINT v_ok CHECK (v > 0))").await;
    place.run("INSERT INTO d.t VALUES (1, 1)").await;
    let id = place.migrate(r#"DROP CHECK "v_ok", ADD COLUMN "a\" INT COMMENT 'x\', COMMENT='y\'"#, &[]).await;
    assert_eq!(
        place.row("SELECT COLUMN_COMMENT FROM information_schema.COLUMNS WHERE COLUMN_NAME = 'a\\'").await,
        "x\\"
    );
    place.rsc(&["revert", &id]).await.well();
    place.rsc(&["complete", &id]).await.well();
    place.migrate("ADD COLUMN joined VARCHAR(20) AS (v || '-' || id) STORED", &[]).await;
    assert_eq!(place.row("SELECT joined FROM d.t").await, "1-1");
}

#[tokio::test]
async fn a_definition_may_need_another_sql_mode() {
    let mut place = Place::new(Options::default()).await;
    place.run("CREATE TABLE d.t (id INT PRIMARY KEY)").await;
    place.run("INSERT INTO d.t VALUES (1)").await;
    let alter = "ADD born DATE NOT NULL DEFAULT '0000-00-00'";
    assert_eq!(place.try_migrate(alter, &[]).await.code, 3);
    let wrong = place.try_migrate(alter, &["--sql-mode", "NO_SUCH_MODE"]).await;
    assert!(wrong.code == 2 && wrong.stdout.contains("NO_SUCH_MODE"), "{wrong:#?}");
    let plan =
        ["plan", "--database", "d", "--table", "t", "--alter", alter, "--sql-mode", "STRICT_TRANS_TABLES"];
    assert_eq!(place.rsc(&plan).await.code, 0);
    let id = place.migrate(alter, &["--sql-mode", "STRICT_TRANS_TABLES", "--postpone-cutover"]).await;
    place.run("INSERT INTO d.t VALUES (2)").await;
    place.rsc(&["cutover", &id]).await.well();
    assert_eq!(place.row("SELECT CONCAT(id, born) FROM d.t").await, "10000-00-00|20000-00-00");
    place.run("SET sql_mode = ''").await;
    place.run("INSERT INTO d.t VALUES (3, '0000-00-00')").await;
    place.rsc(&["revert", &id]).await.well();
    place.rsc(&["reapply", &id]).await.well();
    assert_eq!(place.row("SELECT COUNT(*) FROM d.t WHERE born = 0").await, "3");
}

/// Another zone would give other values than those that are there.
#[tokio::test]
async fn a_zone_that_changes_in_the_middle_stops_the_change() {
    let mut place = Place::new(Options::default()).await;
    place.set_global("time_zone = '+03:00'").await;
    place.run("CREATE TABLE d.t (id INT PRIMARY KEY, ts TIMESTAMP, d DATE AS (DATE(ts)) STORED)").await;
    let id = place.migrate("ADD x INT", &["--allow-session-dependent"]).await;
    place.set_global("time_zone = '+04:00'").await;
    let stopped = place.rsc(&["revert", &id]).await;
    assert!(stopped.code != 0 && stopped.stderr.contains("SET GLOBAL time_zone = '+03:00'"), "{stopped:#?}");
    place.set_global("time_zone = '+03:00'").await;
    place.rsc(&["revert", &id]).await.well();
}
