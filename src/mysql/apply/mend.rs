//! Writes rows of the shadow again that a verification has found to differ.
//!
//! In two steps. The live table's rows are *taken*, as they are at some moment; the stream then catches up past that
//! moment; and those that it did not touch meanwhile are *mended*: what was taken is exactly what they are at its
//! position. They are written by the statements of a window, ledger and all. What the stream did touch it has written
//! itself.

use super::{Applier, ApplyError, CommitAt, Form, RetryError};
use crate::journal::fence::Fence;
use crate::mysql::verify::{Suspect, stage};
use crate::rows::gtid_set::GtidSet;
use crate::rows::key_range::Frontier;
use crate::rows::statements::Staging;
use crate::rows::verify::{Comparison, EXTRA, MEND, SUSPECT, TOUCHED};
use crate::session::{Remedy, SqlError};

impl Applier {
    /// Takes the rows as the live table has them now. Nothing else must be open on this session.
    pub async fn take_rows(&mut self, comparison: &Comparison, suspects: &[Suspect]) -> Result<(), SqlError> {
        for table in [SUSPECT, EXTRA, TOUCHED, MEND] {
            self.session.run(&format!("DROP TEMPORARY TABLE IF EXISTS {table}")).await?;
        }
        for create in comparison.create_suspects() {
            self.session.run(&create).await?;
        }
        self.session.run(&comparison.create_mend()).await?;
        stage(&mut self.session, comparison, suspects).await?;
        self.session.run(&comparison.take_mend()).await?;
        self.session.run("COMMIT").await.map(|_| ())
    }

    /// Writes those of the taken rows that are still `suspects`, and deletes those of them that should not be there, at
    /// the position of the stream. False, and nothing is written, if another row of the shadow is in the way, or a value
    /// is not taken.
    pub async fn mend(
        &mut self,
        comparison: &Comparison,
        suspects: &[Suspect],
        verification: u64,
        fence: Fence,
        position: &GtidSet,
    ) -> Result<bool, RetryError> {
        stage(&mut self.session, comparison, suspects).await?;
        self.session.run("COMMIT").await?;
        let rebuilds = self.statements.meaning().rebuilds();
        let forms = [Form::Update, Form::Rebuild].into_iter();
        for form in forms.filter(|form| !rebuilds || *form == Form::Rebuild) {
            match self.mend_as(comparison, form).await {
                Ok(()) => {
                    // Whatever changes the shadow commits with a row of the sidecar, and the position stays where it is.
                    let mark =
                        format!("UPDATE `_rsc`.`verify` SET marks = marks + 1 WHERE id = {verification}");
                    self.session.run_at("verify.mend", &mark).await?;
                    self.commit(&CommitAt::WINDOW, fence, position).await?;
                    return Ok(true);
                }
                Err(ApplyError::Sql(error)) if matches!(error.remedy(), Remedy::Duplicate | Remedy::Data) => {
                    self.rollback().await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    async fn mend_as(&mut self, comparison: &Comparison, form: Form) -> Result<(), ApplyError> {
        self.staged = self.staging().collect();
        self.clear_staging().await?;
        self.staged = self.staging().collect();
        self.session.run_at("verify.delete", &comparison.delete_extra()).await?;
        let staged = self.session.run(&comparison.stage_mend(Staging::Delta.name())).await?.affected;
        if staged == 0 {
            return Ok(());
        }
        if self.statements.keeps() {
            for statement in self.statements.judge_kept() {
                self.session.run(&statement).await?;
            }
        }
        self.look_at_groups().await?;
        let (mut moved, mut gone) = (0, 0);
        if form == Form::Rebuild {
            let [stage_moved, stage_gone] = comparison.stage_rebuild();
            if self.statements.carries() {
                moved = self.session.run(&stage_moved).await?.affected;
            }
            gone = self.session.run(&stage_gone).await?.affected;
        }
        self.write_staged(moved, gone, staged, &Frontier::End, form).await
    }
}
