//! Why a wish is not granted for a change about a table as a whole, in words that are true of it. Which wishes are, is
//! decided in [`step`](super::step::step), as for every change.

use super::event::Verb;
use super::state::State;
use super::step::Refusal;
use crate::schema::kind::Kind;

fn say(what: impl Into<String>, next: impl Into<String>) -> Option<Refusal> {
    Some(Refusal { what: what.into(), next: next.into() })
}

/// There is one table.
pub fn nothing_to_compare() -> Refusal {
    Refusal {
        what: "there is nothing to compare: the change has one table, which is only given another name"
            .into(),
        next: "nothing needs to be done".into(),
    }
}

/// `None` where the words for every change fit.
pub fn refusal(kind: Kind, state: State, verb: Verb) -> Option<Refusal> {
    let (there, gone) = match kind {
        Kind::Alter => return None,
        Kind::Create => ("the table is not there yet", "the table is there already"),
        Kind::Drop => ("the table has not been taken away yet", "the table is away already"),
    };
    match (verb, state) {
        (Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses, state)
            if not_yet(state) =>
        {
            say(format!("the change is {state}: {there}"), "to give it up, use `rsc cancel`")
        }
        (
            Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses,
            State::Completing | State::Completed,
        ) => match kind {
            Kind::Drop => say(
                format!("the change is {state}: what it kept is dropped"),
                "nothing can bring the table back; a backup has its rows",
            ),
            Kind::Create | Kind::Alter => say(
                format!("the change is {state}: the table stays, or was dropped after a revert"),
                "if it is there, take it away by a change of its own: `rsc migrate --alter \"DROP TABLE …\"`",
            ),
        },
        (Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses, State::Expired) => say(
            "the revert window is over",
            match kind {
                Kind::Drop => {
                    "the kept table still has every row, and RENAME TABLE brings it back by hand; `rsc complete` drops it"
                }
                Kind::Create | Kind::Alter => {
                    "end the change with `rsc complete`; a table that is there goes by a change of its own: \
                     `rsc migrate --alter \"DROP TABLE …\"`"
                }
            },
        ),
        (Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses, _) => say(
            format!("the change is {state}: it never came about, so there is nothing to revert"),
            "nothing needs to be done",
        ),
        (Verb::Reapply, state) if not_yet(state) => say(
            format!("the change is {state}: {there}"),
            "to let it go on, use `rsc migrate --resume`, or `rsc cutover` when it is ready",
        ),
        (Verb::Reapply, State::Expired) => {
            say("the revert window is over", "end the change with `rsc complete`, and start a new one")
        }
        (Verb::Reapply, _) => say(format!("the change is {state}"), "start a new change with `rsc migrate`"),
        (Verb::Cutover, State::Planned) => say(
            format!("the change is still {state}"),
            "wait until `rsc status` shows it as ready; without --postpone-cutover it goes on by itself",
        ),
        (Verb::Cutover, State::Reverting) => say(
            "the change was made, and is being taken back",
            "to keep it after all, take that wish back with `rsc cancel`",
        ),
        (Verb::Cutover, State::Reverted | State::Reapplying) => {
            say(format!("the change is {state}: it was made long ago"), "to make it again, use `rsc reapply`")
        }
        (Verb::Cutover, State::Completing | State::Completed | State::Expired) => {
            say(format!("the change is {state}: {gone}, or was brought back"), "nothing needs to be done")
        }
        (Verb::Cutover, _) => say(format!("the change is {state}"), "start a new change with `rsc migrate`"),
        (Verb::Complete, State::Reverting | State::Reapplying) => say(
            format!("the change is {state}: whether the table will be there is not decided yet"),
            "wait until it is, or take the wish back with `rsc cancel`",
        ),
        (Verb::Cancel, State::Revertible) => {
            say(gone, "to take the change back, use `rsc revert`; to make it final, use `rsc complete`")
        }
        (Verb::Cancel, State::Reverted | State::Expired) => {
            say(format!("the change is {state}"), "to end it, use `rsc complete`")
        }
        (
            Verb::Complete | Verb::Cancel | Verb::Pause | Verb::Resume | Verb::Verify | Verb::VerifyRepairing,
            _,
        ) => None,
    }
}

fn not_yet(state: State) -> bool {
    matches!(state, State::Planned | State::Ready | State::CuttingOver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::event::Event;
    use crate::lifecycle::state::Serving;
    use crate::lifecycle::step::step;

    const WHOLE: [Kind; 2] = [Kind::Create, Kind::Drop];
    /// A change about a table as a whole copies nothing, and follows nothing.
    const NEVER: [State; 3] = [State::Copying, State::Indexing, State::CatchingUp];

    fn after(kind: Kind, state: State, events: &[Event]) -> State {
        events.iter().fold(state, |state, event| step(kind, state, event).expect("granted"))
    }

    #[test]
    fn a_table_comes_and_goes_without_a_copy() {
        for kind in WHOLE {
            let ready = after(kind, State::Planned, &[Event::NothingToCopy { postponed: true }]);
            assert_eq!(ready, State::Ready);
            let made = [Event::Asked(Verb::Cutover), Event::Serves(Serving::New)];
            assert_eq!(after(kind, ready, &made), State::Revertible);
            let at_once = [Event::NothingToCopy { postponed: false }, Event::Serves(Serving::New)];
            assert_eq!(after(kind, State::Planned, &at_once), State::Revertible);
            let back = [Event::Asked(Verb::Revert), Event::Serves(Serving::Old)];
            assert_eq!(after(kind, State::Revertible, &back), State::Reverted);
        }
    }

    #[test]
    fn the_same_wishes_are_granted_as_for_every_change_but_to_compare() {
        for kind in WHOLE {
            for state in State::ALL {
                for verb in Verb::ALL {
                    let granted = step(kind, state, &Event::Asked(verb));
                    let compares = matches!(verb, Verb::Verify | Verb::VerifyRepairing);
                    match step(Kind::Alter, state, &Event::Asked(verb)) {
                        Ok(_) if compares => assert_eq!(granted, Err(nothing_to_compare())),
                        Ok(next) => assert_eq!(granted, Ok(next)),
                        Err(_) => assert!(granted.is_err()),
                    }
                }
            }
        }
    }

    #[test]
    fn no_answer_speaks_of_a_second_table_or_a_stream() {
        for kind in WHOLE {
            for state in State::ALL.into_iter().filter(|state| !NEVER.contains(state)) {
                for verb in Verb::ALL {
                    let Err(no) = step(kind, state, &Event::Asked(verb)) else { continue };
                    let said = format!("{} {}", no.what, no.next);
                    for untrue in ["schema", "stream", "swap", "old table", "new table", "tables"] {
                        assert!(!said.contains(untrue), "{state} {}: {said}", verb.name());
                    }
                }
            }
        }
    }
}
