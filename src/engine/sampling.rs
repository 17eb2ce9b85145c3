//! Puts what an engine is at on record, about once a second, on a connection of its own. A sample that cannot be written
//! is left out, and the next is tried: no change waits for it, and none fails by it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::gauges::Gauges;
use crate::journal::fence::Fence;
use crate::journal::sample;
use crate::lifecycle::sample::{Activity, SETTLED_EVERY};
use crate::session::{Session, SqlError};
use crate::settings::Server;

const BEAT: Duration = Duration::from_secs(1);
/// Older samples are let go of at every so manieth beat.
const THIN_EVERY: u64 = 64;
/// A server that does not take a sample for so long takes none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Goes on until it is dropped.
pub struct Sampling(JoinHandle<()>);

impl Drop for Sampling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sampling {
    pub fn start(server: Server, fence: Fence, gauges: Arc<Gauges>) -> Self {
        Self(tokio::spawn(go_on(server, fence, gauges)))
    }
}

async fn go_on(server: Server, fence: Fence, gauges: Arc<Gauges>) {
    let mut recorder = Recorder { server, fence, session: None, next: None };
    loop {
        tokio::time::sleep(BEAT).await;
        if tokio::time::timeout(PATIENCE, recorder.beat(&gauges)).await.is_err() {
            recorder.session = None;
        }
    }
}

struct Recorder {
    server: Server,
    fence: Fence,
    session: Option<Session>,
    /// The next beat; unknown before the first.
    next: Option<u64>,
}

impl Recorder {
    async fn beat(&mut self, gauges: &Gauges) {
        if let Some(beat) = &mut self.next {
            *beat += 1;
        }
        let Some(sample) = gauges.read(Instant::now()) else { return };
        let settled = sample.activity == Activity::Following;
        let due = self.next.is_none_or(|beat| !settled || beat.is_multiple_of(SETTLED_EVERY));
        if !due {
            return;
        }
        if let Err(error) = self.record(&sample).await {
            tracing::debug!(%error, "a sample was not put on record");
            self.session = None;
        }
        // Of many changes that are settled, each would have a connection for little.
        if settled {
            self.session = None;
        }
    }

    async fn record(&mut self, now: &crate::lifecycle::sample::Sample) -> Result<(), SqlError> {
        let session = match &mut self.session {
            Some(open) => open,
            none => none.insert(Session::open(&self.server).await?),
        };
        let beat = match self.next {
            Some(beat) => beat,
            None => *self.next.insert(sample::next_beat(session, self.fence.change).await?),
        };
        sample::write(session, self.fence, beat, now).await?;
        if beat.is_multiple_of(THIN_EVERY) {
            sample::thin(session, self.fence.change, beat).await?;
        }
        Ok(())
    }
}
