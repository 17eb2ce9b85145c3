//! What `--require-…` and `--max-…` ask for, and is not so. What is not known is not promised.

use std::time::Duration;

use crate::cli::{Agent, Plan};
use crate::error::Told;
use crate::lifecycle::retention::shorter_than_window;
use crate::output::{PlanReport, duration};
use crate::schema::revert_report::Verdict;

pub fn failed(plan: &Plan, report: &PlanReport) -> Vec<Told> {
    let mut failed = Vec::new();
    if plan.require_revertible || plan.require_lossless {
        failed.extend(not_revertible(plan, report));
    }
    if plan.require_lossless
        && let Some(revert) = report.revert.as_ref().filter(|revert| revert.verdict() != Verdict::Lossless)
    {
        failed.extend(revert.losses().into_iter().map(|why| {
            Told::new(format!("not lossless: {why}")).next(
                "choose a definition that holds all that the new one does, or do without --require-lossless",
            )
        }));
    }
    let too_long = |name: &str, what: &str, most: Option<Duration>, high_s: Option<f64>| {
        let most = most?;
        let told = match high_s {
            Some(high_s) if high_s <= most.as_secs_f64() => return None,
            Some(high_s) => Told::new(format!(
                "{what} may take {}, which is longer than {name} {}",
                humantime::format_duration(Duration::from_millis((high_s * 1000.0) as u64)),
                humantime::format_duration(most)
            )),
            None => Told::new(format!("{name} cannot be judged: how long {what} takes is not known")),
        };
        Some(told.next(format!("allow for more with {name}, or do without it")))
    };
    let freeze_s = report.freeze.map(|freeze| freeze.high / 1000.0);
    failed.extend(too_long("--max-freeze", "the freeze at the swap", plan.max_freeze, freeze_s));
    let duration_s = report.duration.map(|duration| duration.high);
    failed.extend(too_long("--max-duration", "the change", plan.max_duration, duration_s));
    failed
}

fn not_revertible(plan: &Plan, report: &PlanReport) -> Option<Told> {
    let kept_s = report.binlogs_kept_s.flatten();
    let window_s = plan.migrate.revert_window.as_secs();
    if report.revert.is_none() {
        return Some(
            Told::new(match report.not_revertible {
                true => "the change cannot be taken back: rows cannot be kept in both tables",
                false => {
                    "whether the change can be taken back is not known: the statement could not be tried"
                }
            })
            .next("mend what speaks against the change"),
        );
    }
    if plan.migrate.agent != Agent::None {
        return None;
    }
    let kept_s = shorter_than_window(kept_s, window_s)?;
    Some(
        Told::new(format!(
            "the change can be taken back for {} only, not for the revert window of {}: with --agent none it needs the \
             server's binlogs",
            duration(Duration::from_secs(kept_s)),
            duration(Duration::from_secs(window_s))
        ))
        .next(format!("SET PERSIST binlog_expire_logs_seconds = {window_s}; or let an agent keep the stream")),
    )
}
