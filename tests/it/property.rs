//! Random tables, random ALTERs, random writes: forward, back and forward again, against native ALTERs.
//!
//! What must hold:
//! * After the swap, definition and rows are those of a native ALTER of the same rows. What a native ALTER refuses, rsc
//!   refuses, and the other way round, but for the refusals that are on record (conversions).
//! * After a revert each row of the new table is in the old one, as the nearest that a native ALTER makes of it; what
//!   that is not, taken back, is on record as a lost value, and nothing else is. Or the row is parked, and then the
//!   old table does not take it by hand either.
//! * What only one schema has comes back to the same rows.
//! * `rsc plan` announces each column that loses a value, and that rows may be parked.
//!
//! Where a value is the nearest one and where a row does not fit is found by the server alone, in temporary tables.
//!
//! `cargo test` runs it for less than a minute, always with the same cases; for more and for others there is `cargo
//! test --test it property -- --ignored --nocapture` with `RSC_PROPERTY_MINUTES` (10). `RSC_PROPERTY_SEED` is that of
//! the first case, and each case prints its own when it fails, with its script.

mod case;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::Rng;

use crate::cases::definition;
use crate::support::process::{Ended, rsc};
use crate::support::shared;
use crate::support::table::Table;
use case::{Case, Convertible, PAIRS, Write, kind, usable};
use judge::{Column, Judge, LENIENT, Pair, Rows, STRICT};

const SHORT: Duration = Duration::from_secs(45);
const LONG_MINUTES: f64 = 10.0;
const AT_ONCE: u64 = 3;
/// What a person reads after a failure.
const SHOWN_MAX: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn any_change_goes_forward_and_back() {
    run(SHORT, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes"]
async fn any_change_goes_forward_and_back_for_long() {
    let minutes =
        std::env::var("RSC_PROPERTY_MINUTES").map(|text| text.parse().expect("RSC_PROPERTY_MINUTES"));
    let length = Duration::from_secs_f64(60.0 * minutes.unwrap_or(LONG_MINUTES));
    run(length, rand::rng().random_range(0..1_000_000_000)).await;
}

fn asked_for() -> Option<u64> {
    let seed = std::env::var("RSC_PROPERTY_SEED").ok()?;
    Some(seed.parse().expect("RSC_PROPERTY_SEED"))
}

/// What cases came to, and how often.
type Tally = BTreeMap<String, u64>;

async fn run(length: Duration, seed: u64) {
    let first = asked_for().unwrap_or(seed);
    println!("property: {:.1} minutes, RSC_PROPERTY_SEED={first}", length.as_secs_f64() / 60.0);
    let convertible = Arc::new(convertible().await);
    let (next, until) = (Arc::new(AtomicU64::new(first)), Instant::now() + length);
    let lane = |next: Arc<AtomicU64>, convertible: Arc<Convertible>| async move {
        let (mut tally, mut failed) = (Tally::new(), Vec::new());
        while Instant::now() < until && failed.len() < SHOWN_MAX {
            let case = case::throw(next.fetch_add(1, Ordering::Relaxed), &convertible);
            match one(&case).await {
                Ok(outcome) => *tally.entry(outcome).or_default() += 1,
                Err(why) => {
                    let text = format!("RSC_PROPERTY_SEED={}\n{}{why}", case.seed, case.script());
                    println!("{text}");
                    failed.push(text);
                }
            }
        }
        (tally, failed)
    };
    let lanes: Vec<_> =
        (0..AT_ONCE).map(|_| tokio::spawn(lane(Arc::clone(&next), Arc::clone(&convertible)))).collect();
    let (mut tally, mut failed) = (Tally::new(), Vec::new());
    for lane in lanes {
        let (some, more) = lane.await.unwrap_or_else(|panicked| panic!("a lane: {panicked}"));
        for (outcome, times) in some {
            *tally.entry(outcome).or_default() += times;
        }
        failed.extend(more);
    }
    let cases: u64 = tally.values().sum();
    println!("property: {} cases, {} failed, {tally:#?}", cases + failed.len() as u64, failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(
        tally.get("forward and back").is_some_and(|&times| 4 * times > cases),
        "too few went: {tally:#?}"
    );
}

/// Asks the server which values a strict ALTER converts.
async fn convertible() -> Convertible {
    let mut conn = shared().conn().await.unwrap();
    let schema = shared().fresh_database().await;
    conn.query_drop(format!("USE {schema}; SET sql_log_bin = 0")).await.unwrap();
    let mut all = Convertible::new();
    for &(from, to) in PAIRS {
        let values: Vec<&'static str> = kind(from).values.iter().copied().filter(|v| usable(v)).collect();
        let good = match converts(&mut conn, from, to, &values).await {
            true => values,
            false => {
                let mut good = Vec::new();
                for value in values {
                    if converts(&mut conn, from, to, &[value]).await {
                        good.push(value);
                    }
                }
                good
            }
        };
        all.insert((from, to), good);
    }
    all
}

async fn converts(conn: &mut Conn, from: &str, to: &str, values: &[&str]) -> bool {
    let values: Vec<String> = values.iter().map(|value| format!("({value})")).collect();
    let made = format!(
        "SET sql_mode = '{LENIENT}'; DROP TEMPORARY TABLE IF EXISTS p; CREATE TEMPORARY TABLE p (c {}); \
         INSERT INTO p VALUES {}; SET sql_mode = DEFAULT",
        kind(from).definition,
        values.join(", ")
    );
    conn.query_drop(made).await.unwrap();
    conn.query_drop(format!("ALTER TABLE p MODIFY c {}, ALGORITHM=COPY", kind(to).definition)).await.is_ok()
}

/// The same table twice: rsc has one, the server alone the other.
struct Twins {
    ours: Table,
    native: Table,
}

impl Twins {
    /// Fails unless each write ends in the same way on both.
    async fn write(&mut self, writes: &[Write]) -> Result<(), String> {
        for statement in writes.iter().flat_map(|write| &write.statements) {
            let ours = self.ours.conn.query_drop(statement).await.map_err(|e| e.to_string());
            let native = self.native.conn.query_drop(statement).await.map_err(|e| e.to_string());
            if ours.is_ok() != native.is_ok() {
                return Err(format!("{statement}: {ours:?}, but natively {native:?}"));
            }
        }
        Ok(())
    }
}

async fn table() -> Table {
    let schema = shared().fresh_database().await;
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("USE {schema}; SET sql_mode = '{STRICT}'")).await.unwrap();
    Table::shared(conn, schema)
}

async fn judge(table: &Table) -> Judge {
    let mut conn = shared().conn().await.unwrap();
    conn.query_drop(format!("USE {}; SET time_zone = '+00:00', sql_log_bin = 0", table.schema))
        .await
        .unwrap();
    Judge { conn, schema: table.schema.clone() }
}

async fn one(case: &Case) -> Result<String, String> {
    let mut twins = Twins { ours: table().await, native: table().await };
    for statement in &case.create {
        for table in [&mut twins.ours, &mut twins.native] {
            // A row that the table refuses is no row; a table that the server refuses is no case.
            if let Err(error) = table.conn.query_drop(statement).await
                && statement.starts_with("CREATE")
            {
                return Ok(format!("no such table: {}", without_names(&error.to_string())));
            }
        }
    }
    let outcome = there(case, &mut twins).await;
    for table in [&mut twins.ours, &mut twins.native] {
        table.conn.query_drop(format!("DROP DATABASE {}", table.schema)).await.map_err(|e| e.to_string())?;
    }
    outcome
}

/// For counting: an error without what is particular to the case.
fn without_names(error: &str) -> String {
    let mut text: String = error.chars().filter(|c| !c.is_ascii_digit()).take(90).collect();
    while let (Some(a), Some(b)) = (text.find('\''), text.rfind('\''))
        && b > a
    {
        text.replace_range(a..=b, "…");
    }
    text
}

async fn there(case: &Case, twins: &mut Twins) -> Result<String, String> {
    let old_definition = definition(&mut twins.ours, "t").await;
    let schema = twins.ours.schema.clone();
    let start = ["migrate", "--database", &schema, "--alter", &case.alter];
    let mut run = rsc(shared(), &start);
    if let Some(fault) = case.dies {
        let ended = run.env("RSC_FAULT", fault).run().await;
        if ended.code != -1 {
            return refused(case, twins, &ended, &old_definition).await;
        }
        twins.write(&case.during).await?;
        let id = change(&mut twins.ours).await?.to_string();
        run = rsc(shared(), &["migrate", "--resume", &id]);
    }
    let ended = run.env("RSC_FAULT", "swap.lock.before:kill").run().await;
    if ended.code != -1 {
        return refused(case, twins, &ended, &old_definition).await;
    }
    twins.write(&case.late).await?;
    let id = change(&mut twins.ours).await?;
    let ended = rsc(shared(), &["migrate", "--resume", &id.to_string()]).run().await;
    if ended.code != 0 {
        return refused(case, twins, &ended, &old_definition).await;
    }
    let mut before = judge(&twins.native).await;
    let old_columns = before.columns("t").await?;
    let old_rows = before.rows("t", &old_columns).await?;
    alter_natively(case, twins).await.map_err(|e| format!("rsc went forward, natively: {e}"))?;
    let new = same_tables(twins).await?;
    let before = Before { columns: old_columns, old: old_rows, new };
    back(case, &mut twins.ours, id, &old_definition, &before).await
}

async fn change(table: &mut Table) -> Result<u64, String> {
    let sql = format!("SELECT id FROM _rsc.`change` WHERE schema_name = '{}'", table.schema);
    let id: Option<u64> = table.conn.query_first(sql).await.map_err(|e| e.to_string())?;
    id.ok_or_else(|| "no change is on record".into())
}

async fn alter_natively(case: &Case, twins: &mut Twins) -> Result<(), String> {
    let mut conn = shared().conn().await.unwrap();
    let mode = format!("USE {}; SET old_alter_table = ON", twins.native.schema);
    conn.query_drop(mode).await.unwrap();
    conn.query_drop(&case.alter).await.map_err(|e| e.to_string())
}

/// What rsc says that it does not do, though a native ALTER does.
const ON_RECORD: &[&str] = &[
    "cannot be converted from",
    "do not keep the same keys apart",
    "no primary or unique key is over the same columns",
    "the statement changes nothing of",
];

async fn refused(
    case: &Case,
    twins: &mut Twins,
    ended: &Ended,
    definition_before: &str,
) -> Result<String, String> {
    if let Some(words) = ON_RECORD.iter().find(|words| ended.stderr.contains(**words)) {
        return Ok(format!("refused: {words}"));
    }
    if definition(&mut twins.ours, "t").await != definition_before {
        return Err(format!("a refused change left another definition: {ended:#?}"));
    }
    same_tables(twins).await.map_err(|e| format!("a refused change left other rows: {e}"))?;
    let tables = twins.ours.tables().await;
    if tables != ["t"] {
        return Err(format!("a refused change left {tables:?}: {ended:#?}"));
    }
    match alter_natively(case, twins).await {
        Ok(()) => Err(format!("a native ALTER is not refused, but rsc: {ended:#?}")),
        Err(why) => Ok(format!("refused by both: {}", without_names(&why))),
    }
}

async fn same_tables(twins: &mut Twins) -> Result<Rows, String> {
    let (ours, native) = (definition(&mut twins.ours, "t").await, definition(&mut twins.native, "t").await);
    if ours != native {
        return Err(format!("definition:\n{ours}\nnatively:\n{native}"));
    }
    let mut all = Vec::new();
    for table in [&twins.ours, &twins.native] {
        let mut judge = judge(table).await;
        let columns = judge.columns("t").await?;
        all.push(judge.rows("t", &columns).await?);
    }
    equal("after the swap, natively", &all[1], &all[0])?;
    Ok(all.remove(1))
}

fn equal(what: &str, expected: &Rows, found: &Rows) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    let tags: BTreeSet<&i64> = expected.keys().chain(found.keys()).collect();
    let differ: Vec<String> = tags
        .into_iter()
        .filter(|tag| expected.get(tag) != found.get(tag))
        .take(SHOWN_MAX)
        .map(|tag| format!("tag {tag}: {:?}\n  found {:?}", expected.get(tag), found.get(tag)))
        .collect();
    Err(format!("{what}:\n{}", differ.join("\n")))
}

/// The two tables of a change that has swapped, and how their columns belong together.
struct Sides {
    pairs: Vec<Pair>,
    /// Which only the old table has, and only the new.
    old_own: Vec<Column>,
    new_own: Vec<Column>,
}

impl Sides {
    fn new(case: &Case, old: &[Column], new: &[Column]) -> Self {
        let written = |columns: &[Column]| -> Vec<Column> {
            columns.iter().filter(|column| !column.generated).cloned().collect()
        };
        let (old, mut new) = (written(old), written(new));
        let (mut pairs, mut old_own) = (Vec::new(), Vec::new());
        for column in old {
            let to =
                case.renamed.iter().find(|(from, _)| *from == column.name).map_or(&column.name, |(_, to)| to);
            let gone = case.dropped.contains(&column.name);
            match new.iter().position(|other| !gone && other.name == *to) {
                Some(at) => pairs.push(Pair { old: column, new: new.remove(at) }),
                None => old_own.push(column),
            }
        }
        Self { pairs, old_own, new_own: new }
    }

    fn to_old(&self) -> Vec<(&Column, &Column)> {
        self.pairs.iter().map(|pair| (&pair.new, &pair.old)).collect()
    }

    fn to_new(&self) -> Vec<(&Column, &Column)> {
        self.pairs.iter().map(|pair| (&pair.old, &pair.new)).collect()
    }
}

/// The table before a native ALTER, and after.
struct Before {
    columns: Vec<Column>,
    old: Rows,
    new: Rows,
}

async fn back(
    case: &Case,
    table: &mut Table,
    id: u64,
    old_definition: &str,
    before: &Before,
) -> Result<String, String> {
    for statement in case.new.iter().flat_map(|write| &write.statements) {
        // What the server refuses is not there.
        let _ = table.conn.query_drop(statement).await;
    }
    let reverted = rsc(shared(), &["revert", &id.to_string(), "--accept-parked"]).run().await;
    if reverted.code != 0 {
        return Err(format!("the revert: {reverted:#?}"));
    }
    if definition(table, "t").await != old_definition {
        return Err("the old definition did not come back".into());
    }
    let mut judge = judge(table).await;
    let shadow = format!("_rsc{id}_t_new");
    let new_columns = judge.columns(&shadow).await?;
    let sides = Sides::new(case, &before.columns, &new_columns);
    let reverted = Reverted::look(&mut judge, &sides, &shadow).await?;
    let findings = findings(table, id).await?;
    was_announced(case, table, &findings).await?;
    reverted.hold_against(&findings, before, case, &sides, &mut judge).await?;
    reverted.own_values_came_back(&sides.old_own, &before.old, &mut judge, case).await?;
    again(case, table, id, &sides, (&reverted, &findings), &mut judge).await
}

/// The tables after a revert, and what the judge makes of the new one.
struct Reverted {
    new: Rows,
    old: Rows,
    /// The nearest values of `new` in the old types.
    nearest: Rows,
    /// What comes back of what the old table has, and of these for rows that it has not.
    came_back: Rows,
}

impl Reverted {
    async fn look(judge: &mut Judge, sides: &Sides, shadow: &str) -> Result<Self, String> {
        let columns = |of: fn(&Pair) -> &Column, own: &[Column]| -> Vec<Column> {
            sides.pairs.iter().map(of).chain(own).cloned().collect()
        };
        let new = judge.rows(shadow, &columns(|p| &p.new, &sides.new_own)).await?;
        let old = judge.rows("t", &columns(|p| &p.old, &sides.old_own)).await?;
        let nearest = judge.converted(shadow, "nearest", &sides.to_old(), LENIENT).await?;
        let mut came_back = judge.converted("nearest", "came_back", &sides.to_new(), LENIENT).await?;
        came_back.extend(judge.converted("t", "came_back", &sides.to_new(), LENIENT).await?);
        Ok(Self { new, old, nearest, came_back })
    }

    /// Values that do not come back.
    fn lost(&self, tag: i64, sides: &Sides) -> BTreeSet<String> {
        let names = sides.pairs.iter().map(|pair| pair.new.name.clone());
        names
            .filter(|name| {
                let came_back = self.came_back.get(&tag).and_then(|row| row.get(name));
                came_back != self.new[&tag].get(name)
            })
            .collect()
    }

    async fn hold_against(
        &self,
        findings: &Findings,
        before: &Before,
        case: &Case,
        sides: &Sides,
        judge: &mut Judge,
    ) -> Result<(), String> {
        let touched: BTreeSet<i64> = case.new.iter().flat_map(|write| &write.tags).copied().collect();
        if let Some(tag) = self.old.keys().find(|tag| !self.new.contains_key(tag)) {
            return Err(format!("the old table has a row with tag {tag}, the new one has not"));
        }
        let (mut parked, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for &tag in self.new.keys() {
            let key = findings.key_of(tag)?;
            let Some(old) = self.old.get(&tag) else {
                parked.insert(key.clone());
                self.is_parked_for_a_reason(tag, case, sides, judge).await?;
                continue;
            };
            for pair in &sides.pairs {
                let (value, may_be) = (&old[&pair.old.name], self.may_be(tag, pair, before, &touched));
                if !may_be.contains(&value) {
                    let (name, new) = (&pair.old.name, &self.new[&tag][&pair.new.name]);
                    return Err(format!(
                        "tag {tag}, {name}: {new:?} went back as {value:?}, not as {may_be:?}"
                    ));
                }
            }
            lost.extend(self.lost(tag, sides).into_iter().map(|column| (key.clone(), column)));
        }
        same_set("parked", &parked, &findings.parked)?;
        same_set("lost", &lost, &findings.lost)
    }

    /// As [`After::may_be`], the other way round.
    fn may_be<'a>(
        &'a self,
        tag: i64,
        pair: &Pair,
        before: &'a Before,
        touched: &BTreeSet<i64>,
    ) -> Vec<&'a String> {
        let was = before.old.get(&tag).map(|row| &row[&pair.old.name]);
        if !touched.contains(&tag) {
            return was.into_iter().collect();
        }
        let became = before.new.get(&tag).map(|row| &row[&pair.new.name]);
        let stays = was.filter(|_| became == self.new[&tag].get(&pair.new.name));
        let nearest = self.nearest.get(&tag).map(|row| &row[&pair.old.name]);
        nearest.into_iter().chain(stays).collect()
    }

    async fn is_parked_for_a_reason(
        &self,
        tag: i64,
        case: &Case,
        sides: &Sides,
        judge: &mut Judge,
    ) -> Result<(), String> {
        let lost = self.lost(tag, sides);
        let key_is_lost = case.key.iter().any(|(_, new)| lost.contains(new));
        if !self.nearest.contains_key(&tag) || key_is_lost {
            return Ok(());
        }
        let columns: Vec<&str> = sides.pairs.iter().map(|pair| pair.old.name.as_str()).collect();
        match judge.takes("t", "nearest", &columns, tag).await? {
            true => Err(format!("tag {tag} is not in the old table, which takes it: {:?}", self.new[&tag])),
            false => Ok(()),
        }
    }

    async fn own_values_came_back(
        &self,
        own: &[Column],
        before: &Rows,
        judge: &mut Judge,
        case: &Case,
    ) -> Result<(), String> {
        let key: Vec<String> = case.key.iter().map(|(old, _)| old.clone()).collect();
        let fresh = judge.defaults("t", &key, own).await?;
        for (tag, row) in &self.old {
            for column in own {
                let expected = before.get(tag).unwrap_or(&fresh);
                if row[&column.name] != expected[&column.name] {
                    return Err(format!(
                        "tag {tag}, {}: had {:?}, came back as {:?}",
                        column.name, expected[&column.name], row[&column.name]
                    ));
                }
            }
        }
        Ok(())
    }
}

fn same_set<T: Ord + std::fmt::Debug>(
    what: &str,
    expected: &BTreeSet<T>,
    said: &BTreeSet<T>,
) -> Result<(), String> {
    let (missing, false_ones): (Vec<_>, Vec<_>) =
        (expected.difference(said).collect(), said.difference(expected).collect());
    match missing.is_empty() && false_ones.is_empty() {
        true => Ok(()),
        false => Err(format!("{what}: not on record {missing:?}, wrongly on record {false_ones:?}")),
    }
}

/// What `rsc losses` says, by the text of the key.
struct Findings {
    parked: BTreeSet<String>,
    lost: BTreeSet<(String, String)>,
    keys: BTreeMap<i64, String>,
}

impl Findings {
    fn key_of(&self, tag: i64) -> Result<&String, String> {
        self.keys.get(&tag).ok_or_else(|| format!("no key of tag {tag}"))
    }
}

async fn findings(table: &mut Table, id: u64) -> Result<Findings, String> {
    let arguments = ["--output", "json", "losses", &id.to_string(), "--limit", "100000"];
    let ended = rsc(shared(), &arguments).run().await;
    if ended.code != 0 {
        return Err(format!("losses: {ended:#?}"));
    }
    let (mut parked, mut lost) = (BTreeSet::new(), BTreeSet::new());
    let word = |line: &serde_json::Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    for line in ended.lines() {
        let twice = match line["event"].as_str() {
            Some("parked_row") => !parked.insert(word(&line, "key")),
            Some("lost_value") => !lost.insert((word(&line, "key"), word(&line, "column"))),
            _ => false,
        };
        if twice {
            return Err(format!("on record twice: {line}"));
        }
    }
    let keys = keys(table, &format!("_rsc{id}_t_new")).await?;
    Ok(Findings { parked, lost, keys })
}

/// Asked after the revert, when the table has its old definition again. The change itself speaks against another one.
async fn was_announced(case: &Case, table: &Table, findings: &Findings) -> Result<(), String> {
    if findings.parked.is_empty() && findings.lost.is_empty() {
        return Ok(());
    }
    let plan = ["--output", "json", "plan", "--database", &table.schema, "--alter", &case.alter];
    let ended = rsc(shared(), &plan).run().await;
    let Some(plan) = ended.lines().into_iter().find(|line| line["event"] == "plan") else {
        return Err(format!("no plan: {ended:#?}"));
    };
    let parts = |list: &str| plan["revert"][list].as_array().cloned().unwrap_or_default();
    for (_, column) in &findings.lost {
        let announced = |part: &serde_json::Value| part["new"]["name"] == **column && part["loses"] == true;
        if !parts("columns").iter().any(announced) {
            return Err(format!("{column} lost a value, and the plan said {:#}", plan["revert"]));
        }
    }
    let parks = |part: &serde_json::Value| {
        part["parks"] == true || part["parks"].as_array().is_some_and(|reasons| !reasons.is_empty())
    };
    let announced = parts("columns").iter().chain(&parts("rules")).any(parks);
    if !findings.parked.is_empty() && !announced {
        return Err(format!("rows are parked, and the plan said {:#}", plan["revert"]));
    }
    Ok(())
}

/// The key of each row, as `rsc losses` shows it.
async fn keys(table: &mut Table, name: &str) -> Result<BTreeMap<i64, String>, String> {
    let key: Vec<String> = table
        .conn
        .query(format!(
            "SELECT COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = '{}' \
             AND TABLE_NAME = '{name}' AND CONSTRAINT_NAME IN ('PRIMARY', 'by_id') ORDER BY ORDINAL_POSITION",
            table.schema
        ))
        .await
        .map_err(|e| e.to_string())?;
    let sql = format!("SELECT tag, CONCAT_WS(', ', {}) FROM {name}", key.join(", "));
    let keys: Vec<(i64, String)> = table.conn.query(sql).await.map_err(|e| e.to_string())?;
    Ok(keys.into_iter().collect())
}

/// Forward once more, with what was written under the old schema.
async fn again(
    case: &Case,
    table: &mut Table,
    id: u64,
    sides: &Sides,
    (reverted, findings): (&Reverted, &Findings),
    judge: &mut Judge,
) -> Result<String, String> {
    let mut touched = BTreeSet::new();
    for write in &case.again {
        touched.extend(write.tags.iter().copied());
        for statement in &write.statements {
            let _ = table.conn.query_drop(statement).await;
        }
    }
    let columns: Vec<Column> = sides.pairs.iter().map(|pair| pair.old.clone()).collect();
    let live = judge.rows("t", &columns).await?;
    let converted = judge.converted("t", "forward", &sides.to_new(), STRICT).await?;
    let reapplied = rsc(shared(), &["reapply", &id.to_string()]).run().await;
    if reapplied.code != 0 {
        let one_is_refused = live.keys().any(|tag| touched.contains(tag) && !converted.contains_key(tag));
        let known = reapplied.stderr.contains("Duplicate entry") || one_is_refused;
        return match known {
            true => Ok("forward and back, not again: the new schema does not take the rows".into()),
            false => Err(format!("the reapply: {reapplied:#?}")),
        };
    }
    let new_columns: Vec<Column> =
        sides.pairs.iter().map(|pair| &pair.new).chain(&sides.new_own).cloned().collect();
    let found = judge.rows("t", &new_columns).await?;
    let key: Vec<String> = case.key.iter().map(|(_, new)| new.clone()).collect();
    let fresh = judge.defaults("t", &key, &sides.new_own).await?;
    let after =
        After { sides, reverted, live: &live, converted: &converted, fresh: &fresh, touched: &touched };
    let taken: BTreeSet<String> = keys(table, "t").await?.into_values().collect();
    // Under the old schema the application may have given its key to another row.
    let gave_way = |tag: &i64| !found.contains_key(tag) && taken.contains(&findings.keys[tag]);
    after.hold_against(&found, gave_way)?;
    let completed = rsc(shared(), &["complete", &id.to_string()]).run().await;
    let tables = table.tables().await;
    match completed.code == 0 && tables == ["t"] {
        true => Ok("forward and back".into()),
        false => Err(format!("complete leaves {tables:?}: {completed:#?}")),
    }
}

/// What the new table must hold after the second way forward.
struct After<'a> {
    sides: &'a Sides,
    reverted: &'a Reverted,
    /// The old table, and what a native ALTER makes of it.
    live: &'a Rows,
    converted: &'a Rows,
    fresh: &'a BTreeMap<String, String>,
    touched: &'a BTreeSet<i64>,
}

impl After<'_> {
    fn hold_against(&self, found: &Rows, gave_way: impl Fn(&i64) -> bool) -> Result<(), String> {
        let parked = |tag: &&i64| !self.reverted.old.contains_key(tag) && !gave_way(tag);
        let parked: Vec<&i64> = self.reverted.new.keys().filter(parked).collect();
        let expected: BTreeSet<i64> = self.live.keys().chain(parked.iter().copied()).copied().collect();
        let tags: BTreeSet<i64> = found.keys().copied().collect();
        same_set("rows after the reapply", &expected, &tags)?;
        for (&tag, row) in found {
            let before = self.reverted.new.get(&tag);
            for column in &self.sides.new_own {
                let expected = &before.unwrap_or(self.fresh)[&column.name];
                if row[&column.name] != *expected {
                    let found = &row[&column.name];
                    return Err(format!("tag {tag}, {}: {expected:?} came again as {found:?}", column.name));
                }
            }
            for pair in &self.sides.pairs {
                let (value, may_be) = (&row[&pair.new.name], self.may_be(tag, pair));
                if !may_be.contains(&value) {
                    let name = &pair.new.name;
                    return Err(format!("tag {tag}, {name}: came again as {value:?}, not as {may_be:?}"));
                }
            }
        }
        Ok(())
    }

    /// A value that nobody wrote is what it was. One that was written is the converted one, or what it was, if the
    /// old schema shows that as what it has.
    fn may_be(&self, tag: i64, pair: &Pair) -> Vec<&String> {
        let before = self.reverted.new.get(&tag).map(|row| &row[&pair.new.name]);
        if !self.touched.contains(&tag) || !self.live.contains_key(&tag) {
            return before.into_iter().collect();
        }
        let live = &self.live[&tag][&pair.old.name];
        let nearest = self.reverted.nearest.get(&tag).map(|row| &row[&pair.old.name]);
        let stays = before.filter(|_| nearest == Some(live));
        let converted = self.converted.get(&tag).map(|row| &row[&pair.new.name]);
        converted.into_iter().chain(stays).collect()
    }
}
