//! Which two rows are behind a duplicate: [`crate::rows::duplicate`] says how they are found.

use super::binlog::literal::literal_select_expr;
use super::copy::key_literals;
use crate::rows::duplicate::{FORGET_MET, MET, MeetingKeys, SEPARATOR, TWIN};
use crate::rows::key_range::{Bound, Frontier};
use crate::rows::statements::{Staging, Statements};
use crate::schema::table::{Column, Key, Table, same_name};
use crate::session::{Remedy, Session, SqlError, text};

/// A row that was to be written, and the one that the shadow has instead: their keys as literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    pub one: Bound,
    pub other: Bound,
}

/// What the live table says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has both rows at one moment, and the new schema does not. Both, for people.
    Proven(String),
    /// Not any more.
    Passed,
    /// A table of such a definition cannot be tried: partitions, full-text keys.
    Unknown,
}

/// Lets the first row above `lo` meet the shadow. The session must have no transaction open.
pub async fn meet_first(
    session: &mut Session,
    statements: &Statements,
    lo: Option<&Bound>,
) -> Result<Option<Meeting>, SqlError> {
    let Some(keys) = keys(statements) else { return Ok(None) };
    session.run("START TRANSACTION").await?;
    let met = meet(session, &statements.meet_first(&keys, lo)).await;
    session.run("ROLLBACK").await?;
    met
}

/// Lets the rows of a window that is staged meet the shadow. The caller rolls it back.
pub async fn meet_staged(
    session: &mut Session,
    statements: &Statements,
    frontier: &Frontier,
) -> Result<Option<Meeting>, SqlError> {
    let Some(keys) = keys(statements) else { return Ok(None) };
    meet(session, &statements.meet_staged(&keys, frontier)).await
}

fn keys(statements: &Statements) -> Option<MeetingKeys> {
    let columns = statements.shadow_key_columns();
    let keys = statements.projection().key.iter().zip(&columns);
    Some(MeetingKeys {
        one: key_literals(statements, "d")?,
        other: keys
            .map(|(key, qualified)| literal_select_expr(&key.target, qualified))
            .collect::<Option<_>>()?,
    })
}

async fn meet(session: &mut Session, sql: &str) -> Result<Option<Meeting>, SqlError> {
    session.run(FORGET_MET).await?;
    match session.run(sql).await {
        // The row is gone by now, or something else is wrong with it, which a batch will say.
        Err(error) if matches!(error.remedy(), Remedy::Duplicate | Remedy::Data | Remedy::None) => {
            return Ok(None);
        }
        done => done?,
    };
    let row = session.first(MET).await?;
    let key =
        |i| -> Option<Bound> { Some(text(row.as_ref()?, i)?.split(SEPARATOR).map(str::to_owned).collect()) };
    Ok(key(0).zip(key(1)).map(|(one, other)| Meeting { one, other }))
}

/// Looks at both rows in the live table, at one moment, and tries them on an empty table of the shadow's definition.
pub async fn judge(
    session: &mut Session,
    statements: &Statements,
    shadow: &Table,
    meeting: &Meeting,
) -> Result<Verdict, SqlError> {
    drop_tables(session).await?;
    session.run(&statements.create(Staging::Delta)).await?;
    let verdict = match session.run(&statements.create_twin()).await {
        Ok(_) => try_pair(session, statements, shadow, meeting).await,
        Err(error) if error.remedy() == Remedy::None => Ok(Verdict::Unknown),
        Err(error) => Err(error),
    };
    drop_tables(session).await?;
    verdict
}

async fn drop_tables(session: &mut Session) -> Result<(), SqlError> {
    let tables = format!("{}, {TWIN}", Staging::Delta.name());
    session.run(&format!("DROP TEMPORARY TABLE IF EXISTS {tables}")).await.map(|_| ())
}

async fn try_pair(
    session: &mut Session,
    statements: &Statements,
    shadow: &Table,
    meeting: &Meeting,
) -> Result<Verdict, SqlError> {
    let staged = session.run(&statements.stage_pair(&meeting.one, &meeting.other)).await?.affected;
    if staged < 2 {
        return Ok(Verdict::Passed);
    }
    let error = match session.run(&statements.fill_twin()).await {
        Ok(_) => return Ok(Verdict::Passed),
        Err(error) if error.remedy() == Remedy::Duplicate => error.to_string(),
        Err(error) if error.remedy() == Remedy::Data => return Ok(Verdict::Passed),
        Err(error) => return Err(error),
    };
    let key = violated(shadow, &error);
    let columns = key.map(|key| statements.behind(shadow, key)).unwrap_or_default();
    let sources: Vec<&Column> = columns.iter().map(|(_, column)| *column).collect();
    let rows = session.rows(&statements.show_pair(&sources)).await?;
    let one_row = |row| {
        let values = columns
            .iter()
            .enumerate()
            .map(|(i, (name, column))| format!("{name} = {}", shortly(text(row, i + 1), column)));
        let values: Vec<String> = values.collect();
        let with = if values.is_empty() { String::new() } else { format!(" with {}", values.join(", ")) };
        format!("({}){with}", text(row, 0).unwrap_or_default())
    };
    let rows: Vec<String> = rows.iter().map(one_row).collect();
    let name = key.map_or_else(String::new, |key| format!(" {}", key.name));
    Ok(Verdict::Proven(format!(
        "two rows have the same value for the unique key{name} of the new schema: {}: {}",
        rows.join(", and "),
        // In the words of the table that the operator knows.
        error.replace("'twin.", "'"),
    )))
}

/// The key that `Duplicate entry 'x' for key 'table.name'` is about.
fn violated<'t>(shadow: &'t Table, error: &str) -> Option<&'t Key> {
    let name = error.rsplit_once(" for key '")?.1.rsplit_once('\'')?.0;
    let name = name.split_once('.').map_or(name, |(_, name)| name);
    shadow.keys.iter().find(|key| same_name(&key.name, name))
}

/// Characters of a value in a message.
const VALUE_MAX: usize = 40;

fn shortly(value: Option<String>, column: &Column) -> String {
    let Some(value) = value else { return "NULL".into() };
    let cut: String = match value.chars().count() > VALUE_MAX {
        true => value.chars().take(VALUE_MAX - 1).chain(['…']).collect(),
        false => value,
    };
    if column.charset.is_some() { format!("'{cut}'") } else { cut }
}
