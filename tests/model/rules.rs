//! The rules that make the copy exact, each with a switch.

/// What commits with the rows of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupling {
    /// Its position.
    Position,
    /// Nothing: the position has been committed before.
    NothingAnyMore,
    /// Nothing: the position is committed after.
    NothingYet,
    /// The position, but for the last windows under the lock: there it is committed after.
    NothingYetUnderLock,
}

/// Which rows may be inserted into the shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Those in copied ranges.
    Copied,
    /// Those up to the highest copied key, whatever was left out below it.
    UpToHighest,
    All,
}

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// A round of batches waits until all that the stream has passed is visible.
    pub gate: bool,
    /// Also of a transaction that it has passed in part.
    pub gate_covers_parts: bool,
    /// The catch-up's target is read after the last batch has committed.
    pub target_after_batches: bool,
    /// Batches are in the binlog.
    pub batches_are_logged: bool,
    /// The copy ends with a batch without an upper end, even if the lookup found no more rows.
    pub last_batch: bool,
    pub filter: Filter,
    /// The journal has both bounds of a batch, so that a hole below the highest is found after a crash.
    pub journals_lower_bounds: bool,
    pub deletes_first: bool,
    /// Also keys that came up in the window are deleted when they were left.
    pub deletes_newborn_keys: bool,
    /// Also keys that a new row has taken are deleted when they were left.
    pub deletes_taken_keys: bool,
    /// A moved row takes along what only the shadow has.
    pub carries: bool,
    /// An inserted row is known as such, and carries nothing.
    pub knows_fresh_rows: bool,
    /// What no event of a row wrote stays as the shadow has it.
    pub keeps_unwritten: bool,
    /// That is read from the events, not guessed: a value that would be what the live table has may have been written.
    pub reads_what_was_written: bool,
    /// Before the first swap all columns are written.
    pub keeps_only_after_a_swap: bool,
    /// A shadow row is the row of a key if they are equal in both schemas' collations.
    pub compares_as_both: bool,
    /// After a conflict the window is tried with all touched rows deleted and inserted.
    pub rebuilds: bool,
    /// A conflict at an inexact position makes the window longer.
    pub lengthens: bool,
    /// So does one in the middle of a transaction.
    pub lengthens_parts: bool,
    pub coupling: Coupling,
    /// The journalled position counts the row events of a transaction that is applied in parts.
    pub counts_parts: bool,
    /// A position is exact after a restart only when a target read since has been reached.
    pub restarts_inexact: bool,
    /// A successor waits for the transactions in flight.
    pub fence: bool,
}

impl Rules {
    pub const ALL: Rules = Rules {
        gate: true,
        gate_covers_parts: true,
        target_after_batches: true,
        batches_are_logged: true,
        last_batch: true,
        filter: Filter::Copied,
        journals_lower_bounds: true,
        deletes_first: true,
        deletes_newborn_keys: true,
        deletes_taken_keys: true,
        carries: true,
        knows_fresh_rows: true,
        keeps_unwritten: true,
        reads_what_was_written: true,
        keeps_only_after_a_swap: true,
        compares_as_both: true,
        rebuilds: true,
        lengthens: true,
        lengthens_parts: true,
        coupling: Coupling::Position,
        counts_parts: true,
        restarts_inexact: true,
        fence: true,
    };
}
