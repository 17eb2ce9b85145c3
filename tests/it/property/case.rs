//! A table, an ALTER and writes, thrown by dice.
//!
//! Every row has a `tag` that no statement changes and no other row ever has. So the judge knows a row again, whatever
//! becomes of its key, and a statement says by tags which rows it may touch.

use std::collections::{BTreeSet, HashMap};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::conversions::kinds::{KINDS, Kind};

/// The types before and after, by the names of their kinds: from the set that rsc converts.
pub const PAIRS: &[(&str, &str)] = &[
    ("i8", "i32"),
    ("i8", "i64"),
    ("i8", "u8"),
    ("u8", "i32"),
    ("u16", "i24"),
    ("i24", "i32"),
    ("i32", "i64"),
    ("i32", "u32"),
    ("i32", "i8"),
    ("i64", "i32"),
    ("u32", "i64"),
    ("u64", "i64"),
    ("zf", "u64"),
    ("i32", "dec"),
    ("i32", "dbl"),
    ("i8", "vc10"),
    ("i32", "vc50"),
    ("i32", "js"),
    ("dec", "dec30"),
    ("dec30", "dec"),
    ("dec", "dbl"),
    ("dec", "i32"),
    ("dec", "vc50"),
    ("dec0", "i64"),
    ("flt", "dbl"),
    ("dbl", "flt"),
    ("flt", "vc50"),
    ("dbl", "vc50"),
    ("flt72", "dec"),
    ("dbl", "i32"),
    ("yr", "i32"),
    ("yr", "vc10"),
    ("i32", "yr"),
    ("bit1", "bit10"),
    ("bit10", "bit64"),
    ("bit10", "i32"),
    ("date", "dt"),
    ("dt", "date"),
    ("dt", "dt6"),
    ("dt6", "dt"),
    ("date", "vc50"),
    ("dt", "vc50"),
    ("dt", "ts"),
    ("ts", "dt"),
    ("ts", "ts3"),
    ("tm", "tm4"),
    ("tm4", "tm"),
    ("tm", "vc50"),
    ("char5", "vc10"),
    ("vc10", "char5"),
    ("vc10", "vc50"),
    ("vc50", "vc10"),
    ("vc10", "vcl1"),
    ("vcl1", "vc50"),
    ("vcl1", "vcu16"),
    ("vcu3", "vc50"),
    ("vcu16", "vc50"),
    ("vc50", "vcu3"),
    ("vc10", "tx"),
    ("tt", "tx"),
    ("tx", "tt"),
    ("ltl1", "tx"),
    ("tx", "ltl1"),
    ("vc10", "i32"),
    ("vc10", "dec"),
    ("vc10", "dbl"),
    ("vc50", "dt6"),
    ("vc10", "enab"),
    ("enab", "vc10"),
    ("enab", "enmore"),
    ("enmore", "enab"),
    ("enab", "enba"),
    ("enl1", "enab"),
    ("setab", "setba"),
    ("setba", "setab"),
    ("setba", "vc50"),
    ("bin5", "vb10"),
    ("vb10", "bin5"),
    ("vb10", "bl"),
    ("tb", "bl"),
    ("bl", "vb10"),
    ("tx", "bl"),
    ("vb10", "vc10"),
    ("js", "tx"),
    ("tx", "js"),
    ("js", "vc50"),
];

/// Kinds that only stay what they are.
const ALONE: &[&str] = &["geo", "pt4326", "vec3", "set64", "enmore"];

pub fn kind(name: &str) -> &'static Kind {
    KINDS.iter().find(|kind| kind.name == name).unwrap_or_else(|| panic!("no kind {name}"))
}

/// Not the days that no calendar has (a native ALTER refuses whole tables for them), nor the hours that a clock
/// shows twice, nor what makes a table slow.
pub fn usable(value: &str) -> bool {
    let days =
        ["0000-00-00", "2024-00-00", "2024-02-31", "2024-11-03", "2024-10-27", "2024-03-10", "2024-03-31"];
    !days.iter().any(|day| value.contains(day)) && !value.contains("000)")
}

/// For each pair the values of the first kind that a strict native ALTER takes to the second.
pub type Convertible = HashMap<(&'static str, &'static str), Vec<&'static str>>;

/// When columns are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Old,
    New,
}

/// A column as writes know it, before and after.
#[derive(Clone, Debug)]
struct Payload {
    old: Option<Shape>,
    new: Option<Shape>,
}

#[derive(Clone, Debug)]
struct Shape {
    name: String,
    values: Vec<String>,
}

/// One statement or transaction, and the rows that it may touch.
#[derive(Clone, Debug)]
pub struct Write {
    pub statements: Vec<String>,
    pub tags: BTreeSet<i64>,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub seed: u64,
    pub create: Vec<String>,
    pub alter: String,
    /// Where the process dies first, if it does, and what is written then.
    pub dies: Option<&'static str>,
    pub during: Vec<Write>,
    /// After the copy, before the swap.
    pub late: Vec<Write>,
    /// Under the new schema.
    pub new: Vec<Write>,
    /// Under the old schema, after the revert.
    pub again: Vec<Write>,
    pub renamed: Vec<(String, String)>,
    pub dropped: Vec<String>,
    /// The key's columns in the old and in the new table.
    pub key: Vec<(String, String)>,
}

impl Case {
    pub fn script(&self) -> String {
        let part = |title: &str, writes: &[Write]| {
            let lines: Vec<String> =
                writes.iter().flat_map(|w| &w.statements).map(|s| format!("{s};")).collect();
            format!("-- {title}\n{}\n", lines.join("\n"))
        };
        format!(
            "-- create.sql\n{};\n-- alter.sql\n{};\n{}{}{}{}",
            self.create.join(";\n"),
            self.alter,
            part(&format!("writes.sql, after {}", self.dies.unwrap_or("nothing")), &self.during),
            part("writes.sql, after the copy", &self.late),
            part("after.sql, under the new schema", &self.new),
            part("after the revert", &self.again)
        )
    }
}

/// The key of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    Int,
    Tiny,
    Text,
    Two,
    Counter,
    Unique,
}

impl Key {
    fn definition(self) -> &'static str {
        match self {
            Key::Int | Key::Unique => "id int NOT NULL",
            Key::Tiny => "id tinyint unsigned NOT NULL",
            Key::Text => "id varchar(8) CHARACTER SET utf8mb4 NOT NULL",
            Key::Two => "grp smallint NOT NULL, id int NOT NULL",
            Key::Counter => "id int NOT NULL AUTO_INCREMENT",
        }
    }

    fn constraint(self) -> &'static str {
        match self {
            Key::Int | Key::Tiny | Key::Text | Key::Counter => "PRIMARY KEY (id)",
            Key::Two => "PRIMARY KEY (grp, id)",
            Key::Unique => "UNIQUE KEY by_id (id)",
        }
    }

    /// The wider type that an ALTER may give it.
    fn wider(self) -> &'static str {
        match self {
            Key::Int | Key::Unique | Key::Two => "bigint NOT NULL",
            Key::Tiny => "int NOT NULL",
            Key::Text => "varchar(20) CHARACTER SET utf8mb4 NOT NULL",
            Key::Counter => "bigint NOT NULL AUTO_INCREMENT",
        }
    }
}

pub struct Dice<'a> {
    rng: StdRng,
    convertible: &'a Convertible,
    key: Key,
    widened: bool,
    new_id: String,
    payload: Vec<Payload>,
    /// Whether `u` is there.
    unique: bool,
    tags: Vec<i64>,
    next_tag: i64,
    next_key: u32,
    /// Keys of rows that went in this phase.
    free: Vec<u32>,
    keys: HashMap<i64, u32>,
    /// Any value at all: the ALTER may be refused for it.
    wild: bool,
}

pub fn throw(seed: u64, convertible: &Convertible) -> Case {
    let mut rng = StdRng::seed_from_u64(seed);
    let key = *[Key::Int, Key::Int, Key::Tiny, Key::Text, Key::Two, Key::Counter, Key::Unique]
        .choose(&mut rng)
        .unwrap_or(&Key::Int);
    let wild = rng.random_bool(0.06);
    let unique = rng.random_bool(0.5);
    let mut dice = Dice {
        rng,
        convertible,
        key,
        widened: false,
        new_id: "id".into(),
        payload: Vec::new(),
        unique,
        tags: Vec::new(),
        next_tag: 1,
        next_key: 1,
        free: Vec::new(),
        keys: HashMap::new(),
        wild,
    };
    dice.case(seed)
}

impl Dice<'_> {
    fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.rng.random_range(0..of.len())]
    }

    fn maybe(&mut self, chance: f64) -> bool {
        self.rng.random_bool(chance)
    }

    fn case(&mut self, seed: u64) -> Case {
        let partitioned = !self.unique && self.key != Key::Text && self.key != Key::Two && self.maybe(0.2);
        let (mut definitions, mut clauses) = (vec![self.key.definition().to_owned()], Vec::new());
        definitions.push("tag int NOT NULL".into());
        let (mut renamed, mut dropped) = (Vec::new(), Vec::new());
        for i in 0..self.rng.random_range(1..=5) {
            self.column(i, &mut definitions, &mut clauses, &mut renamed, &mut dropped);
        }
        for i in 0..self.rng.random_range(0..=2) {
            self.added(i, &mut clauses);
        }
        if self.maybe(0.3) {
            let kept = self.one(&["VIRTUAL", "STORED"]);
            let expression = self.one(&["tag * 2", "CONCAT('g', tag)"]);
            definitions.push(format!("g varchar(20) AS ({expression}) {kept}"));
            if self.maybe(0.3) {
                clauses.push(
                    self.one(&[
                        "DROP COLUMN g",
                        "MODIFY g varchar(30) AS (CONCAT('h', tag)) STORED",
                        "RENAME COLUMN g TO h",
                    ])
                    .into(),
                );
            }
        } else if self.maybe(0.3) {
            let kept = self.one(&["VIRTUAL", "STORED"]);
            clauses.push(format!("ADD COLUMN g varchar(20) AS (CONCAT('g', tag)) {kept}"));
        }
        definitions.push(self.key.constraint().into());
        self.unique_key(&mut definitions, &mut clauses);
        if self.maybe(0.3) {
            definitions.push("CONSTRAINT small CHECK (tag < 5000)".into());
            if self.maybe(0.5) {
                clauses.push("DROP CHECK small".into());
            }
        }
        if self.maybe(0.3) {
            clauses.push("ADD KEY by_tag (tag)".into());
        }
        self.key_clause(&mut clauses, &mut renamed);
        if self.maybe(0.1) {
            clauses.push("COMMENT = 'x'".into());
        }
        if self.maybe(0.08) {
            clauses.push("CONVERT TO CHARACTER SET utf8mb4".into());
        } else if self.maybe(0.05) {
            clauses.push("DEFAULT CHARACTER SET latin1".into());
        }
        if clauses.is_empty() {
            clauses.push("ADD KEY by_tag (tag)".into());
        }
        let mut alter = format!("ALTER TABLE t {}", clauses.join(", "));
        let partitions = "PARTITION BY HASH(id) PARTITIONS 3";
        let mut table = format!("CREATE TABLE t ({})", definitions.join(", "));
        if partitioned {
            table.push_str(&format!(" {partitions}"));
            if self.maybe(0.5) {
                alter.push_str(" REMOVE PARTITIONING");
            }
        } else if !self.unique
            && self.key != Key::Text
            && self.key != Key::Two
            && self.new_id == "id"
            && self.maybe(0.2)
        {
            alter.push_str(&format!(" {partitions}"));
        }
        let mut create = vec![table];
        let first = self.rng.random_range(0..25);
        let rows: Vec<Write> = (0..first).filter_map(|_| self.insert(Time::Old)).collect();
        create.extend(rows.into_iter().flat_map(|write| write.statements));
        let dies = ["batch.copy.before:kill", "batch.commit.after:kill", "batch.start.before:kill"];
        let dies = self.maybe(0.4).then(|| self.one(&dies));
        if self.key == Key::Int && !self.unique && self.maybe(0.15) {
            create.push(self.many());
        }
        let during = if dies.is_some() { self.phase(Time::Old) } else { Vec::new() };
        let late = self.phase(Time::Old);
        let new = self.phase(Time::New);
        let again = self.phase(Time::Old);
        let mut key = vec![("id".to_owned(), self.new_id.clone())];
        if self.key == Key::Two {
            key.insert(0, ("grp".into(), "grp".into()));
        }
        Case { seed, create, alter, dies, during, late, new, again, renamed, dropped, key }
    }

    /// So many rows that the copy takes several batches.
    fn many(&mut self) -> String {
        let columns: Vec<&str> =
            self.payload.iter().filter_map(|p| p.old.as_ref()).map(|shape| shape.name.as_str()).collect();
        let columns: String = columns.iter().map(|name| format!(", {name}")).collect();
        format!(
            "INSERT INTO t (id, tag{columns}) WITH RECURSIVE c (j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM c WHERE j < 150) \
             SELECT id + 1000 * j, tag + 100000 * j{columns} FROM t JOIN c WHERE tag <= 15"
        )
    }

    fn column(
        &mut self,
        i: usize,
        definitions: &mut Vec<String>,
        clauses: &mut Vec<String>,
        renamed: &mut Vec<(String, String)>,
        dropped: &mut Vec<String>,
    ) {
        let name = format!("c{i}");
        let (from, to) = match self.rng.random_range(0..10) {
            0 => {
                let alone = self.one(ALONE);
                (alone, alone)
            }
            _ => PAIRS[self.rng.random_range(0..PAIRS.len())],
        };
        let spatial = ["geo", "pt4326", "vec3"].contains(&from);
        let null = spatial || self.maybe(0.6);
        let what = self.rng.random_range(0..100);
        let to = if what < 55 { to } else { from };
        let new_null = if what < 55 && !spatial && self.maybe(0.25) { !null } else { null };
        let convertible: Vec<String> = match from == to {
            true => kind(from).values.iter().filter(|v| usable(v)).map(|v| (*v).to_owned()).collect(),
            false => self.convertible[&(from, to)].iter().map(|v| (*v).to_owned()).collect(),
        };
        let mut values = match self.wild && self.maybe(0.3) {
            true => kind(from).values.iter().filter(|v| usable(v)).map(|v| (*v).to_owned()).collect(),
            false => convertible,
        };
        if values.is_empty() || (null && (new_null || self.wild && self.maybe(0.1))) {
            values.push("NULL".into());
        }
        let mut definition = kind(from).definition.to_owned();
        definition.push_str(if null || values == ["NULL"] { " NULL" } else { " NOT NULL" });
        if self.maybe(0.25) && self.has_default(from) && values[0] != "NULL" {
            definition.push_str(&format!(" DEFAULT {}", values[0]));
        }
        definitions.push(format!("{name} {definition}"));
        if !spatial && self.maybe(0.2) {
            let long = kind(from).definition.contains("text") || kind(from).definition.contains("blob");
            if from != "js" {
                definitions.push(format!("KEY by_{name} ({name}{})", if long { "(5)" } else { "" }));
            }
        }
        let old = Shape { name: name.clone(), values };
        let mut new_values: Vec<String> =
            kind(to).values.iter().filter(|v| usable(v)).map(|v| (*v).to_owned()).collect();
        // Half of what is written later fits the old type.
        new_values.extend(kind(to).values.iter().filter(|v| usable(v)).take(2).map(|v| (*v).to_owned()));
        if new_null {
            new_values.push("NULL".into());
        }
        let changed = format!("{} {}", kind(to).definition, if new_null { "NULL" } else { "NOT NULL" });
        let place = self.one(&["", "", "", "", " FIRST", " AFTER tag"]);
        let other = format!("d{i}");
        let new_name = match what {
            0..40 => {
                clauses.push(format!("MODIFY {name} {changed}{place}"));
                name.clone()
            }
            40..55 => {
                clauses.push(format!("CHANGE {name} {other} {changed}{place}"));
                renamed.push((name.clone(), other.clone()));
                other
            }
            55..67 => {
                clauses.push(format!("RENAME COLUMN {name} TO {other}"));
                renamed.push((name.clone(), other.clone()));
                other
            }
            67..77 => {
                clauses.push(format!("DROP COLUMN {name}"));
                dropped.push(name.clone());
                self.payload.push(Payload { old: Some(old), new: None });
                return;
            }
            77..82 if self.has_default(from) && old.values[0] != "NULL" => {
                clauses.push(format!("ALTER {name} SET DEFAULT {}", old.values[0]));
                name.clone()
            }
            _ => name.clone(),
        };
        let new = Shape { name: new_name, values: new_values };
        self.payload.push(Payload { old: Some(old), new: Some(new) });
    }

    fn has_default(&self, of: &str) -> bool {
        !["js", "tx", "tt", "ltl1", "bl", "tb", "geo", "pt4326", "vec3", "flt", "dbl", "bit64"].contains(&of)
            && !of.starts_with("en")
            && !of.starts_with("set")
    }

    fn added(&mut self, i: usize, clauses: &mut Vec<String>) {
        let of = PAIRS[self.rng.random_range(0..PAIRS.len())].0;
        let values: Vec<String> =
            kind(of).values.iter().filter(|v| usable(v)).map(|v| (*v).to_owned()).collect();
        let date = ["date", "dt", "dt6", "ts", "ts3"].contains(&of);
        let with_default = self.has_default(of) && self.maybe(0.5);
        let null = if self.maybe(0.5) || (date && !with_default) { "NULL" } else { "NOT NULL" };
        let default = if with_default { format!(" DEFAULT {}", values[0]) } else { String::new() };
        let place = self.one(&["", "", " FIRST", " AFTER tag"]);
        clauses.push(format!("ADD COLUMN a{i} {} {null}{default}{place}", kind(of).definition));
        self.payload.push(Payload { old: None, new: Some(Shape { name: format!("a{i}"), values }) });
    }

    fn unique_key(&mut self, definitions: &mut Vec<String>, clauses: &mut Vec<String>) {
        if !self.unique {
            return;
        }
        definitions.push("u int NULL".into());
        match self.rng.random_range(0..10) {
            0..4 => definitions.push("UNIQUE KEY one_u (u)".into()),
            4..7 => {
                definitions.push("UNIQUE KEY one_u (u)".into());
                clauses.push("DROP KEY one_u".into());
            }
            7 => {
                definitions.push("UNIQUE KEY one_u (u)".into());
                clauses.push("DROP KEY one_u, ADD UNIQUE KEY two_u (u, tag)".into());
            }
            8 => {
                definitions.push("UNIQUE KEY one_u (u)".into());
                clauses.push("RENAME INDEX one_u TO other_u".into());
            }
            _ => clauses.push("ADD UNIQUE KEY one_u (u)".into()),
        }
    }

    fn key_clause(&mut self, clauses: &mut Vec<String>, renamed: &mut Vec<(String, String)>) {
        let wider = self.key.wider();
        match self.rng.random_range(0..10) {
            0..3 => {
                clauses.push(format!("MODIFY id {wider}"));
                self.widened = true;
            }
            3 => {
                clauses.push(format!("CHANGE id ident {wider}"));
                renamed.push(("id".into(), "ident".into()));
                self.widened = true;
                self.new_id = "ident".into();
            }
            _ => {}
        }
    }

    fn phase(&mut self, time: Time) -> Vec<Write> {
        self.free.clear();
        (0..self.rng.random_range(0..12)).filter_map(|_| self.write(time)).collect()
    }

    fn write(&mut self, time: Time) -> Option<Write> {
        match self.rng.random_range(0..100) {
            0..25 => self.insert(time),
            25..55 => self.update(time),
            55..65 => self.move_key(time),
            65..72 => self.swap_keys(time),
            72..80 => self.swap_unique(time),
            80..88 => self.delete(),
            88..93 => self.replace(time),
            _ => self.transaction(time),
        }
    }

    fn transaction(&mut self, time: Time) -> Option<Write> {
        let parts: Vec<Write> = (0..self.rng.random_range(2..5))
            .filter_map(|_| match self.rng.random_range(0..4) {
                0 => self.insert(time),
                1 => self.move_key(time),
                _ => self.update(time),
            })
            .collect();
        let mut statements = vec!["BEGIN".to_owned()];
        statements.extend(parts.iter().flat_map(|part| part.statements.clone()));
        statements.push(self.one(&["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"]).into());
        Some(Write { statements, tags: parts.into_iter().flat_map(|part| part.tags).collect() })
    }

    fn shapes(&self, time: Time) -> Vec<Shape> {
        let at = |p: &Payload| if time == Time::Old { p.old.clone() } else { p.new.clone() };
        self.payload.iter().filter_map(at).collect()
    }

    fn id(&self, time: Time) -> String {
        if time == Time::Old { "id".into() } else { self.new_id.clone() }
    }

    fn fresh_key(&mut self) -> u32 {
        if !self.free.is_empty() && self.maybe(0.4) {
            let at = self.rng.random_range(0..self.free.len());
            return self.free.swap_remove(at);
        }
        self.next_key += 1;
        self.next_key - 1
    }

    fn key_literal(&mut self, time: Time, key: u32) -> String {
        let beyond = time == Time::New && self.widened && self.maybe(0.2);
        match (self.key, beyond) {
            (Key::Text, false) => format!("'k{key}'"),
            (Key::Text, true) => format!("'k{key} and more'"),
            (Key::Tiny, true) => (key + 300).to_string(),
            (_, true) => (u64::from(key) + 5_000_000_000).to_string(),
            (_, false) => key.to_string(),
        }
    }

    fn unique_value(&mut self) -> String {
        match self.rng.random_range(0..8) {
            0 => "NULL".into(),
            1..3 => self.rng.random_range(1..30).to_string(),
            _ => (100 + self.next_tag).to_string(),
        }
    }

    fn insert(&mut self, time: Time) -> Option<Write> {
        let key = self.fresh_key();
        Some(self.insert_at(time, key))
    }

    fn insert_at(&mut self, time: Time, key: u32) -> Write {
        let tag = self.next_tag;
        let mut names = vec![self.id(time), "tag".into()];
        let mut values = vec![self.key_literal(time, key), tag.to_string()];
        if self.key == Key::Two {
            names.push("grp".into());
            values.push((key % 3).to_string());
        }
        if self.unique {
            names.push("u".into());
            values.push(self.unique_value());
        }
        for shape in self.shapes(time) {
            if shape.name.starts_with('a') && self.maybe(0.4) {
                continue;
            }
            names.push(shape.name.clone());
            values.push(shape.values[self.rng.random_range(0..shape.values.len())].clone());
        }
        self.next_tag += 1;
        self.tags.push(tag);
        self.keys.insert(tag, key);
        let sql = format!("INSERT INTO t ({}) VALUES ({})", names.join(", "), values.join(", "));
        Write { statements: vec![sql], tags: [tag].into() }
    }

    fn some_tags(&mut self) -> Option<BTreeSet<i64>> {
        if self.tags.is_empty() {
            return None;
        }
        let most = self.rng.random_range(1..=3);
        Some((0..most).map(|_| self.tags[self.rng.random_range(0..self.tags.len())]).collect())
    }

    fn update(&mut self, time: Time) -> Option<Write> {
        let (shapes, tags) = (self.shapes(time), self.some_tags()?);
        let mut sets: Vec<String> = Vec::new();
        for shape in &shapes {
            if self.maybe(0.5) {
                let value = &shape.values[self.rng.random_range(0..shape.values.len())];
                sets.push(format!("{} = {value}", shape.name));
            }
        }
        if self.unique && (sets.is_empty() || self.maybe(0.3)) {
            sets.push(format!("u = {}", self.unique_value()));
        }
        if sets.is_empty() {
            return None;
        }
        let sql = format!("UPDATE t SET {} WHERE tag IN ({})", sets.join(", "), listed(&tags));
        Some(Write { statements: vec![sql], tags })
    }

    fn move_key(&mut self, time: Time) -> Option<Write> {
        let tag = *self.some_tags()?.first()?;
        let key = self.fresh_key();
        self.keys.insert(tag, key);
        let (id, key) = (self.id(time), self.key_literal(time, key));
        let sql = format!("UPDATE t SET {id} = {key} WHERE tag = {tag}");
        Some(Write { statements: vec![sql], tags: [tag].into() })
    }

    fn swap_keys(&mut self, time: Time) -> Option<Write> {
        let tags = self.some_tags()?;
        let (&a, &b) = (tags.first()?, tags.last()?);
        let id = self.id(time);
        let (old_a, old_b, spare) = (self.keys[&a], self.keys[&b], self.fresh_key());
        let to = |key: u32, tag: i64, dice: &mut Self| {
            let literal = if dice.key == Key::Text { format!("'k{key}'") } else { key.to_string() };
            format!("UPDATE t SET {id} = {literal} WHERE tag = {tag}")
        };
        let statements =
            vec!["BEGIN".into(), to(spare, a, self), to(old_a, b, self), to(old_b, a, self), "COMMIT".into()];
        self.keys.extend([(a, old_b), (b, old_a)]);
        Some(Write { statements, tags })
    }

    fn swap_unique(&mut self, time: Time) -> Option<Write> {
        let tags = self.some_tags()?;
        if !self.unique {
            return self.update(time);
        }
        let (a, b) = (tags.first()?, tags.last()?);
        let statements = vec![
            "BEGIN".into(),
            format!("SELECT u INTO @a FROM t WHERE tag = {a}"),
            format!("SELECT u INTO @b FROM t WHERE tag = {b}"),
            format!("UPDATE t SET u = -1 WHERE tag = {a}"),
            format!("UPDATE t SET u = @a WHERE tag = {b}"),
            format!("UPDATE t SET u = @b WHERE tag = {a}"),
            "COMMIT".into(),
        ];
        Some(Write { statements, tags })
    }

    fn delete(&mut self) -> Option<Write> {
        let tags = self.some_tags()?;
        self.tags.retain(|tag| !tags.contains(tag));
        self.free.extend(tags.iter().map(|tag| self.keys[tag]));
        let sql = format!("DELETE FROM t WHERE tag IN ({})", listed(&tags));
        Some(Write { statements: vec![sql], tags })
    }

    /// Another row under the same key.
    fn replace(&mut self, time: Time) -> Option<Write> {
        let tag = *self.some_tags()?.first()?;
        self.tags.retain(|other| *other != tag);
        let insert = self.insert_at(time, self.keys[&tag]);
        let delete = format!("DELETE FROM t WHERE tag = {tag}");
        let mut tags = insert.tags;
        tags.insert(tag);
        let statements = vec!["BEGIN".into(), delete, insert.statements[0].clone(), "COMMIT".into()];
        Some(Write { statements, tags })
    }
}

pub fn listed(tags: &BTreeSet<i64>) -> String {
    tags.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
}
