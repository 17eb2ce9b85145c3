//! What `rsc plan` says of a CREATE TABLE or DROP TABLE.

use std::time::Duration;

use console::style;

use super::super::text::{duration, one_line};
use super::PlanReport;
use super::text::{Page, freeze, holders, notes, refused, size};
use crate::schema::kind::Kind;

/// How the change is made, and why so.
pub fn strategy(report: &PlanReport) -> (&'static str, String) {
    if let Some(why) = &report.nothing {
        return ("none", format!("nothing to do: {why}"));
    }
    let because = match report.kind {
        Kind::Drop => {
            "renamed away, where no application finds it, and dropped at `rsc complete`: until then it can be renamed back, \
             with every row"
        }
        Kind::Create | Kind::Alter => {
            "created under another name and renamed, so that it is there whole or not at all, and can be renamed away again"
        }
    };
    ("rename", because.into())
}

pub fn text(report: &PlanReport, width: usize) -> String {
    let mut page = Page::of(report, width);
    page.field("statement", one_line(&report.statement, 200));
    if !report.refused.is_empty() {
        refused(&mut page);
        size(report, &mut page);
        notes(report, &mut page);
        return page.lines.join("\n");
    }
    page.field("strategy", strategy(report).1);
    if report.nothing.is_some() {
        return page.lines.join("\n");
    }
    size(report, &mut page);
    let (disk, revert) = match report.kind {
        Kind::Drop => {
            freeze(report, &mut page, "whoever uses the table, at the rename");
            (
                "none; what the table takes now is free after `rsc complete`",
                "lossless: it brings the whole table back, with every row",
            )
        }
        Kind::Create | Kind::Alter => {
            page.field("freeze", "none: nobody can use the table before".into());
            (
                "none",
                "lossless: rows that were written since stay in the kept table, and come back at a reapply",
            )
        }
    };
    page.field("disk", disk.into());
    let window = duration(Duration::from_secs(report.revert_window_s));
    page.field("binlogs", format!("not needed; the revert window is {window}"));
    holders(report, &mut page);
    page.field("revert", style(revert).green().to_string());
    notes(report, &mut page);
    page.lines.join("\n")
}
