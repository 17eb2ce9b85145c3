//! What the server reports about a table: the facts every decision here starts from.

use std::fmt;

/// A table by schema and name. `Display` quotes it for use in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub schema: String,
    pub table: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// `schema.table` without quotes, for messages to people.
    pub fn plain(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quote(&self.schema), quote(&self.table))
    }
}

/// An identifier between backquotes, with backquotes inside doubled.
pub fn quote(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "``"))
}

/// A string literal that means the same under every `sql_mode` (`NO_BACKSLASH_ESCAPES` or not).
pub fn string_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2 + 16);
    out.push_str("_utf8mb4 x'");
    for byte in text.bytes() {
        out.push_str(&format!("{byte:02x}"));
    }
    out.push('\'');
    out
}

/// The names of the CHECK constraints in a SHOW CREATE TABLE, in its order.
pub fn check_names(create: &str) -> Vec<String> {
    create
        .lines()
        .filter_map(|line| {
            let rest = line.trim_start().strip_prefix("CONSTRAINT `")?;
            let end = rest.find("` CHECK (")?;
            Some(rest[..end].replace("``", "`"))
        })
        .collect()
}

/// The CHECK constraints of `old` that have another name once the tables are swapped, with that name: LIKE numbers those
/// of a copy in the order in which SHOW CREATE TABLE lists them. `after` is such a copy, changed by the statement.
pub fn renamed_checks(old: &Table, after: &Table) -> Vec<(String, String)> {
    let numbered = |table: &Table, number: usize| format!("{}_chk_{number}", table.name.table);
    let left = check_names(&after.create);
    let names = check_names(&old.create).into_iter().enumerate();
    names
        .filter(|(i, _)| left.contains(&numbered(after, i + 1)))
        .map(|(i, name)| (name, numbered(old, i + 1)))
        .filter(|(name, new)| name != new)
        .collect()
}

/// Names compare without case for columns and keys in MySQL.
pub fn same_name(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// One column, in `information_schema` order, which is also the order of a binlog row image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// `DATA_TYPE` in lower case: `mediumint`, `varchar`, `enum`, `geometry`, `point`, `vector` …
    pub data_type: String,
    /// `COLUMN_TYPE`, ready for a column definition: `mediumint unsigned`, `enum('a','b')`, `point SRID 4326` …
    pub column_type: String,
    /// `None` for every type without a character set (numbers, BINARY, BLOB, JSON, spatial).
    pub charset: Option<String>,
    pub collation: Option<String>,
    pub nullable: bool,
    /// As `information_schema` prints it; `None` is no default, or NULL.
    pub default: Option<String>,
    /// `EXTRA` as reported: `auto_increment`, `on update CURRENT_TIMESTAMP`, `INVISIBLE` …
    pub extra: String,
    /// STORED or VIRTUAL generated: never written.
    pub generated: bool,
}

impl Column {
    pub fn unsigned(&self) -> bool {
        self.column_type.contains(" unsigned") || self.column_type.contains(" zerofill")
    }

    pub fn auto_increment(&self) -> bool {
        self.extra.to_lowercase().contains("auto_increment")
    }

    pub fn on_update(&self) -> bool {
        self.extra.to_lowercase().contains("on update")
    }
}

/// One part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// `None` for an expression (functional key part).
    pub column: Option<String>,
    /// Only the first so many characters are indexed.
    pub prefix: bool,
    pub nullable: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `PRIMARY` for the primary key.
    pub name: String,
    pub unique: bool,
    pub parts: Vec<KeyPart>,
}

/// A base table as the server reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: TableName,
    pub columns: Vec<Column>,
    /// The primary key first, when there is one.
    pub keys: Vec<Key>,
    /// `SHOW CREATE TABLE`.
    pub create: String,
    /// The next AUTO_INCREMENT value, not cached statistics.
    pub auto_increment: Option<u64>,
    /// The optimizer's estimate.
    pub rows_estimate: u64,
}

impl Table {
    /// For a table that is not there yet.
    pub fn only_named(name: &TableName) -> Self {
        Self {
            name: name.clone(),
            columns: Vec::new(),
            keys: Vec::new(),
            create: String::new(),
            auto_increment: None,
            rows_estimate: 0,
        }
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| same_name(&c.name, name))
    }
}
