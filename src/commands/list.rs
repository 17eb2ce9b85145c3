//! `rsc list`: the changes on the server, the newest first.

use std::collections::HashMap;

use super::facts::{Past, Standing};
use super::{Context, sql_error, store_error};
use crate::cli::ListOptions;
use crate::engine::{later, sides};
use crate::error::{Error, Told};
use crate::journal::record::Change;
use crate::journal::{fence, sample, store};
use crate::lifecycle::state::State;
use crate::mysql::leftover;
use crate::output::Listed;
use crate::session::Session;

pub async fn run(context: &Context, options: &ListOptions) -> Result<(), Error> {
    let mut session = context.session().await?;
    let mut listed = Vec::new();
    if store::installed(&mut session).await.map_err(store_error)? {
        let latest = sample::latest(&mut session).await.map_err(sql_error)?;
        let mut latest: HashMap<u64, _> = latest.into_iter().collect();
        let journal = store::list(&mut session).await.map_err(sql_error)?;
        for unreadable in &journal.unreadable {
            context.printer.remark(&format!("note: {unreadable}; the others are listed"));
        }
        for change in journal.changes {
            if options.active && change.state.ended() {
                continue;
            }
            let owner = fence::owner(&mut session, change.id).await.map_err(sql_error)?;
            let sample = latest.remove(&change.id);
            let in_the_way = in_the_way(&mut session, &change).await?;
            let alive = owner.as_ref().is_some_and(|owner| owner.alive);
            // A table that someone else made does not keep the others from being listed.
            let verdict = match may_swap_back(change.state) {
                true => {
                    let past = Past::at_a_glance(&mut session, &change).await?;
                    let standing = Standing::of(&mut session, &change, alive, 0, past).await;
                    standing.ok().map(|standing| standing.verdict)
                }
                false => None,
            };
            listed.push(Listed { change, owner, sample, in_the_way, verdict });
        }
    }
    let now_ms = store::now_ms(&mut session).await.map_err(sql_error)?;
    context.printer.list(&listed, options.active, now_ms);
    for left in leftover::all(&mut session).await.map_err(store_error)? {
        context.printer.remark(&format!(
            "note: {} is left of a change that the journal does not know any more; \
             see whether it has rows that are needed, and drop it",
            left.plain()
        ));
    }
    Ok(())
}

/// What its next swap would meet, where the tables tell which that would be.
async fn in_the_way(session: &mut Session, change: &Change) -> Result<Option<String>, Error> {
    if change.state.ended() || change.options.kind.whole() {
        return Ok(None);
    }
    match sides::serving(session, change).await {
        Ok(Some(serving)) => {
            let seen = later::seen(session, change, serving).await.map_err(sql_error)?;
            Ok(seen.as_ref().map(Told::whole))
        }
        // `rsc status` says what is wrong with them.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Of the others the state says it all.
fn may_swap_back(state: State) -> bool {
    matches!(state, State::Revertible | State::Reverted)
}
