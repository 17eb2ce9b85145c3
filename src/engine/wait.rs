//! Waiting where no stream is followed: whoever asks something meanwhile is answered.

use std::time::{Duration, Instant};

use super::driver::{Driver, STILL};
use super::halt::Halt;
use super::trouble::Trouble;
use crate::journal::store;

impl Driver<'_> {
    /// Ends early if a wish was granted that changes where the change stands.
    pub(super) async fn wait(&mut self, pause: Duration) -> Result<(), Halt> {
        let (began, state, paused) = (Instant::now(), self.change.state, self.change.paused);
        while began.elapsed() < pause && (self.change.state, self.change.paused) == (state, paused) {
            if *self.job.stop.borrow() {
                return Err(Trouble::Interrupted.into());
            }
            if *self.ownership.lost.borrow() {
                return Err(Trouble::Owned("another process, which has taken it over".into()).into());
            }
            if store::open_request(&mut self.session, self.change.id).await?.is_some() {
                self.answer().await?;
            }
            tokio::time::sleep(STILL).await;
        }
        Ok(())
    }
}
