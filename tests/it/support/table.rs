//! A table of its own schema on a server that tests share, and what is asked of it again and again.

use mysql_async::Conn;
use mysql_async::prelude::{FromRow, Queryable};

use super::process::{Ended, Rsc, rsc_as};
use super::server::Server;
use super::server::account::Account;
use super::shared;

pub struct Table {
    pub conn: Conn,
    pub schema: String,
    server: &'static Server,
    /// Whom rsc connects as.
    user: &'static str,
}

impl Table {
    /// `definition` is what stands between the parentheses of CREATE TABLE t.
    pub async fn create(definition: &str) -> Self {
        let schema = shared().fresh_database().await;
        let mut conn = shared().conn().await.unwrap();
        conn.query_drop(format!("USE {schema}")).await.unwrap();
        conn.query_drop(format!("CREATE TABLE t ({definition})")).await.unwrap();
        Self::shared(conn, schema)
    }

    pub fn shared(conn: Conn, schema: String) -> Self {
        Self::on(shared(), Account::Documented.user(), (conn, schema))
    }

    pub fn on(server: &'static Server, user: &'static str, (conn, schema): (Conn, String)) -> Self {
        Self { conn, schema, server, user }
    }

    pub fn rsc(&self, arguments: &[&str]) -> Rsc {
        rsc_as(self.user, self.server, arguments)
    }

    pub async fn run(&mut self, sql: &str) {
        self.conn.query_drop(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    pub async fn all<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Vec<T> {
        self.conn.query(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// Integers from 1 to `rows` into `t`; `values` are expressions over `i`.
    pub async fn fill(&mut self, columns: &str, values: &str, rows: u64) {
        self.run("SET SESSION cte_max_recursion_depth = 10000000").await;
        self.run(&format!(
            "INSERT INTO t ({columns}) WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {rows}) \
             SELECT {values} FROM c"
        ))
        .await;
    }

    pub async fn migrate(&self, clauses: &str, more: &[&str]) -> Ended {
        let arguments =
            ["--output", "json", "migrate", "--database", &self.schema, "--table", "t", "--alter", clauses];
        self.rsc(&[&arguments[..], more].concat()).run().await
    }

    /// Migrates and returns the change's number.
    pub async fn migrated(&self, clauses: &str, more: &[&str]) -> u64 {
        self.migrate(clauses, more).await.well().last_line()["id"].as_u64().unwrap()
    }

    pub async fn ask(&self, verb: &str, id: u64) -> Ended {
        self.rsc(&["--output", "json", verb, &id.to_string()]).run().await
    }

    pub async fn asked(&self, verb: &str, id: u64) {
        self.ask(verb, id).await.well();
    }

    pub async fn reverted_accepting_parked(&self, id: u64) {
        let arguments = ["--output", "json", "revert", &id.to_string(), "--accept-parked"];
        self.rsc(&arguments).run().await.well();
    }

    pub async fn tables(&mut self) -> Vec<String> {
        self.all("SHOW TABLES").await
    }
}
