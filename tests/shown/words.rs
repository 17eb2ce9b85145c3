//! The lines of commands: progress, results and errors. Their help is in tests/it/help.

use std::time::Duration;

use rsc::agent::Tale;
use rsc::error::{Error, Told};
use rsc::lifecycle::state::{Serving, State};
use rsc::lifecycle::unseen::Unseen;
use rsc::lifecycle::verification::{Finding, Kind, Outcome};
use rsc::mysql::losses::{Loss, Own, Parked, Totals};
use rsc::output::{LossReport, live, losses, text, verification};

use crate::changes::{change, named, verification as verified};
use crate::documented::notices;
use crate::snapshot::is_as_before;

#[test]
fn what_happens_is_told_in_the_same_words() {
    let told: Vec<String> = notices()
        .iter()
        .map(|notice| {
            let name = format!("{notice:?}");
            let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
            format!("{name}: {}", text::notice(notice).unwrap_or_else(|| "(only in the live bar)".into()))
        })
        .collect();
    is_as_before("words/notices.txt", &told.join("\n"));
}

#[test]
fn what_is_under_way_is_told_in_the_same_words() {
    let mut told: Vec<String> = notices().iter().filter_map(live::meanwhile).collect();
    told.push(live::copying(1_000, 2_000_000, None));
    told.push(live::copying(1_500_000, 2_000_000, Some((231_456.7, Duration::from_secs(2)))));
    is_as_before("words/live.txt", &told.join("\n"));
}

#[test]
fn a_command_that_is_done_says_what_it_came_to() {
    let mut lines = Vec::new();
    for state in State::ALL {
        let mut change = change(state);
        change.freeze_ms = Some(12.345);
        change.serving = Serving::New;
        lines.push(text::done(&change, "to see it, `rsc status 7`; to keep it, `rsc complete 7`"));
    }
    lines.push(text::done(&named("instant").change, ""));
    lines.push(text::done(&named("paused").change, ""));
    is_as_before("words/done.txt", &lines.join("\n"));
}

#[test]
fn an_error_has_its_cause_the_state_and_what_to_type() {
    let one = || {
        Told::new("the table shop.orders has a trigger (shop.stamp), which the copy would not fire")
            .state("nothing was touched")
            .next("DROP TRIGGER `shop`.`stamp`; then try again")
    };
    let other =
        || Told::new("gtid_mode is OFF").state("nothing was touched").next("SET GLOBAL gtid_mode = ON");
    let errors = [
        Error::Refused(one()),
        Error::RefusedFor(vec![one(), other()]),
        Error::Unexpected(Told::new("a cause without anything else")),
        Error::Interrupted(Told::new("interrupted").next("to see where it stands, `rsc status 7`")),
    ];
    let all: Vec<String> = errors.iter().map(|error| text::error(error, 80)).collect();
    is_as_before("words/errors.txt", &all.join("\n\n"));
    let agent = text::tale(&Tale::Ended(7, Error::Refused(one())));
    assert!(agent.iter().all(|line| line.contains(" change 7: ")), "{agent:#?}");
}

#[test]
fn what_the_old_schema_cannot_hold_is_a_table() {
    let change = change(State::Revertible);
    let since = || "2026-11-21 10:30:59".to_owned();
    let parked = [Parked {
        key: "4711".into(),
        reason: "Duplicate entry 'a' for key '_rsc7_orders_old.email' (MySQL error 1062)".into(),
        since: since(),
    }];
    let loss = |key: &str, lost: Option<&str>| Loss {
        key: key.into(),
        column: "title".into(),
        kept: Some("a title that is".into()),
        lost: lost.map(str::to_owned),
        row: "{}".into(),
        since: since(),
    };
    let long = "a title that is\nlonger than the old column, and than a line of the table";
    let lost = [loss("1", Some(long)), loss("23", None)];
    let own = [Own { key: "1".into(), column: "note".into(), value: Some("hello".into()) }];
    let totals = Totals { parked: 1, losses: 5 };
    let report = LossReport {
        change: &change,
        totals,
        parked: &parked,
        lost: &lost,
        own: &own,
        limit: 2,
        unseen: None,
    };
    is_as_before("words/losses.txt", &losses::text(&report));
    let nothing = LossReport { totals: Totals::default(), parked: &[], lost: &[], own: &[], ..report };
    is_as_before("words/losses-none.txt", &losses::text(&nothing));
    let unseen = Unseen { transactions: 1_204, since: Some("2026-11-29 18:40:12".into()) };
    is_as_before("words/losses-unseen.txt", &losses::text(&LossReport { unseen: Some(&unseen), ..nothing }));
}

#[test]
fn a_verification_names_the_rows_that_differ() {
    let change = change(State::Revertible);
    let mut found = verified(Some(Outcome::Differs));
    let whole =
        |key: &str, kind| Finding { kind, key: key.into(), cells: Vec::new(), mended: kind == Kind::Extra };
    found.findings.extend([whole("5", Kind::Missing), whole("6", Kind::Extra)]);
    let texts = [
        verification::text(&change, &found, 10),
        verification::text(&change, &found, 1),
        verification::text(&change, &verified(Some(Outcome::Equal)), 10),
        verification::text(&change, &verified(Some(Outcome::BrokenOff)), 10),
        verification::text(&change, &verified(None), 10),
    ];
    is_as_before("words/verification.txt", &texts.join("\n\n"));
}
