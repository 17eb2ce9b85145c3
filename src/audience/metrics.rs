//! What Prometheus is told. The names are listed in [`METRICS`] and explained in docs/metrics.md.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::State;
use crate::lifecycle::verification::Outcome;

/// Name, type, and help.
pub const METRICS: [(&str, &str, &str); 21] = [
    ("rsc_up", "gauge", "1 while this process runs"),
    ("rsc_build_info", "gauge", "1, with the version as a label"),
    ("rsc_start_time_seconds", "gauge", "when this process was started, in seconds since the epoch"),
    ("rsc_change_driven", "gauge", "1 while this process drives the change"),
    ("rsc_change_state", "gauge", "1, with the state of the change as a label"),
    ("rsc_change_paused", "gauge", "1 while the change stands still because someone paused it"),
    ("rsc_change_rows_copied", "gauge", "rows that have been copied"),
    ("rsc_change_rows_estimate", "gauge", "about how many rows the table has"),
    ("rsc_change_copy_rows_per_second", "gauge", "the speed of the copy"),
    ("rsc_change_lag_seconds", "gauge", "how far the stream is behind the server's clock"),
    (
        "rsc_change_applied_changes_total",
        "counter",
        "row changes that this process has written to the other table",
    ),
    ("rsc_change_throttled", "gauge", "1 while the copy is held back, with the reason as a label"),
    ("rsc_change_parked_rows", "gauge", "rows that the old schema cannot hold"),
    ("rsc_change_lost_values", "gauge", "values that the old schema holds only as the nearest it can"),
    ("rsc_change_freeze_seconds", "gauge", "how long writers waited at the last swap"),
    (
        "rsc_change_swaps_missed_total",
        "counter",
        "attempts to swap that were given up because something held the table",
    ),
    ("rsc_change_retries_total", "counter", "how often something went wrong that was tried again"),
    (
        "rsc_change_revert_window_left_seconds",
        "gauge",
        "how long the change can be taken back; 0 when it cannot any more",
    ),
    ("rsc_change_verdict", "gauge", "1, with what would come of a revert or reapply now as a label"),
    (
        "rsc_change_verification",
        "gauge",
        "1, with the outcome of the last comparison of the tables as a label",
    ),
    ("rsc_change_failed", "gauge", "1 if this process has given the change up with an error"),
];

/// A change that has ended is shown for so long, so that every scrape has seen it.
const SHOWN_AFTER_END: Duration = Duration::from_secs(600);

#[derive(Default)]
struct Row {
    table: String,
    driven: bool,
    failed: bool,
    paused: bool,
    state: Option<State>,
    ended: Option<Instant>,
    rows_copied: Option<u64>,
    rows_estimate: Option<u64>,
    rows_per_s: Option<f64>,
    lag_s: Option<u64>,
    /// By the engines of this process that have ended, and by the one that runs.
    applied: (u64, u64),
    parked: Option<u64>,
    losses: Option<u64>,
    freeze_s: Option<f64>,
    throttled: Vec<String>,
    swaps_missed: u64,
    retries: u64,
    window_left_s: Option<f64>,
    verdict: Option<&'static str>,
    verification: Option<Outcome>,
}

/// What the journal says of a change.
pub struct Sample {
    pub rows_copied: u64,
    pub rows_estimate: u64,
    pub parked: u64,
    pub losses: u64,
    pub window_left_s: Option<f64>,
    pub verdict: &'static str,
    pub freeze_ms: Option<f64>,
    pub verification: Option<Outcome>,
}

pub struct Metrics {
    started: SystemTime,
    rows: Mutex<BTreeMap<u64, Row>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        Self { started: SystemTime::now(), rows: Mutex::default() }
    }

    fn with<T>(&self, change: u64, use_it: impl FnOnce(&mut Row) -> T) -> T {
        use_it(self.rows.lock().unwrap_or_else(|e| e.into_inner()).entry(change).or_default())
    }

    pub fn hear(&self, change: u64, notice: &Notice) {
        self.with(change, |row| row.hear(notice));
    }

    /// This process does not drive it any more.
    pub fn left(&self, change: u64, failed: bool) {
        self.with(change, |row| (row.driven, row.failed) = (false, failed));
    }

    /// The changes that are worth a look into the journal.
    pub fn driven(&self) -> Vec<u64> {
        let mut rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        rows.retain(|_, row| row.ended.is_none_or(|at| at.elapsed() < SHOWN_AFTER_END));
        rows.iter().filter(|(_, row)| row.driven).map(|(id, _)| *id).collect()
    }

    pub fn sampled(&self, change: u64, sample: Sample) {
        self.with(change, |row| {
            row.rows_copied = Some(sample.rows_copied.max(row.rows_copied.unwrap_or(0)));
            row.rows_estimate = Some(sample.rows_estimate);
            (row.parked, row.losses) = (Some(sample.parked), Some(sample.losses));
            (row.window_left_s, row.verdict) = (sample.window_left_s, Some(sample.verdict));
            row.freeze_s = sample.freeze_ms.map(|ms| ms / 1000.0).or(row.freeze_s);
            row.verification = sample.verification.or(row.verification);
        });
    }

    /// The exposition format of Prometheus.
    pub fn text(&self) -> String {
        let rows = self.rows.lock().unwrap_or_else(|e| e.into_inner());
        let mut out = String::new();
        for (name, kind, help) in METRICS {
            // Writing into a String does not fail.
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in self.samples(name, &rows) {
                let labels: Vec<String> =
                    labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
                let labels =
                    if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                let _ = writeln!(out, "{name}{labels} {value}");
            }
        }
        out
    }

    fn samples(&self, name: &str, rows: &BTreeMap<u64, Row>) -> Vec<(Vec<(&'static str, String)>, f64)> {
        match name {
            "rsc_up" => vec![(Vec::new(), 1.0)],
            "rsc_build_info" => vec![(vec![("version", env!("CARGO_PKG_VERSION").into())], 1.0)],
            "rsc_start_time_seconds" => {
                let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
                vec![(Vec::new(), since.as_secs_f64().round())]
            }
            of_changes => rows
                .iter()
                .flat_map(|(id, row)| {
                    let own = || vec![("change", id.to_string()), ("table", row.table.clone())];
                    row.samples(of_changes)
                        .into_iter()
                        .map(move |(label, value)| (own().into_iter().chain(label).collect(), value))
                })
                .collect(),
        }
    }
}

impl Row {
    fn hear(&mut self, notice: &Notice) {
        match notice {
            Notice::Started { table, state, .. } => {
                self.table.clone_from(table);
                (self.driven, self.failed, self.paused) = (true, false, false);
                self.applied = (self.applied.0 + self.applied.1, 0);
                self.enter(*state);
            }
            Notice::Entered { state, .. } => self.enter(*state),
            Notice::Copied { rows, estimate, rows_per_s, .. } => {
                (self.rows_copied, self.rows_estimate) = (Some(*rows), Some(*estimate));
                (self.rows_per_s, self.paused) = (Some(*rows_per_s), false);
            }
            Notice::Behind { seconds } => (self.lag_s, self.paused) = (Some(*seconds), false),
            Notice::Following { changes } => {
                (self.lag_s, self.applied.1, self.paused) = (Some(0), *changes, false);
            }
            Notice::Swapped { freeze, .. } => {
                self.freeze_s = freeze.map(|freeze| freeze.freeze_ms / 1000.0).or(self.freeze_s);
            }
            Notice::SwapMissed { .. } => self.swaps_missed += 1,
            Notice::Retrying { .. } => self.retries += 1,
            Notice::Throttled { kinds, .. } => self.throttled.clone_from(kinds),
            Notice::Unthrottled { .. } => self.throttled.clear(),
            Notice::Paused => self.paused = true,
            Notice::Parked { rows } => self.parked = Some(*rows),
            Notice::Verified(found) => self.verification = found.outcome,
            Notice::Made { .. }
            | Notice::Indexing { .. }
            | Notice::Verifying { .. }
            | Notice::Asked { .. }
            | Notice::Truncated
            | Notice::Lost(_)
            | Notice::TakenBack { .. }
            | Notice::CutoverWaits { .. }
            | Notice::Killed(_)
            | Notice::OldReaders { .. }
            | Notice::LimitsSet { .. }
            | Notice::BinlogsShort(_)
            | Notice::InTheWay { .. }
            | Notice::Blocked { .. } => {}
        }
    }

    fn enter(&mut self, state: State) {
        self.state = Some(state);
        if state != State::Copying {
            self.rows_per_s = None;
            self.throttled.clear();
        }
        if state.ended() {
            (self.ended, self.driven, self.lag_s) = (Some(Instant::now()), false, None);
            (self.window_left_s, self.verdict) = (None, None);
        }
    }

    /// Each with the label that it has besides the change's.
    fn samples(&self, name: &str) -> Vec<(Option<(&'static str, String)>, f64)> {
        let plain = |value: Option<f64>| value.map(|value| (None, value)).into_iter().collect();
        let switch = |on: bool| plain(Some(f64::from(u8::from(on))));
        let count = |value: Option<u64>| plain(value.map(|value| value as f64));
        let named = |label, value: Option<&str>| {
            value.map(|value| (Some((label, value.to_owned())), 1.0)).into_iter().collect()
        };
        match name {
            "rsc_change_driven" => switch(self.driven),
            "rsc_change_failed" => switch(self.failed),
            "rsc_change_paused" => switch(self.paused),
            "rsc_change_state" => named("state", self.state.map(|state| state.name())),
            "rsc_change_rows_copied" => count(self.rows_copied),
            "rsc_change_rows_estimate" => count(self.rows_estimate),
            "rsc_change_copy_rows_per_second" => plain(self.rows_per_s),
            "rsc_change_lag_seconds" => count(self.lag_s),
            "rsc_change_applied_changes_total" => count(Some(self.applied.0 + self.applied.1)),
            "rsc_change_throttled" => {
                let reason = |reason: &String| (Some(("reason", reason.clone())), 1.0);
                self.throttled.iter().map(reason).collect()
            }
            "rsc_change_parked_rows" => count(self.parked),
            "rsc_change_lost_values" => count(self.losses),
            "rsc_change_freeze_seconds" => plain(self.freeze_s),
            "rsc_change_swaps_missed_total" => count(Some(self.swaps_missed)),
            "rsc_change_retries_total" => count(Some(self.retries)),
            "rsc_change_revert_window_left_seconds" => plain(self.window_left_s),
            "rsc_change_verdict" => named("verdict", self.verdict),
            "rsc_change_verification" => named("outcome", self.verification.map(|outcome| outcome.name())),
            _ => Vec::new(),
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::notice::Freeze;
    use crate::lifecycle::state::Serving;
    use crate::schema::kind::Kind;

    fn throttled(kinds: &[&str]) -> Notice {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        Notice::Throttled { reasons: kinds.clone(), kinds, lag_ms: None, for_s: 1.0, news: true }
    }

    #[test]
    fn what_is_told_of_a_change_becomes_its_metrics() {
        let metrics = Metrics::new();
        let table = "d.a\"b".to_owned();
        for notice in [
            Notice::Started { id: 7, table, state: State::Planned },
            Notice::Entered { kind: Kind::Alter, state: State::Copying },
            Notice::Copied { rows: 10, estimate: 20, rows_per_s: 5.0, eta_s: None },
            Notice::Behind { seconds: 3 },
            throttled(&["lag r1:3306", "query"]),
            Notice::Swapped {
                kind: Kind::Alter,
                serving: Serving::New,
                freeze: Some(Freeze { freeze_ms: 12.5, ..Freeze::default() }),
            },
            Notice::Parked { rows: 2 },
            Notice::Following { changes: 99 },
        ] {
            metrics.hear(7, &notice);
        }
        let text = metrics.text();
        let own = "change=\"7\",table=\"d.a\\\"b\"";
        for line in [
            format!("rsc_change_state{{{own},state=\"copying\"}} 1"),
            format!("rsc_change_rows_copied{{{own}}} 10"),
            format!("rsc_change_copy_rows_per_second{{{own}}} 5"),
            format!("rsc_change_lag_seconds{{{own}}} 0"),
            format!("rsc_change_throttled{{{own},reason=\"lag r1:3306\"}} 1"),
            format!("rsc_change_throttled{{{own},reason=\"query\"}} 1"),
            format!("rsc_change_freeze_seconds{{{own}}} 0.0125"),
            format!("rsc_change_parked_rows{{{own}}} 2"),
            format!("rsc_change_applied_changes_total{{{own}}} 99"),
            format!("rsc_change_driven{{{own}}} 1"),
        ] {
            assert!(text.lines().any(|found| found == line), "no {line}:\n{text}");
        }
        metrics.hear(7, &Notice::Unthrottled { after_s: 1.0 });
        assert!(!metrics.text().contains("rsc_change_throttled{"), "{}", metrics.text());
        // A second engine of this process counts from the beginning.
        metrics.hear(7, &Notice::Started { id: 7, table: "d.t".into(), state: State::Revertible });
        metrics.hear(7, &Notice::Following { changes: 1 });
        assert!(metrics.text().contains("rsc_change_applied_changes_total{change=\"7\",table=\"d.t\"} 100"));
        metrics.hear(7, &Notice::Entered { kind: Kind::Alter, state: State::Completed });
        assert_eq!(metrics.driven(), Vec::<u64>::new());
        assert!(metrics.text().contains("state=\"completed\"} 1"));
    }

    #[test]
    fn every_metric_has_a_type_and_a_name_of_its_own() {
        for (place, (name, kind, help)) in METRICS.iter().enumerate() {
            assert!(
                name.starts_with("rsc_") && ["gauge", "counter"].contains(kind) && !help.is_empty(),
                "{name}"
            );
            assert_eq!(*kind == "counter", name.ends_with("_total"), "{name}");
            assert!(METRICS[..place].iter().all(|(other, ..)| other != name), "{name} is there twice");
        }
    }
}
