//! `rsc status <id>`: where a change stands, who drives it, whether it can be taken back, and what to type.

use std::time::Duration;

use super::{Context, sql_error, store_error};
use crate::engine::{self, sides};
use crate::error::{Error, Told};
use crate::journal::fence;
use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::journal::{throttle, verification};
use crate::lifecycle;
use crate::lifecycle::retention::Shortage;
use crate::lifecycle::state::State;
use crate::lifecycle::verdict::{Signs, verdict};
use crate::mysql::binlog::stream;
use crate::mysql::losses::{self, Totals};
use crate::mysql::retention;
use crate::output::StatusReport;
use crate::rows::gtid_set::GtidSet;
use crate::schema::table::string_literal;
use crate::session::{Remedy, Session};

pub async fn run(context: &Context, id: u64) -> Result<(), Error> {
    let (mut session, change) = context.change(id).await?;
    let owner = fence::owner(&mut session, id).await.map_err(sql_error)?;
    let events = store::events(&mut session, id).await.map_err(sql_error)?;
    let rows_copied = store::rows_copied(&mut session, id).await.map_err(sql_error)?;
    let serving = match change.state.ended() {
        true => None,
        false => sides::serving(&mut session, &change)
            .await
            .map_err(|trouble| Error::Unexpected(Told::new(format!("{trouble:?}"))))?,
    };
    let owner_alive = owner.as_ref().is_some_and(|o| o.alive);
    // A planned change has no position yet, and perhaps not even its stream table.
    let no_journal = change.state.ended() || change.state == State::Planned;
    let whole = change.options.kind.whole();
    let no_stream = whole || no_journal;
    let position = match store::position(&mut session, id).await {
        Ok(position) => Some(position),
        Err(StoreError::Sql(error)) if error.remedy() == Remedy::NoJournal => None,
        Err(error) => return Err(store_error(error)),
    };
    let binlogs_kept = match &position {
        Some(position) if !no_stream => binlogs_kept(&mut session, position).await?,
        _ => no_stream,
    };
    let ledger = losses::totals(&mut session, id).await.map_err(sql_error)?;
    let verified = verification::latest(&mut session, id).await.map_err(store_error)?;
    let paused_or_left = change.paused || !owner_alive;
    let shortage = match !no_stream && binlogs_kept && paused_or_left && change.state != State::Expired {
        true => shortage(context, &mut session, id).await?,
        false => None,
    };
    let in_the_way = match (change.state, serving) {
        (State::Revertible | State::Reverted, Some(serving)) if whole => {
            let found = engine::whole::in_the_way(&mut session, &change, serving.other()).await;
            found.map_err(sql_error)?.map(|told| told.what)
        }
        _ => None,
    };
    let throttle = match owner_alive {
        true => throttle::now(&mut session, id).await.map_err(sql_error)?,
        false => None,
    };
    let cutover_waits = cutover_waits(&mut session, &change).await?;
    let signs = Signs {
        kind: change.options.kind,
        serving,
        in_the_way,
        state: change.state,
        reason: change.reason.as_deref(),
        owner_alive,
        binlogs_kept,
        stream_lost: !no_journal && position.is_none(),
        window_over: change.window_over,
        parked: ledger.parked,
        losses: ledger.losses,
        in_place: change.options.in_place.is_some(),
    };
    context.printer.status(&StatusReport {
        change: &change,
        serving,
        verdict: verdict(&signs),
        owner: owner.as_ref(),
        rows_copied,
        ledger,
        verification: verified.as_ref(),
        shortage,
        throttle: throttle.as_ref(),
        cutover_waits,
        events: &events,
        next: next(&change, owner_alive, ledger),
    });
    Ok(())
}

/// Until a window for the first swap opens, if it is what the change waits for.
async fn cutover_waits(session: &mut Session, change: &Change) -> Result<Option<(Duration, String)>, Error> {
    if change.state != State::Ready || change.options.postpone_cutover {
        return Ok(None);
    }
    let now = session.text("SELECT UNIX_TIMESTAMP()").await.map_err(sql_error)?;
    let now = now.and_then(|now| now.parse().ok()).unwrap_or(0);
    Ok(change.options.limits.window_closed(now))
}

/// Everything that was purged had been applied.
async fn binlogs_kept(session: &mut Session, position: &GtidSet) -> Result<bool, Error> {
    let kept = session
        .text(&format!("SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, {})", string_literal(&position.to_string())))
        .await
        .map_err(sql_error)?;
    Ok(kept.as_deref() == Some("1"))
}

/// Asked of the binlog itself, for its times are nowhere else. Where nobody can tell, there is nothing to say.
async fn shortage(context: &Context, session: &mut Session, id: u64) -> Result<Option<Shortage>, Error> {
    let position = store::position(session, id).await.map_err(store_error)?;
    let executed = store::executed(session).await.map_err(store_error)?;
    if position.contains_set(&executed) {
        return Ok(None);
    }
    let Ok(Some(needed_since)) = stream::oldest_needed(&context.server, &position).await else {
        return Ok(None);
    };
    let kept_s = retention::kept_s(session).await.map_err(sql_error)?;
    let now = session.text("SELECT UNIX_TIMESTAMP()").await.map_err(sql_error)?;
    let now = now.and_then(|now| now.parse().ok()).unwrap_or(0);
    Ok(lifecycle::retention::shortage(now, needed_since, kept_s))
}

/// The commands that make sense now.
fn next(change: &Change, owner_alive: bool, ledger: Totals) -> Vec<String> {
    let id = change.id;
    let losses = (ledger != Totals::default()).then(|| format!("rsc losses {id}"));
    let resume = (!owner_alive).then(|| format!("rsc migrate --resume {id}"));
    if change.paused {
        return vec![format!("rsc resume {id}")];
    }
    if change.state == State::CatchingUp && change.reason.is_some() {
        // The two tables differ.
        let again = resume.unwrap_or_else(|| format!("rsc resume {id}"));
        return vec![format!("rsc verify {id} --repair"), again, format!("rsc cancel {id}")];
    }
    match change.state {
        State::Planned | State::Copying | State::Indexing | State::CatchingUp | State::CuttingOver => {
            resume.into_iter().chain([format!("rsc cancel {id}")]).collect()
        }
        State::Ready => vec![format!("rsc cutover {id}"), format!("rsc cancel {id}")],
        State::Revertible => {
            losses.into_iter().chain([format!("rsc revert {id}"), format!("rsc complete {id}")]).collect()
        }
        State::Reverted => {
            losses.into_iter().chain([format!("rsc reapply {id}"), format!("rsc complete {id}")]).collect()
        }
        State::Reverting | State::Reapplying => {
            resume.into_iter().chain([format!("rsc cancel {id}")]).collect()
        }
        State::Expired => vec![format!("rsc complete {id}")],
        State::Completing | State::Cancelling | State::Failing => resume.into_iter().collect(),
        State::Completed if change.options.in_place.is_some() => {
            vec![format!("rsc revert {id} --compensate")]
        }
        State::Completed | State::Cancelled | State::Failed => Vec::new(),
    }
}
