//! All that can be known of a change at a moment, for `rsc status` and `rsc report`.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{sql_error, store_error, unseen};
use crate::engine::trouble::Trouble;
use crate::engine::{self, sides};
use crate::error::{Error, Told};
use crate::journal::record::Change;
use crate::journal::store::{self, StoreError};
use crate::journal::{fence, history, sample, throttle, verification};
use crate::lifecycle;
use crate::lifecycle::retention::Shortage;
use crate::lifecycle::sample::Activity;
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::verdict::{Signs, Verdict, verdict};
use crate::mysql::binlog::stream;
use crate::mysql::losses::{self, Totals};
use crate::mysql::{retention, swap};
use crate::output::StatusReport;
use crate::output::status::Happening;
use crate::rows;
use crate::rows::gtid_set::GtidSet;
use crate::schema::table::string_literal;
use crate::session::{Remedy, Session};
use crate::settings::Server;

/// The binlog itself is asked what is next in it, which is not done every second.
const BINLOGS_EVERY: Duration = Duration::from_secs(30);

/// Looks at one change, again and again.
pub struct Facts {
    server: Server,
    id: u64,
    /// When, and what came of it.
    binlogs: Option<(Instant, Option<Shortage>)>,
    /// Whether the history is the same.
    same: Option<(Instant, bool)>,
}

/// What is wrong with the past that the position stands for.
#[derive(Default)]
pub struct Past {
    severed: Option<String>,
    unproven: Option<String>,
}

impl Past {
    /// As a glance at the server and the journal tells, without a look into the binlog.
    pub async fn at_a_glance(session: &mut Session, change: &Change) -> Result<Self, Error> {
        let Some(standing) = stands_at(session, change).await? else { return Ok(Self::default()) };
        let mut seen = history::look(session).await.map_err(store_error)?;
        seen.purged = GtidSet::new();
        let severed = standing.severed.clone();
        Ok(Self {
            severed: severed.or_else(|| rows::history::severed(&standing.position, &seen)),
            unproven: standing.unproven,
        })
    }
}

/// `None`: the change has no stream, or no position yet, or its part of the journal is gone.
async fn stands_at(session: &mut Session, change: &Change) -> Result<Option<rows::history::Standing>, Error> {
    if change.options.kind.whole() || change.state.ended() || change.state == State::Planned {
        return Ok(None);
    }
    match history::standing(session, change.id).await {
        Ok(standing) => Ok(standing),
        Err(StoreError::Sql(error)) if error.remedy() == Remedy::NoJournal => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

impl Facts {
    pub fn new(server: &Server, id: u64) -> Self {
        Self { server: server.clone(), id, binlogs: None, same: None }
    }

    pub async fn look(&mut self, session: &mut Session) -> Result<StatusReport, Error> {
        let id = self.id;
        let change = store::find(session, id).await.map_err(store_error)?;
        let change = change
            .ok_or_else(|| Error::Unexpected(Told::new(format!("change {id} is gone from the journal"))))?;
        let now_ms = store::now_ms(session).await.map_err(sql_error)?;
        let owner = fence::owner(session, id).await.map_err(sql_error)?;
        let rows_copied = store::rows_copied(session, id).await.map_err(sql_error)?;
        let owner_alive = owner.as_ref().is_some_and(|o| o.alive);
        let unseen = unseen::look(&self.server, session, &change, owner_alive).await?;
        let transactions = unseen.as_ref().map_or(0, |unseen| unseen.transactions);
        let past = match stands_at(session, &change).await? {
            Some(standing) => self.past(session, &standing, owner_alive).await?,
            None => Past::default(),
        };
        let Standing { serving, no_stream, binlogs_kept, ledger, verdict } =
            Standing::of(session, &change, owner_alive, transactions, past).await?;
        let paused_or_left = change.paused || !owner_alive;
        let shortage = match !no_stream && binlogs_kept && paused_or_left && change.state != State::Expired {
            true => self.shortage(session).await?,
            false => None,
        };
        let throttle = match owner_alive {
            true => throttle::now(session, id).await.map_err(sql_error)?,
            false => None,
        };
        // Until a window for the first swap opens, if it is what the change waits for.
        let cutover_waits = match change.state == State::Ready && !change.options.postpone_cutover {
            true => change.options.limits.window_closed((now_ms / 1000) as _),
            false => None,
        };
        let blockers = match Activity::of(change.state) {
            Some(Activity::Swapping) => swap::in_the_way(session, &change.table).await,
            _ => Vec::new(),
        };
        let held = match serving.filter(|_| !change.state.ended()) {
            Some(serving) => engine::later::held(session, &change, serving).await.map_err(sql_error)?,
            None => None,
        };
        let happening = |(at_ms, kind, detail): (u64, String, String)| Happening {
            at_ms,
            kind,
            detail: serde_json::from_str(&detail).unwrap_or(Value::Null),
        };
        let events = store::events(session, id).await.map_err(sql_error)?;
        let evidence = verification::evidence(session, id).await.map_err(store_error)?;
        let differs = evidence.as_ref().is_some_and(|found| found.mismatches() > 0);
        Ok(StatusReport {
            now_ms,
            serving,
            rows_copied,
            ledger,
            evidence,
            verification: verification::latest(session, id).await.map_err(store_error)?,
            unseen,
            shortage,
            throttle,
            cutover_waits,
            events: events.into_iter().map(happening).collect(),
            samples: sample::series(session, id).await.map_err(sql_error)?,
            blockers,
            held: held.as_ref().map(Told::whole),
            next: next(&change, owner_alive, ledger, (&verdict, differs)),
            verdict,
            owner,
            change,
        })
    }

    /// Whether the server's history is the one that the stream has followed. Whoever keeps the stream knows best, and puts it
    /// on record.
    async fn past(
        &mut self,
        session: &mut Session,
        standing: &rows::history::Standing,
        owner_alive: bool,
    ) -> Result<Past, Error> {
        let mut seen = history::look(session).await.map_err(store_error)?;
        let mut severed = standing.severed.clone();
        let mut unproven = standing.unproven.clone();
        // What was purged is looked at by itself, where nobody may have read it.
        seen.purged = GtidSet::new();
        if !owner_alive && standing.run.as_ref() != Some(&seen.run) {
            seen.trx = history::counter(session).await.map_err(sql_error)?;
            unproven = unproven.or_else(|| rows::history::unproven(standing, &seen));
        }
        severed = severed.or_else(|| rows::history::severed(&standing.position, &seen));
        if let Some(mark) = standing.mark.as_ref().filter(|_| severed.is_none() && !owner_alive) {
            let same = match self.same {
                Some((at, same)) if at.elapsed() < BINLOGS_EVERY => same,
                _ => !matches!(stream::has(&self.server, &standing.position, mark).await, Ok(Some(false))),
            };
            self.same = Some((Instant::now(), same));
            severed = (!same).then(|| rows::history::anew(&mark.gtid()));
        }
        Ok(Past { severed, unproven })
    }

    /// Where nobody can tell, there is nothing to say.
    async fn shortage(&mut self, session: &mut Session) -> Result<Option<Shortage>, Error> {
        if let Some((at, found)) = self.binlogs
            && at.elapsed() < BINLOGS_EVERY
        {
            return Ok(found);
        }
        let found = shortage(&self.server, session, self.id).await?;
        self.binlogs = Some((Instant::now(), found));
        Ok(found)
    }
}

/// Where a change stands, and what a wish for the other schema would come to.
pub struct Standing {
    /// `None`: the tables do not tell.
    pub serving: Option<Serving>,
    /// There is nothing that a position would stand for.
    no_stream: bool,
    binlogs_kept: bool,
    ledger: Totals,
    pub verdict: Verdict,
}

impl Standing {
    /// `unseen`: transactions that nobody has looked at.
    pub async fn of(
        session: &mut Session,
        change: &Change,
        owner_alive: bool,
        unseen: u64,
        past: Past,
    ) -> Result<Self, Error> {
        let id = change.id;
        let (serving, hidden) = match change.state.ended() {
            true => (None, None),
            false => match sides::serving(session, change).await {
                Ok(serving) => (serving, None),
                Err(Trouble::Denied(why)) => {
                    let grant = super::grant_to_see(session, change).await?;
                    (None, Some(format!("{why}: {grant}")))
                }
                Err(trouble) => return Err(Error::Unexpected(Told::new(format!("{trouble:?}")))),
            },
        };
        // A planned change has no position yet, and perhaps not even its stream table.
        let no_journal = change.state.ended() || change.state == State::Planned;
        let whole = change.options.kind.whole();
        let no_stream = whole || no_journal;
        let position = match store::position(session, id).await {
            Ok(position) => Some(position),
            Err(StoreError::Sql(error)) if error.remedy() == Remedy::NoJournal => None,
            Err(error) => return Err(store_error(error)),
        };
        let binlogs_kept = match &position {
            Some(position) if !no_stream => binlogs_kept(session, position).await?,
            _ => no_stream,
        };
        let ledger = losses::totals(session, id).await.map_err(sql_error)?;
        let in_the_way = match (change.state, serving) {
            (State::Revertible | State::Reverted, Some(serving)) if whole => {
                let found = engine::whole::in_the_way(session, change, serving.other()).await;
                found.map_err(sql_error)?.map(|told| told.what)
            }
            (_, Some(serving)) if !whole => {
                let found = engine::later::seen(session, change, serving).await;
                found.map_err(sql_error)?.map(|told| told.whole())
            }
            _ => None,
        };
        let differs = match no_stream {
            true => None,
            false => verification::known_difference(session, id).await.map_err(store_error)?,
        };
        let verdict = verdict(&Signs {
            kind: change.options.kind,
            serving,
            in_the_way,
            hidden,
            state: change.state,
            reason: change.reason.as_deref(),
            owner_alive,
            paused: change.paused,
            unseen,
            binlogs_kept,
            severed: past.severed,
            unproven: past.unproven,
            stream_lost: !no_journal && position.is_none(),
            window_over: change.window_over,
            parked: ledger.parked,
            losses: ledger.losses,
            differs,
            in_place: change.options.in_place.is_some(),
        });
        Ok(Self { serving, no_stream, binlogs_kept, ledger, verdict })
    }
}

/// Everything that was purged had been applied.
async fn binlogs_kept(session: &mut Session, position: &GtidSet) -> Result<bool, Error> {
    let kept = session
        .text(&format!("SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, {})", string_literal(&position.to_string())))
        .await
        .map_err(sql_error)?;
    Ok(kept.as_deref() == Some("1"))
}

/// Asked of the binlog itself, for its times are nowhere else.
async fn shortage(server: &Server, session: &mut Session, id: u64) -> Result<Option<Shortage>, Error> {
    let position = store::position(session, id).await.map_err(store_error)?;
    let executed = store::executed(session).await.map_err(store_error)?;
    if position.contains_set(&executed) {
        return Ok(None);
    }
    let Ok(Some(needed_since)) = stream::oldest_needed(server, &position).await else {
        return Ok(None);
    };
    let kept_s = retention::kept_s(session).await.map_err(sql_error)?;
    let now = store::now_ms(session).await.map_err(sql_error)? / 1000;
    Ok(lifecycle::retention::shortage(now, needed_since, kept_s))
}

/// The commands that make sense now.
/// `differs`: the tables are known to.
fn next(
    change: &Change,
    owner_alive: bool,
    ledger: Totals,
    (verdict, differs): (&Verdict, bool),
) -> Vec<String> {
    let id = change.id;
    let complete = format!("rsc complete {id}");
    let losses = (ledger != Totals::default()).then(|| format!("rsc losses {id}"));
    let resume = (!owner_alive).then(|| format!("rsc migrate --resume {id}"));
    if change.paused && change.state.before_first_swap() && !owner_alive {
        // As Ctrl-C has left it: no process is there that `resume` would set going.
        return resume.into_iter().chain([format!("rsc cancel {id}")]).collect();
    }
    if change.paused {
        return vec![format!("rsc resume {id}")];
    }
    if change.state == State::CatchingUp && change.reason.is_some() {
        // The two tables differ.
        let again = resume.unwrap_or_else(|| format!("rsc resume {id}"));
        return vec![format!("rsc verify {id} --repair"), again, format!("rsc cancel {id}")];
    }
    match (change.state, verdict) {
        (State::Ready, _) if differs => {
            return vec![format!("rsc verify {id} --repair"), format!("rsc cancel {id}")];
        }
        (State::Revertible | State::Reverted, Verdict::Differs(_)) => {
            return vec![format!("rsc verify {id} --repair"), complete];
        }
        (State::Revertible | State::Reverted, Verdict::Impossible(_)) => return vec![complete],
        (State::Revertible, Verdict::Blocked(_)) if ledger.parked > 0 && change.reason.is_none() => {
            let revert = format!("rsc revert {id} --accept-parked");
            return losses.into_iter().chain([revert, complete]).collect();
        }
        _ => {}
    }
    match change.state {
        State::Planned | State::Copying | State::Indexing | State::CatchingUp | State::CuttingOver => {
            resume.into_iter().chain([format!("rsc cancel {id}")]).collect()
        }
        State::Ready => vec![format!("rsc cutover {id}"), format!("rsc cancel {id}")],
        State::Revertible => losses.into_iter().chain([format!("rsc revert {id}"), complete]).collect(),
        State::Reverted => losses.into_iter().chain([format!("rsc reapply {id}"), complete]).collect(),
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
