//! Which indexes of a new table can be built after its rows are there, and their text.
//!
//! The text is the server's own, from SHOW CREATE TABLE: it is moved from one statement to another and never written
//! anew.
//!
//! The server lists indexes sorted by kind, and within a kind in the order in which they were made. One that is made
//! later would therefore change its place, unless all behind it are made later, too. So within each kind those that
//! wait are the last ones.

use super::key::column_names;
use super::table::{Key, Table, quote, same_name};

/// An index as SHOW CREATE TABLE has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyText {
    pub name: String,
    /// `UNIQUE KEY ...`, ready for ADD.
    pub text: String,
}

/// Kinds that the server sorts apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unique,
    /// Also of a generated column, or with an expression.
    UniqueGenerated,
    Plain,
    PlainGenerated,
    Fulltext,
}

/// The indexes of a definition but for the primary key, in its order.
pub fn keys_of(create: &str) -> Vec<KeyText> {
    create.lines().filter_map(key_of_line).collect()
}

/// The index that a line of SHOW CREATE TABLE defines.
pub fn key_of_line(line: &str) -> Option<KeyText> {
    const STARTS: [&str; 4] = ["KEY `", "UNIQUE KEY `", "FULLTEXT KEY `", "SPATIAL KEY `"];
    let line = line.trim();
    let text = line.strip_suffix(',').unwrap_or(line);
    let rest = STARTS.iter().find_map(|start| text.strip_prefix(start))?;
    let (name, _) = quoted_name(rest)?;
    Some(KeyText { name, text: text.to_owned() })
}

/// A name up to its closing backquote, and what follows it.
pub(super) fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('`')?;
        name.push_str(part);
        match after.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// The indexes of `table` that can be made later. `finds_rows` is the key that rows are found by meanwhile.
///
/// With `old`, the table before the change, a unique key that it does not have, over the same types, is not among them:
/// a duplicate is better met while rows are copied, where both rows can be shown, than hours later.
pub fn deferrable(table: &Table, old: Option<&Table>, finds_rows: &str) -> Vec<KeyText> {
    let texts = keys_of(&table.create);
    let mut held_back: Vec<Kind> = Vec::new();
    let mut later = Vec::new();
    for text in texts.into_iter().rev() {
        let key = table.keys.iter().find(|key| same_name(&key.name, &text.name));
        let kind = kind(table, key, &text);
        let may_meet = text.unique() && old.is_some_and(|old| !held_before(old, table, key, &text));
        let waits = !may_meet && key.is_some_and(|key| can_wait(table, key, &text, finds_rows));
        match waits && !held_back.contains(&kind) {
            true => later.push(text),
            false => held_back.push(kind),
        }
    }
    later.reverse();
    later
}

/// Whether `old` keeps apart what the key is to keep apart.
fn held_before(old: &Table, table: &Table, key: Option<&Key>, text: &KeyText) -> bool {
    let same_column = |name: &str| match (old.column(name), table.column(name)) {
        (Some(a), Some(b)) => a.column_type == b.column_type && a.collation == b.collation,
        _ => false,
    };
    keys_of(&old.create).iter().any(|before| before.text == text.text)
        && key.is_some_and(|key| column_names(key).into_iter().all(same_column))
}

fn kind(table: &Table, key: Option<&Key>, text: &KeyText) -> Kind {
    let generated = key.is_none_or(|key| {
        key.parts.iter().any(|part| match &part.column {
            Some(name) => table.column(name).is_none_or(|column| column.generated),
            None => true,
        })
    });
    match (text.text.starts_with("FULLTEXT"), text.text.starts_with("UNIQUE"), generated) {
        (true, ..) => Kind::Fulltext,
        (_, true, false) => Kind::Unique,
        (_, true, true) => Kind::UniqueGenerated,
        (_, false, false) => Kind::Plain,
        (_, false, true) => Kind::PlainGenerated,
    }
}

/// An expression would be a virtual column more, which the server does not add beside other things.
fn can_wait(table: &Table, key: &Key, text: &KeyText, finds_rows: &str) -> bool {
    let special = text.text.starts_with("FULLTEXT") || text.text.starts_with("SPATIAL");
    let expression = key.parts.iter().any(|part| part.column.is_none());
    !special && !expression && !same_name(&key.name, finds_rows) && !counts(table, key)
}

/// The server wants a key that begins with the AUTO_INCREMENT column.
fn counts(table: &Table, key: &Key) -> bool {
    let begins = |key: &Key| {
        let first = column_names(key).first().and_then(|name| table.column(name));
        first.is_some_and(|column| column.auto_increment())
    };
    let primary = table.keys.iter().find(|key| key.name == "PRIMARY");
    begins(key) && !primary.is_some_and(begins)
}

impl KeyText {
    pub fn unique(&self) -> bool {
        self.text.starts_with("UNIQUE")
    }

    /// The columns, if it is of whole columns only.
    pub fn columns(&self) -> Option<Vec<String>> {
        let name = format!("KEY {} (", quote(&self.name));
        let mut rest = self.text.split_once(&name)?.1;
        let mut columns = Vec::new();
        loop {
            let (column, after) = quoted_name(rest.strip_prefix('`')?)?;
            columns.push(column);
            let after = after.strip_prefix(" DESC").unwrap_or(after);
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => return after.starts_with(')').then_some(columns),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::{Column, KeyPart, TableName};

    fn column(name: &str, extra: &str) -> Column {
        Column {
            name: name.into(),
            data_type: "int".into(),
            column_type: "int".into(),
            charset: None,
            collation: None,
            nullable: false,
            default: None,
            extra: extra.into(),
            generated: extra.contains("GENERATED"),
        }
    }

    /// Keys by name: their columns, and the start of their line.
    fn table(columns: Vec<Column>, keys: &[(&str, &str, &[&str])]) -> Table {
        let mut create = "CREATE TABLE `t` (\n".to_owned();
        let mut list = Vec::new();
        for (name, start, parts) in keys {
            let text = parts.iter().map(|p| format!("`{p}`")).collect::<Vec<_>>().join(",");
            match *name {
                "PRIMARY" => create += &format!("  PRIMARY KEY ({text}),\n"),
                _ => create += &format!("  {start} `{name}` ({text}),\n"),
            }
            let parts = parts.iter().map(|p| KeyPart {
                column: (!p.starts_with('(')).then(|| p.to_string()),
                prefix: false,
                nullable: false,
            });
            let unique = start.starts_with("UNIQUE") || *name == "PRIMARY";
            list.push(Key { name: name.to_string(), unique, parts: parts.collect() });
        }
        Table {
            name: TableName::new("d", "t"),
            columns,
            keys: list,
            create: create + ") ENGINE=InnoDB",
            auto_increment: None,
            rows_estimate: 0,
        }
    }

    fn names(keys: Vec<KeyText>) -> Vec<String> {
        keys.into_iter().map(|key| key.name).collect()
    }

    /// A table that is rebuilt as it is.
    fn of(table: &Table, finds_rows: &str) -> Vec<KeyText> {
        deferrable(table, Some(table), finds_rows)
    }

    #[test]
    fn what_finds_rows_and_what_counts_stays() {
        let columns = vec![column("id", "auto_increment"), column("u", ""), column("n", "")];
        let keys: &[(&str, &str, &[&str])] = &[
            ("uid", "UNIQUE KEY", &["u"]),
            ("un", "UNIQUE KEY", &["n"]),
            ("n", "KEY", &["n"]),
            ("counter", "KEY", &["id", "n"]),
            ("nu", "KEY", &["n", "u"]),
        ];
        assert_eq!(names(of(&table(columns.clone(), keys), "uid")), ["un", "nu"]);
        let with_primary: Vec<_> =
            [("PRIMARY", "", &["id"][..])].into_iter().chain(keys.iter().copied()).collect();
        assert_eq!(names(of(&table(columns, &with_primary), "PRIMARY")), ["uid", "un", "n", "counter", "nu"]);
    }

    #[test]
    fn what_the_server_cannot_build_in_place_stays_and_keeps_the_order() {
        let columns = vec![column("id", ""), column("n", ""), column("v", "VIRTUAL GENERATED")];
        let keys: &[(&str, &str, &[&str])] = &[
            ("PRIMARY", "", &["id"]),
            ("a", "KEY", &["n"]),
            ("place", "SPATIAL KEY", &["n"]),
            ("b", "KEY", &["n"]),
            ("e", "KEY", &["(n + 1)"]),
            ("v", "KEY", &["v"]),
            ("words", "FULLTEXT KEY", &["n"]),
        ];
        assert_eq!(names(of(&table(columns, keys), "PRIMARY")), ["b", "v"]);
    }

    #[test]
    fn a_line_is_read_as_the_server_writes_it() {
        let key =
            key_of_line("  UNIQUE KEY `a``b` (`x`,`y``z` DESC) COMMENT 'KEY `q` (`r`),',").expect("a key");
        assert_eq!((key.name.as_str(), key.unique()), ("a`b", true));
        assert_eq!(key.text, "UNIQUE KEY `a``b` (`x`,`y``z` DESC) COMMENT 'KEY `q` (`r`),'");
        assert_eq!(key.columns(), Some(vec!["x".to_owned(), "y`z".to_owned()]));
        let prefix = key_of_line("  KEY `p` (`x`(5))").expect("a key");
        assert_eq!(prefix.columns(), None);
        assert_eq!(key_of_line("  `KEY` int,"), None);
        assert_eq!(key_of_line("  PRIMARY KEY (`id`),"), None);
    }

    #[test]
    fn a_new_unique_key_does_not_wait() {
        let columns = vec![column("id", ""), column("n", "")];
        let keys: &[(&str, &str, &[&str])] =
            &[("PRIMARY", "PRIMARY KEY", &["id"]), ("un", "UNIQUE KEY", &["n"]), ("k", "KEY", &["n"])];
        let (old, new) = (table(columns.clone(), &keys[..1]), table(columns, keys));
        assert_eq!(names(deferrable(&new, Some(&old), "PRIMARY")), ["k"]);
        assert_eq!(names(deferrable(&new, None, "PRIMARY")), ["un", "k"]);
    }
}
