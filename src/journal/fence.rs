//! Who may write for a change: whoever was given the current epoch of its stream row.
//!
//! The heartbeat and the named lock only tell other processes whether it is polite to take over. What keeps a
//! process that was stopped for an hour from doing harm is that nothing of it commits under an old epoch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::history::Beside;
use super::record::{Owner, stream_table};
use crate::schema::table::string_literal;
use crate::session::{Session, SqlError, instance, number, text};
use crate::settings::Server;

/// An owner that has not been heard of for so long may be taken over from.
pub const LEASE_S: f64 = 10.0;
const BEAT: Duration = Duration::from_secs(2);
/// While an earlier owner's connection still holds the named lock. Once it is gone nobody must find the lock free for
/// long and take over from a process that has just begun.
const BEAT_WITHOUT_LOCK: Duration = Duration::from_millis(50);
/// A server notices that a process was killed, and whoever killed it goes on at once.
const NOTICED_AFTER: Duration = Duration::from_secs(1);
/// A stopped process may hold it for hours.
const BEATS_WITHOUT_LOCK: u32 = 60;
/// Between two statements of one transaction nobody who lives waits for so long.
const IDLE_S: u64 = 5;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    #[error("another process has taken over the change")]
    Fenced,
    #[error("the change is driven by {0}")]
    Owned(String),
    #[error("the stream row of the change is missing")]
    Missing,
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// The right to write for one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    pub change: u64,
    pub epoch: u64,
}

impl Fence {
    /// To be asked in every transaction that writes: holds off a takeover until the transaction ends.
    pub async fn share(&self, session: &mut Session) -> Result<(), FenceError> {
        self.judge(session.text(&self.question()).await?)
    }

    /// [`Fence::share`] as a statement that tests let go wrong.
    pub async fn share_at(&self, at: &'static str, session: &mut Session) -> Result<(), FenceError> {
        self.judge(session.text_at(at, &self.question()).await?)
    }

    fn question(&self) -> String {
        format!("SELECT epoch FROM {} WHERE one = 1 FOR SHARE", stream_table(self.change))
    }

    fn judge(&self, answer: Option<String>) -> Result<(), FenceError> {
        match answer.and_then(|v| v.parse().ok()) {
            Some(epoch) if self.epoch == epoch => Ok(()),
            Some::<u64>(_) => Err(FenceError::Fenced),
            None => Err(FenceError::Missing),
        }
    }

    /// The statement that moves the position with the rows it stands for, and what belongs to it. It must change exactly one
    /// row.
    pub fn advance(&self, position: &str, beside: &Beside) -> String {
        let beside = beside.assignments();
        format!(
            "UPDATE {} SET position = {}{}{beside} WHERE one = 1 AND epoch = {}",
            stream_table(self.change),
            string_literal(position),
            if beside.is_empty() { "" } else { ", " },
            self.epoch
        )
    }
}

/// The owner, if there is a row of one. `alive` needs a fresh heartbeat and a standing connection.
pub async fn owner(session: &mut Session, change: u64) -> Result<Option<Owner>, SqlError> {
    let row = session
        .first(&format!(
            "SELECT who, TIMESTAMPDIFF(MICROSECOND, heartbeat, NOW(6)) / 1000000, \
             IS_USED_LOCK({}) IS NOT NULL, instance FROM `_rsc`.`owner` WHERE change_id = {change}",
            lock_name(change)
        ))
        .await?;
    Ok(row.map(|row| {
        let silent_s = text(&row, 1).and_then(|v| v.parse().ok()).unwrap_or(f64::MAX);
        Owner {
            who: text(&row, 0).unwrap_or_default(),
            instance: text(&row, 3).unwrap_or_default(),
            silent_s,
            alive: silent_s < LEASE_S && number(&row, 2) == Some(1),
        }
    }))
}

fn lock_name(change: u64) -> String {
    format!("'rsc.change.{change}'")
}

/// This process, as other people would look for it.
pub fn myself() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    format!("process {} on {}", std::process::id(), if host.is_empty() { "unknown host" } else { host })
}

/// The session in which this process has journaled a change. It holds the change's lock, so the change has an owner as soon
/// as others can see it, and the first claim goes on with it.
#[derive(Clone, Default)]
pub struct Birth(Arc<Mutex<Option<Session>>>);

impl Birth {
    pub fn of(session: Session) -> Self {
        Self(Arc::new(Mutex::new(Some(session))))
    }

    /// Nothing holds it while it waits or panics.
    fn take(&self) -> Option<Session> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// To be asked in the transaction in which a change is journaled: no agent takes it for one that nobody drives.
pub async fn own_from_birth(session: &mut Session, change: u64) -> Result<(), SqlError> {
    session.run(&format!("DO GET_LOCK({}, 0)", lock_name(change))).await?;
    session
        .run(&format!(
            "INSERT INTO `_rsc`.`owner` (change_id, epoch, who, instance, heartbeat) VALUES ({change}, 0, {}, '{}', NOW(6))",
            string_literal(&myself()),
            instance()
        ))
        .await
        .map(|_| ())
}

/// A claimed change: its fence, and the heartbeat that goes on until this is dropped.
pub struct Ownership {
    pub fence: Fence,
    /// Becomes true when the heartbeat finds that another process has taken over.
    pub lost: watch::Receiver<bool>,
    beating: tokio::task::JoinHandle<()>,
}

impl Ownership {
    /// Gives the change up, so that another process need not wait for the lease to end.
    pub async fn release(self, session: &mut Session) -> Result<(), SqlError> {
        session
            .run_at(
                "release.owner",
                &format!(
                    "DELETE FROM `_rsc`.`owner` WHERE change_id = {} AND epoch = {}",
                    self.fence.change, self.fence.epoch
                ),
            )
            .await?;
        Ok(())
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

/// Takes the change from nobody, or from an owner that is dead. Waits until all that an earlier owner has in
/// flight has ended; `SqlError::Server` 1205 means that this took longer than the session's lock wait timeout.
pub async fn claim(
    server: &Server,
    session: &mut Session,
    change: u64,
    birth: &Birth,
) -> Result<Ownership, FenceError> {
    // An owner of this very process is an earlier attempt of it, whose connection the server has not let go yet.
    let mut before = owner(session, change).await?;
    let began = Instant::now();
    while let Some(owner) = before.as_ref().filter(|owner| owner.alive && owner.instance != instance()) {
        if began.elapsed() > NOTICED_AFTER {
            return Err(FenceError::Owned(owner.who.clone()));
        }
        tokio::time::sleep(BEAT_WITHOUT_LOCK).await;
        before = self::owner(session, change).await?;
    }
    let mut beat = match birth.take() {
        Some(session) => session,
        None => Session::open(server).await?,
    };
    // Not decisive: a stopped process may hold it still.
    beat.run(&format!("DO GET_LOCK({}, 0)", lock_name(change))).await?;
    if let Some(before) = &before {
        end_sleepers(session, &before.instance).await;
    }
    session.run_at("claim.start", "START TRANSACTION").await?;
    let claimed = increment(session, change, before.as_ref()).await;
    match &claimed {
        Ok(_) => session.run_at("claim.commit", "COMMIT").await?,
        Err(_) => session.run("ROLLBACK").await?,
    };
    let fence = claimed?;
    let (tell, lost) = watch::channel(false);
    let beating = tokio::spawn(beat_on(server.clone(), beat, fence, tell));
    Ok(Ownership { fence, lost, beating })
}

/// A process that was stopped within a transaction holds tables, and perhaps rows, for as long as its connections
/// stand: also by a transaction that has only read. Its lease is over, so these connections are ended, where this
/// account may see and do that; otherwise they are waited for.
async fn end_sleepers(session: &mut Session, earlier: &str) {
    let sleepers = session
        .rows(&format!(
            "SELECT DISTINCT t.PROCESSLIST_ID FROM performance_schema.metadata_locks l \
             JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID \
             JOIN performance_schema.user_variables_by_thread v ON v.THREAD_ID = l.OWNER_THREAD_ID \
             WHERE v.VARIABLE_NAME = 'rsc_instance' AND v.VARIABLE_VALUE = {} \
             AND l.OBJECT_TYPE = 'TABLE' AND l.LOCK_STATUS = 'GRANTED' \
             AND t.PROCESSLIST_COMMAND = 'Sleep' AND t.PROCESSLIST_TIME >= {IDLE_S}",
            string_literal(earlier)
        ))
        .await
        .unwrap_or_default();
    for connection in sleepers.iter().filter_map(|row| number(row, 0)) {
        // It may have ended by itself.
        let _ = session.run(&format!("KILL {connection}")).await;
    }
}

/// Several may have found the change without a living owner. The first one has it: the others would only take it from it.
async fn increment(session: &mut Session, change: u64, before: Option<&Owner>) -> Result<Fence, FenceError> {
    let stream = stream_table(change);
    let done = session
        .run_at("claim.epoch", &format!("UPDATE {stream} SET epoch = epoch + 1 WHERE one = 1"))
        .await?;
    if done.affected != 1 {
        return Err(FenceError::Missing);
    }
    // Behind that lock: whoever claimed it meanwhile has committed.
    if let Some(now) = owner(session, change).await?
        && now.instance != instance()
        && before.is_none_or(|before| before.instance != now.instance)
    {
        return Err(FenceError::Owned(now.who));
    }
    let epoch = session.text(&format!("SELECT epoch FROM {stream} WHERE one = 1")).await?;
    let epoch: u64 = epoch.and_then(|v| v.parse().ok()).ok_or(FenceError::Missing)?;
    let who = string_literal(&myself());
    // One unique key, so ON DUPLICATE KEY UPDATE can only mean this row.
    session
        .run_at("claim.owner", &format!(
            "INSERT INTO `_rsc`.`owner` (change_id, epoch, who, instance, heartbeat) \
             VALUES ({change}, {epoch}, {who}, '{instance}', NOW(6)) \
             ON DUPLICATE KEY UPDATE epoch = {epoch}, who = {who}, instance = '{instance}', heartbeat = NOW(6)",
            instance = instance()
        ))
        .await?;
    Ok(Fence { change, epoch })
}

async fn beat_on(server: Server, first: Session, fence: Fence, tell: watch::Sender<bool>) {
    let mut session = Some(first);
    let mut pause = BEAT_WITHOUT_LOCK;
    let mut eager = BEATS_WITHOUT_LOCK;
    loop {
        tokio::time::sleep(pause).await;
        pause = BEAT;
        if session.is_none() {
            session = Session::open(&server).await.ok();
        }
        let Some(open) = &mut session else { continue };
        match beat(open, fence).await {
            Ok(Beat::Owner { has_lock: true }) => {}
            Ok(Beat::Owner { has_lock: false }) if eager > 0 => {
                eager -= 1;
                pause = BEAT_WITHOUT_LOCK;
            }
            Ok(Beat::Owner { has_lock: false }) => {}
            Ok(Beat::TakenOver) => {
                // Nobody listens any more when the sending fails.
                let _ = tell.send(true);
                return;
            }
            Err(_) => session = None,
        }
    }
}

enum Beat {
    Owner { has_lock: bool },
    TakenOver,
}

async fn beat(session: &mut Session, fence: Fence) -> Result<Beat, SqlError> {
    let lock = session.text(&format!("SELECT GET_LOCK({}, 0)", lock_name(fence.change))).await?;
    let done = session
        .run(&format!(
            "UPDATE `_rsc`.`owner` SET heartbeat = NOW(6) WHERE change_id = {} AND epoch = {}",
            fence.change, fence.epoch
        ))
        .await?;
    Ok(match done.affected {
        1 => Beat::Owner { has_lock: lock.as_deref() == Some("1") },
        _ => Beat::TakenOver,
    })
}
