//! Evidence that does not age: while the stream is kept, the two tables are compared in the background, and what was found
//! decides whether they may be swapped.
//!
//! # A small share of the server
//!
//! A pass compares one range, as every verification does ([`super::verify`]), and then rests [`REST`] times as long as
//! that took. So it has a twentieth of the time at most, and less when the server is busy, as ranges take longer then and
//! so do the rests. A pass begins `--verify-every` after the one before has ended. The first pass of a direction begins soon
//! ([`FIRST`]): until then what is known is from the other direction.
//!
//! # Nothing waits for it
//!
//! Between two ranges the owner does all that it does without: it follows the stream, answers requests, looks at windows.
//! A range takes about 100 ms. When the change moves on (a swap, a pause, a verification that someone asked for), the pass
//! is broken off. One that has found nothing goes on from where it stood, also in another process, if the tables were not
//! swapped since and it was not long ago: since then only the stream has written the shadow, as within one run.
//!
//! # A known difference
//!
//! is one that the last verification has which found all rows equal or some that differ, whoever asked for it, and also one
//! that still runs or was broken off, if it had found any. No swap is made over it, unless the operator accepts it
//! ([`crate::lifecycle::consent`]); a later verification without one clears it.

use std::time::{Duration, Instant};

use super::driver::Driver;
use super::halt::Halt;
use super::line::Line;
use super::trouble::Trouble;
use super::verify::{Asked, Pass};
use super::{Job, Until};
use crate::journal::verification;
use crate::lifecycle::consent::Consents;
use crate::lifecycle::event::Verb;
use crate::lifecycle::state::State;
use crate::lifecycle::step::Refusal;
use crate::lifecycle::verification::{Verification, named};
use crate::mysql::verify::Examiner;

/// A range that took a second is followed by so many seconds without one.
const REST: u32 = 19;
/// After a swap, the first pass begins so soon, unless passes are further apart than that anyway.
const FIRST: Duration = Duration::from_secs(60);

/// The comparison in the background, and when to go on with it.
pub struct Background {
    /// From the end of a pass to the next. Zero: there are none.
    every: Duration,
    next: Instant,
    under_way: Option<(Pass, Examiner)>,
}

impl Background {
    pub fn new(job: &Job) -> Self {
        let every = if job.until == Until::Ended { job.verify_every } else { Duration::ZERO };
        Self { every, next: Instant::now() + every, under_way: None }
    }

    fn is_due(&self) -> bool {
        !self.every.is_zero() && Instant::now() >= self.next
    }

    /// The tables have just been compared.
    pub fn put_off(&mut self) {
        self.next = Instant::now() + self.every;
    }

    /// They have just been swapped.
    pub fn begin_soon(&mut self) {
        self.next = Instant::now() + self.every.min(FIRST);
    }
}

impl Driver<'_> {
    /// The stream is kept, and nothing else is to be done.
    pub(super) fn follows(&self) -> bool {
        match self.change.state {
            State::Ready | State::Revertible | State::Reverted => true,
            State::Planned
            | State::Copying
            | State::Indexing
            | State::CatchingUp
            | State::CuttingOver
            | State::Reverting
            | State::Reapplying
            | State::Completing
            | State::Completed
            | State::Expired
            | State::Cancelling
            | State::Cancelled
            | State::Failing
            | State::Failed => false,
        }
    }

    /// When a process takes the change up: what others have compared counts.
    pub(super) async fn plan_background(&mut self) -> Result<(), Halt> {
        let ago = verification::ended_ago_s(&mut self.session, &self.change).await?;
        match ago.and_then(|ago| Duration::try_from_secs_f64(ago).ok()) {
            Some(ago) => self.background.next = Instant::now() + self.background.every.saturating_sub(ago),
            None => self.background.begin_soon(),
        }
        Ok(())
    }

    /// One range of the pass under way, or of a new one, if it is time for that.
    pub(super) async fn verify_in_background(&mut self, line: &mut Line) -> Result<(), Halt> {
        if !self.background.is_due() {
            return Ok(());
        }
        let (pass, examiner) = match &mut self.background.under_way {
            Some(under_way) => under_way,
            none => {
                let examiner = line.examiner().await?;
                let asked = Asked { background: true, ..Asked::default() };
                none.insert((line.begin_verification(asked).await?, examiner))
            }
        };
        let compared = line.compare_some(examiner, pass).await;
        let ended = pass.ended();
        match compared {
            Ok(took) => self.background.next = Instant::now() + took * REST,
            // Someone wants something; if the change stays where it is, this goes on afterwards.
            Err(Trouble::Asked) => return Err(Trouble::Asked.into()),
            Err(trouble) => return Err(trouble.into()),
        }
        if ended {
            self.end_background(line).await?;
            self.background.put_off();
        }
        Ok(())
    }

    /// Puts on record how far the pass has come.
    pub(super) async fn end_background(&mut self, line: &mut Line) -> Result<(), Halt> {
        if let Some((mut pass, _)) = self.background.under_way.take() {
            line.end_verification(&mut pass).await?;
            verification::prune(&mut line.control, self.change.id).await?;
        }
        Ok(())
    }

    /// What is known to differ, if anything is.
    pub(super) async fn known_difference(&mut self) -> Result<Option<Verification>, Halt> {
        let found = verification::evidence(&mut self.session, self.change.id).await;
        Ok(found.map_err(Trouble::from)?.filter(|found| found.mismatches() > 0))
    }

    /// No swap is made over a known difference unless the operator accepts it.
    pub(super) async fn refuse_differences(&mut self, verb: Verb, consents: Consents) -> Result<(), Halt> {
        let swaps = match verb {
            Verb::Cutover
            | Verb::Revert
            | Verb::RevertAcceptingParked
            | Verb::RevertRefusingLosses
            | Verb::Reapply => true,
            Verb::Complete
            | Verb::Cancel
            | Verb::Pause
            | Verb::Resume
            | Verb::Verify
            | Verb::VerifyRepairing => false,
        };
        if !swaps || consents.differences || self.change.options.kind.whole() || !self.moves(verb) {
            return Ok(());
        }
        match self.known_difference().await? {
            Some(found) => Err(Halt::Refused(refusal(self.change.id, verb, &found))),
            None => Ok(()),
        }
    }
}

/// Why the tables are not swapped.
pub fn refusal(id: u64, verb: Verb, found: &Verification) -> Refusal {
    let named = named(&found.findings);
    Refusal {
        what: format!("the two tables are known to differ: {named}"),
        next: format!(
            "to see the rows, `rsc verify {id}`; to write them again from the live table, `rsc verify {id} --repair`; \
             to swap the tables all the same, `rsc {} {id} --accept-differences`",
            verb.name()
        ),
    }
}
