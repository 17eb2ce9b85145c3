//! The swap: the two tables exchange their names at a moment when they are proven equal.
//!
//! On one connection, the one that applies windows:
//!
//! 1. lock both tables and the change's stream row;
//! 2. F = `gtid_executed`: nobody can write the live table any more, so F has all that was ever written to it;
//! 3. read the stream to F and apply it; commit it with position F under the fence;
//! 4. rename, unlock.
//!
//! Between 3 and 4 nobody can take over, because the stream row is locked, and nobody can write, because the
//! tables are. After 4 the stream goes on from F in the other direction: no event can lie between.
//!
//! The application sees a pause, never an error: a statement that waits for the lock runs on the table that has
//! the name afterwards.
//!
//! Beside 3 another connection looks whether something has come that a swap would break ([`later`](super::later)): then the
//! tables stay as they are.
//!
//! Every failure before the rename gives the locks back and leaves the tables as they were. The rename itself is
//! never judged by a missing answer: [`Trouble::Lost`] makes the driver reconnect and look which tables exist.

use std::time::{Duration, Instant};

use super::later;
use super::line::Line;
use super::trouble::Trouble;
use crate::journal::store;
use crate::lifecycle::notice::{Blocker, Freeze, Notice};
use crate::mysql::apply::CommitAt;
use crate::mysql::attached::Locks;
use crate::mysql::inspect;
use crate::mysql::preflight::{self, Grants};
use crate::mysql::swap::{self, Swap, blockers};
use crate::schema::counter::{Counter, carried};
use crate::schema::table::TableName;
use crate::session::{Session, SqlError};

/// The application is not made to wait longer than this for the last of the stream. Below
/// [`IDLE_MAX_S`](crate::mysql::swap::IDLE_MAX_S).
const DRAIN_MAX: Duration = Duration::from_secs(2);

pub enum Attempt {
    Swapped(Freeze),
    /// The tables are as they were.
    Missed {
        why: String,
        blockers: Vec<Blocker>,
        /// Somebody was seen before the locks were asked for, so nobody was made to wait.
        unnoticed: bool,
    },
}

/// What the old schema may be unable to hold, if it is to be live again.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    pub parked: bool,
    pub losses: bool,
}

impl Line {
    /// Tries once to swap. When it has happened, and is on record, the stream is to be [turned](Line::turn). With `force`,
    /// applications that keep the table from being locked are ended.
    pub async fn swap(&mut self, accept: Accepted, force: bool) -> Result<Attempt, Trouble> {
        let swap = self.sides.swap(self.change.id);
        let grants = preflight::grants(&mut self.control).await?;
        let (change, serving) = (&self.change, self.sides.serving);
        if let Some(told) =
            later::in_the_way_as(&mut self.control, &grants, change, serving, Locks::Own).await?
        {
            return Err(Trouble::InTheWay(told));
        }
        let mut in_the_way = self.someone_in_the_way(&swap).await;
        if force {
            let applications = in_the_way.extract_if(.., |blocker| blocker.application).collect();
            self.end(applications).await?;
        }
        if !in_the_way.is_empty() {
            let why = "a long transaction is using the table".into();
            return Ok(Attempt::Missed { why, blockers: in_the_way, unnoticed: true });
        }
        self.raise_auto_increment(&swap).await?;
        self.catch_up_with_server().await?;
        self.gauges.locking(true);
        let attempt = self.attempt(&swap, &grants, accept, force).await;
        self.gauges.locking(false);
        attempt
    }

    async fn attempt(
        &mut self,
        swap: &Swap,
        grants: &Grants,
        accept: Accepted,
        force: bool,
    ) -> Result<Attempt, Trouble> {
        let mut onlooker = match self.copiers.pop() {
            Some(session) => session,
            None => Session::open(&self.server).await?,
        };
        let asked = Instant::now();
        match self.lock(swap, force).await {
            Ok(()) => {}
            Err(Trouble::Locked(_)) => {
                swap.relax(self.applier.session()).await?;
                return self.missed(swap, "the table was in use".into()).await;
            }
            Err(trouble) => return Err(trouble),
        }
        let granted = Instant::now();
        match self.under_lock(swap, accept, (&mut onlooker, grants)).await {
            Ok(mut freeze) => {
                self.copiers.push(onlooker);
                freeze.lock_wait_ms = milliseconds(granted - asked);
                freeze.freeze_ms = milliseconds(granted.elapsed());
                swap.relax(self.applier.session()).await?;
                Ok(Attempt::Swapped(freeze))
            }
            Err(trouble) => {
                self.applier.rollback().await?;
                swap.unlock(self.applier.session()).await?;
                swap.relax(self.applier.session()).await?;
                self.after_failure(swap, trouble).await
            }
        }
    }

    async fn lock(&mut self, swap: &Swap, force: bool) -> Result<(), Trouble> {
        let patience = self.change.options.limits.cutover_lock_timeout;
        let lock = swap.lock(self.applier.session(), patience.as_secs());
        let at = Contended { change: self.change.id, table: &swap.live, patience, force };
        let (locked, ended) = at.lock(&mut self.control, lock).await?;
        for blocker in ended {
            self.tell(Notice::Killed(blocker));
        }
        locked.map_err(Trouble::from)
    }

    async fn end(&mut self, holders: Vec<Blocker>) -> Result<(), Trouble> {
        for blocker in end(&mut self.control, self.change.id, holders).await? {
            self.tell(Notice::Killed(blocker));
        }
        Ok(())
    }

    async fn under_lock(
        &mut self,
        swap: &Swap,
        accept: Accepted,
        (onlooker, grants): (&mut Session, &Grants),
    ) -> Result<Freeze, Trouble> {
        let started = Instant::now();
        // Under the lock it cannot become read-only any more: that waits for the lock.
        if store::read_only(self.applier.session()).await? {
            return Err(Trouble::Lost("the server has become read-only".into()));
        }
        let freeze_point = store::freeze_point(self.applier.session()).await?;
        self.applying = Duration::ZERO;
        let (change, serving, locker) =
            (self.change.clone(), self.sides.serving, self.applier.session().id());
        let (drained, looked) = tokio::join!(
            self.drain(&freeze_point, started + DRAIN_MAX),
            later::look_under_lock(onlooker, grants, &change, serving, locker)
        );
        let reached = drained?;
        looked?;
        let committing = Instant::now();
        self.applier.commit(&CommitAt::SWAP, self.fence, &reached).await?;
        let applying = self.applying + committing.elapsed();
        self.position = reached;
        if !accept.parked && self.applier.parked().await? > 0 {
            return Err(Trouble::Locked("a row had to be parked just before".into()));
        }
        if !accept.losses && self.applier.losses().await? > 0 {
            return Err(Trouble::Locked(
                "a value was written just before that the old schema cannot hold".into(),
            ));
        }
        let drained = Instant::now();
        self.check_auto_increment(swap).await?;
        swap.rename(self.applier.session()).await?;
        swap.unlock(self.applier.session()).await?;
        Ok(Freeze {
            drain_ms: milliseconds((drained - started).saturating_sub(applying)),
            apply_ms: milliseconds(applying),
            rename_ms: milliseconds(drained.elapsed()),
            ..Freeze::default()
        })
    }

    /// A stalled attempt to lock stalls the application as well, so one that must fail is not made.
    async fn someone_in_the_way(&mut self, swap: &Swap) -> Vec<Blocker> {
        let patience = self.change.options.limits.cutover_lock_timeout.as_secs();
        let mut found = blockers(&mut self.control, &swap.live).await;
        found.retain(|blocker| blocker.seconds >= patience);
        found
    }

    async fn missed(&mut self, swap: &Swap, why: String) -> Result<Attempt, Trouble> {
        let found = blockers(&mut self.control, &swap.live).await;
        Ok(Attempt::Missed { why, blockers: found, unnoticed: false })
    }

    async fn after_failure(&mut self, swap: &Swap, trouble: Trouble) -> Result<Attempt, Trouble> {
        match trouble {
            Trouble::Duplicate(_) | Trouble::Misfit(_) => {
                let why = trouble.why().to_owned();
                self.conflict_in_window(trouble).await?;
                self.missed(swap, why).await
            }
            Trouble::Locked(why) => {
                self.reopen().await?;
                self.missed(swap, why).await
            }
            Trouble::InTheWay(told) => {
                self.reopen().await?;
                Err(Trouble::InTheWay(told))
            }
            other => Err(other),
        }
    }

    /// What can be done about the shadow's counter before the lock, where it is cheap for the application.
    async fn raise_auto_increment(&mut self, swap: &Swap) -> Result<(), Trouble> {
        if self.asked_counter().is_some() {
            return Ok(());
        }
        let live = inspect::auto_increment(&mut self.control, &swap.live).await?;
        let shadow = inspect::auto_increment(&mut self.control, &swap.shadow).await?;
        if let Counter::Becomes(to) = carried(live, shadow, self.sides.counting()) {
            self.stand_back().await?;
            swap.set_auto_increment("swap.counter", &mut self.control, &to).await?;
        }
        Ok(())
    }

    /// Rows that came and went since then may have taken the counter further.
    async fn check_auto_increment(&mut self, swap: &Swap) -> Result<(), Trouble> {
        let asked = self.asked_counter();
        let session = self.applier.session();
        let shadow = inspect::auto_increment(session, &swap.shadow).await?;
        let counter = match asked {
            Some(asked) if shadow > 0 => Counter::Becomes(asked),
            Some(_) => Counter::Stays,
            None => {
                let live = inspect::auto_increment(session, &swap.live).await?;
                carried(live, shadow, self.sides.counting())
            }
        };
        if let Counter::Becomes(to) = counter {
            swap.set_auto_increment("swap.counter_locked", self.applier.session(), &to).await?;
        }
        Ok(())
    }

    /// What the statement says of the counter, at the first swap.
    fn asked_counter(&self) -> Option<String> {
        let first = self.change.state.before_first_swap();
        self.sides.asked_counter.clone().filter(|_| first)
    }

    /// From here on the stream runs the other way.
    pub async fn turn(&mut self) -> Result<(), Trouble> {
        let sides = super::sides::Sides::look(&mut self.control, &self.change).await?;
        self.sides = sides;
        let ledger = self.sides.ledger(self.change.id);
        self.applier.turn(self.sides.statements(), ledger, self.sides.keeps_ledger()).await?;
        self.reader.watch(self.sides.watched());
        self.renew_ledger().await
    }
}

/// A table that is to be locked though others use it.
pub(super) struct Contended<'a> {
    pub change: u64,
    pub table: &'a TableName,
    pub patience: Duration,
    /// Applications that keep it from being locked are ended.
    pub force: bool,
}

impl Contended<'_> {
    /// Waits for the lock; also returns who was ended for it.
    ///
    /// Who begins after the locks were asked for waits for them. So whoever still has the table after half of the time
    /// had it before, and is what the locks, and all others, wait for.
    pub async fn lock(
        &self,
        control: &mut Session,
        lock: impl Future<Output = Result<(), SqlError>>,
    ) -> Result<(Result<(), SqlError>, Vec<Blocker>), Trouble> {
        let mut lock = Box::pin(lock);
        if !self.force {
            return Ok((lock.await, Vec::new()));
        }
        if let Ok(locked) = tokio::time::timeout(self.patience / 2, &mut lock).await {
            return Ok((locked, Vec::new()));
        }
        let holders = blockers(control, self.table).await;
        let (ended, locked) = tokio::join!(end(control, self.change, holders), &mut lock);
        Ok((locked, ended?))
    }
}

/// Ends those of applications, each on record before; returns those that were.
pub(super) async fn end(
    session: &mut Session,
    change: u64,
    holders: Vec<Blocker>,
) -> Result<Vec<Blocker>, Trouble> {
    let mut ended = Vec::new();
    for blocker in holders.into_iter().filter(|blocker| blocker.application) {
        let detail = serde_json::to_value(&blocker).unwrap_or_default();
        store::record_event(session, change, "killed", &detail).await?;
        if swap::kill(session, &blocker).await? {
            ended.push(blocker);
        }
    }
    Ok(ended)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
