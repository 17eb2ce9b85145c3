//! rsc's main job from beginning to end, on a MySQL server of its own: `cargo run --release --example quickstart`.
//!
//! A column is dropped from a table of 200,000 rows while four clients write to it, and comes back, with every row
//! that was written in between. Everything that is claimed is checked; the exit code says whether it held. Nothing
//! is left behind: the server, and its data, end with this process.

#[path = "../tests/it/support/server.rs"]
mod server;
#[path = "../tests/it/support/writers.rs"]
mod writers;

use std::collections::HashMap;
use std::env;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rsc::schema::table::TableName;
use serde_json::Value;

use server::{Options, Server};
use writers::{Column, Plan, Shape, Tally, Writers, compare};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const ROWS: usize = 200_000;
const WRITERS: u32 = 4;
/// Rows that no writer touches, to be looked at.
const PEOPLE: [(&str, &str); 4] = [
    ("Ada", "Countess of Lovelace"),
    ("Alan", "Fellow of King's College"),
    ("Edsger", "Professor"),
    ("Grace", "Rear Admiral"),
];
/// How long the writers go on between two steps.
const A_WHILE: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nnot as promised: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<()> {
    println!("rsc drops a column from a busy table, and then takes that back.\n");
    let rsc = Rsc { program: build()?, port: 0 };

    step(1, "Start a private MySQL server (fetched once, if there is none)");
    let began = Instant::now();
    let server = Server::start(Options::default())?;
    let rsc = Rsc { port: server.port(), ..rsc };
    let version = server.version().split(' ').next().unwrap_or_default();
    println!("   MySQL {version} on port {}, after {:.1} s", server.port(), began.elapsed().as_secs_f64());

    step(2, "Make shop.users, and keep it busy");
    let mut shop = Shop::open(&server).await?;
    println!("   {} rows, each with a title; {WRITERS} clients insert, update,", count(ROWS));
    println!("   delete and change keys from now on, as fast as the server answers.");
    shop.show(&["id", "name", "title"]).await?;
    tokio::time::sleep(A_WHILE).await;

    step(3, "Drop the column `title`");
    rsc.shown(&[
        "migrate",
        "--database",
        "shop",
        "--table",
        "users",
        "--alter",
        "DROP COLUMN title",
        "--agent",
        "none",
    ])?;
    let change = rsc.newest_change()?;
    let first_freeze = rsc.freeze_ms(&change)?;
    promise(!shop.has_title().await?, "the column `title` is still there")?;
    println!("   The clients waited {first_freeze:.1} ms for it.");

    step(4, "Go on without the column: Savannah joins");
    shop.insert("Savannah").await?;
    shop.show(&["id", "name"]).await?;
    tokio::time::sleep(A_WHILE).await;

    step(5, "Take the change back");
    rsc.shown(&["revert", &change])?;
    let second_freeze = rsc.freeze_ms(&change)?;
    promise(shop.has_title().await?, "the column `title` did not come back")?;
    println!("   The clients waited {second_freeze:.1} ms for it.");
    shop.show(&["id", "name", "title"]).await?;
    tokio::time::sleep(A_WHILE).await;

    step(6, "Check every row");
    let tally = shop.check().await?;
    println!("   The {WRITERS} clients ran {} statements and saw no error. The", count(tally.statements));
    println!(
        "   longest that one of them took was {:.0} ms, waiting for locks included.",
        milliseconds(tally.longest_wait)
    );

    step(7, "Clean up");
    rsc.shown(&["complete", &change])?;
    promise(rsc.state(&change)? == "completed", "the change is not completed")?;
    drop(server);
    println!("   The server and its data are gone.\n");
    println!("All as promised: {first_freeze:.1} ms of waiting for the change,");
    println!("{second_freeze:.1} ms to take it back, and no row lost.");
    Ok(())
}

/// The table of the example and its clients.
struct Shop {
    conn: Conn,
    table: TableName,
    /// `None` once they have finished.
    writers: Option<Writers>,
    /// By member number, which stays with a row also when its key changes.
    titles: HashMap<i64, String>,
}

impl Shop {
    async fn open(server: &Server) -> Outcome<Self> {
        let mut conn = server.conn().await?;
        let table = TableName::new("shop", "users");
        let payload = vec![Column::varchar("name", 40).not_null(), Column::varchar("email", 80)];
        let plan = Plan {
            writers: WRITERS,
            rows_per_writer: (ROWS - PEOPLE.len()) / WRITERS as usize,
            ..Plan::new(table.clone(), Shape::AutoIncrement, payload)
        };
        let more = ["title varchar(60) NOT NULL DEFAULT ''", "member bigint NULL"];
        conn.query_drop("CREATE DATABASE shop").await?;
        conn.query_drop(plan.create_table(&more)).await?;
        // Theirs are not the writers' rows, which have owners from 0 on.
        for (name, title) in PEOPLE {
            conn.exec_drop(
                "INSERT INTO shop.users (id, owner, name, title) SELECT 1000000 + COUNT(*), -1, ?, ? FROM shop.users",
                (name, title),
            )
            .await?;
        }
        let mut writers = Writers::start(server.opts(), plan).await?;
        writers.pause().await;
        let give =
            "UPDATE shop.users SET member = id, title = IF(title = '', CONCAT('Title no. ', id), title)";
        conn.query_drop(give).await?;
        let titles: Vec<(i64, String)> = conn.query("SELECT member, title FROM shop.users").await?;
        conn.query_drop("ANALYZE TABLE shop.users").await?;
        writers.resume();
        Ok(Self { conn, table, writers: Some(writers), titles: titles.into_iter().collect() })
    }

    async fn insert(&mut self, name: &str) -> Outcome<()> {
        let statement = format!("INSERT INTO shop.users (owner, name) VALUES (-1, '{name}')");
        self.conn.query_drop(statement).await?;
        promise(self.conn.affected_rows() == 1, "the INSERT made no row")
    }

    async fn has_title(&mut self) -> Outcome<bool> {
        let question = "SELECT COUNT(*) FROM information_schema.COLUMNS \
                        WHERE TABLE_SCHEMA = 'shop' AND TABLE_NAME = 'users' AND COLUMN_NAME = 'title'";
        Ok(self.conn.query_first::<u64, _>(question).await? == Some(1))
    }

    /// The people's rows, as the mysql client would show them.
    async fn show(&mut self, columns: &[&str]) -> Outcome<()> {
        let columns = columns.join(", ");
        println!("   > SELECT {columns} FROM shop.users WHERE owner = -1;");
        let question = format!("SELECT {columns} FROM shop.users WHERE owner = -1 ORDER BY id");
        for row in self.conn.query::<mysql_async::Row, _>(question).await? {
            let cells: Vec<String> = row.unwrap().into_iter().map(cell).collect();
            println!("       {}", cells.join("").trim_end());
        }
        Ok(())
    }

    /// Holds everything that was acknowledged against the table.
    async fn check(&mut self) -> Outcome<Tally> {
        let Some(writers) = self.writers.take() else {
            return Err("the writers have finished already".into());
        };
        let finished = writers.finish().await;
        let errors = finished.errors;
        promise(
            errors.is_empty(),
            &format!("{} statements of clients failed, the first: {:?}", errors.len(), errors.first()),
        )?;
        let differences = compare(&finished.models, &mut self.conn, &self.table).await?;
        promise(
            differences.is_empty(),
            &format!("{} rows differ; {}", differences.len(), first(&differences)),
        )?;
        println!("   {} rows of the clients are, column by column, what the", count(finished.models.rows()));
        println!("   server had acknowledged to them. None is missing, none is too many.");
        self.check_titles().await?;
        Ok(finished.tally)
    }

    async fn check_titles(&mut self) -> Outcome<()> {
        let rows: Vec<(i64, Option<i64>, String)> =
            self.conn.query("SELECT id, member, title FROM shop.users").await?;
        let should = |member: Option<i64>| match member {
            Some(member) => self.titles.get(&member).map(String::as_str),
            None => Some(""),
        };
        let wrong: Vec<String> = rows
            .iter()
            .filter(|(_, member, title)| should(*member) != Some(title))
            .map(|(id, member, title)| {
                format!("id {id}: title is {title:?}, should be {:?}", should(*member))
            })
            .collect();
        promise(wrong.is_empty(), &format!("{} titles are wrong; {}", wrong.len(), first(&wrong)))?;
        let old = rows.iter().filter(|(_, member, _)| member.is_some()).count();
        let gone = self.titles.len() - old;
        println!("   Of the {} rows from before, the clients have deleted", count(self.titles.len()));
        println!("   {}; every one of the other {} has its title back.", count(gone), count(old));
        println!("   {} rows are new since, Savannah's too, and have none.", count(rows.len() - old));
        let savannah: Option<String> =
            self.conn.query_first("SELECT title FROM shop.users WHERE name = 'Savannah'").await?;
        promise(savannah.as_deref() == Some(""), &format!("the title of Savannah is {savannah:?}"))
    }
}

/// The rsc binary, and the server it is pointed at.
struct Rsc {
    program: PathBuf,
    port: u16,
}

impl Rsc {
    /// For people: the command line, and what rsc says as it says it.
    fn shown(&self, arguments: &[&str]) -> Outcome<()> {
        let quoted: Vec<String> = arguments.iter().map(|a| quoted(a)).collect();
        let line = format!("rsc --port {} --user root {}", self.port, quoted.join(" "));
        println!("   $ {}", wrapped(&line));
        let status = self.command(arguments).status()?;
        promise(status.success(), &format!("`rsc {}` ended with {status}", quoted.join(" ")))
    }

    /// For this program: the last line that rsc prints as JSON.
    fn told(&self, arguments: &[&str]) -> Outcome<Value> {
        let answer = self.command(arguments).args(["--output", "json"]).output()?;
        let lines = String::from_utf8(answer.stdout)?;
        Ok(serde_json::from_str(lines.lines().last().unwrap_or_default())?)
    }

    fn newest_change(&self) -> Outcome<String> {
        Ok(self.told(&["list"])?["id"].to_string())
    }

    fn freeze_ms(&self, change: &str) -> Outcome<f64> {
        self.told(&["status", change])?["freeze_ms"].as_f64().ok_or("rsc does not tell the freeze".into())
    }

    fn state(&self, change: &str) -> Outcome<String> {
        Ok(self.told(&["status", change])?["state"].as_str().unwrap_or_default().to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RSC_")) {
            command.env_remove(name);
        }
        // Nor is the person's ~/.my.cnf meant for this server.
        command.env("RSC_CONFIG", "/dev/null").env("RSC_DEFAULTS_FILE", "/dev/null").stdin(Stdio::null());
        command.args(["--port", &self.port.to_string(), "--user", "root"]).args(arguments);
        command
    }
}

/// Cargo builds no binary for an example, so this asks it to: same profile, same target folder. Built together with
/// the example (which is there already), it shares all dependencies with it.
fn build() -> Outcome<PathBuf> {
    let example = env::current_exe()?;
    let folder = example.parent().and_then(|examples| examples.parent()).ok_or("no target folder")?;
    let release = folder.ends_with("release");
    let target = folder.parent().ok_or("no target folder")?;
    if io::stderr().is_terminal() {
        println!("Building the rsc binary, if it is not there yet.\n");
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    // `cargo run` describes this package in the environment. A build script that looks at that (ring's) would take
    // it for a change, and each run would build half of the dependencies anew.
    let package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in env::vars_os().filter(|(name, _)| package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    let built = cargo
        .args([
            "build",
            "--quiet",
            "--bin",
            "rsc",
            "--example",
            "quickstart",
            "--message-format=json-render-diagnostics",
        ])
        .args(["--profile", if release { "release" } else { "dev" }])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(target)
        .stderr(Stdio::inherit())
        .output()?;
    promise(built.status.success(), "cargo could not build the rsc binary")?;
    String::from_utf8(built.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "rsc")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or("cargo built no rsc binary".into())
}

fn step(number: u32, what: &str) {
    let blank = if number == 1 { "" } else { "\n" };
    println!("{blank}{number}. {what}");
}

fn promise(kept: bool, otherwise: &str) -> Outcome<()> {
    if kept { Ok(()) } else { Err(otherwise.into()) }
}

fn first(differences: &[String]) -> String {
    differences.iter().take(5).cloned().collect::<Vec<_>>().join("; ")
}

/// In a column of its own; an empty text can be seen.
fn cell(value: mysql_async::Value) -> String {
    let text: String = mysql_async::from_value(value);
    format!("{:<12}", if text.is_empty() { "''" } else { &text })
}

/// For a shell.
fn quoted(argument: &str) -> String {
    if argument.contains(' ') { format!("\"{argument}\"") } else { argument.to_owned() }
}

/// A long command line in two, as one would type it.
fn wrapped(line: &str) -> String {
    match line.find(" --alter") {
        Some(at) => format!("{} \\\n       {}", &line[..at], &line[at + 1..]),
        None => line.to_owned(),
    }
}

/// 1234567 as 1,234,567.
fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or_default().to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
