//! A server whose settings are not MySQL's own: every session variable is known, and none changes what rsc does.
//!
//! `RSC_BLESS=1 cargo test --test it variables` writes docs/assumptions.md anew.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rsc::session::variables::{Rule, VARIABLES, Variable};

use crate::support::process::{Ended, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;

/// The variables that `SELECT @@SESSION.name` takes; of the others the server says that they are global.
async fn of_a_session(conn: &mut Conn) -> BTreeSet<String> {
    const GLOBAL_ONLY: u16 = 1238;
    let all: Vec<String> =
        conn.query_map("SHOW SESSION VARIABLES", |(name, _): (String, String)| name).await.unwrap();
    let mut found = BTreeSet::new();
    for name in all {
        match conn.query_drop(format!("SELECT @@SESSION.`{}`", name.replace('.', "`.`"))).await {
            Ok(()) => drop(found.insert(name.to_lowercase())),
            Err(mysql_async::Error::Server(error)) if error.code == GLOBAL_ONLY => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
    found
}

#[tokio::test]
async fn every_session_variable_of_the_server_is_in_the_list() {
    let mut conn = shared().conn().await.unwrap();
    let found = of_a_session(&mut conn).await;
    let listed: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.into()).collect();
    let unknown: Vec<_> = found.difference(&listed).collect();
    assert!(unknown.is_empty(), "say in src/session/variables.rs what rsc does about {unknown:?}");
    let there = |variable: &&Variable| !variable.elsewhere && !found.contains(variable.name);
    let gone: Vec<_> = VARIABLES.iter().filter(there).map(|variable| variable.name).collect();
    assert!(gone.is_empty(), "the server has no session variable of the name: {gone:?}");
}

/// The page without the list.
const HEAD: &str = include_str!("data/assumptions_head.md");

fn page() -> String {
    let mut text = HEAD.to_owned();
    let mut table = |title: &str, of: &dyn Fn(&Rule) -> Option<String>| {
        let rows: Vec<_> = VARIABLES.iter().filter_map(|v| Some((v, of(&v.rule)?))).collect();
        write!(text, "\n## {title}\n\n| variable | value | why |\n|---|---|---|\n").unwrap();
        for (variable, value) in rows {
            let elsewhere = if variable.elsewhere { " (not on every server)" } else { "" };
            writeln!(text, "| `{}`{elsewhere} | {value} | {} |", variable.name, variable.why).unwrap();
        }
    };
    let quoted = |value: &str| format!("`{value}`");
    table("Pinned in every session", &|rule| match rule {
        Rule::Pinned(value) => Some(quoted(value)),
        _ => None,
    });
    table("Pinned in rsc's own sessions; the server's for your statement", &|rule| match rule {
        Rule::Own(value) => Some(quoted(value)),
        _ => None,
    });
    table(
        "Pinned where nothing of the table is computed; the server's where something is",
        &|rule| match rule {
            Rule::Control(value) if value.starts_with("CONCAT(") => Some("see below".into()),
            Rule::Control(value) => Some(quoted(value)),
            _ => None,
        },
    );
    table("Kept from the server", &|rule| (*rule == Rule::Kept).then(|| "the server's".into()));
    table("Without effect", &|rule| (*rule == Rule::Inert).then(|| "any".into()));
    text
}

#[test]
fn the_page_of_assumptions_is_made_from_the_list() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/assumptions.md");
    if std::env::var_os("RSC_BLESS").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let blessed = fs::read_to_string(&path).unwrap_or_default();
    assert!(page() == blessed, "if the list is right, RSC_BLESS=1 cargo test --test it variables");
}

struct Place {
    server: Server,
    conn: Conn,
}

impl Place {
    async fn new(options: Options) -> Self {
        let server = Server::start(options).unwrap();
        let conn = server.conn().await.unwrap();
        Self { server, conn }
    }

    async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    async fn rsc(&self, arguments: &[&str]) -> Ended {
        rsc(&self.server, arguments).run().await
    }

    /// Without an agent; the change's number.
    async fn migrate(&self, table: &str, alter: &str) -> String {
        let arguments = [
            "--output",
            "json",
            "migrate",
            "--database",
            "d",
            "--table",
            table,
            "--agent",
            "none",
            "--alter",
        ];
        let ended = self.rsc(&[&arguments[..], &[alter]].concat()).await.well();
        ended.last_line()["id"].to_string()
    }

    async fn rows(&mut self, sql: &str) -> Vec<String> {
        self.conn.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }
}

/// All that a server can be told to make a session strange, at once: none of it may show.
const STRANGE: &[&str] = &[
    "sql_select_limit = 3",
    "max_join_size = 10",
    "sql_big_selects = 0",
    "autocommit = 0",
    "completion_type = 1",
    "sql_quote_show_create = 0",
    "transaction_read_only = 1",
    "transaction_isolation = 'SERIALIZABLE'",
    "show_gipk_in_create_table_and_information_schema = OFF",
    "sql_safe_updates = 1",
    "sql_auto_is_null = 1",
    "max_execution_time = 1",
    "lc_messages = 'de_DE'",
    "sql_notes = 0",
    "max_error_count = 0",
    "max_sort_length = 8",
    "group_concat_max_len = 4",
    "character_set_client = latin1",
    "character_set_results = latin1",
    "collation_connection = latin1_german1_ci",
    "character_set_server = latin1",
    "div_precision_increment = 1",
    "default_week_format = 3",
    "lc_time_names = 'de_DE'",
    "foreign_key_checks = 0",
    "unique_checks = 0",
    "lock_wait_timeout = 1",
    "default_storage_engine = MyISAM",
    "default_tmp_storage_engine = MyISAM",
    "old_alter_table = 1",
    "terminology_use_previous = BEFORE_8_0_26",
    "wait_timeout = 3",
];

#[tokio::test]
async fn no_setting_of_the_server_changes_a_change() {
    let mut place = Place::new(Options::default()).await;
    place.run("CREATE DATABASE d").await;
    place.run("SET SESSION cte_max_recursion_depth = 10000").await;
    let others: Vec<String> = (1..80).map(|i| format!("c{i} INT DEFAULT {i}")).collect();
    place
        .run(&format!(
            "CREATE TABLE d.t (id INT PRIMARY KEY, name VARCHAR(80), v INT, e ENUM('ä','ö'), {}, KEY (name), KEY (v))",
            others.join(", ")
        ))
        .await;
    let made = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) \
         SELECT i, CONCAT('n', i), i % 7, 'ö' FROM n";
    place.run(&format!("INSERT INTO d.t (id, name, v, e) {made}")).await;
    place.run("SET SESSION sql_generate_invisible_primary_key = ON").await;
    place.run("CREATE TABLE d.gipk (a INT, b INT UNIQUE)").await;
    place.run("INSERT INTO d.gipk VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5)").await;
    for setting in STRANGE {
        place.run(&format!("SET GLOBAL {setting}")).await;
    }
    place.run("SET GLOBAL init_connect = 'SET autocommit = 0, NAMES latin1; START TRANSACTION'").await;
    let sums =
        "SELECT CONCAT_WS(',', COUNT(*), SUM(id), SUM(v), SUM(c1 + c79), COUNT(name), SUM(e = 'ö')) FROM d.t";
    let before = place.rows(sums).await;
    let id = place.migrate("t", "DROP COLUMN c2, ADD COLUMN x INT DEFAULT 5").await;
    assert_eq!(place.rows(sums).await, before);
    place.run("UPDATE d.t SET v = v + 1 WHERE id <= 50").await;
    place.run("INSERT INTO d.t (id, name, v, e) VALUES (1001, 'late', 3, 'ä')").await;
    place.run("COMMIT").await;
    place.rsc(&["list"]).await.well();
    place.rsc(&["status", &id]).await.well();
    place.rsc(&["revert", &id]).await.well();
    assert_eq!(
        place.rows("SELECT CONCAT_WS(',', COUNT(*), SUM(c2), MAX(x.i)) FROM d.t, (SELECT 1 i) x").await,
        ["901,1802,1"]
    );
    place.rsc(&["complete", &id]).await.well();
    let id = place.migrate("gipk", "ADD COLUMN c INT").await;
    place.run("INSERT INTO d.gipk (a, b) VALUES (6, 6)").await;
    place.rsc(&["revert", &id]).await.well();
    assert_eq!(
        place.rows("SELECT CONCAT_WS(',', COUNT(*), SUM(my_row_id), SUM(a)) FROM d.gipk").await,
        ["6,21,21"]
    );
}

/// `completion_type = 2` ends a connection behind each COMMIT.
#[tokio::test]
async fn a_release_behind_each_commit_is_pinned() {
    let mut place = Place::new(Options::default().with("--completion-type=RELEASE")).await;
    place.run("SET SESSION completion_type = 0").await;
    place.run("CREATE DATABASE d").await;
    place.run("CREATE TABLE d.t (id INT PRIMARY KEY, v INT, KEY (v))").await;
    place.run("INSERT INTO d.t VALUES (1, 1), (2, 2)").await;
    let id = place.migrate("t", "ADD COLUMN x INT").await;
    place.rsc(&["revert", &id]).await.well();
    place.rsc(&["complete", &id]).await.well();
}
