//! What nobody has looked at: the server's transactions from where the stream stands. They may be about other tables; which
//! of them are not, and what the old schema cannot hold of those, is known when the stream has caught up.

use super::state::State;

/// Transactions of the server that the stream has not reached, while nobody follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    pub transactions: u64,
    /// When the first of them was committed, in UTC; `None` where the binlog does not tell.
    pub since: Option<String>,
}

/// Whether there may be something that nobody has looked at. An owner that lives follows the stream, but for a change that
/// is paused, or that met something which it cannot follow.
pub fn possible(state: State, owner_alive: bool, paused: bool, blocked: bool) -> bool {
    matches!(state, State::Revertible | State::Reverting | State::Reverted | State::Reapplying)
        && (!owner_alive || paused || blocked)
}
