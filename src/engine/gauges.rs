//! What a run of the engine is at, for whoever wants to know it now and then. It learns most of it from the notices that
//! the run gives anyway.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Onlooker;
use crate::lifecycle::event::Verb;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::sample::{Activity, Sample};
use crate::lifecycle::state::State;

#[derive(Default)]
pub struct Gauges(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    state: Option<State>,
    paused: bool,
    verifying: bool,
    done: u64,
    goal: u64,
    applied: u64,
    /// The other table shows everything that was committed up to here.
    current_at: Option<Instant>,
    throttled: Option<String>,
    /// The tables are being locked, or are.
    locking: bool,
}

impl Gauges {
    /// An onlooker that tells `onlooker`, and is looked at here.
    pub fn listening(self: &Arc<Self>, onlooker: Onlooker) -> Onlooker {
        let gauges = Arc::clone(self);
        Arc::new(move |notice| {
            gauges.see(&notice);
            onlooker(notice);
        })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Each write is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn see(&self, notice: &Notice) {
        let mut seen = self.seen();
        match notice {
            Notice::Started { state, .. } => *seen = Seen { state: Some(*state), ..Seen::default() },
            Notice::Entered { state, kind: _ } => {
                (seen.state, seen.paused, seen.verifying) = (Some(*state), false, false);
                (seen.done, seen.goal, seen.throttled) = (0, 0, None);
            }
            Notice::Copied { rows, estimate, .. } => (seen.done, seen.goal) = (*rows, *estimate),
            Notice::Indexing { done, .. } => {
                seen.done = (done.unwrap_or(0.0) * 1000.0) as u64;
                seen.goal = if done.is_some() { 1000 } else { 0 };
            }
            Notice::Verifying { rows, estimate } => {
                (seen.verifying, seen.done, seen.goal) = (true, *rows, *estimate);
            }
            Notice::Verified(_) => (seen.verifying, seen.done, seen.goal) = (false, 0, 0),
            Notice::Paused => seen.paused = true,
            Notice::Asked { verb, granted: true, .. } => {
                let leaves_it = matches!(verb, Verb::Pause | Verb::Verify | Verb::VerifyRepairing);
                seen.paused &= leaves_it;
            }
            Notice::Throttled { reasons, .. } => seen.throttled = Some(reasons.join("; ")),
            Notice::Unthrottled { .. } => seen.throttled = None,
            Notice::Asked { .. }
            | Notice::CutoverWaits { .. }
            | Notice::Killed(_)
            | Notice::OldReaders { .. }
            | Notice::LimitsSet { .. }
            | Notice::Made { .. }
            | Notice::Behind { .. }
            | Notice::Swapped { .. }
            | Notice::SwapMissed { .. }
            | Notice::Following { .. }
            | Notice::Retrying { .. }
            | Notice::Truncated
            | Notice::Parked { .. }
            | Notice::Lost(_)
            | Notice::TakenBack { .. }
            | Notice::BinlogsShort(_)
            | Notice::InTheWay { .. }
            | Notice::Blocked { .. } => {}
        }
    }

    /// So many row changes more are in the other table.
    pub fn applied(&self, changes: u64) {
        self.seen().applied += changes;
    }

    /// The other table shows everything that was committed up to `at`.
    pub fn current(&self, at: Instant) {
        let mut seen = self.seen();
        seen.current_at = seen.current_at.max(Some(at));
    }

    /// While the tables are locked nothing is written that the application would wait for.
    pub fn locking(&self, locking: bool) {
        self.seen().locking = locking;
    }

    /// `None` while nothing is to be told. The time is the reader's to set.
    pub fn read(&self, now: Instant) -> Option<Sample> {
        let seen = self.seen();
        let doing = seen.state.and_then(Activity::of)?;
        let activity = match doing {
            _ if seen.locking => return None,
            Activity::Making | Activity::Dropping => doing,
            _ if seen.paused => Activity::Paused,
            _ if seen.verifying => Activity::Verifying,
            doing => doing,
        };
        let lag = seen.current_at.map(|at| now.saturating_duration_since(at));
        Some(Sample {
            at_ms: 0,
            activity,
            done: seen.done,
            goal: seen.goal,
            applied: seen.applied,
            lag_ms: lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX)),
            throttled: seen.throttled.clone(),
        })
    }
}
