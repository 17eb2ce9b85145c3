//! Changes in every state that a person may meet, at a fixed time.

use std::time::Duration;

use rsc::journal::record::{Change, InPlace, Options, Owner};
use rsc::journal::throttle::Now;
use rsc::lifecycle::notice::{Blocker, Freeze};
use rsc::lifecycle::retention::Shortage;
use rsc::lifecycle::sample::{Activity, Sample};
use rsc::lifecycle::state::{Serving, State};
use rsc::lifecycle::unseen::Unseen;
use rsc::lifecycle::verdict::Verdict;
use rsc::lifecycle::verification::{Cell, Finding, Kind, Native, Outcome, Verification};
use rsc::mysql::losses::Totals;
use rsc::output::StatusReport;
use rsc::output::status::{Happening, ms_of, time_of};
use rsc::schema::kind::Kind as About;
use rsc::schema::table::TableName;
use serde_json::{Value, json};

/// When every change here was journaled: 2026-11-21 10:00:00 UTC.
pub const BEGAN_MS: u64 = 1_795_255_200_000;
pub const ROWS: u64 = 5_000_000;

/// So many seconds after the beginning, as the journal says it.
fn at(seconds: u64) -> String {
    format!("{}.000", time_of(BEGAN_MS + seconds * 1000))
}

pub fn change(state: State) -> Change {
    assert_eq!(ms_of("2026-11-21 10:00:00.000"), Some(BEGAN_MS));
    Change {
        id: 7,
        table: TableName::new("shop", "orders"),
        statement:
            "ALTER TABLE shop.orders ADD COLUMN note varchar(200) NOT NULL DEFAULT '', DROP COLUMN title, \
                    ADD KEY by_customer (customer_id, created_at)"
                .into(),
        options: Options { copy_threads: Some(2), ..Options::default() },
        state,
        paused: false,
        reason: None,
        old_create: "CREATE TABLE `orders` (\n  `id` bigint NOT NULL,\n  `title` varchar(40)\n)".into(),
        new_create: Some("CREATE TABLE `orders` (\n  `id` bigint NOT NULL,\n  `note` varchar(200)\n)".into()),
        rows_estimate: ROWS,
        serving: Serving::Old,
        freeze_ms: None,
        started_at: at(0),
        updated_at: at(1),
        window_ends_at: None,
        window_over: false,
    }
}

/// `seconds` after its beginning, with an owner that lives.
pub fn report(state: State, seconds: u64) -> StatusReport {
    StatusReport {
        now_ms: BEGAN_MS + seconds * 1000,
        change: change(state),
        serving: Some(Serving::Old),
        verdict: Verdict::NotYet,
        owner: Some(owner()),
        rows_copied: ROWS,
        ledger: Totals::default(),
        verification: None,
        unseen: None,
        evidence: None,
        shortage: None,
        throttle: None,
        cutover_waits: None,
        events: Vec::new(),
        samples: Vec::new(),
        blockers: Vec::new(),
        held: None,
        next: vec!["rsc cancel 7".into()],
    }
}

fn owner() -> Owner {
    let who = "process 4711 on db-tools-1".into();
    Owner { who, instance: "i".into(), silent_s: 0.4, alive: true }
}

fn event(seconds: f64, kind: &str, detail: Value) -> Happening {
    Happening { at_ms: BEGAN_MS + (seconds * 1000.0) as u64, kind: kind.into(), detail }
}

fn entered(seconds: f64, state: State) -> Happening {
    event(seconds, state.name(), json!({ "from": "", "event": "" }))
}

pub fn sample(second: u64, activity: Activity) -> Sample {
    Sample {
        at_ms: BEGAN_MS + second * 1000,
        activity,
        done: 0,
        goal: 0,
        // The application writes more at times.
        applied: 300 * second + 100 * (second % 50),
        lag_ms: Some(100 + second % 3 * 600),
        throttled: None,
    }
}

/// The copy of the first `seconds`: it begins slowly, is fast, and waits a while for a replica.
fn copying(seconds: u64) -> Vec<Sample> {
    let mut done = 0;
    let of = |second: u64| {
        let throttled = (90..110).contains(&second);
        let speed = if throttled { 0 } else { 20_000 + 400 * second.min(40) + 700 * (second % 7) };
        (speed, throttled)
    };
    (1..=seconds)
        .map(|second| {
            let (speed, throttled) = of(second);
            done += speed;
            let throttled = throttled.then(|| "replica db-2 is 3.2 s behind, more than 1.5 s".to_owned());
            let lag_ms = Some(if throttled.is_some() { 150 } else { 200 + second % 3 * 900 });
            Sample { done, goal: ROWS, throttled, lag_ms, ..sample(second, Activity::Copying) }
        })
        .collect()
}

pub fn freeze(freeze_ms: f64) -> Freeze {
    Freeze {
        lock_wait_ms: 0.8,
        drain_ms: freeze_ms * 0.3,
        apply_ms: freeze_ms * 0.2,
        rename_ms: freeze_ms * 0.5,
        freeze_ms,
    }
}

fn swapped(seconds: f64, serving: Serving, ms: f64) -> Happening {
    let mut detail = json!(freeze(ms));
    detail["serving"] = serving.name().into();
    event(seconds, "swapped", detail)
}

pub fn blocker() -> Blocker {
    Blocker {
        connection: 4242,
        user: "reporting".into(),
        host: "10.0.3.17".into(),
        query: "SELECT customer_id, SUM(total) FROM orders GROUP BY customer_id".into(),
        seconds: 63,
        idle: false,
        application: true,
    }
}

pub fn verification(outcome: Option<Outcome>) -> Verification {
    let findings = match outcome {
        Some(Outcome::Differs) => vec![Finding {
            kind: Kind::Differs,
            key: "4711".into(),
            cells: vec![Cell {
                column: "total".into(),
                expected: Some("12.50".into()),
                found: Some("12.05".into()),
            }],
            mended: false,
        }],
        _ => Vec::new(),
    };
    Verification {
        id: 1,
        serving: Serving::Old,
        repair: false,
        background: false,
        native: outcome.map(|_| Native { rows: 200, ..Native::default() }),
        outcome,
        rows: ROWS,
        findings,
        unlisted: 0,
        unsettled: 0,
        excluded: vec!["note".into()],
        seconds: 41.25,
        position: "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-99".into(),
        began_at: at(246),
        ended_at: outcome.map(|_| at(287)),
    }
}

/// Up to the first swap, which is five minutes after the beginning.
fn way() -> Vec<Happening> {
    vec![
        entered(0.2, State::Copying),
        event(0.2, "made", json!({ "indexes_deferred": 1, "because": null })),
        entered(190.0, State::Indexing),
        entered(241.0, State::CatchingUp),
        entered(288.0, State::CuttingOver),
    ]
}

fn after_the_swap(state: State, seconds: u64) -> StatusReport {
    let mut report = report(state, seconds);
    report.serving = Some(Serving::New);
    report.verdict = Verdict::Ready;
    report.verification = Some(verification(Some(Outcome::Equal)));
    report.events = way();
    report.events.extend([entered(288.4, State::Revertible), swapped(288.4, Serving::New, 12.345)]);
    report.change.serving = Serving::New;
    report.change.freeze_ms = Some(12.345);
    report.change.window_ends_at = Some(at(288 + 24 * 60 * 60));
    report.samples = copying(189);
    report.samples.extend((190..288).map(|second| sample(second, Activity::CatchingUp)));
    report.samples.extend((289..seconds).step_by(16).map(|second| sample(second, Activity::Following)));
    report.next = vec!["rsc revert 7".into(), "rsc complete 7".into()];
    report
}

fn copying_now(seconds: u64) -> StatusReport {
    let mut report = report(State::Copying, seconds);
    report.samples = copying(seconds);
    report.rows_copied = report.samples.last().map_or(0, |sample| sample.done);
    report.events = way();
    report.events.truncate(2);
    report
}

/// By name.
pub fn all() -> Vec<(&'static str, StatusReport)> {
    vec![
        ("planned", planned()),
        ("copying", copying_now(80)),
        ("copying-throttled", throttled()),
        ("ready-window", waits_for_a_window()),
        ("copying-left", left()),
        ("paused", paused()),
        ("indexing", indexing()),
        ("catching-up", catching_up()),
        ("verifying", verifying()),
        ("differs", differs()),
        ("ready", ready()),
        ("cutting-over", cutting_over()),
        ("revertible", after_the_swap(State::Revertible, 3_600)),
        ("revertible-losses", losses()),
        ("revertible-parked", parked()),
        ("revertible-blocked", blocked()),
        ("revertible-left", nobody_keeps()),
        ("reverting", reverting()),
        ("reverted", reverted()),
        ("expired", expired()),
        ("completed", completed()),
        ("cancelled", cancelled()),
        ("failed", failed()),
        ("instant", instant()),
        ("created", created()),
        ("dropped", dropped()),
        ("hostile", hostile()),
    ]
}

pub fn named(name: &str) -> StatusReport {
    let found = all().into_iter().find(|(of, _)| *of == name);
    found.unwrap_or_else(|| panic!("no change {name}")).1
}

fn throttled() -> StatusReport {
    let reasons = vec!["replica db-2 is 3.2 s behind, more than 1.5 s".to_owned()];
    let mut report = copying_now(100);
    let (since, for_s) = (Some(at(90)), Some(10.0));
    report.throttle = Some(Now { throttled: true, reasons, since, for_s, lag_ms: Some(3_200.0) });
    report
}

fn waits_for_a_window() -> StatusReport {
    let mut report = ready();
    report.change.options.postpone_cutover = false;
    report.cutover_waits = Some((Duration::from_secs(3_600), "02:00-04:00 Europe/Berlin".into()));
    report.throttle =
        Some(Now { throttled: false, reasons: Vec::new(), since: None, for_s: None, lag_ms: None });
    report
}

fn planned() -> StatusReport {
    let mut report = report(State::Planned, 2);
    (report.rows_copied, report.owner, report.serving) = (0, None, None);
    report.next = vec!["rsc migrate --resume 7".into(), "rsc cancel 7".into()];
    report
}

fn left() -> StatusReport {
    let mut report = copying_now(80);
    report.now_ms += 3_600_000;
    report.owner = Some(Owner { silent_s: 3_601.0, alive: false, ..owner() });
    report.shortage = Some(Shortage { kept_s: 7_200, left_s: 3_400 });
    report.next = vec!["rsc migrate --resume 7".into(), "rsc cancel 7".into()];
    report
}

fn paused() -> StatusReport {
    let mut report = copying_now(80);
    let done = report.rows_copied;
    let still = |second| Sample {
        done,
        goal: ROWS,
        lag_ms: Some((second - 80) * 1000),
        ..sample(second, Activity::Paused)
    };
    report.samples.extend((81..=120).map(still));
    report.now_ms += 40_000;
    report.change.paused = true;
    report.next = vec!["rsc resume 7".into()];
    report
}

fn indexing() -> StatusReport {
    let mut report = report(State::Indexing, 215);
    report.events = way();
    report.events.truncate(3);
    report.samples = copying(189);
    report.samples.extend((190..=215).map(|second| Sample {
        done: (second - 190) * 20,
        goal: 1_000,
        applied: 300 * 190,
        lag_ms: Some((second - 190) * 1000),
        ..sample(second, Activity::Indexing)
    }));
    report
}

fn catching_up() -> StatusReport {
    let mut report = indexing();
    report.change.state = State::CatchingUp;
    report.now_ms = BEGAN_MS + 250_000;
    report.events = way();
    report.events.truncate(4);
    report.samples.extend((216..=241).map(|second| Sample {
        done: (second - 190) * 20,
        goal: 1_000,
        applied: 300 * 190,
        lag_ms: Some((second - 190) * 1000),
        ..sample(second, Activity::Indexing)
    }));
    report.samples.extend((242..=250).map(|second| Sample {
        applied: 300 * 190 + (second - 241) * 2_000,
        lag_ms: Some(51_000 - (second - 241) * 4_000),
        ..sample(second, Activity::CatchingUp)
    }));
    report
}

fn verifying() -> StatusReport {
    let mut report = catching_up();
    report.now_ms = BEGAN_MS + 270_000;
    report.verification = Some(verification(None));
    report.samples.extend((251..=270).map(|second| Sample {
        done: (second - 250) * 120_000,
        goal: ROWS,
        ..sample(second, Activity::Verifying)
    }));
    report
}

fn differs() -> StatusReport {
    let mut report = catching_up();
    report.now_ms = BEGAN_MS + 300_000;
    report.verification = Some(verification(Some(Outcome::Differs)));
    report.change.reason = Some("the new table is not what it should be: (4711) differs in total".into());
    report.owner = None;
    report.next =
        vec!["rsc verify 7 --repair".into(), "rsc migrate --resume 7".into(), "rsc cancel 7".into()];
    report
}

fn ready() -> StatusReport {
    let mut report = after_the_swap(State::Ready, 400);
    report.change.options.postpone_cutover = true;
    report.change.window_ends_at = None;
    report.change.freeze_ms = None;
    report.serving = Some(Serving::Old);
    report.verdict = Verdict::NotYet;
    report.events = way();
    report.events.truncate(4);
    report.events.push(entered(288.0, State::Ready));
    report.next = vec!["rsc cutover 7".into(), "rsc cancel 7".into()];
    report
}

fn cutting_over() -> StatusReport {
    let mut report = report(State::CuttingOver, 300);
    report.events = way();
    let missed = |seconds| {
        let why = "a long transaction is using the table";
        event(seconds, "swap_missed", json!({ "why": why, "blockers": [blocker()], "again_in_s": 2.0 }))
    };
    report.events.extend([missed(289.0), missed(291.0), missed(295.0)]);
    report.verification = Some(verification(Some(Outcome::Equal)));
    report.samples = copying(189);
    report.samples.extend((190..=300).map(|second| sample(second, Activity::Swapping)));
    report.blockers = vec![
        blocker(),
        Blocker { connection: 9, user: "app".into(), query: String::new(), seconds: 4, ..blocker() },
    ];
    report
}

fn losses() -> StatusReport {
    let mut report = after_the_swap(State::Revertible, 3_600);
    report.ledger = Totals { parked: 0, losses: 1_204 };
    report.verdict = Verdict::ReadyWithLosses(1_204);
    report.next.insert(0, "rsc losses 7".into());
    report
}

fn parked() -> StatusReport {
    let mut report = losses();
    report.ledger = Totals { parked: 2, losses: 1_204 };
    report.verdict = Verdict::Blocked("the old schema cannot hold 2 rows; `rsc losses` tells which".into());
    report
}

fn blocked() -> StatusReport {
    let mut report = after_the_swap(State::Revertible, 3_600);
    let why = "someone has altered shop.orders: ALTER TABLE orders ADD COLUMN x int";
    report.change.reason = Some(why.into());
    report.verdict = Verdict::Blocked(why.into());
    report.owner = None;
    report
}

fn nobody_keeps() -> StatusReport {
    let mut report = after_the_swap(State::Revertible, 23 * 60 * 60);
    report.owner = None;
    report.verdict = Verdict::CatchesUpFirst { unseen: 1_204, losses: 0 };
    report.unseen = Some(Unseen { transactions: 1_204, since: Some(at(23 * 60 * 60)) });
    report.held = Some(
        "shop._rsc7_users_old cannot be dropped while foreign keys point at it: late (shop.child): drop it, ALTER TABLE \
         `shop`.`child` DROP FOREIGN KEY `late`"
            .into(),
    );
    report
}

fn reverting() -> StatusReport {
    let mut report = after_the_swap(State::Reverting, 3_600);
    report.events.push(entered(3_598.0, State::Reverting));
    report.verdict = Verdict::NotYet;
    report.next = vec!["rsc cancel 7".into()];
    report
}

fn reverted() -> StatusReport {
    let mut report = after_the_swap(State::Reverted, 7_200);
    report.events.extend([
        entered(3_598.0, State::Reverting),
        entered(3_598.3, State::Reverted),
        swapped(3_598.3, Serving::Old, 9.75),
    ]);
    report.serving = Some(Serving::Old);
    report.change.freeze_ms = Some(9.75);
    report.next = vec!["rsc reapply 7".into(), "rsc complete 7".into()];
    report
}

fn expired() -> StatusReport {
    let mut report = after_the_swap(State::Expired, 25 * 60 * 60);
    report.events.push(entered(24.0 * 3600.0 + 288.0, State::Expired));
    report.verdict = Verdict::Impossible("the revert window is over");
    report.owner = None;
    report.next = vec!["rsc complete 7".into()];
    report
}

fn completed() -> StatusReport {
    let mut report = after_the_swap(State::Completed, 25 * 60 * 60);
    report.events.extend([entered(7_200.0, State::Completing), entered(7_200.2, State::Completed)]);
    report.verdict = Verdict::Impossible("the other table was dropped");
    (report.owner, report.serving) = (None, None);
    report.next.clear();
    report
}

fn cancelled() -> StatusReport {
    let mut report = copying_now(80);
    report.change.state = State::Cancelled;
    report.events.extend([entered(80.0, State::Cancelling), entered(80.3, State::Cancelled)]);
    report.verdict = Verdict::Impossible("the tables were never swapped");
    (report.owner, report.serving) = (None, None);
    report.next.clear();
    report
}

fn failed() -> StatusReport {
    let mut report = cancelled();
    report.change.state = State::Failed;
    report.change.reason = Some(
        "the rows with the keys (17) and (4711) have the same value for a unique key of the new schema: Duplicate \
         entry 'a@example.org' for key 'orders.email' (MySQL error 1062)"
            .into(),
    );
    report.events.truncate(2);
    report.events.extend([entered(80.0, State::Failing), entered(80.3, State::Failed)]);
    report
}

fn instant() -> StatusReport {
    let mut report = report(State::Completed, 60);
    report.change.options.in_place = Some(InPlace {
        new_create: String::new(),
        compensation: "ALTER TABLE shop.orders DROP COLUMN note".into(),
        losses: Vec::new(),
    });
    report.change.statement = "ALTER TABLE shop.orders ADD COLUMN note varchar(200)".into();
    report.change.freeze_ms = Some(4.2);
    report.events = vec![entered(0.1, State::Completed)];
    (report.rows_copied, report.owner, report.serving) = (0, None, None);
    report.verdict =
        Verdict::Impossible("the server changed the table itself, so there is no old one to swap back");
    report.next = vec!["rsc revert 7 --compensate".into()];
    report
}

fn created() -> StatusReport {
    let mut report = report(State::CuttingOver, 3);
    report.change.options.kind = About::Create;
    report.change.statement = "CREATE TABLE shop.orders (id bigint PRIMARY KEY)".into();
    (report.rows_copied, report.verdict) = (0, Verdict::TableNotYet);
    report
}

fn dropped() -> StatusReport {
    let mut report = report(State::Revertible, 3_600);
    report.change.options.kind = About::Drop;
    report.change.statement = "DROP TABLE shop.orders".into();
    report.change.serving = Serving::New;
    report.change.window_ends_at = Some(at(24 * 60 * 60));
    (report.rows_copied, report.verdict, report.owner) = (0, Verdict::Whole, None);
    report.serving = Some(Serving::New);
    report.events = vec![entered(0.1, State::Revertible), swapped(0.1, Serving::New, 3.25)];
    report.next = vec!["rsc revert 7".into(), "rsc complete 7".into()];
    report
}

/// Names and texts that would be orders, if a terminal or a browser took them for such.
fn hostile() -> StatusReport {
    const MARKUP: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>&\"'</code></pre>";
    let mut report = cutting_over();
    report.change.table = TableName::new("shop", format!("\u{1b}[2J\u{7}{MARKUP}表"));
    report.change.statement = format!("ALTER TABLE t\n COMMENT '{MARKUP}\u{1b}]0;owned\u{7}'");
    report.change.reason = Some(format!("{MARKUP}\u{1b}[31m"));
    report.change.old_create = MARKUP.into();
    report.change.new_create = Some(MARKUP.into());
    report.owner = Some(Owner { who: MARKUP.into(), ..owner() });
    report.blockers = vec![Blocker { user: MARKUP.into(), query: MARKUP.into(), ..blocker() }];
    report.events.push(event(299.0, "swap_missed", json!({ "why": MARKUP, "blockers": report.blockers })));
    report.samples.extend(
        (301..304)
            .map(|second| Sample { throttled: Some(MARKUP.into()), ..sample(second, Activity::Swapping) }),
    );
    report.verification = Some(verification(Some(Outcome::Differs)));
    report.next = vec![MARKUP.into()];
    report
}
