//! `rsc plan`: what it says, what it asks for, and that nothing of it stays. What it says of a revert is held against
//! what happens in cases.rs.

use std::time::Duration;

use mysql_async::Row;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::time::sleep;

use crate::support::process::{Ended, bare, rsc};
use crate::support::server::{Options, Server};
use crate::support::shared;
use crate::support::table::Table;

const USERS: &str = "id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, name varchar(8) NOT NULL, \
                     title varchar(20) NOT NULL DEFAULT '', ts timestamp NULL, UNIQUE KEY one_name (name), KEY (title)";

async fn users() -> Table {
    let mut table = Table::create(USERS).await;
    table.fill("name, title", "CONCAT('n', i), IF(i % 4 = 0, 'Dr', '')", 400).await;
    table.run("ANALYZE TABLE t").await;
    table
}

async fn plan(table: &Table, clauses: &str, more: &[&str]) -> Ended {
    let arguments =
        ["--output", "json", "plan", "--database", &table.schema, "--table", "t", "--alter", clauses];
    rsc(shared(), &[&arguments[..], more].concat()).run().await
}

/// The plan, also of one that ended with 3.
fn report(ended: &Ended) -> Value {
    let report = ended.lines().into_iter().find(|line| line["event"] == "plan");
    report.unwrap_or_else(|| panic!("no plan: {ended:#?}"))
}

/// What the last line of one that ended with 3 gives as reasons.
fn refused(ended: &Ended) -> Vec<String> {
    assert_eq!(ended.code, 3, "{ended:#?}");
    let error = ended.last_line();
    assert_eq!((&error["event"], &error["exit_code"]), (&"error".into(), &3.into()), "{error:#}");
    let what = |reason: &Value| {
        assert!(!reason["next"].as_str().unwrap().is_empty(), "{reason:#}");
        reason["what"].as_str().unwrap().to_owned()
    };
    error["reasons"].as_array().unwrap().iter().map(what).collect()
}

fn one_has(reasons: &[String], piece: &str) {
    assert!(reasons.iter().any(|reason| reason.contains(piece)), "no {piece:?} in {reasons:#?}");
}

#[tokio::test]
async fn nothing_of_a_plan_stays() {
    let server = Server::start(Options::default()).unwrap();
    let mut conn = server.conn().await.unwrap();
    conn.query_drop(format!("CREATE DATABASE shop; USE shop; CREATE TABLE t ({USERS})")).await.unwrap();
    conn.query_drop("INSERT INTO t (name) VALUES ('Ada'), ('Grace')").await.unwrap();
    let everything = async |conn: &mut mysql_async::Conn| {
        let mut all: Vec<String> = conn.query("SHOW DATABASES").await.unwrap();
        all.extend(conn.query::<String, _>("SHOW TABLES").await.unwrap());
        let row: Row = conn.query_first("SHOW CREATE TABLE t").await.unwrap().unwrap();
        all.push(row.get(1).unwrap());
        all
    };
    let before = everything(&mut conn).await;
    let status: Row = conn.query_first("SHOW BINARY LOG STATUS").await.unwrap().unwrap();
    let (file, position): (String, u64) = (status.get(0).unwrap(), status.get(1).unwrap());

    let alter = "ALTER TABLE shop.t DROP COLUMN title, ADD KEY (ts), MODIFY name varchar(20) NOT NULL";
    let more = ["--defer-indexes", "always"];
    rsc(&server, &[&["plan", "--alter", alter], &more[..]].concat()).run().await.well();
    rsc(&server, &["plan", "--alter", "ALTER TABLE shop.t DROP COLUMN nothing"]).run().await;

    assert_eq!(everything(&mut conn).await, before);
    let events: Vec<Row> =
        conn.query(format!("SHOW BINLOG EVENTS IN '{file}' FROM {position}")).await.unwrap();
    assert!(!events.is_empty());
    for event in events {
        let (kind, info): (String, String) = (event.get(2).unwrap(), event.get(5).unwrap());
        // A sample of rows is put into one, and altered there.
        let of_the_probe = ["Query", "Table_map"].contains(&kind.as_str()) && info.contains("_rsc_probe_");
        let rows = ["Write_rows", "Delete_rows", "Xid"].contains(&kind.as_str()) || info == "BEGIN";
        assert!(kind == "Gtid" || of_the_probe || rows, "{kind}: {info}");
    }
    let locks: u64 = conn
        .query_first(
            "SELECT COUNT(*) FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'USER LEVEL LOCK'",
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(locks, 0);
}

#[tokio::test]
async fn the_json_has_what_is_documented() {
    let table = users().await;
    let clauses = "DROP COLUMN title, MODIFY name varchar(20) NOT NULL, ADD COLUMN note text";
    let report = report(&plan(&table, clauses, &["--defer-indexes", "always"]).await.well());
    assert_eq!((&report["schema"], &report["version"]), (&"rsc.plan".into(), &1.into()));
    assert_eq!(report["table"], format!("{}.t", table.schema));
    assert_eq!(report["statement"], clauses);
    assert_eq!(report["possible"], true);
    assert_eq!(
        (&report["strategy"]["name"], &report["strategy"]["instant"]),
        (&"copy".into(), &false.into())
    );
    assert_eq!(report["size"]["rows"], 400);
    assert_eq!(report["copy"]["sample"]["rows"], 400, "a small table is copied whole: {report:#}");
    for forecast in ["/duration_s", "/copy/seconds", "/indexes/seconds", "/freeze_ms"] {
        let at = |part: &str| report.pointer(&format!("{forecast}/{part}")).and_then(Value::as_f64).unwrap();
        assert!(0.0 < at("low") && at("low") <= at("likely") && at("likely") <= at("high"), "{report:#}");
    }
    assert_eq!(report["indexes"]["deferred"], serde_json::json!(["one_name"]));
    for disk in report["disk"].as_array().unwrap() {
        assert!(
            disk["bytes"].as_u64().unwrap() > 0 && disk["free_bytes"].as_u64().unwrap() > 0,
            "{report:#}"
        );
    }
    assert_eq!(report["binlogs"]["revert_window_s"], 86_400);
    assert_eq!(report["holders"], serde_json::json!([]));
    let fate = |name: &str, side: &str| {
        let columns = report["revert"]["columns"].as_array().unwrap();
        let column = columns.iter().find(|c| c[side]["name"] == name).unwrap_or_else(|| panic!("{report:#}"));
        (column["fate"].as_str().unwrap().to_owned(), column["rows"].as_u64())
    };
    assert_eq!(fate("id", "old"), ("kept".into(), None));
    assert_eq!(fate("name", "old"), ("coerced".into(), None));
    assert_eq!(fate("title", "old"), ("defaulted".into(), Some(100)));
    assert_eq!(fate("note", "new"), ("stays".into(), None));
    assert_eq!(report["revert"]["verdict"], "possible_losses");
    let rules = report["revert"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["name"] == "one_name" && rule["parks"] == true), "{report:#}");
}

#[tokio::test]
async fn the_text_is_for_people_and_has_no_colour_in_a_file() {
    let table = users().await;
    let alter = format!("ALTER TABLE {}.t ADD COLUMN age int", table.schema);
    let text = rsc(shared(), &["plan", "--alter", &alter]).run().await.well().stdout;
    for piece in ["plan for ", "ALGORITHM=INSTANT", "about 400 rows", "freeze", "lossless", "age", "stays"] {
        assert!(text.contains(piece), "no {piece:?} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[tokio::test]
async fn all_reasons_are_listed_not_only_the_first() {
    let mut table = users().await;
    table.run("CREATE TRIGGER shout BEFORE INSERT ON t FOR EACH ROW SET NEW.name = UPPER(NEW.name)").await;
    let clauses = "ADD COLUMN a int, ALGORITHM=INPLACE, LOCK=NONE, RENAME TO people";
    let reasons = refused(&plan(&table, clauses, &[]).await);
    for piece in ["chooses the algorithm itself", "needs no LOCK clause", "not renamed", "has triggers"] {
        one_has(&reasons, piece);
    }
    // Of a statement of which a part is refused, the rest is tried.
    let reasons =
        refused(&plan(&table, "LOCK=NONE, MODIFY ts int, MODIFY name varchar(2) NOT NULL", &[]).await);
    one_has(&reasons, "needs no LOCK clause");
    one_has(&reasons, "column ts cannot be converted");
    one_has(&refused(&plan(&table, "LOCK=NONE, DROP COLUMN nothing", &[]).await), "Can't DROP 'nothing'");
    table.run("UPDATE t SET title = NULLIF('long enough', '') WHERE id IN (7, 8)").await;
    let clauses = "MODIFY ts int, MODIFY name varchar(2) NOT NULL, MODIFY title varchar(9) NOT NULL";
    let ended = plan(&table, clauses, &[]).await;
    one_has(&refused(&ended), "column ts cannot be converted");
    one_has(&refused(&ended), "has triggers");
    assert_eq!(report(&ended)["revert"]["verdict"], "not_revertible");

    let clauses = "MODIFY name varchar(2) NOT NULL, MODIFY title varchar(9) NOT NULL";
    let ended = plan(&table, clauses, &[]).await;
    one_has(&refused(&ended), "in column name, which varchar(2) NOT NULL cannot hold");
    one_has(&refused(&ended), "'long enough' in column title");
    one_has(&refused(&ended), "has triggers");
    let columns = report(&ended)["revert"]["columns"].clone();
    let rows = |name: &str| {
        columns.as_array().unwrap().iter().find(|c| c["old"]["name"] == name).unwrap()["rows"].clone()
    };
    assert_eq!((rows("name"), rows("title")), (391.into(), 2.into()), "{columns:#}");
    table.run("DROP TRIGGER shout").await;
    assert_eq!(table.tables().await, ["t"]);
}

#[tokio::test]
async fn a_change_under_way_and_what_one_left_are_named_together() {
    let mut table = users().await;
    let id = table.migrated("DROP COLUMN title", &[]).await;
    table.run("CREATE TABLE _rsc99999_t_old (a int)").await;
    let reasons = refused(&plan(&table, "ADD COLUMN a int", &[]).await);
    one_has(&reasons, &format!("has a change already: {id}"));
    one_has(&reasons, "_rsc99999_t_old is left of a change");
}

#[tokio::test]
async fn a_plan_can_be_required_to_be_revertible() {
    let table = users().await;
    let flag = "--require-revertible";
    plan(&table, "DROP COLUMN title", &[flag]).await.well();
    let ended = plan(&table, "MODIFY ts int", &[flag]).await;
    one_has(&refused(&ended), "cannot be taken back");
    // By default the server keeps its binlogs for 30 days.
    let long = ["--revert-window", "40days", flag];
    let with = |agent| [&long[..], &["--agent", agent]].concat();
    plan(&table, "DROP COLUMN title", &with("auto")).await.well();
    let ended = plan(&table, "DROP COLUMN title", &with("none")).await;
    one_has(&refused(&ended), "can be taken back for 30days only");
    assert_eq!(report(&ended)["possible"], true);
}

#[tokio::test]
async fn a_plan_can_be_required_to_be_lossless() {
    let table = users().await;
    plan(&table, "ADD COLUMN age int, DROP COLUMN title", &["--require-lossless"]).await.well();
    let ended =
        plan(&table, "MODIFY name varchar(20) NOT NULL, DROP KEY one_name", &["--require-lossless"]).await;
    one_has(&refused(&ended), "column name: a text longer than 8 characters is cut");
    one_has(&refused(&ended), "UNIQUE KEY one_name");
    plan(&table, "MODIFY name varchar(20) NOT NULL, DROP KEY one_name", &[]).await.well();
}

#[tokio::test]
async fn a_plan_can_be_required_to_be_quick() {
    let table = users().await;
    for (flag, what) in
        [("--max-freeze", "the freeze at the swap may take"), ("--max-duration", "the change may take")]
    {
        plan(&table, "DROP COLUMN title", &[flag, "1day"]).await.well();
        let ended = plan(&table, "DROP COLUMN title", &[flag, "1us"]).await;
        one_has(&refused(&ended), what);
        assert_eq!(report(&ended)["failed"].as_array().unwrap().len(), 1);
        // Nothing is known of a statement that the server does not accept, so nothing is promised.
        one_has(&refused(&plan(&table, "DROP COLUMN nothing", &[flag, "1day"]).await), "cannot be judged");
    }
}

#[tokio::test]
async fn an_account_without_privileges_is_told_the_grants_to_run() {
    let mut table = users().await;
    let user = format!("planner_{}", table.schema);
    table.run(&format!("CREATE USER '{user}'@'localhost' IDENTIFIED BY 'secret'")).await;
    table.run(&format!("GRANT SELECT ON {}.* TO '{user}'@'localhost'", table.schema)).await;
    let port = shared().port().to_string();
    let schema = table.schema.clone();
    let planned = async || {
        let connection = ["--port", &port, "--user", &user, "--output", "json"];
        let what = ["plan", "--database", &schema, "--table", "t", "--alter", "DROP COLUMN title"];
        bare(&[&connection[..], &what].concat()).env("RSC_PASSWORD", "secret").run().await
    };
    let ended = planned().await;
    one_has(&refused(&ended), "lacks privileges");
    let first = report(&ended);
    assert_eq!(first["revert"]["verdict"], "unknown");
    assert!(first["holders"].is_null() && first["duration_s"].is_null(), "{first:#}");
    let unknown: Vec<&str> =
        first["unknown"].as_array().unwrap().iter().map(|u| u.as_str().unwrap()).collect();
    assert!(unknown.iter().any(|why| why.contains("who holds the table")), "{unknown:#?}");
    let next = first["refused"][0]["next"].as_str().unwrap().to_owned();
    for statement in next.split("; ") {
        table.run(statement).await;
    }
    assert_eq!(report(&planned().await.well())["revert"]["verdict"], "lossless");
    table.run(&format!("DROP USER '{user}'@'localhost'")).await;
}

#[tokio::test]
async fn a_long_transaction_on_the_table_is_named() {
    let mut table = users().await;
    table.run("BEGIN").await;
    let _: Vec<u64> = table.all("SELECT COUNT(*) FROM t").await;
    let id = u64::from(table.conn.id());
    let ended = loop {
        let ended = plan(&table, "DROP COLUMN title", &["--cutover-lock-timeout", "1s"]).await.well();
        let holder = &report(&ended)["holders"][0];
        assert_eq!(holder["connection"], id, "{ended:#?}");
        if holder["seconds"].as_u64() >= Some(1) {
            break ended;
        }
        sleep(Duration::from_millis(100)).await;
    };
    let warnings = report(&ended)["warnings"].to_string();
    assert!(warnings.contains(&format!("connection {id} holds the table")), "{warnings}");
    table.run("COMMIT").await;
    assert_eq!(
        report(&plan(&table, "DROP COLUMN title", &[]).await.well())["holders"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_plan_is_of_a_change_that_does_not_exist_yet() {
    let ended = rsc(shared(), &["plan", "--resume", "1"]).run().await;
    assert_eq!(ended.code, 2, "{ended:#?}");
    let ended = rsc(shared(), &["plan"]).run().await;
    assert_eq!(ended.code, 2, "{ended:#?}");
}
