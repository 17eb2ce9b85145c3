//! `rsc status <id>`: where a change stands, who drives it, whether it can be taken back, and what to type.

use super::{Context, sql_error, store_error};
use crate::engine::sides;
use crate::error::{Error, Told};
use crate::journal::fence;
use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::lifecycle::state::State;
use crate::lifecycle::verdict::{Signs, verdict};
use crate::output::StatusReport;
use crate::rows::gtid_set::GtidSet;
use crate::schema::table::string_literal;
use crate::session::{Remedy, Session};

pub async fn run(context: &Context, id: u64) -> Result<(), Error> {
    let (mut session, change) = context.change(id).await?;
    let owner = fence::owner(&mut session, id).await.map_err(sql_error)?;
    let events = store::events(&mut session, id).await.map_err(sql_error)?;
    let copied = store::copied(&mut session, id).await.map_err(store_error)?;
    let serving = match change.state.ended() {
        true => None,
        false => sides::serving(&mut session, &change)
            .await
            .map_err(|trouble| Error::Unexpected(Told::new(format!("{trouble:?}"))))?,
    };
    let owner_alive = owner.as_ref().is_some_and(|o| o.alive);
    // A planned change has no position yet, and perhaps not even its stream table.
    let no_stream = change.state.ended() || change.state == State::Planned;
    let position = match store::position(&mut session, id).await {
        Ok(position) => Some(position),
        Err(StoreError::Sql(error)) if error.remedy() == Remedy::NoJournal => None,
        Err(error) => return Err(store_error(error)),
    };
    let binlogs_kept = match &position {
        Some(position) if !no_stream => binlogs_kept(&mut session, position).await?,
        _ => no_stream,
    };
    let signs = Signs {
        state: change.state,
        reason: change.reason.as_deref(),
        owner_alive,
        binlogs_kept,
        stream_lost: !no_stream && position.is_none(),
        window_over: change.window_over,
    };
    context.printer.status(&StatusReport {
        change: &change,
        serving,
        verdict: verdict(&signs),
        owner: owner.as_ref(),
        rows_copied: copied.rows,
        events: &events,
        next: next(&change, owner_alive),
    });
    Ok(())
}

/// Everything that was purged had been applied.
async fn binlogs_kept(session: &mut Session, position: &GtidSet) -> Result<bool, Error> {
    let kept = session
        .text(&format!("SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, {})", string_literal(&position.to_string())))
        .await
        .map_err(sql_error)?;
    Ok(kept.as_deref() == Some("1"))
}

/// The commands that make sense now.
fn next(change: &Change, owner_alive: bool) -> Vec<String> {
    let id = change.id;
    let resume = (!owner_alive).then(|| format!("rsc migrate --resume {id}"));
    if change.paused {
        return vec![format!("rsc resume {id}")];
    }
    match change.state {
        State::Planned | State::Copying | State::CatchingUp | State::CuttingOver => {
            resume.into_iter().chain([format!("rsc cancel {id}")]).collect()
        }
        State::Ready => vec![format!("rsc cutover {id}"), format!("rsc cancel {id}")],
        State::Revertible => vec![format!("rsc revert {id}"), format!("rsc complete {id}")],
        State::Reverted => vec![format!("rsc reapply {id}"), format!("rsc complete {id}")],
        State::Reverting | State::Reapplying => {
            resume.into_iter().chain([format!("rsc cancel {id}")]).collect()
        }
        State::Expired => vec![format!("rsc complete {id}")],
        State::Completing | State::Cancelling | State::Failing => resume.into_iter().collect(),
        State::Completed | State::Cancelled | State::Failed => Vec::new(),
    }
}
