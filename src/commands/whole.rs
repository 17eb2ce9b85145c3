//! CREATE TABLE and DROP TABLE: whether such a change can be made, found before anything is touched, as
//! [`judgement`](super::judgement) does it for ALTER TABLE.

use super::judgement::{Asked, advice, found, journal, near, refusal, refused_for};
use super::migrate::{Born, not_journaled, say_unknown};
use super::{Context, sql_error, sql_mode, store_error};
use crate::cli::Strategy;
use crate::error::{Error, Told};
use crate::journal::fence::Birth;
use crate::journal::record::{Change, Options};
use crate::journal::store::{self, Begun};
use crate::lifecycle::state::State;
use crate::mysql::inspect::{self, Found};
use crate::mysql::preflight::{self, Facts};
use crate::mysql::shadow::Probe;
use crate::schema::kind::Kind;
use crate::schema::statement::Refusal;
use crate::schema::statement::whole::Whole;
use crate::schema::table::{Table, TableName, check_names};
use crate::session::{Session, SqlError};

/// What was found. Until [`Judged::clear`] the empty table is there that the statement was tried on.
pub struct Judged {
    pub whole: Whole,
    /// `None`: nobody knows which table is meant.
    pub name: Option<TableName>,
    /// Empty: the change can be made.
    pub reasons: Vec<Told>,
    /// The statement asks for what is so already, and allows for it.
    pub nothing: Option<String>,
    /// The table that is to go.
    pub old: Option<Table>,
    /// The table that is to come.
    pub probe: Option<Probe>,
    /// What goes with the table, or does not work without it.
    pub warnings: Vec<String>,
    /// What the account cannot see, with the grants that would show it.
    pub unknown: Vec<Told>,
}

impl Judged {
    /// Ends the trial, and leaves nothing of it.
    pub async fn clear(&mut self, session: &mut Session) -> Result<(), Error> {
        match self.probe.take() {
            Some(probe) => probe.remove(session).await.map_err(sql_error),
            None => Ok(()),
        }
    }
}

/// Journals such a change. `None` if there is nothing to do.
pub async fn begin(
    context: &Context,
    asked: Asked<'_>,
    mut options: Options,
    strategy: Strategy,
    read: (Whole, Vec<Refusal>),
) -> Result<Option<Born>, Error> {
    let mut session = context.session().await?;
    let mut judged = judge(context, &mut session, asked, strategy, read).await?;
    judged.clear(&mut session).await?;
    let Some(name) = judged.name.filter(|_| judged.reasons.is_empty()) else {
        return Err(refused_for(judged.reasons));
    };
    if let Some(why) = &judged.nothing {
        context.printer.nothing_to_do(&name.plain(), why);
        return Ok(None);
    }
    for warning in &judged.warnings {
        context.printer.remark(&format!("note: {warning}"));
    }
    say_unknown(context, &judged.unknown);
    store::install(&mut session).await.map_err(store_error)?;
    let statement = match judged.whole.schema {
        Some(_) => asked.text.to_owned(),
        None => judged.whole.naming(&name),
    };
    options.kind = judged.whole.kind;
    let begun = Begun { table: &name, statement: &statement, options: &options, old: judged.old.as_ref() };
    let id = store::create(&mut session, begun).await.map_err(not_journaled)?;
    Ok(Some((id, Birth::of(session))))
}

/// What to type next.
pub fn hint(change: &Change) -> String {
    let id = change.id;
    match (change.state, change.options.kind) {
        (State::Ready, Kind::Create) => {
            format!("to let the table be there, `rsc cutover {id}`; to give it up, `rsc cancel {id}`")
        }
        (State::Ready, Kind::Drop | Kind::Alter) => {
            format!("to take the table away, `rsc cutover {id}`; to give it up, `rsc cancel {id}`")
        }
        (State::Revertible, Kind::Create) => {
            format!("to take it away, `rsc revert {id}`; to keep it for good, `rsc complete {id}`")
        }
        (State::Revertible, Kind::Drop | Kind::Alter) => {
            format!("to have it back, `rsc revert {id}`; to drop it for good, `rsc complete {id}`")
        }
        (State::Reverted, Kind::Create) => {
            format!(
                "to have it back with its rows, `rsc reapply {id}`; to drop it for good, `rsc complete {id}`"
            )
        }
        (State::Reverted, Kind::Drop | Kind::Alter) => {
            format!("to take it away again, `rsc reapply {id}`; to keep it for good, `rsc complete {id}`")
        }
        (state, _) if state.settled() => String::new(),
        _ => format!("if no process drives it, `rsc migrate --resume {id}`"),
    }
}

pub async fn judge(
    context: &Context,
    session: &mut Session,
    asked: Asked<'_>,
    strategy: Strategy,
    (whole, refusals): (Whole, Vec<Refusal>),
) -> Result<Judged, Error> {
    let mut reasons: Vec<Told> = refusals.iter().map(advice).collect();
    let name = match whole.resolve(asked.database, asked.table) {
        Ok(name) => Some(name),
        Err(refusal) if reasons.is_empty() => {
            return Err(Error::Usage(advice(&refusal).state("nothing was touched")));
        }
        Err(_) => None,
    };
    if strategy == Strategy::Instant {
        reasons.push(
            Told::new("a table as a whole comes and goes by a rename, which is done at once and can be taken back: --strategy instant would be less")
                .next("leave --strategy out"),
        );
    }
    let (nothing, old, probe, warnings) = (None, None, None, Vec::new());
    let unknown = Vec::new();
    let mut judged = Judged { whole, name, reasons, nothing, old, probe, warnings, unknown };
    let Some(name) = judged.name.clone() else { return Ok(judged) };
    let Some(found) = found(session, &name, &mut judged.reasons).await? else { return Ok(judged) };
    if judged.reasons.is_empty() && judged.whole.lenient {
        judged.nothing = already(judged.whole.kind, &name, &found);
        if judged.nothing.is_some() {
            return Ok(judged);
        }
    }
    match judged.whole.kind {
        Kind::Drop => judge_drop(session, &mut judged, (name, found), asked.allow_unseen).await?,
        Kind::Create | Kind::Alter => {
            judge_create(context, session, &mut judged, (&name, found), refusals.is_empty()).await?;
        }
    }
    Ok(judged)
}

fn already(kind: Kind, name: &TableName, found: &Found) -> Option<String> {
    match (kind, found) {
        (Kind::Drop, Found::Nothing) => Some(format!("there is no table {}", name.plain())),
        (Kind::Create, Found::Table(_)) => Some(format!("there is a table {} already", name.plain())),
        (Kind::Alter | Kind::Create | Kind::Drop, _) => None,
    }
}

async fn judge_drop(
    session: &mut Session,
    judged: &mut Judged,
    (name, found): (TableName, Found),
    allow_unseen: bool,
) -> Result<(), Error> {
    let table = match found {
        Found::Table(table) => *table,
        Found::View => {
            let view = Told::new(format!("{} is a view; a view has no rows to keep", name.plain()));
            judged.reasons.push(view.next("DROP VIEW, with the mysql client"));
            return Ok(());
        }
        Found::Nothing => {
            let hint = near(session, &name).await?;
            judged.reasons.push(Told::new(format!("there is no table {}", name.plain())).next(format!(
                "{hint}check --database and --table, and that the account may see the table; DROP TABLE IF EXISTS does \
                 nothing then"
            )));
            // It may be away by a change.
            judged.reasons.extend(journal(session, &name).await.or_else(refusal)?);
            return Ok(());
        }
    };
    let facts = preflight::gather(session, table).await.map_err(sql_error)?;
    // In the server's spelling.
    let name = facts.table.name.clone();
    judged.reasons.extend(preflight::refusals(Kind::Drop, &facts));
    judged.unknown = preflight::sight::unknown(Kind::Drop, &facts);
    if !allow_unseen {
        judged.reasons.extend(preflight::sight::against(judged.unknown.clone()));
    }
    judged.reasons.extend(journal(session, &name).await.or_else(refusal)?);
    let views = inspect::views_of(session, &name).await.map_err(sql_error)?;
    let triggers: Vec<String> = facts.triggers.iter().map(|trigger| trigger.name.clone()).collect();
    judged.warnings = warnings(&name, &views, &triggers);
    judged.old = Some(facts.table);
    judged.name = Some(name);
    Ok(())
}

/// What does not speak against the change, but is better known before.
fn warnings(name: &TableName, views: &[String], triggers: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    if !views.is_empty() {
        warnings.push(format!(
            "views use {}, and do not work while it is away: {}",
            name.plain(),
            views.join(", ")
        ));
    }
    if !triggers.is_empty() {
        warnings.push(format!(
            "the triggers of {} go with it and come back with it; until the change is complete, their names stay taken: {}",
            name.plain(),
            triggers.join(", ")
        ));
    }
    warnings
}

async fn judge_create(
    context: &Context,
    session: &mut Session,
    judged: &mut Judged,
    (name, found): (&TableName, Found),
    tryable: bool,
) -> Result<(), Error> {
    let free = matches!(found, Found::Nothing);
    match found {
        Found::Nothing => {}
        Found::Table(_) => judged.reasons.push(
            Told::new(format!("there is a table {} already", name.plain()))
                .next("choose another name, or take that one away first, by a change of its own; CREATE TABLE IF NOT EXISTS does nothing then"),
        ),
        Found::View => judged.reasons.push(
            Told::new(format!("{} is a view", name.plain()))
                .next("choose another name, or DROP VIEW first, with the mysql client"),
        ),
    }
    let facts = preflight::gather(session, Table::only_named(name)).await.map_err(sql_error)?;
    judged.reasons.extend(preflight::refusals(Kind::Create, &facts));
    let journal = journal(session, name).await;
    // Where rsc does not understand its own journal, it writes nothing.
    let understood = journal.is_ok();
    judged.reasons.extend(journal.or_else(refusal)?);
    if free && let Some(why) = inspect::no_name(session, name).await.map_err(sql_error)? {
        judged.reasons.push(not_accepted(&why));
    } else if tryable && understood && preflight::may_try(Kind::Create, &facts) {
        try_create(context, session, judged, (name, facts)).await?;
    }
    Ok(())
}

/// Lets the server make the table under another name.
async fn try_create(
    context: &Context,
    session: &mut Session,
    judged: &mut Judged,
    (name, facts): (&TableName, Facts),
) -> Result<(), Error> {
    let probe = match Probe::create(&context.server, session, &name.schema, &judged.whole).await {
        Ok(probe) => probe,
        Err(error @ SqlError::Server { .. }) => {
            judged.reasons.push(not_accepted(&error));
            return Ok(());
        }
        Err(error) => return Err(sql_error(error)),
    };
    let found = inspect::find(session, &probe.name).await;
    let engine = inspect::engine(session, &probe.name).await;
    judged.probe = Some(probe);
    let (Found::Table(made), engine) = (found.map_err(sql_error)?, engine.map_err(sql_error)?) else {
        return Err(Error::Unexpected(Told::new("the table disappeared while it was looked at")));
    };
    judged.reasons.extend(preflight::refusals_of_made(&Facts { engine, ..facts }));
    judged.reasons.extend(check_names_too_long(name, &made));
    Ok(())
}

fn not_accepted(error: &SqlError) -> Told {
    let told = Told::new(format!("the server does not accept the statement: {error}"));
    told.next(match error.code() {
        Some(1049) => "create the database first, or check --database",
        Some(code) if sql_mode::DEFAULTS.contains(&code) => sql_mode::GIVE_ANOTHER,
        _ => "correct what follows --alter (the server tried it under another name, and dropped that table again)",
    })
}

/// The server names a CHECK constraint without a name after its table, also when that is renamed.
fn check_names_too_long(name: &TableName, made: &Table) -> Option<Told> {
    const NAME_MAX: usize = 64;
    let given = format!("{}_chk_", made.name.table);
    let longest = check_names(&made.create)
        .iter()
        .filter_map(|check| check.strip_prefix(&given))
        .map(|number| format!("{}_chk_{number}", name.table).chars().count())
        .max()?;
    (longest > NAME_MAX).then(|| {
        Told::new(format!(
            "the server would name the CHECK constraints `{}_chk_1` and so on, which is longer than {NAME_MAX} characters",
            name.table
        ))
        .next("give each a name of its own, or the table a shorter one")
    })
}
