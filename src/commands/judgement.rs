//! Whether a change can be made: all that speaks against it, found before anything is touched. `rsc migrate` and
//! `rsc plan` ask the same.
//!
//! Every reason is looked for, also when there is one already, as far as one does not hide another: without the table
//! there is nothing to look at, and without privileges no statement can be tried. Of a statement with clauses that are
//! refused, the others are tried.

use super::sql_mode::{self, Reading};
use super::{Context, likeness, native, sql_error, store_error};
use crate::engine::sides::definition;
use crate::error::{Error, Told};
use crate::journal::store::{self, StoreError};
use crate::lifecycle::state::State;
use crate::mysql::ahead;
use crate::mysql::inspect::{self, Found};
use crate::mysql::leftover;
use crate::mysql::preflight::{self, Facts};
use crate::mysql::server_settings;
use crate::mysql::shadow::Probe;
use crate::rows::statements::Statements;
use crate::schema::full_text;
use crate::schema::kind::Kind;
use crate::schema::meaning::{self, Meaning};
use crate::schema::projection::Mapping;
use crate::schema::statement::{Alter, Refusal};
use crate::schema::table::{Column, Table, TableName, check_names, renamed_checks};
use crate::session::{Remedy, Session, SqlError};

/// What is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub text: &'a str,
    pub database: Option<&'a str>,
    pub table: Option<&'a str>,
    /// What the account cannot see is taken for absent.
    pub allow_unseen: bool,
    pub reading: &'a Reading,
}

/// What was found. Until [`Judgement::clear`] the empty table is there that the statement was tried on.
pub struct Judgement {
    pub alter: Alter,
    /// Empty: the change can be made.
    pub reasons: Vec<Told>,
    /// What the account cannot see, with the grants that would show it.
    pub unknown: Vec<Told>,
    /// `None`: there is no such table.
    pub facts: Option<Facts>,
    /// `None`: the statement could not be tried, or the server does not accept it.
    pub trial: Option<Trial>,
}

/// The table that the statement makes.
pub struct Trial {
    pub probe: Probe,
    pub after: Table,
    /// `None`: rows cannot be kept in both.
    pub mapping: Option<Mapping>,
    /// Some rows do not fit the new definition.
    pub misfits: bool,
    /// How the change writes.
    pub meaning: Meaning,
    /// What expressions depend on that nobody changes, as a rule.
    pub notes: Vec<String>,
}

impl Judgement {
    /// Ends the trial, and leaves nothing of it.
    pub async fn clear(self, session: &mut Session) -> Result<Cleared, Error> {
        if let Some(trial) = self.trial {
            trial.probe.remove(session).await.map_err(sql_error)?;
        }
        Ok(Cleared { alter: self.alter, reasons: self.reasons, facts: self.facts })
    }
}

/// A judgement without its trial.
pub struct Cleared {
    alter: Alter,
    reasons: Vec<Told>,
    facts: Option<Facts>,
}

impl Cleared {
    /// The statement and the table, if nothing speaks against the change.
    pub fn allowed(self) -> Result<(Alter, Table), Error> {
        match self.facts {
            Some(facts) if self.reasons.is_empty() => Ok((self.alter, facts.table)),
            _ => Err(refused_for(self.reasons)),
        }
    }
}

/// One error for all reasons.
pub fn refused_for(reasons: Vec<Told>) -> Error {
    let mut reasons: Vec<Told> = reasons.into_iter().map(|told| told.state("nothing was touched")).collect();
    match (reasons.len(), reasons.pop()) {
        (1, Some(only)) => Error::Refused(only),
        (_, last) => Error::RefusedFor(reasons.into_iter().chain(last).collect()),
    }
}

pub async fn judge(context: &Context, session: &mut Session, asked: Asked<'_>) -> Result<Judgement, Error> {
    let (alter, refusals) = Alter::read_in(asked.text, Some(&asked.reading.mode));
    let reasons: Vec<Told> = refusals.iter().map(advice).collect();
    let mut judged = Judgement { alter, reasons, unknown: Vec::new(), facts: None, trial: None };
    let name = match judged.alter.resolve(asked.database, asked.table) {
        Ok(name) => name,
        Err(refusal) if judged.reasons.is_empty() => {
            return Err(Error::Usage(advice(&refusal).state("nothing was touched")));
        }
        // The statement itself cannot be read: nobody knows which table it is about.
        Err(_) => return Ok(judged),
    };
    let Some(table) = find(session, &name, &mut judged.reasons).await? else { return Ok(judged) };
    let facts = preflight::gather(session, table).await.map_err(sql_error)?;
    let table = facts.table.clone();
    judged.reasons.extend(preflight::refusals(Kind::Alter, &facts));
    judged.unknown = preflight::sight::unknown(Kind::Alter, &facts);
    if !asked.allow_unseen {
        judged.reasons.extend(preflight::sight::against(judged.unknown.clone()));
    }
    let journal = journal(session, &table.name).await;
    // Where rsc does not understand its own journal, it writes nothing.
    let understood = journal.is_ok();
    judged.reasons.extend(journal.or_else(refusal)?);
    let may_try = understood && !judged.alter.specs.is_empty() && preflight::may_try(Kind::Alter, &facts);
    judged.facts = Some(facts);
    if may_try {
        // What is left of a statement of which a part is refused may come to nothing.
        let whole = refusals.is_empty();
        let (alter, reasons) = (&judged.alter, &mut judged.reasons);
        let reading = asked.reading;
        judged.trial = try_statement(context, session, &table, (alter, whole, reading), reasons).await?;
    }
    Ok(judged)
}

async fn find(
    session: &mut Session,
    name: &TableName,
    reasons: &mut Vec<Told>,
) -> Result<Option<Table>, Error> {
    let found = found(session, name, reasons).await?;
    reasons.push(match found {
        None => return Ok(None),
        Some(Found::Table(table)) => return Ok(Some(*table)),
        Some(Found::View) => Told::new(format!("{} is a view; a view has no rows to keep", name.plain()))
            .next("ALTER VIEW, or name the table behind it"),
        Some(Found::Nothing) => {
            let hint = near(session, name).await?;
            Told::new(format!("there is no table {}", name.plain()))
                .next(format!("{hint}check --database and --table, and that the account may see the table"))
        }
    });
    Ok(None)
}

/// What stands under the name. `None`, with a reason more, where the account cannot tell.
pub async fn found(
    session: &mut Session,
    name: &TableName,
    reasons: &mut Vec<Told>,
) -> Result<Option<Found>, Error> {
    let denied = match inspect::find(session, name).await {
        Ok(found) => return Ok(Some(found)),
        Err(error) if error.remedy() == Remedy::Denied => error,
        Err(error) => return Err(sql_error(error)),
    };
    let lacking = preflight::missing_grants(session, Some(&name.schema)).await.map_err(sql_error)?;
    let next = lacking.map_or_else(|| "grant that privilege on the whole schema".into(), |told| told.next);
    let what = format!("whether there is a table {} is unknown: {denied}", name.plain());
    reasons.push(Told::new(what).next(next));
    Ok(None)
}

/// A question to ask about a table that there is not, or nothing.
pub async fn near(session: &mut Session, name: &TableName) -> Result<String, Error> {
    let near = inspect::near(session, name).await.map_err(sql_error)?;
    Ok(near.map_or(String::new(), |near| format!("did you mean `{}`? ", near.plain())))
}

/// What earlier changes of the table have left to be done.
pub async fn journal(session: &mut Session, table: &TableName) -> Result<Vec<Told>, StoreError> {
    let mut reasons = second_change(session, table).await?;
    reasons.extend(leftovers(session, table).await?);
    Ok(reasons)
}

/// A refusal is a reason among others; any other error ends the judgement.
pub fn refusal(error: StoreError) -> Result<Vec<Told>, Error> {
    match store_error(error) {
        Error::Refused(told) => Ok(vec![told]),
        other => Err(other),
    }
}

async fn second_change(session: &mut Session, table: &TableName) -> Result<Vec<Told>, StoreError> {
    if !store::installed(session).await? {
        return Ok(Vec::new());
    }
    let Some(other) = store::active(session, table).await? else { return Ok(Vec::new()) };
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
    let what = format!("{} has a change already: {id}, which is {}", table.plain(), other.state);
    Ok(vec![Told::new(what).next(next)])
}

/// A new change may get the number of a lost one, and take its table for its own.
async fn leftovers(session: &mut Session, table: &TableName) -> Result<Vec<Told>, StoreError> {
    let left = leftover::of_table(session, table).await?;
    let reason = |left: &TableName| {
        Told::new(format!(
            "{} is left of a change of {} that the journal does not know any more",
            left.plain(),
            table.plain()
        ))
        .next(format!("see whether it has rows that are needed; then DROP TABLE {left}"))
    };
    Ok(left.iter().map(reason).collect())
}

/// Lets the server judge the statement on an empty twin, and looks whether rows can be kept in both.
async fn try_statement(
    context: &Context,
    session: &mut Session,
    table: &Table,
    (alter, whole, reading): (&Alter, bool, &Reading),
    reasons: &mut Vec<Told>,
) -> Result<Option<Trial>, Error> {
    reasons.extend(likeness::lost(&context.server, session, table).await?);
    let probe = match Probe::build(&context.server, session, &table.name, alter).await {
        Ok(probe) => probe,
        Err(error @ SqlError::Server { .. }) => {
            reasons.push(not_accepted(&error));
            return Ok(None);
        }
        Err(error) => return Err(sql_error(error)),
    };
    match look(context, session, table, (alter, whole, reading), &probe.name, reasons).await {
        Ok(Seen { after, mapping, misfits, meaning, notes }) => {
            Ok(Some(Trial { probe, after, mapping, misfits, meaning, notes }))
        }
        Err(error) => {
            probe.remove(session).await.map_err(sql_error)?;
            Err(error)
        }
    }
}

struct Seen {
    after: Table,
    mapping: Option<Mapping>,
    misfits: bool,
    meaning: Meaning,
    notes: Vec<String>,
}

async fn look(
    context: &Context,
    session: &mut Session,
    table: &Table,
    (alter, whole, reading): (&Alter, bool, &Reading),
    probe: &TableName,
    reasons: &mut Vec<Told>,
) -> Result<Seen, Error> {
    let Found::Table(after) = inspect::find(session, probe).await.map_err(sql_error)? else {
        return Err(Error::Unexpected(Told::new(
            "the empty twin of the table disappeared while it was looked at",
        )));
    };
    let counts = after.columns.iter().any(Column::auto_increment) && alter.auto_increment.is_some();
    let nothing = definition(&after.create) == definition(&table.create) && !counts;
    if whole && !alter.rebuild_only && nothing {
        reasons.push(
            Told::new(format!("the statement changes nothing of {}", table.name.plain()))
                .next("to rebuild the table as it is, use --alter \"FORCE\""),
        );
    }
    reasons.extend(check_names_too_long(table, &after));
    reasons.extend(numbers_its_documents(table, &after));
    let mapping = match Mapping::between(table, &after, alter) {
        Ok(mapping) => mapping,
        Err(unmappable) => {
            let told = |reason| Told::new(reason).next("give --alter without the clause that does this");
            reasons.extend(unmappable.into_iter().map(told));
            let (meaning, notes) = (Meaning::default(), Vec::new());
            return Ok(Seen { after: *after, mapping: None, misfits: false, meaning, notes });
        }
    };
    let typed = reading.typed.then_some(&reading.mode);
    let settings = server_settings::read(session, typed).await.map_err(sql_error)?;
    let meaning::Judged { meaning, obstacles, mut notes } =
        meaning::judge(&settings, &mapping, reading.session_dependent);
    reasons.extend(obstacles.into_iter().map(|obstacle| Told::new(obstacle.what).next(obstacle.next)));
    let forward = Statements::new(mapping.forward(), table.name.clone(), after.name.clone());
    let forward = forward.meaning_of(&meaning);
    let mut writer = Session::writer(&context.server, &meaning).await.map_err(sql_error)?;
    let misfits = ahead::misfits(&mut writer, &forward, table, &after).await.map_err(sql_error)?;
    reasons.extend(misfits.iter().map(|misfit| {
        Told::new(misfit.to_string())
            .next("mend the row (there may be more like it), or choose a definition that holds it")
    }));
    // What is refused already need not be tried on rows.
    if misfits.is_empty() && reasons.is_empty() {
        let asked = native::ask(&context.server, session, (table, &after), &forward, alter).await?;
        reasons.extend(asked.reasons);
        notes.extend(asked.unasked);
    }
    Ok(Seen { after: *after, mapping: Some(mapping), misfits: !misfits.is_empty(), meaning, notes })
}

/// Names of CHECK constraints are one to a schema, and the two tables stand in the same.
pub fn checks_get_other_names(table: &Table, after: &Table) -> Option<String> {
    let renamed = renamed_checks(table, after);
    let each: Vec<String> = renamed.iter().map(|(from, to)| format!("{from} becomes {to}")).collect();
    (!each.is_empty()).then(|| {
        format!(
            "CHECK constraints have other names in the new table, because the old one keeps its own beside it: {}",
            each.join(", ")
        )
    })
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

fn numbers_its_documents(table: &Table, after: &Table) -> Option<Told> {
    (full_text::numbered(table) || full_text::numbered(after)).then(|| {
        Told::new(format!(
            "{} has a full-text key and numbers its documents in a column FTS_DOC_ID, in which InnoDB takes no row that has \
             been there before",
            table.name.plain()
        ))
        .next("make this change with a native ALTER TABLE; or drop the full-text key, or the column, with one first")
    })
}

fn not_accepted(error: &SqlError) -> Told {
    let told = Told::new(format!("the server does not accept the statement: {error}"));
    // The names of CHECK constraints are one to a schema, and the copy stands beside the table.
    told.next(match error.code() {
        Some(3822) => {
            "give the new CHECK constraint a name that none in this schema has, also none that the statement \
             drops: the copy stands beside the table, which keeps its own"
        }
        Some(code) if sql_mode::DEFAULTS.contains(&code) => sql_mode::GIVE_ANOTHER,
        _ => "correct what follows --alter (the server tried it on an empty copy of the table)",
    })
}

/// The sentence of a [`Refusal`] ends in what to do.
pub fn advice(refusal: &Refusal) -> Told {
    let sentence = refusal.to_string();
    match sentence.rsplit_once(": ") {
        Some((what, next)) => Told::new(what).next(next),
        None => Told::new(sentence),
    }
}
