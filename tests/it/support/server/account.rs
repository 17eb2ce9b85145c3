//! The account of rsc, as README.md has it: the suites run with no more than the grants that an operator is told to give.
//!
//! The grants are read from README's SQL block when a data directory is initialised, and every server has the accounts
//! from its first moment on. What is granted on README's sample schema is granted on the schemas of the tests: on
//! [`SCHEMAS`] from the start, on others by [`super::Server::grant`].

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// The schema of README's example.
const SAMPLE: &str = "shop";

/// The schemas that tests with a server of their own make by name, and those of [`super::Server::fresh_database`] by their
/// pattern: a grant on each would make the grants of a shared server, which rsc reads, longer with every test.
const SCHEMAS: [&str; 4] = ["d", "shop", "bench", r"rsc\_test\_%"];

/// The application's account: no administrator. It is bound by `init_connect` and `read_only`, and its connections can be
/// killed by an account with CONNECTION_ADMIN, as root's cannot.
pub const APPLICATION: &str = "application";
const APPLICATION_MAY: [&str; 3] = [
    "CREATE USER 'application'@'%'",
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, TRIGGER, CREATE VIEW, \
     SHOW VIEW, CREATE TEMPORARY TABLES, CREATE ROUTINE, EXECUTE ON *.* TO 'application'@'%'",
    "GRANT SESSION_VARIABLES_ADMIN ON *.* TO 'application'@'%'",
];

/// Whom rsc connects as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// With everything that README names, also what it calls optional.
    Documented,
    /// Without what README calls optional.
    Minimal,
}

impl Account {
    pub const ALL: [Self; 2] = [Self::Documented, Self::Minimal];

    pub const fn user(self) -> &'static str {
        match self {
            Self::Documented => "rsc",
            Self::Minimal => "rsc_minimal",
        }
    }

    /// What makes the account, with the grants that belong to no schema and those on [`SCHEMAS`].
    fn created(self) -> Vec<String> {
        let mut all = self.statements(|sql| !sql.contains(&sample()));
        all.extend(SCHEMAS.into_iter().flat_map(|schema| self.granted(schema)));
        all
    }

    /// What README grants on its sample, for this schema.
    pub fn granted(self, schema: &str) -> Vec<String> {
        let on_sample = self.statements(|sql| sql.contains(&sample()));
        let quoted = format!("`{}`", schema.replace('`', "``"));
        on_sample.into_iter().map(|sql| sql.replace(&sample(), &quoted)).collect()
    }

    fn statements(self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let all = documented(self).into_iter().filter(|sql| wanted(sql));
        all.map(|sql| adapted(&sql, self)).collect()
    }
}

fn sample() -> String {
    format!("`{SAMPLE}`")
}

/// The one place where a test's account is not README's: its name, and no password, because the servers are reached by
/// plain TCP, where every first connection with one would cost an exchange of keys. tests/it/tls.rs and
/// tests/it/another_machine.rs have accounts with passwords.
fn adapted(sql: &str, account: Account) -> String {
    let named = sql.replace("'rsc'@'%'", &format!("'{}'@'%'", account.user()));
    named.replace(" IDENTIFIED BY 'a good password'", "")
}

/// README's statements as they stand there. A comment counts for all statements up to the next one.
fn documented(account: Account) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let block = readme
        .split_once("### The account")
        .and_then(|(_, rest)| rest.split_once("```sql\n"))
        .and_then(|(_, rest)| rest.split_once("```"))
        .map_or_else(|| panic!("README.md has no SQL block in its section on the account"), |(sql, _)| sql);
    let (mut all, mut sql, mut comment, mut optional) = (Vec::new(), String::new(), false, false);
    for line in block.lines() {
        if let Some(words) = line.strip_prefix("-- ") {
            // A comment of several lines is told by its first.
            if !comment {
                optional = words.starts_with("optional") || words.starts_with("only for");
            }
            comment = true;
            continue;
        }
        comment = false;
        sql.push_str(line.trim());
        match sql.strip_suffix(';') {
            Some(whole) => {
                if account == Account::Documented || !optional {
                    all.push(whole.to_owned());
                }
                sql.clear();
            }
            None => sql.push(' '),
        }
    }
    all
}

/// One statement a line, as `mysqld --init-file` reads them.
pub fn init_file() -> String {
    let ours = Account::ALL.into_iter().flat_map(Account::created);
    ours.chain(APPLICATION_MAY.map(str::to_owned)).map(|sql| format!("{sql};\n")).collect()
}

/// Tells data directories apart that were initialised with other grants.
pub fn version() -> String {
    let mut hasher = DefaultHasher::new();
    init_file().hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}

/// README's statements for an account of this name, as they are there, password and all.
pub fn as_documented(account: Account, name: &str, schema: &str) -> Vec<String> {
    let all = documented(account).into_iter();
    all.map(|sql| sql.replace("'rsc'@'%'", name).replace(&sample(), &format!("`{schema}`"))).collect()
}
