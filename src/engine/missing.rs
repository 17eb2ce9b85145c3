//! What is told when the account, or the journal, lacks something without which a change cannot be driven.

use super::Job;
use super::halt::Halt;
use super::sides;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::mysql::preflight;
use crate::session::{Remedy, Session};

/// A trouble that is told with what mends it. That is looked up only now: on the way there it would cost every command
/// a look at the grants, and a look at the tables.
pub async fn look_into(job: &Job, known: Option<&Change>, halt: Halt) -> Halt {
    match halt {
        Halt::Trouble(Trouble::Denied(why)) => denied(job, known, why).await,
        Halt::Trouble(Trouble::NoJournal(why)) => orphaned(job, known, why).await,
        other => other,
    }
}

async fn denied(job: &Job, known: Option<&Change>, why: String) -> Halt {
    let lacking = async {
        let mut session = Session::open(&job.server).await.ok()?;
        // Without a right to read the journal it is not known which schema is meant.
        let change = match known {
            Some(change) => Some(change.clone()),
            None => store::find(&mut session, job.change).await.ok().flatten(),
        };
        let schema = change.map(|change| change.table.schema);
        preflight::missing_grants(&mut session, schema.as_deref()).await.ok().flatten()
    };
    let told = match lacking.await {
        Some(told) => Told::new(format!("{}: {why}", told.what)).next(told.next),
        None => Told::new(why).next(format!("grant that privilege, then `rsc status {}`", job.change)),
    };
    Halt::Denied { told, begun: known.is_some() }
}

/// With the change's row, but no stream row, the change can still be ended; without either it cannot even be named by
/// its number.
async fn orphaned(job: &Job, known: Option<&Change>, why: String) -> Halt {
    let id = job.change;
    let Ok(mut session) = Session::open(&job.server).await else {
        return Halt::Trouble(Trouble::NoJournal(why));
    };
    let journaled = match store::find(&mut session, id).await {
        Ok(journaled) => journaled,
        Err(StoreError::Sql(error)) if error.remedy() == Remedy::NoJournal => None,
        // What cannot be read may have the change all the same.
        Err(_) => return Halt::Trouble(Trouble::NoJournal(why)),
    };
    let left = match journaled.as_ref().or(known) {
        Some(change) => twin(&mut session, change).await,
        None => None,
    };
    let whole = journaled.as_ref().or(known).is_some_and(|change| change.options.kind.whole());
    let state = match &left {
        Some(left) if whole => format!("the table is kept as {left}, with every row"),
        Some(left) => format!(
            "the live table works as before; the other one, {left}, is left, and not kept current any more"
        ),
        None => "the live table works as before".into(),
    };
    let next = match (journaled, left) {
        (Some(change), Some(left)) if whole && !change.state.before_first_swap() => {
            format!(
                "to have it back, RENAME TABLE {left} TO {}; `rsc complete {id}` drops what is left then",
                change.table
            )
        }
        (Some(_), None) if whole => {
            format!("to end the change, `rsc complete {id}`, which has nothing to drop")
        }
        (Some(change), _) if change.state.before_first_swap() => {
            format!("to drop what is left, `rsc cancel {id}`; then start again with `rsc migrate`")
        }
        (Some(_), _) => format!("to keep what serves and drop the other table, `rsc complete {id}`"),
        (None, Some(left)) => {
            format!("nothing can go on with it: see whether {left} has rows that are needed, and drop it")
        }
        (None, None) => "to see what is there, `rsc list`".into(),
    };
    let told = Told::new(format!("the journal of change {id} was dropped or damaged by someone else: {why}"));
    Halt::Orphaned(told.state(state).next(next))
}

/// The name of the table that does not serve.
async fn twin(session: &mut Session, change: &Change) -> Option<String> {
    let serving = sides::serving(session, change).await.ok().flatten()?;
    change.kept(serving).map(|kept| kept.plain())
}
