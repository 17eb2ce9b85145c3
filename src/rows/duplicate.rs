//! The SQL that finds the two rows behind a duplicate, whatever the key is made of: columns, prefixes, expressions,
//! generated columns, or values that only the conversion makes equal.
//!
//! The server knows best which row is in the way, and tells it in one kind of statement alone: ON DUPLICATE KEY
//! UPDATE names the columns of the row it met. Here that update changes nothing but the session's variables, and its
//! transaction is rolled back.
//!
//! What it met may be from another time than the row that was to be written. So the pair is taken from the live
//! table, as it is at one moment, and put into `twin`, an empty table of the shadow's definition: if that refuses
//! the pair, it is a duplicate.

use super::key_range::{self, Bound, Frontier};
use super::ledger::shown;
use super::statements::{Staging, Statements};
use crate::schema::table::{Column, Key, Table, quote, same_name};

/// A temporary table of the shadow's definition.
pub const TWIN: &str = "`_rsc`.`twin`";
pub const FORGET_MET: &str = "SET @rsc_one = NULL, @rsc_other = NULL";
/// The key of the row that was to be written, and of the one that was met, each joined by the separator.
pub const MET: &str = "SELECT @rsc_one, @rsc_other";
/// Between two literals. No literal has a line break.
pub const SEPARATOR: &str = "\n";

/// Expressions that print the key of a row as literals.
pub struct MeetingKeys {
    /// Of the row to be written, alias `d`.
    pub one: Vec<String>,
    /// Of the shadow's row, as `Statements::shadow_key_columns` qualifies its columns.
    pub other: Vec<String>,
}

impl Statements {
    /// The shadow's key columns as an ON DUPLICATE KEY UPDATE must name them.
    pub fn shadow_key_columns(&self) -> Vec<String> {
        let columns = self.projection().key.iter();
        columns.map(|key| format!("{}.{}", self.shadow, quote(&key.target.name))).collect()
    }

    /// Lets the first row above `lo` meet what it meets in the shadow.
    pub fn meet_first(&self, keys: &MeetingKeys, lo: Option<&Bound>) -> String {
        let first = format!(
            "(SELECT * FROM {} WHERE {} ORDER BY {} LIMIT 1) AS d",
            self.source_by_key(),
            key_range::between(&self.source_key_columns(), lo, None),
            self.source_key_columns().join(", "),
        );
        let (names, values) = self.full_lists();
        let (names, values) = (names.join(", "), values.join(", "));
        format!("INSERT INTO {} ({names}) SELECT {values} FROM {first} {}", self.shadow, self.note(keys))
    }

    /// The same for all staged rows that the shadow does not have.
    pub fn meet_staged(&self, keys: &MeetingKeys, frontier: &Frontier) -> String {
        format!("{} {}", self.insert_rest(frontier), self.note(keys))
    }

    fn note(&self, keys: &MeetingKeys) -> String {
        let joined = |literals: &[String]| format!("CONCAT_WS('{SEPARATOR}', {})", literals.join(", "));
        let own = self.shadow_key_columns().swap_remove(0);
        format!(
            "ON DUPLICATE KEY UPDATE {own} = \
             IF((@rsc_one := {}) IS NULL OR (@rsc_other := {}) IS NULL, {own}, {own})",
            joined(&keys.one),
            joined(&keys.other)
        )
    }

    /// Stages two rows of the live table, as they are at one moment.
    pub fn stage_pair(&self, one: &Bound, other: &Bound) -> String {
        let projection = self.projection();
        let names: Vec<String> =
            projection.staged().iter().map(|&i| quote(&projection.source[i].name)).collect();
        let columns = self.source_key_columns();
        let is = |key: &Bound| -> String {
            columns.iter().zip(key).map(|(c, k)| format!("{c} = {k}")).collect::<Vec<_>>().join(" AND ")
        };
        format!(
            "INSERT {} INTO {} ({}) SELECT {} FROM {} WHERE ({}) OR ({})",
            self.as_it_is(),
            Staging::Delta.name(),
            names.join(", "),
            names.iter().map(|name| format!("d.{name}")).collect::<Vec<_>>().join(", "),
            self.source_by_key(),
            is(one),
            is(other)
        )
    }

    pub fn create_twin(&self) -> String {
        format!("CREATE TEMPORARY TABLE {TWIN} LIKE {}", self.shadow)
    }

    pub fn fill_twin(&self) -> String {
        let (names, values) = self.full_lists();
        format!(
            "INSERT INTO {TWIN} ({}) SELECT {} FROM {} AS d",
            names.join(", "),
            values.join(", "),
            Staging::Delta.name()
        )
    }

    /// The staged rows for people: the key, then `columns` of the live table.
    pub fn show_pair(&self, columns: &[&Column]) -> String {
        let show = |column: &Column| shown(&format!("d.{}", quote(&column.name)), column);
        let key: Vec<String> = self.projection().key.iter().map(|k| show(self.source_column(k))).collect();
        let values: Vec<String> = columns.iter().map(|column| show(column)).collect();
        let all: Vec<String> =
            [format!("CONCAT_WS(', ', {})", key.join(", "))].into_iter().chain(values).collect();
        format!(
            "SELECT {} FROM {} AS d ORDER BY {}",
            all.join(", "),
            Staging::Delta.name(),
            self.source_key_columns().join(", ")
        )
    }

    /// What the values of `key` of the shadow are made of: names in the new definition, and columns of the live table.
    /// The columns that find a row are not among them, for they are shown anyway.
    pub fn behind<'s>(&'s self, shadow: &Table, key: &Key) -> Vec<(&'s str, &'s Column)> {
        let projection = self.projection();
        let names = made_of(shadow, key);
        let named = |column: &Column| names.iter().any(|name| same_name(name, &column.name));
        let in_key = |column: &Column| projection.key.iter().any(|k| k.target.name == column.name);
        projection
            .mapped
            .iter()
            .filter(|m| named(&m.target) && !in_key(&m.target))
            .map(|m| (m.target.name.as_str(), &projection.source[m.source]))
            .collect()
    }
}

/// The columns that a key's definition names, and for generated ones those that theirs names. The definitions are read
/// as the server prints them: one a line, every name between backquotes.
fn made_of(table: &Table, key: &Key) -> Vec<String> {
    let begins = match key.name.as_str() {
        "PRIMARY" => "PRIMARY KEY (".to_owned(),
        name => format!("UNIQUE KEY {} (", quote(name)),
    };
    let after = |start: &str| {
        table.create.lines().find_map(|line| Some(line.trim_start().strip_prefix(start)?.to_owned()))
    };
    let mut names = names_in(&after(&begins).unwrap_or_default());
    let mut looked_at = 0;
    while let Some(name) = names.get(looked_at) {
        looked_at += 1;
        let line = after(&format!("{} ", quote(name))).unwrap_or_default();
        let expression = line.split_once("GENERATED ALWAYS AS").map(|(_, rest)| rest).unwrap_or_default();
        let more = names_in(expression);
        names.extend(more.into_iter().filter(|name| table.column(name).is_some()).collect::<Vec<_>>());
        if looked_at > table.columns.len() {
            break;
        }
    }
    names
}

fn names_in(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::TableName;

    #[test]
    fn a_key_is_made_of_the_columns_behind_its_expressions_and_generated_columns() {
        let create = "CREATE TABLE `s` (\n  `id` int NOT NULL,\n  `name` varchar(20) DEFAULT NULL,\n  \
                      `g` varchar(20) GENERATED ALWAYS AS (concat(`name`,`last`)) VIRTUAL,\n  \
                      PRIMARY KEY (`id`),\n  UNIQUE KEY `k` (`g`,(lower(`mail`)),`note`(3))\n) ENGINE=InnoDB";
        let column = |name: &str| Column {
            name: name.into(),
            data_type: "int".into(),
            column_type: "int".into(),
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: name == "g",
        };
        let key = |name: &str| Key { name: name.into(), unique: true, parts: Vec::new() };
        let table = Table {
            name: TableName::new("d", "s"),
            columns: ["id", "name", "last", "g", "mail", "note"].map(column).into(),
            keys: Vec::new(),
            create: create.into(),
            auto_increment: None,
            rows_estimate: 0,
        };
        assert_eq!(made_of(&table, &key("k")), ["g", "mail", "note", "name", "last"]);
        assert_eq!(made_of(&table, &key("PRIMARY")), ["id"]);
    }
}
