//! Looks into the journal now and then for what the engine does not tell: values that are lost, what is left of the revert
//! window, the verdict. On a connection of its own, and only while someone wants to know.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::hooks::Hooks;
use super::metrics::{Metrics, Sample};
use crate::engine;
use crate::journal::store::{self, StoreError};
use crate::journal::verification;
use crate::lifecycle::state::State;
use crate::lifecycle::verdict::{Signs, verdict};
use crate::mysql::losses;
use crate::session::Session;
use crate::settings::Server;

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Ends when it is dropped.
pub struct Sampler {
    looking: JoinHandle<()>,
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

impl Sampler {
    pub fn start(server: Server, metrics: Arc<Metrics>, hooks: Arc<Hooks>) -> Self {
        Self { looking: tokio::spawn(look(server, metrics, hooks)) }
    }
}

async fn look(server: Server, metrics: Arc<Metrics>, hooks: Arc<Hooks>) {
    let mut session = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        for change in metrics.driven() {
            if let Err(error) = look_at(&server, &mut session, change, &metrics, &hooks).await {
                tracing::debug!(change, %error, "the journal could not be looked at for metrics");
                session = None;
            }
        }
    }
}

async fn look_at(
    server: &Server,
    session: &mut Option<Session>,
    id: u64,
    metrics: &Metrics,
    hooks: &Hooks,
) -> Result<(), StoreError> {
    let session = match session {
        Some(open) => open,
        none => none.insert(Session::open(server).await?),
    };
    let Some(change) = store::find(session, id).await? else { return Ok(()) };
    if change.state.ended() {
        return Ok(());
    }
    let ledger = losses::totals(session, id).await?;
    let serving = change.serving;
    let in_the_way = match change.state {
        State::Revertible | State::Reverted if change.options.kind.whole() => {
            engine::whole::in_the_way(session, &change, serving.other()).await?.map(|told| told.what)
        }
        State::Ready | State::Revertible | State::Reverted => {
            engine::later::seen(session, &change, serving).await?.map(|told| told.whole())
        }
        _ => None,
    };
    let differs = verification::known_difference(session, id).await?;
    let signs = Signs {
        kind: change.options.kind,
        serving: Some(serving),
        in_the_way,
        hidden: None,
        state: change.state,
        reason: change.reason.as_deref(),
        // Whoever drives it puts a reason on record.
        severed: None,
        unproven: None,
        // This process drives it.
        owner_alive: true,
        paused: change.paused,
        unseen: 0,
        binlogs_kept: true,
        stream_lost: false,
        window_over: change.window_over,
        parked: ledger.parked,
        losses: ledger.losses,
        differs,
        in_place: change.options.in_place.is_some(),
    };
    let verdict = verdict(&signs);
    metrics.sampled(
        id,
        Sample {
            rows_copied: store::rows_copied(session, id).await?,
            rows_estimate: change.rows_estimate,
            parked: ledger.parked,
            losses: ledger.losses,
            window_left_s: store::window_left_s(session, id).await?,
            verdict: verdict.name(),
            freeze_ms: change.freeze_ms,
            verification: verification::latest(session, id).await?.and_then(|found| found.outcome),
        },
    );
    hooks.verdict(id, &verdict);
    Ok(())
}
