//! Every cell of a table with every type is the same after a migration and after a revert, whatever the server's
//! settings are, and every row passes the stream in each direction, updated and inserted again.
//!
//! `--nocapture` shows each type with yes or no.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use rsc::schema::table::quote;

use crate::support::odd_servers::NAMED_ZONE;
use crate::support::process::rsc;
use crate::support::server::{Options, Server};
use crate::support::sum_up;

/// What the judge reads and writes with: it must be able to write whatever there is.
const JUDGE: &str =
    "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', NAMES utf8mb4";

struct Settings {
    name: &'static str,
    options: Options,
    /// A zone that a table has, not the system.
    named_zone: bool,
}

fn settings() -> Vec<Settings> {
    let with = |options: &[&str]| options.iter().fold(Options::default(), |all, one| all.with(*one));
    vec![
        Settings {
            name: "no sql_mode, New York, latin1, innodb_strict_mode off",
            options: with(&[
                "--sql-mode=",
                "--character-set-server=latin1",
                "--collation-server=latin1_swedish_ci",
                "--innodb-strict-mode=OFF",
                "--explicit-defaults-for-timestamp=OFF",
            ])
            .zone("EST5EDT,M3.2.0,M11.1.0"),
            named_zone: false,
        },
        Settings {
            name: "ANSI, TRADITIONAL, padded, +05:45, big5",
            options: with(&[
                "--sql-mode=ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,REAL_AS_FLOAT,NO_DIR_IN_CREATE",
                "--default-time-zone=+05:45",
                "--character-set-server=big5",
            ]),
            named_zone: false,
        },
        Settings {
            name: "other sql_modes, a named zone, utf16",
            options: with(&[
                "--sql-mode=HIGH_NOT_PRECEDENCE,PIPES_AS_CONCAT,IGNORE_SPACE,NO_UNSIGNED_SUBTRACTION,TIME_TRUNCATE_FRACTIONAL,NO_ZERO_DATE,NO_ZERO_IN_DATE,STRICT_ALL_TABLES",
                "--character-set-server=utf16",
                "--collation-server=utf16_bin",
                "--sql-require-primary-key=ON",
            ]),
            named_zone: true,
        },
    ]
}

/// A column and how its type is shown.
struct Column {
    name: String,
    data_type: String,
    shown: String,
    generated: bool,
}

/// Each cell by id and column.
type Cells = BTreeMap<i64, Vec<String>>;

/// What a server was found to change, by column.
#[derive(Default)]
struct Found {
    shown: Vec<(String, String)>,
    cells: usize,
    different: BTreeMap<String, BTreeSet<String>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_is_the_same_after_a_migration_and_after_a_revert_on_any_server() {
    // A start blocks its thread, and a server does not wait for a client for ever.
    let starts = settings().into_iter().map(|settings| {
        std::thread::spawn(move || {
            let server = Server::start(settings.options.clone());
            (server.unwrap_or_else(|e| panic!("{}: {e}", settings.name)), settings)
        })
    });
    let starts: Vec<_> = starts.collect();
    let servers: Vec<(Server, Settings)> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    let all = join_all(servers.iter().map(|(server, settings)| there_and_back(server, settings))).await;
    for (name, equal_everywhere) in shown(&all) {
        println!("{:4} {name}", if equal_everywhere { "yes" } else { "no" });
    }
    let cells: usize = all.iter().map(|(_, found)| found.cells).sum();
    let different: Vec<_> =
        all.iter().flat_map(|(name, found)| found.different.iter().map(move |it| (*name, it))).collect();
    sum_up(&format!(
        "types: {cells} cells compared on {} servers, {} columns differ",
        all.len(),
        different.len()
    ));
    assert!(different.is_empty(), "{different:#?}");
}

fn shown(all: &[(&str, Found)]) -> Vec<(String, bool)> {
    let first = &all[0].1.shown;
    let equal = |column: &String| all.iter().all(|(_, found)| !found.different.contains_key(column));
    first.iter().map(|(column, shown)| (shown.clone(), equal(column))).collect()
}

async fn there_and_back(server: &Server, settings: &Settings) -> (&'static str, Found) {
    let mut conn = server.conn().await.unwrap();
    if settings.named_zone {
        conn.query_drop(JUDGE).await.unwrap();
        for statement in NAMED_ZONE {
            conn.query_drop(statement).await.unwrap();
        }
        conn.query_drop("SET GLOBAL time_zone = 'Test/Leaping'").await.unwrap();
    }
    conn.query_drop("CREATE DATABASE d; USE d").await.unwrap();
    conn.query_drop(include_str!("data/all_types.sql")).await.unwrap();
    conn.query_drop(include_str!("data/more_values.sql")).await.unwrap();
    conn.query_drop(JUDGE).await.unwrap();
    let columns = columns(&mut conn).await;
    let before = cells(&mut conn, "src", &columns).await;
    remember(&mut conn, &columns).await;
    assert!(before.len() > 400, "only {} rows", before.len());
    let shown = columns.iter().map(|c| (c.name.clone(), c.shown.clone())).collect();
    let mut found = Found { shown, ..Found::default() };
    let mut look = async |conn: &mut Conn, table: &str, when: &str| {
        let after = cells(conn, table, &columns).await;
        compare(&mut found, &columns, &before, &after, when);
    };

    let alter = "ALTER TABLE src ADD COLUMN note int NOT NULL DEFAULT 7, ADD KEY by_note (note)";
    let arguments = ["migrate", "--database", "d", "--alter", alter];
    let killed = rsc(server, &arguments).env("RSC_FAULT", "swap.lock.before:kill").run().await;
    assert_eq!(killed.code, -1, "{}: {killed:#?}", settings.name);
    rewrite(&mut conn, &columns).await;
    rsc(server, &["migrate", "--resume", "1"]).run().await.well();
    look(&mut conn, "src", "after the migration").await;
    look(&mut conn, "_rsc1_src_old", "in the old table").await;
    rewrite(&mut conn, &columns).await;
    rsc(server, &["revert", "1"]).run().await.well();
    look(&mut conn, "src", "after the revert").await;
    rewrite(&mut conn, &columns).await;
    rsc(server, &["reapply", "1"]).run().await.well();
    look(&mut conn, "src", "after the reapply").await;
    (settings.name, found)
}

async fn columns(conn: &mut Conn) -> Vec<Column> {
    let rows: Vec<(String, String, String, Option<String>, String)> = conn
        .query(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_SET_NAME, GENERATION_EXPRESSION \
             FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 'src' \
             ORDER BY ORDINAL_POSITION",
        )
        .await
        .unwrap();
    let column =
        |(name, data_type, column_type, charset, expression): (String, _, String, Option<String>, String)| {
            let short: String = column_type.chars().take(40).collect();
            let shown = format!("{name:10} {short} {}", charset.unwrap_or_default());
            Column { name, data_type, shown, generated: !expression.is_empty() }
        };
    rows.into_iter().map(column).collect()
}

/// An expression that tells stored values apart which differ in any bit.
fn bits(column: &Column) -> String {
    let name = quote(&column.name);
    match column.data_type.as_str() {
        "float" | "double" => format!("CAST({name} * 1e0 AS CHAR)"),
        "json" => format!("CONCAT(JSON_TYPE({name}), ' ', JSON_STORAGE_SIZE({name}), ' ', {name})"),
        "enum" | "set" => format!("CONCAT(HEX({name}), ':', CAST({name} AS UNSIGNED))"),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "year" | "date"
        | "datetime" | "timestamp" | "time" => format!("CAST({name} AS CHAR)"),
        _ => format!("HEX({name})"),
    }
}

async fn cells(conn: &mut Conn, table: &str, columns: &[Column]) -> Cells {
    // A hash for what is long.
    let values: Vec<String> = columns
        .iter()
        .map(bits)
        .map(|bits| format!("COALESCE(IF(LENGTH({bits}) > 100, SHA2({bits}, 256), {bits}), 'NULL')"))
        .collect();
    let rows: Vec<Row> = conn.query(format!("SELECT id, {} FROM {table}", values.join(", "))).await.unwrap();
    let cells = |row: Row| {
        let values = (0..columns.len()).map(|i| row.get::<String, _>(i + 1).unwrap()).collect();
        (row.get(0).unwrap(), values)
    };
    rows.into_iter().map(cells).collect()
}

/// Rows, and their copies that [`rewrite`] made.
fn compare(found: &mut Found, columns: &[Column], before: &Cells, after: &Cells, when: &str) {
    assert_eq!(after.len(), 2 * before.len(), "{when}");
    for (n, (id, row)) in before.iter().enumerate() {
        for (what, id) in [("row", *id), ("a copy of row", COPIES + 1 + n as i64)] {
            let copy = (COPIES..=COPIES + COPIES_MAX).contains(&id);
            let after = after.get(&id).unwrap_or_else(|| panic!("{when}: no {what} {id}"));
            // What is made of the id is another in a copy.
            for (i, column) in
                columns.iter().enumerate().filter(|(_, c)| !(copy && ["id", "gs"].contains(&&*c.name)))
            {
                found.cells += 1;
                if row[i] != after[i] {
                    let places = found.different.entry(column.name.clone()).or_default();
                    places.insert(format!("{what} {id}, {when}: {}, then {}", row[i], after[i]));
                }
            }
        }
    }
}

/// What all rows are taken from again and again, with a number for each.
async fn remember(conn: &mut Conn, columns: &[Column]) {
    conn.query_drop("SET sql_require_primary_key = OFF").await.unwrap();
    // An invisible column is not in `*`.
    let names: Vec<String> = columns.iter().map(|c| quote(&c.name)).collect();
    let all = format!(
        "CREATE TEMPORARY TABLE all_rows AS SELECT {}, ROW_NUMBER() OVER (ORDER BY id) AS n FROM src",
        names.join(", ")
    );
    conn.query_drop(all).await.unwrap();
}

/// Ids of copies begin here: no other row has one near it.
const COPIES: i64 = 50_000_000_000;
const COPIES_MAX: i64 = 1_000_000;

/// Every cell is emptied and written again, and every row is inserted once more, as a copy with another id. The
/// copies of before go.
async fn rewrite(conn: &mut Conn, columns: &[Column]) {
    let others: Vec<String> =
        columns.iter().filter(|c| !c.generated && c.name != "id").map(|c| quote(&c.name)).collect();
    let empty: Vec<String> = others.iter().map(|name| format!("{name} = NULL")).collect();
    let back: Vec<String> = others.iter().map(|name| format!("s.{name} = a.{name}")).collect();
    let names = others.join(", ");
    for statement in [
        format!("DELETE FROM src WHERE id BETWEEN {COPIES} AND {COPIES} + {COPIES_MAX}"),
        format!("UPDATE src SET {}", empty.join(", ")),
        format!("UPDATE src s JOIN all_rows a USING (id) SET {}", back.join(", ")),
        format!("INSERT INTO src (id, {names}) SELECT {COPIES} + n, {names} FROM all_rows"),
    ] {
        conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}
