//! The stream is only followed while the server's past is the one that its position stands for.
//!
//! What can go wrong with a past, and by what it is seen, is argued in [`crate::rows::history`]. Here is where it is looked at:
//!
//! * **When a stream begins** ([`begin`]): the journaled position is held against the server, and the stream is asked for its
//!   mark once more. For that the mark is taken out of the position in memory, so a catch-up cannot end before the mark has
//!   come and was the right one. The position may be journaled like that: it has no row of the live table.
//! * **About once a second**, and whenever the stream waits for something ([`Line::watch_history`]): the journaled position
//!   again; and whether what the server counts as executed does come. It is in the binlog before it is counted, so at the latest when the
//!   server has said twice that it has nothing more to send, it has been read. What has not been then never will:
//!   somebody added it to `gtid_purged`. (What is written with `sql_log_bin = 0` has no number, or an empty transaction of its
//!   number, and cannot be seen here: only by comparing the tables.)
//! * **Under the locks of a swap** ([`Line::hear_own`]): the last window was committed by a transaction that is younger than
//!   the locks. It must come through this stream, on which nothing came out of order, before the tables are renamed. In a history that
//!   begins anew no event comes any more on a stream that was opened before; MySQL ends it with error 1236. So nobody can begin the
//!   history anew between the last look and the swap, whatever its length.
//! * **A transaction that the position has already** is never sent by the server that the position is of.
//!
//! # XA
//!
//! XA PREPARE writes the rows to the binlog, XA COMMIT makes them visible. Between the two, no snapshot has them. If the
//! XA PREPARE is older than the position and the XA COMMIT is not, the stream has only the XA COMMIT, and rows are missed.
//!
//! * A change waits for those that hold the table before it fixes its position ([`crate::mysql::prepared`]).
//! * One that was not seen there, because the account may not, or it was prepared between two looks, makes the position unproven
//!   when its XA COMMIT comes: the tables are compared and repaired before the first swap. Under the locks it makes the attempt miss.
//! * After a swap it cannot concern the table. Until its XA COMMIT or XA ROLLBACK, a prepared transaction keeps its metadata
//!   locks, detached from its session and also after a restart of the server (tried on 9.7.4); so LOCK TABLES had to wait for all of
//!   them. What is prepared later is in the stream, and ends it if it has rows of the table.

use std::time::{Duration, Instant};

use super::driver::{Driver, Wanted};
use super::halt::Halt;
use super::line::Line;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::fence::Fence;
use crate::journal::history::{self, Beside};
use crate::journal::store::{self, Note};
use crate::journal::verification;
use crate::lifecycle::event::Verb;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::State;
use crate::lifecycle::step::Refusal;
use crate::lifecycle::verification::{Outcome, named};
use crate::mysql::binlog::reading::{Beat, Watched};
use crate::mysql::binlog::stream::Reader;
use crate::mysql::prepared::{self, Prepared};
use crate::rows::gtid_set::{GtidSet, Source};
use crate::rows::history::{Seen, anew, beside, severed, unproven};
use crate::session::Session;
use crate::settings::Server;

/// How often the history is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often InnoDB's counter of transactions is put on record: the more often, the more transactions a second a server may
/// have whose restart is cleared by it.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// How often prepared XA transactions are looked for while one is waited for.
const PREPARED_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that the same ones are waited for.
const PREPARED_TOLD_EVERY: Duration = Duration::from_secs(30);
/// The server has nothing more to send when it has said so this often.
const END_BEATS: u32 = 2;

/// What the server had executed at some moment, and what of it the stream had not brought.
///
/// Commits are ordered, so the binlog has all of `executed` before anything that was not in it. Once the stream has brought
/// such a transaction, or is at its end, what is still missing will never come.
pub struct Owed {
    missing: GtidSet,
    executed: GtidSet,
}

/// What a line knows of its past.
pub struct Past {
    /// The position as it is journaled, or was not long ago.
    saved: GtidSet,
    /// Why the tables are to be compared before the next swap.
    pub unproven: Option<String>,
    /// The journal has a mark.
    marked: bool,
    looked_at: Instant,
    counted_at: Option<Instant>,
    /// What the server counts as executed and has not come; asked when it was looked at last.
    owed: Option<Owed>,
}

/// A stream that has begun.
pub struct Begun {
    pub reader: Reader,
    pub position: GtidSet,
    pub past: Past,
}

/// Opens the stream behind the journaled position, if the server's history still has that.
pub async fn begin(
    control: &mut Session,
    server: &Server,
    fence: Fence,
    watched: Watched,
) -> Result<Begun, Trouble> {
    let standing = history::standing(control, fence.change).await?;
    let Some(standing) = standing else {
        return Err(Trouble::NoJournal("the stream row of the change is missing".into()));
    };
    if let Some(why) = standing.severed {
        return Err(Trouble::Severed(Told::new(why)));
    }
    let mut seen = history::look(control).await?;
    // Whatever is purged stays so, and is found again. The rest may not be: a new history grows, a binlog is switched on again.
    if let Some(why) = severed(&standing.position, &Seen { purged: GtidSet::new(), ..seen.clone() }) {
        return Err(sever(control, fence, why).await);
    }
    if let Some(why) = severed(&standing.position, &seen) {
        return Err(Trouble::Severed(Told::new(why)));
    }
    if standing.run.as_ref() != Some(&seen.run) {
        seen.trx = history::counter(control).await?;
    }
    let mut doubt = unproven(&standing, &seen);
    let (mut position, mut expected) = (standing.position.clone(), None);
    match &standing.mark {
        Some(mark) if seen.purged.contains(&mark.source, mark.gno) => {
            doubt = doubt.or(Some(format!(
                "the server has purged the binlog with {}, by which its history is recognized",
                mark.gtid()
            )));
        }
        Some(mark) => {
            position.remove(&mark.source, mark.gno);
            expected = Some(mark.clone());
        }
        // The first one is made by the first window.
        None => {}
    }
    doubt = doubt.map(|why| beside(standing.unproven.as_deref(), &why));
    if doubt.is_some() || standing.run.as_ref() != Some(&seen.run) {
        let (run, trx, unproven) = (Some(seen.run), seen.trx, doubt.clone());
        history::note(control, fence, &Beside { run, trx, unproven, ..Beside::default() }).await?;
    }
    let mut reader = Reader::open(server, &position, watched).await?;
    let marked = expected.is_some();
    if let Some(mark) = expected {
        reader.expect(mark);
    }
    let past = Past {
        saved: standing.position,
        unproven: doubt.or(standing.unproven),
        marked,
        looked_at: Instant::now(),
        counted_at: None,
        owed: None,
    };
    Ok(Begun { reader, position, past })
}

/// Puts on record that the stream can never go on.
async fn sever(control: &mut Session, fence: Fence, why: String) -> Trouble {
    match history::sever(control, fence, &why).await {
        Ok(()) => Trouble::Severed(Told::new(why)),
        Err(error) => error.into(),
    }
}

impl Driver<'_> {
    /// The server as it is when the stream of a rebuilt shadow starts. Waits for prepared XA transactions that hold the table.
    pub(super) async fn start(&mut self) -> Result<Seen, Halt> {
        let mut held: Option<Prepared> = None;
        let mut told: Option<(String, Instant)> = None;
        let mut seen = loop {
            let seen = history::look(&mut self.session).await?;
            // Asked for afterwards: what was prepared by then, and is in `seen`, is still there or is visible.
            let now = prepared::look(&mut self.session, &self.change.table).await?;
            let now = match &held {
                Some(before) => now.still(before),
                None => now,
            };
            if !now.any() {
                break seen;
            }
            self.wait_for_prepared(now.waits_for(&self.change.table), &mut told).await?;
            held = Some(now);
        };
        if let Some(why) = severed(&seen.purged, &seen) {
            return Err(Trouble::Definite(Told::new(why)).into());
        }
        seen.trx = history::counter(&mut self.session).await?;
        Ok(seen)
    }

    async fn wait_for_prepared(
        &mut self,
        why: String,
        told: &mut Option<(String, Instant)>,
    ) -> Result<(), Halt> {
        let is_told = |(before, at): &(String, Instant)| *before == why && at.elapsed() < PREPARED_TOLD_EVERY;
        if !told.as_ref().is_some_and(is_told) {
            *told = Some((why.clone(), Instant::now()));
            self.tell(Notice::Retrying { why, again_in_s: PREPARED_EVERY.as_secs_f64() });
        }
        let mut stop = self.job.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(PREPARED_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return Err(Trouble::Interrupted.into()),
        }
        match store::open_request(&mut self.session, self.change.id).await? {
            Some(_) => Err(Trouble::Asked.into()),
            None => Ok(()),
        }
    }

    /// Compares the tables because the position is not proven. Before the first swap rows that differ are written again; later
    /// nobody knows which side is right. False if something else is to be done first.
    pub(super) async fn prove(&mut self, line: &mut Line) -> Result<bool, Halt> {
        let state = self.change.state;
        let repair = state.before_first_swap();
        self.verify(line, Wanted { repair, ..Wanted::default() }).await?;
        let Some(why) = line.past.unproven.clone().filter(|_| self.change.state == state) else {
            return Ok(self.change.state == state && !self.change.paused);
        };
        let found = verification::latest(&mut self.session, self.change.id).await?;
        let Some(found) = found.filter(|found| found.outcome == Some(Outcome::Differs)) else {
            return Ok(false);
        };
        self.doubted = Some(why.clone());
        let named = named(&found.findings);
        let what = format!("{why}; and the two tables differ: {named}");
        let note = Note { reason: Some(Some(what.clone())), ..Note::default() };
        let id = self.change.id;
        let next = format!(
            "to see the rows, `rsc verify {id}`; where the live table is right, `rsc verify {id} --repair` writes them into \
             the kept one; then try again; to keep what serves, `rsc complete {id}`"
        );
        match state {
            State::Reverting => self.take_back(Verb::Revert, Refusal { what, next }, note).await?,
            State::Reapplying => self.take_back(Verb::Reapply, Refusal { what, next }, note).await?,
            state => {
                store::save(&mut self.session, self.ownership.fence, &self.change, state, &note).await?;
                self.reload().await?;
                if repair {
                    return Err(Halt::Differs { named });
                }
                self.tell(Notice::Blocked { why: what });
            }
        }
        Ok(false)
    }
}

impl Line {
    /// All that the server has executed, if its history is still the one that the position stands for.
    pub async fn executed(&mut self) -> Result<GtidSet, Trouble> {
        let seen = history::look(&mut self.control).await?;
        // What was purged may still be on its way to us; see `owed`.
        let kept = Seen { purged: GtidSet::new(), ..seen };
        if let Some(why) = severed(&self.past.saved, &kept) {
            return Err(sever(&mut self.control, self.fence, why).await);
        }
        Ok(kept.executed)
    }

    /// Looks at the history, now and then. `reached` is what has been read, if that is more than the position.
    pub async fn watch_history(&mut self, reached: Option<&GtidSet>) -> Result<(), Trouble> {
        if self.past.looked_at.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.past.looked_at = Instant::now();
        let executed = self.executed().await?;
        let reached = reached.unwrap_or(&self.position);
        if let Some(Owed { missing, executed }) = &self.past.owed
            && (self.reader.at_end() >= END_BEATS || !executed.contains_set(reached))
        {
            let lost = missing.subtract(reached);
            if !lost.is_empty() {
                let why = format!(
                    "the server counts {lost} as executed, but its binlog does not have it: gtid_purged was set by hand"
                );
                return Err(sever(&mut self.control, self.fence, why).await);
            }
            self.past.owed = None;
        }
        let missing = executed.subtract(reached);
        if self.past.owed.is_none() && !missing.is_empty() {
            self.reader.forget_end();
            self.past.owed = Some(Owed { missing, executed });
        }
        Ok(())
    }

    /// What goes on record with the next position.
    pub async fn set_beside(&mut self) -> Result<(), Trouble> {
        if self.past.counted_at.is_none_or(|at| at.elapsed() > COUNT_EVERY) {
            self.past.counted_at = Some(Instant::now());
            self.applier.beside.trx = history::counter(&mut self.control).await?;
        }
        self.note_marks();
        Ok(())
    }

    /// The same, without asking the server.
    pub fn note_marks(&mut self) {
        if let Some(mark) = self.reader.mark() {
            self.applier.beside.mark = Some(mark.clone());
        }
        let missed = self.reader.take_missed_xa();
        if let Some(name) = missed.filter(|_| self.change.state.before_first_swap()) {
            let why =
                format!("the XA transaction {name} was prepared before the change began and committed since");
            let why = beside(self.past.unproven.as_deref(), &why);
            self.applier.beside.unproven = Some(why.clone());
            self.past.unproven = Some(why);
        }
    }

    /// Something is to go on record, though there are no rows.
    pub fn has_news(&self) -> bool {
        self.applier.beside.unproven.is_some() || (!self.past.marked && self.reader.mark().is_some())
    }

    /// The position has been journaled.
    pub fn saved(&mut self, position: &GtidSet) {
        self.past.marked |= self.reader.mark().is_some();
        self.past.saved.clone_from(position);
    }

    /// The tables were found equal, in a comparison that began when `why` was known.
    pub async fn proven(&mut self, why: &str) -> Result<(), Trouble> {
        history::prove(&mut self.control, self.fence, why).await?;
        if self.past.unproven.as_deref() == Some(why) {
            self.past.unproven = None;
        }
        Ok(())
    }

    /// Under the locks: reads on until a transaction comes that was committed under them.
    pub async fn hear_own(&mut self, deadline: Instant) -> Result<(), Trouble> {
        let executed = store::executed(self.applier.session()).await?;
        let own = executed.subtract(&self.position);
        if own.is_empty() || !executed.contains_set(&self.past.saved) {
            let missing = self.past.saved.subtract(&executed);
            return Err(sever(&mut self.control, self.fence, anew(&missing.to_string())).await);
        }
        loop {
            match self.reader.read(&mut self.net, Duration::from_millis(100)).await? {
                Beat::Committed(source, gno) => {
                    self.known(&source, gno)?;
                    self.position.insert(&source, gno);
                    if own.contains(&source, gno) {
                        return Ok(());
                    }
                }
                Beat::Rows | Beat::Truncated(..) => {
                    return Err(Trouble::Locked("the table was written just before".into()));
                }
                Beat::Quiet | Beat::Passed if Instant::now() > deadline => {
                    return Err(Trouble::Locked(
                        "the stream did not bring the last transaction in time".into(),
                    ));
                }
                Beat::Quiet | Beat::Passed => {}
            }
        }
    }

    /// A transaction that has been applied already does not come again.
    fn known(&self, source: &Source, gno: u64) -> Result<(), Trouble> {
        match self.position.contains(source, gno) {
            true => Err(Trouble::Severed(Told::new(anew(&format!("{source}:{gno}"))))),
            false => Ok(()),
        }
    }
}
