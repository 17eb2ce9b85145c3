//! `rsc report --html`: the whole course of a change as one page.
//!
//! Nothing of it comes from elsewhere and nothing runs: the plots are drawn here, and the page forbids scripts and the
//! network to itself. All text from a server goes through the templates' escaping.

mod course;
mod drawing;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use super::status::phases::phases;
use super::status::{StatusReport, time_of};
use super::text::{binlogs_short, brief, count, duration, plural, state_in_words};
use crate::lifecycle::state::State;
use crate::lifecycle::verdict::Verdict;
use crate::lifecycle::verification::Verification;

const STYLE: &str = include_str!("page.css");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page. `server` is where the change is.
pub fn html(report: &StatusReport, verifications: &[Verification], server: &str) -> String {
    let change = &report.change;
    let title = format!("Change {} on {}", change.id, change.table.plain());
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) " · rsc" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head(report, server))
                    (figures(report, verifications))
                    (course::before_the_swap(report, verifications))
                    (course::since_the_swap(report, verifications))
                    (tables::swaps(report))
                    (tables::misses(report))
                    (tables::waits(report))
                    (tables::verifications(verifications))
                    (tables::blockers(report))
                    (tables::definitions(report))
                    (tables::events(report))
                }
                footer {
                    "Written by rsc " (env!("CARGO_PKG_VERSION")) " at " (time_of(report.now_ms)) " UTC, by the clock of the \
                    server. All times are UTC. This page loads nothing and runs nothing."
                }
            }
        }
    };
    page.into_string()
}

fn head(report: &StatusReport, server: &str) -> Markup {
    let change = &report.change;
    markup! {
        header {
            p.over { "rsc · change " (change.id) " on " (server) }
            h1 {
                (change.table.plain()) " "
                span.badge.(badge(change.state)) { (state_in_words(change.state)) }
                @if change.paused { " " span.badge.warn { "paused" } }
            }
            pre.statement { code { (change.statement) } }
            @if let Some(reason) = &change.reason { p.reason { strong { "Why: " } (reason) } }
            p.verdict.(tone(&report.verdict)) { strong { "Can it be taken back? " } (report.verdict) "." }
            @if !report.next.is_empty() {
                p.next {
                    span { "Next:" }
                    @for next in &report.next { " " code { (next) } }
                }
            }
        }
    }
}

fn badge(state: State) -> &'static str {
    match state {
        State::Ready | State::Revertible | State::Reverted | State::Completed => "good",
        State::Failing | State::Failed => "bad",
        State::Planned | State::Expired | State::Cancelled => "quiet",
        State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::CuttingOver
        | State::Reverting
        | State::Reapplying
        | State::Completing
        | State::Cancelling => "busy",
    }
}

fn tone(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ready | Verdict::Whole => "good",
        Verdict::ReadyWithLosses(_) | Verdict::CatchesUpFirst { .. } | Verdict::ComparesFirst(_) => "warn",
        Verdict::Blocked(_) | Verdict::Differs(_) => "bad",
        Verdict::Impossible(_) | Verdict::Unknown(_) | Verdict::NotYet | Verdict::TableNotYet => "quiet",
    }
}

/// What a person asks first.
fn figures(report: &StatusReport, verifications: &[Verification]) -> Markup {
    let change = &report.change;
    let phases = phases(report);
    let took = phases.first().and_then(|p| p.from_ms).zip(phases.iter().rev().find_map(|p| p.to_ms));
    let window_left = super::status::window_left_ms(report);
    let mut cards: Vec<(&str, String, String)> = Vec::new();
    if change.options.in_place.is_none() && !change.options.kind.whole() {
        let estimate = format!("of about {}", count(change.rows_estimate));
        let took = took.map_or(estimate.clone(), |(from, to)| format!("in {}", brief(to - from)));
        let note = if change.state.before_first_swap() { estimate } else { took };
        cards.push(("Rows copied", count(report.rows_copied), note));
    }
    if let Some(ms) = change.freeze_ms {
        let swaps = report.swaps().len().max(1) as u64;
        let note = format!("at the last of {}", plural(swaps, "swap"));
        cards.push(("Writers waited", format!("{ms:.1} ms"), note));
    }
    if let Some(lag_ms) = report.now().and_then(|now| now.lag_ms) {
        cards.push(("Lag", brief(lag_ms), "how old the other table is".into()));
    }
    if let Some(left) = window_left {
        let window = duration(std::time::Duration::from_secs(change.options.revert_window_s));
        cards.push(("Way back", brief(left), format!("left of {window}")));
    }
    if let Some(last) = verifications.last() {
        let result = match last.outcome {
            None => "running".to_owned(),
            Some(_) if last.mismatches() > 0 => format!("{} differ", plural(last.mismatches() as u64, "row")),
            Some(outcome) => outcome.name().replace('_', " "),
        };
        cards.push(("Verified", result, format!("{} compared", plural(last.rows, "row"))));
    }
    let ledger = report.ledger;
    let parked = format!("and {}", plural(ledger.parked, "parked row"));
    cards.push(("Lost values", count(ledger.losses), parked));
    let owner = match &report.owner {
        Some(owner) if owner.alive => ("alive".to_owned(), owner.who.clone()),
        Some(owner) => ("none".into(), format!("{} until {:.0} s ago", owner.who, owner.silent_s)),
        None => ("none".into(), "no process drives it".into()),
    };
    cards.push(("Owner", owner.0, owner.1));
    markup! {
        section.cards {
            @for (name, figure, note) in &cards {
                div.card { p.name { (name) } p.figure { (figure) } p.note { (note) } }
            }
        }
        @if let Some(shortage) = report.shortage {
            p.verdict.warn { strong { "Binlogs: " } (binlogs_short(shortage)) }
        }
    }
}
