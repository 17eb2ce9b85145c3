//! The course of a change: what it did when, how fast, and how far behind. The way to the first swap and the time after
//! it are drawn apart: minutes would be nothing beside days.

use maud::{Markup, html as markup};

use super::drawing::{Across, Band, Frame, axis, bands, plot};
use crate::lifecycle::state::State;
use crate::lifecycle::trend::{self, Wait};
use crate::lifecycle::verification::{Outcome, Verification};
use crate::output::status::phases::entered;
use crate::output::status::plot::Span;
use crate::output::status::{StatusReport, ms_of};
use crate::output::text::{brief, count, state_in_words};

pub fn before_the_swap(report: &StatusReport, verifications: &[Verification]) -> Markup {
    let frame = Frame { from_ms: report.started_ms(), to_ms: first_swap(report).unwrap_or(end(report)) };
    if report.change.options.in_place.is_some() || report.change.options.kind.whole() {
        return markup! {};
    }
    markup! {
        section {
            h2 { "The way to the first swap" small { " " (brief(frame.length_ms())) } }
            (drawn(report, verifications, frame, true))
        }
    }
}

pub fn since_the_swap(report: &StatusReport, verifications: &[Verification]) -> Markup {
    let Some(from_ms) = first_swap(report) else { return markup! {} };
    let frame = Frame { from_ms, to_ms: end(report) };
    markup! {
        section {
            h2 { "Since the first swap" small { " " (brief(frame.length_ms())) } }
            (drawn(report, verifications, frame, false))
        }
    }
}

fn first_swap(report: &StatusReport) -> Option<u64> {
    let swapped = |(state, at): &(State, u64)| (!state.before_first_swap()).then_some(*at);
    let entered = entered(report).iter().find_map(swapped);
    entered.filter(|_| report.change.options.in_place.is_none())
}

/// Now; of a change that has ended, when it did.
fn end(report: &StatusReport) -> u64 {
    let last = report.events.iter().map(|event| event.at_ms).max();
    match last {
        Some(last) if report.change.state.ended() => last,
        _ => report.now_ms,
    }
}

fn drawn(report: &StatusReport, verifications: &[Verification], frame: Frame, copy: bool) -> Markup {
    let states = states(report, &frame);
    let checks = checks(report, verifications, &frame);
    let waits = trend::waits(&report.samples);
    let waits: Vec<&Wait> =
        waits.iter().filter(|w| w.from_ms <= frame.to_ms && w.to_ms >= frame.from_ms).collect();
    let waited: Vec<(u64, u64)> = waits.iter().map(|w| (w.from_ms, w.to_ms)).collect();
    let marks: Vec<u64> =
        report.swaps().iter().map(|swap| swap.at_ms).filter(|at| frame.holds(*at)).collect();
    let across = Across { waits: &waited, marks: &marks };
    let sampled = report.samples.iter().filter(|sample| frame.holds(sample.at_ms)).count();
    // A round of the copy takes two seconds: shorter columns would show its breath, not its speed.
    let columns = usize::try_from(frame.length_ms() / 2_500).unwrap_or(usize::MAX).clamp(4, 240);
    let span = Span { from_ms: frame.from_ms, to_ms: frame.to_ms.max(frame.from_ms + 1), columns };
    let copied = span.rates(&trend::copy_rates(&report.samples));
    let applied = span.rates(&trend::apply_rates(&report.samples));
    let lags = span.lags(&report.samples);
    let at_most = |values: &[Option<f64>], shown: &dyn Fn(f64) -> String| {
        format!("up to {}", shown(values.iter().flatten().copied().fold(0.0, f64::max)))
    };
    let rate = |value: f64| format!("{}/s", count(value.round() as u64));
    let seconds = |value: f64| brief((value * 1000.0) as u64);
    markup! {
        div.course {
            (bands(&frame, "state", &states))
            @if !checks.is_empty() { (bands(&frame, "verify", &checks)) }
            @if sampled > 1 {
                @if copy { (plot(&frame, "rows copied", "copy", &copied, &at_most(&copied, &rate), &across)) }
                (plot(&frame, "changes applied", "apply", &applied, &at_most(&applied, &rate), &across))
                (plot(&frame, "lag", "lag", &lags, &at_most(&lags, &seconds), &across))
            }
            (axis(&frame))
        }
        @if sampled <= 1 { p.note { "Too short, or driven by nobody: there are no measurements to plot." } }
        (legend(&states, !waits.is_empty(), !marks.is_empty()))
    }
}

fn states(report: &StatusReport, frame: &Frame) -> Vec<Band> {
    let entered = entered(report);
    let ends = entered.iter().skip(1).map(|(_, at)| *at).chain([frame.to_ms]);
    entered
        .iter()
        .zip(ends)
        .map(|((state, from), to)| (*state, (*from).max(frame.from_ms), to.min(frame.to_ms)))
        .filter(|(state, from, to)| from < to && !state.ended())
        .map(|(state, from_ms, to_ms)| Band {
            from_ms,
            to_ms,
            class: class(state),
            name: state_in_words(state),
        })
        .collect()
}

fn class(state: State) -> &'static str {
    match state {
        State::Planned => "making",
        State::Copying => "copying",
        State::Indexing => "indexing",
        State::CatchingUp => "catching",
        State::Ready | State::Revertible => "serving-new",
        State::Reverted => "serving-old",
        State::CuttingOver | State::Reverting | State::Reapplying => "swapping",
        State::Completing | State::Completed | State::Expired => "ending",
        State::Cancelling | State::Cancelled | State::Failing | State::Failed => "failing",
    }
}

fn checks(report: &StatusReport, verifications: &[Verification], frame: &Frame) -> Vec<Band> {
    let band = |found: &Verification| {
        let from_ms = ms_of(&found.began_at)?;
        let to_ms = found.ended_at.as_deref().and_then(ms_of).unwrap_or(report.now_ms);
        let (class, name) = match found.outcome {
            Some(Outcome::Equal) => ("equal", "equal"),
            Some(Outcome::Differs) => ("differs", "differs"),
            Some(Outcome::BrokenOff) => ("broken", "broken off"),
            None => ("broken", "running"),
        };
        let meets = from_ms < frame.to_ms && to_ms > frame.from_ms;
        let (from_ms, to_ms) = (from_ms.max(frame.from_ms), to_ms.min(frame.to_ms));
        meets.then(|| Band { from_ms, to_ms, class, name: name.into() })
    };
    verifications.iter().filter_map(band).collect()
}

/// Each state once, with all its time.
fn legend(states: &[Band], waits: bool, marks: bool) -> Markup {
    let mut sums: Vec<(&str, &str, u64)> = Vec::new();
    for band in states {
        let took = band.to_ms - band.from_ms;
        match sums.iter_mut().find(|(_, name, _)| *name == band.name) {
            Some((_, _, sum)) => *sum += took,
            None => sums.push((band.class, &band.name, took)),
        }
    }
    markup! {
        ul.legend {
            @for (class, name, sum) in &sums {
                li { i class={ "band " (class) } {} (name) " " b { (brief(*sum)) } }
            }
            @if waits { li { i.waited {} "the copy waits (throttled)" } }
            @if marks { li { i.marked {} "tables swapped" } }
        }
    }
}
