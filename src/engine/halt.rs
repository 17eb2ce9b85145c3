//! Why the work on a change ended before it had settled, and what a person is told then.

use super::Job;
use super::trouble::Trouble;
use crate::error::{Error, Told};
use crate::lifecycle::event::Verb;
use crate::lifecycle::step::Refusal;
use crate::schema::kind::Kind;

/// Why an attempt ended before the change had settled.
pub enum Halt {
    Trouble(Trouble),
    /// Interrupted before the first swap, and put on record as paused.
    Paused,
    Refused(Refusal),
    /// A reason that stays, in a change whose new schema has served: the stream cannot go on. If `severed`, it
    /// never will.
    Blocked {
        told: Told,
        severed: bool,
    },
    /// A reason that stays, before the first swap: the shadow is dropped.
    Failed {
        told: Told,
        kind: Kind,
    },
    /// The two tables differ, before the first swap; `named` are the first rows.
    Differs {
        named: String,
    },
    /// The account may not do what is to be done; `begun` if anything was done before.
    Denied {
        told: Told,
        begun: bool,
    },
    /// The journal, or what it had of this change, is not there any more.
    Orphaned(Told),
}

impl<T: Into<Trouble>> From<T> for Halt {
    fn from(trouble: T) -> Self {
        Halt::Trouble(trouble.into())
    }
}

/// Says what happened, what state things are in, and what to type next.
pub fn explain(job: &Job, halt: Halt) -> Error {
    let id = job.change;
    let going_on =
        format!("to go on, `rsc migrate --resume {id}`; to see where it stands, `rsc status {id}`");
    let kept = "everything done so far is kept, and the live table works as before";
    match halt {
        Halt::Refused(no) => {
            let told = Told::new(no.what).state("nothing was changed").next(no.next);
            match job.ask {
                Some(Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses | Verb::Reapply) => Error::RevertRefused(told),
                Some(
                    Verb::Cutover
                    | Verb::Complete
                    | Verb::Cancel
                    | Verb::Pause
                    | Verb::Resume
                    | Verb::Verify
                    | Verb::VerifyRepairing,
                )
                | None => {
                    Error::Refused(told)
                }
            }
        }
        Halt::Failed { told, kind } => Error::Failed(
            told.state(match kind {
                Kind::Alter => {
                    format!("change {id} has failed; the live table was not touched, the shadow is removed")
                }
                Kind::Create => format!("change {id} has failed; its table is removed, and no other was touched"),
                Kind::Drop => format!("change {id} has failed; the table is where it was"),
            })
            .next("mend what is named above, and start again with `rsc migrate`"),
        ),
        Halt::Blocked { told, severed } => {
            let keep = format!("to keep what serves, `rsc complete {id}`");
            let again = match job.ask {
                Some(verb @ (Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses | Verb::Reapply)) => {
                    format!("rsc {} {id}", verb.name())
                }
                Some(
                    Verb::Cutover
                    | Verb::Complete
                    | Verb::Cancel
                    | Verb::Pause
                    | Verb::Resume
                    | Verb::Verify
                    | Verb::VerifyRepairing,
                )
                | None => {
                    format!("rsc migrate --resume {id} --agent stay")
                }
            };
            let (state, next) = match severed {
                true => ("cannot go on, and there is no way to the other schema any more", keep),
                false => (
                    "cannot go on",
                    format!("mend the rows in the live table, and try again with `{again}`; or {keep}"),
                ),
            };
            let told = told
                .state(format!("the stream of change {id} {state}; the live table works as before"))
                .next(next);
            match job.ask {
                Some(Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses | Verb::Reapply) => Error::RevertRefused(told),
                Some(
                    Verb::Cutover
                    | Verb::Complete
                    | Verb::Cancel
                    | Verb::Pause
                    | Verb::Resume
                    | Verb::Verify
                    | Verb::VerifyRepairing,
                )
                | None => {
                    Error::Stopped(told)
                }
            }
        }
        Halt::Differs { named } => Error::Differs(
            Told::new(format!("the new table is not what it should be: {named}"))
                .state("the tables were not swapped; the live table works as before, and the new one is kept")
                .next(format!(
                    "to see the rows, `rsc verify {id}`; to write them again, `rsc verify {id} --repair`; then to go on, `rsc migrate --resume {id}`; to give it up, `rsc cancel {id}`"
                )),
        ),
        Halt::Denied { told, begun: true } => Error::Stopped(told.state(kept)),
        Halt::Denied { told, begun: false } => Error::Refused(told.state("nothing was changed")),
        Halt::Orphaned(told) => match job.ask {
            Some(Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses | Verb::Reapply) => Error::RevertRefused(told),
            Some(
                    Verb::Cutover
                    | Verb::Complete
                    | Verb::Cancel
                    | Verb::Pause
                    | Verb::Resume
                    | Verb::Verify
                    | Verb::VerifyRepairing,
                )
                | None => {
                Error::Stopped(told)
            }
        },
        Halt::Paused => Error::Interrupted(
            Told::new(format!("interrupted; change {id} is paused"))
                .state(format!("{kept}; nobody goes on with it unasked, no rsc agent either"))
                .next(format!(
                    "to go on, `rsc migrate --resume {id}`; to let an agent go on, `rsc resume {id}`; to give it up, `rsc cancel {id}`"
                )),
        ),
        Halt::Trouble(trouble) => match trouble {
            Trouble::Owned(who) => Error::Owned(
                Told::new(format!("change {id} is driven by {who}"))
                    .state("this process has stopped and changed nothing more")
                    .next(format!("to see it, `rsc status {id}`; to stop that process, end it where it runs")),
            ),
            Trouble::Interrupted => Error::Interrupted(
                Told::new(format!("interrupted; change {id} has stopped"))
                    .state(format!("{kept}; an rsc agent, if one runs on this server, goes on with it"))
                    .next(format!("to go on, `rsc migrate --resume {id}`; to give it up, `rsc cancel {id}` before the swap or `rsc revert {id}` after it")),
            ),
            Trouble::Stop(told) | Trouble::Definite(told) | Trouble::InTheWay(told) => {
                let next = if told.next.is_empty() { going_on } else { told.next.clone() };
                Error::Stopped(told.state(kept).next(next))
            }
            Trouble::Severed(told) => Error::Stopped(told.state(kept).next(going_on)),
            Trouble::Lost(why)
            | Trouble::Locked(why)
            | Trouble::Duplicate(why)
            | Trouble::Misfit(why)
            | Trouble::Denied(why)
            | Trouble::NoJournal(why) => Error::Stopped(Told::new(why).state(kept).next(going_on)),
            Trouble::Asked => Error::Unexpected(Told::new("a request was not answered").next(going_on)),
        },
    }
}
