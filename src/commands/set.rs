//! `rsc set <id> max-lag=5s`: other limits for a change that is being made. If a process drives it, it is asked, and keeps
//! to them within a second; otherwise they are written into the journal, for whoever goes on with it.

use super::asking::answer_of_owner;
use super::{Context, limits, sql_error, store_error};
use crate::cli::SetOptions;
use crate::error::{Error, Told};
use crate::journal::fence::{self, Birth, FenceError};
use crate::journal::record::Change;
use crate::journal::store::{self, Note, SET, Wish};
use crate::lifecycle::state::State;
use crate::lifecycle::throttle::limits::{HOW_INSTEAD, Limits, NO_SQL};
use crate::session::Session;

pub async fn run(context: &Context, options: &SetOptions) -> Result<(), Error> {
    let id = options.id;
    let (mut session, change) = context.change(id).await?;
    if options.settings.is_empty() {
        context.printer.limits(&change);
        return Ok(());
    }
    let wanted = change.options.limits.with(&options.settings).map_err(|why| {
        let next = format!("to see the limits of the change, `rsc set {id}`");
        Error::Usage(Told::new(why).state("nothing was changed").next(next))
    })?;
    if Limits::carries_sql(&options.settings) {
        return Err(Error::Usage(Told::new(NO_SQL).state("nothing was changed").next(HOW_INSTEAD)));
    }
    if change.state.ended() || change.state == State::Expired {
        let what = format!("the change is {}; nothing moves that could be limited", change.state);
        return Err(Error::Refused(
            Told::new(what).state("nothing was changed").next("nothing needs to be done"),
        ));
    }
    limits::examine(context, &mut session, &asked_for(&wanted, &options.settings)).await?;
    let argument = serde_json::to_string(&options.settings).unwrap_or_default();
    let wish = Wish { verb: SET, argument: Some(&argument) };
    match answer_of_owner(context, &mut session, id, wish).await? {
        Some((_, answer)) if answer.granted => {}
        Some((_, answer)) => {
            return Err(Error::Refused(
                Told::new(answer.why).state("nothing was changed").next(answer.advice),
            ));
        }
        None => write(context, &mut session, &change, wanted, &options.settings).await?,
    }
    let (_, change) = context.change(id).await?;
    context.printer.limits(&change);
    Ok(())
}

/// Only what is to be changed now is looked at: what was right before may be what is to be mended.
fn asked_for(wanted: &Limits, settings: &[String]) -> Limits {
    let quiet = Limits { max_lag: None, ..Limits::default() };
    let mut asked = quiet.with(settings).unwrap_or_else(|_| wanted.clone());
    let lag = ["max-lag", "throttle-control-replicas"];
    if settings
        .iter()
        .any(|setting| lag.iter().any(|name| setting.trim_start_matches("--").starts_with(name)))
    {
        (asked.max_lag, asked.replicas) = (wanted.max_lag, wanted.replicas.clone());
    }
    asked
}

/// Nobody drives the change: it is claimed for the time of the writing.
async fn write(
    context: &Context,
    session: &mut Session,
    change: &Change,
    limits: Limits,
    settings: &[String],
) -> Result<(), Error> {
    if change.state == State::Planned {
        store::create_stream(session, change.id).await.map_err(sql_error)?;
    }
    let ownership =
        fence::claim(&context.server, session, change.id, &Birth::default()).await.map_err(not_claimed)?;
    let note = Note { limits: Some(limits), ..Note::default() };
    // Whoever drove it until now may have taken it further.
    let saved = match store::find(session, change.id).await.map_err(store_error)? {
        Some(now) => store::save(session, ownership.fence, &now, now.state, &note).await.map_err(not_claimed),
        None => Err(Error::Unexpected(Told::new(format!("change {} is gone from the journal", change.id)))),
    };
    if saved.is_ok() {
        let detail = serde_json::json!({ "limits": settings });
        store::record_event(session, change.id, SET, &detail).await.map_err(sql_error)?;
    }
    ownership.release(session).await.map_err(sql_error)?;
    saved
}

fn not_claimed(error: FenceError) -> Error {
    match error {
        FenceError::Sql(error) => sql_error(error),
        FenceError::Fenced | FenceError::Owned(_) => Error::Owned(
            Told::new(&error).state("nothing was changed").next("try again: then that process is asked"),
        ),
        FenceError::Missing => Error::Unexpected(Told::new(&error).state("nothing was changed")),
    }
}
