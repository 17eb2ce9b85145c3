//! Each pair of column types that rsc converts gives what a native ALTER TABLE gives, value by value.
//!
//! One table holds every value of a type in as many columns as there are types, so that one ALTER converts it to
//! all of them. Not strict, it stores the nearest value everywhere and warns of the rows that it refuses when strict.
//! Some warnings do not name their row; so what was not warned of is altered once more in strict mode, and where that
//! fails, in ever smaller parts. The tables are temporary, which makes an ALTER a hundred times faster and is the
//! same code in the server.

pub mod kinds;

use std::collections::HashMap;

use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use rsc::mysql::inspect::{self, Found};
use rsc::rows::statements::Statements;
use rsc::schema::conversion::{self, Manner};
use rsc::schema::projection::Mapping;
use rsc::schema::statement::Alter;
use rsc::schema::table::{Table, TableName};
use rsc::session::{Remedy, Session};

use crate::support::odd_servers::{self, NAMED_ZONE};
use crate::support::process::{address_as, rsc};
use crate::support::server::{Options, Server};
use crate::support::{shared, sum_up};
use kinds::{KINDS, Kind};

pub const STRICT: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";
pub const LENIENT: &str = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";

/// The server's default, which the operator's own ALTER would run with.
const NATIVE: &str = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
                      ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/// What became of one value: its stored bytes, or that it was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Stored(String),
    Refused(String),
}

impl Fate {
    fn same(&self, other: &Fate) -> bool {
        match (self, other) {
            (Fate::Stored(a), Fate::Stored(b)) => a == b,
            (Fate::Refused(_), Fate::Refused(_)) => true,
            (Fate::Stored(_), Fate::Refused(_)) | (Fate::Refused(_), Fate::Stored(_)) => false,
        }
    }
}

type Fates = HashMap<usize, Fate>;

/// An expression that tells stored values apart which differ in any bit.
pub fn bits(column: &str, data_type: &str) -> String {
    match data_type {
        "float" | "double" => format!("CAST({column} * 1e0 AS CHAR)"),
        "enum" | "set" | "bit" | "year" => format!("CAST({column} + 0 AS CHAR)"),
        "json" => format!("CONCAT(JSON_TYPE({column}), ' ', JSON_STORAGE_SIZE({column}), ' ', {column})"),
        "date" | "datetime" | "timestamp" | "time" | "decimal" => format!("CAST({column} AS CHAR)"),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => format!("CAST({column} AS CHAR)"),
        _ => format!("HEX({column})"),
    }
}

fn hard(to: &Kind) -> bool {
    ["js", "geo", "pt", "pt4326", "vec2", "vec3"].contains(&to.name)
}

/// The server's tables for values of one kind.
struct Bench<'a> {
    conn: Conn,
    session: Session,
    schema: String,
    from: &'a Kind,
    targets: &'a [&'a Kind],
    /// NULL is the last row.
    values: Vec<&'a str>,
    /// Whether the target takes it: `NULL` or `NOT NULL`.
    null: &'static str,
    /// [`NATIVE`], with those modes about dates that the server has.
    native: String,
    /// What of the server's sql_mode decides values, whatever else a session's is: natively, and in rsc's sessions.
    kept: [String; 2],
}

impl<'a> Bench<'a> {
    async fn new(server: &Server, from: &'a Kind, targets: &'a [&'a Kind], null: &'static str) -> Self {
        let schema = server.fresh_database().await;
        let mut conn = server.conn().await.unwrap();
        conn.query_drop(format!("USE {schema}")).await.unwrap();
        // On an odd server a session would read three rows, and lose what it writes.
        conn.query_drop(
            "SET max_error_count = 65535, sql_log_bin = 0, autocommit = 1, completion_type = 0, \
             sql_select_limit = 18446744073709551615, sql_big_selects = 1",
        )
        .await
        .unwrap();
        let mode: String = conn.query_first("SELECT @@GLOBAL.sql_mode").await.unwrap().unwrap();
        let server_has = |one: &&str| !one.contains("NO_ZERO") || mode.split(',').any(|mode| mode == *one);
        let native = NATIVE.split(',').filter(server_has).collect::<Vec<_>>().join(",");
        let kept = |modes: &[&str]| -> String {
            mode.split(',').filter(|mode| modes.contains(mode)).map(|mode| format!(",{mode}")).collect()
        };
        let kept = [
            kept(&["NO_UNSIGNED_SUBTRACTION", "TIME_TRUNCATE_FRACTIONAL", "PAD_CHAR_TO_FULL_LENGTH"]),
            kept(&["NO_UNSIGNED_SUBTRACTION", "TIME_TRUNCATE_FRACTIONAL"]),
        ];
        // As root, who may keep these tables out of the binlog: nobody follows them, and they are many.
        let session = Session::open(&address_as("root", server)).await.unwrap();
        let values: Vec<_> = from.values.iter().copied().chain(["NULL"]).collect();
        let mut bench = Self { conn, session, schema, from, targets, values, null, native, kept };
        bench.session.run(&format!("USE {}", bench.schema)).await.unwrap();
        bench.session.run("SET sql_log_bin = 0").await.unwrap();
        let list = |kinds: &mut dyn Iterator<Item = &str>, null: &str| -> String {
            kinds.enumerate().map(|(i, d)| format!(", c{i} {d} {null}")).collect()
        };
        let sources = list(&mut targets.iter().map(|_| from.definition), "NULL");
        let images = list(&mut targets.iter().map(|to| to.definition), null);
        for (table, columns) in [("src", &sources), ("dst", &images)] {
            bench.session.run(&format!("CREATE TABLE {table} (id int PRIMARY KEY{columns})")).await.unwrap();
        }
        bench.session.run(&format!("SET sql_mode = '{LENIENT}'")).await.unwrap();
        for (i, value) in bench.values.iter().enumerate() {
            let cells = vec![*value; targets.len()].join(", ");
            let row = format!("INSERT INTO src VALUES ({}, {cells})", i + 1);
            bench.session.run(&row).await.unwrap_or_else(|e| panic!("{} {value}: {e}", from.name));
        }
        bench
    }

    async fn run(&mut self, sql: &str) -> Result<(), String> {
        self.conn.query_drop(sql).await.map_err(|e| e.to_string())
    }

    /// For writing and reading values as they are.
    async fn plain(&mut self) {
        self.run(&format!("SET sql_mode = '{LENIENT}'")).await.unwrap();
    }

    /// For a native ALTER.
    async fn mode(&mut self, mode: &str) {
        let kept = &self.kept[0];
        let mode = if mode == NATIVE { &self.native } else { mode };
        self.run(&format!("SET sql_mode = '{mode}{kept}'")).await.unwrap();
    }

    /// For rsc's statements.
    async fn own_mode(&mut self, mode: &str) {
        let kept = &self.kept[1];
        self.session.run(&format!("SET sql_mode = '{mode}{kept}'")).await.unwrap();
    }

    /// What each column of `table` holds, by column and row.
    async fn stored(&mut self, table: &str, columns: &[usize]) -> HashMap<usize, Fates> {
        let expressions: String = columns
            .iter()
            .map(|c| {
                let kind = if ["src", "back"].contains(&table) { self.from } else { self.targets[*c] };
                let data_type = kind.definition.split(['(', ' ']).next().unwrap();
                format!(", COALESCE({}, 'NULL')", bits(&format!("c{c}"), data_type))
            })
            .collect();
        self.plain().await;
        self.run("SET @zone = @@time_zone, time_zone = '+00:00'").await.unwrap();
        let rows: Vec<Row> = self.conn.query(format!("SELECT id{expressions} FROM {table}")).await.unwrap();
        self.run("SET time_zone = @zone").await.unwrap();
        let mut out: HashMap<usize, Fates> = columns.iter().map(|&c| (c, Fates::new())).collect();
        for row in rows {
            let id: usize = row.get(0).unwrap();
            for (i, c) in columns.iter().enumerate() {
                out.get_mut(c).unwrap().insert(id, Fate::Stored(row.get::<String, _>(i + 1).unwrap()));
            }
        }
        out
    }

    fn modify(&self, table: &str, columns: &[usize]) -> String {
        let clauses: Vec<_> = columns
            .iter()
            .map(|&c| format!("MODIFY c{c} {} {}", self.targets[c].definition, self.null))
            .collect();
        format!("ALTER TABLE {table} {}, ALGORITHM=COPY", clauses.join(", "))
    }

    async fn copy_of_source(&mut self, table: &str) {
        self.run(&format!("DROP TEMPORARY TABLE IF EXISTS {table}")).await.unwrap();
        self.run(&format!("CREATE TEMPORARY TABLE {table} LIKE src")).await.unwrap();
        self.plain().await;
        self.run("SET @zone = @@time_zone, time_zone = '+00:00'").await.unwrap();
        self.run(&format!("INSERT INTO {table} SELECT * FROM src")).await.unwrap();
        self.run("SET time_zone = @zone").await.unwrap();
    }

    /// Strict and nearest, by column.
    async fn native(&mut self, columns: &[usize]) -> HashMap<usize, [Fates; 2]> {
        let easy: Vec<usize> = columns
            .iter()
            .copied()
            .filter(|&c| !hard(self.targets[c]) || self.targets[c].name == self.from.name)
            .collect();
        self.copy_of_source("native").await;
        self.mode(LENIENT).await;
        self.run(&self.modify("native", &easy)).await.unwrap();
        let warnings: Vec<(String, u16, String)> = self.conn.query("SHOW WARNINGS").await.unwrap();
        let nearest = self.stored("native", &easy).await;
        let mut strict = nearest.clone();
        for (level, _, message) in warnings {
            if level == "Note" {
                continue;
            }
            if let Some((column, id)) = place(&message) {
                strict.get_mut(&column).unwrap().insert(id, Fate::Refused(message));
            }
        }
        self.copy_of_source("careful").await;
        for (column, fates) in &strict {
            for (id, fate) in fates {
                if matches!(fate, Fate::Refused(_)) {
                    self.run(&format!("UPDATE careful SET c{column} = NULL WHERE id = {id}")).await.unwrap();
                }
            }
        }
        self.mode(NATIVE).await;
        if self.run(&self.modify("careful", &easy)).await.is_err() {
            for &c in &easy {
                self.mode(NATIVE).await;
                if self.run(&self.modify("careful", &[c])).await.is_err() {
                    let fates = self.native_in_parts(c, NATIVE).await;
                    strict.insert(c, fates);
                }
            }
        }
        let mut out: HashMap<usize, [Fates; 2]> = HashMap::new();
        for &c in columns {
            let fates = match easy.contains(&c) {
                true => [strict[&c].clone(), nearest[&c].clone()],
                false => [self.native_in_parts(c, NATIVE).await, self.native_in_parts(c, LENIENT).await],
            };
            out.insert(c, fates);
        }
        out
    }

    /// As few statements as it takes: halves of what fails.
    async fn native_in_parts(&mut self, column: usize, mode: &str) -> Fates {
        let mut fates = Fates::new();
        let mut parts = vec![1..=self.values.len()];
        while let Some(part) = parts.pop() {
            let (low, high) = (*part.start(), *part.end());
            self.plain().await;
            self.run("DROP TEMPORARY TABLE IF EXISTS part").await.unwrap();
            let chosen = format!("SELECT id, c{column} FROM src WHERE id BETWEEN {low} AND {high}");
            self.run("SET @zone = @@time_zone, time_zone = '+00:00'").await.unwrap();
            self.run(&format!("CREATE TEMPORARY TABLE part AS {chosen}")).await.unwrap();
            self.run("SET time_zone = @zone").await.unwrap();
            self.mode(mode).await;
            match self.run(&self.modify("part", &[column])).await {
                Ok(()) => fates.extend(self.stored("part", &[column]).await.remove(&column).unwrap()),
                Err(error) if low == high => {
                    fates.insert(low, Fate::Refused(error));
                }
                Err(_) => {
                    let middle = (low + high) / 2;
                    parts.extend([low..=middle, middle + 1..=high]);
                }
            }
        }
        fates
    }

    /// The same two tables with one column besides the key.
    fn pair(tables: [&Table; 2], column: usize) -> [Table; 2] {
        tables.map(|table| Table {
            columns: vec![table.columns[0].clone(), table.columns[column + 1].clone()],
            ..table.clone()
        })
    }

    /// What rsc's own statement does.
    async fn ours(&mut self, src: &Table, dst: &Table, column: usize, manner: Manner) -> Fates {
        let [src, dst] = Self::pair([src, dst], column);
        let between = |old, new| Mapping::between(old, new, &Alter::default()).unwrap();
        let (projection, mode) = match manner {
            Manner::Strict => (between(&src, &dst).forward(), STRICT),
            Manner::Nearest => (between(&dst, &src).inverse(), LENIENT),
        };
        let statements = Statements::new(projection, src.name.clone(), dst.name.clone());
        self.copied(&statements, mode, column).await
    }

    async fn copied(&mut self, statements: &Statements, mode: &str, column: usize) -> Fates {
        self.own_mode(mode).await;
        self.session.run("DELETE FROM dst").await.unwrap();
        let mut fates = Fates::new();
        if self.session.run(&statements.copy(None, None)).await.is_err() {
            for id in 1..=self.values.len() {
                let (lo, hi) = (vec![(id - 1).to_string()], vec![id.to_string()]);
                if let Err(error) = self.session.run(&statements.copy(Some(&lo), Some(&hi))).await {
                    assert_eq!(error.remedy(), Remedy::Data, "{error}");
                    fates.insert(id, Fate::Refused(error.to_string()));
                }
            }
        }
        fates.extend(self.stored("dst", &[column]).await.remove(&column).unwrap());
        fates
    }

    /// The same by the UPDATE of a row that is there.
    async fn updated(&mut self, src: &Table, dst: &Table, column: usize, manner: Manner) -> Fates {
        let (from, to) = (&src.columns[column + 1], &dst.columns[column + 1]);
        let value = conversion::expression(from, to, manner, &format!("d.c{column}"));
        let mode = if manner == Manner::Strict { STRICT } else { LENIENT };
        self.own_mode(mode).await;
        self.session.run("DELETE FROM dst").await.unwrap();
        self.session.run("INSERT INTO dst (id) SELECT id FROM src").await.unwrap();
        let update =
            format!("UPDATE src AS d STRAIGHT_JOIN dst AS s ON s.id = d.id SET s.c{column} = {value}");
        let mut refused = Fates::new();
        if self.session.run(&update).await.is_err() {
            for id in 1..=self.values.len() {
                if let Err(error) = self.session.run(&format!("{update} WHERE d.id = {id}")).await {
                    assert_eq!(error.remedy(), Remedy::Data, "{error}");
                    refused.insert(id, Fate::Refused(error.to_string()));
                }
            }
        }
        let mut fates = self.stored("dst", &[column]).await.remove(&column).unwrap();
        fates.extend(refused);
        fates
    }

    /// The source's values, and what is left of them after the way to `dst`, where they are, and back.
    async fn there_and_back(&mut self, src: &Table, dst: &Table, column: usize) -> (Fates, Fates) {
        let back = TableName::new(&*self.schema, "back");
        self.session.run("CREATE TABLE IF NOT EXISTS back LIKE src").await.unwrap();
        self.session.run("DELETE FROM back").await.unwrap();
        let [src, dst] = Self::pair([src, dst], column);
        let inverse = Mapping::between(&src, &dst, &Alter::default()).unwrap().inverse();
        self.own_mode(LENIENT).await;
        let statements = Statements::new(inverse, dst.name.clone(), back);
        self.session.run(&statements.copy(None, None)).await.unwrap();
        let there = self.stored("src", &[column]).await.remove(&column).unwrap();
        let back = self.stored("back", &[column]).await.remove(&column).unwrap();
        (there, back)
    }

    async fn table(&mut self, name: &str) -> Table {
        match inspect::find(&mut self.session, &TableName::new(&*self.schema, name)).await.unwrap() {
            Found::Table(table) => *table,
            Found::View | Found::Nothing => panic!("no {name}"),
        }
    }
}

/// `Data truncated for column 'c7' at row 2` is about column 7 and row 2.
fn place(message: &str) -> Option<(usize, usize)> {
    let column = message.split("column '").nth(1)?.split('\'').next()?.strip_prefix('c')?.parse().ok()?;
    let row = message.rsplit_once("at row ")?.1.parse().ok()?;
    Some((column, row))
}

/// What was compared.
#[derive(Default)]
struct Tally {
    pairs: usize,
    refused: usize,
    survive: usize,
    values: usize,
    differences: Vec<String>,
}

impl Tally {
    fn compare(&mut self, bench: &Bench<'_>, to: &Kind, what: &str, wanted: &Fates, found: &Fates) {
        for (i, value) in bench.values.iter().enumerate() {
            self.values += 1;
            let (wanted, found) = (&wanted[&(i + 1)], &found[&(i + 1)]);
            let known = moved_in_time(bench.from, to, value) || kept_day(bench.from, to, value);
            if !known && !wanted.same(found) {
                let pair = format!("{} to {}", bench.from.name, to.name);
                self.differences.push(format!("{pair}, {what}, {value}: {wanted:?}, but {found:?}"));
            }
        }
    }
}

/// A native ALTER takes a TIMESTAMP to the server's clock and back, also to another TIMESTAMP. It so moves one of the
/// two hours that the clock shows as one to the other, and refuses what it would round into a leap of the clock. rsc
/// keeps the instant.
fn moved_in_time(from: &Kind, to: &Kind, value: &str) -> bool {
    let timestamps = from.definition.starts_with("timestamp") && to.definition.starts_with("timestamp");
    timestamps
        && ["'2024-11-03 0", "'2024-10-27 0", "'2024-03-10 06:59:59.999'"]
            .iter()
            .any(|v| value.starts_with(v))
}

/// A native ALTER refuses a table with days that no calendar has, also in a column that is not changed. rsc keeps
/// them.
fn kept_day(from: &Kind, to: &Kind, value: &str) -> bool {
    let dates =
        |kind: &Kind| ["date", "datetime", "timestamp"].iter().any(|d| kind.definition.starts_with(d));
    let days = ["'0000-00-00", "'2024-00-00", "'2024-02-31"];
    dates(from) && dates(to) && days.iter().any(|day| value.starts_with(day))
}

/// Every kind to every kind, three at a time.
async fn compare_all(server: &Server, kinds: &[&Kind]) -> Tally {
    let third = async |offset: usize| {
        let mut tally = Tally::default();
        for from in kinds.iter().skip(offset).step_by(3) {
            compare(server, from, kinds, "NULL", &mut tally).await;
        }
        tally
    };
    let mut all = Tally::default();
    for tally in join_all([third(0), third(1), third(2)]).await {
        all.pairs += tally.pairs;
        all.refused += tally.refused;
        all.survive += tally.survive;
        all.values += tally.values;
        all.differences.extend(tally.differences);
    }
    assert_eq!(all.pairs + all.refused, kinds.len() * kinds.len());
    all
}

async fn compare(server: &Server, from: &Kind, kinds: &[&Kind], null: &'static str, tally: &mut Tally) {
    let mut bench = Bench::new(server, from, kinds, null).await;
    let (src, dst) = (bench.table("src").await, bench.table("dst").await);
    let columns = |c: usize| (&src.columns[c + 1], &dst.columns[c + 1]);
    let supported: Vec<usize> =
        (0..kinds.len()).filter(|&c| conversion::refusal(columns(c).0, columns(c).1).is_none()).collect();
    tally.refused += kinds.len() - supported.len();
    let native = bench.native(&supported).await;
    for &c in &supported {
        tally.pairs += 1;
        let [strict, nearest] = &native[&c];
        let may_refuse = conversion::may_refuse(columns(c).0, columns(c).1);
        let inserted = bench.ours(&src, &dst, c, Manner::Nearest).await;
        tally.compare(&bench, kinds[c], "nearest", nearest, &inserted);
        let updated = bench.updated(&src, &dst, c, Manner::Nearest).await;
        let refuses = inserted.values().chain(updated.values()).any(|fate| matches!(fate, Fate::Refused(_)));
        if refuses && !may_refuse {
            tally.differences.push(format!("{} to {} refuses a value", from.name, kinds[c].name));
        }
        if !may_refuse {
            tally.compare(&bench, kinds[c], "nearest by UPDATE", nearest, &updated);
        }
        let inserted = bench.ours(&src, &dst, c, Manner::Strict).await;
        tally.compare(&bench, kinds[c], "strict", strict, &inserted);
        let updated = bench.updated(&src, &dst, c, Manner::Strict).await;
        tally.compare(&bench, kinds[c], "strict by UPDATE", strict, &updated);
        if conversion::survives(columns(c).0, columns(c).1) {
            tally.survive += 1;
            let (there, back) = bench.there_and_back(&src, &dst, c).await;
            tally.compare(&bench, kinds[c], "there and back", &there, &back);
        }
    }
}

#[tokio::test]
async fn every_pair_gives_what_the_native_alter_gives() {
    let kinds: Vec<&Kind> = KINDS.iter().collect();
    let tally = compare_all(shared(), &kinds).await;
    println!(
        "{} pairs equal in {} values, {} refused, {} survive",
        tally.pairs, tally.values, tally.refused, tally.survive
    );
    assert!(tally.differences.is_empty(), "{:#?}", tally.differences);
}

/// The whole matrix where the server's own settings decide values: what a session reads of a CHAR, and the zone.
#[tokio::test]
async fn every_pair_gives_what_the_native_alter_gives_on_odd_servers() {
    let kinds: Vec<&Kind> = KINDS.iter().collect();
    let [lenient, narrow] = ["lenient", "narrow"].map(odd_servers::named);
    for odd in [lenient, narrow] {
        let tally = compare_all(&odd.server, &kinds).await;
        sum_up(&format!(
            "types on {}: {} pairs equal to a native ALTER in {} values, {} refused, {} differences",
            odd.name,
            tally.pairs,
            tally.values,
            tally.refused,
            tally.differences.len()
        ));
        assert!(tally.differences.is_empty(), "{}: {:#?}", odd.name, tally.differences);
    }
}

/// A native ALTER refuses NULL for such a column even where it is not strict; an UPDATE tells the nearest value.
#[tokio::test]
async fn where_null_is_not_taken_its_nearest_value_is_stored() {
    for kind in KINDS {
        let targets = [kind];
        let mut bench = Bench::new(shared(), kind, &targets, "NOT NULL").await;
        let (src, dst) = (bench.table("src").await, bench.table("dst").await);
        let null = bench.values.len();
        let strict = bench.ours(&src, &dst, 0, Manner::Strict).await;
        assert!(matches!(strict[&null], Fate::Refused(_)), "{}: {strict:?}", kind.name);
        let stored = bench.ours(&src, &dst, 0, Manner::Nearest).await;
        if conversion::may_refuse(&src.columns[1], &dst.columns[1]) {
            continue;
        }
        if kind.name == "js" {
            assert_eq!(stored[&null], Fate::Stored("NULL 2 null".into()));
            continue;
        }
        bench.session.run(&format!("UPDATE dst SET c0 = NULL WHERE id = {null}")).await.unwrap();
        let updated = bench.stored("dst", &[0]).await.remove(&0).unwrap();
        assert_eq!(stored, updated, "{}", kind.name);
    }
}

/// Times that the clock leaps over, or shows twice, and the ends of what a TIMESTAMP holds.
#[tokio::test]
async fn a_time_is_read_in_the_zone_of_the_server() {
    let kinds: Vec<&Kind> =
        KINDS.iter().filter(|k| ["date", "dt", "dt6", "ts", "ts3"].contains(&k.name)).collect();
    for (system, zones) in [
        ("EST5EDT,M3.2.0,M11.1.0", ["SYSTEM", "Test/Leaping", "+05:45"]),
        ("GMT0BST,M3.5.0/1,M10.5.0", ["SYSTEM", "-12:00", "+14:00"]),
    ] {
        let server = Server::start(Options::default().zone(system)).unwrap();
        let mut conn = server.conn().await.unwrap();
        conn.query_drop("SET time_zone = '+00:00'").await.unwrap();
        for statement in NAMED_ZONE {
            conn.query_drop(statement).await.unwrap();
        }
        for zone in zones {
            conn.query_drop(format!("SET GLOBAL time_zone = '{zone}'")).await.unwrap();
            let tally = compare_all(&server, &kinds).await;
            println!("{system} {zone}: {} pairs equal in {} values", tally.pairs, tally.values);
            assert!(tally.differences.is_empty(), "{system} {zone}: {:#?}", tally.differences);
        }
    }
}

#[tokio::test]
async fn a_change_converts_times_as_the_server_does_for_everyone() {
    let options = Options::default().zone("EST5EDT,M3.2.0,M11.1.0");
    let server =
        Server::start(options.with("--sql-mode=STRICT_TRANS_TABLES,TIME_TRUNCATE_FRACTIONAL")).unwrap();
    let mut conn = server.conn().await.unwrap();
    let definition = "(id int PRIMARY KEY, a timestamp NULL, b datetime, c datetime(6), d time(6))";
    let rows = "(1, '2024-06-01 12:00:00', '2024-06-01 12:00:00', '2024-06-01 12:00:00.9', '01:02:03.9'), \
                (2, NULL, NULL, NULL, NULL), \
                (3, '2024-12-01 12:00:00', '2024-12-01 12:00:00', '2024-12-31 23:59:59.999999', '-01:02:03.9')";
    let alter = "MODIFY a datetime, MODIFY b timestamp NULL, MODIFY c datetime, MODIFY d time";
    conn.query_drop("CREATE DATABASE d; USE d").await.unwrap();
    for table in ["t", "native"] {
        conn.query_drop(format!("CREATE TABLE {table} {definition}; INSERT INTO {table} VALUES {rows}"))
            .await
            .unwrap();
    }
    conn.query_drop(format!("ALTER TABLE native {alter}, ALGORITHM=COPY")).await.unwrap();
    let arguments = ["--output", "json", "migrate", "--database", "d", "--table", "t", "--alter", alter];
    let id = rsc(&server, &arguments).run().await.well().last_line()["id"].to_string();
    type Times = Vec<(i32, Option<String>, Option<String>, Option<String>, Option<String>)>;
    let all = |table: &str| {
        format!("SELECT id, CONCAT(a), CONCAT(b), CONCAT(c), CONCAT(d) FROM {table} ORDER BY id")
    };
    let native: Times = conn.query(all("native")).await.unwrap();
    assert_eq!(native[0].3.as_deref(), Some("2024-06-01 12:00:00"));
    assert_eq!(conn.query::<(_, _, _, _, _), _>(all("t")).await.unwrap(), native);
    let write = "UPDATE t SET a = '2024-01-01 10:00:00', b = '2024-07-01 10:00:00' WHERE id = 2";
    conn.query_drop(write).await.unwrap();
    rsc(&server, &["revert", &id]).run().await.well();
    let after: Times = conn.query(all("t WHERE id = 2")).await.unwrap();
    let time = |text: &str| Some(text.to_owned());
    assert_eq!(after, [(2, time("2024-01-01 10:00:00"), time("2024-07-01 10:00:00"), None, None)]);
}
