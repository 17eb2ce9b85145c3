//! Whether rsc makes of rows what a native ALTER makes of them, asked before anything is touched, where rows are at hand: see
//! [`crate::mysql::oracle`].
//!
//! The rows of a sample are put aside once, so that nothing written meanwhile comes between; then the server alters them, and
//! rsc's own statements move them into the empty probe table, which is emptied again.

use super::sql_error;
use crate::error::{Error, Told};
use crate::mysql::oracle::{self, Natively};
use crate::rows::key_range::Bound;
use crate::rows::statements::Statements;
use crate::schema::statement::Alter;
use crate::schema::table::Table;
use crate::session::{Remedy, Session, SqlError};
use crate::settings::Server;

/// Days that no calendar has, which rsc keeps.
const KNOWN_EXCEPTION: u16 = 1292;

/// What a native ALTER has to say of a sample.
#[derive(Default)]
pub struct Answer {
    /// Why the change is not made.
    pub reasons: Vec<Told>,
    /// Why the server could not be asked.
    pub unasked: Option<String>,
}

impl Answer {
    fn not(why: impl std::fmt::Display) -> Self {
        let why = format!(
            "whether a native ALTER makes the same of the rows is not known beforehand, from a sample: {why}"
        );
        Self { reasons: Vec::new(), unasked: Some(why) }
    }
}

/// `forward` are the statements that copy rows of the table into the probe, `after`.
pub async fn ask(
    server: &Server,
    session: &mut Session,
    (table, after): (&Table, &Table),
    forward: &Statements,
    alter: &Alter,
) -> Result<Answer, Error> {
    let keys = oracle::sample(session, forward, table).await.map_err(sql_error)?;
    if keys.is_empty() {
        return Ok(Answer::default());
    }
    let aside = match oracle::filled(server, session, table, (forward, alter.sql_mode.as_ref()), &keys).await
    {
        Ok(aside) => aside,
        // It cannot be had as it is: whoever copies it will meet that.
        Err(error @ SqlError::Server { .. }) => return Ok(Answer::not(error)),
        Err(lost) => return Err(sql_error(lost)),
    };
    let own = Statements::new(forward.projection().clone(), aside.name.clone(), after.name.clone())
        .meaning_of(forward.meaning());
    let found = held(server, session, (table, after), (&own, alter), &keys).await;
    // Never by a DELETE: in another session than the one that wrote the rows, entries of indexes over virtual columns would not
    // be found, and InnoDB may take the server down for that.
    let cleared = session.run(&format!("TRUNCATE TABLE {}", after.name)).await;
    aside.remove(session).await.map_err(sql_error)?;
    cleared.map_err(sql_error)?;
    found.map_err(sql_error)
}

async fn held(
    server: &Server,
    session: &mut Session,
    (table, after): (&Table, &Table),
    (own, alter): (&Statements, &Alter),
    keys: &[Bound],
) -> Result<Answer, SqlError> {
    let natively = match oracle::natively(server, session, table, (own, alter), keys).await {
        Ok(Some(natively)) => natively,
        Ok(None) => return Ok(Answer::not("it refuses them all")),
        Err(error @ SqlError::Server { .. }) => return Ok(Answer::not(error)),
        Err(lost) => return Err(lost),
    };
    let reasons = against(server, after, own, &natively).await;
    natively.remove(session).await?;
    Ok(Answer { reasons: reasons?, unasked: None })
}

async fn against(
    server: &Server,
    after: &Table,
    own: &Statements,
    natively: &Natively,
) -> Result<Vec<Told>, SqlError> {
    let mut writer = Session::writer(server, own.meaning()).await?;
    match writer.run(&own.copy(None, None)).await {
        Ok(_) => {}
        // What does not fit is named elsewhere.
        Err(SqlError::Server { .. }) => return Ok(Vec::new()),
        Err(lost) => return Err(lost),
    }
    let known = |error: &SqlError| error.remedy() != Remedy::Data || error.code() == Some(KNOWN_EXCEPTION);
    let unknown = natively.refused.iter().filter(|(_, error)| !known(error));
    let mut reasons: Vec<Told> = unknown.map(|(key, error)| refused(key, error)).collect();
    for suspect in natively.compare(server, own, after, true).await?.0 {
        let cells = suspect.finding.cells.iter();
        reasons.extend(cells.map(|cell| {
            differs(&suspect.finding.key, &cell.column, cell.expected.as_deref(), cell.found.as_deref())
        }));
    }
    reasons.truncate(REASONS_MAX);
    Ok(reasons)
}

/// More of them tell nothing more.
const REASONS_MAX: usize = 5;

fn differs(key: &str, column: &str, native: Option<&str>, own: Option<&str>) -> Told {
    let value = |value: Option<&str>| value.map_or("NULL".into(), |value| format!("'{value}'"));
    Told::new(format!(
        "of the row with the key ({key}), rsc would store {} in column {column}, where a native ALTER stores {}",
        value(own),
        value(native)
    ))
    .next("report this as a fault of rsc; until it is fixed, leave this column out of the change, or make it natively")
}

fn refused(key: &str, error: &SqlError) -> Told {
    Told::new(format!("a native ALTER refuses the row with the key ({key}): {error}"))
        .next("fix the row (there may be more like it), or choose a definition that holds it")
}
