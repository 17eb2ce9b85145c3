//! `rsc migrate`: everything that can be refused is refused before the first thing is touched; then the change
//! is journaled, and the engine drives it.

use super::judgement::{Asked, judge};
use super::{Context, agent, sql_error, store_error};
use crate::cli::{Agent, Defer, Migrate};
use crate::engine::{self, Until};
use crate::error::{Error, Told};
use crate::journal::record::{Change, DeferIndexes, Options};
use crate::journal::store;
use crate::lifecycle::event::Verb;
use crate::lifecycle::retention::shorter_than_window;
use crate::lifecycle::state::State;
use crate::mysql::retention;
use crate::output::duration;
use crate::session::Session;

pub async fn run(context: &Context, migrate: &Migrate, database: Option<&str>) -> Result<(), Error> {
    let (id, ask) = match (migrate.resume, &migrate.alter) {
        (Some(id), _) => {
            context.change(id).await?;
            (id, Some(Verb::Resume))
        }
        (None, Some(text)) => (begin(context, migrate, text, database).await?, None),
        (None, None) => return Err(usage("give --alter, or --resume with a change's number")),
    };
    let until = if migrate.agent == Agent::Stay { Until::Ended } else { Until::Settled };
    let change = engine::run(context.job(id, ask, until)).await?;
    if let (State::Ready | State::Revertible, Agent::Auto) = (change.state, migrate.agent) {
        context.printer.remark(&agent::hand_over(context, &change).await?);
    }
    if let (State::Ready, Agent::None) = (change.state, migrate.agent) {
        say_until_when(context).await;
    }
    context.printer.done(&change, &hint(&change));
    Ok(())
}

/// Without a process that keeps the stream, the cut-over needs the binlogs of all the time until then.
async fn say_until_when(context: &Context) {
    let Ok(mut session) = context.session().await else { return };
    if let Ok(Some(kept_s)) = retention::kept_s(&mut session).await {
        context.printer.remark(&format!(
            "note: the server keeps binlogs for {}; until then the cut-over works without anyone keeping the stream",
            duration(std::time::Duration::from_secs(kept_s)),
        ));
    }
}

fn hint(change: &Change) -> String {
    let id = change.id;
    match change.state {
        State::Ready => format!("to swap the tables, `rsc cutover {id}`; to give it up, `rsc cancel {id}`"),
        State::Revertible => {
            format!("to take it back, `rsc revert {id}`; to keep it for good, `rsc complete {id}`")
        }
        _ => String::new(),
    }
}

/// Checks everything and journals the change.
async fn begin(
    context: &Context,
    migrate: &Migrate,
    text: &str,
    database: Option<&str>,
) -> Result<u64, Error> {
    let mut session = context.session().await?;
    let asked = Asked { text, database, table: migrate.table.as_deref() };
    let judged = judge(context, &mut session, asked).await?;
    let (alter, table) = judged.clear(&mut session).await?.allowed()?;
    store::install(&mut session).await.map_err(store_error)?;
    let options = options(migrate);
    let statement = match alter.table {
        Some(_) => text.to_owned(),
        None => format!("ALTER TABLE {} {}", table.name, alter.specs),
    };
    warn_of_retention(context, &mut session, &options).await?;
    store::create(&mut session, &table, &statement, &options).await.map_err(store_error)
}

/// How the change is to be made, as it was asked for.
pub fn options(migrate: &Migrate) -> Options {
    Options {
        batch_ms: u64::try_from(migrate.batch_time.as_millis()).unwrap_or(u64::MAX).max(1),
        cutover_lock_timeout_s: migrate.cutover_lock_timeout.as_secs(),
        revert_window_s: migrate.revert_window.as_secs(),
        postpone_cutover: migrate.postpone_cutover,
        defer_indexes: match migrate.defer_indexes {
            Defer::Auto => DeferIndexes::Auto,
            Defer::Always => DeferIndexes::Always,
            Defer::Never => DeferIndexes::Never,
        },
        copy_threads: migrate.copy_threads,
        ..Options::default()
    }
}

/// Whatever keeps the stream may be away, or paused, for no longer than the server keeps its binlogs.
async fn warn_of_retention(context: &Context, session: &mut Session, options: &Options) -> Result<(), Error> {
    let kept_s = retention::kept_s(session).await.map_err(sql_error)?;
    if let Some(kept_s) = shorter_than_window(kept_s, options.revert_window_s) {
        let seconds = |s| duration(std::time::Duration::from_secs(s));
        context.printer.remark(&format!(
            "note: the server keeps binlogs for {}, less than the revert window of {}; when no process has kept the \
             stream for that long, there is no way back any more",
            seconds(kept_s),
            seconds(options.revert_window_s),
        ));
    }
    Ok(())
}

fn usage(what: &str) -> Error {
    Error::Usage(Told::new(what).state("nothing was touched"))
}
