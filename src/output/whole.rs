//! The words for a change about a table as a whole.

use crate::journal::record::Change;
use crate::lifecycle::notice::Freeze;
use crate::lifecycle::state::{Serving, State};
use crate::schema::kind::Kind;

/// `None` where there is nothing that needs a line.
pub fn entered(state: State) -> Option<&'static str> {
    match state {
        State::Ready => Some("  ready; the table is renamed at `rsc cutover`"),
        State::CuttingOver | State::Reverting | State::Reapplying => Some("  renaming the table"),
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Revertible
        | State::Reverted
        | State::Completing
        | State::Completed
        | State::Expired
        | State::Cancelling
        | State::Cancelled
        | State::Failing
        | State::Failed => None,
    }
}

pub fn renamed(kind: Kind, serving: Serving, freeze: Option<&Freeze>) -> String {
    let there = serving.has_table(kind);
    match (freeze, there) {
        (Some(_), true) => "  renamed: the table is there".into(),
        (Some(freeze), false) => {
            format!("  renamed: the table is away; whoever used it waited {:.1} ms", freeze.freeze_ms)
        }
        (None, true) => "  renamed earlier: the table is there".into(),
        (None, false) => "  renamed earlier: the table is away".into(),
    }
}

/// Where the table is.
pub fn place(change: &Change, serving: Serving) -> String {
    match change.kept(serving) {
        Some(kept) if change.state.before_first_swap() => {
            format!("{} is not there yet; it waits as {}", change.table.plain(), kept.plain())
        }
        Some(kept) => format!("{} is away, kept as {}", change.table.plain(), kept.plain()),
        None => format!("{} is there", change.table.plain()),
    }
}

/// A table as a whole has its live name.
pub fn is_there(change: &Change) -> bool {
    change.options.kind.whole() && change.serving.has_table(change.options.kind)
}

/// What has come of the change; `None` where the words for every change fit.
pub fn done(change: &Change) -> Option<String> {
    let table = change.table.plain();
    match (change.state, change.options.kind) {
        (State::Ready, Kind::Create) => Some(format!("{table} is ready to be there")),
        (State::Ready, Kind::Drop) => Some(format!("{table} is ready to be taken away")),
        (State::Revertible | State::Reverted, Kind::Create | Kind::Drop) => {
            Some(place(change, change.serving))
        }
        (State::Completed, Kind::Create | Kind::Drop) => Some(match change.kept(change.serving) {
            Some(_) => format!("{table} is dropped"),
            None => format!("{table} stays"),
        }),
        (State::Cancelled, Kind::Create) => Some(format!("{table} was not created")),
        (State::Cancelled, Kind::Drop) => Some(format!("{table} stays as it was")),
        _ => None,
    }
}
