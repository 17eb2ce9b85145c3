//! What one writer knows about its rows, and what it does to them next.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;

use super::Plan;
use super::shape::{Cell, RowNumber, Shape};

/// This many rows of each writer get about half of its statements.
const HOT_ROWS: usize = 3;

#[derive(Clone, Debug)]
pub struct Row {
    pub key: Vec<Cell>,
    pub payload: Vec<Cell>,
}

/// Exact, because nobody else writes these rows: after an acknowledged commit the table holds precisely them.
#[derive(Clone, Debug)]
pub struct Model {
    pub owner: u32,
    pub rows: BTreeMap<RowNumber, Row>,
    /// Numbers without a row: deleted, moved away from, or not used yet.
    free: BTreeSet<RowNumber>,
    hot: Vec<RowNumber>,
}

/// A statement to execute, and its effect once the server has accepted it.
pub struct Change {
    /// With `?` for each of `values`.
    pub sql: String,
    pub values: Vec<Cell>,
    effect: Effect,
}

enum Effect {
    Put(RowNumber, Row),
    /// An INSERT for which the server chooses the key.
    PutUnderNewKey(Row),
    Remove(RowNumber),
    Move {
        from: RowNumber,
        to: RowNumber,
        row: Row,
    },
}

/// How to get back to the model before a transaction.
#[derive(Default)]
pub struct Undo(Vec<Before>);

struct Before {
    number: RowNumber,
    row: Option<Row>,
    free: bool,
}

impl Model {
    pub fn new(plan: &Plan, owner: u32, rng: &mut StdRng) -> Self {
        let shape = plan.shape;
        let first: Vec<_> = shape.first_rows(plan.writers, owner, plan.rows_per_writer).collect();
        let hot = first.iter().copied().take(HOT_ROWS).collect();
        let free = shape.free_rows(plan.writers, owner, plan.rows_per_writer).collect();
        let row = |number| {
            (number, Row { key: shape.key(plan.writers, owner, number, rng), payload: payload(plan, rng) })
        };
        Self { owner, rows: first.into_iter().map(row).collect(), free, hot }
    }

    /// The next statement. The number of rows stays about where it began.
    pub fn choose(&self, plan: &Plan, rng: &mut StdRng) -> Change {
        let few = self.rows.len() < plan.rows_per_writer;
        let (inserts, deletes) = if few { (30, 15) } else { (15, 30) };
        match rng.random_range(0..100) {
            dice if dice < inserts => self.insert(plan, rng),
            dice if dice < inserts + deletes => self.delete(plan, rng),
            dice if dice < inserts + deletes + 20 => self.update_key(plan, rng),
            _ => self.update(plan, rng),
        }
    }

    /// `new_key` is what the server chose, for an INSERT that left it to it.
    pub fn apply(&mut self, change: Change, new_key: Option<u64>, undo: &mut Undo) {
        match change.effect {
            Effect::Put(number, row) => self.set(number, Some(row), undo),
            Effect::PutUnderNewKey(mut row) => {
                let id = new_key.unwrap_or_default() as i64;
                row.key = vec![Cell::Int(id)];
                self.set(RowNumber(id), Some(row), undo);
            }
            Effect::Remove(number) => self.set(number, None, undo),
            Effect::Move { from, to, row } => {
                self.set(from, None, undo);
                self.set(to, Some(row), undo);
            }
        }
    }

    pub fn undo(&mut self, undo: Undo) {
        for before in undo.0.into_iter().rev() {
            match before.row {
                Some(row) => self.rows.insert(before.number, row),
                None => self.rows.remove(&before.number),
            };
            if before.free {
                self.free.insert(before.number);
            } else {
                self.free.remove(&before.number);
            }
        }
    }

    fn set(&mut self, number: RowNumber, row: Option<Row>, undo: &mut Undo) {
        let free = if row.is_some() { self.free.remove(&number) } else { !self.free.insert(number) };
        let row = match row {
            Some(row) => self.rows.insert(number, row),
            None => self.rows.remove(&number),
        };
        undo.0.push(Before { number, row, free });
    }

    fn insert(&self, plan: &Plan, rng: &mut StdRng) -> Change {
        let row = |key| Row { key, payload: Vec::new() };
        let chosen =
            self.free_row(rng).filter(|_| plan.shape != Shape::AutoIncrement || rng.random_bool(0.5));
        let mut row = match chosen {
            Some(number) => row(plan.shape.key(plan.writers, self.owner, number, rng)),
            None if plan.shape == Shape::AutoIncrement => row(Vec::new()),
            None => return self.update(plan, rng),
        };
        row.payload = payload(plan, rng);
        let mut columns = if row.key.is_empty() { Vec::new() } else { plan.shape.key_columns().to_vec() };
        columns.push("owner");
        columns.extend(plan.payload.iter().map(|c| c.name.as_str()));
        let places = vec!["?"; columns.len()].join(", ");
        let mut values = row.key.clone();
        values.push(Cell::Int(self.owner.into()));
        values.extend(row.payload.iter().cloned());
        Change {
            sql: format!("INSERT INTO {} ({}) VALUES ({places})", plan.table, columns.join(", ")),
            values,
            effect: match chosen {
                Some(number) => Effect::Put(number, row),
                None => Effect::PutUnderNewKey(row),
            },
        }
    }

    fn delete(&self, plan: &Plan, rng: &mut StdRng) -> Change {
        let Some(number) = self.row(rng) else { return self.insert(plan, rng) };
        Change {
            sql: format!("DELETE FROM {} WHERE {}", plan.table, equations(plan.shape.key_columns(), " AND ")),
            values: plan.shape.key(plan.writers, self.owner, number, rng),
            effect: Effect::Remove(number),
        }
    }

    /// Some columns of the payload, or all.
    fn update(&self, plan: &Plan, rng: &mut StdRng) -> Change {
        let Some((number, old)) = self.row(rng).and_then(|n| Some((n, self.rows.get(&n)?))) else {
            return self.insert(plan, rng);
        };
        let at_least = rng.random_range(0..plan.payload.len());
        let mut row = old.clone();
        let mut columns = Vec::new();
        let mut values = Vec::new();
        for (index, column) in plan.payload.iter().enumerate() {
            if index == at_least || rng.random_bool(0.5) {
                row.payload[index] = column.random(rng);
                columns.push(column.name.as_str());
                values.push(row.payload[index].clone());
            }
        }
        values.extend(plan.shape.key(plan.writers, self.owner, number, rng));
        let (set, key) = (equations(&columns, ", "), equations(plan.shape.key_columns(), " AND "));
        let sql = format!("UPDATE {} SET {set} WHERE {key}", plan.table);
        Change { sql, values, effect: Effect::Put(number, row) }
    }

    /// To a free key, or to another spelling of the same; the payload's first column changes with it now and then.
    fn update_key(&self, plan: &Plan, rng: &mut StdRng) -> Change {
        let Some((from, old)) = self.row(rng).and_then(|n| Some((n, self.rows.get(&n)?))) else {
            return self.insert(plan, rng);
        };
        let to = self.free_row(rng).filter(|_| rng.random_bool(0.8)).unwrap_or(from);
        let mut row = Row { key: plan.shape.key(plan.writers, self.owner, to, rng), ..old.clone() };
        let mut columns = plan.shape.key_columns().to_vec();
        let mut values = row.key.clone();
        if rng.random_bool(0.3) {
            row.payload[0] = plan.payload[0].random(rng);
            columns.push(plan.payload[0].name.as_str());
            values.push(row.payload[0].clone());
        }
        values.extend(plan.shape.key(plan.writers, self.owner, from, rng));
        let (set, key) = (equations(&columns, ", "), equations(plan.shape.key_columns(), " AND "));
        let sql = format!("UPDATE {} SET {set} WHERE {key}", plan.table);
        let effect = if from == to { Effect::Put(to, row) } else { Effect::Move { from, to, row } };
        Change { sql, values, effect }
    }

    fn row(&self, rng: &mut StdRng) -> Option<RowNumber> {
        let (first, last) = (self.rows.first_key_value()?.0, self.rows.last_key_value()?.0);
        let some = RowNumber(rng.random_range(first.0..=last.0));
        let cold = self.rows.range(some..).next().map(|(number, _)| *number);
        self.hot_one(rng, |number| self.rows.contains_key(number)).or(cold)
    }

    fn free_row(&self, rng: &mut StdRng) -> Option<RowNumber> {
        let some = RowNumber(rng.random_range(self.free.first()?.0..=self.free.last()?.0));
        let cold = self.free.range(some..).next().copied();
        self.hot_one(rng, |number| self.free.contains(number)).or(cold)
    }

    fn hot_one(&self, rng: &mut StdRng, eligible: impl Fn(&RowNumber) -> bool) -> Option<RowNumber> {
        let wanted = rng.random_bool(0.5);
        let start = rng.random_range(0..self.hot.len().max(1));
        let around = self.hot.iter().cycle().skip(start).take(self.hot.len());
        around.copied().find(|number| wanted && eligible(number))
    }
}

fn payload(plan: &Plan, rng: &mut StdRng) -> Vec<Cell> {
    plan.payload.iter().map(|column| column.random(rng)).collect()
}

/// `a = ?, b = ?`
fn equations(columns: &[&str], between: &str) -> String {
    columns.iter().map(|column| format!("{column} = ?")).collect::<Vec<_>>().join(between)
}
