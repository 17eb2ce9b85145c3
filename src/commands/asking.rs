//! cutover, revert, reapply, complete, cancel, pause, resume: a wish for a change that exists.
//!
//! If a process drives the change, it is asked and does it; otherwise this process takes the change over and
//! does it itself. An owner that dies before it answers is taken over from.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{Context, compensate, sql_error, store_error, whole};
use crate::engine::{self, Job, Until, sides};
use crate::error::{Error, Told};
use crate::journal::fence;
use crate::journal::record::{Answer, Change};
use crate::journal::store::{self, StoreError, Wish};
use crate::lifecycle::consent::Consents;
use crate::lifecycle::event::{Event, Verb};
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::State;
use crate::lifecycle::step::step;
use crate::mysql::losses;
use crate::session::{Session, SqlError};

/// An owner answers within a second; it is looked after so often.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Shorter than a request lives, so that one that was given up is never granted.
pub(super) const PATIENCE: Duration = Duration::from_secs(store::REQUEST_LIVES_S - 5);

pub async fn run(context: &Context, id: u64, verb: Verb, consents: Consents) -> Result<(), Error> {
    let (mut session, change) = context.change(id).await?;
    // Before the first swap a change that differs waits where it stands, and goes on from there.
    let verb = match (verb, change.state) {
        (Verb::Cutover, State::CatchingUp) if consents.differences && change.reason.is_some() => Verb::Resume,
        _ => verb,
    };
    if let (Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses, Some(no)) =
        (verb, compensate::instead(&change))
    {
        return Err(Error::RevertRefused(no));
    }
    let (kind, state) = (change.options.kind, state(&mut session, &change).await);
    if let Err(no) = step(kind, state, &Event::Asked(verb)) {
        return Err(refused(verb, &no.what, &no.next));
    }
    let change = carried_out(context, &mut session, id, (verb, consents)).await?;
    context.printer.done(&change, &hint(&change, verb));
    Ok(())
}

async fn carried_out(
    context: &Context,
    session: &mut Session,
    id: u64,
    (verb, consents): (Verb, Consents),
) -> Result<Change, Error> {
    if let Some(change) = ask_owner(context, session, id, (verb, consents)).await? {
        if verb.reverts()
            && let Some(lost) = losses::told(session, id).await.map_err(sql_error)?
        {
            // The owner has told those who listen to it.
            context.printer.notice(&Notice::Lost(lost));
        }
        return Ok(change);
    }
    let mut tries = 1;
    loop {
        let job = Job { consents, ..context.job(id, Some(verb), until(verb)) };
        let error = match engine::run(job).await {
            // Someone took the change up after nobody had been there to be asked: an agent, or who kept it and was asleep. It
            // may be too young to be asked, or be gone again.
            Err(error @ Error::Owned(_)) => error,
            driven => return driven.inspect_err(|error| context.audience.ended(id, error)),
        };
        if let Some(change) = ask_owner(context, session, id, (verb, consents)).await? {
            return Ok(change);
        }
        if tries == TAKEN_UP_MAX {
            context.audience.ended(id, &error);
            return Err(error);
        }
        tries += 1;
        sleep(TAKEN_UP_AGAIN).await;
    }
}

/// So often a command that finds nobody to ask, and is then overtaken, tries again.
const TAKEN_UP_MAX: u32 = 5;
const TAKEN_UP_AGAIN: Duration = Duration::from_millis(200);

/// Where the change stands: a process that was killed just after its swap has not said so, but the tables do.
async fn state(session: &mut Session, change: &Change) -> State {
    match sides::serving(session, change).await {
        Ok(Some(serving)) => {
            step(change.options.kind, change.state, &Event::Serves(serving)).unwrap_or(change.state)
        }
        // Whoever drives the change says what is wrong with it.
        Ok(None) | Err(_) => change.state,
    }
}

/// A pause, and its end, are only put on record: whoever keeps the change acts on them.
fn until(verb: Verb) -> Until {
    match verb {
        Verb::Pause | Verb::Resume | Verb::Verify | Verb::VerifyRepairing => Until::Asked,
        Verb::Cutover
        | Verb::Revert
        | Verb::RevertAcceptingParked
        | Verb::RevertRefusingLosses
        | Verb::Reapply
        | Verb::Complete
        | Verb::Cancel => Until::Settled,
    }
}

fn hint(change: &Change, verb: Verb) -> String {
    let id = change.id;
    if change.paused {
        return format!("to let it go on, `rsc resume {id}`");
    }
    if change.options.kind.whole() {
        return whole::hint(change);
    }
    match change.state {
        State::Ready => format!("to swap the tables, `rsc cutover {id}`; to give it up, `rsc cancel {id}`"),
        State::Revertible if verb == Verb::Cutover => {
            format!("to take it back, `rsc revert {id}`; to keep it for good, `rsc complete {id}`")
        }
        State::Revertible => {
            format!("to take it back again, `rsc revert {id}`; to keep it for good, `rsc complete {id}`")
        }
        State::Reverted => format!(
            "to apply it again, `rsc reapply {id}`; to keep the old schema for good, `rsc complete {id}`"
        ),
        state if state.settled() => String::new(),
        _ => format!("if no process drives it, `rsc migrate --resume {id}`"),
    }
}

pub(super) fn refused(verb: Verb, why: &str, advice: &str) -> Error {
    let told = Told::new(why).state("nothing was changed").next(advice);
    match verb {
        Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses | Verb::Reapply => {
            Error::RevertRefused(told)
        }
        Verb::Cutover
        | Verb::Complete
        | Verb::Cancel
        | Verb::Pause
        | Verb::Resume
        | Verb::Verify
        | Verb::VerifyRepairing => Error::Refused(told),
    }
}

/// The change after the owner has done it; `None` when there is no owner to ask.
async fn ask_owner(
    context: &Context,
    session: &mut Session,
    id: u64,
    (verb, consents): (Verb, Consents),
) -> Result<Option<Change>, Error> {
    let argument = consents.argument();
    let wish = Wish { verb: verb.name(), argument: argument.as_deref() };
    match answer_of_owner(context, session, id, wish).await? {
        Some((_, answer)) => answered(context, session, id, (verb, consents), answer).await.map(Some),
        None => Ok(None),
    }
}

/// The number of a request and what the owner says to it; `None` when there is no owner to ask.
pub(super) async fn answer_of_owner(
    context: &Context,
    session: &mut Session,
    id: u64,
    wish: Wish<'_>,
) -> Result<Option<(u64, Answer)>, Error> {
    if !lives(session, id).await.map_err(sql_error)? {
        return Ok(None);
    }
    let cut_off = |error| cut_off(id, error);
    let request = store::ask(session, id, &wish, &fence::myself()).await.map_err(cut_off)?;
    let asked = Instant::now();
    loop {
        sleep(LOOK_EVERY).await;
        if let Some(answer) = store::answer_of(session, request).await.map_err(cut_off)? {
            return Ok(Some((request, answer)));
        }
        let stop = *context.stop.borrow();
        let dead = !lives(session, id).await.map_err(cut_off)?;
        let late = asked.elapsed() > PATIENCE;
        if (stop || dead || late) && store::withdraw(session, request).await.map_err(cut_off)? {
            return match (stop, dead) {
                (true, _) => Err(interrupted(id, "the wish was taken back")),
                (false, true) => Ok(None),
                (false, false) => Err(silent(id)),
            };
        }
    }
}

/// The owner lives, but does not answer: it waits for something itself.
pub(super) fn silent(id: u64) -> Error {
    Error::Owned(
        Told::new(format!(
            "the process that drives change {id} has not answered for {} s",
            PATIENCE.as_secs()
        ))
        .state("the wish was taken back; nothing was changed")
        .next(format!("to see who it is and where it stands, `rsc status {id}`; then try again")),
    )
}

pub(super) async fn lives(session: &mut Session, id: u64) -> Result<bool, SqlError> {
    Ok(fence::owner(session, id).await?.is_some_and(|owner| owner.alive))
}

/// The server does not answer any more, at or after the wish was put on record.
pub(super) fn cut_off(id: u64, error: SqlError) -> Error {
    match error {
        SqlError::Server { .. } => sql_error(error),
        SqlError::Lost(_) | SqlError::Unreachable { .. } => Error::Stopped(
            Told::new(error)
                .state("the wish may be on record; whoever drives the change may grant it still")
                .next(format!("to see where it stands, `rsc status {id}`; then ask again if need be")),
        ),
    }
}

async fn answered(
    context: &Context,
    session: &mut Session,
    id: u64,
    (verb, consents): (Verb, Consents),
    answer: Answer,
) -> Result<Change, Error> {
    if !answer.granted {
        return Err(refused(verb, &answer.why, &answer.advice));
    }
    loop {
        let change = store::find(session, id).await.map_err(|error| match error {
            StoreError::Sql(error) => cut_off(id, error),
            error => store_error(error),
        })?;
        let Some(change) = change else {
            return Err(Error::Unexpected(Told::new(format!("change {id} is gone from the journal"))));
        };
        match (verb, change.state) {
            (Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses, State::Reverted)
            | (Verb::Cutover | Verb::Reapply, State::Revertible)
            | (Verb::Pause | Verb::Resume, _)
            | (Verb::Complete, State::Completed)
            | (Verb::Cancel, State::Cancelled | State::Revertible | State::Reverted) => return Ok(change),
            (_, state) if state.settled() => return Err(not_done(session, verb, &change).await?),
            _ if *context.stop.borrow() => return Err(interrupted(id, "the owner goes on with it")),
            _ if !lives(session, id).await.map_err(|error| cut_off(id, error))? => {
                // Died on the way: what it began is finished here.
                return context.drive(Job { consents, ..context.job(id, Some(verb), until(verb)) }).await;
            }
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

async fn not_done(session: &mut Session, verb: Verb, change: &Change) -> Result<Error, Error> {
    let with_losses = verb != Verb::RevertRefusingLosses;
    if verb.reverts()
        && verb != Verb::RevertAcceptingParked
        && let Some(no) = losses::refusal(session, change.id, with_losses).await.map_err(sql_error)?
    {
        return Ok(refused(verb, &no.what, &no.next));
    }
    let why = change.reason.clone().unwrap_or_else(|| format!("the change is now {}", change.state));
    Ok(refused(verb, &why, &format!("to see where it stands, `rsc status {}`", change.id)))
}

pub(super) fn interrupted(id: u64, state: &str) -> Error {
    Error::Interrupted(
        Told::new("interrupted").state(state).next(format!("to see where it stands, `rsc status {id}`")),
    )
}
