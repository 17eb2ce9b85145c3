//! The new table is given the live one's statistics before the first swap: see [`crate::mysql::statistics`].

use super::line::Line;
use super::trouble::Trouble;
use crate::mysql::statistics;

impl Line {
    /// Once for each process, when the rows are there and the locks are yet to be asked for.
    pub async fn carry_statistics(&mut self) -> Result<(), Trouble> {
        if std::mem::replace(&mut self.measured, true) {
            return Ok(());
        }
        self.stand_back().await?;
        let (live, shadow) = (&self.sides.live, &self.sides.shadow);
        Ok(statistics::carry(&mut self.control, live, shadow, self.sides.mark()).await?)
    }
}
