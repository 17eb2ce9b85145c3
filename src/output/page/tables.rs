//! The page's tables. Each is left out when it would be empty.

use maud::{Markup, html as markup};

use crate::lifecycle::notice::{Blocker, Freeze};
use crate::lifecycle::trend;
use crate::lifecycle::verification::{Kind, Verification};
use crate::output::status::{StatusReport, time_of};
use crate::output::text::{brief, count};

/// Rows of a verification, attempts to swap, and waits that are listed.
const LISTED_MAX: usize = 50;

pub fn swaps(report: &StatusReport) -> Markup {
    let swaps = report.swaps();
    let longest = swaps.iter().map(|swap| swap.freeze.freeze_ms).fold(1e-9, f64::max);
    if swaps.is_empty() {
        return markup! {};
    }
    markup! {
        section {
            h2 { "Swaps" }
            div.scroll { table {
                thead { tr {
                    th { "at" } th { "serves" } th.num { "writers waited" } th.wide { "of which" }
                    th.num { "read" } th.num { "write" } th.num { "rename" } th.num { "lock, before" }
                } }
                tbody { @for swap in &swaps {
                    @let Freeze { lock_wait_ms, drain_ms, apply_ms, rename_ms, freeze_ms } = swap.freeze;
                    tr {
                        td.time { (time_of(swap.at_ms)) }
                        td { (swap.serving.name()) }
                        td.num { strong { (ms(freeze_ms)) } }
                        td.wide { div.parts {
                            @for (part, class) in [(drain_ms, "read"), (apply_ms, "write"), (rename_ms, "rename")] {
                                i.(class) style=(format!("width:{:.1}%", part / longest * 100.0)) {}
                            }
                        } }
                        td.num { i.key.read {} (ms(drain_ms)) }
                        td.num { i.key.write {} (ms(apply_ms)) }
                        td.num { i.key.rename {} (ms(rename_ms)) }
                        td.num { (ms(lock_wait_ms)) }
                    }
                } }
            } }
            p.note {
                "Writers wait from the locks being granted to their release: for the last of the stream to be read and written, \
                and for the RENAME. They may also have waited behind the request for the locks."
            }
        }
    }
}

pub fn misses(report: &StatusReport) -> Markup {
    let misses = report.misses();
    if misses.is_empty() {
        return markup! {};
    }
    markup! {
        section {
            h2 { "Attempts to swap that came to nothing" small { " " (misses.len()) } }
            div.scroll { table {
                thead { tr { th { "at" } th { "why" } th.wide { "who held the table" } } }
                tbody { @for miss in misses.iter().rev().take(LISTED_MAX).rev() { tr {
                    td.time { (time_of(miss.at_ms)) }
                    td { (miss.why) }
                    td.wide { @for held in &miss.blockers { (holder(held)) } }
                } } }
            } }
        }
    }
}

pub fn blockers(report: &StatusReport) -> Markup {
    if report.blockers.is_empty() {
        return markup! {};
    }
    markup! {
        section {
            h2 { "In the way of the swap now" }
            @for held in &report.blockers { (holder(held)) }
        }
    }
}

fn holder(held: &Blocker) -> Markup {
    markup! {
        p.holder {
            "connection " (held.connection) " of " (held.user) "@" (held.host) ", " (held.seconds) " s: "
            @if held.query.is_empty() { "an open transaction" } @else { code { (held.query) } }
        }
    }
}

pub fn waits(report: &StatusReport) -> Markup {
    let waits = trend::waits(&report.samples);
    if waits.is_empty() {
        return markup! {};
    }
    let all: u64 = waits.iter().map(|wait| wait.to_ms - wait.from_ms).sum();
    markup! {
        section {
            h2 { "Throttling" small { " " (brief(all)) " in all" } }
            div.scroll { table {
                thead { tr { th { "from" } th.num { "for about" } th.wide { "why" } } }
                tbody { @for wait in waits.iter().rev().take(LISTED_MAX).rev() { tr {
                    td.time { (time_of(wait.from_ms)) }
                    td.num { (brief(wait.to_ms - wait.from_ms)) }
                    td.wide { (wait.why) }
                } } }
            } }
        }
    }
}

pub fn verifications(verifications: &[Verification]) -> Markup {
    if verifications.is_empty() {
        return markup! {};
    }
    let last = verifications.last().filter(|found| !found.findings.is_empty());
    markup! {
        section {
            h2 { "Verifications" }
            div.scroll { table {
                thead { tr {
                    th { "began" } th.num { "took" } th { "serving" } th { "outcome" } th.num { "rows compared" }
                    th.num { "differ" } th.num { "mended" } th.num { "unsettled" }
                } }
                tbody { @for found in verifications.iter().rev().take(LISTED_MAX).rev() { tr {
                    td.time { (found.began_at.split('.').next().unwrap_or_default()) }
                    td.num { (brief((found.seconds * 1000.0) as u64)) }
                    td { (found.serving.name()) }
                    td { (found.outcome.map_or_else(|| "running".into(), |outcome| outcome.name().replace('_', " "))) }
                    td.num { (count(found.rows)) }
                    td.num { (count(found.mismatches() as u64)) }
                    td.num { (count(found.mended())) }
                    td.num { (count(found.unsettled)) }
                } } }
            } }
            @if let Some(last) = last { (findings(last)) }
        }
    }
}

fn findings(found: &Verification) -> Markup {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
    markup! {
        h3 { "Rows that differed in the last one" }
        div.scroll { table {
            thead { tr { th { "key" } th { "what" } th { "should be" } th { "is" } th {} } }
            tbody { @for finding in found.findings.iter().take(LISTED_MAX) {
                @let mended = if finding.mended { "mended" } else { "" };
                @match finding.kind {
                    Kind::Missing => tr { td { (finding.key) } td { "missing" } td { "a row" } td { "no row" } td { (mended) } },
                    Kind::Extra => tr { td { (finding.key) } td { "extra" } td { "no row" } td { "a row" } td { (mended) } },
                    Kind::Differs | Kind::Native | Kind::Unindexed => @for cell in &finding.cells {
                        tr {
                            td { (finding.key) } td { (cell.column) }
                            td { (value(&cell.expected)) } td { (value(&cell.found)) } td { (mended) }
                        }
                    },
                }
            } }
        } }
    }
}

pub fn definitions(report: &StatusReport) -> Markup {
    let change = &report.change;
    markup! {
        section {
            h2 { "Definitions" }
            details { summary { "before" } pre { code { (change.old_create) } } }
            @if let Some(new) = &change.new_create { details { summary { "after" } pre { code { (new) } } } }
        }
    }
}

pub fn events(report: &StatusReport) -> Markup {
    markup! {
        section {
            h2 { "Time line" }
            div.scroll { table.events {
                tbody {
                    tr { td.time { (time_of(report.started_ms())) } td { "planned" } td.wide {} }
                    @for event in &report.events { tr {
                        td.time { (time_of(event.at_ms)) }
                        td { (event.kind.replace('_', " ")) }
                        td.wide { (told(&event.detail)) }
                    } }
                }
            } }
        }
    }
}

/// The members of a detail that are plain values.
fn told(detail: &serde_json::Value) -> String {
    let Some(members) = detail.as_object() else { return String::new() };
    let member = |(name, value): (&String, &serde_json::Value)| match value {
        serde_json::Value::String(text) => Some(format!("{name}: {text}")),
        serde_json::Value::Number(number) => {
            let shown = number.as_f64().filter(|_| number.is_f64());
            Some(format!("{name}: {}", shown.map_or_else(|| number.to_string(), |n| format!("{n:.1}"))))
        }
        serde_json::Value::Bool(value) => Some(format!("{name}: {value}")),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    };
    members.iter().filter_map(member).collect::<Vec<_>>().join(" · ")
}

fn ms(ms: f64) -> String {
    format!("{ms:.1} ms")
}
