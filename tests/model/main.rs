//! A model of copy, stream and delayed visibility, run under random interleavings, without a server.
//!
//! It holds one claim (src/engine/rounds.rs): **at an exact position the shadow is the projection of the live table as
//! it was there, restricted to what has been copied; and a duplicate is reported only if the live table has it
//! there.** It holds it for the copy, for the stream back after a swap, for a swap again, and with a crash between
//! any two steps. The pure code of the product is called, not copied: [`rsc::rows::compaction`].
//!
//! # Why it is true
//!
//! Let P be the journalled position: the stream has applied, or passed, all before P, and nothing after.
//!
//! *Nothing is missing.* A batch's snapshot is taken after the gate, so it sees all before P. A row that the batch
//! did not see came after P, and the stream will bring it: its range counts as copied from the batch's commit on.
//!
//! *Nothing is stale, and nothing is early.* What a snapshot saw is in the binlog before the batch's own
//! transaction, because a transaction is flushed before it is visible. The target is read when that transaction has
//! returned, so it is in the target, and a stream that has come to the target has read all before it. Each row
//! touched on the way has got its image at the target; each other row is as it was in the snapshot and at P.
//!
//! Two things follow that are easy to miss. The batches have to be **in the binlog**: their own GTID carries the
//! target past what the snapshot saw, even where `gtid_executed` is late. And with that the claim does not lean
//! on `binlog_order_commits`; half of the runs are without it.
//!
//! *No duplicate is invented.* Before the target the shadow may hold a row that is newer than the window, and a value
//! may stand twice that never did. And within a transaction a value may stand twice where only the shadow's schema
//! forbids it. So a conflict before the target, or between two parts of a transaction, says nothing: the window is
//! made longer, to the target or to the end of the transaction. There the rows that were not touched are as in the live table, and so are, once written, those that
//! were: after all touched rows have been deleted, a conflict is between two rows that the live table has.
//!
//! *What only the shadow knows stays with its row.* After a swap the shadow has a column that the live table has
//! lost. Every position is exact then, so the row under a key at P is the row that the window means by it, and the
//! origins of the compaction are the truth. But they are the truth **once**: to apply a move twice loses or
//! exchanges that column, although the rows' images are absolute. Hence the coupling has no exception, neither
//! for the last window under the lock nor for a transaction applied in parts: its position counts row events.
//!
//! *What the shadow knows better stays, where nobody wrote it.* After a swap the shadow may have more of a value than the
//! live table. Every event has the row before and after, so it tells which values it wrote, and a window which any of
//! its events wrote; the others are those of the row that the origin names. The values themselves do not tell: what
//! was written may be what the shadow's value would be. And not before the first swap: while rows are copied,
//! the row under a key may be another than the stream means.
//!
//! *A shadow row is the row of a key only if they are equal to both schemas.* If the key's collation becomes coarser,
//! the shadow's comparison alone finds the row `a` for the key `A`, and deletes or overwrites a row that it was not
//! told of. Nothing would report that.
//!
//! # What is not modelled
//!
//! Conversions of values, foreign DDL, what happens to a change after a real duplicate (the run ends there), and
//! the text of statements.
//!
//! # Running more of it
//!
//! `RSC_MODEL_SEEDS=100000 cargo test --release --test model`. A failure names its seed, and `RSC_MODEL_SEED=17`
//! runs that one alone. With `--nocapture` each test of a missing rule prints how the claim fails without it, and the
//! more seeds, the shorter the story.

mod apply;
mod journal;
mod process;
mod rules;
mod server;
mod table;

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use process::{Outcome, Process, Stop};
use rules::{Coupling, Filter, Rules};
use server::Server;

/// A few seconds in a debug build.
const SEEDS: u64 = 4000;

/// What the environment asks for.
fn asked_for() -> Option<Range<u64>> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse::<u64>().ok());
    let one = number("RSC_MODEL_SEED").map(|seed| seed..seed + 1);
    one.or_else(|| number("RSC_MODEL_SEEDS").map(|seeds| 0..seeds))
}

fn seeds() -> Range<u64> {
    asked_for().unwrap_or(0..SEEDS)
}

struct Run {
    stop: Option<Stop>,
    trace: Vec<String>,
}

fn run(seed: u64, rules: Rules) -> Run {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut server = Server::new(&mut rng);
    let mut process = Process::new(rules, &server);
    process.trace.push(format!("{:?}; rows {:?}", server.schemas, server.latest().values()));
    let worked = work(&mut server, &mut process, &mut rng);
    let outcome = worked.and_then(|()| finish(&mut server, &mut process, &mut rng));
    Run { stop: outcome.err(), trace: process.trace }
}

/// The application, the server and rsc take steps in any order.
fn work(server: &mut Server, process: &mut Process, rng: &mut StdRng) -> Outcome {
    let changes_max = [1, 3, 12][rng.random_range(0..3)];
    let crash = [0.0, 0.04][rng.random_range(0..2)];
    // How many of ten steps the server makes transactions visible in: seldom, or soon.
    let visible = rng.random_range(1..4);
    for _ in 0..rng.random_range(20..200) {
        match rng.random_range(0..10) {
            0..2 if !server.locked => write(server, process, rng, changes_max),
            2 => process.wake_a_zombie(server)?,
            n if n < 3 + visible => server.advance(rng),
            _ => process.step(server, rng, true)?,
        }
        if rng.random_bool(crash) {
            process.crash(server, rng)?;
        }
    }
    Ok(())
}

fn write(server: &mut Server, process: &mut Process, rng: &mut StdRng, changes_max: usize) {
    let at = server.binlog.len();
    server.write(rng, changes_max);
    for entry in &server.binlog[at..] {
        let changes: Vec<_> = entry.changes.iter().map(|change| change.short()).collect();
        process.trace.push(format!("transaction {at} is flushed: {}", changes.join("; ")));
    }
}

/// The application rests, and everything becomes visible: now the change must come to its end.
fn finish(server: &mut Server, process: &mut Process, rng: &mut StdRng) -> Outcome {
    const STEPS_MAX: usize = 2000;
    for _ in 0..STEPS_MAX {
        server.settle();
        if process.is_done(server) {
            return process.check(server);
        }
        process.step(server, rng, false)?;
    }
    Err(Stop::Wrong("it does not come to an end".into()))
}

#[test]
fn at_an_exact_position_the_shadow_is_the_projection_of_the_live_table() {
    for seed in seeds() {
        let run = run(seed, Rules::ALL);
        if let Some(Stop::Wrong(what)) = run.stop {
            panic!("RSC_MODEL_SEED={seed}: {what}\n{}", run.trace.join("\n"));
        }
    }
}

/// A model that never meets the hard cases proves nothing.
#[test]
fn the_runs_meet_what_they_are_for() {
    let runs: Vec<Run> = seeds().map(|seed| run(seed, Rules::ALL)).collect();
    let runs_with = |what: &str, least: usize| {
        let times = |run: &&Run| run.trace.iter().filter(|line| line.contains(what)).count() >= least;
        runs.iter().filter(times).count()
    };
    let real_duplicates = runs.iter().filter(|run| matches!(run.stop, Some(Stop::RealDuplicate))).count();
    let met = [
        ("crash", runs_with("crash", 1)),
        ("a second swap", runs_with("swapped", 2)),
        ("a fourth swap", runs_with("swapped", 4)),
        ("a crash that leaves a hole", runs_with("leaves a hole", 1)),
        ("a conflict in a batch", runs_with("meets", 1)),
        ("a longer window", runs_with("made longer", 1)),
        ("a transaction in parts", runs_with("events: Ok", 1)),
        ("a real duplicate", real_duplicates),
    ];
    println!("of {} runs: {met:?}", runs.len());
    if runs.len() as u64 >= SEEDS {
        assert!(met.iter().all(|(_, count)| *count >= 20), "{met:?}");
    }
}

/// Looks for a run that goes wrong; there must be one.
fn goes_wrong(rules: Rules) {
    let failure = |seed| {
        let run = run(seed, rules);
        match run.stop {
            Some(Stop::Wrong(what)) => Some((seed, what, run.trace)),
            _ => None,
        }
    };
    let found = match asked_for() {
        // More time is given, for the shortest of them.
        Some(seeds) => seeds.filter_map(failure).min_by_key(|(_, _, trace)| trace.len()),
        // The rarest needs one seed in a few thousand.
        None => (0..10 * SEEDS).find_map(failure),
    };
    let Some((seed, what, trace)) = found else {
        panic!("no run goes wrong: the rule is not needed, or the model does not see why");
    };
    println!("RSC_MODEL_SEED={seed}:\n{}\n=> {what}", trace.join("\n"));
}

// ---- Copy ----

#[test]
fn without_the_visibility_gate_a_row_is_lost() {
    goes_wrong(Rules { gate: false, ..Rules::ALL });
}

#[test]
fn a_transaction_passed_in_part_belongs_to_the_gate() {
    goes_wrong(Rules { gate_covers_parts: false, ..Rules::ALL });
}

#[test]
fn with_a_target_from_before_the_batches_they_stay_in_the_future() {
    goes_wrong(Rules { target_after_batches: false, ..Rules::ALL });
}

#[test]
fn with_batches_outside_the_binlog_the_target_misses_what_they_saw() {
    goes_wrong(Rules { batches_are_logged: false, ..Rules::ALL });
}

#[test]
fn without_an_open_last_batch_a_row_at_the_end_is_lost() {
    goes_wrong(Rules { last_batch: false, ..Rules::ALL });
}

#[test]
fn without_the_frontier_rows_come_before_their_batch() {
    goes_wrong(Rules { filter: Filter::All, ..Rules::ALL });
}

#[test]
fn with_parallel_batches_the_highest_key_is_no_frontier() {
    goes_wrong(Rules { filter: Filter::UpToHighest, ..Rules::ALL });
}

#[test]
fn without_lower_bounds_in_the_journal_a_crash_loses_what_lay_between() {
    goes_wrong(Rules { journals_lower_bounds: false, ..Rules::ALL });
}

// ---- A window as a set ----

#[test]
fn with_deletes_last_a_row_under_a_key_that_another_left_is_lost() {
    goes_wrong(Rules { deletes_first: false, ..Rules::ALL });
}

#[test]
fn a_row_that_came_and_went_in_the_window_may_have_been_copied() {
    goes_wrong(Rules { deletes_newborn_keys: false, ..Rules::ALL });
}

#[test]
fn without_deleting_a_key_that_is_taken_again_the_title_of_another_row_comes_back() {
    goes_wrong(Rules { deletes_taken_keys: false, ..Rules::ALL });
}

#[test]
fn a_move_as_delete_and_insert_loses_the_title() {
    goes_wrong(Rules { carries: false, ..Rules::ALL });
}

#[test]
fn a_new_row_that_moves_must_not_carry_the_title_of_the_one_before_it() {
    goes_wrong(Rules { knows_fresh_rows: false, ..Rules::ALL });
}

#[test]
fn a_row_written_whole_loses_what_the_shadow_knows_better() {
    goes_wrong(Rules { keeps_unwritten: false, ..Rules::ALL });
}

#[test]
fn a_written_value_that_looks_like_the_old_one_is_not_the_old_one() {
    goes_wrong(Rules { reads_what_was_written: false, ..Rules::ALL });
}

#[test]
fn while_rows_are_copied_a_moved_row_would_carry_a_strangers_value() {
    goes_wrong(Rules { keeps_only_after_a_swap: false, ..Rules::ALL });
}

#[test]
fn comparing_keys_as_the_shadow_alone_does_loses_other_rows() {
    goes_wrong(Rules { compares_as_both: false, ..Rules::ALL });
}

#[test]
fn without_the_rebuild_form_values_that_change_places_are_called_duplicates() {
    goes_wrong(Rules { rebuilds: false, ..Rules::ALL });
}

#[test]
fn without_longer_windows_a_row_from_the_future_is_called_a_duplicate() {
    goes_wrong(Rules { lengthens: false, ..Rules::ALL });
}

#[test]
fn what_the_shadow_forbids_may_stand_in_the_middle_of_a_transaction() {
    goes_wrong(Rules { lengthens_parts: false, ..Rules::ALL });
}

// ---- Crashes ----

#[test]
fn with_the_position_committed_before_its_rows_they_are_lost() {
    goes_wrong(Rules { coupling: Coupling::NothingAnyMore, ..Rules::ALL });
}

#[test]
fn with_the_position_committed_after_its_rows_a_window_is_applied_twice() {
    goes_wrong(Rules { coupling: Coupling::NothingYet, ..Rules::ALL });
}

#[test]
fn the_last_window_under_the_lock_is_no_exception() {
    goes_wrong(Rules { coupling: Coupling::NothingYetUnderLock, ..Rules::ALL });
}

#[test]
fn a_transaction_in_parts_must_journal_how_far_it_got() {
    goes_wrong(Rules { counts_parts: false, ..Rules::ALL });
}

#[test]
fn a_position_found_in_the_journal_is_not_known_to_be_exact() {
    goes_wrong(Rules { restarts_inexact: false, ..Rules::ALL });
}

#[test]
fn without_the_fence_a_dead_process_writes_into_the_copy_of_its_successor() {
    goes_wrong(Rules { fence: false, ..Rules::ALL });
}
