//! How a window of row changes reaches the shadow: the product's compaction, then its statements in their order.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rsc::rows::compaction::{Compaction, Origin, Row};
use rsc::rows::written::Written;

use super::rules::Rules;
use super::table::{Change, DEFAULT, Duplicate, Key, Schema, Schemas, Shadow, Side, Stored, converted, put};

/// A row as it should be, where it came from, what the live table has in its finer column, and whether that was written.
struct Staged {
    row: Stored,
    origin: Origin,
    live: u32,
    written: bool,
}

/// A compacted window, decoded.
pub struct Window {
    rows: Vec<Staged>,
    left: Vec<Key>,
    schemas: Schemas,
    /// Where the rows come from.
    serving: Side,
    rules: Rules,
}

impl Window {
    pub fn new<'a>(
        changes: impl Iterator<Item = &'a Change>,
        (schemas, serving, swapped): (Schemas, Side, bool),
        rules: Rules,
        rng: &mut StdRng,
    ) -> Self {
        let mut compaction = Compaction::new();
        let mut born = BTreeSet::new();
        for change in changes {
            push(&mut compaction, change, serving, swapped || !rules.keeps_only_after_a_swap, rules);
            if let (None, Some(row)) = change.images() {
                born.insert(row.key);
            }
        }
        let decode = |(_, row): (&[u8], &Row)| Staged {
            row: Stored::from_image(&row.image, serving.other()),
            origin: row.origin.clone(),
            live: u32::from_be_bytes(row.image[7..11].try_into().unwrap()),
            written: row.written.text(1) == "1",
        };
        let mut rows: Vec<_> = compaction.rows().map(decode).collect();
        // A statement over a set has an order of its own; a random one that the seed repeats stands for it.
        rows.sort_by_key(|staged| staged.row.key);
        rows.shuffle(rng);
        let mut left: Vec<_> = compaction.left().map(Key::from_bytes).collect();
        if !rules.deletes_newborn_keys {
            left.retain(|key| !born.contains(key));
        }
        if !rules.deletes_taken_keys {
            left.retain(|key| !rows.iter().any(|staged| staged.row.key == *key));
        }
        Self { rows, left, schemas, serving, rules }
    }

    /// Applies the window in one transaction. Rows that are not there are inserted where `may_insert` says so.
    pub fn apply(&self, shadow: &mut Shadow, may_insert: impl Fn(Key) -> bool) -> Result<(), Duplicate> {
        let mut trial = shadow.clone();
        if let Err(duplicate) = self.as_set(&mut trial, &may_insert) {
            if !self.rules.rebuilds {
                return Err(duplicate);
            }
            trial = shadow.clone();
            self.rebuild(&mut trial, &may_insert)?;
        }
        *shadow = trial;
        Ok(())
    }

    /// Carry, delete, update, insert.
    fn as_set(&self, shadow: &mut Shadow, may_insert: &impl Fn(Key) -> bool) -> Result<(), Duplicate> {
        let carried = self.carry(shadow);
        if self.rules.deletes_first {
            self.delete(shadow, self.left.iter());
        }
        let mut missing = Vec::new();
        for staged in &self.rows {
            match self.find(shadow, staged.row.key) {
                Some(old) => put(shadow, Some(old.key), self.with(staged, &old), self.target())?,
                None => missing.push(staged),
            }
        }
        self.insert(shadow, missing.into_iter(), &carried, may_insert)?;
        if !self.rules.deletes_first {
            self.delete(shadow, self.left.iter());
        }
        Ok(())
    }

    /// All touched rows away, then all final rows in: no order of updates can be in the way.
    fn rebuild(&self, shadow: &mut Shadow, may_insert: &impl Fn(Key) -> bool) -> Result<(), Duplicate> {
        let mut carried = self.carry(shadow);
        for staged in self.rows.iter().filter(|staged| staged.origin == Origin::Same) {
            if let Some(old) = self.find(shadow, staged.row.key) {
                carried.insert(staged.row.key, old);
            }
        }
        self.delete(shadow, self.left.iter());
        self.delete(shadow, self.rows.iter().map(|staged| &staged.row.key));
        self.insert(shadow, self.rows.iter(), &carried, may_insert)
    }

    /// The row that the shadow is to have where it has `old`: with what only the shadow knows, and what it knows better.
    fn with(&self, staged: &Staged, old: &Stored) -> Stored {
        let written = match self.rules.reads_what_was_written {
            true => staged.written,
            false => converted(old.fine, self.serving) != staged.live,
        };
        let fine = if written { staged.row.fine } else { old.fine };
        Stored { own: old.own, fine, ..staged.row }
    }

    /// Moved rows as the shadow has them, by their new key.
    fn carry(&self, shadow: &Shadow) -> BTreeMap<Key, Stored> {
        let moved = |staged: &Staged| match &staged.origin {
            Origin::Moved(from) if self.rules.carries => {
                Some((staged.row.key, self.find(shadow, Key::from_bytes(from))?))
            }
            _ => None,
        };
        self.rows.iter().filter_map(moved).collect()
    }

    fn delete<'a>(&self, shadow: &mut Shadow, keys: impl Iterator<Item = &'a Key>) {
        for key in keys {
            while let Some(row) = self.find(shadow, *key) {
                shadow.remove(&row.key);
            }
        }
    }

    fn insert<'a>(
        &self,
        shadow: &mut Shadow,
        rows: impl Iterator<Item = &'a Staged>,
        carried: &BTreeMap<Key, Stored>,
        may_insert: &impl Fn(Key) -> bool,
    ) -> Result<(), Duplicate> {
        for staged in rows.filter(|staged| may_insert(staged.row.key)) {
            let row = match carried.get(&staged.row.key) {
                Some(old) => self.with(staged, old),
                None => Stored { own: DEFAULT, ..staged.row },
            };
            put(shadow, None, row, self.target())?;
        }
        Ok(())
    }

    /// The shadow's row of a key.
    fn find(&self, shadow: &Shadow, key: Key) -> Option<Stored> {
        let source = self.schemas.of(self.serving).collation;
        let same = |row: &&Stored| {
            let source = !self.rules.compares_as_both || source.same(row.key, key);
            source && self.target().collation.same(row.key, key)
        };
        shadow.values().find(same).copied()
    }

    fn target(&self) -> Schema {
        self.schemas.of(self.serving.other())
    }
}

fn push(compaction: &mut Compaction, change: &Change, serving: Side, keeps: bool, rules: Rules) {
    match change {
        Change::Insert(row) if rules.knows_fresh_rows => {
            compaction.insert(&row.key.bytes(), &row.on(serving).image());
        }
        Change::Insert(row) => {
            let key = row.key.bytes();
            compaction.update(&key, &key, &row.on(serving).image(), Written::ALL);
        }
        Change::Update(before, after) => {
            let written = match keeps && rules.keeps_unwritten {
                true => Written::of([before.fine(serving) != after.fine(serving)].into_iter()),
                false => Written::ALL,
            };
            compaction.update(&before.key.bytes(), &after.key.bytes(), &after.on(serving).image(), written);
        }
        Change::Delete(row) => compaction.delete(&row.key.bytes()),
    }
}
