//! Keeps the ledger while windows are applied: [`crate::rows::ledger`] says what is in it, and why.

use super::{Applier, ApplyError, CommitAt, Form, OnRecord};
use crate::journal::fence::{Fence, FenceError};
use crate::mysql::binlog::column_plan::ColumnPlan;
use crate::rows::compaction::{Compaction, Row as NetRow};
use crate::rows::gtid_set::GtidSet;
use crate::rows::ledger::{BACK, Ledger};
use crate::rows::statements::Staging;
use crate::session::{Remedy, SqlError, number};

/// Parked rows that are tried together.
const TRIED_MAX: usize = 2_000;
/// Rows of a window that are parked with the server's own words. A refusal names fewer.
const EXPLAINED_MAX: u64 = 20;
/// Rows with lost values that are looked at together.
const RENEWED_MAX: u64 = 1_000;

/// Rows of a window, to be written together.
type Piece<'n> = Vec<(&'n [u8], &'n NetRow)>;

impl Applier {
    /// Whether rows that the shadow cannot hold are parked. Else they end the stream.
    pub fn parks(&self) -> bool {
        self.keeping
    }

    /// The ledger, while it is kept.
    fn kept(&self) -> Option<&Ledger> {
        self.keeping.then_some(&self.ledger)
    }

    pub(super) async fn open_ledger(&mut self) -> Result<(), SqlError> {
        self.on_record = OnRecord::default();
        self.session.run(&format!("DROP TEMPORARY TABLE IF EXISTS {BACK}")).await?;
        if self.keeping {
            for create in self.ledger.create_staging() {
                self.session.run(&create).await?;
            }
        }
        let exists = format!(
            "SELECT EXISTS (SELECT 1 FROM {} LIMIT 1), EXISTS (SELECT 1 FROM {} LIMIT 1)",
            self.ledger.parked(),
            self.ledger.loss()
        );
        let row = self.session.first(&exists).await?;
        let is = |i| row.as_ref().and_then(|row| number(row, i)) != Some(0);
        self.on_record = OnRecord { parked: is(0), losses: is(1) };
        self.session.run("COMMIT").await.map(|_| ())
    }

    /// How many rows are parked.
    pub async fn parked(&mut self) -> Result<u64, SqlError> {
        let Some(ledger) = self.kept().filter(|_| self.on_record.parked) else { return Ok(0) };
        let row = self.session.first(&format!("SELECT COUNT(*) FROM {} AS p", ledger.parked())).await?;
        Ok(row.and_then(|row| number(&row, 0)).unwrap_or(0))
    }

    /// How many values are on record as lost.
    pub async fn losses(&mut self) -> Result<u64, SqlError> {
        let Some(ledger) = self.kept().filter(|_| self.on_record.losses) else { return Ok(0) };
        let row = self.session.first(&format!("SELECT COUNT(*) FROM {} AS l", ledger.loss())).await?;
        Ok(row.and_then(|row| number(&row, 0)).unwrap_or(0))
    }

    /// Ends a transaction that has only read.
    pub async fn settle(&mut self) -> Result<(), SqlError> {
        self.session.run("COMMIT").await.map(|_| ())
    }

    /// Takes off the record what was known of the staged rows, and lets parked rows go where they moved.
    pub(super) async fn forget(&mut self, moved: u64, gone: u64) -> Result<(), SqlError> {
        let ledger = &self.ledger;
        if !self.keeping {
            if self.on_record.losses && moved > 0 {
                for statement in ledger.follow_losses(&self.statements) {
                    self.session.run(&statement).await?;
                }
            }
            return Ok(());
        }
        if self.on_record.losses {
            for statement in ledger.forget_losses() {
                self.session.run(&statement).await?;
            }
        }
        if self.on_record.parked && gone > 0 {
            self.session.run(&ledger.forget_parked()).await?;
        }
        if self.on_record.parked && moved > 0 {
            for statement in ledger.follow_moved() {
                self.session.run(&statement).await?;
            }
        }
        Ok(())
    }

    /// Takes parked rows, and rows under keys that the shadow cannot have, out of those that are staged.
    pub(super) async fn hold_back(&mut self, staged: u64) -> Result<u64, SqlError> {
        let Some(ledger) = self.keeping.then_some(&self.ledger).filter(|_| staged > 0) else { return Ok(0) };
        let mut held = 0;
        if self.on_record.parked {
            for statement in ledger.note_written().into_iter().flatten() {
                self.session.run(&statement).await?;
            }
            held += self.session.run(&ledger.hold_back()).await?.affected;
        }
        if let Some(park_unfit) = ledger.park_unfit()
            && self.session.run(&park_unfit).await?.affected > 0
        {
            self.on_record.parked = true;
            held += self.session.run(&ledger.hold_back()).await?.affected;
        }
        Ok(held)
    }

    /// Compares what the shadow has stored of the staged rows with what was to be stored.
    pub(super) async fn record_losses(&mut self) -> Result<(), ApplyError> {
        let Some(ledger) = self.keeping.then_some(&self.ledger).filter(|ledger| ledger.compares()) else {
            return Ok(());
        };
        self.session.run(&format!("DELETE FROM {BACK}")).await?;
        self.session.run(&ledger.look_back()).await?;
        let row = self.session.first(&ledger.count_losses()).await?;
        if row.and_then(|row| number(&row, 0)) == Some(0) {
            return Ok(());
        }
        self.on_record.losses = true;
        for statement in ledger.record_losses() {
            self.session.run_at("window.losses", &statement).await?;
        }
        Ok(())
    }

    /// Writes a window in rebuild form, and parks what cannot be written: halves of what fails are tried by
    /// themselves, down to one row.
    pub(super) async fn write_or_park(
        &mut self,
        plan: &ColumnPlan,
        net: &Compaction,
    ) -> Result<(), ApplyError> {
        self.clear_staging().await?;
        let carries = self.statements.carries();
        let moved = if carries { self.stage_moved(plan, net, Form::Park).await? } else { 0 };
        let gone = self.stage_gone(plan, net, Form::Park).await?;
        if self.statements.keeps() {
            self.stage_delta(plan, net.rows()).await?;
        }
        self.clear_the_way(moved, gone).await?;
        let mut all: Piece = net.rows().collect();
        // Of two rows that exclude each other the same one is parked every time.
        all.sort_unstable_by_key(|(key, _)| *key);
        let mut pieces = vec![all];
        while let Some(piece) = pieces.pop().filter(|piece| !piece.is_empty()) {
            self.session.run(&format!("DELETE FROM {}", Staging::Delta.name())).await?;
            let staged = self.stage_delta(plan, piece.iter().copied()).await?;
            self.session.run("SAVEPOINT before_piece").await?;
            let Some(reason) = refusal(self.write_fitting(moved, staged).await)? else { continue };
            self.session.run("ROLLBACK TO SAVEPOINT before_piece").await?;
            if piece.len() == 1 {
                self.park(&reason).await?;
            } else {
                let (one, other) = piece.split_at(piece.len() / 2);
                pieces.extend([other.to_vec(), one.to_vec()]);
            }
        }
        if self.statements.keeps() && self.on_record.losses && self.on_record.parked {
            self.session.run(&self.ledger.forget_losses_of_parked()).await?;
        }
        self.staged = self.staging().collect();
        Ok(())
    }

    /// Writes the staged rows, and parks those that are in each other's way, or in the way of others: in one go,
    /// however many. Of what else a row may be refused for, the server speaks of one row only: an error.
    async fn write_fitting(&mut self, moved: u64, staged: u64) -> Result<(), ApplyError> {
        let rows = staged - self.hold_back(staged).await?;
        if rows == 0 {
            return Ok(());
        }
        for insert in self.ledger.insert_fitting(moved > 0, &self.groups) {
            self.session.run_at("window.insert", &insert).await?;
        }
        self.record_losses().await?;
        let written = self.session.run(&self.ledger.unstage_written()).await?.affected;
        self.park_in_the_way(moved, rows.saturating_sub(written)).await
    }

    /// Parks the staged rows, the first of them with the server's own words.
    async fn park_in_the_way(&mut self, moved: u64, rows: u64) -> Result<(), ApplyError> {
        for _ in 0..rows.min(EXPLAINED_MAX) {
            let reason = self.refused(moved).await?;
            self.on_record.parked = true;
            for statement in self.ledger.park_first(&reason) {
                self.session.run_at("window.park", &statement).await?;
            }
        }
        match rows > EXPLAINED_MAX {
            true => Ok(self.park("another row of the old table has the same value for a unique key").await?),
            false => Ok(()),
        }
    }

    /// The server's words about one of the staged rows, each of which is in some other's way.
    async fn refused(&mut self, moved: u64) -> Result<String, ApplyError> {
        for insert in self.ledger.inserts(moved > 0, &self.groups) {
            match self.session.run(&insert).await {
                Err(error) if error.remedy() == Remedy::Duplicate => return Ok(error.to_string()),
                Err(error) => return Err(error.into()),
                Ok(done) if done.affected > 0 => break,
                Ok(_) => {}
            }
        }
        Err(ApplyError::Changed("rows that were refused have been accepted".into()))
    }

    async fn park(&mut self, reason: &str) -> Result<(), SqlError> {
        self.on_record.parked = true;
        self.session.run_at("window.park", &self.ledger.park(reason)).await.map(|_| ())
    }

    /// Tries all parked rows again, as the live table has them now. Returns how many the shadow took.
    ///
    /// They may be from after the position, as copied rows are. What was in the open transaction must have been
    /// committed.
    pub async fn retry_parked(&mut self, fence: Fence, position: &GtidSet) -> Result<u64, RetryError> {
        let Some(ledger) = self.kept().filter(|_| self.on_record.parked) else { return Ok(0) };
        let rows = self.session.rows(&ledger.parked_numbers()).await?;
        let numbers: Vec<u64> = rows.iter().filter_map(|row| number(row, 0)).collect();
        let mut pieces: Vec<&[u64]> = numbers.chunks(TRIED_MAX).collect();
        let mut taken = 0;
        while let Some(piece) = pieces.pop() {
            let (Some(&first), Some(&last)) = (piece.first(), piece.last()) else { continue };
            match split(self.try_parked(first, last).await)? {
                Ok(0) => self.rollback().await?,
                Ok(rows) => {
                    self.commit(&CommitAt::RETRY, fence, position).await?;
                    taken += rows;
                }
                Err(_) => {
                    self.rollback().await?;
                    if piece.len() > 1 {
                        let (one, other) = piece.split_at(piece.len() / 2);
                        pieces.extend([other, one]);
                    }
                }
            }
        }
        let left = self.parked().await?;
        self.settle().await?;
        self.on_record.parked = left > 0;
        Ok(taken)
    }

    /// Returns how many the shadow took.
    async fn try_parked(&mut self, first: u64, last: u64) -> Result<u64, ApplyError> {
        self.clear_staging().await?;
        let ledger = self.ledger.clone();
        self.staged = self.staging().collect();
        let staged = self.session.run(&ledger.stage_parked(first, last)).await?.affected;
        if self.statements.carries() {
            self.session.run(&ledger.carry_parked(first, last)).await?;
        }
        if staged == 0 {
            return Ok(0);
        }
        self.look_at_groups().await?;
        if let Some(unstage_unfit) = ledger.unstage_unfit() {
            self.session.run(&unstage_unfit).await?;
        }
        for insert in ledger.insert_fitting(self.statements.carries(), &self.groups) {
            self.session.run(&insert).await?;
        }
        let taken = self.session.run_at("window.release", &ledger.release(first, last)).await?.affected;
        if taken > 0 {
            // What had been lost before the row was parked is lost as ever.
            if self.statements.keeps() {
                self.session.run(&self.statements.write_all()).await?;
            }
            self.record_losses().await?;
        }
        Ok(taken)
    }

    /// Brings the ledger up to date after a time in which the old schema served, and nothing was put on record.
    /// `swapped_at` is when that ended: what was recorded since is current.
    pub async fn renew_ledger(
        &mut self,
        fence: Fence,
        position: &GtidSet,
        swapped_at: &str,
    ) -> Result<(), RetryError> {
        let Some(ledger) = self.kept().cloned() else { return Ok(()) };
        if self.on_record.parked && self.session.run(&ledger.forget_present()).await?.affected > 0 {
            self.commit(&CommitAt::WINDOW, fence, position).await?;
        }
        // Also where there was nothing to forget: it has read the shadow.
        self.settle().await?;
        if self.on_record.losses {
            self.renew_losses(&ledger, fence, position, swapped_at).await?;
        }
        Ok(())
    }

    /// Looks again at every row that had lost something.
    async fn renew_losses(
        &mut self,
        ledger: &Ledger,
        fence: Fence,
        position: &GtidSet,
        swapped_at: &str,
    ) -> Result<(), RetryError> {
        let row = self.session.first(&ledger.loss_numbers(swapped_at)).await?;
        self.settle().await?;
        let at = |i| row.as_ref().and_then(|row| number(row, i));
        let (Some(least), Some(most)) = (at(0), at(1)) else { return Ok(()) };
        let mut first = least;
        while first <= most {
            let last = (first + RENEWED_MAX - 1).min(most);
            self.clear_staging().await?;
            self.staged = self.staging().collect();
            self.session.run(&ledger.stage_lost(first, last)).await?;
            self.session.run(&ledger.forget_range(first, last)).await?;
            self.record_losses().await?;
            self.commit(&CommitAt::WINDOW, fence, position).await?;
            first = last + 1;
        }
        Ok(())
    }

    /// The live table was emptied, and so is the ledger. Takes effect with the next commit.
    pub async fn empty_ledger(&mut self) -> Result<(), SqlError> {
        let ledger = &self.ledger;
        let (parked, loss) = (ledger.parked(), ledger.loss());
        self.session.run(&format!("DELETE FROM {parked}")).await?;
        self.session.run(&format!("DELETE FROM {loss}")).await?;
        Ok(())
    }
}

/// Why the server would not take some rows, if that is what went wrong.
fn refusal(written: Result<(), ApplyError>) -> Result<Option<String>, ApplyError> {
    match written {
        Ok(()) => Ok(None),
        Err(ApplyError::Sql(error)) if matches!(error.remedy(), Remedy::Duplicate | Remedy::Data) => {
            Ok(Some(error.to_string()))
        }
        Err(other) => Err(other),
    }
}

/// The inner error: the server would not take some rows.
fn split<T>(written: Result<T, ApplyError>) -> Result<Result<T, String>, ApplyError> {
    match written {
        Ok(done) => Ok(Ok(done)),
        Err(error) => refusal(Err(error)).map(|why| Err(why.unwrap_or_default())),
    }
}

/// Rows were tried again, and something else than the rows went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Fence(#[from] FenceError),
}

impl From<SqlError> for RetryError {
    fn from(error: SqlError) -> Self {
        RetryError::Apply(error.into())
    }
}
