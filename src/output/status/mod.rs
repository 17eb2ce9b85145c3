//! What `rsc status` and `rsc report` know of a change.

pub mod phases;
pub mod plot;
mod screen;

use std::time::Duration;

use serde_json::Value;

use crate::journal::record::{Change, Owner};
use crate::journal::throttle::Now;
use crate::lifecycle::notice::{Blocker, Freeze};
use crate::lifecycle::retention::Shortage;
use crate::lifecycle::sample::{Activity, Sample};
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::unseen::Unseen;
use crate::lifecycle::verdict::Verdict;
use crate::lifecycle::verification::Verification;
use crate::mysql::losses::Totals;

use super::text::duration;

pub use screen::{screen, state_tone};

/// All that is known of a change at a moment.
#[derive(Clone, Debug)]
pub struct StatusReport {
    /// By the server's clock, in milliseconds since the epoch, as all times here.
    pub now_ms: u64,
    pub change: Change,
    /// `None` when there is only one table.
    pub serving: Option<Serving>,
    pub verdict: Verdict,
    pub owner: Option<Owner>,
    pub rows_copied: u64,
    pub ledger: Totals,
    /// The last one.
    pub verification: Option<Verification>,
    /// What nobody has looked at.
    pub unseen: Option<Unseen>,
    /// The last one that tells whether the tables differ.
    pub evidence: Option<Verification>,
    /// Of the binlogs that the stream needs.
    pub shortage: Option<Shortage>,
    /// What throttles it, if a process looks at that.
    pub throttle: Option<Now>,
    /// Until a window for the first swap opens, and what the windows are.
    pub cutover_waits: Option<(Duration, String)>,
    /// The oldest first.
    pub events: Vec<Happening>,
    pub samples: Vec<Sample>,
    /// Who holds the table that is to be swapped.
    pub blockers: Vec<Blocker>,
    /// What keeps the table that is not live from being dropped, and so the change from ending, and how to get out.
    pub held: Option<String>,
    /// Commands that make sense now.
    pub next: Vec<String>,
}

/// An entry of the time line.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    pub at_ms: u64,
    pub kind: String,
    pub detail: Value,
}

/// The tables exchanged their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Swap {
    pub at_ms: u64,
    pub serving: Serving,
    pub freeze: Freeze,
}

/// They did not.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    pub at_ms: u64,
    pub why: String,
    pub blockers: Vec<Blocker>,
}

/// A sample that is older says nothing of now.
const FRESH_MS: u64 = 5_000;

impl StatusReport {
    pub fn started_ms(&self) -> u64 {
        ms_of(&self.change.started_at).unwrap_or(self.now_ms)
    }

    pub fn owner_alive(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.alive)
    }

    /// What goes on at this moment; `None` where nobody tells.
    pub fn now(&self) -> Option<&Sample> {
        let last = self.samples.last()?;
        let settled = last.activity == Activity::Following;
        let fresh = self.now_ms.saturating_sub(last.at_ms) <= if settled { 5 * FRESH_MS } else { FRESH_MS };
        (fresh && self.owner_alive() && Activity::of(self.change.state).is_some()).then_some(last)
    }

    /// How long ago the tables were known to be what they are said to be.
    pub fn evidence_age_ms(&self) -> Option<u64> {
        let ended = self.evidence.as_ref()?.ended_at.as_deref().and_then(ms_of)?;
        Some(self.now_ms.saturating_sub(ended))
    }

    /// How far a verification that is under way has come, in percent.
    pub fn being_verified(&self) -> Option<u64> {
        let running = self.verification.as_ref().filter(|found| found.outcome.is_none())?;
        let goal = self.change.rows_estimate.max(running.rows).max(1);
        self.owner_alive().then(|| (running.rows * 100 / goal).min(99))
    }

    /// Why the copy waits, if it does.
    pub fn throttled(&self) -> Option<String> {
        match &self.throttle {
            Some(now) if now.throttled => {
                let time = duration(Duration::from_secs_f64(now.for_s.unwrap_or(0.0).max(0.0)));
                Some(format!("for {time}: {}", now.reasons.join("; ")))
            }
            Some(_) => None,
            None => self.now().and_then(|now| now.throttled.clone()),
        }
    }

    /// So many indexes were left to be built after the copy. `None`: not known.
    pub fn deferred_indexes(&self) -> Option<u64> {
        let made = self.events.iter().find(|event| event.kind == "made")?;
        made.detail["indexes_deferred"].as_u64()
    }

    /// The oldest first, as all that follow.
    pub fn swaps(&self) -> Vec<Swap> {
        let swap = |event: &Happening| {
            let serving = if event.detail["serving"] == "old" { Serving::Old } else { Serving::New };
            let freeze = serde_json::from_value(event.detail.clone()).ok()?;
            Some(Swap { at_ms: event.at_ms, serving, freeze })
        };
        self.events.iter().filter(|event| event.kind == "swapped").filter_map(swap).collect()
    }

    pub fn misses(&self) -> Vec<Miss> {
        let miss = |event: &Happening| Miss {
            at_ms: event.at_ms,
            why: event.detail["why"].as_str().unwrap_or_default().to_owned(),
            blockers: serde_json::from_value(event.detail["blockers"].clone()).unwrap_or_default(),
        };
        self.events.iter().filter(|event| event.kind == "swap_missed").map(miss).collect()
    }

    /// The change is on its way to where the operator wants it.
    pub fn moving(&self) -> bool {
        !self.change.state.settled() && self.change.state != State::Planned
    }
}

/// `2026-11-21 10:30:59.123`, UTC, as the server writes it. `None` for what is no time.
pub fn ms_of(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

/// `2026-11-21 10:30:59`, UTC.
pub fn time_of(ms: u64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_seconds(at).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// How long the change can still be taken back. `None` when that is not the question.
pub fn window_left_ms(report: &StatusReport) -> Option<u64> {
    let end = report.change.window_ends_at.as_deref().and_then(ms_of)?;
    match report.change.state {
        State::Revertible | State::Reverting | State::Reverted | State::Reapplying => {
            Some(end.saturating_sub(report.now_ms))
        }
        _ => None,
    }
}
