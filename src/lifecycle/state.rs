//! The states of a change. All are stored: what a process knows beyond its state, it reads from the server.

use std::fmt;
use std::str::FromStr;

use crate::schema::kind::Kind;

/// Where a change stands.
///
/// ```text
/// planned → copying → (indexing →) catching_up ⇄ cutting_over → revertible ⇄ reverting → reverted ⇄ reapplying → …
///    │        │           │            ├──→ ready ──┘    │       └──────→ completing → completed ←──┘
///    └────────┴───────────┴────────────┴──────┴──────────┴──→ cancelling → cancelled
/// ```
///
/// A change about a table as a whole goes from planned to ready or cutting_over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Journaled by `migrate`; the shadow may be missing or half made.
    Planned,
    /// The shadow is there; batches are being copied.
    Copying,
    /// All rows are copied; the indexes that were left off are being built, and the stream waits.
    Indexing,
    /// All rows are copied; the stream is catching up before the swap.
    CatchingUp,
    /// The operator has postponed the swap, or its window is not open: the stream keeps the new table current until
    /// `cutover`, or until then.
    Ready,
    /// The swap has been decided and may be under way. Which tables exist tells whether it has happened.
    CuttingOver,
    /// The new schema serves; the stream keeps the old one.
    Revertible,
    /// The operator asked for the old schema; caught up and swapped by the owner.
    Reverting,
    /// The old schema serves; the stream keeps the new one.
    Reverted,
    /// The operator asked for the new schema again.
    Reapplying,
    /// The operator keeps what serves; the shadow is being dropped.
    Completing,
    Completed,
    /// The revert window has ended: no stream any more, the shadow stays until `complete`.
    Expired,
    /// Given up before the first swap; the shadow is being dropped.
    Cancelling,
    Cancelled,
    /// Stopped by a reason that does not go away before the first swap; the shadow is being dropped.
    Failing,
    Failed,
}

impl State {
    pub const ALL: [State; 17] = [
        State::Planned,
        State::Copying,
        State::Indexing,
        State::CatchingUp,
        State::Ready,
        State::CuttingOver,
        State::Revertible,
        State::Reverting,
        State::Reverted,
        State::Reapplying,
        State::Completing,
        State::Completed,
        State::Expired,
        State::Cancelling,
        State::Cancelled,
        State::Failing,
        State::Failed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Copying => "copying",
            State::Indexing => "indexing",
            State::CatchingUp => "catching_up",
            State::Ready => "ready",
            State::CuttingOver => "cutting_over",
            State::Revertible => "revertible",
            State::Reverting => "reverting",
            State::Reverted => "reverted",
            State::Reapplying => "reapplying",
            State::Completing => "completing",
            State::Completed => "completed",
            State::Expired => "expired",
            State::Cancelling => "cancelling",
            State::Cancelled => "cancelled",
            State::Failing => "failing",
            State::Failed => "failed",
        }
    }

    /// Nothing of the change is left on the server but its journal; the table is free for another change.
    pub fn ended(self) -> bool {
        match self {
            State::Completed | State::Cancelled | State::Failed => true,
            State::Planned
            | State::Copying
            | State::Indexing
            | State::CatchingUp
            | State::Ready
            | State::CuttingOver
            | State::Revertible
            | State::Reverting
            | State::Reverted
            | State::Reapplying
            | State::Completing
            | State::Expired
            | State::Cancelling
            | State::Failing => false,
        }
    }

    /// The operator has what was last asked for; all that is left is to keep the stream.
    pub fn settled(self) -> bool {
        match self {
            State::Ready | State::Revertible | State::Reverted | State::Expired => true,
            State::Completed | State::Cancelled | State::Failed => true,
            State::Planned
            | State::Copying
            | State::Indexing
            | State::CatchingUp
            | State::CuttingOver
            | State::Reverting
            | State::Reapplying
            | State::Completing
            | State::Cancelling
            | State::Failing => false,
        }
    }

    /// Before the first swap: the live table has never been another.
    pub fn before_first_swap(self) -> bool {
        match self {
            State::Planned
            | State::Copying
            | State::Indexing
            | State::CatchingUp
            | State::Ready
            | State::CuttingOver
            | State::Cancelling
            | State::Cancelled
            | State::Failing
            | State::Failed => true,
            State::Revertible
            | State::Reverting
            | State::Reverted
            | State::Reapplying
            | State::Completing
            | State::Completed
            | State::Expired => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the journal holds a state that this version of rsc does not know: {0}")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        State::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| UnknownState(text.into()))
    }
}

/// Which schema the application sees under the live name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    Old,
    New,
}

impl Serving {
    pub fn name(self) -> &'static str {
        match self {
            Serving::Old => "old",
            Serving::New => "new",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Serving::Old => Serving::New,
            Serving::New => Serving::Old,
        }
    }

    /// Whether this schema has the table at all.
    pub fn has_table(self, kind: Kind) -> bool {
        match (self, kind) {
            (Serving::Old, Kind::Create) | (Serving::New, Kind::Drop) => false,
            (Serving::Old, Kind::Alter | Kind::Drop) | (Serving::New, Kind::Alter | Kind::Create) => true,
        }
    }
}
