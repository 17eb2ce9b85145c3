//! `rsc migrate`: everything that can be refused is refused before the first thing is touched; then the change
//! is journaled, and the engine drives it.

use super::{Context, agent, sql_error, store_error};
use crate::cli::{Agent, Defer, Migrate};
use crate::engine::sides::definition;
use crate::engine::{self, Job, Until};
use crate::error::{Error, Told};
use crate::journal::record::{Change, DeferIndexes, Options};
use crate::journal::store;
use crate::lifecycle::event::Verb;
use crate::lifecycle::retention::shorter_than_window;
use crate::lifecycle::state::State;
use crate::mysql::ahead;
use crate::mysql::inspect::{self, Found};
use crate::mysql::leftover;
use crate::mysql::preflight;
use crate::mysql::retention;
use crate::mysql::shadow::Probe;
use crate::output::duration;
use crate::rows::statements::Statements;
use crate::schema::projection::Mapping;
use crate::schema::statement::{Alter, Refusal};
use crate::schema::table::{Table, TableName, check_names};
use crate::session::{Session, SqlError};

pub async fn run(context: &Context, migrate: &Migrate, database: Option<&str>) -> Result<(), Error> {
    if migrate.verify_every.is_some() && migrate.agent != Agent::Stay {
        return Err(usage(
            "--verify-every is for the process that keeps the stream: give --agent stay with it, or give it to `rsc agent`",
        ));
    }
    let (id, ask) = match (migrate.resume, &migrate.alter) {
        (Some(id), _) => {
            context.change(id).await?;
            (id, Some(Verb::Resume))
        }
        (None, Some(text)) => (begin(context, migrate, text, database).await?, None),
        (None, None) => return Err(usage("give --alter, or --resume with a change's number")),
    };
    let until = if migrate.agent == Agent::Stay { Until::Ended } else { Until::Settled };
    let job = Job { verify_every: migrate.verify_every, ..context.job(id, ask, until) };
    let change = engine::run(job).await?;
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
    let alter = Alter::parse(text).map_err(|e| refused(advice(&e)))?;
    let name = alter
        .resolve(database, migrate.table.as_deref())
        .map_err(|e| Error::Usage(advice(&e).state("nothing was touched")))?;
    let mut session = context.session().await?;
    let table = find(&mut session, &name).await?;
    let facts = preflight::gather(&mut session, table.clone()).await.map_err(sql_error)?;
    refuse_all(preflight::refusals(&facts))?;
    refuse_second_change(&mut session, &table).await?;
    refuse_leftovers(&mut session, &table).await?;
    try_statement(context, &mut session, &table, &alter).await?;
    store::install(&mut session).await.map_err(store_error)?;
    let options = Options {
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
        verify: !migrate.no_verify,
        ..Options::default()
    };
    let statement = match alter.table {
        Some(_) => text.to_owned(),
        None => format!("ALTER TABLE {} {}", table.name, alter.specs),
    };
    warn_of_retention(context, &mut session, &options).await?;
    store::create(&mut session, &table, &statement, &options).await.map_err(store_error)
}

async fn find(session: &mut Session, name: &TableName) -> Result<Table, Error> {
    match inspect::find(session, name).await.map_err(sql_error)? {
        Found::Table(table) => Ok(*table),
        Found::View => Err(refused(
            Told::new(format!("{} is a view; a view has no rows to keep", name.plain()))
                .next("ALTER VIEW, or name the table behind it"),
        )),
        Found::Nothing => Err(refused(
            Told::new(format!("there is no table {}", name.plain()))
                .next("check --database and --table, and that the account may see the table"),
        )),
    }
}

fn refuse_all(reasons: Vec<Told>) -> Result<(), Error> {
    match reasons.len() {
        0 => Ok(()),
        _ => {
            let reasons = reasons.into_iter().map(|told| told.state("nothing was touched")).collect();
            Err(Error::RefusedFor(reasons))
        }
    }
}

async fn refuse_second_change(session: &mut Session, table: &Table) -> Result<(), Error> {
    if !store::installed(session).await.map_err(store_error)? {
        return Ok(());
    }
    let Some(other) = store::active(session, table).await.map_err(store_error)? else { return Ok(()) };
    let id = other.id;
    let next = match other.state {
        State::Ready => {
            format!("to swap its tables, `rsc cutover {id}`; to give it up, `rsc cancel {id}`")
        }
        State::Revertible | State::Reverted | State::Expired => {
            format!("to end it, keeping what serves now, `rsc complete {id}`")
        }
        _ => format!("to go on with it, `rsc migrate --resume {id}`; to give it up, `rsc cancel {id}`"),
    };
    Err(refused(
        Told::new(format!("{} has a change already: {id}, which is {}", table.name.plain(), other.state))
            .next(next),
    ))
}

/// A new change may get the number of a lost one, and take its table for its own.
async fn refuse_leftovers(session: &mut Session, table: &Table) -> Result<(), Error> {
    let left = leftover::of_table(session, table).await.map_err(store_error)?;
    let reason = |left: &TableName| {
        Told::new(format!(
            "{} is left of a change of {} that the journal does not know any more",
            left.plain(),
            table.name.plain()
        ))
        .next(format!("see whether it has rows that are needed; then DROP TABLE {left}"))
    };
    refuse_all(left.iter().map(reason).collect())
}

/// Lets the server judge the statement on an empty twin, and looks whether rows can be kept in both.
async fn try_statement(
    context: &Context,
    session: &mut Session,
    table: &Table,
    alter: &Alter,
) -> Result<(), Error> {
    let probe = Probe::build(&context.server, session, &table.name, alter).await.map_err(statement_error)?;
    let judged = judge(session, table, alter, &probe.name).await;
    probe.remove(session).await.map_err(sql_error)?;
    judged
}

async fn judge(session: &mut Session, table: &Table, alter: &Alter, probe: &TableName) -> Result<(), Error> {
    let Found::Table(after) = inspect::find(session, probe).await.map_err(sql_error)? else {
        return Err(Error::Unexpected(Told::new(
            "the empty twin of the table disappeared while it was looked at",
        )));
    };
    // The twin has a counter only if the statement sets it.
    let nothing =
        definition(&after.create) == definition(&table.create) && after.auto_increment.is_none_or(|n| n <= 1);
    if !alter.rebuild_only && nothing {
        return Err(refused(
            Told::new(format!("the statement changes nothing of {}", table.name.plain()))
                .next("to rebuild the table as it is, use --alter \"FORCE\""),
        ));
    }
    if let Some(told) = check_names_too_long(table, &after) {
        return Err(refused(told));
    }
    match Mapping::between(table, &after, alter) {
        Ok(mapping) => refuse_misfit(session, table, &after, &mapping).await,
        Err(reasons) => {
            let told = |reason| Told::new(reason).next("give --alter without the clause that does this");
            refuse_all(reasons.into_iter().map(told).collect())
        }
    }
}

async fn refuse_misfit(
    session: &mut Session,
    table: &Table,
    after: &Table,
    mapping: &Mapping,
) -> Result<(), Error> {
    let forward = Statements::new(mapping.forward(), table.name.clone(), after.name.clone());
    let Some(misfit) = ahead::misfit(session, &forward, table, after).await.map_err(sql_error)? else {
        return Ok(());
    };
    Err(refused(
        Told::new(misfit.to_string())
            .next("mend the row (there may be more like it), or choose a definition that holds it"),
    ))
}

/// The server names the CHECK constraints of a copy after its table, also when it is renamed: `<table>_chk_1`. Where
/// that is no name, the tables could never be swapped.
fn check_names_too_long(table: &Table, after: &Table) -> Option<Told> {
    const NAME_MAX: usize = 64;
    let checks = [table, after].map(|table| check_names(&table.create).len()).into_iter().max()?;
    let name = &table.name.table;
    let longest = name.chars().count() + format!("_chk_{checks}").len();
    (checks > 0 && longest > NAME_MAX).then(|| {
        Told::new(format!(
            "the table has CHECK constraints, and the server names those of a copy `{name}_chk_1` and so on, which is \
             longer than {NAME_MAX} characters"
        ))
        .next("rename the table to a shorter name, or drop its CHECK constraints, with a native ALTER TABLE first")
    })
}

fn statement_error(error: SqlError) -> Error {
    match error {
        SqlError::Server { .. } => {
            let told = Told::new(format!("the server does not accept the statement: {error}"));
            // The names of CHECK constraints are one to a schema, and the copy stands beside the table.
            refused(told.next(match error.code() {
                Some(3822) => {
                    "give the new CHECK constraint a name that none in this schema has, also none that the statement \
                     drops: the copy stands beside the table, which keeps its own"
                }
                _ => "correct what follows --alter (the server tried it on an empty copy of the table)",
            }))
        }
        SqlError::Lost(_) | SqlError::Unreachable { .. } => sql_error(error),
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

/// The sentence of a [`Refusal`] ends in what to do.
fn advice(refusal: &Refusal) -> Told {
    let sentence = refusal.to_string();
    match sentence.rsplit_once(": ") {
        Some((what, next)) => Told::new(what).next(next),
        None => Told::new(sentence),
    }
}

fn refused(told: Told) -> Error {
    Error::Refused(told.state("nothing was touched"))
}

fn usage(what: &str) -> Error {
    Error::Usage(Told::new(what).state("nothing was touched"))
}
