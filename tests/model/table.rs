//! What tables hold, and what of it each of the two schemas shows.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

/// Ids are below this; few, so that everything meets everything.
pub const IDS: u8 = 10;

/// What a column that only one schema has holds for a row that came by the other.
pub const DEFAULT: u32 = 0;

/// A key as it is stored. Its two spellings are the same in a folding collation, as `abc` and `ABC` are, and in
/// that alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub id: u8,
    pub spelling: u8,
}

impl Key {
    pub fn bytes(self) -> [u8; 2] {
        [self.id, self.spelling]
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { id: bytes[0], spelling: bytes[1] }
    }

    pub fn random(rng: &mut StdRng) -> Self {
        Self { id: rng.random_range(0..IDS), spelling: rng.random_range(0..2) }
    }
}

/// How a key column compares. Both order by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collation {
    Bytes,
    Folds,
}

impl Collation {
    pub fn same(self, a: Key, b: Key) -> bool {
        match self {
            Collation::Bytes => a == b,
            Collation::Folds => a.id == b.id,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Old,
    New,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Old => Side::New,
            Side::New => Side::Old,
        }
    }
}

/// What a side enforces.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub collation: Collation,
    /// Whether column `unique` has a unique key.
    pub unique: bool,
}

/// A change of schema. Every one also drops `title` and adds `extra`.
#[derive(Clone, Copy, Debug)]
pub struct Schemas {
    old: Schema,
    new: Schema,
}

impl Schemas {
    pub fn random(rng: &mut StdRng) -> Self {
        let schema = |collation, unique| Schema { collation, unique };
        let (bytes, folds) = (Collation::Bytes, Collation::Folds);
        let (old, new) = match rng.random_range(0..8) {
            0 => (schema(folds, false), schema(folds, true)),
            1 => (schema(folds, true), schema(folds, false)),
            2 => (schema(bytes, true), schema(folds, true)),
            3 => (schema(folds, true), schema(bytes, true)),
            _ => (schema(folds, true), schema(folds, true)),
        };
        Self { old, new }
    }

    pub fn of(&self, side: Side) -> Schema {
        match side {
            Side::Old => self.old,
            Side::New => self.new,
        }
    }
}

/// A row in full, as if one table had the columns of both schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: Key,
    pub unique: Option<u8>,
    pub value: u32,
    /// Only the old schema has it.
    pub title: u32,
    /// Only the new schema has it.
    pub extra: u32,
    /// What a column that both have holds in the old schema, and in the new one. Each knows a bit that the other does not.
    pub fine: [u32; 2],
}

/// What a value of the column is in the other schema.
pub fn converted(fine: u32, to: Side) -> u32 {
    match to {
        Side::Old => fine & !2,
        Side::New => fine & !1,
    }
}

impl Row {
    pub fn fine(&self, side: Side) -> u32 {
        self.fine[side as usize]
    }

    /// The application writes it on one side. What it was is nobody's business any more.
    pub fn write_fine(&mut self, side: Side, fine: u32) {
        self.fine[side as usize] = fine;
        self.fine[side.other() as usize] = converted(fine, side.other());
    }

    pub fn own(&mut self, side: Side) -> &mut u32 {
        match side {
            Side::Old => &mut self.title,
            Side::New => &mut self.extra,
        }
    }

    pub fn on(mut self, side: Side) -> Stored {
        let (key, unique, value, fine) = (self.key, self.unique, self.value, self.fine(side));
        Stored { key, unique, value, fine, own: *self.own(side) }
    }
}

/// A row of one schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub key: Key,
    pub unique: Option<u8>,
    pub value: u32,
    /// The column of which each schema knows a bit that the other does not.
    pub fine: u32,
    /// The column that the other schema lacks.
    pub own: u32,
}

impl Stored {
    /// What both schemas have, as the binlog carries it.
    pub fn image(&self) -> Vec<u8> {
        let mut image = vec![self.key.id, self.key.spelling, self.unique.map_or(0, |u| u + 1)];
        image.extend(self.value.to_be_bytes());
        image.extend(self.fine.to_be_bytes());
        image
    }

    /// What an image is on the other side: the column of its own takes its default.
    pub fn from_image(image: &[u8], to: Side) -> Self {
        let value = u32::from_be_bytes(image[3..7].try_into().unwrap());
        let fine = u32::from_be_bytes(image[7..11].try_into().unwrap());
        let (key, unique) = (Key::from_bytes(image), image[2].checked_sub(1));
        Self { key, unique, value, fine, own: DEFAULT }.projected(to)
    }

    /// A row of the live table as the shadow, on side `to`, would have it.
    pub fn projected(self, to: Side) -> Self {
        Self { fine: converted(self.fine, to), own: DEFAULT, ..self }
    }
}

pub type Table = BTreeMap<Key, Row>;
pub type Shadow = BTreeMap<Key, Stored>;

/// Two rows that a schema does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicate {
    Key(u8),
    Unique(u8),
}

impl Duplicate {
    /// Whether the table has two such rows.
    pub fn is_in(self, table: &Table) -> bool {
        let takes_part = |row: &&Row| match self {
            Duplicate::Key(id) => row.key.id == id,
            Duplicate::Unique(value) => row.unique == Some(value),
        };
        table.values().filter(takes_part).count() > 1
    }
}

/// Writes one row, in place of `old` if given. Uniqueness is checked at once, against all other rows.
pub fn put(shadow: &mut Shadow, old: Option<Key>, row: Stored, schema: Schema) -> Result<(), Duplicate> {
    if let Some(old) = old {
        shadow.remove(&old);
    }
    if shadow.keys().any(|key| schema.collation.same(*key, row.key)) {
        return Err(Duplicate::Key(row.key.id));
    }
    if let Some(value) = row.unique
        && schema.unique
        && shadow.values().any(|other| other.unique == Some(value))
    {
        return Err(Duplicate::Unique(value));
    }
    shadow.insert(row.key, row);
    Ok(())
}

/// One row event.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    Insert(Row),
    Update(Row, Row),
    Delete(Row),
}

impl Change {
    pub fn apply(&self, table: &mut Table) {
        let (before, after) = self.images();
        if let Some(before) = before {
            table.remove(&before.key);
        }
        if let Some(after) = after {
            table.insert(after.key, *after);
        }
    }

    pub fn images(&self) -> (Option<&Row>, Option<&Row>) {
        match self {
            Change::Insert(after) => (None, Some(after)),
            Change::Update(before, after) => (Some(before), Some(after)),
            Change::Delete(before) => (Some(before), None),
        }
    }

    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let (before, after) = self.images();
        before.into_iter().chain(after).copied()
    }

    /// Short, for a trace.
    pub fn short(&self) -> String {
        let key = |row: &Row| format!("{}{}", row.key.id, ["", "'"][row.key.spelling as usize]);
        let row = |r: &Row| {
            let unique = r.unique.map_or("-".into(), |u| u.to_string());
            let [old, new] = r.fine;
            format!(
                "{} u={unique} v={} fine={old}/{new} title={} extra={}",
                key(r),
                r.value,
                r.title,
                r.extra
            )
        };
        match self {
            Change::Insert(after) => format!("insert {}", row(after)),
            Change::Update(before, after) => format!("update {} -> {}", key(before), row(after)),
            Change::Delete(before) => format!("delete {}", key(before)),
        }
    }
}
