//! A change that the server makes by itself, on the live table and at once. Nothing is copied, and nothing is kept to
//! swap back to.
//!
//! An ALTER has no transaction to be fenced in: an open look at the fence beside it holds a takeover off. What an answer
//! that was lost would have said, the table's definition says: it is the old one or the new one, and any other is
//! somebody else's. The statement waits for the table's lock as a swap does, shortly and again and again, since
//! whatever comes behind it waits as well.

use std::time::{Duration, Instant};

use super::driver::{Driver, SWAP_PAUSE_FIRST, SWAP_PAUSE_MAX};
use super::halt::Halt;
use super::sides::definition;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::store::Note;
use crate::lifecycle::event::Event;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::{Serving, State};
use crate::mysql::inspect::{self, Found};
use crate::mysql::shadow::AT_ONCE;
use crate::mysql::swap::blockers;
use crate::schema::kind::Kind;
use crate::schema::statement::Alter;
use crate::session::{Remedy, Session, SqlError};

/// What the live table is.
enum Stands {
    Before,
    After { create: String },
}

impl Driver<'_> {
    /// Tries until it has happened, or someone takes the wish back.
    pub(super) async fn alter_in_place(&mut self) -> Result<(), Halt> {
        let mut pause = SWAP_PAUSE_FIRST;
        let mut took = None;
        while self.change.state == State::Planned {
            if self.change.paused {
                self.tell(Notice::Paused);
                self.wait(Duration::MAX).await?;
                continue;
            }
            if let Stands::After { create } = self.definition_as_it_stands().await? {
                let note =
                    Note { new_create: Some(create), swapped: Some((Serving::New, took)), ..Note::default() };
                return self.happens(&Event::AlteredInPlace, note).await;
            }
            took = self.attempt_in_place(pause).await?;
            if took.is_none() {
                self.wait(pause).await?;
                pause = (pause * 2).min(SWAP_PAUSE_MAX);
            }
        }
        Ok(())
    }

    /// What an earlier process did, and had no time to say.
    pub(super) async fn look_in_place(&mut self) -> Result<(), Halt> {
        match self.definition_as_it_stands().await {
            Ok(Stands::After { create }) => {
                let swapped = Some((Serving::New, None));
                let note = Note { new_create: Some(create), swapped, ..Note::default() };
                self.happens(&Event::AlteredInPlace, note).await
            }
            // Whoever gives the change up now need not hear more.
            Ok(Stands::Before) | Err(Halt::Trouble(Trouble::Definite(_))) => Ok(()),
            Err(halt) => Err(halt),
        }
    }

    async fn definition_as_it_stands(&mut self) -> Result<Stands, Halt> {
        let Found::Table(live) = inspect::find(&mut self.session, &self.change.table).await? else {
            return Err(Trouble::Definite(Told::new(format!("{} is gone", self.change.table.plain()))).into());
        };
        let of = definition(&live.create);
        let new = self.change.options.in_place.as_ref().map(|in_place| definition(&in_place.new_create));
        match () {
            () if Some(&of) == new.as_ref() => Ok(Stands::After { create: live.create }),
            () if of == definition(&self.change.old_create) => Ok(Stands::Before),
            () => Err(Trouble::Definite(Told::new(format!(
                "the definition of {} was changed by someone else since the change began",
                self.change.table.plain()
            )))
            .into()),
        }
    }

    /// Returns how long writers waited, in milliseconds; `None` if the table was in use.
    async fn attempt_in_place(&mut self, pause: Duration) -> Result<Option<f64>, Halt> {
        let patience = self.change.options.limits.cutover_lock_timeout.as_secs();
        let table = self.change.table.clone();
        let found = blockers(&mut self.session, &table).await;
        let long: Vec<_> = found.into_iter().filter(|b| b.seconds > patience).collect();
        if !long.is_empty() {
            let why = "a long transaction is using the table".into();
            let again_in_s = pause.as_secs_f64();
            self.tell(Notice::SwapMissed { kind: Kind::Alter, why, blockers: long, again_in_s });
            return Ok(None);
        }
        let alter =
            Alter::parse_in(&self.change.statement, self.change.options.sql_mode.as_ref()).map_err(|e| {
                Trouble::Definite(Told::new(format!("the journaled statement cannot be read: {e}")))
            })?;
        // The operator's words mean what they mean in their client.
        let mut plain = Session::operator(&self.job.server, alter.sql_mode.as_ref()).await?;
        plain.run(&format!("SET SESSION lock_wait_timeout = {patience}")).await?;
        self.session.run("START TRANSACTION").await?;
        self.ownership.fence.share_at("in_place.share", &mut self.session).await?;
        let began = Instant::now();
        let sql = format!("ALTER TABLE {table} {}{AT_ONCE}", alter.specs);
        let done = plain.run_alone_at("in_place.alter", &sql).await;
        let took = began.elapsed();
        self.session.run("COMMIT").await?;
        match done {
            Ok(_) => Ok(Some(took.as_secs_f64() * 1000.0)),
            Err(error) if error.remedy() == Remedy::Again => {
                let blockers = blockers(&mut self.session, &table).await;
                let why = "the table was in use".into();
                let again_in_s = pause.as_secs_f64();
                self.tell(Notice::SwapMissed { kind: Kind::Alter, why, blockers, again_in_s });
                Ok(None)
            }
            Err(error) => self.refused_in_place(error).await,
        }
    }

    /// An earlier attempt, whose answer was lost, may have done it just before.
    async fn refused_in_place(&mut self, error: SqlError) -> Result<Option<f64>, Halt> {
        match (&error, self.definition_as_it_stands().await?) {
            (SqlError::Server { .. }, Stands::After { .. }) => Ok(None),
            (SqlError::Server { .. }, Stands::Before) => Err(Trouble::Definite(Told::new(format!(
                "the server does not do the statement on the table itself, as it did on an empty one: {error}"
            )))
            .into()),
            (SqlError::Lost(_) | SqlError::Unreachable { .. }, _) => Err(error.into()),
        }
    }
}
