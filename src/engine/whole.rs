//! CREATE TABLE and DROP TABLE: a table that comes or goes as a whole. One schema has it under the live name; while the
//! other serves, it is kept under the name that a shadow would have, out of the application's reach. To go from one to
//! the other is one RENAME, in all four directions:
//!
//! | | the change is made | it is taken back |
//! |---|---|---|
//! | CREATE | twin → live | live → twin |
//! | DROP | live → twin | twin → live |
//!
//! A CREATE therefore makes the table under the twin's name first, and then it is as any of the others: either the
//! RENAME has happened or it has not. Made under the live name, a table that is there after a lost answer might as well
//! be somebody else's.
//!
//! # Why no row is lost
//!
//! A RENAME takes the rows along, with indexes, triggers and the AUTO_INCREMENT counter. While the table has the live name
//! the application writes to it; while it does not, nobody does. So there is nothing to copy, no stream, no position, and
//! nothing to catch up with, however long nobody has driven the change.
//!
//! # Why no old snapshot reads it short
//!
//! Each row was committed by the application, at the time that a snapshot is held against; nothing is written for it later,
//! as to a shadow. A table that was created after a snapshot refuses it (error 1412).
//!
//! # Why nobody else's table is touched
//!
//! * RENAME never replaces a table. If the live name is taken by the time that the table should have it, the server
//!   refuses, and the one that has it stays.
//! * A table is moved away from the live name only if it has the definition that the journal knows. If it was exchanged
//!   or altered meanwhile, nobody guesses whether it is still the one that is meant.
//! * Nothing is dropped but the twin, which no application knows.
//! * A foreign key of another table would follow the table to its other name, and refuse rows there. So they are looked
//!   for under the lock; behind it no new one can come, as making one takes the same lock.
//!
//! # Why one process at a time
//!
//! The lock is taken on the table and on the change's stream row, in one statement. Then the epoch is read: whoever holds
//! another one unlocks and stops. While it holds the lock nobody can take over, because that increments the epoch, and it
//! keeps the lock until the RENAME is done. That is the fence of a swap ([`swap`](super::swap)), with a look at the epoch
//! in place of the last window's commit. The CREATE has no lock to be fenced by: beside it an open look at the fence holds
//! a takeover off, as when a shadow is made.
//!
//! # Whatever is lost
//!
//! Which schema serves is never remembered, but read from the server ([`serving`]): the twin exists or it does not. The
//! state was saved before the statement, and whoever comes next looks before it does anything. So an unanswered RENAME,
//! and a process that was killed on either side of it, need no case of their own.

use std::time::{Duration, Instant};

use super::driver::{Driver, SWAP_PAUSE_FIRST, SWAP_PAUSE_MAX, WINDOW_CHECK};
use super::halt::Halt;
use super::sides::{definition, mark};
use super::swap::{Attempt, Contended, end};
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::record::Change;
use crate::journal::store::{self, Note};
use crate::lifecycle::event::{Event, Verb};
use crate::lifecycle::notice::{Blocker, Freeze, Notice};
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::step::Refusal;
use crate::mysql::attached::{self, Locks, Looked, Unseen};
use crate::mysql::foreign_keys;
use crate::mysql::inspect::{self, Found};
use crate::mysql::preflight;
use crate::mysql::shadow;
use crate::mysql::swap::{Move, blockers};
use crate::schema::kind::Kind;
use crate::schema::statement::whole::Whole;
use crate::schema::table::TableName;
use crate::session::{Remedy, Session, SqlError};

/// Which schema serves: the one without the table while the twin is there. `None` if there is no table of the change, or
/// what has its name is not what the journal knows.
pub async fn serving(session: &mut Session, change: &Change) -> Result<Option<Serving>, Trouble> {
    let kind = change.options.kind;
    let (with, without) = match Serving::Old.has_table(kind) {
        true => (Serving::Old, Serving::New),
        false => (Serving::New, Serving::Old),
    };
    if inspect::exists(session, &change.twin(without)).await? {
        return Ok(Some(without));
    }
    let known = match with {
        Serving::Old => Some(&change.old_create),
        Serving::New => change.new_create.as_ref(),
    };
    let Some(known) = known else { return Ok(None) };
    let found = inspect::find(session, &change.table).await?;
    let same = matches!(found, Found::Table(live) if definition(&live.create) == definition(known));
    Ok(same.then_some(with))
}

/// The names that the table has, and is to have.
fn names(change: &Change, to: Serving) -> (TableName, TableName) {
    match to.has_table(change.options.kind) {
        true => (change.twin(to.other()), change.table.clone()),
        false => (change.table.clone(), change.twin(to)),
    }
}

/// For an onlooker, who may see less than whoever drives the change: what stands in the way of letting this schema serve,
/// as far as it is there for sure.
pub async fn in_the_way(
    session: &mut Session,
    change: &Change,
    to: Serving,
) -> Result<Option<Told>, SqlError> {
    let mut as_seen = change.clone();
    as_seen.options.allow_unseen = true;
    met(session, &as_seen, to).await
}

/// The same for whoever is to do it: what cannot be seen counts, unless the operator knew better.
async fn met(session: &mut Session, change: &Change, to: Serving) -> Result<Option<Told>, SqlError> {
    let (from, name) = names(change, to);
    if inspect::exists(session, &name).await? {
        return Ok(Some(taken(change, &name)));
    }
    if from != change.table {
        return Ok(None);
    }
    follows(session, change, &from, Locks::Own).await
}

/// The foreign keys that would follow the table away, and what may be such a one without being shown.
async fn follows(
    session: &mut Session,
    change: &Change,
    from: &TableName,
    locks: Locks,
) -> Result<Option<Told>, SqlError> {
    let grants = preflight::grants(session).await?;
    let found = attached::look_as(session, &grants, Looked { live: from, shadow: None }, locks).await?;
    let unseen = found.unseen.contains(&Unseen::Keys) && !change.options.allow_unseen;
    let unknown = unseen.then(|| Unseen::Keys.told(&grants, from));
    Ok(foreign_keys::that_would_follow(&found.keys, from).or(unknown))
}

fn taken(change: &Change, name: &TableName) -> Told {
    let id = change.id;
    Told::new(format!("there is another table or view with the name {} now", name.plain())).next(format!(
        "see what it is, and rename or drop it; then try again; or, to leave things as they are for good, `rsc complete {id}`"
    ))
}

impl Driver<'_> {
    /// What there is to be done before the table can take its other name.
    pub(super) async fn prepare_whole(&mut self) -> Result<(), Halt> {
        let mut note = Note::default();
        if self.change.options.kind == Kind::Create {
            note.new_create = Some(self.create_twin().await?);
        }
        let postponed = self.change.options.postpone_cutover || self.window_closed().await?.is_some();
        self.happens(&Event::NothingToCopy { postponed }, note).await
    }

    /// The definition of the new table, under the twin's name.
    async fn create_twin(&mut self) -> Result<String, Halt> {
        let unreadable =
            || Trouble::Definite(Told::new("the journaled statement cannot be read as a CREATE TABLE"));
        let (whole, refusals) = Whole::read_in(&self.change.statement, self.change.options.sql_mode.as_ref())
            .ok_or_else(unreadable)?;
        if let Some(refusal) = refusals.into_iter().next() {
            return Err(Trouble::Definite(Told::new(refusal)).into());
        }
        let twin = self.change.new_shadow();
        self.session.run("START TRANSACTION").await?;
        self.ownership.fence.share_at("shadow.share", &mut self.session).await?;
        shadow::create(&self.job.server, &twin, &whole).await.map_err(not_created)?;
        let found = inspect::find(&mut self.session, &twin).await?;
        self.session.run("COMMIT").await?;
        match found {
            Found::Table(table) => Ok(table.create),
            Found::View | Found::Nothing => Err(gone(&self.change).into()),
        }
    }

    /// Gives the table its other name whenever that is wanted, until nothing is.
    pub(super) async fn move_whole(&mut self) -> Result<(), Halt> {
        self.tell_of_window().await?;
        while !self.done() {
            match self.change.state {
                _ if self.change.paused => {
                    self.tell(Notice::Paused);
                    self.wait(Duration::MAX).await?;
                }
                State::CuttingOver | State::Reapplying => self.let_serve(Serving::New).await?,
                State::Reverting => self.let_serve(Serving::Old).await?,
                State::Ready | State::Revertible | State::Reverted => self.wait_for_window().await?,
                State::Planned
                | State::Copying
                | State::Indexing
                | State::CatchingUp
                | State::Completing
                | State::Completed
                | State::Expired
                | State::Cancelling
                | State::Cancelled
                | State::Failing
                | State::Failed => return Ok(()),
            }
        }
        Ok(())
    }

    /// Tries until it has happened, or someone takes the wish back.
    async fn let_serve(&mut self, to: Serving) -> Result<(), Halt> {
        let state = self.change.state;
        let mut pause = SWAP_PAUSE_FIRST;
        while self.change.state == state && !self.change.paused {
            if state == State::CuttingOver && self.window_closed().await?.is_some() {
                return self.happens(&Event::SwapMissed, Note::default()).await;
            }
            match serving(&mut self.session, &self.change).await? {
                // Someone has done it by hand.
                Some(serving) if serving == to => {
                    let note = Note { swapped: Some((to, None)), reason: Some(None), ..Note::default() };
                    return self.happens(&Event::Serves(to), note).await;
                }
                Some(_) => {}
                None => return Err(gone(&self.change).into()),
            }
            match self.try_move(to).await? {
                Attempt::Swapped(freeze) => {
                    self.missed = None;
                    return self.swapped(to, freeze).await;
                }
                Attempt::Missed { why, blockers, .. } => {
                    self.missed.get_or_insert_with(Instant::now);
                    let (kind, again_in_s) = (self.change.options.kind, pause.as_secs_f64());
                    self.tell(Notice::SwapMissed { kind, why, blockers, again_in_s });
                }
            }
            self.wait(pause).await?;
            pause = (pause * 2).min(SWAP_PAUSE_MAX);
        }
        Ok(())
    }

    async fn try_move(&mut self, to: Serving) -> Result<Attempt, Halt> {
        if let Some(told) = met(&mut self.session, &self.change, to).await? {
            return Err(Trouble::Definite(told).into());
        }
        let (from, name) = names(&self.change, to);
        let moved = Move { from, to: name, stream: self.change.stream_table(), mark: mark(self.change.id) };
        let (patience, force) = (self.change.options.limits.cutover_lock_timeout, self.forces());
        // Whoever comes behind a lock that is waited for waits as well, so one that must fail is not asked for.
        let mut found = blockers(&mut self.session, &moved.from).await;
        found.retain(|blocker| blocker.seconds > patience.as_secs());
        if force {
            let applications = found.extract_if(.., |blocker| blocker.application).collect();
            let ended = end(&mut self.session, self.change.id, applications).await?;
            self.tell_ended(ended);
        }
        if !found.is_empty() {
            let why = "a long transaction is using the table".into();
            return Ok(Attempt::Missed { why, blockers: found, unnoticed: true, passing: false });
        }
        let mut session = Session::open(&self.job.server).await?;
        let asked = Instant::now();
        let at = Contended { change: self.change.id, table: &moved.from, patience, force };
        let lock = moved.lock(&mut session, patience.as_secs());
        let (locked, ended) = at.lock(&mut self.session, lock).await?;
        self.tell_ended(ended);
        match locked {
            Ok(()) => {}
            Err(error) if error.remedy() == Remedy::Again => {
                let blockers = blockers(&mut self.session, &moved.from).await;
                return Ok(Attempt::Missed {
                    why: "the table was in use".into(),
                    blockers,
                    unnoticed: false,
                    passing: false,
                });
            }
            Err(error) => return Err(self.not_moved(error, &moved)),
        }
        let granted = Instant::now();
        match self.under_lock(&mut session, &moved).await {
            Ok(rename) => Ok(Attempt::Swapped(Freeze {
                lock_wait_ms: milliseconds(granted - asked),
                rename_ms: milliseconds(rename),
                freeze_ms: milliseconds(granted.elapsed()),
                ..Freeze::default()
            })),
            Err(halt) => {
                // Without an answer the connection is gone, and its locks with it.
                let _ = moved.unlock(&mut session).await;
                Err(halt)
            }
        }
    }

    fn tell_ended(&self, ended: Vec<Blocker>) {
        for blocker in ended {
            self.tell(Notice::Killed(blocker));
        }
    }

    /// How long the RENAME took, and giving the locks back.
    async fn under_lock(&mut self, session: &mut Session, moved: &Move) -> Result<Duration, Halt> {
        self.ownership.fence.share_at("move.share", session).await?;
        // Under the lock it cannot become read-only any more: that waits for the lock.
        if store::read_only(session).await? {
            return Err(Trouble::Lost("the server has become read-only".into()).into());
        }
        if moved.from == self.change.table {
            let locker = Locks::Of(session.id());
            if let Some(told) = follows(&mut self.session, &self.change, &moved.from, locker).await? {
                return Err(Trouble::Definite(told).into());
            }
        }
        let renaming = Instant::now();
        match moved.rename(session).await {
            Ok(()) => {}
            Err(error) => return Err(self.not_moved(error, moved)),
        }
        moved.unlock(session).await?;
        Ok(renaming.elapsed())
    }

    /// What the server refuses for good is a reason against the wish; all else is as with every statement.
    fn not_moved(&self, error: SqlError, moved: &Move) -> Halt {
        const TABLE_EXISTS: u16 = 1050;
        match error.remedy() {
            _ if error.code() == Some(TABLE_EXISTS) => {
                Trouble::Definite(taken(&self.change, &moved.to)).into()
            }
            Remedy::None | Remedy::Data | Remedy::Duplicate => Trouble::Definite(
                Told::new(format!("the server does not give {} its other name: {error}", moved.from.plain()))
                    .next(format!("mend what it says, and try again; `rsc status {}`", self.change.id)),
            )
            .into(),
            Remedy::Again | Remedy::Reconnect | Remedy::Room(_) | Remedy::Denied | Remedy::NoJournal => {
                error.into()
            }
        }
    }

    /// Until something is asked, or the revert window is over.
    async fn wait_for_window(&mut self) -> Result<(), Halt> {
        self.wait(WINDOW_CHECK).await?;
        if self.awaits_window() && self.window_closed().await?.is_none() {
            return self.happens(&Event::CutoverDue, Note::default()).await;
        }
        if matches!(self.change.state, State::Revertible | State::Reverted) {
            self.reload().await?;
            if self.change.window_over {
                return self.happens(&Event::WindowEnded, Note::default()).await;
            }
        }
        Ok(())
    }

    /// The wish cannot be carried out as things are, and is taken back; why, stays on record. Whoever drives the change for
    /// others goes on with it.
    pub(super) async fn take_back_whole(&mut self, verb: Verb, told: Told) -> Result<(), Halt> {
        let note = Note { reason: Some(Some(told.what.clone())), ..Note::default() };
        self.take_back(verb, Refusal { what: told.what, next: told.next }, note).await
    }
}

fn gone(change: &Change) -> Trouble {
    Trouble::Definite(
        Told::new(format!(
            "the table of the change is not there as the journal knows it: {} was dropped, renamed or altered by someone else",
            change.table.plain()
        ))
        .next(format!(
            "see what is there; to end the change, `rsc complete {}`, which drops nothing but what it keeps itself",
            change.id
        )),
    )
}

/// The server had accepted the statement just before.
fn not_created(error: SqlError) -> Halt {
    match error.remedy() {
        Remedy::None | Remedy::Data | Remedy::Duplicate => Trouble::Definite(Told::new(format!(
            "the server does not accept the statement any more: {error}"
        )))
        .into(),
        Remedy::Again | Remedy::Reconnect | Remedy::Room(_) | Remedy::Denied | Remedy::NoJournal => {
            error.into()
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
