//! What came after the change was judged: foreign keys, triggers and other definitions. They are looked for
//!
//! * before the locks of a swap are asked for, so that nobody is made to wait for a swap that must not be;
//! * under them, where nothing new can come ([`attached`](crate::mysql::attached) says why), so that what is seen there
//!   holds until the RENAME;
//! * while the stream is followed, for those who look at the change;
//! * when somebody wants the other schema, or wants the kept table dropped.
//!
//! A swap with such a thing in its way is not made, and nothing else changes: the stream does not need it gone. A trigger
//! of the live table has fired by the time that a row is in the binlog, and the session that writes the shadow has
//! foreign_key_checks off, so that a key that points at the shadow neither refuses nor passes anything on
//! ([`Applier`](crate::mysql::apply::Applier)). A trigger of the shadow would fire for what rsc writes: its CREATE is in
//! the binlog, names the shadow, and ends the stream for good.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Until;
use super::driver::Driver;
use super::halt::Halt;
use super::sides;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::record::Change;
use crate::journal::store::{self, Note};
use crate::lifecycle::event::{Event, Verb};
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::step::Refusal;
use crate::mysql::attached::{self, Locks, Looked};
use crate::mysql::foreign_keys;
use crate::mysql::preflight::{self, Grants};
use crate::session::{Session, SqlError};

/// Between two looks while the stream is followed, at least; and so many times as long as a look takes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_SHARE: u32 = 50;

/// What is in the way of a swap of the change's tables, as far as the account sees. What it cannot see is in the way as
/// well, unless the operator knew better.
pub async fn in_the_way(
    session: &mut Session,
    change: &Change,
    serving: Serving,
) -> Result<Option<Told>, SqlError> {
    let grants = preflight::grants(session).await?;
    in_the_way_as(session, &grants, change, serving, Locks::Own).await
}

pub(super) async fn in_the_way_as(
    session: &mut Session,
    grants: &Grants,
    change: &Change,
    serving: Serving,
    locks: Locks,
) -> Result<Option<Told>, SqlError> {
    let shadow = change.twin(serving);
    let looked = Looked { live: &change.table, shadow: Some(&shadow) };
    let found = attached::look_as(session, grants, looked, locks).await?;
    let unknown = match change.options.allow_unseen {
        true => Vec::new(),
        false => found.unknown(grants, &change.table),
    };
    Ok(found.against_swap(&change.table).or_else(|| unknown.into_iter().next()))
}

/// For an onlooker, who may see less than whoever drives the change: only what is there for sure.
pub async fn seen(
    session: &mut Session,
    change: &Change,
    serving: Serving,
) -> Result<Option<Told>, SqlError> {
    if change.options.in_place.is_some() || change.options.kind.whole() {
        return Ok(None);
    }
    let shadow = change.twin(serving);
    let looked = Looked { live: &change.table, shadow: Some(&shadow) };
    Ok(attached::look(session, looked).await?.against_swap(&change.table))
}

/// Under the locks that `connection` has.
pub(super) async fn look_under_lock(
    session: &mut Session,
    grants: &Grants,
    change: &Change,
    serving: Serving,
    connection: u32,
) -> Result<(), Trouble> {
    sides::as_journaled(session, change, serving).await?;
    match in_the_way_as(session, grants, change, serving, Locks::Of(connection)).await? {
        Some(told) => Err(Trouble::InTheWay(told)),
        None => Ok(()),
    }
}

/// What keeps the table that is not live from being dropped, as far as the account sees.
pub async fn held(
    session: &mut Session,
    change: &Change,
    serving: Serving,
) -> Result<Option<Told>, SqlError> {
    let whole = change.options.kind.whole();
    if change.options.in_place.is_some() || change.kept(serving).is_none() {
        return Ok(None);
    }
    let shadow = change.twin(serving);
    let mut keys = foreign_keys::visible(session, &[&shadow]).await?;
    let grants = preflight::grants(session).await?;
    if grants.globally("PROCESS") {
        let all = foreign_keys::all_pointing(session, &[&shadow], grants.folded()).await?;
        keys.extend(all.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
    }
    foreign_keys::that_hold(session, &keys, &shadow, (!whole).then_some(&change.table)).await
}

/// The server names the table of a key that this account may not see.
pub(super) fn not_dropped(error: SqlError, change: u64) -> Trouble {
    const REFERENCED: u16 = 3730;
    match error.code() {
        Some(REFERENCED) => Trouble::Stop(Told::new(error).next(format!(
            "drop that foreign key, or let it point at the live table: ALTER TABLE … ADD FOREIGN KEY …, then ALTER \
             TABLE … DROP FOREIGN KEY …; then `rsc migrate --resume {change}`; to see its name, grant PROCESS"
        ))),
        _ => error.into(),
    }
}

/// What the driver knows of what is in the way.
#[derive(Default)]
pub(super) struct Watch {
    next: Option<Instant>,
    told: Option<String>,
}

impl Driver<'_> {
    /// Whether a wish would meet something that came later.
    pub(super) async fn against(&mut self, verb: Verb) -> Result<(), Halt> {
        if self.change.options.in_place.is_some() {
            return Ok(());
        }
        let Some(serving) = sides::serving(&mut self.session, &self.change).await? else { return Ok(()) };
        let whole = self.change.options.kind.whole();
        let told = match verb {
            Verb::Cutover
            | Verb::Revert
            | Verb::RevertAcceptingParked
            | Verb::RevertRefusingLosses
            | Verb::Reapply
                if !whole =>
            {
                let wanted =
                    if matches!(verb, Verb::Cutover | Verb::Reapply) { Serving::New } else { Serving::Old };
                match serving == wanted {
                    true => None,
                    false => in_the_way(&mut self.session, &self.change, serving).await?,
                }
            }
            Verb::Complete | Verb::Cancel => held(&mut self.session, &self.change, serving).await?,
            Verb::Cutover
            | Verb::Revert
            | Verb::RevertAcceptingParked
            | Verb::RevertRefusingLosses
            | Verb::Reapply
            | Verb::Pause
            | Verb::Resume
            | Verb::Verify
            | Verb::VerifyRepairing => None,
        };
        match told {
            Some(Told { what, next, .. }) => {
                let next = format!("{next}; then `rsc {} {}` again", verb.name(), self.change.id);
                Err(Halt::Refused(Refusal { what, next }))
            }
            None => Ok(()),
        }
    }

    /// A swap has met something. One that was asked for is not made; one that comes by itself is waited with, which is
    /// for the caller: `false`.
    pub(super) async fn gives_way(&mut self, told: &Told) -> Result<bool, Halt> {
        let no = Refusal { what: told.what.clone(), next: told.next.clone() };
        let note = Note { reason: Some(Some(told.what.clone())), ..Note::default() };
        match self.change.state {
            State::Reverting => self.take_back(Verb::Revert, no, note).await?,
            State::Reapplying => self.take_back(Verb::Reapply, no, note).await?,
            State::CuttingOver if self.change.options.postpone_cutover => {
                self.happens(&Event::SwapMissed, note).await?;
                match self.job.until {
                    Until::Ended => self.tell(Notice::TakenBack { verb: Verb::Cutover, why: no.what }),
                    Until::Asked | Until::Settled => return Err(Halt::Refused(no)),
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Between two windows of the stream: has something come that a swap would meet, or gone?
    pub(super) async fn look_out(&mut self) -> Result<(), Halt> {
        let began = Instant::now();
        if self.watch.next.is_some_and(|next| began < next) {
            return Ok(());
        }
        let serving = match self.change.state {
            State::Revertible => Serving::New,
            State::Ready | State::Reverted => Serving::Old,
            _ => return Ok(()),
        };
        let found = in_the_way(&mut self.session, &self.change, serving).await;
        self.watch.next = Some(Instant::now() + LOOK_EVERY.max(began.elapsed() * LOOK_SHARE));
        let found = match found {
            Ok(found) => found.map(|told| told.whole()),
            // Somebody has the table locked; the next look tells.
            Err(SqlError::Server { .. }) => return Ok(()),
            Err(lost) => return Err(lost.into()),
        };
        if found == self.watch.told {
            return Ok(());
        }
        let (kind, why) = match &found {
            Some(why) => ("swap_blocked", why.clone()),
            None => ("swap_free", String::new()),
        };
        store::record_event(&mut self.session, self.change.id, kind, &json!({ "why": why })).await?;
        self.tell(Notice::InTheWay { why: found.clone() });
        self.watch.told = found;
        Ok(())
    }
}
