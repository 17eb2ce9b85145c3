//! The text of `rsc plan`.

use std::time::Duration;

use console::style;

use super::super::losses::columns;
use super::super::text::{blocker, count, duration, labelled, one_line, plural};
use super::{BECAUSE, PlanReport};
use crate::lifecycle::forecast::Forecast;
use crate::schema::revert_report::{ColumnReport, Report};

pub fn text(report: &PlanReport, width: usize) -> String {
    let mut page = Page::of(report, width);
    page.field("statement", one_line(&report.statement, 200));
    strategy(report, &mut page);
    size(report, &mut page);
    time(report, &mut page);
    freeze(report, &mut page, "writers, at the swap");
    for (i, disk) in report.disk.iter().enumerate() {
        let bytes =
            disk.bytes.map_or_else(|| "not known".into(), |bytes| format!("about {}", bytes_of(bytes)));
        let free = disk.folder.room.map_or_else(
            || "free: not known from here".into(),
            |room| format!("{} free", bytes_of(room.free_bytes)),
        );
        let label = if i == 0 { "disk" } else { "" };
        page.field(label, format!("{bytes} for {}, in {} ({free})", disk.what, disk.folder.path));
    }
    binlogs(report, &mut page);
    holders(report, &mut page);
    revert(report, &mut page);
    notes(report, &mut page);
    page.lines.join("\n")
}

pub(super) struct Page {
    pub lines: Vec<String>,
    width: usize,
}

impl Page {
    pub fn of(report: &PlanReport, width: usize) -> Self {
        Self { lines: vec![style(format!("plan for {}", report.table)).bold().to_string()], width }
    }

    pub fn field(&mut self, name: &str, value: String) {
        self.lines.extend(labelled(&format!("  {name:<10} "), &value, self.width));
    }
}

pub(super) fn size(report: &PlanReport, page: &mut Page) {
    let Some(size) = report.size else { return };
    let files = size.file_bytes.map_or_else(String::new, |bytes| format!("; files of {}", bytes_of(bytes)));
    let (data, index) = (bytes_of(size.data_bytes), bytes_of(size.index_bytes));
    page.field(
        "size",
        format!("about {}: {data} of data, {index} of indexes{files}", plural(size.rows, "row")),
    );
}

pub(super) fn freeze(report: &PlanReport, page: &mut Page, whose: &str) {
    let Some(freeze) = report.freeze else { return };
    page.field(
        "freeze",
        format!("about {:.0} ms ({:.0} to {:.0}) for {whose}", freeze.likely, freeze.low, freeze.high),
    );
}

/// What to look after, and what could not be found out.
pub(super) fn notes(report: &PlanReport, page: &mut Page) {
    for (i, warning) in report.warnings.iter().enumerate() {
        page.field(if i == 0 { "warning" } else { "" }, style(warning).yellow().to_string());
    }
    for (i, unknown) in report.unknown.iter().enumerate() {
        page.field(if i == 0 { "not known" } else { "" }, unknown.clone());
    }
}

pub(super) fn refused(page: &mut Page) {
    page.field(
        "strategy",
        style("none: rsc migrate would refuse the change, for the reasons below").red().to_string(),
    );
}

fn strategy(report: &PlanReport, page: &mut Page) {
    if !report.refused.is_empty() {
        refused(page);
        return;
    }
    page.field("strategy", "a second table with the new schema: filled, kept current, swapped".into());
    page.field("", BECAUSE.into());
    if report.instant == Some(true) {
        page.field(
            "",
            "the server alone could do it at once (ALGORITHM=INSTANT), but then rsc could not take it back"
                .into(),
        );
    }
}

fn time(report: &PlanReport, page: &mut Page) {
    if let Some(duration) = report.duration {
        page.field("time", format!("{}, and what the application writes meanwhile", range(duration)));
    }
    if let (Some(copy), Some(sampled)) = (report.copy, &report.sampled) {
        page.field(
            "",
            format!(
                "copy: {}; from {} that {} copied in {:.1} s and rolled back",
                range(copy),
                plural(sampled.rows, "row"),
                plural(sampled.sessions as u64, "session"),
                sampled.seconds
            ),
        );
    }
    match (&report.deferred[..], &report.not_deferred) {
        ([], Some(why)) => page.field("indexes", format!("filled by the copy: {why}")),
        ([], None) => {}
        (names, _) => {
            let takes = report.indexes.map_or_else(String::new, |f| format!("; {}", range(f)));
            page.field("indexes", format!("built after the copy: {}{takes}", names.join(", ")));
        }
    }
}

fn binlogs(report: &PlanReport, page: &mut Page) {
    let seconds = |s| duration(Duration::from_secs(s));
    let kept = match report.binlogs_kept_s {
        Some(Some(kept_s)) => format!("kept for {}", seconds(kept_s)),
        Some(None) => "kept until someone purges them".into(),
        None => return,
    };
    page.field("binlogs", format!("{kept}; the revert window is {}", seconds(report.revert_window_s)));
}

pub(super) fn holders(report: &PlanReport, page: &mut Page) {
    let Some(holders) = &report.holders else { return };
    if holders.0.is_empty() {
        page.field("in the way", "nobody holds the table at the moment".into());
    }
    for (i, holder) in holders.0.iter().enumerate() {
        page.field(if i == 0 { "in the way" } else { "" }, blocker(holder).trim().to_owned());
    }
}

fn revert(report: &PlanReport, page: &mut Page) {
    let verdict = match report.verdict() {
        "lossless" => style("lossless: every row and value of the old schema comes back").green(),
        "possible_losses" => {
            style("possible, and what the old schema cannot hold is on record (rsc losses)").yellow()
        }
        "not_revertible" => style("not possible, so rsc does not make the change").red(),
        _ => style("not known: the statement could not be tried").red(),
    };
    page.field("revert", verdict.to_string());
    let Some(revert) = &report.revert else { return };
    table(report, revert, page);
}

fn table(report: &PlanReport, revert: &Report, page: &mut Page) {
    // What only stays as it is needs no line of its own, unless rows are concerned.
    let kept = |column: &&ColumnReport| {
        column.fate.name() == "kept" && column.parks.is_empty() && report.rows_of(column).is_none()
    };
    let mut rows: Vec<(bool, Vec<String>)> = Vec::new();
    for column in revert.columns.iter().filter(|column| !kept(column)) {
        let kind = match (&column.old, &column.new) {
            (Some((_, old)), Some((_, new))) if old != new => both(old, new),
            (Some((_, kind)), _) | (None, Some((_, kind))) => kind.clone(),
            (None, None) => String::new(),
        };
        let mut what = column.what.clone();
        what.extend(column.parks.iter().cloned());
        what.extend(concerned(report, column));
        let cells = vec![column.name().to_owned(), one_line(&kind, 64), fate(column), what.join("; ")];
        rows.push((column.loses || !column.parks.is_empty(), cells));
    }
    for rule in &revert.rules {
        let word = if rule.parks { "parked" } else { "kept" };
        rows.push((rule.parks, vec![rule.title(), String::new(), word.into(), rule.what.clone()]));
    }
    let silent = revert.columns.iter().filter(kept).count() as u64;
    if !rows.is_empty() {
        let (marks, cells): (Vec<bool>, Vec<Vec<String>>) = rows.into_iter().unzip();
        let lines = columns(&["COLUMN OR RULE", "TYPE", "A REVERT", "WHAT IT MEANS"], cells);
        let marks = std::iter::once(false).chain(marks);
        page.lines.extend(lines.into_iter().zip(marks).map(|(line, mark)| match mark {
            true => format!("  {}", style(line).yellow()),
            false => format!("  {line}"),
        }));
    }
    if silent > 0 {
        page.lines.push(format!("    {} kept as written", plural(silent, "column")));
    }
}

/// Two types, without the character set and the words at the end that they share.
fn both(old: &str, new: &str) -> String {
    let charset = |kind: &str| {
        let (_, rest) = kind.split_once(" CHARACTER SET ")?;
        Some(format!(" CHARACTER SET {}", rest.split(' ').next()?))
    };
    let shared = charset(old).filter(|shared| charset(new).as_ref() == Some(shared)).unwrap_or_default();
    let (old, new) = (old.replace(&shared, ""), new.replace(&shared, ""));
    let (mut a, mut b): (Vec<&str>, Vec<&str>) = (old.split(' ').collect(), new.split(' ').collect());
    while a.len() > 1 && b.len() > 1 && a.last() == b.last() {
        a.pop();
        b.pop();
    }
    format!("{} -> {}", a.join(" "), b.join(" "))
}

fn fate(column: &ColumnReport) -> String {
    match (column.fate.name(), column.parks.is_empty()) {
        (fate, true) => fate.to_owned(),
        ("kept", false) => "parked".into(),
        (fate, false) => format!("{fate}, parked"),
    }
}

fn concerned(report: &PlanReport, column: &ColumnReport) -> Option<String> {
    let rows = report.rows_of(column)?;
    Some(match column.new {
        None => format!(
            "now {} {} a value of their own",
            plural(rows, "row"),
            if rows == 1 { "has" } else { "have" }
        ),
        Some(_) => format!("now {} cannot be in the new type", plural(rows, "row")),
    })
}

fn range(forecast: Forecast) -> String {
    format!("about {} ({} to {})", seconds(forecast.likely), seconds(forecast.low), seconds(forecast.high))
}

/// With as many digits as an estimate deserves.
fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under 1s".into(),
        s if s < 120.0 => format!("{s:.0}s"),
        s => {
            let minutes = (s / 60.0).round() as u64;
            duration(Duration::from_secs(minutes * 60))
        }
    }
}

fn bytes_of(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value {
        v if v < 10.0 => format!("{v:.1} {}", UNITS[unit]),
        v => format!("{} {}", count(v.round() as u64), UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_types_are_shown_without_what_they_share() {
        assert_eq!(
            both("varchar(8) CHARACTER SET x NOT NULL", "varchar(9) CHARACTER SET x NOT NULL"),
            "varchar(8) -> varchar(9)"
        );
        assert_eq!(
            both("char(8) CHARACTER SET x NOT NULL", "char(9) CHARACTER SET x"),
            "char(8) NOT NULL -> char(9)"
        );
        assert_eq!(both("int", "int NOT NULL"), "int -> int NOT NULL");
    }

    #[test]
    fn bytes_and_times_are_short() {
        assert_eq!((bytes_of(16_384), bytes_of(5 << 30)), ("16 KiB".into(), "5.0 GiB".into()));
        assert_eq!(
            (seconds(0.4), seconds(75.4), seconds(7_300.0)),
            ("under 1s".into(), "75s".into(), "2h 2m".into())
        );
    }
}
