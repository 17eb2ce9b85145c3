//! An account of its own on the shared server, with exactly the rights that a test gives it.

use super::process::{Ended, Rsc, bare};
use super::shared;
use super::table::Table;

/// README's rights but for those to see; `{s}` is the schema.
pub const BASE: [&str; 3] = [
    "REPLICATION SLAVE, REPLICATION CLIENT ON *.*",
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES ON {s}.*",
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES, CREATE TEMPORARY TABLES ON `_rsc`.*",
];
pub const TRIGGER: &str = "TRIGGER ON {s}.*";
pub const PROCESS: &str = "PROCESS ON *.*";
pub const LOCKS: &str = "SELECT ON performance_schema.*";

pub struct Account {
    pub name: String,
    schema: String,
    port: String,
}

impl Account {
    pub async fn with(table: &mut Table, called: &str, rights: &[&str]) -> Self {
        let name = format!("{called}_{}", table.schema);
        table.run(&format!("CREATE USER {name}@'%'")).await;
        let account = Self { name, schema: table.schema.clone(), port: shared().port().to_string() };
        for right in rights {
            account.grant(table, right).await;
        }
        account
    }

    pub async fn grant(&self, table: &mut Table, right: &str) {
        table.run(&format!("GRANT {} TO {}@'%'", right.replace("{s}", &self.schema), self.name)).await;
    }

    pub fn rsc(&self, arguments: &[&str]) -> Rsc {
        let connection =
            ["--host", "127.0.0.1", "--port", &self.port, "--user", &self.name, "--output", "json"];
        bare(&[&connection[..], arguments].concat())
    }

    pub async fn run(&self, arguments: &[&str]) -> Ended {
        self.rsc(arguments).run().await
    }

    pub async fn ask(&self, verb: &str, id: u64) -> Ended {
        self.run(&[verb, &id.to_string()]).await
    }

    pub async fn alter(&self, verb: &str, clauses: &str, more: &[&str]) -> Ended {
        let what = [verb, "--database", &self.schema, "--table", "t", "--alter", clauses];
        self.run(&[&what[..], more].concat()).await
    }
}

/// The reasons that a command ended with: what, and what to do.
pub fn reasons(ended: &Ended) -> Vec<(String, String)> {
    let last = ended.last_line();
    let text =
        |reason: &serde_json::Value, field: &str| reason[field].as_str().unwrap_or_default().to_owned();
    let reasons = last["reasons"].as_array().unwrap_or_else(|| panic!("{ended:#?}"));
    reasons.iter().map(|reason| (text(reason, "what"), text(reason, "next"))).collect()
}
