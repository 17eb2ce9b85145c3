//! Waiting while something throttles, and saying so.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::line::Line;
use super::throttle::Throttle;
use super::trouble::Trouble;
use crate::error::Told;
use crate::journal::record::Change;
use crate::journal::{store, throttle as journal};
use crate::lifecycle::notice::Notice;
use crate::lifecycle::throttle::{Reason, Verdict};

/// The verdict is looked at so often, and before there is one.
const LOOK: Duration = Duration::from_millis(50);
const LOOK_FOR_THE_FIRST: Duration = Duration::from_millis(5);
/// What only changes in number is told so often.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// A wait that was shorter is not put on record.
const WORTH_A_RECORD: Duration = Duration::from_secs(1);
/// Whether the server may purge what the stream needs is looked into when it has waited for so long, and again so often.
const BINLOGS_AFTER: Duration = Duration::from_secs(3);
const BINLOGS_AGAIN: Duration = Duration::from_secs(60);

/// A wait under way.
pub struct Held {
    since: Instant,
    kinds: Vec<String>,
    told: Instant,
    recorded: bool,
    /// When the oldest transaction that the stream needs was looked for, and its time.
    needed: Option<(Instant, u64)>,
}

impl Line {
    /// The change as the journal has it now. `anew`: see [`Throttle::set`].
    pub fn renew(&mut self, change: &Change, anew: u32) {
        self.change.clone_from(change);
        if let Some(throttle) = &self.throttle {
            throttle.set(&change.options.limits, anew);
        }
    }

    /// Whether the next piece of work would have to wait.
    pub fn throttled(&self) -> bool {
        let verdict = self.throttle.as_ref().and_then(Throttle::verdict);
        verdict.is_some_and(|verdict| !verdict.free())
    }

    /// Whether the stream waits with everything else; see [`crate::lifecycle::throttle`].
    pub fn stream_waits(&self) -> bool {
        self.change.state.before_first_swap() && !self.hurried
    }

    /// Returns when nothing throttles.
    pub async fn leave(&mut self) -> Result<(), Trouble> {
        loop {
            self.breathe().await?;
            let limits = &self.change.options.limits;
            let throttle = self.throttle.get_or_insert_with(|| {
                Throttle::begin(&self.server, self.fence, limits, self.throttle_query.as_deref())
            });
            let Some(mut verdict) = throttle.verdict() else {
                sleep(LOOK_FOR_THE_FIRST).await;
                continue;
            };
            if let Some(why) = verdict.critical.take() {
                if self.change.state.before_first_swap() {
                    return Err(self.stop_for(why).await?);
                }
                // The process keeps the way back, and that is not given up for a verification.
                verdict.reasons.push(Reason::Critical { why });
            }
            if verdict.free() {
                return self.let_go().await;
            }
            self.hold(&verdict).await?;
            if self.stream_waits() && !self.short_of_binlogs().await? {
                sleep(LOOK).await;
            } else {
                self.hurried = true;
                let followed = Box::pin(self.follow()).await;
                self.hurried = false;
                followed?;
            }
        }
    }

    async fn stop_for(&mut self, why: String) -> Result<Trouble, Trouble> {
        let detail = json!({ "why": why });
        store::record_event(&mut self.control, self.change.id, "critical_load", &detail).await?;
        Ok(Trouble::Stop(Told::new(format!("stopped by a critical load: {why}"))))
    }

    /// Nothing is done that could be throttled: neither heartbeats nor looks at the server are needed.
    pub async fn rest(&mut self) -> Result<(), Trouble> {
        self.held = None;
        if self.throttle.take().is_some() {
            journal::forget(&mut self.control, self.fence).await?;
        }
        Ok(())
    }

    async fn hold(&mut self, verdict: &Verdict) -> Result<(), Trouble> {
        let now = Instant::now();
        let reasons: Vec<String> = verdict.reasons.iter().map(Reason::to_string).collect();
        let kinds: Vec<String> = verdict.reasons.iter().map(Reason::kind).collect();
        let begins = self.held.is_none();
        if begins && verdict.reasons == [Reason::Calming] {
            // It came and went while something else was done.
            return Ok(());
        }
        let held = self.held.get_or_insert_with(|| Held {
            since: now,
            kinds: Vec::new(),
            told: now,
            recorded: false,
            needed: None,
        });
        let news = held.kinds != kinds && (begins || verdict.reasons != [Reason::Calming]);
        let for_s = held.since.elapsed().as_secs_f64();
        let record = !held.recorded && held.since.elapsed() >= WORTH_A_RECORD;
        held.recorded |= record;
        let tell = news || held.told.elapsed() >= TELL_EVERY;
        if tell {
            held.told = now;
        }
        if news {
            held.kinds = kinds;
        }
        if record {
            let detail = json!({ "reasons": reasons });
            store::record_event(&mut self.control, self.change.id, "throttled", &detail).await?;
        }
        if tell {
            let lag_ms = verdict.lag.map(|lag| lag.as_secs_f64() * 1000.0);
            let kinds = verdict.reasons.iter().map(Reason::kind).collect();
            self.tell(Notice::Throttled { reasons, kinds, lag_ms, for_s, news });
        }
        Ok(())
    }

    async fn let_go(&mut self) -> Result<(), Trouble> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let after_s = held.since.elapsed().as_secs_f64();
        if held.recorded {
            let detail = json!({ "after_s": after_s });
            store::record_event(&mut self.control, self.change.id, "unthrottled", &detail).await?;
        }
        self.tell(Notice::Unthrottled { after_s });
        Ok(())
    }

    /// Whether the server may soon purge what the stream needs next.
    async fn short_of_binlogs(&mut self) -> Result<bool, Trouble> {
        let Some(held) = &self.held else { return Ok(false) };
        if held.since.elapsed() < BINLOGS_AFTER {
            return Ok(false);
        }
        let needed = match held.needed {
            Some((at, time)) if at.elapsed() < BINLOGS_AGAIN => time,
            Some(_) | None => {
                let time = self.needed_since().await?;
                if let Some(held) = &mut self.held {
                    held.needed = Some((Instant::now(), time));
                }
                time
            }
        };
        self.look_after_binlogs(needed).await
    }
}
