//! Text for people.

use std::time::Duration;

use super::whole;
use crate::agent::Tale;
use crate::error::Error;
use crate::journal::record::Change;
use crate::lifecycle::notice::{Blocker, Lost, Notice, OLD_SNAPSHOT};
use crate::lifecycle::retention::Shortage;
use crate::lifecycle::state::{Serving, State};

/// `None` for what needs no line of its own.
pub fn notice(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Started { id, table, state } => match state {
            State::Planned => format!("change {id} on {table}"),
            state => format!("change {id} on {table}, going on from: {}", state_in_words(*state)),
        },
        Notice::Entered { kind, state } if kind.whole() => return whole::entered(*state).map(str::to_owned),
        Notice::Entered { kind: _, state } => match state {
            State::Copying => "  the new table is made; copying".into(),
            State::Indexing => "  building the indexes; the stream waits for them".into(),
            State::Ready => "  ready to swap the tables".into(),
            State::CuttingOver | State::Reverting | State::Reapplying => "  swapping the tables".into(),
            _ => return None,
        },
        Notice::Swapped { kind, serving, freeze } if kind.whole() => {
            whole::renamed(*kind, *serving, freeze.as_ref())
        }
        Notice::Swapped { kind: _, serving, freeze } => {
            let which = match serving {
                Serving::New => "the new schema serves",
                Serving::Old => "the old schema serves",
            };
            match freeze {
                Some(freeze) => format!("  swapped: {which}; writers waited {:.1} ms", freeze.freeze_ms),
                None => format!("  swapped earlier: {which}"),
            }
        }
        Notice::SwapMissed { kind, why, blockers, again_in_s } => {
            let what = if kind.whole() { "renamed" } else { "swapped" };
            let mut lines = vec![format!("  not {what} yet: {why}; trying again in {again_in_s:.0} s")];
            lines.extend(blockers.iter().map(blocker));
            if why == OLD_SNAPSHOT {
                lines.push(
                    "    not to wait: `rsc cutover`, `revert` or `reapply` with --accept-short-reads".into(),
                );
            }
            lines.join("\n")
        }
        Notice::Asked { verb, by, granted } => {
            let answer = if *granted { "granted" } else { "refused" };
            format!("  {} asked for {}: {answer}", by, verb.name())
        }
        Notice::Retrying { why, again_in_s } => format!("  {why}; trying again in {again_in_s:.1} s"),
        Notice::Throttled { news: false, .. } => return None,
        Notice::Throttled { reasons, .. } => format!("  throttled: {}", reasons.join("; ")),
        Notice::Unthrottled { after_s } => format!("  not throttled any more, after {after_s:.1} s"),
        Notice::CutoverWaits { windows, opens_in_s } => {
            format!("  the cut-over {}", cutover_waits(windows, Duration::from_secs(*opens_in_s)))
        }
        Notice::Killed(ended) => {
            format!("  ended, as it kept the table from being swapped:\n{}", blocker(ended))
        }
        Notice::OldReaders { readers, fail } => {
            let what = match fail {
                true => "if they use the table, they get error 1412, as after a native ALTER",
                false => "they read the table WITHOUT the rows that came later, and get no error",
            };
            let mut lines = vec![format!("  transactions with a snapshot older than the new rows; {what}:")];
            lines.extend(readers.iter().map(blocker));
            lines.join("\n")
        }
        Notice::LimitsSet { by, settings } => format!("  {by} set {}", settings.join(", ")),
        Notice::Paused => "  paused".into(),
        Notice::Truncated => "  the table was truncated; the other one is, too".into(),
        Notice::Parked { rows: 0 } => "  the old schema can hold all rows again".into(),
        Notice::Parked { rows } => {
            format!("  the old schema cannot hold {}; `rsc losses` tells which", plural(*rows, "row"))
        }
        Notice::Lost(lost) => self::lost(lost),
        Notice::TakenBack { verb, why } => format!("  {} is taken back: {why}", verb.name()),
        Notice::BinlogsShort(shortage) => format!("  warning: {}", binlogs_short(*shortage)),
        Notice::InTheWay { why: Some(why) } => format!("  the next swap is blocked: {why}"),
        Notice::InTheWay { why: None } => "  nothing is in the way of the next swap any more".into(),
        Notice::Blocked { why } => format!("  the stream cannot go on: {why}"),
        Notice::Made { deferred: 0, because: Some(why) } => {
            format!("  its indexes are filled by the copy: {why}")
        }
        Notice::Made { deferred: 0, because: None } => return None,
        Notice::Made { deferred: 1, .. } => "  one index is built after the copy".into(),
        Notice::Made { deferred, .. } => format!("  {deferred} indexes are built after the copy"),
        Notice::Verified(found) => format!("  {}", super::verification::result(found)),
        Notice::Indexing { .. }
        | Notice::Verifying { .. }
        | Notice::Copied { .. }
        | Notice::Behind { .. }
        | Notice::Following { .. } => return None,
    })
}

fn lost(lost: &Lost) -> String {
    let mut parts = Vec::new();
    if lost.values > 0 {
        let more = lost.values.saturating_sub(lost.named.len() as u64);
        let more = if more > 0 { format!("; and {} more", count(more)) } else { String::new() };
        parts.push(format!(
            "the old table holds {} only as the nearest it can: {}{more}",
            plural(lost.values, "value"),
            lost.named.join("; ")
        ));
    }
    if lost.rows > 0 {
        parts.push(format!("{} could not go back and stayed in the new table", plural(lost.rows, "row")));
    }
    format!("  warning: {}; `rsc losses` has them, and `rsc reapply` shows them again", parts.join("; "))
}

/// Lines of an agent's log: nothing of what only changes in number.
pub fn tale(tale: &Tale) -> Vec<String> {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let lines = |id: &u64, text: &str| -> Vec<String> {
        text.lines().map(|line| format!("{now} change {id}: {}", line.trim_start())).collect()
    };
    match tale {
        Tale::Of(id, told) => notice(told).map_or_else(Vec::new, |text| lines(id, &text)),
        Tale::Ended(id, ended) => lines(id, &error(ended, usize::MAX)),
        Tale::Back => vec![format!("{now} the server can be used again")],
        Tale::Away(why) => vec![format!("{now} {why}")],
    }
}

pub(super) fn binlogs_short(shortage: Shortage) -> String {
    let seconds = |s| duration(Duration::from_secs(s));
    let when = match shortage.left_s {
        0 => "now".to_owned(),
        left => format!("in {}", seconds(left)),
    };
    format!(
        "the server keeps binlogs for {}, and may purge {when} what the stream needs next; let it catch up, or SET GLOBAL \
         binlog_expire_logs_seconds higher",
        seconds(shortage.kept_s)
    )
}

pub(super) fn blocker(blocker: &Blocker) -> String {
    let query = one_line(&blocker.query, 120);
    let doing = match (blocker.idle, query.is_empty()) {
        (_, true) => "an open transaction".to_owned(),
        (true, false) => format!("an open transaction, after: {query}"),
        (false, false) => query,
    };
    format!(
        "    connection {} of {}@{}, {} s: {doing}",
        blocker.connection, blocker.user, blocker.host, blocker.seconds
    )
}

pub fn done(change: &Change, hint: &str) -> String {
    let what = whole::done(change).unwrap_or_else(|| match change.state {
        State::Ready => format!("the new table of {} is ready; the old schema serves", change.table.plain()),
        State::Revertible => format!("the new schema of {} serves", change.table.plain()),
        State::Reverted => format!("the old schema of {} serves", change.table.plain()),
        State::Completed if change.options.in_place.is_some() => {
            format!("the server has changed {} in place", change.table.plain())
        }
        State::Completed => {
            format!(
                "the {} schema of {} stays; the other table is dropped",
                change.serving.name(),
                change.table.plain()
            )
        }
        State::Cancelled => format!("{} is as it was; the new table is dropped", change.table.plain()),
        other => format!("{} is {}", change.table.plain(), state_in_words(other)),
    });
    let what = if change.paused { format!("paused; {what}") } else { what };
    let freeze = match (change.state, change.freeze_ms) {
        (State::Completed, Some(ms)) if change.options.in_place.is_some() => {
            format!(" (writers waited {ms:.1} ms at most)")
        }
        // Nobody waits for a table that is not there.
        (State::Revertible | State::Reverted, Some(_)) if whole::is_there(change) => String::new(),
        (State::Revertible | State::Reverted, Some(ms)) => format!(" (writers waited {ms:.1} ms)"),
        _ => String::new(),
    };
    let mut lines = vec![format!("done: {what}{freeze}")];
    let hints = hint.split("; ").filter(|hint| !hint.is_empty());
    lines.extend(hints.map(|hint| format!("      {hint}")));
    lines.join("\n")
}

pub(super) fn cutover_waits(windows: &str, wait: Duration) -> String {
    format!("waits for {windows}, in {}; `rsc cutover` makes it at once", duration(wait))
}

/// As they are typed.
pub fn limits(change: &Change) -> String {
    let limits = change.options.limits.all();
    let lines = limits.iter().map(|(name, text)| match text.contains(' ') {
        true => format!("{name}=\"{text}\""),
        false => format!("{name}={text}"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What happened, what state things are in, and last, nearest to the prompt, what to type. Several reasons for one
/// refusal stand apart, each with what mends it.
pub fn error(error: &Error, width: usize) -> String {
    let told = error.told();
    let state = told.iter().map(|t| t.state.as_str()).find(|s| !s.is_empty());
    let mut lines = Vec::new();
    for told in told {
        lines.extend(labelled("error: ", &told.what, width));
        if let ([_], Some(state)) = (error.told(), state) {
            lines.extend(labelled("state: ", state, width));
        }
        for (i, next) in commands(&told.next).into_iter().enumerate() {
            let label = if i == 0 { " next: " } else { "       " };
            lines.extend(labelled(label, next, width));
        }
        if error.told().len() > 1 {
            lines.push(String::new());
        }
    }
    if let ([_, _, ..], Some(state)) = (told, state) {
        let all = format!("{state}; {} reasons stand against it, all shown above", told.len());
        lines.extend(labelled("state: ", &all, width));
    }
    lines.join("\n")
}

/// Each command or statement by itself; a sentence stays whole.
fn commands(next: &str) -> Vec<&str> {
    let pieces: Vec<&str> = next.split_inclusive("; ").collect();
    let typed = |piece: &&str| piece.contains('`') || piece.starts_with(|c: char| c.is_ascii_uppercase());
    if pieces.iter().all(typed) { pieces } else { vec![next] }
}

/// The text behind a label, the lines after the first as far in.
pub(super) fn labelled(label: &str, text: &str, width: usize) -> Vec<String> {
    let room = width.saturating_sub(label.chars().count()).max(20);
    let wrapped = wrap(text, room);
    let indent = " ".repeat(label.chars().count());
    wrapped
        .iter()
        .enumerate()
        .map(|(i, line)| format!("{}{line}", if i == 0 { label } else { &indent }))
        .collect()
}

/// Breaks at spaces, but not within backquotes: what is to be typed stays whole.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut word, mut quoted) = (String::new(), false);
    for c in text.trim_end().chars().chain([' ']) {
        quoted ^= c == '`';
        if c != ' ' || quoted {
            word.push(c);
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        let fits = line.chars().count() + 1 + word.chars().count() <= room;
        match (line.is_empty(), fits) {
            (true, _) => *line = std::mem::take(&mut word),
            (false, true) => {
                line.push(' ');
                line.push_str(&std::mem::take(&mut word));
            }
            (false, false) => lines.push(std::mem::take(&mut word)),
        }
    }
    if !word.is_empty() {
        // A backquote that is never closed.
        lines.push(word);
    }
    lines.retain(|line| !line.is_empty());
    lines
}

pub(super) fn state_in_words(state: State) -> String {
    state.name().replace('_', " ")
}

pub(super) fn one_line(text: &str, most: usize) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

fn cut(line: &str, most: usize) -> String {
    if line.chars().count() <= most {
        return line.to_owned();
    }
    line.chars().take(most - 1).chain(['…']).collect()
}

/// `1 row`, `2,000 rows`.
pub fn plural(number: u64, word: &str) -> String {
    format!("{} {word}{}", count(number), if number == 1 { "" } else { "s" })
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

/// Two units at most: `2h 5m`, `12.3s`, `85ms`.
pub fn brief(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{:.1}s", ms as f64 / 1000.0),
        60_000..3_600_000 => duration(Duration::from_secs(ms / 1000)),
        3_600_000..86_400_000 => duration(Duration::from_secs(ms / 60_000 * 60)),
        _ => duration(Duration::from_secs(ms / 3_600_000 * 3600)),
    }
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
    fn an_error_says_what_happened_the_state_and_what_to_type() {
        let told = Told::new("gtid_mode is OFF").state("nothing was touched").next("SET a; SET b");
        assert_eq!(
            error(&Error::Refused(told.clone()), usize::MAX),
            "error: gtid_mode is OFF\nstate: nothing was touched\n next: SET a;\n       SET b"
        );
        let other = Told { next: String::new(), ..told.clone() };
        assert_eq!(
            error(&Error::RefusedFor(vec![told, other]), usize::MAX),
            "error: gtid_mode is OFF\n next: SET a;\n       SET b\n\nerror: gtid_mode is OFF\n\n\
             state: nothing was touched; 2 reasons stand against it, all shown above"
        );
    }

    #[test]
    fn lines_break_at_spaces_but_not_within_what_is_to_be_typed() {
        assert_eq!(wrap("to see it, `rsc status 7`; or go", 14), ["to see it,", "`rsc status 7`;", "or go"]);
        assert_eq!(wrap("a `b c", 3), ["a", "`b c "]);
        assert_eq!(wrap("", 10), Vec::<String>::new());
    }
}
