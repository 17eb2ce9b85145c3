//! Faults on demand, for tests: what happens when the process, the connection or an answer is lost just here.
//!
//! Not in release builds. `RSC_FAULT=<point>:<kind>[:<nth>]`, several separated by commas, lets the `nth` passing
//! (by default the first) of a point go wrong, once. Each statement below has two points, `<name>.before` and
//! `<name>.after`; [`Session::run_at`](crate::session::Session::run_at) passes both.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The statements that have points: name, and where.
pub const STATEMENTS: [(&str, &str); 66] = [
    ("create.change", "a new change is journaled"),
    ("create.commit", "others can see it, and whose it is"),
    ("create.stream", "its stream table is made"),
    ("create.row", "its stream row is made"),
    ("claim.start", "a takeover begins"),
    ("claim.epoch", "the epoch goes up"),
    ("claim.owner", "the owner is put on record"),
    ("claim.commit", "the takeover ends"),
    ("save.start", "a state is saved"),
    ("save.share", "its look at the fence"),
    ("save.update", "the state itself"),
    ("save.batches", "a new shadow has no batches"),
    ("save.position", "where a new shadow's stream starts"),
    ("save.commit", "the state is saved"),
    ("in_place.share", "a transaction holds a takeover off while the server changes the table in place"),
    ("in_place.alter", "the server changes the live table"),
    ("shadow.share", "a transaction holds a takeover off while a shadow is made or dropped"),
    ("shadow.clear", "a half made shadow is dropped"),
    ("shadow.create", "the shadow is made"),
    ("shadow.alter", "the shadow gets the new schema"),
    ("indexes.leave_off", "the new shadow's indexes are left for later"),
    ("ledger.create", "the ledger's tables are made"),
    ("shadow.drop", "the shadow is dropped at the end"),
    ("batch.start", "a copy batch begins"),
    ("batch.share", "its look at the fence"),
    ("batch.copy", "its rows"),
    ("batch.record", "its journal row"),
    ("batch.commit", "the batch ends"),
    ("indexes.share", "a transaction holds a takeover off while indexes are built"),
    ("indexes.build", "the indexes that were left off"),
    ("window.savepoint", "a window begins"),
    ("window.stage", "row images go to a staging table"),
    ("window.carry", "what only the shadow has of moved rows is set aside"),
    ("window.delete", "rows that are gone"),
    ("window.update", "rows that are there"),
    ("window.insert_moved", "moved rows, with what was set aside"),
    ("window.insert", "new rows"),
    ("window.park", "a row that the old schema cannot hold goes to the ledger"),
    ("window.losses", "so does a value"),
    ("window.release", "parked rows that fit are parked no more"),
    ("retry.advance", "the position, when parked rows were tried again"),
    ("retry.commit", "the end of that"),
    ("window.advance", "the position"),
    ("window.commit", "the window ends"),
    ("verify.begin", "a verification is put on record"),
    ("verify.reach", "how far it has come"),
    ("verify.mark", "a place in the binlog behind what it has read"),
    ("verify.mend", "rows that differ are written again"),
    ("verify.delete", "rows that should not be there"),
    ("verify.end", "its result"),
    ("swap.counter", "the shadow's AUTO_INCREMENT is raised before the lock"),
    ("swap.lock", "the tables are locked"),
    ("swap.freeze", "the freeze point is read"),
    ("swap.advance", "the position of the last window, under the lock"),
    ("swap.commit", "the last window ends, under the lock"),
    ("swap.counter_locked", "the shadow's AUTO_INCREMENT is raised under the lock"),
    ("swap.rename", "the tables exchange their names"),
    ("swap.unlock", "the application goes on"),
    ("swap.relax", "the session's timeouts are as they were"),
    ("move.lock", "a table that comes or goes as a whole is locked"),
    ("move.share", "the look at the fence, under the lock"),
    ("move.rename", "it takes its other name"),
    ("move.unlock", "the application goes on"),
    ("release.owner", "the change is given up"),
    ("request.answer", "a request is answered"),
    ("forget.stream", "the stream table of an ended change is dropped"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The process dies, as by kill -9. Does not come back here.
    Kill,
    /// The server's end of the connection is killed.
    Cut,
    /// What has run has run, but the session never hears of it.
    Lost,
    /// Nothing happens for a second, or for `RSC_FAULT_DELAY_MS`.
    Delay,
}

struct Fault {
    point: String,
    kind: Kind,
    /// So many passings are left until it strikes; 0 when it has struck.
    left: u32,
}

/// The fault that strikes at this passing of `<statement>.<moment>`.
pub fn strikes(statement: &str, moment: &str) -> Option<Kind> {
    static FAULTS: OnceLock<Mutex<Vec<Fault>>> = OnceLock::new();
    debug_assert!(STATEMENTS.iter().any(|(name, _)| *name == statement), "{statement} is not in the table");
    let faults = FAULTS.get_or_init(|| {
        bend();
        Mutex::new(read(&std::env::var("RSC_FAULT").unwrap_or_default()))
    });
    let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
    let point = format!("{statement}.{moment}");
    let fault = faults.iter_mut().find(|fault| fault.point == point && fault.left > 0)?;
    fault.left -= 1;
    if fault.left > 0 {
        return None;
    }
    tracing::warn!("fault struck: {point}");
    if fault.kind == Kind::Kill {
        kill_myself();
    }
    Some(fault.kind)
}

/// How long [`Kind::Delay`] is.
pub fn delay() -> Duration {
    let given = std::env::var("RSC_FAULT_DELAY_MS").ok().and_then(|ms| ms.parse().ok());
    Duration::from_millis(given.unwrap_or(1000))
}

/// `RSC_BENT=<column>`: rsc takes a wrong expression for the conversion to this column, in the copy, the stream and the
/// verification alike, so that only what shares nothing with them can find it.
fn bend() {
    if let Ok(column) = std::env::var("RSC_BENT") {
        let _ = crate::rows::statements::BENT.set(column);
    }
}

/// A fault that cannot be read would silently test nothing.
fn read(text: &str) -> Vec<Fault> {
    let fault = |text: &str| {
        let mut parts = text.split(':');
        let point = parts.next().unwrap_or_default().to_owned();
        let kind = match parts.next() {
            Some("kill") => Kind::Kill,
            Some("cut") => Kind::Cut,
            Some("lost") => Kind::Lost,
            Some("delay") => Kind::Delay,
            other => panic!("RSC_FAULT: {other:?} is no kind of fault"),
        };
        let left = parts.next().map_or(1, |nth| nth.parse().unwrap_or_else(|_| panic!("RSC_FAULT: {nth}")));
        let known = |moment: &str| {
            point.strip_suffix(moment).is_some_and(|name| STATEMENTS.iter().any(|(s, _)| *s == name))
        };
        assert!(known(".before") || known(".after"), "RSC_FAULT: {point} is no point");
        Fault { point, kind, left }
    };
    text.split(',').filter(|text| !text.is_empty()).map(fault).collect()
}

fn kill_myself() -> ! {
    // The standard library has no kill(2).
    let _ = std::process::Command::new("/bin/sh").args(["-c", "kill -9 $PPID"]).status();
    std::process::abort()
}
