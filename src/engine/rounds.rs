//! Copy and catch up, in rounds.
//!
//! # The claim
//!
//! At the end of a catch-up at position P, the shadow restricted to copied keys equals projection(live at P).
//! `tests/model` holds it without a server, and shows that each of these is needed:
//!
//! * **Gate.** Before a round, everything the stream has delivered is waited for in `gtid_executed`. MySQL sends
//!   an event before the row is visible; without the gate, a row that was delivered, skipped as above the
//!   frontier, and not yet visible to the batch's snapshot, would be in neither.
//! * **Target.** The catch-up goes on until position ⊇ `gtid_executed` read *after* the round's last batch
//!   committed. With ordered commits, whatever a snapshot has seen was in an earlier or the same commit group
//!   as the batch's own transaction, so it is in that set, and is replayed.
//! * **Frontier.** Only rows in copied ranges are inserted; the rest will be copied, from a snapshot that has them.
//! * **Ranges.** Batches run side by side, and end in any order. A round ends when all that were begun have ended, so
//!   that the target is behind each of them. As a rule what they copied is then one range from the lowest key on. When
//!   one failed, or a process died, ranges above it stay copied: each is exact by itself, by the argument above, as
//!   long as the stream follows exactly those ranges. So both bounds of a batch are journaled with its rows, and the
//!   highest copied key is no frontier. What lies between is copied next, from its own snapshot; nothing twice.
//! * **The end.** The copy ends with a batch that has no upper bound, when fewer rows than a batch are left. From
//!   then on rows of any key are applied. What was inserted above the last key before the gate is visible to
//!   that batch; what comes later is delivered after it.
//!
//! # Duplicates
//!
//! Within a round the shadow may hold rows from the future of the position. So a duplicate of a unique value is
//! only believed where no row is from the future: in a window that ends at its target and rebuilds all that it
//! touched. A batch meets rows that are older than its snapshot. It is believed when it is down to one row. In both
//! cases the live table must have both rows at one moment, and an empty twin of the shadow refuse the two: so the
//! message names them, and one that was mended meanwhile is none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::line::{Care, Line};
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::fence::FenceError;
use crate::lifecycle::notice::Notice;
use crate::mysql::apply::{CommitAt, Form};
use crate::mysql::binlog::reading::Beat;
use crate::mysql::copy;
use crate::mysql::duplicate::{self, Meeting, Verdict};
use crate::rows::coverage::{Copied, Gap};
use crate::rows::gtid_set::{GtidSet, Source};
use crate::rows::history::anew;
use crate::rows::statements::Statements;
use crate::schema::table::string_literal;
use crate::session::Session;

/// Batches are copied for so long before a catch-up, so that the backlog stays small.
const ROUND: Duration = Duration::from_secs(2);
/// A window is applied after so long at the latest, however small.
const WINDOW_AGE: Duration = Duration::from_millis(500);
/// How long a read of the stream waits before other things get their turn.
const PATIENCE: Duration = Duration::from_millis(100);
/// The journal's position follows a stream without rows of ours only so often: each save is a transaction.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Where a duplicate cannot be tried, one that is met so often, with a catch-up between any two, is believed.
const CONFLICTS_MAX: u32 = 5;
/// Between two times that parked rows are tried.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Whether a rest is over is looked at so often.
const NAP: Duration = Duration::from_millis(5);
/// A catch-up that takes no longer than this leaves little to do under the lock.
const CLOSE: Duration = Duration::from_millis(500);

/// When a window ends.
enum Until<'t> {
    /// The position contains this set.
    Reached(&'t GtidSet),
    /// The stream has nothing more for the moment.
    Quiet,
}

/// A range that is to be copied in one transaction.
struct Batch {
    range: Copied,
    /// It had so many rows at most when it was looked up.
    rows: u64,
}

/// A batch that was committed, or rolled back.
struct Ended {
    session: Session,
    batch: Batch,
    result: Result<u64, FenceError>,
    took: Duration,
}

/// Places in which no batch is copied for a while, as the operator wants the copy to be nice.
#[derive(Default)]
struct Resting(Vec<Instant>);

impl Resting {
    fn after(&mut self, rest: Duration) {
        if !rest.is_zero() {
            self.0.push(Instant::now() + rest);
        }
    }

    fn places(&mut self) -> usize {
        let now = Instant::now();
        self.0.retain(|until| *until > now);
        self.0.len()
    }
}

impl Until<'_> {
    /// What is yet to come before it is met. Kept instead of asked for: a set of transactions may have thousands of holes,
    /// and the stream thousands of transactions a second.
    fn missing(&self, position: &GtidSet) -> Option<GtidSet> {
        match self {
            Until::Reached(target) => Some(target.subtract(position)),
            Until::Quiet => None,
        }
    }
}

impl Line {
    /// Copies to the end. Every batch that was committed counts, also when this is interrupted.
    pub async fn copy(&mut self) -> Result<(), Trouble> {
        // Batches of an earlier run may have rows from after the position.
        self.catch_up_with_server().await?;
        while !self.coverage.complete() {
            self.leave().await?;
            self.round().await?;
        }
        self.readers.wrote();
        Ok(())
    }

    async fn round(&mut self) -> Result<(), Trouble> {
        self.gate().await?;
        let copied = self.batches().await;
        // Also when it ended early: the stream must follow whatever has been copied.
        self.frontier = self.coverage.frontier();
        let failed = copied?;
        self.careful = failed.is_some();
        match failed {
            None => self.conflicts = 0,
            Some((batch, Trouble::Duplicate(why))) => self.conflict_in_batch(&batch, &why).await?,
            Some((batch, Trouble::Misfit(why))) => self.misfit_in_batch(&batch, &why).await?,
            Some((batch, Trouble::Locked(_))) => self.pacing.halve(batch.rows),
            Some((_, trouble)) => return Err(trouble),
        }
        self.catch_up_with_server().await
    }

    /// Copies batches until the round is over or one fails, and waits for all that have begun. Returns the lowest that
    /// failed.
    async fn batches(&mut self) -> Result<Option<(Batch, Trouble)>, Trouble> {
        let (started, before) = (Instant::now(), self.copied);
        let statements = Arc::new(self.applier.statements().clone());
        let mut gap = self.coverage.gap();
        // A hole is filled in order: what is copied above a piece that fails would leave no room for it.
        let at_once =
            if self.careful || gap.as_ref().is_some_and(|gap| !gap.open()) { 1 } else { self.threads };
        let mut running = JoinSet::new();
        let mut next: Option<Batch> = None;
        let mut failed: Option<(Batch, Trouble)> = None;
        let mut end = None;
        let mut resting = Resting::default();
        loop {
            // Whoever asks waits for the batches that have begun, and not for the round.
            if end.is_none() {
                end = self.breathe().await.err();
            }
            let over = end.is_some() || failed.is_some() || started.elapsed() >= ROUND || self.throttled();
            if !over && next.is_none() {
                // While others are being copied.
                (next, gap) = self.cut(&statements, gap).await?;
            }
            if !over
                && running.len() + resting.places() < at_once
                && let Some(batch) = next.take()
            {
                self.exact = false;
                self.begin(&mut running, &statements, batch).await?;
                continue;
            }
            if !over && running.is_empty() && next.is_some() {
                tokio::time::sleep(NAP).await;
                continue;
            }
            let Some(ended) = running.join_next().await else {
                return end.map_or(Ok(failed), Err);
            };
            let Ended { session, batch, result, took } =
                ended.map_err(|e| Trouble::Lost(format!("a copy batch came to no end: {e}")))?;
            self.copiers.push(session);
            resting.after(self.change.options.limits.rest(took));
            match result.map_err(Trouble::from) {
                Ok(rows) => {
                    self.copied += rows;
                    if batch.range.hi.is_some() {
                        self.pacing.took(rows, took);
                    }
                    self.coverage.add(batch.range);
                    let seconds = started.elapsed().as_secs_f64().max(1e-6);
                    self.tell_copied((self.copied - before) as f64 / seconds);
                }
                Err(trouble @ (Trouble::Duplicate(_) | Trouble::Misfit(_) | Trouble::Locked(_))) => {
                    let lower =
                        failed.as_ref().is_none_or(|(other, _)| batch.range.place < other.range.place);
                    if lower {
                        failed = Some((batch, trouble));
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// The next batch of a gap, and what is left of that.
    async fn cut(
        &mut self,
        statements: &Statements,
        gap: Option<Gap>,
    ) -> Result<(Option<Batch>, Option<Gap>), Trouble> {
        let Some(gap) = gap else { return Ok((None, None)) };
        let rows = self.pacing.rows();
        let (lo, hi) = (gap.lo.as_ref(), gap.hi.as_ref());
        let bound = copy::boundary(&mut self.scout, statements, &self.literals, lo, hi, rows).await?;
        let (range, rest) = gap.take(bound);
        Ok((Some(Batch { range, rows }), rest))
    }

    async fn begin(
        &mut self,
        running: &mut JoinSet<Ended>,
        statements: &Arc<Statements>,
        batch: Batch,
    ) -> Result<(), Trouble> {
        let mut session = match self.copiers.pop() {
            Some(session) => session,
            None => copy::session(&self.server, statements.meaning()).await?,
        };
        let (statements, fence) = (Arc::clone(statements), self.fence);
        running.spawn(async move {
            let started = Instant::now();
            let result = copy::batch(&mut session, &statements, fence, &batch.range).await;
            Ended { session, batch, result, took: started.elapsed() }
        });
        Ok(())
    }

    pub async fn gate(&mut self) -> Result<(), Trouble> {
        let wait =
            format!("SELECT WAIT_FOR_EXECUTED_GTID_SET({}, 1)", string_literal(&self.position.to_string()));
        while self.control.text(&wait).await?.as_deref() != Some("0") {
            self.breathe().await?;
        }
        Ok(())
    }

    fn tell_copied(&mut self, rows_per_s: f64) {
        let (rows, estimate) = (self.copied, self.change.rows_estimate);
        let left = estimate.saturating_sub(rows) as f64;
        let ended = self.coverage.complete();
        let notice = Notice::Copied {
            rows,
            // Reached only at the end: the server's estimate may be too low.
            estimate: if ended { rows } else { estimate.max(rows + 1) },
            rows_per_s,
            eta_s: (rows_per_s > 0.0).then(|| if ended { 0.0 } else { left / rows_per_s }),
        };
        if ended {
            self.tell(notice);
        } else {
            self.tell_now_and_then(|| notice);
        }
    }

    /// The batch was rolled back. Halved until it is one row, which can be named.
    async fn misfit_in_batch(&mut self, batch: &Batch, why: &str) -> Result<(), Trouble> {
        self.pacing.halve(batch.rows);
        if batch.rows > 1 {
            return Ok(());
        }
        let (lo, hi) = (batch.range.lo.as_ref(), batch.range.hi.as_ref());
        let statements = self.applier.statements();
        let row = copy::boundary(&mut self.scout, statements, &self.literals, lo, hi, 1).await?;
        let key = row.map_or_else(String::new, |key| key.join(", "));
        Err(Trouble::Definite(Told::new(format!(
            "the row with the key ({key}) does not fit the new schema: {why}"
        ))))
    }

    /// The batch was rolled back. It is tried again after a catch-up, smaller; and a batch of one row is asked
    /// whether its duplicate is one.
    async fn conflict_in_batch(&mut self, batch: &Batch, why: &str) -> Result<(), Trouble> {
        self.pacing.halve(batch.rows);
        if batch.rows > 1 {
            return Ok(());
        }
        self.catch_up_with_server().await?;
        let lo = batch.range.lo.as_ref();
        let statements = self.applier.statements();
        match duplicate::meet_first(&mut self.scout, statements, lo).await? {
            Some(meeting) => self.judge(&meeting, why, self.conflicts >= CONFLICTS_MAX).await,
            None => Ok(()),
        }
    }

    /// Whether two rows that met are a duplicate. `believed` is whether they are where that cannot be tried.
    async fn judge(&mut self, meeting: &Meeting, why: &str, believed: bool) -> Result<(), Trouble> {
        let statements = self.applier.statements();
        let verdict = duplicate::judge(&mut self.scout, statements, &self.sides.shadow, meeting).await?;
        let Meeting { one, other } = meeting;
        match verdict {
            Verdict::Proven(pair) => Err(Trouble::Definite(Told::new(pair))),
            Verdict::Unknown if believed => Err(Trouble::Definite(Told::new(format!(
                "the rows with the keys ({}) and ({}) have the same value for a unique key of the new schema: {why}",
                one.join(", "),
                other.join(", ")
            )))),
            Verdict::Unknown => {
                self.conflicts += 1;
                Ok(())
            }
            Verdict::Passed => Ok(()),
        }
    }

    /// Until the position contains all that the server has committed by now.
    pub async fn catch_up_with_server(&mut self) -> Result<(), Trouble> {
        let asked = Instant::now();
        let target = self.executed().await?;
        self.catch_up(&target).await?;
        self.tell_current(Some(asked));
        self.exact = true;
        Ok(())
    }

    async fn catch_up(&mut self, target: &GtidSet) -> Result<(), Trouble> {
        while !self.position.contains_set(target) {
            match self.stream_waits() {
                true => self.leave().await?,
                false => self.breathe().await?,
            }
            self.careful_window(Until::Reached(target)).await?;
            let behind = self.behind().await?;
            if behind > 1 {
                self.tell_now_and_then(|| Notice::Behind { seconds: behind });
                self.look_after_binlogs(u64::from(self.reader.event_time())).await?;
            }
        }
        self.care = Care::USUAL;
        Ok(())
    }

    /// Catches up until what is left is small. Goes on as long as that takes.
    pub async fn come_close(&mut self) -> Result<(), Trouble> {
        loop {
            let started = Instant::now();
            self.catch_up_with_server().await?;
            if started.elapsed() < CLOSE {
                return Ok(());
            }
        }
    }

    /// Applies what comes until the stream is quiet for a moment.
    pub async fn follow(&mut self) -> Result<(), Trouble> {
        self.breathe().await?;
        match self.care.whole() {
            true => self.catch_up_with_server().await?,
            false => drop(self.careful_window(Until::Quiet).await?),
        }
        self.retry_parked_now_and_then().await?;
        let changes = self.applied;
        if self.told_applied != Some(changes) && self.tell_now_and_then(|| Notice::Following { changes }) {
            self.told_applied = Some(changes);
        }
        Ok(())
    }

    /// Trying takes at most a tenth of the time, however many rows are parked.
    async fn retry_parked_now_and_then(&mut self) -> Result<(), Trouble> {
        if Instant::now() >= self.retry_at && self.reader.between_transactions() {
            let started = Instant::now();
            self.retry_parked().await?;
            self.retry_at = Instant::now() + RETRY_EVERY.max(started.elapsed() * 10);
        }
        Ok(())
    }

    /// Parked rows that the shadow takes now are parked no more. They are from the future of the position, until
    /// the stream has caught up.
    pub async fn retry_parked(&mut self) -> Result<(), Trouble> {
        if self.applier.retry_parked(self.fence, &self.position).await? > 0 {
            self.readers.wrote();
            self.exact = false;
        }
        let rows = self.applier.parked().await?;
        self.applier.settle().await?;
        if rows != self.told_parked {
            self.told_parked = rows;
            self.tell(Notice::Parked { rows });
        }
        Ok(())
    }

    pub async fn follow_for(&mut self, time: Duration) -> Result<(), Trouble> {
        let started = Instant::now();
        while started.elapsed() < time {
            self.follow().await?;
        }
        Ok(())
    }

    async fn careful_window(&mut self, until: Until<'_>) -> Result<(), Trouble> {
        match self.window(until).await {
            Err(trouble @ (Trouble::Duplicate(_) | Trouble::Misfit(_))) => {
                self.conflict_in_window(trouble).await
            }
            Err(Trouble::Locked(_)) => self.reopen().await,
            other => other,
        }
    }

    /// A window that the shadow could not take is read again as part of the whole backlog: what was in its way may
    /// have passed by then. If it still is at the end of that, it is there.
    pub async fn conflict_in_window(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        let real = self.care.whole();
        tracing::debug!(?trouble, real, "a window does not fit the shadow");
        let met = match &trouble {
            Trouble::Duplicate(_) if real => self.applier.meet(&self.frontier).await?,
            _ => None,
        };
        self.reopen().await?;
        if !real {
            self.care = if self.applier.parks() { Care::PARK } else { Care::WHOLE };
            return Ok(());
        }
        if let (Some(meeting), Trouble::Duplicate(why)) = (&met, &trouble)
            && self.conflicts < CONFLICTS_MAX
        {
            self.conflicts += 1;
            // Not any more: the backlog has what mended it.
            return self.judge(meeting, why, true).await;
        }
        self.care = Care::USUAL;
        Err(Trouble::Definite(Told::new(match trouble {
            Trouble::Duplicate(why) => {
                format!("two rows have the same value for a unique key of the new schema: {why}")
            }
            other => format!("the other schema cannot hold a row: {}", other.why()),
        })))
    }

    async fn window(&mut self, until: Until<'_>) -> Result<(), Trouble> {
        let ended = self.collect(self.position.clone(), until).await?;
        self.finish(ended).await?;
        let nothing_left_at = self.nothing_left_at.take();
        self.tell_current(nothing_left_at);
        match self.truncated.take() {
            Some((source, gno)) => self.truncate(&source, gno).await,
            None => Ok(()),
        }
    }

    /// Follows a TRUNCATE of the live table; everything before it has been committed.
    ///
    /// It commits by itself, so the position follows it. A crash between the two empties the shadow once more, of
    /// nothing. Rows from after the position that a batch has copied go with it; the stream is yet to bring them. So
    /// the copy goes on from its frontier, above which the shadow has never had a row.
    async fn truncate(&mut self, source: &Source, gno: u64) -> Result<(), Trouble> {
        let mut reached = self.position.clone();
        reached.insert(source, gno);
        if let Some(touched) = &mut self.touched {
            touched.everything();
        }
        self.note_marks();
        self.applier.commit(&CommitAt::WINDOW, self.fence, &self.position).await?;
        self.control.run("START TRANSACTION").await?;
        self.fence.share(&mut self.control).await?;
        let sql = format!("TRUNCATE TABLE {} {}", self.sides.shadow.name, self.sides.mark());
        self.applier.session().run(&sql).await?;
        self.control.run("COMMIT").await?;
        self.applier.empty_ledger().await?;
        self.applier.commit(&CommitAt::WINDOW, self.fence, &reached).await?;
        self.saved(&reached);
        self.position = reached;
        self.tell(Notice::Truncated);
        Ok(())
    }

    /// Reads and applies everything up to `target`, but for the commit. Returns the position it ends at.
    pub async fn drain(&mut self, target: &GtidSet, deadline: Instant) -> Result<GtidSet, Trouble> {
        let mut reached = self.position.clone();
        self.deadline = Some(deadline);
        while !reached.contains_set(target) {
            self.in_time()?;
            (reached, _) = self.collect(reached, Until::Reached(target)).await?;
            if self.truncated.take().is_some() {
                return Err(Trouble::Locked("the table was truncated just before".into()));
            }
        }
        self.deadline = None;
        Ok(reached)
    }

    /// Under the locks, the application waits.
    fn in_time(&self) -> Result<(), Trouble> {
        match self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            true => Err(Trouble::Locked("the stream was too far behind to catch up under the lock".into())),
            false => Ok(()),
        }
    }

    /// Reads a window from `reached` on, and applies it but for the commit. Returns where it ends, and whether
    /// it had rows.
    async fn collect(&mut self, mut reached: GtidSet, until: Until<'_>) -> Result<(GtidSet, bool), Trouble> {
        let mut any = false;
        let started = Instant::now();
        self.net.clear();
        self.nothing_left_at = None;
        let mut missing = until.missing(&reached);
        while missing.as_ref().is_none_or(|missing| !missing.is_empty()) {
            match self.reader.read(&mut self.net, PATIENCE).await? {
                Beat::Rows if self.full() => {
                    any = true;
                    self.apply_part().await?;
                }
                Beat::Rows | Beat::Passed => {}
                Beat::Committed(source, gno) => {
                    if reached.contains(&source, gno) {
                        return Err(Trouble::Severed(Told::new(anew(&format!("{source}:{gno}")))));
                    }
                    reached.insert(&source, gno);
                    if let Some(missing) = &mut missing {
                        missing.remove(&source, gno);
                    }
                    if self.nearly_full() || (started.elapsed() > WINDOW_AGE && !self.care.whole()) {
                        break;
                    }
                }
                Beat::Truncated(source, gno) => {
                    self.truncated = Some((source, gno));
                    break;
                }
                Beat::Quiet if !self.reader.between_transactions() => self.in_time()?,
                Beat::Quiet if *self.stop.borrow() || matches!(until, Until::Quiet) => {
                    self.nothing_left_at = Some(Instant::now());
                    break;
                }
                Beat::Quiet => {
                    self.in_time()?;
                    self.watch_history(Some(&reached)).await?;
                }
            }
        }
        any |= !self.net.is_empty();
        self.apply_part().await?;
        Ok((reached, any))
    }

    async fn finish(&mut self, (reached, any): (GtidSet, bool)) -> Result<(), Trouble> {
        self.note_marks();
        if any || self.saved_at.elapsed() > SAVE_EVERY || self.has_news() {
            self.set_beside().await?;
            self.applier.commit(&CommitAt::WINDOW, self.fence, &reached).await?;
            self.saved(&reached);
            self.saved_at = Instant::now();
        }
        if any {
            self.readers.wrote();
        }
        self.position = reached;
        Ok(())
    }

    async fn apply_part(&mut self) -> Result<(), Trouble> {
        if self.net.is_empty() {
            return Ok(());
        }
        let plan = self.reader.plan().ok_or_else(|| Trouble::Lost("rows without a table map".into()))?;
        let started = Instant::now();
        self.applier.apply(&plan, &self.net, &self.frontier, self.care.form).await?;
        self.applying += started.elapsed();
        self.applied += self.net.changes();
        self.gauges.applied(self.net.changes());
        if let Some(touched) = &mut self.touched {
            touched.add(self.net.rows().map(|(key, _)| key).chain(self.net.left()));
        }
        self.net.clear();
        Ok(())
    }

    /// A transaction larger than a window is applied in parts. Not after a conflict: within a transaction the
    /// live table may hold for a moment what the shadow's keys forbid.
    fn full(&self) -> bool {
        let large = self.net.entries() >= self.care.entries || self.net.bytes() >= self.care.bytes;
        large && self.care.form == Form::Update
    }

    /// At the end of a transaction a window is closed a little earlier, so that the next one rarely splits it.
    fn nearly_full(&self) -> bool {
        self.net.entries() >= self.care.entries / 2 || self.net.bytes() >= self.care.bytes / 2
    }
}
