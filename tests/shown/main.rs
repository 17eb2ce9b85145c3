//! What people and programs see: held whole in files beside this, so that no word of it changes unnoticed.

mod changes;
mod documented;
mod page;
mod snapshot;
mod words;

use std::time::Duration;

use rsc::lifecycle::state::State;
use rsc::output::StatusReport;
use rsc::output::ink::{Line, Look};
use rsc::output::list::{self, Listed};
use rsc::output::status::screen;
use rsc::output::watch::frame;

use changes::{all, change, named};
use snapshot::is_as_before;

const PLAIN: Look = Look { width: Some(80), height: None, colour: false, unicode: true };

/// Escapes are made visible, so that a file with colours can be read.
fn text(lines: &[Line], look: &Look) -> String {
    let lines: Vec<String> = lines.iter().map(|line| line.print(look).replace('\x1b', "␛")).collect();
    for line in &lines {
        assert!(!line.chars().any(char::is_control), "a terminal would obey {line:?}");
    }
    lines.join("\n")
}

#[test]
fn every_state_has_its_screen() {
    for (name, report) in all() {
        is_as_before(&format!("status/{name}.txt"), &text(&screen(&report, &PLAIN), &PLAIN));
    }
}

#[test]
fn a_screen_fits_every_width() {
    for (name, report) in all() {
        for width in [60, 120] {
            let look = Look { width: Some(width), ..PLAIN };
            let lines = screen(&report, &look);
            // Only words that cannot be broken stand out, and are cut.
            let cut: Vec<String> = lines.iter().map(|line| line.print(&look)).collect();
            assert!(
                cut.iter().all(|line| console::measure_text_width(line) <= width),
                "{name} at {width}: {cut:#?}"
            );
            if ["copying-throttled", "cutting-over", "revertible-parked"].contains(&name) {
                is_as_before(&format!("status/{name}-{width}.txt"), &text(&lines, &look));
            }
        }
        let ascii = Look { unicode: false, ..PLAIN };
        let lines = text(&screen(&report, &ascii), &ascii);
        let foreign: String = lines.chars().filter(|c| !c.is_ascii() && !"·…表".contains(*c)).collect();
        assert_eq!(foreign, "", "{name} without Unicode:\n{lines}");
    }
}

#[test]
fn a_terminal_without_colours_or_without_blocks_loses_no_word() {
    for name in ["copying-throttled", "reverted", "failed"] {
        let report = named(name);
        let colour = Look { colour: true, ..PLAIN };
        is_as_before(&format!("status/{name}-colour.txt"), &text(&screen(&report, &colour), &colour));
        let ascii = Look { unicode: false, ..PLAIN };
        is_as_before(&format!("status/{name}-ascii.txt"), &text(&screen(&report, &ascii), &ascii));
    }
}

#[test]
fn a_file_has_whole_lines() {
    let look = Look { width: None, ..PLAIN };
    let shown = text(&screen(&named("cutting-over"), &look), &look);
    assert!(shown.contains("ADD KEY by_customer (customer_id, created_at)\n"), "{shown}");
    is_as_before("status/cutting-over-file.txt", &shown);
}

#[test]
fn a_watched_screen_is_as_large_as_its_terminal() {
    for (name, report) in all() {
        for (width, height) in [(80, 24), (50, 20), (140, 40), (20, 3)] {
            let look = Look { width: Some(width), height: Some(height), ..PLAIN };
            let lines = frame(&report, None, &look);
            assert_eq!(lines.len(), height, "{name} in {width} x {height}");
            if name == "copying-throttled" {
                is_as_before(&format!("watch/{name}-{width}x{height}.txt"), &text(&lines, &look));
            }
        }
    }
    let look = Look { height: Some(24), ..PLAIN };
    for name in ["cutting-over", "reverted", "paused"] {
        is_as_before(&format!("watch/{name}-80x24.txt"), &text(&frame(&named(name), None, &look), &look));
    }
}

#[test]
fn a_lost_connection_is_seen_on_the_screen_that_stays() {
    let look = Look { height: Some(24), ..PLAIN };
    let why = "no connection to 127.0.0.1:3306: Connection refused (os error 111)";
    let lines = frame(&named("copying"), Some((Duration::from_millis(12_400), why)), &look);
    is_as_before("watch/lost-80x24.txt", &text(&lines, &look));
}

fn listed() -> Vec<Listed> {
    ["copying", "copying-left", "revertible", "reverted", "failed", "instant", "completed"]
        .iter()
        .enumerate()
        .map(|(i, name)| {
            let report = named(name);
            let mut change = report.change.clone();
            change.id = 107 - i as u64;
            if i == 2 {
                change.table.table = "a_table_with_a_name_that_is_rather_long_for_eighty_columns".into();
            }
            Listed {
                change,
                owner: report.owner.clone(),
                sample: report.samples.last().cloned(),
                in_the_way: None,
                verdict: swapped(&report).then(|| report.verdict.clone()),
            }
        })
        .collect()
}

/// Of the others the state says it all.
fn swapped(report: &StatusReport) -> bool {
    matches!(report.change.state, State::Revertible | State::Reverted)
}

#[test]
fn the_list_is_a_table_that_fits() {
    let now_ms = changes::BEGAN_MS + 3_600_000;
    for width in [Some(60), Some(80), Some(120), Some(160), None] {
        let look = Look { width, ..PLAIN };
        let lines = list::text(&listed(), false, now_ms, &look);
        let most = width.unwrap_or(usize::MAX);
        assert!(
            width == Some(60) || lines.iter().all(|line| console::measure_text_width(line) <= most),
            "{lines:#?}"
        );
        let name = width.map_or("file".into(), |width| width.to_string());
        is_as_before(&format!("list/{name}.txt"), &lines.join("\n"));
    }
    is_as_before("list/empty.txt", &list::text(&[], false, now_ms, &PLAIN).join("\n"));
    is_as_before("list/none-active.txt", &list::text(&[], true, now_ms, &PLAIN).join("\n"));
}

#[test]
fn a_change_without_anything_is_shown_too() {
    let mut report = named("planned");
    report.change = change(rsc::lifecycle::state::State::Planned);
    report.change.started_at = String::new();
    report.next.clear();
    assert!(text(&screen(&report, &PLAIN), &PLAIN).contains("change 7 on shop.orders: planned"));
}
