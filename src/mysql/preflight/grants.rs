//! Reads `SHOW GRANTS`, with the roles that are active. Pure.
//!
//! What counts is what the server would allow, and where that is not certain, less:
//!
//! * A REVOKE line (partial_revokes) takes a schema out of what is granted everywhere.
//! * A schema's privileges come from one grant, not from all that match its name: from the one that spells the name
//!   out, and else from the pattern whose first wildcard comes last. Where two patterns are equally close, a privilege
//!   counts if both give it.
//! * With partial_revokes the server takes `_` and `%` for themselves.
//! * Names are quoted as the session's sql_mode has it, or, with sql_quote_show_create=OFF, not at all.
//! * Grants on columns and routines, and PROXY, give nothing that a change needs.

use std::cmp::Reverse;

use crate::schema::table::TableName;

/// Which privileges an account has, and where.
#[derive(Clone, Debug)]
pub struct Grants {
    /// `user@host`.
    pub user: String,
    /// Granted, but not active: their privileges do not count. Quoted, as SET ROLE wants them.
    pub idle_roles: Vec<String>,
    naming: Naming,
    lines: Vec<Line>,
}

/// How the server reads the names in a grant.
#[derive(Clone, Copy, Debug, Default)]
pub struct Naming {
    /// `_` and `%` in a schema's name stand for themselves.
    pub literal: bool,
    /// lower_case_table_names is not 0.
    pub folded: bool,
}

#[derive(Clone, Debug)]
struct Line {
    gives: bool,
    privileges: Vec<String>,
    on: On,
}

#[derive(Clone, Debug)]
enum On {
    Everything,
    /// A pattern.
    Schema(String),
    Table(String, String),
}

/// Any of them on a table lets an account see it, and its foreign keys.
const SEES_TABLES: [&str; 12] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "TRIGGER",
    "CREATE VIEW",
    "SHOW VIEW",
];

impl Grants {
    /// `active` is what CURRENT_ROLE() says.
    pub fn read(user: &str, lines: &[String], active: &str, naming: Naming) -> Self {
        let active = active.replace('"', "`");
        let active: Vec<&str> = split(&active).into_iter().map(str::trim).collect();
        let roles = lines.iter().flat_map(|line| roles(line));
        let idle_roles = roles.filter(|role| !active.contains(&role.as_str())).collect();
        Self { user: user.into(), idle_roles, naming, lines: lines.iter().filter_map(|l| line(l)).collect() }
    }

    /// As ON *.*, whatever is taken out of it.
    pub fn globally(&self, privilege: &str) -> bool {
        self.lines.iter().any(|line| line.gives && matches!(line.on, On::Everything) && line.has(privilege))
    }

    /// Whether the account sees the tables of all schemas.
    pub fn sees_all_tables(&self) -> bool {
        let whole = |p: &&str| self.globally(p) && !self.lines.iter().any(|l| !l.gives && l.has(p));
        SEES_TABLES.iter().any(whole)
    }

    /// On a whole schema, or on all of them.
    pub fn on_schema(&self, privilege: &str, schema: &str) -> bool {
        let taken_out = || {
            self.lines.iter().any(|line| {
                matches!(&line.on, On::Schema(name) if !line.gives && line.has(privilege) && self.same(name, schema))
            })
        };
        (self.globally(privilege) && !taken_out()) || self.closest_give(privilege, schema)
    }

    /// On this table, or on its schema.
    pub fn on_table(&self, privilege: &str, table: &TableName) -> bool {
        self.on_schema(privilege, &table.schema)
            || self.lines.iter().any(|line| {
                line.gives
                    && line.has(privilege)
                    && matches!(&line.on, On::Table(schema, name)
                        if self.same(schema, &table.schema) && self.same(name, &table.table))
            })
    }

    fn closest_give(&self, privilege: &str, schema: &str) -> bool {
        let schema = self.fold(schema);
        let matching = self.lines.iter().filter_map(|line| match &line.on {
            On::Schema(pattern) if line.gives && self.fits(pattern, &schema) => {
                Some((self.rank(pattern), pattern, line))
            }
            On::Schema(_) | On::Everything | On::Table(..) => None,
        });
        let matching: Vec<_> = matching.collect();
        let Some(best) = matching.iter().map(|(rank, ..)| *rank).min() else { return false };
        let mut patterns: Vec<&String> = Vec::new();
        patterns.extend(matching.iter().filter(|(rank, ..)| *rank == best).map(|(_, pattern, _)| *pattern));
        patterns.iter().all(|pattern| matching.iter().any(|(_, p, line)| p == pattern && line.has(privilege)))
    }

    /// The closer, the lower.
    fn rank(&self, pattern: &str) -> (bool, Reverse<usize>) {
        let wildcard = if self.naming.literal { None } else { first_wildcard(pattern) };
        (wildcard.is_some(), Reverse(wildcard.unwrap_or(0)))
    }

    fn fits(&self, pattern: &str, folded: &str) -> bool {
        let pattern = self.fold(pattern);
        match self.naming.literal {
            true => unescaped(&pattern) == folded,
            false => like(&pattern, folded),
        }
    }

    /// Whether the server does not tell names of schemas and tables apart by case.
    pub fn folded(&self) -> bool {
        self.naming.folded
    }

    fn same(&self, a: &str, b: &str) -> bool {
        self.fold(a) == self.fold(b)
    }

    fn fold(&self, name: &str) -> String {
        if self.naming.folded { name.to_lowercase() } else { name.to_owned() }
    }
}

impl Line {
    fn has(&self, privilege: &str) -> bool {
        self.privileges.iter().any(|p| p == privilege || p == "ALL PRIVILEGES" || p == "ALL")
    }
}

/// `GRANT a, b ON x TO …`, or `REVOKE a, b ON x FROM …`.
fn line(text: &str) -> Option<Line> {
    let (gives, rest) = match text.strip_prefix("GRANT ") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("REVOKE ")?),
    };
    let at = outside_quotes(rest, " ON ")?;
    let on = &rest[at + " ON ".len()..];
    let on = &on[..outside_quotes(on, if gives { " TO " } else { " FROM " })?];
    let privileges = split(&rest[..at]).into_iter().map(|p| p.trim().to_uppercase());
    Some(Line { gives, privileges: privileges.collect(), on: object(on.trim())? })
}

/// The roles of `GRANT r, s TO u`.
fn roles(text: &str) -> Vec<String> {
    let Some(rest) = text.strip_prefix("GRANT ") else { return Vec::new() };
    match (outside_quotes(rest, " ON "), outside_quotes(rest, " TO ")) {
        (None, Some(to)) => split(&rest[..to]).iter().map(|role| role.trim().replace('"', "`")).collect(),
        _ => Vec::new(),
    }
}

/// `None` for what is no table and no schema.
fn object(text: &str) -> Option<On> {
    if text == "*.*" {
        return Some(On::Everything);
    }
    let (schema, rest) = identifier(text)?;
    let rest = rest.strip_prefix('.')?;
    if rest == "*" {
        return Some(On::Schema(schema));
    }
    match identifier(rest)? {
        (table, "") => Some(On::Table(schema, table)),
        _ => None,
    }
}

/// The identifier that a text begins with, and the rest. `None` for two words, as in `PROCEDURE p`.
fn identifier(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    if quote != '`' && quote != '"' {
        let end = text.find('.').unwrap_or(text.len());
        let word = &text[..end];
        return (!word.contains([' ', '@'])).then(|| (word.to_owned(), &text[end..]));
    }
    let mut name = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Where `what` stands, not within quotes. A doubled quote ends one quoted text and begins another.
fn outside_quotes(text: &str, what: &str) -> Option<usize> {
    let mut open = None;
    text.char_indices().find_map(|(at, c)| match open {
        None if text[at..].starts_with(what) => Some(at),
        None => {
            open = (c == '`' || c == '"').then_some(c);
            None
        }
        Some(quote) => {
            open = (c != quote).then_some(quote);
            None
        }
    })
}

/// At the commas that are neither quoted nor in parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut open, mut depth, mut from) = (None, 0_i32, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match (open, c) {
            (Some(quote), c) => open = (c != quote).then_some(quote),
            (None, '`' | '"') => open = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn first_wildcard(pattern: &str) -> Option<usize> {
    let mut escaped = false;
    pattern.char_indices().find_map(|(at, c)| {
        let wildcard = !escaped && (c == '%' || c == '_');
        escaped = !escaped && c == '\\';
        wildcard.then_some(at)
    })
}

fn unescaped(pattern: &str) -> String {
    pattern.replace("\\_", "_").replace("\\%", "%")
}

/// A schema pattern of GRANT: `%` and `_` are wildcards unless escaped by a backslash.
fn like(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match pattern {
            [] => name.is_empty(),
            ['\\', c, rest @ ..] => name.first() == Some(c) && matches(rest, &name[1..]),
            ['%', rest @ ..] => (0..=name.len()).any(|i| matches(rest, &name[i..])),
            ['_', rest @ ..] => !name.is_empty() && matches(rest, &name[1..]),
            [c, rest @ ..] => name.first() == Some(c) && matches(rest, &name[1..]),
        }
    }
    matches(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Grants {
        named(lines, Naming::default())
    }

    fn named(lines: &[&str], naming: Naming) -> Grants {
        let lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        Grants::read("rsc@%", &lines, "NONE", naming)
    }

    #[test]
    fn privileges_are_found_by_schema_pattern() {
        let grants = read(&[
            "GRANT REPLICATION SLAVE ON *.* TO `rsc`@`%`",
            "GRANT SELECT, INSERT ON `shop\\_%`.* TO `rsc`@`%`",
            "GRANT ALL PRIVILEGES ON `\\_rsc`.* TO `rsc`@`%` WITH GRANT OPTION",
        ]);
        assert!(grants.globally("REPLICATION SLAVE"));
        assert!(grants.on_schema("SELECT", "shop_eu"));
        assert!(!grants.on_schema("SELECT", "shopping"));
        assert!(!grants.on_schema("DELETE", "shop_eu"));
        assert!(grants.on_schema("CREATE TEMPORARY TABLES", "_rsc"));
        assert!(!grants.on_schema("SELECT", "arsc"));
    }

    #[test]
    fn what_is_revoked_of_a_schema_is_not_granted_there() {
        let lines = [
            "GRANT SELECT, TRIGGER, PROCESS ON *.* TO `rsc`@`%`",
            "GRANT BACKUP_ADMIN,CONNECTION_ADMIN ON *.* TO `rsc`@`%`",
            "REVOKE SELECT, TRIGGER ON `other`.* FROM `rsc`@`%`",
        ];
        let grants = named(&lines, Naming { literal: true, folded: false });
        assert!(grants.on_schema("TRIGGER", "d"));
        assert!(!grants.on_schema("TRIGGER", "other"));
        assert!(!grants.on_table("SELECT", &TableName::new("other", "t")));
        assert!(grants.globally("PROCESS") && grants.globally("CONNECTION_ADMIN"));
        assert!(!grants.sees_all_tables());
        assert!(named(&lines[..2], Naming::default()).sees_all_tables());
        let back = [lines[0], lines[2], "GRANT TRIGGER ON `other`.* TO `rsc`@`%`"];
        assert!(named(&back, Naming { literal: true, folded: false }).on_schema("TRIGGER", "other"));
    }

    #[test]
    fn any_privilege_on_all_tables_shows_them_all() {
        assert!(read(&["GRANT INSERT ON *.* TO `rsc`@`%`"]).sees_all_tables());
        assert!(read(&["GRANT ALL PRIVILEGES ON *.* TO `rsc`@`%`"]).sees_all_tables());
        assert!(!read(&["GRANT PROCESS, RELOAD ON *.* TO `rsc`@`%`"]).sees_all_tables());
        assert!(
            !read(&["GRANT SELECT ON `%`.* TO `rsc`@`%`"]).sees_all_tables(),
            "another grant may be closer"
        );
    }

    #[test]
    fn only_the_closest_grant_of_a_schema_counts() {
        let grants = read(&[
            "GRANT SELECT ON `dab`.* TO `rsc`@`%`",
            "GRANT TRIGGER ON `d%`.* TO `rsc`@`%`",
            "GRANT INSERT ON `da%`.* TO `rsc`@`%`",
            "GRANT UPDATE ON `da_`.* TO `rsc`@`%`",
        ]);
        assert!(grants.on_schema("SELECT", "dab") && !grants.on_schema("TRIGGER", "dab"));
        assert!(grants.on_schema("TRIGGER", "dock"));
        assert!(!grants.on_schema("TRIGGER", "dax"), "another pattern is closer");
        assert!(!grants.on_schema("INSERT", "dax"), "two are equally close");
        assert!(grants.on_schema("INSERT", "daxx"));
    }

    #[test]
    fn with_partial_revokes_wildcards_stand_for_themselves() {
        let lines = ["GRANT SELECT ON `a_b`.* TO `rsc`@`%`", "GRANT INSERT ON `c\\_d`.* TO `rsc`@`%`"];
        let literal = named(&lines, Naming { literal: true, folded: false });
        assert!(literal.on_schema("SELECT", "a_b") && !literal.on_schema("SELECT", "axb"));
        assert!(literal.on_schema("INSERT", "c_d"));
        assert!(read(&lines).on_schema("SELECT", "axb"));
    }

    #[test]
    fn names_are_read_however_they_are_quoted() {
        let grants = read(&[
            "GRANT SELECT ON \"x\"\"y\".* TO \"rsc\"@\"%\"",
            "GRANT INSERT ON `a``b`.* TO `rsc`@`%`",
            "GRANT UPDATE ON plain.* TO rsc@`%`",
            "GRANT DELETE ON `a ON b TO c`.* TO `rsc`@`%`",
        ]);
        for (privilege, schema) in
            [("SELECT", "x\"y"), ("INSERT", "a`b"), ("UPDATE", "plain"), ("DELETE", "a ON b TO c")]
        {
            assert!(grants.on_schema(privilege, schema), "{schema}");
        }
    }

    #[test]
    fn tables_columns_and_routines_are_told_apart() {
        let grants = read(&[
            "GRANT SELECT (`b`, `id`), INSERT (`id`), TRIGGER ON `d`.`t ON x` TO `rsc`@`%`",
            "GRANT EXECUTE ON PROCEDURE `d`.`p` TO `rsc`@`%`",
            "GRANT PROXY ON `root`@`%` TO `rsc`@`%`",
        ]);
        let [t, u] = ["t ON x", "u"].map(|name| TableName::new("d", name));
        assert!(grants.on_table("TRIGGER", &t) && !grants.on_table("TRIGGER", &u));
        assert!(!grants.on_table("SELECT", &t) && !grants.on_table("INSERT", &t));
        assert!(!grants.on_schema("TRIGGER", "d") && !grants.on_schema("EXECUTE", "d"));
    }

    #[test]
    fn case_counts_as_in_the_names_of_tables() {
        let lines = ["GRANT SELECT ON `shop`.* TO `rsc`@`%`"];
        assert!(!read(&lines).on_schema("SELECT", "Shop"));
        assert!(named(&lines, Naming { literal: false, folded: true }).on_schema("SELECT", "Shop"));
    }

    #[test]
    fn roles_that_are_not_active_are_known() {
        let lines = [
            "GRANT `rr`@`%`,`r,t`@`%` TO `rsc`@`%`",
            "GRANT \"mm\"@\"%\" TO \"rsc\"@\"%\" WITH ADMIN OPTION",
        ];
        let lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        let idle = |active: &str| Grants::read("rsc@%", &lines, active, Naming::default()).idle_roles;
        assert_eq!(idle("NONE"), ["`rr`@`%`", "`r,t`@`%`", "`mm`@`%`"]);
        assert_eq!(idle("`r,t`@`%`,`mm`@`%`"), ["`rr`@`%`"]);
    }
}
