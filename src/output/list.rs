//! The table of `rsc list`.

use super::ink::{Line, Look, Tone};
use super::status::{ms_of, state_tone};
use super::text::{brief, one_line, state_in_words};
use crate::journal::record::{Change, Owner};
use crate::lifecycle::sample::{Activity, Sample};
use crate::lifecycle::state::State;
use crate::lifecycle::verdict::Verdict;

/// A change, and who drives it.
pub struct Listed {
    pub change: Change,
    pub owner: Option<Owner>,
    /// What its owner was at last.
    pub sample: Option<Sample>,
    /// What its next swap would meet.
    pub in_the_way: Option<String>,
    /// What a wish for the other schema would come to, where the tables have been swapped.
    pub verdict: Option<Verdict>,
}

impl Listed {
    pub fn owned(&self) -> bool {
        self.owner.as_ref().is_some_and(|owner| owner.alive)
    }
}

const EMPTY: &str = "no changes on this server
  next  rsc plan --alter \"ALTER TABLE …\"     to see what one would do
        rsc migrate --alter \"ALTER TABLE …\"  to make it";

/// A statement that is cut to less says nothing, and has no column then.
const STATEMENT_LEAST: usize = 16;
/// Of a table's name, where the terminal is too narrow for all.
const TABLE_LEAST: usize = 12;

/// `active`: those that have ended were left out.
pub fn text(listed: &[Listed], active: bool, now_ms: u64, look: &Look) -> Vec<String> {
    if listed.is_empty() && active {
        return vec!["no change is active; `rsc list` shows those that have ended".into()];
    }
    if listed.is_empty() {
        let shown = if look.unicode { EMPTY.to_owned() } else { EMPTY.replace('…', "...") };
        return shown.lines().map(str::to_owned).collect();
    }
    let head = ["ID", "TABLE", "STATE", "DONE", "FOR", "REVERT", "OWNER", "STATEMENT"].map(String::from);
    let mut rows = vec![head];
    rows.extend(listed.iter().map(|listed| cells(listed, now_ms)));
    fit(&mut rows, look);
    let widths: Vec<usize> = (0..8).map(|column| width(&rows, column)).collect();
    let lines = rows.iter().enumerate().map(|(i, row)| {
        let mut line = Line::new();
        let last = widths.iter().rposition(|width| *width > 0).unwrap_or(0);
        for (column, cell) in row.iter().enumerate().filter(|(column, _)| widths[*column] > 0) {
            let tone = match (i, column) {
                (0, _) => Tone::Dim,
                (_, 2) => state_tone(listed[i - 1].change.state),
                (_, 7) => Tone::Dim,
                _ => Tone::Plain,
            };
            let gap = if column == last { 0 } else { widths[column] - console::measure_text_width(cell) + 2 };
            line = line.and(tone, cell).and(Tone::Plain, &" ".repeat(gap));
        }
        line.print(look)
    });
    lines.collect()
}

fn cells(listed: &Listed, now_ms: u64) -> [String; 8] {
    let change = &listed.change;
    let since = ms_of(&change.updated_at).map_or_else(String::new, |at| brief(now_ms.saturating_sub(at)));
    let state = match change.paused && !change.state.ended() {
        true => format!("{}, paused", state_in_words(change.state)),
        false => state_in_words(change.state),
    };
    let owner = match Activity::of(change.state) {
        Some(_) if listed.owned() => "alive",
        Some(_) => "none",
        None => "-",
    };
    [
        change.id.to_string(),
        change.table.plain(),
        state,
        how_far(listed),
        since,
        match listed.in_the_way {
            Some(_) => "blocked".into(),
            None => way_back(listed, now_ms),
        },
        owner.into(),
        one_line(clauses(change), usize::MAX),
    ]
}

/// Of what goes on.
fn how_far(listed: &Listed) -> String {
    let current = |sample: &&Sample| {
        sample.goal > 0
            && match sample.activity {
                Activity::Verifying => listed.change.state == State::CatchingUp,
                activity => Activity::of(listed.change.state) == Some(activity),
            }
    };
    listed.sample.as_ref().filter(current).map_or("-".into(), |sample| {
        format!("{:.0}%", (sample.done as f64 / sample.goal as f64 * 100.0).min(99.0).floor())
    })
}

/// How long the change can still be taken back, or that it cannot be as it stands.
fn way_back(listed: &Listed, now_ms: u64) -> String {
    let change = &listed.change;
    if let Some(no @ (Verdict::Blocked(_) | Verdict::Differs(_) | Verdict::Impossible(_))) = &listed.verdict {
        return no.name().into();
    }
    match (change.state, change.window_ends_at.as_deref().and_then(ms_of)) {
        (State::Revertible | State::Reverting | State::Reverted | State::Reapplying, Some(end)) => {
            brief(end.saturating_sub(now_ms))
        }
        _ => "-".into(),
    }
}

fn width(rows: &[[String; 8]], column: usize) -> usize {
    rows.iter().map(|row| console::measure_text_width(&row[column])).max().unwrap_or(0)
}

/// The statement is cut first, then the names of tables; what has no room at all goes.
fn fit(rows: &mut [[String; 8]], look: &Look) {
    let Some(room) = look.width else { return };
    let taken = |rows: &[[String; 8]]| (0..7).map(|column| width(rows, column) + 2).sum::<usize>();
    let cut = if look.unicode { "…" } else { "~" };
    let shorten = |rows: &mut [[String; 8]], column: usize, most: usize| {
        for row in rows {
            row[column] = console::truncate_str(&row[column], most, cut).into_owned();
        }
    };
    let over = taken(rows).saturating_sub(room + 2);
    if over > 0 {
        let most = width(rows, 1).saturating_sub(over).max(TABLE_LEAST);
        shorten(rows, 1, most);
    }
    let left = room.saturating_sub(taken(rows));
    shorten(rows, 7, if left < STATEMENT_LEAST { 0 } else { left });
    if left < STATEMENT_LEAST {
        rows.iter_mut().for_each(|row| row[7].clear());
    }
}

/// What the statement does, without the table that has its own column.
fn clauses(change: &Change) -> &str {
    let statement = change.statement.as_str();
    let names = [change.table.to_string(), change.table.plain()];
    let rest =
        names.iter().find_map(|name| statement.strip_prefix("ALTER TABLE ")?.strip_prefix(name.as_str()));
    rest.map_or(statement, str::trim_start)
}
