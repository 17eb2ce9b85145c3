//! `rsc migrate`: everything that can be refused is refused before the first thing is touched; then the change
//! is journaled, and the engine drives it.

use std::time::Duration;

use super::judgement::{Asked, checks_get_other_names, judge};
use super::sql_mode::Reading;
use super::{Context, agent, compensate, in_place, limits, sql_error, store_error, whole};
use crate::cli::{Agent, Defer, Migrate, Strategy, own_query};
use crate::engine::{Job, Until};
use crate::error::{Error, Told};
use crate::journal::fence::Birth;
use crate::journal::record::{Change, DeferIndexes, Options};
use crate::journal::store::{self, Begun, StoreError};
use crate::lifecycle::consent::Consents;
use crate::lifecycle::event::Verb;
use crate::lifecycle::retention::shorter_than_window;
use crate::lifecycle::state::State;
use crate::mysql::retention;
use crate::output::duration;
use crate::schema::kind::Kind;
use crate::schema::statement::whole::Whole;
use crate::session::{Session, SqlError};

pub async fn run(context: &Context, migrate: &Migrate, database: Option<&str>) -> Result<(), Error> {
    if context.settings.typed("verify-every") && migrate.agent != Agent::Stay {
        return Err(usage(
            "--verify-every is for the process that keeps the stream: give --agent stay with it, or give it to `rsc agent`",
        ));
    }
    let ((id, birth), ask) = match (migrate.resume, migrate.statement()?) {
        (Some(id), _) => {
            context.change(id).await?;
            ((id, Birth::default()), Some(Verb::Resume))
        }
        (None, Some(text)) => {
            let allow_unseen = migrate.allow_unseen || migrate.strategy == Strategy::Instant;
            let reading = migrate.reading(context).await?;
            let table = migrate.table.as_deref();
            let asked = Asked { text: &text, database, table, allow_unseen, reading: &reading };
            match begin(context, asked, options(migrate)?, migrate.strategy).await? {
                Some(born) => (born, None),
                None => return Ok(()),
            }
        }
        (None, None) => {
            return Err(usage("give --alter or --alter-file, or --resume with a change's number"));
        }
    };
    let asked = (ask, migrate.going_past.consents());
    let keeping = Keeping {
        keeper: migrate.agent,
        verify_every: migrate.verify_every,
        throttle_query: own_query(&migrate.limits.throttle_query),
    };
    drive(context, (id, birth), asked, keeping).await
}

/// Who keeps the stream when the operator has what was asked for, and what this process does as long as it drives.
struct Keeping {
    keeper: Agent,
    /// How often it verifies, if it is the one.
    verify_every: Duration,
    throttle_query: Option<String>,
}

/// Drives a change until the operator has what was asked for, and hands its stream over.
async fn drive(
    context: &Context,
    (id, birth): Born,
    (ask, consents): (Option<Verb>, Consents),
    Keeping { keeper, verify_every, throttle_query }: Keeping,
) -> Result<(), Error> {
    let until = if keeper == Agent::Stay { Until::Ended } else { Until::Settled };
    let own = throttle_query.clone();
    let job = Job {
        makes: true,
        birth,
        verify_every,
        consents,
        throttle_query: own,
        ..context.job(id, ask, until)
    };
    let change = context.drive(job).await?;
    if let Some(told) = given_up(&change) {
        return Err(Error::Failed(told));
    }
    // A table as a whole needs nobody who keeps it.
    if !change.options.kind.whole() {
        if let (State::Ready | State::Revertible, Agent::Auto) = (change.state, keeper) {
            context.printer.remark(&agent::hand_over(context, &change, throttle_query.as_deref()).await?);
        }
        if let (State::Ready, Agent::None) = (change.state, keeper) {
            say_until_when(context).await;
        }
    }
    context.printer.done(&change, &hint(&change));
    Ok(())
}

/// Somebody else has ended the change before its swap: what was asked for is not so.
fn given_up(change: &Change) -> Option<Told> {
    let id = change.id;
    (change.state == State::Cancelled).then(|| {
        Told::new(format!("change {id} was cancelled by another command"))
            .state("the tables are as they were before it")
            .next(format!("to see what happened, `rsc report {id}`; to begin again, `rsc migrate`"))
    })
}

/// A change of its own, as by default.
pub async fn anew(context: &Context, statement: &str, keeper: Agent) -> Result<(), Error> {
    let reading = Reading::of(context, None, false).await?;
    let asked =
        Asked { text: statement, database: None, table: None, allow_unseen: false, reading: &reading };
    match begin(context, asked, Options::default(), Strategy::Online).await? {
        Some(born) => {
            let keeping = Keeping { keeper, verify_every: Duration::ZERO, throttle_query: None };
            drive(context, born, (None, Consents::default()), keeping).await
        }
        None => Ok(()),
    }
}

/// Without a process that keeps the stream, the cut-over needs the binlogs of all the time until then.
async fn say_until_when(context: &Context) {
    let Ok(mut session) = context.session().await else { return };
    if let Ok(Some(kept_s)) = retention::kept_s(&mut session).await {
        context.printer.remark(&format!(
            "note: the server keeps binlogs for {}; until then the cut-over works without anyone keeping the stream",
            duration(Duration::from_secs(kept_s)),
        ));
    }
}

fn hint(change: &Change) -> String {
    let id = change.id;
    match (change.state, change.options.kind) {
        (State::Completed, _) => compensate::hint(change).unwrap_or_default(),
        (_, Kind::Create | Kind::Drop) => whole::hint(change),
        (State::Ready, Kind::Alter) => {
            format!("to swap the tables, `rsc cutover {id}`; to give it up, `rsc cancel {id}`")
        }
        (State::Revertible, Kind::Alter) => {
            format!("to take it back, `rsc revert {id}`; to keep it for good, `rsc complete {id}`")
        }
        _ => String::new(),
    }
}

/// A change that has just been journaled, by its number.
pub type Born = (u64, Birth);

/// Checks everything and journals the change. `None` if there is nothing to do.
async fn begin(
    context: &Context,
    asked: Asked<'_>,
    mut options: Options,
    strategy: Strategy,
) -> Result<Option<Born>, Error> {
    let timed = options.limits.cutover_between.is_some() || options.limits.force_cutover_after.is_some();
    if strategy == Strategy::Instant && timed {
        return Err(usage(
            "--cutover-between and --force-cutover-after are for the swap of two tables, and --strategy instant has none: begin \
             it when it may be made",
        ));
    }
    options.sql_mode = Some(asked.reading.mode.clone());
    if let Some(read) = Whole::read_in(asked.text, Some(&asked.reading.mode)) {
        return whole::begin(context, asked, options, strategy, read).await;
    }
    if strategy == Strategy::Instant && options.postpone_cutover {
        return Err(usage("--strategy instant has no cut-over that could be postponed"));
    }
    let mut session = context.session().await?;
    limits::examine(context, &mut session, &options.limits).await?;
    let text = asked.text;
    let mut judged = judge(context, &mut session, asked).await?;
    let in_place = match strategy {
        Strategy::Instant => in_place::examine(context, &mut session, &mut judged).await,
        Strategy::Auto | Strategy::Online => Ok(None),
    };
    let unknown = std::mem::take(&mut judged.unknown);
    let after = judged.trial.as_ref().map(|trial| trial.after.clone());
    options.meaning = judged.trial.as_ref().map(|trial| trial.meaning.clone()).unwrap_or_default();
    let cleared = judged.clear(&mut session).await?;
    options.in_place = in_place?;
    let (alter, table) = cleared.allowed()?;
    if let (Some(after), None) = (&after, &options.in_place)
        && let Some(said) = checks_get_other_names(&table, after)
    {
        context.printer.remark(&format!("note: {said}"));
    }
    if options.in_place.is_none() {
        say_unknown(context, &unknown);
    }
    store::install(&mut session).await.map_err(store_error)?;
    let statement = match alter.table {
        Some(_) => text.to_owned(),
        None => format!("ALTER TABLE {} {}", table.name, alter.specs),
    };
    if options.in_place.is_none() {
        warn_of_retention(context, &mut session, &options).await?;
    }
    let begun = Begun { table: &table.name, statement: &statement, options: &options, old: Some(&table) };
    let id = store::create(&mut session, begun).await.map_err(not_journaled)?;
    Ok(Some((id, Birth::of(session))))
}

/// What --allow-unseen has let pass.
pub fn say_unknown(context: &Context, unknown: &[Told]) {
    for told in unknown {
        context.printer.remark(&format!(
            "note: {}; taken for absent (--allow-unseen); to know: {}",
            told.what, told.next
        ));
    }
}

/// Where no answer came, the change may be on record.
pub fn not_journaled(error: StoreError) -> Error {
    match error {
        StoreError::Sql(lost @ (SqlError::Lost(_) | SqlError::Unreachable { .. })) => Error::Stopped(
            Told::new(lost)
                .state("whether the change was put on record is not known; nothing else was touched")
                .next("`rsc list` shows it if it was: then `rsc migrate --resume` with its number; otherwise begin again"),
        ),
        other => store_error(other),
    }
}

/// How the change is to be made, as it was asked for.
pub fn options(migrate: &Migrate) -> Result<Options, Error> {
    Ok(Options {
        batch_ms: u64::try_from(migrate.batch_time.as_millis()).unwrap_or(u64::MAX).max(1),
        revert_window_s: migrate.revert_window.as_secs(),
        postpone_cutover: migrate.postpone_cutover,
        defer_indexes: match migrate.defer_indexes {
            Defer::Auto => DeferIndexes::Auto,
            Defer::Always => DeferIndexes::Always,
            Defer::Never => DeferIndexes::Never,
        },
        copy_threads: migrate.copy_threads,
        verify: !migrate.no_verify,
        accept_short_reads: migrate.going_past.accept_short_reads,
        allow_unseen: migrate.allow_unseen,
        limits: migrate.limits.limits()?,
        ..Options::default()
    })
}

/// Whatever keeps the stream may be away, or paused, for no longer than the server keeps its binlogs.
async fn warn_of_retention(context: &Context, session: &mut Session, options: &Options) -> Result<(), Error> {
    let kept_s = retention::kept_s(session).await.map_err(sql_error)?;
    if let Some(kept_s) = shorter_than_window(kept_s, options.revert_window_s) {
        let seconds = |s| duration(Duration::from_secs(s));
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
