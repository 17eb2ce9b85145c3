//! The swap: the two tables exchange their names at a moment when they are proven equal.
//!
//! On one connection, the one that applies windows:
//!
//! 1. lock both tables and the change's stream row;
//! 2. F = `gtid_executed`: nobody can write the live table any more, so F has all that was ever written to it;
//! 3. read the stream to F and apply it; commit it with position F under the fence;
//! 4. read on until that commit has come: the stream is alive, and of this history ([`history`](super::history));
//! 5. see to readers with an old snapshot; rename, unlock.
//!
//! Between 3 and 5 nobody can take over, because the stream row is locked, and nobody can write, because the
//! tables are. After 5 the stream goes on from F in the other direction: no event can lie between.
//!
//! The application sees a pause, never an error: a statement that waits for the lock runs on the table that has
//! the name afterwards.
//!
//! Beside 3 another connection looks whether something has come that a swap would break ([`later`](super::later)): then the
//! tables stay as they are.
//!
//! # Readers with an old snapshot
//!
//! The shadow's rows were committed by rsc, later than the rows of the live table that they stand for. A transaction whose
//! snapshot lies between the two would read the new live table without them, and InnoDB would not mind: see
//! [`readers`](crate::mysql::readers); [`transactions`](crate::mysql::transactions) says where they are seen. So, in both directions:
//!
//! * **Which.** A snapshot is made within its transaction. Whoever is found under the locks, behind the commit of the last
//!   window, to have begun a transaction before the last row that was committed, may have one that is too old; nobody else
//!   has: what begins later sees all rows. The last row is that of the copy, of a window or of a repair; a process that takes
//!   the change up counts from then. No row comes behind it: nobody else may write the shadow. A transaction that began
//!   earlier and makes its snapshot only now is taken for one of them, which costs it nothing but what follows.
//! * **Long ones** (older than a second) are looked for before the locks are asked for, named, and waited for without making
//!   anyone else wait, like a table in use.
//! * **Passing ones** are there at every moment on a busy server, and those that wait behind our locks cannot end before we
//!   let go. A few attempts hope for a moment without any. Then, and whenever the operator does not want to wait, the
//!   shadow is made to refuse all snapshots that exist by then: its clustered index gets the number of a transaction that is
//!   behind its last row. They get error 1412 if they use the table, as after a native ALTER. That is on record, with names.
//! * **Unseen ones.** Where a replica is connected, or transactions cannot be seen, the shadow is made to refuse them in any
//!   case. The statements that do it are in the binlog behind the last row and before the rename, so a replica refuses them
//!   as well.
//! * **Where the server cannot do that** (a compressed table, one with a full-text index, one that has used up its row
//!   versions), readers are waited for until there are none. Only the operator's word lets the swap go past them; those who
//!   then read short are named. On a replica they are not known.
//!
//! A process that dies between the two statements leaves a column on the shadow; whoever takes the change up drops it
//! before anything else (`line`).
//!
//! # Failures
//!
//! Every failure before the rename gives the locks back and leaves the tables as they were. The rename itself is
//! never judged by a missing answer: [`Trouble::Lost`] makes the driver reconnect and look which tables exist.

use std::time::{Duration, Instant};

use super::later;
use super::line::Line;
use super::readers::{self, Course, Look, Readers};
use super::trouble::Trouble;
use crate::journal::store;
use crate::lifecycle::notice::{Blocker, Freeze, Notice, OLD_SNAPSHOT};
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
        /// Whoever is in the way will be gone in a moment.
        passing: bool,
    },
}

/// What the old schema may be unable to hold, if it is to be live again.
#[derive(Clone, Copy, Debug)]
pub struct Accepted {
    pub parked: bool,
    pub losses: bool,
}

/// What the operator does not want to be waited for.
#[derive(Clone, Copy, Debug)]
pub struct Go {
    pub accept: Accepted,
    /// Readers with an old snapshot.
    pub accept_short_reads: bool,
    /// Applications that keep the table from being locked are ended.
    pub force: bool,
}

impl Go {
    /// Readers with an old snapshot are not waited for any more.
    fn past_readers(self) -> bool {
        self.accept_short_reads || self.force
    }
}

/// What came of it under the locks.
enum Locked {
    Swapped(Freeze, Vec<Blocker>, Told),
    /// Everything is committed; the locks are still held.
    Read(Look),
}

/// What readers with an old snapshot meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Fail,
    Short,
}

impl Line {
    /// Tries once to swap. When it has happened, and is on record, the stream is to be [turned](Line::turn).
    pub async fn swap(&mut self, go: Go) -> Result<Attempt, Trouble> {
        let swap = self.sides.swap(self.change.id);
        let grants = preflight::grants(&mut self.control).await?;
        let (change, serving) = (&self.change, self.sides.serving);
        if let Some(told) =
            later::in_the_way_as(&mut self.control, &grants, change, serving, Locks::Own).await?
        {
            return Err(Trouble::InTheWay(told));
        }
        let mut in_the_way = self.someone_in_the_way(&swap).await;
        if go.force {
            let applications = in_the_way.extract_if(.., |blocker| blocker.application).collect();
            self.end(applications).await?;
        }
        if !in_the_way.is_empty() {
            return Ok(unnoticed("a long transaction is using the table", in_the_way));
        }
        self.raise_auto_increment(&swap).await?;
        self.catch_up_with_server().await?;
        let long = self.readers.long(&mut self.control).await?;
        if !long.is_empty() && go.force && self.readers.must_end() {
            self.end(long).await?;
        } else if !long.is_empty() && !go.past_readers() {
            return Ok(unnoticed(OLD_SNAPSHOT, long));
        }
        self.gauges.locking(true);
        let attempt = self.attempt(&swap, &grants, go).await;
        self.gauges.locking(false);
        attempt
    }

    async fn attempt(&mut self, swap: &Swap, grants: &Grants, go: Go) -> Result<Attempt, Trouble> {
        let mut onlooker = match self.copiers.pop() {
            Some(session) => session,
            None => Session::open(&self.server).await?,
        };
        let asked = Instant::now();
        match self.lock(swap, go.force).await {
            Ok(()) => {}
            Err(Trouble::Locked(_)) => {
                swap.relax(self.applier.session()).await?;
                return self.missed(swap, "the table was in use".into()).await;
            }
            Err(trouble) => return Err(trouble),
        }
        let granted = Instant::now();
        match self.under_lock(swap, go, asked, (&mut onlooker, grants)).await {
            Ok(Locked::Swapped(mut freeze, readers, told)) => {
                self.copiers.push(onlooker);
                freeze.lock_wait_ms = milliseconds(granted - asked);
                freeze.freeze_ms = milliseconds(granted.elapsed());
                swap.relax(self.applier.session()).await?;
                self.tell_of_readers(readers, told).await?;
                Ok(Attempt::Swapped(freeze))
            }
            Ok(Locked::Read(look)) => {
                swap.unlock(self.applier.session()).await?;
                swap.relax(self.applier.session()).await?;
                // Where nothing but a lucky moment helps, the application is not made to wait for one again and again.
                let passing = look.passing() && !self.readers.must_end();
                let why = look.why().to_owned();
                Ok(Attempt::Missed { why, blockers: look.readers, unnoticed: false, passing })
            }
            Err(trouble) => {
                self.applier.rollback().await?;
                swap.unlock(self.applier.session()).await?;
                swap.relax(self.applier.session()).await?;
                self.after_failure(swap, trouble).await
            }
        }
    }

    async fn tell_of_readers(&mut self, readers: Vec<Blocker>, told: Told) -> Result<(), Trouble> {
        if readers.is_empty() {
            return Ok(());
        }
        let fail = told == Told::Fail;
        let detail = serde_json::json!({ "readers": readers, "fail": fail });
        store::record_event(&mut self.control, self.change.id, "old_readers", &detail).await?;
        self.tell(Notice::OldReaders { readers, fail });
        Ok(())
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
        go: Go,
        asked: Instant,
        (onlooker, grants): (&mut Session, &Grants),
    ) -> Result<Locked, Trouble> {
        let started = Instant::now();
        // Under the lock it cannot become read-only any more: that waits for the lock.
        if store::read_only(self.applier.session()).await? {
            return Err(Trouble::Lost("the server has become read-only".into()));
        }
        let freeze_point = store::freeze_point(self.applier.session()).await?;
        self.applying = Duration::ZERO;
        let before = self.applied;
        let (change, serving, locker) =
            (self.change.clone(), self.sides.serving, self.applier.session().id());
        let (drained, looked) = tokio::join!(
            self.drain(&freeze_point, started + DRAIN_MAX),
            later::look_under_lock(onlooker, grants, &change, serving, locker)
        );
        let reached = drained?;
        looked?;
        let committing = Instant::now();
        let proven = self.past.unproven.is_none();
        self.note_marks();
        self.applier.commit(&CommitAt::SWAP, self.fence, &reached).await?;
        let applying = self.applying + committing.elapsed();
        self.saved(&reached);
        self.position = reached;
        if self.applied != before {
            self.readers.wrote();
        }
        if let Some(why) = self.past.unproven.as_ref().filter(|_| proven) {
            return Err(Trouble::Locked(why.clone()));
        }
        self.hear_own(started + DRAIN_MAX).await?;
        if !go.accept.parked && self.applier.parked().await? > 0 {
            return Err(Trouble::Locked("a row had to be parked just before".into()));
        }
        if !go.accept.losses && self.applier.losses().await? > 0 {
            return Err(Trouble::Locked(
                "a value was written just before that the old schema cannot hold".into(),
            ));
        }
        let drained = Instant::now();
        // The session that holds the locks may read nothing else.
        let look = self.readers.look(&mut self.control, asked.elapsed()).await?;
        let Some(told) = self.mind_readers(swap, &look, go).await? else { return Ok(Locked::Read(look)) };
        self.check_auto_increment(swap).await?;
        swap.rename(self.applier.session()).await?;
        swap.unlock(self.applier.session()).await?;
        let freeze = Freeze {
            drain_ms: milliseconds((drained - started).saturating_sub(applying)),
            apply_ms: milliseconds(applying),
            rename_ms: milliseconds(drained.elapsed()),
            ..Freeze::default()
        };
        Ok(Locked::Swapped(freeze, look.readers, told))
    }

    /// What readers with an old snapshot meet when the tables are swapped now. `None`: they are not, because of them.
    async fn mind_readers(&mut self, swap: &Swap, look: &Look, go: Go) -> Result<Option<Told>, Trouble> {
        match self.readers.course(look, go.past_readers()) {
            Course::Rename => return Ok(Some(Told::Fail)),
            Course::Wait => {
                self.readers.waited();
                return Ok(None);
            }
            Course::Outdate => {}
        }
        let outdated = readers::outdate(self.applier.session(), swap).await;
        // A column may be left on the shadow: whoever takes the change up looks for it.
        let lost =
            |error| Trouble::Lost(format!("the new table could not be closed to old snapshots: {error}"));
        match outdated.map_err(lost)? {
            true => Ok(Some(Told::Fail)),
            false if self.readers.stays(look, go.accept_short_reads) => Ok(Some(Told::Short)),
            false => Ok(None),
        }
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
        Ok(Attempt::Missed { why, blockers: found, unnoticed: false, passing: false })
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
        self.readers = Readers::new();
        let ledger = self.sides.ledger(self.change.id);
        self.applier.turn(self.sides.statements(), ledger, self.sides.keeps_ledger()).await?;
        self.reader.watch(self.sides.watched());
        self.renew_ledger().await
    }
}

fn unnoticed(why: &str, blockers: Vec<Blocker>) -> Attempt {
    Attempt::Missed { why: why.into(), blockers, unnoticed: true, passing: false }
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
