//! What the command line promises: exit codes, errors that say the cause and the next step, and that a refused
//! command has changed nothing.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Ended, bare, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;

/// A schema of its own on the shared server.
struct Place {
    server: &'static Server,
    database: String,
    conn: Conn,
}

const USERS: &str = "CREATE TABLE users (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL, \
                     title varchar(40) NOT NULL DEFAULT '', KEY (name))";

impl Place {
    async fn with(statements: &[&str]) -> Self {
        let server = shared();
        let database = server.fresh_database().await;
        let mut conn = server.conn().await.unwrap();
        conn.query_drop(format!("USE {database}")).await.unwrap();
        for statement in statements {
            conn.query_drop(*statement).await.unwrap();
        }
        Self { server, database, conn }
    }

    async fn with_users() -> Self {
        Self::with(&[
            USERS,
            "INSERT INTO users (name, title) VALUES ('Ada', 'Countess'), ('Grace', 'Admiral')",
        ])
        .await
    }

    /// Large enough that a process can be met while it copies.
    async fn with_many_users() -> Self {
        let many = "INSERT INTO users (name, title) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                    WHERE i < 400) SELECT CONCAT('name ', a.i, ' ', b.i), 'Dr' FROM n a, n b";
        Self::with(&[USERS, many, "ANALYZE TABLE users"]).await
    }

    fn migrate<'a>(&'a self, table: &'a str, alter: &'a str) -> Vec<&'a str> {
        vec!["migrate", "--database", &self.database, "--table", table, "--alter", alter]
    }

    async fn json(&self, arguments: &[&str]) -> Ended {
        rsc(self.server, &[arguments, &["--output", "json"]].concat()).run().await
    }

    /// A change whose new schema serves: its number.
    async fn changed(&self) -> String {
        let done = self.json(&self.migrate("users", "DROP COLUMN title")).await.well().last_line();
        done["id"].to_string()
    }

    /// Every table and view of the schema with its definition, and what the journal knows of the schema.
    async fn everything(&mut self) -> Vec<String> {
        everything(&mut self.conn, &self.database).await
    }

    async fn count(&mut self, what: &str) -> u64 {
        let question = format!("SELECT COUNT(*) FROM {what}");
        self.conn.query_first(question).await.unwrap().unwrap()
    }

    /// `rsc` refuses with `code`, naming `cause` and `next`, in text as in JSON, and nothing is changed.
    async fn refuses(&mut self, arguments: &[&str], code: i32, cause: &str, next: &str) {
        let before = self.everything().await;
        refuses(self.server, arguments, code, cause, next).await;
        assert_eq!(self.everything().await, before, "{arguments:?}");
    }

    async fn state(&self, id: &str) -> String {
        self.json(&["status", id]).await.well().last_line()["state"].as_str().unwrap().to_owned()
    }

    /// Nothing of the change is left but its place in the journal.
    async fn is_tidy(&mut self, id: &str) {
        let leftovers: Vec<String> = self
            .conn
            .query(format!(
                "SELECT TABLE_NAME FROM information_schema.TABLES WHERE (TABLE_SCHEMA = '{}' AND TABLE_NAME LIKE \
                 '\\_rsc%') OR (TABLE_SCHEMA = '_rsc' AND TABLE_NAME = 'stream_{id}')",
                self.database
            ))
            .await
            .unwrap();
        assert_eq!(leftovers, Vec::<String>::new());
    }
}

async fn everything(conn: &mut Conn, database: &str) -> Vec<String> {
    let names: Vec<String> = conn.query(format!("SHOW TABLES FROM {database}")).await.unwrap();
    let mut all = Vec::new();
    for name in names {
        let row: mysql_async::Row =
            conn.query_first(format!("SHOW CREATE TABLE {database}.{name}")).await.unwrap().unwrap();
        all.push(row.get::<String, _>(1).unwrap());
    }
    let sidecar: u64 = conn
        .query_first("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_rsc' AND TABLE_NAME = 'change'")
        .await
        .unwrap()
        .unwrap();
    if sidecar == 1 {
        let changes: Vec<String> = conn
            .query(format!(
                "SELECT CONCAT(id, ' ', state) FROM _rsc.`change` WHERE schema_name = '{database}' ORDER BY id"
            ))
            .await
            .unwrap();
        all.extend(changes);
    }
    all
}

async fn refuses(server: &Server, arguments: &[&str], code: i32, cause: &str, next: &str) {
    let json = rsc(server, &[arguments, &["--output", "json"]].concat()).run().await;
    let error = told(&json, code);
    let reasons = error["reasons"].as_array().unwrap();
    let hit = |reason: &Value| {
        reason["what"].as_str().unwrap().contains(cause) && reason["next"].as_str().unwrap().contains(next)
    };
    assert!(reasons.iter().any(hit), "no {cause:?} with {next:?}: {error:#}");
    let text = rsc(server, arguments).run().await;
    assert_eq!(text.code, code, "{text:#?}");
    for part in ["error: ", "state: "] {
        assert!(text.stderr.contains(part), "no {part:?}: {text:#?}");
    }
    let flat = flat(&text.stderr);
    assert!(flat.contains(cause) && flat.contains(next), "no {cause:?} or no {next:?}: {text:#?}");
}

/// Text without its line breaks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The error of a command that was asked for JSON. Each reason says what happened, the state, and what to do.
fn told(ended: &Ended, code: i32) -> Value {
    assert_eq!(ended.code, code, "{ended:#?}");
    let error = ended.last_line();
    assert_eq!((&error["event"], &error["exit_code"]), (&"error".into(), &code.into()), "{error:#}");
    let reasons = error["reasons"].as_array().unwrap();
    assert!(!reasons.is_empty());
    for reason in reasons {
        for part in ["what", "state", "next"] {
            assert!(reason[part].as_str().is_some_and(|text| !text.is_empty()), "no {part}: {error:#}");
        }
    }
    error
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_refused() {
    let mut place = Place::with_users().await;
    let database = place.database.clone();
    let args = ["migrate", "--database", &database, "--table", "user", "--alter", "DROP COLUMN title"];
    place
        .refuses(&args, 3, &format!("there is no table {database}.user"), "check --database and --table")
        .await;
}

#[tokio::test]
async fn a_view_is_refused() {
    let mut place = Place::with(&[USERS, "CREATE VIEW people AS SELECT * FROM users"]).await;
    let database = place.database.clone();
    let args = ["migrate", "--database", &database, "--table", "people", "--alter", "DROP COLUMN title"];
    place.refuses(&args, 3, "is a view", "name the table behind it").await;
}

#[tokio::test]
async fn a_statement_that_the_server_rejects_is_refused_in_the_servers_words() {
    let mut place = Place::with_users().await;
    let database = place.database.clone();
    for (alter, words) in [
        ("ADD COLUMN age number(3)", "You have an error in your SQL syntax"),
        ("DROP COLUMN titel", "Can't DROP 'titel'; check that column/key exists"),
        ("ADD COLUMN name int", "Duplicate column name 'name'"),
        ("ADD KEY (nothing)", "Key column 'nothing' doesn't exist in table"),
    ] {
        let args = ["migrate", "--database", &database, "--table", "users", "--alter", alter];
        place.refuses(&args, 3, words, "--alter").await;
    }
}

#[tokio::test]
async fn a_statement_that_rsc_cannot_read_is_refused_with_what_to_write_instead() {
    let mut place = Place::with_users().await;
    let database = place.database.clone();
    for (alter, cause, next) in [
        ("DORP COLUMN title", "`DORP COLUMN` is not ALTER TABLE", "only its clauses"),
        ("DROP COLUMN title, AD KEY (name)", "`AD KEY (name)` cannot be read", "check its spelling"),
        ("DROP COLUMN title, RENAME TO people", "a table is not renamed", "leave `RENAME TO people` out"),
        ("DROP COLUMN title, ALGORITHM=INSTANT", "chooses the algorithm itself", "leave `ALGORITHM"),
        ("DROP COLUMN title, LOCK=NONE", "needs no LOCK clause", "leave `LOCK"),
        ("", "the statement is empty", "give an ALTER TABLE"),
        ("ADD COLUMN a varchar(1) DEFAULT 'x", "never closed", "close it"),
        ("TRUNCATE TABLE users", "TRUNCATE TABLE", "mysql client"),
    ] {
        let args = ["migrate", "--database", &database, "--table", "users", "--alter", alter];
        place.refuses(&args, 3, cause, next).await;
    }
}

#[tokio::test]
async fn an_alter_that_changes_nothing_is_refused() {
    let mut place = Place::with_users().await;
    let database = place.database.clone();
    for alter in ["MODIFY COLUMN title varchar(40) NOT NULL DEFAULT ''", "COMMENT = ''"] {
        let args = ["migrate", "--database", &database, "--table", "users", "--alter", alter];
        place.refuses(&args, 3, "changes nothing", "FORCE").await;
    }
}

#[tokio::test]
async fn an_unknown_change_is_refused_by_every_command() {
    let mut place = Place::with_users().await;
    for command in
        [&["status"][..], &["revert"], &["reapply"], &["complete"], &["cancel"], &["migrate", "--resume"]]
    {
        let args = [command, &["987654"]].concat();
        place.refuses(&args, 3, "there is no change 987654", "rsc list").await;
    }
}

#[tokio::test]
async fn a_server_that_rsc_was_never_used_on_has_no_changes() {
    let server = Server::start(Options::default()).unwrap();
    let listed = rsc(&server, &["list"]).run().await.well();
    assert!(listed.stdout.starts_with("no changes on this server\n"), "{listed:#?}");
    assert!(listed.stdout.contains("rsc plan --alter"), "an empty list says what to do: {listed:#?}");
    assert_eq!(rsc(&server, &["list", "--output", "json"]).run().await.well().stdout, "");
    refuses(&server, &["status", "1"], 3, "there is no change 1", "rsc list").await;
    let mut conn = server.conn().await.unwrap();
    let sidecar: Vec<String> = conn.query("SHOW DATABASES LIKE '\\_rsc'").await.unwrap();
    assert_eq!(sidecar, Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_password_is_a_usage_error_that_says_where_passwords_come_from() {
    let place = Place::with_users().await;
    let wrong = rsc(place.server, &["list", "--output", "json"]).env("RSC_PASSWORD", "wrong").run().await;
    let error = told(&wrong, 2);
    assert!(
        error["reasons"][0]["what"].as_str().unwrap().contains("Access denied for user 'rsc'"),
        "{error:#}"
    );
    assert!(error["reasons"][0]["next"].as_str().unwrap().contains("RSC_PASSWORD"), "{error:#}");
    assert!(!wrong.stdout.contains("wrong\"") && !wrong.stderr.contains("wrong"), "{wrong:#?}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_named() {
    let server = Server::start(Options::default()).unwrap();
    server.kill().unwrap();
    let address = format!("127.0.0.1:{}", server.port());
    let migrate = ["migrate", "--alter", "ALTER TABLE shop.users DROP COLUMN title"];
    for command in [&["list"][..], &["status", "1"], &["revert", "1"], &migrate] {
        refuses(&server, command, 2, &address, "check --host and --port").await;
    }
    server.restart().unwrap();
    rsc(&server, &["list"]).run().await.well();
}

#[tokio::test]
async fn every_setting_that_stands_in_the_way_is_named_with_the_statements_that_mend_it() {
    let options = Options::default()
        .with("--enforce-gtid-consistency=OFF")
        .with("--gtid-mode=OFF")
        .with("--binlog-row-image=MINIMAL")
        .with("--binlog-row-value-options=PARTIAL_JSON")
        .with("--binlog-order-commits=OFF")
        .with("--log-replica-updates=OFF")
        .with("--binlog-ignore-db=elsewhere");
    let server = Server::start(options).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE shop").await.unwrap();
    conn.query_drop(format!("USE shop; {USERS}; INSERT INTO users (name) VALUES ('Ada')")).await.unwrap();
    let migrate = ["migrate", "--alter", "ALTER TABLE shop.users DROP COLUMN title", "--output", "json"];
    let before = everything(&mut conn, "shop").await;
    let error = told(&rsc(&server, &migrate).run().await, 3);
    let reasons = error["reasons"].as_array().unwrap();
    let variables = ["binlog_row_image", "binlog_row_value_options", "gtid_mode", "binlog_order_commits"];
    let at_start = ["log_replica_updates", "binlog_ignore_db"];
    for variable in variables.iter().chain(&at_start) {
        assert!(reasons.iter().any(|r| r["what"].as_str().unwrap().contains(variable)), "{error:#}");
    }
    assert_eq!(reasons.len(), variables.len() + at_start.len(), "{error:#}");
    assert_eq!(everything(&mut conn, "shop").await, before);

    let mends = reasons.iter().map(|reason| reason["next"].as_str().unwrap());
    for mend in mends.filter(|mend| !mend.starts_with("start mysqld")) {
        for statement in mend.split(", and ").next().unwrap().split("; ") {
            conn.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
    }
    let error = told(&rsc(&server, &migrate).run().await, 3);
    assert_eq!(error["reasons"].as_array().unwrap().len(), at_start.len(), "{error:#}");
}

#[tokio::test]
async fn a_server_that_logs_statements_is_refused() {
    let server = Server::start(Options::default().with("--binlog-format=STATEMENT")).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop(format!("CREATE DATABASE shop; USE shop; {USERS}")).await.unwrap();
    let migrate = ["migrate", "--alter", "ALTER TABLE shop.users DROP COLUMN title"];
    refuses(&server, &migrate, 3, "binlog_format is STATEMENT", "SET PERSIST binlog_format = ROW").await;
}

#[tokio::test]
async fn a_table_without_a_usable_key_is_refused() {
    let mut place = Place::with(&[
        "CREATE TABLE none (a int NOT NULL, title int)",
        "CREATE TABLE nullable (a int NULL UNIQUE, title int)",
        "CREATE TABLE approximate (a double NOT NULL PRIMARY KEY, title int)",
        "CREATE TABLE prefix (a varchar(100) NOT NULL, title int, UNIQUE KEY (a(10)))",
    ])
    .await;
    let database = place.database.clone();
    for table in ["none", "nullable", "approximate", "prefix"] {
        let args = ["migrate", "--database", &database, "--table", table, "--alter", "DROP COLUMN title"];
        place.refuses(&args, 3, "has no key that identifies a row", "PRIMARY KEY").await;
    }
}

#[tokio::test]
async fn a_change_that_takes_the_key_away_is_refused() {
    let mut place = Place::with(&["CREATE TABLE t (a int NOT NULL PRIMARY KEY, b int)"]).await;
    let database = place.database.clone();
    let args = ["migrate", "--database", &database, "--table", "t", "--alter", "DROP PRIMARY KEY"];
    place.refuses(&args, 3, "key", "").await;
}

#[tokio::test]
async fn foreign_keys_on_either_side_are_refused() {
    let mut place = Place::with(&[
        USERS,
        "CREATE TABLE orders (id int PRIMARY KEY, user bigint, title int, \
         CONSTRAINT buyer FOREIGN KEY (user) REFERENCES users (id))",
    ])
    .await;
    let database = place.database.clone();
    for table in ["users", "orders"] {
        let args = ["migrate", "--database", &database, "--table", table, "--alter", "DROP COLUMN title"];
        place.refuses(&args, 3, "buyer", "DROP FOREIGN KEY").await;
    }
    let args = [
        "migrate",
        "--database",
        &database,
        "--table",
        "users",
        "--alter",
        "ADD FOREIGN KEY (id) REFERENCES x (y)",
    ];
    place.refuses(&args, 3, "foreign keys are not supported", "").await;
}

#[tokio::test]
async fn triggers_are_refused() {
    let mut place = Place::with(&[
        USERS,
        "CREATE TRIGGER shout BEFORE INSERT ON users FOR EACH ROW SET NEW.name = UPPER(NEW.name)",
    ])
    .await;
    let database = place.database.clone();
    let args = ["migrate", "--database", &database, "--table", "users", "--alter", "DROP COLUMN title"];
    place.refuses(&args, 3, "has triggers", &format!("DROP TRIGGER `{database}`.`shout`")).await;
}

#[tokio::test]
async fn a_table_of_another_engine_is_refused() {
    let mut place = Place::with(&["CREATE TABLE t (a int PRIMARY KEY, title int) ENGINE=MyISAM"]).await;
    let database = place.database.clone();
    let args = ["migrate", "--database", &database, "--table", "t", "--alter", "DROP COLUMN title"];
    place.refuses(&args, 3, "MyISAM", "ENGINE=InnoDB").await;
}

#[tokio::test]
async fn tables_of_the_server_and_of_rsc_itself_are_refused() {
    let mut place = Place::with_users().await;
    place.changed().await;
    for (table, column) in [("mysql.user", "User"), ("_rsc.`change`", "reason"), ("MYSQL.user", "User")] {
        let alter = format!("ALTER TABLE {table} DROP COLUMN {column}");
        place.refuses(&["migrate", "--alter", &alter], 3, "", "").await;
    }
}

#[tokio::test]
async fn the_grants_in_the_message_are_the_grants_that_are_missing() {
    let mut place = Place::with_users().await;
    let database = place.database.clone();
    let user = format!("clerk_{database}");
    place.conn.query_drop(format!("CREATE USER '{user}'@'localhost' IDENTIFIED BY 'secret'")).await.unwrap();
    place.conn.query_drop(format!("GRANT SELECT ON {database}.* TO '{user}'@'localhost'")).await.unwrap();
    let port = place.server.port().to_string();
    let before = place.everything().await;
    let clerk = |arguments: &[&str]| {
        let connection = ["--port", &port, "--user", &user, "--output", "json"];
        bare(&[&connection, arguments].concat()).env("RSC_PASSWORD", "secret")
    };
    let migrate = ["migrate", "--database", &database, "--table", "users", "--alter", "DROP COLUMN title"];
    let error = told(&clerk(&migrate).run().await, 3);
    assert_eq!(place.everything().await, before);
    let next = error["reasons"][0]["next"].as_str().unwrap();
    assert!(next.contains("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO"), "{next}");
    for statement in next.split("; ") {
        place.conn.query_drop(statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    let id = clerk(&migrate).run().await.well().last_line()["id"].to_string();
    clerk(&["status", &id]).run().await.well();
    clerk(&["revert", &id]).run().await.well();
    clerk(&["reapply", &id]).run().await.well();
    clerk(&["complete", &id]).run().await.well();
    place.is_tidy(&id).await;
}

#[tokio::test]
async fn a_second_change_of_a_table_is_refused_by_the_number_of_the_first() {
    let mut place = Place::with_users().await;
    let id = place.changed().await;
    let database = place.database.clone();
    let args = ["migrate", "--database", &database, "--table", "users", "--alter", "ADD COLUMN age int"];
    let cause = format!("{database}.users has a change already: {id}, which is revertible");
    place.refuses(&args, 3, &cause, &format!("rsc complete {id}")).await;
    rsc(place.server, &["complete", &id]).run().await.well();
    rsc(place.server, &args).run().await.well();
}

#[tokio::test]
async fn a_value_that_the_new_schema_cannot_hold_ends_with_the_old_table_untouched() {
    let mut place = Place::with_users().await;
    let before = place.everything().await;
    let database = place.database.clone();
    place.conn.query_drop("UPDATE users SET title = 'Countess'").await.unwrap();
    let alter = |clauses| ["migrate", "--database", &database, "--table", "users", "--alter", clauses];
    place.refuses(&alter("MODIFY COLUMN title int"), 3, "'Countess'", "mend the row").await;
    let ended = place.json(&alter("ADD UNIQUE KEY (title)")).await;
    let error = told(&ended, 4);
    assert!(error["reasons"][0]["what"].as_str().unwrap().contains("Duplicate entry"), "{error:#}");
    let id = ended.lines()[0]["id"].to_string();
    assert_eq!(place.state(&id).await, "failed");
    place.is_tidy(&id).await;
    assert_eq!(place.everything().await[0], before[0]);
    assert_eq!(place.count("users").await, 2);
}

#[tokio::test]
async fn without_a_database_or_a_table_or_with_two_of_them_nothing_is_guessed() {
    let mut place = Place::with_users().await;
    let database = place.database.clone();
    let whole = format!("ALTER TABLE {database}.users DROP COLUMN title");
    place
        .refuses(
            &["migrate", "--table", "users", "--alter", "DROP COLUMN title"],
            2,
            "no database",
            "--database",
        )
        .await;
    place
        .refuses(
            &["migrate", "--alter", "ALTER TABLE users DROP COLUMN title"],
            2,
            "no database",
            "--database",
        )
        .await;
    place
        .refuses(
            &["migrate", "--database", &database, "--alter", "DROP COLUMN title"],
            2,
            "no table",
            "--table",
        )
        .await;
    place.refuses(&["migrate", "--table", "orders", "--alter", &whole], 2, "table `users`", "agree").await;
    place
        .refuses(&["migrate", "--database", "other", "--alter", &whole], 2, &format!("`{database}`"), "agree")
        .await;
}

#[tokio::test]
async fn a_command_line_that_cannot_be_read_is_a_usage_error() {
    for arguments in [
        &["migrate"][..],
        &[],
        &["undo", "1"],
        &["revert"],
        &["revert", "one"],
        &["list", "--colour"],
        &["--port", "high", "list"],
        &["migrate", "--alter", "DROP COLUMN a", "--resume", "1"],
        &["migrate", "--alter", "DROP COLUMN a", "--revert-window", "0s"],
        &["migrate", "--alter", "DROP COLUMN a", "--agent", "smith"],
        &["list", "--defaults-file", "/does/not/exist"],
        &["list", "--profile", "x", "--config", "/does/not/exist"],
    ] {
        let ended = bare(arguments).run().await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {ended:#?}");
        assert!(!ended.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_last_line_of_json_says_how_a_change_stands() {
    let mut place = Place::with_users().await;
    let migrated = place.json(&place.migrate("users", "DROP COLUMN title")).await.well().last_line();
    let id = migrated["id"].to_string();
    let reverted = place.json(&["revert", &id]).await.well().last_line();
    let reapplied = place.json(&["reapply", &id]).await.well().last_line();
    let completed = place.json(&["complete", &id]).await.well().last_line();
    for (line, state, serving) in [
        (migrated, "revertible", "new"),
        (reverted, "reverted", "old"),
        (reapplied, "revertible", "new"),
        (completed, "completed", "new"),
    ] {
        assert_eq!(line["event"], "done");
        assert_eq!(line["id"].to_string(), id);
        assert_eq!((&line["state"], &line["serving"]), (&state.into(), &serving.into()));
        assert!(line["freeze_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{line}");
    }
    place.is_tidy(&id).await;
    // Asking for what is so already is no error.
    place.json(&["complete", &id]).await.well();
}

#[tokio::test]
async fn status_and_list_show_a_change_from_its_swap_to_its_end() {
    let place = Place::with_users().await;
    let table = format!("{}.users", place.database);
    let id = place.changed().await;

    let status = place.json(&["status", &id]).await.well().last_line();
    assert_eq!((&status["event"], &status["state"]), (&"status".into(), &"revertible".into()), "{status:#}");
    assert_eq!((&status["table"], &status["serving"]), (&table.as_str().into(), &"new".into()), "{status:#}");
    assert_eq!(status["verdict"]["verdict"], "catching_up", "{status:#}");
    assert_eq!((&status["rows_copied"], &status["owner"]), (&2.into(), &Value::Null), "{status:#}");
    assert!(status["freeze_ms"].as_f64().is_some() && status["window_ends_at"].is_string(), "{status:#}");
    assert_eq!(status["next"], serde_json::json!([format!("rsc revert {id}"), format!("rsc complete {id}")]));

    let shown = rsc(place.server, &["status", &id]).run().await.well().stdout;
    for part in [&format!("change {id} on {table}: revertible"), "new schema", &format!("rsc revert {id}")] {
        assert!(shown.contains(part), "no {part:?}:\n{shown}");
    }
    let line = listed(&place, &id).await;
    assert!(
        line.contains(&table) && line.contains("revertible") && line.contains("DROP COLUMN title"),
        "{line}"
    );

    place.json(&["complete", &id]).await.well();
    let status = place.json(&["status", &id]).await.well().last_line();
    assert_eq!(
        (&status["state"], &status["next"]),
        (&"completed".into(), &serde_json::json!([])),
        "{status:#}"
    );
    assert_eq!(status["verdict"]["verdict"], "impossible", "{status:#}");
    assert!(listed(&place, &id).await.contains("completed"));
    let changes = place.json(&["list"]).await.well().lines();
    let change = changes.iter().find(|line| line["id"].as_u64() == id.parse().ok()).unwrap();
    assert_eq!((&change["event"], &change["owned"]), (&"change".into(), &false.into()), "{change:#}");
}

/// The line of the change in the list for people.
async fn listed(place: &Place, id: &str) -> String {
    let list = rsc(place.server, &["list"]).run().await.well().stdout;
    let mut lines = list.lines().filter(|line| line.split_whitespace().next() == Some(id));
    let line = lines.next().unwrap_or_else(|| panic!("no change {id}:\n{list}"));
    assert_eq!(lines.next(), None);
    line.to_owned()
}

#[tokio::test]
async fn what_ended_or_never_swapped_cannot_be_reverted() {
    let mut place = Place::with_users().await;
    let id = place.changed().await;
    place.json(&["complete", &id]).await.well();
    place.refuses(&["revert", &id], 6, "its old table was dropped", "rsc migrate").await;
    place.refuses(&["reapply", &id], 6, "not kept current", "rsc migrate").await;
    place.refuses(&["cancel", &id], 3, "nothing to cancel", "").await;
    place.refuses(&["migrate", "--resume", &id], 3, "nothing to resume", "rsc migrate").await;
}

/// Ctrl-C while rows are copied; the number of the change.
async fn interrupted_copy(place: &mut Place) -> String {
    let before = place.everything().await;
    let args =
        [&place.migrate("users", "DROP COLUMN title")[..], &["--batch-time", "20ms", "--output", "json"]]
            .concat();
    let mut migrate = rsc(place.server, &args).start();
    migrate.says(r#""state":"copying""#).await;
    migrate.interrupt();
    let ended = migrate.ended().await;
    let error = told(&ended, 130);
    let id = ended.lines()[0]["id"].to_string();
    let next = error["reasons"][0]["next"].as_str().unwrap();
    for command in [format!("rsc migrate --resume {id}"), format!("rsc cancel {id}")] {
        assert!(next.contains(&command), "no {command:?}: {error:#}");
    }
    assert_eq!(place.state(&id).await, "copying");
    assert!(place.everything().await.contains(&before[0]), "the live table was touched");
    place.conn.query_drop("INSERT INTO users (name, title) VALUES ('Savannah', 'Ms')").await.unwrap();
    place.conn.query_drop("UPDATE users SET id = -id WHERE id < 10").await.unwrap();
    place.conn.query_drop("DELETE FROM users WHERE id = 100").await.unwrap();
    id
}

#[tokio::test]
async fn an_interrupted_copy_goes_on_where_it_was() {
    let mut place = Place::with_many_users().await;
    let id = interrupted_copy(&mut place).await;
    place.conn.query_drop("CREATE TABLE expected AS SELECT id, name FROM users").await.unwrap();
    let done = place.json(&["migrate", "--resume", &id]).await.well().last_line();
    assert_eq!((done["id"].to_string(), &done["state"]), (id.clone(), &"revertible".into()));
    let same = "users u JOIN expected e ON e.id = u.id AND e.name = u.name";
    let counts = [place.count("users").await, place.count("expected").await, place.count(same).await];
    assert_eq!(counts, [160_000; 3]);
    place.json(&["complete", &id]).await.well();
    place.is_tidy(&id).await;
}

#[tokio::test]
async fn an_interrupted_copy_is_cleaned_up_by_cancel() {
    let mut place = Place::with_many_users().await;
    let id = interrupted_copy(&mut place).await;
    let done = rsc(place.server, &["cancel", &id]).run().await.well();
    assert!(done.stdout.contains("is as it was"), "{done:#?}");
    assert_eq!(place.state(&id).await, "cancelled");
    place.is_tidy(&id).await;
    assert_eq!(place.count("users WHERE title IN ('Dr', 'Ms')").await, 160_000);
    place.refuses(&["revert", &id], 6, "never swapped", "").await;
    place.refuses(&["complete", &id], 3, "left nothing behind", "").await;
    // The table is free for another change.
    place.changed().await;
}

#[tokio::test]
async fn a_second_process_is_told_who_drives_the_change() {
    let place = Place::with_users().await;
    let args =
        [&place.migrate("users", "DROP COLUMN title")[..], &["--agent", "stay", "--output", "json"]].concat();
    let mut owner = rsc(place.server, &args).start();
    owner.says(r#""state":"revertible""#).await;
    let id = place.json(&["list"]).await.well().lines();
    let id = id.iter().find(|line| line["table"] == format!("{}.users", place.database)).unwrap()["id"]
        .to_string();
    let ended = place.json(&["migrate", "--resume", &id]).await;
    let error = told(&ended, 8);
    assert!(error["reasons"][0]["what"].as_str().unwrap().contains("is driven by process"), "{error:#}");
    assert_eq!(place.json(&["status", &id]).await.well().last_line()["verdict"]["verdict"], "ready");
}

#[tokio::test]
async fn a_process_that_stays_answers_other_processes_and_ends_with_the_change() {
    let mut place = Place::with_users().await;
    let args =
        [&place.migrate("users", "DROP COLUMN title")[..], &["--agent", "stay", "--output", "json"]].concat();
    let mut owner = rsc(place.server, &args).start();
    owner.says(r#""state":"revertible""#).await;
    let started: Value = serde_json::from_str(owner.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].to_string();
    let wishes = [
        ("revert", "reverted", 1),
        ("reapply", "revertible", 0),
        ("revert", "reverted", 1),
        ("complete", "completed", 1),
    ];
    for (number, (verb, state, has_title)) in wishes.into_iter().enumerate() {
        let name = format!("name {number}");
        place.conn.query_drop(format!("INSERT INTO users (name) VALUES ('{name}')")).await.unwrap();
        let ended = place.json(&[verb, &id]).await.well();
        assert_eq!(ended.last_line()["state"], state, "{verb}");
        assert!(ended.took < Duration::from_secs(4), "{verb} took {:?}", ended.took);
        assert!(!ended.stdout.contains(r#""event":"swapped""#), "it did not ask the owner: {ended:#?}");
        let column = format!(
            "information_schema.COLUMNS WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = 'users' AND COLUMN_NAME = 'title'",
            place.database
        );
        assert_eq!(place.count(&column).await, has_title, "{verb}");
        assert_eq!(place.count(&format!("users WHERE name = '{name}'")).await, 1);
    }
    let ended = owner.ended().await.well();
    assert_eq!(ended.last_line()["state"], "completed", "{ended:#?}");
    assert_eq!(place.count("users").await, 6);
    assert_eq!(place.count("users WHERE title IN ('Countess', 'Admiral')").await, 2);
    place.is_tidy(&id).await;
}

#[tokio::test]
async fn an_owner_refuses_what_makes_no_sense() {
    let mut place = Place::with_users().await;
    let args =
        [&place.migrate("users", "DROP COLUMN title")[..], &["--agent", "stay", "--output", "json"]].concat();
    let mut owner = rsc(place.server, &args).start();
    owner.says(r#""state":"revertible""#).await;
    let started: Value = serde_json::from_str(owner.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].to_string();
    place.refuses(&["cancel", &id], 3, "the new schema serves already", "rsc revert").await;
    place.json(&["complete", &id]).await.well();
    owner.ended().await.well();
}

#[tokio::test]
async fn when_a_process_that_stayed_is_interrupted_any_other_can_revert() {
    let mut place = Place::with_users().await;
    let args = [&place.migrate("users", "DROP COLUMN title")[..], &["--agent", "stay"]].concat();
    let mut owner = rsc(place.server, &args).start();
    owner.says("swapped: the new schema serves").await;
    sleep(Duration::from_millis(300)).await;
    owner.interrupt();
    let ended = owner.ended().await;
    assert_eq!(ended.code, 130, "{ended:#?}");
    let id = ended.stdout.split_whitespace().nth(1).unwrap().to_owned();
    assert!(ended.stderr.contains(&format!("rsc revert {id}")), "no way on: {ended:#?}");
    assert_eq!(place.state(&id).await, "revertible");
    place.conn.query_drop("INSERT INTO users (name) VALUES ('Savannah')").await.unwrap();
    assert_eq!(place.json(&["revert", &id]).await.well().last_line()["state"], "reverted");
    assert_eq!(
        place
            .count(
                "users WHERE (name, title) IN (('Ada', 'Countess'), ('Grace', 'Admiral'), ('Savannah', ''))"
            )
            .await,
        3
    );
}

#[tokio::test]
async fn a_span_of_time_that_is_none_is_told_how_to_write_one() {
    for option in ["--batch-time=soon", "--revert-window=soon"] {
        let ended = rsc(shared(), &["migrate", "--alter", "ALTER TABLE d.t FORCE", option]).run().await;
        assert_eq!(ended.code, 2, "{ended:#?}");
        assert!(ended.stderr.contains("a span of time is written like 500ms, 3s or 2h"), "{ended:#?}");
    }
}
