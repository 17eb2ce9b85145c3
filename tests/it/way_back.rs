//! Values on the way back (src/rows/kept.rs): what nobody wrote since a swap comes back byte by byte, after any sequence of
//! revert and reapply; what was written comes back as a native ALTER back would store it. For every pair of types that
//! rsc converts, with every value that the new type takes.
//!
//! A table has the values of some types in as many columns as there are types to convert them to, and each value in
//! as many rows as there are things that can happen to a row ([`Deed`]).

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use mysql_async::Row;
use mysql_async::prelude::Queryable;
use rsc::mysql::inspect::{self, Found};
use rsc::rows::statements::Statements;
use rsc::schema::conversion;
use rsc::schema::projection::Mapping;
use rsc::schema::statement::Alter;
use rsc::schema::table::{Table, TableName};
use rsc::session::Session;

use crate::conversions::kinds::{KINDS, Kind};
use crate::conversions::{LENIENT, STRICT, bits};
use crate::support::process::{address_as, rsc};
use crate::support::table::Table as Live;
use crate::support::{shared, sum_up};

/// Columns of one table.
const COLUMNS_MAX: usize = 120;
/// A tag is the number of a value times this, and a deed.
const DEEDS: usize = 10;

/// What happens to a row between the first swap and the first revert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    /// Another column is written.
    Touch,
    /// Its key moves.
    Move,
    /// It is deleted and inserted again as it was.
    Anew,
    /// It is parked, written, moved, and repaired.
    Park,
    /// Its values become those of another row.
    Write,
    /// The same, and back again in the same transaction.
    WriteBack,
    /// Its values are written while it is parked.
    WriteParked,
    /// Its values are written after the revert.
    WriteOld,
}

const ALL: [Deed; 9] = {
    use Deed::*;
    [Nothing, Touch, Move, Anew, Park, Write, WriteBack, WriteParked, WriteOld]
};

/// A column: values of one kind that become another.
struct Pair {
    from: &'static Kind,
    to: &'static Kind,
}

struct Trial {
    live: Live,
    session: Session,
    pairs: Vec<Pair>,
    values: usize,
    /// Columns with a value that the old type takes only because it was there: to write it would park the row.
    one_way: BTreeSet<usize>,
    id: u64,
    found: Outcome,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    pairs: usize,
    cells: usize,
    on_record: usize,
    differences: Vec<String>,
}

fn data_type(kind: &Kind) -> &str {
    kind.definition.split(['(', ' ']).next().unwrap()
}

/// The pairs that are supported, a table's worth at a time; those of one kind stay together.
async fn tables() -> Vec<Vec<Pair>> {
    let mut live = Live::create("id int PRIMARY KEY").await;
    let columns: String = KINDS.iter().enumerate().map(|(i, k)| format!(", c{i} {}", k.definition)).collect();
    live.run(&format!("CREATE TABLE kinds (id int PRIMARY KEY{columns})")).await;
    let mut session = Session::open(&address_as("root", shared())).await.unwrap();
    let all = table(&mut session, &live.schema, "kinds").await;
    let supported =
        |from: usize, to: usize| conversion::refusal(&all.columns[from + 1], &all.columns[to + 1]).is_none();
    let mut tables: Vec<Vec<Pair>> = Vec::new();
    for (f, from) in KINDS.iter().enumerate() {
        let pairs = KINDS.iter().enumerate().filter(|(t, _)| supported(f, *t));
        let pairs: Vec<Pair> = pairs.map(|(_, to)| Pair { from, to }).collect();
        match tables.last_mut() {
            Some(last) if last.len() + pairs.len() <= COLUMNS_MAX => last.extend(pairs),
            _ => tables.push(pairs),
        }
    }
    tables
}

async fn table(session: &mut Session, schema: &str, name: &str) -> Table {
    match inspect::find(session, &TableName::new(schema, name)).await.unwrap() {
        Found::Table(table) => *table,
        Found::View | Found::Nothing => panic!("no {name}"),
    }
}

impl Trial {
    /// Long values are left out: nothing that is held here depends on the length.
    fn values(kind: &'static Kind) -> Vec<&'static str> {
        kind.values.iter().copied().filter(|value| !value.contains("0000)")).collect()
    }

    async fn new(pairs: Vec<Pair>) -> Self {
        let columns: String =
            pairs.iter().enumerate().map(|(i, p)| format!(", c{i} {} NULL", p.from.definition)).collect();
        let definition = format!(
            "id int PRIMARY KEY, tag int NOT NULL UNIQUE, j int NOT NULL, u int NOT NULL, UNIQUE KEY one_u (u){columns}"
        );
        let mut live = Live::create(&definition).await;
        live.run(&format!("SET sql_mode = '{LENIENT}', time_zone = '+00:00'")).await;
        let session = Session::open(&address_as("root", shared())).await.unwrap();
        let values = pairs.iter().map(|pair| Self::values(pair.from).len()).max().unwrap() + 1;
        let (one_way, found) = (BTreeSet::new(), Outcome::default());
        let mut trial = Self { live, session, pairs, values, one_way, id: 0, found };
        trial.fill().await;
        trial
    }

    fn clauses(&self, of: impl Fn(&Pair) -> &'static Kind) -> String {
        let clause = |(i, pair): (usize, &Pair)| format!("MODIFY c{i} {} NULL", of(pair).definition);
        self.pairs.iter().enumerate().map(clause).collect::<Vec<_>>().join(", ")
    }

    /// Every value that the other type takes; the last row has none.
    async fn fill(&mut self) {
        for value in 0..self.values {
            let tag = value * DEEDS;
            let cells: String = self
                .pairs
                .iter()
                .map(|pair| format!(", {}", Self::values(pair.from).get(value).unwrap_or(&"NULL")))
                .collect();
            self.live.run(&format!("INSERT INTO t VALUES ({tag}, {tag}, 0, {tag}{cells})")).await;
        }
        self.live.run("CREATE TABLE probe LIKE t").await;
        self.live.run("CREATE TABLE back LIKE t").await;
        self.live.run(&format!("ALTER TABLE probe {}", self.clauses(|pair| pair.to))).await;
        let (src, dst) = (
            table(&mut self.session, &self.live.schema, "t").await,
            table(&mut self.session, &self.live.schema, "probe").await,
        );
        self.session.run(&format!("SET sql_mode = '{STRICT}'")).await.unwrap();
        for i in 0..self.pairs.len() {
            self.leave_out_what_does_not_fit(&src, &dst, i).await;
        }
        self.live.run("DROP TABLE probe, back").await;
        for deed in 1..ALL.len() {
            let cells: String = (0..self.pairs.len()).map(|i| format!(", c{i}")).collect();
            self.live
                .run(&format!(
                    "INSERT INTO t SELECT id + {deed}, tag + {deed}, 0, u + {deed}{cells} FROM t WHERE tag % {DEEDS} = 0"
                ))
                .await;
        }
        self.copy("old_first").await;
    }

    async fn leave_out_what_does_not_fit(&mut self, src: &Table, dst: &Table, i: usize) {
        let of = |table: &Table| Table {
            columns: [&table.columns[..4], &table.columns[i + 4..=i + 4]].concat(),
            ..table.clone()
        };
        let (src, dst) = (of(src), of(dst));
        let mapping = Mapping::between(&src, &dst, &Alter::default()).unwrap();
        let statements = Statements::new(mapping.forward(), src.name.clone(), dst.name.clone());
        let back = TableName::new(&*self.live.schema, "back");
        for table in [&dst.name, &back] {
            self.session.run(&format!("DELETE FROM {table}")).await.unwrap();
        }
        let mut refused = Vec::new();
        let whole = self.session.run(&statements.copy(None, None)).await.is_ok();
        for value in (0..self.values).filter(|_| !whole) {
            let id = i64::try_from(value * DEEDS).unwrap();
            let (lo, hi) = (vec![(id - 1).to_string()], vec![id.to_string()]);
            if self.session.run(&statements.copy(Some(&lo), Some(&hi))).await.is_err() {
                refused.push(id.to_string());
            }
        }
        if !refused.is_empty() {
            self.live.run(&format!("UPDATE t SET c{i} = NULL WHERE id IN ({})", refused.join(", "))).await;
        }
        if conversion::may_refuse(&dst.columns[4], &src.columns[4]) {
            let back = Statements::new(mapping.inverse(), dst.name.clone(), back);
            self.session.run(&format!("SET sql_mode = '{LENIENT}'")).await.unwrap();
            if self.session.run(&back.copy(None, None)).await.is_err() {
                self.one_way.insert(i);
            }
            self.session.run(&format!("SET sql_mode = '{STRICT}'")).await.unwrap();
        }
    }

    async fn copy(&mut self, name: &str) {
        self.live.run(&format!("CREATE TABLE {name} LIKE t")).await;
        self.live.run(&format!("INSERT INTO {name} SELECT * FROM t")).await;
    }

    /// Whether it ended as it should.
    async fn rsc(&mut self, words: &[&str], code: i32) -> bool {
        let id = self.id.to_string();
        let words: Vec<&str> = words.iter().copied().chain([id.as_str()]).collect();
        let ended = rsc(shared(), &words).run().await;
        if ended.code != code {
            let (first, last) = (self.pairs.first().unwrap(), self.pairs.last().unwrap());
            self.found.differences.push(format!(
                "{} to {} and on to {} to {}, {words:?}: {ended:#?}",
                first.from.name, first.to.name, last.from.name, last.to.name
            ));
        }
        ended.code == code
    }

    fn which(deeds: &[Deed]) -> String {
        let numbers: Vec<String> = deeds.iter().map(|deed| (*deed as usize).to_string()).collect();
        format!("t.tag % {DEEDS} IN ({})", numbers.join(", "))
    }

    async fn write(&mut self, set: &str, deeds: &[Deed]) {
        self.live.run(&format!("UPDATE t SET {set} WHERE {}", Self::which(deeds))).await;
    }

    /// Gives rows the values of the row `away` values further, as `from` has them.
    async fn write_values(&mut self, from: &str, away: usize, deeds: &[Deed]) {
        let columns = (0..self.pairs.len()).filter(|i| from.starts_with("old") || !self.one_way.contains(i));
        let sets: Vec<String> = columns.map(|i| format!("t.c{i} = o.c{i}")).collect();
        if sets.is_empty() {
            return;
        }
        let join = format!("o.tag = {}", self.neighbour("t.tag", away));
        let which = Self::which(deeds);
        self.live
            .run(&format!("UPDATE t JOIN {from} AS o ON {join} SET {} WHERE {which}", sets.join(", ")))
            .await;
    }

    fn neighbour(&self, tag: &str, away: usize) -> String {
        format!("({tag} + {}) % {}", away * DEEDS, self.values * DEEDS)
    }

    fn bits(&self, alias: &str, i: usize, old: bool) -> String {
        let kind = if old { self.pairs[i].from } else { self.pairs[i].to };
        bits(&format!("{alias}.c{i}"), data_type(kind))
    }

    /// Rows of `t` of these deeds must have what `wanted` has `away` values further; only cells where `only` holds.
    async fn compare(
        &mut self,
        what: &str,
        old: bool,
        (wanted, away): (&str, usize),
        deeds: &[Deed],
        only: impl Fn(&Self, usize) -> Option<String>,
    ) {
        let cells: Vec<String> = (0..self.pairs.len())
            .map(|i| {
                let (is, wanted) = (self.bits("t", i, old), self.bits("o", i, old));
                let only = only(self, i).unwrap_or_else(|| "TRUE".into());
                format!("IF({only} AND NOT {is} <=> {wanted}, CONCAT('c{i} is ', COALESCE({is}, 'NULL'), ', not ', COALESCE({wanted}, 'NULL')), NULL)")
            })
            .collect();
        let counted: Vec<String> =
            (0..self.pairs.len()).filter_map(|i| Some(format!("({})", only(self, i)?))).collect();
        let counted = if counted.is_empty() { self.pairs.len().to_string() } else { counted.join(" + ") };
        let sql = format!(
            "SELECT t.tag, CONCAT_WS('\\n', {}), {counted} FROM t JOIN {wanted} AS o ON o.tag = {} \
             JOIN new_first AS a ON a.tag = t.tag JOIN new_first AS b ON b.tag = {} WHERE {} ORDER BY t.tag",
            cells.join(", "),
            self.neighbour("t.tag", away),
            self.neighbour("t.tag", 1),
            Self::which(deeds)
        );
        let rows: Vec<Row> = self.live.all(&sql).await;
        assert_eq!(rows.len(), self.values * deeds.len(), "{what}: rows are missing");
        for row in rows {
            let (tag, differences): (usize, String) = (row.get(0).unwrap(), row.get(1).unwrap());
            self.found.cells += row.get::<usize, _>(2).unwrap();
            for difference in differences.lines().filter(|line| !line.is_empty()) {
                let place: usize = difference[1..].split(' ').next().unwrap().parse().unwrap();
                let (pair, deed) = (&self.pairs[place], ALL[tag % DEEDS]);
                let value = Self::values(pair.from).get(tag / DEEDS).copied().unwrap_or("NULL");
                self.found.differences.push(format!(
                    "{what}: {} to {}, {deed:?} {value}: {difference}",
                    pair.from.name, pair.to.name
                ));
            }
        }
    }

    /// In the new table the row's own value was not that of the row that it was given.
    fn was_written(&self, i: usize) -> String {
        if self.one_way.contains(&i) {
            return "FALSE".into();
        }
        format!("(NOT {} <=> {})", self.bits("a", i, false), self.bits("b", i, false))
    }

    fn was_not(&self, i: usize) -> String {
        format!("(NOT {})", self.was_written(i))
    }

    /// What a native ALTER back makes of the new table's first values. Columns of which it takes no value are left out.
    async fn native_back(&mut self) -> BTreeSet<usize> {
        self.live.run("CREATE TABLE native LIKE new_first").await;
        self.live.run("INSERT INTO native SELECT * FROM new_first").await;
        let clauses = self.clauses(|pair| pair.from);
        if self.live.conn.query_drop(format!("ALTER TABLE native {clauses}, ALGORITHM=COPY")).await.is_ok() {
            return BTreeSet::new();
        }
        let mut refused = BTreeSet::new();
        for i in 0..self.pairs.len() {
            let definition = self.pairs[i].from.definition;
            let alter = format!("ALTER TABLE native MODIFY c{i} {definition} NULL, ALGORITHM=COPY");
            if self.live.conn.query_drop(&alter).await.is_err() {
                refused.insert(i);
                self.live.run(&format!("UPDATE native SET c{i} = NULL")).await;
                self.live.run(&alter).await;
            }
        }
        refused
    }

    async fn run(mut self) -> Outcome {
        self.found.pairs = self.pairs.len();
        if self.write_new().await && self.come_back().await && self.go_forth().await {
            self.come_back_again().await;
        }
        self.found
    }

    async fn write_new(&mut self) -> bool {
        use Deed::*;
        let alter = format!("DROP KEY one_u, {}", self.clauses(|pair| pair.to));
        self.id = self.live.migrated(&alter, &[]).await;
        self.copy("new_first").await;
        self.write("j = j + 1", &[Touch]).await;
        self.write("id = id + 100000", &[Move]).await;
        self.write("u = u - tag % 10", &[Park, WriteParked]).await;
        self.live.run("CREATE TABLE anew LIKE t").await;
        let anew = Self::which(&[Anew]);
        self.live.run(&format!("INSERT INTO anew SELECT * FROM t WHERE {anew}")).await;
        for i in self.one_way.clone() {
            self.live.run(&format!("UPDATE anew SET c{i} = NULL")).await;
        }
        self.live.run(&format!("DELETE FROM t WHERE {anew}")).await;
        self.live.run("INSERT INTO t SELECT * FROM anew").await;
        self.write_values("new_first", 1, &[Write]).await;
        self.live.run("BEGIN").await;
        self.write_values("new_first", 1, &[WriteBack]).await;
        self.write_values("new_first", 0, &[WriteBack]).await;
        self.live.run("COMMIT").await;
        if !self.rsc(&["revert"], 6).await {
            return false;
        }
        self.write_values("new_first", 1, &[WriteParked]).await;
        self.write("id = id + 200000, j = j + 1", &[Park]).await;
        if !self.rsc(&["revert"], 6).await {
            return false;
        }
        self.write("u = tag", &[Park, WriteParked]).await;
        self.copy("new_last").await;
        true
    }

    async fn come_back(&mut self) -> bool {
        use Deed::*;
        if !(self.rsc(&["verify"], 0).await && self.rsc(&["revert"], 0).await) {
            return false;
        }
        let unwritten = [Nothing, Touch, Move, Park, WriteOld];
        self.compare("reverted", true, ("old_first", 0), &unwritten, |_, _| None).await;
        let written = [Write, WriteBack, WriteParked];
        let not = |trial: &Self, i: usize| Some(trial.was_not(i));
        self.compare("reverted, not written", true, ("old_first", 0), &written, not).await;
        let refused = self.native_back().await;
        let is = |trial: &Self, i: usize| {
            Some(if refused.contains(&i) { "FALSE".into() } else { trial.was_written(i) })
        };
        self.compare("reverted, written", true, ("native", 1), &[Write, WriteParked], is).await;
        self.compare("reverted, written and back", true, ("native", 0), &[WriteBack], is).await;
        let all = |trial: &Self, i: usize| {
            (refused.contains(&i) || trial.one_way.contains(&i)).then(|| "FALSE".into())
        };
        self.compare("reverted, anew", true, ("native", 0), &[Anew], all).await;
        self.look_at_losses().await;
        self.rsc(&["verify"], 0).await
    }

    /// Only what was written is on record, and what two ways of writing a value have lost is the same.
    async fn look_at_losses(&mut self) {
        let sql = format!(
            "SELECT n.tag, l.column_name FROM _rsc.loss_{} AS l JOIN new_last AS n ON n.id = l.k0",
            self.id
        );
        let lost: Vec<(usize, String)> = self.live.all(&sql).await;
        self.found.on_record += lost.len();
        let mut by_deed: BTreeMap<usize, BTreeSet<(usize, String)>> = BTreeMap::new();
        for (tag, column) in lost {
            by_deed.entry(tag % DEEDS).or_default().insert((tag / DEEDS, column));
        }
        let of = |deed: Deed| by_deed.get(&(deed as usize)).cloned().unwrap_or_default();
        for deed in [Deed::Nothing, Deed::Touch, Deed::Move, Deed::Park, Deed::WriteOld] {
            for (value, column) in of(deed) {
                self.found.differences.push(format!("{deed:?} {value} {column} is on record as lost"));
            }
        }
        let differs: Vec<String> =
            (0..self.pairs.len()).map(|i| format!("IF({}, 'c{i}', NULL)", self.was_written(i))).collect();
        let sql = format!(
            "SELECT a.tag, CONCAT_WS(',', {}) FROM new_first AS a JOIN new_first AS b ON b.tag = {} WHERE a.tag % {DEEDS} = 0",
            differs.join(", "),
            self.neighbour("a.tag", 1)
        );
        let written: Vec<(usize, String)> = self.live.all(&sql).await;
        for (tag, columns) in written {
            for column in columns.split(',').filter(|column| !column.is_empty()) {
                let (own, next) = (tag / DEEDS, (tag / DEEDS + 1) % self.values);
                let anew = |value: usize| of(Deed::Anew).contains(&(value, column.to_owned()));
                let has = |deed: Deed| of(deed).contains(&(own, column.to_owned()));
                for (deed, should) in
                    [(Deed::WriteBack, anew(own)), (Deed::Write, anew(next)), (Deed::WriteParked, anew(next))]
                {
                    if has(deed) != should {
                        self.found
                            .differences
                            .push(format!("{deed:?} {own} {column}: on record {}", has(deed)));
                    }
                }
            }
        }
    }

    async fn go_forth(&mut self) -> bool {
        use Deed::*;
        self.live.run("UPDATE t SET j = j + 1").await;
        self.write("id = id + 300000", &[Move]).await;
        self.write_values("old_first", 1, &[WriteOld]).await;
        self.copy("old_last").await;
        if !self.rsc(&["reapply"], 0).await {
            return false;
        }
        let same = [Nothing, Touch, Move, Anew, Park, Write, WriteBack, WriteParked];
        self.compare("reapplied", false, ("new_last", 0), &same, |_, _| None).await;
        let all = |trial: &Self, i: usize| Some(trial.old_differs(i));
        self.compare("reapplied, written", false, ("new_first", 1), &[WriteOld], all).await;
        true
    }

    fn old_differs(&self, i: usize) -> String {
        let of = |tag: String| {
            format!("(SELECT {} FROM old_first AS z WHERE z.tag = {tag})", self.bits("z", i, true))
        };
        format!("(NOT {} <=> {})", of("t.tag".into()), of(self.neighbour("t.tag", 1)))
    }

    async fn come_back_again(&mut self) {
        self.live.run("UPDATE t SET j = j + 1").await;
        self.write("id = id + 400000", &[Deed::Touch]).await;
        if self.rsc(&["verify"], 0).await && self.rsc(&["revert"], 0).await {
            self.compare("reverted again", true, ("old_last", 0), &ALL, |_, _| None).await;
        }
    }
}

/// As text, a SET that has only its empty label is no member at all.
#[tokio::test]
async fn a_set_with_an_empty_label_stays_what_it_is() {
    let mut table = Live::create(
        "id int PRIMARY KEY, s set('z','a',''), own set('z','') DEFAULT NULL, u int, j int, UNIQUE KEY one_u (u)",
    )
    .await;
    table
        .run("INSERT INTO t VALUES (1, 4, 2, 1, 0), (2, 7, 3, 2, 0), (3, 4, 2, 3, 0), (4, 4, 2, 4, 0)")
        .await;
    let id = table.migrated("DROP COLUMN own, DROP KEY one_u, ADD x int", &[]).await;
    let sets = "SELECT id, s + 0 FROM t ORDER BY id";
    assert_eq!(table.all::<(i32, u64)>(sets).await, [(1, 4), (2, 7), (3, 4), (4, 4)]);
    table.run("UPDATE t SET j = 1").await;
    table.run("UPDATE t SET id = 30 WHERE id = 3").await;
    table.run("UPDATE t SET u = 1 WHERE id = 4").await;
    assert_eq!(table.ask("revert", id).await.code, 6);
    table.run("UPDATE t SET u = 4 WHERE id = 4").await;
    table.asked("verify", id).await;
    table.asked("revert", id).await;
    let sets = "SELECT id, s + 0, own + 0 FROM t ORDER BY id";
    assert_eq!(table.all::<(i32, u64, u64)>(sets).await, [(1, 4, 2), (2, 7, 3), (4, 4, 2), (30, 4, 2)]);
}

/// A window in which rows only go writes no column of any. The same process must not take that for what is written after
/// the next swap, when other columns matter.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_in_one_direction_says_nothing_of_the_other() {
    let mut table = Live::create("id int PRIMARY KEY, n int NOT NULL, d date NULL").await;
    table.fill("id, n, d", "i, i, '2026-01-02'", 20).await;
    let arguments = ["--output", "json", "migrate", "--database", &table.schema, "--table", "t"];
    let change = ["--alter", "MODIFY n bigint NOT NULL, MODIFY d datetime NULL", "--agent", "stay"];
    let mut process = rsc(shared(), &[&arguments[..], &change[..]].concat()).start();
    process.says("\"revertible\"").await;
    let started: serde_json::Value = serde_json::from_str(process.stdout().lines().next().unwrap()).unwrap();
    let id = started["id"].as_u64().unwrap();
    for (round, verb) in ["revert", "reapply", "revert", "reapply"].into_iter().enumerate() {
        table.run(&format!("UPDATE t SET n = n + 100, d = d + INTERVAL 1 DAY WHERE id % 4 = {round}")).await;
        table.asked("verify", id).await;
        table.run(&format!("DELETE FROM t WHERE id = {}", 20 - round)).await;
        table.asked("verify", id).await;
        table.asked(verb, id).await;
    }
    table.run("UPDATE t SET n = -id").await;
    table.asked("verify", id).await;
    table.asked("revert", id).await;
    let wrong = "SELECT COUNT(*), SUM(n <> -id), \
                 SUM(d <> '2026-01-02' + INTERVAL (id % 4 < 4) DAY) FROM t";
    assert_eq!(table.all::<(u64, u64, u64)>(wrong).await, [(16, 0, 0)]);
    table.asked("complete", id).await;
    process.ended().await.well();
}

#[tokio::test]
async fn every_value_comes_back_as_it_was_or_as_written() {
    let only = std::env::var("RSC_PAIR").ok();
    let mut tables = tables().await;
    if let Some(only) = &only {
        for table in &mut tables {
            table.retain(|pair| format!("{} to {}", pair.from.name, pair.to.name).contains(only.as_str()));
        }
        tables.retain(|table| !table.is_empty());
    }
    let mut lanes: [Vec<Vec<Pair>>; 3] = Default::default();
    for (n, table) in tables.into_iter().enumerate() {
        lanes[n % 3].push(table);
    }
    let lane = async |tables: Vec<Vec<Pair>>| {
        let mut all = Outcome::default();
        for pairs in tables {
            let found = Trial::new(pairs).await.run().await;
            all.pairs += found.pairs;
            all.cells += found.cells;
            all.on_record += found.on_record;
            all.differences.extend(found.differences);
        }
        all
    };
    let found = join_all(lanes.map(lane)).await;
    let sum = |of: fn(&Outcome) -> usize| found.iter().map(of).sum::<usize>();
    let differences: Vec<&String> = found.iter().flat_map(|found| &found.differences).collect();
    sum_up(&format!(
        "values on the way back: {} pairs of types, {} cells compared, {} differences, {} values on record",
        sum(|f| f.pairs),
        sum(|f| f.cells),
        differences.len(),
        sum(|f| f.on_record)
    ));
    for difference in differences.iter().take(400) {
        println!("{difference}");
    }
    assert!(differences.is_empty(), "{} differences", differences.len());
}
