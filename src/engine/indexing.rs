//! Indexes are left off the shadow, and built when its rows are there.
//!
//! # When a duplicate is one
//!
//! The build begins at an exact position: the copy has ended, so at the end of a catch-up at P the shadow is the
//! projection of the live table as it was at P (`rounds`). Until the build has ended nothing else writes the shadow: the
//! stream waits, and the fence keeps other processes away. So no row is from the future of P, the server has no write
//! of others to note meanwhile, and a duplicate that it meets is in two rows that the live table had at P. A native
//! ALTER would have failed there, too. It may have been mended since. So the stream catches up once more, and the
//! shadow, exact again, is asked for two such rows: those are named; without them the build is tried again.
//!
//! # Whose build it is
//!
//! A definition has no transaction to look at the fence in. As when the shadow is made, an open transaction beside it
//! holds a takeover off. It is kept awake by the looks at the progress, and the server ends it when they fail to
//! come: a process that was stopped must not keep the change for hours. The server goes on with the build of a
//! process that is gone. Whoever takes over finds it by its mark, and waits for it; then the tables tell what it came
//! to. Where the account may not see it, the second build waits for the table, and finds the indexes there.
//!
//! A process that was stopped just before it sent the statement may send it after a takeover. Then it finds the
//! indexes there, and changes nothing; or it adds what the new owner is about to add.

use std::time::{Duration, Instant};

use super::line::Line;
use super::sides::Sides;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::record::{Change, DeferIndexes};
use crate::lifecycle::notice::Notice;
use crate::mysql::indexes::{self, Means, Progress};
use crate::mysql::inspect;
use crate::schema::deferral::KeyText;
use crate::session::{Session, SqlError, text};
use crate::settings::Server;

/// The build is looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The server ends the transaction beside the build when it was not looked at for so long.
const UNSEEN_MAX_S: u64 = 10;
/// Before the build is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of the indexes of a new shadow.
pub struct Made {
    pub deferred: usize,
    /// Why none are left off, though some could be.
    pub because: Option<&'static str>,
}

const NOT_ASKED_FOR: &str = "--defer-indexes never asks for it";
pub const NOT_IN_PLACE: &str = "the server would not build them in place";

/// Why no index is left off, though some could be.
pub async fn against(session: &mut Session, asked: DeferIndexes) -> Result<Option<&'static str>, SqlError> {
    Ok(match asked {
        DeferIndexes::Never => Some(NOT_ASKED_FOR),
        DeferIndexes::Auto if indexes::replicas(session).await? > 0 => {
            Some("a replica is connected, which would be busy with building them for as long")
        }
        DeferIndexes::Auto | DeferIndexes::Always => None,
    })
}

/// Leaves the indexes off that are built later. When the reason is [`NOT_IN_PLACE`] the shadow is to be made anew.
pub async fn leave_off(
    server: &Server,
    session: &mut Session,
    change: &Change,
    sides: &Sides,
) -> Result<Made, Trouble> {
    let keys = sides.deferrable(change.options.defer_indexes == DeferIndexes::Always);
    let none = |because| Ok(Made { deferred: 0, because });
    if keys.is_empty() {
        return none(None);
    }
    match against(session, change.options.defer_indexes).await? {
        // Nobody needs to be told what they asked for.
        Some(NOT_ASKED_FOR) => return none(None),
        Some(why) => return none(Some(why)),
        None => {}
    }
    let mut other = Session::open(server).await?;
    match indexes::leave_off(&mut other, &sides.shadow.name, &keys, sides.mark()).await? {
        true => Ok(Made { deferred: keys.len(), because: None }),
        false => none(Some(NOT_IN_PLACE)),
    }
}

impl Line {
    /// Builds the indexes that the shadow lacks. May be called again whenever it was left.
    pub async fn index(&mut self) -> Result<(), Trouble> {
        loop {
            self.breathe().await?;
            self.wait_for_earlier_build().await?;
            // Once begun, a build is not stopped: all that it has done would be lost.
            self.leave().await?;
            self.sides = Sides::look(&mut self.control, &self.change).await?;
            if self.sides.missing.is_empty() {
                return Ok(());
            }
            self.catch_up_with_server().await?;
            self.stand_back().await?;
            match self.build_indexes().await {
                Ok(()) => {}
                Err(Trouble::Duplicate(why)) => self.judge_twins(&why).await?,
                Err(Trouble::Locked(why)) => {
                    self.tell(Notice::Retrying { why, again_in_s: PAUSE.as_secs_f64() });
                    tokio::time::sleep(PAUSE).await;
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    async fn wait_for_earlier_build(&mut self) -> Result<(), Trouble> {
        let mut seconds = None;
        while let Some(running) = indexes::running(&mut self.control, self.sides.mark()).await? {
            let first = *seconds.get_or_insert(running.seconds);
            tracing::debug!(running.connection, first, "a build is under way");
            let progress = indexes::progress(&mut self.control, running.connection).await;
            self.tell_of_build(running.seconds as f64, progress);
            tokio::time::sleep(LOOK_EVERY).await;
            self.breathe().await?;
        }
        Ok(())
    }

    async fn build_indexes(&mut self) -> Result<(), Trouble> {
        let mut guard = Session::open(&self.server).await?;
        guard.run(&format!("SET SESSION wait_timeout = {UNSEEN_MAX_S}")).await?;
        guard.run("START TRANSACTION").await?;
        self.fence.share_at("indexes.share", &mut guard).await?;
        let mut builder = Session::writer(&self.server, &self.change.options.meaning).await?;
        let bytes = inspect::bytes(&mut builder, &self.sides.live.name).await?;
        let means = Means::of(&self.server, &mut builder, bytes).await?;
        tracing::info!(?means, indexes = self.sides.missing.len(), "building indexes");
        means.grant(&mut builder).await?;
        let connection = u64::from(builder.id());
        let (table, keys) = (self.sides.shadow.name.clone(), self.sides.missing.clone());
        let mark = self.sides.mark().to_owned();
        let build = async { indexes::build(&mut builder, &table, &keys, &mark).await };
        tokio::pin!(build);
        let started = Instant::now();
        let done = loop {
            tokio::select! {
                done = &mut build => break done,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    let progress = indexes::progress(&mut guard, connection).await;
                    // Its end is the end of the fence.
                    guard.run("DO 0").await?;
                    self.tell_of_build(started.elapsed().as_secs_f64(), progress);
                    self.breathe().await?;
                }
            }
        };
        guard.run("COMMIT").await?;
        match done {
            // Someone who was taken for gone has made them.
            Err(SqlError::Server { code: DUPLICATE_KEY_NAME, .. }) => Ok(()),
            other => Ok(other?),
        }
    }

    fn tell_of_build(&mut self, seconds: f64, progress: Progress) {
        let indexes = self.sides.missing.len();
        let done = match progress {
            Progress::Done(done) => Some(done),
            Progress::NotKept | Progress::Unknown => None,
        };
        self.tell_now_and_then(|| Notice::Indexing {
            indexes,
            seconds,
            done,
            eta_s: done.filter(|done| *done > 0.01).map(|done| seconds * (1.0 - done) / done),
            not_kept: progress == Progress::NotKept,
        });
    }

    /// At an exact position again: two rows that are there are named.
    async fn judge_twins(&mut self, why: &str) -> Result<(), Trouble> {
        self.catch_up_with_server().await?;
        self.applier.settle().await?;
        let real = |which: String| {
            Trouble::Definite(Told::new(format!("{which} have the same value for a unique key: {why}")))
        };
        let Some(sql) = self.twins(why) else { return Err(real("two rows".into())) };
        let rows = self.control.rows(&sql).await?;
        match rows.as_slice() {
            [one, other] => {
                let key = |row| text(row, 0).unwrap_or_default();
                Err(real(format!("the rows with the keys ({}) and ({})", key(one), key(other))))
            }
            _ => Ok(()),
        }
    }

    fn twins(&self, why: &str) -> Option<String> {
        let key: &KeyText = indexes::violated(&self.sides.missing, why)?;
        let projection = self.applier.statements().projection();
        let row_key: Vec<String> = projection.key.iter().map(|key| key.target.name.clone()).collect();
        indexes::twins(&self.sides.shadow, key, &row_key)
    }
}

const DUPLICATE_KEY_NAME: u16 = 1061;
