//! Looks at the signals beside the work, and keeps the latest verdict for it.
//!
//! Tasks of their own: one writes heartbeats, one measures each replica, and one reads the rest and judges. None of them
//! is in the way of the work, or of a swap; the work looks at the last verdict before each piece. A task that hangs makes
//! that verdict old, and an old one throttles ([`STALE`]). All end when this is dropped.
//!
//! Heartbeats are written only while there is a replica to be measured, and something that could wait for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};

use crate::journal::fence::Fence;
use crate::journal::throttle as journal;
use crate::lifecycle::throttle::lag::Beats;
use crate::lifecycle::throttle::limits::{Limits, Replicas};
use crate::lifecycle::throttle::{Judge, Read, Reason, STALE, Signals, Verdict};
use crate::mysql::throttle::replicas::{self, Replica, WITHIN};
use crate::mysql::throttle::signals;
use crate::session::{Session, SqlError};
use crate::settings::Server;

/// Heartbeats are written, and replicas and signals looked at, so often.
const EVERY: Duration = Duration::from_millis(200);
/// Replicas that have come are looked for so often.
const LOOK_FOR_REPLICAS: Duration = Duration::from_secs(5);
/// What throttles is put on record so often, unless it changes.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// What costs the server more than a status variable is read so often.
const SLOW_EVERY: Duration = Duration::from_secs(1);
/// A replica that none has reached in this time may be one that gets none.
const NEVER: Duration = Duration::from_secs(30);
/// Without a heartbeat for so long, nothing can be said of a replica.
const SILENT: Duration = Duration::from_secs(2);

pub struct Throttle {
    wanted: watch::Sender<Wanted>,
    latest: watch::Receiver<Option<(Instant, Verdict)>>,
    began: Instant,
    watching: JoinHandle<()>,
}

#[derive(Clone, PartialEq)]
struct Wanted {
    limits: Limits,
    /// Goes up when replicas that were found are to be forgotten.
    anew: u32,
}

impl Throttle {
    /// `own_query`: what this process may ask the server.
    pub fn begin(server: &Server, fence: Fence, limits: &Limits, own_query: Option<&str>) -> Self {
        let (wanted, changed) = watch::channel(Wanted { limits: limits.clone(), anew: 0 });
        let (tell, latest) = watch::channel(None);
        let watch = Watch {
            server: server.clone(),
            fence,
            wanted: changed,
            own_query: own_query.map(str::to_owned),
            tell,
            clock: Clock::default(),
            judge: Judge::default(),
            beats: Arc::default(),
            pulse: None,
            measured: Vec::new(),
            source: String::new(),
            look_at: Instant::now(),
            unlisted: None,
            anew: 0,
            slow: None,
            recorded: None,
        };
        let watching = tokio::spawn(watch.go_on());
        Self { wanted, latest, began: Instant::now(), watching }
    }

    pub fn set(&self, limits: &Limits, anew: u32) {
        let new = Wanted { limits: limits.clone(), anew };
        self.wanted.send_if_modified(|old| {
            let other = *old != new;
            *old = new;
            other
        });
    }

    /// `None` while nothing has been read yet, and there was little time for it.
    pub fn verdict(&self) -> Option<Verdict> {
        let latest = self.latest.borrow();
        let (at, why) = match &*latest {
            Some((at, verdict)) if at.elapsed() < STALE => return Some(verdict.clone()),
            Some((at, _)) => (*at, "the server, or a query, does not answer"),
            None if self.began.elapsed() < STALE => return None,
            None => (self.began, "the server does not answer"),
        };
        let why = format!("{why}, for {} s by now", at.elapsed().as_secs());
        Some(Verdict { reasons: vec![Reason::Unread { what: "what throttles", why }], ..Verdict::default() })
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Durations since one moment, for what is pure.
#[derive(Clone, Copy)]
struct Clock(Instant);

impl Default for Clock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock {
    fn now(self) -> Duration {
        self.0.elapsed()
    }
}

/// A task that ends with whoever started it.
struct Task(AbortHandle);

impl Task {
    fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a replica showed last, and when it was asked.
type Seen = Option<(Duration, Read<Option<u64>>)>;

struct Measured {
    replica: Replica,
    seen: Arc<Mutex<Seen>>,
    _task: Task,
}

/// What is read less often.
struct Slow {
    read: Instant,
    history: Read<u64>,
    free_disk: Read<u64>,
    query: Read<f64>,
}

struct Watch {
    server: Server,
    fence: Fence,
    wanted: watch::Receiver<Wanted>,
    own_query: Option<String>,
    tell: watch::Sender<Option<(Instant, Verdict)>>,
    clock: Clock,
    judge: Judge,
    beats: Arc<Mutex<Beats>>,
    /// The task that writes heartbeats, and when it began.
    pulse: Option<(Instant, Task)>,
    measured: Vec<Measured>,
    source: String,
    /// When replicas are looked for again.
    look_at: Instant,
    /// Why they could not be listed.
    unlisted: Option<String>,
    anew: u32,
    slow: Option<Slow>,
    recorded: Option<(Instant, bool, Vec<String>)>,
}

impl Watch {
    async fn go_on(mut self) {
        let mut session = None;
        loop {
            // Without an answer the last verdict grows old, and throttles.
            if self.look(&mut session).await.is_err() {
                session = None;
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.look_at = Instant::now();
                    self.slow = None;
                }
            }
        }
    }

    async fn look(&mut self, session: &mut Option<Session>) -> Result<(), SqlError> {
        let session = match session {
            Some(open) => open,
            none => {
                let opened = none.insert(Session::open(&self.server).await?);
                let within = format!("SET SESSION max_execution_time = {}", signals::QUESTION_MS_MAX);
                opened.run(&within).await?;
                opened
            }
        };
        let Wanted { limits, anew } = self.wanted.borrow_and_update().clone();
        if anew != self.anew {
            self.anew = anew;
            self.measured.clear();
        }
        self.look_for_replicas(session, &limits).await?;
        if self.measured.iter().any(|measured| lock(&measured.seen).is_none()) || self.no_beat_yet() {
            // Of one that has just been found.
            return Ok(());
        }
        let signals = self.signals(session, &limits).await;
        let verdict = self.judge.verdict(&limits, &signals, self.clock.now());
        tracing::trace!(?verdict);
        self.record(session, &verdict).await?;
        self.tell.send_replace(Some((Instant::now(), verdict)));
        Ok(())
    }

    /// One that was found stays until it is not wanted any more: that it is not listed may mean that it has died.
    async fn look_for_replicas(&mut self, session: &mut Session, limits: &Limits) -> Result<(), SqlError> {
        if limits.max_lag.is_none() {
            (self.measured, self.pulse, self.unlisted) = (Vec::new(), None, None);
            return Ok(());
        }
        if Instant::now() < self.look_at {
            return Ok(());
        }
        self.look_at = Instant::now() + LOOK_FOR_REPLICAS;
        if self.source.is_empty() {
            self.source = journal::source(session).await?;
        }
        let wanted = match replicas::wanted(session, &limits.replicas).await {
            Ok(wanted) => wanted,
            Err(error @ SqlError::Server { .. }) => {
                self.unlisted = Some(error.to_string());
                return Ok(());
            }
            Err(lost) => return Err(lost),
        };
        self.unlisted = None;
        if !matches!(limits.replicas, Replicas::Found) {
            self.measured.retain(|measured| wanted.contains(&measured.replica));
        }
        for replica in wanted {
            // Its name may have become known better meanwhile.
            let same =
                |other: &Replica| *other == replica || (replica.uuid.is_some() && other.uuid == replica.uuid);
            if self.measured.iter().any(|measured| same(&measured.replica)) {
                continue;
            }
            self.measure(replica);
        }
        if self.measured.is_empty() {
            self.pulse = None;
        }
        Ok(())
    }

    fn measure(&mut self, replica: Replica) {
        if self.pulse.is_none() {
            let beats = Arc::clone(&self.beats);
            let task = Task::start(beat(self.server.clone(), self.source.clone(), beats, self.clock));
            self.pulse = Some((Instant::now(), task));
        }
        let seen = Arc::default();
        let task = Task::start(measure(
            self.server.clone(),
            self.source.clone(),
            replica.clone(),
            Arc::clone(&seen),
            self.clock,
        ));
        self.measured.push(Measured { replica, seen, _task: task });
    }

    fn no_beat_yet(&self) -> bool {
        let young = self.pulse.as_ref().is_some_and(|(began, _)| began.elapsed() < SILENT);
        young && lock(&self.beats).silence(self.clock.now()).is_none()
    }

    async fn signals(&mut self, session: &mut Session, limits: &Limits) -> Signals {
        let replicas = match (limits.max_lag, &self.unlisted) {
            (Some(_), Some(why)) => Err(why.clone()),
            _ => Ok(self.lags()),
        };
        let slow = match self.slow.take() {
            Some(slow) if slow.read.elapsed() < SLOW_EVERY => slow,
            Some(_) | None => self.read_slowly(session, limits).await,
        };
        let signals = Signals {
            replicas,
            status: signals::status(session, &limits.variables()).await,
            history: slow.history.clone(),
            free_disk: slow.free_disk.clone(),
            query: slow.query.clone(),
            flag_file: limits.flag_file.as_deref().map_or(Ok(false), signals::flag_file),
        };
        self.slow = Some(slow);
        signals
    }

    async fn read_slowly(&self, session: &mut Session, limits: &Limits) -> Slow {
        let (mut history, mut free_disk, mut query) = (Ok(0), Ok(u64::MAX), Ok(0.0));
        if limits.max_history.is_some() {
            history = signals::history(session).await;
        }
        if limits.min_free_disk.is_some() {
            free_disk = signals::free_disk(&self.server, session).await;
        }
        match limits.query_of(self.own_query.as_deref()) {
            Ok(None) => {}
            Ok(Some(sql)) => query = signals::query(session, sql).await,
            Err(why) => query = Err(why),
        }
        Slow { read: Instant::now(), history, free_disk, query }
    }

    fn lags(&self) -> Vec<(String, Read<Duration>)> {
        let now = self.clock.now();
        let beats = lock(&self.beats);
        let silence = beats.silence(now);
        let lag = |measured: &Measured| match &*lock(&measured.seen) {
            Some((at, _)) if now.saturating_sub(*at) > STALE => {
                Err(format!("it has not answered for {} s", now.saturating_sub(*at).as_secs()))
            }
            Some((_, Err(why))) => Err(why.clone()),
            Some(_) if silence.is_none_or(|silence| silence > SILENT) => {
                Err("no heartbeat could be written on the source".into())
            }
            Some((at, Ok(None))) if beats.lag(None, *at).is_some_and(|lag| lag > NEVER) => Err(format!(
                "no heartbeat has ever reached it, for {} s by now: it is behind for longer, or `_rsc` is not replicated \
                 to it",
                beats.lag(None, *at).unwrap_or_default().as_secs()
            )),
            Some((at, Ok(seen))) => beats.lag(*seen, *at).ok_or_else(|| "there is no heartbeat yet".into()),
            None => Err("it has not answered yet".into()),
        };
        self.measured.iter().map(|measured| (measured.replica.name.clone(), lag(measured))).collect()
    }

    async fn record(&mut self, session: &mut Session, verdict: &Verdict) -> Result<(), SqlError> {
        let kinds: Vec<String> = verdict.reasons.iter().map(Reason::kind).collect();
        let known = self.recorded.as_ref().is_some_and(|(at, free, old)| {
            at.elapsed() < RECORD_EVERY && *free == verdict.free() && *old == kinds
        });
        if !known {
            journal::record(session, self.fence, verdict).await?;
            self.recorded = Some((Instant::now(), verdict.free(), kinds));
        }
        Ok(())
    }
}

async fn beat(server: Server, source: String, beats: Arc<Mutex<Beats>>, clock: Clock) {
    let mut session = None;
    loop {
        match heartbeat(&server, &mut session, &source).await {
            Ok(value) => lock(&beats).written(value, clock.now()),
            Err(why) => {
                tracing::debug!(%why, "no heartbeat");
                session = None;
            }
        }
        sleep(EVERY).await;
    }
}

async fn heartbeat(server: &Server, session: &mut Option<Session>, source: &str) -> Result<u64, SqlError> {
    let session = match session {
        Some(open) => open,
        none => none.insert(Session::open(server).await?),
    };
    journal::beat(session, source).await
}

async fn measure(server: Server, source: String, replica: Replica, seen: Arc<Mutex<Seen>>, clock: Clock) {
    let mut session = None;
    loop {
        let (asked, answer) = look_at(&server, &source, &replica, &mut session, clock).await;
        if let Err(why) = &answer {
            tracing::debug!(replica.name, why, "not measured");
            session = None;
        }
        *lock(&seen) = Some((asked, answer));
        sleep(EVERY).await;
    }
}

/// What a replica answers, and when it was asked.
async fn look_at(
    server: &Server,
    source: &str,
    replica: &Replica,
    session: &mut Option<Session>,
    clock: Clock,
) -> (Duration, Read<Option<u64>>) {
    let session = match session {
        Some(open) => open,
        none => match replica.connect(server, source).await {
            Ok(opened) => none.insert(opened),
            Err(why) => return (clock.now(), Err(why)),
        },
    };
    let asked = clock.now();
    let answer = match timeout(WITHIN, journal::seen(session, source)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it does not answer within {WITHIN:?}")),
    };
    (asked, answer)
}

/// Nothing that holds it can panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
