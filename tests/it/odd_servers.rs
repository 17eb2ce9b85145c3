//! Every case folder goes forward and back on servers as people have them, see `support/odd_servers.rs`; `cases.rs` is
//! the judge.
//!
//! A change that goes on the plain server may be refused on an odd one, before anything is touched, if the server and
//! the words are in the case's `refused_on.txt`: `SERVER: WORDS`. What fails is in
//! `tests/it/data/odd_servers_known_failures.txt` or fails the test, and so does what is listed there and passes.
//!
//! RSC_CASE picks cases, RSC_ODD a server; RSC_AT_ONCE is how many cases run at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::cases::{AT_ONCE, Case, Ground, Outcome, cases, run};
use crate::support::odd_servers;
use crate::support::sum_up;

/// What became of the cases of one server.
#[derive(Default)]
struct Tally {
    forward_and_back: usize,
    refused: usize,
    not_natively: usize,
    refused_here: Vec<String>,
    known: Vec<String>,
    failed: Vec<String>,
    took: Duration,
}

/// Why it is known, by `SERVER CASE`; by `SERVER *`, the words that a failure of any case has.
fn known_failures() -> BTreeMap<String, String> {
    let text = include_str!("data/odd_servers_known_failures.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter_map(|line| line.split_once(": ")).map(|(what, why)| (what.into(), why.into())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_goes_forward_and_back_on_every_odd_server() {
    let wanted = std::env::var("RSC_ODD").unwrap_or_default();
    let at_once = std::env::var("RSC_AT_ONCE").map_or(AT_ONCE, |number| number.parse().unwrap());
    let gate = Arc::new(Semaphore::new(at_once));
    let mut running = Vec::new();
    for name in cases().into_iter().map(|case| case.name) {
        for odd in odd_servers::all().iter().filter(|odd| odd.name.contains(&wanted)) {
            let case = Case::named(&name);
            let gate = Arc::clone(&gate);
            let (name, listed) = (name.clone(), case.refused_on(odd.name));
            let run = tokio::spawn(async move {
                let _turn = gate.acquire().await.unwrap();
                let began = Instant::now();
                let outcome = run(&case, Ground(Some(odd))).await;
                println!("{:5.1} s  {} {}: {outcome:?}", began.elapsed().as_secs_f64(), odd.name, case.name);
                (outcome, began.elapsed())
            });
            running.push((odd.name, name, listed, run));
        }
    }
    let (mut tallies, known) = (BTreeMap::<&str, Tally>::new(), known_failures());
    for (server, case, listed, run) in running {
        let tally = tallies.entry(server).or_default();
        let failure = match run.await {
            Ok((outcome, took)) => {
                tally.took += took;
                tally.count(&case, outcome, listed)
            }
            Err(error) => Some(words(error)),
        };
        let any = known.get(&format!("{server} *")).filter(|why| {
            // A case that passes is no news then: the words are.
            failure.as_ref().is_some_and(|said| said.contains(why.as_str()))
        });
        let is_known = known.get(&format!("{server} {case}")).or(any);
        match (failure, is_known) {
            (None, None) => {}
            (None, Some(_)) => tally.failed.push(format!("{server} {case}: passes; take it out of the list")),
            (Some(_), Some(why)) => tally.known.push(format!("{server} {case}: {why}")),
            (Some(said), None) => tally.failed.push(format!("{server} {case}: {said}")),
        }
    }
    show(&tallies);
    let failed: Vec<&String> = tallies.values().flat_map(|tally| &tally.failed).collect();
    assert!(failed.is_empty(), "{} failed", failed.len());
}

impl Tally {
    /// Says what is wrong with it.
    fn count(&mut self, case: &str, outcome: Outcome, listed: Option<String>) -> Option<String> {
        match (outcome, listed) {
            (Outcome::RefusedHere(said), Some(words)) if said.contains(&words) => {
                self.refused_here.push(format!("{case}: {words}"));
                None
            }
            (Outcome::RefusedHere(said), _) => {
                Some(format!("refused, and refused_on.txt does not say so: {said}"))
            }
            (_, Some(words)) => Some(format!("not refused, and refused_on.txt says: {words}")),
            (Outcome::ForwardAndBack(..), None) => {
                self.forward_and_back += 1;
                None
            }
            (Outcome::Refused, None) => {
                self.refused += 1;
                None
            }
            (Outcome::NotNatively, None) => {
                self.not_natively += 1;
                None
            }
        }
    }
}

fn words(error: tokio::task::JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".into() };
    let said = panic.downcast_ref::<String>().cloned();
    said.unwrap_or_else(|| panic.downcast_ref::<&str>().copied().unwrap_or("a panic").to_owned())
}

fn show(tallies: &BTreeMap<&str, Tally>) {
    sum_up("odd servers: forward   back  refused as elsewhere  natively too  only here  failed (known)");
    for (server, tally) in tallies {
        let (both, known) = (tally.forward_and_back, tally.known.len());
        sum_up(&format!(
            "{server:>11}: {both:>7} {both:>6} {:>21} {:>13} {:>10} {:>7} ({known}), {:.0} s of cases",
            tally.refused,
            tally.not_natively,
            tally.refused_here.len(),
            tally.failed.len(),
            tally.took.as_secs_f64(),
        ));
        for line in &tally.refused_here {
            sum_up(&format!("    refused on {server} only: {line}"));
        }
        for line in &tally.known {
            sum_up(&format!("    known to fail: {line}"));
        }
        for line in &tally.failed {
            println!("failed: {line}\n");
        }
    }
}
