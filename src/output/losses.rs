//! The text of `rsc losses`.

use super::text::plural;
use super::whole;
use crate::journal::record::Change;
use crate::lifecycle::state::Serving;
use crate::lifecycle::unseen::Unseen;
use crate::mysql::losses::{Loss, Own, Parked, Totals};

/// All that `rsc losses` shows: the first `limit` of each kind.
pub struct LossReport<'a> {
    pub change: &'a Change,
    pub totals: Totals,
    pub parked: &'a [Parked],
    pub lost: &'a [Loss],
    pub own: &'a [Own],
    pub limit: u64,
    /// What nobody has looked at.
    pub unseen: Option<&'a Unseen>,
}

/// Values are cut to so many characters; JSON has them whole.
const VALUE_MAX: usize = 40;

pub fn text(report: &LossReport<'_>) -> String {
    let change = report.change;
    if change.options.kind.whole() {
        let place = whole::place(change, change.serving);
        return format!(
            "change {}: {place}\n  nothing: the table is whole, with every row and every value",
            change.id
        );
    }
    let mut lines = vec![format!(
        "change {} on {}: the {} schema serves",
        change.id,
        change.table.plain(),
        change.serving.name()
    )];
    parked(report, &mut lines);
    lost(report, &mut lines);
    own(report, &mut lines);
    match (lines.len(), report.unseen) {
        (1, None) => lines.push("  nothing: the old schema holds every row and every value".into()),
        (1, Some(_)) => lines.push("  nothing so far".into()),
        _ => {}
    }
    if let Some(unseen) = report.unseen {
        lines.push(not_looked_at(change.id, unseen));
    }
    lines.join("\n")
}

fn not_looked_at(id: u64, unseen: &Unseen) -> String {
    let since = unseen.since.as_ref().map_or(String::new(), |at| format!(" since {at} UTC"));
    format!(
        "\nnot looked at{since}, {} of the server behind: what was written in them, and what is lost of it, is not known\n  \
         to catch up and look, `rsc verify {id}`; a revert catches up first, and with --refuse-losses it loses nothing",
        plural(unseen.transactions, "transaction")
    )
}

fn parked(report: &LossReport<'_>, lines: &mut Vec<String>) {
    let total = report.totals.parked;
    if total == 0 {
        return;
    }
    lines.push(format!("\n{} that the old schema cannot hold; not in the old table:", plural(total, "row")));
    let rows = report.parked.iter().map(|p| vec![format!("({})", p.key), why(&p.reason)]).collect();
    lines.extend(columns(&["KEY", "WHY"], rows));
    cut_short(total, report.parked.len(), lines);
}

fn lost(report: &LossReport<'_>, lines: &mut Vec<String>) {
    let total = report.totals.losses;
    if total == 0 {
        return;
    }
    lines.push(format!("\n{} that the old schema holds only as the nearest it can:", plural(total, "value")));
    let value = |value: &Option<String>| value.as_deref().map_or("NULL".into(), shortened);
    let rows = report
        .lost
        .iter()
        .map(|l| vec![format!("({})", l.key), l.column.clone(), value(&l.lost), value(&l.kept)])
        .collect();
    lines.extend(columns(&["KEY", "COLUMN", "WRITTEN", "IN THE OLD TABLE"], rows));
    cut_short(total, report.lost.len(), lines);
}

fn own(report: &LossReport<'_>, lines: &mut Vec<String>) {
    if report.own.is_empty() {
        return;
    }
    let kept = match report.change.serving {
        Serving::New => "a revert hides them; they stay in the new table, and `rsc reapply` shows them",
        Serving::Old => "hidden now; they are in the new table, and `rsc reapply` shows them",
    };
    lines.push(format!("\nvalues in columns that only the new schema has:\n  {kept}"));
    let rows = report
        .own
        .iter()
        .map(|o| {
            vec![
                format!("({})", o.key),
                o.column.clone(),
                o.value.as_deref().map_or("NULL".into(), shortened),
            ]
        })
        .collect();
    lines.extend(columns(&["KEY", "COLUMN", "VALUE"], rows));
    lines.push(format!("  at most {} of each column are listed", report.limit));
}

fn cut_short(total: u64, listed: usize, lines: &mut Vec<String>) {
    let more = total.saturating_sub(listed as u64);
    if more > 0 {
        lines.push(format!("  and {more} more; `--limit` lists them"));
    }
}

/// The server's words without its number, and without the shadow's name: a line has little room.
fn why(reason: &str) -> String {
    let words = reason.split(" (MySQL error ").next().unwrap_or(reason);
    match words.split_once(" for key '") {
        Some((what, key)) => {
            let key = key.trim_end_matches('\'');
            format!("{what} for key {}", key.split_once('.').map_or(key, |(_, key)| key))
        }
        None => words.to_owned(),
    }
}

pub fn shortened(value: &str) -> String {
    let line = value.replace(['\n', '\r', '\t'], " ");
    match line.chars().count() > VALUE_MAX {
        true => line.chars().take(VALUE_MAX - 1).chain(['…']).collect(),
        false => line,
    }
}

/// Aligned, two spaces in.
pub fn columns(head: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |i: usize| {
        all.iter().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    all.iter()
        .map(|row| {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(i, cell)| format!("{cell:<0$}", width(i))).collect();
            format!("  {}", cells.join("  ").trim_end())
        })
        .collect()
}
