//! The connections and the place in the stream while rows move from the live table to the shadow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::gauges::Gauges;
use super::held::Held;
use super::history::{self, Begun, Past};
use super::readers::Readers;
use super::sides::{self, Sides};
use super::throttle::Throttle;
use super::trouble::Trouble;
use super::verify::Touched;
use super::{Job, Onlooker};
use crate::error::Told;
use crate::journal::fence::{Fence, Ownership};
use crate::journal::record::Change;
use crate::journal::store;
use crate::lifecycle::notice::Notice;
use crate::lifecycle::retention::shortage;
use crate::mysql::apply::{Applier, Form};
use crate::mysql::binlog::stream::{self, Reader};
use crate::mysql::{copy, indexes, readers, retention, server_settings};
use crate::rows::compaction::Compaction;
use crate::rows::coverage::Coverage;
use crate::rows::gtid_set::{GtidSet, Source};
use crate::rows::key_range::Frontier;
use crate::rows::pacing::Pacing;
use crate::session::{Session, SqlError};
use crate::settings::Server;

/// Keys and rows that a window holds at most.
const WINDOW_ENTRIES: usize = 20_000;
/// Bytes of keys and images that a window holds at most, by default.
pub const WINDOW_BYTES: usize = 16 << 20;
/// A request is answered within a second: looked for so often.
const REQUESTS_EVERY: Duration = Duration::from_millis(200);
const NOTICE_EVERY: Duration = Duration::from_millis(500);
/// Whether binlogs run short is looked at so often, and a warning is worth a line so often.
const BINLOGS_LOOK: Duration = Duration::from_secs(2);
const BINLOGS_WARNED: Duration = Duration::from_secs(60);

/// How the next window is applied. After a conflict with more care than usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Care {
    pub form: Form,
    pub entries: usize,
    pub bytes: usize,
}

impl Care {
    pub const USUAL: Care = Care { form: Form::Update, entries: WINDOW_ENTRIES, bytes: WINDOW_BYTES };
    /// The whole backlog as one window, so that it ends at an exact position, and whatever was mended within it
    /// does not matter any more. No transaction is split. Memory is bounded by the backlog only.
    pub const WHOLE: Care = Care { form: Form::Rebuild, entries: usize::MAX, bytes: usize::MAX };
    /// The same, where what still does not fit is put into the ledger.
    pub const PARK: Care = Care { form: Form::Park, ..Care::WHOLE };

    /// Whether the window is the whole backlog.
    pub fn whole(self) -> bool {
        self.entries == usize::MAX
    }
}

/// Side by side more batches than this would only wait for each other.
const THREADS_MAX: u64 = 4;
/// Where the server's cores are not known.
const THREADS_UNKNOWN: u64 = 2;

/// So many batches are copied side by side; `asked`: what the operator wants.
pub async fn threads(server: &Server, session: &mut Session, asked: Option<u64>) -> Result<usize, SqlError> {
    let threads = match asked {
        Some(threads) => threads,
        None => match indexes::machine(server, session).await? {
            Some((cores, _)) => cores.min(THREADS_MAX),
            None => THREADS_UNKNOWN,
        },
    };
    Ok(usize::try_from(threads.max(1)).unwrap_or(1))
}

pub struct Line {
    pub server: Server,
    pub change: Change,
    pub fence: Fence,
    /// Another process has taken over.
    lost: watch::Receiver<bool>,
    /// See [`Job::throttle_query`].
    pub throttle_query: Option<String>,
    onlooker: Onlooker,
    pub gauges: Arc<Gauges>,
    /// The server's clock, in microseconds since the epoch, at a moment.
    clock: (u64, Instant),
    pub stop: watch::Receiver<bool>,
    /// For the journal and for looking at the server. Never holds a transaction open between two calls.
    pub control: Session,
    /// Looks up the bounds of batches.
    pub scout: Session,
    /// For copy batches; those that are at none.
    pub copiers: Vec<Session>,
    /// So many batches may be copied side by side.
    pub threads: usize,
    /// The last round met something: one batch at a time, so that no batch is in the way of another.
    pub careful: bool,
    pub applier: Applier,
    pub reader: Reader,
    pub sides: Sides,
    /// Who may read the shadow with an old snapshot, once it is live.
    pub readers: Readers,
    /// Up to here everything has been applied. May be ahead of the journal by transactions without our rows.
    pub position: GtidSet,
    /// What is known of the history that it is of.
    pub past: Past,
    /// Until when the last of the stream may be read under the locks.
    pub deadline: Option<Instant>,
    /// What has been copied, and the same as a condition.
    pub coverage: Coverage,
    pub frontier: Frontier,
    /// No row of the shadow is from after the position.
    pub exact: bool,
    pub pacing: Pacing,
    pub copied: u64,
    /// One-row batches in a row whose duplicate could be neither proven nor ruled out.
    pub conflicts: u32,
    pub literals: Vec<String>,
    pub net: Compaction,
    pub care: Care,
    /// A TRUNCATE that ended the window before it, and is to be followed next.
    pub truncated: Option<(Source, u64)>,
    /// While rows are compared, the keys that the stream brings.
    pub touched: Option<Touched>,
    /// What the onlooker knows of parked rows.
    pub told_parked: u64,
    /// When parked rows are tried again.
    pub retry_at: Instant,
    pub applied: u64,
    /// The time that writing windows has taken.
    pub applying: Duration,
    /// What the onlooker knows of it.
    pub told_applied: Option<u64>,
    pub saved_at: Instant,
    /// In the last window the stream had nothing more.
    pub nothing_left_at: Option<Instant>,
    asked_at: Instant,
    noticed_at: Instant,
    /// When to look whether binlogs run short.
    binlogs_next: Instant,
    binlogs_short: bool,
    /// The shadow has been given its statistics.
    pub measured: bool,
    /// While there is something that could be throttled.
    pub throttle: Option<Throttle>,
    pub held: Option<Held>,
    /// The stream goes on, whatever throttles.
    pub hurried: bool,
}

/// A process may have been killed while it closed the shadow to old snapshots: what it had begun is ended.
async fn complete_outdating(
    server: &Server,
    control: &mut Session,
    change: &Change,
    fence: Fence,
) -> Result<(), Trouble> {
    let Some(serving) = sides::serving(control, change).await? else { return Ok(()) };
    let shadow = change.twin(serving);
    if readers::left(control, &shadow).await? {
        control.run("START TRANSACTION").await?;
        fence.share(control).await?;
        let mut session = Session::open(server).await?;
        readers::clear(&mut session, &shadow, &sides::mark(change.id)).await?;
        control.run("COMMIT").await?;
    }
    Ok(())
}

impl Line {
    pub async fn open(
        job: &Job,
        change: &Change,
        ownership: &Ownership,
        gauges: &Arc<Gauges>,
    ) -> Result<Self, Trouble> {
        let server = &job.server;
        let mut control = Session::open(server).await?;
        complete_outdating(server, &mut control, change, ownership.fence).await?;
        let sides = Sides::look(&mut control, change).await?;
        as_it_began(&mut control, change).await?;
        let coverage = store::coverage(&mut control, change.id).await?;
        let copied = store::rows_copied(&mut control, change.id).await?;
        let threads = threads(server, &mut control, change.options.copy_threads).await?;
        let statements = sides.statements();
        let literals = copy::key_literals(&statements, "d")
            .ok_or_else(|| Trouble::Definite(Told::new("the key has a type that cannot be paged by")))?;
        let begun = history::begin(&mut control, server, ownership.fence, sides.watched()).await?;
        let Begun { reader, position, past } = begun;
        let time = control.text("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)").await?;
        let now = Instant::now();
        let mut line = Self {
            server: server.clone(),
            change: change.clone(),
            fence: ownership.fence,
            lost: ownership.lost.clone(),
            throttle_query: job.throttle_query.clone(),
            onlooker: job.onlooker.clone(),
            gauges: Arc::clone(gauges),
            clock: (time.and_then(|time| time.parse().ok()).unwrap_or(0), now),
            stop: job.stop.clone(),
            scout: Session::open(server).await?,
            copiers: Vec::new(),
            threads,
            careful: false,
            applier: Applier::open(server, statements, sides.ledger(change.id), sides.keeps_ledger()).await?,
            control,
            reader,
            sides,
            readers: Readers::new(),
            position,
            past,
            deadline: None,
            frontier: coverage.frontier(),
            coverage,
            exact: false,
            pacing: Pacing::new(change.options.batch()),
            copied,
            conflicts: 0,
            literals,
            net: Compaction::new(),
            care: Care::USUAL,
            truncated: None,
            touched: None,
            told_parked: 0,
            retry_at: now,
            applied: 0,
            applying: Duration::ZERO,
            told_applied: None,
            saved_at: now,
            nothing_left_at: None,
            asked_at: now,
            noticed_at: now.checked_sub(NOTICE_EVERY).unwrap_or(now),
            binlogs_next: now,
            binlogs_short: false,
            measured: false,
            throttle: None,
            held: None,
            hurried: false,
        };
        // Whoever swapped may have been killed just after it.
        line.renew_ledger().await?;
        Ok(line)
    }

    /// The ledger may be from before the old schema served for a while.
    pub async fn renew_ledger(&mut self) -> Result<(), Trouble> {
        if let Some(swapped_at) = store::swapped_at(&mut self.control, &self.change).await? {
            self.applier.renew_ledger(self.fence, &self.position, &swapped_at).await?;
        }
        Ok(())
    }

    /// Before another session of this process changes the shadow's definition, which waits for every transaction that has
    /// used the table. The applier's session has autocommit off, so also what it has only read counts. Only between two
    /// windows, when nothing is pending.
    pub async fn stand_back(&mut self) -> Result<(), Trouble> {
        Ok(self.applier.settle().await?)
    }

    /// Gives up what has been read or applied since the last commit, and reads it again.
    pub async fn reopen(&mut self) -> Result<(), Trouble> {
        self.applier.rollback().await?;
        self.net.clear();
        self.truncated = None;
        self.deadline = None;
        let watched = self.sides.watched();
        let begun = history::begin(&mut self.control, &self.server, self.fence, watched).await?;
        Begun { reader: self.reader, position: self.position, past: self.past } = begun;
        Ok(())
    }

    /// Between two pieces of work: is there a reason to stop, or a wish to look at?
    pub async fn breathe(&mut self) -> Result<(), Trouble> {
        if *self.stop.borrow() {
            return Err(Trouble::Interrupted);
        }
        if *self.lost.borrow() {
            return Err(Trouble::Owned("another process, which has taken over".into()));
        }
        if self.asked_at.elapsed() >= REQUESTS_EVERY {
            self.asked_at = Instant::now();
            // Not every account is bound by it.
            if store::read_only(&mut self.control).await? {
                return Err(Trouble::Lost("the server has become read-only".into()));
            }
            if store::open_request(&mut self.control, self.change.id).await?.is_some() {
                return Err(Trouble::Asked);
            }
            self.watch_history(None).await?;
        }
        Ok(())
    }

    /// The other table shows all that was committed before the transaction that was read last, or, if nothing was left to
    /// read, up to then.
    pub fn tell_current(&self, nothing_left_at: Option<Instant>) {
        let (clock_us, at) = self.clock;
        let committed = self.reader.committed_us();
        let behind = Duration::from_micros(clock_us.saturating_sub(committed));
        let ahead = Duration::from_micros(committed.saturating_sub(clock_us));
        let committed_at = (committed > 0).then(|| at.checked_sub(behind)).flatten().map(|at| at + ahead);
        if let Some(at) = nothing_left_at.or(committed_at) {
            self.gauges.current(at.min(Instant::now()));
        }
    }

    pub fn tell(&self, notice: Notice) {
        (self.onlooker)(notice);
    }

    /// Tells, but not more often than a person can read. Returns whether it did.
    pub fn tell_now_and_then(&mut self, notice: impl FnOnce() -> Notice) -> bool {
        let due = self.noticed_at.elapsed() >= NOTICE_EVERY;
        if due {
            self.noticed_at = Instant::now();
            self.tell(notice());
        }
        due
    }

    /// The time of what the stream needs next, in seconds since the epoch by the server's clock.
    pub async fn needed_since(&mut self) -> Result<u64, Trouble> {
        // Nothing yet, or nobody can tell: then from now on.
        match stream::oldest_needed(&self.server, &self.position).await {
            Ok(Some(time)) => Ok(time),
            Ok(None) | Err(_) => Ok(store::now_s(&mut self.control).await?),
        }
    }

    /// Warns while there is time: what the stream needs next may be purged before it gets there. Returns whether that is so.
    pub async fn look_after_binlogs(&mut self, needed_since: u64) -> Result<bool, Trouble> {
        if Instant::now() < self.binlogs_next {
            return Ok(self.binlogs_short);
        }
        self.binlogs_next = Instant::now() + BINLOGS_LOOK;
        let kept_s = retention::kept_s(&mut self.control).await?;
        let short = shortage(store::now_s(&mut self.control).await?, needed_since, kept_s);
        self.binlogs_short = short.is_some();
        if let Some(shortage) = short {
            self.binlogs_next = Instant::now() + BINLOGS_WARNED;
            self.tell(Notice::BinlogsShort(shortage));
        }
        Ok(self.binlogs_short)
    }

    /// How far the last event is behind the server's clock, in seconds.
    pub async fn behind(&mut self) -> Result<u64, Trouble> {
        let event = u64::from(self.reader.event_time());
        Ok(if event == 0 { 0 } else { store::now_s(&mut self.control).await?.saturating_sub(event) })
    }
}

/// The values of expressions are those of the server's settings when the change began.
async fn as_it_began(control: &mut Session, change: &Change) -> Result<(), Trouble> {
    match server_settings::changed(control, &change.options.meaning).await? {
        None => Ok(()),
        Some((what, undo)) => Err(Trouble::Stop(Told::new(format!(
            "{what}, and expressions of {} depend on it; undo that with `{undo}`, or end the change",
            change.table.plain()
        )))),
    }
}
