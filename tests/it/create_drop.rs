//! CREATE TABLE and DROP TABLE as changes: forward, back and forward again with the rows that are written meanwhile, what
//! is refused, and what is in the way. Whatever is lost at whatever statement: create_drop_faults.rs.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
#[cfg(debug_assertions)]
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::process::{Ended, Running, bare, rsc, rsc_as};
use crate::support::server::account::Account;
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

const T: &str = "id int NOT NULL AUTO_INCREMENT PRIMARY KEY, a int, note varchar(20), KEY by_a (a), CHECK (a < 1000), \
                 CONSTRAINT some_note CHECK (note <> 'x')";

/// A schema with nothing in it.
async fn nothing() -> Table {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    Table::shared(conn, schema)
}

async fn filled() -> Table {
    let mut table = Table::create(T).await;
    table.fill("a, note", "i, CONCAT('n', i)", 100).await;
    table
}

fn start(table: &Table, verb: &str, statement: &str, more: &[&str]) -> Running {
    let words = ["--output", "json", verb, "--database", &table.schema, "--alter", statement];
    rsc(shared(), &[&words[..], more].concat()).start()
}

async fn ask(table: &Table, verb: &str, statement: &str, more: &[&str]) -> Ended {
    start(table, verb, statement, more).ended().await
}

async fn migrated(table: &Table, statement: &str, more: &[&str]) -> u64 {
    let done = ask(table, "migrate", statement, more).await.well().last_line();
    done["id"].as_u64().unwrap_or_else(|| panic!("{done:#}"))
}

fn id(running: &Running) -> u64 {
    let started: Value = serde_json::from_str(running.stdout().lines().next().unwrap()).unwrap();
    started["id"].as_u64().unwrap()
}

async fn rows(table: &mut Table, name: &str) -> Vec<(u64, Option<i64>, Option<String>)> {
    table.all(&format!("SELECT * FROM {name} ORDER BY id")).await
}

async fn definition(table: &mut Table, name: &str) -> String {
    let (_, create): (String, String) = table.all(&format!("SHOW CREATE TABLE {name}")).await.remove(0);
    create
}

async fn status(table: &Table, id: u64) -> Value {
    table.ask("status", id).await.well().last_line()
}

fn reasons(ended: &Ended) -> Vec<(String, String)> {
    let error = ended.last_line();
    assert_eq!(error["event"], "error", "{ended:#?}");
    let text = |reason: &Value, field: &str| reason[field].as_str().unwrap().to_owned();
    let reasons = error["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| (text(reason, "what"), text(reason, "next"))).collect()
}

fn says(ended: &Ended, code: i32, pieces: &[&str]) {
    assert_eq!(ended.code, code, "{ended:#?}");
    for piece in pieces {
        assert!(ended.stdout.contains(piece), "no {piece:?}: {ended:#?}");
    }
}

#[tokio::test]
async fn a_dropped_table_is_away_and_comes_back_with_every_row() {
    let mut table = filled().await;
    table.run("CREATE TABLE log (id int)").await;
    table.run("CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO log VALUES (NEW.id)").await;
    let (before, written) = (definition(&mut table, "t").await, rows(&mut table, "t").await);

    let id = migrated(&table, "DROP TABLE t", &[]).await;
    let kept = format!("_rsc{id}_t_old");
    assert_eq!(table.tables().await, [kept.clone(), "log".into()]);
    assert_eq!(rows(&mut table, &kept).await, written);
    let seen = status(&table, id).await;
    assert_eq!((&seen["state"], &seen["serving"]), (&"revertible".into(), &"new".into()), "{seen:#}");
    assert_eq!((&seen["kind"], &seen["kept"]), (&"drop".into(), &json!(format!("{}.{kept}", table.schema))));
    assert_eq!(seen["verdict"]["verdict"], "ready");
    assert_eq!(seen["next"], json!([format!("rsc revert {id}"), format!("rsc complete {id}")]));

    let mut written = written;
    for _ in 0..3 {
        let back = table.ask("revert", id).await.well().last_line();
        assert_eq!((&back["state"], &back["serving"]), (&"reverted".into(), &"old".into()));
        assert_eq!(definition(&mut table, "t").await, before);
        assert_eq!(rows(&mut table, "t").await, written);
        table.run("UPDATE t SET a = a + 1, note = 'back' WHERE id % 7 = 0").await;
        table.run("DELETE FROM t WHERE id % 11 = 1").await;
        written = rows(&mut table, "t").await;
        table.asked("reapply", id).await;
        assert_eq!(rows(&mut table, &kept).await, written);
    }
    // The trigger went along, and so did the counter.
    table.asked("revert", id).await;
    table.run("INSERT INTO t (a) VALUES (7)").await;
    assert!(before.contains(&format!("AUTO_INCREMENT={} ", table.all::<u64>("SELECT id FROM log").await[0])));
    table.asked("reapply", id).await;
    let done = table.ask("complete", id).await.well().last_line();
    assert_eq!((&done["state"], &done["serving"]), (&"completed".into(), &"new".into()));
    assert_eq!(table.tables().await, ["log"]);
    says(&table.ask("revert", id).await, 6, &["what it kept is dropped"]);
}

#[tokio::test]
async fn a_created_table_is_taken_away_with_its_rows_and_brought_back_with_them() {
    let mut table = nothing().await;
    let id = migrated(&table, &format!("CREATE TABLE t ({T}) COMMENT 'of rsc'"), &[]).await;
    assert_eq!(table.tables().await, ["t"]);
    let made = definition(&mut table, "t").await;
    // What is made under another name and renamed is what the statement makes.
    table
        .run(&format!(
            "CREATE DATABASE {0}_native; CREATE TABLE {0}_native.t ({T}) COMMENT 'of rsc'",
            table.schema
        ))
        .await;
    let native = format!("{}_native.t", table.schema);
    assert_eq!(made, definition(&mut table, &native).await);

    table.fill("a, note", "i, 'first'", 50).await;
    let kept = format!("_rsc{id}_t_new");
    for turn in 0..3 {
        let written = rows(&mut table, "t").await;
        table.asked("revert", id).await;
        assert_eq!(table.tables().await, std::slice::from_ref(&kept));
        assert_eq!(rows(&mut table, &kept).await, written);
        let seen = status(&table, id).await;
        assert_eq!((&seen["state"], &seen["serving"]), (&"reverted".into(), &"old".into()), "{seen:#}");
        table.asked("reapply", id).await;
        assert_eq!(rows(&mut table, "t").await, written);
        table.run(&format!("INSERT INTO t (a, note) VALUES ({turn}, 'more')")).await;
        table.run("DELETE FROM t ORDER BY id LIMIT 3").await;
    }
    let written = rows(&mut table, "t").await;
    let done = table.ask("complete", id).await.well().last_line();
    assert_eq!((&done["state"], &done["serving"]), (&"completed".into(), &"new".into()));
    assert_eq!((table.tables().await, rows(&mut table, "t").await), (vec!["t".to_owned()], written));
    // It stays for good, and goes by another change.
    says(&table.ask("revert", id).await, 6, &["DROP TABLE"]);
    let other = migrated(&table, "DROP TABLE t", &[]).await;
    table.asked("complete", other).await;
    assert_eq!(table.tables().await, Vec::<String>::new());
}

#[tokio::test]
async fn complete_after_a_revert_drops_what_was_created_and_keeps_what_was_to_be_dropped() {
    let mut table = nothing().await;
    let created = migrated(&table, "CREATE TABLE t (id int PRIMARY KEY)", &[]).await;
    table.asked("revert", created).await;
    table.asked("complete", created).await;
    assert_eq!(table.tables().await, Vec::<String>::new());

    let mut table = filled().await;
    let written = rows(&mut table, "t").await;
    let dropped = migrated(&table, "DROP TABLE t", &[]).await;
    table.asked("revert", dropped).await;
    table.asked("complete", dropped).await;
    assert_eq!((table.tables().await, rows(&mut table, "t").await), (vec!["t".to_owned()], written));
}

#[tokio::test]
async fn what_is_so_already_is_no_change() {
    let mut table = filled().await;
    let (before, written) = (definition(&mut table, "t").await, rows(&mut table, "t").await);
    let changes = format!("SELECT COUNT(*) FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    migrated(&nothing().await, "CREATE TABLE so_that_there_is_a_journal (a int)", &[]).await;
    for (statement, why) in [
        ("DROP TABLE IF EXISTS u", "there is no table"),
        ("CREATE TABLE IF NOT EXISTS t (other int)", "there is a table"),
        ("CREATE TABLE IF NOT EXISTS t LIKE u", "there is a table"),
    ] {
        let done = ask(&table, "migrate", statement, &[]).await.well();
        assert_eq!(done.lines().len(), 1, "{statement}: {done:#?}");
        assert_eq!(done.last_line()["event"], "nothing_to_do", "{statement}: {done:#?}");
        assert!(done.last_line()["why"].as_str().unwrap().starts_with(why), "{statement}: {done:#?}");
        let plan = ask(&table, "plan", statement, &["--require-lossless"]).await.well().last_line();
        assert_eq!(
            (&plan["possible"], &plan["strategy"]["name"]),
            (&true.into(), &"none".into()),
            "{plan:#}"
        );
    }
    assert_eq!(table.all::<u64>(&changes).await, [0]);
    assert_eq!((definition(&mut table, "t").await, rows(&mut table, "t").await), (before, written));
    assert_eq!(table.tables().await, ["t"]);
    // Without IF it is a mistake, and where it is not so the condition does not matter.
    says(
        &ask(&table, "migrate", "DROP TABLE u", &[]).await,
        3,
        &["there is no table", "nothing was touched"],
    );
    says(
        &ask(&table, "migrate", "CREATE TABLE t (a int)", &[]).await,
        3,
        &["already", "nothing was touched"],
    );
    migrated(&table, "CREATE TABLE IF NOT EXISTS u LIKE t", &[]).await;
    migrated(&table, "DROP TABLE IF EXISTS t", &[]).await;
    assert!(table.tables().await.contains(&"u".to_owned()));
}

/// A server that rsc has never been to is left as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_op_makes_no_journal() {
    let server = Server::start(Options::default()).unwrap();
    let done = rsc(&server, &["migrate", "--alter", "DROP TABLE IF EXISTS d.t"]).run().await.well();
    assert_eq!(done.stdout, "nothing to do: there is no table d.t\n");
    let schemas: Vec<String> =
        server.conn().await.unwrap().query("SHOW DATABASES LIKE '\\_rsc'").await.unwrap();
    assert_eq!(schemas, Vec::<String>::new());
}

#[tokio::test]
async fn every_reason_is_named_by_plan_as_by_migrate() {
    let mut table = nothing().await;
    table
        .run(
            "CREATE TABLE parent (id int PRIMARY KEY); \
             CREATE TABLE child (id int PRIMARY KEY, p int, CONSTRAINT to_parent FOREIGN KEY (p) REFERENCES parent (id)); \
             CREATE TABLE other (p int, CONSTRAINT also FOREIGN KEY (p) REFERENCES parent (id)); \
             CREATE TABLE slow (a int) ENGINE=MyISAM; CREATE TABLE plain (a int); CREATE VIEW seen AS SELECT 1 AS a; \
             CREATE TABLE `_rsc77_t_old` (a int)",
        )
        .await;
    let long = "n".repeat(60);
    let too_long = "n".repeat(65);
    let [check, name] =
        [format!("CREATE TABLE {long} (a int CHECK (a > 0))"), format!("CREATE TABLE {too_long} (a int)")];
    let before = table.tables().await;
    for (statement, pieces) in [
        (
            "DROP TABLE parent",
            &[&[
                "foreign keys of other tables point at",
                "to_parent",
                "also",
                "DROP FOREIGN KEY `to_parent`",
            ][..]][..],
        ),
        ("DROP TABLE child", &[&["has foreign keys", "to_parent", "DROP FOREIGN KEY `to_parent`"]]),
        ("DROP TABLE plain, other", &[&["about one table", "a change of its own"]]),
        ("DROP TEMPORARY TABLE plain", &[&["temporary table"]]),
        ("DROP TABLE seen", &[&["is a view", "DROP VIEW"]]),
        ("DROP TABLE slow", &[&["MyISAM", "ENGINE=InnoDB"]]),
        ("DROP TABLE none", &[&["there is no table", "IF EXISTS"]]),
        ("DROP TABLE _rsc77_t_old", &[&["rsc gives to tables of its changes"]]),
        ("DROP TABLE mysql.user", &[&["belongs to the server"]]),
        ("CREATE TABLE child (a int)", &[&["there is a table", "already"]]),
        ("CREATE TABLE seen (a int)", &[&["is a view"]]),
        ("CREATE TABLE `_rsc1_t_new` (a int)", &[&["rsc gives to tables of its changes"]]),
        ("CREATE TABLE n AS SELECT 1 AS a", &[&["SELECT", "INSERT … SELECT"]]),
        ("CREATE TEMPORARY TABLE n (a int)", &[&["temporary table"]]),
        (
            "CREATE TABLE n (a int, FOREIGN KEY (a) REFERENCES parent (id))",
            &[&["foreign keys", "FOREIGN KEY (a)"]],
        ),
        ("CREATE TABLE n (a int) ENGINE=MyISAM", &[&["InnoDB", "MyISAM"]]),
        ("CREATE TABLE n LIKE slow", &[&["MyISAM", "ENGINE=InnoDB"]]),
        ("CREATE TABLE n (a nonsense)", &[&["does not accept", "nonsense"]]),
        ("CREATE TABLE n LIKE none", &[&["does not accept", "none"]]),
        (&check, &[&["CHECK constraints", "longer than 64"]]),
        (&name, &[&["does not accept", "too long"]]),
        (
            "CREATE TABLE seen (a int REFERENCES parent (id)) ENGINE=MEMORY IGNORE SELECT 1 AS a",
            &[&["foreign keys"], &["SELECT"], &["MEMORY"], &["is a view"]],
        ),
    ] {
        // A statement that names another schema does not go with --database.
        let with_database = !statement.contains("mysql.");
        let words = ["--database", &table.schema];
        let words = if with_database { &words[..] } else { &[] };
        let [planned, refused] = [("plan", 3), ("migrate", 3)].map(|(verb, code)| {
            let all = [&["--output", "json", verb][..], words, &["--alter", statement]].concat();
            // The server's own tables are seen by root only.
            let user = if with_database { Account::Documented.user() } else { "root" };
            (rsc_as(user, shared(), &all).start(), code)
        });
        let (planned, refused) = (planned.0.ended().await, refused.0.ended().await);
        assert_eq!((planned.code, refused.code), (3, 3), "{statement}: {planned:#?} {refused:#?}");
        assert_eq!(reasons(&planned), reasons(&refused), "{statement}");
        let reasons = reasons(&refused);
        assert_eq!(reasons.len(), pieces.len(), "{statement}: {reasons:#?}");
        for (reason, pieces) in reasons.iter().zip(pieces) {
            let whole = format!("{}; {}", reason.0, reason.1);
            assert!(!reason.1.is_empty(), "{statement}: {whole}");
            assert!(pieces.iter().all(|piece| whole.contains(piece)), "{statement}: {pieces:?} in {whole:?}");
        }
    }
    assert_eq!(table.tables().await, before, "nothing was touched");
    let instant = ask(&table, "migrate", "CREATE TABLE n (a int)", &["--strategy", "instant"]).await;
    says(&instant, 3, &["--strategy instant", "leave --strategy out"]);
    assert_eq!(
        reasons(&instant),
        reasons(&ask(&table, "plan", "CREATE TABLE n (a int)", &["--strategy", "instant"]).await)
    );
}

#[tokio::test]
async fn a_table_with_a_change_gets_no_second_one() {
    let mut table = filled().await;
    let first = migrated(&table, "ADD COLUMN b int", &["--table", "t"]).await;
    let named = format!("has a change already: {first}");
    says(&ask(&table, "migrate", "DROP TABLE t", &[]).await, 3, &[&named, "rsc complete"]);
    table.asked("complete", first).await;
    let dropped = migrated(&table, "DROP TABLE t", &[]).await;
    let named = format!("has a change already: {dropped}, which is revertible");
    for statement in ["DROP TABLE t", "CREATE TABLE t (a int)", "CREATE TABLE IF NOT EXISTS t (a int)"] {
        says(&ask(&table, "migrate", statement, &[]).await, 3, &[&named]);
    }
    table.run("CREATE TABLE t (id int PRIMARY KEY)").await;
    says(&ask(&table, "migrate", "ADD COLUMN b int", &["--table", "t"]).await, 3, &[&named]);
}

#[tokio::test]
async fn a_table_that_has_the_name_meanwhile_stays() {
    for other in ["CREATE TABLE t (other int)", "CREATE VIEW t AS SELECT 5 AS other"] {
        let mut table = filled().await;
        let written = rows(&mut table, "t").await;
        let id = migrated(&table, "DROP TABLE t", &[]).await;
        table.run(other).await;
        table.run(if other.contains("TABLE") { "INSERT INTO t VALUES (5)" } else { "DO 1" }).await;
        let refused = table.ask("revert", id).await;
        let taken = format!("there is another table or view with the name {}.t now", table.schema);
        says(&refused, 6, &[&taken, "nothing was changed"]);
        assert_eq!(table.all::<u64>("SELECT other FROM t").await, [5]);
        let kept = format!("_rsc{id}_t_old");
        assert_eq!(rows(&mut table, &kept).await, written);
        let seen = status(&table, id).await;
        assert_eq!((&seen["state"], &seen["verdict"]["verdict"]), (&"revertible".into(), &"blocked".into()));
        assert!(seen["verdict"]["text"].as_str().unwrap().contains(&taken), "{seen:#}");

        table.run("RENAME TABLE t TO theirs").await;
        assert_eq!(status(&table, id).await["verdict"]["verdict"], "ready");
        table.asked("revert", id).await;
        assert_eq!(rows(&mut table, "t").await, written);
        assert_eq!(table.all::<u64>("SELECT other FROM theirs").await, [5]);
    }
}

#[tokio::test]
async fn a_created_table_does_not_come_where_another_is() {
    let mut table = nothing().await;
    let ready = migrated(&table, "CREATE TABLE t (id int PRIMARY KEY)", &["--postpone-cutover"]).await;
    table.run("CREATE TABLE t (theirs int)").await;
    // Nothing was ever there under the live name: the change fails, and only its own table goes.
    says(&table.ask("cutover", ready).await, 4, &["there is another table", "no other was touched"]);
    assert_eq!(table.tables().await, ["t"]);
    assert_eq!(status(&table, ready).await["state"], "failed");
    table.run("DROP TABLE t").await;

    let id = migrated(&table, "CREATE TABLE t (id int PRIMARY KEY)", &[]).await;
    table.run("INSERT INTO t VALUES (1), (2)").await;
    table.asked("revert", id).await;
    table.run("CREATE TABLE t (theirs int)").await;
    says(&table.ask("reapply", id).await, 6, &["there is another table", "nothing was changed"]);
    assert_eq!(table.tables().await, [format!("_rsc{id}_t_new"), "t".into()]);
    table.run("DROP TABLE t").await;
    table.asked("reapply", id).await;
    assert_eq!(table.all::<u64>("SELECT id FROM t").await, [1, 2]);
}

/// Between the look at the name and the rename.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_appears_at_the_last_moment_stays_too() {
    let mut table = filled().await;
    let written = rows(&mut table, "t").await;
    let id = migrated(&table, "DROP TABLE t", &[]).await;
    let text = id.to_string();
    let mut reverting = rsc(shared(), &["--output", "json", "revert", &text])
        .env("RSC_FAULT", "move.rename.before:delay")
        .start();
    reverting.logs("fault struck").await;
    table.run("CREATE TABLE t (theirs int)").await;
    says(&reverting.ended().await, 6, &["there is another table", "nothing was changed"]);
    table.run("DROP TABLE t").await;
    table.asked("revert", id).await;
    assert_eq!(rows(&mut table, "t").await, written);
}

#[tokio::test]
async fn a_foreign_key_that_would_follow_is_met_whenever_it_is_made() {
    // While it waits for its cut-over.
    let mut table = filled().await;
    let ready = migrated(&table, "DROP TABLE t", &["--postpone-cutover"]).await;
    table.run("CREATE TABLE child (p int, CONSTRAINT to_t FOREIGN KEY (p) REFERENCES t (id))").await;
    says(&table.ask("cutover", ready).await, 4, &["to_t", "the table is where it was"]);
    table.run("INSERT INTO child VALUES (1)").await;
    assert_eq!(table.tables().await, ["child", "t"]);
    table.run("DROP TABLE child").await;

    // After a revert, and on a table that was created.
    let dropped = migrated(&table, "DROP TABLE t", &[]).await;
    table.asked("revert", dropped).await;
    let created = migrated(&table, "CREATE TABLE u (id int PRIMARY KEY)", &[]).await;
    for (name, id, verb) in [("t", dropped, "reapply"), ("u", created, "revert")] {
        let child =
            format!("CREATE TABLE child (p int, CONSTRAINT to_it FOREIGN KEY (p) REFERENCES {name} (id))");
        table.run(&child).await;
        let refused = table.ask(verb, id).await;
        says(&refused, 6, &["to_it", "DROP FOREIGN KEY `to_it`", "nothing was changed"]);
        assert_eq!(status(&table, id).await["verdict"]["verdict"], "blocked");
        assert_eq!(definition(&mut table, "child").await.matches(&format!("REFERENCES `{name}`")).count(), 1);
        table.run("DROP TABLE child").await;
        table.asked(verb, id).await;
    }
}

/// Its foreign key on itself goes with it, and so do partitions.
#[tokio::test]
async fn what_belongs_to_the_table_alone_goes_with_it() {
    for definition_of in [
        "id int PRIMARY KEY, a int, note varchar(9), KEY (a), FOREIGN KEY (a) REFERENCES t (id))",
        "id int PRIMARY KEY, a int, note varchar(9)) PARTITION BY HASH (id) PARTITIONS 3",
        "id int, a int, note text, FULLTEXT KEY words (note))",
    ] {
        let mut table = nothing().await;
        table.run(&format!("CREATE TABLE t ({definition_of}")).await;
        table.run("INSERT INTO t VALUES (1, NULL, 'x'), (2, 1, 'y')").await;
        let (before, written) = (definition(&mut table, "t").await, rows(&mut table, "t").await);
        let id = migrated(&table, "DROP TABLE t", &[]).await;
        assert_eq!(table.all::<String>("SHOW TABLES LIKE 't'").await, Vec::<String>::new());
        table.asked("revert", id).await;
        assert_eq!((definition(&mut table, "t").await, rows(&mut table, "t").await), (before, written));
    }
}

#[tokio::test]
async fn only_the_table_that_the_journal_knows_is_taken_away() {
    let mut table = nothing().await;
    let id = migrated(&table, "CREATE TABLE t (id int PRIMARY KEY)", &[]).await;
    table.run("ALTER TABLE t ADD COLUMN b int; INSERT INTO t VALUES (1, 2)").await;
    says(&table.ask("revert", id).await, 6, &["altered by someone else", "nothing was changed"]);
    assert_eq!(status(&table, id).await["verdict"]["verdict"], "impossible");
    // As it was, it is the same again.
    table.run("ALTER TABLE t DROP COLUMN b").await;
    table.asked("revert", id).await;
    table.asked("reapply", id).await;
    table.run("DROP TABLE t; CREATE TABLE t (other int)").await;
    says(&table.ask("revert", id).await, 6, &["dropped, renamed or altered"]);
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"], "nobody else's table is dropped");

    let mut table = filled().await;
    let ready = migrated(&table, "DROP TABLE t", &["--postpone-cutover"]).await;
    table.run("ALTER TABLE t ADD COLUMN b int").await;
    says(&table.ask("cutover", ready).await, 4, &["altered by someone else", "the table is where it was"]);
    assert_eq!(table.tables().await, ["t"]);
    // Brought back by hand: a revert finds it so.
    let id = migrated(&table, "DROP TABLE t", &[]).await;
    table.run(&format!("RENAME TABLE _rsc{id}_t_old TO t")).await;
    let done = table.ask("revert", id).await.well().last_line();
    assert_eq!((&done["state"], &done["serving"]), (&"reverted".into(), &"old".into()));
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"]);
    // The kept table is gone: nothing claims to have brought it back.
    let id = migrated(&table, "DROP TABLE t", &[]).await;
    table.run(&format!("DROP TABLE _rsc{id}_t_old; CREATE TABLE t (other int)")).await;
    says(&table.ask("revert", id).await, 6, &["dropped, renamed or altered"]);
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test]
async fn without_its_part_of_the_journal_a_change_is_ended_and_the_table_named() {
    let mut table = filled().await;
    let dropped = migrated(&table, "DROP TABLE t", &[]).await;
    let created = migrated(&table, "CREATE TABLE u (id int)", &[]).await;
    for id in [dropped, created] {
        table.run(&format!("DROP TABLE _rsc.stream_{id}")).await;
        let seen = status(&table, id).await;
        assert!(seen["verdict"]["text"].as_str().unwrap().contains("journal was dropped"), "{seen:#}");
    }
    let kept = format!("{}._rsc{dropped}_t_old", table.schema);
    says(&table.ask("revert", dropped).await, 6, &[&kept, "with every row", "RENAME TABLE"]);
    says(&table.ask("revert", created).await, 6, &["nothing to drop"]);
    table.run(&format!("RENAME TABLE {kept} TO t")).await;
    table.asked("complete", dropped).await;
    table.asked("complete", created).await;
    assert_eq!(table.tables().await, ["t", "u"]);
    assert_eq!(rows(&mut table, "t").await.len(), 100);
}

/// The server shows it nowhere to this account. It goes there and back with the table, and holds off the end.
#[tokio::test]
async fn a_foreign_key_that_may_not_be_seen_is_named_by_the_server_at_the_end() {
    let mut table = filled().await;
    let far = format!("{}_far", table.schema);
    let account = format!("few_{}", table.schema);
    for sql in [
        format!("CREATE DATABASE {far}; CREATE USER {account}"),
        format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {account}"),
        format!("GRANT ALL ON {}.* TO {account}; GRANT ALL ON _rsc.* TO {account}", table.schema),
        format!(
            "CREATE TABLE {far}.child (p int, CONSTRAINT hidden FOREIGN KEY (p) REFERENCES {}.t (id))",
            table.schema
        ),
        format!("INSERT INTO {far}.child VALUES (7)"),
    ] {
        table.run(&sql).await;
    }
    let port = shared().port().to_string();
    let few = async |words: &[&str]| {
        let all = [&["--host", "127.0.0.1", "--port", &port, "--user", &account, "--output", "json"], words];
        bare(&all.concat()).run().await
    };
    let drop = format!("DROP TABLE {}.t", table.schema);
    let id = few(&["migrate", "--alter", &drop, "--allow-unseen"]).await.well().last_line()["id"].to_string();
    for verb in ["revert", "reapply"] {
        few(&[verb, &id]).await.well();
    }
    says(&few(&["complete", &id]).await, 5, &["hidden", "everything done so far is kept"]);
    table.run(&format!("ALTER TABLE {far}.child DROP FOREIGN KEY hidden")).await;
    few(&["complete", &id]).await.well();
    assert_eq!(table.tables().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_postponed_change_waits_and_is_given_up_without_a_trace() {
    let mut table = filled().await;
    let written = rows(&mut table, "t").await;
    for (statement, waits) in [("DROP TABLE t", None), ("CREATE TABLE u (a int)", Some("_rsc{}_u_new"))] {
        for end in ["cutover", "cancel"] {
            let id = migrated(&table, statement, &["--postpone-cutover"]).await;
            let beside: Vec<String> = waits.iter().map(|name| name.replace("{}", &id.to_string())).collect();
            let there: Vec<String> = beside.into_iter().chain(["t".to_owned()]).collect();
            assert_eq!(table.tables().await, there, "{statement}");
            let seen = status(&table, id).await;
            assert_eq!((&seen["state"], &seen["serving"]), (&"ready".into(), &"old".into()), "{seen:#}");
            assert_eq!(seen["next"], json!([format!("rsc cutover {id}"), format!("rsc cancel {id}")]));
            let text = id.to_string();
            let resumed =
                rsc(shared(), &["--output", "json", "migrate", "--resume", &text]).run().await.well();
            assert_eq!(resumed.last_line()["state"], "ready");
            says(&table.ask("revert", id).await, 6, &["rsc cancel"]);
            let done = table.ask(end, id).await.well().last_line();
            if end == "cutover" {
                assert_eq!(done["state"], "revertible");
                says(&table.ask("cancel", id).await, 3, &["already"]);
                table.asked("revert", id).await;
                table.asked("complete", id).await;
            }
            assert_eq!(table.tables().await, ["t"], "{statement} {end}");
        }
    }
    assert_eq!(rows(&mut table, "t").await, written);
}

/// Whoever comes behind a rename that waits would wait as well, so it is not asked for while it must fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_transaction_is_named_and_outlived() {
    let mut table = filled().await;
    let mut holder = shared().conn().await.unwrap();
    holder.query_drop(format!("BEGIN; SELECT * FROM {}.t", table.schema)).await.unwrap();
    let connection: u64 = holder.query_first("SELECT CONNECTION_ID()").await.unwrap().unwrap();
    let mut dropping = start(&table, "migrate", "DROP TABLE t", &["--cutover-lock-timeout", "1s"]);
    dropping.says("\"swap_missed\"").await;
    let id = id(&dropping);
    let named = format!("\"connection\":{connection}");
    assert!(dropping.stdout().contains(&named), "{}", dropping.stdout());
    // The server itself says how long the application may wait behind a lock that is asked for.
    let asked = "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_NAME = 't' \
                 AND OBJECT_SCHEMA = DATABASE() AND LOCK_STATUS = 'PENDING'";
    for written in 0..20 {
        table.run(&format!("UPDATE t SET note = 'w{written}' WHERE id = 1")).await;
        sleep(Duration::from_millis(50)).await;
    }
    // Once the holder is older than the timeout, no lock is asked for any more.
    dropping.says("a long transaction is using the table").await;
    assert_eq!(table.all::<u64>(asked).await, [0]);
    assert_eq!(status(&table, id).await["state"], "cutting_over");
    // Whoever drives it answers.
    table.asked("pause", id).await;
    assert!(table.tables().await.contains(&"t".to_owned()));
    table.asked("resume", id).await;
    holder.query_drop("COMMIT").await.unwrap();
    dropping.ended().await.well();
    table.asked("revert", id).await;
    assert_eq!(table.all::<String>("SELECT note FROM t WHERE id = 1").await, ["w19"]);
}

/// The locks are held by a transaction that never ends, and the operator gives up.
#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_waits_can_be_taken_back() {
    let mut table = filled().await;
    let mut holder = shared().conn().await.unwrap();
    let hold = format!("BEGIN; SELECT * FROM {}.t", table.schema);
    holder.query_drop(&hold).await.unwrap();
    let mut dropping = start(&table, "migrate", "DROP TABLE t", &["--cutover-lock-timeout", "1s"]);
    dropping.says("\"swap_missed\"").await;
    let id = id(&dropping);
    table.asked("cancel", id).await;
    // What was asked for is not so.
    let ended = dropping.ended().await;
    assert!(ended.code == 4 && ended.stdout.contains("was cancelled by another command"), "{ended:#?}");
    holder.query_drop("COMMIT").await.unwrap();

    let id = migrated(&table, "DROP TABLE t", &["--cutover-lock-timeout", "1s"]).await;
    table.asked("revert", id).await;
    holder.query_drop(&hold).await.unwrap();
    let text = id.to_string();
    let mut again = rsc(shared(), &["--output", "json", "reapply", &text]).start();
    again.says("\"swap_missed\"").await;
    table.asked("cancel", id).await;
    again.ended().await;
    assert_eq!(status(&table, id).await["state"], "reverted");
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_revert_window_ends_as_for_every_change() {
    let mut table = filled().await;
    let window = ["--revert-window", "1s"];
    // Nobody keeps it: whoever comes next puts the end on record.
    let id = migrated(&table, "DROP TABLE t", &window).await;
    let ended = format!("SELECT window_ends_at < NOW(3) FROM _rsc.`change` WHERE id = {id}");
    while table.all::<u64>(&ended).await == [0] {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(&table, id).await["verdict"]["text"], "impossible: the revert window is over");
    says(&table.ask("revert", id).await, 6, &["the revert window is over", "RENAME TABLE", "rsc complete"]);
    assert_eq!(status(&table, id).await["state"], "expired");
    assert_eq!(rows(&mut table, &format!("_rsc{id}_t_old")).await.len(), 100, "it stays until complete");
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, Vec::<String>::new());

    // The process that stays ends with the window.
    let more = ["--revert-window", "1s", "--agent", "stay"];
    let done = ask(&table, "migrate", "CREATE TABLE t (id int PRIMARY KEY)", &more).await.well().last_line();
    assert_eq!(done["state"], "expired");
    let id = done["id"].as_u64().unwrap();
    says(&table.ask("revert", id).await, 6, &["the revert window is over"]);
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"]);
}

/// Nothing needs to be kept: no agent is started, and one that runs takes up only what is unfinished or over.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_no_whole_table_and_finishes_what_was_begun() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY); INSERT INTO d.t VALUES (1)")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let words = ["migrate", "--alter", "DROP TABLE d.t", "--agent", "auto", "--revert-window", "3s"];
    let migrated =
        rsc(&server, &words).env("XDG_STATE_HOME", folder.path().to_str().unwrap()).run().await.well();
    assert!(!migrated.stdout.contains("agent"), "{migrated:#?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no agent was started");
    // Nothing to do for an agent.
    rsc(&server, &["agent", "--until-idle"]).run().await.well();
    let state = "SELECT state FROM _rsc.`change` WHERE id = 1";
    let agent = rsc(&server, &["agent"]).start();
    let wait_for = async |conn: &mut mysql_async::Conn, wanted: &str| {
        let began = Instant::now();
        while conn.query_first::<String, _>(state).await.unwrap().as_deref() != Some(wanted) {
            assert!(began.elapsed() < Duration::from_secs(60), "never {wanted}");
            sleep(Duration::from_millis(50)).await;
        }
    };
    wait_for(&mut conn, "expired").await;
    rsc(&server, &["complete", "1"]).run().await.well();

    // What a killed process had begun.
    #[cfg(debug_assertions)]
    {
        let create = ["migrate", "--alter", "CREATE TABLE d.t (id int PRIMARY KEY)"];
        rsc(&server, &create).env("RSC_FAULT", "move.rename.before:kill").run().await;
        let began = Instant::now();
        let there = "SELECT COUNT(*) FROM _rsc.`change` WHERE id = 2 AND state = 'revertible'";
        while conn.query_first::<u64, _>(there).await.unwrap() != Some(1) {
            assert!(began.elapsed() < Duration::from_secs(60), "the agent does not finish it");
            sleep(Duration::from_millis(50)).await;
        }
        conn.query_drop("INSERT INTO d.t VALUES (1)").await.unwrap();
        let own = rsc(&server, &["--output", "json", "revert", "2"]).run().await.well();
        assert!(own.stdout.contains("\"started\""), "the command does it itself: {own:#?}");
    }
    agent.interrupt();
    agent.ended().await.well();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_that_stays_answers() {
    let mut table = filled().await;
    let written = rows(&mut table, "t").await;
    let mut owner = start(&table, "migrate", "DROP TABLE t", &["--agent", "stay"]);
    owner.says("\"revertible\"").await;
    let id = id(&owner);
    for verb in ["revert", "reapply"] {
        let asked = table.ask(verb, id).await.well();
        assert!(!asked.stdout.contains("\"swapped\""), "the owner does it, not the command: {asked:#?}");
    }
    says(&table.ask("verify", id).await, 3, &["nothing to compare"]);
    table.run("CREATE TABLE t (other int)").await;
    says(&table.ask("revert", id).await, 6, &["there is another table"]);
    owner.says("\"taken_back\"").await;
    assert_eq!(status(&table, id).await["state"], "revertible");
    table.run("DROP TABLE t").await;
    table.asked("pause", id).await;
    table.asked("revert", id).await;
    assert_eq!(rows(&mut table, "t").await, written);
    table.asked("complete", id).await;
    owner.ended().await.well();
    assert_eq!(table.tables().await, ["t"]);
}

/// It held the locks; the server took them from it, and another process has gone on.
#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_sleeps_in_the_rename_is_taken_over_from() {
    let mut sleepers = JoinSet::new();
    for (point, statement) in [
        ("move.rename.before", "DROP TABLE t"),
        ("move.rename.after", "DROP TABLE t"),
        ("move.share.before", "CREATE TABLE u (id int PRIMARY KEY)"),
    ] {
        sleepers.spawn(taken_over_from(point, statement));
    }
    sleepers.join_all().await;
}

#[cfg(debug_assertions)]
async fn taken_over_from(point: &str, statement: &str) {
    let mut table = filled().await;
    let written = rows(&mut table, "t").await;
    let words = ["--output", "json", "migrate", "--database", &table.schema, "--alter", statement];
    let mut sleeper = rsc(shared(), &words).env("RSC_FAULT", &format!("{point}:delay")).start();
    sleeper.logs("fault struck").await;
    sleeper.signal("STOP");
    let id = id(&sleeper);
    let resumed = loop {
        let text = id.to_string();
        let resumed = rsc(shared(), &["--output", "json", "migrate", "--resume", &text]).run().await;
        if resumed.code != 8 {
            break resumed;
        }
        sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(resumed.well().last_line()["state"], "revertible", "{point}");
    table.asked("revert", id).await;
    let reverted = table.tables().await;
    sleeper.signal("CONT");
    let woken = sleeper.ended().await;
    assert!([0, 8].contains(&woken.code), "{point}: {woken:#?}");
    assert_eq!(table.tables().await, reverted, "{point}: it has done nothing more");
    assert_eq!(rows(&mut table, "t").await, written, "{point}");
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"]);
}

/// Whatever the case and quoting, and wherever the schema is named.
#[tokio::test]
async fn names_are_read_as_the_server_reads_them() {
    let mut table = nothing().await;
    let schema = table.schema.clone();
    for (statement, name) in [
        (format!("create table if not exists `{schema}`.`a ``b` (id int)"), "`a ``b`"),
        (format!("CREATE TABLE {schema} . `select` (id int) -- the end"), "`select`"),
        ("/* first */ CREATE TABLE Käse (id int, CHECK (id > 0));".into(), "Käse"),
        (format!("CREATE TABLE {}(id int)", "n".repeat(64)), &"n".repeat(64)),
    ] {
        let created = migrated(&table, &statement, &[]).await;
        table.run(&format!("INSERT INTO {name} VALUES (1)")).await;
        table.asked("revert", created).await;
        table.asked("reapply", created).await;
        assert_eq!(table.all::<u64>(&format!("SELECT id FROM {name}")).await, [1], "{statement}");
        table.asked("complete", created).await;
        let dropped = migrated(&table, &format!("DROP TABLE {schema}.{name}"), &[]).await;
        table.asked("revert", dropped).await;
        assert_eq!(table.all::<u64>(&format!("SELECT id FROM {name}")).await, [1], "{statement}");
        table.asked("reapply", dropped).await;
        table.asked("complete", dropped).await;
        assert_eq!(table.tables().await, Vec::<String>::new(), "{statement}");
    }
    let usage = rsc(shared(), &["migrate", "--alter", "DROP TABLE t"]).run().await;
    assert_eq!(usage.code, 2, "{usage:#?}");
    assert!(usage.stderr.contains("no database is named"), "{usage:#?}");
}

async fn text(words: &[&str]) -> String {
    let ended = rsc(shared(), words).run().await;
    format!("{}{}", ended.stdout, ended.stderr)
}

#[tokio::test]
async fn what_is_said_is_true_of_one_table() {
    let mut table = nothing().await;
    table.run("CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW v AS SELECT id FROM t").await;
    let schema = table.schema.clone();
    let drop = format!("DROP TABLE {schema}.t");
    let plan = text(&["plan", "--alter", &drop]).await;
    let lines: Vec<&str> =
        plan.lines().filter(|line| !line.contains("  freeze ") && !line.contains("  size ")).collect();
    assert_eq!(
        lines.join("\n").replace(&schema, "shop"),
        "plan for shop.t\n  \
         statement  DROP TABLE shop.t\n  \
         strategy   renamed away, where no application finds it, and dropped at `rsc complete`: until then it can be renamed back, with every row\n  \
         disk       none; what the table takes now is free after `rsc complete`\n  \
         binlogs    not needed; the revert window is 1day\n  \
         in the way nobody holds the table at the moment\n  \
         revert     lossless: it brings the whole table back, with every row\n  \
         warning    views use shop.t, and do not work while it is away: shop.v"
    );
    assert!(plan.contains("ms ("), "{plan}");

    let done = text(&["migrate", "--alter", &drop]).await;
    let id: u64 = done.split("change ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let number = id.to_string();
    // Without what is another one each time: names, the change's number, and measured times.
    let plainly = |text: &str| {
        let text = text.replace(&schema, "shop").replace(&format!("_rsc{number}_"), "_rsc1_");
        let ends = [' ', '\n', '`', ':'];
        let word = |word: &str| {
            let bare = word.trim_end_matches(ends);
            let measured = bare.contains('.') && bare.parse::<f64>().is_ok();
            let plain = if bare == number {
                "1"
            } else if measured {
                "N"
            } else {
                bare
            };
            format!("{plain}{}", &word[bare.len()..])
        };
        text.split_inclusive(ends).map(word).collect::<String>()
    };
    assert_eq!(
        plainly(&done),
        "note: views use shop.t, and do not work while it is away: shop.v\n\
         change 1 on shop.t\n  renaming the table\n  \
         renamed: the table is away; whoever used it waited N ms\n\
         done: shop.t is away, kept as shop._rsc1_t_old (writers waited N ms)\n      \
         to have it back, `rsc revert 1`\n      to drop it for good, `rsc complete 1`\n"
    );
    let status = plainly(&text(&["status", &number]).await);
    for line in [
        "change 1 on shop.t: revertible",
        "  table      shop.t is away, kept as shop._rsc1_t_old",
        "  revert     ready: the table is whole, and needs no stream",
        "  next       rsc revert 1",
    ] {
        assert!(status.lines().any(|said| said == line), "no {line:?}:\n{status}");
    }
    assert!(status.contains(" UTC  the table is away; whoever used it waited N ms\n"), "{status}");
    assert_eq!(
        plainly(&text(&["losses", &number]).await),
        "change 1: shop.t is away, kept as shop._rsc1_t_old\n  nothing: the table is whole, with every row and every value\n"
    );
    let reverted = plainly(&text(&["revert", &number]).await);
    assert!(
        reverted.ends_with(
            "  renamed: the table is there\ndone: shop.t is there\n      \
             to take it away again, `rsc reapply 1`\n      to keep it for good, `rsc complete 1`\n"
        ),
        "{reverted}"
    );
    let completed = plainly(&text(&["complete", &number]).await);
    assert!(completed.ends_with("done: shop.t stays\n"), "{completed}");
    let list = text(&["list"]).await;
    assert!(list.contains(&drop), "{list}");

    let create = format!("CREATE TABLE {schema}.u (id int)");
    assert_eq!(
        text(&["plan", "--alter", &create]).await.replace(&schema, "shop"),
        "plan for shop.u\n  \
         statement  CREATE TABLE shop.u (id int)\n  \
         strategy   created under another name and renamed, so that it is there whole or not at all, and can be renamed away again\n  \
         freeze     none: nobody can use the table before\n  \
         disk       none\n  \
         binlogs    not needed; the revert window is 1day\n  \
         revert     lossless: rows that were written since stay in the kept table, and come back at a reapply\n"
    );
}

#[tokio::test]
async fn the_plan_for_programs_and_its_gates() {
    let table = filled().await;
    let gates = [
        "--require-revertible",
        "--require-lossless",
        "--max-freeze",
        "1m",
        "--max-duration",
        "1h",
        "--agent",
        "none",
    ];
    let dropped = ask(&table, "plan", "DROP TABLE t", &gates).await.well().last_line();
    let created = ask(&table, "plan", "CREATE TABLE u (a int)", &gates).await.well().last_line();
    for (plan, kind) in [(&dropped, "drop"), (&created, "create")] {
        assert_eq!(
            (&plan["schema"], &plan["version"], &plan["kind"]),
            (&"rsc.plan".into(), &1.into(), &kind.into())
        );
        assert_eq!(
            (&plan["possible"], &plan["strategy"]["name"]),
            (&true.into(), &"rename".into()),
            "{plan:#}"
        );
        assert_eq!((&plan["revert"]["verdict"], &plan["disk"]), (&"lossless".into(), &json!([])), "{plan:#}");
        assert_eq!(plan["binlogs"]["known"], false);
    }
    assert_eq!(created["freeze_ms"], json!({ "low": 0.0, "likely": 0.0, "high": 0.0 }));
    assert!(dropped["freeze_ms"]["likely"].as_f64().unwrap() > 0.0, "{dropped:#}");
    assert!(dropped["size"]["rows"].is_u64() && created["size"].is_null());
    let never = ask(&table, "plan", "DROP TABLE t", &["--max-freeze", "1us"]).await;
    says(&never, 3, &["--max-freeze"]);
    let mut table = table;
    assert_eq!(table.tables().await, ["t"], "nothing of a plan stays");
}

#[tokio::test]
async fn changes_are_told_to_programs() {
    let table = filled().await;
    let done = ask(&table, "migrate", "DROP TABLE t", &[]).await.well();
    let id = done.last_line()["id"].as_u64().unwrap();
    let events: Vec<Value> = done
        .lines()
        .into_iter()
        .map(|mut line| {
            assert_eq!(line.as_object_mut().unwrap().remove("version"), Some(1.into()));
            if line["freeze"].is_object() {
                assert!(line["freeze"]["freeze_ms"].as_f64().unwrap() > 0.0);
                line["freeze"] = Value::Null;
            }
            if line["freeze_ms"].is_f64() {
                line["freeze_ms"] = Value::Null;
            }
            line
        })
        .collect();
    assert_eq!(
        events,
        [
            json!({ "event": "started", "id": id, "state": "planned", "table": format!("{}.t", table.schema) }),
            json!({ "event": "state", "state": "cutting_over" }),
            json!({ "event": "swapped", "serving": "new", "freeze": null }),
            json!({ "event": "state", "state": "revertible" }),
            json!({ "event": "done", "id": id, "state": "revertible", "serving": "new", "freeze_ms": null }),
        ]
    );
    let losses = table.ask("losses", id).await.well().lines();
    assert_eq!(losses.len(), 1);
    assert_eq!((&losses[0]["parked_rows"], &losses[0]["lost_values"]), (&0.into(), &0.into()));
}
