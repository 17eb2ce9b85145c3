//! The only place where the next state of a change is chosen.

use super::event::{Event, Verb};
use super::state::{Serving, State};
use super::whole;
use crate::schema::kind::Kind;

/// Why an operator's wish is not granted. The text is for them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    pub what: String,
    pub next: String,
}

fn refuse(what: impl Into<String>, next: impl Into<String>) -> Result<State, Refusal> {
    Err(Refusal { what: what.into(), next: next.into() })
}

/// What follows when `event` happens in `state` of such a change.
///
/// An event that cannot change anything leaves the state as it is: reports may come twice, because every work
/// may be done twice. Only wishes are refused.
pub fn step(kind: Kind, state: State, event: &Event) -> Result<State, Refusal> {
    Ok(match event {
        Event::Asked(Verb::Verify | Verb::VerifyRepairing) if kind.whole() => {
            return Err(whole::nothing_to_compare());
        }
        Event::Asked(verb) => {
            return asked(state, *verb).map_err(|no| whole::refusal(kind, state, *verb).unwrap_or(no));
        }
        Event::AlteredInPlace if state == State::Planned => State::Completed,
        Event::ShadowBuilt if state == State::Planned => State::Copying,
        Event::NothingToCopy { postponed: true } if state == State::Planned => State::Ready,
        Event::NothingToCopy { postponed: false } if state == State::Planned => State::CuttingOver,
        Event::CopyEnded { indexed: true } if state == State::Copying => State::CatchingUp,
        Event::CopyEnded { indexed: false } if state == State::Copying => State::Indexing,
        Event::IndexesBuilt if state == State::Indexing => State::CatchingUp,
        Event::CloseBehind { postponed: true } if state == State::CatchingUp => State::Ready,
        Event::CloseBehind { postponed: false } if state == State::CatchingUp => State::CuttingOver,
        // There is nothing to catch up with.
        Event::SwapMissed if state == State::CuttingOver && kind.whole() => State::Ready,
        Event::SwapMissed if state == State::CuttingOver => State::CatchingUp,
        Event::CutoverDue if state == State::Ready => State::CuttingOver,
        Event::Serves(serving) => serves(state, *serving),
        Event::WindowEnded if matches!(state, State::Revertible | State::Reverted) => State::Expired,
        Event::Broke if state.before_first_swap() && !state.ended() && state != State::Cancelling => {
            State::Failing
        }
        Event::ShadowDropped => dropped(state),
        Event::AlteredInPlace
        | Event::ShadowBuilt
        | Event::NothingToCopy { .. }
        | Event::CopyEnded { .. }
        | Event::IndexesBuilt
        | Event::CloseBehind { .. }
        | Event::SwapMissed
        | Event::CutoverDue
        | Event::WindowEnded
        | Event::Broke => state,
    })
}

/// The tables decide whether a swap happened, whatever the journal had got to.
fn serves(state: State, serving: Serving) -> State {
    match (state, serving) {
        (State::CuttingOver, Serving::New) | (State::Reapplying, Serving::New) => State::Revertible,
        (State::Reverting, Serving::Old) => State::Reverted,
        (
            State::Planned
            | State::Copying
            | State::Indexing
            | State::CatchingUp
            | State::Ready
            | State::CuttingOver
            | State::Revertible
            | State::Reverting
            | State::Reverted
            | State::Reapplying
            | State::Completing
            | State::Completed
            | State::Expired
            | State::Cancelling
            | State::Cancelled
            | State::Failing
            | State::Failed,
            _,
        ) => state,
    }
}

fn dropped(state: State) -> State {
    match state {
        State::Completing => State::Completed,
        State::Cancelling => State::Cancelled,
        State::Failing => State::Failed,
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Ready
        | State::CuttingOver
        | State::Revertible
        | State::Reverting
        | State::Reverted
        | State::Reapplying
        | State::Completed
        | State::Expired
        | State::Cancelled
        | State::Failed => state,
    }
}

fn asked(state: State, verb: Verb) -> Result<State, Refusal> {
    match verb {
        Verb::Cutover => cutover(state),
        Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses => revert(state),
        Verb::Reapply => reapply(state),
        Verb::Complete => complete(state),
        Verb::Cancel => cancel(state),
        Verb::Pause if state.ended() || state == State::Expired => refuse(
            format!("the change is {state}; nothing moves that could be paused"),
            "nothing needs to be done",
        ),
        // A pause is no state: the change stands where it stood.
        Verb::Pause => Ok(state),
        Verb::Resume if state.ended() => refuse(
            format!("the change is {state}; there is nothing to resume"),
            "start a new one with `rsc migrate`",
        ),
        Verb::Resume => Ok(state),
        Verb::Verify | Verb::VerifyRepairing => verify(state),
    }
}

/// A verification is no state: the change stands where it stood.
fn verify(state: State) -> Result<State, Refusal> {
    match state {
        State::CatchingUp | State::Ready | State::Revertible | State::Reverted => Ok(state),
        State::Planned | State::Copying | State::Indexing => refuse(
            format!("the change is still {state}: the new table does not have all rows yet"),
            "wait until it has; `rsc migrate` verifies by itself before it swaps the tables",
        ),
        State::CuttingOver | State::Reverting | State::Reapplying => refuse(
            format!("the change is {state}: the tables are being swapped"),
            "wait until they are, and try again",
        ),
        State::Expired => refuse(
            "the revert window is over: the stream has stopped, so the kept table is not current any more",
            "nothing needs to be done; `rsc complete` drops it",
        ),
        State::Completing
        | State::Completed
        | State::Cancelling
        | State::Cancelled
        | State::Failing
        | State::Failed => refuse(
            format!("the change is {state}: there are no two tables that could be compared"),
            "nothing needs to be done",
        ),
    }
}

fn cutover(state: State) -> Result<State, Refusal> {
    match state {
        State::Ready | State::CuttingOver => Ok(State::CuttingOver),
        State::Revertible => Ok(State::Revertible),
        State::Planned | State::Copying | State::Indexing | State::CatchingUp => refuse(
            format!("the change is still {state}: the new table is not ready to be swapped"),
            "wait until `rsc status` shows it as ready; without --postpone-cutover it swaps by itself",
        ),
        State::Reverting => refuse(
            "the change has been swapped already, and is being taken back",
            "to keep the new schema after all, take that wish back with `rsc cancel`",
        ),
        State::Reverted | State::Reapplying => refuse(
            format!("the change is {state}: its first swap was made long ago"),
            "to swap the tables again, use `rsc reapply`",
        ),
        State::Completing | State::Completed | State::Expired => {
            refuse(format!("the change is {state}: it has been swapped already"), "nothing needs to be done")
        }
        State::Cancelling | State::Cancelled | State::Failing | State::Failed => refuse(
            format!("the change is {state}: its new table is gone"),
            "start a new change with `rsc migrate`",
        ),
    }
}

fn revert(state: State) -> Result<State, Refusal> {
    match state {
        State::Revertible | State::Reverting | State::Reapplying => Ok(State::Reverting),
        State::Reverted => Ok(State::Reverted),
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Ready
        | State::CuttingOver => refuse(
            format!("the change is still {state}: the old schema is the one that serves"),
            "to give it up, use `rsc cancel`",
        ),
        State::Completing | State::Completed => refuse(
            format!("the change is {state}: its old table was dropped, so there is nothing to swap back"),
            "start a new change that undoes it with `rsc migrate`",
        ),
        State::Expired => refuse(
            "the revert window is over: the stream has stopped, so the kept table is not current any more",
            "the kept table holds the rows as of the end of the window; `rsc complete` drops it",
        ),
        State::Cancelling | State::Cancelled | State::Failing | State::Failed => refuse(
            format!("the change is {state}: it never swapped the tables, so there is nothing to revert"),
            "the table has its old schema; nothing needs to be done",
        ),
    }
}

fn reapply(state: State) -> Result<State, Refusal> {
    match state {
        State::Reverted | State::Reapplying | State::Reverting => Ok(State::Reapplying),
        State::Revertible => Ok(State::Revertible),
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Ready
        | State::CuttingOver => refuse(
            format!("the change is still {state}: it has not been applied a first time"),
            "to let it go on, use `rsc migrate --resume`, or `rsc cutover` when it is ready",
        ),
        State::Completing
        | State::Completed
        | State::Expired
        | State::Cancelling
        | State::Cancelled
        | State::Failing
        | State::Failed => refuse(
            format!("the change is {state}: the new table is not kept current"),
            "start a new change with `rsc migrate`",
        ),
    }
}

fn complete(state: State) -> Result<State, Refusal> {
    match state {
        State::Revertible | State::Reverted | State::Expired | State::Completing => Ok(State::Completing),
        State::Completed => Ok(State::Completed),
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Ready
        | State::CuttingOver => refuse(
            format!("the change is still {state}"),
            "to let it go on, use `rsc migrate --resume`, or `rsc cutover` when it is ready; to give it up, use `rsc cancel`",
        ),
        State::Reverting | State::Reapplying => refuse(
            format!("the change is {state}: which schema will serve is not decided yet"),
            "wait until it has swapped, or take the wish back with `rsc cancel`",
        ),
        State::Cancelling | State::Cancelled | State::Failing | State::Failed => refuse(
            format!("the change is {state}; it left nothing behind that could be completed"),
            "nothing needs to be done",
        ),
    }
}

fn cancel(state: State) -> Result<State, Refusal> {
    match state {
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Ready
        | State::CuttingOver
        | State::Cancelling => Ok(State::Cancelling),
        State::Cancelled => Ok(State::Cancelled),
        State::Reverting => Ok(State::Revertible),
        State::Reapplying => Ok(State::Reverted),
        State::Revertible => refuse(
            "the new schema serves already",
            "to take it back, use `rsc revert`; to keep it, use `rsc complete`",
        ),
        State::Reverted | State::Expired => refuse(
            format!("the change is {state}"),
            "to drop the table that does not serve, use `rsc complete`",
        ),
        State::Completing | State::Completed | State::Failing | State::Failed => {
            refuse(format!("the change is {state}; there is nothing to cancel"), "nothing needs to be done")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSE: Event = Event::CloseBehind { postponed: false };

    const COPIED: Event = Event::CopyEnded { indexed: true };

    fn after(state: State, events: &[Event]) -> State {
        events.iter().fold(state, |state, event| step(Kind::Alter, state, event).expect("granted"))
    }

    #[test]
    fn a_change_goes_forward_and_back_as_often_as_asked() {
        use Event::*;
        let applied =
            after(State::Planned, &[ShadowBuilt, COPIED, CLOSE, SwapMissed, CLOSE, Serves(Serving::New)]);
        assert_eq!(applied, State::Revertible);
        let mut state = applied;
        for _ in 0..3 {
            state = after(state, &[Asked(Verb::Revert), Serves(Serving::Old)]);
            assert_eq!(state, State::Reverted);
            state = after(state, &[Asked(Verb::Reapply), Serves(Serving::New)]);
            assert_eq!(state, State::Revertible);
        }
        assert_eq!(after(state, &[Asked(Verb::Complete), ShadowDropped]), State::Completed);
    }

    #[test]
    fn indexes_that_were_left_off_are_built_before_the_stream_catches_up() {
        let copied = after(State::Copying, &[Event::CopyEnded { indexed: false }]);
        assert_eq!(copied, State::Indexing);
        assert_eq!(after(copied, &[COPIED, CLOSE, Event::ShadowBuilt]), State::Indexing);
        assert_eq!(after(copied, &[Event::Broke]), State::Failing);
        assert_eq!(after(copied, &[Event::IndexesBuilt, Event::IndexesBuilt]), State::CatchingUp);
    }

    #[test]
    fn a_postponed_swap_waits_for_the_operator_and_then_for_nothing() {
        let late = Event::CloseBehind { postponed: true };
        let ready = after(State::Planned, &[Event::ShadowBuilt, COPIED, late.clone()]);
        assert_eq!(ready, State::Ready);
        assert_eq!(after(ready, &[late, CLOSE, Event::Serves(Serving::Old)]), State::Ready);
        assert_eq!(after(ready, &[Event::Broke]), State::Failing);
        assert_eq!(after(ready, &[Event::Asked(Verb::Cancel)]), State::Cancelling);
        let swapping = after(ready, &[Event::Asked(Verb::Cutover)]);
        assert_eq!(swapping, State::CuttingOver);
        assert_eq!(after(swapping, &[Event::Asked(Verb::Cutover)]), State::CuttingOver);
        assert_eq!(after(swapping, &[Event::Serves(Serving::New)]), State::Revertible);
    }

    /// What every wish comes to in every state; `-` is a refusal.
    #[test]
    fn every_wish_has_an_answer_in_every_state() {
        #[rustfmt::skip]
        let table = [
            // state         cutover         revert       reapply       complete      cancel        pause           resume         verify
            ("planned",      "-",            "-",         "-",          "-",          "cancelling", "planned",      "planned", "-"),
            ("copying",      "-",            "-",         "-",          "-",          "cancelling", "copying",      "copying", "-"),
            ("indexing",     "-",            "-",         "-",          "-",          "cancelling", "indexing",     "indexing", "-"),
            ("catching_up",  "-",            "-",         "-",          "-",          "cancelling", "catching_up",  "catching_up", "catching_up"),
            ("ready",        "cutting_over", "-",         "-",          "-",          "cancelling", "ready",        "ready", "ready"),
            ("cutting_over", "cutting_over", "-",         "-",          "-",          "cancelling", "cutting_over", "cutting_over", "-"),
            ("revertible",   "revertible",   "reverting", "revertible", "completing", "-",          "revertible",   "revertible", "revertible"),
            ("reverting",    "-",            "reverting", "reapplying", "-",          "revertible", "reverting",    "reverting", "-"),
            ("reverted",     "-",            "reverted",  "reapplying", "completing", "-",          "reverted",     "reverted", "reverted"),
            ("reapplying",   "-",            "reverting", "reapplying", "-",          "reverted",   "reapplying",   "reapplying", "-"),
            ("completing",   "-",            "-",         "-",          "completing", "-",          "completing",   "completing", "-"),
            ("completed",    "-",            "-",         "-",          "completed",  "-",          "-",            "-", "-"),
            ("expired",      "-",            "-",         "-",          "completing", "-",          "-",            "expired", "-"),
            ("cancelling",   "-",            "-",         "-",          "-",          "cancelling", "cancelling",   "cancelling", "-"),
            ("cancelled",    "-",            "-",         "-",          "-",          "cancelled",  "-",            "-", "-"),
            ("failing",      "-",            "-",         "-",          "-",          "-",          "failing",      "failing", "-"),
            ("failed",       "-",            "-",         "-",          "-",          "-",          "-",            "-", "-"),
        ];
        let answer = |state, verb| step(Kind::Alter, state, &Event::Asked(verb)).map_or("-", State::name);
        let found = State::ALL.map(|state| {
            let [
                cutover,
                revert,
                accepting,
                refusing,
                reapply,
                complete,
                cancel,
                pause,
                resume,
                verify,
                repairing,
            ] = Verb::ALL.map(|verb| answer(state, verb));
            assert_eq!((revert, revert, verify), (accepting, refusing, repairing));
            (state.name(), cutover, revert, reapply, complete, cancel, pause, resume, verify)
        });
        assert_eq!(found, table);
    }

    #[test]
    fn a_missed_swap_keeps_the_wish() {
        assert_eq!(after(State::Reverting, &[Event::SwapMissed]), State::Reverting);
        assert_eq!(after(State::Reverting, &[Event::Serves(Serving::New)]), State::Reverting);
    }

    #[test]
    fn a_window_that_opens_swaps_what_is_ready_and_nothing_else() {
        for state in State::ALL {
            let expected = if state == State::Ready { State::CuttingOver } else { state };
            assert_eq!(after(state, &[Event::CutoverDue]), expected);
        }
        // It closed before the swap could be made.
        assert_eq!(
            after(
                State::Ready,
                &[Event::CutoverDue, Event::SwapMissed, Event::CloseBehind { postponed: true }]
            ),
            State::Ready
        );
    }

    #[test]
    fn a_revert_in_flight_can_be_taken_back() {
        assert_eq!(after(State::Reverting, &[Event::Asked(Verb::Cancel)]), State::Revertible);
        assert_eq!(after(State::Reapplying, &[Event::Asked(Verb::Cancel)]), State::Reverted);
    }

    #[test]
    fn what_never_swapped_is_not_reverted() {
        for state in [State::Cancelled, State::Failed, State::Copying, State::Completed, State::Expired] {
            assert!(step(Kind::Alter, state, &Event::Asked(Verb::Revert)).is_err(), "{state}");
        }
    }

    /// From every state the operator reaches an ended one, whatever work is reported on the way.
    #[test]
    fn every_state_has_a_safe_way_out() {
        for state in State::ALL {
            let mut at = state;
            for event in [Event::Asked(Verb::Cancel), Event::Asked(Verb::Complete), Event::ShadowDropped] {
                at = step(Kind::Alter, at, &event).unwrap_or(at);
            }
            assert!(at.ended(), "{state} ends in {at}");
        }
    }

    #[test]
    fn a_report_that_comes_twice_changes_nothing_more() {
        let reports = [
            Event::ShadowBuilt,
            COPIED,
            Event::IndexesBuilt,
            Event::Serves(Serving::New),
            Event::Serves(Serving::Old),
            Event::ShadowDropped,
            Event::Broke,
            Event::WindowEnded,
        ];
        for state in State::ALL {
            for event in &reports {
                let once = after(state, std::slice::from_ref(event));
                assert_eq!(after(once, std::slice::from_ref(event)), once, "{state} {event:?}");
            }
        }
    }

    #[test]
    fn nothing_breaks_a_table_that_serves_the_new_schema() {
        assert_eq!(after(State::Revertible, &[Event::Broke]), State::Revertible);
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(state.name().parse::<State>().expect("known"), state);
        }
    }
}
