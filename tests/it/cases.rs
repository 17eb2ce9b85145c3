//! Every folder of tests/it/cases goes forward and back.
//!
//! | file | what it is |
//! |---|---|
//! | create.sql | makes the table `t` and its rows |
//! | alter.sql | one ALTER TABLE t |
//! | writes.sql | statements under the old schema, after the copy: they come through the stream |
//! | after.sql | statements under the new schema |
//! | losses.txt | what `rsc losses` must then say, a line each: `parked KEY`, `lost KEY COLUMN`; without it, nothing |
//! | skip.txt | columns that a native ALTER fills with other values: the time, random numbers |
//! | refusal.txt | the exit code, then pieces of text: the change is refused, and nothing is left behind |
//!
//! Two native ALTERs are the judges. Forward, one of the same rows that saw the same writes: the definition and the
//! rows must be the same. Backward, one of the table that a revert brought back: it must give the new table, but for
//! the rows that `losses.txt` names and the columns that only the new schema has.
//!
//! Indexes are built after the copy wherever they can be; RSC_DEFER_INDEXES=never lets the copy fill them.
//!
//! Before it is made, every change is planned. What the plan says of a revert is held against what then happens: a loss
//! or a parked row that it did not say is a failure; one that it said and that did not come is counted.
//!
//! In each direction every row is also deleted and inserted again, so that all of them pass the stream.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::support::process::rsc;
use crate::support::table::Table;
use crate::support::{shared, sum_up};

const AT_ONCE: usize = 4;

struct Case {
    name: String,
    folder: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// What the plan said, and what happened.
    ForwardAndBack(String, String),
    Refused,
}

impl Case {
    fn file(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(name)).ok()
    }

    /// Statements end with a semicolon at the end of a line.
    fn statements(&self, name: &str) -> Vec<String> {
        let text = self.file(name).unwrap_or_default();
        let text = format!("{}\n", text.trim_end());
        text.split(";\n").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    fn alter(&self) -> String {
        self.statements("alter.sql").remove(0)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        self.file(name).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// RSC_CASE picks those whose name contains it.
fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let wanted = std::env::var("RSC_CASE").unwrap_or_default();
    let mut cases: Vec<Case> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| Case { name: entry.file_name().into_string().unwrap(), folder: entry.path() })
        .filter(|case| case.name.contains(&wanted))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_goes_forward_and_back() {
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for case in cases() {
        let gate = Arc::clone(&gate);
        let name = case.name.clone();
        let run = tokio::spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            run(&case).await
        });
        running.push((name, run));
    }
    let (mut there_and_back, mut refused, mut warned, mut failed) = (0, 0, 0, Vec::new());
    println!("{:<44} {:<48} happened", "case", "the plan said");
    for (name, run) in running {
        match run.await {
            Ok(Outcome::ForwardAndBack(said, happened)) => {
                println!("{name:<44} {said:<48} {happened}");
                there_and_back += 1;
                warned += u32::from(said != "lossless" && happened == "nothing lost");
            }
            Ok(Outcome::Refused) => refused += 1,
            Err(_) => failed.push(name),
        }
    }
    sum_up(&format!("plans: {warned} of {there_and_back} warned of what did not come"));
    sum_up(&format!("cases: {there_and_back} forward and back, {refused} refused, {} failed", failed.len()));
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn run(case: &Case) -> Outcome {
    let (mut table, mut native) = (fresh(case).await, fresh(case).await);
    if case.file("refusal.txt").is_some() {
        is_refused(case, &mut table).await;
        return Outcome::Refused;
    }
    let old = definition(&mut table, "t").await;
    let plan = plan(case, &table).await.well().last_line();
    assert_eq!(definition(&mut table, "t").await, old, "{}: the plan changed the table", case.name);
    let said = held_against(case, &plan["revert"]);
    let id = forward(case, &mut table, &mut native).await;

    writes(case, &mut table, "after.sql").await;
    rewrite_all(&mut table).await;
    let reverted = rsc(shared(), &["revert", &id.to_string(), "--accept-parked"]).run().await;
    assert_eq!(reverted.code, 0, "{}: {reverted:#?}", case.name);
    assert_eq!(definition(&mut table, "t").await, old, "{}: the old definition", case.name);
    let (missing, own, reasons) = losses(case, &table, id).await;
    for reason in &reasons {
        let what = parking_part(reason);
        assert!(parks(&plan["revert"], what), "{}: {reason}, and the plan said {plan:#}", case.name);
    }
    let new = format!("_rsc{id}_t_new");
    judge(case, &mut table, "t", &new, (&missing, &own)).await;

    rewrite_all(&mut table).await;
    table.asked("reapply", id).await;
    let old = format!("_rsc{id}_t_old");
    judge(case, &mut table, &old, "t", (&missing, &own)).await;
    table.asked("complete", id).await;
    assert_eq!(table.tables().await, ["t"], "{}: something is left behind", case.name);
    let happened = case.lines("losses.txt").join(", ");
    let happened = if happened.is_empty() { "nothing lost".into() } else { happened };
    Outcome::ForwardAndBack(said, happened)
}

async fn plan(case: &Case, table: &Table) -> crate::support::process::Ended {
    let alter = case.alter();
    let plan = ["--output", "json", "plan", "--database", &table.schema, "--alter", &alter];
    rsc(shared(), &plan).run().await
}

/// The part of a plan that must have said so: the kind of a rule, or a column.
fn parking_part(reason: &str) -> &'static str {
    let parts = [
        ("Duplicate entry", "unique"),
        ("Check constraint", "check"),
        ("no partition", "partitions"),
        ("functional index", "expression"),
    ];
    parts.iter().find(|(words, _)| reason.contains(words)).map_or("column", |(_, part)| part)
}

fn parks(revert: &Value, what: &str) -> bool {
    let all = |list: &str| revert[list].as_array().cloned().unwrap_or_default();
    match what {
        "column" => all("columns").iter().any(|column| column["parks"] != Value::Array(Vec::new())),
        kind => all("rules").iter().any(|rule| rule["kind"] == kind && rule["parks"] == true),
    }
}

/// What `losses.txt` says must be what the plan said could be. Returns what that was.
fn held_against(case: &Case, revert: &Value) -> String {
    let all = |list: &str| revert[list].as_array().cloned().unwrap_or_default();
    let may_park =
        |part: &Value| part["parks"] == true || part["parks"].as_array().is_some_and(|p| !p.is_empty());
    let loses: BTreeSet<String> = all("columns")
        .iter()
        .filter(|column| column["loses"] == true)
        .map(|column| column["new"]["name"].as_str().unwrap().to_owned())
        .collect();
    let mut parking: BTreeSet<String> = BTreeSet::new();
    parking.extend(all("columns").iter().filter(|part| may_park(part)).map(|column| {
        let side = if column["new"].is_null() { "old" } else { "new" };
        column[side]["name"].as_str().unwrap().to_owned()
    }));
    parking.extend(
        all("rules")
            .iter()
            .filter(|part| may_park(part))
            .map(|rule| format!("{} {}", rule["kind"].as_str().unwrap(), rule["name"].as_str().unwrap())),
    );
    for line in case.lines("losses.txt") {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["lost", .., column] => {
                assert!(loses.contains(column), "{}: {line}, and the plan said {revert:#}", case.name);
            }
            _ => assert!(!parking.is_empty(), "{}: {line}, and the plan said {revert:#}", case.name),
        }
    }
    let lossless = revert["verdict"] == "lossless";
    assert_eq!(lossless, loses.is_empty() && parking.is_empty(), "{}: {revert:#}", case.name);
    match lossless {
        true => "lossless".into(),
        false => {
            let parked = parking.into_iter().map(|what| format!("may park: {}", what.trim_end()));
            loses
                .into_iter()
                .map(|what| format!("may lose: {what}"))
                .chain(parked)
                .collect::<Vec<_>>()
                .join(", ")
        }
    }
}

async fn fresh(case: &Case) -> Table {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    for statement in case.statements("create.sql") {
        conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{}: {statement}: {e}", case.name));
    }
    Table { conn, schema }
}

async fn is_refused(case: &Case, table: &mut Table) {
    let is_view = case.statements("create.sql").iter().any(|s| s.starts_with("CREATE VIEW t "));
    let before = if is_view { String::new() } else { definition(table, "t").await };
    let refusal = case.lines("refusal.txt");
    let run = migrate(case, table, None).await;
    assert_eq!(run.code.to_string(), refusal[0], "{}: {run:#?}", case.name);
    // What only the copy meets is in no plan.
    if run.code == 3 {
        let plan = plan(case, table).await;
        assert_eq!(plan.code, 3, "{}: {plan:#?}", case.name);
        for piece in &refusal[1..] {
            assert!(plan.stdout.contains(&piece.replace('"', "\\\"")), "{}: {piece} in {plan:#?}", case.name);
        }
    }
    for piece in &refusal[1..] {
        assert!(run.stderr.contains(piece), "{}: {piece} in {run:#?}", case.name);
    }
    let tables: Vec<String> = table.tables().await;
    assert!(!tables.iter().any(|t| t.starts_with("_rsc")), "{}: {tables:?}", case.name);
    if !is_view {
        assert_eq!(definition(table, "t").await, before, "{}", case.name);
    }
}

async fn migrate(case: &Case, table: &Table, fault: Option<&str>) -> crate::support::process::Ended {
    let alter = case.alter();
    let defer = std::env::var("RSC_DEFER_INDEXES").unwrap_or_else(|_| "always".into());
    let run = rsc(
        shared(),
        &["migrate", "--database", &table.schema, "--alter", &alter, "--defer-indexes", &defer],
    );
    match fault {
        Some(fault) => run.env("RSC_FAULT", fault).run().await,
        None => run.run().await,
    }
}

/// Copies, writes while nothing is swapped yet, goes on, and compares.
async fn forward(case: &Case, table: &mut Table, native: &mut Table) -> u64 {
    let killed = migrate(case, table, Some("swap.lock.before:kill")).await;
    assert_eq!(killed.code, -1, "{}: {killed:#?}", case.name);
    for table in [&mut *table, &mut *native] {
        writes(case, table, "writes.sql").await;
        rewrite_all(table).await;
    }
    let id: u64 = table
        .all(&format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{}'", table.schema))
        .await
        .remove(0);
    let resumed = rsc(shared(), &["migrate", "--resume", &id.to_string()]).run().await;
    assert_eq!(resumed.code, 0, "{}: {resumed:#?}", case.name);
    alter_natively(case, &native.schema, "DO 0").await;
    assert_eq!(definition(table, "t").await, definition(native, "t").await, "{}: definition", case.name);
    let skip = case.lines("skip.txt").into_iter().collect();
    let (ours, theirs) = (rows(table, "t", &skip, "").await, rows(native, "t", &skip, "").await);
    assert_eq!(ours, theirs, "{}: rows against the native ALTER", case.name);
    id
}

/// The table that a revert brought back may hold zero dates, as the nearest to what was written.
const AS_RSC: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

async fn alter_natively(case: &Case, schema: &str, mode: &str) {
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    conn.query_drop("SET SESSION old_alter_table = ON").await.unwrap();
    conn.query_drop(mode).await.unwrap();
    conn.query_drop(case.alter()).await.unwrap_or_else(|e| panic!("{}: natively: {e}", case.name));
}

async fn writes(case: &Case, table: &mut Table, file: &str) {
    for statement in case.statements(file) {
        table.conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{}: {statement}: {e}", case.name));
    }
}

/// What a row is written with: whatever the table holds must go back in.
const ANYTHING: &str = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

async fn rewrite_all(table: &mut Table) {
    let columns = written_columns(table, "t").await;
    let schema = table.schema.clone();
    let mode: String = table.all("SELECT @@SESSION.sql_mode").await.remove(0);
    table.run(ANYTHING).await;
    table.run("SET SESSION sql_generate_invisible_primary_key = OFF").await;
    table.run("DROP TEMPORARY TABLE IF EXISTS all_rows").await;
    table.run(&format!("CREATE TEMPORARY TABLE all_rows AS SELECT {columns} FROM {schema}.t")).await;
    table.run("DELETE FROM t").await;
    table.run(&format!("INSERT INTO t ({columns}) SELECT {columns} FROM all_rows")).await;
    table.run(&format!("SET SESSION sql_mode = '{mode}'")).await;
}

async fn written_columns(table: &mut Table, name: &str) -> String {
    let columns: Vec<String> = table
        .all(&format!(
            "SELECT CONCAT('`', REPLACE(COLUMN_NAME, '`', '``'), '`') FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{name}' AND GENERATION_EXPRESSION = '' \
             ORDER BY ORDINAL_POSITION",
            table.schema
        ))
        .await;
    columns.join(", ")
}

/// The keys that `rsc losses` names, which must be those of the case, the columns of the new schema's own values, and why
/// rows are parked.
async fn losses(case: &Case, table: &Table, id: u64) -> (BTreeSet<String>, BTreeSet<String>, Vec<String>) {
    let found = table.ask("losses", id).await.well().lines();
    let word = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let (mut seen, mut keys, mut own) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut reasons = Vec::new();
    for line in &found {
        match line["event"].as_str() {
            Some("parked_row") => {
                reasons.push(word(line, "reason"));
                seen.push(format!("parked {}", word(line, "key")));
            }
            Some("lost_value") => seen.push(format!("lost {} {}", word(line, "key"), word(line, "column"))),
            Some("new_value") => drop(own.insert(word(line, "column"))),
            _ => continue,
        }
        if line["event"] != "new_value" {
            keys.insert(word(line, "key"));
        }
    }
    seen.sort();
    let mut expected = case.lines("losses.txt");
    expected.sort();
    assert_eq!(seen, expected, "{}: what `rsc losses` says", case.name);
    (keys, own, reasons)
}

/// A native ALTER of the table with the old schema gives the one with the new schema.
async fn judge(
    case: &Case,
    table: &mut Table,
    old: &str,
    new: &str,
    (missing, own): (&BTreeSet<String>, &BTreeSet<String>),
) {
    let schema = shared().fresh_database().await;
    let (_, create): (String, String) = table.all(&format!("SHOW CREATE TABLE {old}")).await.remove(0);
    let columns = written_columns(table, old).await;
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}")).await.unwrap();
    let create = create.replacen(&format!("CREATE TABLE `{old}`"), "CREATE TABLE `t`", 1);
    // The server's own names for CHECK constraints go with the table's name; others are the operator's.
    let create = create.replace(&format!("`{old}_chk_"), "`t_chk_");
    conn.query_drop(ANYTHING).await.unwrap();
    conn.query_drop(&create).await.unwrap_or_else(|e| panic!("{}: {create}: {e}", case.name));
    let fill = format!("INSERT INTO t ({columns}) SELECT {columns} FROM {}.{old}", table.schema);
    conn.query_drop(&fill).await.unwrap_or_else(|e| panic!("{}: {fill}: {e}", case.name));
    alter_natively(case, &schema, AS_RSC).await;
    let mut judge = Table { conn, schema };
    let but = match missing.is_empty() {
        true => String::new(),
        false => format!(
            "WHERE id NOT IN ({})",
            missing.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ")
        ),
    };
    let mut skip = own.clone();
    skip.extend(case.lines("skip.txt"));
    let expected = rows(&mut judge, "t", &skip, &but).await;
    assert_eq!(
        rows(table, new, &skip, &but).await,
        expected,
        "{}: {new} against a native ALTER of {old}",
        case.name
    );
}

/// SHOW CREATE TABLE without what may differ: the counter, and the names of constraints.
pub async fn definition(table: &mut Table, name: &str) -> String {
    let (_, create): (String, String) = table.all(&format!("SHOW CREATE TABLE {name}")).await.remove(0);
    let (mut lines, mut checks) = (Vec::new(), Vec::new());
    for line in create.lines().skip(1).map(|line| line.trim_end_matches(',')) {
        match (line.split_once(" CHECK ("), line.split_once(" AUTO_INCREMENT=")) {
            (Some((_, check)), _) if line.trim_start().starts_with("CONSTRAINT") => {
                checks.push(check.to_owned())
            }
            (_, Some((before, after))) if line.starts_with(')') => {
                lines.push(format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit())));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    // Listed by name.
    checks.sort();
    lines.extend(checks);
    lines.join("\n")
}

/// Every row as text, to the last byte of every value.
async fn rows(table: &mut Table, name: &str, skip: &BTreeSet<String>, only: &str) -> Vec<String> {
    let columns: Vec<(String, String)> = table
        .all(&format!(
            "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS \
             WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{name}' ORDER BY COLUMN_NAME",
            table.schema
        ))
        .await;
    let values: Vec<String> = columns
        .iter()
        .filter(|(column, _)| !skip.contains(column))
        .map(|(column, data_type)| {
            let quoted = format!("`{}`", column.replace('`', "``"));
            let text = match data_type.as_str() {
                "float" | "double" => format!("CAST(CAST({quoted} AS DOUBLE) AS CHAR)"),
                "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" | "date"
                | "datetime" | "timestamp" | "time" | "json" => format!("CAST({quoted} AS CHAR)"),
                "enum" | "set" => format!("CONCAT(HEX({quoted}), ':', {quoted} + 0)"),
                _ => format!("HEX({quoted})"),
            };
            format!("COALESCE({text}, 'NULL')")
        })
        .collect();
    let schema = table.schema.clone();
    let sql = format!("SELECT CONCAT_WS('|', {}) FROM {schema}.{name} {only}", values.join(", "));
    let mut rows: Vec<String> = table.all(&sql).await;
    rows.sort();
    rows
}
