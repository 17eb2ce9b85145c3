//! The shapes of the JSON output.

use std::path::Path;

use serde_json::{Value, json};

use super::status::{StatusReport, Swap, time_of};
use super::{Listed, LossReport};
use crate::agent::Tale;
use crate::error::Error;
use crate::journal::record::Change;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::sample::Sample;
use crate::lifecycle::trend;
use crate::lifecycle::unseen::Unseen;
use crate::lifecycle::verification::Verification;

/// Counts the incompatible changes of what this version prints; docs/json.md says what that promises.
const VERSION: u32 = 1;

/// Every object says of which version it is: a line that was filtered out of a stream is understood by itself.
pub fn versioned(mut value: Value) -> Value {
    if value.get("version").is_none() {
        value["version"] = VERSION.into();
    }
    value
}

pub fn notice(notice: &Notice) -> Value {
    match notice {
        Notice::Started { id, table, state } => {
            json!({ "event": "started", "id": id, "table": table, "state": state.name() })
        }
        Notice::Entered { kind: _, state } => json!({ "event": "state", "state": state.name() }),
        Notice::Copied { rows, estimate, rows_per_s, eta_s } => json!({
            "event": "copied", "rows": rows, "rows_estimate": estimate,
            "rows_per_s": rows_per_s.round(), "eta_s": eta_s.map(f64::round),
        }),
        Notice::Made { deferred, because } => {
            json!({ "event": "made", "indexes_deferred": deferred, "because": because })
        }
        Notice::Indexing { indexes, seconds, done, eta_s, not_kept: _ } => json!({
            "event": "indexing", "indexes": indexes, "seconds": seconds.round(),
            "done": done, "eta_s": eta_s.map(f64::round),
        }),
        Notice::Behind { seconds } => json!({ "event": "behind", "seconds": seconds }),
        Notice::Swapped { kind: _, serving, freeze } => {
            json!({ "event": "swapped", "serving": serving.name(), "freeze": freeze })
        }
        Notice::SwapMissed { kind: _, why, blockers, again_in_s } => {
            json!({ "event": "swap_missed", "why": why, "blockers": blockers, "again_in_s": again_in_s })
        }
        Notice::Verifying { rows, estimate } => {
            json!({ "event": "verifying", "rows": rows, "rows_estimate": estimate })
        }
        Notice::Verified(found) => {
            let mut value = verified(found);
            value["event"] = "verified".into();
            value
        }
        Notice::Following { changes } => json!({ "event": "following", "changes": changes }),
        Notice::Asked { verb, by, granted } => {
            json!({ "event": "asked", "verb": verb.name(), "by": by, "granted": granted })
        }
        Notice::Retrying { why, again_in_s } => {
            json!({ "event": "retrying", "why": why, "again_in_s": again_in_s })
        }
        Notice::Throttled { reasons, kinds: _, lag_ms, for_s, news: _ } => {
            json!({ "event": "throttled", "reasons": reasons, "lag_ms": lag_ms, "for_s": for_s })
        }
        Notice::Unthrottled { after_s } => json!({ "event": "unthrottled", "after_s": after_s }),
        Notice::CutoverWaits { windows, opens_in_s } => {
            json!({ "event": "cutover_waits", "windows": windows, "opens_in_s": opens_in_s })
        }
        Notice::Killed(blocker) => json!({ "event": "killed", "blocker": blocker }),
        Notice::OldReaders { readers, fail } => {
            json!({ "event": "old_readers", "readers": readers, "fail": fail })
        }
        Notice::LimitsSet { by, settings } => {
            json!({ "event": "limits_set", "by": by, "settings": settings })
        }
        Notice::Paused => json!({ "event": "paused" }),
        Notice::Truncated => json!({ "event": "truncated" }),
        Notice::Parked { rows } => json!({ "event": "parked", "rows": rows }),
        Notice::Lost(lost) => json!({
            "event": "lost", "parked_rows": lost.rows, "lost_values": lost.values, "named": lost.named,
        }),
        Notice::TakenBack { verb, why } => {
            json!({ "event": "taken_back", "verb": verb.name(), "why": why })
        }
        Notice::BinlogsShort(shortage) => {
            json!({ "event": "binlogs_short", "kept_s": shortage.kept_s, "left_s": shortage.left_s })
        }
        Notice::InTheWay { why } => json!({ "event": "in_the_way", "why": why }),
        Notice::Blocked { why } => json!({ "event": "blocked", "why": why }),
    }
}

pub fn tale(tale: &Tale) -> Value {
    match tale {
        Tale::Of(id, told) => {
            let mut value = notice(told);
            value["id"] = (*id).into();
            value
        }
        Tale::Ended(id, ended) => {
            let mut value = error(ended);
            value["event"] = "ended".into();
            value["id"] = (*id).into();
            value
        }
        Tale::Back => json!({ "event": "back" }),
        Tale::Away(why) => json!({ "event": "away", "why": why }),
    }
}

/// The change has come to where the command wanted it.
pub fn done(change: &Change) -> Value {
    json!({
        "event": "done", "id": change.id, "state": change.state.name(), "serving": change.serving.name(),
        "freeze_ms": change.freeze_ms,
    })
}

pub fn note(text: &str) -> Value {
    json!({ "event": "note", "text": text })
}

pub fn nothing_to_do(table: &str, why: &str) -> Value {
    json!({ "event": "nothing_to_do", "table": table, "why": why })
}

/// A page was written.
pub fn written(id: u64, file: &Path) -> Value {
    json!({ "event": "report", "id": id, "file": file.display().to_string() })
}

fn change(change: &Change) -> Value {
    json!({
        "id": change.id,
        "kind": change.options.kind.name(),
        "table": change.table.plain(),
        "statement": change.statement,
        "state": change.state.name(),
        "paused": change.paused,
        "postpone_cutover": change.options.postpone_cutover,
        "reason": change.reason,
        "freeze_ms": change.freeze_ms,
        "started_at": change.started_at,
        "updated_at": change.updated_at,
        "window_ends_at": change.window_ends_at,
    })
}

pub fn listed(listed: &Listed) -> Value {
    let mut value = change(&listed.change);
    value["event"] = "change".into();
    value["owned"] = listed.owned().into();
    value["in_the_way"] = listed.in_the_way.clone().into();
    value["verdict"] = listed.verdict.as_ref().map(|verdict| verdict.name()).into();
    value["now"] = now(listed.sample.as_ref().filter(|_| listed.owned()));
    value
}

/// What the owner was at last.
fn now(sample: Option<&Sample>) -> Value {
    sample.map_or(Value::Null, |sample| {
        json!({
            "activity": sample.activity.name(), "done": sample.done, "goal": sample.goal,
            "applied": sample.applied, "lag_ms": sample.lag_ms, "throttled": sample.throttled,
        })
    })
}

pub fn status(report: &StatusReport) -> Value {
    let mut value = change(&report.change);
    value["event"] = "status".into();
    value["serving"] = report.serving.map(|s| s.name()).into();
    value["kept"] = report.serving.and_then(|s| report.change.kept(s)).map(|kept| kept.plain()).into();
    value["verdict"] = json!({ "verdict": report.verdict.name(), "text": report.verdict.to_string() });
    value["owner"] = match &report.owner {
        Some(owner) => json!({ "who": owner.who, "alive": owner.alive, "silent_s": owner.silent_s }),
        None => Value::Null,
    };
    value["rows_copied"] = report.rows_copied.into();
    value["rows_estimate"] = report.change.rows_estimate.into();
    value["ledger"] = json!({ "parked_rows": report.ledger.parked, "lost_values": report.ledger.losses });
    value["verification"] = report.verification.as_ref().map_or(Value::Null, on_record);
    value["evidence"] = evidence(report);
    value["now"] = now(report.now());
    value["rate"] = report.now().and_then(|_| trend::rate_now(&report.samples)).map(f64::round).into();
    value["left"] = json!(report.now().and_then(|_| trend::left(&report.samples)));
    value["swaps"] = report.swaps().iter().map(swap).collect();
    value["blockers"] = json!(report.blockers);
    value["binlogs_short"] = json!(report.shortage);
    value["throttle"] = report.throttle.as_ref().map_or(Value::Null, |now| {
        json!({
            "throttled": now.throttled, "reasons": now.reasons, "since": now.since, "for_s": now.for_s,
            "lag_ms": now.lag_ms,
        })
    });
    value["cutover_waits"] = report
        .cutover_waits
        .as_ref()
        .map_or(Value::Null, |(wait, windows)| json!({ "windows": windows, "opens_in_s": wait.as_secs() }));
    value["limits"] = limits(&report.change);
    value["unseen"] = report.unseen.as_ref().map_or(Value::Null, unseen);
    value["held"] = report.held.clone().into();
    value["next"] = report.next.clone().into();
    value
}

fn swap(swap: &Swap) -> Value {
    json!({ "at": time_of(swap.at_ms), "serving": swap.serving.name(), "freeze": swap.freeze })
}

/// For `rsc set` without a setting.
pub fn limits_of(change: &Change) -> Value {
    json!({ "event": "limits", "id": change.id, "limits": limits(change) })
}

/// All limits of a change, by name.
pub fn limits(change: &Change) -> Value {
    change.options.limits.all().into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect()
}

fn verified(found: &Verification) -> Value {
    json!({
        "outcome": found.outcome.map(|outcome| outcome.name()), "serving": found.serving.name(),
        "rows": found.rows, "mismatches": found.mismatches(), "mended": found.mended(),
        "unsettled": found.unsettled, "seconds": found.seconds, "excluded": found.excluded,
        "position": found.position, "background": found.background, "native": found.native,
    })
}

/// What is known of the tables, how old that is, and how far the next look at them has come.
fn evidence(report: &StatusReport) -> Value {
    let found = report.evidence.as_ref();
    json!({
        "differs": found.map(|found| found.mismatches() > 0),
        "ended_at": found.and_then(|found| found.ended_at.as_deref()),
        "ago_s": report.evidence_age_ms().map(|ms| ms / 1000),
        "under_way_percent": report.being_verified(),
    })
}

/// From the journal, which has the times.
fn on_record(found: &Verification) -> Value {
    let mut value = verified(found);
    value["began_at"] = found.began_at.as_str().into();
    value["ended_at"] = found.ended_at.as_deref().into();
    value
}

/// One object for each row that differs, and one that sums up.
pub fn verification(change: &Change, found: &Verification, limit: usize) -> Vec<Value> {
    let mut lines: Vec<Value> = found
        .findings
        .iter()
        .take(limit)
        .map(|finding| {
            json!({
                "event": "mismatch", "kind": finding.kind.name(), "key": finding.key, "columns": finding.cells,
                "mended": finding.mended,
            })
        })
        .collect();
    let mut sum = on_record(found);
    sum["event"] = "verification".into();
    sum["id"] = change.id.into();
    lines.push(sum);
    lines
}

/// One object for each finding, and one that sums up.
pub fn losses(report: &LossReport<'_>) -> Vec<Value> {
    let mut lines = Vec::new();
    for parked in report.parked {
        lines.push(json!({
            "event": "parked_row", "key": parked.key, "reason": parked.reason, "since": parked.since,
        }));
    }
    for loss in report.lost {
        // Text where it is no JSON after all.
        let row = serde_json::from_str(&loss.row).unwrap_or_else(|_| Value::from(loss.row.as_str()));
        lines.push(json!({
            "event": "lost_value", "key": loss.key, "column": loss.column, "kept": loss.kept,
            "lost": loss.lost, "row": row, "since": loss.since,
        }));
    }
    for own in report.own {
        lines.push(json!({
            "event": "new_value", "key": own.key, "column": own.column, "value": own.value,
        }));
    }
    lines.push(json!({
        "event": "losses", "id": report.change.id, "serving": report.change.serving.name(),
        "parked_rows": report.totals.parked, "lost_values": report.totals.losses,
        "new_values_listed": report.own.len(), "limit": report.limit,
        "unseen": report.unseen.map(unseen),
    }));
    lines
}

fn unseen(unseen: &Unseen) -> Value {
    json!({ "transactions": unseen.transactions, "since": unseen.since })
}

pub fn error(error: &Error) -> Value {
    let reasons: Vec<Value> = error
        .told()
        .iter()
        .map(|told| json!({ "what": told.what, "state": told.state, "next": told.next }))
        .collect();
    json!({ "event": "error", "kind": error.kind(), "exit_code": error.exit_code(), "reasons": reasons })
}
