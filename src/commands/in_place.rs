//! Whether the server can make a change on the table itself, at once, and what would undo it.

use super::judgement::{Judgement, Trial};
use super::{Context, sql_error};
use crate::engine::sides::definition;
use crate::error::{Error, Told};
use crate::journal::record::InPlace;
use crate::mysql::inspect::{self, Found};
use crate::mysql::shadow;
use crate::schema::compensation::compensation;
use crate::schema::projection::pair_columns;
use crate::schema::table::Table;
use crate::session::{Session, SqlError};

/// What is to be journaled of such a change. `None` when it is not possible; then `judged` has a reason more, unless it
/// had one before. The empty table of the trial is another one afterwards.
pub async fn examine(
    context: &Context,
    session: &mut Session,
    judged: &mut Judgement,
) -> Result<Option<InPlace>, Error> {
    let (Some(facts), Some(trial), true) = (&judged.facts, &judged.trial, judged.reasons.is_empty()) else {
        return Ok(None);
    };
    let table = &facts.table;
    let server = &context.server;
    let not = shadow::not_instant(server, session, &table.name, &judged.alter).await.map_err(sql_error)?;
    if let Some(why) = not {
        judged.reasons.push(
            Told::new(format!("the server cannot do the statement at once: {why}"))
                .next("leave --strategy out: rsc copies the table, and the change can be taken back"),
        );
        return Ok(None);
    }
    let pairs = pair_columns(table, &trial.after, &judged.alter)
        .map_err(|reason| Error::Unexpected(Told::new(reason)))?;
    let back = compensation(table, &trial.after, &pairs);
    if back.clauses.is_empty() || !undoes(context, session, table, trial, &back.clauses).await? {
        judged.reasons.push(
            Told::new("no statement is known that would undo the change: the one that was derived from the two definitions did not give the old one back")
                .next("leave --strategy out: then the change can be taken back"),
        );
        return Ok(None);
    }
    Ok(Some(InPlace {
        new_create: trial.after.create.clone(),
        compensation: format!("ALTER TABLE {} {}", table.name, back.clauses.join(", ")),
        losses: back.losses,
    }))
}

/// Tried on the empty table that the statement has made.
async fn undoes(
    context: &Context,
    session: &mut Session,
    table: &Table,
    trial: &Trial,
    clauses: &[String],
) -> Result<bool, Error> {
    let mut plain = Session::operator(&context.server, None).await.map_err(sql_error)?;
    let probe = &trial.probe.name;
    match plain.run(&format!("ALTER TABLE {probe} {}", clauses.join(", "))).await {
        Ok(_) => {}
        Err(SqlError::Server { .. }) => return Ok(false),
        Err(lost) => return Err(sql_error(lost)),
    }
    let found = inspect::find(session, probe).await.map_err(sql_error)?;
    Ok(matches!(found, Found::Table(back) if definition(&back.create) == definition(&table.create)))
}
