//! What `rsc plan` shows. The JSON is documented in docs/plan.md; `VERSION` counts its incompatible changes.

mod text;
mod whole;

use serde_json::{Value, json};

use crate::error::Told;
use crate::lifecycle::forecast::Forecast;
use crate::lifecycle::notice::Blocker;
use crate::mysql::volume::{Folder, Size};
use crate::schema::kind::Kind;
use crate::schema::revert_report::{ColumnReport, Report};

pub fn text(report: &PlanReport, width: usize) -> String {
    match report.kind.whole() {
        true => whole::text(report, width),
        false => text::text(report, width),
    }
}

const VERSION: u32 = 1;

/// Why there is a second table.
const BECAUSE: &str =
    "only a second table that is kept current can be swapped back at once, with every row written since";

/// All that could be found out. `None` and empty stand for what could not, which `unknown` says in words.
#[derive(Default)]
pub struct PlanReport {
    pub kind: Kind,
    pub table: String,
    pub statement: String,
    /// `rsc migrate` would refuse the change for these.
    pub refused: Vec<Told>,
    /// What `--require-…` and `--max-…` find missing.
    pub failed: Vec<Told>,
    /// Why there is nothing to do.
    pub nothing: Option<String>,
    pub size: Option<Size>,
    /// The server would do it at once, in a way that rsc cannot take back.
    pub instant: Option<bool>,
    pub sampled: Option<Sampled>,
    /// The copy and the indexes, in seconds.
    pub duration: Option<Forecast>,
    pub copy: Option<Forecast>,
    /// Indexes that are built after the copy.
    pub deferred: Vec<String>,
    /// Why none are, though some could be.
    pub not_deferred: Option<String>,
    pub indexes: Option<Forecast>,
    /// In milliseconds.
    pub freeze: Option<Forecast>,
    pub disk: Vec<Disk>,
    /// The server keeps its binlogs for so long; the inner `None`: until someone purges them.
    pub binlogs_kept_s: Option<Option<u64>>,
    pub revert_window_s: u64,
    /// Who is to keep the stream after the swap.
    pub agent: &'static str,
    pub holders: Option<Holders>,
    pub revert: Option<Report>,
    /// Of columns by their name in the old schema: so many rows have a value in a dropped column, or do not fit.
    pub rows: Vec<(String, u64)>,
    /// Why a statement that could be tried has no way back.
    pub not_revertible: bool,
    pub warnings: Vec<String>,
    pub unknown: Vec<String>,
}

/// What the estimate of the time is from.
pub struct Sampled {
    pub sessions: usize,
    pub rows: u64,
    pub seconds: f64,
}

/// Room that the change takes.
pub struct Disk {
    pub what: &'static str,
    pub bytes: Option<u64>,
    pub folder: Folder,
}

/// Who holds the table now, the longest first.
pub struct Holders(pub Vec<Blocker>);

impl PlanReport {
    /// One word.
    pub fn verdict(&self) -> &'static str {
        match &self.revert {
            Some(report) => report.verdict().name(),
            None if self.not_revertible => "not_revertible",
            None => "unknown",
        }
    }

    fn rows_of(&self, column: &ColumnReport) -> Option<u64> {
        let (name, _) = column.old.as_ref()?;
        self.rows.iter().find(|(of, _)| of == name).map(|(_, rows)| *rows)
    }
}

pub fn json(report: &PlanReport) -> Value {
    let (strategy, because) = match report.kind.whole() {
        true => whole::strategy(report),
        false => ("copy", BECAUSE.into()),
    };
    json!({
        "event": "plan",
        "schema": "rsc.plan",
        "version": VERSION,
        "kind": report.kind.name(),
        "table": report.table,
        "statement": report.statement,
        "possible": report.refused.is_empty(),
        "refused": reasons(&report.refused),
        "failed": reasons(&report.failed),
        "strategy": { "name": strategy, "because": because, "instant": report.instant },
        "size": report.size.map(|size| json!({
            "rows": size.rows, "data_bytes": size.data_bytes, "index_bytes": size.index_bytes,
            "file_bytes": size.file_bytes,
        })),
        "duration_s": report.duration,
        "copy": {
            "seconds": report.copy,
            "sample": report.sampled.as_ref().map(|sampled| json!({
                "sessions": sampled.sessions, "rows": sampled.rows, "seconds": sampled.seconds,
            })),
        },
        "indexes": {
            "deferred": report.deferred, "not_deferred_because": report.not_deferred, "seconds": report.indexes,
        },
        "freeze_ms": report.freeze,
        "disk": report.disk.iter().map(disk).collect::<Vec<_>>(),
        "binlogs": {
            "known": report.binlogs_kept_s.is_some(),
            "kept_s": report.binlogs_kept_s.flatten(),
            "revert_window_s": report.revert_window_s,
            "agent": report.agent,
        },
        "holders": report.holders.as_ref().map(|holders| &holders.0),
        "revert": {
            "verdict": report.verdict(),
            "losses": report.revert.as_ref().map_or_else(Vec::new, Report::losses),
            "columns": report.revert.iter().flat_map(|r| &r.columns).map(|c| column(report, c)).collect::<Vec<_>>(),
            "rules": report.revert.iter().flat_map(|r| &r.rules).map(|rule| json!({
                "kind": rule.kind.name(), "name": rule.name, "parks": rule.parks, "what": rule.what,
            })).collect::<Vec<_>>(),
        },
        "warnings": report.warnings,
        "unknown": report.unknown,
    })
}

fn reasons(told: &[Told]) -> Vec<Value> {
    told.iter().map(|told| json!({ "what": told.what, "next": told.next })).collect()
}

fn disk(disk: &Disk) -> Value {
    json!({
        "what": disk.what, "bytes": disk.bytes, "folder": disk.folder.path,
        "free_bytes": disk.folder.room.map(|room| room.free_bytes),
    })
}

fn column(report: &PlanReport, column: &ColumnReport) -> Value {
    let side = |side: &Option<(String, String)>| {
        side.as_ref().map(|(name, kind)| json!({ "name": name, "type": kind }))
    };
    json!({
        "old": side(&column.old), "new": side(&column.new), "fate": column.fate.name(),
        "what": column.what, "loses": column.loses, "parks": column.parks,
        "rows": report.rows_of(column),
    })
}
