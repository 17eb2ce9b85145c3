//! Everything that can be lost at a statement, at every statement: the process before and after it, the connection
//! before it, the answer after it; and time. Forward and back, under writers; then the documented command goes on.
//!
//! A lane is one change on one table. It takes its cases as its state lets them come: the next command strikes the next
//! case of the direction that is due. A process that was killed is followed by the next case; one that goes on by
//! itself does so to the end of a swap, or, where a copy must last for many cases, until it is back at its work.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rsc::faults::STATEMENTS;
use rsc::schema::table::TableName;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::process::rsc;
use crate::support::writers::{Column, Plan, Shape, Writers, compare};
use crate::support::{shared, sum_up};

/// Before the shadow is filled there is only one direction.
const BUILD: [&str; 7] =
    ["create", "shadow.share", "shadow.clear", "shadow.create", "shadow.alter", "ledger.create", "batch"];
/// A change without a shadow has another life: `in_place.rs`.
const IN_PLACE: &str = "in_place.";
/// And one about a table as a whole: `create_drop.rs`.
const WHOLE: &str = "move.";
/// What it takes to come to these: `ledger_faults.rs`.
const LEDGER: [&str; 5] = ["window.park", "window.losses", "window.release", "retry.advance", "retry.commit"];
/// And to these: `verify.rs`.
const VERIFY: [&str; 6] =
    ["verify.begin", "verify.reach", "verify.mark", "verify.mend", "verify.delete", "verify.end"];
const BUILD_TOO: [&str; 5] =
    ["save.batches", "save.position", "indexes.leave_off", "indexes.share", "indexes.build"];
/// At the end of the change.
const END: [&str; 2] = ["shadow.drop", "forget.stream"];
/// With a second process.
const ASKED: &str = "request.answer";
/// So often a case may not come about, because the clients' writes did not call for the statement.
const TRIES: u32 = 8;

/// What is lost, and at which of a statement's two points. Delayed are only those statements between which clients or
/// another process could come.
const KINDS: [(&str, &str); 5] =
    [("before", "kill"), ("after", "kill"), ("before", "cut"), ("after", "lost"), ("before", "delay")];
const DELAYED: [&str; 3] = ["swap.", "window.", "save."];
/// Longer than the last of the stream may take under the locks, shorter than the server waits for who holds them. For
/// longer sleeps, and a takeover meanwhile, see `interruption.rs`.
const DELAY_MS: &str = "3000";

#[derive(Clone)]
struct Case {
    point: String,
    kind: &'static str,
    tries: u32,
}

impl Case {
    fn fault(&self) -> String {
        format!("{}:{}", self.point, self.kind)
    }
}

fn happens(name: &str, kind: &str) -> bool {
    !LEDGER.contains(&name)
        && !name.starts_with(IN_PLACE)
        && !name.starts_with(WHOLE)
        && !VERIFY.contains(&name)
        && (kind != "delay"
            || DELAYED.iter().any(|start| name.starts_with(start)) && !BUILD_TOO.contains(&name))
}

#[derive(Default)]
struct Cases {
    build: VecDeque<Case>,
    forward: VecDeque<Case>,
    back: VecDeque<Case>,
    asked: VecDeque<Case>,
    end: VecDeque<Case>,
}

impl Cases {
    /// Every second of those that come in both directions; the others in the first lane.
    fn new((moment, kind): (&'static str, &'static str), half: usize) -> Self {
        let mut cases = Self::default();
        let mut turn = 0;
        for (name, _) in STATEMENTS {
            if !happens(name, kind) {
                continue;
            }
            let case = Case { point: format!("{name}.{moment}"), kind, tries: 0 };
            let build = BUILD.iter().any(|start| name.starts_with(start)) || BUILD_TOO.contains(&name);
            let list = if END.contains(&name) {
                &mut cases.end
            } else if name == ASKED {
                &mut cases.asked
            } else if build {
                &mut cases.build
            } else {
                turn += 1;
                if turn % 2 == half {
                    cases.forward.push_back(case.clone());
                    cases.back.push_back(case.clone());
                }
                // The first state that a wish saves is its own, the second what came of it: the swap.
                if name.starts_with("save") && half == 0 {
                    let kind = match kind {
                        "kill" => "kill:2",
                        "cut" => "cut:2",
                        "delay" => "delay:2",
                        _ => "lost:2",
                    };
                    let case = Case { kind, ..case };
                    cases.forward.push_back(case.clone());
                    cases.back.push_back(case);
                }
                continue;
            };
            if half == 0 {
                list.push_back(case);
            }
        }
        // In the order in which they come about.
        let place = |case: &Case| match case.point.split('.').collect::<Vec<_>>()[..] {
            ["batch", ..] => 1,
            ["indexes", "share", ..] => 2,
            ["indexes", "build", ..] => 3,
            _ => 0,
        };
        cases.build.make_contiguous().sort_by_key(place);
        cases
    }
}

type Matrix = Arc<Mutex<Vec<[String; 4]>>>;

struct Lane {
    cases: Cases,
    matrix: Matrix,
    schema: String,
    conn: Conn,
    writers: Writers,
    id: Option<String>,
}

impl Lane {
    async fn open(kind: (&'static str, &'static str), half: usize, matrix: Matrix) -> Self {
        let schema = shared().fresh_database().await;
        let payload = vec![Column::int("n"), Column::varchar("note", 40)];
        let mut plan = Plan::new(TableName::new(&schema, "t"), Shape::AutoIncrement, payload);
        plan.writers = 3;
        plan.rows_per_writer = 1_000;
        plan.statements_per_s = Some(50.0);
        let mut conn = shared().conn().await.unwrap();
        conn.query_drop(plan.create_table(&["title varchar(20) NOT NULL DEFAULT 'x'"])).await.unwrap();
        let writers = Writers::start(shared().opts(), plan).await.unwrap();
        Self { cases: Cases::new(kind, half), matrix, schema, conn, writers, id: None }
    }

    async fn state(&mut self) -> String {
        let sql = format!("SELECT id, state FROM _rsc.`change` WHERE schema_name = '{}'", self.schema);
        // No sidecar before the first change.
        let found: Option<(u64, String)> = self.conn.query_first(sql).await.unwrap_or_default();
        let Some((id, state)) = found else { return "none".into() };
        self.id = Some(id.to_string());
        state
    }

    async fn run(mut self) {
        loop {
            let state = self.state().await;
            let (direction, verb) = match state.as_str() {
                "none" => ("migrate", "begin"),
                "planned" | "copying" | "indexing" | "catching_up" | "cutting_over" => ("migrate", "resume"),
                "revertible" | "reverting" => ("revert", "revert"),
                "reverted" | "reapplying" => ("reapply", "reapply"),
                other => panic!("{}: {other}", self.schema),
            };
            let settled = matches!(state.as_str(), "revertible" | "reverted");
            if state == "planned" {
                let id = self.id.clone().unwrap_or_default();
                rsc(shared(), &["status", &id]).run().await.well();
            }
            if settled {
                self.equal(&state).await;
                if self.cases.forward.is_empty() && self.cases.back.is_empty() {
                    break;
                }
            }
            assert!(direction == "migrate" || self.cases.build.is_empty(), "the copy ended too soon");
            let due = match direction {
                "revert" => &mut self.cases.back,
                "migrate" if !self.cases.build.is_empty() => &mut self.cases.build,
                _ => &mut self.cases.forward,
            };
            let case = due.pop_front();
            if let Some(case) = self.strike(direction, verb, case).await {
                let due = match direction {
                    "revert" => &mut self.cases.back,
                    _ if verb == "begin"
                        || case.point.starts_with("batch")
                        || case.point.starts_with("indexes") =>
                    {
                        &mut self.cases.build
                    }
                    _ => &mut self.cases.forward,
                };
                // The others may come about more easily, and give this one time.
                due.push_back(case);
            }
        }
        while let Some(case) = self.cases.asked.pop_front() {
            self.ask(case).await;
        }
        self.end().await;
    }

    fn command(&self, verb: &str) -> Vec<String> {
        let id = self.id.clone().unwrap_or_default();
        let alter = "DROP COLUMN title, ADD COLUMN extra int DEFAULT 7, ADD KEY by_note (note)";
        let words: Vec<&str> = match verb {
            "begin" => {
                vec![
                    "migrate",
                    "--database",
                    &self.schema,
                    "--table",
                    "t",
                    "--alter",
                    alter,
                    "--batch-time",
                    "1ms",
                    "--defer-indexes",
                    "always",
                    // So that the copy lasts for all cases. For batches side by side see `parallel_copy.rs`.
                    "--copy-threads",
                    "1",
                ]
            }
            "resume" => vec!["migrate", "--resume", &id],
            "stay" => vec!["migrate", "--resume", &id, "--agent", "stay"],
            verb => vec![verb, &id],
        };
        ["--output", "json"].into_iter().chain(words).map(String::from).collect()
    }

    /// Runs a command with a fault; returns the case if it did not come about.
    async fn strike(&mut self, direction: &str, verb: &str, case: Option<Case>) -> Option<Case> {
        let words = self.command(verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let fault = case.as_ref().map(Case::fault).unwrap_or_default();
        // Killed when it is back at its work, so that this work lasts for all of its cases.
        let then = match fault.as_str() {
            _ if self.cases.build.is_empty() || fault.ends_with("kill") => "",
            "batch.start.before:cut" => ",batch.start.before:kill",
            share if share.starts_with("indexes.share") => ",indexes.build.before:kill",
            batch if batch.starts_with("batch") => ",batch.start.before:kill:2",
            create if create.starts_with("create") => ",claim.start.before:kill",
            "save.position.after:lost" => ",save.position.before:kill:2",
            _ => ",save.position.before:kill",
        };
        let numbers =
            fault.starts_with("swap.counter").then(|| tokio::spawn(take_numbers(self.schema.clone())));
        let ended = rsc(shared(), &words)
            .env("RSC_FAULT", &format!("{fault}{then}"))
            .env("RSC_FAULT_DELAY_MS", DELAY_MS)
            .run()
            .await;
        if let Some(numbers) = numbers {
            numbers.abort();
        }
        let struck =
            case.as_ref().is_some_and(|case| ended.stderr.contains(&format!("struck: {}", case.point)));
        let outcome = match ended.code {
            0 => "done by itself".to_owned(),
            -1 if then.is_empty() => "killed".to_owned(),
            -1 => "took up the work".to_owned(),
            8 if !struck => {
                // The one before is not quite dead.
                sleep(Duration::from_millis(20)).await;
                return case;
            }
            // A new change that is not under way yet fails as any command.
            5 if fault.starts_with("create.change") || fault.starts_with("create.commit") => {
                "exit 5".to_owned()
            }
            _ => panic!("{} {words:?} with {fault}: {ended:#?}", self.schema),
        };
        let mut case = case?;
        if !struck {
            case.tries += 1;
            assert!(case.tries < TRIES, "{direction}: {fault} was never struck: {ended:#?}");
            // More will have been written for the next one.
            sleep(case.tries * Duration::from_millis(50)).await;
            return Some(case);
        }
        self.note(&case, direction, outcome);
        None
    }

    fn note(&self, case: &Case, direction: &str, outcome: String) {
        let row = [case.point.clone(), case.kind.to_owned(), direction.to_owned(), outcome];
        self.matrix.lock().unwrap().push(row);
    }

    async fn equal(&mut self, when: &str) {
        let paused = self.writers.pause().await;
        let table = TableName::new(&self.schema, "t");
        let differences = compare(&paused, &mut self.conn, &table).await.unwrap();
        assert!(differences.is_empty(), "{}, {when}: {differences:#?}", self.schema);
        let errors = self.writers.errors();
        assert!(errors.is_empty(), "{}, {when}: {errors:#?}", self.schema);
        self.writers.resume();
    }

    /// The owner that stays is struck while it answers another process.
    async fn ask(&mut self, case: Case) {
        let (verb, wanted) = match self.state().await.as_str() {
            "revertible" => ("revert", "reverted"),
            _ => ("reapply", "revertible"),
        };
        let words = self.command("stay");
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut stays = rsc(shared(), &words).env("RSC_FAULT", &case.fault()).start();
        stays.says("\"following\"").await;
        let words = self.command(verb);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let asked = rsc(shared(), &words).run().await.well();
        assert_eq!(asked.last_line()["state"], wanted, "{asked:#?}");
        assert!(stays.stderr().contains("fault struck"), "{} was never struck", case.fault());
        drop(stays);
        // Its connections end a moment after it.
        sleep(Duration::from_millis(100)).await;
        let state = self.state().await;
        assert_eq!(state, wanted, "{}", case.fault());
        self.equal(&state).await;
        self.note(&case, verb, "asked, done".into());
    }

    async fn end(mut self) {
        loop {
            let faults: Vec<Case> = match self.cases.end.front() {
                Some(case) if case.kind == "kill" => self.cases.end.pop_front().into_iter().collect(),
                _ => self.cases.end.drain(..).collect(),
            };
            let words = self.command("complete");
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let list = faults.iter().map(Case::fault).collect::<Vec<_>>().join(",");
            let ended = rsc(shared(), &words).env("RSC_FAULT", &list).run().await;
            if ended.code == 8 {
                self.cases.end.extend(faults);
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            // The second complete of a change that is completed has nothing left but what the first left behind.
            for case in &faults {
                assert!(ended.stderr.contains(&case.point), "{} was never struck: {ended:#?}", case.fault());
                self.note(case, "complete", if ended.code == 0 { "done by itself" } else { "killed" }.into());
            }
            if ended.code == -1 {
                continue;
            }
            ended.well();
            break;
        }
        self.equal("completed").await;
        assert_eq!(self.state().await, "completed");
        let tables: Vec<String> = self.conn.query(format!("SHOW TABLES FROM {}", self.schema)).await.unwrap();
        assert_eq!(tables, ["t"]);
        let id = self.id.clone().unwrap_or_default();
        let streams: Vec<String> =
            self.conn.query(format!("SHOW TABLES FROM _rsc LIKE 'stream\\_{id}'")).await.unwrap();
        assert!(streams.is_empty(), "{streams:?}");
        let finished = self.writers.finish().await;
        assert!(finished.tally.committed > 0);
    }
}

/// Numbers that no row has, so that the shadow's counter must be raised.
async fn take_numbers(schema: String) {
    let mut conn = shared().conn().await.unwrap();
    loop {
        let sql = format!("BEGIN; INSERT INTO {schema}.t (owner) VALUES (-1); ROLLBACK");
        conn.query_drop(sql).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_lost_at_whatever_statement_the_change_goes_on() {
    let started = Instant::now();
    let matrix = Matrix::default();
    let mut lanes = JoinSet::new();
    for kind in KINDS {
        for half in 0..2 {
            let matrix = matrix.clone();
            lanes.spawn(async move { Lane::open(kind, half, matrix).await.run().await });
        }
    }
    let mut failed = 0;
    while let Some(lane) = lanes.join_next().await {
        failed += u32::from(lane.is_err());
    }
    let mut matrix = matrix.lock().unwrap().clone();
    matrix.sort();
    let shown = shown(&matrix);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fault_matrix.txt");
    std::fs::write(&path, &shown).unwrap();
    print!("{shown}");
    println!("written to {}", path.display());
    assert_eq!(failed, 0, "lanes that failed, as said above");
    for (name, _) in STATEMENTS {
        for (moment, kind) in KINDS.into_iter().filter(|(_, kind)| happens(name, kind)) {
            let point = format!("{name}.{moment}");
            assert!(matrix.iter().any(|row| row[0] == point && row[1] == kind), "{point}:{kind} is missing");
        }
    }
    sum_up(&format!(
        "faults: {} cases at {} points in {:.1?}",
        matrix.len(),
        2 * STATEMENTS.len(),
        started.elapsed()
    ));
}

/// A row for each point and fault: what came of it in each direction.
fn shown(matrix: &[[String; 4]]) -> String {
    const DIRECTIONS: [&str; 4] = ["migrate", "revert", "reapply", "complete"];
    let mut rows: BTreeMap<(usize, String, String), BTreeMap<String, String>> = BTreeMap::new();
    for [point, kind, direction, outcome] in matrix {
        let place = STATEMENTS.iter().position(|(name, _)| point.starts_with(&format!("{name}."))).unwrap();
        let row = rows.entry((place, point.clone(), kind.clone())).or_default();
        row.insert(direction.clone(), outcome.clone());
    }
    let mut text = "killed: by the fault, and the next command went on. done by itself: who met the fault went on. Whenever \
                    a side\nserved, every row was what its client had been told.\n\n"
        .to_owned();
    text += &format!("{:<28} {:<8}", "point", "fault");
    for direction in DIRECTIONS {
        text += &format!(" {direction:<17}");
    }
    text = text.trim_end().to_owned() + "\n";
    for ((_, point, kind), outcomes) in rows {
        let mut line = format!("{point:<28} {kind:<8}");
        for direction in DIRECTIONS {
            line += &format!(" {:<17}", outcomes.get(direction).map_or("", String::as_str));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}
