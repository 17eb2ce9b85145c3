//! Whether a position still stands for the server's past. Pure.
//!
//! A position is a set of numbers. It says what has been applied only as long as the server means by these numbers what it
//! meant when the stream read them, and as long as nothing was written that has no number. Neither is given:
//!
//! * `RESET BINARY LOGS AND GTIDS` begins the numbers anew, and so does another server that took the address. While the new
//!   history is shorter than the position, that is seen by the set alone: **position ⊆ `gtid_executed`**. Not by any position
//!   that runs ahead of the journal, because the server sends a transaction before it counts it; but by the journaled
//!   one, which was committed after all that it holds.
//! * When the new history is as long, the numbers are the same and mean something else. So beside the position a [`Mark`]
//!   is kept: one transaction of rsc's own at its end, with the microsecond at which it was first committed, which is in
//!   the binlog and survives replication. A stream asks for that transaction again and compares. It has no rows of the
//!   live table, so that it does no harm to read it twice.
//! * `SET GLOBAL gtid_purged` counts transactions as executed that no binlog here has; and a binlog may be purged before the
//!   stream has had it. Both are the same thing: **`gtid_purged` ⊆ position**, or something will never come.
//! * A server that runs without its binlog writes rows that have no number at all. While it does, it says so. Afterwards
//!   nothing says so. All that can be known is whether it was restarted: `UNIX_TIMESTAMP() - Uptime` is, to the second and
//!   without jitter, when it was started, because both are read off the same clock at the same moment.
//!
//! # A restart that nobody watched
//!
//! An ordinary restart must not cost a comparison of two tables, so there is evidence that clears it at once: InnoDB's
//! counter of transactions. When it starts it goes on at the counter as it was last written, which is a multiple of
//! [`TRX_MARGIN`], and skips two more of these. So a run that wrote anything puts two margins between the run before it
//! and the run after it, whether it had a binlog or not. If the counter was L before, and the run that is looked at were not the next
//! one that wrote, it would be at ⌊L⌋ + 4 margins at least. Below that nobody wrote in between. Transactions of this run, and those after L
//! was read, only raise what is seen, so they can spoil the evidence but not fake it. The margins are those of MySQL 8 and 9
//! (measured on 9.7.4); on others the counter is no evidence.
//!
//! Without evidence the position is *unproven*: no swap is made with it until the two tables have been compared, and found
//! equal. What a position has lost for good makes it *severed*.

use std::fmt;

use super::gtid_set::{GtidSet, Source};

/// InnoDB writes its counter of transactions down whenever it is a multiple of this.
const TRX_MARGIN: u64 = 256;

/// A transaction at the end of a position, and when it was first committed, in microseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub source: Source,
    pub gno: u64,
    pub committed_us: u64,
}

impl Mark {
    pub fn is(&self, source: &Source, gno: u64) -> bool {
        self.gno == gno && self.source == *source
    }

    pub fn gtid(&self) -> String {
        format!("{}:{}", self.source, self.gno)
    }

    /// From [`Mark::gtid`] and the time.
    pub fn read(gtid: &str, committed_us: u64) -> Option<Self> {
        let set: GtidSet = gtid.parse().ok()?;
        let (source, gno) = set.only()?;
        Some(Self { source, gno, committed_us })
    }
}

/// One run of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub server_uuid: String,
    /// By its own clock, in seconds since the epoch.
    pub started_s: u64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server_uuid, self.started_s)
    }
}

impl Run {
    pub fn read(text: &str) -> Option<Self> {
        let (uuid, started) = text.split_once('/')?;
        Some(Self { server_uuid: uuid.into(), started_s: started.parse().ok()? })
    }
}

/// The server as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub executed: GtidSet,
    pub purged: GtidSet,
    pub log_bin: bool,
    pub run: Run,
    /// InnoDB's counter of transactions, or less; `None` where the account may not see it, or it is no evidence.
    pub trx: Option<u64>,
}

/// What the journal has of a change's stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    pub position: GtidSet,
    pub mark: Option<Mark>,
    pub run: Option<Run>,
    pub trx: Option<u64>,
    /// Why the tables are to be compared before the next swap.
    pub unproven: Option<String>,
    /// Why the stream has lost its thread for good.
    pub severed: Option<String>,
}

/// Why the history does not have what the position stands for, if that is so for good. Asked of the journaled position.
pub fn severed(position: &GtidSet, seen: &Seen) -> Option<String> {
    if !seen.log_bin {
        return Some(
            "the server runs without its binlog (log_bin is OFF), so it writes rows that the stream cannot see"
                .into(),
        );
    }
    let missing = position.subtract(&seen.executed);
    if !missing.is_empty() {
        return Some(anew(&missing.to_string()));
    }
    let kept = position.contains_set(&seen.purged);
    (!kept).then(|| "the server has purged binlogs that the stream still needed".into())
}

/// What is said where the numbers do not mean any more what they meant.
pub fn anew(missing: &str) -> String {
    format!(
        "the server's history is not the one that the stream has followed: it does not contain {}; its binary logs were \
         begun anew (RESET BINARY LOGS AND GTIDS), or this is another server",
        short(missing)
    )
}

const SHORT: usize = 200;

fn short(set: &str) -> String {
    match set.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{} …", &set[..end]),
        None => set.to_owned(),
    }
}

/// Why it cannot be known that nothing was written past the position since the journal was written.
pub fn unproven(standing: &Standing, seen: &Seen) -> Option<String> {
    let before = standing.run.as_ref()?;
    let now = &seen.run;
    if before == now {
        return None;
    }
    if before.server_uuid != now.server_uuid {
        return Some(format!(
            "the change goes on on another server ({}, was {}), whose rows nobody has compared",
            now.server_uuid, before.server_uuid
        ));
    }
    let next_run = |l: u64| l / TRX_MARGIN * TRX_MARGIN + 4 * TRX_MARGIN;
    match (standing.trx, seen.trx) {
        (Some(then), Some(trx)) if (then..next_run(then)).contains(&trx) => None,
        _ => Some(
            "the server was restarted, and whether it ran without its binlog in between cannot be told"
                .into(),
        ),
    }
}

/// One reason beside those that there were.
pub fn beside(before: Option<&str>, why: &str) -> String {
    match before {
        Some(before) if before.contains(why) => before.to_owned(),
        Some(before) => format!("{before}; {why}"),
        None => why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";

    fn set(text: &str) -> GtidSet {
        text.parse().unwrap()
    }

    fn seen(executed: &str, purged: &str) -> Seen {
        Seen { executed: set(executed), purged: set(purged), log_bin: true, ..Seen::default() }
    }

    #[test]
    fn a_position_is_trusted_while_the_history_contains_it() {
        let at =
            |position: &str, executed: &str, purged: &str| severed(&set(position), &seen(executed, purged));
        let (p, e) = (format!("{A}:1-5"), format!("{A}:1-9"));
        assert_eq!(at(&p, &e, ""), None);
        assert_eq!(at(&p, &e, &format!("{A}:1-5")), None);
        assert!(at(&p, &format!("{A}:1-4"), "").unwrap().contains(&format!("contain {A}:5;")));
        assert!(at(&p, "", "").unwrap().contains("RESET BINARY LOGS"));
        assert!(at(&p, &e, &format!("{A}:1-6")).unwrap().contains("purged binlogs"));
        assert!(at(&format!("{A}:tag:1"), &e, "").unwrap().contains(":tag:1"));
        let off = Seen { log_bin: false, ..seen(&e, &e) };
        assert!(severed(&set(&p), &off).unwrap().contains("log_bin is OFF"));
    }

    #[test]
    fn a_restart_is_cleared_by_the_counter_and_by_nothing_else() {
        let run = |started_s| Run { server_uuid: A.into(), started_s };
        let at = |then: Option<u64>, now: Option<u64>| {
            let standing = Standing { run: Some(run(1)), trx: then, ..Standing::default() };
            unproven(&standing, &Seen { run: run(2), trx: now, ..Seen::default() })
        };
        // As measured: 1558, killed, 2063; shut down, 2574; and with a run in between, 3597.
        assert_eq!(at(Some(1558), Some(2063)), None);
        assert_eq!(at(Some(2063), Some(2574)), None);
        assert!(at(Some(2574), Some(3597)).is_some());
        assert_eq!(at(Some(2574), Some(3583)), None);
        assert!(at(Some(2574), Some(3584)).is_some());
        assert!(at(Some(2574), Some(2573)).is_some(), "it never goes back");
        assert!(at(None, Some(1)).is_some() && at(Some(1), None).is_some());
    }

    #[test]
    fn the_same_run_needs_no_proof_and_another_server_has_none() {
        let run = Run { server_uuid: A.into(), started_s: 1 };
        let standing = Standing { run: Some(run.clone()), ..Standing::default() };
        assert_eq!(unproven(&standing, &Seen { run: run.clone(), ..Seen::default() }), None);
        let other = Run { server_uuid: "b".into(), ..run.clone() };
        assert!(
            unproven(&standing, &Seen { run: other, ..Seen::default() }).unwrap().contains("another server")
        );
        assert_eq!(Run::read(&run.to_string()), Some(run));
    }

    #[test]
    fn marks_are_read_back() {
        for gtid in [format!("{A}:7"), format!("{A}:tag:7")] {
            let mark = Mark::read(&gtid, 5).unwrap();
            assert_eq!((mark.gtid(), mark.gno, mark.committed_us), (gtid, 7, 5));
        }
        assert_eq!(Mark::read(&format!("{A}:1-2"), 5), None);
        assert_eq!(Mark::read("", 5), None);
    }
}
