//! docs/json.md against what is printed: every event is documented, every field of it, and its type; and nothing is
//! documented that is not there.

use std::collections::{BTreeMap, BTreeSet};

use rsc::agent::Tale;
use rsc::error::{Error, Told};
use rsc::lifecycle::event::Verb;
use rsc::lifecycle::notice::{Lost, Notice};
use rsc::lifecycle::retention::Shortage;
use rsc::lifecycle::sample::Activity;
use rsc::lifecycle::state::{Serving, State};
use rsc::lifecycle::unseen::Unseen;
use rsc::lifecycle::verification::Outcome;
use rsc::mysql::losses::{Loss, Own, Parked, Totals};
use rsc::output::json;
use rsc::output::{Listed, LossReport};
use rsc::schema::kind::Kind;
use serde_json::Value;

use crate::changes::{all, blocker, change, freeze, named, verification};

const DOCS: &str = include_str!("../../docs/json.md");

/// Fields by name, each with the types that it may have.
type Fields = BTreeMap<String, Vec<String>>;

#[derive(Default)]
struct Documented {
    events: BTreeMap<String, Fields>,
    parts: BTreeMap<String, Fields>,
}

fn documented() -> Documented {
    let mut found = Documented::default();
    let mut fields: Option<&mut Fields> = None;
    for line in DOCS.lines() {
        if line.starts_with('#') {
            let name = line.trim_start_matches('#').trim().to_owned();
            fields = match line.split(' ').next() {
                Some("###") => Some(found.events.entry(name).or_default()),
                Some("####") => Some(found.parts.entry(name).or_default()),
                _ => None,
            };
        } else if let (Some(fields), Some(row)) = (&mut fields, line.strip_prefix("| `")) {
            let mut cells = row.split('|').map(str::trim);
            let name = cells.next().unwrap_or_default().trim_end_matches('`').to_owned();
            let kinds = cells.next().unwrap_or_default().split(" or ").map(str::to_owned).collect();
            assert!(fields.insert(name.clone(), kinds).is_none(), "{name} is documented twice: {line}");
        }
    }
    found
}

impl Documented {
    /// Why `value` is not what is documented.
    fn object(&self, at: &str, value: &Value, fields: &Fields, general: &[&str]) -> Vec<String> {
        let Some(members) = value.as_object() else { return vec![format!("{at}: no object: {value}")] };
        let names: BTreeSet<&str> =
            members.keys().map(String::as_str).filter(|n| !general.contains(n)).collect();
        let known: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
        let mut wrong = Vec::new();
        for name in names.symmetric_difference(&known) {
            let which = if known.contains(name) { "documented, but not there" } else { "not documented" };
            wrong.push(format!("{at}: `{name}` is {which}"));
        }
        for (name, kinds) in fields.iter().filter(|(name, _)| members.contains_key(*name)) {
            let (at, value) = (format!("{at}.{name}"), &members[name]);
            if !kinds.iter().any(|kind| self.fits(&at, value, kind).is_empty()) {
                wrong.push(format!("{at}: {value} is not {}", kinds.join(" or ")));
                wrong.extend(kinds.iter().flat_map(|kind| self.fits(&at, value, kind)));
            }
        }
        wrong
    }

    fn fits(&self, at: &str, value: &Value, kind: &str) -> Vec<String> {
        let wrong = |fits: bool| if fits { Vec::new() } else { vec![format!("{at}: {value} is not {kind}")] };
        match kind {
            "any" => Vec::new(),
            "string" => wrong(value.is_string()),
            "integer" => wrong(value.is_u64()),
            "number" => wrong(value.is_number()),
            "boolean" => wrong(value.is_boolean()),
            "null" => wrong(value.is_null()),
            _ => match (kind.strip_prefix("array of "), value.as_array()) {
                (Some(kind), Some(values)) => values.iter().flat_map(|v| self.fits(at, v, kind)).collect(),
                (Some(_), None) => wrong(false),
                (None, _) => match self.parts.get(kind) {
                    Some(fields) => self.object(at, value, fields, &[]),
                    None => vec![format!("{at}: the type {kind} is not documented")],
                },
            },
        }
    }
}

/// Of each kind one at least, with each field that may be null once with a value and once without.
pub fn notices() -> Vec<Notice> {
    let (id, table, why) = (7, "shop.orders".to_owned(), "why".to_owned());
    vec![
        Notice::Started { id, table, state: State::Planned },
        Notice::Entered { kind: Kind::Alter, state: State::Copying },
        Notice::Copied { rows: 1, estimate: 2, rows_per_s: 1.5, eta_s: Some(2.5) },
        Notice::Copied { rows: 1, estimate: 2, rows_per_s: 0.0, eta_s: None },
        Notice::Made { deferred: 2, because: Some(why.clone()) },
        Notice::Made { deferred: 0, because: None },
        Notice::Indexing { indexes: 2, seconds: 1.5, done: Some(0.5), eta_s: Some(1.5), not_kept: false },
        Notice::Indexing { indexes: 1, seconds: 1.5, done: None, eta_s: None, not_kept: true },
        Notice::Behind { seconds: 2 },
        Notice::Swapped { kind: Kind::Alter, serving: Serving::New, freeze: Some(freeze(12.3)) },
        Notice::Swapped { kind: Kind::Drop, serving: Serving::Old, freeze: None },
        Notice::SwapMissed {
            kind: Kind::Alter,
            why: why.clone(),
            blockers: vec![blocker()],
            again_in_s: 1.0,
        },
        Notice::Verifying { rows: 1, estimate: 2 },
        Notice::Verified(Box::new(verification(Some(Outcome::Differs)))),
        Notice::Verified(Box::new(verification(None))),
        Notice::Following { changes: 7 },
        Notice::Asked { verb: Verb::VerifyRepairing, by: why.clone(), granted: true },
        Notice::Retrying { why: why.clone(), again_in_s: 0.25 },
        Notice::Paused,
        Notice::Truncated,
        Notice::Parked { rows: 2 },
        Notice::Lost(Lost { rows: 1, values: 2, named: vec!["(1) name 'abc' as 'ab'".into()] }),
        Notice::TakenBack { verb: Verb::Revert, why: why.clone() },
        Notice::BinlogsShort(Shortage { kept_s: 7_200, left_s: 60 }),
        Notice::Blocked { why: why.clone() },
        Notice::InTheWay { why: Some(why.clone()) },
        Notice::InTheWay { why: None },
        Notice::Throttled {
            reasons: vec![why.clone()],
            kinds: vec!["lag".into()],
            lag_ms: Some(1.5),
            for_s: 2.5,
            news: true,
        },
        Notice::Throttled {
            reasons: vec![why.clone()],
            kinds: vec!["lag".into()],
            lag_ms: None,
            for_s: 2.5,
            news: false,
        },
        Notice::Unthrottled { after_s: 2.5 },
        Notice::CutoverWaits { windows: why.clone(), opens_in_s: 60 },
        Notice::Killed(blocker()),
        Notice::OldReaders { readers: vec![blocker()], fail: true },
        Notice::OldReaders { readers: vec![blocker()], fail: false },
        Notice::LimitsSet { by: why.clone(), settings: vec![why] },
    ]
}

/// Its place in [`notices`]: whoever adds a notice comes by here, and documents it.
fn is_there(notice: &Notice) -> bool {
    let there = |of: fn(&Notice) -> bool| notices().iter().any(of);
    match notice {
        Notice::Started { .. } => there(|n| matches!(n, Notice::Started { .. })),
        Notice::Entered { .. } => there(|n| matches!(n, Notice::Entered { .. })),
        Notice::Copied { .. } => there(|n| matches!(n, Notice::Copied { .. })),
        Notice::Made { .. } => there(|n| matches!(n, Notice::Made { .. })),
        Notice::Indexing { .. } => there(|n| matches!(n, Notice::Indexing { .. })),
        Notice::Behind { .. } => there(|n| matches!(n, Notice::Behind { .. })),
        Notice::Swapped { .. } => there(|n| matches!(n, Notice::Swapped { .. })),
        Notice::SwapMissed { .. } => there(|n| matches!(n, Notice::SwapMissed { .. })),
        Notice::Verifying { .. } => there(|n| matches!(n, Notice::Verifying { .. })),
        Notice::Verified(_) => there(|n| matches!(n, Notice::Verified(_))),
        Notice::Following { .. } => there(|n| matches!(n, Notice::Following { .. })),
        Notice::Asked { .. } => there(|n| matches!(n, Notice::Asked { .. })),
        Notice::Retrying { .. } => there(|n| matches!(n, Notice::Retrying { .. })),
        Notice::Paused => there(|n| matches!(n, Notice::Paused)),
        Notice::Truncated => there(|n| matches!(n, Notice::Truncated)),
        Notice::Parked { .. } => there(|n| matches!(n, Notice::Parked { .. })),
        Notice::Lost(_) => there(|n| matches!(n, Notice::Lost(_))),
        Notice::TakenBack { .. } => there(|n| matches!(n, Notice::TakenBack { .. })),
        Notice::BinlogsShort(_) => there(|n| matches!(n, Notice::BinlogsShort(_))),
        Notice::InTheWay { .. } => there(|n| matches!(n, Notice::InTheWay { .. })),
        Notice::Blocked { .. } => there(|n| matches!(n, Notice::Blocked { .. })),
        Notice::Throttled { .. } => there(|n| matches!(n, Notice::Throttled { .. })),
        Notice::Unthrottled { .. } => there(|n| matches!(n, Notice::Unthrottled { .. })),
        Notice::CutoverWaits { .. } => there(|n| matches!(n, Notice::CutoverWaits { .. })),
        Notice::Killed(_) => there(|n| matches!(n, Notice::Killed(_))),
        Notice::OldReaders { .. } => there(|n| matches!(n, Notice::OldReaders { .. })),
        Notice::LimitsSet { .. } => there(|n| matches!(n, Notice::LimitsSet { .. })),
    }
}

fn losses() -> Vec<Value> {
    let change = change(State::Revertible);
    let (key, since) = ("1".to_owned(), "2026-11-21 10:30:59".to_owned());
    let parked = [Parked { key: key.clone(), reason: "why".into(), since: since.clone() }];
    let loss = |kept: Option<&str>, row: &str| Loss {
        key: key.clone(),
        column: "c".into(),
        kept: kept.map(str::to_owned),
        lost: Some("v".into()),
        row: row.into(),
        since: since.clone(),
    };
    let lost = [loss(None, "{\"id\": 1}"), loss(Some("w"), "no JSON")];
    let own = [Own { key: key.clone(), column: "c".into(), value: None }];
    let totals = Totals { parked: 1, losses: 2 };
    let unseen = Unseen { transactions: 7, since: Some("2026-11-29 18:40:12".into()) };
    let report = |unseen| {
        json::losses(&LossReport {
            change: &change,
            totals,
            parked: &parked,
            lost: &lost,
            own: &own,
            limit: 100,
            unseen,
        })
    };
    [report(None), report(Some(&unseen))].concat()
}

/// Everything that is printed but `plan`, which is documented by itself.
fn printed() -> Vec<Value> {
    let mut values: Vec<Value> = notices().iter().map(json::notice).collect();
    let told = Told::new("what").state("state").next("next");
    let mut done = change(State::Revertible);
    values.extend([
        json::done(&done),
        json::note("text"),
        json::limits_of(&done),
        json::nothing_to_do("shop.orders", "why"),
        json::written(7, "report.html".as_ref()),
    ]);
    done.freeze_ms = Some(1.5);
    values.extend([
        json::done(&done),
        json::error(&Error::Refused(told.clone())),
        json::tale(&Tale::Ended(7, Error::RefusedFor(vec![told.clone(), told]))),
        json::tale(&Tale::Back),
        json::tale(&Tale::Away("why".into())),
    ]);
    for (_, report) in all() {
        values.push(json::status(&report));
        let sample = report.samples.last().cloned();
        values.push(json::listed(&Listed {
            change: report.change,
            owner: report.owner,
            sample,
            in_the_way: report.serving.map(|_| "what: next".into()),
            verdict: report.serving.map(|_| report.verdict),
        }));
    }
    let found = change(State::Revertible);
    for outcome in [Some(Outcome::Differs), None] {
        values.extend(json::verification(&found, &verification(outcome), 10));
    }
    values.extend(losses());
    values.into_iter().map(json::versioned).collect()
}

#[test]
fn what_is_printed_is_what_is_documented() {
    let documented = documented();
    let mut met = BTreeSet::new();
    let mut wrong = Vec::new();
    for value in printed() {
        let event = value["event"].as_str().unwrap_or_else(|| panic!("no event: {value}")).to_owned();
        assert_eq!(value["version"], 1, "{value}");
        match documented.events.get(&event) {
            Some(fields) => {
                wrong.extend(documented.object(&event, &value, fields, &["event", "version"]));
            }
            None => wrong.push(format!("the event {event} is not documented")),
        }
        met.insert(event);
    }
    met.insert("plan".into());
    let never = documented.events.keys().filter(|event| !met.contains(*event));
    wrong.extend(never.map(|event| format!("the event {event} is documented, and never printed")));
    assert!(wrong.is_empty(), "docs/json.md:\n{}", wrong.join("\n"));
    assert!(notices().iter().all(is_there));
}

/// A field that may be null is documented as such because it was seen, and so is its other type.
#[test]
fn what_may_be_null_is_met_with_and_without_a_value() {
    let documented = documented();
    let mut seen: BTreeMap<(String, String), (bool, bool)> = BTreeMap::new();
    for value in printed() {
        let event = value["event"].as_str().unwrap_or_default().to_owned();
        let Some(fields) = documented.events.get(&event) else { continue };
        for name in fields.iter().filter(|(_, kinds)| kinds.iter().any(|k| k == "null")).map(|(name, _)| name)
        {
            let (null, some) = seen.entry((event.clone(), name.clone())).or_default();
            *(if value[name].is_null() { null } else { some }) = true;
        }
    }
    let half: Vec<String> = seen
        .iter()
        .filter(|(_, (null, some))| !null || !some)
        .map(|((event, name), (null, _))| {
            format!("{event}.{name} {}", if *null { "only null" } else { "never null" })
        })
        .collect();
    // Both are met on a server only: tests/it.
    let elsewhere = ["change.reason never null", "lost_value.lost never null", "new_value.value only null"];
    let half: Vec<&String> = half.iter().filter(|half| !elsewhere.contains(&half.as_str())).collect();
    assert!(half.is_empty(), "{half:#?}");
}

#[test]
fn every_word_of_a_state_and_an_activity_is_documented() {
    for word in State::ALL.map(State::name).into_iter().chain(Activity::ALL.map(Activity::name)) {
        assert!(DOCS.contains(&format!("`{word}`")), "{word}");
    }
    for verb in Verb::ALL {
        assert!(DOCS.contains(&format!("`{}`", verb.name())), "{}", verb.name());
    }
    assert_eq!(named("copying").change.state, State::Copying);
}
