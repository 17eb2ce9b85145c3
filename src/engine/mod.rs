//! Drives a change through its life.
//!
//! `driver` takes the state from the journal, does the work of that state, and lets
//! [`step`](crate::lifecycle::step::step) choose the next. `line` holds the connections while rows move,
//! `in_place` lets the server do it, `whole` gives a table that comes or goes its other name, `rounds` copies and catches up,
//! `indexing` builds what was left off, `verify` compares the tables, `swap` exchanges them, with an eye on `readers` and on
//! what `later` finds in its way; `throttle` looks whether all that
//! may go on, and `held` waits while it may not. `sampling` puts on record what `gauges` show, for people. Whoever has a
//! change's id can [`run`] it: the
//! command that started it, a later command, or a long-lived agent. Nothing is handed from one to the next but
//! what is on the server.

mod backoff;
mod driver;
mod evidence;
mod gauges;
mod halt;
mod held;
mod history;
mod in_place;
mod indexing;
pub mod later;
mod line;
mod missing;
mod oracle;
mod readers;
mod rounds;
mod sampling;
pub mod sides;
mod statistics;
mod swap;
mod throttle;
pub mod trouble;
mod verify;
mod wait;
pub mod whole;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::journal::fence::Birth;
use crate::lifecycle::consent::Consents;
use crate::lifecycle::event::Verb;
use crate::lifecycle::notice::Notice;
use crate::settings::Server;

pub use driver::run;
pub use indexing::against as against_deferring;
pub use line::threads as copy_threads;

/// Is told what happens. Must not block.
pub type Onlooker = Arc<dyn Fn(Notice) + Send + Sync>;

/// How long a run goes on, unless it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The wish is in the journal; a verification has been made.
    Asked,
    /// The operator has what was last asked for.
    Settled,
    /// The change has ended or its window is over; the stream is kept until then.
    Ended,
}

/// One run of the engine on one change.
#[derive(Clone)]
pub struct Job {
    pub server: Server,
    pub change: u64,
    /// A wish to carry out; `None` only goes on with what was begun.
    pub ask: Option<Verb>,
    /// What the wish is to go past.
    pub consents: Consents,
    pub until: Until,
    /// While the stream is kept, the tables are compared in the background: a pass begins so long after the one before.
    /// Zero: never.
    pub verify_every: Duration,
    /// This process was started to make the change: if it is stopped before the first swap, the change stands still until
    /// somebody says what is to become of it.
    pub makes: bool,
    /// Where this process has just journaled the change.
    pub birth: Birth,
    /// The throttle query of this process's own command line or configuration. No other is run, whatever the journal says.
    pub throttle_query: Option<String>,
    pub onlooker: Onlooker,
    /// Becomes true when the process is to end. The statement in flight is finished first.
    pub stop: watch::Receiver<bool>,
}
