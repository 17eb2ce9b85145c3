//! Text for people.

use std::time::Duration;

use crate::error::Error;
use crate::journal::record::{Change, Owner};
use crate::lifecycle::notice::{Blocker, Notice};
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::verdict::Verdict;

/// All that `rsc status` shows.
pub struct StatusReport<'a> {
    pub change: &'a Change,
    /// `None` when there is only one table.
    pub serving: Option<Serving>,
    pub verdict: Verdict,
    pub owner: Option<&'a Owner>,
    pub rows_copied: u64,
    /// When, what, detail.
    pub events: &'a [(String, String, String)],
    /// Commands that make sense now.
    pub next: Vec<String>,
}

/// `None` for what needs no line of its own.
pub fn notice(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Started { id, table, state } => match state {
            State::Planned => format!("change {id} on {table}"),
            state => format!("change {id} on {table}, taken up as {}", state_in_words(*state)),
        },
        Notice::Entered { state } => match state {
            State::Copying => "  the new table is made; copying".into(),
            State::CuttingOver | State::Reverting | State::Reapplying => "  swapping the tables".into(),
            _ => return None,
        },
        Notice::Swapped { serving, freeze } => {
            let which = match serving {
                Serving::New => "the new schema serves",
                Serving::Old => "the old schema serves",
            };
            match freeze {
                Some(freeze) => format!("  swapped: {which}; writers waited {:.1} ms", freeze.freeze_ms),
                None => format!("  swapped earlier: {which}"),
            }
        }
        Notice::SwapMissed { why, blockers, again_in_s } => {
            let mut lines = vec![format!("  not swapped yet: {why}; trying again in {again_in_s:.0} s")];
            lines.extend(blockers.iter().map(blocker));
            lines.join("\n")
        }
        Notice::Asked { verb, by, granted } => {
            let answer = if *granted { "granted" } else { "refused" };
            format!("  {} asked for {}: {answer}", by, verb.name())
        }
        Notice::Retrying { why, again_in_s } => format!("  {why}; trying again in {again_in_s:.1} s"),
        Notice::Blocked { why } => format!("  the stream cannot go on: {why}"),
        Notice::Copied { .. } | Notice::Behind { .. } | Notice::Following { .. } => return None,
    })
}

fn blocker(blocker: &Blocker) -> String {
    let doing = if blocker.query.is_empty() { "an open transaction" } else { blocker.query.as_str() };
    format!(
        "    connection {} of {}@{}, {} s: {doing}",
        blocker.connection, blocker.user, blocker.host, blocker.seconds
    )
}

pub fn done(change: &Change, serving: Serving, hint: &str) -> String {
    let what = match change.state {
        State::Revertible => format!("the new schema of {} serves", change.table.plain()),
        State::Reverted => format!("the old schema of {} serves", change.table.plain()),
        State::Completed => {
            format!(
                "the {} schema of {} stays; the other table is dropped",
                serving.name(),
                change.table.plain()
            )
        }
        State::Cancelled => format!("{} is as it was; the new table is dropped", change.table.plain()),
        other => format!("{} is {}", change.table.plain(), state_in_words(other)),
    };
    let freeze = match (change.state, change.freeze_ms) {
        (State::Revertible | State::Reverted, Some(ms)) => format!(" (writers waited {ms:.1} ms)"),
        _ => String::new(),
    };
    if hint.is_empty() { format!("done: {what}{freeze}") } else { format!("done: {what}{freeze}\n{hint}") }
}

pub fn list(changes: &[(Change, bool)]) -> String {
    if changes.is_empty() {
        return "no changes on this server".into();
    }
    let mut rows = vec![["ID", "TABLE", "STATE", "OWNER", "UPDATED (UTC)", "STATEMENT"].map(String::from)];
    for (change, owned) in changes {
        rows.push([
            change.id.to_string(),
            change.table.plain(),
            change.state.to_string(),
            (if *owned { "alive" } else { "-" }).into(),
            change.updated_at.split('.').next().unwrap_or("").to_owned(),
            one_line(&change.statement, 60),
        ]);
    }
    table(&rows)
}

fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub fn status(report: &StatusReport<'_>) -> String {
    let change = report.change;
    let mut lines = vec![format!("change {} on {}: {}", change.id, change.table.plain(), change.state)];
    let mut field = |name: &str, value: String| lines.push(format!("  {name:<10} {value}"));
    field("statement", one_line(&change.statement, 200));
    if let Some(serving) = report.serving {
        field("serving", format!("{} schema", serving.name()));
    }
    field("revert", report.verdict.to_string());
    if let Some(reason) = &change.reason {
        field("reason", reason.clone());
    }
    field("owner", owner(report.owner));
    if !change.state.settled() {
        let (copied, estimate) = (count(report.rows_copied), count(change.rows_estimate));
        field("copied", format!("{copied} of about {estimate} rows"));
    }
    if let Some(ms) = change.freeze_ms {
        field("freeze", format!("{ms:.1} ms at the last swap"));
    }
    if let (false, Some(end)) = (change.state.ended(), &change.window_ends_at) {
        field("window", format!("a revert is possible until {end} UTC"));
    }
    for (i, (at, kind, _)) in report.events.iter().rev().take(12).rev().enumerate() {
        field(if i == 0 { "events" } else { "" }, format!("{at}  {kind}"));
    }
    for (i, next) in report.next.iter().enumerate() {
        field(if i == 0 { "next" } else { "" }, next.clone());
    }
    lines.join("\n")
}

fn owner(owner: Option<&Owner>) -> String {
    match owner {
        Some(owner) if owner.alive => owner.who.clone(),
        Some(owner) => format!("none ({} was last heard of {:.0} s ago)", owner.who, owner.silent_s),
        None => "none".into(),
    }
}

pub fn error(error: &Error) -> String {
    let told = error.told();
    let mut lines = Vec::new();
    for told in told {
        lines.push(format!("error: {}", told.what));
        if !told.next.is_empty() {
            lines.push(format!("   do: {}", told.next));
        }
    }
    let state = told.iter().map(|t| t.state.as_str()).find(|s| !s.is_empty());
    if let Some(state) = state {
        lines.push(format!("state: {state}"));
    }
    lines.join("\n")
}

fn state_in_words(state: State) -> String {
    state.name().replace('_', " ")
}

fn one_line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most - 1).chain(['…']).collect()
}

/// 1234567 as 1,234,567.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// In whole seconds: `2h 5m 3s`.
pub fn duration(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Told;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!((count(7), count(1_234_567)), ("7".into(), "1,234,567".into()));
    }

    #[test]
    fn an_error_says_what_happened_what_to_do_and_the_state() {
        let told = Told::new("gtid_mode is OFF").state("nothing was touched").next("SET …");
        assert_eq!(
            error(&Error::Refused(told)),
            "error: gtid_mode is OFF\n   do: SET …\nstate: nothing was touched"
        );
    }
}
