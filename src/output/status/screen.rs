//! The screen of `rsc status`: lines, the most important first. Where the terminal is too low for all of them, the
//! time line goes first.

use std::time::Duration;

use super::phases::{Phase, Progress, Step, phases};
use super::plot::{Span, bar, spark};
use super::{Miss, StatusReport, Swap, ms_of, time_of};
use crate::journal::record::Owner;
use crate::lifecycle::sample::Activity;
use crate::lifecycle::state::State;
use crate::lifecycle::trend::{self, Left, Wait};
use crate::lifecycle::verdict::Verdict;
use crate::lifecycle::verification::Outcome;
use crate::mysql::losses::Totals;
use crate::output::ink::{LABEL, Line, Look, Tone, field};
use crate::output::text::{
    binlogs_short, blocker, brief, count, cutover_waits, duration, one_line, plural, state_in_words,
};
use crate::output::{verification, whole};

/// Plots show at most so long.
const PLOT_MAX_MS: u64 = 30 * 60 * 1000;
/// What was known so long ago is still told as what is.
const NOW_MS: u64 = 2_500;
const PLOT_COLUMNS_MAX: usize = 60;
const BAR_COLUMNS: usize = 24;
const WINDOW_COLUMNS: usize = 20;
const SWAPS_SHOWN: usize = 2;
const EVENTS_SHOWN: usize = 12;
/// On a terminal a statement is cut to so many lines.
const STATEMENT_LINES: usize = 2;

pub fn screen(report: &StatusReport, look: &Look) -> Vec<Line> {
    let fits = |sections: &[Vec<Line>; 5]| {
        look.height.is_none_or(|height| sections.iter().map(Vec::len).sum::<usize>() <= height)
    };
    let mut sections = sections(report, look);
    // In the order in which they can be spared.
    if !fits(&sections) {
        sections[0] = head(report, look, 1);
    }
    if !fits(&sections) {
        sections.iter_mut().for_each(|lines| lines.retain(|line| line.width() > 0));
    }
    if !fits(&sections) {
        sections[2].clear();
    }
    let taken: usize = sections.iter().map(Vec::len).sum();
    let room = look.height.map_or(EVENTS_SHOWN, |height| height.saturating_sub(taken).min(EVENTS_SHOWN));
    let [head, progress, plots, facts, next] = sections;
    [head, progress, plots, facts, events(report, room), next].concat()
}

fn sections(report: &StatusReport, look: &Look) -> [Vec<Line>; 5] {
    [
        head(report, look, STATEMENT_LINES),
        progress(report, look),
        plots(report, look),
        facts(report, look),
        next(report, look),
    ]
}

pub fn state_tone(state: State) -> Tone {
    match state {
        State::Planned | State::Expired | State::Cancelled => Tone::Plain,
        State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::CuttingOver
        | State::Reverting
        | State::Reapplying
        | State::Completing
        | State::Cancelling => Tone::Busy,
        State::Ready | State::Revertible | State::Reverted | State::Completed => Tone::Good,
        State::Failing | State::Failed => Tone::Bad,
    }
}

fn head(report: &StatusReport, look: &Look, statement_lines: usize) -> Vec<Line> {
    let change = &report.change;
    let mut head = Line::of(Tone::Bold, &format!("change {} on {}", change.id, change.table.plain()))
        .and(Tone::Plain, ": ")
        .and(state_tone(change.state), &state_in_words(change.state));
    if change.paused {
        head = head.and(Tone::Warn, ", paused");
    }
    let mut lines = vec![head];
    let statement = one_line(&change.statement, usize::MAX);
    lines.extend(first_lines(field(look, "statement", Tone::Plain, &statement), statement_lines, look));
    // Of a table as a whole the verdict says what is in the way now; the reason is that of the last attempt.
    let attempted = change.options.kind.whole() && change.state.settled() && !change.state.ended();
    if let Some(reason) = change.reason.as_ref().filter(|_| !attempted) {
        lines.extend(field(look, "reason", Tone::Bad, reason));
    }
    lines
}

/// The last of them says that there is more.
fn first_lines(mut lines: Vec<Line>, most: usize, look: &Look) -> Vec<Line> {
    if lines.len() > most {
        lines.truncate(most);
        let more = if look.unicode { " …" } else { " ..." };
        let room = look.columns().saturating_sub(more.chars().count());
        let last = lines.pop().unwrap_or_default().cut(room).and(Tone::Dim, more);
        lines.push(last);
    }
    lines
}

/// The way to the first swap while it lasts; afterwards how long the way back stays open.
fn progress(report: &StatusReport, look: &Look) -> Vec<Line> {
    if report.change.options.in_place.is_some() {
        return field(look, "made", Tone::Plain, "by the server itself, in place: no rows are copied");
    }
    if report.change.options.kind.whole() {
        return window(report, look);
    }
    match report.change.state {
        state if state.before_first_swap() => {
            let phases = phases(report);
            let begun = phases.iter().filter(|phase| phase.from_ms.is_some());
            let mut lines: Vec<Line> = begun.flat_map(|phase| phase_lines(report, phase, look)).collect();
            lines.extend(to_come(report, &phases, look));
            lines
        }
        State::Revertible | State::Reverting | State::Reverted | State::Reapplying => {
            [made(report, look), window(report, look)].concat()
        }
        _ => made(report, look),
    }
}

fn phase_lines(report: &StatusReport, phase: &Phase, look: &Look) -> Vec<Line> {
    let (sign, ascii, tone) = match phase.progress {
        Progress::Done => ("✓", "+", Tone::Good),
        Progress::Now => ("▶", ">", Tone::Busy),
        Progress::ToCome => ("·", ".", Tone::Dim),
        Progress::Never => ("✗", "x", Tone::Dim),
    };
    let sign = if look.unicode { sign } else { ascii };
    let label = Line::of(tone, sign).and(tone, &format!(" {:<10} ", phase.step.name()));
    let took = || phase.took_ms().map_or_else(String::new, brief);
    match phase.progress {
        Progress::Done if phase.step == Step::Copy => {
            let rows = plural(report.rows_copied, "row");
            vec![label.and(Tone::Plain, &format!("{rows} in {}", took()))]
        }
        Progress::Done => vec![label.and(Tone::Plain, &took())],
        Progress::ToCome | Progress::Never => vec![label],
        Progress::Now => now_lines(report, phase, label, look),
    }
}

fn to_come(report: &StatusReport, phases: &[Phase], look: &Look) -> Vec<Line> {
    let name = |phase: &Phase| match phase.step {
        Step::Swap if report.change.options.postpone_cutover => "swap (at `rsc cutover`)",
        step => step.name(),
    };
    let coming: Vec<&str> =
        phases.iter().filter(|phase| phase.progress == Progress::ToCome).map(name).collect();
    if coming.is_empty() {
        return Vec::new();
    }
    let sign = if look.unicode { "·" } else { "." };
    let label = Line::of(Tone::Dim, &format!("{sign} {:<10} ", "to come"));
    vec![label.and(Tone::Dim, &coming.join(", "))]
}

/// What goes on: how far, how fast, how long still.
fn now_lines(report: &StatusReport, phase: &Phase, label: Line, look: &Look) -> Vec<Line> {
    let indent = || Line::of(Tone::Plain, &" ".repeat(LABEL));
    let now = report.now();
    let since = phase.took_ms().map_or_else(String::new, |ms| format!("for {}", brief(ms)));
    let (done, goal) = match (phase.step, now) {
        (Step::Copy, now) => {
            let goal = now.map_or(0, |now| now.goal).max(report.change.rows_estimate);
            (report.rows_copied, goal.max(report.rows_copied + 1))
        }
        (Step::Verify | Step::Index, Some(now)) if now.goal > 0 => (now.done, now.goal),
        _ => return vec![label.and(Tone::Plain, &since)],
    };
    let share = done as f64 / goal as f64;
    let columns = BAR_COLUMNS.min(look.columns() / 3);
    let how_far = match phase.step {
        Step::Index => format!("of the indexes, {since}"),
        _ => format!("{} of about {} rows", count(done), count(goal)),
    };
    let first = label
        .and(Tone::Busy, &bar(share, columns, look.unicode))
        .and(Tone::Bold, &format!(" {:>3.0}%", (share * 100.0).min(99.0).floor()));
    let mut lines = match first.width() + 2 + how_far.chars().count() <= look.columns() {
        true => vec![first.and(Tone::Plain, &format!("  {how_far}"))],
        false => vec![first, indent().and(Tone::Plain, &how_far)],
    };
    let speed = trend::rate_now(&report.samples).filter(|_| now.is_some() && phase.step != Step::Index);
    let speed = speed.map(|rate| format!("{} rows/s", count(rate as u64)));
    let left = trend::left(&report.samples).filter(|_| now.is_some()).map(|left| ending(left, look));
    let told: Vec<String> = [speed, left].into_iter().flatten().collect();
    if !told.is_empty() {
        lines.push(indent().and(Tone::Plain, &told.join(", ")));
    }
    lines
}

/// `3m 10s ± 20s left`
fn ending(left: Left, look: &Look) -> String {
    let sign = if look.unicode { "±" } else { "+-" };
    let grain = match left.seconds {
        s if s < 120.0 => 1.0,
        s if s < 3_600.0 => 10.0,
        _ => 60.0,
    };
    let rounded = |s: f64| duration(Duration::from_secs_f64(((s / grain).round().max(1.0)) * grain));
    format!("{} {sign} {} left", rounded(left.seconds), rounded(left.error_s))
}

/// How the table was made, once it is.
fn made(report: &StatusReport, look: &Look) -> Vec<Line> {
    let phases = phases(report);
    let (first, last) = (phases.first(), phases.iter().rev().find(|phase| phase.to_ms.is_some()));
    let all = first.and_then(|first| first.from_ms).zip(last.and_then(|last| last.to_ms));
    let Some((from, to)) = all else { return Vec::new() };
    let part = |phase: &Phase| {
        let took = phase.took_ms().filter(|ms| *ms >= 100)?;
        Some(format!("{} {}", phase.step.name(), brief(took)))
    };
    let parts: Vec<String> = phases.iter().filter_map(part).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    let text = format!("{} in {}{parts}", plural(report.rows_copied, "row"), brief(to - from));
    field(look, "made", Tone::Plain, &text)
}

fn window(report: &StatusReport, look: &Look) -> Vec<Line> {
    let end = report.change.window_ends_at.as_deref().and_then(super::ms_of);
    let Some(end) = end else { return Vec::new() };
    let all_ms = report.change.options.revert_window_s.max(1) * 1000;
    let left_ms = end.saturating_sub(report.now_ms);
    let columns = BAR_COLUMNS.min(look.columns() / 3);
    let tone = if left_ms * 10 < all_ms { Tone::Warn } else { Tone::Good };
    let text = format!("  {} left, until {} UTC", brief(left_ms), time_of(end));
    vec![
        Line::of(Tone::Dim, &format!("  {:<10} ", "window"))
            .and(tone, &bar(left_ms as f64 / all_ms as f64, columns.min(WINDOW_COLUMNS), look.unicode))
            .and(Tone::Plain, &text),
    ]
}

/// Rate, lag and waits over the last half hour, or since the change began.
fn plots(report: &StatusReport, look: &Look) -> Vec<Line> {
    let samples = &report.samples;
    if report.now().is_none() || samples.len() < 3 {
        return Vec::new();
    }
    let from_ms = report.started_ms().max(report.now_ms.saturating_sub(PLOT_MAX_MS)).max(samples[0].at_ms);
    let columns = PLOT_COLUMNS_MAX.min(look.columns().saturating_sub(LABEL + 32)).max(10);
    let span = Span { from_ms, to_ms: report.now_ms.max(from_ms + 1), columns };
    // The last sample may be a moment old.
    let fresh = usize::try_from(NOW_MS * columns as u64 / (span.to_ms - span.from_ms)).unwrap_or(columns) + 1;
    let copying = samples.iter().any(|s| s.at_ms >= from_ms && s.activity == Activity::Copying);
    let mut lines = vec![Line::new()];
    let mut plot = |label: &str, values: &[Option<f64>], shown: &dyn Fn(f64) -> String| {
        let known = || values.iter().flatten().copied();
        let most = shown(known().fold(0.0, f64::max));
        let text = match values.iter().rev().take(fresh).flatten().next() {
            Some(last) => format!(" {} now, {most} at most", shown(*last)),
            None if known().next().is_none() => return,
            None => format!(" {most} at most"),
        };
        lines.push(
            Line::of(Tone::Dim, &format!("  {label:<10} "))
                .and(Tone::Busy, &spark(values, look.unicode))
                .and(Tone::Plain, &text),
        );
    };
    if copying {
        plot("rows/s", &span.rates(&trend::copy_rates(samples)), &|rate| count(rate as u64));
    }
    plot("changes/s", &span.rates(&trend::apply_rates(samples)), &|rate| count(rate as u64));
    plot("lag", &span.lags(samples), &|seconds| format!("{seconds:.1} s"));
    let waits = trend::waits(samples);
    let waiting = span.waits(&waits);
    if waiting.contains(&true) {
        let sign = if look.unicode { '▒' } else { 'w' };
        let row: String = waiting.iter().map(|waits| if *waits { sign } else { ' ' }).collect();
        let within = |wait: &Wait| wait.to_ms.min(span.to_ms).saturating_sub(wait.from_ms.max(span.from_ms));
        let ms: u64 = waits.iter().map(within).sum();
        let line = Line::of(Tone::Dim, &format!("  {:<10} ", "waits")).and(Tone::Warn, &row);
        lines.push(line.and(Tone::Plain, &format!(" for {} in all", brief(ms))));
    }
    let over = format!("{}over the last {}", " ".repeat(LABEL), brief(span.to_ms - span.from_ms));
    lines.push(Line::of(Tone::Dim, &over));
    lines
}

fn facts(report: &StatusReport, look: &Look) -> Vec<Line> {
    let change = &report.change;
    let mut lines = Vec::new();
    let mut add = |label: &str, tone: Tone, text: &str| lines.extend(field(look, label, tone, text));
    if let Some(why) = report.throttled() {
        add("throttled", Tone::Warn, &why);
    }
    if let Some(lag) = report.throttle.as_ref().and_then(|now| now.lag_ms) {
        add("replicas", Tone::Plain, &format!("{lag:.0} ms behind, the one that is furthest"));
    }
    if let Some((wait, windows)) = &report.cutover_waits {
        add("cut-over", Tone::Warn, &cutover_waits(windows, *wait));
    }
    for (i, held) in report.blockers.iter().enumerate() {
        add(if i == 0 { "in the way" } else { "" }, Tone::Warn, blocker(held).trim_start());
    }
    for (i, line) in swaps(report).iter().enumerate() {
        let label = if change.options.kind.whole() { "renamed" } else { "swaps" };
        add(if i == 0 { label } else { "" }, Tone::Plain, line);
    }
    if let Some(serving) = report.serving {
        match change.options.kind.whole() {
            true => add("table", Tone::Plain, &whole::place(change, serving)),
            false => add("serving", Tone::Plain, &format!("{} schema", serving.name())),
        }
    }
    add("revert", verdict_tone(&report.verdict), &report.verdict.to_string());
    if let Some(held) = &report.held {
        let label = if change.state.before_first_swap() { "cancel" } else { "complete" };
        add(label, Tone::Warn, &format!("not yet: {held}"));
    }
    if report.ledger != Totals::default() {
        let Totals { parked, losses } = report.ledger;
        let text = format!("{}, {}", plural(losses, "lost value"), plural(parked, "parked row"));
        add("ledger", Tone::Warn, &text);
    }
    if let Some((tone, text)) = verified(report) {
        add("verify", tone, &text);
    }
    if let Some(shortage) = report.shortage {
        add("binlogs", Tone::Warn, &binlogs_short(shortage));
    }
    let needed =
        Activity::of(change.state).is_some() && !report.owner_alive() && !change.options.kind.whole();
    add("owner", if needed { Tone::Warn } else { Tone::Plain }, &owner(report.owner.as_ref()));
    let mut facts = vec![Line::new()];
    facts.extend(lines);
    facts
}

/// What is known of the two tables, since when, and whether they are being looked at.
fn verified(report: &StatusReport) -> Option<(Tone, String)> {
    let under_way = report.being_verified().map(|percent| format!("being verified: {percent}%"));
    // One that was broken off tells nothing, as long as an earlier one tells more.
    let found = report.evidence.as_ref().or(report.verification.as_ref().filter(|f| f.outcome.is_some()));
    let known = found.map(|found| {
        let at = found.ended_at.as_deref().unwrap_or(&found.began_at);
        let ago = ms_of(at).map(|at| match report.now_ms.saturating_sub(at) {
            0..1_000 => " just now".to_owned(),
            ms => format!(" {} ago", duration(Duration::from_secs(ms / 1_000))),
        });
        let result = verification::result(found);
        let result = result.trim_start_matches("verified: ");
        let (tone, word) = match (found.mismatches(), found.outcome) {
            (1.., _) => (Tone::Bad, "differs, as found"),
            (0, Some(Outcome::Equal)) => (Tone::Good, "verified"),
            (0, _) => (Tone::Plain, "looked at"),
        };
        (tone, format!("{word}{}: {result}", ago.unwrap_or_default()))
    });
    match (known, under_way) {
        (Some((tone, known)), Some(now)) => Some((tone, format!("{known}; {now}"))),
        (Some(known), None) => Some(known),
        (None, Some(now)) => Some((Tone::Plain, now)),
        (None, None) => report.verification.as_ref().map(|found| (Tone::Plain, verification::result(found))),
    }
}

fn verdict_tone(verdict: &Verdict) -> Tone {
    match verdict {
        Verdict::Ready | Verdict::Whole => Tone::Good,
        Verdict::ReadyWithLosses(_) | Verdict::CatchesUpFirst { .. } | Verdict::ComparesFirst(_) => {
            Tone::Warn
        }
        Verdict::Blocked(_) | Verdict::Differs(_) => Tone::Bad,
        Verdict::Impossible(_) | Verdict::Unknown(_) | Verdict::NotYet | Verdict::TableNotYet => Tone::Plain,
    }
}

/// The last ones, and the last attempt that came to nothing after them.
fn swaps(report: &StatusReport) -> Vec<String> {
    let swaps = report.swaps();
    let mut lines: Vec<String> = Vec::new();
    let kind = report.change.options.kind;
    for Swap { at_ms, serving, freeze } in swaps.iter().rev().take(SWAPS_SHOWN).rev() {
        if kind.whole() {
            let waited = match serving.has_table(kind) {
                // Nobody waits for a table that is not there.
                true => "the table is there".to_owned(),
                false => format!("the table is away; whoever used it waited {:.1} ms", freeze.freeze_ms),
            };
            lines.push(format!("{} UTC  {waited}", time_of(*at_ms)));
            continue;
        }
        lines.push(format!(
            "{} UTC  to the {} schema, writers waited {:.1} ms",
            time_of(*at_ms),
            serving.name(),
            freeze.freeze_ms
        ));
        lines.push(format!(
            "  read {:.1}, write {:.1}, rename {:.1} ms; the lock took {:.1} ms before",
            freeze.drain_ms, freeze.apply_ms, freeze.rename_ms, freeze.lock_wait_ms
        ));
    }
    if let (true, Some(ms)) = (swaps.is_empty(), report.change.freeze_ms) {
        let most = if report.change.options.in_place.is_some() { " at most" } else { "" };
        lines.push(format!("writers waited {ms:.1} ms{most}"));
    }
    let since = swaps.last().map_or(0, |swap| swap.at_ms);
    let misses: Vec<Miss> = report.misses().into_iter().filter(|miss| miss.at_ms > since).collect();
    if let (true, Some(last)) = (report.moving(), misses.last()) {
        let times = if misses.len() == 1 { String::new() } else { format!(", {} times", misses.len()) };
        lines.push(format!("{} UTC  not swapped{times}: {}", time_of(last.at_ms), last.why));
    }
    lines
}

fn owner(owner: Option<&Owner>) -> String {
    match owner {
        Some(owner) if owner.alive => owner.who.clone(),
        Some(owner) => {
            let silent = brief((owner.silent_s * 1000.0) as u64);
            format!("none ({} was last heard of {silent} ago)", owner.who)
        }
        None => "none".into(),
    }
}

fn events(report: &StatusReport, most: usize) -> Vec<Line> {
    let shown = report.events.iter().rev().take(most).rev().enumerate();
    shown
        .map(|(i, event)| {
            let label = if i == 0 { "events" } else { "" };
            Line::of(Tone::Dim, &format!("  {label:<10} "))
                .and(Tone::Dim, &format!("{} UTC  ", time_of(event.at_ms)))
                .and(Tone::Plain, &event.kind.replace('_', " "))
        })
        .collect()
}

fn next(report: &StatusReport, look: &Look) -> Vec<Line> {
    let label = |i| if i == 0 { "next" } else { "" };
    report.next.iter().enumerate().flat_map(|(i, next)| field(look, label(i), Tone::Bold, next)).collect()
}
