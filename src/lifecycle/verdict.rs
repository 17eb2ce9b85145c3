//! What would happen if the operator asked for the other schema now.

use std::fmt;

use super::state::{Serving, State};
use crate::schema::kind::Kind;

/// Current for the moment it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The stream is alive: a swap takes milliseconds.
    Ready,
    /// The same, and so many values come back only as the nearest that the old schema can hold.
    ReadyWithLosses(u64),
    /// A table as a whole is given another name, which takes milliseconds.
    Whole,
    /// Nobody follows the stream; whoever asks catches up first with so many transactions. What a revert loses is known
    /// only then; so many values are on record already.
    CatchesUpFirst { unseen: u64, losses: u64 },
    /// The two tables are compared before the swap, because of this.
    ComparesFirst(String),
    /// The stream met something that the other schema cannot hold, or a table as a whole something on its way.
    Blocked(String),
    /// Whoever asks may not see the tables.
    Unknown(String),
    /// The tables are known to differ: the rows, for people.
    Differs(String),
    /// There is no way back.
    Impossible(&'static str),
    /// The tables have not been swapped yet, or are being swapped.
    NotYet,
    /// A table as a whole has not come or gone yet, or is on its way.
    TableNotYet,
}

/// What a verdict depends on.
#[derive(Clone, Debug)]
pub struct Signs<'a> {
    pub kind: Kind,
    pub state: State,
    /// As the tables tell. `None`: they do not.
    pub serving: Option<Serving>,
    /// What a swap would meet: what came later, or, for a table as a whole, what is on its way to the other name.
    pub in_the_way: Option<String>,
    /// Why the tables cannot be seen.
    pub hidden: Option<String>,
    pub reason: Option<&'a str>,
    /// The server's history is not the one that the stream has followed.
    pub severed: Option<String>,
    /// Why the tables are to be compared before the next swap.
    pub unproven: Option<String>,
    pub owner_alive: bool,
    /// The owner lives, but does nothing.
    pub paused: bool,
    /// Transactions of the server that nobody has looked at.
    pub unseen: u64,
    pub binlogs_kept: bool,
    /// The change's stream row, with its position, is not there any more.
    pub stream_lost: bool,
    pub window_over: bool,
    /// What the old schema cannot hold: rows, and values.
    pub parked: u64,
    pub losses: u64,
    /// What the last verification found to differ.
    pub differs: Option<String>,
    /// No second table was ever made.
    pub in_place: bool,
}

pub fn verdict(signs: &Signs<'_>) -> Verdict {
    if let Some(why) = &signs.hidden
        && !signs.state.ended()
        && !signs.window_over
    {
        return Verdict::Unknown(why.clone());
    }
    if signs.kind.whole()
        && let Some(verdict) = of_whole(signs)
    {
        return verdict;
    }
    match signs.state {
        State::Revertible | State::Reverted => match signs.reason {
            _ if signs.window_over => Verdict::Impossible("the revert window is over"),
            _ if signs.stream_lost => {
                Verdict::Impossible("its part of the journal was dropped by someone else")
            }
            _ if signs.serving.is_none() => {
                Verdict::Impossible("the table that was kept was dropped or renamed by someone else")
            }
            _ if signs.severed.is_some() => Verdict::Blocked(signs.severed.clone().unwrap_or_default()),
            _ if !signs.owner_alive && !signs.binlogs_kept => {
                Verdict::Impossible("the server has purged binlogs that the stream still needed")
            }
            Some(reason) => Verdict::Blocked(reason.to_owned()),
            None if signs.in_the_way.is_some() => {
                Verdict::Blocked(signs.in_the_way.clone().unwrap_or_default())
            }
            None if let Some(rows) = &signs.differs => Verdict::Differs(rows.clone()),
            None if signs.state == State::Revertible && signs.parked > 0 => Verdict::Blocked(format!(
                "the old schema cannot hold {}; `rsc losses` tells which",
                if signs.parked == 1 { "1 row".into() } else { format!("{} rows", signs.parked) }
            )),
            None if signs.unproven.is_some() => {
                Verdict::ComparesFirst(signs.unproven.clone().unwrap_or_default())
            }
            None if !signs.owner_alive || signs.paused => Verdict::CatchesUpFirst {
                unseen: signs.unseen,
                losses: if signs.state == State::Revertible { signs.losses } else { 0 },
            },
            None if signs.state == State::Revertible && signs.losses > 0 => {
                Verdict::ReadyWithLosses(signs.losses)
            }
            None => Verdict::Ready,
        },
        State::Expired => Verdict::Impossible("the revert window is over"),
        State::Completed if signs.in_place => {
            Verdict::Impossible("the server changed the table itself, so there is no old one to swap back")
        }
        State::Completing | State::Completed => Verdict::Impossible("the other table was dropped"),
        State::Cancelling | State::Cancelled | State::Failing | State::Failed => {
            Verdict::Impossible("the tables were never swapped")
        }
        State::Planned
        | State::Copying
        | State::Indexing
        | State::CatchingUp
        | State::Ready
        | State::CuttingOver
        | State::Reverting
        | State::Reapplying => match &signs.in_the_way {
            Some(what) => Verdict::Blocked(what.clone()),
            None => Verdict::NotYet,
        },
    }
}

/// Nothing has to be caught up with, so nobody need have kept it, and no binlog.
fn of_whole(signs: &Signs<'_>) -> Option<Verdict> {
    match signs.state {
        State::Revertible | State::Reverted => Some(match &signs.in_the_way {
            _ if signs.window_over => Verdict::Impossible("the revert window is over"),
            _ if signs.stream_lost => {
                Verdict::Impossible("its part of the journal was dropped by someone else")
            }
            _ if signs.serving.is_none() => {
                Verdict::Impossible("its table was dropped, renamed or altered by someone else")
            }
            Some(what) => Verdict::Blocked(what.clone()),
            None => Verdict::Whole,
        }),
        State::Completing | State::Completed => Some(Verdict::Impossible("the change is final")),
        State::Cancelling | State::Cancelled | State::Failing | State::Failed => {
            Some(Verdict::Impossible("it never came about"))
        }
        State::Planned | State::Ready | State::CuttingOver | State::Reverting | State::Reapplying => {
            Some(Verdict::TableNotYet)
        }
        State::Copying | State::Indexing | State::CatchingUp | State::Expired => None,
    }
}

impl Verdict {
    /// One word for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Ready | Verdict::Whole => "ready",
            Verdict::ReadyWithLosses(_) => "ready_with_losses",
            Verdict::CatchesUpFirst { .. } | Verdict::ComparesFirst(_) => "catching_up",
            Verdict::Blocked(_) => "blocked",
            Verdict::Unknown(_) => "unknown",
            Verdict::Differs(_) => "differs",
            Verdict::Impossible(_) => "impossible",
            Verdict::NotYet | Verdict::TableNotYet => "not_yet",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Ready => f.write_str("ready: the stream is alive"),
            Verdict::ReadyWithLosses(1) => {
                f.write_str("ready with losses: the old schema holds 1 value only as the nearest it can")
            }
            Verdict::ReadyWithLosses(values) => {
                write!(
                    f,
                    "ready with losses: the old schema holds {values} values only as the nearest it can"
                )
            }
            Verdict::CatchesUpFirst { unseen, losses } => {
                f.write_str("ready after catching up: no process keeps the stream")?;
                match unseen {
                    0 => {}
                    1 => f.write_str("; what the last transaction of the server brought is not known")?,
                    many => {
                        write!(f, "; what the last {many} transactions of the server brought is not known")?
                    }
                }
                match losses {
                    0 => Ok(()),
                    1 => f.write_str("; the old schema holds 1 value only as the nearest it can"),
                    many => write!(f, "; the old schema holds {many} values only as the nearest it can"),
                }
            }
            Verdict::ComparesFirst(why) => write!(f, "the tables are compared before a swap: {why}"),
            Verdict::Whole => f.write_str("ready: the table is whole, and needs no stream"),
            Verdict::Blocked(why) => write!(f, "blocked: {why}"),
            Verdict::Unknown(why) => write!(f, "unknown: {why}"),
            Verdict::Differs(rows) => write!(f, "not ready: the two tables differ: {rows}"),
            Verdict::Impossible(why) => write!(f, "impossible: {why}"),
            Verdict::NotYet => f.write_str("not yet: the tables are still to be swapped"),
            Verdict::TableNotYet => f.write_str("not yet: the table is still to be given its other name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purged_binlog_is_only_fatal_when_nobody_keeps_the_stream() {
        let signs = |owner_alive, binlogs_kept| Signs {
            kind: Kind::Alter,
            state: State::Revertible,
            serving: Some(Serving::New),
            in_the_way: None,
            hidden: None,
            reason: None,
            severed: None,
            unproven: None,
            owner_alive,
            paused: false,
            unseen: 3,
            binlogs_kept,
            stream_lost: false,
            window_over: false,
            parked: 0,
            losses: 0,
            differs: None,
            in_place: false,
        };
        assert_eq!(verdict(&signs(true, false)), Verdict::Ready);
        let catches_up = Verdict::CatchesUpFirst { unseen: 3, losses: 0 };
        assert_eq!(verdict(&signs(false, true)), catches_up);
        assert_eq!(verdict(&Signs { paused: true, ..signs(true, true) }), catches_up, "it stands still");
        assert_eq!(verdict(&signs(false, false)).name(), "impossible");
        let met = |state| Signs { state, in_the_way: Some("a trigger".into()), ..signs(true, true) };
        for state in [State::Revertible, State::Reverted, State::Ready, State::CuttingOver] {
            assert_eq!(verdict(&met(state)), Verdict::Blocked("a trigger".into()));
        }
        assert_eq!(verdict(&met(State::Completed)).name(), "impossible");
        let whole = |serving| Signs { kind: Kind::Drop, serving, ..signs(false, false) };
        assert_eq!(verdict(&whole(Some(Serving::New))), Verdict::Whole, "it needs neither");
        assert_eq!(verdict(&whole(None)).name(), "impossible", "its table is gone");
    }

    #[test]
    fn tables_that_differ_or_are_gone_are_not_ready() {
        let signs = Signs {
            kind: Kind::Alter,
            state: State::Revertible,
            serving: Some(Serving::New),
            in_the_way: None,
            hidden: None,
            reason: None,
            severed: None,
            unproven: None,
            owner_alive: true,
            paused: false,
            unseen: 0,
            binlogs_kept: true,
            stream_lost: false,
            window_over: false,
            parked: 0,
            losses: 0,
            differs: Some("(7) differs in v".into()),
            in_place: false,
        };
        assert_eq!(verdict(&signs), Verdict::Differs("(7) differs in v".into()));
        assert_eq!(verdict(&Signs { serving: None, ..signs }).name(), "impossible");
    }
}
