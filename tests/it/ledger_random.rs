//! The ledger under clients that break what the old schema demands, and mend it again, while rsc is killed and the
//! change goes back and forth. At quiet moments both tables and the ledger must be what the clients' own record says.
//!
//! `RSC_LEDGER_SEED` throws the same dice again, `RSC_LEDGER_ROUNDS` throws more of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::process::{Running, rsc};
use crate::support::shared;
use crate::support::table::Table;

const ALTER: &str = "MODIFY id int unsigned NOT NULL, DROP KEY one_u, MODIFY name varchar(50) NOT NULL, \
                     MODIFY n int NULL, DROP COLUMN title, ADD COLUMN note varchar(20) NOT NULL DEFAULT 'new'";
const CLIENTS: u32 = 3;
const ROUNDS: u32 = 14;
/// Nothing that is waited for takes so long.
const ENOUGH: Duration = Duration::from_secs(90);

/// A row as the new schema holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    u: i64,
    name: String,
    n: Option<i64>,
    /// Even: born under the old schema, which gave it a title. Odd: under the new one, which gave it a note.
    tag: u64,
}

type Rows = BTreeMap<u64, Row>;

/// Writes rows of its own keys, and remembers what was acknowledged.
struct Client {
    conn: Conn,
    number: u32,
    rng: StdRng,
    rows: Rows,
    serial: u64,
    /// What it takes the schema for; the server corrects it.
    new: bool,
}

impl Client {
    /// Keys of its own; the largest cannot be under the old schema.
    fn free_key(&mut self) -> Option<u64> {
        let numbers: Vec<u64> = (0..18).map(|i| if i < 14 { i } else { 70_000 + i }).collect();
        let keys = numbers.into_iter().map(|i| 1 + i * u64::from(CLIENTS) + u64::from(self.number));
        let free: Vec<u64> = keys.filter(|key| !self.rows.contains_key(key)).collect();
        (!free.is_empty()).then(|| free[self.rng.random_range(0..free.len())])
    }

    fn some_row(&mut self) -> Option<(u64, Row)> {
        let at = self.rng.random_range(0..self.rows.len().max(1));
        self.rows.iter().nth(at).map(|(key, row)| (*key, row.clone()))
    }

    /// Never the beginning of another one.
    fn name(&mut self) -> String {
        self.serial += 1;
        let short = format!("{}{:04}", (b'a' + self.number as u8) as char, self.serial % 10_000);
        if self.rng.random_bool(0.4) { format!("{short} and much more of it") } else { short }
    }

    async fn does(&mut self, sql: &str) -> bool {
        match self.conn.query_drop(sql).await {
            Ok(()) => self.conn.affected_rows() > 0,
            Err(Error::Server(e)) if e.code == 1054 => {
                self.new = !self.new;
                false
            }
            // What the old schema does not take, and what a deadlock undid.
            Err(Error::Server(e)) if [1062, 1048, 1264, 1406, 1213, 1205].contains(&e.code) => false,
            Err(e) => panic!("{sql}: {e}"),
        }
    }

    async fn write(&mut self) {
        let row = self.some_row();
        let u = self.rng.random_range(0..25);
        match (self.rng.random_range(0..10), row) {
            (0..3, _) | (_, None) => {
                let Some(key) = self.free_key() else { return };
                let name = self.name();
                self.serial += 1;
                let tag =
                    2 * (self.serial * u64::from(CLIENTS) + u64::from(self.number)) + u64::from(self.new);
                let own = if self.new { format!("note = 'n{tag}'") } else { format!("title = 't{tag}'") };
                let sql = format!(
                    "INSERT INTO t SET id = {key}, u = {u}, name = '{name}', n = 5, tag = {tag}, {own}"
                );
                if self.does(&sql).await {
                    self.rows.insert(key, Row { u, name, n: Some(5), tag });
                }
            }
            (3..5, Some((key, _))) => {
                if self.does(&format!("DELETE FROM t WHERE id = {key}")).await {
                    self.rows.remove(&key);
                }
            }
            (5, Some((key, row))) => {
                let name = self.name();
                if self.does(&format!("UPDATE t SET name = '{name}' WHERE id = {key}")).await {
                    self.rows.insert(key, Row { name, ..row });
                }
            }
            (6, Some((key, row))) => {
                let n = self.rng.random_bool(0.5).then(|| self.rng.random_range(1..1_000_000));
                let text = n.map_or("NULL".into(), |n: i64| n.to_string());
                if self.does(&format!("UPDATE t SET n = {text} WHERE id = {key}")).await {
                    self.rows.insert(key, Row { n, ..row });
                }
            }
            (7, Some((key, row))) => {
                let Some(to) = self.free_key() else { return };
                if self.does(&format!("UPDATE t SET id = {to} WHERE id = {key}")).await {
                    self.rows.remove(&key);
                    self.rows.insert(to, row);
                }
            }
            (_, Some((key, row))) => {
                if self.does(&format!("UPDATE t SET u = {u} WHERE id = {key}")).await {
                    self.rows.insert(key, Row { u, ..row });
                }
            }
        }
    }

    async fn work(mut self, time: Duration) -> Self {
        let began = Instant::now();
        while began.elapsed() < time {
            self.write().await;
            let pause = self.rng.random_range(0..6);
            sleep(Duration::from_millis(pause)).await;
        }
        self
    }
}

struct Trial {
    table: Table,
    id: u64,
    keeper: Option<Running>,
    rng: StdRng,
    marks: u64,
    story: Vec<String>,
}

impl Trial {
    async fn state(&mut self) -> String {
        let sql = format!("SELECT state FROM _rsc.`change` WHERE id = {}", self.id);
        self.table.all::<String>(&sql).await.remove(0)
    }

    fn keep(&mut self) {
        let id = self.id.to_string();
        let words = ["--output", "json", "migrate", "--resume", &id, "--agent", "stay"];
        self.keeper = Some(rsc(shared(), &words).start());
    }

    /// A keeper that is alive; another one if it has lost a race with its predecessor.
    fn see_to_a_keeper(&mut self) {
        let ended = self.keeper.as_mut().and_then(Running::try_ended);
        if let Some(ended) = &ended {
            assert!([5, 8].contains(&ended.code), "{ended:#?}");
        }
        if ended.is_some() || self.keeper.is_none() {
            self.keep();
        }
    }

    async fn command(&mut self, words: &[&str]) {
        let id = self.id.to_string();
        let words: Vec<&str> =
            ["--output", "json"].iter().chain(words).copied().chain([id.as_str()]).collect();
        let ended = rsc(shared(), &words).run().await;
        self.story.push(format!("{words:?}: {}", ended.code));
        assert!([0, 6, 8].contains(&ended.code), "{:#?} {ended:#?}", self.story);
    }

    /// What must be true once the stream has caught up, as far as it is not.
    async fn differences(&mut self, rows: &Rows) -> Vec<String> {
        let state = self.state().await;
        let new = state == "revertible";
        if !new && state != "reverted" {
            return vec![state];
        }
        let (old_table, new_table) = match new {
            true => (format!("_rsc{}_t_old", self.id), "t".to_owned()),
            false => ("t".to_owned(), format!("_rsc{}_t_new", self.id)),
        };
        let mut found = Vec::new();
        type Full = (u64, i64, String, Option<i64>, u64, String);
        let held: Vec<Full> = self
            .table
            .all(&format!("SELECT id, u, name, n, tag, note FROM {new_table} WHERE id > 0 ORDER BY id"))
            .await;
        let expected: Vec<Full> = rows
            .iter()
            .map(|(id, r)| {
                let note = if r.tag % 2 == 1 { format!("n{}", r.tag) } else { "new".into() };
                (*id, r.u, r.name.clone(), r.n, r.tag, note)
            })
            .collect();
        differ("new", &held, &expected, &mut found);
        let ledger = format!("_rsc.parked_{}", self.id);
        let parked: Vec<(u64, bool, Option<String>)> =
            self.table.all(&format!("SELECT k0, had, c0 FROM {ledger} ORDER BY k0")).await;
        let is_parked = |id: &u64| parked.iter().any(|(key, ..)| key == id);
        let kept: Vec<Full> = self
            .table
            .all(&format!("SELECT id, u, name, n, tag, title FROM {old_table} WHERE id > 0 ORDER BY id"))
            .await;
        let title = |tag: u64| if tag.is_multiple_of(2) { format!("t{tag}") } else { "none".into() };
        let expected: Vec<Full> = rows
            .iter()
            .filter(|(id, _)| !is_parked(id))
            .map(|(id, r)| {
                let name = r.name.chars().take(5).collect();
                (*id, r.u, name, Some(r.n.unwrap_or(0)), r.tag, title(r.tag))
            })
            .collect();
        differ("old", &kept, &expected, &mut found);
        if !new {
            return found;
        }
        for (id, had, own) in &parked {
            let Some(row) = rows.get(id) else {
                found.push(format!("{id} is parked, and gone"));
                continue;
            };
            if *had && own.as_deref() != Some(&title(row.tag)) || !*had && row.tag % 2 == 0 {
                found.push(format!("{id} is parked with {had} {own:?}, not {}", title(row.tag)));
            }
            self.table.run("BEGIN").await;
            let by_hand = format!(
                "INSERT INTO {old_table} (id, u, name, n, tag) SELECT id, u, LEFT(name, 5), COALESCE(n, 0), tag FROM t WHERE id = {id}"
            );
            if self.table.conn.query_drop(&by_hand).await.is_ok() {
                found.push(format!("{id} is parked without a reason"));
            }
            self.table.run("ROLLBACK").await;
        }
        type Loss = (u64, String, Option<String>, Option<String>);
        let sql =
            format!("SELECT k0, column_name, kept, lost FROM _rsc.loss_{} ORDER BY k0, column_name", self.id);
        let lost: Vec<Loss> = self.table.all(&sql).await;
        let mut expected: Vec<Loss> = Vec::new();
        for (id, row) in rows.iter().filter(|(id, _)| !is_parked(id)) {
            if row.n.is_none() {
                expected.push((*id, "n".into(), Some("0".into()), None));
            }
            if row.name.len() > 5 {
                expected.push((*id, "name".into(), Some(row.name[..5].into()), Some(row.name.clone())));
            }
        }
        expected.sort();
        differ("lost", &lost, &expected, &mut found);
        found
    }

    /// Nobody writes: waits until all is as the clients' record says.
    async fn compare(&mut self, rows: &Rows) {
        let began = Instant::now();
        loop {
            self.see_to_a_keeper();
            let found = self.differences(rows).await;
            if found.is_empty() && self.caught_up().await {
                let found = self.differences(rows).await;
                assert!(found.is_empty(), "{found:#?}\n{:#?}", self.story);
                return;
            }
            assert!(began.elapsed() < ENOUGH, "{found:#?}\n{:#?}", self.story);
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The stream has brought a row that is written now, and so all before it.
    async fn caught_up(&mut self) -> bool {
        self.marks += 1;
        let mark = self.marks;
        let shadow = match self.state().await.as_str() {
            "revertible" => format!("_rsc{}_t_old", self.id),
            "reverted" => format!("_rsc{}_t_new", self.id),
            _ => return false,
        };
        self.table.run(&format!("UPDATE t SET n = {mark} WHERE id = 0")).await;
        let began = Instant::now();
        while began.elapsed() < ENOUGH {
            self.see_to_a_keeper();
            let seen: Vec<u64> =
                self.table.all(&format!("SELECT COUNT(*) FROM {shadow} WHERE id = 0 AND n = {mark}")).await;
            if seen == [1] {
                return true;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the stream does not come: {:#?}", self.story);
    }

    /// Something happens beside the clients.
    async fn event(&mut self) {
        let pause = self.rng.random_range(50..400);
        sleep(Duration::from_millis(pause)).await;
        match self.rng.random_range(0..8) {
            0..3 => {
                if let Some(keeper) = self.keeper.take() {
                    keeper.signal("KILL");
                    drop(keeper);
                    self.story.push("killed".into());
                }
                // Sometimes a command finds nobody.
                if self.rng.random_bool(0.5) {
                    self.keep();
                }
            }
            3 => self.command(&["revert"]).await,
            4..6 => self.command(&["revert", "--accept-parked"]).await,
            _ => self.command(&["reapply"]).await,
        }
    }
}

fn differ<T: PartialEq + std::fmt::Debug>(what: &str, is: &[T], should: &[T], into: &mut Vec<String>) {
    let odd = |a: &[T], b: &[T]| -> Vec<String> {
        a.iter().filter(|x| !b.contains(x)).map(|x| format!("{x:?}")).collect()
    };
    let (surplus, missing) = (odd(is, should), odd(should, is));
    if !surplus.is_empty() || !missing.is_empty() {
        into.push(format!("{what}: has {surplus:?}, lacks {missing:?}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_exact_whatever_clients_write_and_whatever_dies() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("RSC_LEDGER_SEED").unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    println!("RSC_LEDGER_SEED={seed}");
    let table = Table::create(
        "id smallint unsigned NOT NULL PRIMARY KEY, u int NOT NULL, name varchar(5) NOT NULL, n int NOT NULL, \
         tag bigint NOT NULL, title varchar(20) NOT NULL DEFAULT 'none', UNIQUE KEY one_u (u)",
    )
    .await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut conn = shared().conn().await.unwrap();
        conn.query_drop(format!("USE {}", table.schema)).await.unwrap();
        let rng = StdRng::seed_from_u64(seed * 10 + u64::from(number));
        clients.push(Client { conn, number, rng, rows: Rows::new(), serial: 0, new: false });
    }
    let mut trial =
        Trial { table, id: 0, keeper: None, rng: StdRng::seed_from_u64(seed), marks: 1, story: Vec::new() };
    trial.table.run("INSERT INTO t VALUES (0, -1, '', 1, 0, 'mark')").await;
    clients = all_work(clients, Duration::from_millis(500)).await;
    trial.id = trial.table.migrated(ALTER, &[]).await;
    let (mut parked, mut lost) = (0, 0);
    for round in 0..number("RSC_LEDGER_ROUNDS").unwrap_or(u64::from(ROUNDS)) {
        trial.story = vec![format!("RSC_LEDGER_SEED={seed}, round {round}")];
        let time = Duration::from_millis(trial.rng.random_range(300..1_500));
        let working = tokio::spawn(all_work(clients, time));
        for _ in 0..trial.rng.random_range(0..4) {
            trial.event().await;
        }
        clients = working.await.unwrap();
        if trial.rng.random_bool(0.05) {
            trial.story.push("TRUNCATE".into());
            trial.table.run("TRUNCATE TABLE t").await;
            trial.table.run("INSERT INTO t SET id = 0, u = -1, name = '', n = 1, tag = 0").await;
            clients.iter_mut().for_each(|client| client.rows.clear());
        }
        let rows: Rows = clients.iter().flat_map(|client| client.rows.clone()).collect();
        trial.compare(&rows).await;
        let count = format!(
            "SELECT (SELECT COUNT(*) FROM _rsc.parked_{0}), (SELECT COUNT(*) FROM _rsc.loss_{0})",
            trial.id
        );
        let counts: Vec<(u64, u64)> = trial.table.all(&count).await;
        println!("round {round}: {} rows, {counts:?} in the ledger; {:?}", rows.len(), trial.story);
        parked += counts[0].0;
        lost += counts[0].1;
    }
    assert!(parked > 0 && lost > 0, "nothing was parked, or nothing lost");
}

async fn all_work(clients: Vec<Client>, time: Duration) -> Vec<Client> {
    let mut working: JoinSet<Client> = clients.into_iter().map(|client| client.work(time)).collect();
    let mut done = Vec::new();
    while let Some(client) = working.join_next().await {
        done.push(client.unwrap());
    }
    done.sort_by_key(|client| client.number);
    done
}
