//! What can happen to a change.

use super::state::Serving;

/// What an operator can ask of a change that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Swap the tables of a change whose swap was postponed.
    Cutover,
    Revert,
    /// Revert, though the old schema cannot hold some rows.
    RevertAcceptingParked,
    /// Revert, if the old schema holds every row and every value.
    RevertRefusingLosses,
    Reapply,
    Complete,
    Cancel,
    /// Stand still until further notice, wherever it stands.
    Pause,
    /// Go on from wherever it stands; ends a pause.
    Resume,
    /// Compare the two tables.
    Verify,
    /// Compare them, and write rows of the one that does not serve again where they differ.
    VerifyRepairing,
}

impl Verb {
    pub const ALL: [Verb; 11] = [
        Verb::Cutover,
        Verb::Revert,
        Verb::RevertAcceptingParked,
        Verb::RevertRefusingLosses,
        Verb::Reapply,
        Verb::Complete,
        Verb::Cancel,
        Verb::Pause,
        Verb::Resume,
        Verb::Verify,
        Verb::VerifyRepairing,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Verb::Cutover => "cutover",
            Verb::Revert => "revert",
            Verb::RevertAcceptingParked => "revert --accept-parked",
            Verb::RevertRefusingLosses => "revert --refuse-losses",
            Verb::Reapply => "reapply",
            Verb::Complete => "complete",
            Verb::Cancel => "cancel",
            Verb::Pause => "pause",
            Verb::Resume => "resume",
            Verb::Verify => "verify",
            Verb::VerifyRepairing => "verify --repair",
        }
    }

    /// Whether the old schema is to be live again.
    pub fn reverts(self) -> bool {
        match self {
            Verb::Revert | Verb::RevertAcceptingParked | Verb::RevertRefusingLosses => true,
            Verb::Cutover
            | Verb::Reapply
            | Verb::Complete
            | Verb::Cancel
            | Verb::Pause
            | Verb::Resume
            | Verb::Verify
            | Verb::VerifyRepairing => false,
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Verb::ALL.into_iter().find(|v| v.name() == text)
    }
}

/// Reported by whoever did the work of a state. Adapters report; [`step`](super::step::step) decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server has changed the live table in place; there is no shadow.
    AlteredInPlace,
    /// The shadow has the new schema and is empty.
    ShadowBuilt,
    /// A table is to come or to go as a whole, and nothing but its name is left to be changed.
    NothingToCopy {
        /// The operator wants to say when.
        postponed: bool,
    },
    /// Every row that the stream will not bring has been copied.
    CopyEnded {
        /// The new table has all its indexes.
        indexed: bool,
    },
    /// It has them now.
    IndexesBuilt,
    /// The stream is close enough behind for a short freeze.
    CloseBehind {
        /// The operator wants to say when, or has said when.
        postponed: bool,
    },
    /// The tables are swapped, and this schema serves. Also what a look at the server showed.
    Serves(Serving),
    /// The swap did not happen, and is not to be tried for now; the tables are as they were.
    SwapMissed,
    /// Nothing keeps the first swap from being made: a window has opened.
    CutoverDue,
    Asked(Verb),
    /// The revert window is over.
    WindowEnded,
    /// A reason that does not go away by trying again.
    Broke,
    /// The shadow is gone.
    ShadowDropped,
}
