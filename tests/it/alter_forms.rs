//! Every form of ../data/alter_forms.sql is run: what MySQL does with it natively, rsc does too, or it says what to do
//! instead.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use rsc::schema::statement::Alter;
use tokio::sync::Semaphore;

use crate::support::process::rsc;
use crate::support::{shared, sum_up};

const FORMS: &str = include_str!("../data/alter_forms.sql");

const AT_ONCE: usize = 4;

/// A form may need a column, a key, a partition. It runs on the first of these on which MySQL runs it.
const TABLES: [&str; 10] = [
    "(id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, e int, j json, g point NOT NULL SRID 0)",
    "(id int PRIMARY KEY, a varchar(20) NOT NULL, b int NOT NULL, e int, j json)",
    "(id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c int NOT NULL, d int NOT NULL, e int)",
    "(id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c varchar(20), d varchar(20), e int)",
    "(id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, KEY i (a), UNIQUE KEY u (b), \
      CONSTRAINT ck CHECK (a > 0))",
    "(id int NOT NULL, a int NOT NULL, b int NOT NULL, UNIQUE KEY u (id))",
    "(id int PRIMARY KEY, `a b` int NOT NULL, b int NOT NULL, c enum('x'))",
    "(id int NOT NULL, a int NOT NULL, b int NOT NULL, PRIMARY KEY (id)) PARTITION BY RANGE (id) \
      (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
    "(id int NOT NULL, a int NOT NULL, b int NOT NULL, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 4",
    "(id int NOT NULL, a int NOT NULL, b varchar(9) NOT NULL, PRIMARY KEY (id, a, b))",
];

const ROWS: [&str; 3] = [
    "INSERT INTO {} (id, {a}, b) VALUES (1, 1, 1), (2, 2, 2)",
    "INSERT INTO {} (id, {a}, b, g) VALUES (1, 1, 1, POINT(1, 2)), (2, 2, 2, POINT(3, 4))",
    "INSERT INTO {} (id, {a}, b, c, d) VALUES (1, 1, 1, 1, 1), (2, 2, 2, 2, 2)",
];

#[derive(Debug)]
enum Outcome {
    /// The definition is what the native ALTER makes.
    Runs,
    /// By both, or by rsc with advice.
    Refused(String),
    Wrong(String),
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_runs_as_it_does_natively_or_is_refused_with_advice() {
    let statements = FORMS.split_once('\n').unwrap().1;
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = Vec::new();
    for form in statements.split(";;").map(str::trim).filter(|form| !form.is_empty()) {
        let gate = Arc::clone(&gate);
        let run = tokio::spawn(async move {
            let _turn = gate.acquire().await.unwrap();
            run(form).await
        });
        running.push((form, run));
    }
    let (mut runs, mut refused, mut wrong) = (0, 0, Vec::new());
    for (form, run) in running {
        let line = form.replace('\n', " ");
        match run.await.unwrap() {
            Outcome::Runs => {
                runs += 1;
                println!("runs     {line}");
            }
            Outcome::Refused(why) => {
                refused += 1;
                println!("refused  {line}\n         {why}");
            }
            Outcome::Wrong(why) => wrong.push(format!("{line}\n    {why}")),
        }
    }
    sum_up(&format!("forms: {runs} run, {refused} refused, {} wrong", wrong.len()));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(runs > 130, "only {runs} run");
}

/// Several forms name the same schema.
static NAMED: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn run(form: &str) -> Outcome {
    let named = Alter::parse(form).is_ok_and(|alter| alter.schema.is_some());
    let _alone = if named { Some(NAMED.lock().await) } else { None };
    let Some((schema, table, native)) = natively(form).await else {
        return match rsc_on(form, "nowhere").await {
            (3 | 2, said) => advised(&said),
            (code, said) => Outcome::Wrong(format!("MySQL refuses it, rsc ended with {code}: {said}")),
        };
    };
    let (code, said) = rsc_on(form, &schema).await;
    let outcome = match code {
        0 if definition(&schema, &table).await == native => Outcome::Runs,
        0 => Outcome::Wrong(format!("not the native definition: {}", definition(&schema, &table).await)),
        3 => advised(&said),
        code => Outcome::Wrong(format!("ended with {code}: {said}")),
    };
    let mut conn = shared().conn().await.unwrap();
    let id: Option<u64> = match code {
        0 => conn
            .query_first(format!(
                "SELECT id FROM _rsc.`change` WHERE schema_name = '{}' AND state = 'revertible'",
                schema.replace('\'', "''")
            ))
            .await
            .unwrap(),
        // There is no change, and perhaps no journal yet.
        _ => None,
    };
    if let Some(id) = id {
        rsc(shared(), &["complete", &id.to_string()]).run().await.well();
    }
    conn.query_drop(format!("DROP DATABASE {}", quote(&schema))).await.unwrap();
    outcome
}

fn advised(said: &str) -> Outcome {
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let what = lines.iter().find_map(|line| line.strip_prefix("error: ")).unwrap_or_default();
    let untouched = lines.iter().any(|line| line.starts_with("state: nothing was"));
    match !what.is_empty() && untouched {
        true => Outcome::Refused(what.to_owned()),
        false => Outcome::Wrong(format!("refused without a word: {said}")),
    }
}

async fn rsc_on(form: &str, schema: &str) -> (i32, String) {
    let names_schema = Alter::parse(form).is_ok_and(|alter| alter.schema.is_some());
    let mut words = vec!["migrate", "--alter", form];
    if !names_schema {
        words.extend(["--database", schema]);
    }
    let ended = rsc(shared(), &words).run().await;
    (ended.code, ended.stderr)
}

/// The schema and name of a table on which MySQL runs the form, and what it then is; the table is as before.
async fn natively(form: &str) -> Option<(String, String, String)> {
    let words = form.to_ascii_uppercase();
    if !words.starts_with("ALTER") && !words.starts_with("/*") {
        return None;
    }
    let alter = Alter::parse(form).ok();
    let table = alter.as_ref().and_then(|alter| alter.table.clone()).unwrap_or_else(|| "t".into());
    let named = alter.and_then(|alter| alter.schema);
    for (i, definition_of) in TABLES.iter().enumerate() {
        let schema = match &named {
            Some(schema) => schema.clone(),
            None => shared().fresh_database().await,
        };
        let mut conn = shared().conn().await.unwrap();
        for statement in [
            format!("CREATE DATABASE IF NOT EXISTS {}", quote(&schema)),
            format!("USE {}", quote(&schema)),
            "CREATE TABLE p (id int PRIMARY KEY)".into(),
            format!("CREATE TABLE {} {definition_of}", quote(&table)),
        ] {
            conn.query_drop(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        }
        if named.is_some() {
            shared().grant(&schema).await;
        }
        fill(&mut conn, &table, if i == 6 { "`a b`" } else { "a" }).await;
        conn.query_drop(format!("CREATE TABLE kept LIKE {}", quote(&table))).await.unwrap();
        let first = conn.query_drop(form).await;
        if first.is_ok() && exists(&mut conn, &schema, &table).await {
            let native = definition(&schema, &table).await;
            conn.query_drop(format!("DROP TABLE {}", quote(&table))).await.unwrap();
            conn.query_drop("DROP TABLE kept").await.unwrap();
            conn.query_drop(format!("CREATE TABLE {} {definition_of}", quote(&table))).await.unwrap();
            fill(&mut conn, &table, if i == 6 { "`a b`" } else { "a" }).await;
            return Some((schema, table, native));
        }
        conn.disconnect().await.unwrap();
        let mut conn = shared().conn().await.unwrap();
        conn.query_drop(format!("DROP DATABASE IF EXISTS {}", quote(&schema))).await.unwrap();
    }
    None
}

async fn exists(conn: &mut mysql_async::Conn, schema: &str, table: &str) -> bool {
    let sql = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?";
    conn.exec_first::<u64, _, _>(sql, (schema, table)).await.unwrap() == Some(1)
}

async fn fill(conn: &mut mysql_async::Conn, table: &str, a: &str) {
    for rows in ROWS {
        let rows = rows.replace("{}", &quote(table)).replace("{a}", a);
        if conn.query_drop(rows).await.is_ok() {
            return;
        }
    }
}

async fn definition(schema: &str, table: &str) -> String {
    let mut conn = shared().conn().await.unwrap();
    let sql = format!("SHOW CREATE TABLE {}.{}", quote(schema), quote(table));
    let (_, create): (String, String) = conn.query_first(sql).await.unwrap().unwrap();
    rsc::engine::sides::definition(&create)
}

fn quote(name: &str) -> String {
    rsc::schema::table::quote(name)
}
