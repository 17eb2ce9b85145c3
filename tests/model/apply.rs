//! How a window of row changes reaches the shadow: the product's compaction, then its statements in their order.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rsc::rows::compaction::{Compaction, Origin, Row};

use super::rules::Rules;
use super::table::{Change, DEFAULT, Duplicate, Key, Schema, Schemas, Shadow, Side, Stored, put};

/// A compacted window, decoded.
pub struct Window {
    rows: Vec<(Stored, Origin)>,
    left: Vec<Key>,
    schemas: Schemas,
    /// Where the rows come from.
    serving: Side,
    rules: Rules,
}

impl Window {
    pub fn new<'a>(
        changes: impl Iterator<Item = &'a Change>,
        (schemas, serving): (Schemas, Side),
        rules: Rules,
        rng: &mut StdRng,
    ) -> Self {
        let mut compaction = Compaction::new();
        let mut born = BTreeSet::new();
        for change in changes {
            push(&mut compaction, change, serving, rules);
            if let (None, Some(row)) = change.images() {
                born.insert(row.key);
            }
        }
        let decode = |(_, row): (&[u8], &Row)| (Stored::from_image(&row.image), row.origin.clone());
        let mut rows: Vec<_> = compaction.rows().map(decode).collect();
        // A statement over a set has an order of its own; a random one that the seed repeats stands for it.
        rows.sort_by_key(|(row, _)| row.key);
        rows.shuffle(rng);
        let mut left: Vec<_> = compaction.left().map(Key::from_bytes).collect();
        if !rules.deletes_newborn_keys {
            left.retain(|key| !born.contains(key));
        }
        if !rules.deletes_taken_keys {
            left.retain(|key| !rows.iter().any(|(row, _)| row.key == *key));
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
        for (row, _) in &self.rows {
            match self.find(shadow, row.key) {
                Some(old) => put(shadow, Some(old.key), Stored { own: old.own, ..*row }, self.target())?,
                None => missing.push(row),
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
        for (row, _) in self.rows.iter().filter(|(_, origin)| *origin == Origin::Same) {
            if let Some(old) = self.find(shadow, row.key) {
                carried.insert(row.key, old.own);
            }
        }
        self.delete(shadow, self.left.iter());
        self.delete(shadow, self.rows.iter().map(|(row, _)| &row.key));
        self.insert(shadow, self.rows.iter().map(|(row, _)| row), &carried, may_insert)
    }

    /// What only the shadow knows of moved rows, by their new key.
    fn carry(&self, shadow: &Shadow) -> BTreeMap<Key, u32> {
        let own = |(row, origin): &(Stored, Origin)| match origin {
            Origin::Moved(from) if self.rules.carries => {
                Some((row.key, self.find(shadow, Key::from_bytes(from))?.own))
            }
            _ => None,
        };
        self.rows.iter().filter_map(own).collect()
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
        rows: impl Iterator<Item = &'a Stored>,
        carried: &BTreeMap<Key, u32>,
        may_insert: &impl Fn(Key) -> bool,
    ) -> Result<(), Duplicate> {
        for row in rows.filter(|row| may_insert(row.key)) {
            let own = carried.get(&row.key).copied().unwrap_or(DEFAULT);
            put(shadow, None, Stored { own, ..*row }, self.target())?;
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

fn push(compaction: &mut Compaction, change: &Change, serving: Side, rules: Rules) {
    match change {
        Change::Insert(row) if rules.knows_fresh_rows => {
            compaction.insert(&row.key.bytes(), &row.on(serving).image());
        }
        Change::Insert(row) => {
            compaction.update(&row.key.bytes(), &row.key.bytes(), &row.on(serving).image());
        }
        Change::Update(before, after) => {
            compaction.update(&before.key.bytes(), &after.key.bytes(), &after.on(serving).image());
        }
        Change::Delete(row) => compaction.delete(&row.key.bytes()),
    }
}
