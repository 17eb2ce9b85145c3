//! The expressions of a definition, and what they depend on besides the row.
//!
//! Read from SHOW CREATE TABLE, which has one column, key or constraint a line and writes an expression in one form: names
//! in backquotes, functions in small letters, strings in single quotes with their special characters escaped. It must come
//! from a control session (`session/variables.rs`), so that this is its form whatever the server's sql_mode.
//!
//! What counts is caution: an expression that is taken for one that depends on the session, and does not, is computed
//! with the server's own settings, which is never wrong.

use super::table::{Table, quote, same_name};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A stored generated column.
    Stored,
    /// A generated column that is computed when it is read.
    Virtual,
    /// One that an index keeps.
    Indexed,
    /// A part of a key.
    Key,
    Check,
    Default,
}

impl Kind {
    /// What it came to is kept, or decides whether a row is taken.
    pub fn lasts(self) -> bool {
        match self {
            Kind::Stored | Kind::Indexed | Kind::Key | Kind::Check | Kind::Default => true,
            Kind::Virtual => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub kind: Kind,
    /// Of the column, key or constraint.
    pub name: String,
    pub text: String,
}

impl Expression {
    /// For people.
    pub fn what(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Stored => format!("the stored generated column {name}"),
            Kind::Virtual => format!("the generated column {name}"),
            Kind::Indexed => format!("the generated column {name}, which is indexed"),
            Kind::Key => format!("the functional key {name}"),
            Kind::Check => format!("the CHECK constraint {name}"),
            Kind::Default => format!("the default of column {name}"),
        }
    }

    pub fn reads(&self, column: &str) -> bool {
        without_strings(&self.text).to_lowercase().contains(&quote(column).to_lowercase())
    }
}

pub fn expressions(table: &Table) -> Vec<Expression> {
    let mut found = Vec::new();
    for line in table.create.lines().skip(1) {
        let line = line.trim();
        let Some(read) = of_line(line) else { continue };
        found.extend(read.into_iter().map(|mut expression| {
            if expression.kind == Kind::Virtual && indexed(table, &expression.name) {
                expression.kind = Kind::Indexed;
            }
            expression
        }));
    }
    found
}

fn indexed(table: &Table, column: &str) -> bool {
    let parts = table.keys.iter().flat_map(|key| &key.parts);
    parts.filter_map(|part| part.column.as_deref()).any(|name| same_name(name, column))
}

fn of_line(line: &str) -> Option<Vec<Expression>> {
    let expression = |kind, name: &str, text: &str| Expression { kind, name: name.into(), text: text.into() };
    if line.starts_with('`') {
        let (name, rest) = quoted_name(line)?;
        if let Some(at) = outside(rest, "GENERATED ALWAYS AS (") {
            let text = group(&rest[at..])?;
            let behind = &rest[at + text.len()..];
            let kind = if outside(behind, " STORED").is_some() { Kind::Stored } else { Kind::Virtual };
            return Some(vec![expression(kind, &name, text)]);
        }
        let at = outside(rest, " DEFAULT (")?;
        return Some(vec![expression(Kind::Default, &name, group(&rest[at..])?)]);
    }
    if let Some(rest) = line.strip_prefix("CONSTRAINT ") {
        let (name, rest) = quoted_name(rest)?;
        let text = group(rest.strip_prefix(" CHECK ").map(|_| rest)?)?;
        return Some(vec![expression(Kind::Check, &name, text)]);
    }
    let at = outside(line, "KEY `")
        .filter(|at| line[..*at].chars().all(|c| c.is_ascii_uppercase() || c == ' '))?;
    let (name, rest) = quoted_name(&line[at + "KEY ".len()..])?;
    let parts = group(rest)?;
    let parts = parts.strip_prefix('(')?.strip_suffix(')')?;
    // A part that is an expression stands in parentheses of its own.
    let (mut found, mut rest) = (Vec::new(), parts);
    while let Some(at) = outside(rest, "(") {
        let text = group(&rest[at..])?;
        let begins = rest[..at].trim_end();
        if begins.is_empty() || begins.ends_with(',') {
            found.push(expression(Kind::Key, &name, text));
        }
        rest = &rest[at + text.len()..];
    }
    Some(found)
}

/// The name between backquotes at the beginning, and what follows.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('`')?;
    let mut end = 0;
    loop {
        end += inner[end..].find('`')?;
        match inner[end + 1..].starts_with('`') {
            true => end += 2,
            false => return Some((inner[..end].replace("``", "`"), &inner[end + 1..])),
        }
    }
}

/// Where `needle` begins for the first time outside of quotes. One that contains a quote begins before it.
fn outside(text: &str, needle: &str) -> Option<usize> {
    steps(text).find(|&(at, quoted)| !quoted && text[at..].starts_with(needle)).map(|(at, _)| at)
}

/// From the first parenthesis outside of quotes, whatever stands before it, to the one that closes it.
fn group(text: &str) -> Option<&str> {
    let (mut depth, mut begin) = (0usize, None);
    for (at, quoted) in steps(text) {
        match text.as_bytes()[at] {
            _ if quoted => {}
            b'(' => {
                depth += 1;
                begin = begin.or(Some(at));
            }
            b')' => {
                depth = depth.checked_sub(1)?;
                if let (0, Some(begin)) = (depth, begin) {
                    return Some(&text[begin..=at]);
                }
            }
            _ => {}
        }
    }
    None
}

/// The bytes at which characters begin, and whether each stands between quotes. An opening quote does not.
fn steps(text: &str) -> impl Iterator<Item = (usize, bool)> {
    let (mut open, mut escaped) = (None, false);
    text.char_indices().map(move |(at, c)| {
        let quoted = open.is_some();
        match open {
            None if matches!(c, '\'' | '`') => open = Some(c),
            None => {}
            Some(_) if escaped => escaped = false,
            Some('\'') if c == '\\' => escaped = true,
            // A doubled quote closes and opens.
            Some(quote) if c == quote => open = None,
            Some(_) => {}
        }
        (at, quoted)
    })
}

/// The text with what stands in single quotes left out.
fn without_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut name = false;
    for (at, quoted) in steps(text) {
        let c = text[at..].chars().next().unwrap_or_default();
        if !quoted {
            name = c == '`';
        }
        if !quoted || name {
            out.push(c);
        }
    }
    out
}

/// Functions whose value is one of the session's time zone, or of its clock.
const ZONE_FUNCTIONS: &[&str] = &[
    "now(",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "curdate(",
    "current_date",
    "curtime(",
    "current_time",
    "sysdate(",
    "from_unixtime(",
    "unix_timestamp(",
];

/// What in the session's time zone an expression reads: a TIMESTAMP column, a function. `None`: nothing.
///
/// Whether a TIMESTAMP is NULL, and its UNIX_TIMESTAMP(), is the same in every zone.
pub fn zone_dependence(table: &Table, all: &[Expression], expression: &Expression) -> Option<String> {
    depends(table, all, expression, all.len())
}

fn depends(table: &Table, all: &[Expression], expression: &Expression, depth: usize) -> Option<String> {
    let mut text = without_strings(&expression.text).to_lowercase();
    for column in table.columns.iter().filter(|column| column.data_type == "timestamp") {
        let name = quote(&column.name).to_lowercase();
        for constant in ["is null", "is not null"] {
            text = text.replace(&format!("{name} {constant}"), "true");
        }
        text = text.replace(&format!("unix_timestamp({name})"), "0");
        if text.contains(&name) {
            return Some(format!("the TIMESTAMP column {}", column.name));
        }
    }
    if let Some(function) = ZONE_FUNCTIONS.iter().find(|function| text.contains(*function)) {
        return Some(format!("{}()", function.trim_end_matches('(').to_uppercase()));
    }
    let others =
        all.iter().filter(|other| matches!(other.kind, Kind::Stored | Kind::Virtual | Kind::Indexed));
    let mut read = others.filter(|other| other.name != expression.name && expression.reads(&other.name));
    read.find_map(|other| depends(table, all, other, depth.checked_sub(1)?))
}

/// Variables of the session, apart from its time zone and sql_mode, that the value of an expression depends on.
pub fn variables(expression: &Expression) -> Vec<&'static str> {
    let text = without_strings(&expression.text).to_lowercase();
    let uses = |functions: &[&str]| functions.iter().any(|function| text.contains(function));
    let mut found = Vec::new();
    if uses(&["date_format(", "dayname(", "monthname(", "str_to_date("]) {
        found.push("lc_time_names");
    }
    if uses(&["week("]) {
        found.push("default_week_format");
    }
    if uses(&["aes_encrypt(", "aes_decrypt("]) {
        found.push("block_encryption_mode");
    }
    if uses(&[" / "]) {
        found.push("div_precision_increment");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::table::{Column, Key, KeyPart, TableName};

    fn column(name: &str, data_type: &str) -> Column {
        Column {
            name: name.into(),
            data_type: data_type.into(),
            column_type: data_type.into(),
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            extra: String::new(),
            generated: false,
        }
    }

    /// As 9.7 prints it.
    const CREATE: &str = r"CREATE TABLE `t` (
  `id` int NOT NULL COMMENT 'not ) GENERATED ALWAYS AS (it''s \')',
  `ts` timestamp NULL DEFAULT NULL,
  `d` date GENERATED ALWAYS AS (cast(`ts` as date)) STORED COMMENT 'STORED',
  `h` int GENERATED ALWAYS AS (hour(`ts`)) VIRTUAL,
  `e` int GENERATED ALWAYS AS ((dayofmonth(`d`) + 1)) VIRTUAL,
  `n` int GENERATED ALWAYS AS ((`ts` is null)) VIRTUAL,
  `s` varchar(9) DEFAULT (concat(_utf8mb4'`ts` (',`id`)),
  PRIMARY KEY (`id`),
  KEY `p` (`s`(3),((`id` / 2)),`h`),
  UNIQUE KEY `f` ((week(`d`,3))),
  CONSTRAINT `now()` CHECK ((`id` > 0))
) ENGINE=InnoDB";

    fn table() -> Table {
        let parts = vec![KeyPart { column: Some("h".into()), prefix: false, nullable: true }];
        Table {
            name: TableName::new("d", "t"),
            columns: vec![column("id", "int"), column("ts", "timestamp"), column("d", "date")],
            keys: vec![Key { name: "p".into(), unique: false, parts }],
            create: CREATE.into(),
            auto_increment: None,
            rows_estimate: 0,
        }
    }

    #[test]
    fn every_expression_of_a_definition_is_found() {
        let found: Vec<_> = expressions(&table()).into_iter().map(|e| (e.kind, e.name, e.text)).collect();
        let expected = [
            (Kind::Stored, "d", "(cast(`ts` as date))"),
            (Kind::Indexed, "h", "(hour(`ts`))"),
            (Kind::Virtual, "e", "((dayofmonth(`d`) + 1))"),
            (Kind::Virtual, "n", "((`ts` is null))"),
            (Kind::Default, "s", "(concat(_utf8mb4'`ts` (',`id`))"),
            (Kind::Key, "p", "((`id` / 2))"),
            (Kind::Key, "f", "((week(`d`,3)))"),
            (Kind::Check, "now()", "((`id` > 0))"),
        ];
        let expected: Vec<_> =
            expected.into_iter().map(|(kind, name, text)| (kind, name.to_owned(), text.to_owned())).collect();
        // A part of a key is in one pair of parentheses more than its expression.
        let inner = |text: &str| text.trim_start_matches('(').trim_end_matches(')').to_owned();
        assert_eq!(
            found.iter().map(|(k, n, t)| (*k, n.clone(), inner(t))).collect::<Vec<_>>(),
            expected.iter().map(|(k, n, t)| (*k, n.clone(), inner(t))).collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_reads_a_timestamp_depends_on_the_zone_also_by_another_column() {
        let (table, all) = (table(), expressions(&table()));
        let of = |name: &str| {
            let expression = all.iter().find(|e| e.name == name).expect(name);
            zone_dependence(&table, &all, expression)
        };
        let reads = Some("the TIMESTAMP column ts".to_owned());
        assert_eq!(
            (of("d"), of("h"), of("e"), of("f")),
            (reads.clone(), reads.clone(), reads.clone(), reads)
        );
        assert_eq!((of("n"), of("s"), of("p"), of("now()")), (None, None, None, None));
        let now =
            Expression { kind: Kind::Default, name: "x".into(), text: "(now() + interval 1 day)".into() };
        assert_eq!(zone_dependence(&table, &all, &now), Some("NOW()".into()));
    }

    #[test]
    fn other_variables_are_named() {
        let of =
            |text: &str| variables(&Expression { kind: Kind::Check, name: "c".into(), text: text.into() });
        assert_eq!(of("(monthname(`d`) = _utf8mb4'week( / ')"), ["lc_time_names"]);
        assert_eq!(of("((`a` / week(`d`)))"), ["default_week_format", "div_precision_increment"]);
    }
}
