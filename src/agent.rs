//! A long-lived process that keeps the stream of every change nobody else drives.
//!
//! It decides nothing about a change: for each one without an owner it runs the engine, which claims it, and the
//! fence lets only one process win. So any number of agents may run, on any hosts. What an operator wants is asked
//! through the journal, and answered by the engine that drives the change.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::engine::{self, Job, Until};
use crate::error::{Error, Told};
use crate::journal::fence::{self, Birth};
use crate::journal::record::{Change, Unreadable};
use crate::journal::store::{self, StoreError};
use crate::lifecycle::consent::Consents;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::state::State;
use crate::session::{Session, SqlError};
use crate::settings::Server;

/// Changes without an owner are looked for so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A server that cannot be looked at is tried ever more seldom, down to this.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(10);
/// A change that could not be kept is left alone for so long, and each time for longer, up to the other.
const REST: Duration = Duration::from_secs(20);
const REST_MAX: Duration = Duration::from_secs(10 * 60);
/// After so many times for the same reason, this agent is not what the change waits for.
const HOPELESS: u32 = 3;
/// An agent that ends by itself gives up on a server that has been out of reach for so long.
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
/// The named lock of the server by which one agent at least can be seen. A help for who wants to hand over, no fence.
const PRESENCE: &str = "'rsc.agent'";

/// What an agent tells of its changes.
#[derive(Clone, Debug)]
pub enum Tale {
    Of(u64, Notice),
    /// The engine of this change ended with a reason.
    Ended(u64, Error),
    /// The server cannot be looked at. Told once for each reason.
    Away(String),
    /// It can again.
    Back,
}

/// Why no change can be taken up.
#[derive(Debug, thiserror::Error)]
enum Away {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Perhaps not for long: a replica is promoted, and a name points to another server.
    #[error("the server is read-only; changes are taken up when it is not")]
    ReadOnly,
}

impl From<SqlError> for Away {
    fn from(error: SqlError) -> Self {
        Away::Store(error.into())
    }
}

pub type Listener = Arc<dyn Fn(Tale) + Send + Sync>;

pub struct Agent {
    pub server: Server,
    pub listener: Listener,
    /// Becomes true when the agent is to end. Statements in flight are finished first.
    pub stop: watch::Receiver<bool>,
    /// End when no change needs an agent any more.
    pub until_idle: bool,
    /// The tables of each change are compared in the background: a pass begins so long after the one before.
    pub verify_every: Duration,
    /// What it asks the server for every change before its first swap; see [`Job::throttle_query`].
    pub throttle_query: Option<String>,
}

/// Whether an agent is connected to this server.
pub async fn is_present(session: &mut Session) -> Result<bool, SqlError> {
    let used = session.text(&format!("SELECT IS_USED_LOCK({PRESENCE}) IS NOT NULL")).await?;
    Ok(used.as_deref() == Some("1"))
}

/// A change that needs somebody.
struct Found {
    id: u64,
    /// Somebody drives it.
    owned: bool,
    /// How far an agent drives it.
    until: Until,
}

/// A change that could not be kept, and is left alone.
struct Rest {
    since: Instant,
    why: String,
    /// So often for the same reason, which is said the first time.
    times: u32,
}

impl Rest {
    fn after(before: Option<Self>, why: String) -> Self {
        let times = before.filter(|before| before.why == why).map_or(1, |before| before.times + 1);
        Self { since: Instant::now(), why, times }
    }

    fn lasts(&self) -> bool {
        self.since.elapsed() < (REST * 2_u32.saturating_pow(self.times - 1)).min(REST_MAX)
    }
}

struct Kept {
    engine: JoinHandle<Result<Change, Error>>,
}

impl Agent {
    /// Runs until it is told to stop, or, with `until_idle`, until there is nothing to do.
    pub async fn run(self) -> Result<(), Error> {
        let mut kept: HashMap<u64, Kept> = HashMap::new();
        let mut resting: HashMap<u64, Rest> = HashMap::new();
        let mut told = HashSet::new();
        let mut session = None;
        let mut seen = Instant::now();
        let mut away: Option<String> = None;
        let mut pause = LOOK_EVERY;
        loop {
            self.reap(&mut kept, &mut resting).await;
            if *self.stop.borrow() {
                return self.drain(kept).await;
            }
            let mut stop = self.stop.clone();
            let looked = tokio::select! {
                looked = self.look(&mut session) => looked,
                _ = stop.wait_for(|stop| *stop) => continue,
            };
            match looked {
                Ok((alive, unreadable)) => {
                    self.tell_of(unreadable, &mut told);
                    seen = Instant::now();
                    pause = LOOK_EVERY;
                    if away.take().is_some() {
                        (self.listener)(Tale::Back);
                    }
                    resting.retain(|id, _| alive.iter().any(|found| found.id == *id));
                    let hopeless =
                        |found: &Found| resting.get(&found.id).is_some_and(|rest| rest.times >= HOPELESS);
                    if self.until_idle && alive.iter().all(hopeless) && kept.is_empty() {
                        return Ok(());
                    }
                    self.take_up(alive, &mut kept, &resting);
                }
                Err(why) => {
                    session = None;
                    let text = why.to_string();
                    if away.as_ref() != Some(&text) {
                        (self.listener)(Tale::Away(text.clone()));
                        away = Some(text);
                    }
                    if self.until_idle && seen.elapsed() > GIVE_UP_AFTER {
                        return Err(out_of_reach(&why));
                    }
                    pause = (pause * 2).min(LOOK_AT_LEAST_EVERY);
                }
            }
            self.pause(pause).await;
        }
    }

    /// Once each: somebody has to mend the row, or to wait for another version of rsc.
    fn tell_of(&self, unreadable: Vec<Unreadable>, told: &mut HashSet<u64>) {
        for row in unreadable.into_iter().filter(|row| told.insert(row.id)) {
            let error = Told::new(&row)
                .state("it is left alone; the other changes are kept")
                .next("drive it with the version of rsc that wrote it");
            (self.listener)(Tale::Ended(row.id, Error::Unexpected(error)));
        }
    }

    /// The changes that need somebody, and what cannot be read.
    async fn look(&self, session: &mut Option<Session>) -> Result<(Vec<Found>, Vec<Unreadable>), Away> {
        let session = match session {
            Some(open) => open,
            none => none.insert(Session::open(&self.server).await?),
        };
        if store::read_only(session).await? {
            return Err(Away::ReadOnly);
        }
        session.run(&format!("DO GET_LOCK({PRESENCE}, 0)")).await?;
        if !store::installed(session).await? {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut found = Vec::new();
        let journal = store::list(session).await?;
        for change in journal.changes.into_iter().filter(needs_somebody) {
            let owned = fence::owner(session, change.id).await?.is_some_and(|owner| owner.alive);
            let until = if change.options.kind.whole() { Until::Settled } else { Until::Ended };
            found.push(Found { id: change.id, owned, until });
        }
        Ok((found, journal.unreadable))
    }

    fn take_up(&self, alive: Vec<Found>, kept: &mut HashMap<u64, Kept>, resting: &HashMap<u64, Rest>) {
        for Found { id, owned, until } in alive {
            if owned || kept.contains_key(&id) || resting.get(&id).is_some_and(Rest::lasts) {
                continue;
            }
            let listener = Arc::clone(&self.listener);
            let job = Job {
                server: self.server.clone(),
                change: id,
                ask: None,
                consents: Consents::default(),
                until,
                verify_every: self.verify_every,
                makes: false,
                birth: Birth::default(),
                throttle_query: self.throttle_query.clone(),
                onlooker: Arc::new(move |notice| listener(Tale::Of(id, notice))),
                stop: self.stop.clone(),
            };
            kept.insert(id, Kept { engine: tokio::spawn(engine::run(job)) });
        }
    }

    async fn reap(&self, kept: &mut HashMap<u64, Kept>, resting: &mut HashMap<u64, Rest>) {
        let ended: Vec<u64> =
            kept.iter().filter(|(_, k)| k.engine.is_finished()).map(|(id, _)| *id).collect();
        for id in ended {
            let Some(Kept { engine }) = kept.remove(&id) else { continue };
            match engine.await {
                Ok(Ok(_)) => drop(resting.remove(&id)),
                // Another process was quicker.
                Ok(Err(Error::Owned(_))) => {}
                Ok(Err(error)) => {
                    self.let_rest(id, error, resting);
                }
                Err(panic) => {
                    self.let_rest(id, Error::Unexpected(Told::new(panic)), resting);
                }
            }
        }
    }

    /// Says why, if it is news.
    fn let_rest(&self, id: u64, error: Error, resting: &mut HashMap<u64, Rest>) {
        let rest = Rest::after(resting.remove(&id), error.to_string());
        if rest.times == 1 {
            (self.listener)(Tale::Ended(id, error));
        }
        resting.insert(id, rest);
    }

    /// The engines have been told to stop; each ends after its statement in flight.
    async fn drain(&self, kept: HashMap<u64, Kept>) -> Result<(), Error> {
        for (id, Kept { engine }) in kept {
            match engine.await {
                Ok(Ok(_) | Err(Error::Interrupted(_) | Error::Owned(_))) => {}
                Ok(Err(error)) => (self.listener)(Tale::Ended(id, error)),
                Err(panic) => (self.listener)(Tale::Ended(id, Error::Unexpected(Told::new(panic)))),
            }
        }
        Ok(())
    }

    async fn pause(&self, time: Duration) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

/// An ended change needs nobody, and an expired one has no stream any more. A table as a whole needs no stream either: only
/// somebody who carries a wish to its end, or puts on record that the window has ended.
/// What stands still before its first swap has no stream that anybody could keep for it.
fn needs_somebody(change: &Change) -> bool {
    let (state, whole) = (change.state, change.options.kind.whole());
    let ending = matches!(state, State::Cancelling | State::Failing);
    let stands_still = change.paused && state.before_first_swap() && !ending;
    let waits = whole && state.settled() && !change.window_over;
    !(stands_still || state.ended() || state == State::Expired || waits)
}

fn out_of_reach(why: &Away) -> Error {
    Error::Stopped(
        Told::new(format!(
            "the server has been out of reach for {} minutes: {why}",
            GIVE_UP_AFTER.as_secs() / 60
        ))
        .state("all changes are as they were")
        .next("when the server is back, `rsc agent`"),
    )
}
