//! The loop over the states of a change: do the work of the state, let `step` choose the next, save it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::backoff::Backoff;
use super::evidence::Background;
use super::gauges::Gauges;
use super::halt::{Halt, explain};
use super::indexing;
use super::later::{Watch, not_dropped};
use super::line::Line;
use super::missing;
use super::readers::PASSING;
use super::sampling::Sampling;
use super::sides::{self, Sides};
use super::swap::{Accepted, Attempt, Go};
use super::trouble::Trouble;
use super::verify::Asked;
use super::{Job, Until};
use crate::error::{Error, Told};
use crate::journal::fence::{self, FenceError, Ownership};
use crate::journal::record::{Answer, Change, Request};
use crate::journal::store::{self, Note, SET};
use crate::journal::verification;
use crate::lifecycle::consent::Consents;
use crate::lifecycle::event::{Event, Verb};
use crate::lifecycle::notice::{Freeze, Notice};
use crate::lifecycle::state::{Serving, State};
use crate::lifecycle::step::{Refusal, step};
use crate::lifecycle::throttle::limits::{self, Limit, Limits};
use crate::lifecycle::verification::{Outcome, named};
use crate::mysql::{indexes, losses, preflight, shadow};
use crate::schema::statement::Alter;
use crate::session::Session;

/// The end of the revert window is looked for so often.
pub(super) const WINDOW_CHECK: Duration = Duration::from_secs(1);
/// A pause is looked at so often.
pub(super) const STILL: Duration = Duration::from_millis(100);
/// Between two attempts to swap.
pub(super) const SWAP_PAUSE_FIRST: Duration = Duration::from_secs(1);
pub(super) const SWAP_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Drives the change as far as the job says, and returns it as it then stands.
pub async fn run(job: Job) -> Result<Change, Error> {
    let mut ask = job.ask;
    let mut backoff = Backoff::new(Instant::now());
    let mut claimed = None;
    let mut held = None;
    let gauges = Arc::new(Gauges::default());
    let job = Job { onlooker: gauges.listening(Arc::clone(&job.onlooker)), ..job };
    loop {
        let began = Instant::now();
        let why = match attempt(&job, &gauges, &mut ask, &mut claimed, &mut held).await {
            Ok(change) => return Ok(change),
            // Someone did something in our absence: wait for them, and keep the stream again.
            Err(Halt::Trouble(Trouble::Owned(who))) if job.until == Until::Ended && claimed.is_some() => {
                backoff = Backoff::new(Instant::now());
                format!("the change is driven by {who}")
            }
            Err(Halt::Trouble(Trouble::Lost(why) | Trouble::Locked(why))) => why,
            Err(halt) => return Err(explain(&job, missing::look_into(&job, held.as_ref(), halt).await)),
        };
        let worked = claimed.filter(|at| *at >= began).map_or(Duration::ZERO, |at| at.elapsed());
        let Some(pause) = backoff.after(worked, Instant::now()) else {
            return Err(explain(&job, Halt::Trouble(Trouble::Lost(why))));
        };
        (job.onlooker)(Notice::Retrying { why, again_in_s: pause.as_secs_f64() });
        let mut stop = job.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return Err(explain(&job, Halt::Trouble(Trouble::Interrupted))),
        }
    }
}

/// Claims the change, works on it until it has settled, and gives it up again, whatever happened. `claimed` is
/// when it was last claimed, in this attempt or an earlier one; `held` is the change as it was then.
async fn attempt(
    job: &Job,
    gauges: &Arc<Gauges>,
    ask: &mut Option<Verb>,
    claimed: &mut Option<Instant>,
    held: &mut Option<Change>,
) -> Result<Change, Halt> {
    let mut session = Session::open(&job.server).await?;
    writable(&mut session, claimed.is_some()).await?;
    let change = load(&mut session, job.change).await?;
    if change.state.ended() {
        // An earlier process may have been killed between its last two statements.
        store::forget_stream(&mut session, change.id).await?;
        return at_the_end(change, *ask);
    }
    // A table that the account may not see looks like one that is gone.
    let lacking = preflight::missing_grants(&mut session, Some(&change.table.schema)).await?;
    if let Some(told) = lacking {
        return Err(Halt::Denied { told, begun: held.is_some() });
    }
    if needs_no_position(&change, *ask) {
        // Whoever journaled the change may have been killed before this; or it is gone, and the change is to end.
        store::create_stream(&mut session, change.id).await?;
    }
    let ownership = fence::claim(&job.server, &mut session, job.change, &job.birth).await?;
    *claimed = Some(Instant::now());
    let change = load(&mut session, job.change).await?;
    *held = Some(change.clone());
    let sampling = Sampling::start(job.server.clone(), ownership.fence, Arc::clone(gauges));
    let mut driver = Driver::new(job, gauges, session, ownership, change);
    let mut result = driver.drive(ask).await;
    drop(sampling);
    let Driver { mut session, ownership, change, .. } = driver;
    if job.makes
        && matches!(result, Err(Halt::Trouble(Trouble::Interrupted)))
        && change.state.before_first_swap()
    {
        let note = Note { paused: Some(true), ..Note::default() };
        if store::save(&mut session, ownership.fence, &change, change.state, &note).await.is_ok() {
            result = Err(Halt::Paused);
        }
    }
    // Whoever slept through a takeover may find the tables under other names, and blame them.
    if result.is_err() && ownership.fence.share(&mut session).await == Err(FenceError::Fenced) {
        result = Err(FenceError::Fenced.into());
    }
    // If this fails the lease runs out by itself. What is written on a server that is to be a replica parts it from the
    // others, also where this account may.
    if matches!(store::read_only(&mut session).await, Ok(false)) {
        let _ = ownership.release(&mut session).await;
    }
    // Also a change that has failed needs its stream row no more.
    if change.state.ended() {
        let forgotten = store::forget_stream(&mut session, change.id).await;
        result?;
        forgotten?;
        return Ok(change);
    }
    result.map(|()| change)
}

/// A replica has the same journal, and sees no owner of the primary: driven there, the change would part the two. An
/// account that read_only does not bind must not get through by that. A server that has become read-only under our
/// hands may be on its way to be a replica; it is waited for like one that is gone.
async fn writable(session: &mut Session, held: bool) -> Result<(), Halt> {
    let what = "the server is read-only".to_owned();
    match store::read_only(session).await? {
        true if held => Err(Trouble::Lost(what).into()),
        true => {
            let next =
                "connect to the primary; or, if this is the primary, SET GLOBAL read_only = OFF".into();
            Err(Halt::Refused(Refusal { what, next }))
        }
        false => Ok(()),
    }
}

/// The stream has not begun, or will not be read again.
fn needs_no_position(change: &Change, ask: Option<Verb>) -> bool {
    let wanted = ask.and_then(|verb| next(change, &Event::Asked(verb)).ok()).unwrap_or(change.state);
    matches!(wanted, State::Planned | State::Cancelling | State::Failing | State::Completing)
}

/// What `event` makes of the change.
fn next(change: &Change, event: &Event) -> Result<State, Refusal> {
    step(change.options.kind, change.state, event)
}

/// Whoever wants the change to move does not want it paused, and tries again what it waits with.
fn noting(verb: Verb, state: State, consents: Consents) -> Note {
    let accept_parked = verb.reverts().then_some(verb == Verb::RevertAcceptingParked);
    let refuse_losses = verb.reverts().then_some(verb == Verb::RevertRefusingLosses);
    let paused = match verb {
        Verb::Verify | Verb::VerifyRepairing => None,
        other => Some(other == Verb::Pause),
    };
    let reason = (verb == Verb::Resume && state == State::CatchingUp).then_some(None);
    let cutover_now = (verb == Verb::Cutover).then_some(true);
    let swaps = verb.reverts() || matches!(verb, Verb::Cutover | Verb::Reapply);
    let accept_short_reads = (swaps || consents.short_reads).then_some(consents.short_reads);
    let accept_differences = (swaps || consents.differences).then_some(consents.differences);
    Note {
        paused,
        accept_parked,
        refuse_losses,
        cutover_now,
        accept_short_reads,
        accept_differences,
        reason,
        ..Note::default()
    }
}

fn at_the_end(change: Change, ask: Option<Verb>) -> Result<Change, Halt> {
    match ask.map(|verb| next(&change, &Event::Asked(verb))) {
        Some(Err(refusal)) => Err(Halt::Refused(refusal)),
        Some(Ok(_)) | None => Ok(change),
    }
}

async fn load(session: &mut Session, id: u64) -> Result<Change, Halt> {
    store::find(session, id)
        .await?
        .ok_or_else(|| Halt::Trouble(Trouble::Stop(Told::new(format!("there is no change {id}")))))
}

pub(super) struct Driver<'a> {
    pub(super) job: &'a Job,
    gauges: &'a Arc<Gauges>,
    pub(super) session: Session,
    pub(super) ownership: Ownership,
    pub(super) change: Change,
    /// A verification that is to be made next.
    wanted: Option<Wanted>,
    /// One is being made.
    verifying: bool,
    /// The tables have been found equal by this process, before the first swap.
    verified: bool,
    /// The comparison that goes on while the stream is kept.
    pub(super) background: Background,
    /// Since the first attempt to swap that missed.
    pub(super) missed: Option<Instant>,
    /// How often the operator wanted replicas to be looked for anew.
    anew: u32,
    pub(super) watch: Watch,
    /// Why the tables were compared by this process, and found to differ.
    pub(super) doubted: Option<String>,
}

/// A verification that someone wants.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    pub(super) repair: bool,
    pub(super) request: Option<u64>,
}

impl Wanted {
    fn by(verb: Verb, request: Option<u64>) -> Option<Self> {
        match verb {
            Verb::Verify => Some(Wanted { repair: false, request }),
            Verb::VerifyRepairing => Some(Wanted { repair: true, request }),
            Verb::Cutover
            | Verb::Revert
            | Verb::RevertAcceptingParked
            | Verb::RevertRefusingLosses
            | Verb::Reapply
            | Verb::Complete
            | Verb::Cancel
            | Verb::Pause
            | Verb::Resume => None,
        }
    }
}

impl<'a> Driver<'a> {
    fn new(
        job: &'a Job,
        gauges: &'a Arc<Gauges>,
        session: Session,
        ownership: Ownership,
        change: Change,
    ) -> Self {
        let (wanted, verifying, verified) = (None, false, false);
        let background = Background::new(job);
        let (missed, anew, watch, doubted) = (None, 0, Watch::default(), None);
        Self {
            job,
            gauges,
            session,
            ownership,
            change,
            wanted,
            verifying,
            verified,
            background,
            missed,
            anew,
            watch,
            doubted,
        }
    }

    async fn drive(&mut self, ask: &mut Option<Verb>) -> Result<(), Halt> {
        self.tell(Notice::Started {
            id: self.change.id,
            table: self.change.table.plain(),
            state: self.change.state,
        });
        self.look().await?;
        // Whoever made them is gone.
        verification::give_up(&mut self.session, self.ownership.fence).await?;
        self.plan_background().await?;
        if let Some(verb) = *ask {
            let wanted = Wanted::by(verb, None);
            if wanted.is_none() && next(&self.change, &Event::Asked(verb)).is_ok() {
                store::overtake(&mut self.session, self.change.id, verb.name()).await?;
            }
            self.wish(verb, self.job.consents).await?;
            self.wanted = wanted;
            *ask = None;
        }
        while !self.done() {
            match self.work().await {
                Ok(()) => {}
                Err(Halt::Trouble(Trouble::Asked)) => self.answer().await?,
                Err(Halt::Trouble(Trouble::Definite(told))) => self.definite(told, false).await?,
                Err(Halt::Trouble(Trouble::Severed(told))) => self.definite(told, true).await?,
                Err(halt) => return Err(halt),
            }
        }
        Ok(())
    }

    pub(super) async fn reload(&mut self) -> Result<(), Halt> {
        self.change = load(&mut self.session, self.change.id).await?;
        Ok(())
    }

    /// Whether the wish would have the tables swapped that it finds.
    pub(super) fn moves(&self, verb: Verb) -> bool {
        next(&self.change, &Event::Asked(verb)).is_ok_and(|state| state != self.change.state)
    }

    /// Grants an operator's wish, or refuses it.
    async fn wish(&mut self, verb: Verb, consents: Consents) -> Result<(), Halt> {
        if Wanted::by(verb, None).is_some() {
            let refuse = |what: &str, next: String| Err(Halt::Refused(Refusal { what: what.into(), next }));
            let id = self.change.id;
            if self.change.paused {
                return refuse(
                    "the change is paused",
                    format!("to let it go on, `rsc resume {id}`; then try again"),
                );
            }
            if self.verifying {
                let next = format!("to see what comes of it, `rsc status {id}`; then try again if need be");
                return refuse("the change is being verified already", next);
            }
        }
        next(&self.change, &Event::Asked(verb)).map_err(Halt::Refused)?;
        self.against(verb).await?;
        self.refuse_differences(verb, consents).await?;
        self.happens(&Event::Asked(verb), noting(verb, self.change.state, consents)).await
    }

    pub(super) fn done(&self) -> bool {
        let state = self.change.state;
        match self.job.until {
            Until::Asked => self.wanted.is_none(),
            // What waits for its window is swapped without being asked again.
            Until::Settled => state.settled() && !self.awaits_window(),
            Until::Ended => state.ended() || state == State::Expired,
        }
    }

    pub(super) fn awaits_window(&self) -> bool {
        self.change.state == State::Ready && !self.change.options.postpone_cutover
    }

    /// Until a window for the first swap opens, and what the windows are. `None`: it may be made now.
    pub(super) async fn window_closed(&mut self) -> Result<Option<(Duration, String)>, Halt> {
        let options = &self.change.options;
        if options.cutover_now || options.limits.cutover_between.is_none() {
            return Ok(None);
        }
        let now = store::now_s(&mut self.session).await?;
        Ok(self.change.options.limits.window_closed(now))
    }

    /// Whether applications that keep the table from being locked are ended now.
    pub(super) fn forces(&self) -> bool {
        let force = self.change.options.limits.force_cutover_after;
        self.missed.zip(force).is_some_and(|(missed, after)| missed.elapsed() >= after)
    }

    pub(super) fn tell(&self, notice: Notice) {
        (self.job.onlooker)(notice);
    }

    /// The tables decide whether a swap happened, before anything else is decided.
    async fn look(&mut self) -> Result<(), Halt> {
        if self.change.options.in_place.is_some() && self.change.state == State::Planned {
            return self.look_in_place().await;
        }
        if let Some(serving) = sides::serving(&mut self.session, &self.change).await? {
            let event = Event::Serves(serving);
            // The answer of that swap was lost, and with it the length of its freeze.
            let note = Note { swapped: Some((serving, None)), ..Note::default() };
            if next(&self.change, &event) != Ok(self.change.state) {
                self.happens(&event, note).await?;
                let kind = self.change.options.kind;
                self.tell(Notice::Swapped { kind, serving, freeze: None });
            }
        }
        if self.change.window_over {
            self.happens(&Event::WindowEnded, Note::default()).await?;
        }
        Ok(())
    }

    /// Lets `event` happen: the next state is saved before anything of it is done.
    pub(super) async fn happens(&mut self, event: &Event, note: Note) -> Result<(), Halt> {
        let next = next(&self.change, event).map_err(Halt::Refused)?;
        store::save(&mut self.session, self.ownership.fence, &self.change, next, &note).await?;
        if next != self.change.state {
            let detail = json!({ "from": self.change.state.name(), "event": format!("{event:?}") });
            store::record_event(&mut self.session, self.change.id, next.name(), &detail).await?;
            self.tell(Notice::Entered { kind: self.change.options.kind, state: next });
        }
        self.change = load(&mut self.session, self.change.id).await?;
        Ok(())
    }

    async fn work(&mut self) -> Result<(), Halt> {
        let whole = self.change.options.kind.whole();
        match self.change.state {
            State::Planned if self.change.options.in_place.is_some() => self.alter_in_place().await,
            State::Planned if whole => self.prepare_whole().await,
            State::Planned => self.build().await,
            State::Ready
            | State::CuttingOver
            | State::Revertible
            | State::Reverting
            | State::Reverted
            | State::Reapplying
                if whole =>
            {
                self.move_whole().await
            }
            State::Copying
            | State::Indexing
            | State::CatchingUp
            | State::Ready
            | State::CuttingOver
            | State::Revertible
            | State::Reverting
            | State::Reverted
            | State::Reapplying => self.move_rows().await,
            State::Completing | State::Cancelling | State::Failing => self.drop_shadow().await,
            State::Completed | State::Expired | State::Cancelled | State::Failed => Ok(()),
        }
    }

    async fn build(&mut self) -> Result<(), Halt> {
        let alter =
            Alter::parse_in(&self.change.statement, self.change.options.sql_mode.as_ref()).map_err(|e| {
                Trouble::Severed(Told::new(format!("the journaled statement cannot be read: {e}")))
            })?;
        let name = self.change.new_shadow();
        // A definition has no transaction to look at the fence in; an open one beside it holds a takeover off.
        self.session.run("START TRANSACTION").await?;
        self.ownership.fence.share_at("shadow.share", &mut self.session).await?;
        shadow::build(&self.job.server, &self.change.table, &name, &alter).await?;
        let sides = Sides::look(&mut self.session, &self.change).await?;
        let mut other = Session::open(&self.job.server).await?;
        for create in sides.ledger(self.change.id).create() {
            other.run_at("ledger.create", &create).await?;
        }
        let made = indexing::leave_off(&self.job.server, &mut other, &self.change, &sides).await?;
        if made.because == Some(indexing::NOT_IN_PLACE) {
            shadow::build(&self.job.server, &self.change.table, &name, &alter).await?;
        }
        self.session.run("COMMIT").await?;
        // Read after the shadow exists: everything in it is visible to every later snapshot.
        let start = self.start().await?;
        let note = Note { new_create: Some(sides.shadow.create), start_at: Some(start), ..Note::default() };
        self.happens(&Event::ShadowBuilt, note).await?;
        let (deferred, because) = (made.deferred, made.because.map(str::to_owned));
        let detail = json!({ "indexes_deferred": deferred, "because": because });
        store::record_event(&mut self.session, self.change.id, "made", &detail).await?;
        self.tell(Notice::Made { deferred, because });
        Ok(())
    }

    async fn drop_shadow(&mut self) -> Result<(), Halt> {
        let name = match sides::serving(&mut self.session, &self.change).await? {
            Some(Serving::New) if self.change.state != State::Completing => {
                return Err(
                    Trouble::Stop(Told::new("the new schema serves, so its twin is not dropped")).into()
                );
            }
            Some(Serving::New) => self.change.old_shadow(),
            Some(Serving::Old) | None => self.change.new_shadow(),
        };
        let mut other = Session::open(&self.job.server).await?;
        self.session.run("START TRANSACTION").await?;
        self.ownership.fence.share_at("shadow.share", &mut self.session).await?;
        // It would wait for a build that nobody needs any more.
        indexes::stop(&mut other, &sides::mark(self.change.id)).await?;
        shadow::drop(&mut other, &name).await.map_err(|error| not_dropped(error, self.change.id))?;
        self.session.run("COMMIT").await?;
        self.happens(&Event::ShadowDropped, Note::default()).await
    }

    /// Opens the stream and works on it until the state needs no stream any more.
    async fn move_rows(&mut self) -> Result<(), Halt> {
        let mut line = Line::open(self.job, &self.change, &self.ownership, self.gauges).await?;
        while !self.done() {
            line.renew(&self.change, self.anew);
            if self.change.paused || self.wanted.is_some() || !self.follows() {
                self.end_background(&mut line).await?;
            }
            let result = match self.change.state {
                _ if self.change.paused => self.stand_still(&mut line).await,
                _ if self.wanted.is_some() => self.verify_as_wanted(&mut line).await,
                State::Copying => self.copy(&mut line).await,
                State::Indexing => self.index(&mut line).await,
                State::CatchingUp => self.close_in(&mut line).await,
                State::CuttingOver => self.swap(&mut line, Serving::New).await,
                State::Reapplying => self.swap(&mut line, Serving::New).await,
                State::Reverting => self.swap(&mut line, Serving::Old).await,
                State::Ready | State::Revertible | State::Reverted => self.follow(&mut line).await,
                State::Planned
                | State::Completing
                | State::Completed
                | State::Expired
                | State::Cancelling
                | State::Cancelled
                | State::Failing
                | State::Failed => return Ok(()),
            };
            match result {
                Err(Halt::Trouble(Trouble::Asked)) => self.answer().await?,
                other => other?,
            }
        }
        Ok(())
    }

    /// Nothing moves. Ends by a request or by being stopped.
    async fn stand_still(&mut self, line: &mut Line) -> Result<(), Halt> {
        self.tell(Notice::Paused);
        line.rest().await?;
        if self.change.state == State::Indexing {
            indexes::stop(&mut line.control, line.sides.mark()).await?;
        }
        let needed_since = line.needed_since().await?;
        loop {
            line.breathe().await?;
            line.look_after_binlogs(needed_since).await?;
            tokio::time::sleep(STILL).await;
        }
    }

    async fn copy(&mut self, line: &mut Line) -> Result<(), Halt> {
        line.copy().await?;
        let indexed = line.sides.missing.is_empty();
        self.happens(&Event::CopyEnded { indexed }, Note::default()).await
    }

    async fn index(&mut self, line: &mut Line) -> Result<(), Halt> {
        line.index().await?;
        self.happens(&Event::IndexesBuilt, Note::default()).await
    }

    async fn close_in(&mut self, line: &mut Line) -> Result<(), Halt> {
        line.come_close().await?;
        if self.change.options.verify && !self.verified && !self.change.options.accept_differences {
            return self.verify_first(line).await;
        }
        line.carry_statistics().await?;
        let postponed = self.change.options.postpone_cutover || self.window_closed().await?.is_some();
        self.happens(&Event::CloseBehind { postponed }, Note::default()).await
    }

    /// The tables are compared before the first swap. If they differ, the change waits for the operator: whoever keeps the
    /// stream for others keeps it, and everyone else ends.
    async fn verify_first(&mut self, line: &mut Line) -> Result<(), Halt> {
        while self.change.reason.is_some() && self.job.until == Until::Ended {
            line.leave().await?;
            line.follow().await?;
        }
        let state = self.change.state;
        self.verify(line, Wanted::default()).await?;
        if self.change.state != state || self.change.paused {
            return Ok(());
        }
        let found = verification::latest(&mut self.session, self.change.id).await?;
        let Some(found) = found.filter(|found| found.outcome == Some(Outcome::Differs)) else {
            self.verified = true;
            return Ok(());
        };
        let named = named(&found.findings);
        let reason = format!("the new table is not what it should be: {named}");
        let note = Note { reason: Some(Some(reason)), ..Note::default() };
        store::save(&mut self.session, self.ownership.fence, &self.change, state, &note).await?;
        Err(Halt::Differs { named })
    }

    async fn verify_as_wanted(&mut self, line: &mut Line) -> Result<(), Halt> {
        match self.wanted {
            Some(wanted) => {
                self.verify(line, wanted).await?;
                self.wanted = None;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Compares the two tables. Ends early if a wish is granted that changes where the change stands.
    pub(super) async fn verify(&mut self, line: &mut Line, wanted: Wanted) -> Result<(), Halt> {
        let (state, doubt) = (self.change.state, line.past.unproven.clone());
        let asked = Asked { repair: wanted.repair, request: wanted.request, background: false };
        let mut pass = line.begin_verification(asked).await?;
        self.verifying = true;
        let result = loop {
            match line.verify(&mut pass).await {
                Err(Trouble::Asked) => match self.answer().await {
                    Ok(()) if self.change.state == state && !self.change.paused => {
                        line.renew(&self.change, self.anew);
                    }
                    answered => break answered,
                },
                other => break other.map_err(Halt::from),
            }
        };
        self.verifying = false;
        let ended = line.end_verification(&mut pass).await;
        result?;
        ended?;
        if let Some(why) = doubt.filter(|_| pass.result.outcome == Some(Outcome::Equal)) {
            line.proven(&why).await?;
        }
        self.background.put_off();
        Ok(())
    }

    /// Tries until it has happened or someone takes the wish back; the stream goes on between two attempts.
    async fn swap(&mut self, line: &mut Line, to: Serving) -> Result<(), Halt> {
        if line.sides.serving == to {
            return self.happens(&Event::Serves(to), Note::default()).await;
        }
        let first = self.change.state == State::CuttingOver;
        let mut pause = SWAP_PAUSE_FIRST;
        let mut told: Option<(Instant, Vec<u64>, String)> = None;
        loop {
            line.come_close().await?;
            if first {
                line.leave().await?;
                if self.window_closed().await?.is_some() {
                    return self.happens(&Event::SwapMissed, Note::default()).await;
                }
            }
            if line.past.unproven.is_some() && !self.prove(line).await? {
                return Ok(());
            }
            let with_losses = !self.change.options.refuse_losses;
            let accept = Accepted { parked: self.change.options.accept_parked, losses: with_losses };
            if to == Serving::Old && !accept.parked {
                line.retry_parked().await?;
                let refused = losses::refusal(&mut self.session, self.change.id, with_losses).await?;
                if let Some(no) = refused {
                    return self.take_back(Verb::Revert, no, Note::default()).await;
                }
            }
            let accept_short_reads = self.change.options.accept_short_reads;
            let go = Go { accept, accept_short_reads, force: self.forces() };
            let (why, blockers, unnoticed, passing) = match line.swap(go).await {
                Err(Trouble::InTheWay(told)) if self.gives_way(&told).await? => return Ok(()),
                Err(Trouble::InTheWay(told)) => (told.whole(), Vec::new(), true, false),
                Err(trouble) => return Err(trouble.into()),
                Ok(Attempt::Swapped(freeze)) => {
                    self.missed = None;
                    self.swapped(to, freeze).await?;
                    if to == Serving::Old {
                        self.tell_of_losses().await?;
                    }
                    self.background.begin_soon();
                    line.turn().await?;
                    return Ok(line.rest().await?);
                }
                Ok(Attempt::Missed { why, blockers, unnoticed, passing }) => {
                    (why, blockers, unnoticed, passing)
                }
            };
            self.missed.get_or_insert_with(Instant::now);
            // Whom nobody was made to wait for is looked at again soon; what stalled the application is not.
            let again = match (passing, unnoticed) {
                (true, _) => PASSING,
                (false, true) => SWAP_PAUSE_FIRST,
                (false, false) => pause,
            };
            let connections: Vec<u64> = blockers.iter().map(|blocker| blocker.connection).collect();
            let known = told.as_ref().is_some_and(|(at, who, what)| {
                at.elapsed() < SWAP_PAUSE_MAX && *who == connections && *what == why
            });
            if !unnoticed || !known {
                told = Some((Instant::now(), connections, why.clone()));
                let (kind, again_in_s) = (self.change.options.kind, again.as_secs_f64());
                let detail = json!({ "why": why, "blockers": blockers, "again_in_s": again_in_s });
                store::record_event(&mut self.session, self.change.id, "swap_missed", &detail).await?;
                self.tell(Notice::SwapMissed { kind, why, blockers, again_in_s });
            }
            line.follow_for(again).await?;
            if !unnoticed && !passing {
                pause = (pause * 2).min(SWAP_PAUSE_MAX);
            }
        }
    }

    /// The revert would lose sight of parked rows, or a table as a whole cannot take its name. Whoever drives the change
    /// for others goes on with it.
    pub(super) async fn take_back(&mut self, verb: Verb, no: Refusal, note: Note) -> Result<(), Halt> {
        self.happens(&Event::Asked(Verb::Cancel), note).await?;
        match self.job.until {
            Until::Ended => {
                self.tell(Notice::TakenBack { verb, why: no.what });
                Ok(())
            }
            Until::Asked | Until::Settled => Err(Halt::Refused(no)),
        }
    }

    pub(super) async fn swapped(&mut self, serving: Serving, freeze: Freeze) -> Result<(), Halt> {
        self.tell(Notice::Swapped { kind: self.change.options.kind, serving, freeze: Some(freeze) });
        let note =
            Note { swapped: Some((serving, Some(freeze.freeze_ms))), reason: Some(None), ..Note::default() };
        self.happens(&Event::Serves(serving), note).await?;
        let mut detail = serde_json::to_value(freeze).unwrap_or_default();
        detail["serving"] = serving.name().into();
        store::record_event(&mut self.session, self.change.id, "swapped", &detail).await?;
        Ok(())
    }

    /// What the old schema, which is live now, cannot show of what was written under the new one.
    async fn tell_of_losses(&mut self) -> Result<(), Halt> {
        if let Some(lost) = losses::told(&mut self.session, self.change.id).await? {
            let detail = serde_json::to_value(&lost).unwrap_or_default();
            store::record_event(&mut self.session, self.change.id, "lost", &detail).await?;
            self.tell(Notice::Lost(lost));
        }
        Ok(())
    }

    /// Keeps the shadow current until something is asked or the window ends.
    async fn follow(&mut self, line: &mut Line) -> Result<(), Halt> {
        if self.change.state != State::Ready {
            line.rest().await?;
        }
        self.tell_of_window().await?;
        self.follow_on(line).await
    }

    pub(super) async fn tell_of_window(&mut self) -> Result<(), Halt> {
        if self.awaits_window()
            && let Some((wait, windows)) = self.window_closed().await?
        {
            self.tell(Notice::CutoverWaits { windows, opens_in_s: wait.as_secs() });
        }
        Ok(())
    }

    async fn follow_on(&mut self, line: &mut Line) -> Result<(), Halt> {
        line.catch_up_with_server().await?;
        if line.past.unproven.is_some() && self.doubted != line.past.unproven {
            return self.prove(line).await.map(drop);
        }
        if self.change.reason.is_some() && line.past.unproven.is_none() {
            // What stood in the way is gone.
            let state = self.change.state;
            let note = Note { reason: Some(None), ..Note::default() };
            store::save(&mut self.session, self.ownership.fence, &self.change, state, &note).await?;
            self.reload().await?;
        }
        let mut checked = Instant::now();
        loop {
            if self.change.state == State::Ready {
                line.leave().await?;
            }
            line.follow().await?;
            self.verify_in_background(line).await?;
            if checked.elapsed() >= WINDOW_CHECK {
                checked = Instant::now();
                self.reload().await?;
                if self.awaits_window()
                    && self.window_closed().await?.is_none()
                    && self.known_difference().await?.is_none()
                {
                    return self.happens(&Event::CutoverDue, Note::default()).await;
                }
                if self.change.window_over {
                    return self.happens(&Event::WindowEnded, Note::default()).await;
                }
                self.look_out().await?;
            }
        }
    }

    /// Answers the oldest request: granted wishes become the state, and the work goes on from there.
    pub(super) async fn answer(&mut self) -> Result<(), Halt> {
        let Some(request) = store::open_request(&mut self.session, self.change.id).await? else {
            return Ok(());
        };
        let (answer, verb) = match Verb::parse(&request.verb) {
            None if request.verb == SET => (self.set(&request).await?, None),
            Some(verb) => match self.wish(verb, Consents::read(request.argument.as_deref())).await {
                Ok(()) => (Answer { granted: true, why: String::new(), advice: String::new() }, Some(verb)),
                Err(Halt::Refused(no)) => {
                    (Answer { granted: false, why: no.what, advice: no.next }, Some(verb))
                }
                Err(halt) => return Err(halt),
            },
            None => {
                let why = format!("the owner of the change does not know `{}`", request.verb);
                (
                    Answer { granted: false, why, advice: "use the same version of rsc everywhere".into() },
                    None,
                )
            }
        };
        store::answer(&mut self.session, request.id, &answer).await?;
        if let Some(wanted) =
            verb.filter(|_| answer.granted).and_then(|verb| Wanted::by(verb, Some(request.id)))
        {
            self.wanted = Some(wanted);
        }
        if let Some(verb) = verb {
            self.tell(Notice::Asked { verb, by: request.asked_by, granted: answer.granted });
        }
        Ok(())
    }

    /// Takes other limits, for the rest of the change.
    async fn set(&mut self, request: &Request) -> Result<Answer, Halt> {
        let settings = request.argument.as_deref().unwrap_or_default();
        let settings: Vec<String> = serde_json::from_str(settings).unwrap_or_default();
        if Limits::carries_sql(&settings) {
            let (why, advice) = (limits::NO_SQL.into(), limits::HOW_INSTEAD.into());
            return Ok(Answer { granted: false, why, advice });
        }
        let limits = match self.change.options.limits.with(&settings) {
            Ok(limits) => limits,
            Err(why) => {
                let advice = "use the same version of rsc everywhere".into();
                return Ok(Answer { granted: false, why, advice });
            }
        };
        let note = Note { limits: Some(limits), ..Note::default() };
        let state = self.change.state;
        store::save(&mut self.session, self.ownership.fence, &self.change, state, &note).await?;
        self.change = load(&mut self.session, self.change.id).await?;
        store::record_event(&mut self.session, self.change.id, SET, &json!({ "limits": settings })).await?;
        let replicas = Limit::Replicas.name();
        if settings.iter().any(|setting| setting.trim_start_matches("--").starts_with(replicas)) {
            self.anew += 1;
        }
        self.tell(Notice::LimitsSet { by: request.asked_by.clone(), settings });
        Ok(Answer { granted: true, why: String::new(), advice: String::new() })
    }

    /// A reason that does not go away. Before the first swap the change fails and is cleaned up. After it the
    /// reason is put on record, and a wish that cannot be carried out is taken back.
    async fn definite(&mut self, told: Told, severed: bool) -> Result<(), Halt> {
        let note = Note { reason: Some(Some(told.what.clone())), ..Note::default() };
        let whole = self.change.options.kind.whole();
        match self.change.state {
            State::Failing | State::Cancelling | State::Completing => Err(Trouble::Stop(told).into()),
            state if state.before_first_swap() => {
                self.happens(&Event::Broke, note).await?;
                while !self.change.state.ended() {
                    self.drop_shadow().await?;
                }
                Err(Halt::Failed { told, kind: self.change.options.kind })
            }
            State::Reverting if whole => self.take_back_whole(Verb::Revert, told).await,
            State::Reapplying if whole => self.take_back_whole(Verb::Reapply, told).await,
            State::Reverting | State::Reapplying => {
                self.happens(&Event::Asked(Verb::Cancel), note).await?;
                Err(Halt::Blocked { told, severed })
            }
            state => {
                store::save(&mut self.session, self.ownership.fence, &self.change, state, &note).await?;
                self.tell(Notice::Blocked { why: told.what.clone() });
                Err(Halt::Blocked { told, severed })
            }
        }
    }
}
