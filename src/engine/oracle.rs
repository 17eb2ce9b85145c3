//! Before the first swap, a sample of rows is held against what a native ALTER makes of them: see [`crate::mysql::oracle`].
//!
//! The rows are read from the live table after a gate, and the shadow stands still meanwhile. So, as with every row that is
//! compared ([`super::verify`]), one that differs and that the stream does not bring up to a place behind the look differs
//! for good.

use super::line::Line;
use super::trouble::Trouble;
use super::verify::Pass;
use crate::lifecycle::verification::{Finding, Kind, Native};
use crate::mysql::oracle;
use crate::mysql::verify::{Examiner, Suspect};
use crate::schema::statement::Alter;
use crate::session::SqlError;

/// The names of CHECK constraints are one to a schema.
const DUPLICATE_CHECK: u16 = 3822;

impl Line {
    /// Asks once for each verification, before the first swap.
    pub async fn ask_oracle(&mut self, examiner: &mut Examiner, pass: &mut Pass) -> Result<(), Trouble> {
        if !self.change.state.before_first_swap() || pass.result.native.is_some() {
            return Ok(());
        }
        self.breathe().await?;
        let Ok(alter) = Alter::parse_in(&self.change.statement, self.change.options.sql_mode.as_ref()) else {
            return Ok(());
        };
        let statements = self.sides.statements();
        let keys = oracle::sample(&mut self.scout, &statements, &self.sides.live).await?;
        self.catch_up_with_server().await?;
        self.gate().await?;
        let (native, suspects) = match keys.is_empty() {
            true => (Native::default(), Vec::new()),
            false => self.held_against(&alter, &keys).await?,
        };
        self.fence.share(&mut self.control).await?;
        let (of_rows, of_indexes): (Vec<_>, Vec<_>) =
            suspects.into_iter().partition(|suspect| suspect.finding.kind == Kind::Native);
        of_indexes.iter().for_each(|suspect| pass.report(suspect));
        if !of_rows.is_empty() {
            let touched = self.brought_since(pass.result.id).await?;
            let (settled, _) = self.part(examiner, of_rows, &touched).await?;
            // What was damaged later is no fault of the conversion.
            let fresh: Vec<&Suspect> = settled.iter().filter(|one| !pass.knows(&one.finding.key)).collect();
            fresh.into_iter().for_each(|suspect| pass.report(suspect));
        }
        pass.result.native = Some(native);
        Ok(())
    }

    async fn held_against(
        &mut self,
        alter: &Alter,
        keys: &[crate::rows::key_range::Bound],
    ) -> Result<(Native, Vec<Suspect>), Trouble> {
        let (server, statements) = (self.server.clone(), self.sides.statements());
        let (live, made) = (&self.sides.live, &self.sides.shadow);
        let rows = (&statements, alter);
        let natively = oracle::natively(&server, &mut self.scout, live, rows, keys).await;
        let none = |why: String| {
            let left_out = vec![format!("no row of the sample, {why}")];
            (Vec::new(), Native { left_out, ..Native::default() })
        };
        let (mut suspects, mut native) = match natively {
            // The sample was asked about before the new table was made, which now has the name.
            Err(taken @ SqlError::Server { code: DUPLICATE_CHECK, .. }) => {
                none(format!("as the new table has the name of the constraint: {taken}"))
            }
            Err(error) => return Err(error.into()),
            Ok(None) => none("as the native ALTER refuses it".to_owned()),
            Ok(Some(natively)) => {
                let compared = natively.compare(&server, &statements, made, false).await;
                natively.remove(&mut self.scout).await?;
                compared?
            }
        };
        let (cells, at, unasked) = oracle::unindexed(&server, &statements, made, keys).await?;
        let finding = |cell, key: &String| Finding {
            kind: Kind::Unindexed,
            key: key.clone(),
            cells: vec![cell],
            mended: false,
        };
        for (cell, key) in cells.into_iter().zip(&at) {
            suspects.push(Suspect { key: Vec::new(), finding: finding(cell, key) });
        }
        let unasked = unasked.into_iter();
        native.excluded.extend(unasked.map(|index| format!("the entries of the index {index}")));
        Ok((native, suspects))
    }
}
