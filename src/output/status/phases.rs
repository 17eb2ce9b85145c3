//! The way of a change up to its first swap, from its time line.

use super::StatusReport;
use crate::lifecycle::state::State;
use crate::lifecycle::verification::Verification;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Make,
    Copy,
    Index,
    CatchUp,
    Verify,
    Swap,
}

impl Step {
    pub fn name(self) -> &'static str {
        match self {
            Step::Make => "make",
            Step::Copy => "copy",
            Step::Index => "indexes",
            Step::CatchUp => "catch up",
            Step::Verify => "verify",
            Step::Swap => "swap",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    Now,
    ToCome,
    /// The change ended before, or within it.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    pub step: Step,
    pub progress: Progress,
    pub from_ms: Option<u64>,
    /// Until now, where it goes on.
    pub to_ms: Option<u64>,
}

impl Phase {
    pub fn took_ms(&self) -> Option<u64> {
        Some(self.to_ms?.saturating_sub(self.from_ms?))
    }
}

/// When each state was entered, the first first.
pub fn entered(report: &StatusReport) -> Vec<(State, u64)> {
    let planned = [(State::Planned, report.started_ms())];
    let later = report.events.iter().filter_map(|event| Some((event.kind.parse().ok()?, event.at_ms)));
    planned.into_iter().chain(later).collect()
}

/// In order. Empty for a change that needs no second table.
pub fn phases(report: &StatusReport) -> Vec<Phase> {
    if report.change.options.in_place.is_some() || report.change.options.kind.whole() {
        return Vec::new();
    }
    let entered = entered(report);
    // From the first swap on states come back.
    let end =
        entered.iter().position(|(state, _)| !state.before_first_swap()).map_or(entered.len(), |i| i + 1);
    let way = &entered[..end];
    let swapped = way.iter().any(|(state, _)| !state.before_first_swap());
    let gone = !swapped
        && matches!(
            report.change.state,
            State::Cancelling | State::Cancelled | State::Failing | State::Failed
        );
    let of = |step: Step| -> Phase {
        let place = |(i, (state, _)): (usize, &(State, u64))| (step_of(*state) == Some(step)).then_some(i);
        let first = way.iter().enumerate().find_map(place);
        let last = way.iter().enumerate().rev().find_map(place);
        let from_ms = first.map(|i| way[i].1);
        let next = last.and_then(|i| way.get(i + 1));
        let ended = |(state, _): &(State, u64)| matches!(state, State::Cancelling | State::Failing);
        let (progress, to_ms) = match (last, next) {
            (None, _) if swapped => (Progress::Done, None),
            (None, _) if gone => (Progress::Never, None),
            (None, _) => (Progress::ToCome, None),
            (Some(_), Some(next)) if ended(next) => (Progress::Never, Some(next.1)),
            (Some(_), Some(next)) => (Progress::Done, Some(next.1)),
            (Some(_), None) => (Progress::Now, Some(report.now_ms)),
        };
        Phase { step, progress, from_ms, to_ms }
    };
    let mut phases = vec![of(Step::Make), of(Step::Copy)];
    let indexes = of(Step::Index);
    if indexes.from_ms.is_some() || report.deferred_indexes().is_some_and(|n| n > 0) && !gone {
        phases.push(indexes);
    }
    let catching_up = of(Step::CatchUp);
    phases.push(catching_up);
    if report.change.options.verify {
        phases.push(verifying(report, catching_up));
    }
    let swap = of(Step::Swap);
    phases.push(swap);
    phases
}

fn step_of(state: State) -> Option<Step> {
    match state {
        State::Planned => Some(Step::Make),
        State::Copying => Some(Step::Copy),
        State::Indexing => Some(Step::Index),
        State::CatchingUp => Some(Step::CatchUp),
        State::CuttingOver => Some(Step::Swap),
        State::Ready
        | State::Revertible
        | State::Reverting
        | State::Reverted
        | State::Reapplying
        | State::Completing
        | State::Completed
        | State::Expired
        | State::Cancelling
        | State::Cancelled
        | State::Failing
        | State::Failed => None,
    }
}

/// It is work of catching up.
fn verifying(report: &StatusReport, catching_up: Phase) -> Phase {
    let step = Step::Verify;
    let times = |found: &Verification| {
        let ended = found.ended_at.as_deref().and_then(super::ms_of);
        Some((super::ms_of(&found.began_at)?, ended.unwrap_or(report.now_ms)))
    };
    let inside = |found: &&Verification| {
        let (first, last) = (catching_up.from_ms.unwrap_or(u64::MAX), catching_up.to_ms.unwrap_or(0));
        times(found).is_some_and(|(from, to)| first <= from && to <= last)
    };
    let within = report.verification.as_ref().filter(inside);
    let (from_ms, to_ms) = within.and_then(times).unzip();
    match (catching_up.progress, within) {
        (Progress::Now, Some(found)) if found.outcome.is_none() => {
            Phase { step, progress: Progress::Now, from_ms, to_ms }
        }
        (Progress::Now, _) => Phase { step, progress: Progress::ToCome, from_ms: None, to_ms: None },
        (progress, _) => Phase { step, progress, from_ms, to_ms },
    }
}
