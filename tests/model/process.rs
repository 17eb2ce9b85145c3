//! rsc: copy, catch-up, swap and back, one step at a time, with a crash possible between any two.
//!
//! The journal and the shadow are in tables and outlive a crash; the rest of [`Process`] is memory.

use rand::Rng;
use rand::rngs::StdRng;

use super::apply::Window;
use super::journal::{Journal, Position};
use super::rules::{Coupling, Rules};
use super::server::Server;
use super::table::{Duplicate, IDS, Shadow, Stored, put};

/// `INSERT INTO shadow SELECT … FROM live WHERE key >= from AND key <= to`
#[derive(Clone, Debug)]
struct Batch {
    from: u8,
    to: u8,
    /// Read, and not yet committed.
    rows: Option<Vec<Stored>>,
}

#[derive(Debug)]
enum Doing {
    /// Started, or started again.
    Starting,
    Gate,
    /// They run side by side.
    Batches(Vec<Batch>),
    CatchUp,
    /// All is copied, and every position from here on is exact.
    Ready,
    /// Under LOCK TABLES, with the freeze point as target.
    Locked,
}

/// Why a run ends before its time.
#[derive(Debug)]
pub enum Stop {
    /// Something that must never be.
    Wrong(String),
    /// The live table has rows that the shadow's schema does not hold together, and it was said.
    RealDuplicate,
}

pub type Outcome<T = ()> = Result<T, Stop>;

fn wrong<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Stop::Wrong(what.into()))
}

pub struct Process {
    rules: Rules,
    pub journal: Journal,
    shadow: Shadow,
    doing: Doing,
    /// A position is exact from here on. Not known while batches run.
    target: Option<usize>,
    /// What a batch has met. It is looked for in the live table when the position is exact again.
    suspect: Option<Duplicate>,
    /// Transactions of a dead process that a successor did not wait for.
    zombies: Vec<Batch>,
    /// The tables have been swapped before: their names, and the journal, tell it after a crash.
    swapped: bool,
    pub trace: Vec<String>,
}

impl Process {
    pub fn new(rules: Rules, server: &Server) -> Self {
        Self {
            rules,
            journal: Journal { position: Position::at(server.binlog.len()), copied: [false; IDS as usize] },
            shadow: Shadow::new(),
            doing: Doing::Starting,
            target: None,
            suspect: None,
            zombies: Vec::new(),
            swapped: false,
            trace: Vec::new(),
        }
    }

    pub fn is_done(&self, server: &Server) -> bool {
        matches!(self.doing, Doing::Ready) && self.journal.position == Position::at(server.binlog.len())
    }

    fn say(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    /// Memory is lost, and so is the lock. A transaction in flight has committed or not when the successor starts,
    /// because that waits for it on the fence.
    pub fn crash(&mut self, server: &mut Server, rng: &mut StdRng) -> Outcome {
        self.say("crash");
        server.locked = false;
        let doing = std::mem::replace(&mut self.doing, Doing::Starting);
        (self.target, self.suspect) = (None, None);
        let Doing::Batches(batches) = doing else {
            self.forget_holes();
            return Ok(());
        };
        for batch in batches.into_iter().filter(|batch| batch.rows.is_some()) {
            if !self.rules.fence {
                self.zombies.push(batch);
            } else if rng.random() {
                self.commit_batch(&batch, server)?;
            }
        }
        if !self.journal.holes().is_empty() {
            self.say("it leaves a hole");
        }
        self.forget_holes();
        Ok(())
    }

    /// Without lower bounds the successor goes on above the highest key that it finds.
    fn forget_holes(&mut self) {
        if !self.rules.journals_lower_bounds {
            let frontier = self.journal.frontier() as usize;
            self.journal.copied[..frontier].fill(true);
        }
    }

    /// A transaction of a process that was taken for dead commits after all.
    pub fn wake_a_zombie(&mut self, server: &mut Server) -> Outcome {
        let Some(batch) = self.zombies.pop() else { return Ok(()) };
        self.say("the dead process is not dead");
        self.commit_batch(&batch, server).map(|_| ())
    }

    /// One step.
    pub fn step(&mut self, server: &mut Server, rng: &mut StdRng, may_swap: bool) -> Outcome {
        match &self.doing {
            Doing::Starting => self.start(server),
            Doing::Gate => self.gate(server, rng),
            Doing::Batches(_) => self.batch_step(server, rng),
            Doing::CatchUp => self.catch_up(server, rng),
            Doing::Ready if may_swap && rng.random_bool(0.2) => self.lock(server),
            Doing::Ready => self.window(server, rng),
            Doing::Locked if self.is_exact(self.journal.position) => self.swap(server),
            Doing::Locked => self.window(server, rng),
        }
    }

    fn start(&mut self, server: &Server) -> Outcome {
        if !self.journal.all_is_copied() {
            self.doing = Doing::Gate;
        } else if self.rules.restarts_inexact {
            self.begin_catch_up(server);
        } else {
            self.target = Some(self.journal.position.entries);
            self.doing = Doing::Ready;
        }
        Ok(())
    }

    // ---- Copy ----

    fn gate(&mut self, server: &mut Server, rng: &mut StdRng) -> Outcome {
        let position = self.journal.position;
        // Of a transaction that is applied in parts the stream has passed some rows.
        let passed = position.entries + usize::from(self.rules.gate_covers_parts && position.events > 0);
        if self.rules.gate && !server.has_executed(passed) {
            return Ok(());
        }
        if let Some(duplicate) = self.suspect.take()
            && duplicate.is_in(&server.snapshot())
        {
            return Err(Stop::RealDuplicate);
        }
        self.target = (!self.rules.target_after_batches).then(|| server.executed());
        let batches = self.plan(server, rng);
        if batches.is_empty() {
            self.say("the copy ends without a last batch");
            self.journal.copied.fill(true);
        }
        self.doing = Doing::Batches(batches);
        Ok(())
    }

    /// Holes first, then what is above the frontier: some rows to a batch, and where there are less, all the rest.
    fn plan(&self, server: &Server, rng: &mut StdRng) -> Vec<Batch> {
        let batch = |(from, to)| Batch { from, to, rows: None };
        let mut batches: Vec<Batch> = self.journal.holes().into_iter().map(batch).collect();
        let found: Vec<u8> = server.snapshot().keys().map(|key| key.id).collect();
        let mut from = self.journal.frontier();
        for _ in 0..rng.random_range(1..=3) {
            let rows = rng.random_range(1..=3);
            let above: Vec<u8> = found.iter().copied().filter(|id| *id >= from).collect();
            match above.get(rows - 1) {
                Some(&to) => {
                    batches.push(batch((from, to)));
                    from = to + 1;
                }
                None => {
                    if from < IDS && (self.rules.last_batch || !above.is_empty()) {
                        batches.push(batch((from, IDS - 1)));
                    }
                    break;
                }
            }
        }
        batches
    }

    /// One of the batches reads, or commits.
    fn batch_step(&mut self, server: &mut Server, rng: &mut StdRng) -> Outcome {
        let Doing::Batches(batches) = &mut self.doing else { return Ok(()) };
        if batches.is_empty() {
            self.begin_catch_up(server);
            return Ok(());
        }
        let at = rng.random_range(0..batches.len());
        let batch = &mut batches[at];
        if batch.rows.is_none() {
            let table = server.snapshot();
            let inside = table.values().filter(|row| (batch.from..=batch.to).contains(&row.key.id));
            let rows: Vec<_> =
                inside.map(|row| row.on(server.serving).projected(server.serving.other())).collect();
            let said = format!("batch {}..={} reads {}", batch.from, batch.to, shown(&rows));
            batch.rows = Some(rows);
            self.say(said);
            return Ok(());
        }
        let batch = batches.swap_remove(at);
        self.suspect = self.commit_batch(&batch, server)?.or(self.suspect);
        Ok(())
    }

    /// Rows and journal row in one transaction.
    fn commit_batch(&mut self, batch: &Batch, server: &mut Server) -> Outcome<Option<Duplicate>> {
        let target = server.schemas.of(server.serving.other());
        let mut shadow = self.shadow.clone();
        for row in batch.rows.iter().flatten() {
            if shadow.contains_key(&row.key) {
                return wrong(format!("row {:?} was there before its batch", row.key));
            }
            if let Err(duplicate) = put(&mut shadow, None, *row, target) {
                self.say(format!("batch {}..={} meets {duplicate:?}", batch.from, batch.to));
                return Ok(Some(duplicate));
            }
        }
        self.shadow = shadow;
        self.journal.copied[batch.from as usize..=batch.to as usize].fill(true);
        if self.rules.batches_are_logged {
            server.commit_own();
        }
        self.say(format!("batch {}..={} commits", batch.from, batch.to));
        Ok(None)
    }

    // ---- Catch up ----

    fn begin_catch_up(&mut self, server: &Server) {
        let target = *self.target.get_or_insert_with(|| server.executed());
        self.say(format!("catch up from {:?} to {target}", self.journal.position));
        self.doing = Doing::CatchUp;
    }

    fn is_exact(&self, position: Position) -> bool {
        self.target.is_some_and(|target| position.entries >= target)
    }

    fn catch_up(&mut self, server: &mut Server, rng: &mut StdRng) -> Outcome {
        self.window(server, rng)?;
        // The stream does not stop at the target of itself.
        if self.is_exact(self.journal.position) && rng.random_bool(0.6) {
            self.doing = if self.journal.all_is_copied() { Doing::Ready } else { Doing::Gate };
        }
        Ok(())
    }

    /// Reads a window and applies it. A conflict at an exact position is real.
    fn window(&mut self, server: &mut Server, rng: &mut StdRng) -> Outcome {
        let from = self.journal.position;
        let events_max = if rng.random() { rng.random_range(1..3) } else { rng.random_range(1..9) };
        let mut end = from.after_at_most(events_max, server);
        let mut met = if end == from { None } else { self.apply(server, rng, end)? };
        if met.is_some() && self.longer(end) != end {
            end = self.longer(end);
            self.say(format!("the window is made longer, to {end:?}"));
            met = self.apply(server, rng, end)?;
        }
        match met {
            None => self.check(server),
            Some(duplicate) if end.events == 0 && duplicate.is_in(&server.history[end.entries]) => {
                Err(Stop::RealDuplicate)
            }
            Some(duplicate) => wrong(format!("{duplicate:?} is reported at {end:?}, where there is none")),
        }
    }

    /// The first place from `end` on where a conflict can be believed. Batches may have brought rows that are newer
    /// than a window, up to the target. And a transaction may pass through what only the shadow's schema forbids.
    fn longer(&self, end: Position) -> Position {
        match self.target {
            Some(target) if end.entries < target && self.rules.lengthens => Position::at(target),
            _ if end.events > 0 && self.rules.lengthens_parts => Position::at(end.entries + 1),
            _ => end,
        }
    }

    fn apply(&mut self, server: &mut Server, rng: &mut StdRng, end: Position) -> Outcome<Option<Duplicate>> {
        let from = self.journal.position;
        let changes = from.changes_to(end, server);
        let window = Window::new(changes, (server.schemas, server.serving, self.swapped), self.rules, rng);
        let mut shadow = self.shadow.clone();
        let applied = window.apply(&mut shadow, |key| self.journal.may_insert(key, self.rules.filter));
        self.say(format!("window {from:?} to {end:?}: {applied:?}"));
        match applied {
            Ok(()) => self.commit_window(server, rng, shadow, end).map(|()| None),
            Err(duplicate) => Ok(Some(duplicate)),
        }
    }

    fn commit_window(
        &mut self,
        server: &mut Server,
        rng: &mut StdRng,
        shadow: Shadow,
        end: Position,
    ) -> Outcome {
        let crashes = rng.random_bool(0.3);
        let locked = matches!(self.doing, Doing::Locked);
        match self.rules.coupling {
            Coupling::NothingAnyMore if crashes => {
                self.journal.position = end;
                return self.crash(server, rng);
            }
            Coupling::NothingYet if crashes => {
                self.shadow = shadow;
                return self.crash(server, rng);
            }
            Coupling::NothingYetUnderLock if crashes && locked => {
                self.shadow = shadow;
                return self.crash(server, rng);
            }
            _ => self.shadow = shadow,
        }
        if end.events > 0 && !self.rules.counts_parts && crashes {
            // Memory knew of the part; the journal says that the transaction has not begun.
            self.journal.position.events = 0;
            return self.crash(server, rng);
        }
        self.journal.position = end;
        Ok(())
    }

    // ---- Swap ----

    /// LOCK TABLES is granted when every transaction that wrote to the table has ended.
    fn lock(&mut self, server: &mut Server) -> Outcome {
        server.settle();
        server.locked = true;
        self.target = Some(server.executed());
        self.say(format!("locked at {:?}", server.executed()));
        self.doing = Doing::Locked;
        Ok(())
    }

    /// RENAME: which side serves is what the tables' names say. The live table becomes the shadow as it is, and
    /// the stream goes on the other way from the freeze point.
    fn swap(&mut self, server: &mut Server) -> Outcome {
        self.check(server)?;
        let was_serving = server.serving;
        self.shadow = server.latest().iter().map(|(key, row)| (*key, row.on(was_serving))).collect();
        server.serving = was_serving.other();
        self.swapped = true;
        server.locked = false;
        self.doing = Doing::Ready;
        self.say(format!("swapped, {:?} serves", server.serving));
        self.check(server)
    }

    // ---- The claim ----

    /// At an exact position the shadow is the projection of the live table as it was there, of the copied ranges.
    pub fn check(&self, server: &Server) -> Outcome {
        let position = self.journal.position;
        if !self.is_exact(position) || position.events > 0 {
            return Ok(());
        }
        let shadow_side = server.serving.other();
        let copied =
            server.history[position.entries].iter().filter(|(key, _)| self.journal.has_copied(**key));
        let expected: Shadow = copied.map(|(key, row)| (*key, row.on(shadow_side))).collect();
        if expected == self.shadow {
            return Ok(());
        }
        let missing =
            expected.values().filter(|row| self.shadow.get(&row.key) != Some(row)).collect::<Vec<_>>();
        let surplus =
            self.shadow.values().filter(|row| expected.get(&row.key) != Some(row)).collect::<Vec<_>>();
        wrong(format!("at {position:?} the shadow lacks {missing:?} and has {surplus:?}"))
    }
}

fn shown(rows: &[Stored]) -> String {
    let row = |row: &Stored| format!("{}:v={}", row.key.id, row.value);
    rows.iter().map(row).collect::<Vec<_>>().join(" ")
}
