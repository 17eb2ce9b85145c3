//! Every folder of tests/it/cases goes forward and back.
//!
//! | file | what it is |
//! |---|---|
//! | create.sql | makes the table `t` and its rows |
//! | alter.sql | one ALTER TABLE t |
//! | writes.sql | statements under the old schema, after the copy: they come through the stream |
//! | after.sql | statements under the new schema |
//! | losses.txt | what `rsc losses` must then say, a line each: `parked KEY`, `lost KEY COLUMN`; without it, nothing |
//! | losses_on.txt | what it must say besides on an odd server: `SERVER: LINE` |
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
//!
//! All of it happens on the server of the other tests, and on each of `support/odd_servers.rs` (`odd_servers.rs`). There
//! the application's statements, and the native ALTERs, run in sessions as that server gives them to its application.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::support::odd_servers::Odd;
use crate::support::process::Ended;
use crate::support::server::Server;
use crate::support::server::account::Account;
use crate::support::table::Table;
use crate::support::{shared, sum_up};

pub const AT_ONCE: usize = 4;

pub struct Case {
    pub name: String,
    folder: PathBuf,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What the plan said, and what happened.
    ForwardAndBack(String, String),
    Refused,
    /// Refused for what this server is, with these words; elsewhere it goes.
    RefusedHere(String),
    /// This server does not take the ALTER, or what makes the table, natively either.
    NotNatively,
}

/// Where a case is tried: on the server of the other tests, or on an odd one.
#[derive(Clone, Copy)]
pub struct Ground(pub Option<&'static Odd>);

impl Ground {
    fn server(self) -> &'static Server {
        self.0.map_or_else(shared, |odd| &odd.server)
    }

    /// A new table, with a session that looks at it and one of the application.
    async fn fresh(self) -> Side {
        let schema = self.server().fresh_database().await;
        let (mut looking, user) = match self.0 {
            None => (shared().conn().await.unwrap(), Account::Documented.user()),
            Some(odd) => (odd.looking().await, odd.rsc),
        };
        looking.query_drop(format!("USE {schema}")).await.unwrap();
        let application = self.application(&schema).await;
        let table = Table::on(self.server(), user, (looking, schema));
        Side { ground: self, table, application }
    }

    async fn application(self, schema: &str) -> Conn {
        let mut conn = match self.0 {
            None => shared().conn().await.unwrap(),
            Some(odd) => odd.application().await,
        };
        conn.query_drop(format!("USE {schema}")).await.unwrap();
        conn
    }
}

struct Side {
    ground: Ground,
    table: Table,
    /// As the server gives it, but for what a case sets in it.
    application: Conn,
}

impl Side {
    /// What a case file says in UTF-8, an application says in the character set of its session.
    async fn says(&mut self, statement: &str) -> mysql_async::Result<()> {
        if !statement.is_ascii() {
            self.application.query_drop("SET NAMES utf8mb4").await?;
        }
        self.application.query_drop(statement).await
    }

    /// A session of the application whose sql_mode lacks these modes, and has `more`.
    async fn but_for(&self, without: &[&str], more: &str) -> Conn {
        let mut conn = self.ground.application(&self.table.schema).await;
        let mode: String = conn.query_first("SELECT @@SESSION.sql_mode").await.unwrap().unwrap();
        let kept = mode.split(',').filter(|mode| !without.contains(mode));
        let mode = kept.chain([more]).collect::<Vec<_>>().join(",");
        // Tables are read whole here, whatever the application may read.
        let set = format!(
            "SET NAMES utf8mb4; SET SESSION sql_mode = '{mode}', sql_big_selects = 1, sql_select_limit = DEFAULT"
        );
        conn.query_drop(set.replace("DEFAULT", "18446744073709551615")).await.unwrap();
        conn
    }

    /// For writing whatever a table holds.
    async fn lenient(&self) -> Conn {
        let strict =
            ["STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL", "NO_ZERO_DATE", "NO_ZERO_IN_DATE"];
        self.but_for(&strict, "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES").await
    }
}

impl Case {
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), folder: folder().join(name) }
    }

    /// What `refused_on.txt` says of this server.
    pub fn refused_on(&self, server: &str) -> Option<String> {
        self.on("refused_on.txt", server)
    }

    /// What a file with lines `SERVER: WORDS` says of a server.
    fn on(&self, file: &str, server: &str) -> Option<String> {
        let lines = self.lines(file);
        lines.iter().find_map(|line| line.strip_prefix(&format!("{server}: ")).map(str::to_owned))
    }

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

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases")
}

/// RSC_CASE picks those whose name contains it.
pub fn cases() -> Vec<Case> {
    let wanted = std::env::var("RSC_CASE").unwrap_or_default();
    let mut cases: Vec<Case> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(&wanted))
        .map(|name| Case::named(&name))
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
            run(&case, Ground(None)).await
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
            Ok(Outcome::RefusedHere(_) | Outcome::NotNatively) | Err(_) => failed.push(name),
        }
    }
    sum_up(&format!("plans: {warned} of {there_and_back} warned of what did not come"));
    sum_up(&format!("cases: {there_and_back} forward and back, {refused} refused, {} failed", failed.len()));
    assert!(failed.is_empty(), "{failed:#?}");
}

pub async fn run(case: &Case, ground: Ground) -> Outcome {
    let (mut side, mut native) = (ground.fresh().await, ground.fresh().await);
    for side in [&mut side, &mut native] {
        if !made(case, side).await {
            return Outcome::NotNatively;
        }
    }
    if case.file("refusal.txt").is_some() && is_refused(case, &mut side).await {
        return Outcome::Refused;
    }
    let old = definition(&mut side.table, "t").await;
    let planned = plan(case, &side.table).await;
    assert_eq!(definition(&mut side.table, "t").await, old, "{}: the plan changed the table", case.name);
    if ground.0.is_some() && planned.code == 3 {
        return refused_here(case, &mut side, &mut native, &planned).await;
    }
    let plan = planned.well().last_line();
    let said = held_against(case, &plan["revert"]);
    let id = forward(case, &mut side, &mut native).await;

    writes(case, &mut side, "after.sql").await;
    rewrite_all(&mut side).await;
    let reverted = side.table.rsc(&["revert", &id.to_string(), "--accept-parked"]).run().await;
    assert_eq!(reverted.code, 0, "{}: {reverted:#?}", case.name);
    assert_eq!(definition(&mut side.table, "t").await, old, "{}: the old definition", case.name);
    let (missing, own, reasons) = losses(case, &side, id).await;
    for reason in &reasons {
        let what = parking_part(reason);
        assert!(parks(&plan["revert"], what), "{}: {reason}, and the plan said {plan:#}", case.name);
    }
    let new = format!("_rsc{id}_t_new");
    judge(case, &mut side, ("t", &new), (&missing, &own)).await;

    rewrite_all(&mut side).await;
    side.table.asked("reapply", id).await;
    let old = format!("_rsc{id}_t_old");
    judge(case, &mut side, (&old, "t"), (&missing, &own)).await;
    side.table.asked("complete", id).await;
    assert_eq!(side.table.tables().await, ["t"], "{}: something is left behind", case.name);
    let happened = case.lines("losses.txt").join(", ");
    let happened = if happened.is_empty() { "nothing lost".into() } else { happened };
    Outcome::ForwardAndBack(said, happened)
}

/// Runs `create.sql`. An odd server may not take what another one does, and then there is nothing to change.
async fn made(case: &Case, side: &mut Side) -> bool {
    for statement in case.statements("create.sql") {
        if let Err(error) = side.says(&statement).await {
            assert!(side.ground.0.is_some(), "{}: {statement}: {error}", case.name);
            println!("{}: {statement}: {error}", case.name);
            return false;
        }
    }
    commit(side).await;
    true
}

/// The application of a server with `autocommit=0` ends its transactions, or nobody else gets at the table.
async fn commit(side: &mut Side) {
    side.application.query_drop("COMMIT").await.unwrap();
}

/// The plan refuses it, on a server that is odd: then migrate refuses it too, and nothing has been touched.
async fn refused_here(case: &Case, side: &mut Side, native: &mut Side, planned: &Ended) -> Outcome {
    let before = definition(&mut side.table, "t").await;
    let run = migrate(case, &side.table, None).await;
    assert_eq!(run.code, 3, "{}: the plan refused it: {planned:#?}; and then {run:#?}", case.name);
    untouched(case, &mut side.table, Some(&before)).await;
    match native_alter(case, native, &[], "").await {
        Ok(()) => Outcome::RefusedHere(run.stderr),
        Err(_) => Outcome::NotNatively,
    }
}

async fn plan(case: &Case, table: &Table) -> Ended {
    let alter = case.alter();
    let plan = ["--output", "json", "plan", "--database", &table.schema, "--alter", &alter];
    table.rsc(&plan).run().await
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

/// Whether rsc refuses what `refusal.txt` says that it refuses, in these words, and leaves nothing behind. On an odd
/// server it may do for another reason what cannot be done elsewhere.
async fn is_refused(case: &Case, side: &mut Side) -> bool {
    let is_view = case.statements("create.sql").iter().any(|s| s.starts_with("CREATE VIEW t "));
    let before = if is_view { None } else { Some(definition(&mut side.table, "t").await) };
    let refusal = case.lines("refusal.txt");
    let planned = plan(case, &side.table).await;
    if side.ground.0.is_some() && planned.code == 0 && refusal[0] == "3" {
        return false;
    }
    let run = migrate(case, &side.table, None).await;
    assert_eq!(run.code.to_string(), refusal[0], "{}: {run:#?}", case.name);
    // What only the copy meets is in no plan.
    if run.code == 3 {
        assert_eq!(planned.code, 3, "{}: {planned:#?}", case.name);
        for piece in &refusal[1..] {
            assert!(
                planned.stdout.contains(&piece.replace('"', "\\\"")),
                "{}: {piece} in {planned:#?}",
                case.name
            );
        }
    }
    for piece in &refusal[1..] {
        assert!(run.stderr.contains(piece), "{}: {piece} in {run:#?}", case.name);
    }
    untouched(case, &mut side.table, before.as_deref()).await;
    true
}

async fn untouched(case: &Case, table: &mut Table, before: Option<&str>) {
    let tables: Vec<String> = table.tables().await;
    assert!(!tables.iter().any(|t| t.starts_with("_rsc")), "{}: {tables:?}", case.name);
    if let Some(before) = before {
        assert_eq!(definition(table, "t").await, before, "{}", case.name);
    }
}

async fn migrate(case: &Case, table: &Table, fault: Option<&str>) -> Ended {
    let alter = case.alter();
    let defer = std::env::var("RSC_DEFER_INDEXES").unwrap_or_else(|_| "always".into());
    let run =
        table.rsc(&["migrate", "--database", &table.schema, "--alter", &alter, "--defer-indexes", &defer]);
    match fault {
        Some(fault) => run.env("RSC_FAULT", fault).run().await,
        None => run.run().await,
    }
}

/// Copies, writes while nothing is swapped yet, goes on, and compares.
async fn forward(case: &Case, side: &mut Side, native: &mut Side) -> u64 {
    let killed = migrate(case, &side.table, Some("swap.lock.before:kill")).await;
    assert_eq!(killed.code, -1, "{}: {killed:#?}", case.name);
    for side in [&mut *side, &mut *native] {
        writes(case, side, "writes.sql").await;
        rewrite_all(side).await;
    }
    let table = &mut side.table;
    let id: u64 = table
        .all(&format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{}'", table.schema))
        .await
        .remove(0);
    let resumed = table.rsc(&["migrate", "--resume", &id.to_string()]).run().await;
    assert_eq!(resumed.code, 0, "{}: {resumed:#?}", case.name);
    native_alter(case, native, &[], "").await.unwrap_or_else(|e| panic!("{}: natively: {e}", case.name));
    let native = &mut native.table;
    assert_eq!(definition(table, "t").await, definition(native, "t").await, "{}: definition", case.name);
    let skip = case.lines("skip.txt").into_iter().collect();
    let (ours, theirs) = (rows(table, "t", &skip, "").await, rows(native, "t", &skip, "").await);
    assert_eq!(ours, theirs, "{}: rows against the native ALTER", case.name);
    id
}

/// In a new session of the application.
async fn native_alter(
    case: &Case,
    side: &Side,
    without: &[&str],
    more: &str,
) -> Result<(), mysql_async::Error> {
    let mut conn = match (without, more) {
        ([], "") => side.ground.application(&side.table.schema).await,
        _ => side.but_for(without, more).await,
    };
    // The statement is UTF-8, whatever the server takes its clients for.
    conn.query_drop("SET NAMES utf8mb4; SET SESSION old_alter_table = ON").await.unwrap();
    conn.query_drop(case.alter()).await
}

async fn writes(case: &Case, side: &mut Side, file: &str) {
    for statement in case.statements(file) {
        let written = side.says(&statement).await;
        written.unwrap_or_else(|e| panic!("{}: {statement}: {e}", case.name));
    }
    commit(side).await;
}

async fn rewrite_all(side: &mut Side) {
    let columns = written_columns(&mut side.table, "t").await;
    let schema = &side.table.schema;
    let mut conn = side.lenient().await;
    for statement in [
        "SET SESSION sql_generate_invisible_primary_key = OFF".to_owned(),
        format!("CREATE TEMPORARY TABLE all_rows AS SELECT {columns} FROM {schema}.t"),
        "DELETE FROM t".into(),
        format!("INSERT INTO t ({columns}) SELECT {columns} FROM all_rows"),
        "COMMIT".into(),
    ] {
        conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    conn.disconnect().await.unwrap();
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
async fn losses(case: &Case, side: &Side, id: u64) -> (BTreeSet<String>, BTreeSet<String>, Vec<String>) {
    let found = side.table.ask("losses", id).await.well().lines();
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
    expected.extend(side.ground.0.and_then(|odd| case.on("losses_on.txt", odd.name)));
    expected.sort();
    assert_eq!(seen, expected, "{}: what `rsc losses` says", case.name);
    (keys, own, reasons)
}

/// A native ALTER of the table with the old schema gives the one with the new schema.
async fn judge(
    case: &Case,
    side: &mut Side,
    (old, new): (&str, &str),
    (missing, own): (&BTreeSet<String>, &BTreeSet<String>),
) {
    let table = &mut side.table;
    let mut judge = side.ground.fresh().await;
    let (_, create): (String, String) = table.all(&format!("SHOW CREATE TABLE {old}")).await.remove(0);
    let columns = written_columns(table, old).await;
    let create = create.replacen(&format!("CREATE TABLE `{old}`"), "CREATE TABLE `t`", 1);
    // The server's own names for CHECK constraints go with the table's name; others are the operator's.
    let create = create.replace(&format!("`{old}_chk_"), "`t_chk_");
    // As it was read: the definition is in the words of a session that looks.
    judge.table.run(LENIENT).await;
    judge.table.run(&create).await;
    let fill = format!("INSERT INTO t ({columns}) SELECT {columns} FROM {}.{old}", table.schema);
    let mut filling = judge.lenient().await;
    filling.query_drop(&fill).await.unwrap_or_else(|e| panic!("{}: {fill}: {e}", case.name));
    filling.query_drop("COMMIT").await.unwrap();
    filling.disconnect().await.unwrap();
    // The table that a revert brought back may hold zero dates, as the nearest to what was written.
    let zeros = ["NO_ZERO_DATE", "NO_ZERO_IN_DATE", "TRADITIONAL"];
    let altered = native_alter(case, &judge, &zeros, "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES").await;
    altered.unwrap_or_else(|e| panic!("{}: natively: {e}", case.name));
    let but = match missing.is_empty() {
        true => String::new(),
        false => format!(
            "WHERE id NOT IN ({})",
            missing.iter().map(|key| format!("'{key}'")).collect::<Vec<_>>().join(", ")
        ),
    };
    let mut skip = own.clone();
    skip.extend(case.lines("skip.txt"));
    let expected = rows(&mut judge.table, "t", &skip, &but).await;
    assert_eq!(
        rows(table, new, &skip, &but).await,
        expected,
        "{}: {new} against a native ALTER of {old}",
        case.name
    );
}

const LENIENT: &str = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

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
