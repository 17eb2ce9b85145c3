//! Reads `SHOW GRANTS`.

/// Which privileges an account has, and where.
#[derive(Clone, Debug)]
pub struct Grants {
    /// `user@host`.
    pub user: String,
    lines: Vec<(Vec<String>, String)>,
}

impl Grants {
    pub fn read(user: &str, lines: &[String]) -> Self {
        Self { user: user.into(), lines: lines.iter().filter_map(|line| grant(line)).collect() }
    }

    pub fn globally(&self, privilege: &str) -> bool {
        self.lines.iter().any(|(list, on)| on == "*.*" && has(list, privilege))
    }

    /// On a whole schema, or on all of them.
    pub fn on_schema(&self, privilege: &str, schema: &str) -> bool {
        self.globally(privilege)
            || self.lines.iter().any(|(list, on)| {
                has(list, privilege) && on.strip_suffix(".*").is_some_and(|p| like(&unquote(p), schema))
            })
    }
}

/// `GRANT a, b ON x TO …`. A role grant (`GRANT r TO u`) has no ON and says nothing here: its privileges are
/// listed by `USING`.
fn grant(line: &str) -> Option<(Vec<String>, String)> {
    let rest = line.strip_prefix("GRANT ")?;
    let (list, rest) = rest.split_once(" ON ")?;
    let (on, _) = rest.split_once(" TO ")?;
    Some((list.split(',').map(|p| p.trim().to_uppercase()).collect(), on.trim().to_owned()))
}

fn has(list: &[String], privilege: &str) -> bool {
    list.iter().any(|p| p == privilege || p == "ALL PRIVILEGES" || p == "ALL")
}

fn unquote(identifier: &str) -> String {
    identifier.trim_matches('`').replace("``", "`")
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

    #[test]
    fn privileges_are_found_by_schema_pattern() {
        let grants = Grants::read(
            "rsc@%",
            &[
                "GRANT REPLICATION SLAVE ON *.* TO `rsc`@`%`".into(),
                "GRANT SELECT, INSERT ON `shop\\_%`.* TO `rsc`@`%`".into(),
                "GRANT ALL PRIVILEGES ON `\\_rsc`.* TO `rsc`@`%`".into(),
            ],
        );
        assert!(grants.globally("REPLICATION SLAVE"));
        assert!(grants.on_schema("SELECT", "shop_eu"));
        assert!(!grants.on_schema("SELECT", "shopping"));
        assert!(!grants.on_schema("DELETE", "shop_eu"));
        assert!(grants.on_schema("CREATE TEMPORARY TABLES", "_rsc"));
    }
}
