//! A MySQL server with one table: its binlog, what of it snapshots see, and the application.
//!
//! Assumed of MySQL:
//!
//! * A transaction passes three moments: flushed to the binlog, where streams read it; committed in the engine, where
//!   snapshots see it and its row locks end; added to `gtid_executed`. Anything may happen between them.
//! * With `binlog_order_commits` (the default) the later two follow the order of the binlog, without it they do
//!   not. Half of the runs are without.
//! * A transaction that touches a row or unique value of a flushed one has waited for that one's engine commit.
//! * Uniqueness is checked row by row, so it holds after each row event.
//! * A statement that has returned is in `gtid_executed`.

use rand::Rng;
use rand::rngs::StdRng;

use super::table::{Change, DEFAULT, Key, Row, Schema, Schemas, Side, Table};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Commit {
    Flushed,
    Visible,
    Executed,
}

#[derive(Debug)]
pub struct Entry {
    pub changes: Vec<Change>,
    pub commit: Commit,
}

pub struct Server {
    pub binlog: Vec<Entry>,
    /// The table after so many entries, with the columns of both schemas: what the shadow is held against.
    pub history: Vec<Table>,
    pub schemas: Schemas,
    pub serving: Side,
    /// LOCK TABLES … WRITE: the application waits.
    pub locked: bool,
    /// `binlog_order_commits`.
    ordered: bool,
    next_value: u32,
}

impl Server {
    pub fn new(rng: &mut StdRng) -> Self {
        let mut server = Server {
            binlog: Vec::new(),
            history: vec![Table::new()],
            schemas: Schemas::random(rng),
            serving: Side::Old,
            locked: false,
            ordered: rng.random(),
            next_value: 0,
        };
        for _ in 0..rng.random_range(0..8) {
            server.write(rng, 1);
        }
        server.settle();
        server
    }

    pub fn latest(&self) -> &Table {
        &self.history[self.binlog.len()]
    }

    /// What a snapshot taken now sees.
    pub fn snapshot(&self) -> Table {
        let visible = |entry: &&Entry| entry.commit >= Commit::Visible;
        let prefix = self.binlog.iter().take_while(visible).count();
        let mut table = self.history[prefix].clone();
        for entry in self.binlog[prefix..].iter().filter(visible) {
            entry.changes.iter().for_each(|change| change.apply(&mut table));
        }
        table
    }

    /// `WAIT_FOR_EXECUTED_GTID_SET` of a position would return at once.
    pub fn has_executed(&self, position: usize) -> bool {
        self.binlog[..position].iter().all(|entry| entry.commit == Commit::Executed)
    }

    /// The smallest position that is ⊇ `@@gtid_executed`. A stream's position is a prefix of the binlog.
    pub fn executed(&self) -> usize {
        self.binlog.iter().rposition(|entry| entry.commit == Commit::Executed).map_or(0, |last| last + 1)
    }

    /// Some transaction comes to its next moment.
    pub fn advance(&mut self, rng: &mut StdRng) {
        let (from, to) = match rng.random() {
            true => (Commit::Flushed, Commit::Visible),
            false => (Commit::Visible, Commit::Executed),
        };
        let waiting: Vec<usize> = (0..self.binlog.len()).filter(|&i| self.binlog[i].commit == from).collect();
        if waiting.is_empty() {
            return;
        }
        let next = if self.ordered { 0 } else { rng.random_range(0..waiting.len()) };
        self.binlog[waiting[next]].commit = to;
    }

    /// All that has been flushed becomes visible and executed.
    pub fn settle(&mut self) {
        self.binlog.iter_mut().for_each(|entry| entry.commit = Commit::Executed);
    }

    /// A transaction of rsc's own, which touches other tables, returns. In order, all before it has been executed.
    pub fn commit_own(&mut self) {
        if self.ordered {
            self.settle();
        }
        self.history.push(self.latest().clone());
        self.binlog.push(Entry { changes: Vec::new(), commit: Commit::Executed });
    }

    /// The application commits a transaction of up to `changes_max` row events.
    pub fn write(&mut self, rng: &mut StdRng, changes_max: usize) {
        let mut table = self.latest().clone();
        let mut changes = Vec::new();
        for _ in 0..rng.random_range(1..=changes_max) {
            self.next_value += 1;
            let change = random_change(rng, &table, self.serving, self.next_value);
            if accepts(&table, &change, self.schemas.of(self.serving)) {
                change.apply(&mut table);
                changes.push(change);
            }
        }
        if !changes.is_empty() {
            self.wait_for_locks(&changes);
            self.binlog.push(Entry { changes, commit: Commit::Flushed });
            self.history.push(table);
        }
    }

    fn wait_for_locks(&mut self, changes: &[Change]) {
        let rows: Vec<Row> = changes.iter().flat_map(Change::rows).collect();
        let meet = |a: &Row, b: &Row| a.key.id == b.key.id || (a.unique.is_some() && a.unique == b.unique);
        let held = |entry: &Entry| {
            let mut locked = entry.changes.iter().flat_map(Change::rows);
            entry.commit == Commit::Flushed
                && locked.any(|theirs| rows.iter().any(|ours| meet(ours, &theirs)))
        };
        let Some(last) = self.binlog.iter().rposition(held) else { return };
        for entry in &mut self.binlog[..=last] {
            if entry.commit == Commit::Flushed && (self.ordered || held(entry)) {
                entry.commit = Commit::Visible;
            }
        }
    }
}

/// A row event; the table may not accept it.
fn random_change(rng: &mut StdRng, table: &Table, side: Side, value: u32) -> Change {
    let key = Key::random(rng);
    let kind = rng.random_range(0..10);
    let mut row =
        Row { key, unique: random_unique(rng), value, title: DEFAULT, extra: DEFAULT, fine: [0; 2] };
    if table.is_empty() || kind < 3 {
        *row.own(side) = value;
        row.write_fine(side, rng.random_range(0..8));
        return Change::Insert(row);
    }
    let before = *table.values().nth(rng.random_range(0..table.len())).unwrap();
    row = Row { value, ..before };
    match kind {
        3..5 => return Change::Delete(before),
        5..8 => row.key = key,
        _ => row.unique = random_unique(rng),
    }
    if rng.random() {
        *row.own(side) = value;
    }
    let fine = rng.random_range(0..8);
    // To write what is there leaves no trace.
    if rng.random() && fine != before.fine(side) {
        row.write_fine(side, fine);
    }
    Change::Update(before, row)
}

fn random_unique(rng: &mut StdRng) -> Option<u8> {
    rng.random_bool(0.7).then(|| rng.random_range(0..4))
}

fn accepts(table: &Table, change: &Change, schema: Schema) -> bool {
    let (before, Some(after)) = change.images() else { return true };
    let others = table.values().filter(|row| before.is_none_or(|before| row.key != before.key));
    let clashes = |row: &Row| {
        let unique = schema.unique && row.unique.is_some() && row.unique == after.unique;
        unique || schema.collation.same(row.key, after.key)
    };
    !others.into_iter().any(clashes)
}
