//! What an onlooker may be told while a change is driven.

use super::event::Verb;
use super::retention::Shortage;
use super::state::{Serving, State};
use super::verification::Verification;
use crate::schema::kind::Kind;

/// The parts of a freeze, in milliseconds. Only `freeze_ms` is time in which the application waited for sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Freeze {
    /// From asking for the locks to having them. Writers may have waited behind the request.
    pub lock_wait_ms: f64,
    /// Reading the last of the stream.
    pub drain_ms: f64,
    /// Writing it, with its position.
    pub apply_ms: f64,
    pub rename_ms: f64,
    /// From the locks granted to the locks released.
    pub freeze_ms: f64,
}

/// A connection that holds the table, as a person would look for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Blocker {
    pub connection: u64,
    pub user: String,
    pub host: String,
    /// What it runs now; empty for an open transaction that does nothing.
    pub query: String,
    /// How long it has been at this; for a transaction, since it began.
    pub seconds: u64,
    /// It runs nothing: `query` was the last statement of an open transaction.
    pub idle: bool,
    /// An application's connection. Not one of replication, of the server itself or of rsc.
    #[serde(skip)]
    pub application: bool,
}

/// What a revert has left behind: it is in the new table, and on record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// Rows that the old schema cannot hold at all.
    #[serde(rename = "parked_rows")]
    pub rows: u64,
    /// Values that it holds only as the nearest it can.
    #[serde(rename = "lost_values")]
    pub values: u64,
    /// The first of these, for people.
    pub named: Vec<String>,
}

/// Why a swap waits for those who might read the new live table short.
pub const OLD_SNAPSHOT: &str =
    "a transaction's snapshot is older than the rows of the table that is to become live";

#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The change exists in the journal, or has been taken up again.
    Started {
        id: u64,
        table: String,
        state: State,
    },
    Entered {
        kind: Kind,
        state: State,
    },
    /// Of about `estimate` rows.
    Copied {
        rows: u64,
        estimate: u64,
        rows_per_s: f64,
        eta_s: Option<f64>,
    },
    /// The new table is made.
    Made {
        /// So many indexes are built after the copy.
        deferred: usize,
        /// Why those that could be are not.
        because: Option<String>,
    },
    /// The server builds the indexes that were left off.
    Indexing {
        indexes: usize,
        seconds: f64,
        /// From 0 to 1; `None` where the server does not tell.
        done: Option<f64>,
        eta_s: Option<f64>,
        /// The server could tell, but does not keep the stages of its statements.
        not_kept: bool,
    },
    /// How far the stream is behind the server's clock.
    Behind {
        seconds: u64,
    },
    Swapped {
        kind: Kind,
        serving: Serving,
        freeze: Option<Freeze>,
    },
    SwapMissed {
        kind: Kind,
        why: String,
        blockers: Vec<Blocker>,
        again_in_s: f64,
    },
    /// So many rows of about `estimate` have been compared.
    Verifying {
        rows: u64,
        estimate: u64,
    },
    /// The two tables have been compared.
    Verified(Box<Verification>),
    /// The stream is at the live table's heels; so many row changes have been applied since it was opened.
    Following {
        changes: u64,
    },
    /// Something that came later would be met by the next swap; or, with nothing, is gone.
    InTheWay {
        why: Option<String>,
    },
    Asked {
        verb: Verb,
        by: String,
        granted: bool,
    },
    /// Something went wrong that is tried again.
    Retrying {
        why: String,
        again_in_s: f64,
    },
    /// A signal is beyond its limit. Told again now and then, while that lasts.
    Throttled {
        /// A sentence each.
        reasons: Vec<String>,
        /// The same without what changes from one look to the next.
        kinds: Vec<String>,
        /// Of the replica that is furthest behind.
        lag_ms: Option<f64>,
        for_s: f64,
        /// It begins, or there is another reason.
        news: bool,
    },
    /// Nothing throttles any more.
    Unthrottled {
        after_s: f64,
    },
    /// The first swap waits for one of its windows.
    CutoverWaits {
        windows: String,
        opens_in_s: u64,
    },
    /// The operator wanted whoever keeps the table from being swapped to be ended.
    Killed(Blocker),
    /// The tables were swapped though these had begun to read before the last rows of the one that is live now.
    OldReaders {
        readers: Vec<Blocker>,
        /// If they use the table they get an error; otherwise they read it short.
        fail: bool,
    },
    /// Limits were changed.
    LimitsSet {
        by: String,
        settings: Vec<String>,
    },
    /// Standing still, until someone resumes it.
    Paused,
    /// The application truncated the table, and the other one was truncated after it.
    Truncated,
    /// So many rows cannot be held by the old schema now.
    Parked {
        rows: u64,
    },
    /// The old schema is live again, and cannot show all that was written.
    Lost(Lost),
    /// A wish that had been granted was taken back.
    TakenBack {
        verb: Verb,
        why: String,
    },
    /// What the stream needs next may be purged before it gets there.
    BinlogsShort(Shortage),
    /// The stream of a swapped change cannot go on.
    Blocked {
        why: String,
    },
}
