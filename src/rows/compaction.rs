//! What a window of row changes comes to, so that it can be applied as a set.
//!
//! A window is a run of consecutive row changes in commit order. Its net effect on a shadow table is
//!
//! * `left`: every key that some row stopped having at any moment of the window, by DELETE or by an UPDATE of
//!   the key, whether or not another row has that key now;
//! * `rows`: for each row that was touched and exists at the end, its key, its last image, and where it came
//!   from ([`Origin`]).
//!
//! Applied in this order, in one transaction: carry what only the shadow knows of moved rows, delete `left`,
//! update the rows that are there, insert the rows that are not.
//!
//! # Why every key that was left is deleted, also one that was new in the window
//!
//! During the copy the shadow may hold a row from a snapshot *inside* the window. A row inserted, copied, and
//! deleted again comes to nothing in the window, but stands in the shadow. The same holds for the key in the
//! middle of a → b → c. Deleting a key that is not there costs a lookup and harms nothing.
//!
//! # Why a row that left its key and came back counts as moved
//!
//! Keys are compared here byte by byte, but by the server in the key's collation: `abc` and `ABC` may be one
//! key there. If row `abc` moves away, `ABC` is inserted and deleted, and the row returns to `abc`, then
//! deleting the left key `ABC` removes `abc` from the shadow. A moved row has been carried before, so what only
//! the shadow knows survives. A row that never left its key cannot meet this: while it held `abc`, no row could
//! have, or leave, a key equal to it.
//!
//! # Why `Fresh` is kept apart from `Same`
//!
//! DELETE and INSERT of one key are two rows. Columns that only the shadow has must take their default for the
//! second, exactly as if the window had been applied change by change. The key is in `left`, so the first row
//! is gone from the shadow when the second is written.
//!
//! # What was written
//!
//! Of a row that was there before the window, `written` says which columns any of its events has changed. The origin
//! says whose values the others are: those of the row that had that key at the start.

use std::collections::{HashMap, HashSet};

use super::written::Written;

/// The bytes that identify a row: an unambiguous encoding of its key columns.
pub type Key = Box<[u8]>;
/// One full row image, undecoded.
pub type Image = Box<[u8]>;

/// Where a row came from within its window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It had this key at the start of the window and all through it.
    Same,
    /// It had the given key at the start of the window and has left it (and may be back).
    Moved(Key),
    /// It was inserted within the window.
    Fresh,
}

/// A row that was touched and exists at the end of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub origin: Origin,
    pub image: Image,
    pub written: Written,
}

/// The net effect of the changes pushed so far.
#[derive(Debug, Default)]
pub struct Compaction {
    rows: HashMap<Key, Row>,
    left: HashSet<Key>,
    changes: u64,
    bytes: usize,
}

impl Compaction {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn insert(&mut self, key: &[u8], image: &[u8]) {
        self.changes += 1;
        self.put(key, Origin::Fresh, image, Written::ALL);
    }

    /// `written`: the columns in which `image` differs from the one before it.
    pub fn update(&mut self, before: &[u8], after: &[u8], image: &[u8], written: Written) {
        self.changes += 1;
        if before == after {
            match self.rows.get_mut(before) {
                Some(row) => {
                    self.bytes = self.bytes + image.len() - row.image.len();
                    row.image = image.into();
                    row.written = std::mem::replace(&mut row.written, Written::ALL).and(&written);
                }
                None => self.put(after, Origin::Same, image, written),
            }
            return;
        }
        let (origin, earlier) = match self.take(before) {
            Some(Row { origin: Origin::Same, written, .. }) => (Origin::Moved(before.into()), Some(written)),
            Some(Row { origin, written, .. }) => (origin, Some(written)),
            None => (Origin::Moved(before.into()), None),
        };
        self.leave(before);
        self.put(after, origin, image, earlier.map_or(written.clone(), |earlier| earlier.and(&written)));
    }

    pub fn delete(&mut self, key: &[u8]) {
        self.changes += 1;
        self.take(key);
        self.leave(key);
    }

    /// Row changes pushed, before compaction.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Bytes of keys and images held; bookkeeping of the maps comes on top, about 100 bytes an entry.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keys and rows held.
    pub fn entries(&self) -> usize {
        self.rows.len() + self.left.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.left.is_empty()
    }

    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &Row)> {
        self.rows.iter().map(|(key, row)| (&**key, row))
    }

    pub fn left(&self) -> impl Iterator<Item = &[u8]> {
        self.left.iter().map(|key| &**key)
    }

    pub fn clear(&mut self) {
        self.rows.clear();
        self.left.clear();
        self.changes = 0;
        self.bytes = 0;
    }

    fn put(&mut self, key: &[u8], origin: Origin, image: &[u8], written: Written) {
        self.bytes += key.len() + image.len();
        if let Some(old) = self.rows.insert(key.into(), Row { origin, image: image.into(), written }) {
            self.bytes -= key.len() + old.image.len();
        }
    }

    fn take(&mut self, key: &[u8]) -> Option<Row> {
        let row = self.rows.remove(key)?;
        self.bytes -= key.len() + row.image.len();
        Some(row)
    }

    fn leave(&mut self, key: &[u8]) {
        if !self.left.contains(key) {
            self.bytes += key.len();
            self.left.insert(key.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(compaction: &Compaction) -> (Vec<(String, String, Origin)>, Vec<String>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut rows: Vec<_> =
            compaction.rows().map(|(key, row)| (text(key), text(&row.image), row.origin.clone())).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let mut left: Vec<_> = compaction.left().map(text).collect();
        left.sort();
        (rows, left)
    }

    fn moved(from: &str) -> Origin {
        Origin::Moved(from.as_bytes().into())
    }

    fn row(key: &str, image: &str, origin: Origin) -> (String, String, Origin) {
        (key.into(), image.into(), origin)
    }

    #[test]
    fn a_key_updated_a_thousand_times_is_written_once() {
        let mut c = Compaction::new();
        for n in 0..1000 {
            c.update(b"k", b"k", format!("{n}").as_bytes(), Written::ALL);
        }
        assert_eq!(net(&c), (vec![row("k", "999", Origin::Same)], vec![]));
        assert_eq!(c.changes(), 1000);
        assert_eq!(c.bytes(), 4);
    }

    #[test]
    fn a_chain_of_moves_is_one_move_and_leaves_every_key_on_its_way() {
        let mut c = Compaction::new();
        c.update(b"a", b"b", b"1", Written::ALL);
        c.update(b"b", b"c", b"2", Written::ALL);
        assert_eq!(net(&c), (vec![row("c", "2", moved("a"))], vec!["a".into(), "b".into()]));
    }

    #[test]
    fn two_rows_that_swap_keys_are_two_moves() {
        let mut c = Compaction::new();
        c.update(b"a", b"t", b"1", Written::ALL);
        c.update(b"b", b"a", b"2", Written::ALL);
        c.update(b"t", b"b", b"1", Written::ALL);
        let (rows, left) = net(&c);
        assert_eq!(rows, vec![row("a", "2", moved("b")), row("b", "1", moved("a"))]);
        assert_eq!(left, ["a", "b", "t"]);
    }

    #[test]
    fn delete_and_insert_of_one_key_is_another_row() {
        let mut c = Compaction::new();
        c.delete(b"a");
        c.insert(b"a", b"new");
        assert_eq!(net(&c), (vec![row("a", "new", Origin::Fresh)], vec!["a".into()]));
    }

    #[test]
    fn a_row_that_came_and_went_is_still_deleted() {
        let mut c = Compaction::new();
        c.insert(b"a", b"1");
        c.update(b"a", b"b", b"2", Written::ALL);
        c.delete(b"b");
        assert_eq!(net(&c), (vec![], vec!["a".into(), "b".into()]));
    }

    #[test]
    fn a_row_that_returns_to_its_key_is_carried() {
        let mut c = Compaction::new();
        c.update(b"a", b"b", b"1", Written::ALL);
        c.update(b"b", b"a", b"2", Written::ALL);
        assert_eq!(net(&c), (vec![row("a", "2", moved("a"))], vec!["a".into(), "b".into()]));
    }

    #[test]
    fn a_column_that_any_event_of_a_row_writes_is_written() {
        let written = |columns: [bool; 3]| Written::of(columns.into_iter());
        let mut c = Compaction::new();
        c.update(b"a", b"a", b"1", written([true, false, false]));
        c.update(b"a", b"b", b"2", written([false, true, false]));
        c.update(b"x", b"y", b"3", written([false, false, true]));
        c.insert(b"n", b"4");
        c.update(b"n", b"n", b"5", written([false, false, false]));
        let of = |key: &[u8]| c.rows().find(|(k, _)| *k == key).unwrap().1.written.text(3);
        assert_eq!([of(b"b"), of(b"y"), of(b"n")], ["110", "001", "111"]);
    }

    #[test]
    fn the_bytes_held_fall_back_to_nothing() {
        let mut c = Compaction::new();
        c.insert(b"a", b"123");
        c.update(b"a", b"b", b"12345", Written::ALL);
        c.delete(b"b");
        assert_eq!(c.bytes(), 2, "two left keys");
        c.clear();
        assert_eq!((c.bytes(), c.entries()), (0, 0));
    }
}
