//! The soak: whatever may die or stand still does, at moments that the dice choose, while changes go forward and back
//! under clients that remember what was acknowledged to them. No row may differ, and no client may meet an error but
//! the loss of its server.
//!
//! `cargo test` runs a short one. The long one is for a person: `cargo test --release --test it soak -- --ignored
//! --nocapture`, with `RSC_SOAK_MINUTES` (30) and `RSC_SOAK_SEED` (printed; the same seed throws the same dice, though
//! the moments at which they meet the processes are the machine's).

mod clients;
mod crew;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use crate::support::server::{Options, Server};
use crate::support::sum_up;
use clients::{ALTER, Clients, ServerLife};
use crew::Crew;

const SHORT: Duration = Duration::from_secs(90);
/// Between two transactions of a client: other tests want the machine too.
const SHORT_PACE: Duration = Duration::from_millis(20);
const LONG_MINUTES: f64 = 30.0;
const LONG_PACE: Duration = Duration::from_millis(4);

const TICK: Duration = Duration::from_millis(20);
/// A change lives for so long at most; then the next one copies anew.
const LIFE_MAX: Duration = Duration::from_secs(240);
/// Rows are compared so often.
const COMPARE_EVERY: Duration = Duration::from_secs(20);
/// Nothing that is waited for takes so long.
const ENOUGH: Duration = Duration::from_secs(240);
const COMMANDS_MAX: usize = 3;
/// MiB that no rsc process may reach, whatever the size of tables.
const MEMORY_MAX: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_whatever_dies() {
    soak(SHORT, SHORT_PACE, seed()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour"]
async fn nothing_is_lost_in_half_an_hour_of_deaths() {
    let minutes = std::env::var("RSC_SOAK_MINUTES").map(|text| text.parse().expect("RSC_SOAK_MINUTES"));
    soak(Duration::from_secs_f64(60.0 * minutes.unwrap_or(LONG_MINUTES)), LONG_PACE, seed()).await;
}

fn seed() -> u64 {
    match std::env::var("RSC_SOAK_SEED") {
        Ok(text) => text.parse().expect("RSC_SOAK_SEED"),
        Err(_) => rand::rng().random_range(0..1_000_000),
    }
}

async fn soak(length: Duration, pace: Duration, seed: u64) {
    println!("soak: {:.1} minutes, RSC_SOAK_SEED={seed}", length.as_secs_f64() / 60.0);
    // What the server has acknowledged must be there after its death.
    let options = Options::default().with("--sync-binlog=1").with("--innodb-flush-log-at-trx-commit=1");
    let server = Server::start(options).unwrap();
    let mut conn = server.conn().await.unwrap();
    clients::create(&mut conn).await;
    // Root is rsc alone, so that its connections can be told from all others.
    for name in ["client", "judge"] {
        clients::run(&mut conn, &format!("CREATE USER {name}@'%'")).await;
        clients::run(&mut conn, &format!("GRANT ALL ON *.* TO {name}@'%'")).await;
    }
    drop(conn);
    let life = ServerLife::default();
    let started = Instant::now();
    let mut soak = Soak {
        server: &server,
        crew: Crew::new(&server),
        clients: Clients::start(&server, life.clone(), pace, seed),
        life,
        dice: StdRng::seed_from_u64(seed),
        judge: None,
        seed,
        started,
        strike_at: started,
        server_died: started,
        server_kills: 0,
        connection_kills: 0,
        compared: 0,
        swaps: 0,
    };
    let lives = ((length.as_secs_f64() / LIFE_MAX.as_secs_f64()).ceil() as u32).max(2);
    for number in 1..=lives {
        soak.change(started + length * number / lives, number == lives).await;
    }
    soak.close().await;
}

struct Soak<'a> {
    server: &'a Server,
    crew: Crew<'a>,
    clients: Clients,
    life: ServerLife,
    dice: StdRng,
    /// A connection of the test itself; `None` after the server's death.
    judge: Option<Conn>,
    seed: u64,
    started: Instant,
    strike_at: Instant,
    server_died: Instant,
    server_kills: u64,
    connection_kills: u64,
    compared: u64,
    swaps: u64,
}

/// Where the change stands.
struct Stand {
    id: String,
    state: String,
    paused: bool,
}

impl Stand {
    fn settled(&self) -> bool {
        matches!(self.state.as_str(), "revertible" | "reverted")
    }
}

impl Soak<'_> {
    /// One change from migrate to complete. All but the last are taken back before, so that the next begins from the
    /// same schema.
    async fn change(&mut self, until: Instant, last: bool) {
        let mut compare_at = Instant::now() + COMPARE_EVERY;
        let mut next_command = Instant::now();
        while Instant::now() < until {
            self.tick().await;
            if next_command <= Instant::now() {
                let pause = self.dice.random_range(100..2_500);
                next_command = Instant::now() + Duration::from_millis(pause);
                self.command().await;
            }
            if compare_at <= Instant::now() {
                self.compare().await;
                compare_at = Instant::now() + COMPARE_EVERY;
            }
        }
        let stand = self.compare().await;
        if !last && stand.state == "revertible" {
            self.crew.command(&["revert", &stand.id]);
            self.wait("the revert", |stand| stand.state == "reverted").await;
            self.compare().await;
        }
        self.end(stand.id).await;
    }

    /// Looks after the processes, and strikes when it is time.
    async fn tick(&mut self) {
        sleep(TICK).await;
        self.crew.tick(&mut self.dice);
        if self.strike_at <= Instant::now() {
            self.strike_at = Instant::now() + Duration::from_millis(self.dice.random_range(100..2_000));
            self.strike().await;
        }
    }

    async fn strike(&mut self) {
        match self.dice.random_range(0..100) {
            0..40 => self.crew.kill_one(&mut self.dice),
            40..45 => self.crew.kill_all_agents(),
            45..75 => self.kill_connection().await,
            75..92 => {
                // Some for longer than a change is reserved for who drives it.
                let long = self.dice.random_bool(0.15);
                let length = self.dice.random_range(if long { 5_000..13_000 } else { 50..1_500 });
                self.crew.stop_one(Duration::from_millis(length), &mut self.dice);
            }
            _ if self.server_died.elapsed() > Duration::from_secs(5) => self.kill_server().await,
            _ => {}
        }
    }

    async fn kill_connection(&mut self) {
        let Some(conn) = self.judge().await else { return };
        let sql = "SELECT ID FROM information_schema.PROCESSLIST WHERE USER IN ('root', 'rsc')";
        let Ok(ids) = conn.query::<u64, _>(sql).await else { return };
        if ids.is_empty() {
            return;
        }
        let id = ids[self.dice.random_range(0..ids.len())];
        let Some(conn) = self.judge().await else { return };
        // It may be gone by itself.
        if conn.query_drop(format!("KILL {id}")).await.is_ok() {
            self.connection_kills += 1;
        }
    }

    async fn kill_server(&mut self) {
        self.say("the server is killed");
        self.life.fetch_add(1, Ordering::SeqCst);
        self.judge = None;
        let away = Duration::from_millis(self.dice.random_range(0..1_500));
        tokio::task::block_in_place(|| self.server.kill()).unwrap();
        let back = Instant::now() + away;
        while Instant::now() < back {
            sleep(TICK).await;
            self.crew.tick(&mut self.dice);
        }
        if self.dice.random_bool(0.3) {
            self.crew.kill_one(&mut self.dice);
        }
        tokio::task::block_in_place(|| self.server.restart()).unwrap();
        self.life.fetch_add(1, Ordering::SeqCst);
        self.server_kills += 1;
        self.server_died = Instant::now();
    }

    async fn judge(&mut self) -> Option<&mut Conn> {
        if self.judge.is_none() {
            self.judge = Conn::new(self.server.opts().user(Some("judge"))).await.ok();
        }
        self.judge.as_mut()
    }

    /// The change that is alive.
    ///
    /// # Panics
    /// When something stands in its way: nobody has done anything that could.
    async fn stand(&mut self) -> Option<Stand> {
        let sql = "SELECT id, state, paused, reason FROM _rsc.`change` \
                   WHERE state NOT IN ('completed', 'cancelled') ORDER BY id DESC LIMIT 1";
        let found: Option<(u64, String, bool, Option<String>)> =
            self.judge().await?.query_first(sql).await.ok()?;
        let (id, state, paused, reason) = found?;
        if let Some(reason) = reason {
            self.fail(&format!("change {id} is {state}: {reason}"), &[]).await;
        }
        Some(Stand { id: id.to_string(), state, paused })
    }

    /// Starts the change, or asks something of it.
    async fn command(&mut self) {
        if self.crew.commands() >= COMMANDS_MAX {
            return;
        }
        let Some(Stand { id, state, paused }) = self.stand().await else {
            if self.crew.commands() == 0 {
                let table = ["--database", "d", "--table", "t", "--alter", ALTER, "--batch-time", "1ms"];
                self.crew.command(&[&["migrate"], &table[..]].concat());
                self.strike_at = Instant::now() + Duration::from_millis(self.dice.random_range(0..800));
            }
            return;
        };
        let dice = self.dice.random_range(0..100);
        let verb = match state.as_str() {
            _ if paused && dice < 60 => "resume",
            _ if dice < 8 => "pause",
            "revertible" => "revert",
            "reverted" => "reapply",
            "reverting" | "reapplying" if dice < 25 => "cancel",
            "reverting" if dice < 60 => "reapply",
            "reapplying" if dice < 60 => "revert",
            _ => return,
        };
        self.say(&format!("{state}{}: {verb}", if paused { ", paused" } else { "" }));
        self.crew.command(&[verb, &id]);
        // A swap is short: strikes that come just after a wish find more of them.
        if self.dice.random_bool(0.6) {
            self.strike_at = Instant::now() + Duration::from_millis(self.dice.random_range(0..400));
        }
    }

    /// Looks after the processes, without strikes, until the change stands as it is wanted.
    async fn wait(&mut self, what: &str, wanted: impl Fn(&Stand) -> bool) -> Stand {
        let started = Instant::now();
        loop {
            sleep(TICK).await;
            self.crew.tick(&mut self.dice);
            let stand = self.stand().await;
            if self.crew.commands() == 0
                && let Some(stand) = stand.filter(&wanted)
            {
                return stand;
            }
            if started.elapsed() > ENOUGH {
                self.fail(&format!("{what} does not come"), &[]).await;
            }
        }
    }

    /// Lets everything settle and compares: the table, and the shadow as soon as it has caught up, with the twin.
    async fn compare(&mut self) -> Stand {
        self.crew.wake_all();
        self.begin().await;
        let mut stand = self.wait("the end of a swap", |stand| stand.settled() || stand.paused).await;
        // The wish of a command that was killed may still be granted.
        while stand.paused {
            self.crew.command(&["resume", &stand.id]);
            stand = self.wait("the end of a swap", |stand| stand.settled() || stand.paused).await;
        }
        let paused = self.clients.pause().await;
        let mut conn = Conn::new(self.server.opts().user(Some("judge"))).await.unwrap();
        let mut complaints = self.clients.complaints(&mut conn).await;
        // A swap in between shows another table under the name.
        let differences = loop {
            match clients::differences(&mut conn, "t").await {
                Some(differences) => break differences,
                None => sleep(TICK).await,
            }
        };
        complaints.extend(differences);
        if !complaints.is_empty() {
            self.fail(&format!("{}, live", stand.state), &complaints).await;
        }
        let written: Option<String> = conn.query_first("SELECT @@GLOBAL.gtid_executed").await.unwrap();
        let followed = format!(
            "SELECT GTID_SUBSET('{}', position) FROM _rsc.stream_{}",
            written.unwrap_or_default(),
            stand.id
        );
        let started = Instant::now();
        loop {
            let followed = conn.query_first::<bool, _>(&followed).await.unwrap() == Some(true);
            // The wish of a command that lost its connection may be granted only now.
            let mut differences = None;
            for side in ["old", "new"] {
                let shadow = format!("_rsc{}_t_{side}", stand.id);
                differences = differences.or(clients::differences(&mut conn, &shadow).await);
            }
            match differences {
                Some(differences) if differences.is_empty() => break,
                Some(differences) if followed || started.elapsed() > ENOUGH => {
                    self.fail(&format!("{}, shadow", stand.state), &differences).await;
                }
                _ => {}
            }
            // Nobody need keep the stream just now.
            sleep(10 * TICK).await;
            self.crew.tick(&mut self.dice);
        }
        self.compared += 1;
        clients::mark(&mut conn, self.compared).await;
        drop(paused);
        self.say(&format!("compared: {}, {:?}", stand.state, self.clients.tally()));
        stand
    }

    /// There is a change, also when every attempt to begin one was struck so far.
    async fn begin(&mut self) {
        let started = Instant::now();
        while self.stand().await.is_none() {
            self.command().await;
            sleep(TICK).await;
            self.crew.tick(&mut self.dice);
            if started.elapsed() > ENOUGH {
                self.fail("no change begins", &[]).await;
            }
        }
    }

    /// Completes the change; nothing of it is left.
    async fn end(&mut self, id: String) {
        let paused = self.clients.pause().await;
        self.crew.command(&["complete", &id]);
        let started = Instant::now();
        let mut conn = Conn::new(self.server.opts().user(Some("judge"))).await.unwrap();
        let left = format!(
            "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME NOT IN ('t', 'twin', 'receipt') \
             OR TABLE_NAME = 'stream_{id}'"
        );
        loop {
            sleep(TICK).await;
            self.crew.tick(&mut self.dice);
            let left: Vec<String> = conn.query(&left).await.unwrap();
            if self.stand().await.is_none() && self.crew.commands() == 0 && left.is_empty() {
                break;
            }
            if started.elapsed() > ENOUGH {
                self.fail("complete leaves something behind", &left).await;
            }
        }
        let mut complaints = self.clients.complaints(&mut conn).await;
        complaints.extend(clients::differences(&mut conn, "t").await.expect("the table"));
        if !complaints.is_empty() {
            self.fail("completed", &complaints).await;
        }
        let swaps = format!(
            "SELECT COUNT(*) FROM _rsc.event WHERE change_id = {id} AND kind IN ('revertible', 'reverted') \
             AND detail->>'$.event' LIKE 'Serves%'"
        );
        self.swaps += conn.query_first::<u64, _>(swaps).await.unwrap().unwrap_or(0);
        clients::forget_extra(&mut conn).await;
        drop(paused);
        self.say(&format!("change {id} is completed"));
    }

    async fn close(self) {
        let tally = self.clients.end().await;
        let peak = self.crew.peak_kib as f64 / 1024.0;
        println!("soak: how commands ended: {:?}", self.crew.codes);
        sum_up(&format!(
            "soak: seed {}, {:.1} minutes: kills {} (rsc {}, mysqld {}, connections {}), stops {}, swaps {}, \
             comparisons {}, writes acknowledged {} in {} transactions ({} unanswered, {} deadlocks), \
             differences 0, peak memory of rsc {peak:.1} MiB",
            self.seed,
            self.started.elapsed().as_secs_f64() / 60.0,
            self.crew.kills + self.server_kills + self.connection_kills,
            self.crew.kills,
            self.server_kills,
            self.connection_kills,
            self.crew.stops,
            self.swaps,
            self.compared,
            tally.writes,
            tally.transactions,
            tally.unanswered,
            tally.deadlocks,
        ));
        assert!(peak < MEMORY_MAX as f64, "rsc took {peak:.1} MiB");
        assert!(self.swaps > 0 && tally.transactions > 0, "nothing happened");
    }

    fn say(&self, what: &str) {
        println!("soak {:7.2} s: {what}", self.started.elapsed().as_secs_f64());
    }

    /// Ends the soak with what a person needs to find the reason.
    async fn fail(&self, what: &str, details: &[String]) -> ! {
        let mut journal: Vec<String> = Vec::new();
        if let Ok(mut conn) = Conn::new(self.server.opts().user(Some("judge"))).await {
            let sql = "SELECT CONCAT_WS(' ', id, change_id, at, kind, detail) FROM _rsc.event ORDER BY id DESC LIMIT 30";
            journal = conn.query(sql).await.unwrap_or_default();
        }
        panic!(
            "RSC_SOAK_SEED={}: {what}: {} differences: {:#?}\nlast events: {journal:#?}\nlast ends: {:#?}",
            self.seed,
            details.len(),
            &details[..details.len().min(20)],
            self.crew.said
        );
    }
}
