//! The text of `rsc verify`.

use std::time::Duration;

use super::losses::{columns, shortened};
use super::text::plural;
use crate::journal::record::Change;
use crate::lifecycle::verification::{Finding, Kind, Outcome, Verification};

pub fn text(change: &Change, found: &Verification, limit: usize) -> String {
    let mut lines = vec![
        format!(
            "change {} on {}: the {} schema serves",
            change.id,
            change.table.plain(),
            found.serving.name()
        ),
        format!("  {}", result(found)),
    ];
    if !found.excluded.is_empty() {
        lines.push(format!(
            "  not compared, as one table has them alone or fills them by itself: {}",
            found.excluded.join(", ")
        ));
    }
    if !found.findings.is_empty() {
        let rows = found.findings.iter().flat_map(row).take(limit).collect();
        lines.push(String::new());
        lines.extend(columns(&["KEY", "COLUMN", "SHOULD BE", "IS", ""], rows));
        let more = found.findings.len().saturating_sub(limit);
        if more > 0 {
            lines.push(format!("  and {}; `--limit` lists them", plural(more as u64, "more row")));
        }
    }
    lines.join("\n")
}

/// A line for each value.
fn row(finding: &Finding) -> Vec<Vec<String>> {
    let key = format!("({})", finding.key);
    let note = if finding.mended { "mended" } else { "" };
    let whole =
        |should: &str, is: &str| vec![vec![key.clone(), "".into(), should.into(), is.into(), note.into()]];
    let value = |value: &Option<String>| value.as_deref().map_or("NULL".into(), shortened);
    match finding.kind {
        Kind::Missing => whole("a row", "no row"),
        Kind::Extra => whole("no row", "a row"),
        Kind::Differs | Kind::Native | Kind::Unindexed => finding
            .cells
            .iter()
            .map(|cell| {
                vec![key.clone(), cell.column.clone(), value(&cell.expected), value(&cell.found), note.into()]
            })
            .collect(),
    }
}

/// In one line.
pub fn result(found: &Verification) -> String {
    let rows = plural(found.rows, "row");
    let took = humantime::format_duration(Duration::from_millis((found.seconds * 1000.0) as u64));
    let mended = match found.mended() {
        0 => String::new(),
        mended => format!(", {} mended", plural(mended, "row")),
    };
    let unsettled = match found.unsettled {
        0 => String::new(),
        rows => format!(", {} written too often to be compared", plural(rows, "row")),
    };
    let verb = if found.mismatches() == 1 { "differs" } else { "differ" };
    let mismatches = format!("{} {verb}", plural(found.mismatches() as u64, "row"));
    match found.outcome {
        Some(Outcome::Equal) => {
            format!("verified: {rows} compared, and both tables are the same{mended}{unsettled} ({took})")
        }
        Some(Outcome::Differs) if found.cut_short() => {
            format!("verification ended early: of the first {rows}, {mismatches}{mended}{unsettled} ({took})")
        }
        Some(Outcome::Differs) => {
            format!("verified: {rows} compared, and {mismatches}{mended}{unsettled} ({took})")
        }
        Some(Outcome::BrokenOff) => {
            format!("verification broken off after {rows}; {mismatches}{mended}")
        }
        None => "verification is under way".into(),
    }
}
