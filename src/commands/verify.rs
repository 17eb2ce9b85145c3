//! `rsc verify <id>`: compares the two tables of a change. If a process drives the change, it is asked, for it has the
//! stream; otherwise this process takes the change over for as long as that takes.

use std::sync::Arc;
use std::time::Instant;

use tokio::time::sleep;

use super::asking::{LOOK_EVERY, PATIENCE, answer_of_owner, cut_off, interrupted, lives, refused, silent};
use super::{Context, store_error};
use crate::cli::VerifyOptions;
use crate::engine::{self, Job, Until};
use crate::error::{Error, Told};
use crate::journal::record::Change;
use crate::journal::store::{StoreError, Wish};
use crate::journal::verification;
use crate::lifecycle::event::{Event, Verb};
use crate::lifecycle::notice::Notice;
use crate::lifecycle::step::step;
use crate::lifecycle::verification::{Outcome, Verification, named};
use crate::session::Session;

pub async fn run(context: &Context, options: &VerifyOptions) -> Result<(), Error> {
    let id = options.id;
    let verb = if options.repair { Verb::VerifyRepairing } else { Verb::Verify };
    let (mut session, change) = context.change(id).await?;
    if let Err(no) = step(change.options.kind, change.state, &Event::Asked(verb)) {
        return Err(refused(verb, &no.what, &no.next));
    }
    let found = match ask(context, &mut session, id, verb).await? {
        Some(found) => found,
        None => take_over(context, &mut session, id, verb).await?,
    };
    context.printer.verification(&change, &found, options.limit);
    judge(&change, &found)
}

/// What the owner has found; `None` when there is no owner.
async fn ask(
    context: &Context,
    session: &mut Session,
    id: u64,
    verb: Verb,
) -> Result<Option<Verification>, Error> {
    let wish = Wish { verb: verb.name(), argument: None };
    let Some((request, answer)) = answer_of_owner(context, session, id, wish).await? else { return Ok(None) };
    if !answer.granted {
        return Err(refused(verb, &answer.why, &answer.advice));
    }
    let granted = Instant::now();
    loop {
        let found = verification::of_request(session, request).await.map_err(|error| match error {
            StoreError::Sql(error) => cut_off(id, error),
            error => store_error(error),
        })?;
        match found {
            Some(found) if found.outcome.is_some() => return Ok(Some(found)),
            _ if *context.stop.borrow() => return Err(interrupted(id, "the owner goes on with it")),
            _ if !lives(session, id).await.map_err(|error| cut_off(id, error))? => return Ok(None),
            None if granted.elapsed() > PATIENCE => return Err(silent(id)),
            _ => sleep(LOOK_EVERY).await,
        }
    }
}

async fn take_over(
    context: &Context,
    session: &mut Session,
    id: u64,
    verb: Verb,
) -> Result<Verification, Error> {
    let job = context.job(id, Some(verb), Until::Asked);
    let shown = Arc::clone(&job.onlooker);
    // The result is shown by itself, with every row.
    let onlooker = Arc::new(move |notice| match notice {
        Notice::Started { .. } | Notice::Verified(_) => {}
        other => shown(other),
    });
    engine::run(Job { onlooker, ..job }).await?;
    verification::latest(session, id).await.map_err(store_error)?.ok_or_else(|| {
        Error::Unexpected(Told::new("the verification is not on record").next(format!("rsc status {id}")))
    })
}

fn judge(change: &Change, found: &Verification) -> Result<(), Error> {
    let id = change.id;
    match found.outcome {
        Some(Outcome::Equal) => Ok(()),
        Some(Outcome::Differs) => {
            let what = named(&found.findings);
            let again = match found.repair {
                true => format!(
                    "rows that could not be written are told in the log of whoever drives the change; see `rsc status {id}`"
                ),
                false => format!("to write them again, `rsc verify {id} --repair`"),
            };
            Err(Error::Differs(
                Told::new(format!("the table that does not serve is not what it should be: {what}"))
                    .state("the live table was only read")
                    .next(again),
            ))
        }
        Some(Outcome::BrokenOff) | None => Err(Error::Stopped(
            Told::new(
                "the verification was broken off, by something else that was asked for or that went wrong",
            )
            .state("what it had found so far is shown above")
            .next(format!(
                "to see where the change stands, `rsc status {id}`; to try again, `rsc verify {id}`"
            )),
        )),
    }
}
